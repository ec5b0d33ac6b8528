"""What is said of the policy on logins: whom it refuses, who had the right password, and root where nothing refuses it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.troubleshoot.pictures import ALICE, picture
from wizard.editors.pam_service import Policy
from wizard.gather.pam import Pam, PamLine
from wizard.maillog.read import LOG, LogLine
from wizard.model import facts as f
from wizard.model.plan import Sign
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
        "journal, saslauthd",
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
        {"pam": STACK},
        {"pam": Pam(f.PAM_SMTP, (line("auth required pam_securetty.so"), UNIX))},
        {"pam": Pam(f.PAM_SMTP, (line("account required pam_listfile.so item=user", "account"), UNIX))},
        {"pam": Pam(f.PAM_SMTP, (line("auth required pam_ldap.so"),))},
        {"pam": Pam(f.PAM_SMTP, (UNIX,), (("broken", "x", "y"),))},
        {"facts": {"files": {f.SENDMAIL_CF: None}}},
    ],
)
def test_root_is_no_warning_where_something_may_refuse_it(changes: dict[str, Any]) -> None:
    assert judge(picture(**({"root_password": True} | changes))).fault("root-login") is None
