"""A rollback says first what it lays open."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from snapshots.live.entry import Entry
from tests.unit.steps.recorded import file
from wizard.changes.packages import PackagesReversal
from wizard.engine.in_force import Target
from wizard.render.text import rollback_summary, rollback_text
from wizard.rollback.plan import Rollback

OFFERS = "include(`/etc/mail/sasl/sasl.m4')dnl\n"
SAFE = OFFERS + "define(`confAUTH_OPTIONS', `p y')dnl\n"


@dataclass
class Back:
    """Enough of a reversal."""

    targets: dict[str, Any]
    notes: tuple[str, ...] = ()
    conflicts: tuple[Any, ...] = field(default=())


def rollback(now: Entry | None, then: Entry | None) -> Rollback:
    target = Target((), ("auth-options",))
    wanted = SimpleNamespace(rules=())
    reversal = Back({"etc/mail/sendmail.mc": (now, then)})
    return Rollback(target, cast(Any, reversal), cast(Any, wanted), None, (), regenerate=False)


def test_passwords_in_clear_are_the_first_line() -> None:
    made = rollback(file(SAFE), file(OFFERS))
    assert rollback_text(made).startswith("!! PASSWORDS IN CLEAR: after this mail clients may log in")
    assert rollback_text(made, warn=False).startswith("== roll back")


@pytest.mark.parametrize(
    ("now", "then"), [(SAFE, None), (OFFERS, SAFE), (OFFERS, OFFERS), (SAFE, "dnl nothing\n")]
)
def test_nothing_is_said_where_nothing_is_laid_open(now: str, then: str | None) -> None:
    made = rollback(file(now), file(then) if then is not None else None)
    assert made.exposes == ""
    assert rollback_text(made).startswith("== roll back")


def everything(files: int) -> Rollback:
    """A rollback of packages, too."""
    made = rollback(file(SAFE), file(OFFERS))
    targets: dict[str, Any] = {f"etc/sendmail/{number}": (file("x"), None) for number in range(files)}
    reversal = dataclasses.replace(cast(Any, made.reversal), targets={**made.reversal.targets, **targets})
    packages = PackagesReversal(("sendmail", "sasl2-bin"))
    return dataclasses.replace(made, reversal=reversal, packages=packages)


def test_many_paths_are_counted_above_a_question_and_what_matters_is_the_last() -> None:
    made = everything(90)
    text = rollback_text(made, warn=False, whole=False)
    assert "   * remove 90 paths (`-v` or `--dry-run` lists them)" in text.splitlines()
    assert "etc/sendmail/42" not in text
    rehearsed = rollback_text(made, whole=False, lists="most go with the packages")
    assert "   * remove 90 paths (most go with the packages)" in rehearsed.splitlines()
    assert "/etc/sendmail/42" in rollback_text(made), "listed where it was asked for"
    short, *warning = rollback_summary(made).splitlines()
    assert short.startswith("In short: roll back auth-options: 2 packages purged, 90 paths removed, 1 path")
    assert "!! PASSWORDS IN CLEAR" in "\n".join(warning)


def test_a_few_paths_are_listed() -> None:
    assert "/etc/sendmail/3" in rollback_text(everything(5), whole=False)
    short = rollback_summary(rollback(file(OFFERS), file(SAFE)))
    assert short == "In short: roll back auth-options: 1 path changed back."


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("certificate-obtain", "mail clients meet the certificate again that sendmail had before"),
        ("login-policy", "whoever could log in before login-policy can again"),
        ("guess-limit", "whoever guesses passwords is no longer banned"),
        ("tls-policy", "mail clients can use the TLS again that tls-policy has shut out"),
    ],
)
def test_what_holds_no_more_is_said_of_the_steps_beyond_the_howto(step: str, words: str) -> None:
    made = rollback(None, None)
    assert words not in rollback_text(made)
    for target, told in (
        (Target((), (step,)), True),
        (Target((), ("restart",), (step,)), True),
        (Target((), ("install",), (step,)), False),
        (Target((), (step, "install"), everything=True), False),
    ):
        assert (f"note: {words}" in rollback_text(dataclasses.replace(made, target=target))) is told, target
