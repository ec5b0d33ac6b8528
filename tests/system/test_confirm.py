"""Confirm or revert on a real machine: no word in time, a killed wizard, a lost session, a reboot; and a word in time."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.one_file import of_the_working_tree
from tests.system.firewalls import QUIET, SetUp, connects, kept, live, set_up
from tests.system.images import layers
from tests.system.machine import Machine
from tests.system.msa import WIZARD, history, wizard
from tests.system.releases import Release
from tests.system.room import why_no_machines
from tests.system.ssh import Ssh
from tests.system.terminal import Terminal

WITHIN = 6
RELEASES: dict[str, Release] = {
    "nftables": "bookworm",
    "ufw": "forky",
    "firewalld": "bookworm",
    "iptables-persistent": "forky",
    "shorewall": "bookworm",
}
"""Where each firewall is tried."""
APPLY = [WIZARD, "apply", "--yes", "--confirm-within", str(WITHIN), "firewall"]


@pytest.fixture(
    scope="module",
    params=[
        "nftables",
        *(pytest.param(name, marks=pytest.mark.full) for name in RELEASES if name != "nftables"),
    ],
)
def guarded(request: pytest.FixtureRequest) -> Iterator[tuple[Machine, SetUp, Ssh]]:
    """A machine with an MSA behind a firewall, and sshd."""
    if why := why_no_machines():
        pytest.skip(why)
    with Machine(layers(RELEASES[request.param], "msa")) as debian:
        debian.client()
        ssh = Ssh(debian)
        yield debian, set_up(debian, request.param), ssh


def wait_until_open(debian: Machine) -> None:
    """The live rules are there."""
    for _ in range(100):
        if connects(debian.client(), 587):
            return
        time.sleep(0.05)
    raise AssertionError("587 was not opened")


def closed_in_time(debian: Machine, began: float) -> None:
    """The rules are out, not long after the time that was left."""
    while connects(debian.client(), 587):
        assert time.monotonic() - began < WITHIN + 8, "not reverted in time"
        time.sleep(0.1)


def test_a_word_from_another_session_keeps_it(guarded: tuple[Machine, SetUp, Ssh]) -> None:
    debian, _, ssh = guarded
    assert "Nothing is waiting" in wizard(debian, "confirm").stdout
    before = live(debian)
    with ssh.session(APPLY) as session:
        session.wait_for("msa-wizard confirm")
        with ssh.session([WIZARD, "confirm"]) as other:
            assert other.wait() == 0
            assert "the new firewall rules stay" in other.said
        assert session.wait() == 0, session.said
    time.sleep(WITHIN + 1)
    assert connects(debian.client(), 587)
    assert "Nothing is waiting" in wizard(debian, "confirm").stdout
    assert wizard(debian, "rollback", "firewall", "--yes").returncode == 0
    assert live(debian) == before


FIX = ["troubleshoot", "--fix", "firewall-closed", "firewall-not-open", "firewall-ufw", "--yes"]


def test_the_fix_of_troubleshoot_is_reverted_too(guarded: tuple[Machine, SetUp, Ssh]) -> None:
    debian, _, _ = guarded
    before = live(debian)
    assert wizard(debian, *FIX, "--confirm-within", str(WITHIN)).returncode == 1
    assert live(debian) == before
    assert not connects(debian.client(), 587)
    assert wizard(debian, *FIX).returncode == 0
    assert connects(debian.client(), 587)
    assert wizard(debian, "rollback", "firewall", "--yes").returncode == 0
    assert live(debian) == before


def test_on_a_terminal_over_ssh_it_is_asked_for_by_itself(guarded: tuple[Machine, SetUp, Ssh]) -> None:
    debian, firewall, ssh = guarded
    before = live(debian), kept(debian, firewall)
    for word, code in (("no", 1), ("yes", 0)):
        with ssh.session([WIZARD, "apply", "firewall"], terminal=True) as session:
            assert "(port 22) are not touched" in session.wait_for("apply firewall? ").replace(
                "\r\n     ", " "
            )
            session.type("y\n")
            assert "within 60 s" in session.wait_for("or type yes here").replace("\r\n     ", " ")
            assert kept(debian, firewall) == before[1]
            session.type(f"{word}\n")
            assert session.wait() == code, session.said
        assert connects(debian.client(), 587) is (word == "yes")
    assert wizard(debian, "rollback", "firewall", "--yes").returncode == 0
    assert (live(debian), kept(debian, firewall)) == before


def test_on_the_screens_a_countdown_waits_for_a_key(guarded: tuple[Machine, SetUp, Ssh]) -> None:
    debian, firewall, ssh = guarded
    before = live(debian), kept(debian, firewall)
    with Terminal(ssh.argv(WIZARD, terminal=True, term="xterm-256color")) as terminal:
        terminal.until("1 of 18 steps has something to do", 120)
        terminal.press("enter")
        terminal.until("1 step to do", 60)
        terminal.until("y applies", 60)
        terminal.press("y")
        terminal.until("s left to confirm them", 60)
        terminal.until("I can still log in", 60)
        wait_until_open(debian)
        terminal.press("enter")
        terminal.until(
            lambda: any(f"new rules: {left} s left" in terminal.text for left in range(50, 58)), 15
        )
        assert kept(debian, firewall) == before[1], "the files are written after the word"
        terminal.press("n")
        terminal.until("somebody said no, so the new rules were", 60)
        terminal.until("try again", 60)
        assert (live(debian), kept(debian, firewall)) == before
        terminal.press("y")
        terminal.until("I can still log in", 60)
        terminal.press("y")
        terminal.until("What mail clients need", 60)
        terminal.press("escape")
        terminal.until("Nothing is left to do", 60)
    assert connects(debian.client(), 587)
    assert wizard(debian, "rollback", "firewall", "--yes").returncode == 0
    assert (live(debian), kept(debian, firewall)) == before


def test_unconfirmed_rules_are_reverted_and_history_tells(guarded: tuple[Machine, SetUp, Ssh]) -> None:
    debian, firewall, _ = guarded
    before = live(debian), kept(debian, firewall)
    done = wizard(debian, *APPLY[1:])
    assert done.returncode == 1, done.stdout
    assert f"nobody confirmed the firewall's new rules within {WITHIN} s" in done.stderr
    assert (live(debian), kept(debian, firewall)) == before
    assert "nobody confirmed" in history(debian)[0]["subject"]
    assert not connects(debian.client(), 587)
    late = wizard(debian, "confirm")
    assert (late.returncode, "too late" in late.stderr) == (1, True)


@pytest.mark.parametrize("how", ["wizard", "one file", "cable", "interrupted", "reboot"])
def test_rules_of_a_lost_run_are_reverted(guarded: tuple[Machine, SetUp, Ssh], how: str) -> None:
    debian, firewall, ssh = guarded
    if how == "reboot":  # what a boot makes of the files may be put otherwise than what the admin has typed
        debian.reboot()
        debian.run("for i in $(seq 200); do ss -ltn | grep -q ':587 ' && exit 0; sleep 0.1; done; exit 1")
    before = live(debian), kept(debian, firewall)
    command = APPLY
    if how == "one file":
        debian.put("/root/msa-wizard.pyz", of_the_working_tree())
        command = ["python3", "/root/msa-wizard.pyz", *APPLY[1:]]
    with ssh.session(command, terminal=how == "cable") as session:
        session.wait_for("msa-wizard.pyz confirm" if how == "one file" else "msa-wizard confirm")
        began = time.monotonic()
        wait_until_open(debian)
        if how == "wizard":
            debian.run("pkill -KILL -f '[a]pply --yes --confirm-within'", check=False)
            killed = wizard(debian, "confirm")
            assert "Nothing is waiting" in killed.stdout, killed.stdout + killed.stderr
        elif how == "one file":  # and nothing of it is left
            debian.run("pkill -KILL -f '[a]pply --yes --confirm-within'", check=False)
            debian.run(
                "rm -r /root/msa-wizard.pyz /var/lib/msa-wizard/program-* /var/lib/msa-wizard/msa-wizard"
            )
        elif how == "cable":
            session.kill_client()
        elif how == "interrupted":
            debian.run("pkill -INT -f '[a]pply --yes --confirm-within'")
        if how == "reboot":
            debian.cut_power()
            debian.boot()
        else:
            closed_in_time(debian, began)
        if how in ("wizard", "one file"):
            assert time.monotonic() - began > WITHIN - 2, "the timer came too early"
        if how == "interrupted":
            assert time.monotonic() - began < WITHIN - 1, "a signal need not wait for the timer"
    debian.run("while pgrep -f '[a]pply --yes --confirm-within' >/dev/null; do sleep 0.1; done")
    if how in ("wizard", "one file", "reboot"):
        told = wizard(debian, "apply", "--yes", "firewall")
        assert told.returncode == 6
        assert "was interrupted in firewall" in told.stderr
        assert wizard(debian, "recover").returncode == 0
    assert "rolled back" in history(debian)[0]["subject"]
    assert (live(debian), kept(debian, firewall)) == before
    assert not connects(debian.client(), 587)


def test_the_timer_of_a_killed_run_does_not_remove_what_a_later_one_adds(
    guarded: tuple[Machine, SetUp, Ssh],
) -> None:
    debian, firewall, _ = guarded
    before = live(debian), kept(debian, firewall)
    began = time.monotonic()
    debian.run(f"{WIZARD} apply --yes --confirm-within 30 firewall >/root/said 2>&1 &")
    wait_until_open(debian)
    debian.run("pkill -KILL -f '[a]pply --yes --confirm-within'", check=False)
    assert wizard(debian, "recover").returncode == 0
    assert debian.run("systemctl list-timers --all --no-legend 'msa-wizard-revert*'").stdout == ""
    assert (live(debian), kept(debian, firewall)) == before
    assert wizard(debian, "apply", "--yes", "firewall").returncode == 0
    time.sleep(max(0.0, began + 33 - time.monotonic()))
    assert connects(debian.client(), 587)
    assert wizard(debian, "rollback", "firewall", "--yes").returncode == 0
    assert (live(debian), kept(debian, firewall)) == before


def test_a_time_that_is_none_is_refused(guarded: tuple[Machine, SetUp, Ssh]) -> None:
    debian, firewall, _ = guarded
    before: tuple[str, dict[str, bytes]] = live(debian), kept(debian, firewall)
    for time_ in ("1", "-3", "99999"):
        done: subprocess.CompletedProcess[str] = wizard(
            debian, "apply", "--yes", f"--confirm-within={time_}", "firewall"
        )
        assert (done.returncode, "Nothing was changed" in done.stderr) == (2, True), done.stderr
    assert (live(debian), kept(debian, firewall)) == before


_NFT = """table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		iif "lo" accept
		tcp dport 22 accept
	}
}
"""


@pytest.mark.full
def test_without_systemd_a_detached_process_reverts_them() -> None:
    if why := why_no_machines():
        pytest.skip(why)
    with Machine(layers("bookworm", "mail"), init="none") as debian:
        debian.client()
        debian.run("apt-get install --yes --quiet=2 nftables", env=QUIET)
        debian.put("/etc/nftables.conf", _NFT)
        debian.run("nft -f /etc/nftables.conf")
        before = live(debian)
        debian.run(f"{shlex.join(APPLY)} >/root/said 2>&1 &")
        debian.run("until grep -q 'msa-wizard confirm' /root/said; do sleep 0.05; done", timeout=60)
        began = time.monotonic()
        debian.run("python3 -m http.server 587 >/dev/null 2>&1 &")
        wait_until_open(debian)
        debian.run("pkill -KILL -f '[a]pply --yes --confirm-within'", check=False)
        closed_in_time(debian, began)
        assert live(debian) == before
        assert debian.read("/etc/nftables.conf").decode() == _NFT
        assert wizard(debian, "recover").returncode == 0
        assert "rolled back" in history(debian)[0]["subject"]
