"""One rehearsal, from outside: the clone is made, its half of the work is followed, and all of it is thrown away."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wizard.engine.engine import Engine
from wizard.engine.state_dir import LOCK, must_not_wait
from wizard.errors import CannotHere, HostError, Locked
from wizard.gather.host import look
from wizard.mends import find
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome
from wizard.rehearse import boot, mounts
from wizard.rehearse.attribution import explain, may_stay, packaged_files
from wizard.rehearse.clone import Clone, CloneError, CloneSpec
from wizard.rehearse.fetch import NoNetwork, fetch
from wizard.rehearse.kept_clones import sweep
from wizard.rehearse.messages import heard
from wizard.rehearse.outcome import Rehearsal
from wizard.rehearse.overlay_changes import changes, scan
from wizard.system.host import Host
from wizard.system.lock import free

LEAST = 512 << 20
MOST = 1 << 30
"""Bytes that the clone may write: between these, by how much memory is free."""
NEEDED = 256 << 20
"""Bytes of free memory below which no clone is made."""
INSTEAD = "Nothing was changed. `msa-wizard plan` shows what would be done, and needs neither"
_BIG_LOG = 1 << 20
_FULL = 0.99
_DEVICES = 32
"""Network devices of the host that the clone gets by name; containers' own can be hundreds."""
_ASK = 0.2
"""Seconds between two looks whether somebody wants it to end."""
_MAIL_PORTS = (25, 465, 587)

Tell = Callable[[dict[str, Any]], None]
"""Gets each thing that happens, as `wizard.rehearse.messages` says it."""


@dataclass
class RehearsalRun:
    """What a rehearsal needs, and what it comes to."""

    answers: Answers
    steps: Sequence[str]
    tell: Tell
    interrupt: Callable[[], None] = lambda: None
    host: Host = field(default_factory=Host)
    rehearsal: Rehearsal = field(default_factory=Rehearsal)

    def run(self, clone: Clone, facts: Facts) -> Rehearsal:
        """Rehearse in `clone`. Raises NoNetwork, HostError, and what `interrupt` raises."""
        rehearsal, began = self.rehearsal, time.monotonic()
        rehearsal.host, rehearsal.release = facts.fqdn or facts.hostname, facts.release.name
        rehearsal.systemd, rehearsal.limit = clone.systemd, clone.wish.limit
        if clone.wish.systemd and not clone.systemd:
            rehearsal.notes.append(
                "there is no cgroup for a clone here, so no systemd: its services were started by init scripts"
            )
        inside = clone.start("worker")
        assert inside.stdin is not None
        assert inside.stdout is not None
        try:
            self._say(inside.stdin, self._request(clone, facts))
            self._packages(clone, facts)
            before = after = {}
            for line in self._lines(inside.stdout.fileno()):
                message = heard(line)
                self.tell(message)
                match message["event"]:
                    case "ready":
                        before = scan(clone.uppers())
                        self._say(inside.stdin, "go")
                    case "applied":
                        after = scan(clone.uppers())
                        self._applied(clone, message, before, after)
                        self._say(inside.stdin, "go")
                rehearsal.hear(message)
            if clone.ended:
                raise HostError("the process that holds the clone was killed: the rehearsal broke off")
            rehearsal.left = [
                item for item in changes(before, scan(clone.uppers())) if not may_stay(item.path)
            ]
        finally:
            inside.kill()
            inside.wait()
            inside.stdin.close()
            inside.stdout.close()
        rehearsal.memory, rehearsal.seconds = max(rehearsal.memory, clone.memory()), time.monotonic() - began
        if rehearsal.memory > rehearsal.limit * _FULL:
            rehearsal.notes.append(
                f"the clone had {rehearsal.limit >> 20} MiB, and used them up; this host's disks have more room"
            )
        return rehearsal

    def _lines(self, descriptor: int) -> Iterator[str]:
        """What the clone's half says, by lines; `interrupt` is asked meanwhile."""
        rest = b""
        while True:
            self.interrupt()
            if not select.select([descriptor], [], [], _ASK)[0]:
                continue
            piece = os.read(descriptor, 65536)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)

    @staticmethod
    def _say(pipe: Any, value: object) -> None:
        try:
            print(json.dumps(value), file=pipe, flush=True)
        except BrokenPipeError:
            return  # it ended, and has said why on the other pipe

    def _request(self, clone: Clone, facts: Facts) -> dict[str, object]:
        others = [
            (item.address, item.port, item.process or "unknown")
            for item in facts.listeners
            if item.port in _MAIL_PORTS and item.process != "sendmail-mta"
        ]
        return {
            "answers": asdict(self.answers),
            "steps": list(self.steps),
            "systemd": clone.systemd,
            "services": list(boot.running_services(self.host)) if not clone.systemd else [],
            "listeners": others,
            "ports": sorted({item.port for item in facts.listeners if item.process == "sendmail-mta"}),
            "fqdn": facts.fqdn if facts.fqdn_resolves else "",
        }

    def _packages(self, clone: Clone, facts: Facts) -> None:
        """Fetch what the install step would, while the clone boots."""
        if self.steps and "install" not in self.steps:
            return
        plan = Engine(self.host, self.answers, lambda _: None).plan_step(find("install"), facts)
        if plan.outcome is not Outcome.PENDING:
            return
        for change in plan.changes:
            if change.kind == "packages":
                self.tell({"event": "phase", "phase": "fetch"})
                why = fetch(clone, change.names, change.may_remove, self.interrupt)  # type: ignore[attr-defined]
                if why:
                    self.rehearsal.notes.append(f"apt would not fetch the packages: {why}")

    def _applied(self, clone: Clone, message: dict[str, Any], before: Any, after: Any) -> None:
        self.rehearsal.memory = clone.memory()
        packages = [
            name
            for step in message["run"]["steps"]
            for change in step["changes"]
            if change["kind"] == "packages"
            for name in self._came(clone)
        ]
        packaged = packaged_files(clone.path("/"), packages) if packages else frozenset()
        self.rehearsal.paths = explain(changes(before, after), message["touches"], packaged)

    def _came(self, clone: Clone) -> list[str]:
        """The packages that are in the clone and not on the host."""
        folder = "var/lib/dpkg/info"
        here = {path.name for path in (clone.path("/") / folder).glob("*.list")}
        return [
            name.removesuffix(".list")
            for name in here - {path.name for path in Path("/", folder).glob("*.list")}
        ]


def wish(host: Host, facts: Facts) -> CloneSpec:
    """The clone that this host needs. Raises MemoryError where there is too little."""
    free = _free_memory()
    if free < NEEDED:
        raise MemoryError(f"{free >> 20} MiB of memory are free, and a clone needs {NEEDED >> 20}")
    systemd = boot.has_systemd(host)
    services = boot.running_services(host)
    units, links = boot.units(services) if systemd else ({}, {})
    return CloneSpec(
        limit=max(LEAST, min(MOST, free * 3 // 4)),
        hostname=os.uname().nodename,
        init=tuple(boot.arguments(os.uname().nodename)),
        systemd=systemd,
        addresses=tuple(item for item in facts.addresses if not ip_address(item).is_loopback),
        devices=tuple(sorted(set(host.names("/sys/class/net")) - {"lo"})[:_DEVICES]),
        ipv6_off=not facts.ipv6,
        files=_name_servers(),
        units=units,
        links=links,
        folders=tuple(boot.run_folders()),
        changed=tuple(_changed()),
    )


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _name_servers() -> dict[str, str]:
    """The file that /etc/resolv.conf leads to, where it is in /run: packages are fetched by it."""
    path = os.path.realpath("/etc/resolv.conf")
    if not path.startswith("/run/"):
        return {}
    try:
        return {path: Path(path).read_text("utf-8", "replace")}
    except OSError:
        return {}


def _changed() -> list[tuple[str, str]]:
    """What is empty or gone in the clone; a large log, too, since one line more would copy all of it."""
    paths = [(path, "gone") for path in mounts.GONE]
    paths += [(os.path.realpath(path), "empty") for path in mounts.EMPTIED]
    for folder, _, names in os.walk("/var/log"):
        for path in (Path(folder, name) for name in names):
            if "journal" not in path.parts and path.is_file() and path.stat().st_size > _BIG_LOG:
                paths.append((str(path), "empty"))
    return [(path, how) for path, how in paths if os.path.lexists(path)]


def rehearsed(
    answers: Answers,
    steps: Sequence[str],
    tell: Tell,
    interrupt: Callable[[], None] = lambda: None,
    keep: Callable[[Clone], None] | None = None,
) -> Rehearsal:
    """Rehearse on a clone of this host, and throw it away, or hand it to `keep`.

    Raises CannotHere, Locked, InterruptedRun, HostError, and what `interrupt` raises."""
    if os.geteuid() != 0:
        raise CannotHere(f"only root can make a clone of this host: run it with sudo. {INSTEAD}")
    if not free(LOCK):
        raise Locked("another msa-wizard is changing this host, and half of a change cannot be rehearsed")
    must_not_wait()
    sweep()
    host = Host()
    try:
        facts = look(host)
        with Clone(wish(host, facts)) as clone:
            rehearsal = RehearsalRun(answers, steps, tell, interrupt).run(clone, facts)
            if keep is not None:
                keep(clone)
            return rehearsal
    except (CloneError, MemoryError) as problem:
        raise CannotHere(f"this host cannot be cloned: {problem}. {INSTEAD}") from problem
    except NoNetwork as problem:
        raise CannotHere(
            f"packages are missing, and cannot be fetched for the clone: {problem}. Fetch them where there is a network "
            f"(apt-get install --download-only sendmail sasl2-bin libsasl2-modules), then try again. {INSTEAD}"
        ) from problem
