"""What a set-up sends over the line stays within the bytes that a slow one carries."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.screens import drawn
from tests.system.terminal import Terminal


def test_a_set_up_stays_within_its_bytes(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.tui.on_terminal", str(tmp_path)]
    with Terminal(argv, env={"TERM": "xterm-256color"}) as line:
        sent = [*drawn(line)]
    assert [name for name, *_ in sent] == ["first screen", "second screen", "a key", "summary", "a step"]
    assert not [row for row in sent if row[1] > row[2]], sent
