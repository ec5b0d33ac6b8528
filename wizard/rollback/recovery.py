"""After a run was killed: roll it back, finish it, or say what it had done (docs/recovery.md).

All of it can itself be killed, and repeated: the journal stays until the host is as one of the two ends."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from snapshots.errors import StoreError
from snapshots.live.entry import Entry, Kind, is_temporary
from wizard.changes import confirm_or_revert
from wizard.changes.file import FileEffect, in_turn
from wizard.changes.lineage import DEADLINE
from wizard.changes.packages import PackagesBefore, as_one
from wizard.changes.records import recall
from wizard.changes.rules import RulesEffect
from wizard.changes.service import reload_units
from wizard.engine import temporary as for_a_while
from wizard.engine.engine import Engine
from wizard.engine.in_force import Target, commits_in_force
from wizard.engine.journal import Journal, Unfinished
from wizard.engine.recorder import Recorder
from wizard.engine.run import Consent, Decide, Resume, Run, nobody, not_asked
from wizard.engine.undo import undo_effects
from wizard.errors import ChangeError, HostError
from wizard.gather.host import DAEMONS, look
from wizard.mends.order import find
from wizard.model.answers import answers_from
from wizard.model.events import Report
from wizard.model.plan import Effect, Plan, Step
from wizard.packages.apt import settle
from wizard.packages.apt_history import FIX_UP
from wizard.packages.start_policy import remove_left_over
from wizard.packages.witness import forget, runs
from wizard.rollback.apply import RollbackResult, RollbackSession, restart_stale
from wizard.rollback.plan import prepare
from wizard.system.host import MARK, Host, Say

if TYPE_CHECKING:
    from snapshots.store import Commit, Store

PATIENCE = 60.0
"""Seconds for what the killed run left running to end."""
APT_PATIENCE = 1800.0
"""Seconds for apt and dpkg to: they are never stopped half-way."""
AGAIN = "recover"
"""The step in the journal while recorded steps are rolled back: a second recovery goes on with it."""
_GONE = "the history is gone, and with it what was there before the interrupted run"
_DPKG = {"apt-get", "apt", "dpkg", "dpkg-deb"}


@dataclass
class Recovery:
    """Rolls a killed run back, or finishes it."""

    host: Host
    store: Store
    journal: Journal
    killed: Unfinished
    report: Report
    say: Say
    interrupt: Callable[[], None]

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.host, self.store, self.killed.run, self.report)
        self.recorder.started_with = self.killed.request.get("started_with") is not False

    def undo(self) -> RollbackResult:
        """Everything as it was before the run; one commit where steps of it had been recorded."""
        self._begin()
        if self.store.head() is None:
            return RollbackResult(not_undone=(_GONE,))
        return self._ended(self._all_undone())

    def _all_undone(self) -> RollbackResult:
        result = RollbackResult()
        self._bring_back()
        if self._in_hand() and self.killed.step != AGAIN:
            result = self._in_hand_undone()
        if self.killed.step == AGAIN:
            self._record_others()
        elif not result.not_undone:
            self.recorder.drift()  # what differs now is of others, who were at work meanwhile
        commits = self._recorded()
        if commits and not result.not_undone:
            steps = tuple(dict.fromkeys(commit.step for commit in reversed(commits) if commit.step))
            target = Target(tuple(commits), steps, everything=True, killed=self.killed.operation)
            later = self._rolled_back(target, None, AGAIN)
            result = replace(later, undone=(*result.undone, *later.undone))
        if self.killed.operation == "rollback" and not (result.not_undone or result.failed):
            ran = _texts(self.killed.request["running"])
            try:
                restart_stale(self.host, ran, self.say)
            except ChangeError as error:
                result = replace(result, not_undone=(*result.not_undone, str(error)))
        return result

    def accept(self) -> str:
        """The host stays as it is: that is recorded, and the journal closed. Returns the short id of the commit."""
        self._begin()
        if self.store.head() is None:
            self.recorder.baseline()
        self.recorder.drift()
        left = self.killed.step or "nothing in particular"
        commit = self.recorder.note(f"Accepted as it is, with {left} half-done", self.killed.step, "recover")
        self.journal.close()
        forget()
        return commit

    def finish(self, decide: Decide = not_asked, consent: Consent = nobody) -> RollbackResult | Run:
        """Go on with it; what was changed for a while is put back, for there is nothing to go on with. `decide` is asked about
        the steps of an `apply` that nobody has decided on yet, `consent` about what would end."""
        if self.killed.operation == "apply":
            return self.finish_apply(decide, consent)
        return self.undo() if self.killed.operation == for_a_while.OPERATION else self.finish_rollback()

    def finish_apply(self, decide: Decide = not_asked, consent: Consent = nobody) -> Run:
        """The run of `apply` goes on where it was; what packages it had brought stays. A step that was declined stays left out, and
        so does what needs it; see `finish`. Raises HostError."""
        self._begin()
        engine = self._engine()
        kept: tuple[Effect, ...] = ()
        if self.killed.step == AGAIN:  # that is ended first, and then all of it done again
            _must_be_whole(self._all_undone())
        elif self._in_hand():
            self._bring_back()
            kept = () if self.killed.step in self.killed.declined else self._kept()
            if not kept:
                _must_be_whole(self._in_hand_undone())
        if not kept:  # else the journal still knows what was there before the packages
            self.journal.settled()
        resume = Resume(self.killed.run, self.killed.step, kept, self.recorder.started_with)
        wanted = _texts(self.killed.request["wanted"])
        order = [step.id for step in engine.steps]
        passed = order[: max((order.index(name) for name in self.killed.begun if name in order), default=0)]
        decided = functools.partial(self._decided, decide, passed)
        run = engine.apply(self.store, self.journal, wanted, decided, self.interrupt, resume, consent)
        if not self.journal.in_hand:
            self.journal.close()
        return run

    def _decided(self, decide: Decide, passed: Sequence[str], step: Step, plan: Plan) -> bool:
        """As it was decided in the killed run, also by `--yes`; else somebody is asked. What it had `passed`, and not begun, it was
        not to do: an earlier version noted no more of it."""
        killed = self.killed
        if step.id in killed.declined:
            return False
        if killed.unattended or step.id in killed.begun:
            return True
        return step.id not in passed and decide(step, plan)

    def _engine(self) -> Engine:
        """That of the killed run, with its steps. Raises HostError when one of them cannot be made again."""
        extra_steps, skipped = self.killed.request.get("extra"), frozenset(self.killed.declined)
        try:
            answers = answers_from(self.killed.request["answers"])
            answers = replace(answers, accept=(*answers.accept, *self.killed.accepted))
            if extra_steps is None:
                return Engine(self.host, answers, self.report, skipped=skipped)
            steps = [find(name).rebuild(self.host, kept) for name, kept in extra_steps]  # type: ignore[attr-defined]
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"The journal is damaged, or another version wrote it: {error!r}. `msa-wizard recover` undoes the run."
            ) from error
        except HostError as error:
            raise HostError(
                f"the interrupted run cannot be finished: {error}. `msa-wizard recover` undoes it"
            ) from error
        return Engine(self.host, answers, self.report, steps, skipped=skipped)

    def finish_rollback(self) -> RollbackResult:
        """The rollback is done once more from the commit it began at: the same in every detail."""
        self._begin()
        request, result = self.killed.request, RollbackResult()
        self._bring_back()
        if not self._recorded():
            self._record_others()
            commits = tuple(map(self.store.find, _texts(request["commits"])))
            steps, dependents = _texts(request["steps"]), _texts(request["dependents"])
            target = Target(commits, steps, dependents, bool(request["everything"]))
            result = self._rolled_back(target, request["choice"], "rollback")
        return self._ended(result)

    def _begin(self) -> None:
        if self.killed.operation == for_a_while.OPERATION:
            for_a_while.settled(self.host)
        confirm_or_revert.settled(self.host)
        self._survivors()
        remove_left_over(self.host)
        settle(self.host, self.say)
        with contextlib.suppress(HostError):  # a killed recovery may have brought units back, and not said so
            reload_units(self.host, ("etc/systemd/",))
        self.journal.begin("recover", self.killed.run, self.recorder.who, self.killed.head, {})
        for change in self.store.pending():
            if is_temporary(change.path):
                self.host.remove(f"/{change.path}")
        for folder in {path.rpartition("/")[0] for path in self.store.declared}:
            for name in self.host.names(folder):
                if is_temporary(name):
                    self.host.remove(f"/{folder}/{name}")

    def _survivors(self) -> None:
        """Wait for what the killed run had started: apt and dpkg till they are done, certbot as long as it is given, the rest a
        minute."""
        began, announced = time.monotonic(), False
        while True:
            names = marked(self.host)
            if not names or time.monotonic() - began > patience(names):
                return
            if not announced:
                self.say(f"still at work since the interrupted run: {', '.join(sorted(names))}; waiting")
                announced = True
            self.interrupt()
            time.sleep(0.2)

    def _in_hand(self) -> bool:
        """Whether a step was begun, and not recorded: the line that says so may not have got to the disk."""
        if self.killed.step is None:
            return False
        newer = itertools.takewhile(lambda commit: commit.id != self.killed.step_head, self.store.history())
        # What others did is committed on the way back, too: that records no step.
        return all(commit.run != self.killed.run or commit.operation == "drift" for commit in newer)

    def _effects(self) -> list[Effect]:
        records: list[Any] = [change["expected"] for change in self.killed.changes]
        effects = [effect for record in records if (effect := self._recalled(record)) is not None]
        before = [effect for effect in effects if isinstance(effect, PackagesBefore)]
        others = [effect for effect in effects if not isinstance(effect, PackagesBefore)]
        return [*others, as_one(before)] if before else others

    def _went(self) -> list[PackagesBefore]:
        """Of these the packages, all as one."""
        return [effect for effect in self._effects() if isinstance(effect, PackagesBefore)]

    def _recalled(self, record: dict[str, Any]) -> Effect | None:
        """The effect of a record; an older version did not keep the bytes of a file: then all that it is counts."""
        if record["kind"] != "file" or "after" in record:
            return recall(record)
        path = str(record["path"])
        before = self.store.entry(self.killed.step_head, path.lstrip("/"))
        return FileEffect(path, before, self.host.entry(path))

    def _record_others(self) -> None:
        """Work of others since the run was killed half-way, before packages go that may take it along."""
        brought = self.recorder.as_brought(self._went())
        provenance = replace(self.recorder.provenance(self._effects()), known=brought)
        then, live = self.recorder.states(provenance, self.recorder.head(), set(provenance.paths))
        others: dict[str, Entry | None] = {}
        for path, entry in live.items():
            change = path, then[path], entry
            if entry is not None and (not provenance.claimed(*change) or provenance.edited(*change)):
                others[path] = entry
        self.recorder.drift(others)

    def _bring_back(self) -> None:
        """What others wrote while packages went in the killed run: apt took it along, and only the witness has it.
        Raises ChangeError."""
        went = self._went()
        if not went or self.store.head() is None:
            return
        marks = {mark for effect in went for mark in effect.transactions}
        if self.killed.operation != "rollback" and self.killed.step != AGAIN:
            # Those of a way back of this step that was killed, too; what the step's own runs met is here, or undone.
            marks = set(runs(self.host) - marks - {FIX_UP})
        targets: dict[str, tuple[Entry | None, Entry | None]] = {**self.recorder.taken_along(marks)}
        folders = {str(folder) for path in targets for folder in PurePosixPath(path).parents}
        for folder in sorted(folders - {"."}):
            if not self.host.exists(f"/{folder}"):
                recorded = self.store.entry(self.recorder.head(), folder)
                targets[folder] = (None, recorded or Entry(Kind.DIRECTORY, 0o755, 0, 0))
        for change in in_turn(targets):
            change.apply(self.host, self.say)

    def _kept(self) -> tuple[Effect, ...]:
        """The packages that the step in hand had brought, where it had begun to."""
        if not self._went():
            return ()
        effects = self._effects()
        return tuple(each.since(self.host) if isinstance(each, PackagesBefore) else each for each in effects)

    def _in_hand_undone(self) -> RollbackResult:
        step, head, effects = self.killed.step, self.killed.step_head, self._effects()
        self.say(f"undoing what {step} had begun")
        undone, not_undone = undo_effects(self.recorder, effects, head, self.say, self.journal)
        if not not_undone and any(isinstance(each, RulesEffect) and each.confirm for each in effects):
            self.recorder.note(f"{step}: rolled back, the run ended before it was confirmed", step)
        return RollbackResult(undone=undone, not_undone=not_undone)

    def _recorded(self) -> list[Commit]:
        """The commits of the run that are in force, newest first."""
        run, operation = self.killed.run, self.killed.operation
        force = commits_in_force(self.store.history())
        return [commit for commit in force if commit.run == run and commit.operation == operation]

    def _rolled_back(self, target: Target, choice: object, operation: str) -> RollbackResult:
        from snapshots.merge.three_way import Choice

        facts = look(self.host)
        decided = Choice(str(choice)) if choice else None
        as_found = target.everything and operation == "rollback"
        prepared = functools.partial(prepare, self.host, self.store, facts, target, as_found=as_found)
        rollback = prepared(decided)
        if rollback.reversal.conflicts:
            rollback = prepared(Choice.KEEP, asked_apt=True)
            self.say("what was edited since the run was interrupted stays as it is")
        half_way = operation == "rollback" or self.killed.step == AGAIN
        session = RollbackSession(
            *(self.host, self.store, self.journal, self.recorder, self.say, self.interrupt, operation),
            over=True,
            record_others=self._record_others if half_way else None,
            claims=[*self._went()],
        )
        return session.run(rollback, facts)

    def _ended(self, result: RollbackResult) -> RollbackResult:
        """The journal is closed, unless something is still half-made: then the next recovery tries again."""
        if not (result.not_undone or result.failed):
            self.journal.close()
            forget()
        return result


def patience(names: set[str]) -> float:
    """Seconds for what has these names to end. What certbot gets comes all at once, at its end."""
    return APT_PATIENCE if names & _DPKG else DEADLINE if "certbot" in names else PATIENCE


def marked(host: Host) -> set[str]:
    """The names of what runs of msa-wizard have started and is still at work. The daemons that an init script started
    carry the mark too; they stay."""
    names = set()
    for _, folder in host.processes():
        try:
            if MARK.encode() not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            stat = (folder / "stat").read_text("latin-1")
        except OSError:
            continue
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :]
        if rest[0] != "Z" and name not in DAEMONS:
            names.add(name)
    return names


def _must_be_whole(result: RollbackResult) -> None:
    if wrong := [*result.not_undone, *filter(None, [result.failed])]:
        raise HostError(f"what the interrupted run had begun could not be undone: {'; '.join(wrong)}")


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise StoreError("The journal is damaged: a list was expected.")
    return tuple(map(str, value))
