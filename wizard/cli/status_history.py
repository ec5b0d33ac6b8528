"""`status`, `history`, `diff`, `answers`: what holds, and what was done."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wizard.cli.options import answers_of
from wizard.console import clean, error, out
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
    import argparse

    from snapshots.store import Commit, Store


def status(arguments: argparse.Namespace) -> int:
    """`status`: 0. A step that a commit says was applied, and that has something to do again, has drifted."""
    host, store = Host(), _readable_store()
    stand = {item.step for item in applied(store.history()) if item.step} if store else set()
    made = plans(host, answers_of(arguments), look(host), store)
    rows = {name: (state(plan, name in stand), reason_text(plan)) for name, plan in made.items()}
    if arguments.json:
        steps = [{"step": name, "state": word, "reason": why} for name, (word, why) in rows.items()]
        out(as_json.dumps(steps=steps, interrupted=interrupted()))
    else:
        out(status_lines(rows))  # first, since a journal that is damaged sends the admin here
        for words in filter(None, (interrupted(), lost_history() if os.geteuid() == 0 else "")):
            error(f"msa-wizard: {words}")
    return 0


def interrupted() -> str | None:
    """What a killed run waits for, in words; a run that is at work is none."""
    told = killed_run() if os.geteuid() == 0 else None
    return str(InterruptedRun(told)) if told and free(LOCK) else None


def _readable_store() -> Store | None:
    """The history; None where there is none, or it is not ours to read."""
    return existing_store() if os.geteuid() == 0 else None


def history(arguments: argparse.Namespace) -> int:
    """`history`: 0."""
    store = _existing_or_say()
    commits = list(store.history())
    if arguments.json:
        out(as_json.dumps(commits=[_commit(item) for item in commits]))
    for item in () if arguments.json else commits:
        out(_line(item))
    return 0


def _line(item: Commit) -> str:
    when = item.time.astimezone().strftime("%F %T")
    return f"{item.short}  {when}  {item.operation:<8}  {clean(item.subject)}  ({clean(item.author.name)})"


def _commit(item: Commit) -> dict[str, object]:
    return {
        "commit": item.id,
        "time": item.time.isoformat(),
        "operation": item.operation,
        "step": item.step,
        "howto": item.howto,
        "run": item.run,
        "subject": item.subject,
        "author": {"name": item.author.name, "email": item.author.email},
    }


def diff(arguments: argparse.Namespace) -> int:
    """`diff`: 0, or 2 when there is no such step or commit."""
    from snapshots.store import StoreError

    store = _existing_or_say()
    try:
        commit = store.find(arguments.ref)
        record = store.record(commit)
        out(f"{_line(commit)}\n")
        for effect in effect_lines(record) if record else ():
            out(effect)
        out(store.diff(commit).rstrip("\n"))
    except StoreError as problem:
        raise UsageError(str(problem)) from problem
    return 0


def answers(arguments: argparse.Namespace) -> int:
    """`answers`: a commented TOML with this host's defaults; it parses to the defaults."""
    from wizard.render.answers_file import as_toml
    from wizard.sendmail.password_source import as_here

    facts = look(Host())
    made = Answers(auth=as_here(facts), test=Test(host=facts.fqdn if facts.fqdn_resolves else ""))
    out(as_toml(made, facts).rstrip("\n"))
    return 0


def _existing_or_say() -> Store:
    must_be_root()
    store = existing_store()
    if store is None or store.head() is None:
        raise CannotHere(
            lost_history()
            or "there is no history yet: nothing was ever applied on this host (`msa-wizard plan` shows what would be)"
        )
    return store
