"""What a run shows again and asks about, and what it goes without where the answer is no."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import pytest

from tests.store.bench import Bench, Made
from wizard.changes.command import CommandChange, CommandEffect
from wizard.engine.journal import Journal
from wizard.engine.local_edits import OwnEdit, own_edits
from wizard.engine.session import FRESH
from wizard.errors import HostError, Interrupted
from wizard.model import documents
from wizard.model.answers import Answers
from wizard.model.events import Failed, Planned
from wizard.model.facts import Facts
from wizard.model.plan import Description, Plan, Step
from wizard.render import as_json
from wizard.render.text import event_text
from wizard.system.host import Host, Say


def test_a_file_that_changed_meanwhile_is_shown_again(bench: Bench) -> None:
    step = Made("one", bench.host, {"/etc/mail/a": "new a\n"})

    def decide(_step: Step, _plan: Plan) -> bool:
        if not any(isinstance(event, Planned) and event.again for event in bench.events):
            (bench.root / "etc/mail/a").write_text("changed meanwhile\n")
            time.sleep(FRESH)
        return True

    run = bench.apply(step, decide=decide)
    shown = [event for event in bench.events if isinstance(event, Planned)]
    assert [event.again for event in shown] == [False, True]
    assert "-changed meanwhile" in shown[1].plan.changes[0].describe().diff
    assert run.applied


def test_the_new_diff_can_be_declined(bench: Bench) -> None:
    step = Made("one", bench.host, {"/etc/mail/a": "new a\n"})
    answers = iter([True, False])

    def decide(_step: Step, _plan: Plan) -> bool:
        (bench.root / "etc/mail/a").write_text("changed meanwhile\n")
        time.sleep(FRESH)
        return next(answers)

    run = bench.apply(step, decide=decide)
    assert run.skipped == ["one"]
    assert bench.text("/etc/mail/a") == "changed meanwhile\n"


@pytest.mark.parametrize("why", [Interrupted(1), RuntimeError("ended by the admin")])
def test_who_breaks_off_at_the_new_diff_makes_no_failure_of_a_step_of_which_nothing_was_begun(
    bench: Bench, why: Exception
) -> None:
    def decide(_step: Step, _plan: Plan) -> bool:
        if any(isinstance(event, Planned) and event.again for event in bench.events):
            raise why
        (bench.root / "etc/mail/a").write_text("changed meanwhile\n")
        time.sleep(FRESH)
        return True

    with pytest.raises(type(why)):
        bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n"}), decide=decide)
    assert not [event for event in bench.events if isinstance(event, Failed)]
    assert bench.text("/etc/mail/a") == "changed meanwhile\n"
    assert not (bench.root / "journal").exists()


class InTwoParts(Made):
    """What a command makes decides what is written then, as a certificate does that an authority gives."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        if self.host.entry("/etc/d") is None:
            script = f"mkdir {self.host.root}/etc/d"
            return Plan.pending(
                self.id, "missing", CommandChange(("sh", "-c", script), "asks", footprint=("/etc/d",))
            )
        return super().plan(facts, answers)


def test_the_rest_of_a_step_is_asked_about_and_a_no_undoes_all_of_it(bench: Bench) -> None:
    asked: list[bool] = []

    def decide(_step: Step, plan: Plan) -> bool:
        asked.append(plan.begun)
        return not plan.begun

    run = bench.apply(InTwoParts("one", bench.host, {"/etc/mail/a": "new a\n"}), decide=decide)
    assert asked == [False, True]
    assert "the first part is done; this is the rest" in "".join(map(event_text, bench.events))
    assert (run.skipped, run.failed) == (["one"], None)
    assert not (bench.root / "etc/d").exists()
    assert not Journal(bench.root / "journal").in_hand


def test_a_first_part_that_cannot_be_undone_is_a_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(_step: Step, plan: Plan) -> bool:
        if plan.begun:
            raised = HostError("/etc/d could not be removed: Read-only file system")
            monkeypatch.setattr(Host, "remove", lambda *_args, **_kw: (_ for _ in ()).throw(raised))
        return not plan.begun

    run = bench.apply(
        InTwoParts("one", bench.host, {"/etc/mail/a": "new a\n"}),
        Made("two", bench.host, {"/etc/b": "new b\n"}),
        decide=decide,
    )
    assert (run.failed, run.skipped, run.applied) == ("one", [], {})
    assert "/etc/d could not be removed" in str(bench.failure().not_undone)
    assert "by hand" in bench.failure().next


class Announces(Made):
    """First a command, then the files, of which its plan has said that they follow."""

    ran = False
    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        if self.ran:
            return super().plan(facts, answers)
        return Plan.pending(
            self.id,
            "first this",
            Asks(self),
            then=tuple((path, self.host.entry(path)) for path in self.write),
        )


@dataclass(frozen=True)
class Asks:
    """A command that cannot be taken back."""

    step: Announces
    kind = "command"
    touches = ()

    def describe(self) -> Description:
        return Description("ask the authority")

    def expect(self, host: Host) -> CommandEffect:
        return CommandEffect(("true",), "")

    def apply(self, host: Host, say: Say) -> CommandEffect:
        self.step.ran = True
        self.step.meanwhile()
        return self.expect(host)


@pytest.mark.parametrize("edited", [False, True])
def test_what_the_plan_has_announced_is_shown_and_not_asked_again(bench: Bench, edited: bool) -> None:
    asked = []

    def decide(_step: Step, plan: Plan) -> bool:
        asked.append([change.kind for change in plan.changes])
        return True

    step = Announces("one", bench.host, {"/etc/mail/a": "new a\n"})
    if edited:
        step.meanwhile = lambda: (bench.root / "etc/mail/a").write_text("edited meanwhile\n")
    run = bench.apply(step, decide=decide)
    shown = [event.plan.changes[0].kind for event in bench.events if isinstance(event, Planned)]
    assert (set(run.applied), shown) == ({"one"}, ["command", "file"])
    assert asked == [["command"], ["file"]] if edited else [["command"]]
    assert bench.text("/etc/mail/a") == "new a\n"


@pytest.mark.parametrize("pem", [False, True])
@pytest.mark.parametrize("gone", [False, True])
def test_ones_own_lines_in_what_is_announced_are_met_by_the_first_question(
    bench: Bench, gone: bool, pem: bool
) -> None:
    """There is no other. A certificate that is another by now was renewed."""
    path, head = bench.root / "etc/mail/a", "-----BEGIN CERTIFICATE-----\n" * pem
    bench.apply(Announces("one", bench.host, {"/etc/mail/a": f"{head}first a\n"}))

    def met() -> Sequence[OwnEdit]:
        then = (("/etc/mail/a", bench.host.entry("/etc/mail/a")),)
        return own_edits(bench.host, bench.store, Plan.pending("one", "first a command", then=then))

    assert met() == ()
    path.unlink() if gone else path.write_text(f"{head}first a\nsystemctl reload dovecot\n")
    assert [edit.path for edit in met()] == ["/etc/mail/a"] * (not pem)
    assert ("  systemctl reload dovecot" in "".join(edit.text for edit in met())) is not (gone or pem)


def test_a_step_that_is_declined_changes_nothing(bench: Bench) -> None:
    run = bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n"}), decide=lambda _s, _p: False)
    assert run.skipped == ["one"]
    assert bench.text("/etc/mail/a") == "old a\n"


def test_a_step_that_needs_one_that_was_declined_is_left_out_too(bench: Bench) -> None:
    """It is not done by halves: `apply two` would refuse."""
    asked: list[str] = []

    def decide(step: Step, _plan: Plan) -> bool:
        asked.append(step.id)
        return step.id != "one"

    steps = [Made(name, bench.host, {f"/etc/{name}": "new\n"}) for name in ("one", "two", "three", "four")]
    steps[1].needs, steps[2].needs = ("one",), ("two",)  # type: ignore[misc]
    run = bench.apply(*steps, decide=decide)
    assert asked == ["one", "four"]
    assert (run.skipped, list(run.applied), run.stopped) == (["one"], ["four"], None)
    assert run.plans["three"].reason == "it needs one, which is left out"
    states = [as_json.step_state(run, plan) for plan in run.plans.values()]
    assert states == ["skipped", "not-now", "not-now", "applied"]
    assert {*states} <= {*get_args(documents.RunStepState)}, "the schema knows them"
    shown = "".join(map(event_text, bench.events))
    assert "a step  (howto 9.9)\n   not now: it needs one, which is left out" in shown
    assert shown.count("why: ") == 2, "of those that can be applied"


@pytest.mark.parametrize(("declined", "made"), [("submission-port", True), ("mc-includes", False)])
def test_a_sendmail_cf_is_made_of_what_was_edited(bench: Bench, declined: str, *, made: bool) -> None:
    """The next start of sendmail would make one: nobody leaves sendmail.mc edited and sendmail.cf as it was."""
    names = ("mc-includes", "submission-port", "auth-options", "sendmailconfig")
    steps = [Made(name, bench.host, {f"/etc/{name}": "new\n"}) for name in names]
    for each in steps[1:3]:
        each.needs = ("mc-includes",)  # type: ignore[misc]
    steps[3].needs = names[:3]  # type: ignore[misc]
    run = bench.apply(*steps, decide=lambda step, _: step.id != declined)
    assert list(run.applied) == ["mc-includes", "auth-options", "sendmailconfig"] * made
