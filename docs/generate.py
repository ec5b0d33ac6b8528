"""Writes what is made from the program, `./tests/tool python -m docs.generate`: docs/reference.md from the parser of the
command line, docs/diagnoses.md from the diagnoses, docs/words.md from screens/words.py, wizard/render/schema.json from
wizard.model.documents."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from docs.schema import schema
from screens.words import WORDS
from wizard.cli.parser import parser
from wizard.model.plan import ENDINGS
from wizard.troubleshoot.diagnoses.order import DIAGNOSES
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.model import TITLES
from wizard.troubleshoot.report import by_layer

REFERENCE = Path(__file__).with_name("reference.md")
DIAGNOSES_PAGE = REFERENCE.with_name("diagnoses.md")
WORDS_PAGE = REFERENCE.with_name("words.md")
SCHEMA = Path(__file__).parents[1] / "wizard/render/schema.json"
_HEAD = """# Reference

Every command and option of msa-wizard, and [what `--accept` takes](#what---accept-takes). [diagnoses.md](diagnoses.md)
has what `troubleshoot` looks for. Made by docs/generate.py from the program's own parser and tables: do not edit it.
[manual.md](manual.md) explains the commands with examples, [exit-codes.md](exit-codes.md) what they end with.
"""


def commands(whole: argparse.ArgumentParser | None = None) -> dict[str, argparse.ArgumentParser]:
    """Each command's parser by its words, such as `certificate renew`, in the parser's order."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in (whole or parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                found[name] = each
                found |= {f"{name} {more}": inner for more, inner in commands(each).items()}
    return found


def reference() -> str:
    """The whole page."""
    known = commands()
    groups = {name.split()[0] for name in known if " " in name}
    sections = [_section(name, each) for name, each in known.items() if name not in groups]
    return "\n".join([_HEAD, *sections, _endings()])


def _endings() -> str:
    rows = [f"| `{name}` | {what} |" for name, what in ENDINGS.items()]
    about = (
        "Something that works now ends only if its id follows `--accept`, or is in `accept` in answers.toml. `plan` lists\n"
        "what exactly would end on this host."
    )
    return "\n".join(["## What --accept takes", "", about, "", "| id | what ends |", "|---|---|", *rows, ""])


_DIAGNOSES = """# Diagnoses

What `msa-wizard troubleshoot` looks for, from the outside in, by the id that `--fix` takes; `troubleshoot --list` shows
the same on a terminal. Where steps fix it they follow as `(--fix: STEP, STEP)`; elsewhere a person must act. Made by
docs/generate.py from the program's own table: do not edit it. [Writing a diagnosis](writing-a-diagnosis.md) tells how
one is added.
"""


def diagnoses() -> str:
    """The page of all diagnoses: a table for each layer."""
    head = ["| id | users say | cause | fix | looked at |", "|---|---|---|---|---|"]
    lines = [_DIAGNOSES]
    for layer, some in by_layer(DIAGNOSES).items():
        rows = [f"| {' | '.join(_cells(each))} |" for each in some]
        lines += [f"## {TITLES[layer]}", "", *head, *rows, ""]
    return "\n".join(lines)


def _cells(each: Diagnosis) -> Iterator[str]:
    looked_at = f"{each.probe} (howto {each.howto})" if each.howto else each.probe
    for text in (f"`{each.id}`", each.symptom, each.cause, each.fix, looked_at):
        yield _cell(text)


def _section(name: str, command: argparse.ArgumentParser) -> str:
    actions = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
    positional = [action for action in actions if not action.option_strings]
    line = " ".join(["msa-wizard", name, *(["[OPTIONS]"] if len(actions) > len(positional) else [])])
    rows = [f"| {_cell(f'`{named(action)}`')} | {_cell(words(action))} |" for action in actions]
    table = ["", "| | |", "|---|---|", *rows] if rows else []
    usage = f"`{line}{positionals(command)}`"
    return "\n".join([f"## {name}", "", usage, "", f"{command.description}.", *table, ""])


def positionals(command: argparse.ArgumentParser) -> str:
    """The arguments of a command as its usage has them, each with a space before it."""

    def shown(action: argparse.Action) -> str:
        word = str(action.metavar or action.dest)
        return {"*": f" [{word} …]", "+": f" {word} …", "?": f" [{word}]"}.get(str(action.nargs), f" {word}")

    return "".join(shown(action) for action in command._actions if not action.option_strings)


def named(action: argparse.Action) -> str:
    """An option with its value, or an argument, as they are typed."""
    if not action.option_strings:
        return str(action.metavar or action.dest)
    many = " …" if action.nargs == "+" else ""
    value = "" if action.nargs == 0 else f" {action.metavar or _choices(action) or action.dest.upper()}{many}"
    return f"{', '.join(action.option_strings)}{value}"


def _choices(action: argparse.Action) -> str:
    return f"{{{','.join(map(str, action.choices))}}}" if action.choices else ""


def words(action: argparse.Action) -> str:
    """What an option means, with its default."""
    told = [action.help] if action.help else []
    default = action.default if action.choices or type(action.default) is int else None
    if default and not re.search(rf"\b{re.escape(str(default))}\b", action.help or ""):
        told.append(f"default: {default}")
    return "; ".join(told)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def glossary() -> str:
    """The whole page."""
    head = "# Words\n\nWhat the words on the screens mean; F1 there explains those that are on the screen. Made by docs/generate.py."
    rows = [
        f"| {word} | {meaning} |" for word, meaning in sorted(WORDS.items(), key=lambda row: row[0].lower())
    ]
    return "\n".join([head, "", "| word | means |", "|---|---|", *rows, ""])


def schema_text() -> str:
    """The whole schema."""
    return f"{json.dumps(schema(), indent=1)}\n"


if __name__ == "__main__":
    REFERENCE.write_text(reference())
    DIAGNOSES_PAGE.write_text(diagnoses())
    WORDS_PAGE.write_text(glossary())
    SCHEMA.write_text(schema_text())
