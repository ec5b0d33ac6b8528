"""Cyrus SASL's `key: value` files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.editors import EditError
from wizard.editors.sasl_conf import set_value, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pwcheck_method: saslauthd\n", "saslauthd"),
        ("  PwCheck_Method:saslauthd \t\n", "saslauthd"),
        ("pwcheck_method: saslauthd", "saslauthd"),
        ("pwcheck_method: saslauthd\r\n", "saslauthd"),
        ("#pwcheck_method: auxprop\n\npwcheck_method: a b\n", "a b"),
        ("pwcheck_method: first\npwcheck_method: second\n", "first"),
        ("# pwcheck_method: no\n", None),
        ("xpwcheck_method: no\n", None),
        ("", None),
    ],
)
def test_value(text: str, expected: str | None) -> None:
    assert value(text, "pwcheck_method") == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mech_list: CRAM-MD5 PLAIN\n", "mech_list: LOGIN PLAIN\n"),
        (" Mech_List:\tx\t\r\n# y\r\n", " Mech_List:\tLOGIN PLAIN\t\r\n# y\r\n"),
        ("mech_list: x\nmech_list: y\n", "mech_list: LOGIN PLAIN\nmech_list: y\n"),
        ("#mech_list: x\na: b", "#mech_list: x\na: b\nmech_list: LOGIN PLAIN\n"),
        ("a: b\r\n", "a: b\r\nmech_list: LOGIN PLAIN\r\n"),
        ("", "mech_list: LOGIN PLAIN\n"),
        ("mech_list: LOGIN PLAIN\n", "mech_list: LOGIN PLAIN\n"),
    ],
)
def test_set_value(before: str, after: str) -> None:
    assert set_value(before, "mech_list", "LOGIN PLAIN") == after
    assert set_value(after, "mech_list", "LOGIN PLAIN") == after


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: b\nnonsense\n", 2), ("a:\n", 1), ("a = b\n", 1), ("\na: " + "x" * 5000, 2), ("\xa0\n", 1)],
)
def test_a_line_that_makes_sasl_drop_the_file(text: str, line: int) -> None:
    with pytest.raises(EditError) as caught:
        value(text, "a")
    assert caught.value.line == line
    with pytest.raises(EditError) as caught:
        set_value(text, "a", "b")
    assert caught.value.line == line
    assert caught.value.remedy


@pytest.mark.parametrize(("key", "new"), [("a b", "x"), ("a", ""), ("a", "x\ny"), ("a", " x"), ("a:", "x")])
def test_what_cannot_be_written(key: str, new: str) -> None:
    with pytest.raises(EditError):
        set_value("", key, new)


LINE = st.sampled_from(
    ["pwcheck_method: auxprop", "mech_list: PLAIN", "# it's", "", "  sasldb_path:/x  ", "a: \xfc"]
)


@given(lines=st.lists(LINE), newline=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_other_lines_stay(lines: list[str], newline: str, last: bool) -> None:
    text = newline.join(lines) + (newline if last else "")
    once = set_value(text, "mech_list", "LOGIN PLAIN")
    assert value(once, "mech_list") == "LOGIN PLAIN"
    assert set_value(once, "mech_list", "LOGIN PLAIN") == once
    for key in ("pwcheck_method", "sasldb_path", "a"):
        assert value(once, key) == value(text, key)
    kept = [row for row in text.splitlines() if not row.startswith("mech_list")]
    assert [row for row in once.splitlines() if not row.startswith("mech_list")] == kept
