"""Which files are made out of others, and that they are written after these."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.model.generated_files import derived, in_order, same_but_dated, source_of


@pytest.mark.parametrize(
    ("path", "is_derived"),
    [
        ("etc/mail/sendmail.cf", True),
        ("etc/mail/submit.cf", True),
        ("etc/mail/access.db", True),
        ("etc/mail/databases", True),
        ("etc/mail/Makefile", True),
        ("etc/aliases.db", True),
        ("etc/cron.d/sendmail", True),
        ("etc/mail/sendmail.mc", False),
        ("etc/mail/access", False),
        ("etc/mail/sasl/sasl.m4", False),
        ("etc/mail/own/x.db", False),
        ("etc/default/saslauthd", False),
    ],
)
def test_derived(path: str, is_derived: bool) -> None:
    assert derived(path) is is_derived


def test_sources_come_first_then_the_list_of_databases_then_what_is_made() -> None:
    paths = [
        "etc/mail/sendmail.cf",
        "etc/mail/databases",
        "etc/mail/sendmail.mc",
        "etc/mail",
        "etc/mail/tls/a.m4",
    ]
    assert in_order(paths) == [
        "etc/mail",
        "etc/mail/sendmail.mc",
        "etc/mail/tls/a.m4",
        "etc/mail/databases",
        "etc/mail/sendmail.cf",
    ]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("etc/mail/access.db", "etc/mail/access"),
        ("etc/mail/aliases.db", "etc/aliases"),
        ("etc/mail/sendmail.cf", None),
        ("etc/sasldb.db", None),
    ],
)
def test_source_of(path: str, source: str | None) -> None:
    assert source_of(path) == source


HEADER = b"##### by: root@mail\n##### on: %s\n##### in: /\nNAME:%s\n"
BUILT = b"##### built by root@mail on %s\n##### in /root\nO Timeout=%s\n"


def database(magic: int, order: Literal["little", "big"], number: bytes, records: bytes) -> bytes:
    """Two pages as Berkeley DB lays them out, the first twice as newaliases leaves it."""
    page = bytes(12) + magic.to_bytes(4, order) + bytes(36) + number + records
    return page.ljust(4096, b"\0") * 2


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_a_date_alone_is_no_difference(one: bytes, other: bytes) -> None:
    one, other = (text.replace(b"\n", b"").replace(b"\r", b"") for text in (one, other))
    for form in (HEADER, BUILT):
        assert same_but_dated(form % (one, b"x"), form % (other, b"x"))
        assert same_but_dated(form % (b"now", one), form % (b"then", other)) is (one == other)


@given(
    st.sampled_from((0x061561, 0x053162)),
    st.sampled_from(("little", "big")),
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=20, max_size=20),
)
def test_a_map_is_the_same_whatever_its_number(
    magic: int, order: Literal["little", "big"], one: bytes, other: bytes
) -> None:
    made = database(magic, order, one, b"REJECT")
    assert same_but_dated(made, database(magic, order, other, b"REJECT"))
    assert not same_but_dated(made, database(magic, order, other, b"RELAYS"))


def test_a_text_that_only_looks_alike_is_another_one() -> None:
    assert not same_but_dated(b"x" * 52 + b"a" * 20, b"x" * 52 + b"b" * 20)
