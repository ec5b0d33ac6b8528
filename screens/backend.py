"""The screens' only door to the engine: look, apply, roll back, recover, test. No decisions are made here.

The engine is imported when it is first asked: the first frame does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from screens.held_host import HeldHost
from wizard.errors import NotPutBackError, cause_of
from wizard.model.answers import Answers
from wizard.model.session import TakenBack

if TYPE_CHECKING:
    from screens.jobs import Job
    from snapshots.merge.three_way import Choice
    from snapshots.store import Commit
    from wizard.certificates import Certificate
    from wizard.debug import ConversationResult, DebugResult
    from wizard.engine.in_force import Target
    from wizard.engine.local_edits import OwnEdit
    from wizard.engine.run import Decide, Run
    from wizard.engine.temporary import ForAWhile
    from wizard.gather.certificates import CertificateReport
    from wizard.maillog.correlate import ConversationLine
    from wizard.maillog.read import LogLine
    from wizard.model.plan import Change, Check, Plan, Step
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


@dataclass(frozen=True)
class ManualLoginRequest:
    """A manual login over TLS, or without it: then for `seconds`, and on loopback alone if asked for."""

    credentials: Credentials
    port: int = 587
    send_to: str = ""
    encrypted: bool = True
    loopback: bool = False
    seconds: int = 120


class Backend(HeldHost):
    """What can be done on the host, and asked of it. Every method may take long: call them in a worker."""

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
            target, undone = rollback.target, "all of it was undone"
            try:
                result = work.do(rollback, job.say, job.interrupt)
            except Exception as error:
                came_to = undone if self.killed() is None else "it waits to be finished or undone"
                self._failed_rollback(target, cause_of(error), came_to)
                raise
            if result.failed is not None:
                left = f"NOT undone: {', '.join(result.not_undone)}" if result.not_undone else undone
                self._failed_rollback(target, result.failed, left)
            else:
                back = [commit for commit in applied(store.history()) if commit.id not in before]
                again = {commit.step: commit.id for commit in reversed(back) if commit.step}
                self.session.took_back(_taken_back(rollback, result.left), again)
            return result

    def _failed_rollback(self, target: Target, why: str, came_to: str) -> None:
        self.session.events += 1
        self.session.half_way.append(f"rolling back {target.words}: {why}; {came_to}")

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
