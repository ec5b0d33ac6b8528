"""What is kept of a login that was accepted."""

from __future__ import annotations

from pathlib import Path

from wizard.system.accepted_login import PATH, accepted_login, note_login
from wizard.system.host import Host


def test_the_last_one_counts_until_the_set_up_changes(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert accepted_login(host, 0) is None
    note_login(host, "alice")  # no folder for it: nothing is kept, and nothing fails
    assert accepted_login(host, 0) is None
    host.path("/var/lib").mkdir(parents=True)
    note_login(host, "alice")
    note_login(host, "bob")
    kept = accepted_login(host, 0)
    assert kept is not None
    assert (kept.user, kept.outdated) == ("bob", False)
    later = accepted_login(host, kept.at + 1)
    assert later is not None
    assert later.outdated


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.path("/var/lib/msa-wizard").mkdir(parents=True)
    for text in ("", "[]", "{}", '{"user": "a", "at": "x"}'):
        host.path(PATH).write_text(text)
        assert accepted_login(host, 0) is None
