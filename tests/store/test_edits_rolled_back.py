"""Whatever ends a run between the edits of sendmail.mc and sendmailconfig: edits that no sendmail.cf was made of are rolled back."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.store.place import Ends, Killed, Place, die
from tests.store.test_endings_of_edits import AT_25, NAMES, SENDS, Waits
from wizard.changes.file import FileChange
from wizard.cli.steps import stopped_text
from wizard.engine import edits as engine_edits
from wizard.engine.in_force import applied
from wizard.engine.journal import Journal, unfinished
from wizard.engine.recorder import Recorder
from wizard.engine.run import Consent, Decide, Enough, Run, nobody
from wizard.errors import HostError, Interrupted
from wizard.model.answers import Answers
from wizard.model.events import Failed, RolledBack
from wizard.model.facts import Facts
from wizard.model.plan import Check, Ending, Plan, Step
from wizard.model.session import Session
from wizard.render import as_json
from wizard.rollback.recovery import Recovery
from wizard.sendmail.m4 import Expansion
from wizard.system.host import Host

MC, CF = "/etc/mail/sendmail.mc", "/etc/mail/sendmail.cf"


def yes(_step: Step, _plan: Plan) -> bool:
    """Who wants every step."""
    return True


class Editing(Ends):
    """Adds a line with its name to one file, and then others may do something."""

    def __init__(self, place: Place, name: str, *ends: Ending) -> None:
        super().__init__(place.host, name, *ends)
        self.path = CF if name == "sendmailconfig" else MC
        self.others: Callable[[], None] = lambda: None
        self.blocked = False

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        if self.blocked:
            return Plan.blocked(self.id, "not here", "elsewhere")
        entry = self.host.entry(self.path)
        assert entry is not None
        line = f"{self.id}\n".encode()
        if line in entry.content:
            return Plan.done(self.id, "is so")
        change = FileChange(self.path, entry, replace(entry, content=entry.content + line))
        return Plan.pending(self.id, "differs", change, ends=self.ends)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        self.others()
        return super().verify(host, facts, answers)


def expanded(_host: Host, source: bytes) -> Expansion:
    """In the place of m4, which the root has not."""
    return Expansion(0, source.decode().replace("dnl\n", ""), "")


@dataclass
class Mc:
    """A host whose sendmail.mc the steps edit for real, and whose sendmail.cf is newer than it."""

    place: Place

    def __post_init__(self) -> None:
        (self.place.root / "etc/mail").mkdir()
        self.place.patch.setattr(engine_edits, "expand_text", expanded)
        for at, path in enumerate((MC, CF), 1):
            self.file(path).write_text("dnl\n" * 20)
            os.utime(self.file(path), ns=(at, at))
        self.steps = {
            name: Editing(self.place, name) for name in ("mend-listeners", *NAMES, "sendmailconfig")
        }

    def file(self, path: str) -> Path:
        return self.place.root / path[1:]

    def apply(self, consent: Consent = nobody, decide: Decide = yes) -> Run:
        engine, journal = self.place.engine(*self.steps.values()), Journal(self.place.at)
        return engine.apply(self.place.store, journal, (), decide, lambda: None, consent=consent)

    def recovery(self) -> Recovery:
        """Of the run that was killed here."""
        return self.place.recovery(*self.steps.values())

    def late(self) -> None:
        """A step behind sendmailconfig that nobody accepts."""
        self.steps["late"] = Ends(self.place.host, "login-policy", AT_25)  # type: ignore[assignment]

    def makes_cf(self, more: str = "") -> None:
        """As a start of sendmail does, and sendmailconfig in another shell."""
        self.file(CF).write_text(self.given + more)

    @property
    def given(self) -> str:
        """What m4 makes of sendmail.mc."""
        return expanded(self.place.host, self.file(MC).read_bytes()).text

    @property
    def newer(self) -> bool:
        """Whether sendmail.mc is newer than sendmail.cf, so that the next start of sendmail makes it."""
        mc, cf = (self.file(path).stat().st_mtime_ns for path in (MC, CF))
        return mc > cf

    def arrives(self, after: str, at: str, *ends: Ending) -> None:
        """While one step is at work something happens that another one would end."""

        def others() -> None:
            self.steps[at].ends = ends

        self.steps[after].others = others

    @property
    def untouched(self) -> bool:
        """Whether sendmail.mc is what it was, and the next start of sendmail leaves sendmail.cf alone."""
        same = all(self.file(path).read_text() == "dnl\n" * 20 for path in (MC, CF))
        return same and self.file(MC).stat().st_mtime_ns == 1


@pytest.fixture
def mc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mc:
    return Mc(Place(tmp_path, monkeypatch))


def test_a_kind_that_comes_up_between_the_edits_leaves_none_of_them(
    mc: Mc, capsys: pytest.CaptureFixture[str]
) -> None:
    del mc.steps["mend-listeners"]
    mc.arrives("auth-options", "smtp-port", AT_25)
    mc.place.engine(Ends(mc.place.host, "sendmail-auth"), *mc.steps.values())
    assert mc.place.main("apply", "--yes") == 4
    assert mc.untouched
    text = " ".join(capsys.readouterr().err.split())
    assert "Nothing of smtp-port was changed." in text
    behind = "mc-includes, submission-port, auth-options"
    assert (
        f"Rolled back, so that sendmail.mc is not left half edited: {behind}. 1 step applied (sendmail-auth)."
        in text
    )
    assert unfinished(mc.place.at) is None
    assert not mc.place.store.pending()
    assert [commit.step for commit in applied(mc.place.store.history())] == ["sendmail-auth"]
    again = text.partition("may end: ")[2].split()
    assert mc.place.main(*again[1:]) == 0
    assert mc.file(MC).read_text().splitlines()[-4:] == list(NAMES)


def test_a_no_to_what_comes_up_at_sendmailconfig_leaves_no_edit_either(mc: Mc) -> None:
    lines = Ending("cf-lines", "1 line of sendmail.cf goes", ("Cwmine.test",))
    del mc.steps["mend-listeners"]
    mc.steps["mc-includes"].ends = (SENDS,)
    mc.arrives("smtp-port", "sendmailconfig", replace(SENDS, lines=("others",)), lines)
    asked: list[Waits] = []

    def says_no_to_lines(step: Step, _plan: Plan, ends: tuple[Ending, ...]) -> bool:
        asked.append((step.id, ends))
        return lines not in ends

    run = mc.apply(says_no_to_lines)
    assert asked == [("mc-includes", (SENDS,)), ("sendmailconfig", (lines,))]
    assert (run.undecided, run.ends, run.applied, run.rolled_back) == ("sendmailconfig", (lines,), {}, NAMES)
    assert mc.untouched
    document = as_json.run(replace(run, plans={}), mc.place.events)
    assert document["rolled_back"] == list(NAMES)
    session = Session()
    for event in mc.place.events:
        session.heard(lambda _: None)(event)
    assert (session.applied, session.rolled_back) == ({}, [", ".join(NAMES)])
    assert mc.apply(lambda *_: True).stopped is None


def test_fixes_that_edit_it_go_too_and_the_work_of_others_stays(mc: Mc) -> None:
    def others() -> None:
        text = mc.file(MC).read_text()
        mc.file(MC).write_text(f"dnl mine\n{text}")
        mc.steps["submission-port"].ends = (SENDS,)

    mc.steps["mc-includes"].others = others
    run = mc.apply()
    assert (run.undecided, run.rolled_back) == ("submission-port", ("mend-listeners", "mc-includes"))
    assert mc.file(MC).read_text() == "dnl mine\n" + "dnl\n" * 20
    assert not mc.place.store.pending()


def test_what_sendmail_cf_was_made_of_stays(mc: Mc) -> None:
    mc.late()
    run = mc.apply()
    assert (run.undecided, run.rolled_back, len(run.applied)) == ("login-policy", (), 6)


def test_what_others_made_sendmail_cf_of_stays(mc: Mc) -> None:
    mc.late()
    mc.steps["smtp-port"].others = lambda: mc.makes_cf("sendmailconfig\n")
    run = mc.apply()
    assert (run.undecided, run.rolled_back, len(run.applied)) == ("login-policy", (), 5)
    assert mc.file(MC).read_text().splitlines()[-1] == "smtp-port"


def test_edits_since_others_made_sendmail_cf_are_rolled_back_and_it_is_made_of_the_rest(mc: Mc) -> None:
    mc.steps["submission-port"].others = mc.makes_cf
    mc.arrives("auth-options", "smtp-port", AT_25)
    run = mc.apply()
    assert (run.undecided, run.rolled_back) == ("smtp-port", ("auth-options",))
    assert list(run.applied) == ["mend-listeners", "mc-includes", "submission-port"]
    assert mc.file(CF).read_text() == mc.given == "mend-listeners\nmc-includes\nsubmission-port\n"
    assert not mc.newer, "no start of sendmail makes it of something else"


def test_all_of_them_stay_where_others_made_sendmail_cf_behind_the_last(mc: Mc) -> None:
    def others() -> None:
        mc.makes_cf()
        mc.steps["smtp-port"].ends = (AT_25,)

    mc.steps["auth-options"].others = others
    run = mc.apply()
    assert (run.undecided, run.rolled_back, len(run.applied)) == ("smtp-port", (), 4)
    assert mc.file(CF).read_text() == mc.given
    assert not mc.newer


def test_edits_do_not_stay_where_others_have_only_edited_sendmail_cf(mc: Mc) -> None:
    def others() -> None:
        mc.file(CF).write_text("dnl\n" * 20 + "Cwlate.test\n")
        mc.steps["submission-port"].ends = (SENDS,)

    mc.steps["mc-includes"].others = others
    run = mc.apply()
    assert (run.undecided, run.rolled_back) == ("submission-port", ("mend-listeners", "mc-includes"))
    assert mc.file(MC).read_text() == "dnl\n" * 20
    assert mc.file(CF).read_text().endswith("Cwlate.test\n")
    assert not mc.newer


@pytest.mark.parametrize("why", [Interrupted(2), RuntimeError("ended by the admin")])
@pytest.mark.parametrize("asked", ["consent", "step"])
def test_who_breaks_off_at_a_question_between_them_leaves_none(mc: Mc, why: Exception, asked: str) -> None:
    def breaks_off(step: Step, *_: object) -> bool:
        if step.id == "smtp-port":
            raise why
        return True

    if asked == "consent":
        mc.arrives("auth-options", "smtp-port", AT_25)
    with pytest.raises(type(why)):
        mc.apply(
            breaks_off if asked == "consent" else nobody, decide=yes if asked == "consent" else breaks_off
        )
    assert mc.untouched
    behind = ("mend-listeners", "mc-includes", "submission-port", "auth-options")
    assert [event for event in mc.place.events if isinstance(event, RolledBack)] == [RolledBack(behind)]
    assert unfinished(mc.place.at) is None
    assert not mc.place.store.pending()


@pytest.mark.parametrize("name", ["smtp-port", "sendmailconfig"])
@pytest.mark.parametrize("end", ["failed", "blocked"])
def test_one_that_fails_or_is_blocked_leaves_none_of_those_before_it(mc: Mc, name: str, end: str) -> None:
    if end == "failed":
        mc.steps[name].good = False
    else:
        mc.steps["auth-options"].others = lambda: setattr(mc.steps[name], "blocked", True)
    run = mc.apply()
    assert (getattr(run, end), run.stopped, run.applied) == (name, name, {})
    assert run.rolled_back[-1] == ("auth-options" if name == "smtp-port" else "smtp-port")
    assert mc.untouched
    assert unfinished(mc.place.at) is None
    assert "Rolled back, so that sendmail.mc is not left half edited: mend-listeners, " in stopped_text(run)
    mc.steps[name].good, mc.steps[name].blocked = True, False
    mc.steps["auth-options"].others = lambda: None
    assert mc.apply().stopped is None


def test_edits_stay_where_the_admin_leaves_out_sendmailconfig(mc: Mc) -> None:
    mc.late()
    run = mc.apply(decide=lambda step, _: step.id != "sendmailconfig")
    assert (run.undecided, run.rolled_back, len(run.applied)) == ("login-policy", (), 5)


def test_edits_stay_where_the_admin_did_not_ask_for_sendmailconfig_or_ends_the_run(mc: Mc) -> None:
    def enough(step: Step, _plan: Plan) -> bool:
        if step.id == "smtp-port":
            raise Enough
        return True

    run = mc.apply(decide=enough)
    assert (run.enough, run.rolled_back, len(run.applied)) == ("smtp-port", (), 4)
    mc.steps["smtp-port"].good = False
    journal, engine = Journal(mc.place.at), mc.place.engine(*mc.steps.values())
    run = engine.apply(mc.place.store, journal, ["smtp-port"], yes, lambda: None)
    assert (run.failed, run.rolled_back) == ("smtp-port", ())
    assert mc.file(MC).read_text().splitlines()[-1] == "auth-options"


def test_edits_of_a_killed_run_that_is_finished_go_with_its_stop(mc: Mc) -> None:
    mc.steps["submission-port"].die = True
    with pytest.raises(Killed):
        mc.apply()
    mc.steps["submission-port"].die = False
    mc.steps["submission-port"].ends = (SENDS,)
    run = mc.recovery().finish()
    assert isinstance(run, Run)
    assert (run.undecided, run.rolled_back) == ("submission-port", ("mend-listeners", "mc-includes"))
    assert mc.untouched
    assert unfinished(mc.place.at) is None


@pytest.mark.parametrize("finish", [False, True])
def test_a_run_killed_while_the_edits_are_rolled_back_can_be_recovered(
    mc: Mc, monkeypatch: pytest.MonkeyPatch, finish: bool
) -> None:
    mc.steps["smtp-port"].ends = ()
    mc.arrives("auth-options", "smtp-port", AT_25)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "record_rolled_back", die)
        with pytest.raises(Killed):
            mc.apply()
    mc.steps["smtp-port"].ends = ()
    mc.steps["auth-options"].others = lambda: None
    if finish:
        assert not getattr(mc.recovery().finish(yes), "stopped", "")
        assert sorted(mc.file(MC).read_text().splitlines()[20:]) == sorted((*NAMES, "mend-listeners"))
    else:
        assert not mc.recovery().undo().not_undone
        assert mc.file(MC).read_text() == "dnl\n" * 20
    assert unfinished(mc.place.at) is None


def test_edits_that_cannot_be_rolled_back_are_a_failure_and_wait_for_recovery(
    mc: Mc, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_args: object, **_more: object) -> None:
        raise HostError(f"{MC} could not be written: Read-only file system")

    def others() -> None:
        mc.steps["smtp-port"].ends = (AT_25,)
        monkeypatch.setattr(Host, "write", read_only)

    mc.steps["auth-options"].others = others
    run = mc.apply()
    assert (run.failed, run.undecided, run.ends, run.rolled_back) == ("smtp-port", None, (), ())
    failed = next(event for event in mc.place.events if isinstance(event, Failed))
    assert "the edits of sendmail.mc before it could not be rolled back" in failed.why
    assert "Read-only file system" in failed.not_undone[0]
    monkeypatch.undo()
    assert unfinished(mc.place.at) is not None
    assert not mc.recovery().undo().not_undone
    assert mc.file(MC).read_text() == "dnl\n" * 20


@pytest.mark.parametrize("finish", [False, True])
def test_edits_that_somebody_has_changed_since_stay_with_a_word_of_it(mc: Mc, finish: bool) -> None:
    def others() -> None:
        text = mc.file(MC).read_text()
        mc.file(MC).write_text(text.replace("mc-includes\n", "mc-includes edited by admin\n"))
        mc.steps["submission-port"].ends = (SENDS,)

    mc.steps["mc-includes"].others = others
    run = mc.apply()
    assert (run.failed, run.undecided, run.rolled_back) == ("submission-port", None, ())
    assert list(run.applied) == ["mend-listeners", "mc-includes"]
    assert mc.file(MC).read_text().splitlines()[20:] == ["mend-listeners", "mc-includes edited by admin"]
    failed = next(event for event in mc.place.events if isinstance(event, Failed))
    assert failed.not_undone == (
        "/etc/mail/sendmail.mc stays as it is where you have changed the same (content)",
    )
    assert "`msa-wizard recover`" in failed.next
    mc.steps["submission-port"].ends = ()
    mc.steps["mc-includes"].others = lambda: None
    if finish:
        assert not getattr(mc.recovery().finish(yes), "stopped", "")
    else:
        assert not mc.recovery().undo().not_undone
    assert "mc-includes edited by admin" in mc.file(MC).read_text().splitlines()
    assert unfinished(mc.place.at) is None


def test_a_step_before_which_edits_are_rolled_back_is_not_taken_for_agreed_to(
    mc: Mc, monkeypatch: pytest.MonkeyPatch
) -> None:
    mc.steps["smtp-port"].ends = ()
    mc.arrives("auth-options", "smtp-port", AT_25)
    monkeypatch.setattr(Recorder, "record_rolled_back", die)
    with pytest.raises(Killed):
        mc.apply()
    killed = mc.place.killed_run()
    begun = ["auth-options" in killed.begun, "smtp-port" in killed.begun]
    assert (killed.step, begun) == ("smtp-port", [True, False])
