"""The manual page msa-wizard(8), `./tests/tool python -m docs.manual_page >msa-wizard.8`: the options from the parser of the
command line, the words from the manual, the README and the table of exit codes. Its date is SOURCE_DATE_EPOCH's, or today's."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from docs.generate import commands, named, positionals, words
from wizard import __version__
from wizard.cli.parser import parser

DOCS = Path(__file__).parent
_APART = {"Environment": "ENVIRONMENT", "Files": "FILES", "The log": "THE LOG", "See also": "SEE ALSO"}
"""Sections of the manual that are no commands, and their headings here."""
_CHARACTERS = {"\\": r"\e", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "-": r"\-"}
"""What groff would turn into signs for print, in groff_char(7)'s names: commands are there to be copied."""


def manual_page() -> str:
    """The whole page in man(7)."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    what = (parser().description or "").partition("\n")[0]
    sections = dict(_sections(DOCS / "manual.md"))
    lines = [
        f'.TH MSA\\-WIZARD 8 {date} "msa\\-wizard {__version__}" "System Administration"',
        *(".nh", ".ad l"),  # a command that is broken with a hyphen cannot be copied
        *(".SH NAME", rf"msa\-wizard \- {_text(what[0].lower() + what[1:].rstrip('.'))}"),
        *(".SH SYNOPSIS", r".B msa\-wizard", r"[\fB\-h\fR] [\fB\-V\fR] [\fICOMMAND\fR] ..."),
        *(".SH DESCRIPTION", *_blocks([*_introduction(), *sections.pop("")[-6:]])),
        *(".SH OPTIONS", *_common(), ".SH COMMANDS"),
    ]
    lines += [line for title in sections if title not in _APART for line in _command(title, sections[title])]
    codes = dict(_sections(DOCS / "exit-codes.md"))[""]
    lines += [".SH EXIT STATUS", *_blocks(codes[:-3])]  # the last paragraph is for who changes the program
    for title, heading in _APART.items():
        lines += [f".SH {heading}", *_blocks(sections[title])]
    return re.sub(r"(?m)^(\.S[HS] .*)\n\.PP$", r"\1", "\n".join(lines)) + "\n"


def _introduction() -> list[Token]:
    """The first two paragraphs of the README; the manual's last two above its sections follow them."""
    return _tokens((DOCS.parent / "README.md").read_text())[3:9]


def _sections(page: Path) -> Iterator[tuple[str, list[Token]]]:
    """The headings of the second level with what is below each; what is above all of them has none."""
    title = ""
    some: list[Token] = []
    tokens = iter(_tokens(page.read_text()))
    for token in tokens:
        if token.type == "heading_open":
            if token.tag == "h2":
                yield title, some
                title, some = next(tokens).content, []
            else:
                next(tokens)
            next(tokens)
        else:
            some.append(token)
    yield title, some


def _tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def _common() -> Iterator[str]:
    """The program's own options, and those that nearly all commands take: once, and not with each command."""
    yield from _options(action for action in parser()._actions if action.option_strings)
    known = _with_function()
    for option in _shared():
        without = [name for name, each in known.items() if option not in each._option_string_actions]
        each = next(each for each in known.values() if option in each._option_string_actions)
        yield from _options([each._option_string_actions[option]])
        yield _text(f"Every command takes it{' but ' + ' and '.join(without) if without else ''}.")


def _with_function() -> dict[str, argparse.ArgumentParser]:
    return {name: each for name, each in commands().items() if each.get_default("run")}


def _shared() -> tuple[str, ...]:
    return "--json", "--verbose", "--quiet"


def _command(title: str, tokens: list[Token]) -> Iterator[str]:
    """The commands that a section of the manual is about, each with its options, and what the manual says."""
    known = commands()
    wanted = [name for name in known if name.split()[0] in title.replace(",", "").split()]
    groups = {name.split()[0] for name in wanted if " " in name}
    if groups:
        yield from (f".SS {title}", *_blocks(tokens))
    for name in wanted:
        if name in groups:
            continue
        positional, actions = positionals(known[name]).replace("…", "..."), known[name]._actions
        some = [each for each in actions if not {"--help", *_shared()} & set(each.option_strings)]
        options = " [OPTIONS]" if any(each.option_strings for each in some) else ""
        yield from (f".SS {name}", rf"\fBmsa\-wizard {_code(name)}\fR{_text(options + positional)}")
        description = known[name].description or ""
        yield from (".PP", _text(f"{description[0].upper()}{description[1:]}."))
        yield from _options(some)
    if not groups:
        yield from _blocks(tokens)


def _options(actions: Iterator[argparse.Action] | Sequence[argparse.Action]) -> Iterator[str]:
    for action in actions:
        told = re.sub("`([^`]*)`", lambda quoted: rf"\fB{_code(quoted[1])}\fR", words(action))
        yield from (".TP", f".B {_code(named(action).replace('…', '...'))}", f"{told}.")


def _blocks(tokens: Sequence[Token], indent: str = "") -> Iterator[str]:
    """Blocks of Markdown; those of a list's item are indented by `indent`."""
    first = bool(indent)  # the paragraph that the bullet stands before
    at = 0
    while at < len(tokens):
        token = tokens[at]
        end = next(i for i in range(at, len(tokens)) if _closes(tokens[i], token))
        inner = tokens[at + 1 : end]
        if token.type == "paragraph_open":
            if not first:
                yield f'.IP "" {indent}' if indent else ".PP"
            yield _inline(inner[0])
        elif token.type in ("code_block", "fence"):
            body = _example(token.content)
            yield from (".PP", ".RS 4", ".nf", *body, ".fi", ".RE")
        elif token.type == "bullet_list_open":
            for item in _parts(inner, "list_item_open"):
                yield from (r".IP \(bu 2", *_blocks(item[1:-1], "2"))
        elif token.type == "table_open":
            for row in list(_parts(inner, "tr_open"))[1:]:
                yield from _row([each for each in row if each.type == "inline"])
        else:
            raise ValueError(f"a {token.type} of Markdown, which the manual page cannot show yet")
        first = False
        at = end + 1


def _closes(token: Token, opened: Token) -> bool:
    if opened.nesting == 0:
        return token is opened
    return token.level == opened.level and token.type == opened.type.replace("_open", "_close")


def _parts(tokens: Sequence[Token], kind: str) -> Iterator[Sequence[Token]]:
    """The parts that begin with a token of this kind, each with its end."""
    level = next(each.level for each in tokens if each.type == kind)
    starts = [at for at, each in enumerate(tokens) if each.type == kind and each.level == level]
    for at in starts:
        end = next(i for i in range(at, len(tokens)) if _closes(tokens[i], tokens[at]))
        yield tokens[at : end + 1]


def _row(cells: Sequence[Token]) -> Iterator[str]:
    """A row of a table: the first cell is what the others tell about."""
    told = [_inline(each) for each in cells[1:] if each.content]
    yield from (".TP", rf"\fB{_inline(cells[0])}\fR", ";\n".join(told) + ".")


def _inline(token: Token) -> str:
    """A paragraph's text, one line of roff for each line of Markdown."""
    parts: list[str] = []
    page = ""
    for each in token.children or []:
        if each.type == "text":
            parts.append(_text(each.content))
        elif each.type == "code_inline":
            parts.append(rf"\fB{_code(_installed(each.content))}\fR")
        elif each.type == "softbreak":
            parts.append("\n")
        elif each.type in ("strong_open", "em_open"):
            parts.append(r"\fB" if each.type == "strong_open" else r"\fI")
        elif each.type in ("strong_close", "em_close"):
            parts.append(r"\fR")
        elif each.type == "link_open":
            target = str(each.attrs["href"]).partition("#")[0]
            page = target.rpartition("/")[2]
        elif each.type == "link_close":
            said = "".join(parts)
            parts += [f" ({_text(page)})"] if page and not said.endswith(_text(page)) else []
        else:
            raise ValueError(f"a {each.type} of Markdown, which the manual page cannot show yet")
    return "\n".join(_guarded(line) for line in "".join(parts).splitlines())


def _example(text: str) -> Iterator[str]:
    """Lines as they are, and nothing of them read as a request."""
    for line in _installed(text).rstrip("\n").splitlines():
        yield _guarded(_code(line)) if line else r"\&"


def _installed(text: str) -> str:
    return text.replace("./msa-wizard", "msa-wizard")


def _text(text: str) -> str:
    """Prose; options in it keep their hyphens."""
    escaped = text.replace("\\", r"\e")
    escaped = re.sub(r"(?<![\w])-|-(?=-)|(?<=msa)-(?=wizard)", r"\\-", escaped)
    return _guarded(_ascii(escaped))


def _code(text: str) -> str:
    return _ascii("".join(_CHARACTERS.get(each, each) for each in text))


def _ascii(text: str) -> str:
    return "".join(
        "".join(some) if plain else "".join(f"\\[u{ord(each):04X}]" for each in some)
        for plain, some in groupby(text, str.isascii)
    )


def _guarded(line: str) -> str:
    return f"\\&{line}" if line[:1] in (".", "'") else line


if __name__ == "__main__":
    sys.stdout.write(manual_page())
