"""One rehearsal, from outside: the clone is made, its half of the work is followed, and all of it is thrown away."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wizard.engine.engine import Engine
from wizard.engine.state_dir import LOCK, must_not_wait
from wizard.errors import CannotHere, HostError, Locked, NotRoot, WizardError
from wizard.gather.host import look
from wizard.gather.origin import must_be_debians
from wizard.maillog.read import where
from wizard.mends.order import find
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome
from wizard.packages.apt import installed, wants_update
from wizard.rehearse import boot
from wizard.rehearse.clone import Clone, CloneError, CloneSpec, sweep
from wizard.rehearse.outcome import Rehearsal
from wizard.rehearse.written import changes, explain, may_stay, packaged_files, scan
from wizard.system.host import Completed, Host
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
_INSTALLING = ("install", "guess-limit")
"""The steps that bring packages, but for that of a certificate, which is not rehearsed."""
_FETCHING = 1800.0
"""Seconds, as `wizard.packages.apt` gives apt."""
_APT = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}
_NO_NETWORK = re.compile(
    "Temporary failure resolving|Could not (resolve|connect)|Cannot initiate the connection|Connection timed out|"
    "Unable to (connect|fetch)|Failed to fetch|Network is unreachable"
)
_EMPTIED = (
    *(f"/var/spool/{queue}" for queue in ("mqueue", "mqueue-client", "exim4/input", "exim4/msglog")),
    *(f"/var/spool/postfix/{queue}" for queue in ("deferred", "active", "incoming", "maildrop", "hold")),
    *("/var/spool/cron/atjobs", "/var/log/journal"),
)
"""Empty in the clone: no queued mail is delivered, and no journal is shared or copied."""
_GONE = ("/var/lib/msa-wizard/etc.git", "/var/lib/msa-wizard/etc.git-history", "/var/lib/msa-wizard/journal")
"""Not there in the clone: it has a history of its own, so that `rollback --all` leads to what is there now."""

Tell = Callable[[dict[str, Any]], None]
"""Gets each thing that happens, as the clone's half says it."""


class NoNetwork(WizardError):
    """The packages `names` are not here and cannot be fetched: why."""

    def __init__(self, why: str, names: Sequence[str]) -> None:
        super().__init__(why)
        self.names = names


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
            now = scan(clone.uppers())
            rehearsal.left = [change for change in changes(before, now) if not may_stay(change.path)]
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
        rehearsal.notes += rehearsal.left_out([each.name for each in facts.firewalls if each.active])
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
        with contextlib.suppress(BrokenPipeError):  # it ended, and has said why on the other pipe
            print(json.dumps(value), file=pipe, flush=True)

    def _request(self, clone: Clone, facts: Facts) -> dict[str, object]:
        own = [listener for listener in facts.listeners if listener.process == "sendmail-mta"]
        return {
            "answers": asdict(self.answers),
            "steps": list(self.steps),
            "systemd": clone.systemd,
            "journal": where(self.host) == "journal",
            "services": list(boot.running_services(self.host)) if not clone.systemd else [],
            "listeners": [
                (listener.address, listener.port, listener.process or "unknown")
                for listener in facts.listeners
                if listener.port in _MAIL_PORTS and listener not in own
            ],
            "ports": sorted({listener.port for listener in own}),
            "fqdn": facts.fqdn if facts.fqdn_resolves else "",
        }

    def _packages(self, clone: Clone, facts: Facts) -> None:
        """Fetch what the steps would, while the clone boots."""
        engine = Engine(self.host, self.answers, lambda _: None)
        wanted = [step for step in _INSTALLING if not self.steps or step in self.steps]
        plans = [engine.plan_step(find(step), facts) for step in wanted]
        for change in (each for plan in plans if plan.outcome is Outcome.PENDING for each in plan.changes):
            if change.kind == "packages":
                self.tell({"event": "phase", "phase": "fetch"})
                why = fetch(clone, change.names, change.may_remove, change.recommends, self.interrupt)  # type: ignore[attr-defined]
                if why:
                    self.rehearsal.notes.append(f"apt would not fetch the packages: {why}")

    def _applied(self, clone: Clone, message: dict[str, Any], before: Any, after: Any) -> None:
        self.rehearsal.memory = clone.memory()
        kinds = {change["kind"] for step in message["run"]["steps"] for change in step["changes"]}
        here, there = (
            {path.stem for path in (top / "var/lib/dpkg/info").glob("*.list")}
            for top in (Path("/"), clone.path("/"))
        )
        came = there - here if "packages" in kinds else set()
        packaged = packaged_files(clone.path("/"), came) if came else frozenset()
        self.rehearsal.paths = explain(changes(before, after), message["touches"], packaged, message["made"])


def heard(line: str) -> dict[str, Any]:
    """One line of the other half; what is not JSON is an error that it could not catch."""
    with contextlib.suppress(ValueError):
        if isinstance(message := json.loads(line), dict):
            return message
    return {"event": "error", "line": line.rstrip("\n")}


def fetch(
    clone: Clone, names: Sequence[str], goes: Sequence[str], recommends: bool, interrupt: Callable[[], None]
) -> str:
    """Fetch what is missing of these packages and what they need, and what `goes` for them, since it is to come back,
    into the clone's own apt cache: in the clone's file system, with the host's network. The host's apt does not notice:
    whatever apt-get writes, lists, locks and caches included, goes to the overlay.

    Returns why apt refused, where it is not the network: the rehearsal will then meet the same as the real set-up.
    Raises NoNetwork, HostError, and what `interrupt` raises, which is asked at each line that apt says."""

    def apt(*arguments: str) -> Completed:
        argv = [*clone.entering(network=True), "apt-get", "-o", "DPkg::Lock::Timeout=60", *arguments]
        return Host().run(argv, timeout=_FETCHING, env=_APT, say=lambda _: interrupt())

    options = [*([] if goes else ["--no-remove"]), *([] if recommends else ["--no-install-recommends"])]
    install = ["install", "--download-only", "-y", "-q", *options, *names]
    result = apt(*install)
    if result.code != 0 and wants_update(result.stdout + result.stderr):
        apt("update", "-q")
        result = apt(*install)
    if result.code != 0:
        if _NO_NETWORK.search(result.stdout + result.stderr):
            raise NoNetwork(result.tail(3), names)
        return result.tail(3)
    if goes:
        here = installed(Host())
        again = [f"{name}={here[name]}" for name in goes if name in here]
        apt("install", "--reinstall", "--download-only", "-y", "-q", *again)
    return ""


def wish(host: Host, facts: Facts) -> CloneSpec:
    """The clone that this host needs. Raises MemoryError where there is too little."""
    meminfo = Path("/proc/meminfo").read_text().splitlines()
    free = next((int(line.split()[1]) << 10 for line in meminfo if line.startswith("MemAvailable:")), 0)
    if free < NEEDED:
        raise MemoryError(f"{free >> 20} MiB of memory are free, and a clone needs {NEEDED >> 20}")
    resolver = os.path.realpath("/etc/resolv.conf")  # where it is in /run: packages are fetched by it
    servers = host.text(resolver, "utf-8") if resolver.startswith("/run/") else ""
    systemd = host.exists("/run/systemd/system") and host.exists(boot.SYSTEMD)
    services = boot.running_services(host)
    units, links = boot.units(services) if systemd else ({}, {})
    return CloneSpec(
        limit=max(LEAST, min(MOST, free * 3 // 4)),
        hostname=os.uname().nodename,
        init=boot.arguments(os.uname().nodename),
        systemd=systemd,
        addresses=tuple(address for address in facts.addresses if not ip_address(address).is_loopback),
        devices=tuple(sorted(set(host.names("/sys/class/net")) - {"lo"})[:_DEVICES]),
        ipv6_off=not facts.ipv6,
        files={resolver: servers} if resolver.startswith("/run/") and host.exists(resolver) else {},
        units=units,
        links=links,
        folders=tuple(boot.run_folders()),
        changed=tuple(_changed()),
    )


def _changed() -> list[tuple[str, str]]:
    """What is empty or gone in the clone; a large log, too, since one line more would copy all of it."""
    paths = [(path, "gone") for path in _GONE]
    paths += [(os.path.realpath(path), "empty") for path in _EMPTIED]
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
        raise NotRoot("make a clone of this host")
    if not free(LOCK):
        raise Locked("another msa-wizard is changing this host, and half of a change cannot be rehearsed")
    must_not_wait()
    sweep()
    host = Host()
    try:
        facts = look(host)
        must_be_debians(facts)
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
            f"(`apt-get install --download-only {' '.join(problem.names)}`), then try again. {INSTEAD}"
        ) from problem
