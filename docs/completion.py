"""The completion of the command line in bash, made from the parser; docs.generate writes it."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Mapping

_FILE = """# Completion of msa-wizard's command line in bash: commands, options, steps, and for root commits of the history.
# Made by docs/generate.py from the program's own parser: do not edit it.
# shellcheck shell=bash

_msa_wizard() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command="" words="" each
    for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "${{command:+$command }}$each" in
            {commands}) command=${{command:+$command }}$each ;;
        esac
    done
    case "$command $before" in
{values}
        {unknown}) return ;;
    esac
    [[ -n $words ]] || case $command in
        "") words="{top}" ;;
{words}
    esac
    if [[ $words == *{commit}* && $word != -* ]]; then
        words=${{words/{commit}/}}
        (( EUID )) || words+=" $("${{COMP_WORDS[0]}}" history -n 20 2>/dev/null | cut -d ' ' -f 1)"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _msa_wizard msa-wizard
"""
_COMMIT = "COMMIT"
"""Stands for ids of commits."""


def completion(
    whole: argparse.ArgumentParser,
    commands: Mapping[str, argparse.ArgumentParser],
    values: Mapping[str, Collection[str]],
) -> str:
    """The file; `values` has what may follow an option, or stands for a metavar such as STEP. Where nothing is known
    bash offers files."""
    names = [f'"{name}"' if " " in name else name for name in commands]
    with_value = [
        (f'"{name} {option}"', option, action.choices or values.get(option, ()))
        for name, command in commands.items()
        for action in command._actions
        for option in action.option_strings
        if action.nargs != 0
    ]
    rows = [f'        {at}) words="{" ".join(map(str, known))}" ;;' for at, _, known in with_value if known]
    unknown = dict.fromkeys(f'*" {option}"' for _, option, known in with_value if not known)
    return _FILE.format(
        commands="|".join(names),
        values="\n".join(rows),
        unknown="|".join(unknown),
        top=" ".join([*(name for name in commands if " " not in name), *_options(whole)]),
        words="\n".join(
            f'        "{name}") words="{_words(each, values)}" ;;' for name, each in commands.items()
        ),
        commit=_COMMIT,
    )


def _words(command: argparse.ArgumentParser, values: Mapping[str, Collection[str]]) -> str:
    """What may follow a command: its own commands, what its arguments may be, its options."""
    words: list[str] = []
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            words += action.choices
        elif not action.option_strings:
            for kind in str(action.metavar).split("|"):
                words += [_COMMIT] if kind == _COMMIT else values.get(kind, ())
    return " ".join([*words, *_options(command)])


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    return (
        option for action in command._actions for option in action.option_strings if option.startswith("--")
    )
