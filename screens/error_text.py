"""What to say when a job could not begin, or ended otherwise than hoped: one sentence, and the next key or command."""

from __future__ import annotations

from snapshots.errors import StoreError
from wizard.console import clean_block
from wizard.engine.state_dir import InterruptedRun
from wizard.errors import Locked, WizardError


def words(error: Exception) -> str | None:
    """What to say of `error`; None for what is a mistake of ours, and belongs into a crash report."""
    match error:
        case InterruptedRun():
            text = "An earlier run was interrupted. Roll it back or finish it first (Escape, then the first line)"
        case WizardError():
            text = error.sentence
        case StoreError() | OSError():
            text = str(error)
        case _:
            return None
    first = text[:1] if isinstance(error, Locked) else text[:1].upper()  # it begins with somebody's name
    return clean_block(f"{first}{text[1:]}{'' if text.endswith(('.', '!')) else '.'}")
