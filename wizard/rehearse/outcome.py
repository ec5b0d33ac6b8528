"""What a rehearsal came to: the steps, the paths, the login, the way back, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wizard.rehearse.attribution import UNKNOWN, AttributedPath
from wizard.rehearse.overlay_changes import PathChange


@dataclass
class Rehearsal:
    """Filled while the rehearsal runs. Holds no secret."""

    host: str = ""
    release: str = ""
    systemd: bool = False
    notes: list[str] = field(default_factory=list)
    stops: str = ""
    """What the real set-up would stop at before it began, though the clone was helped over it."""
    refused: str = ""
    """Why the run could not begin: a step that needs another one."""
    run: dict[str, Any] = field(default_factory=dict)
    step_seconds: dict[str, float] = field(default_factory=dict)
    apply_seconds: float = 0.0
    paths: list[AttributedPath] = field(default_factory=list)
    login: dict[str, Any] = field(default_factory=dict)
    rollback: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    left: list[PathChange] = field(default_factory=list)
    """What is not as it was after the rollback."""
    log: list[str] = field(default_factory=list)
    """The last lines of the clone's log, where a step failed."""
    errors: list[str] = field(default_factory=list)
    memory: int = 0
    limit: int = 0
    seconds: float = 0.0

    def hear(self, message: dict[str, Any]) -> None:
        """Take up one thing that the clone's half said."""
        match message["event"]:
            case "settled":
                self.notes += message["notes"]
                self.stops = message["expected"]
            case "ready":
                self.before = message["before"]
            case "refused":
                self.refused = message["why"]
            case "applied":
                self.run, self.step_seconds, self.apply_seconds = (
                    message["run"],
                    message["seconds"],
                    message["took"],
                )
            case "login":
                self.login = message
            case "rollback":
                self.rollback = message
            case "log":
                self.log = message["lines"]
            case "over":
                self.after = message["after"]
            case "error":
                self.errors.append(message["line"])

    @property
    def stopped_at(self) -> str:
        """The step that the real set-up would not get past, empty when there is none."""
        if self.stops:
            return "preflight"
        return str(self.run.get("failed") or self.run.get("blocked") or self.run.get("undecided") or "")

    @property
    def ends(self) -> list[dict[str, Any]]:
        """What works on this host and would end with the step at which `apply` would stop for it."""
        return list(self.run.get("ends") or ()) if self.run.get("undecided") else []

    @property
    def why(self) -> str:
        """Why it would not."""
        if self.stops:
            return self.stops
        failures = self.run.get("failures") or []
        if failures:
            return str(failures[0]["why"])
        if self.ends:
            names = " ".join(f"--accept {item['id']}" for item in self.ends)
            return f"something that works would end: {'; '.join(item['says'] for item in self.ends)} ({names} goes on)"
        for step in self.run.get("steps", ()):
            if step["step"] == self.stopped_at:
                return str(step["reason"])
        return ""

    @property
    def unknown(self) -> list[AttributedPath]:
        """The paths that no plan knew of."""
        return [path for path in self.paths if path.by == UNKNOWN]

    @property
    def logged_in(self) -> bool:
        """Whether the made-up user's login got its 235."""
        return bool(self.login.get("tried") and self.login.get("code") == 235)

    @property
    def different(self) -> list[str]:
        """Packages, services and listeners that are not as they were after the rollback, a sentence each."""
        if not self.after:
            return ["the rehearsal did not come to its end"] if not self.refused else []
        differences = []
        old, new = self.before["packages"], self.after["packages"]
        differences += [f"the package {name} stayed" for name in sorted(new.keys() - old.keys())]
        differences += [f"the package {name} is gone" for name in sorted(old.keys() - new.keys())]
        differences += [
            f"the package {name} is another version"
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        ]
        for name in sorted(old_services := self.before["enabled"]):
            if old_services[name] != self.after["enabled"].get(name, False):
                differences.append(f"{name} is {'not ' if old_services[name] else ''}enabled at boot")
        was, now = set(self.before["listeners"]), set(self.after["listeners"])
        differences += [f"nothing listens on {address} any more" for address in sorted(was - now)]
        differences += [f"something still listens on {address}" for address in sorted(now - was)]
        return differences

    @property
    def clean(self) -> bool:
        """Whether the clone was after the rollback as it had been before."""
        back = self.rollback
        # What `left` tells of (a sendmail.cf that was broken before) is not a difference by itself.
        wrong = back.get("failed") or back.get("not_undone") or back.get("conflicts")
        return bool(back) and not (wrong or self.left or self.different)

    @property
    def ok(self) -> bool:
        """Everything went, the login too where all steps were done, and the way back was clean."""
        partly = bool(self.login.get("remaining"))
        return not self.stopped_at and not self.refused and (self.logged_in or partly) and self.clean

    @property
    def verdict(self) -> str:
        """In one sentence or two."""
        if self.refused:
            return f"The rehearsal could not begin: {self.refused}"
        if not self.run:
            return f"The rehearsal broke off: {'; '.join(self.errors[-3:]) or 'the clone ended'}"
        if self.stopped_at:
            back = "What had" if self.clean else "NOT all that had"
            return (
                f"`msa-wizard apply` would stop at {self.stopped_at} on this host: {self.why.rstrip('.')}. "
                f"{back} been done could be rolled back."
            )
        if not self.logged_in and not self.login.get("remaining"):
            why = self.login.get("verdict") or self.login.get("why") or "it was not tried"
            return f"All steps went through, but no login was accepted: {why}"
        if not self.clean:
            return (
                "It would work, but not everything could be rolled back: see what differs after the rollback."
            )
        if not self.logged_in:
            return f"These steps would go through, and can be rolled back. No login was tried: {self.login['why']}."
        return (
            "It would work: the login was accepted (235), and the rollback left the clone as it was before."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for json.dumps."""
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "host": self.host,
            "release": self.release,
            "clone": {
                "systemd": self.systemd,
                "memory": self.memory,
                "memory_limit": self.limit,
                "seconds": round(self.seconds, 2),
            },
            "notes": self.notes,
            "stopped_at": self.stopped_at or None,
            "why": self.why or None,
            "ends": self.ends,
            "apply": {
                **self.run,
                "seconds": round(self.apply_seconds, 2),
                "step_seconds": {name: round(value, 2) for name, value in self.step_seconds.items()},
            },
            "paths": [vars(item) for item in self.paths],
            "unknown_paths": [item.path for item in self.unknown],
            "login": {name: value for name, value in self.login.items() if name != "event"},
            "rollback": {
                **{name: value for name, value in self.rollback.items() if name != "event"},
                "clean": self.clean,
                "left_paths": [vars(item) for item in self.left],
                "different": self.different,
            },
            "log": self.log,
            "errors": self.errors,
        }
