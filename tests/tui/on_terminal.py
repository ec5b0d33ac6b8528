"""The program on a terminal of its own, on a made-up bare host: `python -m tests.tui.on_terminal FOLDER`.

Its sendmailconfig takes longer than a diff stays in front, and prints what Debian's does; the diff before it scrolls."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from screens.app import WizardApp
from snapshots.live.entry import Entry, Kind
from tests.tui.bench import Bench, Writes, use
from wizard.changes.file import FileChange
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Plan

SAID = Path(__file__).parent / "recorded/sendmailconfig.txt"
SAYS = f"cat {shlex.quote(str(SAID))}; sleep 1.6"


class Generates(Writes):
    """It makes a file, too, that is longer than the screen."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The file, and what the base does."""
        plan = super().plan(facts, answers)
        if not plan.changes:
            return plan
        after = Entry(Kind.FILE, 0o644, 0, 0, "".join(f"Klocal{n} hash\n" for n in range(60)).encode())
        return Plan.pending(
            self.id, plan.reason, *plan.changes, FileChange("/etc/made.cf", None, after, "make it")
        )


def main(folder: Path) -> None:
    """Until the keys end it."""
    bench = Bench(root=folder)
    with pytest.MonkeyPatch.context() as patch:
        use(
            patch,
            bench,
            Writes("install", bench.host, "/etc/a", "new a\n"),
            Writes("saslauthd-init", bench.host, "/etc/b", "new b\n"),
            Generates("sendmailconfig", bench.host, "/etc/a", "newer a\n", command=SAYS),
            Writes("restart", bench.host, "/etc/b", "newer b\n"),
        )
        asyncio.run(WizardApp(bench).run_async(mouse=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
