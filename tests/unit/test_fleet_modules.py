"""The modules for Ansible run without it: what they return for what the program says, and that their documentation names it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.unit.test_fleet import TOP, loaded, module_utils, one_file
from wizard.cli import main as cli
from wizard.model.answers import Answers
from wizard.model.plan import Ending, Outcome, Plan

PLUGINS = TOP / "templates/fleet/collection/plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
OF_ANSIBLE = {"changed", "failed", "msg", "diff", "ansible_facts"}
"""What every module may return, by Ansible's own documentation (Return Values)."""
_UTILS = "ansible_collections.msa_wizard.msa.plugins.module_utils.program"
KILLED = "msa-wizard apply was killed in restart"
CHANGE = {"kind": "file", "title": "", "commands": [], "details": [], "before": "a\n", "after": "b\n"}
STEP = {
    **{
        "step": "restart",
        "outcome": Outcome.PENDING.value,
        "state": "applied",
        "reason": "why",
        "remedy": [],
    },
    **{"ends": [], "changes": [{**CHANGE, "diff": "--- /etc/x\n+++ /etc/x\n"}]},
}


class Ended(Exception):
    """A module has ended, with its result."""


class Module:
    """An AnsibleModule whose options are `given`, and whose commands are answered by their first words."""

    given: Mapping[str, Any]
    answers: Mapping[str, tuple[int, Mapping[str, Any]]]
    check_mode = False

    def __init__(self, argument_spec: Mapping[str, Mapping[str, Any]], **_: Any) -> None:
        assert self.given.keys() <= argument_spec.keys()
        self.params = {
            name: self.given.get(name, spec.get("default")) for name, spec in argument_spec.items()
        }
        self.tmpdir = "/nowhere"

    def run_command(self, words: list[str], data: str | None = None) -> tuple[int, str, str]:
        for command, (code, document) in self.answers.items():
            if set(command.split()) <= set(words):
                return code, json.dumps({"schema": 1, **document}), ""
        raise AssertionError(words)

    def exit_json(self, **result: Any) -> None:
        raise Ended({"failed": False, **result})

    def fail_json(self, **result: Any) -> None:
        raise Ended({"failed": True, **result})


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a module; its result."""
    utils = module_utils()
    monkeypatch.setattr(utils.Program, "_start", lambda _self: ["msa-wizard"])
    for name in ("ansible", "ansible.module_utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, _UTILS, utils)
    program = one_file(tmp_path / "program")

    def run(name: str, answers: Mapping[str, Any], *, check: bool = False, **given: Any) -> dict[str, Any]:
        members = {"given": {"program": str(program), **given}, "answers": answers, "check_mode": check}
        basic = SimpleNamespace(AnsibleModule=type("AnsibleModule", (Module,), members))
        monkeypatch.setitem(sys.modules, "ansible.module_utils.basic", basic)
        module = loaded(PLUGINS / f"modules/{name}.py")
        with pytest.raises(Ended) as end:
            module.main()
        (result,) = end.value.args
        assert isinstance(result, dict)
        return result

    return run


def documented(name: str) -> set[str]:
    """What a module returns, as its documentation has it."""
    text = (PLUGINS / f"modules/{name}.py").read_text().partition('RETURN = r"""')[2].partition('"""')[0]
    return set(re.findall(r"^(\w+):$", text, re.MULTILINE))


def fault(
    name: str, state: str, *steps: str, ends: tuple[str, ...] = (), now: bool = True, blocked: bool = False
) -> dict[str, Any]:
    """A fault as `troubleshoot --json` has it; without steps only a person can fix it, not `now` says not at this moment."""
    can = bool(steps) and now and not blocked
    return {
        "id": name,
        "state": state,
        "fix": {"steps": [*steps], "can_be_applied": can, "blocked": blocked, "ends": [*ends]},
    }


def found(*faults: dict[str, Any], interrupted: str | None = None) -> dict[str, Any]:
    """The answers to `troubleshoot`."""
    ids = [{"id": each["id"]} for each in faults]
    document = {"summary": "Users cannot log in.", "faults": [*faults], "interrupted": interrupted}
    return {"troubleshoot --list": (0, {"diagnoses": ids}), "troubleshoot": (1, document)}


APPLIED = {"steps": [STEP], "failures": [], "ends": [], "failed": None, "blocked": None, "undecided": None}
STATUS = {"steps": [STEP], "interrupted": None, "confirmation": None}
ENDS: dict[str, dict[str, Any]] = {
    "apply": {"apply": (0, APPLIED)},
    "confirm": {"confirm": (0, {"outcome": "confirmed"})},
    "msa_facts": {"status": (0, STATUS), "certificate show": (0, {"certificates": []})},
    "plan": {"plan": (10, {"steps": [STEP], "interrupted": None, "ends": []})},
    "recover": {"recover": (0, {"outcome": "done"})},
    "rehearse": {"rehearse": (0, {"verdict": "It would work."})},
    "rollback": {"rollback": (0, {"outcome": "done", "commit": "a" * 40, "changes": STEP["changes"]})},
    "test": {"test": (0, {"verdict": "The login was accepted."})},
    "troubleshoot": {"troubleshoot": (0, {"summary": "All is well.", "faults": [], "interrupted": None})},
}
"""What the program says to each module where all goes well."""


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_returns_is_in_its_documentation(ended: Any, name: str) -> None:
    given = {"ref": "restart"} if name == "rollback" else {}
    ways = [
        ended(name, ENDS[name], **given),
        ended(name, dict.fromkeys(ENDS[name], (6, {"error": {"message": KILLED}})), **given),
    ]
    assert [way["failed"] for way in ways] == [False, True]
    assert ways[1]["msg"] == KILLED
    for way in ways:
        assert way.keys() - OF_ANSIBLE <= documented(name)
    assert ("diff" in documented(name)) == any("diff" in way for way in ways)


@pytest.mark.parametrize(("name", "check"), [("plan", False), ("plan", True), ("apply", True)])
def test_a_plan_fails_where_a_killed_run_is_in_the_way(ended: Any, name: str, check: bool) -> None:
    """As a run would: what that run has begun looks like done."""
    result = ended(name, {"plan": (0, {"steps": [], "interrupted": KILLED})}, check=check)
    assert (result["failed"], result["changed"], result["interrupted"]) == (True, False, True)
    assert (result["msg"], result["exit_code"]) == (KILLED, 6)


def test_troubleshooting_in_check_mode_says_what_would_be_fixed(ended: Any) -> None:
    answers = found(fault("saslauthd-down", "failed", "saslauthd-start"), fault("clock", "warning", "time"))
    result = ended("troubleshoot", answers, check=True, fix=["all"])
    assert (result["failed"], result["changed"], result["faults"]) == (False, True, 0)
    assert result["diff"] == [{"prepared": "saslauthd-down: saslauthd-start\n"}]
    both = ended("troubleshoot", answers, check=True, fix=["all", "clock"])
    assert [each["prepared"] for each in both["diff"]] == [
        "saslauthd-down: saslauthd-start\n",
        "clock: time\n",
    ]
    without = ended("troubleshoot", answers, check=True)
    assert (without["failed"], without["changed"], without["faults"]) == (True, False, 1)


@pytest.mark.parametrize(
    ("answers", "fix", "changed", "code", "why"),
    [
        (
            found(fault("a", "failed", "restart"), fault("b", "failed")),
            ["all"],
            True,
            1,
            "Users cannot log in.",
        ),
        (found(fault("a", "warning")), ["a"], False, 1, "Users cannot log in."),
        (found(fault("a", "warning", "mend", blocked=True)), ["a"], False, 1, "Users cannot log in."),
        (found(fault("a", "failed", "restart", ends=("port-25",))), ["a"], False, 4, "(accept: port-25)"),
        (found(fault("a", "failed", "restart"), interrupted=KILLED), ["a"], False, 6, KILLED),
    ],
)
def test_it_fails_in_check_mode_where_a_run_would(
    ended: Any, answers: Any, fix: list[str], changed: bool, code: int, why: str
) -> None:
    result = ended("troubleshoot", answers, check=True, fix=fix)
    assert (result["failed"], result["changed"], result["exit_code"]) == (True, changed, code)
    assert why in result["msg"]


def test_a_fix_whose_steps_are_done_already_fails_nothing_in_check_mode(ended: Any) -> None:
    answers = found(fault("a", "warning", "mend", now=False))
    result = ended("troubleshoot", answers, check=True, fix=["a"])
    assert (result["failed"], result["changed"]) == (False, False)


def test_who_names_a_fault_of_sendmail_cf_wants_its_wrong_lines_to_go(ended: Any) -> None:
    answers = found(fault("cf", "failed", "sendmailconfig", ends=("cf-lines",)))
    assert not ended("troubleshoot", answers, check=True, fix=["cf"])["failed"]
    assert ended("troubleshoot", answers, check=True, fix=["all"])["failed"]


def test_a_fault_that_there_is_not_is_refused_in_check_mode_too(ended: Any) -> None:
    result = ended("troubleshoot", found(fault("cf", "failed", "restart")), check=True, fix=["cs"])
    assert (result["failed"], result["msg"]) == (True, "no such diagnosis: cs")


def test_a_fix_that_would_end_something_names_it(ended: Any) -> None:
    ending = {"id": "port-25", "says": "mail for port 25 would wait", "lines": []}
    run = {**APPLIED, "steps": [], "undecided": "restart", "ends": [ending], "rolled_back": ["mend-mc"]}
    document: dict[str, Any] = {
        "summary": "Users cannot log in.",
        "faults": [],
        "interrupted": None,
        "run": run,
    }
    result = ended("troubleshoot", {"troubleshoot": (4, document)}, fix=["all"])
    assert "mail for port 25 would wait (accept: port-25)" in result["msg"]
    assert "half edited: mend-mc" in result["msg"]


LEFT_BEHIND = {
    "done": False,
    "commit": None,
    "checks": [],
    "left": [],
    "failed": "apt failed",
    "undone": ["/etc/x"],
}
DISK_FULL = "/etc/mail/sendmail.mc: disk full"


def test_what_could_not_be_undone_is_named_and_counts_as_changed(ended: Any) -> None:
    result = {**LEFT_BEHIND, "not_undone": [DISK_FULL], "changes": [], "conflicts": [], "outcome": "failed"}
    rollback = ended("rollback", {"rollback": (1, result)}, ref="mc-includes")
    words = ["apt failed", "undone: /etc/x", f"NOT undone: {DISK_FULL}"]
    assert (rollback["failed"], rollback["changed"]) == (True, True)
    assert rollback["msg"].splitlines() == words
    document = {"outcome": "failed", "commit": None, "finished": None, "undone": result}
    assert ended("recover", {"recover": (1, document)})["msg"].splitlines() == words
    only = {**document, "undone": {**result, "failed": None, "undone": []}}
    assert ended("recover", {"recover": (1, only)})["msg"] == f"NOT undone: {DISK_FULL}"
    failure = {"step": "mc-includes", "why": "m4 failed", "undone": [], "not_undone": [DISK_FULL]}
    run = {**APPLIED, "steps": [], "failures": [failure]}
    fixed: dict[str, Any] = {"summary": "Users cannot log in.", "faults": [], "interrupted": None, "run": run}
    assert ended("troubleshoot", {"troubleshoot": (1, fixed)}, fix=["all"])["changed"] is True


def test_a_rollback_that_would_leave_something_fails_in_check_mode_too(ended: Any) -> None:
    planned = {
        "outcome": "planned",
        "commit": None,
        "changes": [],
        "conflicts": [],
        "left": ["the packages stay"],
    }
    result = ended("rollback", {"rollback": (0, planned)}, check=True, everything=True)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["msg"] == "left as it is: the packages stay"


def test_a_dry_run_of_a_rollback_makes_no_history(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"has_history": False, "killed_run": None, "lost_history": "", "must_be_root": None}
    for name, value in answers.items():
        monkeypatch.setattr(f"wizard.cli.rollback.{name}", lambda *_args, value=value, **_words: value)
    monkeypatch.setattr("wizard.cli.rollback.at_work", lambda: pytest.fail("it is made there"))
    assert cli.main(["rollback", "--all", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "nothing"


def test_the_certificate_of_the_facts_is_the_one_that_clients_get(ended: Any) -> None:
    rows = [
        {"option": option, "days_left": 9} for option in ("ClientCertFile", "ServerCertFile", "CACertFile")
    ]
    checks = [{"sign": sign, "says": f"it is {sign}"} for sign in ("ok", "warning", "failed", "unknown")]
    answers = {**ENDS["msa_facts"], "certificate show": (1, {"certificates": rows, "checks": checks})}
    facts = ended("msa_facts", answers)["ansible_facts"]["msa"]
    assert [each["option"] for each in facts["certificates"]] == ["ServerCertFile"]
    assert facts["certificate_faults"] == ["it is failed"]


def test_the_plan_says_at_which_endings_a_run_would_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not at those that the host's own settings accept, or --accept does."""
    ends = tuple(Ending(name, name) for name in ("cf-lines", "links", "logins"))
    plans = {"restart": Plan.pending("restart", "it is to be", ends=ends)}
    monkeypatch.setattr("wizard.cli.options.saved", lambda: Answers(accept=("cf-lines",)))
    monkeypatch.setattr("wizard.cli.steps.Engine.plan", lambda *_args: plans)
    monkeypatch.setattr("wizard.cli.steps.readable_store", lambda: None)
    monkeypatch.setattr("wizard.cli.steps.interrupted", lambda: None)
    assert cli.main(["plan", "--accept", "links", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["id"] for each in document["ends"]] == ["logins"]
    assert len(document["steps"][0]["ends"]) == 3


def test_a_step_that_is_blocked_is_a_fact(ended: Any) -> None:
    steps = [{**STEP, "state": "blocked"}, {**STEP, "step": "install", "state": "applied"}]
    answers = {**ENDS["msa_facts"], "status": (0, {**STATUS, "steps": steps})}
    assert ended("msa_facts", answers)["ansible_facts"]["msa"]["blocked"] == ["restart"]
