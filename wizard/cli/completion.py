"""Completion in bash, zsh and fish, by argcomplete: the shell runs us with the line that was typed so far, and what would
fit is answered from the parser, from tables of the program and from the history. Nothing is changed, and nobody is asked."""

from __future__ import annotations

import argparse
import os
import pwd
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NoReturn, get_type_hints

import argcomplete
from argcomplete.shell_integration import shellcode

from snapshots.errors import StoreError
from wizard.cli.parser import parser
from wizard.console import clean, data
from wizard.errors import DONE
from wizard.model.answers import (
    FIREWALL_CHOICES,
    MECHANISMS,
    POLICIES,
    SERVABLE,
    STANDALONE,
    TLS_POLICIES,
    WEBROOT,
    Answers,
)
from wizard.model.plan import ENDINGS
from wizard.model.set_option import KEYS

if TYPE_CHECKING:
    from snapshots.store import Commit

Words = Mapping[str, str]
"""What can be typed, with what it means: zsh and fish show that."""
_NEWEST = 50
"""Commits that are offered; an older one is typed."""
_LISTS = ("auth.mechanisms", "accept")
_VALUES: Mapping[str, Iterable[str]] = {
    "auth.saslauthd_mechanism": MECHANISMS,
    "auth.mechanisms": SERVABLE,
    "firewall.use": FIREWALL_CHOICES,
    "login.policy": POLICIES,
    "tls.policy": TLS_POLICIES,
    "certificate.challenge": (STANDALONE, WEBROOT),
    "accept": ENDINGS,
}
"""What a setting can be, where that is a list of words."""
_OWN_WORDS = {
    "local completions\n": 'local completions line="${(j: :)words[1,CURRENT-1]} $PREFIX"\n',
    'COMP_LINE="$BUFFER"': 'COMP_LINE="$line"',
    'COMP_POINT="$CURSOR"': 'COMP_POINT="${#line}"',
}
"""In zsh argcomplete's script sends the whole line, which may begin with sudo: ours sends the words of our own command."""


def completion(arguments: argparse.Namespace) -> int:
    """`completion`: the script for the shell."""
    script = shellcode(["msa-wizard"], shell=arguments.shell).strip("\n")
    if arguments.shell == "zsh":
        for whole, own in _OWN_WORDS.items():
            script = script.replace(whole, own)
    data(script)
    return DONE


def complete() -> NoReturn:
    """Answer the shell that asks, and end."""
    whole = parser()
    _attach(whole)
    argcomplete.autocomplete(whole, always_complete_options="long")
    raise SystemExit(DONE)


def _attach(command: argparse.ArgumentParser) -> None:
    """Tell argcomplete what fits where, by the words that the usage has for it."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in {id(each): each for each in action.choices.values()}.values():
                _attach(inner)
        elif action.nargs != 0 and not action.choices and (fitting := _fitting(command, action)):
            action.completer = fitting  # type: ignore[attr-defined]


def _fitting(command: argparse.ArgumentParser, action: argparse.Action) -> Callable[..., Words] | None:
    """What completes this argument; None for a file, which argcomplete itself does."""
    name = str(action.metavar or action.dest)
    if name == "STEP" and command.prog.endswith(" history"):
        return _steps_in_history
    if action.dest == "fix":
        return _faults
    if action.dest == "accept":
        return lambda **_: ENDINGS
    by_name: dict[str, Callable[..., Words] | None] = {
        "STEP": _steps,
        "COMMIT": _commits,
        "STEP|COMMIT": _steps_and_commits,
        "KEY=VALUE": _settings,
        "COMMAND": _commands,
        "user": _users,
        "port": lambda **_: {"587": "STARTTLS", "465": "TLS on connect"},
        **dict.fromkeys(("FILE", "CERT", "KEY")),
    }
    return by_name.get(name, lambda **_: {})


def _steps(parsed_args: argparse.Namespace, **_: object) -> Words:
    from wizard.steps.order import (
        STEPS,  # here and below: whoever types Tab does not wait for what is not asked
    )

    named = getattr(parsed_args, "steps", None) or ()
    return {step.id: step.title for step in STEPS if step.id not in named}


def _history() -> list[Commit]:
    """The newest commits; none for who may not read them."""
    from wizard.engine.state_dir import existing_store

    try:
        store = existing_store() if os.geteuid() == 0 else None
        return list(store.history())[:_NEWEST] if store else []
    except (StoreError, OSError):
        return []


def _steps_in_history(parsed_args: argparse.Namespace, **_: object) -> Words:
    """All steps for who may not read the history: behind sudo the shell asks us as the user."""
    steps = {commit.step: clean(commit.subject) for commit in reversed(_history()) if commit.step}
    return steps if os.geteuid() == 0 else _steps(parsed_args)


def _commits(**_: object) -> Words:
    return {
        commit.short: f"{commit.time.astimezone():%F %T} {commit.operation} {clean(commit.subject)}"
        for commit in _history()
    }


def _steps_and_commits(parsed_args: argparse.Namespace, **_: object) -> Words:
    return {**_steps_in_history(parsed_args), **_commits()}


def _faults(**_: object) -> Words:
    """Those that steps can fix."""
    from wizard.troubleshoot.diagnoses.order import DIAGNOSES

    return {"all": "whatever fails"} | {each.id: each.symptom for each in DIAGNOSES if "--fix" in each.fix}


def _settings(prefix: str, **_: object) -> Words:
    key, equals, typed = prefix.partition("=")
    if not equals:
        return {f"{each}=": "" for each in KEYS}
    before = typed[: typed.rindex(",") + 1] if key in _LISTS and "," in typed else ""
    return {f"{key}={before}{value}": "" for value in _values(key)}


def _values(key: str) -> Iterable[str]:
    section, _, name = key.partition(".")
    kind = get_type_hints(type(getattr(Answers(), section))).get(name) if name and key in KEYS else None
    return ("true", "false") if kind is bool else _VALUES.get(key, ())


def _commands(parsed_args: argparse.Namespace, **_: object) -> Words:
    """The commands, or those of the group that was typed."""
    here: argparse.ArgumentParser | None = parser()
    for name in parsed_args.command or ():
        here = _choices(here).get(name) if here else None
    return {name: each.description or "" for name, each in _choices(here).items()} if here else {}


def _choices(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    groups = [each for each in command._actions if isinstance(each, argparse._SubParsersAction)]
    return groups[0].choices if groups else {}


def _users(**_: object) -> Words:
    """People's accounts."""
    people = [each for each in pwd.getpwall() if each.pw_uid >= 1000 and each.pw_shell.endswith("sh")]
    return {each.pw_name: clean(each.pw_gecos.partition(",")[0]) for each in people}
