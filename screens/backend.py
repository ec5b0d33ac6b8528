"""The screens' only door to the engine: look, apply, roll back, recover, test. No decisions are made here.

The engine is imported when it is first asked: the first frame does not wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from wizard.errors import CannotHere, NotPutBackError
from wizard.model.answers import Answers
from wizard.model.answers_file import SAVED, saved
from wizard.model.session import Session, TakenBack
from wizard.model.set_option import as_options, as_words, of_apply, with_those_that_go
from wizard.system import accepted_login
from wizard.system.host import Host

if TYPE_CHECKING:
    from screens.jobs import Job
    from snapshots.merge.three_way import Choice
    from snapshots.store import Commit, Store
    from wizard.certificates import Certificate
    from wizard.debug import ConversationResult, DebugResult
    from wizard.engine.in_force import Target
    from wizard.engine.journal import Journal, Unfinished
    from wizard.engine.local_edits import OwnEdit
    from wizard.engine.overview import Overview
    from wizard.engine.run import Decide, Run
    from wizard.engine.summary import Summary
    from wizard.engine.temporary import ForAWhile
    from wizard.gather.certificates import CertificateReport
    from wizard.maillog.correlate import ConversationLine
    from wizard.maillog.read import LogLine
    from wizard.model.facts import Facts
    from wizard.model.plan import Change, Check, Plan, Step
    from wizard.model.step_facts import AptPlan
    from wizard.rehearse.outcome import Rehearsal
    from wizard.rehearse.rehearsal import Tell
    from wizard.rollback.apply import RollbackResult
    from wizard.rollback.plan import Rollback
    from wizard.rollback.recovery import Recovery
    from wizard.rollback.rollback import RollbackRun
    from wizard.smtp.connection import Move
    from wizard.smtp.transcript import Credentials
    from wizard.system.signals import Interrupt
    from wizard.troubleshoot.diagnosis import Fault
    from wizard.troubleshoot.verdict import Verdict

AtWork = AbstractContextManager["tuple[Store, Journal, Interrupt]"]


@dataclass(frozen=True)
class ManualLoginRequest:
    """A manual login over TLS, or without it: then for `seconds`, and on loopback alone if asked for."""

    credentials: Credentials
    port: int = 587
    send_to: str = ""
    encrypted: bool = True
    loopback: bool = False
    seconds: int = 120


def _to_save(answers: Answers) -> Answers:
    """Without what counts only until the screens end."""
    return replace(answers, replace_mta=False, watch_restart=0)


@dataclass
class Backend:
    """The host we run on, and what the admin chose for it. Every method may take long: call them in a worker."""

    host: Host = field(default_factory=Host)
    answers: Answers = field(default_factory=Answers)
    saved: Answers = field(default_factory=Answers)
    """The settings of this host as every command reads them."""
    stored: object = field(default=False, repr=False, compare=False)
    """The file that they were read from, as it was then: another one where somebody else has saved some since."""
    tell: Callable[[str], None] = field(default=lambda _: None, repr=False, compare=False)
    """Told before anything is done that the store was damaged and healed, or wiped; and of settings that are used no more."""

    session: Session = field(default_factory=Session, repr=False, compare=False)
    """What was done since the screens were started."""

    _seen: tuple[object, Overview] | None = field(default=None, init=False, repr=False, compare=False)
    """The host as it was seen last, and by which settings and after how many changes."""
    _changes: int = field(default=0, init=False, repr=False, compare=False)
    _looking: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    _apt_said: tuple[object, AptPlan] | None = field(default=None, init=False, repr=False, compare=False)
    """Apt's last answer, and to what."""
    _asking_apt: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @classmethod
    def of_this_host(cls) -> Backend:
        """With its settings. Raises AnswersError."""
        here = cls()
        here.read_settings()
        return here

    def _stored_now(self) -> object:
        path = self.host.path(SAVED)
        try:
            file = path.stat()
        except OSError:
            return os.path.lexists(path)  # a link to nowhere is no settings, and not none
        return file.st_mtime_ns, file.st_ino, file.st_size

    def read_settings(self) -> None:
        """Go by the settings that somebody else has saved since, and by ours in what we have not saved. Raises AnswersError."""
        if (now := self._stored_now()) == self.stored:
            return
        others, ours = saved(self.host.path(SAVED)), self.answers
        both, left = with_those_that_go(others, as_options(_to_save(ours), self.saved)[1::2])
        self.answers = replace(both, replace_mta=ours.replace_mta, watch_restart=ours.watch_restart)
        self.saved, self.stored = others, now
        if left:
            what = f"Used no more, and not saved: {', '.join(left)}."
            self.tell(f"{what} This does not go with the settings that somebody else has saved.")

    def alone(self, what: str) -> AbstractContextManager[None]:
        """While inside, this host is ours alone to change. Raises WizardError."""
        from wizard.engine import state_dir

        return state_dir.alone(what)

    def choose(self, answers: Answers, facts: Facts | None = None) -> str:
        """Use these from now on, and save them for every command; a sentence on that. Raises WizardError where they are
        used, but not saved."""
        from wizard.engine.settings import save_settings
        from wizard.render.files import as_toml

        self.answers = answers
        kept = _to_save(answers)
        with self.alone("save the settings"):
            words = save_settings(self.host, SAVED, kept, as_toml(kept, facts), self.store_to_add_to)
            self.saved, self.stored = kept, self._stored_now()
        self.session.saved.append(f"the settings, in {SAVED}")
        return words

    @property
    def settings_options(self) -> str:
        """What a command needs to do the same as we: the settings that are not saved."""
        return as_words(as_options(self.answers, self.saved))

    @property
    def apply_options(self) -> str:
        """The same for `apply`, which has more."""
        return as_words(of_apply(self.answers, self.saved))

    @property
    def steps(self) -> Sequence[Step]:
        """The steps of the howto, in their order."""
        from wizard.steps.order import STEPS

        return STEPS

    def lost(self) -> str:
        """A sentence where the history was wiped. Raises CannotHere."""
        from wizard.engine import state_dir

        return state_dir.lost_history() if os.geteuid() == 0 else ""

    def at_work(self, interrupt: Interrupt, work: str = "", *, recovering: bool = False) -> AtWork:
        """The host is ours while inside, for this `work`. Raises CannotHere, Locked, InterruptedRun."""
        from wizard.engine import state_dir

        return state_dir.at_work(recovering=recovering, signals=interrupt, say=self.tell, work=work)

    def store(self) -> Store | None:
        """The history, read-only; None where there is none or where it is not ours to read."""
        from wizard.engine import state_dir

        return state_dir.existing_store() if os.geteuid() == 0 else None

    def store_to_add_to(self) -> Store | None:
        """The history for a commit beside all runs, once the host is ours; see state_dir. Raises CannotHere."""
        from wizard.engine import state_dir

        return state_dir.store_to_add_to()

    def history_mark(self) -> object:
        """The same as long as nobody has added to the history."""
        from wizard.engine import state_dir

        return state_dir.history_mark()

    def killed(self) -> Unfinished | None:
        """A run that was killed, as far as we may know."""
        from wizard.engine import state_dir

        return state_dir.killed_run() if os.geteuid() == 0 else None

    def waits(self) -> Unfinished | None:
        """A killed run that waits for its recovery, as far as we may know: none is at work now."""
        from wizard.engine import state_dir

        return state_dir.waiting_run() if os.geteuid() == 0 else None

    def overview(self) -> Overview:
        """A new look at the host, without apt's answer."""
        from wizard.engine import overview

        store = self.store()
        history = store.history() if store and store.head() else ()
        return overview.overview(
            self.host, self._guarded(self.answers), history, self.waits(), store, self._skipped
        )

    @property
    def held(self) -> Overview | None:
        """The host as it was seen last; None where the settings or the host may be others now."""
        return self._seen[1] if self._seen is not None and self._seen[0] == self._moment() else None

    def _moment(self) -> object:
        settings, login = (self.answers, self._stored_now()), self.host.mtime(accepted_login.PATH)
        return self._changes, self.session.events, settings, self._skipped, self.history_mark(), login

    @property
    def _skipped(self) -> frozenset[str]:
        return frozenset(self.session.skipped)

    def changed(self) -> None:
        """The host may be another one from now on: the next screen looks at it again."""
        self._changes += 1

    def seen(self, again: bool = False) -> Overview:
        """The host as it is held; looked at where it is not, or `again`. Two screens do not look twice."""
        with self._looking:
            self.read_settings()
            moment, held = self._moment(), self.held
            if held is None or again:
                held = self.overview()
                self._seen = moment, held
            return held

    def seen_with_apt(self) -> Overview:
        """The same, once apt has said what comes with the packages that are missing. It is asked once for all screens,
        and again when its lists or the packages are others."""
        from wizard.engine import overview

        held = self.seen()
        if not held.facts.asking_apt:
            return held
        moment, apt = self._moment(), self._apt_says()
        with self._looking:
            whole = overview.with_apt(
                held, apt, self.host, self._guarded(self.answers), self.store(), self._skipped
            )
            if self.held is held:
                self._seen = moment, whole
        return whole

    def _apt_says(self) -> AptPlan | None:
        from wizard.engine.overview import asked_apt
        from wizard.gather.host import apt_state

        with self._asking_apt:
            question = self.answers.install, apt_state(self.host)
            if self._apt_said is not None and self._apt_said[0] == question:
                return self._apt_said[1]
            if (plan := asked_apt(self.host, self.answers)) is not None:
                self._apt_said = question, plan
            return plan

    def summary(self) -> Summary:
        """What was done since the screens were started, and what is still missing."""
        return self._summary_of(self.seen())

    def _summary_of(self, seen: Overview | None) -> Summary:
        from wizard.engine.summary import summary
        from wizard.rollback.rollback import needing

        self._tested_elsewhere()
        return summary(seen, self.session, needing, self._known_to_wait())

    def _tested_elsewhere(self) -> None:
        """A login test that has passed in a shell counts as one of ours does."""
        if not self.session.failed:
            return
        from wizard.steps.restart import AuthTest

        if login := accepted_login.accepted_login(self.host, 0.0):
            self.session.passed(AuthTest.id, login.passed)

    def _known_to_wait(self) -> Unfinished | None:
        with suppress(CannotHere):
            return self.waits()
        return None

    def parting_words(self) -> str:
        """What stays on the terminal when the screens end: the summary, without another look at the host."""
        self._tested_elsewhere()
        if self.session.nothing:
            from wizard.engine.state_dir import WAYS

            waits = self._known_to_wait()
            return "msa-wizard: nothing was changed." + (f" {waits.words()}: {WAYS}." if waits else "")
        from wizard.render.text import summary_text

        return summary_text(self._summary_of(self.held))

    def facts(self) -> Facts:
        """The host as it is now."""
        from wizard.gather.host import look

        return look(self.host)

    def apply(
        self,
        job: Job,
        decide: Decide,
        wanted: Sequence[str] = (),
        make: Callable[[], Sequence[Step]] | None = None,
        answers: Answers | None = None,
    ) -> Run:
        """Apply the wanted steps of the howto (all when none is named), or those that `make` returns while the host is
        ours, by `answers` where they are not ours; see Engine.apply."""
        from wizard.engine.engine import Engine

        with self.at_work(job.interrupt) as (store, journal, _):
            steps = tuple(make()) if make else self.steps
            asked = self.seen_with_apt().facts.apt_plan if make is None and self.held else None
            report = self.session.heard(job.report)
            guarded = self._guarded(answers or self.answers)
            engine = Engine(self.host, guarded, report, steps, apt_plan=asked, skipped=self._skipped)
            run = engine.apply(store, journal, wanted, decide, job.interrupt, consent=job.consent)
            if run.failed == "auth-test":
                from wizard.troubleshoot.explain import of_run

                of_run(engine, run)
            return run

    @staticmethod
    def _guarded(answers: Answers) -> Answers:
        """The answers; a change of the firewall must be confirmed where it could cut our own connection."""
        from wizard.changes.confirm_or_revert import DEFAULT
        from wizard.gather.firewall import ssh_connection

        return replace(answers, confirm_within=DEFAULT if ssh_connection() else 0)

    def confirmation(self) -> float | None:
        """Seconds left to confirm a change of the firewall; None where none waits."""
        from wizard.changes.confirm_or_revert import time_left

        return time_left()

    def confirm(self, yes: bool) -> None:
        """Confirm what waits, or revert it. Raises OSError."""
        from wizard.changes.confirm_or_revert import decide
        from wizard.system.guard import Decision

        decide(Decision.CONFIRMED if yes else Decision.REVERTED)

    def certificates(self) -> CertificateReport:
        """Sendmail's certificates. Raises HostError, NotRoot."""
        from wizard.engine.state_dir import must_be_root
        from wizard.steps.certificate import shown

        must_be_root("look at the server's certificate and key", reads=True)
        return shown(self.host, self.answers.certificate)

    def certificate_renewal(self) -> Sequence[Step]:
        """The step that makes a new self-signed certificate. Raises HostError."""
        from wizard.steps.certificate import renewal

        return [renewal(self.host, self.answers.certificate.names)]

    def certificate_installation(self, cert: str, key: str, chain: str) -> Sequence[Step]:
        """The step that installs a CA-issued one, after checking it. Raises HostError, UsageError."""
        from wizard.steps.certificate_install import installation

        return [installation(self.host, cert, key, chain, next(iter(self.answers.certificate.names), ""))]

    def troubleshoot(self, credentials: Credentials | None) -> Verdict:
        """Which layer fails, and why; changes nothing. Raises HostError, CannotHere: others than root see faults that are none."""
        from wizard.engine.state_dir import must_be_root
        from wizard.troubleshoot.collect import take
        from wizard.troubleshoot.verdict import judge

        must_be_root("look at all of this host", reads=True)
        return judge(take(self.host, self.answers, credentials))

    def debug_saslauthd(
        self, job: Job, seconds: int, told: Callable[[str], None], over: Callable[[], bool]
    ) -> DebugResult:
        """saslauthd in debug mode until `over`; see wizard.debug.debug."""
        from wizard.debug import SASLAUTHD, debug
        from wizard.engine.temporary import ForAWhile

        with self.at_work(job.interrupt, SASLAUTHD) as (store, journal, _):
            work = ForAWhile(self.host, store, journal, job.interrupt, job.say)
            with self._noted(SASLAUTHD, work):
                return debug(work, self.facts(), seconds, told, lambda: over() or job.stopped)

    def manual_login(
        self,
        job: Job,
        request: ManualLoginRequest,
        told: Callable[[ConversationLine], None],
        enter: Callable[[Move, float | None], bool],
        agree: Callable[[tuple[Change, ...]], bool],
        ask: Callable[[Certificate, str], bool] | None = None,
    ) -> ConversationResult | None:
        """A conversation with this host, one command at a time; `enter` says whether the next one is sent, before the
        end; `ask` whether an untrusted certificate is accepted.

        Without TLS, AuthOptions is out of sendmail.cf meanwhile, if `agree` says yes to that; None if not. Raises ValueError, HostError, ChangeError."""
        from wizard.debug import PLAINTEXT, plaintext_offer, plaintext_offered, talk
        from wizard.engine.temporary import ForAWhile
        from wizard.maillog.watched_login import target_of

        def converse(address: str, end: float | None) -> ConversationResult:
            target = replace(asked, host=address)
            return talk(
                *(self.host, target, request.credentials, told, lambda move: enter(move, end)),
                encrypted=request.encrypted,
            )

        asked = target_of(
            self.host, "", request.port, self.answers.certificate, ask=ask, send_to=request.send_to or None
        )
        if request.encrypted:
            return converse(asked.host, None)
        with self.at_work(job.interrupt, PLAINTEXT) as (store, journal, _):
            plaintext = plaintext_offer(self.facts(), request.port, loopback=request.loopback)
            if plaintext is None:
                return converse(asked.host, None)
            if not agree(plaintext.changes):
                return None
            work = ForAWhile(self.host, store, journal, job.interrupt, job.say)
            with (
                self._noted(PLAINTEXT, work),
                plaintext_offered(work, plaintext, request.port, request.seconds) as end,
            ):
                return converse(plaintext.address, end)

    @contextmanager
    def _noted(self, what: str, work: ForAWhile) -> Iterator[None]:
        """What is changed inside for a while counts as something that was done, and what could not be restored as failed."""
        restored = True
        try:
            yield
        except NotPutBackError as error:
            restored = False
            self.session.half_way.append(f"{what}: {error}")
            raise
        finally:
            self.session.events += 1
            if work.begun and restored:
                self.session.debugged.append(what)

    def outside_commands(self, columns: int) -> str:
        """What to run on another machine to test this one."""
        from wizard.maillog.watched_login import commands

        return commands(self.host, self.answers.certificate, columns)

    def from_outside(
        self, seconds: float, told: Callable[[LogLine], None], over: Callable[[], bool]
    ) -> Check:
        """Wait for a login from another machine; the result. Raises CannotHere."""
        from wizard.engine.state_dir import must_be_root
        from wizard.maillog.watched_login import verdict, wait_for_login

        must_be_root("read the mail log", reads=True)
        return verdict(wait_for_login(self.host, seconds, told, over), seconds)

    def fixes(self, faults: Sequence[Fault]) -> Sequence[Step]:
        """The steps that fix them, in their order."""
        from wizard.troubleshoot.verdict import mends

        return mends(faults)

    def rehearse(self, tell: Tell, interrupt: Interrupt) -> Rehearsal:
        """Everything on a throwaway clone; the host is not changed. Raises CannotHere, Locked, HostError, Interrupted."""
        from wizard.rehearse.rehearsal import rehearsed

        return rehearsed(self.answers, (), tell, interrupt)

    def own_edits(self, plan: Plan) -> tuple[OwnEdit, ...]:
        """The admin's edits of the lines that the plan would write again."""
        from wizard.engine.local_edits import own_edits

        store = self.store()
        return own_edits(self.host, store, plan) if store is not None else ()

    def roll_back(
        self, job: Job, name: Callable[[RollbackRun], Target], decide: Callable[[Rollback], Choice | bool]
    ) -> RollbackResult | None:
        """Roll back what `name` names. `decide` sees the rollback and answers with a choice for its conflicts (it is
        then asked again), True to go on, or False: nothing is changed, and None returned."""
        from snapshots.merge.three_way import Choice
        from wizard.engine.in_force import applied
        from wizard.rollback.rollback import RollbackRun

        with self.at_work(job.interrupt) as (store, journal, _):
            before = {commit.id for commit in applied(store.history())}
            work = RollbackRun(self.host, store, journal, job.report)
            rollback = work.prepared(name(work))
            while isinstance(answer := decide(rollback), Choice):
                rollback = work.prepared(rollback.target, answer)
            if not answer:
                return None
            result = work.do(rollback, job.say, job.interrupt)
            target = rollback.target
            if result.failed is not None and result.not_undone:
                self.session.half_way.append(
                    f"rolling back {target.words}: {result.failed}; NOT undone: {', '.join(result.not_undone)}"
                )
            if result.failed is None:
                back = [commit for commit in applied(store.history()) if commit.id not in before]
                again = {commit.step: commit.id for commit in reversed(back) if commit.step}
                self.session.took_back(_taken_back(rollback, result.left), again)
            return result

    def recover(
        self, job: Job, act: Callable[[Recovery], RollbackResult | Run | str], outcome: str
    ) -> RollbackResult | Run | str | None:
        """Undo or finish a killed run, which is `outcome` then, in words; None where there is none any more."""
        from wizard.engine.in_force import applied
        from wizard.rollback.recovery import Recovery

        with self.at_work(job.interrupt, recovering=True) as (store, journal, _):
            killed = self.killed()
            if killed is None:
                return None
            report, why, result = self.session.heard(job.report), "", None
            try:
                result = act(Recovery(self.host, store, journal, killed, report, job.say, job.interrupt))
                return result
            except Exception as error:
                why = str(error)
                raise
            finally:
                if self.killed() is None:
                    in_force = [commit.id for commit in applied(store.history())]
                    came_to = f"{killed.words()}: {_came_to(result, outcome)}"
                    self.session.recovery(came_to, in_force, getattr(result, "left", ()))
                else:
                    self.session.events += 1
                    why = why or _why_not(result)
                    self.session.half_way.append(f"the interrupted run is not {outcome}: {why}")

    def commits(self) -> tuple[Commit, ...]:
        """The history, newest first."""
        store = self.store()
        return tuple(store.history()) if store and store.head() else ()

    def diff(self, commit: Commit) -> str:
        """What a commit changed, as text. Raises StoreError."""
        from wizard.render.text import commit_changes

        store = self.store()
        assert store is not None
        effects, diff = commit_changes(store, commit)
        return "\n".join([*effects, diff])


def _taken_back(rollback: Rollback, left: tuple[str, ...]) -> TakenBack:
    """A rollback for the summary: what went in part is in force still."""
    target, part = rollback.target, {commit.step for commit in rollback.in_part}
    steps = dict.fromkeys((*target.steps, *target.dependents))
    words = target.words
    if part:
        words = ", ".join(f"{step} in part" if step in part else step for step in steps)
    return TakenBack(words, tuple(step for step in steps if step not in part), left)


def _came_to(result: RollbackResult | Run | str | None, outcome: str) -> str:
    """What has become of an interrupted run that is over; None where it ended by an error."""
    if stopped := getattr(result, "stopped", None):
        return f"over, and stopped at {stopped}"
    return outcome if result is not None else f"over, and not {outcome}"


def _why_not(result: RollbackResult | Run | str | None) -> str:
    """Why an interrupted run waits still."""
    if stopped := getattr(result, "stopped", None):
        return f"stopped at {stopped}"
    undone, failed = getattr(result, "not_undone", ()), getattr(result, "failed", None)
    return "; ".join(filter(None, (*undone, failed)))
