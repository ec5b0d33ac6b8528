"""The name by which mail clients know this host, and all that goes by it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from snapshots.live.entry import Entry
from tests.authority import Authority
from tests.unit.steps.recorded import file, machine
from tests.unit.troubleshoot.pictures import picture
from wizard.certificates import parsed
from wizard.certificates.acme import HOOK
from wizard.client_settings import ClientSettings
from wizard.engine.overview import Overview, found
from wizard.engine.summary import summary
from wizard.gather.certificates import CertificateFiles
from wizard.maillog import watched_login
from wizard.maillog.watched_login import target_of
from wizard.model.answers import Answers, Certificate
from wizard.model.facts import SENDMAIL_CF, SERVER_CERT, Facts
from wizard.model.plan import Plan, Sign
from wizard.model.session import Session
from wizard.model.step_facts import PairTrial
from wizard.sendmail.client_name import client_name
from wizard.smtp import session
from wizard.smtp.connection import Target
from wizard.steps import certificate
from wizard.steps.order import STEPS
from wizard.system.host import Host
from wizard.troubleshoot import verdict as troubleshooting

OWN, SMTP, IMAP = "host1.example.test", "smtp.example.test", "imap.example.test"
CHOSEN = Certificate(name=f"{SMTP},{IMAP}")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def host(pem: str = "", hook: str = "") -> Facts:
    cf = file(f"O ServerCertFile={SERVER_CERT}\nO ServerKeyFile=/etc/k\n")
    files: dict[str, Entry | None] = {SENDMAIL_CF: cf}
    files |= {SERVER_CERT: file(pem)} if pem else {}
    files |= {HOOK: file(hook)} if hook else {}
    return dataclasses.replace(machine("13", files=files), fqdn=OWN, fqdn_resolves=True)


@pytest.mark.parametrize(
    ("names", "hook", "name"),
    [
        ((SMTP,), "", SMTP),
        ((OWN, SMTP), "", OWN),
        (("*.example.test",), "", OWN),
        (("*.elsewhere.test",), "", OWN),
        ((IMAP, SMTP), "", OWN),
        ((IMAP, SMTP), f"name={SMTP}\nlineage=/etc/letsencrypt/live/{IMAP}\n", SMTP),
        ((IMAP, SMTP), f"lineage=/etc/letsencrypt/live/{IMAP}\n", OWN),
        ((IMAP, SMTP), f"name=www.example.test\nlineage=/etc/letsencrypt/live/{IMAP}\n", OWN),
        ((IMAP, SMTP), "name='\n", OWN),
    ],
)
def test_an_authoritys_certificate_tells_where_the_settings_do_not(
    authority: Authority, names: tuple[str, ...], hook: str, name: str
) -> None:
    facts = host(authority.leaf(*names).certificate, hook)
    assert client_name(facts, Certificate(), OWN) == name
    assert client_name(facts, CHOSEN, OWN) == SMTP, "clients are told the first"


def test_the_hosts_own_is_what_is_left(authority: Authority) -> None:
    for pem in ("", "broken", authority.root):
        assert client_name(host(pem), Certificate(), OWN) == OWN
    assert client_name(host(authority.leaf(SMTP).certificate), Certificate(), "") == SMTP


def test_clients_are_told_the_name_that_the_certificate_is_for(authority: Authority) -> None:
    pem = authority.leaf(SMTP).certificate
    for facts, answers in ((host(pem), Answers()), (host(), Answers(certificate=CHOSEN))):
        settings = ClientSettings.of(facts, answers)
        assert (settings.host, settings.domain) == (SMTP, "example.test")
        assert settings.records[0] == ("_submission._tcp.example.test.", 587, f"{SMTP}.")
        done = {step.id: Plan.done(step.id, "it is so") for step in STEPS}
        overview = Overview(facts, (), done, answers=answers)
        says = {each.id: each.says for each in summary(overview, Session(), lambda _: set()).missing}
        assert says["clients"] == f"mail clients: {SMTP}, port 587, STARTTLS, normal password"
        assert says["dns"].endswith(SMTP)


@pytest.mark.parametrize("answers", [Answers(), Answers(certificate=CHOSEN)])
def test_no_look_says_that_it_is_for_another_name(
    authority: Authority, answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    leaf = authority.leaf(SMTP)
    facts = dataclasses.replace(host(leaf.certificate), tls_trial=PairTrial(True))
    (check,) = (each for each in found(facts, answers) if each.id == "certificate")
    assert (check.sign, f"is for {SMTP}" in check.says) == (Sign.OK, True)

    files = CertificateFiles(SERVER_CERT, "/etc/k", parsed=parsed(leaf.certificate.encode()))
    seen = dataclasses.replace(picture(files=files), facts=facts, answers=answers, conversations=())
    assert troubleshooting.judge(seen).fault("certificate-name") is None
    wrong = dataclasses.replace(seen, answers=Answers(certificate=Certificate(name=IMAP)))
    assert troubleshooting.judge(wrong).fault("certificate-name") is not None

    monkeypatch.setattr(certificate, "look", lambda _: facts)
    there = Host(tmp_path / "root")
    there.path("/etc/mail/tls").mkdir(parents=True)
    there.path(SENDMAIL_CF).write_text(facts.text(SENDMAIL_CF) or "")
    there.path(SERVER_CERT).write_text(leaf.certificate)
    assert certificate.shown(there, answers.certificate).name == SMTP

    monkeypatch.setattr(watched_login, "look", lambda _: facts)
    assert target_of(there, "", 587, answers.certificate).server_name == SMTP
    assert target_of(there, "mx.example.test", 587, answers.certificate).server_name is None
    assert f"--host {SMTP}" in watched_login.commands(there, answers.certificate)


@pytest.mark.parametrize(
    ("listener", "ipv4", "ipv6"),
    [
        ("Port=submission", "127.0.0.1", "::1"),
        ("Port=submission, Family=inet6", "127.0.0.1", "::1"),
        ("Port=submission, Addr=192.0.2.1", "192.0.2.1", "::1"),
        ("Port=submission, Addr=2001:db8::1, Family=inet6", "127.0.0.1", "2001:db8::1"),
    ],
)
def test_this_host_is_tested_by_the_family_that_was_asked_for(
    listener: str, ipv4: str, ipv6: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "etc/mail/sendmail.cf"
    path.parent.mkdir(parents=True)
    path.write_text(f"O DaemonPortOptions={listener}, Name=MSA, M=Ea\n")
    monkeypatch.setattr(session, "Host", lambda: Host(tmp_path))
    assert session.reachable("", 587, "ipv4")[0] == ipv4
    assert session.reachable("", 587, "ipv6")[0] == ipv6
    with pytest.raises(ValueError, match=r"^127\.0\.0\.1 is no IPv6 address\.$"):
        Target("127.0.0.1", family="ipv6")
