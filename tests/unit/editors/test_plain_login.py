"""sendmail.cf for a login without TLS: exactly the lines that must change, for every form of a listener."""

from __future__ import annotations

import pytest

from wizard.sendmail.cf import daemons, option, plain_login

CF = """# SMTP daemon options

O DaemonPortOptions=Family=inet,  Name=MTA-v4, Port=smtp, M=A
O DaemonPortOptions=Family=inet,  Name=MSP-v4, Port=submission, M=Ea

#O AuthOptions=A
O AuthOptions=p y
O AuthMaxBits=0
"""


def changed(cf: str, *, loopback: bool) -> list[tuple[str, str]]:
    pairs = zip(cf.split("\n"), plain_login(cf, 587, loopback=loopback).split("\n"), strict=True)
    return [(old, new) for old, new in pairs if old != new]


def test_as_the_howto_does_only_auth_options_goes() -> None:
    assert changed(CF, loopback=False) == [("O AuthOptions=p y", "## O AuthOptions=p y")]
    assert option(plain_login(CF, 587, loopback=False), "AuthOptions") is None


def test_on_loopback_the_port_leaves_the_network_and_comes_back_as_one_listener() -> None:
    new = plain_login(CF, 587, loopback=True)
    assert [(item.port, item.address, item.modifiers) for item in daemons(new)] == [
        (25, "", "A"),
        (587, "127.0.0.1", "Ea"),
    ]
    assert len(changed(CF, loopback=True)) == 2


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("Name=M, Port=587, Addr=192.0.2.1, M=a", "Name=M, Port=587, Addr=192.0.2.1, M=a, Addr=127.0.0.1"),
        ("Family=inet6, Name=M, Port=587, M=a", "Family=inet6, Name=M, Port=587, M=a, Addr=::1"),
        ("Name=M, Port=587, Addr=127.0.0.1, M=a", "Name=M, Port=587, Addr=127.0.0.1, M=a"),
        ("Name=M, Port=smtp", "Name=M, Port=smtp, M=A"),
        ("Name=M, Port=2525, M=Ea", "Name=M, Port=2525, M=Ea, M=EA"),
        ("Name=M, Port=465, M=Eas", "Name=M, Port=465, M=Eas"),
        ("Name=M, Port=2525, Addr=127.0.0.1", "Name=M, Port=2525, Addr=127.0.0.1"),
        ("Family=local, Name=M, Addr=/run/x", "Family=local, Name=M, Addr=/run/x, M=A"),
    ],
)
def test_no_listener_offers_auth_in_clear_to_the_network(line: str, new: str) -> None:
    cf = f"O DaemonPortOptions={line}\nO AuthOptions=p\n"
    assert plain_login(cf, 587, loopback=True) == f"O DaemonPortOptions={new}\n## O AuthOptions=p\n"


def test_two_addresses_of_one_family_become_one_listener() -> None:
    cf = "O DaemonPortOptions=Port=587, Addr=192.0.2.1\nO DaemonPortOptions=Port=587, Addr=192.0.2.2\n"
    new = plain_login(cf, 587, loopback=True)
    assert [item.address for item in daemons(new)] == ["127.0.0.1"]
    assert "## O DaemonPortOptions=Port=587, Addr=192.0.2.2" in new
