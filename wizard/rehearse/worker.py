"""The half of a rehearsal that runs in the clone: the same engine, a made-up user's login, and everything back."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wizard.changes import CommandChange, DialogueChange
from wizard.console import clean
from wizard.engine.apply import Run
from wizard.engine.engine import Engine
from wizard.engine.overview import REMAINING, plans
from wizard.engine.state_dir import at_work
from wizard.errors import HostError, UsageError
from wizard.maillog.watched_login import target_of
from wizard.model.answers import Answers, answers_from
from wizard.model.events import Checked, Event, Failed, Planned, Recorded
from wizard.model.plan import Change, Outcome
from wizard.rehearse import prepare as settling
from wizard.rehearse import syscalls as kernel
from wizard.rehearse.messages import Teller
from wizard.render import as_json
from wizard.render.text import line_text, rollback_text, show
from wizard.rollback.rollback import EVERYTHING, RollbackRun
from wizard.sendmail.password_source import wanted
from wizard.smtp.login_test import Credentials, Line, converse
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Store
    from wizard.engine.journal import Journal
    from wizard.system.signals import Interrupt

_NOT_ALL = "not all steps are done"


def main() -> int:
    """Rehearse what standard input asks for; each phase waits until the other half has looked at the file system."""
    kernel.no_audit()
    kernel.drop_kernel_capabilities()
    request = json.loads(sys.stdin.readline())
    CloneRun(Teller(), answers_from(request["answers"]), request).run()
    return 0


@dataclass
class CloneRun:
    """One rehearsal in the clone."""

    teller: Teller
    answers: Answers
    request: dict[str, Any]
    host: Host = field(default_factory=Host)
    events: list[Event] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Settle, apply, log in, roll back."""
        user = self._settled()
        before = settling.running(self.host)
        self.teller.pause("ready", before=before)
        with at_work() as (store, journal, interrupt):
            try:
                run = self._applied(store, journal, interrupt)
            except UsageError as problem:
                self.teller.tell("refused", why=str(problem))
                return
            self._login(user, run)
            if run.failed:
                self.teller.tell("log", lines=settling.last_log(self.host))
            self._back(store, journal, interrupt)
        self.teller.tell("over", after=settling.running(self.host))

    def _settled(self) -> Credentials | None:
        self.teller.tell("phase", phase="boot")
        notes: list[str] = []
        with contextlib.suppress(OSError):  # then it takes longer
            settling.cut_waits()
        if self.request["systemd"]:
            notes += settling.booted(self.host, self.request["ports"])
        else:
            notes += settling.started(self.host, self.request["services"])
        notes += settling.stand_ins(self.host, self.request["listeners"])
        named, expected = settling.named(self.host, self.answers, self.request["fqdn"])
        notes += named
        user: Credentials | None = None
        try:
            user = settling.made_up_user(self.host, self.answers)
        except HostError as problem:
            notes.append(f"no made-up user, so no login: {problem}")
        self.teller.tell("settled", notes=notes, expected=expected, user=user.user if user else "")
        return user

    def _report(self, event: Event) -> None:
        self.events.append(event)
        now = time.monotonic()
        match event:
            case Planned(step, plan):
                self._since = now
                self.teller.tell(
                    "step",
                    step=step.id,
                    state="doing" if plan.outcome is Outcome.PENDING else str(plan.outcome),
                )
            case Checked(step, _):
                self.seconds.setdefault(step.id, now - self._since)
            case Recorded(step, _, seconds):
                self.seconds[step.id] = seconds
                self.teller.tell("step", step=step.id, state="done")
            case Failed(step):
                self.seconds[step.id] = now - self._since
                self.teller.tell("step", step=step.id, state="failed")
        show(event)

    def _applied(self, store: Store, journal: Journal, interrupt: Interrupt) -> Run:
        self.teller.tell("phase", phase="apply")
        began = time.monotonic()
        engine = Engine(self.host, self.answers, self._report)
        run = engine.apply(store, journal, self.request["steps"], lambda _step, _plan: True, interrupt)
        document = as_json.run(run, self.events)
        touched = {
            name: sorted({path for change in plan.changes for path in _may_write(change)})
            for name, plan in self._planned().items()
        }
        self.teller.pause(
            "applied", run=document, seconds=self.seconds, took=time.monotonic() - began, touches=touched
        )
        return run

    def _planned(self) -> dict[str, Any]:
        """The plans that were shown, by step; a step that was planned again with all that it said."""
        planned: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, Planned) and event.plan.changes:
                planned[event.step.id] = event.plan
        return planned

    def _login(self, user: Credentials | None, run: Run) -> None:
        self.teller.tell("phase", phase="login")
        why = self._no_login(user, run)
        if why:
            self.teller.tell("login", tried=False, why=why, remaining=why.startswith(_NOT_ALL))
            return
        assert user is not None
        result = converse(target_of(self.host, "", 587), user, self._line)
        self.teller.tell("login", tried=True, user=user.user, **result.to_json())

    @staticmethod
    def _line(line: Line) -> None:
        print(line_text(line.who, line.text, line.explanation))

    def _no_login(self, user: Credentials | None, run: Run) -> str:
        if run.stopped:
            return f"{run.stopped} did not go through"
        from wizard.gather.host import look

        if user is None:
            source = wanted(look(self.host), self.answers)
            if source.name not in settling.LOCAL:
                return f"passwords come from {source.name}, which has no made-up user and is out of the clone's reach"
            return "there is no made-up user that could log in"
        left = [
            name
            for name, plan in plans(self.host, self.answers, look(self.host)).items()
            if plan.outcome in REMAINING
        ]
        return f"{_NOT_ALL}: {', '.join(left)} would remain" if left else ""

    def _back(self, store: Store, journal: Journal, interrupt: Interrupt) -> None:
        from wizard.errors import NothingToRollBack

        self.teller.tell("phase", phase="rollback")
        began = time.monotonic()
        work = RollbackRun(self.host, store, journal, show)
        try:
            target = work.target(EVERYTHING)
        except NothingToRollBack:
            self.teller.tell("rollback", nothing=True, took=time.monotonic() - began)
            return
        rollback = work.prepared(target)
        print(rollback_text(rollback))
        result = work.do(rollback, lambda line: print(f"   | {clean(line)}"), interrupt)
        self.teller.tell(
            "rollback", nothing=False, took=time.monotonic() - began, **as_json.rollback(rollback, result)
        )


def _may_write(change: Change) -> tuple[str, ...]:
    return change.footprint if isinstance(change, CommandChange | DialogueChange) else change.touches
