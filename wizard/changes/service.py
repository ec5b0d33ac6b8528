"""A service: enabled at boot, started or restarted; undo restores what it was."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.host import Completed, Host, HostError
from wizard.look import SERVICES, rc_enabled
from wizard.plan import ChangeError, Description, Say

DEADLINE = 180.0
"""Seconds for one service command: a sendmail with an unresolvable name takes 60 (DEBIAN.md trap 8)."""


@dataclass(frozen=True)
class ServiceEffect:
    """What the service was before."""

    name: str
    was_enabled: bool
    was_running: bool
    enabled: bool

    def undo(self, host: Host, say: Say) -> None:
        """Disable it again if it was disabled; restart it if it ran, stop it if it did not. Raises ChangeError."""
        say(
            f"putting {self.name} back: {'enabled' if self.was_enabled else 'disabled'}, "
            f"{'running' if self.was_running else 'stopped'}"
        )
        if self.enabled and not self.was_enabled:
            _checked(host, _enable_argv(host, self.name, enable=False), say)
        _checked(host, _argv(host, self.name, "restart" if self.was_running else "stop"), say)

    def record(self) -> dict[str, object]:
        """State before and after."""
        return {
            "kind": "service",
            "name": self.name,
            "enabled": {"before": self.was_enabled, "after": self.was_enabled or self.enabled},
            "running": {"before": self.was_running, "after": True},
        }


@dataclass(frozen=True)
class ServiceChange:
    """Restart `name` (which starts it too, DEBIAN.md trap 3), and enable it at boot if `enable`."""

    name: str
    enable: bool
    was_running: bool
    init: str
    restart: bool = True

    kind = "service"

    @property
    def touches(self) -> tuple[str, ...]:
        """The links that enable it."""
        folders = tuple(f"/etc/rc{level}.d" for level in "0123456S")
        return ("/etc/systemd/system", *folders) if self.enable else ()

    def describe(self) -> Description:
        """The commands."""
        what = [word for word, on in (("enable at boot", self.enable), ("restart", self.restart)) if on]
        enable = _ENABLE[self.init](self.name, True) if self.enable else None
        restart = _COMMAND[self.init](self.name, "restart") if self.restart else None
        return Description(
            f"{self.name}: {' and '.join(what)}",
            commands=tuple(" ".join(argv) for argv in (enable, restart) if argv),
        )

    def apply(self, host: Host, say: Say) -> ServiceEffect:
        """Enable, then restart. Raises ChangeError with the effect to undo."""
        was_enabled = is_enabled(host, self.name)
        effect = ServiceEffect(
            self.name, was_enabled, self.was_running, enabled=self.enable and not was_enabled
        )
        try:
            if effect.enabled:
                _checked(host, _ENABLE[self.init](self.name, True), say)
            if self.restart:
                _checked(host, _COMMAND[self.init](self.name, "restart"), say)
        except ChangeError as error:
            raise ChangeError(str(error), effect) from error
        return effect


def is_enabled(host: Host, name: str) -> bool:
    """Whether `name` starts at boot, by systemd's own word or the init links."""
    if not host.exists("/run/systemd/system"):
        return rc_enabled(host, name)
    return host.run(["systemctl", "is-enabled", name], timeout=30).code == 0


def _init(host: Host) -> str:
    return "systemd" if host.exists("/run/systemd/system") else "sysv"


def _argv(host: Host, name: str, verb: str) -> list[str]:
    return _COMMAND[_init(host)](name, verb)


def _enable_argv(host: Host, name: str, *, enable: bool) -> list[str]:
    return _ENABLE[_init(host)](name, enable)


_COMMAND = {
    "systemd": lambda name, verb: ["systemctl", verb, name],
    "sysv": lambda name, verb: [f"/etc/init.d/{name}", verb],
}
_ENABLE = {
    "systemd": lambda name, on: ["systemctl", "enable" if on else "disable", name],
    "sysv": lambda name, on: ["update-rc.d", name, "enable" if on else "disable"],
}


def _checked(host: Host, argv: list[str], say: Say) -> Completed:
    assert any(name in " ".join(argv) for name in SERVICES), argv
    say("$ " + " ".join(argv))
    try:
        done = host.run(argv, timeout=DEADLINE, say=say)
    except HostError as error:
        raise ChangeError(str(error)) from error
    if done.code != 0:
        raise ChangeError(f"`{done.command}` failed with status {done.code}:\n{done.tail()}")
    return done
