"""/etc/default/*: the real sh has the last word on what a file sets."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.editors import EditError
from wizard.editors.shell_defaults import set_value, value

DEBIAN_8 = '# Should saslauthd run automatically on startup? (default: no)\nSTART=no\n\n# Example: MECHANISMS="pam"\nMECHANISMS="pam"\n'


def sh(text: str, key: str) -> str | None:
    """What a shell that sources the text has in `key`."""
    script = (
        f'{text}\nprintf %s "set:${{{key}-}}${{{key}+.}}"'
        if not text.endswith("\n")
        else f'{text}printf %s "set:${{{key}-}}${{{key}+.}}"'
    )
    run = subprocess.run(
        ["sh"], input=script.encode("latin-1"), capture_output=True, check=True, env={}, timeout=10
    )
    out = run.stdout.decode("latin-1").rpartition("set:")[2]
    return out[:-1] if out else None


READ = [
    ("START=yes\n", "yes"),
    ("START=yes", "yes"),
    ('  START="y es" # why\n', "y es"),
    ("START='y\"es'\n", 'y"es'),
    ("START=y'e'\"s\"\\!\n", "yes!"),
    ("START=\n", ""),
    ('START="\\$x \\` \\\\ \\n"\n', "$x ` \\ \\n"),
    ("export START=yes\n", "yes"),
    ("readonly A=1 START=yes\n", "yes"),
    ("A=1 START=yes; export START\n", "yes"),
    ("START=no; START=yes\n", "yes"),
    ("START=no\n# START=maybe\nSTART=yes\n", "yes"),
    ("START=a#b\n", "a#b"),
    ("# START=yes\n", None),
    ("XSTART=yes\nSTARTX=yes\n", None),
    ("START=yes true\n", None),
    ("START=yes\nunset START\n", None),
    ("echo START=yes >/dev/null\n", None),
    ("if true; then :; fi\nSTART=yes\n", "yes"),
    ("case x in y) A=1;; esac\nSTART=yes\n", "yes"),
    ("for i in a b; do :; done; f() { A=1; }\nSTART=yes\n", "yes"),
    ("if false; then START=no; fi\nSTART=yes\n", "yes"),
    ('OTHER="two\nSTART=no\nlines"\nSTART=yes\n', "yes"),
    ("A=$(echo \"(\" 'x)') B=`echo x` C=${D:-y}\nSTART=yes\n", "yes"),
    ("A=1 \\\n B=2\nSTART=yes\n", "yes"),
    ("START=yes && A=1\n", "yes"),
    ("START=yes\r\n", "yes\r"),
    ("START=gr\xfcn\xa0x\n", "gr\xfcn\xa0x"),
    ("(START=no)\nSTART=yes\n", "yes"),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_value_as_sh_sees_it(text: str, expected: str | None) -> None:
    assert value(text, "START") == expected
    assert sh(text, "START") == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\nif [ -e /x ]; then\n  START=yes\nfi\n", 3),
        ("START=yes\n[ -x /y ] && START=no\n", 2),
        ("true || START=no\n", 1),
        ("false ||\nSTART=no\n", 2),
        ("START=$(hostname)\n", 1),
        ('START="$OTHER"\n', 1),
        ("START=`x`\n", 1),
        ("START=ye\\\ns\n", 1),
        ('START="ye\\\ns"\n', 1),
        ("START=~\n", 1),
        ("(START=yes)\n", 1),
        ("START=yes | cat\n", 1),
        ("f() {\nSTART=no\n}\nf\n", 2),
        (": ${START:=yes}\n", 1),
        ("eval START=no\n", 1),
        ("read START\n", 1),
        ('A=1\nSTART="no\n', 2),
        ("START='no\n", 1),
        ("START=$(x\n", 1),
        ("START=`x\n", 1),
        ("cat <<E\nSTART=no\nE\n", 1),
        ("while true; do\nSTART=no\n", 2),
        ('A="$(' * 400 + "\n", 1),
    ],
)
def test_what_is_not_understood_names_its_line(text: str, line: int) -> None:
    with pytest.raises(EditError) as caught:
        value(text, "START")
    assert caught.value.line == line
    with pytest.raises(EditError) as caught:
        set_value(text, "START", "yes")
    assert caught.value.line == line
    assert caught.value.remedy


SET = [
    ("START=no\n", "START=yes\n"),
    ("START=no", "START=yes"),
    ("\tSTART=no  # as shipped\n", "\tSTART=yes  # as shipped\n"),
    ('START="no" # x\n', 'START="yes" # x\n'),
    ("export START='no'\n", "export START='yes'\n"),
    ("START=no\nSTART=no;A=1\n", "START=no\nSTART=yes;A=1\n"),
    ("START=yes\n", "START=yes\n"),
    ("START='yes' \n", "START='yes' \n"),
    ("START=\n", "START=yes\n"),
    ("A=1\n# START=no\nB=2\n", "A=1\n# START=no\nSTART=yes\nB=2\n"),
    ("A=1\n#START=no", "A=1\n#START=no\nSTART=yes\n"),
    ("# Set START=yes to start\nB=2\n", "# Set START=yes to start\nB=2\nSTART=yes\n"),
    ("A=1", "A=1\nSTART=yes\n"),
    ("", "START=yes\n"),
    ("if x; then\n# START=no\nA=1\nfi\n", "if x; then\n# START=no\nA=1\nfi\nSTART=yes\n"),
    ("START=no\nunset START\n", "START=no\nunset START\nSTART=yes\n"),
    ("A=1\r\nSTART=no\r\n", "A=1\r\nSTART=yes\n"),
    ("\xe9=\xfc\nSTART=no\n", "\xe9=\xfc\nSTART=yes\n"),
]


@pytest.mark.parametrize(("before", "after"), SET)
def test_set_value(before: str, after: str) -> None:
    assert set_value(before, "START", "yes") == after
    assert set_value(after, "START", "yes") == after


def test_debian_8_as_in_the_howto() -> None:
    new = set_value(set_value(DEBIAN_8, "START", "yes"), "MECHANISMS", "pam")
    assert new == DEBIAN_8.replace("START=no", "START=yes")


@pytest.mark.parametrize(
    ("key", "new"), [("ST ART", "x"), ("START", "a\nb"), ("START", "a\x00"), ("START", "a\r"), ("1X", "y")]
)
def test_what_cannot_be_written(key: str, new: str) -> None:
    with pytest.raises(EditError):
        set_value("", key, new)


OLD = st.sampled_from(
    [
        "START=no\n",
        'START="no"\n',
        "START='no'\n",
        "# START=no\n",
        "",
        "A=1",
        "export START=a\\ b # c\n",
        "A='\nSTART=1\n'\n",
    ]
)
NEW = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f\x85"), max_size=12)


@given(before=OLD, old=OLD, after=st.sampled_from(["", "B=2\n", "# START=x\n"]), new=NEW)
@settings(max_examples=60, deadline=None)
def test_any_value_arrives_in_sh(before: str, old: str, after: str, new: str) -> None:
    text = (before if before.endswith("\n") or not before else before + "\n") + old
    text += after if text.endswith("\n") or not text else ""
    once = set_value(text, "START", new)
    assert value(once, "START") == new
    assert sh(once, "START") == new
    assert set_value(once, "START", new) == once
    assert abs(len(once.splitlines()) - len(text.splitlines())) <= 1
