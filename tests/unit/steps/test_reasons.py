"""What a step to do says of this host: what it finds there, not that something differs."""

import pytest

from tests.unit.steps.recorded import machine
from wizard.model.answers import Answers
from wizard.model.plan import Outcome
from wizard.steps.order import STEPS, step


@pytest.mark.parametrize("release", ["12", "13"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("submission-port", "sendmail.mc has no line that serves port 587 to other machines"),
        (
            "auth-options",
            "sendmail.mc has no confAUTH_OPTIONS: it lacks p (no password without TLS) and y",
        ),
        ("smtp-port", "port 25 would offer AUTH (line "),
        ("mc-includes", "sendmail.mc does not include "),
    ],
)
def test_what_is_missing_is_said(release: str, name: str, says: str) -> None:
    made = step(name).plan(machine(release), Answers())
    assert made.outcome is Outcome.PENDING
    assert made.reason.startswith(says)


@pytest.mark.parametrize("release", ["11", "12", "13"])
def test_no_reason_only_says_that_something_differs(release: str) -> None:
    facts = machine(release)
    assert not [made.reason for each in STEPS if "differ" in (made := each.plan(facts, Answers())).reason]
