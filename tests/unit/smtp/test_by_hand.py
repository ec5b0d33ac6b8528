"""The conversation one command at a time, with a real socket: nothing is sent before its turn, the password never shown."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.smtp.server import PASSWORD, USER, Script, print_of, serving
from wizard.debug import ConversationResult, converse, talk
from wizard.maillog.read import LogLine
from wizard.smtp.connection import Move, Target
from wizard.smtp.server_trust import Trust
from wizard.smtp.transcript import Credentials, Line, encode
from wizard.system.host import Host

_PAM = f"pam_unix(smtp:auth): authentication failure; logname= uid=0 euid=0 tty= ruser= rhost=  user={USER}"


def held(
    script: Script,
    *,
    encrypted: bool = True,
    send_to: str | None = None,
    trust: Trust | None = None,
    moves: int = 99,
    for_servers: bool = False,
) -> tuple[ConversationResult, list[Line], list[str]]:
    """A conversation to its end, or of so many moves: its result, the lines, and each move as it was shown."""
    lines: list[Line] = []
    shown: list[str] = []
    with serving(script) as port:
        own = Trust(accepted=print_of(script.certificate)) if script.certificate else Trust()
        target = Target(
            host="127.0.0.1", server_name="mx.test", port=port, send_to=send_to, trust=trust or own
        )
        target = replace(target, smtp_port=port) if for_servers else target

        def enter(move: Move) -> bool:
            assert script.connections == min(len(shown), 1)
            shown.append(move.shown)
            return len(shown) <= moves

        session, problem = converse(
            target, Credentials(USER, PASSWORD), enter, lines.append, encrypted=encrypted
        )
    return ConversationResult(bool(session.accepted), problem), lines, shown


def test_each_command_is_shown_before_it_is_sent(bare_certificate: Path) -> None:
    result, lines, shown = held(Script(bare_certificate), send_to="bob@x.test")
    assert result.accepted
    assert result.problem == ""
    assert [item.split(" ")[0] for item in shown] == [
        "(connect", "EHLO", "STARTTLS", "EHLO", "AUTH", encode(USER), "********", "MAIL", "RCPT", "DATA", "(the", "QUIT",
    ]  # fmt: skip
    told = "\n".join([*shown, *(f"{item.text} {item.explanation}" for item in lines)])
    assert PASSWORD not in told
    assert encode(PASSWORD) not in told
    assert any(item.text.startswith("Encrypted: TLS") for item in lines)
    assert [item.explanation for item in lines if item.text.startswith("EHLO")] == [
        "who we are; the answer is what is offered",
        "once more, for what is offered under TLS",
    ]


def test_without_tls_where_it_is_offered() -> None:
    script = Script(clear_auth="LOGIN PLAIN", offers_starttls=False)
    result, _, shown = held(script, encrypted=False)
    assert result.accepted
    assert "STARTTLS" not in shown
    assert encode(PASSWORD) not in shown


class _Log:
    """A log that holds these lines of saslauthd's, once."""

    source = "journal"

    def __init__(self, *texts: str) -> None:
        self.lines = [LogLine(time.time(), "saslauthd", 9, text) for text in texts]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def taken(self) -> list[LogLine]:
        lines, self.lines = self.lines, []
        return lines


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (
            (_PAM,),
            "failed. The mail log says: PAM: the password is wrong or locked, or there is no such user.",
        ),
        ((_PAM, f"auth failure: [user={USER}] [reason=PAM acct error]"), "failed. Probable causes: the user"),
        ((), "failed. Probable causes: the user name or password is wrong, or the account is locked"),
    ],
)
def test_the_cause_that_the_log_names_is_said_alone(
    bare_certificate: Path, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], says: str
) -> None:
    monkeypatch.setattr("wizard.maillog.correlate.LogFollower", lambda _: _Log(*texts))
    script = Script(bare_certificate, login=(USER, "another"))
    with serving(script) as port:
        trust = Trust(accepted=print_of(bare_certificate))
        target = Target("127.0.0.1", port, server_name="mx.test", trust=trust)
        login = Credentials(USER, PASSWORD)
        result = talk(Host(), target, login, lambda _: None, lambda _: True, encrypted=True)
    assert says in result.problem


def test_a_refused_login_ends_with_quit(bare_certificate: Path) -> None:
    script = Script(bare_certificate, login=(USER, "another"))
    result, lines, shown = held(script, send_to="bob@x.test")
    assert not result.accepted
    assert "AUTH LOGIN got 535" in result.problem
    assert shown[-1] == "********", "nothing is waited for before the reason is shown"
    assert script.said[-1] == "QUIT"
    assert not any(item.text.startswith("MAIL") for item in lines)


def test_a_server_that_offers_no_login_in_clear() -> None:
    script = Script(
        offers_starttls=False, replies={"AUTH": b"504 5.3.3 AUTH mechanism LOGIN not available\r\n"}
    )
    result, _, shown = held(script, encrypted=False)
    assert "AUTH LOGIN got 504" in result.problem
    assert encode(USER) not in shown


def test_nothing_listens() -> None:
    _, problem = converse(
        Target(host="127.0.0.1", port=1), Credentials(USER, PASSWORD), lambda _: True, lambda _: None
    )
    assert "No connection: 127.0.0.1 port 1" in problem


def test_every_address_of_a_name_is_tried(bare_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1)),
    ]

    def getaddrinfo(_host: str, port: int, *_: object) -> list[tuple[object, ...]]:
        return [(*item[:4], (item[4][0], port, *item[4][2:])) for item in both]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    result, lines, _ = held(Script(bare_certificate))
    assert result.accepted
    assert any(item.text.startswith("No connection to ::1") for item in lines)


@pytest.mark.parametrize(("moves", "last"), [(0, "(connect"), (2, "STARTTLS"), (6, "********")])
def test_it_ends_where_the_admin_ends_it(moves: int, last: str, bare_certificate: Path) -> None:
    script = Script(bare_certificate)
    result, _, shown = held(script, moves=moves)
    assert (result.accepted, result.problem) == (False, "")
    assert shown[-1].startswith(last)
    assert len(shown) == moves + 1
    assert encode(PASSWORD) not in script.said
    assert "QUIT" not in script.said


@pytest.mark.parametrize("greeting", [b"554 no\r\n", None])
def test_a_greeting_that_is_none(greeting: bytes | None, bare_certificate: Path) -> None:
    result, _, _ = held(Script(bare_certificate, greeting=greeting))
    assert not result.accepted
    assert result.problem


def test_no_password_to_a_server_that_is_not_trusted(bare_certificate: Path) -> None:
    pinned = Trust(pins=frozenset({"0" * 64}), file="/etc/mail/tls/sendmail-server.crt")
    for trust, words in (
        (Trust(accepted="0" * 64), "was not verified"),
        (pinned, "systemctl restart sendmail"),
    ):
        script = Script(bare_certificate)
        result, _, _ = held(script, trust=trust)
        assert not result.accepted
        assert words in result.problem
        assert "no password was sent" in result.problem
        assert not any(said.startswith("AUTH") for said in script.said)
    script = Script(bare_certificate)
    result, _, _ = held(script, trust=Trust(store_alone=True))
    assert "not trusted" in result.problem
    assert not any(said.startswith("AUTH") for said in script.said)


def test_this_hosts_own_certificate_is_enough(bare_certificate: Path) -> None:
    result, _, _ = held(
        Script(bare_certificate), trust=Trust(pins=frozenset({print_of(bare_certificate)}), file="x")
    )
    assert result.accepted


def test_stripped_starttls_gets_no_password() -> None:
    script = Script(offers_starttls=False, clear_auth="LOGIN PLAIN", starttls=b"502 no\r\n")
    result, _, _ = held(script)
    assert not result.accepted
    assert not any(said.startswith("AUTH") for said in script.said)


@pytest.mark.parametrize("for_servers", [True, False])
def test_where_other_servers_deliver_no_login_is_right(bare_certificate: Path, *, for_servers: bool) -> None:
    script = Script(bare_certificate, replies={"AUTH": b"503 5.3.3 AUTH not available\r\n"})
    result, _, _ = held(script, for_servers=for_servers)
    assert ("mail clients log in at port 587" in result.problem) is for_servers
    assert ("M=A" in result.problem) is not for_servers
