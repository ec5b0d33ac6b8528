"""Answers out and in again."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.errors import AnswersError
from wizard.model.answers import Answers, Auth, Certificate, Listen, Login, Test, Tls
from wizard.model.answers_file import load, parse
from wizard.render.files import as_toml
from wizard.system.output_file import save

OWN = Answers(
    Listen(("192.0.2.25",), ("127.0.0.1", "192.0.2.25"), implicit_tls=True),
    Auth("shadow", ("PLAIN",)),
    Test("mail.example.test", "alice", "bob@example.test"),
    accept=("cf-lines", "mc-effects"),
    login=Login("groups", ("mail", "Domain.Users@example.test")),
    tls=Tls("recommended"),
    certificate=Certificate(
        "webroot",
        "mail.example.test",
        "a@example.test",
        True,
        "https://ca.example.test/dir",
        "/srv",
        "/etc/x",
        "/etc/add",
        "/etc/remove",
    ),
)


@pytest.mark.parametrize("answers", [Answers(), OWN])
def test_what_is_written_is_read(answers: Answers, tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    save(path, as_toml(answers))
    assert load(path) == answers


def test_no_value_can_leave_its_quotes() -> None:
    with pytest.raises(AnswersError, match="test"):
        parse(as_toml(Answers(test=Test(user='x"\nhost = "y'))))
