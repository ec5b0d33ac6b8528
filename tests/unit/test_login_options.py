"""Whom `test` logs in as, where, and whether it sends a message: by its options, else by the settings."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.cli import logins
from wizard.cli.main import main
from wizard.errors import CannotHere
from wizard.model.answers import Answers, Test

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
