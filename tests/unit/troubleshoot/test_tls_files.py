"""Keys and certificates that sendmail refuses: the finding names the very file, and the fix changes that one."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from tests.unit.steps.recorded import file
from tests.unit.troubleshoot import pictures
from tests.unit.troubleshoot.pictures import facts, picture
from wizard.gather.certificates import CertificateFiles, certificate_files
from wizard.mends.certificate import MendKeyMode
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import TlsRefusal
from wizard.model.plan import Outcome, Sign
from wizard.sendmail.cf_needs import TlsFiles, refused
from wizard.system.host import Host
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.verdict import judge

LIVE, ARCHIVE = "/etc/letsencrypt/live/mail", "/etc/letsencrypt/archive/mail"
KEY, CERT = f"{LIVE}/privkey.pem", f"{LIVE}/fullchain.pem"
CF = pictures.CF.replace(f.SERVER_CERT, CERT).replace(f.COMMON_KEY, KEY)
CF += "O DontBlameSendmail=TrustStickyBit,GroupReadableKeyFile\n"
OWN = TlsFiles.of(CF)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="who owns the files decides")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """As certbot lays it out."""
    host = Host(tmp_path)
    for folder in (LIVE, ARCHIVE):
        host.path(folder).mkdir(parents=True)
    for name in ("privkey", "fullchain"):
        host.path(f"{ARCHIVE}/{name}1.pem").write_text("x")
        host.path(f"{ARCHIVE}/{name}1.pem").chmod(0o640)
        host.path(f"{LIVE}/{name}.pem").symlink_to(f"../../archive/mail/{name}1.pem")
    return host


def _told(host: Host, files: TlsFiles = OWN) -> list[tuple[str, int | None]]:
    return [(each.culprit, each.mode) for each in refused(host, files)]


def test_the_file_behind_the_link_is_what_must_change(host: Host) -> None:
    assert refused(host, OWN) == ()
    real = f"{ARCHIVE}/privkey1.pem"
    for mode, after in ((0o660, 0o640), (0o644, 0o640), (0o606, 0o600), (0o000, 0o400), (0o2770, 0o2750)):
        host.path(real).chmod(mode)
        assert _told(host) == [(real, after)]
    host.path(real).chmod(0o640)
    assert _told(host, dataclasses.replace(OWN, group_readable=False)) == [(real, 0o600)]
    os.chown(host.path(real), 4711, 0)
    (told,) = refused(host, OWN)
    assert (told.mode, told.command) == (None, f"chown root {real} && chmod 0640 {real}")
    assert refused(host, dataclasses.replace(OWN, trusted="4711")) == ()


def test_the_folders_of_the_name_count_and_not_those_behind_its_links(host: Host) -> None:
    host.path(ARCHIVE).chmod(0o777)
    assert refused(host, OWN) == ()
    host.path("/etc/letsencrypt/live").chmod(0o775)
    assert {each for each, _ in _told(host)} == {"/etc/letsencrypt/live"}
    assert refused(host, dataclasses.replace(OWN, group_folders=True)) == ()
    host.path("/etc/letsencrypt/live").chmod(0o1777)
    assert refused(host, OWN) == ()
    assert (
        refused(host, dataclasses.replace(OWN, sticky=False))[0].command == "chmod go-w /etc/letsencrypt/live"
    )


def test_all_authorities_of_debian_in_one_file_are_taken(host: Host) -> None:
    cf = CF + "O CACertFile=/etc/ca.crt\nO CACertPath=/etc/ssl/certs\n"
    host.path("/etc/ca.crt").write_text("-----BEGIN CERTIFICATE-----\n" * 9000)
    assert (refused(host, TlsFiles.of(cf)), certificate_files(host, cf, "x.test").authorities) == ((), "")
    host.path("/etc/ca.crt").write_text("junk")
    assert "holds no certificate" in certificate_files(host, cf, "x.test").authorities
    assert "no CACertPath" in certificate_files(host, CF + "O CACertFile=/etc/ca.crt\n", "x.test").authorities


REAL = f"{ARCHIVE}/privkey1.pem"
OPEN = TlsRefusal(KEY, REAL, "others than its owner may write to it (mode 0660)", f"chmod 0640 {REAL}", 0o640)


def test_the_fix_changes_that_very_file() -> None:
    before = file("k", 0o660)
    seen = facts(files={f.SENDMAIL_CF: file(CF), REAL: before}, tls_refused=(OPEN,))
    found = judge(picture(facts={"files": {f.SENDMAIL_CF: file(CF), REAL: before}, "tls_refused": (OPEN,)}))
    fault = found.fault("key-unsafe")
    assert fault is not None
    assert (fault.finding.mend.steps, fault.sign) == (("mend-key-mode",), Sign.WARNING)
    assert {each.source for each in fault.finding.evidence} == {REAL}
    change, *rest = MendKeyMode().plan(seen, Answers()).changes
    assert change.touches == (REAL,)
    assert change.after == dataclasses.replace(before, mode=0o640)  # type: ignore[attr-defined]
    assert len(rest) == 1
    assert MendKeyMode().plan(facts(), Answers()).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("wrong", "command"),
    [
        (dataclasses.replace(OPEN, mode=None, command=f"chown root {REAL}"), f"chown root {REAL}"),
        (dataclasses.replace(OPEN, culprit="/root/k.pem", command="chmod 0640 /root/k.pem"), "chmod 0640 /root/k.pem"),
        (TlsRefusal(KEY, LIVE, "others may write to its folder", f"chmod go-w {LIVE}"), f"chmod go-w {LIVE}"),
    ],
)  # fmt: skip
def test_where_a_person_must_act_the_command_is_said(wrong: TlsRefusal, command: str) -> None:
    fault = judge(picture(facts={"files": {f.SENDMAIL_CF: file(CF)}, "tls_refused": (wrong,)})).fault(
        "key-unsafe"
    )
    assert fault is not None
    assert not fault.finding.mend.steps
    assert command in fault.finding.mend.text


def test_a_certificate_others_may_write_to_and_no_authorities() -> None:
    wrong = dataclasses.replace(OPEN, path=CERT)
    for name, changes in (
        ("certificate-unsafe", {"facts": {"files": {f.SENDMAIL_CF: file(CF)}, "tls_refused": (wrong,), "cf_from_mc": CF}}),
        ("authorities-unusable", {"files": CertificateFiles(CERT, KEY, file("c"), file("k"), authorities="CACertFile: gone")}),
        ("key-mismatch", {"files": CertificateFiles(CERT, KEY, file("c"), file("k"), "the key is encrypted with a passphrase")}),
    ):  # fmt: skip
        stopped = {"talk": {"stopped": Layer.STARTTLS, "why": "no STARTTLS", "offered": ()}}
        blamed = judge(picture(**changes, **stopped)).blamed
        assert blamed is not None
        assert blamed.id == name
