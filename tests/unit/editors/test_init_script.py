"""Debian bug #791814 in the init script of saslauthd."""

from __future__ import annotations

import pytest

from wizard.editors import EditError
from wizard.editors.init_script import add_slash, has_defect, skip_redirect

FIND = "DEFAULT_FILES=`find /etc/default{} -regex '/etc/default/saslauthd[_a-zA-Z0-9\\-]*$' -print | sort`\n"
HEAD = "#! /bin/sh\n\n# Global variables\n"
HOOK = "# Define LSB log_* functions.\n# Depend on lsb-base (>= 3.0-6) to ensure that this file is present.\n. /lib/lsb/init-functions\n\nexit 0\n"
VARS = "# Load the VERBOSE setting and other rcS variables\n. /lib/init/vars.sh\n"
BLOCK = '### Skip redirect to systemctl\n_SYSTEMCTL_SKIP_REDIRECT="true"\necho "on" >&2\n'
NAME = "_SYSTEMCTL_SKIP_REDIRECT"


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        (FIND.format(""), True), (FIND.format("/"), False), ("# " + FIND.format(""), False), ("", False),
        ("X=$(find  '/etc/default' -regex x)\n", True), ("find \"/etc/default\" -regex x\n", True),
        ("find /etc/default/saslauthd -regex x\n", False), ("find /etc/default -name x\n", False),
    ],
)  # fmt: skip
def test_the_defect(line: str, defect: bool) -> None:
    text = HEAD + line + VARS
    assert has_defect(text) == defect
    fixed = add_slash(text)
    assert not has_defect(fixed)
    assert (fixed == text) == (not defect)
    assert fixed.replace("/etc/default/ ", "/etc/default ").replace(
        "/etc/default/'", "/etc/default'"
    ).replace('/etc/default/"', '/etc/default"') == text.replace("/etc/default/ ", "/etc/default ")


def test_only_the_slash_is_added() -> None:
    assert add_slash(HEAD + FIND.format("")) == HEAD + FIND.format("/")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + VARS + "\n" + HOOK, HEAD + VARS + "\n" + BLOCK + HOOK),
        (HEAD + VARS + HOOK, HEAD + VARS + BLOCK + HOOK),
        (HEAD + HOOK, HEAD.rstrip("\n").rpartition("\n")[0] + "\n" + BLOCK + "# Global variables\n" + HOOK),
        (HEAD + "A=1\n" + HOOK, HEAD + "A=1\n" + BLOCK + HOOK),
        ("export _SYSTEMCTL_SKIP_REDIRECT=1\n" + HOOK, None),
        ("#_SYSTEMCTL_SKIP_REDIRECT=1\n\n" + HOOK, "#_SYSTEMCTL_SKIP_REDIRECT=1\n\n" + BLOCK + HOOK),
        ('_SYSTEMCTL_SKIP_REDIRECT=""\n' + HOOK, '_SYSTEMCTL_SKIP_REDIRECT=""\n' + BLOCK + HOOK),
    ],
)
def test_skip_redirect(before: str, after: str | None) -> None:
    once = skip_redirect(before, NAME, BLOCK)
    assert once == (before if after is None else after)
    assert skip_redirect(once, NAME, BLOCK) == once


def test_set_too_late_does_not_count() -> None:
    text = VARS + "\n" + HOOK + NAME + "=1\n"
    assert skip_redirect(text, NAME, BLOCK) == VARS + "\n" + BLOCK + HOOK + NAME + "=1\n"


def test_the_other_variable_is_not_this_one() -> None:
    text = VARS + "\nSYSTEMCTL_SKIP_REDIRECT=1\n" + HOOK
    assert NAME in skip_redirect(text, NAME, BLOCK)


def test_a_script_without_the_hook_is_refused() -> None:
    with pytest.raises(EditError):
        skip_redirect(HEAD + VARS, NAME, BLOCK)
