"""Somebody else's apt at the same time as ours, or since: what he installed, marked or needs by now is his, and stays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import WIZARD, add_alice, apply, wizard
from tests.system.picture import differences, picture

APT = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq"
DEPENDS = {"swaks": "perl", "needs-m4": "m4", "needs-sasl": "sasl2-bin", "needs-mta": "mail-transport-agent"}
"""Small packages of somebody else's, and what they need."""


def packages(debian: Machine) -> dict[str, Any]:
    """What apt and dpkg have: packages, marks, overrides, and the mode that sendmail's scripts change."""
    return {
        "here": set(
            debian.run("dpkg-query -W -f '${Package} ${db:Status-Status}\\n' | sed 's/:.* / /'").stdout.split(
                "\n"
            )
        ),
        "auto": set(debian.run(["apt-mark", "showauto"]).stdout.split()),
        "overrides": set(debian.read("/var/lib/dpkg/statoverride").decode().splitlines()),
        "mode": debian.run(["stat", "-c", "%a", "/var/mail"]).stdout,
    }


def more(debian: Machine, before: dict[str, Any]) -> set[str]:
    """The packages that have come since `before`, where nothing else of apt's and dpkg's is different."""
    now = packages(debian)
    assert now["here"] >= before["here"]
    assert now["auto"] >= before["auto"]
    assert now["mode"] == before["mode"]
    assert debian.run("dpkg --audit; apt-get check >/dev/null").stdout == ""
    return {line.removesuffix(" installed") for line in now["here"] - before["here"]}


def with_others(machine: BootMachine) -> Machine:
    """A bare machine with somebody's small packages in /opt."""
    debian = machine("ready")
    for name, needs in DEPENDS.items():
        about = (
            f"Version: 1\nArchitecture: all\nMaintainer: a <a@example.test>\nDepends: {needs}\nDescription: x"
        )
        debian.put(f"/opt/{name}/DEBIAN/control", f"Package: {name}\n{about}\n")
        debian.run(["dpkg-deb", "-b", f"/opt/{name}", "/opt"])
        debian.run(f"mv /opt/{name}_*.deb /opt/{name}.deb")
    debian.run([WIZARD, "status"])
    return debian


def rolled_back(debian: Machine) -> list[str]:
    """`rollback --all`: what it says is left."""
    done = wizard(debian, "rollback", "--all", "--yes")
    left = [line.strip() for line in done.stderr.splitlines() if line.startswith("  left: ")]
    assert done.returncode == bool(left), done.stdout[-3000:] + done.stderr
    return [line.removeprefix("left: ") for line in left]


def test_what_somebody_installs_while_ours_waits_is_his(machine: BootMachine) -> None:
    """His apt holds the lock when ours begins; and of what ours brought he needs, or wants, some since."""
    debian = with_others(machine)
    before = packages(debian)
    debian.run(
        f"{APT} -o DPkg::Pre-Invoke::='touch /run/his; sleep 6' /opt/swaks.deb >/dev/null 2>&1 & "
        f"while [ ! -e /run/his ]; do sleep 0.1; done; {WIZARD} apply --yes >/root/out 2>&1; wait",
        timeout=600,
    )
    assert rolled_back(debian) == []
    assert more(debian, before) == {"swaks"}
    assert packages(debian)["overrides"] == before["overrides"]

    apply(debian)
    debian.run(f"apt-mark manual make; {APT} /opt/needs-m4.deb; {APT} /opt/needs-sasl.deb")
    assert set(rolled_back(debian)) == {
        "make stays, since it was marked manual",
        "m4 stays, since needs-m4 needs it",
        "sasl2-bin stays, since needs-sasl needs it",
        "db-util stays, since sasl2-bin needs it",
        "db5.3-util stays, since db-util needs it",
    }
    his = {"swaks", "make", "needs-m4", "m4", "needs-sasl", "sasl2-bin", "db-util", "db5.3-util"}
    assert more(debian, before) == his
    assert debian.run("dpkg -V sasl2-bin | grep -v '^missing *c'", check=False).stdout == ""


def test_killed_in_install_and_then_somebody_works(machine: BootMachine) -> None:
    debian = with_others(machine)
    before = packages(debian)
    debian.run(
        f"setsid {WIZARD} apply --yes >/root/out 2>&1 & until grep -q 'Setting up sasl2-bin' /root/out; do sleep 0.05; done; "
        "kill -KILL $!; while pgrep -x apt-get >/dev/null; do sleep 0.2; done",
        check=False,
    )
    debian.run(f"{APT} /opt/swaks.deb; {APT} /opt/needs-m4.deb; apt-mark manual make")
    debian.run("dpkg-statoverride --add root root 700 /usr/bin/m4")
    done = wizard(debian, "recover")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert more(debian, before) == {"swaks", "needs-m4", "m4", "make"}
    assert packages(debian)["overrides"] - before["overrides"] == {"root root 700 /usr/bin/m4"}
    assert "m4 stays, since needs-m4 needs it" in done.stdout


@pytest.mark.full
def test_killed_while_it_waits_for_somebody(machine: BootMachine) -> None:
    """Nothing is ours then, whatever he installed: the very same packages."""
    debian = with_others(machine)
    debian.run(
        f"{APT} -o DPkg::Pre-Invoke::='touch /run/his; sleep 8' sendmail-bin sasl2-bin >/root/his 2>&1 & "
        f"while [ ! -e /run/his ]; do sleep 0.1; done; setsid {WIZARD} apply --yes >/root/out 2>&1 & ours=$!; "
        "until pgrep -f MSA-[W]izard::Transaction; do sleep 0.1; done; "
        "kill -KILL $ours $(pgrep -f MSA-[W]izard::Transaction); wait",
        check=False,
    )
    before = packages(debian)
    assert "sasl2-bin installed" in before["here"]
    assert wizard(debian, "recover").returncode == 0
    assert packages(debian) == before


@pytest.mark.full
def test_the_mail_server_of_before_comes_back_unless_there_is_another(machine: BootMachine) -> None:
    debian = with_others(machine)
    debian.run(f"{APT} exim4-daemon-light bsd-mailx; {APT} /opt/needs-mta.deb", timeout=300)
    before = packages(debian)
    apply(debian, "--replace-mta")
    assert rolled_back(debian) == []
    assert packages(debian) == before

    apply(debian, "--replace-mta")
    debian.run(f"{APT} postfix", timeout=300)
    done = wizard(debian, "rollback", "--all", "--yes", "--on-conflict=restore")
    assert "exim4-daemon-light does not come back, since postfix would have to go" in done.stdout, done.stdout
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr
    now = {line.removesuffix(" installed") for line in packages(debian)["here"]}
    assert "postfix" in now
    assert not {"sendmail-bin", "sendmail-base", "sasl2-bin", "exim4-daemon-light"} & now
    assert debian.run("apt-get check >/dev/null; dpkg --audit").stdout == ""


@pytest.mark.full
def test_a_postfix_in_use_comes_back_and_delivers(machine: BootMachine) -> None:
    """sendmail's scripts move its aliases' map away, without which it defers all local mail; dpkg removes its empty folders."""
    debian = machine("ready")
    add_alice(debian)
    debian.run(
        f"{APT} postfix && postconf -e relayhost=[192.0.2.1] && systemctl restart postfix", timeout=300
    )
    debian.run(
        "printf 'Subject: one\\n\\none\\n' | sendmail -i alice; sendmail -i far@elsewhere.example </dev/null"
    )
    debian.run("for i in $(seq 60); do grep -q one /var/mail/alice && exit 0; sleep 0.5; done; exit 1")
    before = picture(debian, "/etc")
    apply(debian, "--replace-mta")
    assert rolled_back(debian) == []
    assert differences(before, picture(debian, "/etc")) == []
    debian.run("printf 'Subject: two\\n\\ntwo\\n' | sendmail -i alice")
    debian.run("for i in $(seq 60); do grep -q two /var/mail/alice && exit 0; sleep 0.5; done; exit 1")
    assert "far@elsewhere.example" in debian.run("postqueue -p").stdout
