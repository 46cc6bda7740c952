"""README and docs: every command runs or names the test that runs it; links lead somewhere."""

import re
import shlex
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

import diffrec
import search_spaces
from analysis import cli as analysis_cli
from analysis.replay import command as replay_command
from diffrec import __main__ as diffrec_cli
from tune_runner import cli as tune_cli
from tune_runner.cli.arguments import parser as tune_parser

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md")
    for path in REPOSITORY.glob(pattern)
)
PARSERS = {
    "python -m tune_runner": tune_parser,
    "diffrec-tune": tune_parser,
    "python -m analysis replay": replay_command.parser,
    "python -m analysis": analysis_cli.parser,
    "diffrec-report": analysis_cli.parser,
    "python -m diffrec": diffrec_cli.build_parser,
    "diffrec": diffrec_cli.build_parser,
}
MARK = re.compile(r"needs a (GPU|cluster)")

EXECUTED = (
    "python -m tune_runner --list",
    "python -m tune_runner --space clustering_ablation --dry-run",
    "python -m tune_runner --space clustering_ablation --dry-run --probe",
    "python -m tune_runner --space clustering_ablation --fuse auto --dry-run",
    "python -m tune_runner --space clustering_ablation+baselines --dry-run",
    "python -m tune_runner --space docs/examples/my_rates.py --dry-run",
)
"""Cheap commands: they are given here, from the repository's root, and write nothing."""

ELSEWHERE = (
    (r"python3 -m venv .* && python -m tune_runner --space clustering_ablation$", ".ci/run::venv"),
    (r"python3 -m venv .* && python -m pytest$", ".ci/run::python -m pytest"),
    (r"(ruff|basedpyright|lint-imports|python -m pytest)\b.*", ".ci/run::ruff check"),
    (r"python3 -m venv .venv && \. .venv/bin/activate$", ".ci/run::-m venv"),
    (r"pip install uv && uv pip install -e .*", ".ci/run::uv pip install"),
    (r"python docs/make_reference.py --check", "tests/test_docs.py::test_the_reference_is_up_to"),
    (r"pip install pre-commit && pre-commit install", "tests/test_docs.py::test_the_hooks_are"),
    (r"mlflow ui|optuna-dashboard .*", "docs/guides/watching.md::# Watch a study"),
    (r"python -m tune_runner --resume NAME$", "tune_runner/test_runner.py::test_a_study_killed"),
    (r".* --retry-failed$|.* --add-trials 20$", "tune_runner/test_runner.py::test_failed_trials"),
    (
        r"python -m tune_runner .* --max-cost \d+$",
        "tune_runner/test_budget.py::test_a_study_stops_at_its_budget",
    ),
    (r".* --resume NAME --confirm 5$", "tune_runner/test_runner.py::test_the_winner_is_run_again"),
    (r".* --status NAME --json$", "tune_runner/cli/test_json.py::test_a_status_says_the_same"),
    (r".* --status NAME$", "tune_runner/monitoring/test_status.py::test_a_stopped_study"),
    (
        r"python -m tune_runner --space (docs/examples/my_rates.py|mine.py|smoke|baselines|"
        r"clustering_ablation\+baselines).*",
        "tune_runner/test_families_study.py::test_families_of_one_study",
    ),
    (r"python -m tune_runner .*--register films.*", "tune_runner/test_registration.py::test_the_"),
    (r"mlflow models serve .*|curl -s .*", "tune_runner/test_served.py::test_the_server_answers"),
    (
        r"python -m tune_runner --space joint --name recorded .*",
        "analysis/replay/test_replay.py::test_the_shipped_recording",
    ),
    (r"python -m analysis replay .*", "analysis/replay/test_replay.py::test_the_command_compares"),
    (r"python -m analysis STUDY --figure .*", "analysis/test_command.py::test_one_figure_is_drawn"),
    (r"python -m analysis STUDY.*", "analysis/test_command.py::test_page_tables_and_figures"),
    (
        r"python (benchmarks/prepare.py|-m diffrec (prepare|check|recommend --run)) .*",
        "diffrec/preparation/test_prepare.py::test_a_raw_file_goes_through",
    ),
    (
        r"python -m diffrec evaluate --recommendations .*",
        "diffrec/commands/test_load_trained.py::test_written_recommendations_score",
    ),
)
"""Commands that another test runs in earnest: pattern, file::beginning of its name."""

UNSAID = ("asked with", "has a meaning", "goes on", "is told of", "in good order", "the house")


def page(path):
    return path.relative_to(REPOSITORY).as_posix()


def fences(language):
    """Return the fenced blocks of a language, as parameters of a test."""
    return [
        pytest.param(
            match[2], id=f"{page(path)}:{path.read_text()[: match.start()].count(chr(10))}"
        )
        for path in PAGES
        for match in re.finditer(r"^```(\w*)\n(.*?)^```", path.read_text(), re.M | re.S)
        if match[1] == language
        or (not match[1] and language == "bash" and match[2].startswith("python "))
    ]


def commands(block):
    """Yield (command, mark) of a bash block; a mark on a line of its own is the whole block's."""
    is_whole = any(MARK.search(line) for line in block.splitlines() if line.startswith("#"))
    for line in re.sub(r" *\\\n *", " ", block).splitlines():
        command, _, comment = line.partition("#")
        if command.strip():
            yield command.strip(), is_whole or bool(MARK.search(comment))


def spans():
    """Yield the inline code of every page, its line breaks taken out."""
    for path in PAGES:
        text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
        for span in re.findall(r"`([^`]+)`", text):
            yield path, " ".join(span.split())


def program(command):
    return next((name for name in PARSERS if re.match(rf"{name}(\s|$)", command)), None)


def parse(command):
    """Give a command to its own parser; raise what it raises."""
    name = program(command)
    assert name is not None
    PARSERS[name]().parse_args(shlex.split(command.removeprefix(name)))


@pytest.mark.parametrize("block", fences("bash"))
def test_every_command_is_run_here_or_by_a_named_test_or_marked(block):
    for command, is_marked in commands(block):
        if program(command):
            parse(command)
        tests = [test for pattern, test in ELSEWHERE if re.fullmatch(pattern, command)]
        assert is_marked or command in EXECUTED or tests, command
        if tests and not is_marked and command not in EXECUTED:
            file, _, words = tests[0].partition("::")
            path = REPOSITORY / file
            path = path if path.exists() else REPOSITORY / "tests" / file
            assert words in path.read_text(), (command, tests[0])


def test_the_commands_that_are_executed_here_are_in_the_docs():
    listed = {command for block in fences("bash") for command, _ in commands(block.values[0])}
    inline = {span for _, span in spans()}
    assert set(EXECUTED) <= listed | inline


@pytest.mark.parametrize("command", EXECUTED)
def test_a_cheap_command_works_as_it_stands(command, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    before = set(REPOSITORY.iterdir())
    assert tune_cli.main(shlex.split(command)[3:]) == 0
    assert capsys.readouterr().out
    assert set(REPOSITORY.iterdir()) - before <= {REPOSITORY / "__pycache__"}


def test_inline_commands_are_understood_by_their_programs():
    checked = 0
    for path, span in spans():
        if program(span) and not re.search(r"…|\.\.\.|COMMAND|--help", span) and " -" in span[10:]:
            try:
                parse(span)
            except Exception as error:  # noqa: BLE001 - any refusal is told with its page
                pytest.fail(f"{page(path)}: {span}: {error}")
            checked += 1
        script = re.match(r"python ((?:benchmarks|docs)/\S+\.py)", span)
        assert script is None or (REPOSITORY / script[1]).exists(), (page(path), span)
    assert checked > 10


@pytest.mark.parametrize("block", fences("python"))
def test_a_python_example_runs(block):
    exec(compile(block, "example", "exec"), {**vars(search_spaces)})


@pytest.mark.parametrize("path", sorted((REPOSITORY / "docs" / "examples").glob("*.py")), ids=page)
def test_an_example_space_is_a_space(path):
    if "SPACE" in path.read_text():
        assert search_spaces.get_space(str(path)).name == path.stem


def anchor(heading):
    """Return a heading's anchor, as GitHub makes it."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=page)
def test_links_lead_to_files_and_headings(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, heading = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{page(path)} links to {target}"
        if heading:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.M)
            assert heading in map(anchor, headings), f"{page(path)} links to {target}"


@pytest.mark.parametrize(
    ("name", "main"),
    [
        ("diffrec", diffrec_cli.main),
        ("diffrec-tune", tune_cli.main),
        ("diffrec-report", analysis_cli.main),
    ],
)
def test_a_program_is_installed_under_its_own_name(name, main):
    (script,) = entry_points(group="console_scripts", name=name)
    assert script.load() is main


def test_every_benchmark_and_every_page_is_listed():
    table = (REPOSITORY / "benchmarks" / "README.md").read_text()
    helpers = {"measuring.py"}  # shared by the others
    scripts = {path.name for path in (REPOSITORY / "benchmarks").glob("*.py")} - helpers
    assert [name for name in sorted(scripts) if name not in table] == []
    index = (REPOSITORY / "docs" / "index.md").read_text()
    pages = {
        path.relative_to(REPOSITORY / "docs").as_posix()
        for path in PAGES
        if path.is_relative_to(REPOSITORY / "docs")
    }
    assert [name for name in sorted(pages - {"index.md"}) if f"({name}" not in index] == []


def test_files_that_the_pages_name_exist():
    roots = [REPOSITORY, *(REPOSITORY / name for name in ("tune_runner", "diffrec", "analysis"))]
    for path, span in spans():
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/[\w-]+\.(py|sh|yaml|yml)", span):
            existing = [root for root in [path.parent, *roots] if (root / span).exists()]
            assert existing, f"{page(path)} names {span}"


def test_pages_that_the_code_names_exist():
    for path in REPOSITORY.glob("*/**/*.py"):
        if ".venv" not in path.parts and "build" not in path.parts:
            for named in re.findall(r"docs/[\w/]+\.md", path.read_text()):
                assert (REPOSITORY / named).exists(), f"{page(path)} names {named}"


def test_the_reference_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "docs")
    import make_reference

    stale = [
        name
        for name, text in make_reference.pages().items()
        if (make_reference.FOLDER / name).read_text() != text
    ]
    assert stale == [], "run: python docs/make_reference.py"


def test_the_hooks_are_the_checks_of_ci():
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text()
    ci = (REPOSITORY / ".ci" / "run").read_text()
    for check in ("ruff check", "ruff format", "basedpyright", "lint-imports"):
        assert f"entry: {check}" in hooks
        assert check in ci


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == project["version"] == diffrec.__version__
    assert f"## {project['version']}" in (REPOSITORY / "CHANGELOG.md").read_text()
    assert citation["references"][0]["doi"] in project["urls"]["Paper"]


@pytest.mark.parametrize("path", PAGES, ids=page)
def test_the_pages_are_in_plain_english(path):
    text = " ".join(path.read_text().lower().split())
    words_found = [words for words in UNSAID if words in text]
    assert words_found == [] or path.name in ("conventions.md",), words_found
