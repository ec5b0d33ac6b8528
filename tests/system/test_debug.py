"""The howto's own tools on real machines: what they change for a while goes back, whatever ends them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.system.machine import Machine
from tests.system.msa import PASSWORD, WIZARD, history, login, sendmail_pid, wizard

OURS = "[d]ebug saslauthd"


pytestmark = pytest.mark.default_on("forky")


@contextmanager
def running(debian: Machine, argv: Sequence[str], until: str) -> Iterator[subprocess.Popen[str]]:
    """The wizard at work, once it has said `until`; `said` collects nothing: read its stdout."""
    with subprocess.Popen(
        debian.argv([WIZARD, *argv]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        while until not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process


def state(debian: Machine) -> tuple[list[str], str, str]:
    """How saslauthd runs, what its service says, and what is in /etc that was not."""
    found = debian.run("pgrep -a -o -x saslauthd | cut -d' ' -f2-", check=False).stdout.splitlines()
    active = debian.run(["systemctl", "show", "-p", "ActiveState,SubState,UnitFileState", "saslauthd"]).stdout
    return found, active, debian.run("md5sum /etc/default/saslauthd /etc/mail/sendmail.cf").stdout


def test_a_login_seen_from_inside_saslauthd(debian: Machine) -> None:
    before = state(debian)
    argv = ("debug", "saslauthd", "--yes", "--user", "alice", "--password-stdin")
    done = wizard(debian, *argv, input=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "/usr/sbin/saslauthd -a pam -c -m /var/run/saslauthd -n 5 -d",
        "ready: sendmail asks it here",
        "yes: user and password are right",
        "235 2.0.0 OK Authenticated",
        "saslauthd answers on",
    ):
        assert words in done.stdout, done.stdout
    assert PASSWORD not in done.stdout
    assert state(debian) == before
    assert history(debian)[0]["subject"].endswith("then undone")
    refused = wizard(debian, *argv, input="Wr0ng-one-55\n")
    assert refused.returncode == 1
    assert "no, and the reason" in refused.stdout
    assert "Wr0ng-one-55" not in refused.stdout
    assert state(debian) == before


@pytest.mark.parametrize(
    "name", ["TERM", pytest.param("INT", marks=pytest.mark.full), pytest.param("HUP", marks=pytest.mark.full)]
)
def test_a_signal_puts_the_service_back(debian: Machine, name: str) -> None:
    before = state(debian)
    with running(debian, ("debug", "saslauthd", "--yes"), "listening on socket") as ours:
        assert state(debian)[0] != before[0]
        assert login(debian)["exit"] == 0, "it answers meanwhile"
        assert wizard(debian, "apply", "--yes").returncode == 5, "the host is ours"
        debian.run(["pkill", f"-{name}", "-f", OURS])
        assert ours.wait(60) == {"INT": 0, "TERM": 143, "HUP": 129}[name]
    assert state(debian) == before
    assert "nothing to recover" in wizard(debian, "recover").stdout


def test_after_a_kill_the_guard_puts_it_back_and_recover_closes_the_journal(debian: Machine) -> None:
    before = state(debian)
    with running(debian, ("debug", "saslauthd", "--yes"), "listening on socket") as ours:
        debian.run(["pkill", "-KILL", "-f", OURS])
        ours.wait(30)
    for _ in range(300):
        if state(debian) == before:
            break
        time.sleep(0.1)
    assert state(debian) == before
    assert login(debian)["exit"] == 0
    refused = wizard(debian, "apply", "--yes")
    assert (refused.returncode, "was interrupted in debug-saslauthd" in refused.stderr) == (6, True)
    assert "restores what was changed for a limited time" in wizard(debian, "recover", "--show").stdout
    assert wizard(debian, "recover").returncode == 0
    assert state(debian) == before
    assert wizard(debian, "status").returncode == 0


@pytest.mark.full
def test_recover_alone_puts_it_back_when_the_guard_went_too(debian: Machine) -> None:
    before = state(debian)
    with running(debian, ("debug", "saslauthd", "--yes"), "listening on socket") as ours:
        decided = "for script in /run/msa-wizard/while-*.sh; do echo >${script%.sh}.decision; done"
        debian.run(decided)  # the guard believes that somebody else does it
        debian.run(["pkill", "-KILL", "-f", OURS])
        ours.wait(30)
    time.sleep(2)
    assert debian.run("pgrep -x saslauthd", check=False).stdout == ""
    assert wizard(debian, "recover", "--finish").returncode == 0
    assert state(debian) == before


@pytest.mark.full
def test_its_time_is_limited(debian: Machine) -> None:
    before, daemon = state(debian), sendmail_pid(debian)
    done = wizard(debian, "debug", "saslauthd", "--yes", "--within", "5", "--restart-sendmail")
    assert done.returncode == 0
    assert state(debian) == before
    assert sendmail_pid(debian) not in (0, daemon)
    wrong = wizard(debian, "debug", "saslauthd", "--yes", "--within", "99999")
    assert (wrong.returncode, "Nothing was changed" in wrong.stderr) == (2, True)
    assert wizard(debian, "debug", "saslauthd").returncode == 2, "without a terminal it needs --yes"


_IMAP = r"""
import socket
with socket.create_server(("127.0.0.1", 143)) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"* OK ready\r\n")
            asked = connection.recv(4096)
            tag = asked.split(b" ")[0]
            connection.sendall(tag + (b" OK in\r\n" if b"R1map-pass-9" in asked else b" NO out\r\n"))
"""


@pytest.mark.full
def test_the_mechanism_that_prints_passwords_when_verbose_prints_none(debian: Machine) -> None:
    debian.put("/root/imap.py", _IMAP)
    debian.run("setsid python3 /root/imap.py >/dev/null 2>&1 &")
    debian.run(
        "cp -p /etc/default/saslauthd /root/kept; "
        "sed -i 's/^MECHANISMS=.*/MECHANISMS=rimap/; s/^MECH_OPTIONS=.*/MECH_OPTIONS=127.0.0.1/; s/^OPTIONS=\"/&-V /' /etc/default/saslauthd"
    )
    try:
        argv = ("debug", "saslauthd", "--yes", "--within", "20")
        with running(debian, argv, "listening on socket") as ours:
            # From elsewhere: the wizard does not know this password.
            assert login(debian, password="R1map-pass-9")["exit"] == 0
            debian.run(["pkill", "-INT", "-f", OURS])
            assert ours.stdout is not None
            said = ours.stdout.read()
    finally:
        debian.run(
            "cp -p /root/kept /etc/default/saslauthd; systemctl restart saslauthd; pkill -f '[i]map.py'"
        )
    assert "yes: user and password are right" in said, said
    assert "mech=rimap" in said
    assert "R1map-pass-9" not in said
