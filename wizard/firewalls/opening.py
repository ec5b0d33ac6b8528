"""What a firewall's own file gives: the changes that open ports, or why they cannot be made; and what is open now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from snapshots.live.entry import Entry
from wizard.changes.file import FileChange
from wizard.changes.gate import FileGate
from wizard.changes.live_rule import LiveRule
from wizard.editors import EditError
from wizard.errors import WizardError
from wizard.model.facts import Facts
from wizard.model.firewall_names import TOOLS
from wizard.packet_filter.iptables import Table, filter_table
from wizard.packet_filter.walk import Packet

FAMILIES = (4, 6)
PORT_NAMES = {25: "SMTP", 587: "Submission", 465: "Submission with TLS from the start"}


class CannotOpenError(WizardError):
    """The ports must not, or cannot, be opened here: why; `remedy` says what to do, a line each."""

    def __init__(self, why: str, *remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True)
class Opening:
    """The live rules and the files that open what is not open yet; both empty where all is open."""

    rules: tuple[LiveRule, ...] = ()
    files: tuple[FileChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PortRequest:
    """What is to be open: the ports, and the zone that the admin named (empty: find it)."""

    ports: tuple[int, ...]
    zone: str = ""


class FirewallKind(Protocol):
    """One firewall."""

    @property
    def name(self) -> str:
        """As in `wizard.model.firewall_names`."""

    def opening(self, facts: Facts, wanted: PortRequest) -> Opening:
        """What opens the ports. Raises CannotOpenError."""

    def closed(self, facts: Facts, wanted: PortRequest) -> list[tuple[int, int]]:
        """Family and port of each that the live rules block. Raises CannotOpenError."""


def packets(facts: Facts, ports: Sequence[int], families: Sequence[int] = FAMILIES) -> Iterator[Packet]:
    """A connection from outside for each family and port."""
    for family in families:
        for port in ports:
            yield Packet(family, port, facts.outside)


def live_table(facts: Facts, family: int) -> Table:
    """The live rules of iptables or ip6tables."""
    return filter_table((facts.rules or {}).get(TOOLS[family], ""))


def text_of(facts: Facts, path: str) -> str | None:
    """The file's text, None where it is absent. Raises CannotOpenError where it is not a regular file."""
    entry = facts.files.get(path)
    if entry is not None and entry.kind != "file":
        raise CannotOpenError(
            f"{path} is not a regular file but a {entry.kind}",
            f"put the rules themselves at {path}, then run this again",
        )
    return facts.text(path)


def edited(facts: Facts, path: str, text: str, gate: FileGate, *, like: Entry | None = None) -> FileChange:
    """The change that gives the file this text; a new file gets the mode and owner of `like`."""
    before = facts.files.get(path)
    entry = before or like
    assert entry is not None, "a new file needs one to be like"
    return FileChange(path, before, replace(entry, content=text.encode("latin-1")), gate=gate)


@contextmanager
def editing(path: str) -> Iterator[None]:
    """While inside, raises CannotOpenError where an editor does not edit the file."""
    try:
        yield
    except EditError as error:
        raise CannotOpenError(f"{path} is not edited: {error}", error.remedy) from error
