"""What a rehearsal came to: the steps, the paths, the login, the way back, and the verdict; and its report, in which every
word from outside is cleaned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from templates import html_page, render
from wizard.console import clean, count
from wizard.errors import NeededError, UsageError
from wizard.model.plan import Outcome
from wizard.rehearse.written import PACKAGES, UNKNOWN, AttributedPath, PathChange
from wizard.render.text import SIGN_WORDS, line_text, state_word
from wizard.steps.order import STEPS

_FILES = {"text": "txt", "md": "md", "html": "md", "screen": "screen"}
_LISTED = 40
"""Paths of one group that are named one by one; more than that, and they are counted."""
_LONGEST = 200
"""Lines of one diff; generated files have thousands."""


@dataclass
class Rehearsal:
    """Filled while the rehearsal runs. Holds no secret."""

    host: str = ""
    release: str = ""
    systemd: bool = False
    notes: list[str] = field(default_factory=list)
    stops: str = ""
    """What the real set-up would stop at before it began, though the clone was helped over it."""
    refused: UsageError | None = None
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
                needs = [message[each] for each in ("steps", "first") if each in message]
                self.refused = (NeededError if needs else UsageError)(message["why"], *needs)
            case "applied":
                self.run, self.step_seconds = message["run"], message["seconds"]
                self.apply_seconds = message["took"]
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

    def left_out(self, firewalls: Sequence[str]) -> list[str]:
        """A note where firewalls are active on the host and none was in the clone, so that its step had nothing to do."""
        steps = {step["step"]: step["state"] for step in self.run.get("steps", ())}
        if not firewalls or steps.get("firewall") != Outcome.NOT_APPLICABLE:
            return []
        return [
            f"firewall is not rehearsed, for {' and '.join(firewalls)} of this host is not active in the clone: "
            "`msa-wizard plan firewall` shows what it does here"
        ]

    @property
    def why(self) -> str:
        """Why it would not."""
        if self.stops:
            return self.stops
        if failures := self.run.get("failures"):
            return str(failures[0]["why"])
        if self.ends:
            names = " ".join(dict.fromkeys(f"--accept {ending['id']}" for ending in self.ends))
            ends = "; ".join(ending["says"] for ending in self.ends)
            return f"something that works would end: {ends} ({names} goes on)"
        steps = self.run.get("steps", ())
        return next((str(step["reason"]) for step in steps if step["step"] == self.stopped_at), "")

    @property
    def unknown(self) -> list[AttributedPath]:
        """The paths that no plan knew of."""
        return [path for path in self.paths if path.by == UNKNOWN]

    @property
    def logged_in(self) -> bool:
        """Whether the made-up user's login got its 235."""
        return bool(self.login.get("tried") and self.login.get("code") == 235)

    @property
    def stranger(self) -> str:
        """How the one fared whom the policy on logins refuses: a sentence, empty where there is no policy."""
        if (one := self.login.get("stranger")) is None:
            return ""
        if one["refused"]:
            return f"{one['user']}, whom the policy on logins refuses, was refused ({one['code']}) with the right password"
        return f"{one['user']}, whom the policy on logins refuses, was answered {one['code']}"

    @property
    def _policy_holds(self) -> bool:
        return bool((self.login.get("stranger") or {"refused": True})["refused"])

    @property
    def different(self) -> list[str]:
        """Packages, services and listeners that are not as they were after the rollback, a sentence each."""
        if not self.after:
            return ["the rehearsal did not finish"] if not self.refused else []
        old, new = self.before["packages"], self.after["packages"]
        both = sorted(old.keys() & new.keys())
        starts, still = self.before["enabled"], self.after["enabled"]
        changed = [name for name in sorted(starts) if starts[name] != still.get(name, False)]
        was, now = set(self.before["listeners"]), set(self.after["listeners"])
        return [
            *(f"the package {name} stayed" for name in sorted(new.keys() - old.keys())),
            *(f"the package {name} is gone" for name in sorted(old.keys() - new.keys())),
            *(f"the package {name} is another version" for name in both if old[name] != new[name]),
            *(f"{name} is {'not ' if starts[name] else ''}enabled at boot" for name in changed),
            *(f"nothing listens on {address} any more" for address in sorted(was - now)),
            *(f"something still listens on {address}" for address in sorted(now - was)),
        ]

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
        logged_in = self.logged_in or bool(self.login.get("remaining"))
        held = logged_in and self._policy_holds
        return not self.stopped_at and not self.refused and held and self.clean

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
        if not self._policy_holds:
            return f"All steps went through, but {self.stranger}"
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
            "paths": [vars(path) for path in self.paths],
            "unknown_paths": [path.path for path in self.unknown],
            "login": {name: value for name, value in self.login.items() if name != "event"},
            "rollback": {
                **{name: value for name, value in self.rollback.items() if name != "event"},
                "clean": self.clean,
                "left_paths": [vars(change) for change in self.left],
                "different": self.different,
            },
            "log": self.log,
            "errors": self.errors,
        }


def shown(rehearsal: Rehearsal, form: str) -> str:
    """The outcome as `md`, `html`, `text` (what follows the live output) or `screen` (without diffs)."""
    order = [step.id for step in STEPS]
    groups: dict[str, list[AttributedPath]] = {}
    for path in rehearsal.paths:
        if path.by:
            groups.setdefault(path.by, []).append(AttributedPath(clean(path.path), path.how, path.by))
    names = sorted(groups, key=lambda name: (order.index(name) if name in order else len(order), name))
    report = render(
        f"rehearsal.{_FILES[form]}.j2",
        words=SIGN_WORDS,
        ok=rehearsal.ok,
        verdict=_words(rehearsal.verdict),
        host=clean(rehearsal.host),
        release=clean(rehearsal.release),
        when=time.strftime("%F %R %Z"),
        notes=[_words(note) for note in rehearsal.notes],
        init="systemd" if rehearsal.systemd else "init scripts, as this host does",
        memory=-(-rehearsal.memory >> 20),
        limit=rehearsal.limit >> 20,
        seconds=f"{rehearsal.seconds:.1f}",
        apply_seconds=f"{rehearsal.apply_seconds:.1f}",
        total=count(len(rehearsal.paths), "path"),
        groups=[
            {
                "by": "files of the packages" if name == PACKAGES else name,
                "paths": groups[name],
                "size": count(len(groups[name]), "path"),
                "listed": name in order and len(groups[name]) <= _LISTED,
            }
            for name in names
        ],
        unknown=[AttributedPath(clean(path.path), path.how, "") for path in rehearsal.unknown],
        rollback_lines=[_words(line) for line in rollback_lines(rehearsal)],
        conversation=[line_text(**line) for line in rehearsal.login.get("lines", ())],
        stranger=_words(rehearsal.stranger),
        login_why=_words(str(rehearsal.login.get("why") or "the rehearsal ended before it")),
        log=[clean(line) for line in rehearsal.log],
        steps=[_step(rehearsal, step) for step in rehearsal.run.get("steps", ())],
        ends=[
            {**ending, "says": _words(ending["says"]), "lines": [clean(line) for line in ending["lines"]]}
            for ending in rehearsal.ends
        ],
    )
    return html_page(report) if form == "html" else report


def _words(text: str) -> str:
    return " ".join(clean(line).strip() for line in text.splitlines())


def _step(rehearsal: Rehearsal, step: dict[str, Any]) -> dict[str, Any]:
    name = step["step"]
    words = {"undecided": "STOPS HERE", "failed": "FAILED", "applied": "done"}
    return {
        "step": name,
        "title": step["title"],
        "reason": _words(step["reason"]),
        "state": words.get(step["state"], state_word(step["state"])),
        "applied": step["state"] == "applied",
        "seconds": f"{rehearsal.step_seconds[name]:.1f}" if name in rehearsal.step_seconds else "",
        "changes": [
            {
                "title": _words(change["title"]),
                "commands": [clean(line) for line in change["commands"]],
                "diff": _diff(change["diff"]),
            }
            for change in step["changes"]
        ],
        "checks": [{"sign": check["sign"], "says": _words(check["says"])} for check in step["checks"]],
    }


def _diff(diff: str) -> str:
    lines = [clean(line) for line in diff.splitlines()]
    more = [f"... {count(len(lines) - _LONGEST, 'line')} more"] if len(lines) > _LONGEST else []
    return "\n".join([*lines[:_LONGEST], *more])


def rollback_lines(rehearsal: Rehearsal) -> list[str]:
    """What the rollback proved, a sentence each."""
    rollback = rehearsal.rollback
    if not rollback:
        return ["nothing was rolled back: the rehearsal ended before it"]
    if rollback.get("failed"):
        lines = [f"FAILED: {rollback['failed']}"]
    elif rollback.get("nothing"):
        lines = ["there was nothing to roll back: no step had anything to do"]
    else:
        lines = [f"all steps were rolled back in {rollback.get('took', 0):.1f} s"]
    lines += [f"FAILED: not undone: {line}" for line in rollback.get("not_undone") or ()]
    lines += [f"left: {line}" for line in rollback.get("left") or ()]
    lines += [f"FAILED: {line}" for line in rehearsal.different]
    lines += [f"FAILED: {change.path} is not as it was before ({change.how})" for change in rehearsal.left]
    if rehearsal.clean:
        lines += [
            "every file is as it was before, with mode, owner and attributes, except logs and the records of apt and dpkg",
            "packages, listeners and what starts at boot are as before",
        ]
    return lines
