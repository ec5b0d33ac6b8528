"""The rehearsal on real machines: it ends in 235 and a clean way back, and the host around it is not touched."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import Any

import pytest

from tests.system.conftest import BootMachine
from tests.system.images import Layer
from tests.system.machine import Init, Machine
from tests.system.msa import WIZARD, history, wizard
from tests.system.picture import differences, picture
from tests.system.rehearsing import around, processes, rehearsed, shortly, untouched
from tests.system.test_certificate_obtain import CHOSEN as CERTIFICATE
from tests.system.test_guess_limit import LIMIT
from tests.system.test_login_policy import USERS, with_accounts
from tests.system.test_screens import on
from tests.system.test_tls_policy import CHOSEN as TLS

PATIENCE = 10.0
"""Seconds that the end of a clone may take."""


NAMED = """
mount -t cgroup2 none /mnt; cd /mnt
seq -f msa-wizard-rehearsal-%.0f "$2" "$(($2 + 1000))" | xargs "$1" || :
"""
TAKEN = ("unshare", "--cgroup", "--mount", "sh", "-ec", NAMED, "sh")
"""Cgroups named after all process numbers to come: as if as many rehearsals ran in containers that share ours."""


def compiled(debian: Machine) -> None:
    """The program has run before: what it compiles is there."""
    wizard(debian, "rehearse", "--help")
    wizard(debian, "rehearse", "--end")


@pytest.mark.parametrize(
    ("layer", "init"),
    [
        pytest.param("ready", "none", marks=pytest.mark.default_on("bookworm")),
        pytest.param("ready", "systemd", marks=pytest.mark.default_on("forky")),
        pytest.param("mail", "none", marks=pytest.mark.full),
        pytest.param("minimal", "systemd", marks=pytest.mark.full),
    ],
)
def test_it_works_and_the_host_is_not_touched(machine: BootMachine, layer: Layer, init: Init) -> None:
    debian = machine(layer, init=init)
    compiled(debian)
    before = around(debian)
    number = debian.run("echo $$").stdout.strip()
    debian.run([*TAKEN, "mkdir", number])
    made = rehearsed(debian)
    debian.run([*TAKEN, "rmdir", number])
    assert made["exit"] == 0, shortly(made)
    assert made["schema"] == 1
    assert made["login"]["code"] == 235
    assert made["rollback"]["clean"]
    assert made["clone"]["systemd"] == (init == "systemd")
    assert 0 < made["clone"]["memory"] < made["clone"]["memory_limit"]
    written = {item["path"]: item["by"] for item in made["paths"]}
    assert written["/etc/mail/sendmail.cf"], "the overlay shows it"
    if layer == "mail":
        assert made["unknown_paths"] == []
    else:
        assert (
            written[
                "/usr/lib/sm.bin/sendmail"
                if "/usr/lib/sm.bin/sendmail" in written
                else "/usr/libexec/sendmail/sendmail"
            ]
            == "packages"
        )
    assert any(line["text"].startswith("235 ") for line in made["login"]["lines"])
    untouched(debian, before)


@pytest.mark.full
def test_the_report_for_people_and_files(machine: BootMachine) -> None:
    """Text, Markdown and HTML; the steps that are asked for; no password in any of them, nor in the processes."""
    debian = machine("mail")
    done = wizard(debian, "rehearse", "--output", "/root/rehearsal.md", "--format", "md")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "< 235 2.0.0 OK" in done.stdout
    text = debian.read("/root/rehearsal.md").decode()
    for words in (
        "**OK: It would work",
        "### restart",
        "+START=yes" if "+START=yes" in text else "mech_list",
        "235 2.0.0",
        "## What was written",
    ):
        assert words in text
    assert "cGFzc" not in text
    some = wizard(debian, "rehearse", "saslauthd-config", "saslauthd-start", "--format", "html")
    assert some.returncode == 0, some.stdout[-2000:] + some.stderr
    assert "<!DOCTYPE html>" in some.stdout
    assert "No login was tried" in some.stdout
    needs = wizard(debian, "rehearse", "mc-includes")
    assert needs.returncode == 2
    assert "needs sendmail-auth" in needs.stderr
    assert wizard(debian, "rehearse", "no-such-step").returncode == 2


def begun(debian: Machine, until: str = "sendmailconfig") -> int:
    """A rehearsal in the background, once its clone works on the step `until`; its process."""
    debian.run(f"setsid {WIZARD} rehearse >/root/said 2>&1 & echo $! >/root/pid", cwd="/root")
    end = time.monotonic() + 60
    while f"== {until}" not in debian.run(["cat", "/root/said"]).stdout:
        assert time.monotonic() < end, debian.read("/root/said").decode()
        time.sleep(0.1)
    found = debian.run(
        "pgrep -f 'wizard.cli.main import main.* rehearse' | head -1", check=False
    ).stdout.split()
    assert found, "it runs"
    return int(found[0])


def begin_to_watch(debian: Machine) -> dict[str, Any]:
    """The host around, with the test's own files there already."""
    compiled(debian)
    debian.run("touch /root/said /root/pid /root/code")
    return around(debian)


def test_nothing_is_left_by_a_kill_or_a_dropped_line(machine: BootMachine) -> None:
    """SIGKILL of the program; SIGHUP."""
    debian = machine("mail")
    before = begin_to_watch(debian)
    pid = begun(debian)
    assert processes(debian) != before["processes"], "the clone is there"
    spaces = "for pid in $(pgrep -f 'rehearse[.]keeper'); do readlink /proc/$pid/ns/cgroup; done"
    held = set(debian.run(spaces).stdout.split())
    own = debian.run(["readlink", "/proc/1/ns/cgroup"]).stdout.strip()
    assert held, "it holds the clone"
    assert own not in held, (
        "its mount would change nsdelegate and the like for the whole host (cgroup v2, mount options)"
    )
    debian.run(["kill", "-KILL", str(pid)])
    untouched(debian, before, PATIENCE, files=False)
    pid = begun(debian, "saslauthd-start")
    debian.run(["kill", "-HUP", str(pid)])
    untouched(debian, before, PATIENCE)
    assert "interrupted by SIGHUP" in debian.read("/root/said").decode()


@pytest.mark.full
def test_nothing_is_left_by_any_end(machine: BootMachine) -> None:
    """SIGKILL of the process that holds the clone, and of the program in many steps; Ctrl-C and SIGTERM."""
    debian = machine("ready")
    before = begin_to_watch(debian)
    begun(debian)
    debian.run("kill -KILL $(pgrep -f 'rehearse[.]keeper')")
    untouched(debian, before, PATIENCE, files=False, but="cgroups")
    assert wizard(debian, "rehearse", "mc-includes").returncode == 2  # it sweeps all the same
    untouched(debian, before, PATIENCE, files=False)
    for step in ("preflight", "install", "sendmail-auth", "restart", "roll back everything"):
        debian.run(["kill", "-KILL", str(begun(debian, step))])
        untouched(debian, before, PATIENCE, files=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        pid = begun(debian, "install")
        debian.run(["kill", f"-{number.name.removeprefix('SIG')}", str(pid)])
        untouched(debian, before, PATIENCE, files=False)
        assert f"interrupted by {number.name}" in debian.read("/root/said").decode()
    untouched(debian, before, PATIENCE)


@pytest.mark.default_on("forky")
def test_what_it_refuses(machine: BootMachine) -> None:
    """Not root; a container that forbids mounts; a host that is being changed. What works instead is said."""
    debian = machine("mail")
    debian.run(["useradd", "--create-home", "bob"])
    debian.run("chmod 755 /root; chmod -R a+rX /root/msa-wizard /var/lib/msa-wizard")
    python = debian.run("echo /var/lib/msa-wizard/venv-*/bin/python").stdout.strip()
    entry = "import sys; sys.path.insert(0, '/root/msa-wizard'); from wizard.cli.main import main; sys.exit(main(['rehearse']))"
    bob = debian.run([python, "-I", "-c", entry], user="bob", check=False)
    assert (bob.returncode, "sudo msa-wizard rehearse" in bob.stderr) == (3, True), bob.stderr
    caged = debian.run(["setpriv", "--bounding-set", "-sys_admin", WIZARD, "rehearse"], check=False)
    assert caged.returncode == 3, caged.stderr
    assert re.search(r"new namespaces: Operation not permitted.*msa-wizard plan", caged.stderr, re.DOTALL)
    held = debian.run(
        f"flock /var/lib/msa-wizard/lock {WIZARD} rehearse"
        if debian.run("touch /var/lib/msa-wizard/lock")
        else "",
        check=False,
    )
    assert held.returncode == 5, held.stderr


@pytest.mark.full
def test_packages_that_are_neither_here_nor_to_be_had(machine: BootMachine) -> None:
    """Without a network it says what to do, and what works instead."""
    debian = machine("ready")
    debian.run("mkdir /root/debs; mv /var/cache/apt/archives/*.deb /root/debs")
    before = begin_to_watch(debian)
    done = wizard(debian, "rehearse")
    assert done.returncode == 3, done.stderr
    assert re.search(
        "packages are missing, and cannot be fetched.*--download-only.*msa-wizard plan",
        done.stderr,
        re.DOTALL,
    )
    untouched(debian, before, PATIENCE)


@pytest.mark.full
def test_it_is_kept_where_asked_and_ended(machine: BootMachine) -> None:
    """A clone that stays up has the set-up's tools in it; the host's history stays its own."""
    debian = machine("msa")
    commits = len(history(debian))
    before = begin_to_watch(debian)
    done = wizard(debian, "rehearse", "--keep")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "there was nothing to roll back" in done.stdout
    entering = re.search(r"a shell in it:  (.*) bash -l", done.stdout)
    assert entering, done.stdout
    inside = debian.run(f"{entering[1]} sh -c 'touch /etc/only-here; ss -ltn; ip -o link'").stdout
    assert ":587" in inside
    assert len(re.findall(r"^\d+: ", inside, re.MULTILINE)) == 1, "the loopback device alone"
    audit = "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)"
    asked = debian.run(f'{entering[1]} systemd-run --wait --pipe -q python3 -c "{audit}"', check=False)
    assert "not supported" in asked.stderr, asked
    assert wizard(debian, "rehearse", "--end").stdout == "Ended: 1 clone.\n"
    untouched(debian, before, PATIENCE)
    assert len(history(debian)) == commits


@pytest.mark.default_on("bookworm")
def test_no_secret_and_no_mail_leaves_it(machine: BootMachine) -> None:
    """A queued message stays where it is, cron does not run, the host's log hears nothing, and nobody sees the password."""
    debian = machine("mail")
    compiled(debian)
    debian.run(
        "systemctl stop sendmail; echo Subject: held | /usr/sbin/sendmail -Ac -odq -f root alice@example.net || true"
    )
    debian.run(
        "mkdir -p /var/spool/mqueue-client /etc/cron.d; echo '* * * * * root touch /var/tmp/cron-ran' >/etc/cron.d/test"
    )
    queues = "ls -la --time-style=full-iso /var/spool/mqueue /var/spool/mqueue-client"
    queued, before = debian.run(queues).stdout, around(debian)
    watching = "while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' >>/run/seen; sleep 0.2; done"
    debian.put("/run/watch", watching)
    debian.run("setsid sh /run/watch >/dev/null 2>&1 & echo $! >/run/watcher")
    made = rehearsed(debian)
    debian.run("kill -KILL $(cat /run/watcher)")
    assert made["exit"] == 0, shortly(made)
    assert made["clone"]["systemd"]
    assert made["unknown_paths"] == []
    user = made["login"]["user"]
    assert debian.run(queues).stdout == queued
    assert debian.run(["id", user], check=False).returncode != 0
    seen = debian.run(["cat", "/run/seen"]).stdout
    assert "wizard.rehearse.worker" in seen
    assert f"{user}:" not in seen, "what chpasswd reads"
    text = json.dumps(made)
    assert "********" in text
    assert f"{user}:" not in text
    assert user not in debian.run(["journalctl", "--no-pager", "-q"]).stdout
    debian.run("rm /run/seen /run/watch /run/watcher")
    untouched(debian, before, patience=5)


@pytest.mark.default_on("bookworm")
def test_all_beyond_the_howto_in_one_clone(machine: BootMachine) -> None:
    """Who guesses is banned, old TLS is refused, a made-up system account is too; a certificate is left out, which is said."""
    debian = with_accounts(machine)
    before = picture(debian, "/etc")
    chosen = (*LIMIT, *TLS, *USERS, *CERTIFICATE)
    made = rehearsed(debian, *chosen)
    assert made["exit"] == 0, shortly(made)
    assert made["clone"]["systemd"]
    assert made["login"]["code"] == 235
    stranger = made["login"]["stranger"]
    assert (stranger["refused"], stranger["code"]) == (True, 535)
    text = json.dumps(made)
    assert "banning works: nft had 192.0.2.1" in text, made["apply"]
    assert "port 587 refuses TLS 1.0" in text, made["apply"]
    assert "certificate-obtain is not rehearsed" in " ".join(made["notes"]), made["notes"]
    assert "no plan knew of" not in text

    # What it brings is fetched for the clone, as what the set-up brings is.
    debian.run("mkdir /root/debs; mv /var/cache/apt/archives/*.deb /root/debs")
    refused = wizard(debian, "rehearse", "guess-limit", *LIMIT)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "--download-only fail2ban python3-systemd nftables" in " ".join(refused.stderr.split())
    assert differences(before, picture(debian, "/etc")) == []


@pytest.mark.full
def test_on_the_screen(machine: BootMachine) -> None:
    """From the first screen by its own key to the verdict; stopped half-way it leaves nothing; a dropped line neither."""
    debian = machine("mail")
    before = begin_to_watch(debian)
    with on(debian) as terminal:
        terminal.until("steps have something to do", 120)
        terminal.press("r")
        terminal.until("y begins", 60)
        terminal.press("y")
        terminal.until("working the set-up, in the clone", 60)
        terminal.press("x")
        terminal.until("Nothing is left of the clone", 60)
        terminal.until("y starts again")
        terminal.press("y")
        terminal.until("It would work", 120)
        terminal.until("y Rehearse")
        terminal.press("y")
        terminal.until("working the set-up, in the clone", 60)
    untouched(debian, before, PATIENCE)


@pytest.mark.full
def test_without_a_cgroup_init_scripts_do(machine: BootMachine) -> None:
    """As in a container whose cgroups are full, or read-only."""
    debian = machine("mail")
    debian.run("mkdir /sys/fs/cgroup/session && echo 0 >/sys/fs/cgroup/cgroup.max.descendants")
    # What is run in a machine is beside its cgroup at first; a session of a host is in one.
    joined = 'echo 0 >/sys/fs/cgroup/session/cgroup.procs; exec "$@"'
    rehearse = [WIZARD, "rehearse", "--json", "--set", "guess.limit=true"]
    done = debian.run(["sh", "-euc", joined, "sh", *rehearse], check=False, timeout=600)
    made = json.loads(done.stdout)
    assert done.returncode == 0, shortly(made)
    assert not made["clone"]["systemd"]
    assert "init scripts" in made["notes"][0]
    assert any(note.startswith("guess-limit is not rehearsed") for note in made["notes"]), made["notes"]
