"""The conversation one command at a time, with a real socket: nothing is sent before its turn, the password never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.smtp.server import PASSWORD, USER, Script, print_of, serving
from wizard.smtp.connection import Target
from wizard.smtp.server_trust import Trust
from wizard.smtp.stepwise import ByHand
from wizard.smtp.transcript import Credentials, Line, encode


def held(
    script: Script, *, encrypted: bool = True, send_to: str | None = None, trust: Trust | None = None
) -> tuple[ByHand, list[Line], list[str]]:
    """A conversation to its end: it, what was told, and each move as it was shown."""
    lines: list[Line] = []
    with serving(script) as port:
        own = Trust(accepted=print_of(script.certificate)) if script.certificate else Trust()
        target = Target(
            host="127.0.0.1", server_name="mx.test", port=port, send_to=send_to, trust=trust or own
        )
        hand = ByHand(target, Credentials(USER, PASSWORD), lines.append, encrypted=encrypted)
        shown = []
        assert script.connections == 0
        while hand.next is not None:
            shown.append(hand.next.shown)
            hand.go()
        hand.close()
    return hand, lines, shown


def test_each_command_is_shown_before_it_is_sent(bare_certificate: Path) -> None:
    hand, lines, shown = held(Script(bare_certificate), send_to="bob@x.test")
    assert hand.accepted
    assert hand.problem == ""
    assert [item.split(" ")[0] for item in shown] == [
        "(connect", "EHLO", "STARTTLS", "EHLO", "AUTH", encode(USER), "********", "MAIL", "RCPT", "DATA", "(the", "QUIT",
    ]  # fmt: skip
    told = "\n".join([*shown, *(f"{item.text} {item.explanation}" for item in lines)])
    assert PASSWORD not in told
    assert encode(PASSWORD) not in told
    assert any(item.text.startswith("Encrypted: TLS") for item in lines)


def test_without_tls_where_it_is_offered() -> None:
    script = Script(clear_auth="LOGIN PLAIN", offers_starttls=False)
    hand, _, shown = held(script, encrypted=False)
    assert hand.accepted
    assert "STARTTLS" not in shown
    assert encode(PASSWORD) not in shown


def test_a_refused_login_ends_with_quit(bare_certificate: Path) -> None:
    hand, lines, shown = held(Script(bare_certificate, login=(USER, "another")), send_to="bob@x.test")
    assert not hand.accepted
    assert "the password got 535" in hand.problem
    assert shown[-1] == "QUIT"
    assert not any(item.text.startswith("MAIL") for item in lines)


def test_a_server_that_offers_no_login_in_clear() -> None:
    script = Script(
        offers_starttls=False, replies={"AUTH": b"504 5.3.3 AUTH mechanism LOGIN not available\r\n"}
    )
    hand, _, shown = held(script, encrypted=False)
    assert "AUTH LOGIN got 504" in hand.problem
    assert encode(USER) not in shown


def test_nothing_listens() -> None:
    hand = ByHand(Target(host="127.0.0.1", port=1), Credentials(USER, PASSWORD), lambda _: None)
    hand.go()
    assert hand.next is None
    assert "no connection to 127.0.0.1 port 1" in hand.problem


@pytest.mark.parametrize("greeting", [b"554 no\r\n", None])
def test_a_greeting_that_is_none(greeting: bytes | None, bare_certificate: Path) -> None:
    hand, _, _ = held(Script(bare_certificate, greeting=greeting))
    assert not hand.accepted
    assert hand.problem


def test_no_password_to_a_server_that_is_not_trusted(bare_certificate: Path) -> None:
    pinned = Trust(pins=frozenset({"0" * 64}), file="/etc/mail/tls/sendmail-server.crt")
    for trust, words in (
        (Trust(accepted="0" * 64), "was not verified"),
        (pinned, "systemctl restart sendmail"),
    ):
        script = Script(bare_certificate)
        hand, _, _ = held(script, trust=trust)
        assert not hand.accepted
        assert words in hand.problem
        assert "no password was sent" in hand.problem
        assert not any(said.startswith("AUTH") for said in script.said)
    script = Script(bare_certificate)
    hand, _, _ = held(script, trust=Trust(store_alone=True))
    assert "not trusted" in hand.problem
    assert not any(said.startswith("AUTH") for said in script.said)


def test_this_hosts_own_certificate_is_enough(bare_certificate: Path) -> None:
    hand, _, _ = held(
        Script(bare_certificate), trust=Trust(pins=frozenset({print_of(bare_certificate)}), file="x")
    )
    assert hand.accepted


def test_stripped_starttls_gets_no_password() -> None:
    script = Script(offers_starttls=False, clear_auth="LOGIN PLAIN", starttls=b"502 no\r\n")
    hand, _, _ = held(script)
    assert not hand.accepted
    assert not any(said.startswith("AUTH") for said in script.said)
