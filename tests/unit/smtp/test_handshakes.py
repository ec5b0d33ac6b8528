"""Kinds of TLS, tried with a server that has the settings of each: real sockets, real OpenSSL on both ends."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.smtp.server import Script, serving
from wizard.sendmail.cf import Daemon
from wizard.smtp.handshakes import (
    ANONYMOUS,
    KINDS,
    RENEGOTIATION,
    RSA,
    SMALL_DH,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    Handshake,
    Kind,
    handshakes,
    weak,
)
from wizard.system.host import Host

ALLOW_CLIENT_RENEGOTIATION = 0x100
"""SSL_OP_ALLOW_CLIENT_RENEGOTIATION, for which Python has no name."""
QUICK = tuple(kind for kind in KINDS if kind is not RENEGOTIATION)


def tried(script: Script, *kinds: Kind) -> dict[Kind, Handshake]:
    with serving(script) as port:
        modifiers = "as" if script.implicit_tls else "a"
        made = handshakes(Host(), Daemon("X", "inet", "127.0.0.1", port, modifiers), "mx.test", kinds)
    return {each.kind: each for each in made}


def taken(certificate: Path, prepare: Callable[[ssl.SSLContext], None], *kinds: Kind) -> set[Kind]:
    made = tried(Script(certificate, prepare=prepare), *(kinds or QUICK))
    assert [each for each in made.values() if each.taken is None] == []
    return {kind for kind, each in made.items() if each.taken}


def old(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1


def test_a_server_of_today_takes_rsa_key_exchange_too(bare_certificate: Path) -> None:
    found = taken(bare_certificate, lambda context: context.set_ciphers("DEFAULT"))
    assert found == {TLS13, TLS12, RSA}


def test_as_recommended_it_takes_the_strong_kinds_alone(bare_certificate: Path) -> None:
    found = taken(bare_certificate, lambda context: context.set_ciphers("DEFAULT:!kRSA:!aNULL"))
    assert found == {TLS13, TLS12}
    assert not weak(tried(Script(bare_certificate), TLS13, TLS12).values())


def test_one_that_lets_in_what_is_old_takes_all(bare_certificate: Path) -> None:
    assert taken(bare_certificate, old) == {TLS13, TLS12, TLS10, TLS11, RSA, ANONYMOUS}


@pytest.mark.parametrize(("bits", "small"), [("1024", True), ("2048", False)])
def test_a_small_group_is_known_by_its_size(
    bare_certificate: Path, tmp_path: Path, bits: str, small: bool
) -> None:
    path = tmp_path / "dh"
    subprocess.run(["openssl", "dhparam", "-dsaparam", "-out", path, bits], check=True, capture_output=True)

    def prepare(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_dh_params(str(path))

    assert (taken(bare_certificate, prepare, SMALL_DH) == {SMALL_DH}) is small


@pytest.mark.parametrize("implicit_tls", [False, True])
@pytest.mark.parametrize("allowed", [False, True])
def test_renegotiation_is_tried_by_a_client_that_can(
    bare_certificate: Path, allowed: bool, implicit_tls: bool
) -> None:
    def prepare(context: ssl.SSLContext) -> None:
        context.options &= ~ssl.OP_NO_RENEGOTIATION
        context.options |= ALLOW_CLIENT_RENEGOTIATION if allowed else ssl.OP_NO_RENEGOTIATION

    script = Script(bare_certificate, implicit_tls=implicit_tls, prepare=prepare)
    assert tried(script, RENEGOTIATION)[RENEGOTIATION].taken is allowed


def test_without_tls_1_2_nobody_can_ask_for_renegotiation(bare_certificate: Path) -> None:
    def prepare(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3

    made = tried(Script(bare_certificate, prepare=prepare), TLS13, TLS12, RSA, RENEGOTIATION)
    assert {kind: each.taken for kind, each in made.items()} == {
        TLS13: True,
        TLS12: False,
        RSA: False,
        RENEGOTIATION: False,
    }


def test_with_tls_from_the_first_byte(bare_certificate: Path) -> None:
    made = tried(Script(bare_certificate, implicit_tls=True), TLS13, TLS10)
    assert {kind: each.taken for kind, each in made.items()} == {TLS13: True, TLS10: False}


@pytest.mark.parametrize(
    ("script", "result", "begun", "words"),
    [
        (Script(greeting=b"421 4.3.2 Connection rate limit exceeded.\r\n"), None, False, "421 4.3.2"),
        (Script(greeting=None), None, False, "closed the connection"),
        (Script(starttls=b"454 4.3.3 TLS currently not available\r\n"), False, True, "454 4.3.3"),
        (Script(offers_starttls=False), False, True, "STARTTLS is not offered"),
        (Script(break_handshake=True), False, True, ""),
    ],
)
def test_a_server_that_limits_connections_is_told_from_one_without_tls(
    script: Script, result: bool | None, begun: bool, words: str
) -> None:
    made = tried(script, TLS13)[TLS13]
    assert (made.taken, made.begun) == (result, begun)
    assert words in made.says


def test_nobody_there_is_no_answer_either() -> None:
    (made,) = handshakes(Host(), Daemon("X", "inet", "127.0.0.1", 9, "a"), "mx.test", (TLS13,))
    assert (made.taken, made.begun) == (None, False)
