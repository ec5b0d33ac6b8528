"""AUTH LOGIN by hand on real machines: without TLS for a while, and sendmail.cf as before whatever ends it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.system.firewalls import connects
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, WIZARD, history, login, wizard
from tests.system.terminal import Terminal

OURS = "[d]ebug login"
BY_HAND = ("debug", "login", "--user", "alice")
PLAINTEXT = (*BY_HAND, "--plaintext")
ENCODED = base64.b64encode(PASSWORD.encode()).decode()


pytestmark = pytest.mark.default_on("forky")


def cf(debian: Machine) -> str:
    """sendmail.cf with its mode and owner, and what else lies there."""
    return debian.run(
        "md5sum /etc/mail/sendmail.cf; stat -c '%a %U %G' /etc/mail/sendmail.cf; ls -A /etc/mail"
    ).stdout


def plaintext_is_offered(debian: Machine) -> bool:
    """What the daemon at work offers in clear, asked as anybody may."""
    return "LOGIN" in debian.run(["python3", "-c", _OFFERED]).stdout


def encrypted_again(debian: Machine) -> bool:
    """Whether the daemon is up, and offers no login in clear; it is down for a moment while it restarts."""
    offered = debian.run(["python3", "-c", _OFFERED], check=False)
    return offered.returncode == 0 and "LOGIN" not in offered.stdout


_OFFERED = "import smtplib; s = smtplib.SMTP('127.0.0.1', 587, timeout=30); s.ehlo(); print(s.esmtp_features.get('auth', ''))"


def wait_for(condition: Callable[[], bool], seconds: float = 40) -> None:
    """Until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def on_terminal(debian: Machine, *argv: str) -> Terminal:
    """The wizard on a terminal."""
    return Terminal(debian.argv([WIZARD, *argv]), size=(160, 60))


def type_password(terminal: Terminal) -> None:
    """Alice's."""
    terminal.until("Password of alice:")
    terminal.press(f"{PASSWORD}\r")


def go_on(terminal: Terminal) -> None:
    """What is to happen is said first; then the password is asked for."""
    terminal.until("Go on? [y]es, [n]o (the default):")
    assert "Password of" not in terminal.text
    terminal.press("y\r")
    type_password(terminal)


def asks(terminal: Terminal, words: str) -> bool:
    """Whether it waits for Enter before it sends this."""
    asked = [line for line in terminal.text.splitlines() if line.startswith(">> ")]
    return bool(asked) and words in asked[-1]


@pytest.mark.full
def test_enter_sends_each_command_over_tls(debian: Machine) -> None:
    before = cf(debian)
    with on_terminal(debian, *BY_HAND, "--send-to", "alice@mail.example.test") as terminal:
        type_password(terminal)
        for words in (
            "(connect to 127.0.0.1 port 587)", "EHLO [127.0.0.1]", "STARTTLS", "once more, for what is offered under TLS",
            "AUTH LOGIN", "YWxpY2U=", "base64 of the password, masked", "MAIL FROM:<alice@mail.example.test>",
            "RCPT TO:<alice@mail.example.test>", "DATA", "a line with a dot alone", "QUIT",
        ):  # fmt: skip
            terminal.until(partial(asks, terminal, words))
            terminal.press("\r")
        assert terminal.ended() == 0, terminal.text
        said = terminal.raw.decode("utf-8", "replace")
    assert "the login is accepted" in said
    assert "Delivered to <alice@mail.example.test>" in said
    assert PASSWORD not in said
    assert ENCODED not in said
    assert cf(debian) == before


def test_plaintext_on_loopback_alone_then_all_as_before(debian: Machine) -> None:
    before = cf(debian)
    assert not plaintext_is_offered(debian)
    with on_terminal(debian, *PLAINTEXT, "--loopback-only") as terminal:
        terminal.until("## O AuthOptions=p y")
        terminal.until("Go on? [y]es, [n]o (the default):")
        assert cf(debian) == before
        go_on(terminal)
        terminal.until("(connect to 127.0.0.1 port 587)")
        terminal.until("s left")
        assert plaintext_is_offered(debian)
        assert not connects(debian.client(), 587), "closed to the network meanwhile"
        assert connects(debian.client(), 25)
        for words in (
            "connect to",
            "EHLO",
            "AUTH LOGIN",
            "YWxpY2U=",
            "base64 of the password, masked",
            "QUIT",
        ):
            terminal.until(partial(asks, terminal, words))
            terminal.press("\r")
        assert terminal.ended(60) == 0, terminal.text
        said = terminal.raw.decode("utf-8", "replace")
    assert "235 2.0.0 OK Authenticated" in said
    assert "STARTTLS=server" not in said
    assert PASSWORD not in said
    assert ENCODED not in said
    assert cf(debian) == before
    assert not plaintext_is_offered(debian)
    assert connects(debian.client(), 587)
    assert history(debian)[0]["subject"].startswith("debug-plain-login: for ")
    assert login(debian)["exit"] == 0


@pytest.mark.full
def test_the_time_ends_it_and_q_does(debian: Machine) -> None:
    before = cf(debian)
    with on_terminal(debian, *PLAINTEXT, "--within", "5") as terminal:
        terminal.until("may send its password in clear")
        go_on(terminal)
        terminal.until("The time is over")
        assert terminal.ended(60) == 1
    assert cf(debian) == before
    assert not plaintext_is_offered(debian)
    with on_terminal(debian, *BY_HAND) as terminal:
        type_password(terminal)
        terminal.until("(connect to")
        terminal.press("q\r")
        assert terminal.ended() == 1


@pytest.mark.parametrize("how", ["KILL", pytest.param("line", marks=pytest.mark.full)])
def test_a_killed_wizard_and_a_dropped_line_put_it_back(debian: Machine, how: str) -> None:
    before = cf(debian)
    with on_terminal(debian, *PLAINTEXT) as terminal:
        go_on(terminal)
        terminal.until("(connect to")
        assert plaintext_is_offered(debian)
        if how == "KILL":
            debian.run(["pkill", "-KILL", "-f", OURS])
    # leaving hangs up the line
    wait_for(lambda: cf(debian) == before)
    wait_for(lambda: encrypted_again(debian))
    debian.run("while pgrep -f '[d]ebug login' >/dev/null; do sleep 0.1; done")
    if how == "KILL":
        assert wizard(debian, "apply", "--yes").returncode == 6
        assert wizard(debian, "recover").returncode == 0
    assert "nothing to recover" in wizard(debian, "recover").stdout
    assert cf(debian) == before
    assert connects(debian.client(), 587)


@pytest.mark.full
def test_where_nothing_is_in_the_way_nothing_is_changed(debian: Machine) -> None:
    debian.run(
        "cp -p /etc/mail/sendmail.cf /root/kept; sed -i 's/^O AuthOptions=.*/O AuthOptions=y/' /etc/mail/sendmail.cf"
    )
    try:
        before = cf(debian)
        done = wizard(debian, *PLAINTEXT, "--password-stdin", "--yes", input=f"{PASSWORD}\n")
        assert "Nothing is changed" in done.stdout
        assert cf(debian) == before
    finally:
        debian.run("cp -p /root/kept /etc/mail/sendmail.cf; systemctl restart sendmail")
    wrong = wizard(debian, *BY_HAND, "--loopback-only", "--password-stdin", "--yes", input="x\n")
    assert (wrong.returncode, "goes with --plaintext" in wrong.stderr) == (2, True)


@pytest.mark.full
def test_the_tools_on_the_screen(debian: Machine) -> None:
    before, F5, F6 = cf(debian), "\x1b[15~", "\x1b[17~"
    with Terminal(debian.argv([WIZARD], env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("Troubleshoot", 120)
        terminal.press("home", *["down"] * 4, "enter")
        terminal.until("Nothing fails", 60)
        terminal.press("d")
        terminal.until("y begins")
        terminal.press("y")
        terminal.until("listening on socket", 60)
        assert login(debian)["exit"] == 0
        terminal.until("auth success: [user=alice]", 60)
        terminal.press("escape")
        terminal.until("Nothing fails", 60)
        assert debian.run("pgrep -a -o -x saslauthd").stdout.split()[-1] != "-d"

        terminal.press("t")
        terminal.until("Fill in the user name")
        terminal.press(F6)
        terminal.until("loopback only. F6")
        terminal.press("alice", "enter", PASSWORD, F5)
        terminal.until("y changes this and begins", 60)
        assert cf(debian) == before
        terminal.press("y")
        terminal.until("Enter sends: (connect to", 60)
        assert plaintext_is_offered(debian)
        assert not connects(debian.client(), 587)
        for words in ("EHLO", "AUTH LOGIN", "YWxpY2U=", "********", "QUIT"):
            terminal.press("enter")
            terminal.until(f"Enter sends: {words}", 60)
        terminal.until("s left, then")
        terminal.press("enter")
        terminal.until("The login was accepted (235).", 90)
        assert cf(debian) == before
        assert encrypted_again(debian)
        said = terminal.raw.decode("utf-8", "replace")
        assert PASSWORD not in said
        assert ENCODED not in said

        terminal.press(F5)
        terminal.until("y changes this and begins", 60)
        terminal.press("y")
        terminal.until("Enter sends: (connect to", 60)
        assert plaintext_is_offered(debian)
    # leaving hangs up the line
    wait_for(lambda: cf(debian) == before)
    debian.run("while pgrep -f '[w]izard.cli.main import main' >/dev/null; do sleep 0.1; done", timeout=60)
    assert encrypted_again(debian), "the restart is done before the program ends"
    assert "nothing to recover" in wizard(debian, "recover").stdout
