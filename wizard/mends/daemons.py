"""The restart that follows a fix of what a daemon reads at its start."""

from __future__ import annotations

from typing import Literal

from wizard.changes import ServiceChange
from wizard.model.facts import Facts


def restart(facts: Facts, name: str, signal: Literal["", "CONT", "KILL"] = "") -> ServiceChange:
    """Restart `name`, sendmail or saslauthd; undo stops it again where it did not run. `signal` goes first to a daemon
    that runs."""
    running = facts.process("saslauthd" if name == "saslauthd" else "sendmail-mta") is not None
    return ServiceChange(
        name, facts.init, enable=False, was_running=running, signal=signal if running else ""
    )
