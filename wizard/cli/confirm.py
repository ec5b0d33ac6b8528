"""The command `confirm`: from any session, while `apply` waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.changes.confirm_or_revert import Decision, decide, decision, time_left
from wizard.console import error, out
from wizard.engine.state_dir import must_be_root

if TYPE_CHECKING:
    import argparse


def confirm(arguments: argparse.Namespace) -> int:
    """`confirm`: 0 confirmed, or nothing waits; 1 when it came too late."""
    must_be_root()
    if time_left() is None:
        if decision() is Decision.REVERTED:
            error("msa-wizard: too late: the last change of the firewall was taken back. Apply it again")
            return 1
        out("Nothing waits for a confirmation.")
        return 0
    if decide(Decision.CONFIRMED) is not Decision.CONFIRMED:
        error("msa-wizard: too late: the change of the firewall was just taken back. Apply it again")
        return 1
    out("Confirmed: the firewall's new rules stay.")
    return 0
