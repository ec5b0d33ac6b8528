"""Who checks a password on a host, and what follows from it for the steps."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.unit.steps.recorded import NOW, file, machine
from wizard.editors.pam_service import Policy, set_policy
from wizard.model import facts as f
from wizard.model.answers import Answers, Auth, answers_from
from wizard.model.facts import Facts, Process
from wizard.model.plan import Outcome
from wizard.render.files import as_toml
from wizard.sendmail.password_source import (
    PAM,
    PasswordSource,
    as_here,
    ends,
    mechanisms,
    of_host,
    to_be_offered,
    wanted,
)
from wizard.steps.order import step

CF = "O AuthMechanisms=EXTERNAL DIGEST-MD5 CRAM-MD5 LOGIN PLAIN\nC{TrustAuthMech}CRAM-MD5 LOGIN PLAIN\n"
HOWTO = Answers()
BOB = ("bob@mail.example.test",)
DEBIAN = "EXTERNAL DIGEST-MD5 CRAM-MD5 LOGIN PLAIN"
EXPLICIT = Answers(auth=Auth("pam"))


def host(
    conf: str | None = None, default: str | None = None, *, serves: bool = True, **more: object
) -> Facts:
    """A Debian 13 with these texts in Sendmail.conf and /etc/default/saslauthd."""
    files = {f.SENDMAIL_CF: file(CF if serves else "")}
    if conf is not None:
        files[f.SASL_CONF] = file(conf)
    if default is not None:
        files[f.SASLAUTHD_DEFAULT] = file(default)
    return machine("13", files=files, **more)


def running(*argv: str) -> tuple[Process, ...]:
    return (Process(7, "saslauthd", ("/usr/sbin/saslauthd", *argv), NOW),)


def auxprop(more: str = "") -> str:
    return f"pwcheck_method: auxprop\nmech_list: CRAM-MD5 DIGEST-MD5 LOGIN PLAIN\n{more}"


@pytest.mark.parametrize("release", ["11", "12", "13", "14"])
def test_debians_untouched_files_are_pam(release: str) -> None:
    assert of_host(machine(release)) == PAM
    assert as_here(machine(release)) == Auth("pam", ("LOGIN", "PLAIN"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (host(default='MECHANISMS="ldap"\n'), ("saslauthd", "ldap")),
        (host(default="MECHANISMS='rimap'\n"), ("saslauthd", "rimap")),
        (host(default='MECHANISMS="shadow pam"\n'), ("saslauthd", "shadow")),
        (host(default='MECHANISMS="sasldb"\n', sasldb=BOB), ("saslauthd", "sasldb")),
        (host(default='MECHANISMS="sasldb"\n'), ("saslauthd", "pam")),  # nobody is in it
        (host(default='MECHANISMS="$OTHER"\n'), ("saslauthd", "pam")),
        (host(auxprop(), sasldb=BOB), ("auxprop", "sasldb")),
        (host(auxprop("auxprop_plugin: sasldb\n"), sasldb=BOB), ("auxprop", "sasldb")),
        (host(auxprop(), sasldb=None), ("auxprop", "sasldb")),  # who is in it cannot be listed
        (host(auxprop()), ("saslauthd", "pam")),
        (host(auxprop("auxprop_plugin: sql\nsql_engine: sqlite3\n")), ("auxprop", "sql")),
        (host(auxprop("sql_select: SELECT 1\n")), ("auxprop", "sql")),
        (host(auxprop("ldapdb_uri: ldap://x\n")), ("auxprop", "ldapdb")),
        (host("pwcheck_method: AUXPROP SASLAUTHD\n", sasldb=BOB), ("saslauthd", "pam")),
        (host("pwcheck_method: authdaemond\n"), ("authdaemond", "")),
        (host("mech_list: LOGIN\n", sasldb=BOB), ("auxprop", "sasldb")),  # libsasl2's default
        (host("this is no Sendmail.conf\n", sasldb=BOB), ("auxprop", "sasldb")),  # it drops the file
        (host(sasl_conf=None, sasldb=BOB), ("auxprop", "sasldb")),
        (host(sasl_conf=None, sasldb=BOB, serves=False), ("saslauthd", "pam")),
        (host(processes=running("-a", "ldap", "-O", "/etc/x")), ("saslauthd", "ldap")),
        (host(processes=running("-a", "kerberos5")), ("saslauthd", "pam")),  # without a krb5.conf
        (host(processes=running("-a", "ldap", "-O", "x", "-m", "/var/spool/postfix/x")), ("saslauthd", "pam")),
        (host(default='MECHANISMS="ldap"\n', processes=running("-a", "pam")), ("saslauthd", "ldap")),
    ],
)  # fmt: skip
def test_what_a_host_asks(facts: Facts, expected: tuple[str, str]) -> None:
    assert of_host(facts) == PasswordSource(*expected)
    assert wanted(facts, HOWTO) == of_host(facts)
    assert wanted(facts, EXPLICIT) == PAM


def test_a_conf_that_is_read_before_debians_counts() -> None:
    facts = host("pwcheck_method: saslauthd\n", sasldb=BOB)
    own = "/etc/sasl2/Sendmail.conf"
    facts = dataclasses.replace(
        facts, files={**facts.files, own: file(auxprop())}, sasl_conf=own, sasl_place=own
    )
    assert of_host(facts) == PasswordSource("auxprop", "sasldb")
    made = step("sendmail-auth").plan(facts, Answers(auth=Auth("pam"), accept=("logins",)))
    assert [change.path for change in made.changes if change.kind == "file"] == [own]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (host(), "LOGIN PLAIN"),
        (host(f"pwcheck_method: saslauthd\nmech_list: {DEBIAN}\n", sasldb=BOB), "DIGEST-MD5 CRAM-MD5 LOGIN PLAIN"),
        (host(f"pwcheck_method: saslauthd\nmech_list: {DEBIAN}\n", sasldb=BOB, serves=False), "LOGIN PLAIN"),
        (host("pwcheck_method: saslauthd\nmech_list: GSSAPI XOAUTH2 DIGEST-MD5 PLAIN LOGIN\n"), "GSSAPI XOAUTH2 PLAIN LOGIN"),
        (host("pwcheck_method: saslauthd\nmech_list: GSSAPI login plain\n", sasl_plugins=frozenset({"liblogin", "libplain"})), "LOGIN PLAIN"),
        (host("pwcheck_method: saslauthd\nmech_list: PLAIN\n"), "PLAIN"),
        (host("pwcheck_method: saslauthd\nmech_list: DIGEST-MD5\n"), "LOGIN PLAIN"),
        (host(auxprop(), sasldb=BOB), "CRAM-MD5 DIGEST-MD5 LOGIN PLAIN"),
        (host("pwcheck_method: auxprop\nmech_list: SCRAM-SHA-256 CRAM-MD5\n", sasldb=BOB), "SCRAM-SHA-256 CRAM-MD5"),
        (host("pwcheck_method: auxprop\n", sasldb=BOB), DEBIAN),
    ],
)  # fmt: skip
def test_what_is_offered(facts: Facts, expected: str) -> None:
    assert " ".join(mechanisms(facts, HOWTO)) == expected
    assert mechanisms(facts, Answers(auth=Auth("", ("PLAIN",)))) == ("PLAIN",)


def test_what_sendmail_cf_must_have_is_what_it_offers_already() -> None:
    facts = host("pwcheck_method: auxprop\nmech_list: SCRAM-SHA-256 CRAM-MD5\n", sasldb=BOB)
    assert to_be_offered(facts, HOWTO) == {"CRAM-MD5"}
    assert to_be_offered(host(), HOWTO) == {"LOGIN", "PLAIN"}


def test_the_site_of_sasldb_is_left_alone() -> None:
    facts = host(auxprop(), sasldb=BOB)
    for name in ("saslauthd-init", "saslauthd-config", "saslauthd-start"):
        made = step(name).plan(facts, HOWTO)
        assert made.outcome is Outcome.NOT_APPLICABLE
        assert "logins come from sasldb" in made.reason
    sasl_m4 = {**facts.files, f.SASL_M4: file("x")}
    made = step("sendmail-auth").plan(dataclasses.replace(facts, files=sasl_m4), HOWTO)
    assert (made.outcome, made.changes) == (Outcome.DONE, ())
    assert "passwords come from sasldb" in made.reason


def test_another_source_is_an_ending_that_names_who_is_locked_out() -> None:
    (ending,) = step("sendmail-auth").plan(host(auxprop(), sasldb=BOB), EXPLICIT).ends
    assert (ending.id, ending.lines) == ("logins", BOB)
    (ending,) = step("saslauthd-config").plan(host(default='MECHANISMS="ldap"\n'), EXPLICIT).ends
    assert "every user of LDAP" in ending.says
    assert not step("sendmail-auth").plan(host(default='MECHANISMS="ldap"\n'), EXPLICIT).ends
    (ending,) = (
        step("saslauthd-start")
        .plan(host(default='MECHANISMS="ldap"\n', processes=running("-a", "pam"), saslauthd_says="NO"), HOWTO)
        .ends
    )
    assert "the users of this host (PAM)" in ending.says
    (ending,) = (
        step("sendmail-auth").plan(host(auxprop(), sasldb=BOB), Answers(auth=Auth("", ("LOGIN",)))).ends
    )
    assert (ending.id, "CRAM-MD5, DIGEST-MD5, PLAIN" in ending.says) == ("login-mechanisms", True)


@pytest.mark.parametrize(
    ("facts", "mechanism"),
    [
        (host(default='MECHANISMS="shadow"\n'), "pam"),  # the same users
        (host(), "ldap"),  # nobody logs in yet: no saslauthd runs
        (host(auxprop()), "pam"),  # nobody is in it
    ],
)
def test_nothing_ends_where_nobody_is_locked_out(facts: Facts, mechanism: str) -> None:
    assert not ends(facts, Answers(auth=Auth(mechanism)))


def test_the_users_of_this_host_give_way_to_ldap() -> None:
    facts = host(processes=running("-a", "pam", "-m", "/var/run/saslauthd"))
    (ending,) = step("saslauthd-config").plan(facts, Answers(auth=Auth("ldap"))).ends
    assert "would come from ldap" in ending.says


LIMIT = set_policy("@include common-auth\n@include common-account\n", Policy(1000))
"""A policy on logins, as /etc/pam.d/smtp has it."""


@pytest.mark.parametrize("mechanism", ["shadow", "getpwent", "sasldb", "ldap"])
def test_a_policy_on_logins_ends_with_pam(mechanism: str) -> None:
    limited = host(processes=running("-a", "pam"), saslauthd_says="NO")
    limited = dataclasses.replace(limited, files={**limited.files, f.PAM_SMTP: file(LIMIT)})
    made = step("saslauthd-config").plan(limited, Answers(auth=Auth(mechanism)))
    ending = next(each for each in made.ends if each.id == "login-limit")
    assert ending.lines == Policy(1000).lines
    assert ending.says.endswith("may, root too") is (mechanism in ("shadow", "getpwent"))
    # The file says so already, and the saslauthd that runs does not yet.
    edited = {**limited.files, f.SASLAUTHD_DEFAULT: file(f'MECHANISMS="{mechanism}"\n')}
    made = step("saslauthd-start").plan(dataclasses.replace(limited, files=edited, sasldb=BOB), HOWTO)
    assert ending in made.ends


def test_a_policy_on_logins_stays_with_pam() -> None:
    limited = host(default='MECHANISMS="shadow"\n', processes=running("-a", "shadow"), saslauthd_says="NO")
    limited = dataclasses.replace(limited, files={**limited.files, f.PAM_SMTP: file(LIMIT)})
    for name in ("saslauthd-config", "saslauthd-start"):
        assert not step(name).plan(limited, EXPLICIT).ends


def test_the_answers_name_what_this_host_has() -> None:
    ldap = host(default='MECHANISMS="ldap"\n')
    assert '\nsaslauthd_mechanism = "ldap"\n' in as_toml(Answers(auth=as_here(ldap)), ldap)
    sasldb = host(auxprop(), sasldb=BOB)
    text = as_toml(Answers(auth=as_here(sasldb)), sasldb)
    assert "\n# saslauthd_mechanism" in text
    assert "\n# mechanisms" in text
    assert "sasldb, without saslauthd" in text


def test_the_journal_of_an_older_version_had_no_empty_answers() -> None:
    """It wrote its defaults where nothing had been chosen; now they would be a choice."""
    kept = json.loads(json.dumps(dataclasses.asdict(Answers())))
    assert answers_from(kept) == Answers()
    assert answers_from(json.loads(json.dumps(dataclasses.asdict(EXPLICIT)))) == EXPLICIT
    del kept["accept"]
    kept["auth"] = {"saslauthd_mechanism": "pam", "mechanisms": ["LOGIN", "PLAIN"]}
    assert answers_from(kept) == Answers()
    kept["auth"] = {"saslauthd_mechanism": "ldap", "mechanisms": ["PLAIN"]}
    assert answers_from(kept).auth == Auth("ldap", ("PLAIN",))


def test_who_is_not_root_sees_the_plan_of_sendmail_mc_all_the_same() -> None:
    facts = host(euid=1000, unreadable=frozenset({f.SASL_CONF}))
    assert to_be_offered(facts, HOWTO) == {"LOGIN", "PLAIN"}
    assert step("mc-includes").plan(facts, HOWTO).outcome is Outcome.PENDING
    assert as_here(facts) == Auth()
