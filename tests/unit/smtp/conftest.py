"""Certificates for the scripted server, made once by the real openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def _self_signed(folder: Path, name: str, *more: str) -> Path:
    _openssl(
        folder,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=mx.test",
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.crt",
        *more,
    )
    whole = folder / f"{name}.pem"
    whole.write_bytes((folder / f"{name}.key").read_bytes() + (folder / f"{name}.crt").read_bytes())
    return whole


@pytest.fixture(scope="session")
def bare_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed, a common name and no subjectAltName: what Debian's update_tls makes."""
    return _self_signed(tmp_path_factory.mktemp("bare"), "bare")


@pytest.fixture(scope="session")
def named_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed, for mx.test, localhost, 127.0.0.1 and ::1."""
    names = "subjectAltName=DNS:mx.test,DNS:localhost,IP:127.0.0.1,IP:::1"
    return _self_signed(tmp_path_factory.mktemp("named"), "named", "-addext", names)


def _issued(folder: Path, name: str, names: str) -> tuple[Path, Path]:
    _self_signed(folder, "ca", "-addext", "basicConstraints=critical,CA:true")
    _openssl(
        folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", f"/CN={name}", "-keyout", "leaf.key", "-out", "leaf.csr",
    )  # fmt: skip
    (folder / "extensions").write_text(names)
    _openssl(
        folder, "x509", "-req", "-in", "leaf.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "30",
        "-CAcreateserial", "-extfile", "extensions", "-out", "leaf.crt",
    )  # fmt: skip
    whole = folder / "leaf.pem"
    whole.write_bytes((folder / "leaf.key").read_bytes() + (folder / "leaf.crt").read_bytes())
    return whole, folder / "ca.crt"


@pytest.fixture(scope="session")
def issued_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(certificate with its key, the authority that issued it), for 127.0.0.1."""
    names = "subjectAltName=IP:127.0.0.1,DNS:*.issued.test\n"
    return _issued(tmp_path_factory.mktemp("issued"), "issued.test", names)


@pytest.fixture(scope="session")
def nameless_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same for localhost by its common name alone, without subjectAltName."""
    return _issued(tmp_path_factory.mktemp("nameless"), "localhost", "basicConstraints=CA:false\n")
