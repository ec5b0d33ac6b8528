"""Changes made one by one, each in the journal before it is made; and the way back of a step that failed or was killed:
its own writes go, everybody else's work stays (docs/recovery.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from snapshots.live.entry import Entry
from snapshots.merge.path_merge import EntryMerge
from wizard.changes.command import CommandEffect
from wizard.changes.file import Dates, FileEffect, dates_of, in_turn, kept_sentence
from wizard.changes.packages import EVERYWHERE, Packages, PackagesBefore, PackagesReversal
from wizard.changes.records import dates_before, intent
from wizard.changes.service import ServiceEffect, reload_units, stays_down
from wizard.console import count
from wizard.engine.journal import Journal
from wizard.engine.provenance import Provenance, States
from wizard.engine.recorder import Recorder
from wizard.errors import ChangeError, HostError, StaleError, cause_of
from wizard.model.claim import Owns, below
from wizard.model.generated_files import DATED, derived
from wizard.model.plan import Change, Effect
from wizard.packages.apt import settle
from wizard.packages.witness import runs
from wizard.system.host import Say

if TYPE_CHECKING:
    from snapshots.store import Commit
    from wizard.system.host import Host

_NAMES = {
    "packages": "packages (as before)",
    "rules": "live firewall rules (as before)",
    "service": "service {name} (as before)",
}
"""By kind of effect what was undone, in words; of the others nothing is said."""

FEW = 12
"""Paths that are named, and not counted, in what was undone: packages leave some hundred."""


@dataclass
class Undo:
    """Takes out what effects did to the host since the commit `before`.

    1. What is to be is worked out while the packages are still here: what is theirs is read from dpkg's lists.
    2. Where packages go or come again, the work of others is committed first, as drift: their scripts may take it along,
       and should we be killed the next attempt finds it there.
    3. Packages, then files (each merged into what is there), then services, which read the files."""

    recorder: Recorder
    before: str
    say: Say
    journal: Journal
    undone: list[str] = field(default_factory=list)
    """What was undone, in words."""
    failed: list[str] = field(default_factory=list)
    """What could not be, and why."""

    def run(self, effects: Sequence[Effect], roll_back: Sequence[Commit]) -> None:
        """Undo them, and first the files of the steps whose commits are in `roll_back`, applied earlier in this run (newest
        first), so that a restarted daemon reads the old ones; that is recorded as a rollback. Raises StoreError, HostError,
        ChangeError, OSError."""
        host = self.recorder.host
        self._settle(effects)
        packages = [effect for effect in effects if isinstance(effect, Packages)]
        others = [effect for effect in effects if not isinstance(effect, FileEffect | Packages)]
        reversals = self._reversals(packages)
        kept = [reversal.kept(host) for reversal in reversals]
        brought = self.recorder.as_brought(packages)
        provenance = replace(self.recorder.provenance(effects).without(kept), known=brought)
        earlier = self._roll_back(roll_back) if roll_back else {}
        leave = set(earlier)
        then, live = self.recorder.states(provenance, self.before, leave)
        packages = [replace(effect, looked=self.recorder.looked) for effect in packages]
        targets, met = provenance.undone(then, live)
        going = self._announced(packages, reversals, targets, live) if packages else []
        tops = below(*(top for effect in (*packages, *going) for top in effect.tops))
        before = runs(host)
        if self._effects(packages):
            taken = self.recorder.taken_along(runs(host) - before, live if packages else {})
            if taken:
                self.recorder.drift({path: whole for path, (_, whole) in taken.items()})
            wanted = {path: live[path] for path in provenance.paths if path in live} | targets
            if packages:
                now_theirs = self.recorder.provenance(packages).without(kept)
                claims = replace(provenance, claims=(*provenance.claims, *now_theirs.claims))
                wanted = self._left_by_packages(claims, tops, leave, wanted) | wanted
            for path, (_, whole) in taken.items():
                merge = self.recorder.merge(path, live.get(path), whole, wanted.get(path, whole))
                wanted[path] = merge.entry
                if merge.conflicts:
                    met = {**met, path: merge}
            # Merged against what was there when it was worked out, or what packages have left there since.
            now = {path: host.entry(f"/{path}") if packages else live.get(path) for path in wanted}
            now |= {path: there for path, (there, _) in taken.items()}
            self._write({path: (now[path], wanted[path]) for path in now}, dates_of(provenance.files))
            self.failed += [kept_sentence(f"/{path}", merge) for path, merge in met.items()]
        else:
            self.failed.append(
                "the files in /etc stay as they are, for they belong to packages that are still installed"
            )
        try:
            reload_units(host, ("etc/systemd/",))
        except HostError as error:
            self.failed.append(f"systemd was not told that units are back: {error}")
        self._effects(others)
        if roll_back and not self.failed:  # else recovery rolls them back
            self.recorder.record_rolled_back(roll_back, earlier)
            self.undone += [f"step {commit.step}" for commit in roll_back]

    def _announced(
        self,
        packages: Sequence[Packages],
        reversals: Sequence[PackagesReversal],
        targets: States,
        live: States,
    ) -> list[PackagesBefore]:
        """Before packages go: the work of others is committed, and the journal gets what is to be, and what goes along: once
        they are gone nobody can tell any more what was theirs. Returns the latter."""
        if self.recorder.head() == self.before:
            self.recorder.drift({path: targets.get(path, entry) for path, entry in live.items()})
        if self.recorder.head() == self.before:  # the next attempt must know that this one has begun
            self.recorder.note("No change of others was found before packages were removed", None, "drift")
        # It tells what goes along, and has no run of apt of its own: one that nobody watched would make the evidence of
        # the step's own runs incomplete.
        marks = tuple(mark for effect in packages for mark in effect.transactions)
        going = [replace(reversal.expect(self.recorder.host), transactions=marks) for reversal in reversals]
        for path, target in targets.items():
            self.journal.change((f"/{path}",), intent(FileEffect(f"/{path}", target, live.get(path))))
        for expected in going:
            self.journal.change(EVERYWHERE, intent(expected))
        return going

    def _reversals(self, packages: Sequence[Packages]) -> list[PackagesReversal]:
        """What undoing them comes to now; what somebody needs or wants by now stays."""
        host = self.recorder.host
        if packages:
            settle(host, self.say)
        try:
            reversals = [effect.reversal(host) for effect in packages]
        except HostError as error:  # then they all stay, or go: what undoes them says so
            self.say(f"apt cannot be asked what would stay: {error}")
            return []
        return [reversal for reversal in reversals if reversal is not None]

    def _effects(self, effects: Sequence[Effect] | Sequence[Packages]) -> bool:
        """False when packages could not be undone: their files must stay, then."""
        whole = True
        for effect in reversed(effects):
            record = effect.record()
            name = _NAMES.get(str(record["kind"]), "").format_map(record)
            try:
                effect.undo(self.recorder.host, self.say)
                self.undone += [name] if name else []
            except (ChangeError, HostError) as error:
                sendmail = effect if isinstance(effect, ServiceEffect) and effect.name == "sendmail" else None
                if sendmail is not None and not self.recorder.started_with:
                    self.undone.append(f"{name}: {stays_down(sendmail.init, error)}")
                else:
                    self.failed.append(f"{name}: {error}")
                    whole = whole and not isinstance(effect, Packages)
        return whole

    def _left_by_packages(
        self, claims: Provenance, tops: Owns, leave: Set[str], wanted: States
    ) -> dict[str, Entry | None]:
        """What packages did to files when they went or came again, and what went with `tops`, their files and folders, as
        the newest commit has these: it holds everything that is to stay. What is missing elsewhere others have removed."""
        then, live = self.recorder.states(claims, self.recorder.head(), leave)
        targets, _ = replace(claims, files=()).undone(then, live)
        missing = {path: entry for path, entry in then.items() if entry is not None and live[path] is None}
        gone = {path: entry for path, entry in missing.items() if tops(path, entry, None)}
        return {path: entry for path, entry in (gone | targets).items() if path not in wanted}

    def _roll_back(self, commits: Sequence[Commit]) -> States:
        """The files of steps of this run as they were before them, later work of others kept; what they are then. Where others
        have changed the same, all stay but generated ones: an edit may include a file that another one has brought."""
        store = self.recorder.store
        reversal = store.reverse(commits, derived=derived, dated=DATED)
        targets = reversal.targets
        if reversal.conflicts:
            targets = {path: pair for path, pair in targets.items() if derived(path)}
        for path in dict.fromkeys(conflict.path for conflict in reversal.conflicts):
            met = tuple(conflict for conflict in reversal.conflicts if conflict.path == path)
            self.failed.append(kept_sentence(f"/{path}", EntryMerge(None, met)))
        self._write(targets, dates_before(store, commits))
        return {path: wanted for path, (_, wanted) in targets.items()}

    def _write(
        self, targets: Mapping[str, tuple[Entry | None, Entry | None]], dates: Dates | None = None
    ) -> None:
        """Each path from what it is to what it is to be, with what others write at this very moment."""
        effects = []
        paths: dict[str, list[str]] = {"removed": [], "as before": []}
        for change in in_turn({path: pair for path, pair in targets.items() if pair[0] != pair[1]}, dates):
            try:
                effects.append(change.apply(self.recorder.host, self.say))
                paths["removed" if change.after is None else "as before"].append(change.path)
            except ChangeError as error:
                self.failed.append(str(error))
        for word, done in paths.items():
            few = [f"{path} ({word})" for path in done]
            self.undone += few if len(few) <= FEW else [f"{count(len(few), 'path')} ({word})"]
        self._settle(effects)

    def _settle(self, effects: Sequence[Effect]) -> None:
        """What others have written into files while these were replaced comes into the new ones."""
        try:
            self.recorder.settle(effects, self.say)
        except ChangeError as error:
            self.failed.append(str(error))


def undo_effects(
    recorder: Recorder,
    effects: Sequence[Effect],
    before: str,
    say: Say,
    journal: Journal,
    roll_back: Sequence[Commit] = (),
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take out what the effects did to the host since the commit `before`, and nothing that others did (Undo).

    Returns what was undone and what could not be, in words."""
    if not effects and not roll_back:
        return (), ()
    undo = Undo(recorder, before, say, journal)
    try:
        undo.run(effects, roll_back)
    except (StoreError, HostError, ChangeError, OSError) as error:
        undo.failed.append(cause_of(error))
    return tuple(dict.fromkeys(undo.undone)), tuple(undo.failed)


ROUNDS = 3
"""How often a command is run again whose files somebody changes before they are written."""


def carry_out(
    changes: Sequence[Change],
    effects: list[Effect],
    host: Host,
    journal: Journal,
    say: Say,
    interrupt: Callable[[], None],
) -> None:
    """Apply `changes`; what was begun is added to `effects`, also when it ends half-way.

    Raises what a change raises, OSError where the journal cannot be written, and what `interrupt` raises."""
    for change in changes:
        for last in (*(False,) * (ROUNDS - 1), True):
            effect = _begun(change, effects, host, journal, say, interrupt)
            if not isinstance(effect, CommandEffect):
                break
            try:  # what it would write is written by changes of their own
                carry_out(effect.follow_up, effects, host, journal, say, interrupt)
                effect.must_still_hold(host)
                break
            except StaleError as error:
                if last:
                    raise
                say(f"{error}: once more")


def _begun(
    change: Change,
    effects: list[Effect],
    host: Host,
    journal: Journal,
    say: Say,
    interrupt: Callable[[], None],
) -> Effect:
    interrupt()
    expected = change.expect(host)
    journal.change(change.touches, intent(expected))
    try:
        effect = change.apply(host, say)
    except ChangeError as error:
        effects += [error.effect] if error.effect is not None else []
        raise
    except Exception:  # nobody knows how far it came
        effects.append(expected)
        raise
    effects.append(effect)
    return effect
