"""Who may log in, with the real PAM, saslauthd and sendmail, and a client on another machine."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.killing.in_machine import kill_at, operations
from tests.killing.operations import spread
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import history, wizard
from tests.system.rehearsing import rehearsed, shortly
from tests.system.test_password_sources import logged_in
from tests.system.test_troubleshoot import short, troubleshoot

SMTP = "/etc/pam.d/smtp"
SECRETS = {"root": "R00t-of-all-77", "daemond": "No-man-88", "bob": "Bob-s-own-99", "alice": "Alice-s-66"}
ACCOUNTS = (
    "useradd --system --shell /bin/sh daemond; useradd bob; groupadd mailers; usermod -aG mailers alice\n"
    "useradd --no-user-group --gid mailers carol; echo carol:{bob} | chpasswd\n"
    "printf 'root:{root}\\ndaemond:{daemond}\\nbob:{bob}\\nalice:{alice}\\n' | chpasswd\n"
)
USERS = ("--set", "login.policy=no-system-accounts")
MEMBERS = ("--set", "login.policy=groups", "--set", "login.groups=mailers")
MAY_END = ("--accept", "logins-refused")
OUTSIDE = """
import smtplib, ssl, sys
server = smtplib.SMTP("198.51.100.1", 587, timeout=60)
server.starttls(context=ssl._create_unverified_context())
server.ehlo()
server.user, server.password = sys.argv[1], sys.stdin.readline().rstrip("\\n")
try:
    print(server.auth("LOGIN", server.auth_login)[0])
except smtplib.SMTPAuthenticationError as problem:
    print(problem.smtp_code)
"""


def with_accounts(machine: BootMachine) -> Machine:
    """A machine with an MSA, on which everybody has a password."""
    debian = machine("msa")
    debian.run(ACCOUNTS.format(**SECRETS))
    return debian


def may(debian: Machine, *users: str) -> dict[str, bool]:
    """Whether each gets in with the right password, from the machine itself."""
    return {
        user: logged_in(debian, "LOGIN", user, SECRETS.get(user, SECRETS["bob"])).startswith("235")
        for user in users
    }


def from_outside(debian: Machine, user: str) -> int:
    done = debian.client().run(["python3", "-c", OUTSIDE, user], input=SECRETS[user] + "\n")
    return int(done.stdout)


def applied(debian: Machine, *arguments: str) -> Any:
    return wizard(debian, "apply", "login-policy", "--yes", *arguments)


def state(debian: Machine, *arguments: str) -> dict[str, Any]:
    rows = json.loads(wizard(debian, "status", "--json", *arguments).stdout)["steps"]
    row: dict[str, Any] = next(row for row in rows if row["step"] == "login-policy")
    return row


def test_root_and_system_accounts_get_in_no_more_and_all_is_taken_back(machine: BootMachine) -> None:
    debian = with_accounts(machine)
    before = debian.read(SMTP)
    assert state(debian)["state"] == "not-applicable"
    assert from_outside(debian, "root") == 235, "as in the howto"
    assert may(debian, "daemond", "alice") == {"daemond": True, "alice": True}

    refused = applied(debian, *USERS)
    assert refused.returncode == 4, refused.stderr
    assert re.search(r"\| root, last login: 20", refused.stderr)
    assert "daemond, last login" in refused.stderr
    assert "alice, last login" not in refused.stderr
    assert debian.read(SMTP) == before

    done = applied(debian, *USERS, *MAY_END)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\[ok\] +PAM refuses .*root", done.stdout)
    assert re.search(r"\[ok\] +PAM lets .*alice", done.stdout)
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS.values())
    assert from_outside(debian, "root") == 535, "also where saslauthd remembered it (-c)"
    assert from_outside(debian, "alice") == 235
    assert may(debian, "daemond", "bob") == {"daemond": False, "bob": True}
    assert state(debian, *USERS)["state"] == "applied"
    assert "Nothing to do" in applied(debian, *USERS).stdout
    assert state(debian)["state"] == "applied", "what is not asked for any more is not taken back unasked"
    assert debian.read(SMTP) != before

    policy = debian.read(SMTP)
    debian.run(f"sed -i 's/uid >= 1000/uid >= 0/' {SMTP}")
    assert state(debian, *USERS)["state"] == "drifted"
    assert applied(debian, *USERS).returncode == 4, "root may log in again so, and did lately"
    debian.put(SMTP, policy + b"# mine\n")
    back = wizard(debian, "rollback", "login-policy", "--yes")
    assert back.returncode == 0, back.stderr
    assert debian.read(SMTP) == before + b"# mine\n"
    debian.put(SMTP, before)
    assert from_outside(debian, "root") == 235


def test_only_members_of_groups_get_in(machine: BootMachine) -> None:
    """By the group of /etc/group, and by the account's own group."""
    debian = with_accounts(machine)
    debian.run("useradd --gid mailers --expiredate 1 gone")
    before = debian.read(SMTP)
    unknown = applied(debian, "--set", "login.policy=groups", "--set", "login.groups=mailers,nosuchgroup")
    assert unknown.returncode == 3
    assert "there is no group nosuchgroup" in unknown.stderr
    assert debian.read(SMTP) == before
    done = applied(debian, *MEMBERS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\[warn\] +the policy lets gone in, but PAM refuses for another", done.stdout)
    assert may(debian, "alice", "carol", "bob", "root") == {
        "alice": True,
        "carol": True,
        "bob": False,
        "root": False,
    }
    debian.run("usermod -aG mailers bob")
    assert may(debian, "bob") == {"bob": True}, "from then on"
    debian.run("echo 'domain users:x:3077:bob' >>/etc/group")
    done = applied(debian, *MEMBERS[:3], "login.groups=domain users,nogroup", *MAY_END)
    assert done.returncode == 0, done.stdout + done.stderr
    assert may(debian, "bob", "carol") == {"bob": True, "carol": False}, "a name with a blank"

    # Another policy takes the place of this one: who was refused before loses nothing.
    assert "logins-refused" not in wizard(debian, "plan", "login-policy", *USERS).stdout
    assert applied(debian, *USERS).returncode == 0
    assert may(debian, "bob", "root") == {"bob": True, "root": False}
    assert [item["step"] for item in history(debian)][:2] != [], "each is a commit"
    back = wizard(debian, "rollback", "--all", "--yes")
    assert back.returncode == 0, back.stderr
    assert debian.read(SMTP) == before


@pytest.mark.full
def test_a_stack_that_says_no_by_nothing_else_lets_nobody_in_for_the_policy(machine: BootMachine) -> None:
    """`sufficient` lines alone: a policy's line that counted as a success would take any password."""
    debian = with_accounts(machine)
    debian.put(SMTP, "auth sufficient pam_unix.so\naccount sufficient pam_unix.so\n")
    for choice in (USERS, MEMBERS):
        done = applied(debian, *choice, *MAY_END)
        assert done.returncode == 0, done.stdout + done.stderr
        assert may(debian, "alice", "root") == {"alice": True, "root": False}
        assert not logged_in(debian, "LOGIN", "alice", "wrong").startswith("235")
        assert not logged_in(debian, "LOGIN", "no-such-user", "wrong").startswith("235")
        debian.put(SMTP, "auth sufficient pam_unix.so\naccount sufficient pam_unix.so\n")


@pytest.mark.full
def test_a_right_password_of_root_is_answered_as_late_as_a_wrong_one(machine: BootMachine) -> None:
    """By `account` alone it would be answered at once, and tell the guesser."""
    debian = with_accounts(machine)
    assert applied(debian, *USERS).returncode == 0
    script = (
        "import socket, struct, sys, time\n"
        "door = socket.socket(socket.AF_UNIX); door.connect('/run/saslauthd/mux')\n"
        "words = [b'root', sys.stdin.readline().strip().encode(), b'smtp', b'']\n"
        "door.sendall(b''.join(struct.pack('!H', len(word)) + word for word in words))\n"
        "began = time.time(); door.recv(4000); print(time.time() - began)\n"
    )
    for password in (SECRETS["root"], "wrong"):
        assert float(debian.run(["python3", "-c", script], input=password + "\n").stdout) > 1.0


INCLUDED = "/etc/pam.d/common-account"
FAULTS: dict[str, tuple[str, str, tuple[str, ...], int, str]] = {
    "unknown group": (
        "true",
        "true",
        ("--set", "login.policy=groups", "--set", "login.groups=staf"),
        3,
        "no group staf",
    ),
    "no group named": (
        "true",
        "true",
        ("--set", "login.policy=groups"),
        2,
        "needs the names of one or more groups",
    ),
    "a name that is a line": (
        "true",
        "true",
        ("--set", "login.policy=groups", "--set", "login.groups=x\nauth sufficient pam_permit.so"),
        2,
        "not the name of a group",
    ),
    "syntax error": (f"echo 'auth need pam_unix.so' >> {SMTP}", "", USERS, 3, "not a control word"),
    "carriage returns": (f"sed -i 's/$/\\r/' {SMTP}", "", USERS, 3, "carriage return"),
    "no file": (f"rm {SMTP}", "", USERS, 3, f"{SMTP} is missing"),
    "symbolic link": (
        f"mv {SMTP} /etc/pam.d/own; ln -s own {SMTP}",
        "rm /etc/pam.d/own",
        USERS,
        3,
        "not a regular file",
    ),
    "nothing for auth": (f"echo '@include common-account' > {SMTP}", "", USERS, 3, "no line for auth"),
    "immutable": (
        f"mount --bind {SMTP} {SMTP}; mount -o remount,ro,bind {SMTP}",
        f"umount {SMTP}",
        (*USERS, *MAY_END),
        1,
        "could not be written",
    ),
    "UID_MIN 0": (
        "sed -i 's/^UID_MIN.*/UID_MIN 0/' /etc/login.defs",
        "cp -a /root/login.defs /etc/",
        USERS,
        3,
        "UID_MIN",
    ),
    "no such module": (
        "m=$(ls /usr/lib/*/security/pam_succeed_if.so); mv $m $m.away",
        "m=$(ls /usr/lib/*/security/pam_succeed_if.so.away); mv $m ${m%.away}",
        (*USERS, *MAY_END),
        1,
        "undone",
    ),
    "what it includes is broken": (
        f"echo 'account required pam_nothing.so' >> {INCLUDED}",
        f"cp -a /root/common-account {INCLUDED}",
        USERS,
        3,
        "the module pam_nothing.so is not on this host",
    ),
    "somebody logs in so": ("true", "true", USERS, 4, "root, last login"),
    "passwords from elsewhere": (
        "sed -i 's/^MECHANISMS=.*/MECHANISMS=\"ldap\"/' /etc/default/saslauthd",
        "cp -a /root/saslauthd /etc/default/",
        USERS,
        0,
        "PAM is not asked on this host: passwords come from ldap",
    ),
}
"""What makes it, what ends it besides the file's return, the choice, the exit code, what is said."""


@pytest.mark.default_on("forky")
def test_faults_end_in_a_clear_error_with_nothing_changed(machine: BootMachine) -> None:
    debian = with_accounts(machine)
    assert may(debian, "root") == {"root": True}
    debian.run(f"cp -a {SMTP} {INCLUDED} /etc/login.defs /etc/default/saslauthd /root/")
    look = f"stat -c '%F %a %U %G' {SMTP}; readlink {SMTP}; cat {SMTP}"
    wrong = []
    for name, (make, repair, choice, code, words) in FAULTS.items():
        debian.run(make)
        before = debian.run(look, check=False).stdout
        done = applied(debian, *choice)
        said = " ".join((done.stdout + done.stderr).split())
        if done.returncode != code or words not in said:
            wrong.append(f"{name}: exit {done.returncode}: {said[-700:]}")
        if debian.run(look, check=False).stdout != before:
            wrong.append(f"{name}: {SMTP} is another one")
        debian.run(f"{repair or 'true'}; rm -f {SMTP}; cp -a /root/smtp {SMTP}")
    assert wrong == [], "\n".join(wrong)
    assert "login-policy" not in [item["step"] for item in history(debian)]
    assert may(debian, "root", "alice") == {"root": True, "alice": True}


@pytest.mark.full
def test_killed_at_any_moment_it_is_all_or_nothing(machine: BootMachine) -> None:
    debian = with_accounts(machine)
    before = debian.read(SMTP)
    run = ("apply", "login-policy", "--yes", *USERS)
    names, done = operations(debian, *run)
    assert done.returncode == 0, done.stderr
    assert wizard(debian, "rollback", "login-policy", "--yes").returncode == 0
    first = next(at for at, name in enumerate(names, start=1) if SMTP in name)
    for number in [first - 2, *(first + at for at in spread(len(names) - first, 8))]:
        kill_at(debian, number, *run)
        back = wizard(debian, "recover")
        assert back.returncode == 0, back.stderr
        if debian.read(SMTP) != before:  # killed behind its commit
            assert wizard(debian, "rollback", "login-policy", "--yes").returncode == 0
        assert debian.read(SMTP) == before, names[number - 1]
        assert may(debian, "root", "alice") == {"root": True, "alice": True}


@pytest.mark.full
@pytest.mark.parametrize("choice", [USERS, MEMBERS], ids=["users", "members"])
def test_the_rehearsal_proves_it_with_made_up_accounts(machine: BootMachine, choice: tuple[str, ...]) -> None:
    debian = with_accounts(machine)
    before = debian.read(SMTP)
    made = rehearsed(debian, "login-policy", *choice)
    assert made["exit"] == 0, shortly(made)
    assert made["login"]["code"] == 235
    stranger = made["login"]["stranger"]
    assert (stranger["refused"], stranger["code"]) == (True, 535)
    assert debian.read(SMTP) == before
    assert "rehearsal-" not in debian.run(["cat", "/etc/passwd"]).stdout


@pytest.mark.default_on("bookworm")
def test_troubleshoot_warns_of_root_and_says_whom_the_policy_refuses(machine: BootMachine) -> None:
    debian = with_accounts(machine)
    made = troubleshoot(debian, password=SECRETS["alice"])
    found = {item["id"]: item for item in made["faults"]}
    assert "root-login" in found, short(made)
    assert found["root-login"]["sign"] == "warning"
    assert "login.policy=no-system-accounts" in found["root-login"]["mend"]["text"]
    assert made["exit"] == 0
    # A line that may refuse somebody, and lets root in: Debian's access.conf has nothing but comments.
    debian.run(
        "cp /etc/pam.d/common-account /root/; echo 'account required pam_access.so' >>/etc/pam.d/common-account"
    )
    made = troubleshoot(debian, password=SECRETS["alice"])
    found = {item["id"]: item for item in made["faults"]}
    assert found["root-login"]["cause"].startswith("root can log in"), short(made)
    debian.run("echo '-:root:ALL' >>/etc/security/access.conf")
    made = troubleshoot(debian, password=SECRETS["alice"])
    assert "root-login" not in {item["id"] for item in made["faults"]}, short(made)
    debian.run("cp /root/common-account /etc/pam.d/; sed -i '/^-:root:ALL$/d' /etc/security/access.conf")

    assert applied(debian, *USERS, *MAY_END).returncode == 0
    assert "root-login" not in {
        item["id"] for item in troubleshoot(debian, password=SECRETS["alice"])["faults"]
    }
    made = troubleshoot(debian, user="root", password=SECRETS["root"])
    assert (made["blamed"], made["exit"]) == ("policy-refuses", 1), short(made)
    made = troubleshoot(debian, password=SECRETS["alice"])
    found = {item["id"]: item for item in made["faults"]}
    assert "policy-refused-password" in found, short(made)
    assert found["policy-refused-password"]["sign"] == "warning"
    assert "root" in found["policy-refused-password"]["cause"]
    debian.run("journalctl --rotate; journalctl --vacuum-time=1s -q", check=False)
    logged_in(debian, "LOGIN", "daemond", "guessed-wrong")
    assert "policy-refused-password" not in {
        item["id"] for item in troubleshoot(debian, password=SECRETS["alice"])["faults"]
    }, "a guess is none"
