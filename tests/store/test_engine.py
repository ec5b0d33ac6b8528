"""The five moves, and the way back when one of them fails: a real store, real files, steps made for the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import pytest

from snapshots.errors import StoreError
from snapshots.live.entry import Entry, Kind
from snapshots.live.held import HeldFile
from snapshots.store import Store
from tests.stand_ins import use_steps
from wizard.changes.command import CommandChange, CommandEffect
from wizard.changes.file import FileChange
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal
from wizard.engine.local_edits import OwnEdit, own_edits
from wizard.engine.recorder import Recorder, _whole
from wizard.engine.run import Run
from wizard.engine.session import FRESH
from wizard.errors import HostError, Interrupted, NeededError, UsageError
from wizard.mends.order import extra
from wizard.model import documents
from wizard.model.answers import Answers
from wizard.model.events import Event, Failed, Planned
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Description, Outcome, Plan, Sign, Step
from wizard.model.session import Session
from wizard.render import as_json
from wizard.render.text import event_text
from wizard.steps.order import STEPS
from wizard.system.host import Host, Say


def entry(text: str, mode: int = 0o644) -> Entry:
    return Entry(Kind.FILE, mode, 0, 0, text.encode())


class Made(Step):
    """A step that writes what `write` says, as long as the file is not that already."""

    howto = "9.9"
    title = "a step"
    why = "a test"

    def __init__(
        self, step_id: str, host: Host, write: dict[str, str], verify: Callable[[], bool] = lambda: True
    ) -> None:
        self.id = step_id  # type: ignore[misc]
        self.host, self.write, self.good = host, write, verify

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        changes: list[Change] = []
        for path, text in self.write.items():
            now = self.host.entry(path)
            after = replace(now, content=text.encode()) if now else entry(text)
            if now != after:
                changes.append(FileChange(path, now, after))
        return Plan.pending(self.id, "differs", *changes) if changes else Plan.done(self.id, "is so")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        return [
            Check("good", Sign.OK if self.good() else Sign.FAILED, "it is as it should be, or not", "look")
        ]


@dataclass
class Bench:
    """A root with an /etc of its own, a store, and the events of the run."""

    root: Path
    monkeypatch: pytest.MonkeyPatch
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "etc/mail").mkdir(parents=True)
        (self.root / "etc/mail/a").write_text("old a\n")
        (self.root / "etc/b").write_text("old b\n")
        (self.root / "etc/b").chmod(0o640)
        (self.root / "store").mkdir(mode=0o700)
        self.host = Host(self.root)
        self.store = Store.open(self.root / "store/etc.git", root=self.root)

    def apply(
        self,
        *steps: Step,
        wanted: tuple[str, ...] = (),
        decide: Callable[[Step, Plan], bool] = lambda _s, _p: True,
        signal: Callable[[], None] = lambda: None,
    ) -> Run:
        use_steps(self.monkeypatch, steps)
        return Engine(self.host, Answers(), self.events.append).apply(
            self.store, Journal(self.root / "journal"), wanted, decide, signal
        )

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def failure(self) -> Failed:
        return next(event for event in self.events if isinstance(event, Failed))

    def operations(self) -> list[str]:
        return [item.operation for item in self.store.history()]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_each_step_is_one_commit_and_a_second_run_makes_none(bench: Bench) -> None:
    steps = [
        Made("one", bench.host, {"/etc/mail/a": "new a\n"}),
        Made("two", bench.host, {"/etc/b": "new b\n", "/etc/c": "c\n"}),
    ]
    assert list(bench.apply(*steps).applied) == ["one", "two"]
    assert bench.operations() == ["apply", "apply", "baseline"]
    assert [item.path for item in bench.store.changed("one")] == ["etc/mail/a"]
    assert (bench.root / "etc/b").stat().st_mode & 0o777 == 0o640
    run = bench.apply(*steps)
    assert not run.applied
    assert bench.operations() == ["apply", "apply", "baseline"]


def test_what_changed_outside_is_a_commit_of_its_own(bench: Bench) -> None:
    bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n"}))
    (bench.root / "etc/b").write_text("mine\n")
    bench.apply(Made("one", bench.host, {"/etc/mail/a": "newer a\n"}))
    assert bench.operations() == ["apply", "drift", "apply", "baseline"]
    assert [item.path for item in bench.store.changed("one")] == ["etc/mail/a"]


def test_what_is_written_late_into_a_replaced_file_stays_when_the_step_is_undone(bench: Bench) -> None:
    path = bench.root / "etc/mail/a"
    with path.open("a") as opened_before:

        def wrong() -> bool:
            opened_before.write("his\n")
            opened_before.close()
            return False

        run = bench.apply(Made("one", bench.host, {"/etc/mail/a": "new\nold a\n"}, verify=wrong))
    assert run.failed == "one"
    assert bench.text("/etc/mail/a") == "old a\nhis\n"


def test_a_step_that_cannot_be_recorded_is_undone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then its files are settled: what they replaced is held no more."""

    def refuse(*_arguments: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(Recorder, "record", refuse)
    run = bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n"}))
    assert run.failed == "one"
    assert bench.text("/etc/mail/a") == "old a\n"
    assert not bench.failure().not_undone


def test_a_failed_check_undoes_the_step(bench: Bench) -> None:
    run = bench.apply(
        Made("one", bench.host, {"/etc/mail/a": "new a\n", "/etc/new": "x"}, verify=lambda: False)
    )
    assert run.failed == "one"
    assert bench.text("/etc/mail/a") == "old a\n"
    assert not (bench.root / "etc/new").exists()
    assert "it is as it should be, or not. What to do: look" in bench.failure().why
    assert not bench.failure().not_undone
    assert bench.operations() == ["baseline"]
    assert not bench.store.pending()


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_write_that_fails_undoes_those_before_it(
    bench: Bench, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Host.write, []

    def write(
        self: Host, path: str, made: Entry, over: HeldFile | None = None, dated: int | None = None
    ) -> None:
        calls.append(path)
        if len(calls) == fails_at:
            raise HostError(f"{path} could not be written: No space left on device")
        real(self, path, made, over, dated)

    monkeypatch.setattr(Host, "write", write)
    run = bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n", "/etc/b": "new b\n"}))
    assert run.failed == "one"
    assert "No space left" in bench.failure().why
    assert (bench.text("/etc/mail/a"), bench.text("/etc/b")) == ("old a\n", "old b\n")


def test_what_could_not_be_undone_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil() -> bool:
        def write(self: Host, path: str, made: Entry, over: object = None, dated: int | None = None) -> None:
            raise HostError(f"{path} could not be written: Read-only file system")

        monkeypatch.setattr(Host, "write", write)
        return False

    bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n"}, verify=spoil))
    assert any("/etc/mail/a could not be written" in line for line in bench.failure().not_undone)
    assert "by hand" in bench.failure().next


def test_files_of_a_command_come_back_with_mode_and_owner(bench: Bench) -> None:
    class Command(Made):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            script = f"cd {bench.root}/etc; rm b; mkdir -p d/e; echo x > d/e/f; echo gone > mail/a; chmod 600 mail/a"
            return Plan.pending(
                self.id, "differs", CommandChange(("sh", "-c", script), "spoils", footprint=("/etc",))
            )

    bench.apply(Command("one", bench.host, {}, verify=lambda: False))
    assert (bench.text("/etc/b"), bench.text("/etc/mail/a")) == ("old b\n", "old a\n")
    assert (bench.root / "etc/b").stat().st_mode & 0o777 == 0o640
    assert (bench.root / "etc/mail/a").stat().st_mode & 0o777 == 0o644
    assert not (bench.root / "etc/d").exists()
    assert not bench.failure().not_undone


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


@pytest.mark.parametrize("spared", [False, True])
def test_what_a_login_can_do_without_holds_up_no_other(bench: Bench, *, spared: bool) -> None:
    steps = [Made(name, bench.host, {f"/etc/{name}": "new\n"}) for name in ("one", "two")]
    steps[1].needs = ("one",)  # type: ignore[misc]
    steps[0].without = "passwords may cross in clear" if spared else ""  # type: ignore[misc]
    run = bench.apply(*steps, decide=lambda step, _: step.id != "one")
    assert list(run.applied) == ["two"] * spared


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


def test_a_signal_between_changes_undoes_the_step(bench: Bench) -> None:
    calls = []

    def signal() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n", "/etc/b": "new b\n"}), signal=signal)
    assert (bench.text("/etc/mail/a"), bench.text("/etc/b")) == ("old a\n", "old b\n")
    assert "SIGTERM" in bench.failure().why


def test_the_run_stops_at_the_first_failure(bench: Bench) -> None:
    run = bench.apply(
        Made("one", bench.host, {"/etc/mail/a": "new a\n"}),
        Made("two", bench.host, {"/etc/b": "new b\n"}, verify=lambda: False),
        Made("three", bench.host, {"/etc/c": "c\n"}),
    )
    assert (list(run.applied), run.failed) == (["one"], "two")
    assert bench.text("/etc/mail/a") == "new a\n"
    assert not (bench.root / "etc/c").exists()


def test_a_named_step_whose_need_is_not_done_is_refused(bench: Bench) -> None:
    one, two = (
        Made("one", bench.host, {"/etc/mail/a": "new a\n"}),
        Made("two", bench.host, {"/etc/b": "new b\n"}),
    )
    two.needs = ("one",)  # type: ignore[misc]
    with pytest.raises(UsageError, match="step two needs one"):
        bench.apply(one, two, wanted=("two",))
    assert bench.text("/etc/b") == "old b\n"


def test_all_that_a_named_step_needs_is_named_with_what_was_typed(bench: Bench) -> None:
    steps = [Made(name, bench.host, {f"/etc/{name}": "new\n"}) for name in ("one", "two", "three", "four")]
    for step, need in zip(steps[1:], steps, strict=False):
        step.needs = (need.id,)  # type: ignore[misc]
    with pytest.raises(NeededError) as raised:
        bench.apply(*steps, wanted=("two", "four"))
    assert str(raised.value) == (
        "step two needs one, which is not done: differs. Run `msa-wizard apply one two three` first, then do the same again"
    )
    with pytest.raises(NeededError) as raised:
        bench.apply(*steps, wanted=("four",))
    typed = ["apply", "--yes", "four", "--set", "guess.limit=true"]
    assert raised.value.remedy(typed) == (
        "Name all that it needs: `msa-wizard apply one two three four --yes --set guess.limit=true`; "
        "or apply all: `msa-wizard apply --yes --set guess.limit=true`"
    )
    assert raised.value.remedy(["rehearse", "four"]) == (
        "Name all that it needs: `msa-wizard rehearse one two three four`; or rehearse all: `msa-wizard rehearse`"
    )
    assert raised.value.remedy(["certificate", "obtain", "mail.example.org", "--agree-tos"]) == (
        "Run `msa-wizard apply one two three` first, then do the same again"
    )
    assert bench.apply(*steps, wanted=("one", "two", "three", "four")).applied


def test_a_named_step_that_does_not_apply_needs_nothing(bench: Bench) -> None:
    class NotAskedFor(Made):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            return Plan.not_applicable(self.id, "optional, and not asked for")

    one, two = Made("one", bench.host, {"/etc/b": "new b\n"}), NotAskedFor("two", bench.host, {})
    two.needs = ("one",)  # type: ignore[misc]
    run = bench.apply(one, two, wanted=("two",))
    assert (run.applied, run.plans["two"].reason) == ({}, "optional, and not asked for")


def test_a_blocked_step_ends_the_run(bench: Bench) -> None:
    class Blocked(Made):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            return Plan.blocked(self.id, "it would break", "do not")

    run = bench.apply(Blocked("one", bench.host, {}), Made("two", bench.host, {"/etc/b": "new b\n"}))
    assert (run.blocked, run.plans["one"].outcome) == ("one", Outcome.BLOCKED)
    assert bench.text("/etc/b") == "old b\n"


def test_a_file_that_changes_between_the_facts_and_the_write_is_not_overwritten(bench: Bench) -> None:
    """The facts are fresh, and yet the file is not what they say: the write itself looks."""
    calls = []

    def signal() -> None:
        calls.append(1)
        if len(calls) == 1:
            (bench.root / "etc/mail/a").write_text("changed at the last moment\n")

    run = bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n"}), signal=signal)
    shown = [event for event in bench.events if isinstance(event, Planned)]
    assert [event.again for event in shown] == [False, True]
    assert run.applied


def test_a_mistake_of_ours_undoes_the_step_and_is_not_hidden(bench: Bench) -> None:
    def wrong() -> bool:
        raise ZeroDivisionError("a mistake")

    with pytest.raises(ZeroDivisionError):
        bench.apply(Made("one", bench.host, {"/etc/mail/a": "new a\n"}, verify=wrong))
    assert bench.text("/etc/mail/a") == "old a\n"
    assert bench.operations() == ["baseline"]


def test_an_earlier_step_is_rolled_back_when_a_later_one_needs_it(bench: Bench) -> None:
    one = Made("one", bench.host, {"/etc/mail/a": "new a\n"})
    two = Made("two", bench.host, {"/etc/b": "new b\n"}, verify=lambda: False)
    two.also_reverts = ("one",)  # type: ignore[misc]
    run = bench.apply(one, two)
    assert (bench.text("/etc/mail/a"), bench.text("/etc/b")) == ("old a\n", "old b\n")
    assert bench.operations() == ["rollback", "apply", "baseline"]
    assert not bench.store.pending()
    assert not run.applied
    assert [as_json.step_state(run, plan) for plan in run.plans.values()] == ["pending", "failed"]
    assert "step one" in bench.failure().undone
    session = Session()
    for event in bench.events:
        session.heard(lambda _: None)(event)
    assert not session.applied


def test_of_an_earlier_step_what_is_generated_goes_back_and_what_others_have_changed_stays(
    bench: Bench,
) -> None:
    def others() -> bool:
        (bench.root / "etc/mail/a").write_text("mine\n")
        return True

    (bench.root / "etc/mail/sendmail.cf").write_text("old cf\n")
    one = Made(
        "one",
        bench.host,
        {"/etc/mail/a": "new a\n", "/etc/mail/sendmail.cf": "new cf\n", "/etc/mail/c": "c\n"},
        verify=others,
    )
    two = Made("two", bench.host, {"/etc/b": "new b\n"}, verify=lambda: False)
    two.also_reverts = ("one",)  # type: ignore[misc]
    run = bench.apply(one, two)
    assert (run.failed, list(run.applied)) == ("two", ["one"])
    kept = "/etc/mail/a stays as it is where you have changed the same (content): fix it by hand"
    assert bench.failure().not_undone == (kept,)
    texts = [bench.text(path) for path in ("/etc/mail/a", "/etc/mail/sendmail.cf", "/etc/mail/c", "/etc/b")]
    assert texts == ["mine\n", "old cf\n", "c\n", "old b\n"]


def test_a_named_step_does_not_get_past_an_obstacle(bench: Bench) -> None:
    class Blocked(Made):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            return Plan.blocked(self.id, "not here", "elsewhere")

    run = bench.apply(
        Blocked("first", bench.host, {}), Made("two", bench.host, {"/etc/b": "new b\n"}), wanted=("two",)
    )
    assert run.blocked == "first"
    assert bench.text("/etc/b") == "old b\n"


def test_a_step_that_only_reports_does_so_when_it_is_named(bench: Bench) -> None:
    class Reports(Made):
        reports = True

    reports = Reports("one", bench.host, {}, verify=lambda: False)
    run = bench.apply(Made("first", bench.host, {}), reports, wanted=("one",))
    assert run.failed == "one"
    assert bench.failure() == Failed(reports, "it is as it should be, or not", (), (), "look", reported=True)
    assert as_json.run(replace(run, plans={}), bench.events)["failures"] == [
        {"step": "one", "why": "it is as it should be, or not", "undone": [], "not_undone": []}
    ]
    assert event_text(bench.failure()) == "", "its check has said so"
    assert bench.apply(Made("first", bench.host, {}), reports).failed is None


def test_a_fix_needs_nothing_that_troubleshooting_did_not_ask_for(bench: Bench) -> None:
    """What is broken does not wait for the steps before it, and fixes are no part of an ordinary run."""
    mend, step = (
        Made("mend-x", bench.host, {"/etc/b": "mended\n"}),
        Made("one", bench.host, {"/etc/mail/a": "a\n"}),
    )
    bench.monkeypatch.setattr(type(step), "needs", ("nothing-of-the-kind",))
    engine = Engine(bench.host, Answers(), bench.events.append, (mend, step))
    journal = Journal(bench.root / "journal")
    run = engine.apply(bench.store, journal, (), lambda _s, _p: True, lambda: None)
    assert list(run.applied) == ["mend-x", "one"]
    assert bench.text("/etc/b") == "mended\n"
    assert not {each.id for each in extra()} & {each.id for each in STEPS}


@pytest.mark.parametrize(
    ("files", "whole"),
    [
        (["a\nb\n"], "a\nb\n"),
        (["a\n", "a\nb\n"], "a\nb\n"),  # saved in its place
        (["a\nb\n", "c\n"], "a\nb\nc\n"),  # taken away, and appended to once more
        (["a\nb\n", "c\n", "c\nd\n"], "a\nb\nc\nd\n"),
        (["a\n", "b\n", ""], "a\n"),
    ],
)
def test_files_that_had_one_name_one_after_the_other(files: list[str], whole: str) -> None:
    entries = [Entry(Kind.FILE, 0o644, 0, 0, text.encode()) for text in files]
    assert _whole(entries).content.decode() == whole
