"""What mail clients are told: each form, and what makes no sense."""

from __future__ import annotations

import dataclasses
import plistlib
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import NoReturn

import dns.resolver
import pytest

from tests.unit.steps.recorded import file, machine
from wizard.certificates import Certificate as Seen
from wizard.client_settings import FORMATS, ClientSettings, check_dns, not_ready
from wizard.model.answers import Answers, Certificate, Listen
from wizard.model.facts import SENDMAIL_CF
from wizard.model.plan import Check, Sign

SETTINGS = ClientSettings("mail.example.test", "example.test", implicit_tls=True, imap="imap.example.test")

SERVED = "O DaemonPortOptions=Name=MSP, Family=inet, Port=submission, M=Ea\n"
TRUSTED = Seen(
    subject="Common Name: mail.example.test",
    issuer="Common Name: An Authority",
    names=("mail.example.test",),
    not_before=datetime.now(UTC) - timedelta(days=9),
    not_after=datetime.now(UTC) + timedelta(days=9),
    self_signed=False,
    key="RSA 2048",
    fingerprint_sha256="0" * 64,
    trusted=False,
    problem=None,
)
DEBIANS = dataclasses.replace(TRUSTED, names=(), self_signed=True)


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_names_the_server(form: str) -> None:
    assert "mail.example.test" in SETTINGS.rendered(form)


def test_the_table_is_the_howtos() -> None:
    rows = dict(ClientSettings("mail.example.test", "example.test").rows)
    assert rows["Port"] == "587"
    assert rows["Connection security"] == "STARTTLS"
    assert rows["Authentication method"] == "Normal password"


def test_thunderbird_gets_both_ports() -> None:
    root = ElementTree.fromstring(SETTINGS.rendered("autoconfig"))
    ports = [item.findtext("port") for item in root.iter("outgoingServer")]
    assert ports == ["587", "465"]
    assert [item.findtext("socketType") for item in root.iter("outgoingServer")] == ["STARTTLS", "SSL"]


def test_apple_gets_a_profile_that_stays_the_same() -> None:
    made = plistlib.loads(SETTINGS.rendered("mobileconfig").encode())
    assert made["PayloadContent"][0]["OutgoingMailServerPortNumber"] == 587
    assert SETTINGS.rendered("mobileconfig") == SETTINGS.rendered("mobileconfig")
    assert not any(
        "Password" in key and key.endswith("Password") and value is not True for key, value in made.items()
    )


def test_dns_records_are_those_of_the_rfcs() -> None:
    assert SETTINGS.rendered("srv").splitlines() == [
        "_submission._tcp.example.test. 3600 IN SRV 0 1 587 mail.example.test.",
        "_submissions._tcp.example.test. 3600 IN SRV 0 1 465 mail.example.test.",
    ]


@pytest.mark.parametrize("form", ["autoconfig", "mobileconfig"])
def test_a_whole_account_needs_the_imap_server(form: str) -> None:
    with pytest.raises(ValueError, match="name the IMAP server"):
        ClientSettings("mail.example.test", "example.test").rendered(form)


def test_what_is_no_host_name_is_refused() -> None:
    with pytest.raises(ValueError, match="not a host name"):
        ClientSettings("mail.example.test", "example.test", imap="<script>")


@pytest.mark.parametrize(("address", "serves"), [("", True), ("Addr=127.0.0.1, ", False)])
def test_port_465_counts_where_the_host_serves_it_and_nobody_has_chosen_it(
    address: str, serves: bool
) -> None:
    cf = f"O DaemonPortOptions=Name=TLS, Family=inet, {address}Port=465, M=Eas\n"
    facts = machine("13", files={SENDMAIL_CF: file(cf)})
    assert ClientSettings.of(facts, Answers()).implicit_tls is serves
    assert not ClientSettings.of(machine("13"), Answers()).implicit_tls
    assert ClientSettings.of(machine("13"), Answers(Listen(implicit_tls=True))).implicit_tls


def test_port_465_that_is_chosen_counts_until_the_host_serves_clients_without_it() -> None:
    chosen = Answers(Listen(implicit_tls=True))
    for address, counts in (("", False), ("Addr=127.0.0.1, ", True)):
        cf = f"O DaemonPortOptions=Name=MSP, Family=inet, {address}Port=submission, M=Ea\n"
        facts = machine("13", files={SENDMAIL_CF: file(cf)})
        assert ClientSettings.of(facts, chosen).implicit_tls is counts


@pytest.mark.parametrize(
    ("own", "chosen", "domain"),
    [
        ("mail.example.org", "", "example.org"),
        ("mail.example.org.", "", "example.org"),
        ("host1.example.org", "mail.example.org,imap.example.org", "example.org"),
        ("Host1.Example.org", "example.org,mail.example.org", "example.org"),
        ("host1.elsewhere.test", "example.org", "example.org"),
        ("host1.example.co.uk", "example.co.uk", "example.co.uk"),
        ("host1.elsewhere.test", "example.co.uk,mail.example.co.uk", "example.co.uk"),
        ("host1.elsewhere.test", "mail.example.co.uk", "example.co.uk"),
        ("host1", "", "host1"),
    ],
)
def test_the_mail_domain_is_never_a_top_level_domain(own: str, chosen: str, domain: str) -> None:
    facts = dataclasses.replace(machine("13"), fqdn=own)
    settings = ClientSettings.of(facts, Answers(certificate=Certificate(name=chosen)))
    assert settings.domain == domain
    assert settings.records[0][0] == f"_submission._tcp.{domain}."


@pytest.mark.parametrize(
    ("cf", "seen", "says"),
    [
        (SERVED.replace("Port", "Addr=127.0.0.1, Port"), TRUSTED, "cannot use this yet: sendmail.cf has no port 587"),
        (SERVED, DEBIANS, "the certificate is self-signed: each mail client asks once whether to trust it; it has no"),
        (SERVED, dataclasses.replace(TRUSTED, names=("other.test",)), "it amiss: the certificate is for other.test, not"),
        (SERVED, TRUSTED, ""),
        (SERVED, None, ""),
    ],
)  # fmt: skip
def test_what_clients_meet_before_the_host_is_ready_is_said(
    monkeypatch: pytest.MonkeyPatch, cf: str, seen: Seen | None, says: str
) -> None:
    monkeypatch.setattr("wizard.certificates.parsed", lambda _: seen)
    sentence = not_ready(machine("13", files={SENDMAIL_CF: file(cf)}), "mail.example.test")
    assert (says in sentence) if says else sentence == ""


def test_the_dns_is_asked_for_the_name_that_clients_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> NoReturn:
        raise dns.resolver.NXDOMAIN

    monkeypatch.setattr("dns.resolver.resolve", nothing)
    monkeypatch.setattr("dns.resolver.resolve_name", nothing)
    first, *records = check_dns(SETTINGS)
    assert (first.sign, first.says) == (
        Sign.FAILED,
        "mail.example.test has no address in the DNS: mail clients cannot find it",
    )
    assert {check.sign for check in records} == {Sign.WARNING}
    found = SimpleNamespace(addresses=lambda: iter(["2001:db8::1", "192.0.2.1"]))
    monkeypatch.setattr("dns.resolver.resolve_name", lambda *_, **__: found)
    assert check_dns(SETTINGS)[0] == Check(
        "mail.example.test", Sign.OK, "mail.example.test is at 192.0.2.1, 2001:db8::1"
    )
