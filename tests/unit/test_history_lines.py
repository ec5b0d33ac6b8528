"""The history on a terminal: a line that has no room goes on below its own column, whole words each."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.test_commits_in_force import commit
from wizard.render.text import history_lines


def test_a_long_subject_goes_on_in_its_column() -> None:
    long = replace(
        commit("apply", "mc-includes"), subject="mc-includes: Include SASL2 and STARTTLS in sendmail.mc"
    )
    one, two = history_lines([long], [long], 80)
    head = one.index("mc-includes")
    assert max(map(len, (one, two))) <= 80
    assert two[:head].strip() == ""
    assert " ".join((one[head:] + " " + two).split()).startswith(f"{long.subject} ({long.author.name})")


def test_without_a_terminal_each_is_a_line() -> None:
    many = replace(commit("apply", "install"), subject="install: " + "word " * 60)
    assert len(history_lines([many], [many])) == 1
