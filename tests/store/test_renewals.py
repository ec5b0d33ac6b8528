"""Rolling back a certificate of certbot's: what goes with it, and what others need by now, on real git and a real file system."""

from __future__ import annotations

import json

import pytest

from snapshots.format.message import Commit
from snapshots.store import Store
from tests.store.machine import Machine, commit
from wizard.changes.lineage import LineageEffect
from wizard.changes.packages import PackagesEffect
from wizard.model.plan import Effect
from wizard.rollback.renewed import Renewals
from wizard.system.host import Host

NAME = "mail.example.org"
OURS = "accounts/acme.example.org/directory/0123"


def make(machine: Machine, *paths: str) -> None:
    for path in paths:
        file = machine.etc / "letsencrypt" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x\n")


def obtained(machine: Machine, store: Store, *paths: str, certbot: bool) -> Commit:
    """The commit of the step, which made these paths, and its lineage."""
    make(machine, f"renewal/{NAME}.conf", f"live/{NAME}/fullchain.pem", *paths)
    effects: list[Effect] = [LineageEffect(NAME)]
    if certbot:
        effects.append(PackagesEffect((("certbot", "2.1.0"),), (), ()))
    record = json.dumps({"effects": [effect.record() for effect in effects]}).encode()
    made = commit(store, "apply", step="certificate-obtain", record=record)
    assert made is not None
    return made


def needed(machine: Machine, store: Store, made: Commit) -> str | None:
    return Renewals.of(Host(machine.root), store, [made]).needed(store, [made])


@pytest.mark.parametrize(
    ("certbot", "what"), [(True, "certbot, which came"), (False, "certbot, whose account came")]
)
def test_what_the_certificates_of_others_need_stays(machine: Machine, certbot: bool, what: str) -> None:
    store = machine.store()
    made = obtained(machine, store, f"{OURS}/private_key.json", certbot=certbot)
    assert needed(machine, store, made) is None
    make(machine, "renewal/www.example.org.conf")
    why = needed(machine, store, made)
    assert why is not None
    assert (what in why, "certbot delete --cert-name www.example.org" in why) == (True, True), why


def test_certificates_from_before_need_nothing_of_the_step(machine: Machine) -> None:
    """A certbot of snap's or pip's has them."""
    make(machine, "renewal/www.example.org.conf")
    store = machine.store()
    made = obtained(machine, store, f"{OURS}/private_key.json", certbot=True)
    assert needed(machine, store, made) is None
    make(machine, "renewal/www.example.org.conf", "renewal/new.example.org.conf")
    why = needed(machine, store, made)
    assert why is not None
    assert ("new.example.org" in why, "www.example.org" in why) == (True, False), why


def test_without_anything_brought_others_need_nothing(machine: Machine) -> None:
    make(machine, f"{OURS}/private_key.json")
    store = machine.store()
    made = obtained(machine, store, certbot=False)
    make(machine, "renewal/www.example.org.conf")
    assert needed(machine, store, made) is None


def test_accounts_of_later_stay(machine: Machine) -> None:
    store = machine.store()
    made = obtained(machine, store, f"{OURS}/private_key.json", certbot=False)
    theirs = "accounts/other.example.org/directory/4567/private_key.json"
    make(machine, theirs, "csr/0001_csr-certbot.pem", f"live/{NAME}/privkey.pem")
    commit(store)
    renewals = Renewals.of(Host(machine.root), store, [made])
    targets = store.reverse([made], grown=renewals.grown).targets
    gone = {path.removeprefix("etc/letsencrypt/") for path, (_, after) in targets.items() if after is None}
    assert {f"{OURS}/private_key.json", "accounts/acme.example.org", f"live/{NAME}/privkey.pem"} <= gone
    assert not {path for path in gone if path.startswith(("accounts/other", "accounts/other.example.org"))}
