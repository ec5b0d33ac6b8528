"""The five moves, and the way back when one of them fails: a real store, real files, steps made for the test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapshots.errors import StoreError
from snapshots.live.entry import Entry, Kind
from snapshots.live.held import HeldFile
from tests.store.bench import Bench, Made
from wizard.changes.command import CommandChange
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal
from wizard.engine.recorder import Recorder, _whole
from wizard.errors import HostError, Interrupted, NeededError, UsageError
from wizard.mends.order import extra
from wizard.model.answers import Answers
from wizard.model.events import Failed, Planned
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan
from wizard.model.session import Session
from wizard.render import as_json
from wizard.render.text import event_text
from wizard.steps.order import STEPS
from wizard.system.host import Host


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


def test_the_command_for_a_sendmail_cf_names_what_keeps_passwords_out_of_clear_text(bench: Bench) -> None:
    names = ("submission-port", "auth-options", "sendmailconfig", "restart")
    steps = [Made(name, bench.host, {f"/etc/{name}": "new\n"}) for name in names]
    steps[2].needs, steps[3].needs = ("submission-port",), ("sendmailconfig",)  # type: ignore[misc]
    for wanted in (("sendmailconfig", "restart"), ("restart",)):
        with pytest.raises(NeededError) as raised:
            bench.apply(*steps, wanted=wanted)
        assert raised.value.steps == names
    assert bench.apply(*steps, wanted=("auth-options",)).applied
    with pytest.raises(NeededError) as raised:
        bench.apply(*steps, wanted=("restart",))
    assert raised.value.steps == ("submission-port", "sendmailconfig", "restart")


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


def test_many_paths_that_were_undone_are_counted(bench: Bench) -> None:
    new = {f"/etc/new{number}": "new\n" for number in range(13)}
    bench.apply(Made("one", bench.host, {"/etc/b": "new b\n", **new}, verify=lambda: False))
    assert bench.failure().undone == ("13 paths (removed)", "/etc/b (as before)")
    assert not (bench.root / "etc/new0").exists()


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
    kept = "/etc/mail/a stays as it is where you have changed the same (content)"
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
