"""What is printed, on a terminal of a certain width: folded at words, paged where it does not fit."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from wizard import console
from wizard.model import documents
from wizard.model.plan import Check, Sign
from wizard.render import text
from wizard.render.text import check_text, line_text, status_lines

LONG = "Look in `journalctl -t sm-mta -t saslauthd`; after a change of the password file restart saslauthd, then try again"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Standard output as a terminal of 60 columns and 10 lines; calling it gives the lines printed by then."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    os.set_blocking(master, False)
    with os.fdopen(slave, "w") as terminal:
        for module in (console, text):  # pytest has sys.stdout itself
            monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=terminal, stdin=terminal))

        def lines() -> list[str]:
            try:
                return os.read(master, 1 << 16).decode().replace("\r", "").splitlines()
            except BlockingIOError:
                return []

        yield lines
    os.close(master)


def test_a_long_line_goes_on_below_its_words(printed: Callable[[], list[str]]) -> None:
    console.out(check_text(Check("x", Sign.FAILED, LONG, LONG)))
    lines = printed()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("   [FAIL] Look in")
    assert lines[1][:11].count(" ") == 10
    assert " ".join(" ".join(lines).split()) == f"[FAIL] {LONG} -> {LONG}"


def test_a_diff_and_a_command_to_copy_stay_whole(printed: Callable[[], list[str]]) -> None:
    console.out(LONG, whole=True)
    assert printed() == [LONG]


def test_a_state_is_told_in_the_words_of_the_screens() -> None:
    rows: list[documents.StatusRow] = [
        {"step": "restart", "state": "pending", "outcome": "pending", "reason": "why"},
        {"step": "firewall", "state": "not-applicable", "outcome": "not-applicable", "reason": "why"},
        {"step": "auth-test", "state": "untested", "outcome": "done", "reason": "why"},
    ]
    told = [line.split(maxsplit=1)[1].removesuffix("why").strip() for line in status_lines(rows).splitlines()]
    assert told == ["to do", "n/a", "to test"]


def test_columns_stay_columns(printed: Callable[[], list[str]]) -> None:
    row: documents.StatusRow = {"step": "restart", "state": "pending", "outcome": "pending", "reason": LONG}
    console.out(status_lines([row]))
    first, *others = printed()
    assert first.startswith("restart           to do           Look in")
    assert {line[:34] for line in others} == {" " * 34}


def test_what_a_line_means_is_below_it_where_both_have_no_room(printed: Callable[[], list[str]]) -> None:
    console.out(
        line_text("server", "235 2.0.0 OK Authenticated", "the login was accepted, and the mail may follow")
    )
    assert printed() == [
        "< 235 2.0.0 OK Authenticated",
        "     the login was accepted, and the mail may follow",
    ]


def test_without_a_terminal_a_sentence_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.out(LONG)
    assert capsys.readouterr().out == f"{LONG}\n"


@pytest.mark.parametrize("rows", [5, 40])
def test_only_what_does_not_fit_is_paged(
    rows: int, printed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("PAGER", f"cat > {seen}")
    lines = "\n".join(f"line {number}" for number in range(rows))
    console.page(lines)
    if rows == 40:
        assert (seen.read_text(), printed()) == (f"{lines}\n", [])
    else:
        assert (seen.exists(), printed()) == (False, lines.splitlines())


def test_a_long_advice_is_not_cut() -> None:
    assert console.clean("x" * 1500) == "x" * 1500


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (14, "14 steps")]
)
def test_counts_are_good_grammar(number: int, words: str) -> None:
    assert console.count(number, "step") == words


def test_a_plural_of_its_own() -> None:
    assert (console.count(1, "address", "addresses"), console.count(2, "address", "addresses")) == (
        "1 address",
        "2 addresses",
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [([], ""), ([3], "line 3"), ([3, 7], "lines 3 and 7"), ([1, 2, 3], "lines 1, 2 and 3")],
)
def test_numbered_lines_are_said_as_people_do(lines: list[int], words: str) -> None:
    assert console.numbered(lines) == words
