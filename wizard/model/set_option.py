"""`--set KEY=VALUE`: one setting on the command line, over those of the file; and settings as such options. Pure."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from snapshots.visible import visible
from wizard.errors import AnswersError
from wizard.model.answer_checks import CHECKS
from wizard.model.answers import Answers, Auth
from wizard.model.answers_file import parse
from wizard.model.plan import ENDINGS

KEYS = ("accept", *map(".".join, CHECKS))
"""What can be set, as the option names it."""


def with_set(answers: Answers, options: Sequence[str]) -> Answers:
    """The answers with each `KEY=VALUE` set, the last where one is set twice. A list is separated by commas; nothing
    after the = is as without the setting. Raises AnswersError."""
    lines: dict[str, dict[str, str]] = {}
    for key, value in map(_split, options):
        section, _, name = key.rpartition(".")
        if section == "auth" and not value:  # the file leaves its line out then
            answers = replace(answers, auth=replace(answers.auth, **{name: getattr(Auth(), name)}))
            lines.get(section, {}).pop(name, None)
        else:
            lines.setdefault(section, {})[name] = f"{name} = {_toml(_value(answers, key), value)}\n"
    text = "".join(lines.pop("", {}).values())
    text += "".join(f"[{section}]\n{''.join(names.values())}" for section, names in lines.items())
    try:
        return parse(text, "--set", answers)
    except AnswersError as error:
        raise AnswersError(f"--set {str(error).partition(': ')[2]}") from error


def with_those_that_go(answers: Answers, options: Sequence[str]) -> tuple[Answers, list[str]]:
    """The same with all of these, else with those that go with the answers and each other; and the others."""
    try:
        return with_set(answers, options), []
    except AnswersError:
        left = [*options]
    before = None
    while before != left:  # one may need another that comes later
        before = [*left]
        for option in before:
            with suppress(AnswersError):
                answers = with_set(answers, [option])
                left.remove(option)
    return answers, left


def _split(option: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in option.partition("="))
    if not equals:
        raise AnswersError(f"--set {visible(option, 80)}: it takes KEY=VALUE, such as listen.ipv6=true.")
    if key not in KEYS:
        near = difflib.get_close_matches(key, KEYS, n=1)
        guess = f"; did you mean {near[0]}?" if near else "."
        raise AnswersError(f"--set {visible(key, 80)}: unknown key{guess} The keys: {', '.join(KEYS)}.")
    for name in value.split(",") if key == "accept" else ():
        if name.strip() and name.strip() not in ENDINGS:
            raise AnswersError(
                f"--set accept={visible(value, 80)}: nothing that could end is called {visible(name.strip(), 80)}. The names: "
                f"{', '.join(ENDINGS)}."
            )
    if value.startswith("["):
        raise AnswersError(
            f"--set {key}={visible(value, 80)}: several values are separated by commas, and `{key}=` is none."
        )
    return key, value


def as_options(answers: Answers, before: Answers) -> list[str]:
    """The options that make `answers` of `before`: each --set and its value."""
    return [part for key, value in changed(answers, before) for part in ("--set", f"{key}={_typed(value)}")]


def of_apply(answers: Answers, before: Answers) -> list[str]:
    """The same for `apply`, which has more."""
    watch = ["--watch-restart", str(answers.watch_restart)] if answers.watch_restart else []
    return [*as_options(answers, before), *(["--replace-mta"] * answers.replace_mta), *watch]


def as_words(options: Sequence[str]) -> str:
    """Options for a command that somebody reads, with the space before them."""
    return f" {shlex.join(options)}" if options else ""


def changed(answers: Answers, before: Answers) -> Iterator[tuple[str, Any]]:
    """What is not as in `before`, each by its key, with its value."""
    for key in KEYS:
        value = _value(answers, key)
        if value != _value(before, key):
            yield key, value


def _typed(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(value)
    return str(value)


def _value(answers: Answers, key: str) -> object:
    section, _, name = key.rpartition(".")
    return getattr(getattr(answers, section) if section else answers, name)


def _toml(default: object, value: str) -> str:
    """What was typed, as TOML of the type that the setting has; what is of another type is refused there."""
    if isinstance(default, bool):
        return value if value in ("true", "false") else json.dumps(value, ensure_ascii=False)
    if isinstance(default, int):
        return value if re.fullmatch("0|[1-9][0-9]{0,8}", value) else json.dumps(value, ensure_ascii=False)
    if isinstance(default, tuple):
        names = [each.strip() for each in value.split(",") if each.strip()]
        return json.dumps(names, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
