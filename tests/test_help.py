"""`--help` of the three programs: fits the terminal, cuts no word, and its examples work."""

import re
import shlex

import pytest

from analysis import cli as analysis_cli
from analysis.replay import command as replay_command
from diffrec import __main__ as diffrec_cli
from tune_runner.cli import arguments as tune_cli


def subcommands(parser):
    """Return the parsers of a program's commands."""
    choices = [action.choices for action in parser._subparsers._group_actions]
    return list(choices[0].values())


PROGRAMS = {
    "python -m tune_runner": tune_cli.parser,
    "python -m analysis replay": replay_command.parser,
    "python -m analysis": analysis_cli.parser,
    "python -m diffrec": diffrec_cli.build_parser,
}


def parsers():
    """Return every parser by its name."""
    diffrec = diffrec_cli.build_parser()
    every = [
        tune_cli.parser(),
        analysis_cli.parser(),
        replay_command.parser(),
        diffrec,
        *subcommands(diffrec),
    ]
    return {parser.prog: parser for parser in every}


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", parsers())
def test_help_fits_and_cuts_no_word(name, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    parser = parsers()[name]
    shown = parser.format_help()
    for line in shown.splitlines():
        assert len(line) <= width or len(line.split()) <= 2 or line.startswith(("usage:", " " * 8))
    words = set(shown.split())
    for action in parser._actions:
        missing = [w for w in (action.help or "").split() if "%" not in w and w not in words]
        assert missing == [], action.dest


@pytest.mark.parametrize("name", parsers())
def test_the_examples_are_commands_of_that_program(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    shown = parsers()[name].format_help()
    examples = shown.partition("examples:\n")[2].replace("\\\n", " ")
    found = re.findall(r"^    (python -m .*)$", examples, re.M)
    assert found
    for command in found:
        program = next(known for known in PROGRAMS if command.startswith(known))
        assert command.startswith(name)
        words = shlex.split(command.removeprefix(program))
        if "--help" not in words:
            PROGRAMS[program]().parse_args(words)


def test_commands_of_diffrec_are_listed_by_task():
    assert sorted(diffrec_cli.COMMANDS) == sorted(
        name for names in diffrec_cli.TASKS.values() for name in names
    )
