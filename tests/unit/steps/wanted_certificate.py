"""A host whose name leads to it, and what is planned there to get a certificate from an authority."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snapshots.live.entry import Entry
from tests.unit.steps.recorded import file, machine
from wizard.model import facts as f
from wizard.model.answers import Answers, Certificate
from wizard.model.facts import Facts
from wizard.model.plan import Plan
from wizard.model.step_facts import Acme, NameInDns
from wizard.steps.certificate_obtain import CertificateObtain

NAME = "mail.example.org"
ASKED = Certificate("standalone", NAME, "admin@example.org", True)
HERE = ("192.0.2.1", "2001:db8::25")
FINE = Acme(NAME, (NameInDns(NAME, HERE),), terms="https://example.org/terms")
CF = f"O ServerCertFile={f.SERVER_CERT}\nO ServerKeyFile={f.COMMON_KEY}\n"


def host(acme: Acme = FINE, files: dict[str, Entry] | None = None, **changes: Any) -> Facts:
    there = {f.SENDMAIL_CF: file(CF), **(files or {})}
    return machine("13", **({"acme": acme, "addresses": HERE, "euid": 0, "files": there} | changes))


def plan(facts: Facts, **wanted: Any) -> Plan:
    return CertificateObtain().plan(facts, Answers(certificate=replace(ASKED, **wanted)))
