"""Reading a sendmail.cf."""

from __future__ import annotations

import pytest

from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import Daemon

CF = """\
##### built by root on a Monday
O DaemonPortOptions=Family=inet,  Name=MTA-v4, Port=smtp, M=A
O DaemonPortOptions=Name=MSP-v6, family=inet6, Port=submission, Modifiers=aE
#O AuthOptions=nothing
O AuthOptions=p y
Dj$w.Foo
"""


def test_options_and_listeners() -> None:
    assert sendmail_cf.option(CF, "AuthOptions") == "p y"
    assert sendmail_cf.option(CF, "Nothing") is None
    assert sendmail_cf.daemons(CF) == (
        Daemon("MTA-v4", "inet", "", 25, "A"),
        Daemon("MSP-v6", "inet6", "", 587, "Ea"),
    )


def one(value: str) -> Daemon:
    return sendmail_cf.daemons(f"O DaemonPortOptions={value}\n")[0]


@pytest.mark.parametrize(
    ("value", "port"),
    [
        ("Port=smtp", 25),
        ("Port=465", 465),
        ("Port=submission", 587),
        ("Name=x", 25),
        ("Port=smtps", 465),
        ("Port=nonsense", 0),
    ],
)
def test_ports(value: str, port: int) -> None:
    assert one(value).port == port


def test_where_a_listener_answers() -> None:
    assert one("Family=inet").reachable_at == "127.0.0.1"
    assert one("Family=inet6, Addr=::").reachable_at == "127.0.0.1"
    assert one("Family=inet, Addr=192.0.2.1").reachable_at == "192.0.2.1"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("DEAMON_OPTIONS(`Port=587')", True),
        ("define(`confX', 1)", True),
        ("dnl left over", True),
        ("R$* $: $(dequote $1 $)", False),
        ("Kaccess hash /etc/mail/access", False),
        ("C{TrustAuthMech}LOGIN", False),
    ],
)
def test_unexpanded_macros(line: str, found: bool) -> None:
    assert bool(sendmail_cf.unexpanded(CF + line + "\n")) is found


def test_comments_and_dates_make_no_difference() -> None:
    assert sendmail_cf.same(CF, CF.replace("Monday", "Friday") + "### the .mc ###\n# dnl\n")
    assert not sendmail_cf.same(CF, CF.replace("p y", "y"))


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        ("p y", "py"),
        ("p,y", "py"),
        ("p, y", "p"),
        ("py", "p"),
        ("Apy", "A"),
        ("A  p y", "Ay"),
        ("", ""),
        ("A p\ty", "Apy"),
    ],
)
def test_auth_flags_as_sendmail_takes_them(value: str, flags: str) -> None:
    """One letter, then behind the next separator; two separators in a row eat the letter that follows."""
    assert "".join(sendmail_cf.auth_flags(value)) == flags


def test_a_list_that_only_grows_loses_nothing() -> None:
    new = "C{TrustAuthMech}DIGEST-MD5 LOGIN\nC{TrustAuthMech}EXTERNAL\nO AuthMechanisms=LOGIN PLAIN\n"
    assert sendmail_cf.grown("C{TrustAuthMech}DIGEST-MD5 EXTERNAL", new)
    assert sendmail_cf.grown("O AuthMechanisms=PLAIN", new)
    assert not sendmail_cf.grown("C{TrustAuthMech}GSSAPI LOGIN", new)
    assert not sendmail_cf.grown("O AuthOptions=p", new)
    assert not sendmail_cf.grown("C{Other}LOGIN", new)
