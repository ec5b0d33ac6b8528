"""An error as a sentence for the admin: what went wrong, and the next key or command."""

from __future__ import annotations

from wizard.console import clean_block
from wizard.errors import Locked, WizardError


def sentence(error: Exception) -> str:
    """What to say of `error`, cleaned. Raises `error` itself where it is a mistake of ours: for the crash report."""
    from snapshots.errors import (
        StoreError,  # here, for every screen imports this file and the first must not wait
    )
    from wizard.engine.state_dir import InterruptedRun

    match error:
        case InterruptedRun():
            text = "An earlier run was interrupted. Undo it or finish it first (Escape, then the first line)"
        case WizardError():
            text = error.sentence
        case StoreError() | OSError():
            text = str(error)
        case _:
            raise error
    first = text[:1] if isinstance(error, Locked) else text[:1].upper()  # it begins with somebody's name
    return clean_block(f"{first}{text[1:]}{'' if text.endswith(('.', '!')) else '.'}")
