"""PEM files: what is in them, and the clear word for what is not. No error has a part of the file in it."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authority import Authority
from wizard.certificates import (
    as_pem,
    certificates,
    chain_error,
    dh_bits,
    fingerprint_lines,
    in_words,
    key_words,
    private_key,
    self_issued,
)
from wizard.errors import PemError


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def test_a_chain_and_its_order(authority: Authority) -> None:
    leaf = authority.leaf()
    ders = certificates((leaf.certificate + "words between\n" + authority.between + authority.root).encode())
    assert [ssl.DER_cert_to_PEM_cert(der) for der in ders] == [
        leaf.certificate,
        authority.between,
        authority.root,
    ]
    assert as_pem(ders).decode() == leaf.certificate + authority.between + authority.root
    assert chain_error(ders) is None
    assert [self_issued(der) for der in ders] == [False, False, True]
    wrong = chain_error([ders[0], ders[2], ders[1]])
    assert wrong is not None
    assert "In Between" in wrong
    assert "Root" in wrong
    assert certificates(as_pem(ders).replace(b"\n", b"\r\n")) == ders


@pytest.mark.parametrize("rsa", [True, False])
def test_one_key_alone(authority: Authority, rsa: bool) -> None:
    leaf = authority.leaf(rsa=rsa)
    both = f"{leaf.certificate}{leaf.key}".encode()
    assert private_key(both).decode() == leaf.key
    assert key_words(both) == ("RSA 2048" if rsa else "EC secp256r1")
    with pytest.raises(PemError, match="2 private keys"):
        private_key(both + leaf.key.encode())
    with pytest.raises(PemError, match="encrypted") as caught:
        private_key(authority.encrypted(leaf.key).encode())
    assert not any(line in str(caught.value) for line in leaf.key_lines)
    with pytest.raises(PemError, match="no certificate"):
        certificates(leaf.key.encode())
    with pytest.raises(PemError, match="no private key"):
        private_key(leaf.certificate.encode())


def test_keys_of_the_old_kinds() -> None:
    assert key_words(openssl("genrsa", "-traditional", "2048")) == "RSA 2048"
    assert key_words(openssl("ecparam", "-name", "secp384r1", "-genkey")) == "EC secp384r1"
    assert key_words(openssl("genpkey", "-algorithm", "ed25519")) == "Ed25519"
    old = openssl("genrsa", "-traditional", "-aes128", "-passout", "pass:secret", "2048")
    with pytest.raises(PemError, match="encrypted"):
        private_key(old)
    assert key_words(old) == ""


def test_dh_parameters_of_both_kinds(tmp_path: Path) -> None:
    openssl(
        "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", str(tmp_path / "a")
    )
    assert dh_bits((tmp_path / "a").read_bytes()) == 2048
    x942 = openssl("genpkey", "-genparam", "-algorithm", "DHX", "-pkeyopt", "dh_rfc5114:3")
    assert b"X9.42" in x942
    assert dh_bits(b"-----BEGIN DSA PARAMETERS-----\nAAAA\n-----END DSA PARAMETERS-----\n" + x942) == 2048
    assert dh_bits(b"nothing") is None
    assert dh_bits(b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n") is None


@given(
    st.binary(max_size=400),
    st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "EC PRIVATE KEY", "DH PARAMETERS"]),
)
def test_garbage_is_an_error_of_ours(body: bytes, kind: str) -> None:
    text = b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (kind.encode(), body, kind.encode())
    for read in (certificates, private_key):
        with contextlib.suppress(PemError):
            read(text)
    assert isinstance(key_words(text), str)
    dh_bits(text)


def test_a_fingerprint_is_broken_between_its_bytes_and_fits_into_80_columns(authority: Authority) -> None:
    first, second = fingerprint_lines("d39e" * 16)
    assert first == "D3:9E:" * 8
    assert second == ("D3:9E:" * 8).removesuffix(":")
    lines = in_words(authority.leaf().certificate.encode()).decode().splitlines()
    assert max(map(len, lines[-3:])) + len("    +") < 80
