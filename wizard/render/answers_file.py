"""Answers as the commented TOML that `wizard.model.answers` reads."""

from __future__ import annotations

import json

from templates import render
from wizard.model.answers import FIREWALL_CHOICES, MECHANISMS, Answers
from wizard.model.facts import Facts
from wizard.sendmail.password_source import in_words


def as_toml(answers: Answers, facts: Facts | None = None) -> str:
    """The answers with a comment on each; without facts the comments know nothing of the host."""
    listen, auth, test, firewall = answers.listen, answers.auth, answers.test, answers.firewall
    return render(
        "answers.toml.j2",
        accept=list(answers.accept),
        addresses=facts.addresses if facts else ("(not looked at)",),
        submission=json.dumps(list(listen.submission)),
        smtp=json.dumps(list(listen.smtp)),
        ipv6=json.dumps(listen.ipv6),
        implicit_tls=json.dumps(listen.implicit_tls),
        local_submission=json.dumps(listen.local_submission),
        ipv6_available=facts.ipv6 if facts else True,
        saslauthd_mechanism=_inside(auth.saslauthd_mechanism),
        saslauthd_mechanisms=MECHANISMS[1:],
        mechanisms=f"mechanisms = {json.dumps(list(auth.mechanisms))}" if auth.mechanisms else "",
        passwords=in_words(facts) if facts else "",
        firewall=_inside(firewall.use),
        firewall_zone=_inside(firewall.zone),
        firewalls=FIREWALL_CHOICES[1:],
        fqdn=_inside(test.host),
        user=_inside(test.user),
        send_to=_inside(test.send_to),
    )


def _inside(value: str) -> str:
    """A value within TOML's quotes."""
    return json.dumps(value, ensure_ascii=False)[1:-1]
