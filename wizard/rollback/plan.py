"""Rolling steps back: what will be done, worked out before anything is (docs/recovery.md).

Bytes and metadata come from the snapshot store, packages and services from the records of the commits; what Debian
makes out of other files (sendmail.cf, the maps) is made again where those have changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from snapshots.format.layout import What
from snapshots.live.entry import Kind
from snapshots.merge.accounts import DATABASES, database, records_of
from wizard.changes.command import DialogueChange
from wizard.changes.file import Dates, FileChange, in_turn
from wizard.changes.packages import PackagesEffect, PackagesReversal, together
from wizard.changes.records import dates_before, effects_of, record_of
from wizard.changes.rules import RulesChange, RulesEffect
from wizard.changes.service import ServiceChange, ServiceEffect, is_there
from wizard.editors import EditError, sendmail_mc
from wizard.engine.in_force import Target
from wizard.engine.provenance import folders_above
from wizard.engine.recorder import Targets
from wizard.errors import GateError, RollbackRefused
from wizard.model import facts as f
from wizard.model.answers_file import SAVED
from wizard.model.claim import Claim
from wizard.model.facts import Facts
from wizard.model.generated_files import DATED, KEPT_UP, derived, same_but_dated, source_of
from wizard.model.plan import Change
from wizard.rollback import services
from wizard.rollback.consequences import consequences, of_removal
from wizard.rollback.renewed import Renewals, has_lineage, in_part, staying
from wizard.sendmail.cf import auth_flags
from wizard.sendmail.mc_gate import Gate
from wizard.steps.order import STEPS
from wizard.system.host import Host
from wizard.system.services import at_work

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from snapshots.merge.reversal import Reversal
    from snapshots.merge.three_way import Choice
    from snapshots.store import Commit, Store

_AUTHORED = re.compile(r"etc/mail/.*|usr/lib/sasl2/.*")
FROM_MC = ("/etc/mail/databases", "/etc/mail/Makefile", f.SENDMAIL_CF)
"""What each start of sendmail makes again where it is older than sendmail.mc, first things first."""
INPUTS = (
    *(path.lstrip("/") for path in (f.SENDMAIL_MC, f.SASL_M4, f.STARTTLS_M4, f.SUBMIT_MC)),
    "etc/mail/m4/dialup.m4",
    "etc/mail/m4/provider.m4",
)
"""What m4 makes sendmail.cf and submit.cf out of."""
REGENERATING_STEPS = frozenset({"sendmailconfig", "restart"})
"""Steps that make things out of what others wrote: when those go, these are done again, not rolled back."""


@dataclass(frozen=True)
class Wanted:
    """What packages and services were before the oldest of the commits: the state that comes back."""

    packages: PackagesEffect
    services: tuple[ServiceEffect, ...] = ()
    rules: tuple[RulesChange, ...] = ()
    """Live rules of a firewall: out again what was added, in again what was taken out."""

    def running(self, name: str) -> bool | None:
        """Whether the service shall run; None when no commit touched it."""
        return next((service.was_running for service in self.services if service.name == name), None)


@dataclass(frozen=True)
class Rollback:
    """What taking `target` back comes to. `left` says what stays, and why."""

    target: Target
    reversal: Reversal
    wanted: Wanted
    packages: PackagesReversal | None
    stops: tuple[ServiceChange, ...]
    regenerate: bool
    """Whether sendmail.cf and the maps may have to be made again, since what they are made of changes."""
    left: tuple[str, ...] = ()
    in_part: tuple[Commit, ...] = ()
    """Of these goes what is for sendmail alone: others need the rest, which is in force until they do not."""

    @property
    def exposes(self) -> str:
        """What others could read once it is done, a sentence; empty where nothing is laid open."""
        before, after = self.reversal.targets.get(f.SENDMAIL_MC.lstrip("/"), (None, None))
        if before is None or after is None or _in_clear(before) or not _in_clear(after):
            return ""
        return (
            "PASSWORDS IN CLEAR: after this mail clients may log in without TLS, and anybody on the way can read their "
            "passwords"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What matters most to know before it is done: what is laid open, what works no more."""
        return (*filter(None, [self.exposes]), *self.ends)

    def follows(self) -> tuple[str, ...]:
        """What is done afterwards, in sentences."""
        again = "sendmailconfig rebuilds sendmail.cf where it is not what sendmail.mc gives"
        restarts = [f"{' and '.join(self.restarts)} {'is' if len(self.restarts) == 1 else 'are'} restarted"]
        gone = () if self.target.everything else (*self.target.steps, *self.target.dependents)
        if "install" in gone:  # no mail server is left
            gone = ()
        so_again = [step.afterwards for step in STEPS if step.id in gone and step.afterwards]
        return (*so_again, *([again] if self.regenerate else ()), *(restarts if self.restarts else ()))

    ends: tuple[str, ...] = ()
    """What works now and will not then, in sentences."""
    restarts: tuple[str, ...] = ()
    """The services that are restarted."""

    dates: Dates = field(default_factory=dict)
    """Of what comes back: when it was last changed."""
    may_stay_down: bool = False
    """Whether no sendmail is known to have started with what comes back: then it comes back also where none does."""
    gate: Gate | None = None
    """What a sendmail.mc that comes back has to pass; None where the one that is there would not pass it either."""

    @property
    def files(self) -> tuple[FileChange, ...]:
        """Its files in the order in which they can be written: what goes first, deepest first."""
        return self.file_changes(self.reversal.targets)

    def file_changes(self, targets: Targets) -> tuple[FileChange, ...]:
        """One change a path, in their order (`in_turn`)."""
        changes = in_turn(targets, self.dates)
        return tuple(
            replace(each, gate=self.gate) if each.path == f.SENDMAIL_MC else each for each in changes
        )

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of it, for showing, in the order in which it is done."""
        packages = (self.packages,) if self.packages else ()
        again = (DialogueChange("rebuild sendmail.cf and the databases"),) if self.regenerate else ()
        return (*self.stops, *packages, *self.files, *self.wanted.rules, *again)


def prepare(
    host: Host,
    store: Store,
    facts: Facts,
    target: Target,
    choice: Choice | None,
    *,
    asked_apt: bool = False,
    as_found: bool = False,
) -> Rollback:
    """Work out what rolling `target` back comes to, against the newest commit; nothing is changed.

    With `as_found` what only runs of ours have touched goes to what it was when the host was found. Where apt would not
    take exactly the packages back that came, or they could take a file along that no snapshot holds, everything else
    still goes if everything was asked for. What certbot keeps and others need stays; where nothing but that was asked for,
    all of it. Raises RollbackRefused, StoreError, HostError."""
    renewals = Renewals.of(host, store, target.commits)
    needed = renewals.needed(store, target.commits)
    brought = [commit for commit in target.commits if needed and has_lineage(store, commit)]
    if needed and {commit.step for commit in target.commits} == {commit.step for commit in brought}:
        raise RollbackRefused(f"{'. '.join(needed)}, then try again")
    stays, half_back = staying(store, brought), in_part(store, target.commits)
    not_back = staying(store, half_back)
    wanted = _wanted(target.commits, store, brought, half_back)
    packages = wanted.packages.reversal(host)
    why = None if packages is None or asked_apt else _in_danger(store, target) or packages.refused
    left = packages.left if packages is not None else ()
    if why is not None:
        target = _without_packages(store, target, brought, why)
        wanted = _wanted(target.commits, store, brought, half_back)
        packages, renewals = None, Renewals.of(host, store, target.commits)
        left = (f"the packages stay, and with them the files they brought: {why}",)
    if needed:
        then = f"{needed[1]}, then `msa-wizard rollback certificate-obtain`"
        left = (*left, f"certbot and what it keeps stay, for {needed[0]}. {then}")
    reversal = store.reverse(
        target.commits,
        choice=choice,
        derived=lambda path: derived(path) or renewals.renewed(path),
        dated=DATED,
        grown=renewals.grown if renewals.names and not needed else None,
        stays=stays,
        back=lambda commit, path: commit in half_back and not not_back(path),
        kept_up=KEPT_UP.__contains__,
    )
    if as_found and why is None:
        reversal = _as_found(store, reversal, stays)
    if target.everything and host.exists(SAVED):
        stay = (
            f"your settings in {SAVED} stay, and the next `apply` goes by them; to remove them: `rm {SAVED}`"
        )
        reversal = replace(reversal, notes=(*reversal.notes, stay))
    if any(database(path) for path in reversal.targets):
        reversal = _with_backups(store, target, reversal)
    if packages is not None and packages.stays:
        reversal = _with_files_of(store, target, reversal, packages.kept(host))
    remains = packages is None or not any(name.startswith("sendmail-bin") for name in packages.came)
    regenerate = (
        remains
        and "sendmail-bin" in facts.packages
        and any(_AUTHORED.match(path) and not derived(path) for path in reversal.targets)
        and _made_since(store, target)
    )
    made_again = regenerate and not _whole(store, target, reversal)
    stops = tuple(_stops(host, wanted, facts))
    written = {*reversal.targets, *(path.lstrip("/") for path in FROM_MC if made_again)}
    return Rollback(
        target,
        reversal,
        wanted,
        packages,
        stops,
        made_again,
        left,
        tuple(commit for commit in target.commits if commit in brought),
        dates=dates_before(store, target.commits),
        may_stay_down=target.everything and record_of(store, target.commits[-1]).get("started_with") is False,
        gate=_gate(facts) if regenerate else None,
        ends=consequences(facts, reversal.targets, [stop.name for stop in stops if stop.was_running])
        if remains
        else of_removal(facts),
        restarts=tuple(_restarts(host, facts, wanted, written)) if remains else (),
    )


def _restarts(host: Host, facts: Facts, wanted: Wanted, written: Collection[str]) -> Iterator[str]:
    """The services that will be restarted, as far as that is known before."""
    for name in services.names(wanted.services):
        shall = wanted.running(name)
        shall = services.runs(host, facts, name) if shall is None else shall
        if (
            shall
            and services.is_installed(host, name, facts)
            and services.must_restart(host, facts, name, written)
        ):
            yield name


def _stays(there: Entry | None, earlier: Entry | None) -> bool:
    """Whether it cannot become what it was: that is recorded, not written, or what is there is not kept."""
    return (earlier is not None and earlier.kind is Kind.SPECIAL) or (there is not None and there.large)


def _without_packages(store: Store, target: Target, brought: Sequence[Commit], why: str) -> Target:
    """What of everything goes while the packages stay. Raises RollbackRefused where that is nothing, or was not asked for."""
    rest = tuple(commit for commit in target.commits if not _has_packages(store, commit))
    if not target.everything or not any(commit not in brought for commit in rest):
        raise RollbackRefused(why)
    stay = {"install", *(commit.step for commit in target.commits)} - {commit.step for commit in rest}
    steps = tuple(each for each in target.steps if each not in stay)
    return replace(target, commits=rest, steps=steps, dependents=())


def _with_files_of(store: Store, target: Target, reversal: Reversal, kept: Claim) -> Reversal:
    """The same, where the files of packages that stay go to what they were when those had come, and are not removed;
    their accounts stay."""
    came = [commit for commit in target.commits if _has_packages(store, commit)]
    targets = dict(reversal.targets)
    goes = [path for path, (now, to) in targets.items() if to is None and kept.owns(path, now, None)]
    then = store.entries(came[0].id, goes) if came else dict.fromkeys(goes)
    for path in goes:
        before, after = targets.pop(path)[0], then[path]
        if after is not None and before != after:
            targets[path] = (before, after)
    for path, (before, after) in targets.items():
        if (name := database(path)) and before is not None and after is not None:
            content = records_of(name, after.content, before.content, kept.accounts)
            targets[path] = (before, replace(after, content=content))
    return replace(reversal, targets=dict(sorted(targets.items())))


def _as_found(store: Store, reversal: Reversal, stays: Callable[[str], bool]) -> Reversal:
    """The same, where each path that nobody but runs of ours has touched goes to what it was when the host was found.

    Rollbacks make things too, by running sendmailconfig, which no step's commit has."""
    *runs, baseline = store.history()
    ours, others = set[str](), set[str](KEPT_UP)
    gone: dict[str, bool] = {}
    for commit in runs:  # newest first: the first change of a path that is met says whether it is there
        changed = store.changed(commit)
        (others if commit.operation in ("drift", "settings") else ours).update(
            change.path for change in changed
        )
        for change in changed:
            gone.setdefault(change.path, change.what is What.DELETED)
    ours -= others
    there, earlier = (store.entries(ref, sorted(ours)) for ref in (reversal.head, baseline))
    targets = dict(reversal.targets)
    kept = {path for path in ours if stays(path) or _stays(there[path], earlier[path])}
    ours -= kept
    remains = (
        path
        for path in others | kept
        if (targets[path][1] is not None if path in targets else not gone.get(path, False))
    )
    holding = folders_above(remains)
    for path in ours:
        if earlier[path] is None and path in holding:
            continue  # a folder with work of the admin in it
        targets.pop(path, None)
        if there[path] != earlier[path]:
            targets[path] = (there[path], earlier[path])
    conflicts = tuple(change for change in reversal.conflicts if change.path not in ours)
    return replace(reversal, targets=dict(sorted(targets.items())), conflicts=conflicts)


def _with_backups(store: Store, target: Target, reversal: Reversal) -> Reversal:
    """The same, where the backups of account databases go to what they were before the commits, too, where all accounts
    do: then nobody else has changed one since."""
    history = [commit.id for commit in store.history()]
    before = history[min(history.index(target.commits[-1].id) + 1, len(history) - 1)]
    paths = [f"etc/{name}{end}" for name in DATABASES for end in ("", "-")]
    there, then = (store.entries(ref, paths) for ref in (reversal.head, before))
    targets = dict(reversal.targets)
    final = {path: targets[path][1] if path in targets else there[path] for path in paths}
    for path in paths:
        if path.endswith("-") and final[path[:-1]] == then[path[:-1]]:
            targets.pop(path, None)
            if there[path] != then[path]:
                targets[path] = (there[path], then[path])
    return replace(reversal, targets=dict(sorted(targets.items())))


def _wanted(
    commits: Sequence[Commit], store: Store, brought: Sequence[Commit] = (), in_part: Sequence[Commit] = ()
) -> Wanted:
    """The state before the oldest commit that mentions each package and service; the packages of `brought` stay, and all but the
    packages of those that went `in_part` is back already."""
    packages: list[PackagesEffect] = []
    services: dict[str, ServiceEffect] = {}
    rules: list[RulesChange] = []
    for commit in commits:  # newest first: the oldest has the last word
        for effect in reversed(effects_of(store, commit)):
            if isinstance(effect, PackagesEffect):
                packages += () if commit in brought else (effect,)
            elif commit in in_part:
                continue
            elif isinstance(effect, ServiceEffect):
                # What it was before the oldest, and what the newest has made of it: a fix stops it, then starts it.
                newest = services.get(effect.name, effect)
                services[effect.name] = replace(effect, enabled=newest.enabled, running=newest.running)
            elif isinstance(effect, RulesEffect):
                rules.append(RulesChange(effect.rules, remove=not effect.removed))
    return Wanted(together(packages), tuple(services.values()), tuple(rules))


def _has_packages(store: Store, commit: Commit) -> bool:
    return any(isinstance(effect, PackagesEffect) for effect in effects_of(store, commit))


def _in_danger(store: Store, target: Target) -> str | None:
    """Why the packages cannot go: there is a file in their folders that could not be brought back."""
    large = store.not_kept()
    if not large:
        return None
    came = {
        change.path
        for commit in target.commits
        if _has_packages(store, commit)
        for change in store.changed(commit)
        if change.what is What.CREATED
    }
    held = [path for path in large if came & folders_above([path])]
    if not held:
        return None
    return (
        f"/{', /'.join(held[:3])}{' ...' if len(held) > 3 else ''} lies in a folder that the packages brought, may go with "
        "it, and is too large to be in the snapshot. Move it elsewhere, then try again"
    )


def _stops(host: Host, wanted: Wanted, facts: Facts) -> Iterable[ServiceChange]:
    runs = {"saslauthd": facts.saslauthd_runs, "sendmail": facts.sendmail_runs}
    for effect in wanted.services:
        if not effect.was_running and effect.running and is_there(host, effect.name):
            ran = runs[effect.name] if effect.name in runs else at_work(host, effect.name)
            yield ServiceChange(effect.name, facts.init, enable=False, was_running=ran, verb="stop")


def _in_clear(mc: Entry) -> bool:
    """Whether a sendmail.mc offers AUTH with LOGIN and PLAIN also without TLS."""
    text = mc.content.decode("latin-1")
    try:
        flags = auth_flags(sendmail_mc.define_value(text, "confAUTH_OPTIONS") or "")
        offers = f.SASL_M4 in sendmail_mc.includes(text) or sendmail_mc.define_value(
            text, "confAUTH_MECHANISMS"
        )
    except EditError:
        return False
    return bool(offers) and "p" not in flags


def _gate(facts: Facts) -> Gate | None:
    entry = facts.files.get(f.SENDMAIL_MC)
    if not facts.cf_from_mc or entry is None:
        return None
    try:
        Gate().compare(facts.cf_from_mc)
    except GateError:
        return None
    return Gate(before=entry.content)


def old_maps(host: Host, store: Store, rollback: Rollback, targets: Targets) -> list[str]:
    """The maps among `targets` that must not come back, as what they were made of does not: they are to be made again.

    A map is written after its source, and so would count as made of what is there now."""
    return [
        path
        for path, source, _, now in _maps(host, targets)
        if _content(now) != _content(_entry_before(store, rollback.target, path, source))
        and now is not None
        and host.exists("/etc/mail/Makefile")
    ]


def newer_sources(host: Host, store: Store, rollback: Rollback, targets: Targets) -> list[str]:
    """What was edited before the host was found, and not yet made into its map: it is to be newer than that again."""
    return [
        source
        for path, source, pair, now in _maps(host, targets)
        if source not in targets
        and _content(now) == _content(_entry_before(store, rollback.target, path, source))
        and not same_but_dated(_content(pair[0]), _content(pair[1]))
    ]


def _maps(
    host: Host, targets: Targets
) -> Iterator[tuple[str, str, tuple[Entry | None, Entry | None], Entry | None]]:
    """Each map that comes back: its path, that of its source, its own pair, and what the source will be."""
    for path, pair in targets.items():
        source = source_of(path)
        if source is not None and pair[1] is not None:
            yield path, source, pair, targets[source][1] if source in targets else host.entry(f"/{source}")


def _content(entry: Entry | None) -> bytes:
    return entry.content if entry else b""


def _entry_before(store: Store, target: Target, path: str, source: str) -> Entry | None:
    """What `source` was before the oldest of the commits that changed `path`."""
    for commit in reversed(target.commits):
        changes = store.changes(commit)
        if path in changes:
            return changes[source][0] if source in changes else store.entry(commit, source)
    baseline = list(store.history())[-1]
    return store.entry(baseline, source)


def _made_since(store: Store, target: Target) -> bool:
    """Whether a run of ours has made sendmail.cf since what is rolled back began: else it is older than that, and holds
    lines perhaps that no sendmail.mc gives."""
    began = min(commit.time for commit in target.commits)
    commits = store.history(path=f.SENDMAIL_CF.lstrip("/"))
    return any(each.time >= began and each.operation not in ("drift", "baseline") for each in commits)


def _whole(store: Store, target: Target, reversal: Reversal) -> bool:
    """Whether all that m4 reads comes back as it was when the sendmail.cf that comes back was made."""
    if not any(commit.step == "sendmailconfig" for commit in target.commits):
        return False
    head = store.entries(reversal.head, INPUTS)
    then = store.entries(f"{target.commits[-1].id}", INPUTS)
    before = {path: pair[0] for path, pair in store.changes(target.commits[-1]).items()}
    final = {path: reversal.targets[path][1] if path in reversal.targets else head[path] for path in INPUTS}
    return all(final[path] == before.get(path, then[path]) for path in INPUTS)
