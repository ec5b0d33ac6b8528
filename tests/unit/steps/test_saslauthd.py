"""What the steps of saslauthd plan on the recorded machines."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.steps.planned import added, plan, removed
from tests.unit.steps.recorded import NOW, RELEASES, file, machine
from wizard.model import facts as f
from wizard.model.answers import Answers, Auth
from wizard.model.facts import Facts, Process
from wizard.model.plan import Outcome, Sign
from wizard.rollback.services import running as daemons_running
from wizard.steps.saslauthd import answers_on_socket
from wizard.system.host import Host


@pytest.mark.parametrize(
    ("release", "start"), [("11", ["START=yes"]), ("12", ["START=yes"]), ("13", []), ("14", [])]
)
def test_start_is_written_only_where_the_init_script_asks(release: str, start: list[str]) -> None:
    step_plan = plan("saslauthd-config", machine(release))
    assert added(step_plan) == start
    assert step_plan.outcome is (Outcome.PENDING if start else Outcome.DONE)


def test_start_no_is_changed_in_place() -> None:
    assert removed(plan("saslauthd-config", machine("11"))) == ["START=no"]


def test_another_mechanism() -> None:
    step_plan = plan("saslauthd-config", machine("13"), Answers(auth=Auth("shadow")))
    assert (removed(step_plan), added(step_plan)) == (['MECHANISMS="pam"'], ['MECHANISMS="shadow"'])


def test_a_socket_elsewhere_is_told() -> None:
    text = (machine("12").text(f.SASLAUTHD_DEFAULT) or "").replace(
        "/var/run/saslauthd", "/var/spool/postfix/run"
    )
    step_plan = plan("saslauthd-config", machine("12", files={f.SASLAUTHD_DEFAULT: file(text)}))
    assert any("will not find it there" in note for note in step_plan.notes)


@pytest.mark.parametrize("release", RELEASES)
def test_bug_791814_is_not_worked_round_where_it_is_fixed(release: str) -> None:
    step_plan = plan("saslauthd-init", machine(release))
    assert step_plan.outcome is Outcome.NOT_APPLICABLE
    assert "fixed in 2.1.26" in step_plan.reason


def test_bug_791814_is_worked_round_in_the_variable_that_the_hook_reads() -> None:
    healthy = machine("12")
    defect = (healthy.text(f.SASLAUTHD_INIT) or "").replace(
        "find /etc/default/ -regex", "find /etc/default -regex"
    )
    step_plan = plan("saslauthd-init", machine("12", files={f.SASLAUTHD_INIT: file(defect, 0o755)}))
    assert 'SYSTEMCTL_SKIP_REDIRECT="true"' in added(step_plan)
    assert any("find /etc/default/ -regex" in line for line in added(step_plan))
    hook = (healthy.text(f.SYSTEMD_HOOK) or "").replace("SYSTEMCTL_SKIP_REDIRECT", "_SYSTEMCTL_SKIP_REDIRECT")
    old = machine("12", files={f.SASLAUTHD_INIT: file(defect, 0o755), f.SYSTEMD_HOOK: file(hook)})
    assert '_SYSTEMCTL_SKIP_REDIRECT="true"' in added(plan("saslauthd-init", old))


def test_saslauthd_is_asked_and_its_status_word_is_not_believed() -> None:
    trap = machine("11")
    services = dict(trap.services) | {
        "saslauthd": dataclasses.replace(trap.services["saslauthd"], active="active (exited)", enabled=True)
    }
    step_plan = plan("saslauthd-start", dataclasses.replace(trap, services=services))
    assert step_plan.outcome is Outcome.PENDING
    assert "active (exited)" in step_plan.reason
    assert any(
        "restart saslauthd" in command
        for change in step_plan.changes
        for command in change.describe().commands
    )


def running(facts: Facts, *argv: str) -> Facts:
    services = dict(facts.services) | {
        "saslauthd": dataclasses.replace(facts.services["saslauthd"], enabled=True)
    }
    process = Process(7, "saslauthd", ("/usr/sbin/saslauthd", *argv), NOW)
    return dataclasses.replace(
        facts,
        services=services,
        processes=(*facts.processes, process),
        saslauthd_says="NO NULL login received",
    )


def test_an_answer_of_saslauthd_is_a_plain_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "ask_unix_socket", lambda *_: "NO NULL login received")
    check = answers_on_socket(Host(), "/run/mux")
    assert (check.sign, check.says) == (Sign.OK, "saslauthd answers on /run/mux")


def test_saslauthd_that_answers_is_left_alone() -> None:
    assert plan("saslauthd-start", running(machine("12"), "-a", "pam")).outcome is Outcome.DONE


def test_saslauthd_that_asks_something_else_is_restarted() -> None:
    step_plan = plan("saslauthd-start", running(machine("12"), "-a", "shadow"))
    assert (step_plan.outcome, step_plan.reason) == (Outcome.PENDING, "it does not run with -a pam")


def test_a_saslauthd_that_runs_and_does_not_answer_is_not_stopped_by_an_undo() -> None:
    """It hangs, or serves other programs: the kernel's word counts, not the socket's."""
    silent = dataclasses.replace(running(machine("12"), "-m", "/run/other"), saslauthd_says=None)
    for facts, ran in ((silent, True), (dataclasses.replace(silent, processes=()), False)):
        (change,) = plan("saslauthd-start", facts).changes
        assert (change.was_running, "saslauthd" in daemons_running(facts)) == (ran, ran)  # type: ignore[attr-defined]
