"""A step that can be left out, as its Why says, really can: nothing that comes after it fails for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.steps.recorded import file, machine
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Sign, after
from wizard.rollback.rollback import needing
from wizard.smtp import login_test
from wizard.smtp.login_test import Finding, Result
from wizard.steps.order import STEPS, step
from wizard.system.host import Host

SPARED = [each.id for each in STEPS if each.without]
CF = "O DaemonPortOptions=Name=MSP-v4, Family=inet, Port=submission, M=Ea\n"


def edited(*steps: str, cf: str = CF) -> Facts:
    """Debian's sendmail.mc with these edits, and the sendmail.cf that is made of it."""
    facts = machine("13", cf_from_mc=cf, files={f.SENDMAIL_CF: file(cf)})
    for name in steps:
        facts = after(facts, step(name).plan(facts, Answers()))
    return facts


@pytest.mark.parametrize("name", SPARED)
def test_no_step_needs_one_that_can_be_left_out(name: str) -> None:
    assert needing([name]) == set()


@pytest.mark.parametrize(("edits", "sign"), [(["auth-options"], Sign.FAILED), ([], Sign.WARNING)])
def test_a_sendmail_cf_without_auth_options_is_right_where_these_were_left_out(
    tmp_path: Path, edits: list[str], sign: Sign
) -> None:
    checks = step("sendmailconfig").verify(Host(tmp_path), edited(*edits), Answers())
    check = next(check for check in checks if check.id == "auth-options")
    assert check.sign is sign
    if sign is Sign.WARNING:
        says = "without auth-options passwords may cross the network in clear"
        remedy = "msa-wizard apply auth-options sendmailconfig restart"
        assert check == Check("auth-options", sign, says, remedy)


@pytest.mark.parametrize(
    ("found", "left_out"), [("login-before-starttls", "auth-options"), ("smtp-auth", "smtp-port")]
)
def test_the_login_test_warns_of_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str, left_out: str
) -> None:
    finding = Finding(found, "failed", "Seen by the test.")
    result = Result(True, None, "All is well.", 250, (), (finding,), None, "TLSv1.3", None)
    monkeypatch.setattr(login_test, "converse", lambda *_: result)
    [check] = step("auth-test").verify(Host(tmp_path), edited(), Answers())
    assert (check.sign, check.remedy) == (
        Sign.WARNING,
        f"msa-wizard apply {left_out} sendmailconfig restart",
    )
    assert check.says == f"without {left_out} {step(left_out).without}; `msa-wizard test` fails for that"
    [check] = step("auth-test").verify(Host(tmp_path), edited("auth-options", "smtp-port"), Answers())
    assert check == Check(found, Sign.FAILED, "Seen by the test.")
