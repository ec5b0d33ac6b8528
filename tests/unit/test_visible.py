"""The one cleaner of hostile text: no output of ours moves a cursor, forges a line or floods, and nothing is hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.visible import one_line, visible, visible_bytes
from wizard.console import LONGEST, clean, clean_block

HOSTILE = st.text() | st.text("\x00\x07\t\n\r\x1b[]\x7f\x85\x9b\xa0\xad\u061c\u200b\u2028\u202e\u2066\ufeff\udcff", max_size=40)  # fmt: skip


@given(HOSTILE, st.integers(0, 600) | st.none(), st.sampled_from(["", "\t", "\n\t"]))
def test_only_printable_text_of_bounded_length(text: str, limit: int | None, keep: str) -> None:
    shown = visible(text, limit, keep=keep)
    assert all(ch in keep or ch.isprintable() for ch in shown)
    shown.encode()
    if limit is not None:
        assert len(shown) <= limit + 40
        assert len(shown) <= limit or "characters more]" in shown
    if text.isprintable() and (limit is None or len(text) <= limit):
        assert shown == text


@given(HOSTILE)
def test_the_forms_of_it(text: str) -> None:
    assert all(ch == "\t" or ch.isprintable() for ch in clean(text))
    assert len(clean(text)) <= LONGEST + 40
    assert all(ch in "\n\t" or ch.isprintable() for ch in clean_block(text) + visible_bytes(text.encode(errors="replace")))  # fmt: skip
    assert one_line(text, 20).isprintable()
    assert len(one_line(text, 20)) <= 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\tb\nc\r\x9b", "a\\tb\\nc\\x0d\\x9b"),
        ("\u202e\u2066\ufeff", "\\u202e\\u2066\\ufeff"),
        ("\udcff\ud800\U000e0001", "\\xff\\ud800\\U000e0001"),
        ("a\xa0b\xadc", "a\\xa0b\\xadc"),
        ("Grüße, 日本", "Grüße, 日本"),
    ],
)
def test_what_is_hostile_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_its_limit_and_what_it_keeps() -> None:
    assert visible("x" * 9, 4) == "xxxx [... cut, 5 characters more]"
    assert visible("a\tb\nc\x1b", keep="\n\t") == "a\tb\nc\\x1b"
    assert visible_bytes(b"\xff\x07\n") == "\\xff\\x07\n"
    assert one_line("  a\n\tb\u2028c ", 4) == "a b "
    assert clean("two\nlines\x1b[2J \t\n") == "two lines\\x1b[2J"
