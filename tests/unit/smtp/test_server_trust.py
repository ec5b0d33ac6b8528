"""Whom a password may go to: by the trust store, by this host's own file, by an accepted fingerprint, by an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.smtp.server import PASSWORD, USER, Script, print_of, serving
from wizard.certificates import Certificate
from wizard.smtp.login_test import Credentials, Layer, Result, Target, converse
from wizard.smtp.server_trust import Trust, fingerprint, question, trust_of
from wizard.system.host import Host

PRINT = "0123456789abcdef" * 4
COLONS = ":".join(PRINT[at : at + 2] for at in range(0, 64, 2))
FILE = "/etc/mail/tls/sendmail-server.crt"


@pytest.mark.parametrize("text", [PRINT, PRINT.upper(), COLONS, COLONS.upper(), f" {COLONS}\n"])
def test_fingerprints(text: str) -> None:
    assert fingerprint(text) == PRINT


@pytest.mark.parametrize(
    "text", ["", "x", PRINT[:-1], PRINT + "0", COLONS[:-1], PRINT[:-1] + "g", f"{PRINT[:2]}:{PRINT[2:]}", "٣" * 64, "sha256:" + PRINT]
)  # fmt: skip
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        fingerprint(text)


OWN = frozenset({"192.0.2.1", "2001:db8::1"})


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("192.0.2.1", True),
        ("::ffff:192.0.2.1", True),
        ("2001:db8:0::1", True),
        ("192.0.2.2", False),
        ("fe80::1%eth0", False),
    ],
)
def test_which_addresses_are_this_host(address: str, own: bool) -> None:
    assert Trust(own_addresses=OWN).is_own(address) is own


def test_each_kind_of_trust() -> None:
    pinned = Trust(own_addresses=OWN, file=FILE, pins=frozenset({PRINT}))
    assert pinned.objection("192.0.2.1", PRINT, "self-signed") == ""
    assert FILE in pinned.objection("192.0.2.1", "f" * 64, "")
    assert pinned.objection("192.0.2.9", PRINT, "self-signed") == "self-signed", "another host shows a copy"
    assert pinned.objection("192.0.2.9", PRINT, "") == ""
    alone = Trust(own_addresses=OWN, file=FILE, pins=frozenset({PRINT}), store_alone=True)
    assert alone.objection("127.0.0.1", PRINT, "self-signed") == "self-signed"
    accepted = Trust(own_addresses=OWN, file=FILE, pins=frozenset({"a" * 64}), accepted=PRINT)
    assert accepted.objection("192.0.2.9", PRINT, "self-signed") == ""
    assert accepted.objection("127.0.0.1", PRINT, "self-signed") == ""
    assert accepted.objection("192.0.2.9", "f" * 64, "self-signed") == "self-signed"
    assert Trust().objection("192.0.2.9", "", "x") == "x", "no TLS, no accepted fingerprint"


def _host(root: Path, cf: str, files: dict[str, bytes]) -> Host:
    for path, content in {"/etc/mail/sendmail.cf": cf.encode(), **files}.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).write_bytes(content)
    return Host(root)


def test_the_file_that_sendmail_cf_names(
    tmp_path: Path, bare_certificate: Path, named_certificate: Path
) -> None:
    one, two = bare_certificate.read_bytes(), named_certificate.read_bytes()
    host = _host(
        tmp_path, f"O ServerCertFile={FILE},/etc/mail/tls/ec.crt\n", {FILE: one, "/etc/mail/tls/ec.crt": two}
    )
    made = trust_of(host)
    assert made.pins == {print_of(bare_certificate), print_of(named_certificate)}


@pytest.mark.parametrize(
    ("cf", "content", "says"),
    [(f"O ServerCertFile={FILE}\n", None, FILE), (f"O ServerCertFile={FILE}\n", b"junk", "no certificate"), ("", b"", "")],
)  # fmt: skip
def test_a_file_that_cannot_be_compared_pins_nothing(
    tmp_path: Path, cf: str, content: bytes | None, says: str
) -> None:
    made = trust_of(_host(tmp_path, cf, {FILE: content} if content is not None else {}))
    assert not made.pins
    assert says in made.problem
    assert made.objection("127.0.0.1", PRINT, "self-signed").startswith("self-signed")


Asked = list[tuple[Certificate, str]]


def asked_of(answer: bool, asked: Asked) -> Callable[[Certificate, str], bool]:
    def ask(seen: Certificate, why: str) -> bool:
        asked.append((seen, why))
        return answer

    return ask


def tried(script: Script, trust: Trust, **more: Any) -> Result:
    with serving(script) as port:
        target = Target("127.0.0.1", port, timeout=5, smtp_port=None, trust=trust, **more)
        return converse(target, Credentials(USER, PASSWORD))


def had_it(script: Script) -> bool:
    return any(said.startswith("AUTH") for said in script.said)


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("pins", [frozenset[str](), frozenset({"0" * 64})])
def test_the_admin_is_asked_with_all_that_is_known(
    bare_certificate: Path, answer: bool, pins: frozenset[str]
) -> None:
    asked: Asked = []
    script = Script(bare_certificate)
    made = tried(script, Trust(file=FILE, pins=pins, ask=asked_of(answer, asked)))
    assert (made.ok, had_it(script)) == (answer, answer)
    ((seen, why),) = asked
    words = question(seen, why)
    digits = print_of(bare_certificate).upper()
    pairs = ":".join(digits[at : at + 2] for at in range(0, 64, 2))
    for part in (pairs[:47], pairs[48:], "mx.test", f"{seen.not_after:%Y-%m-%d}"):
        assert part in words
    assert ("systemctl restart sendmail" if pins else "self-signed") in words
    if not answer:
        assert made.layer is Layer.CERTIFICATE
        assert "no password was sent" in made.verdict
        assert json.loads(json.dumps(made.to_json()))["layer"] == "certificate"


def test_nobody_is_asked_where_it_is_trusted(bare_certificate: Path) -> None:
    asked: Asked = []
    own = Trust(pins=frozenset({print_of(bare_certificate)}), ask=asked_of(False, asked))
    assert tried(Script(bare_certificate), own).ok
    assert asked == []


def test_a_certificate_that_changes_between_the_connections_gets_nothing(
    issued_certificate: tuple[Path, Path], bare_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first connection shows a good one, the one with the login another."""
    monkeypatch.setenv("SSL_CERT_FILE", str(issued_certificate[1]))
    script = Script(issued_certificate[0])

    def swap(_: str) -> bytes:
        script.certificate = bare_certificate
        return b"221 bye\r\n"

    script.replies["QUIT"] = swap
    made = tried(script, Trust())
    assert (made.ok, made.layer, had_it(script)) == (False, Layer.CERTIFICATE, False)


@pytest.mark.parametrize(
    "trust", [Trust(), Trust(pins=frozenset({"0" * 64}), file=FILE), Trust(accepted="0" * 64)]
)
def test_stripped_starttls_gets_no_password(bare_certificate: Path, trust: Trust) -> None:
    for script in (
        Script(bare_certificate, offers_starttls=False, clear_auth="LOGIN PLAIN"),
        Script(bare_certificate, starttls=b"502 no\r\n", clear_auth="LOGIN PLAIN"),
        Script(bare_certificate, break_handshake=True, clear_auth="LOGIN PLAIN"),
    ):
        made = tried(script, trust)
        assert (made.ok, had_it(script)) == (False, False)


def test_starttls_that_is_stripped_after_the_checks_gets_no_password(bare_certificate: Path) -> None:
    script = Script(bare_certificate, clear_auth="LOGIN PLAIN")

    def hello(_: str) -> bytes:
        starttls = b"250-STARTTLS\r\n" if script.connections == 1 else b""
        return b"250-mx.test\r\n250-AUTH LOGIN PLAIN\r\n" + starttls + b"250 HELP\r\n"

    script.replies["EHLO"] = hello
    made = tried(script, Trust(accepted=print_of(bare_certificate)))
    assert script.connections == 2
    assert (made.layer, had_it(script)) == (Layer.STARTTLS, False)


def test_a_known_authority_counts_for_the_name_alone(
    issued_certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issued_certificate[1]))
    script = Script(issued_certificate[0])
    made = tried(script, Trust(), server_name="mail.example.org")
    assert (made.layer, had_it(script)) == (Layer.CERTIFICATE, False)
    assert "not for mail.example.org" in made.verdict
    assert tried(Script(issued_certificate[0]), Trust()).ok
