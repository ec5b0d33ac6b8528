"""Who came from outside, by the log: and that a test on the host itself proves nothing."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from templates import render
from wizard.maillog.read import LOG, UNPROVED, LogLine
from wizard.maillog.watched_login import OutsideLogin, verdict, wait_for_login
from wizard.model.plan import Sign
from wizard.system.host import Host
from wizard.system.sockets import Listener

OWN = frozenset({"127.0.0.1", "::1", "198.51.100.1", "2001:db8::1"})


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log in which nobody comes."""
    silent = SimpleNamespace(source="journal", taken=lambda: ())
    monkeypatch.setattr("wizard.maillog.watched_login.LogFollower", lambda _: nullcontext(silent))


def line(text: str, name: str = "sm-mta") -> LogLine:
    return LogLine(0.0, name, 7, text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("AUTH=server, relay=[198.51.100.2], authid=alice, mech=LOGIN, bits=0", "198.51.100.2"),
        ("AUTH=server, relay=pc.example [198.51.100.2] (may be forged), authid=a, mech=PLAIN, bits=0", "198.51.100.2"),
        ("STARTTLS=server, relay=[IPv6:2001:db8:0:0:0:0:0:2], version=TLSv1.3", "2001:db8::2"),
        ("6AN5cMnp001108: pc.example [203.0.113.9] did not issue MAIL/EXPN/VRFY/ETRN during connection to X", "203.0.113.9"),
        ("6AN5cMnp001108: from=<a@b>, size=1, relay=pc.example [203.0.113.9]", "203.0.113.9"),
        ("AUTH=server, relay=[::ffff:203.0.113.9], authid=a, mech=PLAIN, bits=0", "203.0.113.9"),
        ("6AN5cMnp001108: to=<bob@x.test>, relay=x.test. [192.0.2.1], dsn=2.0.0, stat=Sent", None),
        ("STARTTLS=client, relay=x.test. [192.0.2.1], version=TLSv1.3", None),
        ("STARTTLS=server, error: accept failed=-1, reason=x, retry=-1, relay=pc.example [203.0.113.9]", "203.0.113.9"),
        ("6AN5cMnp001108: from=<x@[203.0.113.9]>, size=1, relay=localhost [127.0.0.1]", "127.0.0.1"),
        ("6AN5cMnp001108: from=<a@b>, msgid=<a, relay=x [203.0.113.9]>, proto=ESMTPA, relay=localhost [127.0.0.1]", "127.0.0.1"),
        ("6AN5cMnp001108: ruleset=check_rcpt, arg1=<a, relay=x [203.0.113.9], b@c>, relay=localhost [127.0.0.1], reject=550", None),
        ("6AN5cMnp001108: [203.0.113.9]... User unknown", None),
        ("starting daemon (8.17.1.9): SMTP+queueing@00:10:00", None),
    ],
)  # fmt: skip
def test_the_address_of_the_client(text: str, address: str | None) -> None:
    assert line(text).peer == address


@pytest.mark.parametrize(
    ("there", "listens"),
    [
        ((), False),
        ((("0.0.0.0", 25, "sendmail-mta"), ("127.0.0.1", 587, "sendmail-mta")), False),
        ((("::1", 587, "sendmail-mta"), ("0.0.0.0", 22, "sshd")), False),
        ((("0.0.0.0", 587, "sendmail-mta"),), True),
        ((("::", 465, None),), True),
        ((("203.0.113.1", 2525, "sendmail-mta"),), True),
    ],
)
def test_nobody_is_waited_for_where_nothing_listens(
    there: tuple[tuple[str, int, str | None], ...], monkeypatch: pytest.MonkeyPatch, *, listens: bool
) -> None:
    """Ten minutes, and then the firewall was blamed."""
    found = tuple(Listener(*each, 7) for each in there)
    monkeypatch.setattr("wizard.maillog.watched_login.listeners", lambda _: found)
    over = Mock(return_value=False)
    outside = wait_for_login(Host(), 0.2, lambda _: None, over)
    assert (over.called, outside.listens) == (listens, listens)
    made = verdict(outside, 0.2)
    assert made.sign is Sign.FAILED
    assert ("Nothing listens on port 587 here" in made.says) is not listens
    assert ("firewall" in made.remedy) is listens


def test_what_stops_to_listen_meanwhile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([(Listener("0.0.0.0", 587, "sendmail-mta", 7),), ()])
    monkeypatch.setattr("wizard.maillog.watched_login.listeners", lambda _: next(seen))
    assert "Nothing listens" in verdict(wait_for_login(Host(), 0.2, lambda _: None, lambda: False), 0.2).says


def test_loopback_and_own_addresses_are_no_proof() -> None:
    found = OutsideLogin(OWN)
    for own in ("127.0.0.1", "127.0.0.5", "198.51.100.1", "IPv6:2001:db8:0:0:0:0:0:1"):
        assert not found.takes(
            line(f"AUTH=server, relay=localhost [{own}], authid=alice, mech=LOGIN, bits=0")
        )
    made = verdict(found, 5)
    assert made.sign is Sign.FAILED
    assert "prove nothing" in made.says


def test_coming_in_without_a_login_is_half_the_way() -> None:
    found = OutsideLogin(OWN)
    assert found.takes(line("STARTTLS=server, relay=[203.0.113.9], version=TLSv1.3"))
    made = verdict(found, 5)
    assert (made.sign, "did not log in" in made.says) == (Sign.FAILED, True)


def test_of_many_strangers_a_few_are_named_and_none_is_said_to_have_come_to_587() -> None:
    found = OutsideLogin(OWN)
    for number in range(1, 30):
        assert found.takes(line(f"STARTTLS=server, relay=[203.0.113.{number}], version=TLSv1.3"))
    says = verdict(found, 5).says
    assert says.count("203.0.113.") == 5
    assert " and 24 more connected, perhaps only to port 25, but did not log in within 5 s." in says


@pytest.mark.parametrize(
    ("address", "private"), [("203.0.113.9", False), ("192.168.1.7", True), ("8.8.8.8", False)]
)
def test_a_login_from_outside_is_the_proof(address: str, private: bool) -> None:
    found = OutsideLogin(OWN)
    assert found.takes(line(f"AUTH=server, relay=[{address}], authid=alice, mech=LOGIN, bits=0"))
    made = verdict(found, 5)
    assert made.sign is Sign.OK
    assert f"alice logged in from {address}" in made.says
    if address != "203.0.113.9":  # Python counts the documentation's addresses as private
        assert ("private address" in made.says) is private


def test_saslauthd_is_not_asked_where_somebody_came_from() -> None:
    assert line("AUTH=server, relay=[203.0.113.9], authid=a", "saslauthd").peer is None


@pytest.mark.parametrize(
    "text",
    [
        "AUTH=server, relay=[203.0.113.9], authid=alice, mech=LOGIN, bits=0",
        "STARTTLS=server, relay=[203.0.113.9], version=TLSv1.3",
    ],
)
def test_a_file_proves_nothing(text: str) -> None:
    """Any user of the host can write such a line: `logger -t sm-mta`."""
    found = OutsideLogin(OWN)
    assert found.takes(LogLine(0.0, "sm-mta", 7, text, LOG))
    made = verdict(found, 5)
    assert (made.sign, UNPROVED in made.says, LOG in made.says) == (Sign.UNKNOWN, True, True)


def test_a_mail_program_is_named_first_among_what_one_can_log_in_with() -> None:
    first = render("outside_test.txt.j2", host="mail.example.org", fingerprint=()).splitlines()[0]
    assert "any mail client (Thunderbird, say)" in first
    assert len(first) < 80
