"""A rollback at work: packages, files, what is made again, services, a look at it all; or all of it undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.changes.command import CommandChange, DialogueChange
from wizard.changes.file import FileChange
from wizard.changes.packages import PackagesReversal
from wizard.changes.records import intent
from wizard.changes.service import ServiceChange, is_there, reload_units, stays_down
from wizard.engine.journal import Journal
from wizard.engine.recorder import Recorder, Targets
from wizard.engine.undo import carry_out, undo_effects
from wizard.errors import ChangeError, HostError, cause_of
from wizard.gather.host import look
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.generated_files import derived, same_but_dated, source_of
from wizard.model.plan import Change, Check, Effect, Outcome, Plan, Sign
from wizard.packages.witness import forget
from wizard.rollback import services
from wizard.rollback.plan import FROM_MC, REGENERATING_STEPS, Rollback, newer_sources, old_maps
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.asked_saslauthd import (
    argument,
    defaults_file,
    of_another_service,
    options_folder,
    serves_at,
    socket_of,
)
from wizard.sendmail.sendmailconfig import no_room
from wizard.steps.order import STEPS
from wizard.steps.restart import Restart, stale
from wizard.steps.saslauthd import answers_on_socket
from wizard.system.host import Host, Say
from wizard.system.services import at_work

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from snapshots.store import Store
    from wizard.engine.provenance import States


_SETTLES = 3.0
"""Seconds within which a daemon ends that cannot read its configuration (fail2ban takes one)."""
_MC, _CF = f.SENDMAIL_MC.lstrip("/"), f.SENDMAIL_CF.lstrip("/")


@dataclass
class RollbackResult:
    """What a rollback came to: `failed` says why it was itself undone, `not_undone` what of it could not be."""

    commit: str | None = None
    checks: list[Check] = field(default_factory=list)
    left: tuple[str, ...] = ()
    failed: str | None = None
    undone: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()


@dataclass
class RollbackSession:
    """Does what a Rollback says, with the journal open:

        others' work recorded -> packages -> files -> units and rules -> sendmail.cf and maps made again
        -> services -> a look at the listeners -> one commit

    Whatever fails before the commit undoes all of it; in a recovery (`over`) it stays, and the next one goes on from here."""

    host: Host
    store: Store
    journal: Journal
    recorder: Recorder
    say: Say
    interrupt: Callable[[], None]
    operation: str = "rollback"
    over: bool = False
    """A killed run was here before: what differs from the snapshot is its doing, and what fails is tried again."""
    record_others: Callable[[], None] | None = None
    """Commits what others did, where what differs is of the killed run as well."""
    effects: list[Effect] = field(default_factory=list)
    """What was done so far, in order."""
    claims: list[Effect] = field(default_factory=list)
    """Packages that went, also in the killed run: what went with them, and was not theirs, comes back."""
    _newer: list[str] = field(default_factory=list, init=False)
    _head: str = field(default="", init=False)
    """The commit that holds everything as it was before the first file was changed."""
    _late: States = field(default_factory=dict, init=False)
    """What others have changed between the plan and that commit."""
    _taken: Mapping[str, tuple[Entry | None, Entry]] = field(default_factory=dict, init=False)
    """What others wrote while packages went, and what went with these."""
    _noted: list[Check] = field(default_factory=list, init=False)
    """What does not work as it is again."""
    _ran: frozenset[str] = field(default=frozenset(), init=False)
    """The services that ran before anything was done."""
    _down: bool = field(default=False, init=False)
    """Whether sendmail did not start, and may stay so."""

    def run(self, rollback: Rollback, facts: Facts) -> RollbackResult:
        """Roll back, look, record: one commit. What fails, or leaves the daemon without a listener that it had, is
        undone. Raises OSError when the journal cannot be written; then nothing was changed."""
        self._head = rollback.reversal.head
        self.journal.step(self.operation, self._head)
        left = list(rollback.left)
        try:
            self._ran = frozenset(
                name
                for name in services.names(rollback.wanted.services)
                if services.runs(self.host, facts, name)
            )
            self._roll_back(rollback, facts, left)
            now = look(self.host)
            self._listens(rollback, facts, now, left)
            self._others_run(rollback)
            self.recorder.settle(self.effects, self.say)
            commit = self._commit(rollback, left)
        except Exception as error:
            # Whatever it was, also a mistake of ours: it is rolled back whole, or not at all.
            words = cause_of(error)
            result = RollbackResult(failed=words) if self.over else self._undo(words, facts)
            if isinstance(error, ChangeError | HostError | StoreError | OSError):
                return result
            raise
        self.journal.settled()
        self.recorder.drift()  # what others did meanwhile
        forget()
        checks = [] if rollback.target.everything else _checks(rollback, facts, now)
        return RollbackResult(commit, [*self._noted, *checks], tuple(left))

    def _roll_back(self, rollback: Rollback, facts: Facts, left: list[str]) -> None:
        for stop in rollback.stops:
            self._do(stop)
        if rollback.packages is not None:
            self._record_others()
            self.claims.append(rollback.packages.expect(self.host))
            self._do(replace(rollback.packages, looked=self.recorder.looked))
            self._record_taken_along(rollback.packages)
        elif self.over:  # apt was done, and what follows it perhaps not
            rollback.wanted.packages.dress(self.host)
        written = self._files(rollback)
        reload_units(self.host, written)
        for rules in rollback.wanted.rules:  # after the files: shorewall and a boot make them out of these
            self._do(rules)
        now = look(self.host)
        if rollback.regenerate and f.SENDMAIL_MC in now.files and now.files[f.SENDMAIL_MC] is not None:
            now = self._made_again(now, left)
        elif _MC in written and _CF not in written and _is_made(now):
            now = self._newer_than_mc()  # else a start makes it again, with another date
        for service in self._services(rollback, now, written):
            try:
                self._do(service)
            except ChangeError as error:
                if service.name != "sendmail" or not rollback.may_stay_down:
                    raise
                left.append(stays_down(service.init, error))
                self._down = True
        self._maps_as_recorded(rollback)
        for path in self._newer:  # last, for each start of sendmail makes a map that is older than its source
            self._again(f"/{path}")

    def _record_others(self) -> None:
        """What others have done since the rollback was planned: the packages that go may take it along."""
        (self.record_others or self.recorder.drift)()
        if self.recorder.head() != self._head:
            self._head = self.recorder.head()
            paths = [each.path for each in self.store.changed(self.store.find(self._head))]
            self._late = self.store.entries(self._head, paths)
            self.journal.step(self.operation, self._head)
            for effect in self.effects:  # a step that begins again has nothing in the journal yet
                self.journal.change((), intent(effect))

    def _record_taken_along(self, packages: PackagesReversal) -> None:
        """What others wrote while packages went, and what went with these."""
        if taken := self.recorder.taken_along([packages.transaction]):
            whole = {path: entry for path, (_, entry) in taken.items()}
            self.recorder.drift(whole)
            self._head = self.recorder.head()
            self._late = {**self._late, **whole}
            self._taken = taken

    def _with_late(self, targets: Targets) -> dict[str, tuple[Entry | None, Entry | None]]:
        """The targets, with what others have done to these paths since the rollback was planned; their folders stay."""
        merged_targets = dict(targets)
        for path in targets.keys() & self._late.keys():
            now, wanted = targets[path]
            late = self._late[path]
            merged_targets[path] = (late, self.recorder.merge(path, now, late, wanted).entry)
        stay = [path for path in self._late if merged_targets.get(path, (None, None))[1] is not None]
        for folder, (now, wanted) in targets.items():
            if wanted is None and any(path.startswith(f"{folder}/") for path in stay):
                merged_targets[folder] = (now, now)
        return merged_targets

    def _files(self, rollback: Rollback) -> set[str]:
        """Write what is to be; and bring back what removing packages took along that was not theirs to take."""
        targets = self._with_late(rollback.reversal.targets)
        for path, (live, whole) in self._taken.items():
            _, wanted = targets.get(path, (None, whole))
            targets[path] = (live, wanted)
        packages = [*self.claims, *self.effects]
        if self.claims:
            targets = self.recorder.after_packages(targets, packages, self._head)
        old = old_maps(self.host, self.store, rollback, targets)
        for change in rollback.file_changes({path: targets[path] for path in targets if path not in old}):
            self._do(change)
        for path in old:
            argv = ("make", "-s", "-C", "/etc/mail", Path(path).name)
            self._do(CommandChange(argv, f"makes /{path} again"))
        self._newer = newer_sources(self.host, self.store, rollback, targets)
        return set(targets)

    def _made_again(self, now: Facts, left: list[str]) -> Facts:
        if now.cf_from_mc is None:
            left.append(f"sendmail.cf was not rebuilt: m4 does not accept {f.SENDMAIL_MC}")
            return now
        submit = now.submit_from_mc
        if (submit is None or sendmail_cf.same(submit, now.text(f.SUBMIT_CF) or "")) and _is_made(now):
            return self._newer_than_mc()
        self._do(DialogueChange("rebuild sendmail.cf and the databases", keep=True))
        now = look(self.host)
        if not _is_made(now):
            why = f"sendmailconfig ran, and sendmail.cf is not what sendmail.mc gives{no_room(self.host)}"
            raise ChangeError(why)
        return now

    def _newer_than_mc(self) -> Facts:
        """Write what is made of sendmail.mc once more, so that it is newer than that, and look again: the sendmail that
        runs is older now."""
        for path in FROM_MC:
            self._again(path)
        return look(self.host)

    def _services(self, rollback: Rollback, now: Facts, written: set[str]) -> list[ServiceChange]:
        """Restarts of what shall run and has not read what is there now."""
        restarts: list[ServiceChange] = []
        for name in services.names(rollback.wanted.services):
            ran = name in self._ran
            shall = rollback.wanted.running(name)
            if shall is None:  # packages that came back have started theirs, before our files were there
                shall = ran or services.runs(self.host, now, name)
            there = shall and services.is_installed(self.host, name, now)
            if there and services.must_restart(self.host, now, name, written):
                restarts.append(ServiceChange(name, now.init, enable=False, was_running=ran))
        return restarts

    def _listens(self, rollback: Rollback, before: Facts, now: Facts, left: list[str]) -> None:
        """Raises ChangeError when saslauthd answered, or sendmail had all its listeners, and does so no more though
        it shall still run; where sendmail may stay down it is said."""
        bad = []
        if before.saslauthd_says is not None and rollback.wanted.running("saslauthd") is not False:
            bad += self._answers(now) if services.is_installed(self.host, "saslauthd", now) else []
        if healthy(before) and rollback.wanted.running("sendmail") is not False and not self._down:
            there = services.is_installed(self.host, "sendmail", now)
            silent = _failed(Restart().verify(self.host, now, Answers())) if there else []
            if silent and rollback.may_stay_down:
                left.append(stays_down(now.init, ChangeError("; ".join(silent))))
            else:
                bad += silent
        if bad:
            raise ChangeError("; ".join(bad))

    def _others_run(self, rollback: Rollback) -> None:
        """What else was restarted shall be at work; where it is not, that is said."""
        names = [
            name
            for name in services.names(rollback.wanted.services)
            if name not in services.OURS and rollback.wanted.running(name)
        ]
        names = [name for name in names if is_there(self.host, name)]
        end = time.monotonic() + (_SETTLES if names else 0.0)
        while not (down := [name for name in names if not at_work(self.host, name)]):
            if time.monotonic() >= end:
                return
            time.sleep(0.5)
        for name in down:
            says = f"{name} ran before msa-wizard changed anything, and does not run now"
            self._noted.append(Check(name, Sign.WARNING, says, f"see why: service {name} status"))

    def _answers(self, now: Facts) -> list[str]:
        """Why saslauthd is not what its files say now, by its own command line and its socket, wherever that is to be;
        where sendmail will not find it there it is said."""
        folder, socket = options_folder(self.host.text(defaults_file(now))), socket_of(now)
        if of_another_service(now):
            return _failed([answers_on_socket(self.host, socket)])
        bad = _failed([answers_on_socket(self.host, f"{folder}/mux" if folder else f.MUX)])
        runs = {argument(each, "-m").rstrip("/") for each in now.processes if each.name == "saslauthd"}
        if serves_at(folder, socket) or self.host.exists(socket):  # perhaps by a link
            return bad
        if folder not in runs:
            return [*bad, f"saslauthd does not run with -m {folder}, as its OPTIONS say"]
        self._noted.append(
            Check(
                "saslauthd",
                Sign.WARNING,
                f"saslauthd has its socket in {folder} again, where sendmail does not ask: no login works",
                "msa-wizard troubleshoot --fix saslauthd-elsewhere",
            )
        )
        return bad

    def _do(self, change: Change) -> None:
        carry_out([change], self.effects, self.host, self.journal, self.say, self.interrupt)

    def _maps_as_recorded(self, rollback: Rollback) -> None:
        """Maps that the start of sendmail has made again, though their sources are as they were (Debian's Makefile does so
        where ALIAS_FILE is /etc/aliases), or since these were newer: the recorded ones, where that loses nothing."""
        paths = ["etc/aliases.db", *(f"etc/mail/{name}" for name in self.host.names("/etc/mail"))]
        paths = [path for path in paths if path.endswith(".db") and derived(path)]
        recorded = self.store.entries(rollback.reversal.head, paths)
        recorded |= {path: pair[1] for path, pair in rollback.reversal.targets.items() if path in recorded}
        targets = {}
        for path, wanted in recorded.items():
            live = self.host.entry(f"/{path}")
            waits = source_of(path) in self._newer  # of an edit that no map had been made of
            if live == wanted or live is None or wanted is None:
                continue
            if waits or same_but_dated(live.content, wanted.content):
                targets[path] = (live, wanted)
        for change in rollback.file_changes(targets):
            self._do(change)

    def _again(self, path: str) -> None:
        """Write a file once more as it is: with a new date."""
        if entry := self.host.entry(path):
            self._do(FileChange(path, entry, entry, f"give {path} a new date"))

    def _commit(self, rollback: Rollback, left: Sequence[str]) -> str | None:
        target = rollback.target
        lines = [
            f"- {commit.short} {commit.subject}"
            for commit in target.commits
            if commit not in rollback.in_part
        ]
        done = "Undone" if target.killed else "Rolled back"
        title, body = f"{done}: {target.words}", "\n".join([*lines, *left])
        effects = [*self.claims, *self.effects]
        return self.recorder.record_rollback(
            self.operation, title, body, target, effects, self._head, rollback.in_part
        )

    def _undo(self, why: str, before: Facts) -> RollbackResult:
        undone, not_undone = undo_effects(self.recorder, self.effects, self._head, self.say, self.journal)
        if not not_undone:
            ran = set(services.running(before))
            if stale(before) and _pid(look(self.host)) == _pid(before):
                ran.discard("sendmail")  # it had not read what was there when we came: that is as it was
            try:
                restart_stale(self.host, sorted(ran), self.say)
                self.journal.settled()
            except ChangeError as error:
                not_undone = (str(error),)
        return RollbackResult(failed=why, undone=undone, not_undone=not_undone)


def _failed(checks: Sequence[Check]) -> list[str]:
    return [check.says for check in checks if check.sign is Sign.FAILED and check.id != "boot"]


def _is_made(facts: Facts) -> bool:
    """Whether sendmail.cf is what sendmail.mc gives."""
    cf = facts.cf_from_mc
    return cf is not None and sendmail_cf.same(cf, facts.text(f.SENDMAIL_CF) or "")


def _pid(facts: Facts) -> int | None:
    process = facts.process("sendmail-mta")
    return process.pid if process is not None else None


def restart_stale(host: Host, ran: Sequence[str], say: Say) -> None:
    """Once files are back under daemons that `ran`: those that have read others are restarted."""
    now = look(host)
    for name in ran:
        if not services.serves(now, name) or (name == "sendmail" and stale(now)):
            ServiceChange(name, now.init, enable=False, was_running=True).apply(host, say)


def healthy(facts: Facts) -> bool:
    """Whether sendmail holds every port that its sendmail.cf names."""
    held = {listener.port for listener in facts.listeners if listener.process == "sendmail-mta"}
    wanted = {listener.port for listener in sendmail_cf.daemons(facts.text(f.SENDMAIL_CF) or "")}
    return bool(wanted) and wanted <= held


def _checks(rollback: Rollback, before: Facts, now: Facts) -> list[Check]:
    """What each step that went would do now, and what follows from it, where that is new: so one sees what is off, and
    why. Where no mail server is left, all of it is."""
    gone = {*rollback.target.steps, *rollback.target.dependents}
    if "install" in gone:
        return []
    steps = [step for step in STEPS if step.id in gone | REGENERATING_STEPS]
    off = [(step.id, plan) for step in steps if _to_do(plan := step.plan(now, Answers()))]
    was_off = {step.id for step in steps if _to_do(step.plan(before, Answers()))}
    return [
        Check(
            name,
            Sign.WARNING,
            f"the step {name} is {'not in force' if name in gone else 'to do'} now: {plan.reason}",
        )
        for name, plan in off
        if name not in was_off
    ]


def _to_do(plan: Plan) -> bool:
    return plan.outcome in (Outcome.PENDING, Outcome.BLOCKED)
