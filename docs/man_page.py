"""The man page, made from the parser; docs.generate writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping

from wizard.errors import EXIT_CODES

_HEAD = r""".\" Made by docs/generate.py from the program's own parser: do not edit it.
.TH MSA-WIZARD 8
.SH NAME
msa-wizard \- make Debian's Sendmail a message submission agent
.SH SYNOPSIS
.B msa-wizard
[\fIOPTION\fR] [\fICOMMAND\fR] ...
"""
_FILES = {
    "/etc/msa-wizard/answers.toml": "the settings, which every command reads",
    "/var/lib/msa-wizard": "the history of /etc, and the journal of the run at work; for root alone",
    "/var/log/msa-wizard.log": "what each run did; for root alone",
}


def man_page(whole: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """The page in roff, section 8."""
    groups = {name.split()[0] for name in commands if " " in name}
    lines = [_HEAD.rstrip("\n"), ".SH DESCRIPTION"]
    lines += [_text(line) for line in (whole.description or "").splitlines()]
    lines += [".SH OPTIONS", *_actions(whole), ".SH COMMANDS"]
    for name, command in commands.items():
        if name not in groups:
            lines += [
                f".SS {_text(' '.join([name, *_positionals(command)]))}",
                _text(f"{command.description}."),
            ]
            lines += _actions(command)
    lines += [".SH EXIT STATUS", *_items((str(code), words) for code, words in EXIT_CODES.items())]
    lines += [".SH FILES", *_items(_FILES.items())]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR sendmail (8),", ".BR saslauthd (8)", ""])


def _positionals(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:
        if not action.option_strings:
            word = str(action.metavar or action.dest)
            yield {"*": f"[{word} ...]", "?": f"[{word}]"}.get(str(action.nargs), word)


def _actions(command: argparse.ArgumentParser) -> Iterator[str]:
    shown = [action for action in command._actions if not isinstance(action, argparse._SubParsersAction)]
    yield from _items((_name(action), action.help or "") for action in shown)


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest)
    value = str(
        action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    )
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")


def _items(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, words in pairs:
        yield from (".TP", rf"\fB{_text(name)}\fR", _text(words))


def _text(words: str) -> str:
    """As roff shows it: a hyphen that can be copied, and no line that begins with a request."""
    plain = words.replace("\\", "\\e").replace("-", r"\-")
    return rf"\&{plain}" if plain[:1] in (".", "'") else plain
