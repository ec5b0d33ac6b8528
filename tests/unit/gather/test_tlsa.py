"""TLSA records: which of them are taken from the DNS, and which certificates fit them."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.rdata
import dns.resolver
import pytest

from tests.authority import Authority
from wizard.certificates.dane import fits
from wizard.gather.tlsa import tlsa_records
from wizard.model.step_facts import Tlsa

NAME = "mail.example.test"


def test_those_count_that_mail_servers_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def resolve(name: str, kind: str, **_: Any) -> list[dns.rdata.Rdata]:
        asked.append((name, kind))
        if "smtp" in name:
            raise dns.resolver.NXDOMAIN
        return [dns.rdata.from_text("IN", "TLSA", f"{usage} 1 1 {'ab' * 32}") for usage in (1, 2, 3)]

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    names = (NAME, "smtp.example.test", "*.example.test", "localhost", "", NAME)
    assert tlsa_records(names) == tuple(Tlsa(NAME, usage, 1, 1, b"\xab" * 32) for usage in (2, 3))
    assert asked == [(f"_25._tcp.{NAME}.", "TLSA"), ("_25._tcp.smtp.example.test.", "TLSA")]


@pytest.mark.parametrize(
    "name", ["a" * 64 + ".example.test", "a..b", "\\999.example.test", "é" * 70 + ".test"]
)
def test_no_name_breaks_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Those of a certificate are from outside."""
    monkeypatch.setattr(dns.resolver, "resolve", lambda name, *_, **__: dns.name.from_text(name) and [])
    assert tlsa_records([name]) == ()


def public_key(pem: str) -> bytes:
    asked = ["openssl", "x509", "-noout", "-pubkey"]
    key = subprocess.run(asked, input=pem.encode(), capture_output=True, check=True).stdout.decode()
    return ssl.PEM_cert_to_DER_cert(key.replace("PUBLIC KEY", "CERTIFICATE"))


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize(
    ("matching", "match"),
    [
        (0, bytes),
        (1, lambda der: hashlib.sha256(der).digest()),
        (2, lambda der: hashlib.sha512(der).digest()),
    ],
)
def test_a_record_fits_its_certificate(
    tmp_path: Path, selector: int, matching: int, match: Callable[[bytes], bytes]
) -> None:
    authority = Authority(tmp_path)
    leaf = authority.leaf(NAME).certificate
    chain = (leaf + authority.between).encode()
    select = public_key if selector else ssl.PEM_cert_to_DER_cert
    own, above = match(select(leaf)), match(select(authority.between))

    def fit(usage: int, data: bytes) -> bool:
        return fits(Tlsa(NAME, usage, selector, matching, data), chain)

    assert [fit(3, own), fit(2, above)] == [True, True]
    assert [fit(3, above), fit(2, own), fit(1, own), fit(3, own[:-1])] == [False] * 4
    assert not fits(Tlsa(NAME, 3, selector, matching, own), b"no certificate")
    assert not fits(Tlsa(NAME, 3, 7, matching, own), chain)
