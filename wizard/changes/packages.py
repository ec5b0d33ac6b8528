"""What a change of packages left behind, whether or not somebody saw its end; undo removes exactly what came."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from snapshots.live.entry import Entry
from wizard.errors import ChangeError, HostError
from wizard.gather.host import apt_state
from wizard.model.claim import Claim, below
from wizard.model.plan import Description
from wizard.packages.apt import (
    advice,
    apt_get,
    auto_installed,
    half_way,
    installed,
    needed_by,
    overridden,
    settle,
    simulated,
    unneeded,
)
from wizard.packages.apt_history import History, Ours, bare, new_mark
from wizard.packages.footprint import footprint, own_paths, own_tops
from wizard.packages.witness import evidence_of, owns
from wizard.system.host import Host, Say
from wizard.system.links import real

OPTIONS = ("-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0")
"""Of apt: the configuration files that are there stay, and its output comes line by line."""
EVERYWHERE = ("/etc", "/usr/lib/sasl2")
"""What a change of packages may write."""

DRESSED = {"/var/mail": (0o3777, "sendmail-bin")}
"""Folders outside /etc whose mode a package's scripts change, and purging does not change back: to what, and whose
(update_sys of sendmail-base, which sendmail-bin's postinst runs)."""

MOVED = dict.fromkeys(("/etc/aliases.db", "/etc/aliases.pag"), "sendmail-bin")
"""Files that a package's scripts move away, and whose (update_db, which sendmail-bin's postinst runs, moves them into
/etc/mail): another MTA reads them, and does not make them again when it comes back."""

EFFECT_LISTS = ("auto", "overrides", "transactions", "automatic")
"""The lists in the record of a PackagesEffect; older versions of this program did not write all of them."""
BEFORE_LISTS = ("auto", "overrides", "half_way", "transactions", "named", "tops", "accounts")
"""The same of PackagesBefore."""

OVERRIDES = {
    "/etc/sasldb2": ("root sasl 660", "sasl2-bin"),
    "/var/run/saslauthd": ("root sasl 710", "sasl2-bin"),
    "/usr/libexec/sendmail/sendmail": ("root smmsp 2755", "sendmail-bin"),
    "/usr/libexec/sendmail/mailstats": ("root smmsp 2755", "sendmail-bin"),
}
"""The dpkg-statoverrides that packages' postinst makes: owner, group and mode, and the package. sasl2-bin leaves the
first one behind, for a group that goes."""


def claim_of(host: Host, names: Iterable[str], transactions: Iterable[str]) -> Claim:
    """What these packages did below /etc, and the accounts that they make. Raises HostError."""
    try:
        owner, read = footprint(host, names), evidence_of(host, transactions)
    except OSError as error:
        raise HostError(f"dpkg's own files cannot be read: {error}") from error
    files = {path.lstrip("/"): entry for path, entry in read.files.items()}
    return Claim(lambda *path: owns(owner, read, *path), owner.accounts, files, of_packages=True)


def _modes(host: Host) -> dict[str, int]:
    paths = [path for path in DRESSED if host.exists(path)]
    return {path: stat.S_IMODE(host.path(path).stat().st_mode) for path in paths}


def _needed(others: Iterable[str]) -> str:
    names = sorted(set(others))
    who = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    return f"since {who or 'something that is installed'} {'need' if len(names) > 1 else 'needs'} it"


def _succeed(host: Host, *argv: str) -> None:
    completed = host.run(argv, timeout=60)
    if completed.code != 0:
        raise HostError(f"`{completed.command}` failed with status {completed.code}: {completed.tail()}")


@dataclass(frozen=True)
class PackagesEffect:
    """Packages that came, with version, those that went, and the names of those that were upgraded on the way.

    `auto` names those that apt had installed by itself, for others, and that it no longer notes as such."""

    installed: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    upgraded: tuple[str, ...] = ()
    auto: tuple[str, ...] = ()
    modes: tuple[tuple[str, int], ...] = ()
    """Folders outside /etc whose mode their scripts changed, with the mode before."""
    overrides: tuple[str, ...] = ()
    """Paths for which their scripts made a dpkg-statoverride; sasl2-bin leaves one behind, for a group that goes."""
    automatic: tuple[str, ...] = ()
    """Those of the installed that came for others alone."""
    half_way: tuple[str, ...] = ()
    """What dpkg had not ended before."""
    transactions: tuple[str, ...] = ()
    """The marks of our runs of apt (wizard.packages.apt_history); none in what older versions of this program recorded."""
    named: tuple[str, ...] = field(default=(), compare=False)
    """What was to come or to go, whether or not it did: its scripts may have run."""
    tops: tuple[str, ...] = field(default=(), compare=False)
    accounts: tuple[str, ...] = field(default=(), compare=False)
    """See PackagesBefore."""
    looked: float = field(default=0, compare=False)
    """See PackagesReversal."""

    def reversal(self, host: Host) -> PackagesReversal | None:
        """What undoes it: what came and is still here goes, what went and is not here comes back; what was upgraded
        stays, and so does what somebody has made his own since, or what is needed by now. None when there is nothing
        to do. Raises HostError."""
        left, here = installed(host, configured=True), installed(host)
        history = self._history(host)
        stays = self._made_their_own(host, history, [name for name, _ in self.installed if name in here])
        removed = history.removed_by_others()
        whole = PackagesReversal(
            tuple(name for name, _ in self.installed if name in left and name not in stays),
            tuple(pair for pair in self.removed if pair[0] not in here and pair[0] not in removed),
            self._auto(history),
            self.modes,
            self.overrides,
            tuple(stays.items()),
            looked=self.looked,
        ).asked(host)
        if whole.refused is not None:
            whole = whole.reduced(host)
        return whole if whole.came or whole.gone or whole.left else None

    def _history(self, host: Host) -> History:
        """What apt has done since; nothing where it cannot be told from what we did."""
        return History.of(host).since(self.transactions) if self.transactions else History()

    def _auto(self, history: History) -> tuple[str, ...]:
        """Those to be noted as automatic again, without what somebody has installed himself since."""
        return tuple(name for name in self.auto if name not in history.installed_by_others())

    def _made_their_own(self, host: Host, history: History, names: Sequence[str]) -> dict[str, str]:
        """Those of the names that somebody has made his own since, and how."""
        again, named = history.installed_by_others(), history.named_by_others()
        marked, by_us = auto_installed(host), history.named_by_us()
        stays = {}
        for name in names:
            if name in again:
                stays[name] = f"since `{again[name]}` installed it again"
            elif bare(name) in named:
                stays[name] = f"since `{named[bare(name)]}` asked for it"
            elif name in self.automatic and name not in marked and bare(name) not in by_us:
                stays[name] = "since it was marked manual"
        return stays

    def undo(self, host: Host, say: Say) -> None:
        """Bring back what went, and purge what came. Raises ChangeError when apt does not, or would take more."""
        settle(host, say)
        if reversal := self.reversal(host):
            reversal.apply(host, say)
        self.dress(host)
        if half := [name for name in half_way(host) if name not in self.half_way]:
            raise ChangeError(f"dpkg was left half-way: {', '.join(half)}; see `dpkg --audit`")

    def dress(self, host: Host) -> None:
        """What apt does not bring back: overrides and modes of its scripts, and which packages are there for others
        alone. Raises ChangeError."""
        here, marked = installed(host), auto_installed(host)
        auto = self._auto(self._history(host))
        marks = [name for name in auto if name in here and name not in marked]
        try:
            for path in overridden(host):
                if path in self.overrides and _owner(OVERRIDES, path) not in here:
                    _succeed(host, "dpkg-statoverride", "--remove", path)
            for path, mode in self.modes:
                if _owner(DRESSED, path) not in here and path in _modes(host):
                    host.path(path).chmod(mode)
            if marks:
                _succeed(host, "apt-mark", "auto", *marks)
        except (HostError, OSError) as error:
            why = f"the packages are back, but not everything that belongs to them: {error}"
            raise ChangeError(why) from error

    def claim(self, host: Host) -> Claim:
        """What these packages own below /etc. Raises HostError."""
        names = [name for name, _ in (*self.installed, *self.removed)]
        claim, tops = claim_of(host, [*self.named, *names], self.transactions), below(*self.tops)
        movers = {bare(name) for name in (*self.named, *names)}
        try:
            others = evidence_of(host, self.transactions).others
        except OSError as error:
            raise HostError(f"what others wrote at the same time cannot be read: {error}") from error

        def owns(path: str, before: Entry | None, after: Entry | None) -> bool:
            if after is None and MOVED.get(f"/{path}") in movers:
                return True
            # A purge takes along whatever is in their folders; a file that is there now is not theirs for its place.
            in_folder = after is None or (f"/{path}" in self.tops and f"/{path}" not in others)
            return claim.owns(path, before, after) or (in_folder and tops(path, before, after))

        return replace(claim, owns=owns, accounts=claim.accounts | set(self.accounts))

    def record(self) -> dict[str, object]:
        """Names and versions."""
        dicts = {name: dict(getattr(self, name)) for name in ("installed", "removed", "modes")}
        lists = {name: list(getattr(self, name)) for name in ("upgraded", *EFFECT_LISTS)}
        return {"kind": "packages", **dicts, **lists}


@dataclass(frozen=True)
class PackagesBefore:
    """The packages before a change that nobody saw the end of; undo reverses what that change has made different.

    `transactions` are the marks of its runs of apt. Without any, as older versions of this program recorded it,
    everything that is different is held to be its doing."""

    packages: Mapping[str, str]
    auto: tuple[str, ...] = ()
    modes: Mapping[str, int] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    half_way: tuple[str, ...] = ()
    transactions: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    """What is to come or to go."""
    tops: tuple[str, ...] = ()
    """What belongs to those that are going to go, and goes with them: their files below /etc and the folders that are
    theirs alone, with whatever others have put there."""
    accounts: tuple[str, ...] = ()
    """The users and groups of those that are going to go: their scripts may take them along."""
    looked: float = field(default=0, compare=False)
    """See PackagesReversal."""

    @classmethod
    def of(cls, host: Host, transaction: str) -> PackagesBefore:
        """All packages as they are now, before the runs of apt with this mark. Raises HostError."""
        before = installed(host), auto_installed(host), _modes(host), tuple(overridden(host)), half_way(host)
        return cls(*before, (transaction,))

    def undo(self, host: Host, say: Say) -> None:
        """As PackagesEffect does, for what came and went since. Raises ChangeError."""
        self.settled_since(host, say).undo(host, say)

    def settled_since(self, host: Host, say: Say) -> PackagesEffect:
        """As `since`, once dpkg has ended what it was in the middle of: that brings things, too. Raises HostError."""
        settle(host, say)
        return self.since(host)

    def since(self, host: Host) -> PackagesEffect:
        """What came, went and was upgraded since, by our runs of apt as apt itself has recorded them. A package that
        was only upgraded has not come: undo must never remove it. Raises HostError."""
        before, now, marked = self.packages, installed(host), set(auto_installed(host))
        came = {name for name in now if name not in before}
        gone = {name for name in before if name not in now}
        newer = {name for name, version in now.items() if before.get(name, version) != version}
        manual = {name for name in self.auto if name in before and name not in marked & now.keys()}
        modes, overrides = _modes(host), overridden(host)
        dressed = {path for path, mode in self.modes.items() if modes.get(path, mode) != mode}
        covered = {path for path in overrides if path not in self.overrides}
        automatic: set[str] = set()
        if self.transactions:
            ours = History.of(host).ours(self.transactions)
            came, gone, newer = came & ours.installed, gone & ours.removed, newer & ours.upgraded
            manual = {name for name in manual if name in ours.removed or bare(name) in ours.named}
            dressed = {path for path in dressed if _is_ours(DRESSED, path, modes[path], ours)}
            covered = {path for path in covered if _is_ours(OVERRIDES, path, overrides[path], ours)}
            automatic = came & ours.automatic
        return PackagesEffect(
            tuple((name, now[name]) for name in sorted(came)),
            tuple((name, before[name]) for name in sorted(gone)),
            tuple(sorted(newer)),
            tuple(sorted(manual)),
            tuple((path, self.modes[path]) for path in sorted(dressed)),
            tuple(sorted(covered)),
            tuple(sorted(automatic)),
            *(self.half_way, self.transactions, self.named, self.tops, self.accounts, self.looked),
        )

    def claim(self, host: Host) -> Claim:
        """What the packages own that came and went since. Raises HostError."""
        return self.since(host).claim(host)

    def reversal(self, host: Host) -> PackagesReversal | None:
        """As PackagesEffect.reversal. Raises HostError."""
        return self.since(host).reversal(host)

    def record(self) -> dict[str, object]:
        """Names and versions."""
        lists = {name: list(getattr(self, name)) for name in BEFORE_LISTS}
        return {"kind": "packages", "before": dict(self.packages), "modes": dict(self.modes), **lists}


Packages = PackagesEffect | PackagesBefore
"""What a change of packages left behind, whether or not somebody saw its end."""


def _owner(table: Mapping[str, tuple[object, str]], path: str) -> str | None:
    """The package whose scripts do this to the path, None for one that the table does not have."""
    return table[path][1] if path in table else None


def _is_ours(table: Mapping[str, tuple[object, str]], path: str, now: object, ours: Ours) -> bool:
    """Whether the path is as the scripts of one of our packages leave it."""
    return path in table and table[path][0] == now and table[path][1] in ours.installed


def as_one(befores: Sequence[PackagesBefore]) -> PackagesBefore:
    """Several changes of one step, oldest first, as one: they are undone together, or one would need the other's
    packages still."""
    marks = tuple(dict.fromkeys(mark for each in befores for mark in each.transactions))
    return replace(
        befores[0],
        transactions=marks if all(each.transactions for each in befores) else (),
        named=tuple(name for each in befores for name in each.named),
        tops=tuple(path for each in befores for path in each.tops),
        accounts=tuple(name for each in befores for name in each.accounts),
    )


def together(effects: Iterable[PackagesEffect]) -> PackagesEffect:
    """Several effects, newest first, as one: of each package the oldest has the last word."""
    here: dict[str, str | None] = {}
    modes: dict[str, int] = {}
    effects = tuple(effects)
    for effect in effects:
        here |= dict.fromkeys(dict(effect.installed)) | dict(effect.removed)
        modes |= dict(effect.modes)
    return PackagesEffect(
        tuple((name, "") for name, version in here.items() if version is None),
        tuple((name, version) for name, version in here.items() if version is not None),
        (),
        tuple(sorted({name for effect in effects for name in effect.auto})),
        tuple(modes.items()),
        tuple(sorted({path for effect in effects for path in effect.overrides})),
        tuple(sorted({name for effect in effects for name in effect.automatic})),
        transactions=tuple(sorted({mark for effect in effects for mark in effect.transactions})),
    )


@dataclass(frozen=True)
class PackagesReversal:
    """The packages `came` are purged, and `gone` come back in these versions, in one transaction of apt.

    Refused when apt would take any other package along: something else needs them by now. `stays` says what of the
    change stays as it is, and why."""

    came: tuple[str, ...]
    gone: tuple[tuple[str, str], ...] = ()
    auto: tuple[str, ...] = ()
    modes: tuple[tuple[str, int], ...] = ()
    overrides: tuple[str, ...] = ()
    stays: tuple[tuple[str, str], ...] = ()
    away: tuple[tuple[str, str], ...] = ()
    """What went with the change and does not come back, and why."""
    refused: str | None = field(default=None, compare=False)
    """Why apt would not do exactly this, when it was asked."""
    asked_in: tuple[float, ...] = field(default=(), compare=False)
    """The state of apt when it was asked (wizard.gather.host.apt_state)."""
    transaction: str = field(default_factory=new_mark, compare=False)
    looked: float = field(default=0, compare=False)
    """When /etc was last looked at, in seconds since the epoch: what others have done since, apt may take along."""

    kind = "packages"
    touches = EVERYWHERE

    @property
    def left(self) -> tuple[str, ...]:
        """What stays, and why, a sentence each."""
        stays = tuple(f"{name} stays, {why}" for name, why in self.stays)
        return (*stays, *(f"{name} does not come back, {why}" for name, why in self.away))

    def kept(self, host: Host) -> Claim:
        """The files and accounts of the packages that stay: these stay as well. Raises HostError."""
        return claim_of(host, [name for name, _ in self.stays], ()) if self.stays else Claim()

    def asked(self, host: Host) -> PackagesReversal:
        """The same, with what apt says to it."""
        state = apt_state(host)
        try:
            return replace(self, refused=self.refusal(host), asked_in=state)
        except (ChangeError, HostError) as error:
            return replace(self, refused=str(error))

    def reduced(self, host: Host) -> PackagesReversal:
        """As much of it as apt can do without a change to any other package; it stays as it is where apt can do
        nothing of it. Raises HostError."""
        try:
            free = unneeded(host, self.came, self._back())
            if self.gone and (theirs := sorted((free or frozenset()) - self._names())):
                why = f"since {', '.join(theirs)} would have to go"
                away = tuple((name, why) for name, _ in self.gone)
                return replace(self, gone=(), away=away).asked(host).reduced(host)
        except ChangeError:
            return self
        if free is None:
            return self
        here = installed(host)
        goes = tuple(name for name in self.came if bare(name) in free or name in free or name not in here)
        kept = [name for name in self.came if name not in goes]
        if not kept:
            return self
        others = {bare(name) for name in here} - {bare(name) for name in goes}
        needs = needed_by(host, kept)
        stays = tuple((name, _needed(each for each in needs[name] if each in others)) for name in kept)
        return replace(self, came=goes, stays=(*self.stays, *stays)).asked(host)

    def _names(self) -> set[str]:
        """What goes, as apt may spell it."""
        return {spelled for name in self.came for spelled in (name, bare(name))}

    def _back(self) -> list[str]:
        return [f"{name}={version}" for name, version in self.gone]

    def _argv(self) -> list[str]:
        if not self.gone:
            return ["purge", "-y", "-q", *self.came]
        return [
            "install",
            "--purge",
            "--no-install-recommends",  # all that comes back is named
            "-y",
            "-q",
            *OPTIONS,
            *self._back(),
            *(f"{name}-" for name in self.came),
        ]

    def describe(self) -> Description:
        """The apt command."""
        goes = f"purge the packages that it brought: {', '.join(self.came)}" if self.came else ""
        back = ", ".join(f"{name} {version}" for name, version in self.gone)
        title = "; ".join(filter(None, (goes, f"bring back {back}" if back else "", *self.left)))
        commands = (f"apt-get {' '.join(self._argv())}",) if self.came or self.gone else ()
        return Description(title, commands=commands)

    def refusal(self, host: Host) -> str | None:
        """Why apt would not do exactly this, asked by its own simulation; None when it would. Raises ChangeError."""
        if not (self.came or self.gone):
            return None
        completed = apt_get(host, ["-s", *self._argv()], lambda _: None)
        if completed.code != 0:
            return f"apt refuses: {completed.tail()}\n{advice(completed.stdout + completed.stderr)}"
        more = sorted(simulated(completed.stdout, "Remv", "Purg") - self._names())
        others = sorted(simulated(completed.stdout, "Inst") - {bare(name) for name, _ in self.gone})
        if others:
            return (
                f"apt would install {', '.join(others)} instead: something now needs what would go. "
                "Decide with apt what is to stay, then try again"
            )
        if not more:
            return None
        return (
            f"apt would have to remove {', '.join(more)} too, which the step did not bring: "
            f"something needs {', '.join(self.came[:3])}{' ...' if len(self.came) > 3 else ''} by now. "
            f"Remove {', '.join(more)} yourself if they may go, then try again"
        )

    def expect(self, host: Host) -> PackagesBefore:
        """All packages as they are now, and what goes with those that go. Raises HostError."""
        named = (*self.came, *(name for name, _ in self.gone))
        try:
            listed = (real(host, path) for path in own_tops(host, self.came))
            tops = (*listed, *own_paths(host, self.came))
            accounts = tuple(sorted(footprint(host, self.came).accounts))
        except OSError as error:
            raise HostError(f"dpkg's own files cannot be read: {error}") from error
        return replace(PackagesBefore.of(host, self.transaction), named=named, tops=tops, accounts=accounts)

    def apply(self, host: Host, say: Say) -> PackagesEffect:
        """Ask apt what it would do unless it has just said so, do it, and look. Raises ChangeError, with the effect once
        something was done."""
        why = self.refused if self.asked_in == apt_state(host) else self.refusal(host)
        if why is not None:
            raise ChangeError(why)
        before = self.expect(host)
        for line in self.left:
            say(line)
        effect = self._applied(host, before, say) if self.came or self.gone else PackagesEffect((), ())
        try:
            PackagesEffect((), (), (), self.auto, self.modes, self.overrides).dress(host)
        except ChangeError as error:
            raise ChangeError(str(error), effect) from error
        return effect

    def _applied(self, host: Host, before: PackagesBefore, say: Say) -> PackagesEffect:
        say(f"$ apt-get {' '.join(self._argv())}")
        try:
            completed = apt_get(host, self._argv(), say, mark=self.transaction, since=self.looked)
            if completed.code != 0:
                raise ChangeError(f"`{completed.command}` failed:\n{completed.tail()}")
        except ChangeError as error:
            raise ChangeError(str(error), before.settled_since(host, say)) from error
        effect = before.since(host)
        left, here = installed(host, configured=True), installed(host)
        wrong = [name for name in self.came if name in left]
        wrong += [name for name, version in self.gone if here.get(name) != version]
        if wrong:
            raise ChangeError(f"apt reported success, but {', '.join(wrong)} is not as it was before", effect)
        return effect
