"""Which Sendmail.conf libsasl2 reads, and what is installed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.model.facts import SASL_CONF, SASL_LINK
from wizard.sendmail.sasl_files import conf_place, plugins, users
from wizard.system.host import Host


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Debian's file, with its link."""
    for path in (SASL_CONF, SASL_LINK):
        (tmp_path / path.lstrip("/")).parent.mkdir(parents=True)
    (tmp_path / SASL_CONF.lstrip("/")).write_text("pwcheck_method: saslauthd\n")
    (tmp_path / SASL_LINK.lstrip("/")).symlink_to(SASL_CONF)
    return tmp_path


def put(root: Path, path: str, mode: int = 0o644) -> str:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("x: y\n")
    (root / path).chmod(mode)
    return f"/{path}"


def test_debians_link_is_followed(root: Path) -> None:
    assert conf_place(Host(root)) == (SASL_LINK, SASL_CONF)
    (root / SASL_CONF.lstrip("/")).unlink()
    assert conf_place(Host(root)) == (SASL_LINK, None)


def test_relative_links_and_circles(root: Path) -> None:
    link = root / SASL_LINK.lstrip("/")
    link.unlink()
    link.symlink_to("../../../etc/mail/sasl/Sendmail.conf.2")
    assert conf_place(Host(root)) == (SASL_LINK, SASL_CONF)
    link.unlink()
    link.symlink_to(SASL_LINK)
    assert conf_place(Host(root)) == (SASL_LINK, None)


def test_etc_sasl2_is_looked_into_first(root: Path) -> None:
    multiarch = put(root, "usr/lib/x86_64-linux-gnu/sasl2/Sendmail.conf")
    assert conf_place(Host(root)) == (multiarch, multiarch)
    second = put(root, "etc/sasl/Sendmail.conf")
    assert conf_place(Host(root)) == (second, second)
    first = put(root, "etc/sasl2/Sendmail.conf")
    assert conf_place(Host(root)) == (first, first)
    put(root, "etc/sasl2/Sendmail.conf", 0o646)  # everybody may write it: sendmail passes it over
    assert conf_place(Host(root)) == (second, second)
    (root / "etc/sasl").chmod(0o777)
    assert conf_place(Host(root)) == (multiarch, multiarch)


def test_plugins_are_named_by_their_libraries(root: Path) -> None:
    for name in ("libplain.so", "libplain.so.2.0.25", "liblogin.so.2", "berkeley_db.txt"):
        put(root, f"usr/lib/x86_64-linux-gnu/sasl2/{name}")
    assert plugins(Host(root)) == {"libplain", "liblogin"}


def test_without_a_sasldb_there_is_nobody(root: Path) -> None:
    assert users(Host(root), None) == ()
    assert users(Host(root), "sasldb_path: /elsewhere\n") == ()
