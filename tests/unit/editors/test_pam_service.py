"""/etc/pam.d/smtp: two lines in front of all others, and every other byte as it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.editors import EditError
from wizard.editors.pam_service import (
    KINDS,
    Policy,
    asked_by,
    in_force,
    is_ours,
    lines,
    others,
    own,
    present,
    rules,
    set_policy,
    without,
)

DEBIAN = (Path(__file__).parents[1] / "steps/recorded/debian-13/etc/pam.d/smtp").read_text("latin-1")
USERS = Policy(1000)
MEMBERS = Policy(groups=("mail", "staff"))
DOMAIN = Policy(groups=("domain users@example.test", "staff"))
POLICIES = (USERS, MEMBERS, DOMAIN, Policy(500), Policy(groups=("x",)))
OWN = [
    "auth sufficient pam_ldap.so use_first_pass\n",
    "-account\trequired pam_sss.so # from the directory\n",
    "account [default=bad success=ok user_unknown=ignore] pam_sss.so\n",
    "auth include common-auth\n",
    "@include common-account\n",
    "session optional \\\n  pam_umask.so\n",
    "account required pam_listfile.so item=user sense=deny \\\n file=/etc/ftpusers\n",
    "AUTH Requisite pam_succeed_if.so user != root quiet\n",
    "# a comment, r\xfcde\n",
    "\n",
    "   \t\n",
    "#@include common-password\n",
]


@pytest.mark.parametrize("policy", POLICIES)
def test_debians_file_gets_three_lines(policy: Policy) -> None:
    new = set_policy(DEBIAN, policy)
    assert [line for line in new.splitlines() if line not in DEBIAN.splitlines()] == [
        f"# Written by msa-wizard (login-policy): {policy.says} may log in",
        *policy.lines,
    ]
    assert new.index(policy.lines[0]) < new.index("@include common-auth")
    assert present(new) == policy
    assert without(new) == DEBIAN


@given(
    st.lists(st.sampled_from(OWN), max_size=12),
    st.sampled_from(["", "auth required pam_unix.so", "auth required pam_unix.so\n"]),
    st.sampled_from(POLICIES),
    st.sampled_from(POLICIES),
)
def test_whatever_is_there_stays_byte_for_byte(
    parts: list[str], last: str, first: Policy, then: Policy
) -> None:
    text = "".join(parts) + last
    if not rules(text):
        with pytest.raises(EditError, match="no line"):
            set_policy(text, first)
        return
    new = set_policy(text, first)
    if new != text:
        assert without(new) == text
        assert present(new) == first
        assert [rule.line.text for rule in rules(new)] == [
            *first.lines,
            *(rule.line.text for rule in rules(text)),
        ]
    assert in_force(new, first)
    assert set_policy(new, first) == new
    assert without(set_policy(new, then)) == text
    assert others(new) == [] or all(rule.line.text not in first.lines for rule in others(new))


@given(st.text(alphabet=st.sampled_from("auth count@incldepm_.so[]=#\\\n\t \r\0required"), max_size=200))
def test_no_text_is_edited_that_is_not_understood(text: str) -> None:
    try:
        new = set_policy(text, USERS)
    except EditError:
        return
    assert in_force(new, USERS)
    assert without(new) == without(text)
    assert "\r" not in "".join(rule.line.text for rule in rules(new))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("auth required", "not a line"),
        ("auth", "not a line"),
        ("authh required pam_unix.so", "not a line"),
        ("@include", "not a line"),
        ("@include a b", "not a line"),
        ("auth needed pam_unix.so", "not a control word"),
        ("auth [success=1 pam_unix.so", "not a control word"),
        ("auth [success] pam_unix.so", "not a control word"),
        ("auth required pam_unix.so\r", "carriage return"),
        ("auth required pam_\0unix.so", "null byte"),
        ("# text \\", "versions of PAM differ"),
        ("auth required pam_unix.so # text \\", "versions of PAM differ"),
    ],
)
def test_a_line_that_pam_does_not_understand_is_named(line: str, why: str) -> None:
    with pytest.raises(EditError, match=why) as caught:
        set_policy(f"@include common-auth\n{line}\n", USERS)
    assert caught.value.line == 2
    assert caught.value.remedy


def test_continued_lines_are_one_and_have_the_number_of_the_first() -> None:
    text = "# head\nauth \\\n required \\\n pam_unix.so nullok # x\n@include common-account\n"
    assert [(line.number, " ".join(line.text.split())) for line in lines(text)] == [
        (2, "auth required pam_unix.so nullok"),
        (5, "@include common-account"),
    ]
    assert rules(text)[0].arguments == ("nullok",)


_ADMIN = "{0} required pam_succeed_if.so quiet uid >= 1000 uid != 65534\n"


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        ("".join(_ADMIN.format(kind) for kind in KINDS) + DEBIAN, True),
        (
            "auth requisite pam_succeed_if.so uid gt 999 user ne nobody\naccount required pam_env.so\n"
            "account requisite pam_succeed_if.so uid ge 1000 uid < 65534 audit\n" + DEBIAN,
            True,
        ),
        (_ADMIN.format("account") + DEBIAN, False),
        (DEBIAN + "".join(_ADMIN.format(kind) for kind in KINDS), False),
        ("auth sufficient pam_ldap.so\n" + "".join(_ADMIN.format(kind) for kind in KINDS), False),
        ("".join(f"-{_ADMIN.format(kind)}" for kind in KINDS) + DEBIAN, False),
        ("".join(_ADMIN.format(kind).replace("required", "optional") for kind in KINDS) + DEBIAN, False),
        ("".join(_ADMIN.format(kind).replace(">= 1000", ">= 500") for kind in KINDS) + DEBIAN, False),
        ("".join(_ADMIN.format(kind).replace("quiet", "use_uid") for kind in KINDS) + DEBIAN, False),
        ("".join(_ADMIN.format(kind).replace("quiet", "user != bob") for kind in KINDS) + DEBIAN, False),
        ("".join(_ADMIN.format(kind).replace("succeed_if", "listfile") for kind in KINDS) + DEBIAN, False),
    ],
)
def test_an_earlier_policy_of_the_admins_is_understood(text: str, enough: bool) -> None:
    new = set_policy(text, USERS)
    assert (new == text) is enough
    assert text in new or without(new) == text
    assert len(others(new)) >= len(others(text))


def test_a_group_among_others_is_another_policy() -> None:
    text = set_policy(DEBIAN, MEMBERS)
    assert in_force(text, Policy(groups=("staff", "mail"))), "in any order"
    for groups in (("mail",), ("mail", "staff", "wheel")):
        assert not in_force(text, Policy(groups=groups))


def test_a_line_can_only_refuse() -> None:
    """`required` and `success=ok` would let everybody in where all other lines are `sufficient`."""
    for policy in POLICIES:
        for line in policy.lines:
            assert re.match(r"\w+ \[success=ignore (user_unknown=ignore )?default=bad\] ", line)
            assert is_ours(line)
            assert asked_by(line) == policy
    assert "user_unknown" not in MEMBERS.lines[0], "whom nobody knows is in no group"


@pytest.mark.parametrize(
    "control",
    [
        "[success=ignore default=ignore]",
        "[success=ok default=bad]",
        "[success=done default=bad]",
        "[success=ignore auth_err=ignore default=bad]",
    ],
)
def test_a_line_of_ours_that_refuses_nobody_any_more_is_not_in_force(control: str) -> None:
    text = set_policy(DEBIAN, MEMBERS)
    edited = text.replace("[success=ignore default=bad]", control)
    assert not in_force(edited, MEMBERS)
    again = set_policy(edited, MEMBERS)
    assert in_force(again, MEMBERS)
    assert present(again) == MEMBERS
    assert present(set_policy(again, USERS)) == USERS


def test_lines_of_ours_that_the_admin_has_changed_are_still_ours() -> None:
    text = set_policy(DEBIAN, USERS)
    edited = text.replace("uid >= 1000", "uid >= 500")
    assert len(own(edited)) == 2
    assert set_policy(edited, USERS) == text
    one = text.replace(USERS.lines[1] + "\n", "")
    assert len(own(one)) == 1
    assert present(one) is None
    assert set_policy(one, USERS) == text
    assert asked_by("auth required pam_unix.so") is None


def test_a_group_with_a_blank_stands_in_brackets() -> None:
    text = set_policy(DEBIAN, DOMAIN)
    assert "user ingroup [domain users@example.test:staff]\n" in text
    assert (present(text), in_force(text, DOMAIN), without(text)) == (DOMAIN, True, DEBIAN)
    assert asked_by(DOMAIN.lines[0]) == DOMAIN
