"""`status`, `history`, `diff`, `answers`: how the host is, and what was done."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.cli.options import answers_of
from wizard.console import clean, data, error, out
from wizard.engine.in_force import applied
from wizard.engine.overview import plans, state
from wizard.engine.state_dir import (
    LOCK,
    InterruptedRun,
    existing_store,
    killed_run,
    lost_history,
    must_be_root,
)
from wizard.errors import CannotHere, UsageError
from wizard.gather.host import look
from wizard.model.answers import Answers, Test
from wizard.render import as_json
from wizard.render.text import effect_lines, reason_text, status_lines
from wizard.system.host import Host
from wizard.system.lock import free

if TYPE_CHECKING:
    from snapshots.store import Commit, Store
    from wizard.model import documents


def status(arguments: argparse.Namespace) -> int:
    """`status`: 0. A step that a commit says was applied, and that has something to do again, has drifted."""
    host, store = Host(), readable_store()
    in_force = {commit.step for commit in applied(store.history()) if commit.step} if store else set()
    rows: list[documents.StatusRow] = [
        {
            "step": name,
            "state": state(plan, name in in_force),  # type: ignore[typeddict-item]
            "outcome": plan.outcome.value,
            "reason": reason_text(plan),
        }
        for name, plan in plans(host, answers_of(arguments), look(host), store).items()
    ]
    if arguments.json:
        as_json.show(steps=rows, interrupted=interrupted())
    else:
        out(status_lines(rows))  # first, since a journal that is damaged sends the admin here
        for words in filter(None, (interrupted(), lost_history() if os.geteuid() == 0 else "")):
            error(f"msa-wizard: {words}")
    return 0


def interrupted() -> str | None:
    """What a killed run waits for, in words; None where none was killed, and while a run is at work."""
    killed = killed_run() if os.geteuid() == 0 else None
    return str(InterruptedRun(killed)) if killed and free(LOCK) else None


def readable_store() -> Store | None:
    """The history; None where there is none, or it is not ours to read."""
    return existing_store() if os.geteuid() == 0 else None


def history(arguments: argparse.Namespace) -> int:
    """`history`: 0."""
    commits = list(_existing_store().history())
    if arguments.json:
        as_json.show(commits=[as_json.commit(commit) for commit in commits])
    else:
        for commit in commits:
            out(_line(commit))
    return 0


def _line(commit: Commit) -> str:
    when = commit.time.astimezone().strftime("%F %T")
    return f"{commit.short}  {when}  {commit.operation:<8}  {clean(commit.subject)}  ({clean(commit.author.name)})"


def diff(arguments: argparse.Namespace) -> int:
    """`diff`: 0, or 2 when there is no such step or commit."""
    store = _existing_store()
    try:
        commit = store.find(arguments.ref)
        record = store.record(commit)
        effects = effect_lines(record) if record else []
        text = store.diff(commit).rstrip("\n")
    except StoreError as problem:
        raise UsageError(str(problem)) from problem
    if arguments.json:
        as_json.show(commit=as_json.commit(commit), effects=effects, diff=text)
    else:
        out("\n".join([f"{_line(commit)}\n", *effects, text]))
    return 0


def answers(_arguments: argparse.Namespace) -> int:
    """`answers`: a commented TOML with this host's defaults; it parses to the defaults."""
    from wizard.render.files import as_toml
    from wizard.sendmail.password_source import as_here

    facts = look(Host())
    defaults = Answers(auth=as_here(facts), test=Test(host=facts.fqdn if facts.fqdn_resolves else ""))
    data(as_toml(defaults, facts).rstrip("\n"))
    return 0


def _existing_store() -> Store:
    """The history there must be. Raises CannotHere."""
    must_be_root()
    store = existing_store()
    if store is None or store.head() is None:
        raise CannotHere(
            lost_history()
            or "there is no history yet: nothing was ever applied on this host (`msa-wizard plan` shows what would be)"
        )
    return store
