"""What an edit of sendmail.mc changes in sendmail.cf besides: no line that differs is overlooked."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.sendmail.cf import changed, only_in, statements
from wizard.sendmail.mc_gate import TRUSTED, Planned, unplanned

LINES = st.lists(
    st.sampled_from(
        [
            "Cwlocalhost",
            "DS",
            "O A=1",
            "O A=2",
            "O B",
            "R$*\t$: x",
            "# a date",
            "",
            "Mlocal, P=x",
            "Kx hash y",
        ]
    ),
    max_size=12,
).map(lambda lines: "".join(f"{line}\n" for line in lines))


def said(cf: str) -> Counter[str]:
    return Counter(line for line in cf.splitlines() if line and not line.startswith("#"))


@given(old=LINES, new=LINES)
def test_nothing_that_differs_is_overlooked(old: str, new: str) -> None:
    found = Counter(unplanned(old, new, Planned()))
    for line in (said(old) - said(new)).elements():
        assert found[f"-{line}"] >= 1
    for line in (said(new) - said(old)).elements():
        assert found[f"+{line}"] >= 1
    if not found:
        assert [line for line in old.splitlines() if line in said(old)] == [
            line for line in new.splitlines() if line in said(new)
        ]


@given(old=LINES, new=LINES)
def test_what_is_planned_hides_nothing_else(old: str, new: str) -> None:
    planned = Planned(sets=frozenset({"A"}), adds=frozenset({"B"}))
    kept = [line for line in changed(old, new) if not line[1:].startswith("O ")]
    assert [line for line in unplanned(old, new, planned) if not line[1:].startswith("O ")] == kept


@given(live=LINES, given_one=LINES, given_two=LINES)
def test_lines_that_no_source_gives_are_all_found(live: str, given_one: str, given_two: str) -> None:
    found = Counter(only_in(live, given_one, given_two))
    assert found == said(live) - (said(given_one) | said(given_two))


@pytest.mark.parametrize(
    ("old", "new", "planned", "left"),
    [
        ("O A=1\n", "O A=2\n", Planned(sets=frozenset({"A"})), ()),
        ("O A=1\n", "O A=2\n", Planned(adds=frozenset({"A"})), ("-O A=1", "+O A=2")),
        ("", "O A=2\n", Planned(adds=frozenset({"A"})), ()),
        ("", "O A\n", Planned(adds=frozenset({"A"})), ()),
        ("", "O AB=2\n", Planned(adds=frozenset({"A"})), ("+O AB=2",)),
        ("O A=x\n", "O A=\tx,y\n", Planned(grows={"A": frozenset({"y"})}), ()),
        ("O A=x\n", "O A=x,z\n", Planned(grows={"A": frozenset({"y"})}), ("-O A=x", "+O A=x,z")),
        ("O A=x\n", "O A=y\n", Planned(grows={"A": frozenset({"y"})}), ("-O A=x", "+O A=y")),
        ("", f"{TRUSTED}LOGIN PLAIN\n", Planned(adds=frozenset({TRUSTED})), ()),
        (f"{TRUSTED}GSSAPI\n", "", Planned(adds=frozenset({TRUSTED})), (f"-{TRUSTED}GSSAPI",)),
        (
            f"{TRUSTED}GSSAPI\n",
            f"{TRUSTED}GSSAPI\n{TRUSTED}LOGIN\n",
            Planned(grows={TRUSTED: frozenset({"LOGIN"})}),
            (),
        ),
        ("# built on Monday\nO A=1\n", "# built on Friday\nO A=1\n", Planned(), ()),
        ("DMold\n", "DMnew\n", Planned(sets=frozenset({"M"})), ("-DMold", "+DMnew")),
        ("R$*\tx\nR$+\ty\n", "R$+\ty\nR$*\tx\n", Planned(), None),
    ],
)
def test_only_what_is_planned_may_differ(
    old: str, new: str, planned: Planned, left: tuple[str, ...] | None
) -> None:
    found = unplanned(old, new, planned)
    assert found == left if left is not None else found, "the order of rules counts"


def test_the_words_of_a_refusal_go_with_the_first_trust() -> None:
    old = 'R$*\t$#error $@ 5.7.1 $: "550 Relaying denied"\n'
    new = f'{TRUSTED}LOGIN\nR$*\t$#error $@ 5.7.1 $: "550 Relaying denied. Proper authentication required."\n'
    assert not unplanned(old, new, Planned(adds=frozenset({TRUSTED})))
    assert len(unplanned(old, new, Planned())) == 3
    other = new.replace("5.7.1", "5.7.0")
    assert len(unplanned(old, other, Planned(adds=frozenset({TRUSTED})))) == 2


@pytest.mark.parametrize("letter", ["\u00c5ngstr\u00f6m", "\u2026", "\u0445\u0430", "\x0c", "\x1d"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_comment_of_any_letters_is_one_line(letter: str, newline: str) -> None:
    """Latin-1 keeps every byte of it, and makes line ends of some for Python, that are none for sendmail."""
    comment = f"# dnl # for {letter} and {letter} us".encode().decode("latin-1")
    assert statements(newline.join(["O A=1", comment, "O B=2", ""])) == ("O A=1", "O B=2")
