"""A fleet's run that breaks off: the controller is killed at ten moments, or a host loses its power. All of them long."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.system.firewalls import set_up
from tests.system.fleet import FOLDER, PROGRAM, VAULT_OPTIONS, Fleet, recap
from tests.system.machine import Machine
from tests.system.picture import picture
from tests.system.room import why_no_machines
from tests.system.test_fleet import succeeded
from tests.system.test_fleet_mixed import OF_THE_FLEET, strange, verdicts

pytestmark = pytest.mark.full
TOGETHER = ("--limit", "bare,by-hand")
LOG = "/root/play.log"
JOURNAL = "/var/lib/msa-wizard/journal"
MOMENTS = (
    ("task", "Bring the program", ""),
    ("task", "Gather how the host is set up", ""),
    ("task", "Ask what is to be done", ""),
    ("step", "saslauthd-config", ""),
    ("step", "submission-port", "undo"),
    ("step", "sendmailconfig", ""),
    ("step", "restart", "finish"),
    ("step", "firewall", "undo"),
    ("task", "Confirm the new rules", ""),
    ("task", "Log in from another host", ""),
)
"""A task that Ansible had begun, or a step that the program had begun on the host; and, where the program was killed with the
controller, what becomes of its run. logind.conf(5) can have it so: KillUserProcesses."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    if why := why_no_machines():
        pytest.skip(why)
    with Fleet("trixie") as fleet:
        set_up(fleet.add("bare", "trixie"), "nftables")
        # Its admin lets anybody connect as often as they like: each run does.
        fleet.add("by-hand", "bookworm", "msa").run(
            "cd /etc/mail; sed -i 's/^ClientRate:[^0-9]*10$/ClientRate: 0/' access; grep -qx 'ClientRate: 0' access; "
            "makemap hash access <access; systemctl restart sendmail"
        )
        fleet.export(msa_confirm_within=15)
        yield fleet


def begin(fleet: Fleet) -> None:
    """A run, in the background."""
    command = " ".join(["ansible-playbook", *VAULT_OPTIONS, "site.yml", *TOGETHER])
    fleet.controller.run(f"cd {FOLDER}; setsid {command} >{LOG} 2>&1 &")


def kill_the_controller(fleet: Fleet, kind: str, name: str) -> None:
    """At that moment: Ansible, and its connections."""
    where, machine = (LOG, fleet.controller) if kind == "task" else (JOURNAL, fleet.hosts["bare"])
    machine.run(f"until grep -q '{name}' {where} 2>/dev/null; do sleep 0.02; done", timeout=300)
    fleet.controller.run("pkill -KILL -f '[a]nsible'; pkill -KILL -x ssh; true")


def kill_the_program(machine: Machine) -> None:
    machine.run("pkill -KILL -f '[A]nsiballZ|[m]sa-wizard'; true")


def wait_for_the_program(machine: Machine) -> None:
    """Until none is at work on the host."""
    machine.run("while pgrep -f '[A]nsiballZ|[m]sa-wizard' >/dev/null; do sleep 0.1; done", timeout=300)


def the_next_run_says_so(fleet: Fleet, how: str) -> bool:
    """Of the host where it is so; the other waits, unless there is nothing to wait for. Whether there was nothing."""
    done = fleet.play("site.yml", *TOGETHER)
    report = fleet.report()["bare"]
    if how:
        assert verdicts(fleet) == {"bare": "interrupted", "by-hand": "not begun"}, done.stdout[-4000:]
        assert "msa_interrupted=finish" in done.stdout
    elif done.returncode:
        assert report["verdict"] == "failed"
        assert "has been running msa-wizard" in report["says"], report
    return done.returncode == 0


def whole(machine: Machine) -> None:
    """Nothing is half-made: what is below /etc is what the history says, and no run waits for a word."""
    status = json.loads(machine.run([PROGRAM, "status", "--json"]).stdout)
    states = {row["state"] for row in status["steps"]}
    assert status["interrupted"] is None
    assert states <= {"applied", "done", "not-applicable", "pending", "later", "untested"}, status


def test_a_killed_controller_leaves_no_host_half_made(fleet: Fleet) -> None:
    """The host goes on by itself, or its journal has it; the next run says so, and is set up as if nothing had been."""
    bare = fleet.hosts["bare"]
    before = picture(bare)
    for kind, name, how in MOMENTS:
        begin(fleet)
        kill_the_controller(fleet, kind, name)
        if how:
            kill_the_program(bare)
        went = the_next_run_says_so(fleet, how)
        if not how:
            wait_for_the_program(bare)
            whole(bare)
        if not went:
            succeeded(fleet.play("site.yml", *TOGETHER, msa_interrupted=how or "refuse"))
        assert verdicts(fleet) == {"bare": "ok", "by-hand": "ok"}, name
        whole(bare)
        commits = json.loads(bare.run([PROGRAM, "history", "--json"]).stdout)["commits"]
        assert [item["subject"] for item in commits if item["operation"] == "drift"] == [], name
        bare.run([PROGRAM, "rollback", "--all", "--yes"], timeout=300)
        assert strange(bare, before, OF_THE_FLEET, set()) == [], name


def test_a_host_without_power_says_so_and_is_finished_or_undone(fleet: Fleet) -> None:
    bare = fleet.hosts["bare"]
    for word in ("undo", "finish"):
        if bare.run(["test", "-e", PROGRAM], check=False).returncode == 0:
            succeeded(fleet.play("rollback.yml", "--limit", "bare", msa_rollback="everything"))
        begin(fleet)
        bare.run(f"until grep -q submission-port {JOURNAL} 2>/dev/null; do sleep 0.02; done", timeout=300)
        bare.cut_power()
        fleet.controller.run(
            "while pgrep -f '[a]nsible-playbook' >/dev/null; do sleep 0.5; done", timeout=300
        )
        assert verdicts(fleet)["bare"] == "unreachable"
        fleet.power_on("bare")
        the_next_run_says_so(fleet, word)
        done = fleet.play("site.yml", *TOGETHER, msa_interrupted=word)
        succeeded(done)
        assert verdicts(fleet)["bare"] == "ok"
        assert recap(done)["bare"]["changed"] >= 1
