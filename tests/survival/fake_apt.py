"""apt-get and apt-mark on a fake root: what follows from what was asked for, simulated or done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.survival.fake_dpkg import INTERRUPTED, LOCK, Dpkg, DpkgError, locked
from tests.survival.fake_files import put, text
from tests.survival.fake_packages import CATALOGUE, Package, named
from tests.survival.fake_systemd import Said

AUTO = "var/lib/apt/extended_states"
HISTORY = "var/log/apt/history.log"
TERMINAL = "var/log/apt/term.log"


@dataclass
class _Asked:
    """The arguments of an apt-get."""

    verb: str = ""
    names: list[str] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    """Options without a value, and the values of -o."""

    @property
    def purges(self) -> bool:
        """Whether configuration goes, too."""
        return self.verb == "purge" or "--purge" in self.words

    @property
    def sweeps(self) -> bool:
        """Whether what nothing needs any more goes as well."""
        return self.verb == "autoremove" or "--auto-remove" in self.words


@dataclass(frozen=True)
class Apt:
    """apt over `dpkg`; every package of the catalogue can be had in its one version."""

    dpkg: Dpkg

    def get(self, *arguments: str) -> Said:
        """apt-get."""
        asked = _parsed(arguments)
        if asked.verb == "update":
            return 0, ""
        if unknown := [word for word in asked.names if named(word.rstrip("-").partition("=")[0]) is None]:
            return 100, f"E: Unable to locate package {unknown[0]}\n"
        comes, goes = self._follows(asked)
        if "--no-remove" in asked.words and goes:
            return 100, "E: Packages need to be removed but remove is disabled.\n"
        purge = asked.purges
        if asked.sweeps:
            goes = [*goes, *self._unneeded(asked, goes)]
        if "-s" in asked.words:
            lines = [f"{'Purg' if purge else 'Remv'} {each.name} [{each.version}]\n" for each in goes]
            return 0, "".join([*lines, *(f"Inst {each.name} ({each.version})\n" for each in comes)])
        with locked(self.dpkg.root / LOCK):
            if (self.dpkg.root / INTERRUPTED).exists():
                return 100, "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'.\n"
            try:
                self._done(asked, comes, goes, arguments)
            except DpkgError as error:
                self.dpkg.end()
                return 100, f"{error}E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
        return 0, ""

    def mark(self, verb: str, *names: str) -> Said:
        """apt-mark auto, and manual."""
        bare = {name.partition(":")[0] for name in names}
        self._write_auto(self.auto() | bare if verb == "auto" else self.auto() - bare)
        return 0, ""

    def auto(self) -> set[str]:
        """The packages that came for others alone."""
        return _auto(self.dpkg.root / AUTO)

    def rdepends(self, *arguments: str) -> Said:
        """apt-cache rdepends --installed."""
        known, lines = self.dpkg.known(), list[str]()
        for name in arguments:
            if package := named(name) if not name.startswith("-") else None:
                others = [each.name for each in CATALOGUE.values() if package.name in each.needs]
                lines += [package.name, "Reverse Depends:"]
                lines += [f"  {other}" for other in others if other in known and known[other].here]
        return 0, "".join(f"{line}\n" for line in lines)

    def _unneeded(self, asked: _Asked, goes: Sequence[Package]) -> list[Package]:
        """What is noted as automatic and nothing that stays needs."""
        states = [word.partition("=")[2] for word in asked.words if word.startswith("Dir::State::extended")]
        auto = _auto(Path(states[0]) if states else self.dpkg.root / AUTO)
        here = {name for name, known in self.dpkg.known().items() if known.here}
        needed, found = list(here - auto - {package.name for package in goes}), set[str]()
        while needed:
            name = needed.pop()
            if name not in found:
                found.add(name)
                needed += CATALOGUE[name].needs
        return [CATALOGUE[name] for name in sorted(here & auto - found)]

    def _log(
        self, arguments: Sequence[str], asked: _Asked, comes: Sequence[Package], goes: Sequence[Package]
    ) -> None:
        """Before dpkg begins, as apt does."""
        known = self.dpkg.known()
        there = {name for name, each in known.items() if each.here}
        wanted = {each.name for word in asked.names if (each := named(word.partition("=")[0]))}
        lists: dict[str, list[str]] = {"Install": [], "Upgrade": []}
        for each in comes:
            if each.name in there:
                lists["Upgrade"].append(f"{each.name}:amd64 ({known[each.name].version}, {each.version})")
            else:
                how = "" if each.name in wanted else ", automatic"
                lists["Install"].append(f"{each.name}:amd64 ({each.version}{how})")
        lists["Purge" if asked.purges else "Remove"] = [
            f"{each.name}:amd64 ({each.version})" for each in goes
        ]
        lines = ["", "Start-Date: 2026-11-28  12:56:40", f"Commandline: apt-get {' '.join(arguments)}"]
        lines += [f"{key}: {', '.join(names)}" for key, names in lists.items() if names]
        put(self.dpkg.root / HISTORY, text(self.dpkg.root / HISTORY) + "".join(f"{line}\n" for line in lines))

    def _done(
        self, asked: _Asked, comes: Sequence[Package], goes: Sequence[Package], arguments: Sequence[str]
    ) -> None:
        there = {name for name, known in self.dpkg.known().items() if known.here}
        force = "Dpkg::Options::=--force-remove-reinstreq" in asked.words
        here = there - {package.name for package in goes} | {package.name for package in comes}
        wanted = {each.name for name in asked.names if (each := named(name.rstrip("-").partition("=")[0]))}
        new = {package.name for package in comes} - there
        if comes or goes:
            self._log(arguments, asked, comes, goes)
        self._write_auto((self.auto() | new - wanted) & here - wanted)
        if comes or goes:
            self.dpkg.begin()
        for package in goes:
            # What is half removed apt only removes; its configuration would go the next time.
            half = self.dpkg.known()[package.name].state == "half-installed"
            self.dpkg.remove(package, purge=asked.purges and not half, force=force)
        for package in comes:
            self.dpkg.unpack(package)
        for package in comes:
            self.dpkg.configure(package)
        self.dpkg.end()
        self.dpkg.configure_pending()

    def _write_auto(self, names: set[str]) -> None:
        blocks = [f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n" for name in sorted(names)]
        if text(self.dpkg.root / AUTO) != "\n".join(blocks):
            put(self.dpkg.root / AUTO, "\n".join(blocks))

    def _follows(self, asked: _Asked) -> tuple[list[Package], list[Package]]:
        """What comes, what others need first; and what goes, with all that needs it."""
        known = self.dpkg.known()
        here = {name for name, each in known.items() if each.here}
        comes: dict[str, Package] = {}
        goes: dict[str, Package] = {}

        def come(package: Package, *, asked_for: bool) -> None:
            for need in package.needs:
                come(CATALOGUE[need], asked_for=False)
            if package.name not in here or (asked_for and "--reinstall" in asked.words):
                comes[package.name] = package
            for name in package.conflicts:
                if name in here:
                    go(CATALOGUE[name])

        def go(package: Package) -> None:
            for each in CATALOGUE.values():
                if package.name in each.needs and each.name in here:
                    go(each)
            if package.name in (known if asked.verb == "purge" or "--purge" in asked.words else here):
                goes[package.name] = package

        for word in asked.names:
            package = named(word.rstrip("-").partition("=")[0])
            assert package is not None
            if asked.verb == "purge" or word.endswith("-"):
                go(package)
            else:
                come(package, asked_for=True)
        return list(comes.values()), list(goes.values())


def _auto(path: Path) -> set[str]:
    blocks = text(path).split("\n\n")
    return {block.split("\n")[0].removeprefix("Package: ") for block in blocks if block.strip()}


def _parsed(arguments: Sequence[str]) -> _Asked:
    asked = _Asked()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "-o":
            asked.words.add(rest.pop(0))
        elif word.startswith("-"):
            asked.words.add(word)
        elif not asked.verb:
            asked.verb = word
        else:
            asked.names.append(word)
    return asked
