"""Rehearsals as they come out of a clone, without one."""

from __future__ import annotations

from typing import Any

from wizard.rehearse.outcome import Rehearsal
from wizard.rehearse.written import AttributedPath

STATE: dict[str, Any] = {
    "packages": {"sendmail-bin": "8.18.1-9"},
    "enabled": {"sendmail": True, "saslauthd": False},
    "listeners": ["127.0.0.1 port 25"],
}
LINES = [
    {"who": "client", "text": "AUTH LOGIN", "explanation": "log in"},
    {"who": "client", "text": "********", "explanation": "base64 of the password, masked"},
    {"who": "server", "text": "235 2.0.0 OK Authenticated", "explanation": "logged in"},
]


def step(name: str, **values: object) -> dict[str, Any]:
    """A step of the run, done."""
    return {
        **{
            "step": name,
            "title": f"Do {name}",
            "howto": "3.5",
            "why": "",
            "outcome": "pending",
            "state": "applied",
        },
        **{"reason": "port 25 offers AUTH", "changes": [], "notes": [], "remedy": [], "commit": "1" * 10},
        **{
            "skipped": False,
            "checks": [{"id": "x", "sign": "ok", "state": "ok", "says": "it is right", "remedy": ""}],
        },
        "ends": [],
        **values,
    }


def good() -> Rehearsal:
    """One that went."""
    made = Rehearsal(host="mail.example.test", release="Debian GNU/Linux 13 (trixie)", systemd=True)
    diff = "--- /etc/mail/sendmail.mc\n+++ /etc/mail/sendmail.mc\n@@ -1 +1 @@\n-old <b>\n+new"
    change = {
        "kind": "file",
        "title": "No AUTH on port 25",
        "diff": diff,
        "commands": ["m4 sendmail.mc"],
        "details": [],
        "before": "old <b>\n",
        "after": "new\n",
    }
    heard: tuple[dict[str, Any], ...] = (
        {"event": "settled", "notes": [], "expected": "", "user": "rehearsal-1"},
        {"event": "ready", "before": STATE},
        {
            "event": "applied",
            "run": {
                **{"outcome": "done", "run": "r1", "undecided": None, "ends": [], "rolled_back": []},
                "steps": [step("smtp-port", changes=[change])],
                "failed": None,
                "blocked": None,
                "failures": [],
            },
            "seconds": {"smtp-port": 0.12},
            "took": 6.4,
        },
        {
            "event": "login",
            "tried": True,
            **{"user": "rehearsal-1", "ok": True, "layer": None, "findings": [], "certificate": None},
            **{"code": 235, "tls": "TLSv1.3", "queue_id": None},
            "verdict": "The login was accepted (235).",
            "lines": LINES,
        },
        {
            **{"event": "rollback", "nothing": False, "took": 1.6, "done": True, "failed": None},
            **{"left": [], "not_undone": [], "conflicts": [], "undone": [], "checks": [], "notes": []},
            **{"outcome": "done", "commit": "2" * 10, "steps": ["smtp-port"], "dependents": []},
            **{"everything": True, "commits": ["1" * 40], "changes": []},
        },
        {"event": "over", "after": STATE},
    )
    for said in heard:
        made.hear(said)
    made.paths = [
        AttributedPath("/etc/mail/sendmail.mc", "changed", "smtp-port"),
        AttributedPath("/usr/sbin/sasl", "new", "packages"),
        AttributedPath("/var/log/dpkg.log", "changed", "logs"),
    ]
    made.memory, made.limit, made.seconds = 9 << 20, 1 << 30, 8.8
    return made
