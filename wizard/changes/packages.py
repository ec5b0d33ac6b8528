"""Packages that are missing, installed by apt; undo removes exactly what came."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wizard.apt import advice, apt_get, auto_installed, half_way, installed, overridden, settle, wants_update
from wizard.changes.claim import Claim, below
from wizard.footprint import footprint, own_tops
from wizard.host import Completed, Host, HostError
from wizard.plan import ChangeError, Description, Say

EVERYWHERE = ("/etc", "/usr/lib/sasl2")


DRESSED = ("/var/mail",)
"""Folders outside /etc whose mode sendmail's scripts change, and purging does not change back."""


def claim_of(host: Host, names: Iterable[str]) -> Claim:
    """What these packages own below /etc, and the accounts that they make. Raises HostError."""
    found = footprint(host, names)
    return Claim(found.owns, found.accounts)


def _modes(host: Host) -> dict[str, int]:
    paths = [path for path in DRESSED if host.exists(path)]
    return {path: stat.S_IMODE(host.path(path).stat().st_mode) for path in paths}


def _succeed(host: Host, *argv: str) -> None:
    done = host.run(argv, timeout=60)
    if done.code != 0:
        raise HostError(f"`{done.command}` failed with status {done.code}: {done.tail()}")


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

    half_way: tuple[str, ...] = ()
    """What dpkg had not ended before."""
    named: tuple[str, ...] = field(default=(), compare=False)
    """What was to come or to go, whether or not it did: its scripts may have run."""
    tops: tuple[str, ...] = field(default=(), compare=False)
    """See PackagesBefore."""

    def reversal(self, host: Host) -> PackagesReversal | None:
        """What takes it back: what came and is still here goes, what went and is not here comes back; what was
        upgraded stays. None when there is nothing to do. Raises HostError."""
        left, here = installed(host, configured=True), installed(host)
        came = tuple(name for name, _ in self.installed if name in left)
        gone = tuple((name, version) for name, version in self.removed if here.get(name) != version)
        return PackagesReversal(came, gone, self.auto, self.modes, self.overrides) if came or gone else None

    def undo(self, host: Host, say: Say) -> None:
        """Bring back what went, and purge what came. Raises ChangeError when apt does not, or would take more."""
        with contextlib.suppress(HostError):  # apt says what is still wrong
            settle(host, say)
        reversal = self.reversal(host)
        if reversal is not None:
            reversal.apply(host, say)
        self.dress(host)
        half = [name for name in half_way(host) if name not in self.half_way]
        if half:
            raise ChangeError(f"dpkg was left half-way: {', '.join(half)}; see `dpkg --audit`")

    def dress(self, host: Host) -> None:
        """What apt does not bring back: overrides and modes of its scripts, and which packages are there for others
        alone. Raises ChangeError."""
        here, marked = installed(host), auto_installed(host)
        marks = [name for name in self.auto if name in here and name not in marked]
        try:
            for path in overridden(host):
                if path in self.overrides:
                    _succeed(host, "dpkg-statoverride", "--remove", path)
            for path, mode in self.modes:
                host.path(path).chmod(mode)
            if marks:
                _succeed(host, "apt-mark", "auto", *marks)
        except (HostError, OSError) as error:
            raise ChangeError(
                f"the packages are back, and yet not all that belongs to them: {error}"
            ) from error

    def claim(self, host: Host) -> Claim:
        """What these packages own below /etc. Raises HostError."""
        names = [name for name, _ in (*self.installed, *self.removed)]
        claim, tops = claim_of(host, [*self.named, *names]), below(*self.tops)
        return Claim(lambda *path: claim.owns(*path) or tops(*path), claim.accounts)

    def record(self) -> dict[str, object]:
        """Names and versions."""
        return {
            "kind": "packages",
            "installed": dict(self.installed),
            "removed": dict(self.removed),
            "upgraded": list(self.upgraded),
            "auto": list(self.auto),
            "modes": dict(self.modes),
            "overrides": list(self.overrides),
        }


@dataclass(frozen=True)
class PackagesBefore:
    """The packages before a change that nobody saw the end of; undo takes back what has become different."""

    packages: Mapping[str, str]
    auto: tuple[str, ...] = ()
    modes: Mapping[str, int] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    half_way: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    """What is to come or to go."""
    tops: tuple[str, ...] = ()
    """What belongs to those that are going to go, and goes with them: their files below /etc and the folders that are
    theirs alone, with whatever others have put there."""

    @classmethod
    def of(cls, host: Host) -> PackagesBefore:
        """All packages as they are now. Raises HostError."""
        return cls(installed(host), auto_installed(host), _modes(host), overridden(host), half_way(host))

    def undo(self, host: Host, say: Say) -> None:
        """As PackagesEffect does, for what came and went since. Raises ChangeError."""
        self.settled_since(host, say).undo(host, say)

    def settled_since(self, host: Host, say: Say) -> PackagesEffect:
        """As `since`, once dpkg has ended what it was in the middle of: that brings things, too. Raises HostError."""
        with contextlib.suppress(HostError):  # apt says what is still wrong
            settle(host, say)
        return self.since(host)

    def since(self, host: Host) -> PackagesEffect:
        """What came, went and was upgraded since. A package that was only upgraded has not come: undo must never
        remove it. Raises HostError."""
        before, now, marked = self.packages, installed(host), set(auto_installed(host))
        return PackagesEffect(
            tuple(sorted((name, version) for name, version in now.items() if name not in before)),
            tuple(sorted((name, version) for name, version in before.items() if name not in now)),
            tuple(sorted(name for name, version in now.items() if before.get(name, version) != version)),
            tuple(sorted(name for name in self.auto if name in before and name not in marked & now.keys())),
            tuple((path, mode) for path, mode in self.modes.items() if _modes(host).get(path, mode) != mode),
            tuple(path for path in overridden(host) if path not in self.overrides),
            self.half_way,
            self.named,
            self.tops,
        )

    def claim(self, host: Host) -> Claim:
        """What the packages own that came and went since. Raises HostError."""
        return self.since(host).claim(host)

    def record(self) -> dict[str, object]:
        """Names and versions."""
        return {
            "kind": "packages",
            "before": dict(self.packages),
            "auto": list(self.auto),
            "modes": dict(self.modes),
            "overrides": list(self.overrides),
            "half_way": list(self.half_way),
            "named": list(self.named),
            "tops": list(self.tops),
        }


@dataclass(frozen=True)
class PackagesReversal:
    """The packages `came` are purged, and `gone` come back in these versions, in one transaction of apt.

    Refused when apt would take any other package along: something else needs them by now."""

    came: tuple[str, ...]
    gone: tuple[tuple[str, str], ...] = ()
    auto: tuple[str, ...] = ()
    modes: tuple[tuple[str, int], ...] = ()
    overrides: tuple[str, ...] = ()

    kind = "packages"

    @property
    def touches(self) -> tuple[str, ...]:
        """Packages write all over /etc."""
        return EVERYWHERE

    def _argv(self) -> list[str]:
        if not self.gone:
            return ["purge", "-y", "-q", *self.came]
        back = [f"{name}={version}" for name, version in self.gone]
        options = ["-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0"]
        return ["install", "--purge", "-y", "-q", *options, *back, *(f"{name}-" for name in self.came)]

    def describe(self) -> Description:
        """The apt command."""
        goes = f"purge the packages that it brought: {', '.join(self.came)}" if self.came else ""
        comes = (
            f"bring back {', '.join(f'{name} {version}' for name, version in self.gone)}" if self.gone else ""
        )
        title = "; ".join(filter(None, (goes, comes)))
        return Description(title, commands=(f"apt-get {' '.join(self._argv())}",))

    def refusal(self, host: Host) -> str | None:
        """Why apt would not do exactly this, asked by its own simulation; None when it would. Raises ChangeError."""
        done = apt_get(host, ["-s", *self._argv()], lambda _: None)
        if done.code != 0:
            return f"apt refuses: {done.tail()}\n{advice(done.stdout + done.stderr)}"
        named = {name.partition(":")[0] for name in self.came}
        rows = [line.split() for line in done.stdout.splitlines()]
        more = sorted({row[1] for row in rows if row and row[0] in ("Remv", "Purg")} - named)
        back = {name.partition(":")[0] for name, _ in self.gone}
        others = sorted({row[1] for row in rows if row and row[0] == "Inst"} - back)
        if others:
            return (
                f"apt would install {', '.join(others)} instead: something needs what would go by now. "
                "Decide with apt what is to stay, then try again"
            )
        if not more:
            return None
        return (
            f"apt would have to remove {', '.join(more)} too, which the step did not bring: "
            f"something needs {', '.join(self.came[:3])}{' …' if len(self.came) > 3 else ''} by now. "
            f"Remove {', '.join(more)} yourself if they may go, then try again"
        )

    def expect(self, host: Host) -> PackagesBefore:
        """All packages as they are now, and what goes with those that go. Raises HostError."""
        named = (*self.came, *(name for name, _ in self.gone))
        return replace(PackagesBefore.of(host), named=named, tops=own_tops(host, self.came))

    def apply(self, host: Host, say: Say) -> PackagesEffect:
        """Ask apt what it would do, do it, and look. Raises ChangeError, with the effect once something was done."""
        why = self.refusal(host)
        if why is not None:
            raise ChangeError(why)
        before = self.expect(host)
        say(f"$ apt-get {' '.join(self._argv())}")
        try:
            done = apt_get(host, self._argv(), say)
        except ChangeError as error:
            raise ChangeError(str(error), before.settled_since(host, say)) from error
        if done.code != 0:
            raise ChangeError(f"`{done.command}` failed:\n{done.tail()}", before.settled_since(host, say))
        effect = before.since(host)
        left, here = installed(host, configured=True), installed(host)
        wrong = [name for name in self.came if name in left]
        wrong += [name for name, version in self.gone if here.get(name) != version]
        if wrong:
            raise ChangeError(f"apt ended well, and yet {', '.join(wrong)} is not as it was before", effect)
        try:
            PackagesEffect((), (), (), self.auto, self.modes, self.overrides).dress(host)
        except ChangeError as error:
            raise ChangeError(str(error), effect) from error
        return effect


@dataclass(frozen=True)
class PackagesChange:
    """Install `names` with apt. `simulated` is what apt said it would do, when it was asked."""

    names: tuple[str, ...]
    simulated: tuple[str, ...] | None = None
    may_remove: tuple[str, ...] = ()

    kind = "packages"

    @property
    def touches(self) -> tuple[str, ...]:
        """Packages write all over /etc."""
        return EVERYWHERE

    def _argv(self) -> list[str]:
        keep = [] if self.may_remove else ["--no-remove"]
        options = ["-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0"]
        return ["install", "-y", "-q", *keep, *options, *self.names]

    def describe(self) -> Description:
        """The apt command, and the packages that it would bring."""
        brings = [line.split()[1] for line in self.simulated or () if line.startswith("Inst ")]
        goes = [line.split()[1] for line in self.simulated or () if line.startswith("Remv ")]
        others = [name for name in brings if name not in self.names]
        title = f"install {', '.join(self.names)}"
        if others:
            title += f", and what they need: {', '.join(sorted(others))}"
        if goes:
            title += f"; REMOVES {', '.join(goes)}"
        return Description(title, commands=(f"apt-get {' '.join(self._argv())}",))

    def expect(self, host: Host) -> PackagesBefore:
        """All packages as they are now. Raises HostError."""
        return replace(PackagesBefore.of(host), named=(*self.names, *self.may_remove))

    def apply(self, host: Host, say: Say) -> PackagesEffect:
        """Run apt; where its lists are missing or stale, fetch them and try once more.

        Raises ChangeError with the effect to undo."""
        before = self.expect(host)
        try:
            done = self._install(host, say)
        except ChangeError as error:
            raise ChangeError(str(error), before.settled_since(host, say)) from error
        if done.code != 0:
            said = f"apt could not install {', '.join(self.names)}:\n{done.tail()}\n{advice(done.stdout + done.stderr)}"
            raise ChangeError(said, before.settled_since(host, say))
        return before.since(host)

    def _install(self, host: Host, say: Say) -> Completed:
        done = apt_get(host, self._argv(), say, progress=True)
        if done.code == 0 or not wants_update(done.stdout + done.stderr):
            return done
        say("the package lists are missing or stale: apt-get update")
        if apt_get(host, ["update", "-q"], say).code != 0:
            return done
        return apt_get(host, self._argv(), say, progress=True)
