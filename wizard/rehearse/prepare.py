"""What the clone needs before the set-up can be rehearsed in it: its services, a name, a made-up user."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from snapshots.live.entry import Entry, Kind
from templates import render
from wizard.errors import HostError
from wizard.gather.host import look
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.plan import Sign
from wizard.packages.apt import installed
from wizard.rehearse import syscalls as kernel
from wizard.rehearse.boot import TARGET
from wizard.sendmail.password_source import wanted
from wizard.smtp.login_test import Credentials
from wizard.steps.preflight import checks
from wizard.system.host import PATH, Host, environment
from wizard.system.sockets import listeners

BOOT_SECONDS = 90.0
_LOG_LINES = 40
LOCAL = ("pam", "shadow", "getpwent")
"""What saslauthd asks where a user of the clone's own can log in."""


def running(host: Host) -> dict[str, object]:
    """What is compared before and after: packages, services, listeners. JSON-ready."""
    facts = look(host)
    return {
        "packages": installed(host),
        "enabled": {name: listener.enabled for name, listener in facts.services.items()},
        "listeners": sorted({f"{listener.address} port {listener.port}" for listener in facts.listeners}),
    }


def booted(host: Host, ports: Sequence[int]) -> list[str]:
    """Wait until systemd has started what it was asked to. Raises HostError when it does not come up.

    Sendmail's start is not waited out once it listens on `ports`: Debian's init script then sleeps for two seconds."""
    end = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < end:
        word = host.run(["systemctl", "is-system-running"], timeout=BOOT_SECONDS).stdout.strip()
        if word == "running" or (word == "starting" and ports and _only_sendmail_starts(host, ports)):
            return []
        if word == "degraded":
            failed = host.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"])
            names = [line.split()[0] for line in failed.stdout.splitlines() if line.split()]
            return [f"these units failed to start in the clone: {', '.join(names)}"] if names else []
        time.sleep(0.05)
    raise HostError(f"the clone's systemd did not come up within {BOOT_SECONDS:.0f} s")


def _only_sendmail_starts(host: Host, ports: Sequence[int]) -> bool:
    jobs = host.run(["systemctl", "list-jobs", "--plain", "--no-legend"])
    rows = [line.split() for line in jobs.stdout.splitlines() if line.strip()]
    if jobs.code != 0 or any(row[1] not in ("sendmail.service", TARGET) for row in rows if len(row) > 1):
        return False
    return set(ports) <= {listener.port for listener in listeners(host) if listener.process == "sendmail-mta"}


def last_log(host: Host) -> list[str]:
    """The last lines of the clone's log, since nobody can look at it afterwards; none where there is no journal."""
    try:
        result = host.run(
            ["journalctl", "--no-pager", "-q", "-o", "short", "-n", str(_LOG_LINES)], timeout=30
        )
    except HostError:
        return []
    return result.stdout.splitlines() if result.code == 0 else []


def cut_waits() -> None:
    """Have Debian's init script of sendmail sleep no longer than it needs, until the clone ends.

    Each stop and start of it sleeps two seconds, whatever sendmail does meanwhile: a fifth of the whole rehearsal. Raises OSError."""
    sleep = shutil.which("sleep", path=PATH)
    if sleep is None:
        return
    folder = Path("/run/msa-wizard")
    folder.mkdir(mode=0o755, exist_ok=True)
    shutil.copy2(sleep, folder / "sleep")
    script = folder / "short-sleep"
    script.write_text(render("short_sleep.sh.j2", sleep=folder / "sleep"))
    script.chmod(0o755)
    kernel.bind(str(script), os.path.realpath(sleep))


def started(host: Host, services: Sequence[str]) -> list[str]:
    """Start by init script what runs on the host; what does not start is told."""
    notes = []
    for name in services:
        try:
            result = host.run([f"/etc/init.d/{name}", "start"], timeout=180)
        except HostError as problem:
            notes.append(f"{name} runs on the host and did not start in the clone: {problem}")
            continue
        if result.code != 0:
            notes.append(f"{name} runs on the host and did not start in the clone: {result.tail(1)}")
    return notes


def stand_ins(host: Host, wanted: Sequence[Sequence[object]]) -> list[str]:
    """Hold the ports that programs of the host hold and nobody does here, under the same names."""
    here = {(listener.address, listener.port) for listener in listeners(host)}
    notes = []
    for address, port, name in wanted:
        if (address, port) not in here:
            _hold(str(address), int(str(port)), str(name))
            notes.append(
                f"on the host {name} holds port {port} ({address}); a stand-in holds it in the clone"
            )
    return notes


def _hold(address: str, port: int, name: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    with contextlib.suppress(OSError):
        listening.bind((address, port))
        listening.listen()
        if os.fork() == 0:
            os.closerange(0, listening.fileno())
            os.closerange(listening.fileno() + 1, 1024)
            kernel.set_process_name(name)
            while True:
                with contextlib.suppress(OSError):
                    listening.accept()[0].close()
    listening.close()


def named(host: Host, answers: Answers, fqdn: str) -> tuple[list[str], str]:
    """A host name that resolves, where the clone has none: what was done, and what the host itself would stop at.

    `fqdn` is the host's name where it resolves there: the clone has no name server to ask."""
    facts = look(host)
    if facts.fqdn_resolves:
        return [], ""
    failed = next((check for check in checks(facts, answers) if check.id == "fqdn"), None)
    short = (fqdn or facts.hostname or "host").split(".")[0]
    name = fqdn or f"{short}.rehearsal.example"
    _hosts_line(host, f"127.0.1.1 {name} {short}")
    if fqdn:
        return [f"{name} does not resolve without a network: the clone got a line in /etc/hosts for it"], ""
    note = f"this host's name does not resolve: the clone was called {name}, or it could not have gone on"
    stops = failed.says if failed is not None and failed.sign is Sign.FAILED else ""
    return [note], stops


def _hosts_line(host: Host, line: str) -> None:
    before = host.entry(f.HOSTS)
    content = before.content if before is not None else b"127.0.0.1 localhost\n"
    after = line.encode() + b"\n" + content
    entry = (
        dataclasses.replace(before, content=after)
        if before is not None
        else Entry(Kind.FILE, 0o644, 0, 0, after)
    )
    try:
        host.write(f.HOSTS, entry)
    except HostError:  # a mount point of its own, as in containers: it can be written, not replaced
        host.path(f.HOSTS).write_bytes(after)


def made_up_user(host: Host, answers: Answers) -> Credentials | None:
    """A user that exists nowhere else, with a random password that nobody sees. None: the passwords are out of reach.

    Raises HostError when it cannot be made."""
    facts = look(host)
    source = wanted(facts, answers).name
    name, password = f"rehearsal-{secrets.token_hex(3)}", secrets.token_urlsafe(24)
    if source == "sasldb":
        realm = (facts.sasldb or (f"@{facts.fqdn or facts.hostname}",))[0].rpartition("@")[2]
        _set_password(["saslpasswd2", "-p", "-c", "-f", f.SASLDB, "-u", realm, name], password)
        return Credentials(f"{name}@{realm}", password)
    if source not in LOCAL:
        return None
    result = host.run(["useradd", "--no-create-home", "--shell", "/bin/sh", name], timeout=30)
    if result.code != 0:
        raise HostError(f"useradd failed: {result.tail(1)}")
    _set_password(["chpasswd"], f"{name}:{password}\n")
    return Credentials(name, password)


def _set_password(command: list[str], text: str) -> None:
    result = subprocess.run(command, input=text.encode(), capture_output=True, env=environment(), check=False)
    if result.returncode != 0:
        raise HostError(f"{command[0]} failed")  # what it says could repeat its input
