"""Packages that are missing, installed by apt; undo removes exactly what came."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from wizard.host import Completed, Host, HostError
from wizard.plan import ChangeError, Description, Say

LOCK_PATIENCE = 120
"""Seconds to wait for another apt or dpkg."""

DEADLINE = 1800.0
"""Seconds for one apt run: a slow mirror is normal, a night is not."""

_ENV = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_MODE": "l"}


@dataclass(frozen=True)
class PackagesEffect:
    """Packages that came, with version, those that went, and the names of those that were upgraded on the way."""

    installed: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    upgraded: tuple[str, ...] = ()

    def undo(self, host: Host, say: Say) -> None:
        """Bring back what went, then purge what came; what was upgraded stays. Raises ChangeError when apt does not."""
        if not self.installed and not self.removed:
            return
        with contextlib.suppress(HostError):  # apt says what is still wrong
            _settle(host, say)
        if self.removed:
            say("bringing back the packages that this step removed")
            _must(
                host, ["install", "-y", "-q", *(f"{name}={version}" for name, version in self.removed)], say
            )
        here = _installed(host, configured=True)
        came = [name for name, _ in self.installed if name in here]
        if came:
            say("removing the packages that this step installed")
            _must(host, ["purge", "-y", "-q", *came], say)

    def record(self) -> dict[str, object]:
        """Names and versions."""
        return {
            "kind": "packages",
            "installed": dict(self.installed),
            "removed": dict(self.removed),
            "upgraded": list(self.upgraded),
        }


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
        return ("/etc", "/usr/lib/sasl2")

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

    def apply(self, host: Host, say: Say) -> PackagesEffect:
        """Run apt; where its lists are missing or stale, fetch them and try once more.

        Raises ChangeError with the effect to undo."""
        before = _installed(host)
        try:
            done = self._install(host, say)
        except ChangeError as error:
            raise ChangeError(str(error), _difference(before, _installed(host))) from error
        effect = _difference(before, _installed(host))
        if done.code != 0:
            advice = _advice(done.stdout + done.stderr)
            said = f"apt could not install {', '.join(self.names)}:\n{done.tail()}\n{advice}"
            raise ChangeError(said, effect)
        return effect

    def _install(self, host: Host, say: Say) -> Completed:
        done = _apt(host, self._argv(), say)
        if done.code == 0 or not _wants_update(done.stdout + done.stderr):
            return done
        say("the package lists are missing or stale: apt-get update")
        return _apt(host, self._argv(), say) if _apt(host, ["update", "-q"], say).code == 0 else done


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> PackagesEffect:
    """What came and what went. A package that was only upgraded has not come: undo must never remove it."""
    return PackagesEffect(
        tuple(sorted((name, version) for name, version in now.items() if name not in before)),
        tuple(sorted((name, version) for name, version in before.items() if name not in now)),
        tuple(sorted(name for name, version in now.items() if before.get(name, version) != version)),
    )


def _must(host: Host, arguments: list[str], say: Say) -> None:
    done = _apt(host, arguments, say)
    if done.code != 0:
        raise ChangeError(f"`{done.command}` failed:\n{done.tail()}")


def _installed(host: Host, *, configured: bool = False) -> dict[str, str]:
    """All packages that are unpacked in any state, name to version; with `configured` also those of which only the
    configuration files are left. Raises ChangeError."""
    try:
        done = host.run(["dpkg-query", "-W", "-f", "${binary:Package} ${Version} ${db:Status-Status}\n"])
    except HostError as error:
        raise ChangeError(str(error)) from error
    gone = ("not-installed",) if configured else ("not-installed", "config-files")
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] not in gone}


def _apt(host: Host, arguments: list[str], say: Say) -> Completed:
    try:
        return host.run(
            ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_PATIENCE}", *arguments],
            timeout=DEADLINE,
            say=say,
            env=_ENV,
        )
    except HostError as error:
        with contextlib.suppress(HostError):  # the first error is the one to tell
            _settle(host, say)
        raise ChangeError(f"{error}. `dpkg --configure -a` was run; see `apt-get check`") from error


def _settle(host: Host, say: Say) -> None:
    """What dpkg left half-done is finished first, or apt refuses everything."""
    done = host.run(["dpkg", "--audit"])
    if done.stdout.strip():
        say("dpkg was left half-way: dpkg --configure -a")
        host.run(["dpkg", "--force-confold", "--configure", "-a"], timeout=DEADLINE, say=say, env=_ENV)


def _wants_update(output: str) -> bool:
    return any(
        mark in output
        for mark in (
            "Unable to locate package",
            "has no installation candidate",
            "404  Not Found",
            "apt-get update",
        )
    )


def _advice(output: str) -> str:
    for mark, advice in (
        (
            "Could not get lock",
            "Another program holds apt's lock (named above). Wait for it, then try again.",
        ),
        ("Temporary failure resolving", "No name server answers: check the network, then try again."),
        (
            "Could not connect",
            "The package server cannot be reached: check network and proxy, then try again.",
        ),
        ("Unable to fetch", "Not all packages could be fetched: check the network, then try again."),
        ("No space left", "The disk is full: `df -h`, make room, then try again."),
        (
            "need to be removed but remove is disabled",
            "A package would have to go: see `apt-get -s install`.",
        ),
        ("Read-only file system", "A file system is read-only: `mount -o remount,rw` it, then try again."),
        ("Unable to locate package", "No package source has it: check /etc/apt/sources.list."),
        ("held broken packages", "Held packages are in the way: `apt-mark showhold`."),
    ):
        if mark in output:
            return advice
    return "What apt says above is the reason; mend it, then try again."
