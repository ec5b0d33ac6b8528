"""What is printed, on a terminal of a certain width: folded at words, paged where it does not fit."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shlex
import struct
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pasted import pasted
from wizard import console
from wizard.changes.command import CommandChange
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
    with os.fdopen(slave, "w") as terminal:
        for module in (console, text):  # pytest has sys.stdout itself
            monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=terminal, stdin=terminal))

        def lines() -> list[str]:
            said = b""
            while select.select([master], [], [], 0.1)[0]:  # a terminal hands it over in pieces
                said += os.read(master, 1 << 16)
            return said.decode().replace("\r", "").splitlines()

        yield lines
    os.close(master)


def test_a_long_line_goes_on_below_its_words(printed: Callable[[], list[str]]) -> None:
    console.out(check_text(Check("x", Sign.FAILED, LONG, LONG)))
    lines = printed()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("   [FAIL]  Look in")
    assert lines[1][:12].count(" ") == 11
    assert " ".join(" ".join(lines).split()) == f"[FAIL] {LONG} -> {LONG}"


def test_a_diff_and_a_command_to_copy_stay_whole(printed: Callable[[], list[str]]) -> None:
    console.out(LONG, whole=True)
    assert printed() == [LONG]


def test_a_state_is_told_in_the_words_of_the_screens() -> None:
    rows: list[documents.StatusRow] = [
        {"step": "restart", "state": "pending", "outcome": "pending", "reason": "why"},
        {"step": "firewall", "state": "not-applicable", "outcome": "not-applicable", "reason": "why"},
        {"step": "auth-test", "state": "untested", "outcome": "done", "reason": "why"},
        {
            "step": "certificate-obtain",
            "state": "not-applicable",
            "outcome": "not-applicable",
            "reason": "why",
        },
    ]
    lines = status_lines(rows).splitlines()
    assert [line[19:].removesuffix("why").strip() for line in lines] == ["to do", "n/a", "to test", "n/a"]
    assert {line.index("why") for line in lines} == {34}


def test_columns_stay_columns(printed: Callable[[], list[str]]) -> None:
    row: documents.StatusRow = {"step": "restart", "state": "pending", "outcome": "pending", "reason": LONG}
    console.out(status_lines([row]))
    first, *others = printed()
    assert first.startswith("restart            to do          Look in")
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


def test_without_its_pager_a_page_is_printed(
    printed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pager").touch()
    lines = [f"line {number}" for number in range(40)]
    for pager in ("no-such-pager", str(tmp_path / "pager")):
        monkeypatch.setenv("PAGER", pager)
        console.page("\n".join(lines))
        assert printed()[-40:] == lines


def test_a_page_is_whole_or_goes_on_below(
    printed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", "cat")
    console.page(LONG)
    assert printed() == [LONG]
    console.page(LONG, whole=False)
    lines = printed()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == LONG


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


COMMAND = "swaks --server mail.example.org --port 587 --tls --auth LOGIN --auth-user NAME --quit-after AUTH"
QUOTED = """grep -E '^(X|O (Server|CACert|CipherList|InputMail))' "/etc/a b/sendmail.cf" \\'x\\ y\\'"""


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("words", [COMMAND, QUOTED, "msa-wizard status", "a  b   c"])
def test_a_command_can_be_pasted_however_narrow_the_terminal(words: str, columns: int) -> None:
    lines = console.command(words, columns, "$ ", "  ")
    assert pasted("\n".join(lines).removeprefix("$ ")) == shlex.split(words)
    assert lines[0].startswith("$ ")
    widest = max(map(len, shlex.split(words, posix=False)))
    assert max(map(len, lines)) <= max(columns, widest + 4)
    if len(f"$ {words}") <= columns:
        assert lines == [f"$ {words}"], "it is only broken where it does not fit"


@given(
    st.lists(st.text(min_size=1, max_size=30).filter(lambda word: "\0" not in word), min_size=1),
    st.integers(40, 90),
)
def test_any_words_come_back_from_a_command(words: list[str], columns: int) -> None:
    lines = console.command(shlex.join(words), columns)
    assert pasted("\n".join(lines)) == words


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_command_in_a_sentence_stays_on_its_line_or_can_be_pasted(columns: int) -> None:
    said = f"Look in `journalctl -t sm-mta -n 30`; or from outside: `{COMMAND}`, and see DAEMON_OPTIONS(`Port=587, Name=x')."
    told = "\n".join(console.fold(said, "   ", "     ", columns))
    assert max(map(len, told.splitlines())) <= columns
    commands = re.findall(r"`([^`']*)`", told)
    assert [pasted(each) for each in commands] == [
        ["journalctl", "-t", "sm-mta", "-n", "30"],
        shlex.split(COMMAND),
    ]
    assert "journalctl -t sm-mta -n 30" in told


def test_a_command_in_a_line_of_output_can_be_pasted(printed: Callable[[], list[str]]) -> None:
    console.out(f"     $ {COMMAND}")
    lines = printed()
    assert max(map(len, lines)) <= 60
    assert pasted("\n".join(lines).strip().removeprefix("$ ")) == shlex.split(COMMAND)


def test_what_a_plan_runs_and_what_to_do_can_be_pasted(printed: Callable[[], list[str]]) -> None:
    change = CommandChange(tuple(shlex.split(COMMAND)), "send a message")
    console.out(text.changes_text([change]), whole=True)
    title, *lines = printed()
    assert title == "   * send a message"
    assert pasted("\n".join(lines).strip().removeprefix("$ ")) == shlex.split(COMMAND)
    assert max(map(len, lines)) <= 60
    console.out(check_text(Check("x", Sign.FAILED, "no", f"On another machine:\n  {COMMAND}")))
    says, do, *lines = printed()
    assert (says, do) == ("   [FAIL]  no", "            -> On another machine:")
    assert pasted("\n".join(lines)) == shlex.split(COMMAND)
    assert max(map(len, lines)) <= 60


def test_a_remedy_that_is_a_command_can_be_pasted_and_a_sentence_goes_on_below_its_words(
    printed: Callable[[], list[str]],
) -> None:
    typed = "msa-wizard apply login-policy --set login.policy=no-system-accounts"
    console.out(check_text(Check("x", Sign.PENDING, "advised", f"{typed}\n{LONG}")))
    _, *lines = printed()
    sentence = next(index for index, line in enumerate(lines) if "Look in" in line)
    assert pasted("\n".join(lines[:sentence]).strip().removeprefix("-> ")) == shlex.split(typed)
    assert {line[:15] for line in lines[sentence:]} == {"            -> ", " " * 15}


def test_no_line_ends_in_blanks(printed: Callable[[], list[str]]) -> None:
    rows: list[documents.StatusRow] = [
        {"step": "restart", "state": "pending", "outcome": "pending", "reason": ""},
        {"step": "firewall", "state": "not-applicable", "outcome": "not-applicable", "reason": LONG},
    ]
    console.out(status_lines(rows))
    console.out(line_text("client", "QUIT", ""))
    assert [line for line in printed() if line != line.rstrip()] == []


def test_what_a_dialogue_types_is_folded() -> None:
    line = "  Configure sendmail with the existing /etc/mail/sendmail.mc? -> Y  (N would write it again)"
    assert console.typed(line, 60, "   ") == [
        "     Configure sendmail with the existing",
        "       /etc/mail/sendmail.mc? -> Y  (N would write it again)",
    ]


@pytest.mark.parametrize("columns", [60, 80])
def test_a_list_that_no_line_has_room_for_is_broken_behind_its_commas(columns: int) -> None:
    flags = ",".join(
        f"GroupWritable{name}Safe" for name in ("DirPath", "Forward", "Include", "Alias", "Map", "Key")
    )
    words = f"| O DontBlameSendmail={flags}  (sendmail.cf, line 171)"
    lines = console.fold(words, " " * 10, f"{' ' * 10}|   ", columns)
    assert all(len(line) <= columns for line in lines), lines
    assert flags in "".join(line.strip("| ") for line in lines), "nothing of it is lost"
    assert lines[0].startswith("          | O DontBlameSendmail=Group")
    assert console.fold("a,b,c d", columns=6) == ["a,b,c", "d"], "where there is room it stays whole"
