"""What is said of the policy on logins: whom it refuses, who had the right password, and root where nothing refuses it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from tests.unit.troubleshoot.pictures import ALICE, SHADOW, picture
from wizard.editors.pam_service import Policy
from wizard.errors import HostError
from wizard.gather.pam import Pam, PamLine
from wizard.maillog.read import LOG, LogLine
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.system.host import Host
from wizard.system.pam_account import Answer
from wizard.troubleshoot import root_login
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.verdict import judge

POLICY = Policy(groups=("mailers",))
UNIX = PamLine("/etc/pam.d/common-auth", 17, "auth required pam_unix.so", "auth", "required", "pam_unix.so")


def line(text: str, kind: str = "auth") -> PamLine:
    control, module = text.split("]")[0] + "]" if "[" in text else "required", text.split()
    name = next(word for word in module if word.endswith(".so"))
    return PamLine(f.PAM_SMTP, 12, text, kind, control, name)


STACK = Pam(f.PAM_SMTP, (*(line(text, text.split()[0]) for text in POLICY.lines), UNIX))
REFUSED = 'pam_succeed_if(smtp:auth): requirement "user ingroup mailers" not met by user "{}"'
FAILURE = "pam_unix(smtp:auth): authentication failure; logname= uid=0 euid=0 tty= ruser= rhost=  user={}"
OVER = "                : auth failure: [user={}] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]"
"""As saslauthd of Debian 12 to 14 logs them."""


def logged(*lines: str, user: str = "alice", pid: int = 7, **more: Any) -> tuple[LogLine, ...]:
    values: dict[str, Any] = {"time": 2e9, "name": "saslauthd", "pid": pid} | more
    return tuple(LogLine(text=text.format(user), **values) for text in lines)


def refused(**changes: Any) -> dict[str, Any]:
    return {"account": ALICE, "socket_login": "NO", "pam": STACK, "talk": {"login": False}} | changes


def test_whom_the_policy_refuses_it_is_named_for() -> None:
    blamed = judge(picture(**refused(log=logged(REFUSED, OVER)))).blamed
    assert blamed is not None
    assert (blamed.id, blamed.layer) == ("policy-refuses", Layer.PAM)
    says = "the policy on logins refuses alice, though the password is right: members of mailers may log in"
    assert blamed.finding.cause == says
    assert [item.source for item in blamed.finding.evidence] == [
        f"journal, saslauthd, {datetime.fromtimestamp(2e9):%F %T}",
        f"{f.PAM_SMTP} line 12",
    ]
    directory = dataclasses.replace(ALICE, right=None, shadow=None)
    assert judge(picture(**refused(log=logged(REFUSED, OVER), account=directory))).blamed is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"log": logged(REFUSED, OVER, user="bob")},
        {"log": logged(REFUSED, OVER, time=1.0)},
        {"log": logged(REFUSED, OVER, name="sm-mta")},
        {"log": logged(REFUSED, OVER, file=LOG)},
        {"log": logged(REFUSED, OVER), "pam": Pam(f.PAM_SMTP, (UNIX,))},
        {"log": logged(REFUSED, OVER), "account": dataclasses.replace(ALICE, right=False)},
    ],
)
def test_it_is_not_blamed_for_what_it_has_not_done(changes: dict[str, Any]) -> None:
    assert judge(picture(**refused(**changes))).fault("policy-refuses") is None


@pytest.mark.parametrize(("uid", "right"), [(0, None), (34, None), (34, False), (65534, True)])
def test_an_account_that_the_policy_shuts_out_needs_no_password(uid: int, right: bool | None) -> None:
    """A new one would not help, and would make the host weaker."""
    lines = (*(line(text, text.split()[0]) for text in Policy(1000).lines), UNIX)
    owner = dataclasses.replace(
        ALICE, user="root", uid=uid, right=right, shadow=dataclasses.replace(SHADOW, never=right is None)
    )
    verdict = judge(picture(account=owner, pam=Pam(f.PAM_SMTP, lines), socket_login=None))
    assert verdict.blamed is not None
    assert verdict.blamed.id == "policy-refuses"
    cause = "the policy on logins refuses root: all but root and system accounts may log in"
    assert verdict.blamed.finding.cause == cause
    assert "adduser" not in verdict.blamed.finding.mend.text, "no group changes a uid"
    assert verdict.fault("password-missing") is None
    user = dataclasses.replace(owner, uid=1000)
    assert judge(picture(account=user, pam=Pam(f.PAM_SMTP, lines))).fault("policy-refuses") is None


@pytest.mark.parametrize(
    ("above", "shut"),
    [
        ((), True),
        (("auth required pam_env.so",), True),
        # For account it is refused all the same.
        (("auth sufficient pam_succeed_if.so user = printer",), True),
        (
            (
                "auth [success=2 default=ignore] pam_succeed_if.so user = printer",
                "account [success=1 default=ignore] pam_succeed_if.so user = printer",
            ),
            False,
        ),
        (
            (
                "auth sufficient pam_succeed_if.so user = printer",
                "account sufficient pam_succeed_if.so user = printer",
            ),
            False,
        ),
    ],
)
def test_whom_a_line_above_may_let_past_the_policy_does_not_shut_out(
    above: tuple[str, ...], shut: bool
) -> None:
    owner = dataclasses.replace(ALICE, user="printer", uid=999, right=None)
    seen = picture(account=owner, pam=stack(*above, *Policy(1000).lines, *COMMON), socket_login=None)
    fault = judge(seen).fault("policy-refuses")
    assert (fault is not None) is shut
    locked = dataclasses.replace(owner, shadow=dataclasses.replace(SHADOW, locked=True))
    fault = judge(dataclasses.replace(seen, account=locked)).fault("account-locked")
    assert (fault is None) is shut


def test_another_module_of_the_same_name_is_still_named() -> None:
    other = line("auth required pam_succeed_if.so user ingroup mailers")
    blamed = judge(picture(**refused(log=logged(REFUSED), pam=Pam(f.PAM_SMTP, (other, UNIX))))).blamed
    assert blamed is not None
    assert blamed.id == "pam-module-refuses"


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (logged(REFUSED, OVER, user="bob"), "bob"),
        (logged(REFUSED, FAILURE, OVER, user="bob"), None),
        (logged(REFUSED, "pam_unix(smtp:auth): check pass; user unknown", OVER, user="bob"), None),
        (logged(REFUSED, user="bob"), None),
        (
            (
                *logged(REFUSED, user="bob"),
                *logged(FAILURE, OVER, user="root", pid=8),
                *logged(OVER, user="bob"),
            ),
            "bob",
        ),
        ((*logged(REFUSED, user="bob"), *logged(REFUSED, FAILURE, OVER, user="eve")), None),
        ((*logged(REFUSED, OVER, user="bob"), *logged(REFUSED, OVER, user="root")), "bob, root"),
        (logged(REFUSED, OVER, user="bob", file=LOG), None),
    ],
)
def test_a_right_password_that_the_policy_refused_is_a_warning(
    lines: tuple[LogLine, ...], names: str | None
) -> None:
    fault = judge(picture(pam=STACK, log=lines)).fault("policy-refused-password")
    if names is None:
        assert fault is None
        return
    assert fault is not None
    assert fault.sign is Sign.WARNING
    assert fault.finding.cause.startswith(
        f"the policy on logins refused {names}, though the password was right"
    )


def test_where_others_know_passwords_their_silence_proves_nothing() -> None:
    stack = Pam(f.PAM_SMTP, (*STACK.lines, line("auth required pam_sss.so")))
    lines = logged(REFUSED, OVER, user="bob")
    assert judge(picture(pam=stack, log=lines)).fault("policy-refused-password") is None


def test_root_with_a_password_is_a_warning() -> None:
    fault = judge(picture(root_password=True)).fault("root-login")
    assert fault is not None
    assert fault.sign is Sign.WARNING
    assert "login.policy=no-system-accounts" in fault.finding.mend.text


@pytest.mark.parametrize(
    "changes",
    [
        {"root_password": False},
        {"pam": STACK, "root_let_in": False},
        {"pam": Pam(f.PAM_SMTP, (line("auth required pam_ldap.so"),))},
        {"pam": Pam(f.PAM_SMTP, (UNIX,), (("broken", "x", "y"),))},
        {"facts": {"files": {f.SENDMAIL_CF: None}}},
    ],
)
def test_root_is_no_warning_where_something_refuses_it(changes: dict[str, Any]) -> None:
    assert judge(picture(**({"root_password": True} | changes))).fault("root-login") is None


@pytest.mark.parametrize(
    ("let_in", "says"), [(True, "root can log in"), (None, "root may be able to log in")]
)
def test_root_is_a_warning_where_nothing_that_could_refuses_it(let_in: bool | None, says: str) -> None:
    access = line("account required pam_access.so", "account")
    fault = judge(picture(root_password=True, root_let_in=let_in, pam=Pam(f.PAM_SMTP, (UNIX, access)))).fault(
        "root-login"
    )
    assert fault is not None
    assert fault.finding.cause.startswith(says)
    assert access.text in [each.says for each in fault.finding.evidence]
    assert "login.policy=no-system-accounts" in fault.finding.mend.text


def test_root_in_a_group_that_may_log_in_is_to_leave_it() -> None:
    fault = judge(picture(root_password=True, root_let_in=True, pam=STACK)).fault("root-login")
    assert fault is not None
    assert fault.finding.mend.text == "take root out of mailers: `gpasswd --delete root GROUP`"


def stack(*texts: str) -> Pam:
    """Of lines with kind, control, and module with its words."""
    made = []
    for number, text in enumerate(texts):
        kind, control, rest = re.fullmatch(r"(\w+) (\[.*?\]|\w+) (.*)", text).groups()  # type: ignore[union-attr]
        made.append(PamLine(f.PAM_SMTP, number, text, kind, control, rest.split()[0]))
    return Pam(f.PAM_SMTP, tuple(made))


COMMON = (
    "auth [success=1 default=ignore] pam_unix.so nullok",
    "auth requisite pam_deny.so",
    "auth required pam_permit.so",
)
NO_ROOT, ALL = "pam_succeed_if.so quiet uid >= 1000", "pam_succeed_if.so user notingroup nobody"


@pytest.mark.parametrize(
    ("texts", "let_in"),
    [
        (COMMON, True),
        ((*COMMON, f"account required {ALL}"), True),
        ((*COMMON, f"account required {NO_ROOT}"), False),
        ((*COMMON, f"auth required {NO_ROOT}"), False),
        ((f"auth requisite {NO_ROOT}", *COMMON), False),
        ((f"auth requisite {ALL}", f"account required {NO_ROOT}", *COMMON), False),
        ((*COMMON, f"account [success=ignore default=die] {NO_ROOT}"), False),
        ((*COMMON, f"auth optional {NO_ROOT}"), True),
        ((*COMMON, f"account sufficient {NO_ROOT}"), True),
        # What counts only for some, nobody can tell line by line.
        ((f"auth [success=1 default=ignore] {NO_ROOT}", "auth requisite pam_deny.so", *COMMON), None),
        (("auth sufficient pam_unix.so", f"auth required {NO_ROOT}"), None),
        (("account [success=done default=ignore] pam_unix.so", f"account required {NO_ROOT}"), None),
        (("account [success=1 default=ignore] pam_unix.so", f"account required {NO_ROOT}"), None),
        (("account [success=1 new_authtok_reqd=done default=ignore] pam_x.so", "account requisite pam_deny.so", f"account required {NO_ROOT}"), False),
    ],
)  # fmt: skip
def test_whether_root_is_let_in_is_asked_of_pam(
    monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], let_in: bool | None
) -> None:
    def said(_: Host, text: str, users: Sequence[str]) -> dict[str, Answer]:
        """As PAM answers for root, with a line that permits below."""
        kind, control, rest = re.fullmatch(r"(\w+) (\[.*?\]|\w+) (.*)", text).groups()  # type: ignore[union-attr]
        assert (kind, users) == ("account", ["root"])
        refused = rest == NO_ROOT and control not in ("optional", "sufficient")
        return {"root": Answer(7 if refused else 0, "words")}

    monkeypatch.setattr(root_login, "answers_of", said)
    assert root_login.lets_in(Host(), stack(*texts)) is let_in


@pytest.mark.parametrize(("test", "let_in"), [("service = smtp", True), ("service != smtp", False)])
def test_pam_itself_is_asked_for_the_service_smtp(test: str, let_in: bool) -> None:
    """By its name pam_succeed_if and pam_access may refuse; no fake has modules."""
    text = f"account required pam_succeed_if.so quiet {test}"
    assert root_login.lets_in(Host(), stack(text)) is let_in


def test_a_pam_that_does_not_answer_leaves_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*_: object) -> dict[str, Answer]:
        raise HostError("PAM could not be asked")

    monkeypatch.setattr(root_login, "answers_of", dead)
    assert root_login.lets_in(Host(), stack(f"account required {ALL}")) is None
    assert root_login.lets_in(Host(), stack(*COMMON)) is True, "nothing to ask"
