"""What a firewall's own file gives: the changes that open ports, or why they cannot be made; what is open now; and the
gates: each firewall's own tool tries a new rules file out, on a copy, and what it refuses is never installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from snapshots.live.entry import Entry
from wizard.changes.file import FileChange, FileGate
from wizard.changes.rules import LiveRule
from wizard.editors import EditError
from wizard.errors import GateError, HostError, WizardError
from wizard.model.facts import Facts
from wizard.model.firewall_names import TOOLS
from wizard.packet_filter.iptables import Table, filter_table
from wizard.packet_filter.walk import Packet
from wizard.system.host import Completed, Host, Say

FAMILIES = (4, 6)
PORT_NAMES = {
    25: "SMTP",
    80: "The challenge of a certificate authority",
    587: "Submission",
    465: "Submission with TLS from the start",
}
DEADLINE = 90.0
"""Seconds for a gate: shorewall compiles all its rules."""


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
    return (Packet(family, port, facts.outside) for family in families for port in ports)


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


@dataclass(frozen=True)
class FileTrial:
    """`argv` with the name of the copy behind it must end with 0."""

    argv: tuple[str, ...]

    def check(self, host: Host, content: bytes, say: Say) -> None:
        """Raises GateError with what the tool said."""
        with tempfile.TemporaryDirectory(prefix="msa-wizard-gate-") as folder:
            copy = Path(folder) / "rules"
            copy.write_bytes(content)
            _must(host, [*self.argv, str(copy)], copy)
        say(f"checked: `{' '.join(self.argv)}` accepts it")


@dataclass(frozen=True)
class FolderTrial:
    """`argv`, in which {} is replaced by a copy of `folder` with the new file as `name` in it, must end with 0."""

    folder: str
    name: str
    argv: tuple[str, ...]

    def check(self, host: Host, content: bytes, say: Say) -> None:
        """Raises GateError with what the tool said."""
        with tempfile.TemporaryDirectory(prefix="msa-wizard-gate-") as folder:
            copy = Path(folder) / Path(self.folder).name
            try:
                shutil.copytree(host.path(self.folder), copy, symlinks=True)
            except (OSError, shutil.Error) as error:
                raise GateError(f"{self.folder} could not be copied to try it out: {error}") from error
            target = copy / self.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_bytes(content)
            _must(host, [word.replace("{}", str(copy)) for word in self.argv], copy)
        say(f"checked: `{' '.join(self.argv).replace('{}', 'COPY')}` accepts it")


@dataclass(frozen=True)
class UfwTrial:
    """`ufw --dry-run allow PORT/tcp` must end with 0 and would write the same rule; and iptables-restore takes the file."""

    ports: tuple[int, ...]
    tool: str
    chain: str

    def check(self, host: Host, content: bytes, say: Say) -> None:
        """Raises GateError with what the tool said."""
        for port in self.ports:
            result = _must(host, ["ufw", "--dry-run", "allow", f"{port}/tcp"])
            rule = f"-A {self.chain} -p tcp --dport {port} -j ACCEPT"
            if rule not in result.stdout.splitlines() or rule.encode() not in content.splitlines():
                raise GateError(f"`{result.command}` would not write `{rule}` as this does: {result.tail(3)}")
        ports = ", ".join(f"{port}/tcp" for port in self.ports)
        say(f"checked: `ufw --dry-run allow` of {ports} says the same")
        FileTrial((f"{self.tool}-restore", "--noflush", "--test")).check(host, content, say)


def _must(host: Host, argv: Sequence[str], copy: Path | None = None) -> Completed:
    try:
        result = host.run(argv, timeout=DEADLINE)
    except HostError as error:
        raise GateError(str(error)) from error
    if result.code != 0:
        why = f"`{result.command}` refuses it (status {result.code}): {result.tail(6)}"
        raise GateError(why.replace(str(copy), "COPY") if copy else why)
    return result
