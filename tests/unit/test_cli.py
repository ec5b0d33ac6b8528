"""The parser and the functions behind it."""

from __future__ import annotations

import argparse
import inspect
import io
import json
import os
import signal
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from building.archive import zipped
from docs.generate import commands
from snapshots.errors import StoreError
from wizard import errors
from wizard.cli import logins
from wizard.cli import main as cli
from wizard.cli.options import ask, credentials, entered, must_be_asked
from wizard.delivery import version_line
from wizard.engine.state_dir import InterruptedRun
from wizard.errors import AnswersError, CannotHere
from wizard.model.answers import Answers
from wizard.model.answers_file import saved
from wizard.system.host import Host
from wizard.system.signals import Interrupt

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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["history"], "only root can read the history. Run: `sudo ./msa-wizard history`"),
        (["diff", "a b"], "only root can read the history. Run: `sudo ./msa-wizard diff 'a b'`"),
        (
            ["recover", "--show"],
            "only root can read what an interrupted run had done. Run: `sudo ./msa-wizard recover --show`",
        ),
        (
            ["rollback", "x", "--dry-run"],
            "only root can read the history. Run: `sudo ./msa-wizard rollback x --dry-run`",
        ),
        (
            ["certificate", "show"],
            "only root can look at the server's certificate and key. Run: `sudo ./msa-wizard",
        ),
        (["troubleshoot"], "only root can look at all of this host. Run: `sudo ./msa-wizard troubleshoot`"),
        (["apply"], "only root can change this host; nothing was changed. Run: `sudo ./msa-wizard apply`"),
        (
            ["rollback", "x"],
            "only root can change this host; nothing was changed. Run: `sudo ./msa-wizard rollback x`",
        ),
        (
            ["rehearse"],
            "only root can make a clone of this host; nothing was changed. Run: `sudo ./msa-wizard rehearse`",
        ),
    ],
)
def test_whoever_is_not_root_is_told_the_command(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["./msa-wizard"])
    assert cli.main(arguments) == 3
    assert capsys.readouterr().err.startswith(f"msa-wizard: {words}")


@pytest.mark.parametrize("named", ["msa-wizard.pyz", "msa-wizard-1.0.0.pyz"])
def test_whoever_is_not_root_is_told_how_the_one_file_is_run(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = [(name, b"", 0o644) for name in ("__main__.py", "first_start.py", "program.zip")]
    (tmp_path / named).write_bytes(zipped(inside, 0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", [named])
    assert cli.main(["apply"]) == 3
    assert f"Run: `sudo python3 {named} apply`\n" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-V"], ["--version"]])
def test_the_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == f"{version_line()}\n"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_help_says_what_no_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    whole = shown(capsys, "--help")
    assert whole.startswith("usage: msa-wizard [-h] [-V] [COMMAND] ...")
    assert (
        "Without a COMMAND it shows its screens; where there is no terminal, it does what `status` does."
        in whole
    )
    assert shown(capsys, "help") == whole
    assert shown(capsys, "help", "certificate", "renew") == shown(capsys, "certificate", "renew", "--help")


def test_an_option_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--nosuch"]) == 2
    assert "--nosuch: an option follows its command" in capsys.readouterr().err
    assert cli.main(["-v", "-q", "status"]) == 2
    assert "-v -q: an option follows its command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("rollback one two", "rollback does not take two. Run `msa-wizard rollback --help`"),
        (
            "certificate show -x",
            "certificate show does not take -x. Run `msa-wizard certificate show --help`",
        ),
    ],
)
def test_what_a_command_does_not_take_is_said_with_its_own_help(
    argv: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv.split()) == 2
    assert f"msa-wizard: msa-wizard {says}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("history -n x", "argument -n/--number: 'x' is not a whole number. Run `msa-wizard history --help`"),
        ("test --port abc", "argument --port: 'abc' is not a whole number. Run `msa-wizard test --help`"),
    ],
)
def test_what_is_no_number_is_said_in_plain_words(
    argv: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv.split()) == 2
    assert f"msa-wizard: {says}" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look")
def test_a_command_on_what_is_not_there_cannot_be_done_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "entry", lambda *_: None)
    assert cli.main(["certificate", "show"]) == 3
    assert "there is no /etc/mail/sendmail.cf on this host" in capsys.readouterr().err


LOOK = [["troubleshoot"], ["test", "--port", "1"], ["certificate", "show"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look")
@pytest.mark.parametrize(
    ("argv", "goes_on"),
    [
        *((argv, True) for argv in LOOK),
        (["troubleshoot", "--fix", "all", "--yes"], False),
        (["status"], False),
        (["plan"], False),
    ],
)
def test_settings_that_cannot_be_read_hold_up_no_command_that_looks_for_a_fault(
    argv: list[str],
    goes_on: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "answers.toml").write_text("listen 1\n")
    wrong = partial(saved, tmp_path / "answers.toml")
    for module in ("options", "clients", "steps"):
        monkeypatch.setattr(import_module(f"wizard.cli.{module}"), "saved", wrong)
    for name in ("troubleshoot.take", "logins.target_of", "clients.shown"):
        module, _, attribute = name.partition(".")
        monkeypatch.setattr(import_module(f"wizard.cli.{module}"), attribute, _reached)
    assert cli.main(argv) == (3 if goes_on else 2)
    said = capsys.readouterr().err
    assert "answers.toml: not valid TOML" in said
    assert f"move it away: `mv {tmp_path}/answers.toml" in said
    assert ("going on without these settings" in said, "it was reached" in said) == (goes_on, goes_on)


def _reached(*_: object, **__: object) -> None:
    raise CannotHere("it was reached")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_every_option_is_explained(command: argparse.ArgumentParser) -> None:
    assert [action.dest for action in command._actions if not action.help] == []


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_help_fits_and_breaks_no_word(command: argparse.ArgumentParser) -> None:
    text = command.format_help()
    # A list of choices is one word to argparse, which does not break it.
    assert [line for line in text.splitlines() if len(line) > 80 and "{" not in line] == []
    assert text.startswith(f"usage: {command.prog} [-h]"), "not of the whole command line"
    for action in command._actions:
        assert set(str(action.help).replace("%%", "%").split()) <= set(text.split())


def test_the_password_is_asked_for_by_the_name_of_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return "s3cret"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", getpass)
    credentials("alice", argparse.Namespace(password_stdin=False))
    assert asked == ["Password of alice: "]


def test_a_signal_at_the_password_of_debug_says_that_nothing_was_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt = Interrupt()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: interrupt._handle(signal.SIGINT, None))
    with pytest.raises(errors.Interrupted) as raised:
        logins._user(argparse.Namespace(user="alice", password_stdin=False), interrupt)
    assert raised.value.sentence == "interrupted by SIGINT. Nothing was changed"
    assert capsys.readouterr().err == "\n", "it begins a row of its own"


def test_a_test_with_a_password_of_nobody_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wizard.cli.logins.answers_of", lambda *_, **__: Answers())
    assert cli.main(["test", "--password-stdin"]) == AnswersError.exit_code
    assert "--password-stdin needs a --user NAME" in capsys.readouterr().err


def test_ctrl_c_at_the_password_begins_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", ended)
    with pytest.raises(KeyboardInterrupt):
        credentials("alice", argparse.Namespace(password_stdin=False))
    assert capsys.readouterr().err == "\n"


def test_ctrl_d_at_the_password_is_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", ended)
    with pytest.raises(AnswersError, match="no password was typed"):
        credentials("alice", argparse.Namespace(password_stdin=False))
    assert capsys.readouterr().err == "\n", "it begins a row of its own"


@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_of_a_password_that_is_not_utf_8_no_byte_is_said(
    errors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = io.TextIOWrapper(io.BytesIO(b"s\xe4cret\n"), encoding="utf-8", errors=errors)
    monkeypatch.setattr("sys.stdin", typed)
    with pytest.raises(AnswersError, match="the password is not UTF-8: type it on a terminal") as raised:
        credentials("alice", argparse.Namespace(password_stdin=True))
    assert "e4" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"json": True}, "with --json, apply"),
        ({"quiet": True}, "with -q, apply"),
        ({}, "without a terminal, apply"),
    ],
)
def test_why_nobody_can_be_asked(given: dict[str, bool], words: str) -> None:
    arguments = argparse.Namespace(**{"yes": False, "json": False, "quiet": False, **given})
    with pytest.raises(errors.UsageError, match=words):
        must_be_asked(arguments, "apply")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stauts"], "; did you mean status? Run `msa-wizard --help`"),
        (["certificate", "obtian"], "; did you mean obtain? Run `msa-wizard certificate --help`"),
        (["client"], "; did you mean client-settings? Run `msa-wizard --help`"),
        (["completion", "ksh"], "). Run `msa-wizard completion --help`"),
        (["xyzzy"], "). Run `msa-wizard --help`"),
        (["debug"], ": COMMAND (saslauthd, login). Run `msa-wizard debug --help`"),
    ],
)
def test_a_word_that_is_nearly_a_command_is_guessed(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.endswith(f"{says}\n")


def test_what_is_entered_stays_as_it_was_typed_and_the_end_of_the_terminal_is_no_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = iter(["Alice@Example.org ", "Alice@Example.org"])

    def typed() -> str:
        try:
            return next(replies)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    monkeypatch.setattr("wizard.cli.options.wait_for_input", lambda _: None)
    monkeypatch.setattr("sys.stdin.fileno", lambda: 0, raising=False)
    assert entered("address: ") == "Alice@Example.org"
    assert ask("sure? ") == "alice@example.org"
    assert entered("address: ") is None
    assert ask("sure? ") == "no"
    assert ask("apply? ", at_end="q") == "q"
    assert capsys.readouterr().out.splitlines()[-1] == "apply? ", "what follows begins a row of its own"
