"""What the admin gets as a file: the answers as the commented TOML that `wizard.model.answers` reads, and a report of what was
done on this host, which holds only what anybody on the host may read."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING

from templates import html_page, render
from wizard.changes.file import file_diff
from wizard.console import count
from wizard.engine.in_force import applied
from wizard.engine.overview import Overview
from wizard.model.answers import FIREWALL_CHOICES, MECHANISMS, Answers
from wizard.model.facts import Facts
from wizard.render.text import SIGN_WORDS, state_word
from wizard.sendmail.password_source import in_words
from wizard.steps.install import Install
from wizard.steps.order import STEPS

if TYPE_CHECKING:
    from snapshots.format.message import Commit
    from snapshots.live.entry import Entry
    from snapshots.store import Store

LONGEST = 200
"""Lines of one diff; generated files have thousands."""


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


def report(form: str, overview: Overview, store: Store | None) -> str:
    """The report as `md` or `html`. Raises StoreError."""
    states = overview.states
    markdown = render(
        "report.md.j2",
        host=overview.facts.fqdn or overview.facts.hostname,
        release=overview.facts.release.name,
        when=_now(),
        steps=[(step, state_word(states[step.id]), overview.plans[step.id].reason) for step in STEPS],
        done=[_done(store, commit) for commit in reversed(applied(overview.commits))] if store else [],
        checks=overview.checks,
        words=SIGN_WORDS,
    )
    return html_page(markdown) if form == "html" else markdown


def _done(store: Store, commit: Commit) -> tuple[Commit, list[tuple[str, str]], str]:
    """The commit, its files with their diffs, and how many more there are: what packages have brought is not spelt out."""
    changes = store.changes(commit)
    if commit.step == Install.id:
        return commit, [], count(len(changes), "path")
    return commit, [(f"/{path}", _diff(path, *pair)) for path, pair in changes.items()], ""


def _now() -> str:
    return time.strftime("%F %R %Z")


def _diff(path: str, before: Entry | None, after: Entry | None) -> str:
    if any(entry and (entry.kind != "file" or not entry.mode & 0o004) for entry in (before, after)):
        return ""
    lines = file_diff(f"/{path}", before, after).splitlines()
    more = [f"... {count(len(lines) - LONGEST, 'more line')}"] if len(lines) > LONGEST else []
    return "\n".join([*lines[:LONGEST], *more])
