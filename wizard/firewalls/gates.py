"""Each firewall's own tool tries a new rules file out, on a copy: what it refuses is never installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wizard.errors import GateError, HostError
from wizard.model.firewall_names import FIREWALLD_CONF
from wizard.system.host import Completed, Host, Say

DEADLINE = 90.0
"""Seconds for a check: shorewall compiles all its rules."""


@dataclass(frozen=True)
class FileTrial:
    """`argv` with the name of the copy behind it must end with 0."""

    argv: tuple[str, ...]

    def check(self, host: Host, content: bytes, say: Say) -> None:
        """Raises GateError with what the tool said."""
        with tempfile.TemporaryDirectory(prefix="msa-wizard-gate-") as folder:
            copy = Path(folder) / "rules"
            copy.write_bytes(content)
            _must(_run(host, [*self.argv, str(copy)]), str(copy))
        say(f"the gate: `{' '.join(self.argv)}` accepts it")


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
            argv = [word.replace("{}", str(copy)) for word in self.argv]
            _must(_run(host, argv), str(copy))
        say(f"the gate: `{' '.join(word.replace('{}', 'COPY') for word in self.argv)}` accepts it")


@dataclass(frozen=True)
class UfwTrial:
    """`ufw --dry-run allow PORT/tcp` must end with 0 and would write the same rule; and iptables-restore takes the file."""

    ports: tuple[int, ...]
    tool: str
    chain: str

    def check(self, host: Host, content: bytes, say: Say) -> None:
        """Raises GateError with what the tool said."""
        for port in self.ports:
            result = _run(host, ["ufw", "--dry-run", "allow", f"{port}/tcp"])
            _must(result, "")
            rule = f"-A {self.chain} -p tcp --dport {port} -j ACCEPT"
            if rule not in result.stdout.splitlines() or rule.encode() not in content.splitlines():
                raise GateError(f"`{result.command}` would not write `{rule}` as this does: {result.tail(3)}")
        say(
            f"the gate: `ufw --dry-run allow` of {', '.join(f'{port}/tcp' for port in self.ports)} says the same"
        )
        FileTrial((f"{self.tool}-restore", "--noflush", "--test")).check(host, content, say)


def nft() -> FileTrial:
    """nft's own check (nft(8))."""
    return FileTrial(("nft", "-c", "-f"))


def xtables(tool: str) -> FileTrial:
    """That of iptables-restore(8)."""
    return FileTrial((f"{tool}-restore", "--test"))


def firewalld(zone: str) -> FolderTrial:
    """That of firewalld (firewall-offline-cmd(1))."""
    folder = str(Path(FIREWALLD_CONF).parent)
    argv = ("firewall-offline-cmd", "--system-config={}", "--check-config")
    return FolderTrial(folder, f"zones/{zone}.xml", argv)


def shorewall(folder: str) -> FolderTrial:
    """`shorewall check` (shorewall(8)); shorewall6 is separate."""
    return FolderTrial(folder, "rules", (Path(folder).name, "check", "{}"))


def _run(host: Host, argv: Sequence[str]) -> Completed:
    try:
        return host.run(argv, timeout=DEADLINE)
    except HostError as error:
        raise GateError(str(error)) from error


def _must(result: Completed, copy: str) -> None:
    output = result.tail(6)
    if copy:
        output = output.replace(copy, "COPY")
    if result.code != 0:
        command = result.command.replace(copy, "COPY") if copy else result.command
        raise GateError(f"`{command}` refuses it (status {result.code}): {output}")
