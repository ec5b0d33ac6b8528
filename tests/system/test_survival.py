"""Killed, cut off, interrupted, out of space, or with a hostile store: on real machines nothing is lost or half-made."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.killing.in_machine import kill_at, operations
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import STORE, WIZARD, add_alice, apply, history, listening, login, wizard
from tests.system.picture import differences, picture
from tests.system.ssh import Ssh
from tests.system.test_rollback import held_by_sendmail, same_etc

APPLY = ("apply", "--yes")
BACK = ("rollback", "--all", "--yes")
POINTS = 20
"""Kills of each run of each release in the full run, spread over all its operations."""
FEW = 1
"""The same in the default run."""


def state(debian: Machine) -> dict[str, Any]:
    """All that has to be as it was: /etc, packages with their marks, units, listeners."""
    return {
        "etc": picture(debian, "/etc"),
        "packages": debian.run(["dpkg", "--get-selections"]).stdout,
        "auto": debian.run("apt-mark showauto | sort").stdout,
        "units": debian.run("systemctl list-unit-files --no-legend --plain | sort").stdout,
        "start policy": debian.run("ls /usr/sbin/policy-rc.d", check=False).stdout,
        "listening": {item for item in listening(debian) if not item.startswith("127.0.0.1:8461")},
    }


def compare(debian: Machine, before: dict[str, Any], *, dated: bool = False, keys: bool = False) -> None:
    """Assert that the machine is as `before`; `dated`: but for the dates in generated files; `keys`: but for keys,
    certificates and the empty /etc/sasldb2 of Debian 13, which are other ones each time they are made."""
    now = state(debian)
    lines = same_etc(debian, before["etc"]) if dated else differences(before["etc"], now["etc"])
    made = re.compile(
        r"/etc/(\.pwd\.lock|sasldb2: content|mail/tls/\S+: content|ssl/certs/[0-9a-f]{8}\.0)"
        if keys
        else r"/etc/\.pwd\.lock"
    )
    assert [line for line in lines if not made.match(line)] == []
    for name in ("packages", "auto", "units", "start policy", "listening"):
        assert now[name] == before[name], name


def spread(count: int, points: int, total: int) -> list[int]:
    """`points` numbers of operations over the whole range 1 to `total`, the `count`th of three thirds of a step."""
    return [1 + (total - 1) * (3 * number + count) // (3 * points) for number in range(points)]


def survives(machine: BootMachine, run: Sequence[str], end: str, points: int, share: int) -> None:
    """Kill `run` at points spread over it; after each, `recover END` must bring the one state or the other."""
    debian = machine("ready")
    debian.run([WIZARD, "status"])
    if run is BACK:
        apply(debian)
    before = state(debian)
    names, done = operations(debian, *run)
    assert done.returncode == 0, done.stdout + done.stderr
    after = state(debian)
    back = BACK if run is APPLY else None
    for number in spread(share, points, len(names)):
        if back:
            assert wizard(debian, *back).returncode == 0
            compare(debian, before)
        else:
            apply(debian)
            before = state(debian)  # keys are other ones each time they are made
        name = kill_at(debian, number, *run)
        told = wizard(debian, "recover", "--show").stdout
        if name is not None and "No run was interrupted" not in told:
            assert wizard(debian, "apply", "--yes").returncode == 6, (number, name)
        recovered = wizard(debian, "recover", end)
        assert recovered.returncode == 0, (
            number,
            name,
            told,
            recovered.stdout[-3000:],
            recovered.stderr[-3000:],
        )
        if "No run was interrupted" in told:
            continue  # before its first change, or after its last
        if end == "--undo":
            compare(debian, before, dated=run is BACK)
        else:
            compare(debian, after, dated=run is APPLY, keys=run is APPLY)
        assert debian.run(["git", "--git-dir", STORE, "fsck", "--strict"]).returncode == 0
        if end == "--undo" or run is BACK:
            assert wizard(debian, "recover", "--show").stdout.startswith("No run was interrupted")
        if end == "--undo" and run is BACK:
            assert held_by_sendmail(debian)


@pytest.mark.parametrize(("run", "end"), [(APPLY, "--undo"), (BACK, "--finish")], ids=["apply", "rollback"])
def test_killed_and_recovered(machine: BootMachine, run: tuple[str, ...], end: str) -> None:
    survives(machine, run, end, FEW, 1)


@pytest.mark.full
@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("end", ["--undo", "--finish"])
@pytest.mark.parametrize("run", [APPLY, BACK], ids=["apply", "rollback"])
def test_killed_all_over(machine: BootMachine, run: tuple[str, ...], end: str, share: int) -> None:
    survives(machine, run, end, POINTS // 4, share)


def test_the_power_goes(machine: BootMachine) -> None:
    """All processes end at once, in the middle of apt; after the next boot the run waits, and is undone."""
    debian = machine("ready")
    debian.run([WIZARD, "status"])
    before = state(debian)
    debian.run(
        f"{WIZARD} apply --yes >/root/out 2>&1 & while ! grep -q 'Unpacking sendmail-bin' /root/out; do sleep 0.05; done"
    )
    debian.cut_power()
    debian.boot()
    assert wizard(debian, "apply", "--yes").returncode == 6
    assert "interrupted in install" in wizard(debian, "status").stderr
    done = wizard(debian, "recover")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    compare(debian, before)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("HUP", 129),
        pytest.param("TERM", 143, marks=pytest.mark.full),
        pytest.param("INT", 130, marks=pytest.mark.full),
    ],
)
def test_a_signal_in_a_rollback(machine: BootMachine, name: str, code: int) -> None:
    """In the middle of apt's purge: that ends in its own time, then all of it is undone."""
    debian = machine("ready")
    apply(debian)
    add_alice(debian)
    before = state(debian)
    done = debian.run(
        f"{WIZARD} rollback --all --yes > out 2> err & "
        f"while ! grep -q 'Removing sendmail' out; do sleep 0.05; done; kill -{name} $!; wait $!; echo $?; cat err",
        check=False,
        timeout=600,
    ).stdout.split("\n")
    assert int(done[0]) == code, done
    assert wizard(debian, "recover", "--show").stdout.startswith("No run was interrupted")
    compare(debian, before, dated=True)
    assert debian.run("pgrep -x apt-get; dpkg --audit", check=False).stdout == ""
    assert held_by_sendmail(debian)
    assert login(debian)["exit"] == 0


MOMENTS = (
    *("saslauthd-config:", "saslauthd-start:", "mc-includes:", "checked:", "submission-port done"),
    *("Updating sendmail environment", "Creating /etc/mail/sendmail.cf", "sendmailconfig done"),
    *("== restart", "== auth-test"),
)
"""What apply has just said when the line drops."""


def drops(debian: Machine, moments: Sequence[str], *, terminal: bool) -> None:
    """A real sshd; the client dies at each of `moments` of an apply. What was in hand is finished or undone, what is
    recorded is there, and the next apply goes on."""
    ssh = Ssh(debian)
    add_alice(debian)
    for moment in moments:
        wizard(debian, "rollback", "--all", "--yes")
        with ssh.session([WIZARD, "apply", "--yes", "-v"], terminal=terminal) as session:
            session.wait_for(moment)
            session.kill_client()
        debian.run("while pgrep -f '[w]izard.* apply' >/dev/null; do sleep 0.1; done", timeout=120)
        assert wizard(debian, "recover", "--show").stdout.startswith("No run was interrupted"), moment
        known = len(history(debian))
        apply(debian)
        new = [item["operation"] for item in history(debian)[: len(history(debian)) - known]]
        assert "drift" not in new, (moment, new)
    assert login(debian)["exit"] == 0


def test_the_line_drops(machine: BootMachine) -> None:
    drops(machine("mail"), MOMENTS[3::3], terminal=True)


@pytest.mark.full
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "no terminal"])
def test_the_line_drops_at_ten_moments(machine: BootMachine, terminal: bool) -> None:
    drops(machine("mail"), MOMENTS, terminal=terminal)


def test_a_second_one_reads_while_the_first_works(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run([WIZARD, "status"])
    debian.run(
        f"{WIZARD} apply --yes >/root/out 2>&1 & while ! grep -q sendmailconfig: /root/out; do sleep 0.02; done"
    )
    second = wizard(debian, "rollback", "--all", "--yes")
    assert second.returncode == 5
    assert "root has been running msa-wizard (pid" in second.stderr
    assert "since 20" in second.stderr
    for command in (["status"], ["history"], ["plan"], ["diff", "mc-includes"], ["recover", "--show"]):
        assert wizard(debian, *command).returncode == 0, command
    assert "interrupted" not in wizard(debian, "status").stderr
    debian.run("while pgrep -f '[w]izard.* apply' >/dev/null; do sleep 0.1; done", timeout=120)
    assert json.loads(wizard(debian, "status", "--json").stdout)["interrupted"] is None


HOSTILE = {
    "foreign": ("chown alice /var/lib/msa-wizard", "chown root /var/lib/msa-wizard", "belongs to user"),
    "open": (
        "chmod 777 /var/lib/msa-wizard",
        "chmod 700 /var/lib/msa-wizard",
        "others can write to it",
    ),
    "readable": (
        "chmod 755 /var/lib/msa-wizard",
        "chmod 700 /var/lib/msa-wizard",
        "lets other users in",
    ),
    "foreign store": (
        f"chown -R alice {STORE}",
        f"chown -R root {STORE}",
        "belongs to user",
    ),
    "symlink": (
        "mkdir -m 700 /root/there && mv /var/lib/msa-wizard/* /root/there && rmdir /var/lib/msa-wizard && ln -s /root/there /var/lib/msa-wizard",
        "true",
        "symbolic link",
    ),
}
"""What makes it so, what mends it, what is said."""


def test_a_hostile_store_is_refused(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    apply(debian, "saslauthd-config", "saslauthd-start", "sendmail-auth")
    before = picture(debian, "/etc")
    for name, (spoil, mend, says) in HOSTILE.items():
        assert wizard(debian, "recover").returncode == 0, f"before {name}"
        debian.run(spoil)
        for command in (["apply", "--yes"], ["rollback", "--all", "--yes"], ["recover"]):
            done = wizard(debian, *command)
            assert done.returncode == 3, (name, command, done.stdout, done.stderr)
            assert says in done.stderr, (name, command, done.stderr)
        assert differences(before, picture(debian, "/etc")) == [], name
        debian.run(mend)


def test_strange_things_in_etc(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run(["systemctl", "start", "sendmail"])
    debian.run(
        "cd /etc; touch -- '-rf' \"$(printf 'new\\nline')\" \"$(printf '\\377\\376')\" ' '; mkfifo fifo; mknod null c 1 3; "
        "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('/etc/socket')\"; "
        "head -c 20000000 /dev/urandom > big; ln -s /nowhere/at/all dangling; mkdir -m 700 empty",
    )
    before = picture(debian, "/etc")
    apply(debian)
    assert wizard(debian, *BACK).returncode == 0
    assert same_etc(debian, before) == []
    assert wizard(debian, "diff", history(debian)[-1]["commit"]).returncode == 0


@pytest.mark.parametrize(
    "sizes", [(0, 8, 64), pytest.param((4, 16, 32, 128), marks=pytest.mark.full)], ids=["some", "others"]
)
@pytest.mark.parametrize("where", ["/var/lib/msa-wizard", "/etc"])
def test_a_full_disk_in_a_rollback(machine: BootMachine, where: str, sizes: tuple[int, ...]) -> None:
    """At several sizes of what is left, in KiB: a clear error, and all as it was, or all rolled back."""
    debian = machine("msa")
    debian.run(
        f"cp -a {where} /tmp/copy && mount -t tmpfs -o size=96M,mode=0700 tmpfs {where} && cp -a /tmp/copy/. {where} && "
        f"chmod --reference=/tmp/copy {where}"
    )
    before = picture(debian, "/etc")
    for left in sizes:
        debian.run(
            f"dd if=/dev/zero of={where}/ballast bs=1K 2>/dev/null; truncate -s -{left}K {where}/ballast; true"
        )
        done = wizard(debian, "rollback", "mc-includes", "--yes")
        debian.run(["rm", f"{where}/ballast"])
        if done.returncode != 0:
            assert "No space left" in done.stderr or "No space left" in done.stdout, (left, done.stderr)
            recovered = wizard(debian, "recover")
            assert recovered.returncode == 0, recovered.stderr
            assert same_etc(debian, before) == [], left
        else:
            apply(debian)
        assert debian.run(["git", "--git-dir", STORE, "fsck", "--strict"]).returncode == 0
        assert held_by_sendmail(debian)
