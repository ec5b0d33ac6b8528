"""Taking steps back: what will be done, worked out before anything is (DESIGN.md section 3).

Bytes and metadata come from the snapshot store, packages and services from the records of the commits; what Debian
makes out of other files (sendmail.cf, the maps) is made again where those have changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wizard import facts as f
from wizard.changes import DialogueChange, FileChange, PackagesReversal, RulesChange, ServiceChange
from wizard.changes.packages import PackagesEffect
from wizard.changes.rules import RulesEffect
from wizard.changes.service import ServiceEffect, is_there
from wizard.derived import derived, in_order
from wizard.facts import Facts
from wizard.host import Host, HostError
from wizard.mc_gate import Gate, GateError
from wizard.plan import Change, ChangeError, Effect
from wizard.recall import recall
from wizard.standing import Target

if TYPE_CHECKING:
    from snapshots.entry import Entry
    from snapshots.merge import Choice
    from snapshots.reversal import Reversal
    from snapshots.store import Commit, Store

_DATED = re.compile(rb"^##### (?:on|in|by|built by)[: ].*$", re.MULTILINE)
"""When and where sendmail's scripts wrote a file that they write anew each time (sasl.m4, starttls.m4)."""
KEPT_UP = frozenset({"etc/ld.so.cache"})
"""What the system keeps up by itself: where others have changed it since, theirs is the right one."""
_AUTHORED = re.compile(r"etc/mail/.*|usr/lib/sasl2/.*")
INPUTS = tuple(
    path.lstrip("/")
    for path in (
        f.SENDMAIL_MC,
        f.SASL_M4,
        f.STARTTLS_M4,
        f.SUBMIT_MC,
        "/etc/mail/m4/dialup.m4",
        "/etc/mail/m4/provider.m4",
    )
)
"""What m4 makes sendmail.cf and submit.cf out of."""


class RollbackRefused(Exception):
    """It cannot be taken back as it was asked: why, and what to do. Nothing was changed."""


@dataclass(frozen=True)
class Wanted:
    """What packages and services were before the oldest of the commits: the state that comes back."""

    packages: PackagesEffect
    services: tuple[ServiceEffect, ...] = ()
    rules: tuple[RulesChange, ...] = ()
    """Live rules of a firewall: out again what was added, in again what was taken out."""

    def running(self, name: str) -> bool | None:
        """Whether the service shall run; None when no commit touched it."""
        return next((item.was_running for item in self.services if item.name == name), None)


@dataclass(frozen=True)
class Rollback:
    """What taking `target` back comes to. `left` says what stays, and why (only where everything was asked for)."""

    target: Target
    reversal: Reversal
    wanted: Wanted
    packages: PackagesReversal | None
    stops: tuple[ServiceChange, ...]
    regenerate: bool
    """Whether sendmail.cf and the maps may have to be made anew, since what they are made of changes."""
    whole: bool
    """Whether all that m4 reads comes back as it was when the sendmail.cf that comes back was made."""
    left: tuple[str, ...] = ()

    def follows(self) -> tuple[str, ...]:
        """What is done afterwards, in sentences."""
        again = ("sendmailconfig makes sendmail.cf anew, as far as it is not what sendmail.mc gives",)
        return (
            *(again if self.regenerate else ()),
            "sendmail and saslauthd are restarted where they have not read what is there then",
        )

    gate: Gate | None = None
    """What a sendmail.mc that comes back has to pass; None where the one that is there would not pass it either."""

    @property
    def files(self) -> tuple[FileChange, ...]:
        """Its files in the order in which they can be written: what goes first, deepest first."""
        return self.file_changes(self.reversal.targets)

    def file_changes(
        self, targets: Mapping[str, tuple[Entry | None, Entry | None]]
    ) -> tuple[FileChange, ...]:
        """One change a path: what goes first, deepest first, then what comes or changes, folders before what is in
        them, and what is made out of other files last."""
        goes = sorted((path for path, (_, after) in targets.items() if after is None), reverse=True)
        comes = in_order(path for path, (_, after) in targets.items() if after is not None)
        made = (
            FileChange(f"/{path}", *targets[path], _word(f"/{path}", *targets[path]))
            for path in (*goes, *comes)
        )
        return tuple(replace(item, gate=self.gate) if item.path == f.SENDMAIL_MC else item for item in made)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of it, for showing, in the order in which it is done."""
        packages = (self.packages,) if self.packages else ()
        again = (DialogueChange("make sendmail.cf and the databases anew"),) if self.regenerate else ()
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
    """Work out what taking `target` back comes to, against the newest commit; nothing is changed.

    With `as_found` what only runs of ours have touched goes to what it was when the host was found. Where apt would not take exactly the packages back that came, everything else still goes if everything was asked
    for. Raises RollbackRefused, StoreError, HostError."""
    wanted = _wanted(target.commits, store)
    packages = wanted.packages.reversal(host)
    why = None if packages is None or asked_apt else _refusal(host, packages)
    left: tuple[str, ...] = ()
    if why is not None:
        rest = tuple(commit for commit in target.commits if not _has_packages(store, commit))
        if not target.everything or not rest:
            raise RollbackRefused(why)
        target = Target(rest, tuple(item for item in target.steps if item != "install"), (), everything=True)
        wanted, packages = _wanted(rest, store), None
        left = (f"the packages stay, and with them the files they brought: {why}",)
    reversal = store.reverse(target.commits, choice=choice, derived=derived, dated=_DATED)
    open_ones = tuple(item for item in reversal.conflicts if item.path not in KEPT_UP)
    reversal = replace(reversal, conflicts=open_ones)
    if as_found and why is None:
        reversal = _as_found(store, reversal)
    remains = packages is None or not any(name.startswith("sendmail-bin") for name in packages.came)
    regenerate = (
        remains
        and "sendmail-bin" in facts.packages
        and any(_AUTHORED.match(path) and not derived(path) for path in reversal.targets)
        and _made_since(store, target)
    )
    return Rollback(
        target,
        reversal,
        wanted,
        packages,
        tuple(_stops(host, wanted, facts)),
        regenerate and not (whole := _whole(store, target, reversal)),
        whole if regenerate else True,
        left,
        _gate(facts) if regenerate else None,
    )


def _as_found(store: Store, reversal: Reversal) -> Reversal:
    """The same, where each path that nobody but runs of ours has touched goes to what it was when the host was found.

    Rollbacks make things too, by running sendmailconfig, which no step's commit has."""
    history = list(store.history())
    ours, others = set[str](), set[str](KEPT_UP)
    for commit in history[:-1]:
        (others if commit.operation == "drift" else ours).update(item.path for item in store.changed(commit))
    ours -= others
    there, found = (store.entries(ref, sorted(ours | others)) for ref in (reversal.head, history[-1]))
    targets = dict(reversal.targets)
    stays = {path for path in others if (targets[path][1] if path in targets else there[path]) is not None}
    for path in ours:
        if found[path] is None and any(other.startswith(f"{path}/") for other in stays):
            continue  # a folder with work of the admin in it
        targets.pop(path, None)
        if there[path] != found[path]:
            targets[path] = (there[path], found[path])
    conflicts = tuple(item for item in reversal.conflicts if item.path not in ours)
    return replace(reversal, targets=dict(sorted(targets.items())), conflicts=conflicts)


def _word(path: str, before: Entry | None, after: Entry | None) -> str:
    if after is None:
        return f"remove {path}"
    return f"bring back {path}" if before is None else f"take back what was changed in {path}"


def _wanted(commits: Sequence[Commit], store: Store) -> Wanted:
    """The state before the oldest commit that mentions each package and service."""
    here: dict[str, str | None] = {}
    auto: set[str] = set()
    modes: dict[str, int] = {}
    overrides: set[str] = set()
    services: dict[str, ServiceEffect] = {}
    rules: list[RulesChange] = []
    for commit in commits:  # newest first: the oldest has the last word
        for effect in reversed(effects_of(store, commit)):
            if isinstance(effect, PackagesEffect):
                here |= dict.fromkeys(dict(effect.installed)) | dict(effect.removed)
                auto |= set(effect.auto)
                modes |= dict(effect.modes)
                overrides |= set(effect.overrides)
            elif isinstance(effect, ServiceEffect):
                services[effect.name] = effect
            elif isinstance(effect, RulesEffect):
                rules.append(RulesChange(effect.rules, remove=not effect.removed))
    came = tuple((name, "") for name, version in here.items() if version is None)
    gone = tuple((name, version) for name, version in here.items() if version is not None)
    packages = PackagesEffect(
        came, gone, (), tuple(sorted(auto)), tuple(modes.items()), tuple(sorted(overrides))
    )
    return Wanted(packages, tuple(services.values()), tuple(rules))


def effects_of(store: Store, commit: Commit) -> list[Effect]:
    """The effects of a commit that are not files, in the order in which they were made. Raises StoreError."""
    record = store.record(commit)
    kept = json.loads(record)["effects"] if record else []
    return [effect for each in kept if (effect := recall(each)) is not None]


def _has_packages(store: Store, commit: Commit) -> bool:
    return any(isinstance(effect, PackagesEffect) for effect in effects_of(store, commit))


def _refusal(host: Host, packages: PackagesReversal) -> str | None:
    try:
        return packages.refusal(host)
    except (ChangeError, HostError) as error:
        return str(error)


def _stops(host: Host, wanted: Wanted, facts: Facts) -> Iterable[ServiceChange]:
    runs = {
        "saslauthd": facts.saslauthd_says is not None,
        "sendmail": facts.process("sendmail-mta") is not None,
    }
    for effect in wanted.services:
        if not effect.was_running and effect.running and is_there(host, effect.name):
            ran = runs.get(effect.name, True)
            yield ServiceChange(effect.name, facts.init, enable=False, was_running=ran, verb="stop")


def _gate(facts: Facts) -> Gate | None:
    entry = facts.files.get(f.SENDMAIL_MC)
    if not facts.cf_from_mc or entry is None:
        return None
    try:
        Gate().compare(facts.cf_from_mc)
    except GateError:
        return None
    return Gate(before=entry.content)


def _made_since(store: Store, target: Target) -> bool:
    """Whether a run of ours has made sendmail.cf since what is taken back began: else it is older than that, and holds
    lines perhaps that no sendmail.mc gives."""
    began = min(commit.time for commit in target.commits)
    path = f.SENDMAIL_CF.lstrip("/")
    return any(
        commit.time >= began
        for commit in store.history(path=path)
        if commit.operation not in ("drift", "baseline")
    )


def _whole(store: Store, target: Target, reversal: Reversal) -> bool:
    if not any(commit.step == "sendmailconfig" for commit in target.commits):
        return False
    head = store.entries(reversal.head, INPUTS)
    then = store.entries(f"{target.commits[-1].id}", INPUTS)
    before = {path: pair[0] for path, pair in store.changes(target.commits[-1]).items()}
    final = {path: reversal.targets[path][1] if path in reversal.targets else head[path] for path in INPUTS}
    return all(final[path] == before.get(path, then[path]) for path in INPUTS)
