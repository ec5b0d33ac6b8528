"""A private key is in the store and comes back byte for byte; no diff and no conflict shows a line of it."""

from __future__ import annotations

import pytest

from snapshots.format.secret_text import HIDDEN
from snapshots.merge.three_way import Choice
from snapshots.store import Store
from tests.store.machine import Machine, commit

BODY = [f"{letter * 60}{number:04d}" for number, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")]


def pem(kind: str, body: list[str]) -> str:
    return "\n".join([f"-----BEGIN {kind}-----", *body, f"-----END {kind}-----", ""])


KINDS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK")


def shown(store: Store) -> str:
    made = commit(store)
    assert made is not None
    return store.diff(made)


def shows_none(text: str) -> bool:
    return HIDDEN in text and not any(line in text for line in (*BODY, "another", "0" * 64))


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_comes_changes_and_goes(machine: Machine, kind: str) -> None:
    store, path = machine.store(), machine.etc / "mail.key"
    path.write_text(pem(kind, BODY))
    texts = [shown(store)]
    path.write_text(
        pem(kind, [*BODY[:12], "0" * 64, *BODY[13:]])
    )  # the hunk has no line that says what it is
    texts.append(shown(store))
    path.chmod(0o600)
    path.write_text("gone\n")
    texts.append(shown(store))
    assert all(map(shows_none, texts)), texts
    assert "mode" in texts[2]
    entry = store.entry(list(store.history())[1], "etc/mail.key")
    assert entry is not None
    assert BODY[0].encode() in entry.content


def test_a_conflict_in_a_key_shows_none(machine: Machine) -> None:
    path = machine.etc / "mail.key"
    path.write_text(pem("PRIVATE KEY", BODY))
    store = machine.store()
    path.write_text(pem("PRIVATE KEY", BODY[::-1]))
    step = commit(store, "apply", step="certificate-install")
    path.write_text(pem("PRIVATE KEY", ["another" * 8]))
    commit(store)
    assert step is not None
    reversal = store.reverse([step])
    assert [item.path for item in reversal.conflicts] == ["etc/mail.key"]
    text = reversal.conflicts[0].text
    assert "private key" in text
    assert "bytes" in text
    assert not any(line in text for line in (*BODY, "another"))


def test_what_only_looks_like_one_is_shown(machine: Machine) -> None:
    store, path = machine.store(), machine.etc / "mail.crt"
    path.write_text(pem("CERTIFICATE", BODY))
    assert BODY[3] in shown(store)


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "CERTIFICATE"])
def test_lines_of_two_are_never_mixed(machine: Machine, kind: str) -> None:
    """Git would merge these without a conflict, into a certificate that is none."""
    path = machine.etc / "mail.pem"
    path.write_text(pem(kind, BODY))
    store = machine.store()
    path.write_text(pem(kind, ["0" * 64, *BODY[1:]]))
    step = commit(store, "apply", step="certificate-renew")
    path.write_text(pem(kind, ["0" * 64, *BODY[1:-1], "1" * 64]))
    commit(store)
    assert step is not None
    assert [item.path for item in store.reverse([step]).conflicts] == ["etc/mail.pem"]
    for choice, wanted in ((Choice.RESTORE, BODY), (Choice.KEEP, ["0" * 64, *BODY[1:-1], "1" * 64])):
        made = store.reverse([step], choice=choice)
        assert made.conflicts == ()
        after = made.targets.get("etc/mail.pem", (None, None))[1]
        assert (after.content.decode() if after else path.read_text()) == pem(kind, wanted)


def test_the_key_of_an_account_is_none_to_be_shown(machine: Machine) -> None:
    """certbot keeps it as a JSON Web Key, in one line."""
    store, path = machine.store(), machine.etc / "private_key.json"
    path.write_text('{"n": "public", "e": "AQAB", "d": "' + "another" * 8 + '", "kty": "RSA"}')
    assert shows_none(shown(store))
    path.unlink()
    assert shows_none(shown(store))
