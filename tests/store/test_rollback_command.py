"""What `rollback` says on the command line: what stays, and how a conflict is decided."""

from __future__ import annotations

import pytest

from tests.store.place import Place


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
