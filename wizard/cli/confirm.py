"""The command `confirm`: from any session, while `apply` waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard import log
from wizard.changes.confirm_or_revert import decide, decision, time_left
from wizard.console import error, out
from wizard.engine.state_dir import must_be_root
from wizard.errors import DONE, FAILED
from wizard.render import as_json
from wizard.system.guard import Decision

if TYPE_CHECKING:
    import argparse


def confirm(arguments: argparse.Namespace) -> int:
    """`confirm`: 0 confirmed, or nothing waits; 1 when it came too late."""
    must_be_root()
    late, waits = decision() is Decision.REVERTED, time_left() is not None
    if waits:
        late = decide(Decision.CONFIRMED) is not Decision.CONFIRMED
    outcome = "late" if late else "confirmed" if waits else "nothing"
    log.note(f"confirm: {outcome}")
    if arguments.json:
        as_json.show(outcome=outcome)
    elif late:
        error("msa-wizard: too late: the firewall change was already reverted. Apply it again")
    else:
        out("Confirmed: the new firewall rules stay." if waits else "Nothing is waiting for a confirmation.")
    return FAILED if late else DONE
