"""Rolling back a certificate of certbot's: what goes with it, and what others need by now, on real git and a real file system."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from snapshots.format.message import Commit
from snapshots.store import Store
from tests import stand_ins
from tests.authority import Authority
from tests.store.machine import Machine, commit, live
from wizard.changes.lineage import LineageEffect
from wizard.changes.packages import PackagesEffect
from wizard.changes.service import ServiceEffect
from wizard.engine.in_force import applied
from wizard.engine.journal import Journal
from wizard.errors import RollbackRefused
from wizard.gather.acme import keeps
from wizard.model.plan import Effect
from wizard.rollback.apply import RollbackResult
from wizard.rollback.plan import Rollback
from wizard.rollback.renewed import Renewals, staying
from wizard.rollback.rollback import RollbackRun
from wizard.steps.certificate_obtain import CertificateObtain
from wizard.steps.install import Install
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
    why = Renewals.of(Host(machine.root), store, [made]).needed(store, [made])
    return ". ".join(why) if why else None


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


PEM = "/etc/ssl/certs/mail.pem"
HOOK = "renewal-hooks/deploy/msa-wizard-sendmail"


def keep(machine: Machine, number: int, content: str) -> None:
    """certbot has renewed it: a new file, and the link leads there."""
    live = machine.etc / f"letsencrypt/live/{NAME}/fullchain.pem"
    archive = machine.etc / f"letsencrypt/archive/{NAME}/fullchain{number}.pem"
    for folder in (live.parent, archive.parent):
        folder.mkdir(parents=True, exist_ok=True)
    archive.write_text(content)
    live.unlink(missing_ok=True)
    live.symlink_to(f"../../archive/{NAME}/{archive.name}")
    make(machine, f"renewal/{NAME}.conf")


def brought(machine: Machine, content: str, effects: list[Effect]) -> str:
    """The step puts this certificate where sendmail.cf names it, with the hook that brings renewals there."""
    machine.etc.joinpath("ssl/certs").mkdir(parents=True, exist_ok=True)
    machine.root.joinpath(PEM[1:]).write_text(content)
    make(machine, HOOK)
    machine.etc.joinpath("letsencrypt", HOOK).write_text(
        f"lineage={shlex.quote(f'/etc/letsencrypt/live/{NAME}')}\n"
    )
    files = [{"kind": "file", "path": path} for path in (PEM, f"/etc/letsencrypt/{HOOK}")]
    return json.dumps({"effects": [*(effect.record() for effect in effects), *files]})


@pytest.mark.parametrize("ours", [True, False], ids=["the step got it", "certbot kept it before"])
@pytest.mark.parametrize(
    "since", ["renewed", "renewed, and the newest did not arrive", "renewed, then deleted"]
)
def test_a_renewal_in_sendmails_own_file_is_nobodys_work(machine: Machine, ours: bool, since: str) -> None:
    machine.etc.joinpath("ssl/certs").mkdir(parents=True, exist_ok=True)
    machine.root.joinpath(PEM[1:]).write_text("found\n")
    if not ours:
        keep(machine, 1, "first\n")
    store = machine.store()
    keep(machine, 1, "first\n")
    record = brought(machine, "first\n", [LineageEffect(NAME)] if ours else [])
    made = commit(store, "apply", step="certificate-obtain", record=record.encode())
    assert made is not None
    keep(machine, 2, "second\n")
    machine.root.joinpath(PEM[1:]).write_text("second\n")
    if "arrive" in since:
        keep(machine, 3, "third\n")
    if "deleted" in since:
        commit(store)
        for path in (
            f"live/{NAME}/fullchain.pem",
            f"archive/{NAME}/fullchain1.pem",
            f"archive/{NAME}/fullchain2.pem",
        ):
            machine.etc.joinpath("letsencrypt", path).unlink()
    commit(store)
    renewals = Renewals.of(Host(machine.root), store, [made])
    reversal = store.reverse([made], derived=renewals.renewed)
    assert reversal.conflicts == ()
    assert reversal.targets[PEM[1:]][1] == store.entry(list(store.history())[-1], PEM[1:])


def test_another_certificate_there_is_the_admins_work(machine: Machine) -> None:
    store = machine.store()
    keep(machine, 1, "first\n")
    made = commit(store, "apply", step="certificate-obtain", record=brought(machine, "first\n", []).encode())
    assert made is not None
    machine.root.joinpath(PEM[1:]).write_text("the admin's own\n")
    commit(store)
    renewals = Renewals.of(Host(machine.root), store, [made])
    assert [each.path for each in store.reverse([made], derived=renewals.renewed).conflicts] == [PEM[1:]]


LIVE = f"/etc/letsencrypt/live/{NAME}"


@pytest.mark.parametrize(
    ("path", "text", "uses"),
    [
        ("dovecot/conf.d/10-ssl.conf", f"ssl = yes\nssl_cert = <{LIVE}/fullchain.pem\n", True),
        ("haproxy/haproxy.cfg", f"bind :443 ssl crt {LIVE}\n", True),
        ("apache2/ssl.conf", f"SSLCertificateFile /etc/letsencrypt/archive/{NAME}/fullchain1.pem\n", True),
        ("letsencrypt/renewal-hooks/deploy/postgres", f"#!/bin/sh\ncp {LIVE}/privkey.pem /srv/\n", True),
        ("dovecot/conf.d/10-ssl.conf", f"  # ssl_cert = <{LIVE}/fullchain.pem\n", False),
        (".etckeeper", f"maybe chmod 0755 './letsencrypt/archive/{NAME}'\n", False),
        (".gitignore", f"letsencrypt/archive/{NAME}/privkey1.pem\n", False),
        ("mail/sendmail.mc", f"dnl define(`confSERVER_CERT', `{LIVE}/fullchain.pem')dnl\n", False),
        ("mail/sendmail.mc", f"define(`confSERVER_CERT', `{LIVE}/fullchain.pem')dnl\n", True),
        ("prosody/prosody.cfg.lua", f"  -- certificate = '{LIVE}/fullchain.pem';\n", False),
        ("systemd/system/x.service", f"ExecStart=/usr/bin/x \\\n  --cert {LIVE}/fullchain.pem\n", True),
        ("ssl.json", f"// {LIVE}/fullchain.pem\n", False),
        ("dovecot/conf.d/10-ssl.conf~", f"ssl_cert = <{LIVE}/fullchain.pem\n", False),
        ("dovecot/conf.d/10-ssl.conf.bak", f"ssl_cert = <{LIVE}/fullchain.pem\n", False),
        ("dovecot/conf.d/10-ssl.conf.dpkg-old", f"ssl_cert = <{LIVE}/fullchain.pem\n", False),
        ("dovecot/conf.d/10-ssl.conf.ucf-dist", f"ssl_cert = <{LIVE}/fullchain.pem\n", False),
        ("nginx/sites-enabled/www.bak", f"ssl_certificate {LIVE}/fullchain.pem;\n", True),
        ("nginx/www.conf", f"ssl_certificate {LIVE}-0001/fullchain.pem;\n", False),
        ("nginx/www.conf", f"ssl_certificate /etc/letsencrypt/live/www.{NAME}/fullchain.pem;\n", False),
    ],
)
def test_a_certificate_that_another_service_uses_stays(
    machine: Machine, path: str, text: str, uses: bool
) -> None:
    store = machine.store()
    made = obtained(machine, store, HOOK, certbot=False)
    machine.etc.joinpath("letsencrypt", HOOK).write_text(f"lineage={LIVE}\n")
    assert needed(machine, store, made) is None
    file = machine.etc / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    why = f"/etc/{path} uses certbot's certificate {NAME}. Let it use another one"
    assert needed(machine, store, made) == (why if uses else None)


@pytest.mark.parametrize(
    ("path", "text", "mode", "why"),
    [
        (f"renewal/{NAME}.conf", "[renewalparams]\nrenew_hook = /usr/local/sbin/to-dovecot\n", 0o644, "renew_hook = /usr"),
        (f"renewal/{NAME}.conf", "[renewalparams]\ninstaller = nginx\n", 0o644, "installer = nginx"),
        (f"renewal/{NAME}.conf", "[renewalparams]\nrenew_hook = its own\ninstaller = None\n", 0o644, ""),
        ("renewal-hooks/deploy/pg", '#!/bin/sh\ncp "$RENEWED_LINEAGE"/*.pem /srv/\n', 0o755, "deploy/pg"),
        ("renewal-hooks/deploy/pg", '#!/bin/sh\ncp "$RENEWED_LINEAGE"/*.pem /srv/\n', 0o644, ""),
        ("renewal-hooks/deploy/pg", "#!/bin/sh\nsystemctl reload nginx\n", 0o755, ""),
    ],
)  # fmt: skip
def test_a_certificate_that_a_hook_of_later_takes_elsewhere_stays(
    machine: Machine, path: str, text: str, mode: int, why: str
) -> None:
    """A hook that was there before is for others; so is what certbot wrote for this one."""
    make(machine, "renewal-hooks/deploy/earlier")
    earlier = machine.etc / "letsencrypt/renewal-hooks/deploy/earlier"
    earlier.write_text("echo $RENEWED_LINEAGE\n")
    earlier.chmod(0o755)
    store = machine.store()
    keep(machine, 1, "first\n")
    machine.etc.joinpath(f"letsencrypt/renewal/{NAME}.conf").write_text("renew_hook = its own\n")
    record = brought(machine, "first\n", [LineageEffect(NAME)])
    made = commit(store, "apply", step="certificate-obtain", record=record.encode())
    assert made is not None
    assert needed(machine, store, made) is None
    file = machine.etc / "letsencrypt" / path
    file.write_text(text)
    file.chmod(mode)
    assert why in (needed(machine, store, made) or "") if why else needed(machine, store, made) is None, why


def test_a_link_to_a_certificate_uses_it(machine: Machine) -> None:
    store = machine.store()
    made = obtained(machine, store, certbot=False)
    (machine.etc / "exim4").mkdir()
    (machine.etc / "exim4/exim.crt").symlink_to(f"../letsencrypt/live/{NAME}/fullchain.pem")
    assert "/etc/exim4/exim.crt uses" in (needed(machine, store, made) or "")


def test_a_certificate_that_has_got_more_names_stays(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    folder.mkdir()
    authority, store = Authority(folder), machine.store()
    keep(machine, 1, authority.leaf(NAME).certificate)
    record = json.dumps({"effects": [LineageEffect(NAME).record()]}).encode()
    made = commit(store, "apply", step="certificate-obtain", record=record)
    assert made is not None
    keep(machine, 2, authority.leaf(NAME).certificate)
    assert needed(machine, store, made) is None, "renewed"
    keep(machine, 3, authority.leaf("imap.example.org").certificate)
    assert "is for imap.example.org as well by now" in (needed(machine, store, made) or "")


def test_of_what_others_need_only_sendmails_own_goes(machine: Machine) -> None:
    machine.etc.joinpath("ssl/certs").mkdir(parents=True)
    store = machine.store()
    keep(machine, 1, "first\n")
    make(machine, "msa-wizard-port-80", f"{OURS}/private_key.json", "../cron.d/certbot")
    record = brought(
        machine, "first\n", [LineageEffect(NAME), PackagesEffect((("certbot", "2.1.0"),), (), ())]
    )
    made = commit(store, "apply", step="certificate-obtain", record=record.encode())
    assert made is not None
    make(machine, "csr/0001_csr-certbot.pem")
    commit(store)
    reversal = store.reverse([made], stays=staying(store, [made]))
    goes = {path for path, (_, after) in reversal.targets.items() if after is None}
    assert goes == {PEM[1:], f"etc/letsencrypt/{HOOK}"}


@pytest.mark.parametrize("ref", ["--all", "certificate-obtain"])
def test_what_others_needed_goes_once_they_do_not(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    """The certificate was renewed, and is in the place of one that packages had made: neither comes back."""
    stand_ins.use_steps(monkeypatch, (Install(), CertificateObtain()))
    machine.etc.joinpath("ssl/certs").mkdir(parents=True)
    make(machine, "renewal-hooks/deploy/others")
    found, store = live(machine), machine.store()
    machine.root.joinpath(PEM[1:]).write_text("of the packages\n")
    commit(store, "apply", step="install", record=b'{"effects": []}')
    keep(machine, 1, "first\n")
    make(machine, f"{OURS}/private_key.json")
    ran = ServiceEffect(
        "none-such", "systemd", was_enabled=True, was_running=True, enabled=True, running=True
    )
    record = brought(machine, "first\n", [LineageEffect(NAME), ran])
    obtained = commit(store, "apply", step="certificate-obtain", record=record.encode())
    keep(machine, 2, "second\n")
    machine.root.joinpath(PEM[1:]).write_text("second\n")
    dovecot = machine.etc / "dovecot.conf"
    dovecot.write_text(f"ssl_cert = <{LIVE}/fullchain.pem\n")

    def rollback(ref: str) -> tuple[Rollback, RollbackResult]:
        work = RollbackRun(Host(machine.root), store, Journal(tmp_path / "journal"), lambda _: None)
        rollback = work.prepared(work.target(ref))
        assert rollback.reversal.conflicts == ()
        return rollback, work.do(rollback, lambda _: None, lambda: None)

    first, result = rollback("--all")
    assert (result.failed, [each.name for each in first.wanted.services]) == (None, ["none-such"])
    assert "Let it use another one, then `msa-wizard rollback certificate-obtain`" in " ".join(result.left)
    assert (machine.root.joinpath(PEM[1:]).exists(), keeps(Host(machine.root), NAME)) == (False, True)
    assert applied(store.history()) == [obtained]
    with pytest.raises(RollbackRefused, match=r"dovecot\.conf uses"):
        rollback(ref)
    dovecot.unlink()
    second, result = rollback(ref)
    assert (result.failed, result.left, second.wanted.services) == (None, (), ())
    assert (live(machine), applied(store.history())) == (found, [])
