"""Rollback on real machines: each step, everything, what the admin did in between, and obstacles."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection
from typing import Any

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import STEPS, STORE, add_alice, apply, history, listening, login, wizard
from tests.system.picture import differences, picture
from tests.system.releases import RELEASES, Release
from tests.system.test_guess_limit import LIMIT, changed
from tests.system.test_login_policy import USERS
from tests.system.test_tls_policy import CHOSEN, taken

MAY_DIFFER = {
    "/var/log/": "logs go on",
    "/var/cache/": "apt's and debconf's caches",
    "/var/lib/apt/": "apt's lists and its list of what it installed by itself",
    "/var/lib/dpkg/": "dpkg's own bookkeeping, with its backups",
    "/var/lib/systemd/": "clocks, seeds, and what deb-systemd-helper remembers of units",
    "/var/lib/msa-wizard": "the snapshot store itself",
    "/var/lib/python": "Python's list of byte-compiled packages",
    "/var/backups/": "Debian's own daily copies",
    "/root/": "the test's own files",
    "/etc/.pwd.lock": "the empty lock file of useradd's, made once",
    "/etc/.updated": "systemd's own stamp",
    "/var/.updated": "systemd's own stamp",
}
"""What may differ on the whole file system after everything was rolled back, and why."""
ONE_OF_EACH_KIND = ("saslauthd-start", "sendmail-auth", "mc-includes", "sendmailconfig", "restart")
"""A service, a file, lines of sendmail.mc, what is made of it, the daemon."""


def rollback(debian: Machine, *arguments: str) -> dict[str, Any]:
    """`rollback --json`, its document with the exit status as `exit`."""
    done = wizard(debian, "rollback", "--json", "--yes", *arguments)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made | {"exit": done.returncode}


def started(machine: BootMachine) -> Machine:
    """A machine with the packages, its sendmail started, all steps applied, and alice."""
    debian = machine("msa")
    return debian


def applied(debian: Machine) -> list[str]:
    """The steps that this release had to do, in the howto's order."""
    return [item["step"] for item in reversed(history(debian)) if item["operation"] == "apply"]


def held_by_sendmail(debian: Machine) -> bool:
    """Whether each listener of sendmail.cf is there and greets."""
    cf = debian.read("/etc/mail/sendmail.cf").decode("latin-1")
    for line in re.findall(r"^O DaemonPortOptions=(.*)$", cf, re.MULTILINE):
        keys = dict(item.strip().partition("=")[::2] for item in line.split(","))
        port = {"smtp": 25, "submission": 587}.get(keys["Port"], keys["Port"])
        address = keys.get("Addr") or keys.get("Address") or "0.0.0.0"
        if f"{address}:{port}" not in listening(debian):
            return False
        said = debian.run(["timeout", "20", "bash", "-c", f"read -r l </dev/tcp/127.0.0.1/{port}; echo $l"])
        if not said.stdout.startswith("220"):
            return False
    return True


def same_etc(debian: Machine, before: dict[str, Any]) -> list[str]:
    """What of /etc is not as it was, but for what carries the date at which it was made."""
    dated: tuple[str, ...] = (
        "/etc/mail/sendmail.cf",
        "/etc/mail/submit.cf",
        "/etc/mail/databases",
        "/etc/mail/Makefile",
    )
    dated += ("/etc/mail/sasl/sasl.m4", "/etc/mail/tls/starttls.m4", "/etc/mail/sendmail.conf")
    dated += (
        "/etc/mail/access.db",
        "/etc/mail/aliases.db",
        "/etc/cron.d/sendmail",
        "/etc/mail/sendmail.cf.old",
    )
    return [
        line
        for line in differences(before, picture(debian, "/etc"))
        if not (line.startswith(dated) and ": content" in line)
        and not line.startswith("/etc/mail/databases: owner")  # sendmail's own start writes it again
    ]


@pytest.mark.on_both
def test_everything_back_leaves_the_machine_as_it_was(
    machine: BootMachine, release: Release, pytestconfig: pytest.Config
) -> None:
    """From a bare machine: the whole file system, packages and services; /etc byte for byte, with mode and owner."""
    debian = machine("ready")
    selections = "dpkg --get-selections; dpkg-statoverride --list; apt-mark showauto | sort; update-alternatives --get-selections"
    packages = debian.run(selections).stdout
    units = "systemctl list-unit-files --no-legend --plain | sort"
    services, before = debian.run(units).stdout, picture(debian)
    apply(debian)
    made = rollback(debian, "--all")
    assert made["exit"] == 0, made
    after = picture(debian)
    etc = [line for line in differences(before, after) if line.startswith("/etc")]
    assert [line for line in etc if not line.startswith("/etc/.pwd.lock")] == []
    rest = [line for line in differences(before, after) if not line.startswith(tuple(MAY_DIFFER))]
    assert rest == []
    assert debian.run(selections).stdout == packages
    assert debian.run(units).stdout == services
    assert listening(debian) == set()
    if release == RELEASES[-1] or pytestconfig.getoption("--full"):
        apply(debian)
        add_alice(debian)
        assert login(debian)["exit"] == 0


@pytest.mark.parametrize(
    "choices",
    [(*LIMIT, *CHOSEN, *USERS), pytest.param((), marks=pytest.mark.full)],
    ids=["with every policy", "the howto alone"],
)
def test_everything_back_where_sendmail_was_there(machine: BootMachine, choices: tuple[str, ...]) -> None:
    """/etc byte for byte, also after the next start, when sendmail makes again what is older than its source."""
    debian = machine("mail")
    debian.client()
    add_alice(debian)
    debian.run(["systemctl", "restart", "sendmail"])
    wizard(debian, "status")  # what the first look leaves behind
    before, etc = picture(debian), picture(debian, "/etc")
    apply(debian, *choices)
    rows = json.loads(wizard(debian, "status", "--json", *choices).stdout)["steps"]
    policies = {row["state"] for row in rows if row["step"] in ("guess-limit", "tls-policy", "login-policy")}
    assert policies == {"applied" if choices else "not-applicable"}
    kinds = {"1.3", "ecdhe"} if choices else {"1.3", "ecdhe", "rsa"}
    assert taken(debian, 587, "1.3", "ecdhe", "rsa") == kinds
    assert rollback(debian, "--all")["exit"] == 0
    assert changed(debian, before) == []
    assert differences(etc, picture(debian, "/etc")) == []
    debian.run(["systemctl", "restart", "sendmail"])
    assert differences(etc, picture(debian, "/etc")) == []
    assert held_by_sendmail(debian)
    assert "0.0.0.0:587" not in listening(debian)


@pytest.mark.default_on("forky")
@pytest.mark.parametrize(
    "steps",
    [
        ONE_OF_EACH_KIND,
        pytest.param([step for step in STEPS if step not in ONE_OF_EACH_KIND], marks=pytest.mark.full),
    ],
    ids=["one of each kind", "the others"],
)
def test_each_step_alone_and_back_again(machine: BootMachine, steps: Collection[str]) -> None:
    """A step goes, the daemon listens where its sendmail.cf says; then the rollback itself is rolled back."""
    debian = started(machine)
    before = picture(debian, "/etc")
    for step in (step for step in applied(debian) if step in steps):
        made = rollback(debian, step)
        assert made["exit"] == 0, (step, made)
        assert made["steps"] == [step]
        assert held_by_sendmail(debian), step
        off = {item["id"] for item in made["checks"]}
        assert step in off or step == "restart", (step, made["checks"])
        assert rollback(debian, history(debian)[0]["commit"])["exit"] == 0, step
        assert same_etc(debian, before) == [], step
        assert login(debian)["exit"] == 0, step


@pytest.mark.full
@pytest.mark.parametrize("first", STEPS)
def test_every_pair(machine: BootMachine, first: str) -> None:
    debian = started(machine)
    before = picture(debian, "/etc")
    if first not in applied(debian):  # nothing to do for it on this release
        assert "Nothing to roll back" in wizard(debian, "rollback", "--yes", first).stdout
        return
    for second in (step for step in STEPS if step != first):
        assert rollback(debian, first)["exit"] == 0, (first, second)
        done = wizard(debian, "rollback", "--yes", second)
        assert done.returncode == 0, (first, second, done.stderr)
        assert held_by_sendmail(debian), (first, second)
        apply(debian)
        assert same_etc(debian, before) == [], (first, second)
        assert login(debian)["exit"] == 0, (first, second)


def test_what_the_admin_did_in_between_stays(machine: BootMachine) -> None:
    debian = started(machine)
    debian.run("sed -i '1i dnl # mine, and it stays' /etc/mail/sendmail.mc; chmod 640 /etc/default/saslauthd")
    debian.run("echo 'OPTIONS2=\"mine\"' >> /etc/default/saslauthd")
    made = rollback(debian, "mc-includes")
    assert made["exit"] == 0, made
    mc = debian.read("/etc/mail/sendmail.mc").decode()
    assert mc.startswith("dnl # mine, and it stays\n")
    assert "sasl.m4" not in mc
    assert rollback(debian, "--all")["exit"] == 0
    assert debian.read("/etc/mail/sendmail.mc").decode().startswith("dnl # mine, and it stays\n")
    assert "mine" in debian.read("/etc/default/saslauthd").decode()
    assert debian.run(["stat", "-c", "%a", "/etc/default/saslauthd"]).stdout.strip() == "640"
    assert "alice" in debian.read("/etc/passwd").decode()
    assert held_by_sendmail(debian)
    assert "0.0.0.0:587" not in listening(debian)


def test_a_conflict_changes_nothing_until_it_is_decided(machine: BootMachine) -> None:
    debian = started(machine)
    debian.run("sed -i 's/`p y./`A p y'\"'\"'/' /etc/mail/sendmail.mc")
    before = picture(debian, "/etc")
    done = wizard(debian, "rollback", "auth-options", "--yes")
    assert done.returncode == 4
    assert "conflict in /etc/mail/sendmail.mc" in done.stderr
    assert "<<<<<<< as it is now" in done.stderr
    assert "`A p y'" in done.stderr
    assert differences(before, picture(debian, "/etc")) == []
    assert wizard(debian, "rollback", "auth-options", "--yes", "--on-conflict=abort").returncode == 4
    assert rollback(debian, "auth-options", "--on-conflict=keep")["exit"] == 0
    assert "`A p y'" in debian.read("/etc/mail/sendmail.mc").decode()
    assert rollback(debian, history(debian)[0]["commit"])["exit"] == 0
    assert rollback(debian, "auth-options", "--on-conflict=restore")["exit"] == 0
    assert "confAUTH_OPTIONS" not in debian.read("/etc/mail/sendmail.mc").decode()
    assert held_by_sendmail(debian)


@pytest.mark.full
def test_the_packages_stay_when_something_needs_them_by_now(machine: BootMachine) -> None:
    debian = machine("ready")
    apply(debian)
    debian.run(
        "mkdir -p p/DEBIAN && printf 'Package: needs-it\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.test>\\n"
        "Depends: sendmail-bin\\nDescription: x\\n' > p/DEBIAN/control && dpkg-deb -b p needs-it.deb && dpkg -i needs-it.deb",
        cwd="/root",
    )
    done = wizard(debian, "rollback", "install", "--yes")
    assert done.returncode == 1
    assert "sendmail-bin stays, since needs-it needs it" in done.stderr
    state = ["dpkg-query", "-W", "-f", "${db:Status-Status}"]
    assert debian.run([*state, "sendmail-bin"]).stdout == "installed"
    assert debian.run([*state, "sasl2-bin"], check=False).stdout != "installed"
    assert held_by_sendmail(debian)
    assert "0.0.0.0:587" not in listening(debian)
    assert rollback(debian, "--all")["exit"] == 0, "nothing that was applied is still in force"


@pytest.mark.default_on("forky")
def test_a_rollback_that_costs_the_listener_is_itself_undone(machine: BootMachine) -> None:
    """sendmail does not survive a start with what was before (here it is shot): everything stays as it is."""
    debian = started(machine)
    kill = "grep -q 'Port=submission.*Addr=127' /etc/mail/sendmail.cf && pkill -9 -x sendmail-mta; true"
    debian.put(
        "/run/systemd/system/sendmail.service.d/kill.conf",
        f'[Service]\nExecStartPost=-/bin/sh -c "{kill}"\n',
    )
    debian.run(["systemctl", "daemon-reload"])
    before = picture(debian, "/etc")
    made = rollback(debian, "submission-port")
    assert made["exit"] == 1, made
    assert made["failed"]
    assert not made["not_undone"], made
    assert same_etc(debian, before) == []
    assert "0.0.0.0:587" in listening(debian)
    assert login(debian)["exit"] == 0


@pytest.mark.default_on("bookworm")
@pytest.mark.parametrize("way_back", ["rollback", pytest.param("failed step", marks=pytest.mark.full)])
def test_everything_back_where_sendmail_had_never_started_with_it(
    machine: BootMachine, way_back: str
) -> None:
    """A sendmail.mc that no daemon had read, and that none starts with: the files come back, and that is said."""
    debian = machine("mail")
    add_alice(debian)
    debian.run("systemctl restart sendmail; sleep 1.1; echo 'dnl # not read yet' >> /etc/mail/sendmail.mc")
    before = picture(debian, "/etc")
    refuse = "mkdir -p /run/systemd/system/sendmail.service.d; systemctl daemon-reload"
    never = "[Service]\nExecStartPre=/bin/false\n"
    if way_back == "failed step":
        debian.put("/run/systemd/system/sendmail.service.d/never.conf", never)
        debian.run(refuse)
        failed = wizard(debian, "apply", "--yes")
        assert failed.returncode == 1, failed.stdout
        assert "sendmail does not run: it does not start with the files of before" in failed.stderr
        assert "NOT undone" not in failed.stderr
    else:
        apply(debian)
        debian.put("/run/systemd/system/sendmail.service.d/never.conf", never)
        debian.run(refuse)
    assert "No run was interrupted" in wizard(debian, "recover", "--show").stdout
    made = rollback(debian, "--all")
    assert made["failed"] is None, made
    assert made["exit"] == 1 or way_back == "failed step", made
    assert differences(before, picture(debian, "/etc")) == []
    assert "No run was interrupted" in wizard(debian, "recover", "--show").stdout
    assert wizard(debian, "rollback", "--all", "--yes").returncode == 0, "nothing is left to roll back"
    if way_back == "rollback":
        assert "systemctl restart sendmail" in made["left"][0], made
    debian.run(
        "rm -r /run/systemd/system/sendmail.service.d; systemctl daemon-reload; systemctl restart sendmail"
    )
    assert held_by_sendmail(debian)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(
            "systemctl kill -s KILL sendmail; pkill -9 -x sendmail-mta; true", marks=pytest.mark.full
        ),
        'echo "DAEMON_OPTIONS(\\`oops" >> /etc/mail/sendmail.mc',
        pytest.param("rm -rf /etc/default", marks=pytest.mark.full),
        "apt-get purge -y -q sasl2-bin",
        "rm -f /usr/bin/m4 /usr/sbin/sendmailconfig",
    ],
    ids=["dead", "unparsable", "no etc-default", "package removed", "no tools"],
)
def test_a_broken_machine_is_rolled_back_as_far_as_possible(machine: BootMachine, broken: str) -> None:
    debian = started(machine)
    debian.run(broken, check=False)
    made = rollback(debian, "--all")
    assert made["exit"] in (0, 1), made
    assert made["exit"] == 0 or made["left"], made
    assert made["failed"] is None
    mc = debian.read("/etc/mail/sendmail.mc").decode()
    assert "sasl.m4" not in mc
    assert "Port=submission, M=Ea, Addr=127.0.0.1" in mc
    assert wizard(debian, "rollback", "--all", "--yes").returncode == 0, "nothing is left to roll back"


def test_etckeeper_beside_it(machine: BootMachine) -> None:
    """Neither history is disturbed: etckeeper's own is whole and still commits, and ours knows nothing of it."""
    debian = machine("mail")
    debian.run(["systemctl", "start", "sendmail"])
    debian.run(
        "apt-get install -y -q etckeeper >/dev/null; git config --global user.email r@example.test; "
        "cd /etc && git log --oneline | tail -1"
    )
    commits = int(debian.run("git -C /etc rev-list --count HEAD").stdout)
    apply(debian)
    assert int(debian.run("git -C /etc rev-list --count HEAD").stdout) == commits
    debian.run("git -C /etc fsck --strict && etckeeper commit 'after apply'")
    assert rollback(debian, "--all")["exit"] == 0
    debian.run("git -C /etc fsck --strict && etckeeper commit 'after rollback'")
    assert int(debian.run("git -C /etc rev-list --count HEAD").stdout) == commits + 2
    assert debian.run("git -C /etc status --porcelain").stdout == ""
    assert (
        "etc/.git/"
        not in debian.run(["git", "--git-dir", STORE, "ls-tree", "-r", "--name-only", "HEAD"]).stdout
    )
    assert (
        debian.run(
            f"git -C /etc diff --stat HEAD~2 HEAD | tail -3; git --git-dir {STORE} fsck --strict"
        ).returncode
        == 0
    )


@pytest.mark.full
def test_two_pairs_are_enough_to_see(machine: BootMachine) -> None:
    """Two steps one after the other, in both orders."""
    debian = started(machine)
    for first, second in itertools.permutations(("sendmail-auth", "auth-options"), 2):
        assert rollback(debian, first)["exit"] == 0
        assert rollback(debian, second)["exit"] == 0
        assert held_by_sendmail(debian)
        apply(debian)
        assert login(debian)["exit"] == 0
