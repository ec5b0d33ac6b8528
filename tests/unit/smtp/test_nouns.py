"""Credentials, targets, cleaning, masking, names of certificates."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.certificates import covers
from wizard.model.mail_address import mailbox
from wizard.smtp.login_test import Credentials, Target, converse
from wizard.smtp.session import message
from wizard.smtp.transcript import Mask, Transcript, default_sender

PASSWORDS = st.text(string.ascii_letters + string.digits + "+/-é", min_size=8, max_size=30)


def test_credentials_never_show_the_password() -> None:
    login = Credentials("alice", "Sesame-OpenUp-77")
    assert "Sesame" not in f"{login} {login!r}"


@pytest.mark.parametrize("bad", ["", "a\0b", "line\n", "\x1b[2J", "\x85", "x" * 1001, "\udc80ff"])
@pytest.mark.parametrize("field", ["user", "password"])
def test_impossible_credentials_are_refused_unshown(bad: str, field: str) -> None:
    with pytest.raises(ValueError, match=r"user name|password") as caught:
        Credentials(**{"user": "alice", "password": "Sesame-OpenUp-77", field: bad})
    assert "Sesame" not in str(caught.value)
    assert len(bad) < 2 or bad not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"host": "a b"},
        {"host": "mx.test\r\nQUIT"},
        {"host": "a..b"},
        {"host": "-x"},
        {"port": 0},
        {"port": 65536},
        {"smtp_port": 0},
        {"mechanism": "CRAM-MD5"},
        {"family": "ipx"},
        {"timeout": 0},
        {"deadline": -1},
        {"timeout": float("nan")},
        {"send_to": "bob"},
        {"send_to": "bob@mx.test>\r\nDATA"},
        {"send_to": "a b@mx.test"},
        {"send_to": "bøb@mx.test"},
        {"sender": "<a@b>"},
        {"sender": "a@" + "b" * 300},
        {"send_to": "bob@mx.test\n"},
        {"host": "mx.test\n"},
    ],
)
def test_impossible_targets_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        Target(**{"host": "mx.test", **wrong})  # type: ignore[arg-type]


def test_hosts_are_normalised() -> None:
    assert Target("[::1]").host == "::1"
    assert Target("mx.test.").host == "mx.test"
    assert Target("bücher.example").host == "xn--bcher-kva.example"
    assert Target("fe80::1%lo").host == "fe80::1%lo"


def test_message_without_login_or_mailbox_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="login"):
        converse(Target("127.0.0.1", 1, send_to="b@mx.test"), None)
    with pytest.raises(ValueError, match="user@domain"):
        converse(Target("127.0.0.1", 1, send_to="b@mx.test"), Credentials("a b", "x"))


@pytest.mark.parametrize(
    ("host", "address"),
    [("mx.test", "a@mx.test"), ("::1", "a@[IPv6:::1]"), ("192.0.2.1", "a@[192.0.2.1]")],
)
def test_default_sender(host: str, address: str) -> None:
    assert mailbox(default_sender("a", host)) == address
    assert default_sender("a@b.test", host) == "a@b.test"


def test_message_lines_hold_no_line_ends() -> None:
    assert not any("\n" in line or "\r" in line for line in message("a@mx.test", "b@mx.test"))


@given(PASSWORDS, st.binary(max_size=40), st.binary(max_size=40))
def test_mask_finds_the_password_in_any_base64(password: str, before: bytes, after: bytes) -> None:
    masked = Mask(Credentials("alice", password))
    token = base64.b64encode(before + password.encode() + after)
    assert token not in masked(b"334 " + token)
    assert password.encode() not in masked(before + b" " + password.encode() + b" " + after)


@given(PASSWORDS, st.integers(1, 29))
def test_mask_takes_half_a_password_at_a_cut(password: str, kept: int) -> None:
    half = password.encode()[:kept]
    said = Mask(Credentials("alice", password))(b"550 " + half, cut=True)
    assert said in (b"550 ", b"550 ********") or not said.endswith(half)


@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_mask_finds_a_short_password_inside_a_token(before: str) -> None:
    token = base64.b64encode(f"{before}abcdyz12".encode())
    assert Mask(Credentials("alice", "abcd"))(b"334 " + token) == b"334 ********"


def test_without_credentials_nothing_is_masked() -> None:
    assert Transcript(None, None).shown("250 AUTH UGFzc3dvcmQ6") == "250 AUTH UGFzc3dvcmQ6"


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (("mx.test",), "MX.test.", True),
        (("*.test",), "mx.test", True),
        (("*.test",), "a.mx.test", False),
        (("*.test",), "test", False),
        (("*",), "test", False),
        (("192.0.2.1",), "192.0.2.1", True),
        (("*.0.2.1",), "192.0.2.1", False),
        (("::1",), "0:0:0:0:0:0:0:1", True),
        ((), "mx.test", False),
    ],
)
def test_covers(names: tuple[str, ...], host: str, good: bool) -> None:
    assert covers(names, host) is good
