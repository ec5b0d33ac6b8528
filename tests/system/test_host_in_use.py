"""The host is not ours alone: what others do while msa-wizard works, or after it was killed, is never undone."""

from __future__ import annotations

import pytest

from tests.killing.in_machine import kill_at, operations
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import WIZARD, apply, wizard
from tests.system.others_at_work import MAIL_WORK, WORK, lost, work


def killed_when(debian: Machine, seen: str) -> None:
    """`apply --yes` in the background, killed once its output has `seen`; what apt it had started ends."""
    debian.run(
        f"setsid {WIZARD} apply --yes >/root/apply.log 2>&1 & pid=$!\n"
        f"for i in $(seq 1800); do grep -q '{seen}' /root/apply.log && break; sleep 0.05; done\n"
        "kill -KILL -- -$pid 2>/dev/null; kill -KILL $pid\n"
        "while pgrep -x 'apt-get|dpkg' >/dev/null; do sleep 0.2; done; true",
        timeout=400,
    )


def ours_left(debian: Machine) -> str:
    """Packages, users and files of the set-up that are still there."""
    return debian.run(
        "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' | grep -E '^(sendmail|sasl2-bin)' ; "
        "getent passwd smmta smmsp; getent group sasl | grep -v '^sasl:x:45:$'; ls -d /etc/mail 2>/dev/null; true",
        check=False,
    ).stdout


@pytest.mark.parametrize("way", ["recover", pytest.param("recover --finish", marks=pytest.mark.full)])
@pytest.mark.default_on("bookworm")
def test_work_after_a_kill_in_install(machine: BootMachine, way: str) -> None:
    debian = machine("ready")
    debian.run([WIZARD, "status"])
    debian.run("useradd -m alice; echo alice:Old-1 | chpasswd")
    killed_when(debian, "Setting up sasl2-bin")
    work(debian)
    done = debian.run(f"{WIZARD} {way} </dev/null", check=False, timeout=600)
    assert lost(debian) == [], done.stdout[-2000:] + done.stderr
    if "finish" in way:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        kept = wizard(debian, "rollback", "--all", "--yes", "--on-conflict=keep")
        assert kept.returncode == 0, kept.stdout[-3000:] + kept.stderr
    else:  # files that our packages made, and that he has changed since, are his to decide on
        assert done.returncode == 1, done.stdout[-3000:] + done.stderr
        assert "/etc/mail/access stays as it is where you have changed the same" in done.stderr
        assert debian.run(f"{WIZARD} recover --accept", check=False).returncode == 0
        assert debian.run(f"{WIZARD} recover", check=False).stdout.startswith("No run was interrupted")
    assert lost(debian) == []
    assert "smm" not in ours_left(debian)
    assert "installed" not in ours_left(debian)


@pytest.mark.full
@pytest.mark.parametrize("all_of_it", [False, True], ids=["apt", "all"])
def test_apt_ended_in_the_middle(machine: BootMachine, all_of_it: bool) -> None:
    """`dpkg --configure -a`, by us or by the admin, does the rest of its work, and what that makes goes with the packages."""
    debian = machine("ready")
    debian.run([WIZARD, "status"])
    debian.run(
        f"setsid {WIZARD} apply --yes >/root/apply.log 2>&1 & pid=$!\n"
        "until grep -q 'Unpacking sendmail-bin' /root/apply.log; do sleep 0.02; done\n"
        f"{'kill -KILL $pid; ' if all_of_it else ''}pkill -KILL -x apt-get; pkill -KILL -x dpkg; wait $pid\n"
        "while pgrep -x 'apt-get|dpkg' >/dev/null; do sleep 0.02; done",
        timeout=600,
    )
    if all_of_it:
        debian.run("dpkg --configure -a", env={"DEBIAN_FRONTEND": "noninteractive"})
        wizard(debian, "recover", check=True)
    assert ours_left(debian) == "", debian.read("/root/apply.log").decode()[-3000:]


def test_work_while_apt_fails(machine: BootMachine) -> None:
    """Nothing is killed: a hook of apt's fails at the end, and the step is undone at once."""
    debian = machine("ready")
    debian.run([WIZARD, "status"])
    debian.run("useradd -m alice; echo alice:Old-1 | chpasswd")
    hook = 'DPkg::Post-Invoke {"[ -e /run/hook ] || { touch /run/hook; while [ ! -e /run/on ]; do sleep 0.1; done; false; }";};'
    debian.put("/etc/apt/apt.conf.d/99hook", hook + "\n")
    debian.run(
        f"setsid {WIZARD} apply --yes >/root/apply.log 2>&1 & pid=$!\n"
        f"while [ ! -e /run/hook ]; do sleep 0.05; done\n({WORK}{MAIL_WORK})\n"
        "touch /run/on; wait $pid; true",
        timeout=600,
    )
    assert lost(debian) == [], debian.read("/root/apply.log").decode()[-3000:]
    assert "installed" not in ours_left(debian)


FAILS_ONCE = 'DPkg::Post-Invoke {"[ -e /run/hook ] || { touch /run/hook; false; }";};'
BESIDE_THE_PURGE = r"""
n=0
while kill -0 $pid 2>/dev/null; do
    n=$((n+1))
    echo "# mine $n" >> /etc/mail/access && echo $n >> /root/appended
    sed -i "1 i dnl # saved $n" /etc/mail/sendmail.mc && echo $n >> /root/saved
    echo $n > /etc/mail/mine-$n && echo $n >> /root/new
    sleep 0.1
done
"""
NOT_THERE = r"""
for n in $(cat /root/appended); do grep -qx "# mine $n" /etc/mail/access || echo "access $n"; done
for n in $(cat /root/saved); do grep -qx "dnl # saved $n" /etc/mail/sendmail.mc || echo "sendmail.mc $n"; done
for n in $(cat /root/new); do grep -qx $n /etc/mail/mine-$n || echo "mine-$n"; done
"""


@pytest.mark.default_on("forky")
@pytest.mark.parametrize(
    "way", ["rollback --all --on-conflict=keep", pytest.param("apply", marks=pytest.mark.full)]
)
def test_work_while_packages_go(machine: BootMachine, way: str) -> None:
    """Lines appended, files saved by renaming, and new ones, in the folder that apt purges at that very moment: in a
    rollback, and in the undo of a step whose apt fails at its end."""
    debian = machine("ready")
    work = BESIDE_THE_PURGE
    if (
        way == "apply"
    ):  # before apt has failed Debian's own scripts edit sendmail.mc, and lose what is saved beside them
        debian.put("/etc/apt/apt.conf.d/99hook", f"{FAILS_ONCE}\n")
        work = f"while kill -0 $pid && [ ! -e /run/hook ]; do sleep 0.01; done\n{work}"
    else:
        apply(debian)
    debian.run(f"setsid {WIZARD} {way} --yes >/root/log 2>&1 & pid=$!\n{work}", timeout=600)
    told = debian.read("/root/log").decode()
    assert debian.run(NOT_THERE, check=False).stdout == "", told[-3000:]
    assert int(debian.run("wc -l < /root/appended").stdout) > 10
    assert "installed" not in ours_left(debian), told[-3000:]


def killed_while_packages_go(debian: Machine, command: str) -> None:
    """The command killed in its purge, which apt ends by itself, while somebody writes into the folder that goes."""
    work = BESIDE_THE_PURGE.replace("kill -0 $pid 2>/dev/null", "[ ! -e /run/over ]")
    debian.run(
        f"setsid {WIZARD} {command} </dev/null >/root/log 2>&1 & pid=$!\n"
        "(until grep -q 'Removing sendmail-bin' /root/log; do sleep 0.02; done; kill -KILL $pid\n"
        f"while pgrep -x 'apt-get|dpkg' >/dev/null; do sleep 0.1; done; touch /run/over) &\n{work}",
        timeout=600,
    )


@pytest.mark.default_on("bookworm")
@pytest.mark.parametrize("way", ["recover --finish", pytest.param("recover", marks=pytest.mark.full)])
def test_work_while_packages_go_in_a_rollback_that_is_killed(machine: BootMachine, way: str) -> None:
    """apt ends by itself, and takes along what is written meanwhile; nobody of ours looks any more."""
    debian = machine("ready")
    apply(debian)
    killed_while_packages_go(debian, "rollback --all --yes --on-conflict=keep")
    assert debian.run("ls /etc/mail/access", check=False).returncode == 0, "somebody went on writing"
    ended = debian.run(f"{WIZARD} {way} </dev/null", check=False, timeout=600)
    output = ended.stdout[-3000:] + ended.stderr
    assert ended.returncode == 0, output
    assert debian.run(NOT_THERE, check=False).stdout == "", output
    assert int(debian.run("wc -l < /root/appended").stdout) > 10
    assert ("installed" in ours_left(debian)) == (way == "recover"), output


@pytest.mark.full
@pytest.mark.parametrize("way", ["recover", "recover --finish"])
def test_work_while_packages_go_in_a_recovery_that_is_killed(machine: BootMachine, way: str) -> None:
    """The first one purges what the killed step had brought; the second one finds what that took along."""
    debian = machine("ready")
    debian.run([WIZARD, "status"])
    killed_when(debian, "Setting up sasl2-bin")
    killed_while_packages_go(debian, "recover")
    ended = debian.run(f"{WIZARD} {way} </dev/null", check=False, timeout=600)
    output = ended.stdout[-3000:] + ended.stderr
    assert debian.run(NOT_THERE, check=False).stdout == "", output
    assert int(debian.run("wc -l < /root/appended").stdout) > 10
    assert ("installed" in ours_left(debian)) == ("finish" in way), output


EDITS_AFTER_A_SIMULATION = """#!/bin/sh
case " $* " in
*" -s "*)
    /usr/bin/apt-get.real "$@"
    code=$? n=$(($(cat /root/edits) + 1))
    if [ -e /etc/mail/access ]; then
        echo "# late $n" >>/etc/mail/access
        sed -i "1 i dnl # late $n" /etc/mail/sendmail.mc
        echo $n >/etc/mail/late-$n
        echo $n >/root/edits
    fi
    exit $code
    ;;
esac
exec /usr/bin/apt-get.real "$@"
"""
LATE_AND_LOST = r"""
for n in $(seq $(cat /root/edits)); do
    grep -qx "# late $n" /etc/mail/access || echo "access $n"
    grep -qx "dnl # late $n" /etc/mail/sendmail.mc || echo "sendmail.mc $n"
    grep -qx $n /etc/mail/late-$n || echo "late-$n"
done
"""


@pytest.mark.default_on("bookworm")
@pytest.mark.parametrize(
    "way", [pytest.param("rollback --all --on-conflict=keep", marks=pytest.mark.full), "apply"]
)
def test_work_in_the_last_moment_before_packages_go(machine: BootMachine, way: str) -> None:
    """apt simulates what it is going to purge; then somebody edits, and nobody writes to these files any more."""
    debian = machine("ready")
    debian.run("echo 0 >/root/edits; mv /usr/bin/apt-get /usr/bin/apt-get.real")
    debian.put("/usr/bin/apt-get", EDITS_AFTER_A_SIMULATION.encode(), 0o755)
    if way == "apply":
        debian.put("/etc/apt/apt.conf.d/99hook", f"{FAILS_ONCE}\n")
    else:
        apply(debian)
    ended = wizard(debian, *way.split(), "--yes")
    assert debian.run(LATE_AND_LOST, check=False).stdout == "", ended.stdout + ended.stderr
    assert int(debian.read("/root/edits")) >= 1
    assert "installed" not in ours_left(debian), ended.stdout


@pytest.mark.default_on("forky")
def test_work_after_a_kill_in_sendmailconfig(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run([WIZARD, "status"])
    debian.run("useradd -m alice; echo alice:Old-1 | chpasswd")
    killed_when(debian, "Configure sendmail with")
    work(debian)
    done = debian.run(f"{WIZARD} recover </dev/null", check=False, timeout=600)
    assert lost(debian) == [], done.stdout[-2000:] + done.stderr
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


@pytest.mark.default_on("bookworm")
def test_work_while_the_restart_is_watched(machine: BootMachine) -> None:
    """A step without a file of its own: days later its rollback takes nobody's password back."""
    debian = machine("mail")
    debian.run([WIZARD, "status"])
    debian.run("useradd -m alice; echo alice:Old-1 | chpasswd")
    debian.run(
        f"setsid {WIZARD} apply --yes --watch-restart 10 >/root/apply.log 2>&1 & pid=$!\n"
        f"while ! grep -q 'watching port' /root/apply.log; do sleep 0.1; done\n({WORK}{MAIL_WORK})\n"
        "wait $pid",
        timeout=600,
    )
    assert wizard(debian, "rollback", "restart", "--yes").returncode == 0
    assert lost(debian) == []


@pytest.mark.parametrize(
    "pause",
    [pytest.param("1", marks=pytest.mark.full), "0.02"],
    ids=["a-line-a-second", "fifty-lines-a-second"],
)
@pytest.mark.default_on("forky")
def test_lines_that_come_while_the_file_is_edited(machine: BootMachine, pause: str) -> None:
    debian = machine("mail")
    debian.run([WIZARD, "status"])
    there = "grep -c '^dnl # mine' /etc/mail/sendmail.mc"
    debian.run(
        f"setsid {WIZARD} apply --yes >/root/apply.log 2>&1 & pid=$!; n=0\n"
        'while kill -0 $pid 2>/dev/null; do n=$((n+1)); echo "dnl # mine $n" >> /etc/mail/sendmail.mc; '
        f"sleep {pause}; done; echo $n > /root/written",
        timeout=600,
    )
    written = debian.read("/root/written").decode().strip()
    assert debian.run(there).stdout.strip() == written, debian.read("/root/apply.log").decode()[-3000:]
    wizard(debian, "rollback", "--all", "--yes", "--on-conflict=keep")
    assert debian.run(there).stdout.strip() == written


@pytest.mark.default_on("bookworm")
def test_ordinary_account_work_is_no_conflict(machine: BootMachine) -> None:
    debian = machine("ready")
    debian.run("useradd -m alice; echo alice:Old-1 | chpasswd")
    apply(debian)
    work(debian, mail=False)
    done = wizard(debian, "rollback", "--all", "--yes")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert lost(debian) == []
    assert "smm" not in ours_left(debian)


POINTS = 40
"""Kills in the full run, on both releases together."""
CHUNKS = 10


def killed_with_work(machine: BootMachine, total: int, number: int) -> bool:
    """Somebody works while `apply` does, it is killed at one of its operations, he works on, then `recover`: nothing of
    his is lost, and of ours nothing is left. Returns whether it was killed."""
    debian = machine("ready")
    debian.run([WIZARD, "status"])
    debian.run("useradd -m alice; echo alice:Old-1 | chpasswd")
    debian.run(f"(sleep {8 * number / total:.1f}\n{WORK}) >/dev/null 2>&1 & echo")
    name = kill_at(debian, number, "apply", "--yes")
    debian.run(
        "for i in $(seq 600); do [ -e /root/alice.shadow ] && break; sleep 0.1; done; "
        f"while pgrep -x 'apt-get|dpkg' >/dev/null; do sleep 0.2; done\n{MAIL_WORK}",
        timeout=400,
    )
    done = debian.run(f"{WIZARD} recover </dev/null", check=False, timeout=600)
    assert lost(debian) == [], (number, name, done.stdout[-2000:] + done.stderr)
    if name is None or "No run was interrupted" in done.stdout:
        return False
    assert done.returncode in (0, 1), (number, name, done.stdout[-2000:] + done.stderr)
    if done.returncode:
        assert "stays as it is where you have changed the same" in done.stderr, (number, name, done.stderr)
        assert debian.run([WIZARD, "recover", "--accept"], check=False).returncode == 0
    assert "smm" not in ours_left(debian), (number, name)
    assert "installed" not in ours_left(debian), (number, name)
    assert lost(debian) == [], (number, name)
    return True


def moments(machine: BootMachine) -> int:
    """How many operations `apply` has."""
    names, done = operations(machine("ready"), "apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    return len(names)


@pytest.mark.full
def test_a_run_killed_in_the_middle_of_somebodys_work(machine: BootMachine) -> None:
    total = moments(machine)
    assert killed_with_work(machine, total, total // 3)


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_run_killed_anywhere_with_somebody_at_work(machine: BootMachine, chunk: int) -> None:
    total, each = moments(machine), POINTS // 2 // CHUNKS
    numbers = [1 + (total - 1) * (chunk * each + at) // (CHUNKS * each) for at in range(each)]
    killed = [killed_with_work(machine, total, number) for number in numbers]
    print(f"{len(killed)} moments tried, {sum(killed)} of them with a run to recover, 0 edits lost")
