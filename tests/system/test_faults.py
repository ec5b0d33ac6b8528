"""A run that is cut short, a disk that is full, a daemon that does not come up: nothing is left half-made."""

from __future__ import annotations

import json

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import STORE, WIZARD, add_alice, apply, history, listening, login, wizard


def states(debian: Machine) -> dict[str, str]:
    """Each step's state."""
    return {
        item["step"]: item["state"] for item in json.loads(wizard(debian, "status", "--json").stdout)["steps"]
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("TERM", 143),
        pytest.param("HUP", 129, marks=pytest.mark.full),
        pytest.param("INT", 130, marks=pytest.mark.full),
    ],
)
def test_a_signal_finishes_or_undoes_the_step_in_hand(machine: BootMachine, name: str, code: int) -> None:
    debian = machine("mail")
    add_alice(debian)
    done = debian.run(
        f"{WIZARD} apply --yes > out 2> err & until grep -q 'recorded as' out; do sleep 0.05; done; kill -{name} $!; wait $!; echo $?; cat err; pgrep -c sendmailconfig",
        check=False,
    ).stdout.split("\n")
    assert int(done[0]) == code, done
    assert debian.run(["git", "--git-dir", STORE, "fsck", "--strict"]).returncode == 0
    # What is recorded is there, and what is not recorded is not: nothing differs from the last commit.
    recorded = {item["step"] for item in history(debian) if item["operation"] == "apply"}
    assert recorded
    before = len(history(debian))
    apply(debian)
    operations = [item["operation"] for item in history(debian)[: len(history(debian)) - before]]
    assert "drift" not in operations
    assert login(debian)["ok"]


def test_a_reader_that_goes_away_does_not_stop_the_run(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run(f"{WIZARD} apply --yes | head -3", timeout=300)
    after = states(debian)
    assert after.pop("auth-test") == "untested"
    assert set(after.values()) <= {"applied", "done", "not-applicable"}


def test_a_full_etc(machine: BootMachine) -> None:
    """/etc on a small file system without room: the step fails by name, and /etc is as it was."""
    debian = machine("mail")
    debian.run(["systemctl", "start", "sendmail"])
    debian.run(
        "cp -a /etc /tmp/etc && mount -t tmpfs -o size=6M tmpfs /etc && cp -a /tmp/etc/. /etc && (cat /dev/zero > /etc/ballast; true)"
    )
    tree = "find /etc -xdev ! -name ballast -type f -exec md5sum {} + | sort"
    before = debian.run(tree).stdout
    done = wizard(debian, "apply", "--yes")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr, done.stderr
    assert "failed" in done.stderr
    assert debian.run(tree).stdout == before
    assert {"127.0.0.1:25", "127.0.0.1:587"} <= listening(debian)
    debian.run("rm /etc/ballast")
    apply(debian)


def test_a_full_store(machine: BootMachine) -> None:
    """No room for the history: nothing is changed without one."""
    debian = machine("mail")
    apply(debian, "saslauthd-config", "saslauthd-start")
    debian.run(
        "cp -a /var/lib/msa-wizard/etc.git /root/s && mount -t tmpfs -o size=3M,mode=700 tmpfs /var/lib/msa-wizard/etc.git "
        "&& cp -a /root/s/. /var/lib/msa-wizard/etc.git && (cat /dev/zero > /var/lib/msa-wizard/etc.git/ballast; true)"
    )
    before = debian.read("/etc/mail/sasl/Sendmail.conf.2")
    done = wizard(debian, "apply", "--yes")
    assert done.returncode == 1, done.stdout[-2000:]
    assert "space" in done.stderr.lower(), done.stderr
    assert debian.read("/etc/mail/sasl/Sendmail.conf.2") == before
    debian.run("rm /var/lib/msa-wizard/etc.git/ballast")
    apply(debian)
    assert debian.run(["git", "--git-dir", STORE, "fsck", "--strict"]).returncode == 0


def include(debian: Machine, text: str) -> None:
    """Have sendmail.mc include a file of the admin's own with `text`."""
    debian.run(["systemctl", "start", "sendmail"])
    debian.put("/etc/mail/extra.m4", text)
    debian.put("/root/line", "include(`/etc/mail/extra.m4')dnl\n")
    debian.run("sed -i '/^MAILER_DEFINITIONS/{e cat /root/line\n}' /etc/mail/sendmail.mc")


def test_a_daemon_that_does_not_come_up_gets_its_old_configuration_back(machine: BootMachine) -> None:
    """A name whose address is not here, out of an included file: m4 and -bC accept it, and sendmail would end 45 s later.
    The log says so at once; the old sendmail.cf comes back, and the MTA with it."""
    debian = machine("mail")
    old = debian.read("/etc/mail/sendmail.cf")
    debian.run("echo 203.0.113.9 elsewhere.example.test >> /etc/hosts")
    include(debian, "DAEMON_OPTIONS(`Family=inet, Name=X, Port=2525, Addr=elsewhere.example.test')dnl\n")
    done = wizard(debian, "apply", "--yes", timeout=400)
    assert done.returncode == 1, done.stdout[-3000:]
    assert "step restart failed" in done.stderr
    assert "/etc/mail/sendmail.cf (as before)" in done.stderr
    assert debian.read("/etc/mail/sendmail.cf") == old
    assert {"127.0.0.1:25", "127.0.0.1:587"} <= listening(debian)
    assert history(debian)[0]["operation"] == "rollback"
    assert states(debian)["sendmailconfig"] == "pending"


def test_listeners_that_collide_out_of_an_included_file(machine: BootMachine) -> None:
    """Trap 2, seen in what m4 makes of it all."""
    debian = machine("mail")
    include(debian, "DAEMON_OPTIONS(`Family=inet6, Name=X, Port=submission, M=Ea')dnl\n")
    done = wizard(debian, "apply", "--yes")
    assert done.returncode == 3
    assert "45 s after its start" in " ".join(done.stderr.split()), done.stderr
    assert {"127.0.0.1:25", "127.0.0.1:587"} <= listening(debian)


@pytest.mark.full
def test_a_lock_that_is_not_given_up_is_named(machine: BootMachine) -> None:
    debian = machine("ready")
    holder = "import fcntl,time; f=open('/var/lib/dpkg/lock-frontend','w'); fcntl.lockf(f,fcntl.LOCK_EX); time.sleep(200)"
    debian.run(f'python3 -c "{holder}" >/dev/null 2>&1 &')
    debian.run(["sleep", "0.5"])
    done = wizard(debian, "apply", "--yes", "preflight", "install", timeout=300)
    assert done.returncode == 1
    assert "holds apt's lock" in done.stderr
    assert "python3" in done.stderr
