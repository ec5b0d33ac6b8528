"""A server that has had the password says it again, in any spelling: nothing of it is seen anywhere."""

from __future__ import annotations

import base64
import codecs
import json
import quopri
import re
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.smtp.server import PASSWORD, USER, Script, print_of, queue_id, serving
from wizard.debug import converse as by_hand
from wizard.sendmail.cf import Daemon
from wizard.smtp import transcript
from wizard.smtp.connection import Target
from wizard.smtp.login_test import Line, converse
from wizard.smtp.server_trust import Trust
from wizard.smtp.transcript import HIDDEN, Credentials, words
from wizard.troubleshoot.probe_smtp import converse as troubleshoot

_P = PASSWORD.encode()
SPELLINGS: dict[str, list[bytes]] = {
    "plain": [_P],
    "other case": [PASSWORD.swapcase().encode()],
    "reversed": [_P[::-1]],
    "hex": [_P.hex().encode()],
    "HEX": [_P.hex(" ").upper().encode()],
    "base64": [base64.b64encode(_P)],
    "base64 twice": [base64.b64encode(base64.b64encode(_P))],
    "base64 of it reversed": [base64.b64encode(_P[::-1])],
    "base32": [base64.b32encode(_P)],
    "ascii85": [base64.b85encode(_P)],
    "url": ["".join(f"%{byte:02X}" for byte in _P).encode(), urllib.parse.quote(PASSWORD).encode()],
    "quoted-printable": [quopri.encodestring(_P), "".join(f"={byte:02X}" for byte in _P).encode()],
    "rot13": [codecs.encode(PASSWORD, "rot13").encode()],
    "UTF-16": [PASSWORD.encode("utf-16-le"), PASSWORD.encode("utf-16-be")],
    "wide": ["".join(chr(ord(c) + 0xFEE0) for c in PASSWORD).encode()],
    "with dots": [".".join(PASSWORD).encode()],
    "a letter a line": [bytes([byte]) for byte in _P],
    "three letters a line": [_P[at : at + 3] for at in range(0, len(_P), 3)],
    "codes a line": [f"2.{byte}.{byte}".encode() for byte in _P],
    "decimal": [" ".join(str(byte) for byte in _P).encode()],
    "as a queue id": [b"2.0.0 " + _P[:14].replace(b"-", b"0") + b" Message accepted for delivery"],
    "beside known words": [b"2.0.0 " + _P[::-1] + b" Sender ok " + _P],
}


def reply(code: int, lines: list[bytes]) -> bytes:
    """A reply of these lines."""
    *first, last = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    return b"".join(b"%d-%b\r\n" % (code, line) for line in first) + b"%d %b\r\n" % (code, last)


def scripts(lines: list[bytes], certificate: Path) -> Iterator[Script]:
    """A server that says it at each moment after the login, well or ill."""
    for code in (235, 334, 454, 535):
        yield Script(certificate, verdict=reply(code, lines))
    yield Script(certificate, verdict=b"\r\n".join(lines) + b"\r\n")
    yield Script(certificate, verdict=lines[0] * 9000)
    for verb, code in (("MAIL+tls", 250), ("MAIL+tls", 550), ("RCPT", 250), ("RCPT", 553), ("QUIT", 221)):
        said = reply(code, lines)
        yield Script(certificate, replies={verb: said})
    for code in (250, 354, 552):
        yield Script(certificate, replies={".": reply(code, lines)})


def no_trace(shown: str) -> None:
    """Nothing of the password in what an output holds, whatever was said."""
    for form in (f for lines in SPELLINGS.values() for f in (*lines, b"".join(lines)) if len(f) > 5):
        if form.startswith(b"2.0.0"):
            continue
        for text in {form.decode("latin-1"), form.decode(errors="backslashreplace")}:
            assert text.lower() not in shown.lower()
    assert PASSWORD[:6].lower() not in shown.lower()
    assert PASSWORD[::-1][:6].lower() not in shown.lower()


def own_words_alone(lines: list[Line]) -> None:
    """After the password each line of the server is a code, a registered status, and a phrase of ours."""
    at = max(n for n, line in enumerate(lines) if "********" in line.text)
    known = "|".join(map(re.escape, (HIDDEN, *transcript._PHRASES)))
    form = rf"(\d\d\d[ -]?(\d\.\d{{1,2}}\.\d{{1,2}})?( ?{re.escape(queue_id())})? ?({known})?|{re.escape(transcript.NO_SMTP)})"
    for line in lines[at:]:
        if line.who == "server":
            assert re.fullmatch(form, line.text), line.text


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_login_and_a_message(name: str, bare_certificate: Path) -> None:
    lines = SPELLINGS[name]
    for script in scripts(lines, bare_certificate):
        live: list[Line] = []
        with serving(script) as port:
            target = Target(
                "127.0.0.1",
                port,
                timeout=5,
                smtp_port=None,
                send_to="bob@mx.test",
                sender="alice@mx.test",
                trust=Trust(accepted=print_of(bare_certificate)),
            )
            result = converse(target, Credentials(USER, PASSWORD), live.append)
        assert tuple(live) == result.lines
        own_words_alone(live) if any("********" in line.text for line in live) else pytest.fail("no login")
        no_trace(json.dumps(result.to_json(), ensure_ascii=False) + repr(result))


@pytest.mark.parametrize("name", SPELLINGS)
def test_by_hand_and_troubleshoot(name: str, bare_certificate: Path) -> None:
    for script in list(scripts(SPELLINGS[name], bare_certificate))[:4]:
        live: list[Line] = []
        trust = Trust(accepted=print_of(bare_certificate))
        with serving(script) as port:
            target = Target("127.0.0.1", port, timeout=5, trust=trust)
            _, problem = by_hand(target, Credentials(USER, PASSWORD), lambda _: True, live.append)
            daemon = Daemon("MSP", "inet", "", port, "a")
            talk = troubleshoot(daemon, "mx.test", Credentials(USER, PASSWORD), 5, trust)
        own_words_alone(live)
        no_trace(repr(live) + problem)
        assert talk.login is not None
        no_trace(repr(talk))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"235 2.0.0 OK Authenticated", "235 2.0.0 OK Authenticated"),
        (b"535 5.7.0 authentication failed", "535 5.7.0 Authentication failed"),
        (b"535 5.7.8 Error: authentication failed: x", "535 5.7.8 Authentication failed"),
        (b"250 2.1.0 <alice@mx.test>... Sender ok", "250 2.1.0 Sender ok"),
        (b"550 5.7.1 <bob@x.test>... Relaying denied", "550 5.7.1 Relaying denied"),
        (b"250 2.1.5 Ok", "250 2.1.5 Ok"),
        (b"354 Enter mail, end with \".\" on a line by itself", "354 Enter mail, end with \".\" on a line by itself"),
        (b"221 2.0.0 mx.test closing connection", "221 2.0.0 Closing connection"),
        (b"250-", "250-"),
        (b"250", "250"),
        (b"550 5.123.456 no", f"550 {HIDDEN}"),
        (b"550 2.0.0 wrong class", f"550 {HIDDEN}"),
        (b"250 Bookworm", f"250 {HIDDEN}"),
        (b"999 x", transcript.NO_SMTP),
    ],
)  # fmt: skip
def test_known_forms_are_told(raw: bytes, shown: str) -> None:
    assert words(raw, PASSWORD) == shown


NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "password", "found"),
    [
        ("6ASCqSai001060", PASSWORD, True),
        ("6ASCqSai001060", "x5010", True),
        ("6ASCqSai001060", "xx601000xx", False),  # a piece of it, reversed
        ("6ASCqSai001060", "ascq", False),  # the other case
        ("6ASCqSai001060", "060", False),  # all of a short one
        ("6ARCqSai001060", PASSWORD, True),  # yesterday
        ("6APCqSai001060", PASSWORD, False),
        ("5ASCqSai001060", PASSWORD, False),
        ("6ASCqSaiX01060", PASSWORD, False),
    ],
)
def test_queue_ids(said: str, password: str, found: bool) -> None:
    raw = f"250 2.0.0 {said} Message accepted for delivery".encode()
    assert (transcript.queue_id(raw, password, NOW) == said) is found


@given(st.binary(max_size=200), st.text(min_size=8, max_size=20))
def test_nothing_of_a_server_is_shown_but_codes_and_our_phrases(raw: bytes, password: str) -> None:
    for said in (raw, b"250 " + raw, b"550-5.7.1 " + raw):
        shown = words(said, password)
        rest = re.sub(r"^\d\d\d[ -]?(\d\.\d{1,2}\.\d{1,2})? ?", "", shown)
        assert rest in ("", HIDDEN, transcript.NO_SMTP, *transcript._PHRASES)


def test_what_was_said_before_the_password_is_shown(bare_certificate: Path) -> None:
    script = Script(bare_certificate, greeting=b"220 mx.test ESMTP Somebody's own words\r\n")
    with serving(script) as port:
        trust = Trust(accepted=print_of(bare_certificate))
        made = converse(Target("127.0.0.1", port, smtp_port=None, trust=trust), Credentials(USER, PASSWORD))
    assert any("Somebody's own words" in line.text for line in made.lines)
