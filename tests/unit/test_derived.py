"""Which files are made out of others, and that they are written after these."""

from __future__ import annotations

import pytest

from wizard.derived import derived, in_order


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
