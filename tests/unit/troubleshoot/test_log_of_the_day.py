"""What the log of the last day tells: clients whose TLS or login fails, deliveries that are refused or wait."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import CF, picture
from wizard.maillog.read import LogLine
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.verdict import Verdict, judge

PC, OFFICE = "pc.example.org [203.0.113.9]", "[IPv6:2001:db8::9]"
IN = "AUTH=server, relay=pc.example.org [203.0.113.9], authid=alice, mech=LOGIN, bits=0"


def looked(*texts: str, **changes: object) -> Verdict:
    day = tuple(LogLine(2e9 + at, "sm-mta", 7, text) for at, text in enumerate(texts))
    return judge(picture(day=day, **changes))


def handshake(reason: str, peer: str = PC, daemon: str = "MSP-v4", error: str = "1") -> tuple[str, str]:
    """As Debian 12 and 13 log one that fails."""
    return (
        f"STARTTLS=server, error: accept failed=-1, reason={reason}, SSL_error={error}, errno=0, retry=-1, relay={peer}",
        f"6AT95J5i001143: {peer} did not issue MAIL/EXPN/VRFY/ETRN during connection to {daemon}",
    )


def ids(faults: Sequence[Fault]) -> list[str]:
    return [fault.id for fault in faults]


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("unsupported protocol", "clients-old-tls"),
        ("no suitable signature algorithm", "clients-old-tls"),
        ("version too low", "clients-old-tls"),
        ("tlsv1 alert protocol version", "clients-old-tls"),
        ("no shared cipher", "clients-no-cipher"),
        ("no suitable key share", "clients-no-cipher"),
        ("sslv3 alert handshake failure", "clients-no-cipher"),
        ("sslv3 alert bad certificate", "clients-distrust"),
        ("ssl/tls alert certificate unknown", "clients-distrust"),
        ("tlsv1 alert unknown ca", "clients-distrust"),
        ("wrong version number", "clients-no-tls"),
    ],
)
def test_a_client_whose_handshakes_fail_is_named_with_the_reason(reason: str, name: str) -> None:
    verdict = looked(*handshake(reason) * 3)
    assert ids(verdict.faults) == [name]
    finding = verdict.faults[0].finding
    assert verdict.blamed is None
    assert finding.sign is Sign.WARNING
    assert finding.evidence[0].says.startswith("203.0.113.9, 3 times: ")
    assert "if these are clients of yours" in finding.mend.text


@pytest.mark.parametrize("reason", ["unexpected eof while reading", "unknown", "http request"])
def test_who_breaks_off_counts_only_where_it_has_logged_in(reason: str) -> None:
    assert ids(looked(*handshake(reason) * 3).faults) == []
    assert ids(looked(IN, *handshake(reason) * 3).faults) == ["clients-break-off"]


@pytest.mark.parametrize(
    "texts",
    [
        handshake("no shared cipher") * 2,
        handshake("no shared cipher") * 3 + handshake("version too low"),  # tries them all: a scanner
        handshake("no shared cipher", daemon="MTA-v4") * 3,  # another mail server
        handshake("no shared cipher", peer="localhost [127.0.0.1]") * 3,  # our own tests
        handshake("no shared cipher", peer="x, relay=[999.1.1.1]") * 3,
    ],
)
def test_what_the_internet_does_all_day_is_no_fault(texts: tuple[str, ...]) -> None:
    assert looked(*texts).faults == ()


def refused(code: str, user: str = "alice", peer: str = PC) -> str:
    return (
        f"6AT96sjv001374: AUTH failure (LOGIN): some failure ({code}) SASL({code}): some failure: checkpass failed, "
        f"user={user}, relay={peer}"
    )


def test_wrong_passwords_are_counted_and_no_fault() -> None:
    verdict = looked(refused("-13"), refused("-13", peer=OFFICE), refused("-13"), IN)
    assert ids(verdict.faults) == ["logins-refused"]
    assert verdict.faults[0].sign is Sign.OK
    assert verdict.summary.startswith("MSA OK - mail clients can submit |")
    cause = verdict.faults[0].finding.cause
    assert cause == "3 logins from 2 addresses refused in the last day (3: password or account)"
    assert verdict.faults[0].finding.evidence[0].says == "203.0.113.9: 2 refused"
    nobody = looked(refused("-13")).faults[0]
    assert nobody.finding.cause.endswith(", and not one was accepted")
    assert nobody.sign is Sign.OK, "guessers alone, on a quiet day"


def test_that_nobody_gets_in_because_of_this_host_is_a_warning() -> None:
    assert looked(refused("-1")).faults[0].sign is Sign.WARNING
    assert looked(refused("-1"), IN).faults[0].sign is Sign.OK, "it works again"


def test_our_own_login_and_a_forged_address_do_not_count() -> None:
    assert looked(refused("-13", peer="localhost [127.0.0.1]")).faults == ()
    verdict = looked(refused("-13", user="x, relay=[192.0.2.1]"))
    assert verdict.faults[0].finding.evidence[0].says == "203.0.113.9: 1 refused"


def delivery(stat: str, relay: str = "mx.x.test. [192.0.2.1]", at: int = 0, dsn: str = "5.0.0") -> str:
    via = f"relay={relay}, " if relay else ""
    return (
        f"6AT9B79a0019{at:02}: to=<bob@x{at}.test>, ctladdr=<alice@y.test> (1/1), delay=00:00:00, xdelay=00:00:00, "
        f"mailer=esmtp, pri=30018, {via}dsn={dsn}, {stat}"
    )


SPF = "reply=550-5.7.26 Your email has been blocked because the sender is unauthenticated., stat=User unknown"
LOGIN = "reply=530 5.7.0 Authentication required, stat=Service unavailable"
SENT = "stat=Sent (ok)"


@pytest.mark.parametrize(
    ("stat", "name"),
    [
        (SPF, "delivery-not-trusted"),
        ("reply=550 5.7.25 it does not have a PTR record, stat=User unknown", "delivery-not-trusted"),
        ("reply=550 5.7.1 not accepted due to the domain's DMARC policy, stat=x", "delivery-not-trusted"),
        ("reply=550 5.7.1 on our block list (S3150), stat=User unknown", "delivery-blocked"),
        ("reply=554 5.7.1 blocked using zen.spamhaus.org, stat=Service unavailable", "delivery-blocked"),
        ("reply=552 5.3.4 Message size exceeds the limit, stat=Service unavailable", "delivery-too-large"),
        (LOGIN, "delivery-no-login"),
        ("reply=550 5.7.1 <x>: Relay access denied, stat=User unknown", "delivery-no-login"),
        ("reply=530 5.7.0 Must issue a STARTTLS command first, stat=x", "delivery-no-tls"),
        ("stat=Deferred: 403 4.7.0 TLS handshake failed.", "delivery-no-tls"),
    ],
)
def test_a_refused_message_is_named_by_the_other_servers_words(stat: str, name: str) -> None:
    verdict = looked(delivery(stat))
    assert ids(verdict.faults) == [name]
    finding = verdict.faults[0].finding
    assert finding.sign is Sign.WARNING
    assert "to=<...@x0.test>" in finding.evidence[0].says
    assert "bob" not in finding.evidence[0].says


@pytest.mark.parametrize(
    "stat",
    [
        "reply=550 5.1.1 <x>: User unknown, stat=User unknown",
        "reply=450 4.2.0 <x>: Greylisted, stat=Deferred: Name server: [192.0.2.1]: host name lookup failure",
        "reply=452 4.2.2 Mailbox full, stat=Deferred",
        "stat=Deferred: Connection timed out with mx.x.test.",
    ],
)
def test_what_is_everyday_is_no_fault(stat: str) -> None:
    assert looked(delivery(stat)).faults == ()


@pytest.mark.parametrize(
    ("stat", "dsn", "name"),
    [
        ("stat=Deferred: Connection timed out with x", "4.4.1", "delivery-port-25"),
        ("stat=queued", "4.4.3", "delivery-no-dns"),
        ("stat=Deferred: Name server: x.test.: host name lookup failure", "4.4.3", "delivery-no-dns"),
    ],
)
def test_where_no_mail_leaves_the_host_it_is_to_blame(stat: str, dsn: str, name: str) -> None:
    many = [delivery(stat, "" if "queued" in stat else f"x{at}.test.", at, dsn) for at in range(3)]
    blamed = looked(*many).blamed
    assert blamed is not None
    assert blamed.id == name
    assert ids(looked(*many, delivery(SENT, "mx.test.", 9, "2.0.0")).faults) == [name]
    others = [delivery(SENT, f"mx{at}.test.", at, "2.0.0") for at in range(10, 13)]
    assert looked(*many, *others).faults == (), "a few of many servers are down"


def test_a_handshake_with_the_next_server_that_failed_tells_of_its_delivery() -> None:
    failed = "STARTTLS=client, error: connect failed=-1, reason=wrong version number, SSL_error=1, errno=0, retry=-1"
    waits = delivery("stat=Deferred: Name server: [192.0.2.1]: host name lookup failure", dsn="4.7.0")
    verdict = looked(failed, waits)
    assert ids(verdict.faults) == ["delivery-no-tls"]
    assert verdict.faults[0].finding.evidence[1].says == failed
    assert looked(waits).faults == ()


def test_a_smart_host_that_refuses_all_is_to_blame_until_it_takes_mail() -> None:
    smart = {
        "facts": {"files": {f.SENDMAIL_CF: file(CF + "DSsmart.test\n")}, "cf_from_mc": CF + "DSsmart.test\n"}
    }
    lines = [delivery(LOGIN, "smart.test. [192.0.2.1]", at) for at in range(3)]
    blamed = looked(*lines, **smart).blamed
    assert blamed is not None
    assert blamed.id == "delivery-no-login"
    assert looked(*lines).blamed is None, "without a smart host it is one odd server of many"
    assert looked(*lines, delivery(SENT, "smart.test. [192.0.2.1]", 9, "2.0.0"), **smart).faults == ()


@pytest.mark.parametrize("ending", ["", "dsn=5.0.0, reply=550 no, stat=x"])
def test_what_others_put_into_a_line_costs_no_time(ending: str) -> None:
    """An expression that tries each of these with each other took a minute for this line."""
    words = ", mailer=x, relay=a, dsn=5.0.0, reply=a" * 200 + ", mailer=x, relay=a" * 200
    started = time.monotonic()
    looked(delivery(f"reply=250{words}, stat=User unknown"), f"x: to=<a@b>, mailer=esmtp{words}{ending}")
    assert time.monotonic() - started < 2


def test_a_message_that_came_through_at_last_is_no_fault() -> None:
    waits = delivery("stat=Deferred: Connection refused by x", "x. [192.0.2.1]", 1, "4.4.1")
    assert looked(waits, waits, delivery(SENT, "x. [192.0.2.1]", 1, "2.0.0")).faults == ()
