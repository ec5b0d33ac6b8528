"""The settings of this host saved by the program, and a commit of their own in the history: they are no work of others."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from snapshots.live.entry import Kind
from wizard.editors.answers_toml import set_value
from wizard.engine.recorder import Recorder
from wizard.errors import AnswersError, WizardError
from wizard.model.answers import Answers
from wizard.model.answers_file import parse
from wizard.model.set_option import changed
from wizard.system.host import Host
from wizard.system.output_file import keep

if TYPE_CHECKING:
    from snapshots.store import Store


def save_settings(
    host: Host, path: str, answers: Answers, new: str, history: Callable[[], Store | None]
) -> str:
    """Save the settings at `path`, and say so: a file that is there keeps all but what has another value, else it is `new`, or
    what is not left out there where that is empty. We are alone meanwhile; `history` gives the store to write to, None where nothing is to be written there. Raises AnswersError."""
    before = {each.lstrip("/"): host.entry(each) for each in (path.rpartition("/")[0], path)}
    there = before[path.lstrip("/")]
    file = host.path(path)
    text = there.content.decode() if there is not None and there.kind is Kind.FILE else ""
    if text.strip() or not new:
        new = _edited(file, text, answers).lstrip("\n")
    words = keep(file, new)
    try:
        if (store := history()) is not None:
            Recorder(host, store, uuid.uuid4().hex[:12], lambda _: None).settings(before)
    except (StoreError, WizardError) as problem:
        return f"{words} The history does not say who did it: {problem}"
    return words


def _edited(file: Path, text: str, answers: Answers) -> str:
    """The text with these answers. Raises AnswersError where it does not hold them then."""
    for name, value in changed(answers, parse(text, str(file))):
        left_out = name.startswith("auth.") and not value  # as the host has it
        text = set_value(text, name, None if left_out else value)
    if [*changed(answers, parse(text, str(file)))]:
        raise AnswersError(
            f"{file}: its lines cannot be changed so that it holds these settings. Nothing was changed; "
            "move it away, then save them again."
        )
    return text
