"""Which of the admin's listeners stay, change or go, and which are missing. Pure planning on what was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wizard.editors.daemon_options import DaemonOption, collide, is_wildcard, plain_address
from wizard.editors.edit_error import EditError

_CHOOSE = "choose the addresses for this port in the answers, or switch one of the lines off with dnl"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A listener that is asked for. `service` is smtp, submission or submissions; `name` is used only where the line
    is newly written; `address` None is every address; `require` and `forbid` are modifier letters."""

    service: str
    family: str
    name: str
    address: str | None
    require: str
    forbid: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one live line: off, or with this family and address (None: without Addr)."""

    family: str
    address: str | None
    off: bool = False


def keeping(lines: Sequence[DaemonOption], wanted: Sequence[Wanted]) -> tuple[list[Fate], list[Wanted]]:
    """The admin's own addresses stay; Debian's loopback ones go, on the families that are wanted.

    Raises EditError where an address of the admin's and a wildcard would take the port from each other."""
    fates = [Fate(line.family, line.address) for line in lines]
    families = {listener.family for listener in wanted}
    for family in families:
        mine = [at for at, line in enumerate(lines) if line.family == family]
        if any(not lines[at].wildcard and not lines[at].loopback for at in mine):
            continue
        taken = any(lines[at].wildcard for at in mine)
        for at in mine:
            if lines[at].loopback:
                fates[at] = replace(fates[at], off=True) if taken else Fate(family, None)
                taken = True
    six_fixed = any(line.family == "inet6" and not line.wildcard and not line.loopback for line in lines)
    six = any(fate.family == "inet6" and is_wildcard(fate.address) and not fate.off for fate in fates)
    if six or ("inet6" in families and not six_fixed):
        six = _serve_both(lines, fates, six) or six
    _drop_twins(lines, fates)
    missing: list[Wanted] = []
    for listener in sorted(wanted, key=lambda listener: listener.family != "inet6"):
        alive = {fate.family for fate in fates if not fate.off} | {other.family for other in missing}
        six = six or any(other.family == "inet6" and is_wildcard(other.address) for other in missing)
        if listener.family not in alive and not (listener.family == "inet" and six):
            missing.append(listener)
    return fates, missing


def _serve_both(lines: Sequence[DaemonOption], fates: list[Fate], six: bool) -> bool:
    """A wildcard of inet6 serves IPv4 too: an inet line becomes it, or goes. True where one was converted."""
    converted = False
    for at, line in enumerate(lines):
        if line.family != "inet" or fates[at].off:
            continue
        if six or converted:
            if _holds(lines, fates, at):
                continue
            if not line.wildcard and not line.loopback:
                raise _clash(line)
            fates[at] = replace(fates[at], off=True)
        elif line.wildcard or line.loopback:
            fates[at] = Fate("inet6", None)
            converted = True
        else:
            raise _clash(line)
    return converted


def _clash(line: DaemonOption) -> EditError:
    return EditError(
        line.line, line.raw, f"this line listens on {line.address}, and a listener of inet6 on every address would take "
        "IPv4 as well: sendmail cannot open both", _CHOOSE,
    )  # fmt: skip


def _holds(lines: Sequence[DaemonOption], fates: Sequence[Fate], at: int) -> bool:
    """Whether line `at` gets along with every wildcard of inet6, by modifier O on the later of the two."""
    mine = replace(lines[at], address=fates[at].address)
    for other, fate in enumerate(fates):
        if other == at or fate.off or fate.family != "inet6" or not is_wildcard(fate.address):
            continue
        theirs = replace(lines[other], family="inet6", address=None)
        if collide(mine, theirs) if at < other else collide(theirs, mine):
            return False
    return True


def _drop_twins(lines: Sequence[DaemonOption], fates: list[Fate]) -> None:
    """Of two lines for the same family and address the later one goes, unless it is optional."""
    places: set[tuple[str, str | None]] = set()
    for at, fate in enumerate(fates):
        place = (fate.family, plain_address(fate.address))
        if fate.off:
            continue
        if place in places and not lines[at].optional:
            fates[at] = replace(fate, off=True)
        places.add(place)


def exactly(lines: Sequence[DaemonOption], wanted: Sequence[Wanted]) -> tuple[list[Fate], list[Wanted]]:
    """Just the wanted families and addresses: lines are matched, re-addressed, or switched off."""
    left = _without_doubles(wanted)
    fates: list[Fate | None] = [None] * len(lines)
    for same_address, same_family in ((True, True), (False, True), (False, False)):
        for at, line in enumerate(lines):
            if fates[at] is not None:
                continue
            for listener in left:
                if same_family and line.family != listener.family:
                    continue
                if same_address and plain_address(line.address) != plain_address(listener.address):
                    continue
                if not same_family and not (
                    is_wildcard(listener.address) and (line.wildcard or line.loopback)
                ):
                    continue
                fates[at] = Fate(listener.family, line.address if same_address else listener.address)
                left.remove(listener)
                break
    return [
        fate or Fate(line.family, line.address, off=True) for fate, line in zip(fates, lines, strict=True)
    ], left


def _without_doubles(wanted: Sequence[Wanted]) -> list[Wanted]:
    first: dict[tuple[str, str | None], Wanted] = {}
    for listener in wanted:
        first.setdefault((listener.family, plain_address(listener.address)), listener)
    kept = list(first.values())
    six = any(listener.family == "inet6" and is_wildcard(listener.address) for listener in kept)
    if six:
        kept = [
            listener for listener in kept if listener.family != "inet" or not is_wildcard(listener.address)
        ]
    for listener in kept:
        for other in kept:
            if (
                is_wildcard(listener.address)
                and not is_wildcard(other.address)
                and (six or listener.family == other.family)
            ):
                raise EditError(
                    None, "", f"{other.address} cannot be chosen for port {listener.service} beside every address: "
                    "sendmail cannot open both", "choose either every address or single ones",
                )  # fmt: skip
    return kept
