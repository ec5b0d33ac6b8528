"""The catalogue of all diagnoses, and what is said of a fix before anybody asks for it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from docs import generate
from snapshots.errors import StoreError
from tests.unit.troubleshoot.pictures import picture
from tests.unit.troubleshoot.test_diagnoses import CASES
from wizard.cli.main import main
from wizard.mends.order import find
from wizard.model.answers import Answers
from wizard.model.plan import Ending, Plan
from wizard.system.host import Host
from wizard.troubleshoot import report
from wizard.troubleshoot.diagnoses.order import DIAGNOSES
from wizard.troubleshoot.fix import Fix, fixes, of_plans
from wizard.troubleshoot.verdict import HANDS_OFF, judge


def steps_named(fix: str) -> set[str]:
    """Those that a sentence of the catalogue names, and what any may begin with."""
    return {name for words in re.findall(r"\(--fix: ([^)]*)\)", fix) for name in words.split(", ")} | {
        HANDS_OFF
    }


def test_each_says_in_one_sentence_what_is_wrong_and_what_to_do() -> None:
    empty = [each.id for each in DIAGNOSES if not (each.symptom and each.cause and each.fix)]
    assert empty == []
    for each in DIAGNOSES:
        assert ". " not in f"{each.cause} {each.fix}", each.id
        assert not each.cause.endswith("."), each.id


def test_the_steps_of_a_fix_are_those_that_it_has() -> None:
    for each in DIAGNOSES:
        assert all(find(name).id == name for name in steps_named(each.fix))
    for _, _, changes in CASES:
        for fault in judge(picture(**changes)).faults:
            assert set(fault.finding.mend.steps) <= steps_named(fault.diagnosis.fix), fault.id


def test_the_page_is_current() -> None:
    """Else: ./tests/tool python -m docs.generate"""
    assert generate.DIAGNOSES_PAGE.read_text() == generate.diagnoses()


def test_a_list_of_all_without_a_look(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.cli.troubleshoot.take", lambda *_: pytest.fail("it looked"))
    assert main(["troubleshoot", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.strip() for line in lines} >= {each.id for each in DIAGNOSES}
    assert max(map(len, lines)) <= 80
    assert main(["troubleshoot", "--list", "--json"]) == 0
    assert [each["id"] for each in json.loads(capsys.readouterr().out)["diagnoses"]] == [
        each.id for each in DIAGNOSES
    ]
    assert main(["troubleshoot", "--list", "--fix", "all"]) == 2


@pytest.mark.parametrize("width", [40, 80, 140])
def test_a_verdict_keeps_to_the_width(width: int) -> None:
    verdict = judge(picture(facts={"processes": ()}, mux_problem="no answer " * 20))
    summary, *lines = report.text(verdict, width).splitlines()
    assert summary == verdict.summary
    # A word is not broken, however narrow the terminal is.
    assert [line for line in lines if len(line) > width and len(line.split()) > 3] == []
    assert "saslauthd-dead: 535, the password is refused for everybody" in " ".join(" ".join(lines).split())


def test_what_it_comes_to_is_the_last_that_is_said() -> None:
    """A terminal of 24 lines shows no more."""
    blamed = report.text(judge(picture(facts={"processes": ()}, mux_problem="no answer")), 80).splitlines()
    assert blamed[-2] == "In short: sendmail does not run, although systemd calls it active"
    assert blamed[-1] == "   fix: msa-wizard troubleshoot --fix sendmail-dead"
    fine = report.text(judge(picture(log=None)), 80).splitlines()
    assert fine[-1].startswith("In short: mail clients can submit; noted: "), fine[-1]


_DONE = Plan.done("restart", "it was")
_ENDS = (Ending("cf-lines", "lines of your own"), Ending("links", "a link"))


@pytest.mark.parametrize(
    ("plans", "fix"),
    [
        ([Plan.pending("restart", "stale"), _DONE], Fix(True)),
        ([_DONE], Fix(False, "restart: it was")),
        ([Plan.pending("restart", "stale"), Plan.blocked("install", "no room", "x")], Fix(False, "install is blocked: no room", blocked=True)),
        ([Plan.pending("sendmailconfig", "x", ends=_ENDS)], Fix(True, ends=("cf-lines",))),
    ],
)  # fmt: skip
def test_whether_a_fix_can_be_applied(plans: list[Any], fix: Fix) -> None:
    assert of_plans(plans, ("links",)) == fix


def test_a_broken_history_is_why_a_fix_cannot_be_applied_and_no_error() -> None:
    def broken() -> None:
        raise StoreError("the history is damaged")

    faults = judge(picture(mux_problem="Connection refused", facts={"processes": ()})).faults
    known = fixes(Host(), Answers(), faults, None, broken)
    assert Fix(False, "the history is damaged", blocked=True) in known.values()
