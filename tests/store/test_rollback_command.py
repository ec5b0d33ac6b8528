"""What `rollback` says on the command line: what stays, and how a conflict is decided."""

from __future__ import annotations

import re

import pytest

from tests.store.machine import commit
from tests.store.place import Answer, Place
from wizard.cli import options, rollback


def test_a_rollback_of_everything_says_that_the_settings_stay(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    stay = "note: your settings in /etc/msa-wizard/answers.toml stay"
    assert place.main("apply", "--yes") == 0
    assert place.main("rollback", "--all", "--dry-run") == 0
    assert stay not in capsys.readouterr().out
    (place.root / "etc/msa-wizard").mkdir()
    (place.root / "etc/msa-wizard/answers.toml").touch()
    assert place.main("rollback", "one", "--dry-run") == 0
    assert stay not in capsys.readouterr().out
    assert place.main("rollback", "--all", "--dry-run") == 0
    text = capsys.readouterr().out
    assert stay in text
    assert text.endswith("\nNothing on the host was changed (--dry-run).\n"), "it is recorded in the history"


def test_who_has_to_decide_is_told_the_commands(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.main("apply", "--yes") == 0
    (place.root / "etc/two").write_text("of the admin\n")
    capsys.readouterr()
    assert place.main("rollback", "--all", "--yes") == 4
    err = capsys.readouterr().err
    assert "has been changed since (see above); nothing was changed.\n" in err
    assert "To leave it as it is:  msa-wizard rollback --all --yes --on-conflict=keep\n" in err
    command = "msa-wizard rollback --all --yes --on-conflict=restore\n"
    assert f"To have what was there before, if anything:  {command}" in err
    assert place.main("rollback", "--all", "--yes", "--on-conflict=restore") == 0
    assert not place.there("two")


def asks(monkeypatch: pytest.MonkeyPatch, answer: Answer, *replies: str) -> list[str]:
    """Somebody answers what `rollback` asks; gives the questions."""
    asked = answer(*replies)
    monkeypatch.setattr(rollback, "asks", options.asks)
    monkeypatch.setattr(rollback, "ask", options.ask)
    return asked


def test_who_has_to_decide_is_shown_what_would_be_lost_in_each_file(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One answer decides of all; that of a file that goes had only the words `content` and `mode`."""
    assert place.main("apply", "--yes") == 0
    (place.root / "etc/one").chmod(0o600)
    (place.root / "etc/two").write_text("new\nof the admin\n")
    capsys.readouterr()
    asked = asks(monkeypatch, answer, "?", "d", "r", "y")
    assert place.main("rollback", "--all") == 0
    shown = capsys.readouterr()
    assert re.search(r"--- /etc/one  \(0644 .*\n  \+\+\+ /etc/one  \(0600 ", shown.err)
    assert "  --- /etc/two  (0644 root:root)\n" in shown.err
    assert "   new\n  +of the admin\n" in shown.err
    assert "\nChanged since: /etc/one, /etc/two.\n" in shown.out
    assert shown.out.count("   r  restore what was there before") == 2, "for ? and for what is no answer"
    lost = "Changes since that go: /etc/one (removed), /etc/two (removed). The history keeps them. In short: "
    assert lost in " ".join(shown.out.split()), "right above the next question"
    assert max(map(len, asked)) < 80
    assert not place.there("two")


def test_who_keeps_what_was_changed_since_loses_nothing(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.main("apply", "--yes") == 0
    (place.root / "etc/two").write_text("of the admin\n")
    asked = asks(monkeypatch, answer, "k", "y")
    assert place.main("rollback", "--all") == 0
    assert [words[:12] for words in asked] == ["[k]eep as is", "roll this ba"]
    assert "that go" not in capsys.readouterr().out
    assert (place.there("one"), place.there("two")) == (False, True)


def test_what_goes_of_a_text_are_the_lines_between_the_marks(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It read as if the file were removed. What is no answer to the last question is explained, too."""
    two = place.root / "etc/two"
    two.write_text("a\nb\n")
    assert place.main("apply", "--yes") == 0
    two.write_text("a\nof the step\n")
    assert commit(place.store, "apply", step="two") is not None
    two.write_text("mine\na\nof the step, and mine\n")
    capsys.readouterr()
    asks(monkeypatch, answer, "?", "r", "x", "y")
    assert place.main("rollback", "two") == 0
    said = capsys.readouterr().out
    assert "   r  restore the lines between ======= and >>>>>>>; the rest of the file stays\n" in said
    assert "the file is removed" not in said
    assert "Changes since that go: the lines above, of /etc/two. The history keeps them." in said
    assert "   n  change nothing; Enter does the same\n" in said
    assert two.read_text() == "mine\na\nb\n"
