"""What to say when a job could not begin, or ended otherwise than hoped: one sentence, and the next key or command."""

from __future__ import annotations

from snapshots.errors import StoreError
from wizard.engine.engine import EngineError
from wizard.engine.state_dir import CannotHere, InterruptedRun
from wizard.model.answers import AnswersError
from wizard.model.plan import ChangeError
from wizard.render.text import clean_block
from wizard.rollback.plan import RollbackRefused
from wizard.rollback.targets import NothingToTakeBack
from wizard.system.host import HostError
from wizard.system.lock import Locked
from wizard.system.signals import Interrupted


def words(error: Exception) -> str | None:
    """What to say of `error`; None for what is a mistake of ours, and belongs into a crash report."""
    match error:
        case Locked():
            said = f"{error}. Nothing was changed. Wait for it to end, then try again."
        case InterruptedRun():
            said = "An earlier run was interrupted. Take it back or finish it first (Escape, then the first line)."
        case CannotHere() | RollbackRefused():
            said = f"{error}. Nothing was changed."
        case NothingToTakeBack():
            said = f"Nothing to take back: {error}."
        case Interrupted():
            said = f"{error}; what was begun is undone."
        case EngineError() | AnswersError() | ChangeError() | HostError() | StoreError() | OSError():
            said = str(error)
        case _:
            return None
    return clean_block(said if isinstance(error, Locked) else said[:1].upper() + said[1:])
