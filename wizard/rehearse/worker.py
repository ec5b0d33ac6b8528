"""The half of a rehearsal that runs in the clone: it settles its services, a name and a made-up user, then the same engine,
that user's login, and everything back."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from templates import render
from wizard.changes.command import CommandChange, DialogueChange
from wizard.console import clean
from wizard.editors import EditError
from wizard.editors.pam_service import Policy, present
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal
from wizard.engine.overview import REMAINING, plans, state
from wizard.engine.run import Run
from wizard.engine.state_dir import at_work
from wizard.errors import HostError, NeededError, NothingToRollBack, UsageError
from wizard.gather.accounts import uid_min
from wizard.gather.host import apt_simulation, look, packages_missing
from wizard.maillog.read import where
from wizard.maillog.watched_login import target_of
from wizard.model import facts as f
from wizard.model.answers import Answers, Certificate, Guess, answers_from
from wizard.model.events import Checked, Event, Failed, Planned, Recorded
from wizard.model.plan import Change, Outcome, Sign
from wizard.model.step_facts import AptPlan
from wizard.packages.apt import installed
from wizard.packages.apt_history import bare
from wizard.rehearse import syscalls as kernel
from wizard.rehearse.boot import TARGET
from wizard.render import as_json
from wizard.render.text import line_text, rollback_text, show
from wizard.rollback.rollback import EVERYTHING, RollbackRun
from wizard.sendmail.password_source import wanted
from wizard.smtp.login_test import Credentials, Line, Target, converse
from wizard.steps.login_policy import policy_of
from wizard.steps.preflight import checks
from wizard.system.host import PATH, Host, environment
from wizard.system.signals import Interrupt
from wizard.system.sockets import listeners

BOOT_SECONDS = 90.0
LOCAL = ("pam", "shadow", "getpwent")
"""What saslauthd asks where a user of the clone's own can log in."""
_NOT_ALL = "not all steps are done"
_NO_AUTHORITY = (
    "certificate-obtain is not rehearsed, for no authority reaches a clone: `msa-wizard certificate obtain --dry-run` "
    "tries that one out"
)
_NO_JOURNAL = (
    "guess-limit is not rehearsed, for the clone has no journal, which fail2ban would read on this host"
)


def main() -> int:
    """Rehearse what standard input asks for; each phase waits until the other half has looked at the file system."""
    kernel.no_audit()
    kernel.drop_kernel_capabilities()
    request = json.loads(sys.stdin.readline())
    CloneRun(Teller(), answers_from(request["answers"]), request).run()
    return 0


@dataclass
class CloneRun:
    """One rehearsal in the clone."""

    teller: Teller
    answers: Answers
    request: dict[str, Any]
    host: Host = field(default_factory=Host)
    events: list[Event] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    stranger: Credentials | None = None
    """Whom the policy on logins refuses."""
    _since: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Settle, apply, log in, roll back."""
        with ThreadPoolExecutor(max_workers=1) as pool:  # apt is asked while the clone boots
            asked = pool.submit(self._asked_apt)
            user = self._settled()
            self.teller.pause("ready", before=running(self.host))
        with at_work() as (store, journal, interrupt):
            try:
                run = self._applied(store, journal, interrupt, asked.result())
            except NeededError as problem:
                self.teller.tell("refused", why=problem.what, steps=problem.steps, first=problem.first)
                return
            except UsageError as problem:
                self.teller.tell("refused", why=str(problem))
                return
            self._login(user, run)
            if run.failed:
                self.teller.tell("log", lines=last_log(self.host))
            self._back(store, journal, interrupt)
        self.teller.tell("over", after=running(self.host))

    def _asked_apt(self) -> AptPlan | None:
        """What apt says to the packages that the set-up will install; None where it will not, or apt cannot say."""
        installs = not self.request["steps"] or "install" in self.request["steps"]
        there = {bare(name): version for name, version in installed(self.host).items()}
        if not installs or not packages_missing(there):
            return None
        return apt_simulation(self.host, self.answers.install.recommends)

    def _settled(self) -> Credentials | None:
        self.teller.tell("phase", phase="boot")
        with contextlib.suppress(OSError):  # then it takes longer
            cut_waits()
        if self.request["systemd"]:
            notes = booted(self.host, self.request["ports"])
        else:
            notes = started(self.host, self.request["services"])
        notes += stand_ins(self.host, self.request["listeners"])
        if self.answers.certificate.challenge:  # no authority reaches a clone
            self.answers = replace(self.answers, certificate=Certificate())
            notes.append(_NO_AUTHORITY)
        if self.answers.guess.limit and self.request["journal"] and where(self.host) != "journal":
            self.answers = replace(self.answers, guess=Guess())
            notes.append(_NO_JOURNAL)
        renamed, expected = named(self.host, self.answers, self.request["fqdn"])
        notes += renamed
        user: Credentials | None = None
        try:
            user = made_up_user(self.host, self.answers)
        except HostError as problem:
            notes.append(f"no made-up user, so no login: {problem}")
        try:
            self.stranger = made_up_stranger(self.host, self.answers)
        except HostError as problem:
            notes.append(f"nobody whom the policy on logins refuses could be made up: {problem}")
        self.teller.tell("settled", notes=notes, expected=expected, user=user.user if user else "")
        return user

    def _report(self, event: Event) -> None:
        self.events.append(event)
        now = time.monotonic()
        match event:
            case Planned(step, plan):
                self._since = now
                state = "doing" if plan.outcome is Outcome.PENDING else str(plan.outcome)
                self.teller.tell("step", step=step.id, state=state)
            case Checked(step, _):
                self.seconds.setdefault(step.id, now - self._since)
            case Recorded(step, _, seconds):
                self.seconds[step.id] = seconds
                self.teller.tell("step", step=step.id, state="done")
            case Failed(step):
                self.seconds[step.id] = now - self._since
                self.teller.tell("step", step=step.id, state="failed")
        show(event)

    def _applied(self, store: Store, journal: Journal, interrupt: Interrupt, asked: AptPlan | None) -> Run:
        self.teller.tell("phase", phase="apply")
        began = time.monotonic()
        engine = Engine(self.host, self.answers, self._report, apt_plan=asked, unattended=True)
        run = engine.apply(store, journal, self.request["steps"], lambda _step, _plan: True, interrupt)
        document = as_json.run(run, self.events)
        touched = {
            event.step.id: sorted({path for change in event.plan.changes for path in _may_write(change)})
            for event in self.events
            if isinstance(event, Planned) and event.plan.changes
        }
        took = time.monotonic() - began
        told = {"run": document, "seconds": self.seconds, "took": took}
        self.teller.pause("applied", **told, touches=touched, made=_made(store, run))
        return run

    def _login(self, user: Credentials | None, run: Run) -> None:
        self.teller.tell("phase", phase="login")
        if why := self._no_login(user, run):
            self.teller.tell("login", tried=False, why=why, remaining=why.startswith(_NOT_ALL))
            return
        assert user is not None
        target = target_of(self.host, "", 587, self.answers.certificate)
        result = converse(target, user, self._shown)
        self.teller.tell(
            "login", tried=True, user=user.user, **result.to_json(), stranger=self._stranger(target)
        )

    def _shown(self, line: Line) -> None:
        """How wide the terminal is, only the other half knows."""
        self.teller.tell("text", line=line_text(line.who, line.text, ""), explanation=line.explanation)

    def _stranger(self, target: Target) -> dict[str, object] | None:
        """What became of the login of the one whom the policy refuses; None without a policy."""
        if self.stranger is None:
            return None
        code = converse(target, self.stranger).code
        print(f"{self.stranger.user}, whom the policy on logins refuses, was answered {code}")
        return {"user": self.stranger.user, "code": code, "refused": code == 535}

    def _no_login(self, user: Credentials | None, run: Run) -> str:
        if run.stopped:
            return f"{run.stopped} did not go through"
        facts = look(self.host)
        if user is None:
            source = wanted(facts, self.answers).name
            if source in LOCAL:
                return "there is no made-up user that could log in"
            return f"passwords come from {source}, which has no made-up user and is out of the clone's reach"
        states = {name: state(plan, False) for name, plan in plans(self.host, self.answers, facts).items()}
        left = [name for name, word in states.items() if word in REMAINING]
        return f"{_NOT_ALL}: {', '.join(left)} would remain" if left else ""

    def _back(self, store: Store, journal: Journal, interrupt: Interrupt) -> None:
        self.teller.tell("phase", phase="rollback")
        began = time.monotonic()
        work = RollbackRun(self.host, store, journal, show)
        try:
            target = work.target(EVERYTHING)
        except NothingToRollBack:
            self.teller.tell("rollback", nothing=True, took=time.monotonic() - began)
            return
        rollback = work.prepared(target)
        print(rollback_text(rollback, whole=False, lists="most go with the packages"))
        result = work.do(rollback, lambda line: print(f"   | {clean(line)}"), interrupt)
        document, took = as_json.rollback(rollback, result), time.monotonic() - began
        self.teller.tell("rollback", nothing=False, took=took, **document)


def _made(store: Store, run: Run) -> dict[str, str]:
    """By path of /etc the step whose commit has it first."""
    made: dict[str, str] = {}
    for step, commit in run.applied.items():
        for change in store.changed(store.find(commit)):
            made.setdefault(f"/{change.path}", step)
    return made


def _may_write(change: Change) -> tuple[str, ...]:
    return change.footprint if isinstance(change, CommandChange | DialogueChange) else change.touches


def running(host: Host) -> dict[str, object]:
    """What is compared before and after: packages, services, listeners. JSON-ready."""
    facts = look(host)
    return {
        "packages": installed(host),
        "enabled": {name: service.enabled for name, service in facts.services.items()},
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
    with contextlib.suppress(HostError):
        result = host.run(["journalctl", "--no-pager", "-q", "-o", "short", "-n", "40"], timeout=30)
        return result.stdout.splitlines() if result.code == 0 else []
    return []


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
            why = result.tail(1) if result.code != 0 else None
        except HostError as problem:
            why = str(problem)
        if why is not None:
            notes.append(f"{name} runs on the host and did not start in the clone: {why}")
    return notes


def stand_ins(host: Host, wanted: Sequence[Sequence[object]]) -> list[str]:
    """Hold the ports that programs of the host hold and nobody does here, under the same names."""
    here = {(listener.address, listener.port) for listener in listeners(host)}
    notes = []
    for address, port, name in wanted:
        if (address, port) not in here:
            _hold(str(address), int(str(port)), str(name))
            where = f"port {port} ({address})"
            notes.append(f"on the host {name} holds {where}; a stand-in holds it in the clone")
    return notes


def _hold(address: str, port: int, name: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.create_server((address, port), family=family) as listening:
        if os.fork() == 0:
            os.closerange(0, listening.fileno())
            os.closerange(listening.fileno() + 1, 1024)
            kernel.set_process_name(name)
            while True:
                with contextlib.suppress(OSError):
                    listening.accept()[0].close()


def named(host: Host, answers: Answers, fqdn: str) -> tuple[list[str], str]:
    """A host name that resolves, where the clone has none: what was done, and what the host itself would stop at.

    `fqdn` is the host's name where it resolves there: the clone has no name server to ask."""
    facts = look(host)
    if facts.fqdn_resolves:
        return [], ""
    failed = [check for check in checks(facts, answers) if check.id == "fqdn" and check.sign is Sign.FAILED]
    short = (fqdn or facts.hostname or "host").split(".")[0]
    name = fqdn or f"{short}.rehearsal.example"
    before = host.entry(f.HOSTS) or Entry(Kind.FILE, 0o644, 0, 0, b"127.0.0.1 localhost\n")
    content = f"127.0.1.1 {name} {short}\n".encode() + before.content
    try:
        host.write(f.HOSTS, replace(before, content=content))
    except HostError:  # a mount point of its own, as in containers: it can be written, not replaced
        host.path(f.HOSTS).write_bytes(content)
    if fqdn:
        return [f"{name} does not resolve without a network: the clone got a line in /etc/hosts for it"], ""
    note = f"this host's name does not resolve: the clone was called {name}, or it could not have gone on"
    return [note], failed[0].says if failed else ""


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
    policy = _policy(host, answers)
    groups = policy.groups[:1] if policy else ()
    _add_user(host, name, password, *(word for group in groups for word in ("--groups", group)))
    return Credentials(name, password)


def made_up_stranger(host: Host, answers: Answers) -> Credentials | None:
    """Another one, whom the policy on logins refuses; None without a policy. Raises HostError when it cannot be made."""
    policy = _policy(host, answers)
    if policy is None or wanted(look(host), answers).name != "pam":
        return None
    name, password = f"rehearsal-{secrets.token_hex(3)}", secrets.token_urlsafe(24)
    _add_user(host, name, password, *([] if policy.groups else ["--system"]))
    return Credentials(name, password)


def _policy(host: Host, answers: Answers) -> Policy | None:
    """The policy on logins that the answers ask for, else the one that is there."""
    try:
        return policy_of(answers.login, uid_min(host)) or present(host.text(f.PAM_SMTP))
    except EditError:
        return None


def _add_user(host: Host, name: str, password: str, *options: str) -> None:
    """A user of this host. Raises HostError."""
    result = host.run(["useradd", "--no-create-home", "--shell", "/bin/sh", *options, name], timeout=30)
    if result.code != 0:
        raise HostError(f"useradd failed: {result.tail(1)}")
    _set_password(["chpasswd"], f"{name}:{password}\n")


def _set_password(command: list[str], text: str) -> None:
    result = subprocess.run(command, input=text.encode(), capture_output=True, env=environment(), check=False)
    if result.returncode != 0:
        raise HostError(f"{command[0]} failed")  # what it says could repeat its input


class Teller:
    """What the half in the clone says: a JSON object a line, to the standard output that it was started with. No secret
    ever goes this way."""

    def __init__(self) -> None:
        self._out = sys.stdout
        sys.stdout = _Lines(lambda line: self.tell("text", line=line))
        sys.stderr = _Lines(lambda line: self.tell("error", line=line))

    def tell(self, event: str, **values: object) -> None:
        """Say one thing."""
        print(json.dumps({"event": event, **values}), file=self._out, flush=True)

    def pause(self, event: str, **values: object) -> None:
        """Say it, and wait until the other half has looked. Raises SystemExit when nobody listens any more."""
        self.tell(event, **values)
        if not sys.stdin.readline():
            sys.exit(1)


class _Lines(io.TextIOBase):
    """What is printed, passed on by whole lines."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def write(self, text: str) -> int:
        """As a text file does."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True
