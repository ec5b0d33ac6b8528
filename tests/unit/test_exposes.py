"""A rollback says first what it lays open."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from snapshots.live.entry import Entry
from tests.unit.steps.recorded import file
from wizard.render.text import rollback_text
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
    target = SimpleNamespace(words="auth-options", commits=(), dependents=(), steps=("auth-options",))
    wanted = SimpleNamespace(rules=())
    reversal = Back({"etc/mail/sendmail.mc": (now, then)})
    return Rollback(cast(Any, target), cast(Any, reversal), cast(Any, wanted), None, (), regenerate=False)


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
