"""The settings of this host saved by the program, and a commit of their own in the history: they are no work of others."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.engine.recorder import Recorder
from wizard.errors import WizardError
from wizard.system.host import Host
from wizard.system.output_file import keep

if TYPE_CHECKING:
    from snapshots.store import Store


def save_settings(host: Host, path: str, text: str, history: Callable[[], Store | None]) -> str:
    """Save the settings as `text` at `path`, and say so. We are alone meanwhile; `history` gives the store to write to, None
    where nothing is to be written there. Raises OutputError."""
    before = {each.lstrip("/"): host.entry(each) for each in (path.rpartition("/")[0], path)}
    words = keep(host.path(path), text)
    try:
        if (store := history()) is not None:
            Recorder(host, store, uuid.uuid4().hex[:12], lambda _: None).settings(before)
    except (StoreError, WizardError) as problem:
        return f"{words} The history does not say who did it: {problem}"
    return words
