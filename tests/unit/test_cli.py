"""The parser and the functions behind it."""

from __future__ import annotations

import argparse
import inspect
import json
import signal
from importlib import import_module

import pytest

from docs.generate import commands
from snapshots.errors import StoreError
from wizard import errors
from wizard.cli import main as cli
from wizard.engine.state_dir import InterruptedRun

COMMANDS = {name: each for name, each in commands().items() if each.get_default("run")}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_every_command_has_its_function(command: argparse.ArgumentParser) -> None:
    module, _, name = command.get_default("run").partition(":")
    function = getattr(import_module(f"wizard.cli.{module}"), name)
    assert len(inspect.signature(function).parameters) == 1


@pytest.mark.parametrize(
    ("problem", "code", "sentence"),
    [
        (errors.UsageError("no step x"), 2, "no step x"),
        (errors.Locked("alice is at work"), 5, "Nothing was changed; wait for it to end, then try again"),
        (errors.RollbackRefused("it is needed"), 1, "it is needed. Nothing was changed"),
        (errors.CannotHere("only root"), 3, "only root"),
        (errors.Interrupted(signal.SIGTERM), 128 + signal.SIGTERM, "interrupted by SIGTERM"),
        (StoreError("damaged \x1b[2J"), 1, "damaged"),
        (FileNotFoundError(2, "No such file", "/x"), 1, "/x"),
    ],
)
def test_an_error_ends_a_command_with_its_code_and_as_json(
    problem: Exception,
    code: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: object) -> int:
        raise problem

    monkeypatch.setattr("wizard.cli.steps.history", fail)
    assert cli.main(["history"]) == code
    text = capsys.readouterr()
    assert text.out == ""
    assert text.err.startswith("msa-wizard: ")
    assert sentence in text.err
    assert "\x1b" not in text.err
    assert cli.main(["history", "--json"]) == code
    shown = json.loads(capsys.readouterr().out)
    assert shown["schema"] == 1
    assert shown["error"]["exit_code"] == code
    assert sentence in shown["error"]["message"]


def test_each_kind_of_error_has_a_code_of_the_table() -> None:
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.WizardError)
    ]
    assert len(kinds) > 10
    assert {kind.exit_code for kind in kinds} <= set(range(7))
    assert InterruptedRun.exit_code == 6
