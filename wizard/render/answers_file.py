"""Answers as the commented TOML that `wizard.model.answers` reads."""

from __future__ import annotations

import json
from functools import partial

from templates import render
from wizard.model.answers import FIREWALL_CHOICES, MECHANISMS, Answers
from wizard.model.facts import Facts
from wizard.sendmail.password_source import in_words


def as_toml(answers: Answers, facts: Facts | None = None) -> str:
    """The answers with a comment on each; without facts the comments know nothing of the host."""
    return render(
        "answers.toml.j2",
        answers=answers,
        facts=facts,
        sources=MECHANISMS[1:],
        firewalls=FIREWALL_CHOICES[1:],
        passwords=in_words(facts) if facts else "",
        quoted=partial(json.dumps, ensure_ascii=False),
    )
