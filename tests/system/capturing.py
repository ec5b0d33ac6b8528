"""Run in a machine, with the program's own Python: the commands that write below /etc, and what each is said to have written.

python capturing.py JOURNAL      prints a JSON list of [command, path, before, after], the last two as text or null
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from snapshots.live.entry import Entry
from wizard.changes.command import CommandChange, CommandEffect, DialogueChange
from wizard.changes.file import FileEffect
from wizard.engine.journal import Journal
from wizard.engine.undo import carry_out
from wizard.model.plan import Effect
from wizard.system.host import Host

COMMANDS = (
    CommandChange(("/root/update_auth",), "a test"),
    CommandChange(("/usr/share/sendmail/update_tls",), "a test"),
    DialogueChange(),
)


def main() -> None:
    """Carry them out as a step does."""
    journal = Journal(Path(sys.argv[1]))
    said: list[str] = []
    journal.begin("apply", "test", "test", "", {})
    written: list[tuple[str, str, str | None, str | None]] = []
    for change in COMMANDS:
        effects: list[Effect] = []
        carry_out([change], effects, Host(), journal, said.append, lambda: None)
        for effect in effects:
            files = effect.writes if isinstance(effect, CommandEffect) else (effect,)
            written += [
                (change.argv[0], file.path, _text(file.before), _text(file.after))
                for file in files
                if isinstance(file, FileEffect)
            ]
    journal.close()
    print(json.dumps({"written": written, "said": said}))


def _text(entry: Entry | None) -> str | None:
    return None if entry is None else entry.content.decode("latin-1")


if __name__ == "__main__":
    main()
