"""What is wrong, as a sentence: an error, or what was typed."""

from __future__ import annotations

from wizard.console import clean, clean_block
from wizard.errors import Locked, NothingToRollBack, WizardError


def about_input(problem: ValueError) -> str:
    """What is wrong with what was typed, as a sentence, cleaned."""
    text = clean(str(problem))
    return f"{text[:1].upper()}{text[1:]}"


def sentence(error: Exception) -> str:
    """What to say of `error`, cleaned. Raises `error` itself where it is a mistake of ours: for the crash report."""
    from snapshots.errors import (
        StoreError,  # here, for every screen imports this file and the first must not wait
    )
    from wizard.engine.state_dir import InterruptedRun

    match error:
        case InterruptedRun():
            text = "An earlier run was interrupted. Undo it or finish it first (Esc, then the first line)"
        case NothingToRollBack():
            text = f"nothing to roll back: {error}"  # it may begin with the name of a commit or of a step
        case WizardError():
            text = error.sentence
        case StoreError() | OSError():
            text = str(error)
        case _:
            raise error
    first = text[:1] if isinstance(error, Locked) else text[:1].upper()  # it begins with somebody's name
    return clean_block(f"{first}{text[1:]}{'' if text.endswith(('.', '!')) else '.'}")
