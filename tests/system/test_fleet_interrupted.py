"""A fleet's run that breaks off: the controller is killed at eleven moments, or a host loses its power. All of them long."""

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
KEPT_OUT = "inet filter input tcp dport 22 ct state new drop"
MOMENTS = (
    ("task", "Bring the program", ""),
    ("task", "Gather how the host is set up", ""),
    ("task", "Ask what is to be done", ""),
    ("step", "saslauthd-start", ""),
    ("step", "submission-port", "undo"),
    ("step", "sendmailconfig", ""),
    ("step", "restart", "finish"),
    ("step", "firewall", "undo"),
    ("step", "firewall", "finish"),
    ("task", "confirm the new rules", ""),
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
    if kind == "step":
        wait_for_step(fleet.hosts["bare"], name)
    else:
        fleet.controller.run(f"until grep -q '{name}' {LOG} 2>/dev/null; do sleep 0.02; done", timeout=300)
    fleet.controller.run("pkill -KILL -f '[a]nsible'; pkill -KILL -x ssh; true")


def wait_for_step(machine: Machine, step: str) -> None:
    """Until a run has it in hand. The first line of the journal names all that were asked for."""
    machine.run(f"""until grep -qs '^{{"step": "{step}"' {JOURNAL}; do sleep 0.02; done""", timeout=300)


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


def begun(fleet: Fleet, step: str) -> Machine:
    """A run that is at this step on a host where nothing was before; the host."""
    bare = fleet.hosts["bare"]
    if bare.run(["test", "-e", PROGRAM], check=False).returncode == 0:
        succeeded(fleet.play("rollback.yml", "--limit", "bare", msa_rollback="everything"))
    begin(fleet)
    wait_for_step(bare, step)
    return bare


def wait_for_the_run(fleet: Fleet) -> None:
    """Until Ansible has ended by itself."""
    fleet.controller.run("while pgrep -f '[a]nsible-playbook' >/dev/null; do sleep 0.5; done", timeout=300)


def drift_names_the_killed_run(fleet: Fleet) -> None:
    done = fleet.play("drift.yml", "--limit", "bare")
    assert done.returncode == 2, done.stdout[-3000:]
    assert verdicts(fleet) == {"bare": "interrupted"}
    assert "recover" in fleet.report()["bare"]["says"]


def a_check_names_the_killed_run_and_leaves_it(fleet: Fleet, word: str) -> None:
    for given in ("refuse", word):
        fleet.play("site.yml", "--check", "--limit", "bare", msa_interrupted=given)
        assert verdicts(fleet) == {"bare": "interrupted"}
    status = json.loads(fleet.wizard("bare", "status", "--json").stdout)
    assert status["interrupted"] is not None


def test_a_host_without_power_says_so_and_is_finished_or_undone(fleet: Fleet) -> None:
    for word in ("undo", "finish"):
        bare = begun(fleet, "submission-port")
        bare.cut_power()
        wait_for_the_run(fleet)
        assert verdicts(fleet)["bare"] == "unreachable"
        fleet.power_on("bare")
        the_next_run_says_so(fleet, word)
        if word == "undo":
            drift_names_the_killed_run(fleet)
            a_check_names_the_killed_run_and_leaves_it(fleet, word)
        done = fleet.play("site.yml", *TOGETHER, msa_interrupted=word)
        succeeded(done)
        assert verdicts(fleet)["bare"] == "ok"
        assert recap(done)["bare"]["changed"] >= 1


def test_a_host_that_is_rebooted_is_set_up_by_the_next_run(fleet: Fleet) -> None:
    """In order, as by `reboot`: the program is asked to end, and undoes its step; else its journal has what it had begun."""
    bare = begun(fleet, "sendmailconfig")
    bare.stop()
    wait_for_the_run(fleet)
    assert verdicts(fleet)["bare"] in ("unreachable", "failed", "interrupted")
    fleet.power_on("bare")
    status = json.loads(bare.run([PROGRAM, "status", "--json"]).stdout)
    word = "undo" if status["interrupted"] else ""
    if not the_next_run_says_so(fleet, word):
        succeeded(fleet.play("site.yml", *TOGETHER, msa_interrupted=word or "refuse"))
    assert verdicts(fleet) == {"bare": "ok", "by-hand": "ok"}
    whole(bare)


def test_a_host_that_is_out_of_reach_for_a_while_goes_on_by_itself(fleet: Fleet) -> None:
    bare = begun(fleet, "submission-port")
    fleet.reachable("bare", reachable=False)
    wait_for_the_run(fleet)
    assert verdicts(fleet)["bare"] == "unreachable"
    wait_for_the_program(bare)
    whole(bare)
    steps = json.loads(bare.run([PROGRAM, "status", "--json"]).stdout)["steps"]
    states = {row["step"]: row["state"] for row in steps}
    assert (states["restart"], states["firewall"]) == ("applied", "pending"), (
        "what it was asked for, and no more"
    )
    fleet.reachable("bare", reachable=True)
    succeeded(fleet.play("site.yml", *TOGETHER))
    assert verdicts(fleet) == {"bare": "ok", "by-hand": "ok"}
    whole(bare)


def test_rules_that_keep_fresh_connections_out_are_not_confirmed(fleet: Fleet) -> None:
    """The connection that was there before could still have confirmed them."""
    bare = begun(fleet, "firewall")
    bare.run(
        f"until nft list ruleset | grep -q 'dport.*587'; do sleep 0.02; done; nft insert rule {KEPT_OUT}"
    )
    wait_for_the_run(fleet)
    assert verdicts(fleet)["bare"] == "unreachable"
    log = fleet.controller.read(LOG).decode()
    assert "confirm the new rules through a fresh connection" in log
    wait_for_the_program(bare)
    handle = bare.run(
        "nft --handle list chain inet filter input | sed -n 's/.*state new drop.*handle //p'"
    ).stdout
    bare.run(f"nft delete rule inet filter input handle {handle.strip()}")
    assert "587" not in bare.run("nft list ruleset").stdout
    succeeded(fleet.play("site.yml", *TOGETHER))
    assert verdicts(fleet) == {"bare": "ok", "by-hand": "ok"}
