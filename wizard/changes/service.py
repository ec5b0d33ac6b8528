"""A service: enabled at boot, restarted or stopped; undo restores what it was. And its listeners, watched for a while
once it was restarted: if one disappears, the step is undone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from wizard.errors import ChangeError, HostError
from wizard.gather.host import running
from wizard.model import facts as f
from wizard.model.claim import Claim, by_links, links_of_service
from wizard.model.facts import Process
from wizard.model.plan import Description
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.asked_saslauthd import argument, options_folder
from wizard.sendmail.strays import inside, members, outside
from wizard.smtp.session import TIMEOUT, greeting
from wizard.system.host import Host, Say
from wizard.system.links import linked_folders
from wizard.system.services import rc_enabled, service_lock
from wizard.system.sockets import listeners

DEADLINE = 180.0
"""Seconds for one service command: a sendmail with an unresolvable name takes 60 (docs/debian.md trap 8)."""
_NOT_LOADED = 5
"""systemctl's exit status for a unit that is not there (systemctl(1)): it does not run, either."""
_ENDS_WITHIN = 10.0
"""Seconds until a daemon that got a signal must have ended."""
_BUSY_FOR = 30.0
"""How long to wait, in seconds, for somebody else's start or stop: a hanging one is not worth more."""
_UNITS = ("etc/systemd/", "etc/init.d/", "etc/rc")
_TOO_OFTEN = "attempted too often"
"""What systemctl says of the sixth start within ten seconds: nothing is wrong with the service."""
_PATIENCE = TIMEOUT
"""Seconds for a listener to greet."""
_PAUSE = 5.0
_TOLD = 15.0
"""Seconds between two messages on how long is left."""
Init = Literal["systemd", "sysv"]
Verb = Literal["restart", "stop"]


@dataclass(frozen=True)
class ServiceEffect:
    """What the service was before, and what was asked for."""

    name: str
    init: Init
    was_enabled: bool
    was_running: bool
    enabled: bool
    running: bool

    def undo(self, host: Host, say: Say) -> None:
        """Restart it if it ran, stop it if it did not. Raises ChangeError.

        The links that enable it are files, and back already: `systemctl disable` would turn the S01sendmail of Debian
        13, which is not enabled, into a K01sendmail."""
        say(f"restoring {self.name}: {'running' if self.was_running else 'stopped'}")
        verb: Verb = "restart" if self.was_running else "stop"
        try:
            act(host, self.init, self.name, verb, say)
        except ChangeError as error:
            by_hand = " ".join(command_of(self.init, self.name, verb))
            raise ChangeError(f"{error}\nby hand, once its cause is fixed: {by_hand}") from error

    def claim(self, host: Host) -> Claim:
        """The links that enable it, and what its start makes."""
        return Claim(by_links(links_of_service(self.name), linked_folders(host)))

    def record(self) -> dict[str, object]:
        """State before and after."""
        enabled = {"before": self.was_enabled, "after": self.was_enabled or self.enabled}
        running = {"before": self.was_running, "after": self.running}
        service = {"kind": "service", "name": self.name, "init": self.init}
        return {**service, "enabled": enabled, "running": running}


@dataclass(frozen=True)
class ServiceChange:
    """Restart `name` (which starts it too, docs/debian.md trap 3) or stop it, and enable it at boot if `enable`."""

    name: str
    init: Init
    enable: bool
    was_running: bool
    verb: Literal["restart", "stop", ""] = "restart"
    signal: Literal["", "CONT", "KILL"] = ""
    """Sent to its processes first: one that was stopped (SIGSTOP), or hangs, takes no SIGTERM, and an init script would
    wait for it for minutes."""
    unmask: bool = False
    """Let systemd start it again (systemctl(1), unmask)."""

    kind = "service"

    @property
    def touches(self) -> tuple[str, ...]:
        """The links that enable it."""
        folders = tuple(f"/etc/rc{level}.d" for level in "0123456S")
        return ("/etc/systemd/system", *folders) if self.enable or self.unmask else ()

    def _before(self) -> list[list[str]]:
        """The commands before the verb's."""
        systemd, process = self.init == "systemd", "sendmail-mta" if self.name == "sendmail" else self.name
        enable = ["systemctl", "enable", self.name] if systemd else ["update-rc.d", self.name, "enable"]
        signal = ["pkill", f"-{self.signal}", "-x", process]
        if systemd:
            signal = ["systemctl", "kill", f"--signal=SIG{self.signal}", self.name]
        unmask = [["systemctl", "unmask", self.name]] if self.unmask else []
        return [*unmask, *([enable] if self.enable else []), *([signal] if self.signal else [])]

    def describe(self) -> Description:
        """The commands."""
        words = ("unmask" if self.unmask else "", "enable at boot" if self.enable else "", self.verb)
        title = " and ".join(filter(None, words))
        commands = [*self._before(), *([command_of(self.init, self.name, self.verb)] if self.verb else [])]
        return Description(f"{self.name}: {title}", commands=tuple(" ".join(argv) for argv in commands))

    def expect(self, host: Host) -> ServiceEffect:
        """What it is now, and what is asked for. Raises HostError."""
        if self.init == "sysv":
            was_enabled = rc_enabled(host, self.name)
        else:
            was_enabled = host.run(["systemctl", "is-enabled", self.name], timeout=30).code == 0
        running = self.was_running if not self.verb else self.verb == "restart"
        return ServiceEffect(self.name, self.init, was_enabled, self.was_running, self.enable, running)

    def apply(self, host: Host, say: Say) -> ServiceEffect:
        """Run the commands. Raises ChangeError with the effect to undo."""
        effect = self.expect(host)
        try:
            for argv in self._before():
                try:
                    _run(host, argv, say)
                except _FailedError as error:
                    if "enable" in argv or "unmask" in argv:
                        raise
                    say(f"{error}; the {self.verb} that follows decides")
            if self.verb:
                act(host, self.init, self.name, self.verb, say)
        except ChangeError as error:
            raise ChangeError(str(error), effect) from error
        return effect


def act(host: Host, init: Init, name: str, verb: Verb, say: Say) -> None:
    """Restart or stop it, once no other restart is at work. Raises ChangeError.

    A daemon outside its unit is ended before a restart, and so is one that a failed unit left at work (it keeps the
    ports, and the init script from starting), or that the restart left there: one that could write no pid file is not
    found by the init script, which says that all is well; after a stop, one that systemd did not know of."""
    argv = command_of(init, name, verb)
    with service_lock(host) as inherited:
        if init == "systemd":
            _wait_for_others(host, name)
        served = inside(name, running(host), listeners(host)) if verb == "restart" else ()
        before = members(name, running(host)) if name == "saslauthd" and verb == "restart" else ()
        if verb == "restart":
            _end(host, outside(name, running(host), listeners(host)), say)
        try:
            _run(host, argv, say, inherited)
            left = members(name, running(host)) if _still(host, served) else ()
        except _FailedError:
            left = inside(name, running(host), listeners(host))
            if verb == "stop" or not left:
                raise
        if left:
            _end(host, left, say)
            host.run(["systemctl", "reset-failed", name], timeout=30)
            _run(host, argv, say, inherited)
        _end(host, _forgotten(host, before), say)
        if verb == "stop":
            _end(host, inside(name, running(host), listeners(host)), say)


def _forgotten(host: Host, before: Sequence[Process]) -> list[Process]:
    """Of the saslauthds before a restart those that it left behind, whose folder no defaults file names any more: the init
    script looks for the old process where the OPTIONS of now say."""
    names = (name for name in host.names(f.DEFAULT_FOLDER) if name.startswith("saslauthd"))
    named = {options_folder(host.text(f"{f.DEFAULT_FOLDER}/{name}")) for name in names}
    return [each for each in _still(host, before) if argument(each, "-m").rstrip("/") not in named]


def _wait_for_others(host: Host, name: str) -> None:
    """Let a start or a stop that is at work (at boot, or of another admin) come to its end: systemd would end the init
    script half-way, and not the daemon that it had begun."""
    end = time.monotonic() + _BUSY_FOR
    while time.monotonic() < end:
        state = host.run(["systemctl", "is-active", name], timeout=30).stdout.strip()
        if state not in ("activating", "deactivating"):
            return
        time.sleep(0.1)


def _end(host: Host, daemons: Sequence[Process], say: Say) -> None:
    """End them, by TERM, then KILL. Raises ChangeError."""
    for signal in ("TERM", "KILL"):
        left = _still(host, daemons)
        if left:
            argv = ["kill", f"-{signal}", *(str(daemon.pid) for daemon in left)]
            say(f"$ {' '.join(argv)}  # {left[0].name}, which would be in the way")
            host.run(argv, timeout=30)
        end = time.monotonic() + _ENDS_WITHIN
        while _still(host, daemons) and time.monotonic() < end:
            time.sleep(0.05)
    if left := _still(host, daemons):
        raise ChangeError(f"{left[0].name} (pid {left[0].pid}) runs outside its unit, and does not end")


def _still(host: Host, daemons: Sequence[Process]) -> list[Process]:
    if not daemons:
        return []
    there = {(process.pid, process.name) for process in running(host) if process.state != "Z"}
    return [process for process in daemons if (process.pid, process.name) in there]


def stays_down(init: Init, error: Exception) -> str:
    """What to say of a sendmail that does not start with what it is not known ever to have started with."""
    why = str(error).splitlines()[0].rstrip(": ")
    log = "journalctl -u sendmail -n 20" if init == "systemd" else "tail /var/log/mail.log"
    return (
        f"sendmail does not run: it does not start with the files of before ({why}), and nothing shows that it ever did. "
        f"See why: {log}. Once that is fixed: {' '.join(command_of(init, 'sendmail', 'restart'))}"
    )


def is_there(host: Host, name: str) -> bool:
    """Whether there is a unit, or an init script, of that name: what went with its package cannot be started. Its script
    stays, as a configuration file, and systemd of Debian 14 knows no unit of it. Raises HostError."""
    if host.exists("/run/systemd/system"):
        shown = host.run(["systemctl", "show", "-p", "LoadState", f"{name}.service"], timeout=30).stdout
        return shown.strip() != "LoadState=not-found"
    return host.exists(f"/etc/init.d/{name}")


def reload_units(host: Host, paths: Iterable[str]) -> None:
    """Have systemd read again what is at `paths` (relative to /), where that is units or what enables them."""
    if host.exists("/run/systemd/system") and any(path.startswith(_UNITS) for path in paths):
        host.run(["systemctl", "daemon-reload"], timeout=60)


def command_of(init: Init, name: str, verb: str) -> list[str]:
    """The command line that restarts, starts or stops a service."""
    return ["systemctl", verb, name] if init == "systemd" else [f"/etc/init.d/{name}", verb]


class _FailedError(ChangeError):
    """A command ended, with another status than 0."""


def _run(host: Host, argv: list[str], say: Say, inherited: Sequence[int] = ()) -> None:
    say("$ " + " ".join(argv))
    try:
        result = host.run(argv, timeout=DEADLINE, say=say, inherited=inherited)
        if result.code != 0 and _TOO_OFTEN in result.stderr:
            host.run(["systemctl", "reset-failed", argv[-1]], timeout=30)
            result = host.run(argv, timeout=DEADLINE, say=say, inherited=inherited)
    except HostError as error:
        raise ChangeError(str(error)) from error
    if result.code == _NOT_LOADED and "stop" in argv:
        return
    if result.code != 0:
        raise _FailedError(f"`{result.command}` failed with status {result.code}:\n{result.tail()}")


@dataclass(frozen=True)
class WatchEffect:
    """It was watched; nothing of it can be undone."""

    seconds: int

    def undo(self, host: Host, say: Say) -> None:
        """Nothing was changed."""

    def claim(self, host: Host) -> Claim:
        """No file."""
        return Claim()

    def record(self) -> dict[str, object]:
        """How long."""
        return {"kind": "watch", "seconds": self.seconds}


@dataclass(frozen=True)
class WatchChange:
    """For `seconds` every listener of sendmail.cf must greet: sendmail ends 45 s after one that it could not open, and a
    wedged one shows only when it is asked (docs/debian.md trap 2)."""

    seconds: int

    kind = "watch"
    touches: tuple[str, ...] = ()

    def describe(self) -> Description:
        """What ends it."""
        why = "if one is gone or does not greet, this step is undone"
        return Description(f"watch the listeners for {self.seconds} s: {why}")

    def expect(self, host: Host) -> WatchEffect:
        """Nothing to undo."""
        return WatchEffect(self.seconds)

    def apply(self, host: Host, say: Say) -> WatchEffect:
        """Ask each of them again and again. Raises ChangeError when one does not greet."""
        cf = host.entry(f.SENDMAIL_CF)
        if cf is None:
            raise ChangeError(f"{f.SENDMAIL_CF} has gone: there is nothing to watch")
        daemons = sendmail_cf.daemons(cf.content.decode("utf-8", "replace"))
        say(f"watching port {', '.join(str(each.port) for each in daemons)} for {self.seconds} s")
        end = reported = time.monotonic()
        end += self.seconds
        while (now := time.monotonic()) < end:
            for daemon in daemons:
                _must_greet(daemon)
            if now - reported >= _TOLD:
                say(f"every listener greets; {end - now:.0f} s left to watch")
                reported = now
            time.sleep(_PAUSE)
        say(f"every listener greeted for {self.seconds} s")
        return WatchEffect(self.seconds)


def _must_greet(daemon: sendmail_cf.Daemon) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        left = max(1.0, end - time.monotonic())
        answer = greeting(daemon.reachable_at, daemon.port, tls=daemon.tls_on_connect, timeout=left)
        if answer.startswith("220"):
            return
        if time.monotonic() > end:
            where = f"{daemon.reachable_at} port {daemon.port}"
            raise ChangeError(f"{where} does not greet any more: {answer[:200]}")
        time.sleep(0.5)
