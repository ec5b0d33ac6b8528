"""A run does not stop between the edits of sendmail.mc: what would end with any of them is asked about at the first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.store.place import Ends, Place
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal
from wizard.model.events import Planned
from wizard.model.plan import Ending, Plan, Step
from wizard.render.text import reason_text

SENDS = Ending("mail-without-login", "1 address sent mail", ("from 192.0.2.9",))
CLEAR = Ending("logins-without-tls", "1 user sent mail", ("alice, last on 2026-09-21",))
AT_25 = Ending("logins-port-25", "1 user sent mail", ("alice, last on 2026-09-21",))
LATER = replace(AT_25, lines=("alice, last on 2026-09-22", "bob, last on 2026-09-22"))
NAMES = ("mc-includes", "submission-port", "auth-options", "smtp-port")
Waits = tuple[str, tuple[Ending, ...]]


@dataclass
class Edits:
    """Steps with the names of the edits, each with what would end with it."""

    place: Place
    asked: list[Waits] = field(default_factory=list)

    def __post_init__(self) -> None:
        ends = {"submission-port": SENDS, "auth-options": CLEAR, "smtp-port": AT_25}
        names = ("preflight", *NAMES, "sendmailconfig")
        self.steps = [Ends(self.place.host, name, *filter(None, [ends.get(name)])) for name in names]

    def consent(self, step: Step, _plan: Plan, ends: tuple[Ending, ...]) -> bool:
        self.asked.append((step.id, ends))
        return True

    def engine(self, *accept: str, skipped: frozenset[str] = frozenset()) -> Engine:
        return replace(self.place.engine(*self.steps, accept=accept), skipped=skipped)


@pytest.fixture
def edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edits:
    return Edits(Place(tmp_path, monkeypatch))


def test_the_run_stops_before_the_first_and_names_all(
    edits: Edits, capsys: pytest.CaptureFixture[str]
) -> None:
    edits.engine()
    assert edits.place.main("apply", "--yes") == 4
    text = capsys.readouterr().err
    assert "Nothing of mc-includes was changed. 1 step applied (preflight)." in text
    assert [text.count(f"WOULD END [{each.id}]") for each in (SENDS, CLEAR, AT_25)] == [1, 1, 1]
    assert "would end with submission-port, auth-options, smtp-port." in text
    assert "[logins-port-25]: by smtp-port: 1 user sent mail" in text
    assert "To leave out auth-options or smtp-port, press s on it on the screens" in " ".join(text.split())
    assert not any(map(edits.place.there, NAMES))
    again = text.partition("may end:")[2].replace("\\\n", " ").split()
    assert edits.place.main(*again[1:]) == 0
    assert edits.place.commits() == ["sendmailconfig", *reversed(NAMES), "preflight"]


def test_each_is_asked_about_once_also_where_mail_comes_in_between_the_edits(edits: Edits) -> None:
    def arrives(step: Step, plan: Plan, ends: tuple[Ending, ...]) -> bool:
        edits.steps[4].ends = (LATER,)
        return edits.consent(step, plan, ends)

    run = edits.place.apply(*edits.steps, consent=arrives)
    assert edits.asked == [("mc-includes", (SENDS, CLEAR, AT_25))]
    assert (run.stopped, len(run.applied)) == (None, 6)
    assert run.plans["smtp-port"].ends == (), "it was shown at the first"


def test_one_that_is_not_asked_for_or_left_out_is_no_question(edits: Edits) -> None:
    engine, place = edits.engine(), edits.place

    def apply(engine: Engine, *wanted: str) -> None:
        journal = Journal(place.at)
        engine.apply(
            place.store,
            journal,
            wanted,
            lambda step, _: step.id not in engine.skipped,
            lambda: None,
            consent=edits.consent,
        )

    apply(engine, "mc-includes", "auth-options")
    assert edits.asked == [("mc-includes", (CLEAR,))]
    apply(replace(engine, skipped=frozenset({"smtp-port"})))
    assert edits.asked[1:] == [("submission-port", (SENDS,))]
    apply(engine)
    assert edits.asked[2:] == [("smtp-port", (AT_25,))]


def test_plan_names_each_at_the_first_that_is_pending(edits: Edits) -> None:
    plans = edits.engine().plan()
    assert {name: plan.ends for name, plan in plans.items() if plan.ends} == {
        "mc-includes": (SENDS, CLEAR, AT_25)
    }
    assert "(WOULD END: mail-without-login, logins-without-tls, logins-port-25)" in reason_text(
        plans["mc-includes"]
    )
    shown = [event.plan for event in edits.place.events if isinstance(event, Planned)]
    assert shown == list(plans.values())
    (edits.place.root / "etc/mc-includes").touch()
    dpkg = edits.place.root / "var/lib/dpkg"
    dpkg.mkdir(parents=True)
    (dpkg / "status").touch()  # steps that are named are refused on a host without dpkg
    some = edits.engine().plan(("auth-options", "smtp-port"))
    assert [plan.ends for plan in some.values()] == [(CLEAR, AT_25), ()]
    left = edits.engine(skipped=frozenset({"auth-options"})).plan()
    assert [left[name].ends for name in NAMES] == [(), (SENDS, AT_25), (CLEAR,), ()]


def test_what_ends_with_sendmailconfig_is_asked_about_at_the_first_edit(
    edits: Edits, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Ending("submit-cf-lines", "1 line of submit.cf goes", ("D{Mine}x",))
    of_cf = Ending("cf-lines", "1 line of sendmail.cf goes", ("Cwmine.test",))
    edits.steps[1].ends, edits.steps[5].ends = (of_cf,), (replace(of_cf, lines=()), lines)
    names = [each.id for each in (SENDS, CLEAR, AT_25, of_cf)]
    accepted = [word for name in names for word in ("--accept", name)]
    edits.engine(*names)
    assert edits.place.main("apply", "--yes", *accepted) == 4
    assert "Nothing of mc-includes was changed." in capsys.readouterr().err
    assert not any(map(edits.place.there, NAMES))
    plans = edits.engine().plan()
    assert plans["mc-includes"].ends == (of_cf, SENDS, CLEAR, AT_25, lines), "one of each id"
    assert plans["sendmailconfig"].ends[1:] == (lines,)
    (edits.place.root / "etc/mc-includes").touch()
    run = edits.place.apply(*edits.steps, consent=edits.consent)
    assert (run.stopped, edits.asked[0][1][-1]) == (None, lines)
    assert [step for step, _ in edits.asked] == ["submission-port"], "also not about other lines of a kind"


def test_two_of_a_kind_are_accepted_by_one_word(edits: Edits, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (3, 4):
        edits.steps[number].ends = (
            Ending("mc-effects", f"1 line that {NAMES[number - 1]} does not plan to change"),
        )
    edits.engine("mail-without-login")
    assert edits.place.main("apply", "--yes", "--accept", "mail-without-login") == 4
    text = capsys.readouterr().err
    assert text.count("WOULD END [mc-effects]") == 2
    assert text.count("--accept mc-effects") == 1
