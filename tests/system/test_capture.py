"""What Debian's commands write is told from what anybody else writes meanwhile, and generated files come back exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import PROJECT, Machine
from tests.system.msa import add_alice, apply, wizard
from tests.system.picture import differences, picture

TAKE_AWAY = """
for user in smmta smmsp; do gpasswd --delete $user sasl; done
rm -f /etc/mail/sasl/* /etc/mail/tls/* /usr/lib/sasl2/Sendmail.conf /usr/lib/sasl2/saslpasswd.conf /etc/mail/*.db
sed -i '1i dnl so that sendmail.cf is another one' /etc/mail/sendmail.mc
"""
"""So that each of the commands has something to make."""
UPDATE_AUTH = """#!/bin/sh -e
/usr/share/sendmail/update_auth
[ -e /root/somebody ] || exit 0
: >/run/your-turn
while [ -e /run/your-turn ]; do sleep 0.1; done
"""
"""With somebody's work on the account files at a moment between what it reads and what is written of it."""
SOMEBODY = """
: >/root/somebody
number=0
while [ ! -e /root/enough ]; do
  number=$((number+1))
  echo "Connect:somebody-$number.example REJECT" >>/etc/mail/access
  echo "somebody-$number: root" >>/etc/aliases
  echo "# somebody-$number" >>/etc/hosts
  echo x >/etc/mail/somebody-$number
  if [ -e /run/your-turn ]; then
    groupadd somebody-$number; gpasswd --add alice somebody-$number; useradd bob; rm /run/your-turn
  fi
  sleep 0.3
done
echo $number >/root/number
"""
"""Another admin at work, several times a second, until told that it is enough."""
RUN = f"""
python=$(echo /var/lib/msa-wizard/venv-*/bin/python)
PYTHONPATH={PROJECT} "$python" /root/capturing.py /root/journal
"""
MADE = {
    "/etc/group",
    "/etc/gshadow",
    "/etc/mail/sasl/sasl.m4",
    "/etc/mail/sasl/Sendmail.conf.2",
    "/usr/lib/sasl2/Sendmail.conf",
    "/etc/mail/tls/starttls.m4",
    "/etc/mail/tls/sendmail-common.key",
    "/etc/mail/tls/sendmail-server.crt",
    "/etc/mail/sendmail.cf",
    "/etc/mail/databases",
    "/etc/mail/Makefile",
}


def captured(debian: Machine) -> dict[str, Any]:
    """What the commands wrote, by their own account."""
    wizard(debian, "status")  # makes the program's own Python
    debian.run(TAKE_AWAY)
    debian.put("/root/update_auth", UPDATE_AUTH, 0o755)
    debian.put("/root/capturing.py", (Path(__file__).parent / "capturing.py").read_bytes())
    made: dict[str, Any] = json.loads(debian.run(RUN, timeout=300).stdout)
    return made


def new_lines(before: str | None, after: str | None) -> set[str]:
    """The lines of after that before has not."""
    return set((after or "").splitlines()) - set((before or "").splitlines())


def test_what_somebody_writes_meanwhile_is_not_the_commands_and_stays(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    wizard(debian, "status")
    debian.run(f"setsid sh -c '{SOMEBODY}' >/dev/null 2>&1 &")
    made = captured(debian)
    debian.run(": >/root/enough; while [ ! -e /root/number ]; do sleep 0.1; done")
    number = int(debian.read("/root/number"))
    assert number > 3
    paths = {path for _, path, _, _ in made["written"]}
    assert paths >= MADE, made
    assert not {
        path
        for path in paths
        if "somebody" in path or path in ("/etc/hosts", "/etc/mail/access", "/etc/aliases")
    }
    theirs = [
        (path, line)
        for _, path, before, after in made["written"]
        if not path.endswith(".db")
        for line in new_lines(before, after)
        if line.startswith("somebody")
    ]
    assert not theirs
    for path in ("/etc/mail/access", "/etc/aliases", "/etc/hosts"):
        text = debian.read(path).decode()
        assert [one for one in range(1, number + 1) if f"somebody-{one}" not in text] == [], path
    there = debian.run("ls /etc/mail").stdout.split()
    assert {f"somebody-{one}" for one in range(1, number + 1)} <= set(there)
    groups = debian.run("id -nG alice; id -nG smmta").stdout
    assert "somebody-" in groups
    assert "sasl" in groups
    debian.run("id bob; grep bob /etc/shadow")
    no_map_counts_as_made_of_lines_that_are_not_in_it(debian, number)


def no_map_counts_as_made_of_lines_that_are_not_in_it(debian: Machine, number: int) -> None:
    """Each line that somebody added while the maps were made is in them at sendmail's next start, at the latest."""
    debian.run(["systemctl", "restart", "sendmail"])
    mapped = debian.run("makemap -u hash /etc/mail/access").stdout.lower()
    assert [one for one in range(1, number + 1) if f"connect:somebody-{one}.example" not in mapped] == []
    mapped = debian.run("makemap -u hash /etc/mail/aliases").stdout
    assert [one for one in range(1, number + 1) if f"somebody-{one}" not in mapped] == []


@pytest.mark.on_both
def test_captured_files_are_those_that_the_commands_write_by_themselves(machine: BootMachine) -> None:
    """Kinds, modes, owners, links and contents, on two machines of the same image; keys and dates differ each time."""
    one, other = machine("mail"), machine("mail")
    captured(one)
    other.run(TAKE_AWAY)
    other.run(
        "/usr/share/sendmail/update_auth; /usr/share/sendmail/update_tls; yes '' | sendmailconfig --no-reload"
    )
    made, by_hand = (
        {**picture(debian, "/etc"), **picture(debian, "/usr/lib/sasl2")} for debian in (one, other)
    )
    dated = ("databases", "Makefile", ".cf", ".m4", ".db", ".crt", ".csr", ".key", ".prm", "cron.d/sendmail")
    found = [
        line
        for line in differences(by_hand, made)
        if not line.partition(":")[0].endswith((*dated, "/etc/sasldb2")) or not line.endswith(": content")
    ]
    assert [line for line in found if not line.startswith(("/etc/ssl/certs/", "/etc/.pwd.lock"))] == []


def test_without_mounts_the_command_writes_to_the_host_and_says_so(machine: BootMachine) -> None:
    """A container that may not mount: what the scripts make is told by its name, and nobody else's files are."""
    debian = machine("mail")
    add_alice(debian)
    debian.run("ln -sf /bin/false /usr/local/sbin/unshare")
    made = captured(debian)
    paths = {path for _, path, _, _ in made["written"]}
    assert any("gives no private view" in line for line in made["said"])
    assert paths >= MADE - {"/etc/passwd"}
    assert "/etc/mail/sendmail.mc" not in paths
    assert not {path for path in paths if "lock" in path}


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.full)], ids=["three", "twenty"])
def test_generated_files_come_back_exactly_each_time(machine: BootMachine, rounds: int) -> None:
    """A sendmail that was there and in use: applied and rolled back again and again, all of it and in part; and the
    starts of sendmail in between write none of it."""
    debian = machine("mail")
    debian.run(["systemctl", "start", "sendmail"])
    add_alice(debian)
    debian.run("echo 'Connect:203.0.113.9 REJECT' >>/etc/mail/access; make -C /etc/mail access.db")
    before = _etc(debian)
    for number in range(rounds):
        steps = () if number % 2 else ("sendmail-auth", "mc-includes", "submission-port")
        apply(debian, *steps)
        assert differences(before, _etc(debian))
        done = wizard(debian, "rollback", "--all", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert differences(before, _etc(debian)) == [], number
        debian.run(["systemctl", "restart", "sendmail"])
        assert differences(before, _etc(debian)) == [], f"{number}, after sendmail's start"


def test_a_map_is_made_again_where_its_source_keeps_a_line(machine: BootMachine) -> None:
    debian = machine("msa")
    debian.run("echo 'Connect:203.0.113.77 REJECT' >>/etc/mail/access; make -C /etc/mail access.db")
    done = wizard(debian, "rollback", "--all", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "203.0.113.77" in debian.run("makemap -u hash /etc/mail/access").stdout


def test_an_edit_that_waits_for_its_map_still_waits_for_it(machine: BootMachine) -> None:
    """Edited before the host was found, and no map made of it: the map that comes back does not hide that."""
    debian = machine("mail")
    debian.run(["systemctl", "start", "sendmail"])
    debian.run("echo 'Connect:203.0.113.78 REJECT' >>/etc/mail/access")
    before = _etc(debian)
    apply(debian)
    done = wizard(debian, "rollback", "--all", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert differences(before, _etc(debian)) == []
    debian.run("make -C /etc/mail")
    assert "203.0.113.78" in debian.run("makemap -u hash /etc/mail/access").stdout


def _etc(debian: Machine) -> dict[str, Any]:
    return {**picture(debian, "/etc"), **picture(debian, "/usr/lib/sasl2")}
