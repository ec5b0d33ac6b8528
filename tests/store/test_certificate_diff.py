"""What a commit did to a certificate is shown in words, on the command line and the screens: names, dates, key."""

from __future__ import annotations

from pathlib import Path

from snapshots.store import Store
from tests.authority import Authority, Signed
from tests.store.machine import Machine, commit
from wizard.render.text import commit_changes


def shown(store: Store) -> str:
    made = commit(store)
    assert made is not None
    return commit_changes(store, made)[1]


def test_a_certificate_that_comes_changes_and_goes_is_said_in_words(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    folder.mkdir()
    authority = Authority(folder)
    store, path = machine.store(), machine.etc / "mail.crt"
    first, second = authority.leaf("old.example.test"), authority.leaf("new.example.test")
    path.write_text(f"# ours\n{first.certificate}")
    comes = shown(store)
    path.write_text(f"# ours\n{second.certificate}")
    changes = shown(store)
    path.unlink()
    goes = shown(store)
    assert "diff --git a/etc/mail.crt b/etc/mail.crt" in changes
    assert "+certificate for old.example.test" in comes
    assert "-certificate for old.example.test\n" in changes
    assert "+certificate for new.example.test\n" in changes
    assert " # ours\n" in changes
    assert "-certificate for new.example.test" in goes
    assert not any(line in comes + changes + goes for line in body(first) + body(second))


def test_a_file_that_holds_the_key_too_shows_neither(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    folder.mkdir()
    both = Authority(folder).leaf()
    store = machine.store()
    (machine.etc / "both.pem").write_text(both.certificate + both.key)
    text = shown(store)
    assert not any(line in text for line in body(both) + both.key_lines)


def body(signed: Signed) -> list[str]:
    return signed.certificate.strip().splitlines()[1:-1]
