"""The screens' only door to the engine: look, apply, take back, recover, test. No decisions are made here.

The engine is imported when it is first asked: the first frame does not wait for it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snapshots.merge.three_way import Choice
    from snapshots.store import Commit, Store
    from wizard.certificates.peer_certificate import Certificate
    from wizard.debug.login import Talked
    from wizard.debug.saslauthd import Ended
    from wizard.engine.apply import Consent, Decide, Run
    from wizard.engine.in_force import Target
    from wizard.engine.journal import Journal, Unfinished
    from wizard.engine.local_edits import OwnEdit
    from wizard.engine.overview import Overview
    from wizard.gather.certificates import CertificateReport
    from wizard.maillog.correlate import Seen
    from wizard.maillog.read import Logged
    from wizard.model.answers import Answers
    from wizard.model.events import Report
    from wizard.model.facts import Facts
    from wizard.model.plan import Check, Plan, Step
    from wizard.rehearse.outcome import Rehearsal
    from wizard.rehearse.rehearsal import Tell
    from wizard.rollback.apply import RollbackResult
    from wizard.rollback.plan import Rollback
    from wizard.rollback.recovery import Recovery
    from wizard.rollback.rollback import RollbackRun
    from wizard.smtp.stepwise import Move
    from wizard.smtp.transcript import Credentials
    from wizard.system.host import Host, Say
    from wizard.system.signals import Interrupt
    from wizard.troubleshoot.diagnosis import Fault
    from wizard.troubleshoot.verdict import Verdict

AtWork = AbstractContextManager["tuple[Store, Journal, Interrupt]"]


def _host() -> Host:
    from wizard.system.host import Host

    return Host()


def _answers() -> Answers:
    from wizard.model.answers import Answers

    return Answers()


@dataclass(frozen=True)
class ByHandRequest:
    """What is asked for: a login over TLS, or without; then for `seconds`, and on loopback alone where wished."""

    credentials: Credentials
    port: int = 587
    send_to: str = ""
    encrypted: bool = True
    loopback: bool = False
    seconds: int = 120


@dataclass
class Machine:
    """The host we run on, and what the admin chose for it. Every method may take long: call them in a worker."""

    host: Host = field(default_factory=_host)
    answers: Answers = field(default_factory=_answers)
    tell: Callable[[str], None] = field(default=lambda _: None, repr=False, compare=False)
    """Takes what the store was found to be, before anything is done: damaged and healed, or wiped."""

    def lost(self) -> str:
        """A sentence where the history was wiped. Raises CannotHere."""
        from wizard.engine import state_dir as state_folder

        return state_folder.lost_history() if os.geteuid() == 0 else ""

    def at_work(self, interrupt: Interrupt, *, recovering: bool = False) -> AtWork:
        """The host is ours while inside. Raises CannotHere, Locked, InterruptedRun."""
        from wizard.engine import state_dir as state_folder

        return state_folder.at_work(recovering=recovering, told=interrupt, say=self.tell)

    def store(self) -> Store | None:
        """The history for reading alone, None where there is none or where it is not ours to read."""
        from wizard.engine import state_dir as state_folder

        return state_folder.existing_store() if os.geteuid() == 0 else None

    def killed(self) -> Unfinished | None:
        """A run that was killed, as far as we may know."""
        from wizard.engine import state_dir as state_folder

        return state_folder.killed_run() if os.geteuid() == 0 else None

    def overview(self) -> Overview:
        """What the first screens show."""
        from wizard.engine import overview

        store = self.store()
        return overview.overview(
            self.host,
            self._guarded(),
            store.history() if store and store.head() else (),
            self.killed(),
            store,
        )

    def facts(self) -> Facts:
        """The host as it is now."""
        from wizard.gather.host import look

        return look(self.host)

    def apply(
        self,
        wanted: Sequence[str],
        report: Report,
        decide: Decide,
        consent: Consent,
        interrupt: Interrupt,
    ) -> Run:
        """Apply steps; see Engine.apply."""
        from wizard.engine.engine import Engine

        with self.at_work(interrupt) as (store, journal, _):
            engine = Engine(self.host, self._guarded(), report)
            return engine.apply(store, journal, wanted, decide, interrupt, consent=consent)

    def do(
        self,
        make: Callable[[], Sequence[Step]],
        report: Report,
        decide: Decide,
        consent: Consent,
        interrupt: Interrupt,
    ) -> Run:
        """Apply the steps that `make` works out while the host is ours; see Engine.apply."""
        from wizard.engine.engine import Engine

        with self.at_work(interrupt) as (store, journal, _):
            engine = Engine(self.host, self._guarded(), report, tuple(make()))
            return engine.apply(store, journal, (), decide, interrupt, consent=consent)

    def _guarded(self) -> Answers:
        """The answers, with a change of the firewall to be confirmed where it could cut the line that we are on."""
        from wizard.changes.confirm_or_revert import DEFAULT
        from wizard.gather.firewall import ssh_connection

        return dataclasses.replace(self.answers, confirm_within=DEFAULT if ssh_connection() else 0)

    def confirmation(self) -> float | None:
        """Seconds left to confirm a change of the firewall, None where none waits."""
        from wizard.changes.confirm_or_revert import time_left

        return time_left()

    def confirm(self, yes: bool) -> None:
        """Confirm what waits, or take it back. Raises OSError."""
        from wizard.changes.confirm_or_revert import Decision, decide

        decide(Decision.CONFIRMED if yes else Decision.REVERTED)

    def certificates(self) -> CertificateReport:
        """What sendmail's certificates are. Raises HostError."""
        from wizard.steps.certificate_actions import shown

        return shown(self.host)

    def certificate_renewal(self) -> Sequence[Step]:
        """The step that makes a new self-signed certificate. Raises HostError."""
        from wizard.steps.certificate_actions import renewal

        return [renewal(self.host)]

    def certificate_installation(self, cert: str, key: str, chain: str) -> Sequence[Step]:
        """The step that installs one of an authority, checked. Raises HostError, UsageError."""
        from wizard.steps.certificate_actions import installation

        return [installation(self.host, cert, key, chain)]

    def troubleshoot(self, credentials: Credentials | None) -> Verdict:
        """Which layer fails, and why; changes nothing. Raises HostError, CannotHere."""
        from wizard.troubleshoot.collect import take
        from wizard.troubleshoot.verdict import judge

        return judge(take(self.host, self.answers, credentials))

    def debug_saslauthd(
        self,
        seconds: int,
        told: Callable[[str], None],
        say: Say,
        over: Callable[[], bool],
        interrupt: Interrupt,
    ) -> Ended:
        """saslauthd in debug mode until `over`; see wizard.debug.saslauthd.debug."""
        from wizard.debug.saslauthd import debug
        from wizard.engine.temporary import ForAWhile

        def ends() -> bool:
            return over() or interrupt.number is not None

        with self.at_work(interrupt) as (store, journal, _):
            work = ForAWhile(self.host, store, journal, interrupt, say)
            return debug(work, self.facts(), seconds, told, ends)

    def login_by_hand(
        self,
        request: ByHandRequest,
        told: Callable[[Seen], None],
        enter: Callable[[Move, float | None], bool],
        say: Say,
        interrupt: Interrupt,
        ask: Callable[[Certificate, str], bool] | None = None,
    ) -> Talked:
        """A conversation with this host, one command at a time; `enter` says whether the next one goes, before the end;
        `ask` whether a certificate that is not trusted is accepted.

        Without TLS AuthOptions is out of sendmail.cf for that while. Raises ValueError, HostError, ChangeError."""
        from wizard.debug.login import talk
        from wizard.debug.plaintext_login import held, plain
        from wizard.engine.temporary import ForAWhile
        from wizard.maillog.watched_login import target_of

        def converse(address: str, end: float | None) -> Talked:
            target = replace(asked, host=address)
            return talk(
                *(self.host, target, request.credentials, told, lambda move: enter(move, end)),
                encrypted=request.encrypted,
            )

        asked = target_of(self.host, "", request.port, ask=ask, send_to=request.send_to or None)
        if request.encrypted:
            return converse(asked.host, None)
        with self.at_work(interrupt) as (store, journal, _):
            made = plain(self.facts(), request.port, loopback=request.loopback)
            if made is None:
                return converse(asked.host, None)
            work = ForAWhile(self.host, store, journal, interrupt, say)
            with held(work, made, request.port, request.seconds) as end:
                return converse(made.address, end)

    def outside_commands(self) -> str:
        """What to run on another machine to test this one."""
        from wizard.maillog.outside_login import commands

        return commands(self.host)

    def from_outside(self, seconds: float, told: Callable[[Logged], None], over: Callable[[], bool]) -> Check:
        """Wait for a login from another machine; what it proves. Raises CannotHere."""
        from wizard.maillog.outside_login import verdict, watched

        return verdict(watched(self.host, seconds, told, over), seconds)

    def mends(self, faults: Sequence[Fault]) -> Sequence[Step]:
        """The steps that mend them, in their order."""
        from wizard.troubleshoot.selection import mends

        return mends(faults)

    def rehearse(self, tell: Tell, interrupt: Interrupt) -> Rehearsal:
        """Everything on a throwaway clone; the host is not changed. Raises CannotHere, Locked, HostError, Interrupted."""
        from wizard.rehearse.rehearsal import rehearsed

        return rehearsed(self.answers, (), tell, interrupt)

    def own_edits(self, plan: Plan) -> tuple[OwnEdit, ...]:
        """What the admin did to the lines that the plan would write again."""
        from wizard.engine.local_edits import own_edits

        store = self.store()
        return own_edits(store, plan) if store is not None else ()

    def take_back(
        self,
        name: Callable[[RollbackRun], Target],
        decide: Callable[[Rollback], Choice | bool],
        report: Report,
        say: Say,
        interrupt: Interrupt,
    ) -> RollbackResult | None:
        """Take back what `name` names. `decide` sees what it comes to, and answers with a choice for its conflicts (it
        is then asked again), True to go, or False: nothing is changed, and None returned."""
        from snapshots.merge.three_way import Choice
        from wizard.rollback.rollback import RollbackRun

        with self.at_work(interrupt) as (store, journal, _):
            work = RollbackRun(self.host, store, journal, report)
            made = work.prepared(name(work))
            while isinstance(answer := decide(made), Choice):
                made = work.prepared(made.target, answer)
            return work.do(made, say, interrupt) if answer else None

    def recover(
        self,
        act: Callable[[Recovery], RollbackResult | Run | str],
        report: Report,
        say: Say,
        interrupt: Interrupt,
    ) -> RollbackResult | Run | str | None:
        """Take up a killed run; None where there is none any more."""
        from wizard.rollback.recovery import Recovery

        with self.at_work(interrupt, recovering=True) as (store, journal, _):
            told = self.killed()
            if told is None:
                return None
            return act(Recovery(self.host, store, journal, told, report, say, interrupt))

    def commits(self) -> tuple[Commit, ...]:
        """The history, newest first."""
        store = self.store()
        return tuple(store.history()) if store and store.head() else ()

    def diff(self, commit: Commit) -> str:
        """What a commit changed, for people. Raises StoreError."""
        from wizard.render.text import effect_lines

        store = self.store()
        assert store is not None
        record = store.record(commit)
        effects = effect_lines(record) if record else []
        return "\n".join([*effects, store.diff(commit).rstrip("\n")])
