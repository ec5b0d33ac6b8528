"""The restart that follows a mend of what a daemon reads at its start."""

from __future__ import annotations

from wizard.changes import ServiceChange
from wizard.facts import Facts


def restart(facts: Facts, name: str) -> ServiceChange:
    """Restart `name`, sendmail or saslauthd; undo stops it again where it did not run."""
    running = (
        facts.process("saslauthd") is not None
        if name == "saslauthd"
        else facts.process("sendmail-mta") is not None
    )
    return ServiceChange(name, facts.init, enable=False, was_running=running)
