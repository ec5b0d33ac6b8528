"""Lines of output in rows that fit."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from screens.widgets.contents import check_content, diff_content, meter
from screens.widgets.output import wrapped
from tests.pasted import pasted
from wizard.model.plan import Check, Sign


@pytest.mark.parametrize(
    "line",
    [
        "",
        "short",
        "Get:1 http://deb.debian.org/debian bookworm/main amd64 sendmail-bin amd64 8.17.1.9-2+deb12u2 [1028 kB]",
        "x" * 100,
        "    indented by four, and then so long that it does not fit into one row",
        "漢字" * 30,
    ],
)
def test_rows_fit_and_lose_nothing(line: str) -> None:
    rows = wrapped(line, 40)
    assert all(cell_len(row) <= 40 for row in rows)
    assert "".join(rows).replace(" ", "") == line.replace(" ", "")


def test_rows_break_at_spaces() -> None:
    assert wrapped("one two three", 8) == ["one two", "  three"]


def test_a_row_keeps_what_indents_its_line() -> None:
    """In a diff the first column says whether a line is new, gone, or there before and after."""
    assert wrapped("    one two three", 11) == ["    one two", "      three"]
    assert wrapped(" dnl one two", 9) == [" dnl one", "   two"]
    assert wrapped("    $ one two three", 15) == ["    $ one two \\", "      three"]
    assert diff_content(" same line\n+new line\n", 7).plain == " same\n   line\n+new\n  line\n"


def test_the_rest_of_a_long_word_is_indented_as_the_rest_of_a_line() -> None:
    assert wrapped("ab 'multi-user.target.wants' c", 12) == [
        "ab",
        "  'multi-use",
        "  r.target.w",
        "  ants' c",
    ]
    for width in range(1, 7):  # narrower than what is to precede the rest
        rows = wrapped("  漢字漢字 abcdefgh", width)
        assert "".join(rows).replace(" ", "") == "漢字漢字abcdefgh"


def test_in_a_place_without_cells_a_line_is_whole() -> None:
    """A pane that was not laid out yet has none."""
    assert wrapped("one two", 0) == wrapped("one two", -2) == ["one two"]


def test_a_long_check_stays_in_its_column() -> None:
    check = Check(
        "name", Sign.WARNING, "words that do not fit into forty cells", "a remedy that does not fit either"
    )
    lines = check_content(check, 41).plain.splitlines()
    assert all(len(line) <= 41 for line in lines)
    assert [line[:8] for line in lines] == ["! warn  ", *[" " * 8] * (len(lines) - 1)]
    assert len(lines) == 3


@pytest.mark.parametrize(("done", "bar"), [(0, "────"), (1, "─" * 4), (7, "━━──"), (14, "━━━━")])
def test_the_bar_tells_how_far_one_is_without_colours(done: int, bar: str) -> None:
    """Steps that do not apply, or were not asked for, are no part of the way."""
    states = ["done"] * done + ["pending"] * (14 - done) + ["not-applicable"] * 9
    assert meter(states, 4).plain == bar


SWAKS = "swaks --server mail.example.org --port 587 --tls --auth LOGIN --auth-user NAME --quit-after AUTH"


def test_a_command_can_be_pasted_from_wherever_it_is_shown() -> None:
    output = "\n".join(wrapped(f"$ {SWAKS}", 60))
    preview = diff_content(f"   * try it\n     $ {SWAKS}\n", indent="     ", columns=60).plain
    check = check_content(Check("outside", Sign.UNKNOWN, "unknown", f"elsewhere:\n  {SWAKS}"), 60).plain
    for shown in (output, preview, check):
        assert max(map(len, shown.splitlines())) <= 60
        assert pasted(shown[shown.index("swaks") :]) == SWAKS.split()


@pytest.mark.parametrize("place", [{"width": 30}, {"columns": 30, "indent": "     "}, {"columns": 30}])
def test_a_long_line_of_a_diff_goes_on_below_its_own_beginning(place: dict[str, Any]) -> None:
    indent = place.get("indent", "")
    shown = diff_content(f"{indent}+O CipherList=words that do not fit into thirty cells\n", **place)
    first, *others = shown.plain.rstrip("\n").split("\n")
    assert first.startswith(f"{indent}+O CipherList=words")
    assert others
    assert all(line.startswith(f"{indent}  ") and cell_len(line) <= 30 for line in others)
    assert len(shown.spans) <= 1, "it has one colour to its end"


def test_a_line_beside_a_diff_goes_on_below_its_own_beginning() -> None:
    shown = diff_content("   5a0ff184ad  rolled back: one\n      -old line\n", indent="      ", columns=22)
    assert shown.plain == "   5a0ff184ad  rolled\n     back: one\n      -old line\n"
