"""The one worker that may change the host, those beside it that do not, how their questions reach the admin, and all that
they send to the screens."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump

from wizard import log
from wizard.console import clean
from wizard.errors import WizardError
from wizard.model.events import Event, Output, Planned
from wizard.model.plan import Outcome, Plan, Step
from wizard.system.signals import Interrupt

if TYPE_CHECKING:
    from wizard.engine.local_edits import OwnEdit
    from wizard.engine.overview import Overview
    from wizard.model.events import Event
    from wizard.model.plan import Change, Check, Ending, Plan, Step
    from wizard.rollback.plan import Rollback
    from wizard.smtp.connection import Move


@dataclass
class EngineSaid(Message):
    """An event of the engine; its output lines go to `Job.lines` instead."""

    event: Event


@dataclass
class Drawing(Message, bubble=False):
    """What a thread has a screen draw, in that screen's own turn. One that goes draws nothing more."""

    draw: Callable[[], object]


@dataclass
class StepWaits(Message):
    """The engine has planned a step and waits for an answer. `edits` are the admin's own that it would undo."""

    step: Step
    plan: Plan
    edits: tuple[OwnEdit, ...] = ()
    why: str = ""
    """Why it is asked although the step has been approved."""
    seen: Overview | None = None
    """The host and all plans, now that the run has come so far."""


@dataclass
class EndingsWait(Message):
    """Something that works would end with the plan, and nobody has accepted it."""

    step: Step
    ends: tuple[Ending, ...]


@dataclass
class RollbackWaits(Message):
    """A rollback is prepared, and waits for an answer."""

    rollback: Rollback


@dataclass
class ChangesWait(Message):
    """What would be changed for a while, and waits for an answer."""

    changes: tuple[Change, ...]


@dataclass
class MoveWaits(Message):
    """The next command of a manual login waits for its key; `end` on the monotonic clock, None without one."""

    move: Move
    end: float | None


@dataclass
class CertificateWaits(Message):
    """A server's certificate is not trusted: what is known of it, and whether to send the password all the same."""

    words: str


@dataclass
class JobEnded(Message):
    """The worker is done: with a result, or with what went wrong."""

    job: Job
    result: object = None
    error: Exception | None = None


KEPT = 4000
"""At most this many lines of live output wait to be drawn."""


class Reply(StrEnum):
    """The admin's answer to a question of the engine."""

    YES = "yes"
    NO = "no"
    KEEP = "keep"
    RESTORE = "restore"
    STOP = "stop"


class Stopped(Exception):
    """The admin ended the run between two steps."""


class Job:
    """One piece of work in a thread: it reports and asks here. All but `answer` and `tell` is for that thread.

    It waits for the job before it to end; then it is at work, and `waiting` while a question of its own has no answer;
    then it has `ended`, which its JobEnded message says; once that has come to the screen, it is `known`."""

    def __init__(self, name: str, listener: MessagePump) -> None:
        self.name = name
        self.interrupt = Interrupt()
        self.step = ""
        """The step that it applies, or has applied last."""
        self.waiting = False
        """Whether it waits for an answer: then nothing is being changed."""
        self.holds = False
        """Whether it must restore something before anything else may be done, also while it waits."""
        self.ended = threading.Event()
        self.known = False
        """Whether the screen that began it has its JobEnded."""
        self._stop = False
        self.listener = listener
        """The screen that began it: it alone is told, and it alone answers."""
        self.lines: deque[str] = deque(maxlen=KEPT)
        """Live output, cleaned, not drawn yet; the screen takes it a few times a second."""
        self._replies: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        """To the question that waits; each has its own, so that no late answer is taken for one to the next."""

    def answer(self, reply: Reply) -> None:
        """Answer the question that waits; without one only a STOP does anything: whatever is asked later ends the job."""
        self._stop = self._stop or reply is Reply.STOP
        if self.waiting:
            self.waiting = False
            self._replies.put(reply)

    def tell(self, number: int) -> None:
        """A signal has come: the change in hand is finished or undone, and the work ends."""
        self.interrupt.remember(number)
        self._replies.put(None)

    def report(self, event: Event) -> None:
        """The engine's events; its output is collected, as there may be much of it."""
        if isinstance(event, Output):
            self.say(event.line)
        else:
            from wizard.render.text import log_event  # nothing of it is needed before a run

            log_event(event)
            if isinstance(event, Planned) and event.plan.outcome is Outcome.PENDING:
                self.step = event.step.id
            self.post(EngineSaid(event))

    def say(self, line: str) -> None:
        """A line of live output."""
        if shown := clean(line):
            self.lines.append(shown)

    def ask(self, question: Message, within: float | None = None) -> Reply:
        """Show `question` and wait for the answer; none in `within` seconds is a no. Raises Stopped, Interrupted."""
        replies: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        self._replies = replies
        self.interrupt()  # after that: a signal is remembered before it is put into the queue
        self.waiting = True
        if self._stop:  # looked at after that: whoever stops us sees that we wait, or we see it here
            self.waiting = False
            raise Stopped("ended by the admin")
        self.post(question)
        try:
            reply = replies.get(timeout=within)
        except queue.Empty:
            reply = Reply.NO
        self.waiting = False
        log.note(f"asked: {self.name}, {type(question).__name__}: {reply or 'a signal came'}")
        self.interrupt()
        if reply is None or reply is Reply.STOP:
            raise Stopped("ended by the admin")
        return reply

    def agreed(self, question: StepWaits) -> bool:
        """Whether the step may be applied. Raises Stopped, Interrupted, Enough."""
        return self._asked_of(question.plan, question)

    def consent(self, step: Step, plan: Plan, ends: tuple[Ending, ...]) -> bool:
        """Whether what works now may end with the step. Raises Stopped, Interrupted, Enough."""
        return self._asked_of(plan, EndingsWait(step, ends))

    def _asked_of(self, plan: Plan, question: Message) -> bool:
        """Raises Enough where a step was ended whose first part is done, which is no failure of it."""
        try:
            return self.ask(question) is Reply.YES
        except Stopped:
            if not plan.begun:
                raise
            from wizard.engine.run import Enough

            raise Enough from None

    @property
    def stopped(self) -> bool:
        """Whether a signal has come, or nobody waits for its end any more."""
        return self._stop or self.interrupt.number is not None

    def post(self, message: Message) -> None:
        """Hand a message to the screen that began the work."""
        self.listener.post_message(message)

    def show(self, draw: Callable[..., object], *shown: object) -> None:
        """Let that screen draw something, after all that was handed to it before."""
        self.post(Drawing(partial(draw, *shown)))

    def run(self, work: Callable[[Job], object], previous: Job) -> None:
        """Do the work once `previous` has ended; JobEnded is the last message."""
        ended = JobEnded(self)
        try:
            previous.ended.wait()
            ended.result = work(self)
        except Exception as error:
            log.exception()
            ended.error = error
        finally:
            self.waiting = False
            self.ended.set()
            self.post(ended)


@dataclass
class SeenOfSteps:
    """What was seen of each step since the screens were started, by its id; the steps screen comes and goes."""

    output: dict[str, list[str]] = field(default_factory=dict)
    checks: dict[str, list[Check]] = field(default_factory=dict)


class Desk:
    """One job at a time that may change the host, and beside it one of each screen that changes nothing. Each is answered
    by the screen that began it, and by no other. What is there, at work or waiting for everybody, is the first kind."""

    def __init__(self, app: App[int], after: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._after = after
        """Called when the work of a job is over, and before anybody is told."""
        self._job = Job("", app)
        """The newest that may change the host."""
        self._job.ended.set()
        self._beside: dict[MessagePump, Job] = {}
        """Those that change nothing, by their screens."""
        self.seen = SeenOfSteps()

    @property
    def job(self) -> str:
        """The name of the job that is there, empty without one."""
        return self._job.name if self.busy else ""

    @property
    def step(self) -> str:
        """The step that the job at hand applies, or has applied last; empty where there is none."""
        return self._job.step if self.busy else ""

    @property
    def busy(self) -> bool:
        """Whether a job is there that may change the host, at work or waiting."""
        return not self._job.ended.is_set()

    @property
    def waiting(self) -> bool:
        """Whether that job waits for an answer: each screen asks for its own with `asks`."""
        return self.busy and self._job.waiting

    @property
    def changing(self) -> bool:
        """Whether the host may be changing at this moment, or must be restored first."""
        return self.busy and (not self.waiting or self._job.holds)

    def _of(self, listener: MessagePump) -> Job:
        """The job of this screen, or one that has ended."""
        return self._job if self._job.listener is listener else self._beside.get(listener, _NOTHING)

    def works_for(self, listener: MessagePump) -> bool:
        """Whether a job of this screen is there: at work, waiting, or with its end still on the way to the screen."""
        return not self._of(listener).known

    def asks(self, listener: MessagePump) -> bool:
        """Whether a job of this screen waits for an answer."""
        return self.works_for(listener) and self._of(listener).waiting

    def start(self, listener: MessagePump, name: str, work: Callable[[Job], object]) -> None:
        """Do `work` in a thread; `listener` gets its messages. A job that waits for an answer ends first."""
        assert not self.changing, f"{self.job} is at work"
        self._job.answer(Reply.STOP)
        previous, self._job = self._job, Job(name, listener)
        run = self._run_of(self._job, work, previous)
        self._app.run_worker(run, thread=True, group="desk", exit_on_error=False)

    def start_beside(self, listener: MessagePump, name: str, work: Callable[[Job], object]) -> None:
        """The same for work that changes nothing: what may change the host goes on, or waits, meanwhile."""
        self._beside[listener] = job = Job(name, listener)
        run = self._run_of(job, work, _NOTHING)
        # Not one of Textual's workers: who quits does not wait for a server that is silent.
        threading.Thread(target=copy_context().run, args=(_unheard, run), daemon=True).start()

    def _run_of(self, job: Job, work: Callable[[Job], object], previous: Job) -> Callable[[], None]:
        def worked(job: Job) -> object:
            try:
                return work(job)
            finally:
                self._after()

        return lambda: job.run(worked, previous)

    def answer(self, reply: Reply, listener: MessagePump) -> None:
        """Answer what the job of this screen asks; where that asks nothing, nothing happens."""
        self._of(listener).answer(reply)

    def end_what_waits(self) -> None:
        """End the job that waits for an answer, whichever screen began it."""
        self._job.answer(Reply.STOP)

    def left(self, listener: MessagePump) -> None:
        """This screen goes: nobody can answer what its job asks, or read what comes of it."""
        self.answer(Reply.STOP, listener)
        self._beside.pop(listener, None)

    def quit(self) -> None:
        """The screens end: no job may wait for an answer any more."""
        for job in (self._job, *self._beside.values()):
            job.answer(Reply.STOP)

    def tell(self, number: int) -> None:
        """A signal has come."""
        self._job.tell(number)

    def wait(self) -> None:
        """Until the job that may change the host has ended; for a thread of its own."""
        self._job.ended.wait()

    def taken(self, listener: MessagePump) -> list[str]:
        """Take out the lines of this screen's job that were not drawn yet."""
        lines = self._of(listener).lines
        return [lines.popleft() for _ in range(len(lines))]


_NOTHING = Job("", MessagePump())
"""A job that has ended."""
_NOTHING.ended.set()
_NOTHING.known = True


def _unheard(run: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the app has ended
        run()


@dataclass
class ApplyPolicy:
    """Repeats the answers that the admin has given already, and asks for the rest. Lives in the worker."""

    skipped: set[str] = field(default_factory=set)
    everything: bool = False
    """Apply all that remain: each is shown, none waits."""
    shown: tuple[str, Plan] | None = None
    """The step and plan on which the admin pressed the key that began the run."""

    own_edits: Callable[[Plan], Sequence[OwnEdit]] = lambda _: ()
    """The admin's edits of the lines that a plan would write again."""
    see: Callable[[], Overview | None] = lambda: None
    """Looks at the host: what a run has done, or has left out, gives other steps something to do, or takes it away."""
    approved: tuple[str, Plan] | None = None
    """The step and plan that the admin has approved last."""

    def agreed_to(self, name: str) -> bool:
        """Whether the admin has said already that the step is to be applied."""
        return self.everything or name in (each[0] for each in (self.shown, self.approved) if each)

    def decide(self, job: Job, step: Step, plan: Plan) -> bool:
        """The engine's question before a step's changes. Raises Stopped, Interrupted, Enough."""
        job.interrupt()
        if step.id in self.skipped:
            return False
        if edits := self.own_edits(plan):  # never without a question
            return self._asked(job, StepWaits(step, plan, tuple(edits)))
        if self.everything:
            return True
        if self.shown is not None and self.shown[0] == step.id:
            self.approved, self.shown = self.shown, None
            if same(self.approved[1], plan):
                return True
        name, approved = self.approved or ("", plan)
        why = why_again(approved, plan) if name == step.id else ""
        return self._asked(job, StepWaits(step, plan, why=why))

    def _asked(self, job: Job, question: StepWaits) -> bool:
        from snapshots.errors import StoreError  # the first screen must not wait for it

        with contextlib.suppress(WizardError, StoreError, OSError):  # the plan at hand is known all the same
            question.seen = self.see()
        if agreed := job.agreed(question):
            self.approved = question.step.id, question.plan
        return agreed


def same(shown: Plan, now: Plan) -> bool:
    """Whether what would be done is what was shown."""
    return (
        shown.outcome is now.outcome
        and len(shown.changes) == len(now.changes)
        and all(map(_same, shown.changes, now.changes))
    )


def why_again(shown: Plan, now: Plan) -> str:
    """Why what was approved is asked for once more, as a sentence."""
    if now.begun:
        return "The first part is done, this is the rest; a no undoes both."
    if _brings(now) and not _brings(shown):
        return "Only now has apt said what comes with it: see above."
    return "The host has changed since this was shown; this is the new plan."


def _brings(plan: Plan) -> bool:
    return any(change.kind == "packages" and change.describe().details for change in plan.changes)


def _same(shown: Change, now: Change) -> bool:
    """For packages the command counts, and that what comes with them was on the screen, where apt says it now."""
    if shown.kind == now.kind == "packages":
        before, after = shown.describe(), now.describe()
        return before.commands[:1] == after.commands[:1] and bool(before.details) >= bool(after.details)
    return shown == now
