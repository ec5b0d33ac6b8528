"""Logins of the command line: by the options, else by the settings; and what is asked first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from wizard.cli import logins
from wizard.cli.main import main
from wizard.errors import CannotHere
from wizard.model.answers import Answers, Test
from wizard.system.signals import Interrupt

ALICE = Test("mail.example.test", "alice", "bob@example.test")


@pytest.mark.parametrize(
    ("saved", "options", "target"),
    [
        (ALICE, [], ("mail.example.test", "bob@example.test")),
        (ALICE, ["--host", "", "--send-to", ""], ("", None)),
        (ALICE, ["--user", ""], ("mail.example.test", None)),
        (Test(send_to="bob@example.test"), [], ("", None)),
        (Test(send_to="bob@example.test"), ["--user", "alice"], ("", "bob@example.test")),
        (Test(), ["--send-to", "bob@example.test"], ("", "bob@example.test")),
    ],
)
def test_an_empty_option_counts_and_a_saved_message_needs_a_user(
    saved: Test, options: list[str], target: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def target_of(_host: Any, name: str, *_: Any, **more: Any) -> Any:
        asked.append((name, more["send_to"]))
        raise CannotHere("that is all")

    monkeypatch.setattr(logins, "answers_of", lambda *_, **__: Answers(test=saved))
    monkeypatch.setattr(logins, "target_of", target_of)
    assert main(["test", *options]) == CannotHere.exit_code
    assert asked == [target]


@pytest.mark.parametrize("command", [["saslauthd"], ["login", "--plaintext"]])
def test_what_is_going_to_happen_is_asked_about_before_the_password(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `y` for the question was typed into the password."""
    asked = []

    def agreed(_: Any, words: str, __: Any) -> bool:
        asked.append(words)
        return False

    @contextmanager
    def at_work(**_: Any) -> Iterator[Any]:
        yield None, None, Interrupt()

    line = SimpleNamespace(describe=lambda: SimpleNamespace(diff=""))
    offer = SimpleNamespace(changes=(line,))
    for name, value in {
        "must_be_root": lambda: None,
        "must_be_asked": lambda *_: None,
        "at_work": at_work,
        "agreed": agreed,
        "credentials": lambda *_: pytest.fail("the password was asked for"),
        "target_of": lambda *_, **__: SimpleNamespace(port=587),
        "look": lambda _: None,
        "plaintext_offer": lambda *_, **__: offer,
    }.items():
        monkeypatch.setattr(logins, name, value)
    assert main(["debug", *command, "--user", "alice"]) == 0
    assert asked == ["Go on? [y]es, [n]o (the default): "]
