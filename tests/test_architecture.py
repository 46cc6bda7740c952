"""Structure of the source: no import cycle, small modules, docstrings that can be read alone.

The layers of the packages are held by import-linter (pyproject.toml); here is what it cannot see.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("diffrec", "search_spaces", "tune_runner", "analysis")
MAX_LINES = 350

FRAGMENT_WORDS = {
    *("Of", "Who", "Whom", "What", "Where", "Whose", "By", "That", "Which", "Whether"),
}
"""First words of docstrings that continue a name instead of standing for themselves."""


def read_modules():
    """Return {dotted name: (path, syntax tree)} of every module."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    names = (".".join(p.relative_to(ROOT).with_suffix("").parts) for p in paths)
    return {
        name.removesuffix(".__init__"): (path, ast.parse(path.read_text()))
        for name, path in zip(names, paths, strict=True)
    }


MODULES = read_modules()
INITS = sorted(name for name, (path, _) in MODULES.items() if path.name == "__init__.py")


def imported(name, tree):
    """Return the modules of ours that a module imports, anywhere, TYPE_CHECKING included.

    A package that one of its own modules imports a sibling from is no arrow: it runs first anyway.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {m for m in names & MODULES.keys() if m != name and not name.startswith(f"{m}.")}


def test_no_import_cycle():
    graph = {name: imported(name, tree) for name, (_, tree) in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_no_module_is_long():
    lines = {name: len(path.read_text().splitlines()) for name, (path, _) in MODULES.items()}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


@pytest.mark.parametrize("name", INITS)
def test_every_package_says_what_lives_there_what_may_not_and_where_to_begin(name):
    docstring = ast.get_docstring(MODULES[name][1]) or ""
    assert len([line for line in docstring.splitlines() if line.strip()]) >= 3


def fragments(name, tree):
    """Return the docstrings, those of fields and constants too, that cannot be read alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            words = node.value.value.split() if isinstance(node.value.value, str) else []
            if words and words[0].strip(",.") in FRAGMENT_WORDS:
                yield f"{name}:{node.lineno}"


def test_docstrings_begin_with_a_verb_or_a_noun():
    assert [f for name, (_, tree) in MODULES.items() for f in fragments(name, tree)] == []
