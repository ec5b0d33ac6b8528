"""The editor of /etc/nftables.conf: statements in the body of a chain, in nft's own nested notation (nft(8))."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from wizard.editors import EditError, line_start, newline_of

_TOKEN = re.compile(
    r'(?P<comment>\#[^\n]*)|(?P<string>"[^"\n]*")|(?P<cut>\\\r?\n)|(?P<end>[;\n])|(?P<open>\{)|(?P<close>\})'
    r'|(?P<word>[^\s;{}"\#\\]+|\\)|(?P<space>\s)'
)
_FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_LEADING = re.compile(
    r"(?:counter(?: packets \d+ bytes \d+)?(?: name \S+)?|log(?: (?:prefix|level|group|snaplen|queue-threshold|flags) "
    r'(?:"[^"]*"|\S+))*|meta l4proto tcp|ct state new)\s+'
)
_DECIDES = re.compile(r"\b(?:accept|drop|reject|jump|goto|return|queue|vmap)\b")
_REMEDY = "add the rule by hand where it belongs, then run this again"


@dataclass(frozen=True)
class Statement:
    """A statement of a chain: its words joined by blanks, where it starts and ends in the text."""

    words: str
    start: int
    end: int


@dataclass(frozen=True)
class ChainBody:
    """A `chain` in the text: family, table, name, its statements, and where its closing brace is."""

    family: str
    table: str
    name: str
    statements: tuple[Statement, ...]
    close: int

    @property
    def key(self) -> str:
        """As nft names it: `inet filter input`."""
        return f"{self.family} {self.table} {self.name}"


def chain_bodies(text: str) -> tuple[ChainBody, ...]:
    """The chains that the text declares. Raises EditError where its braces do not match."""
    return tuple(_chains(text, list(_statements(text, _tokens(text)))))


def tables(text: str) -> frozenset[str]:
    """The tables that the text declares or adds rules to, as `inet filter`."""
    pattern = r"^[ \t]*(?:add[ \t]+)?table[ \t]+([^\s{;#]+(?:[ \t]+[^\s{;#]+)?)"
    return frozenset(" ".join(_family(words)) for words in re.findall(pattern, text, re.MULTILINE))


def includes(text: str) -> tuple[str, ...]:
    """The files that it includes, as written."""
    return tuple(re.findall(r'^[ \t]*include[ \t]+"([^"\n]+)"', text, re.MULTILINE))


def contents(text: str) -> dict[str, str]:
    """What names of the text stand for: `$mail` of a `define`, `inet filter @mail` of a set or a map, with a mere `@` for what
    an included file may add to it. Raises EditError."""
    content: dict[str, str] = {}
    more = "@" if includes(text) else ""
    for block in _statements(text, _tokens(text)):
        top = _declaring(block)
        for words in (top, *(each.words for each in block.inside)):
            kind, brace = words[0] if words else "", words.index("{") if "{" in words else len(words)
            where = words[1 : brace - 1] if words is top else top[1:]
            if kind in ("define", "redefine"):
                name, _, value = " ".join(words[1:]).partition("=")
                content[f"${name.strip()}"] = value
            elif kind in ("set", "map", "element") and where:
                family, table = _family(" ".join(where))
                key, inner = f"{family} {table} @{words[brace - 1]}", " ".join(words[brace + 1 :])
                elements = inner if kind == "element" else inner.partition("elements")[2]
                content[key] = f"{content.get(key, more)}, {elements.partition('}')[0].lstrip(' ={')}"
    return content


def insert(
    text: str, key: str, rules: Sequence[str], blocking: Sequence[str] = (), denying: Collection[str] = ()
) -> str:
    """`rules`, a line each, in the chain `key`: before the first statement that lets nothing by, else at its end.

    `blocking` names chains that let nothing by either, `denying` are statements that do not let these ports by. Raises
    EditError where the chain is not there just once."""
    chains = [chain for chain in chain_bodies(text) if chain.key == key]
    if len(chains) != 1:
        why = "is not written in this file" if not chains else "is written more than once in this file"
        raise EditError(None, "", f"chain {key} {why} as `table ... {{ chain ... {{` does", _REMEDY)
    chain, newline = chains[0], newline_of(text)
    before = _place(chain.statements, blocking, denying)
    last = chain.statements[-1].start if chain.statements else chain.close
    lead = text[line_start(text, last) : last]
    indent = lead if lead and not lead.strip() else "\t\t"
    at = chain.close if before is None else before.start
    start = line_start(text, at)
    if not text[start:at].strip():
        return text[:start] + "".join(f"{indent}{rule}{newline}" for rule in rules) + text[start:]
    if before is not None:  # in the middle of a line
        return text[:at] + "".join(f"{rule}; " for rule in rules) + text[at:]
    glue = "" if not chain.statements or text[: chain.close].rstrip().endswith(";") else ";"
    body = text[: chain.close].rstrip(" \t")
    return f"{body}{glue} " + "".join(f"{rule}; " for rule in rules) + text[chain.close :]


def _place(
    statements: Sequence[Statement], blocking: Sequence[str], denying: Collection[str]
) -> Statement | None:
    """The first that lets nothing by, or at the end, with those just before it that only log."""
    logs: Statement | None = None
    for statement in statements:
        if statement.words in denying or _stops(statement.words, blocking):
            return logs or statement
        bare = re.sub(r'"[^"]*"', "", statement.words)
        only = re.search(r"\blog\b", statement.words) and not _DECIDES.search(bare)
        logs = (logs or statement) if only else None
    return logs


def _stops(words: str, blocking: Sequence[str]) -> bool:
    rest = words + " "
    while match := _LEADING.match(rest):
        rest = rest[match.end() :]
    rest = rest.strip()
    if rest.startswith(("jump ", "goto ")):
        return rest.split()[1] in blocking
    return rest == "drop" or rest == "reject" or rest.startswith("reject with ")


def _tokens(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise EditError.at(text, at, "nft would not understand this", "`nft -c -f` says what is wrong")
        at = match.end()
        if match.lastgroup not in ("comment", "cut", "space"):
            yield match


@dataclass(frozen=True)
class _Block:
    """A statement; `inside` are those of its braces where it is a block, as of a table or chain."""

    words: tuple[str, ...]
    start: int
    end: int
    inside: tuple[_Block, ...] = ()
    close: int = -1


def _statements(text: str, tokens: Iterator[re.Match[str]], opened: int | None = None) -> Iterator[_Block]:
    words: list[str] = []
    start = end = 0
    for token in tokens:
        kind = token.lastgroup
        if kind == "end" or kind == "close":
            if words:
                yield _Block(tuple(words), start, end)
                words = []
            if kind == "close":
                if opened is None:
                    raise EditError.at(text, token.start(), "this brace closes nothing", _REMEDY)
                yield _Block((), token.start(), token.end(), close=token.start())
                return
            continue
        if not words:
            start = token.start()
        if kind == "open" and (words[1:2] if words[:1] == ["add"] else words[:1]) in (["table"], ["chain"]):
            inside = list(_statements(text, tokens, token.start()))
            yield _Block(tuple(words), start, inside[-1].end, tuple(inside[:-1]), inside[-1].close)
            words = []
            continue
        if kind == "open":
            words += ["{", *_set(text, tokens, token.start()), "}"]
        else:
            words.append(token.group())
        end = token.end()
    if words:
        yield _Block(tuple(words), start, end)
    if opened is not None:
        raise EditError.at(text, opened, "this brace is not closed", _REMEDY)


def _set(text: str, tokens: Iterator[re.Match[str]], opened: int) -> Iterator[str]:
    depth = 1
    for token in tokens:
        depth += {"open": 1, "close": -1}.get(token.lastgroup or "", 0)
        if not depth:
            return
        if token.lastgroup != "end":
            yield token.group()
    raise EditError.at(text, opened, "this brace is not closed", _REMEDY)


def _chains(text: str, blocks: Sequence[_Block]) -> Iterator[ChainBody]:
    for block in blocks:
        words = _declaring(block)
        if (
            words[:1] != ("table",) or len(words) < 2 or block.close < 0
        ):  # nft itself refuses one without a name
            continue
        family, table = _family(" ".join(words[1:]))
        for inner in block.inside:
            if inner.words[:1] == ("chain",) and inner.close >= 0 and len(inner.words) == 2:
                body = (Statement(" ".join(each.words), each.start, each.end) for each in inner.inside)
                yield ChainBody(family, table, inner.words[1], tuple(body), inner.close)


def _declaring(block: _Block) -> tuple[str, ...]:
    """Its words without the `add` that may stand before them."""
    return block.words[1:] if block.words[:1] == ("add",) else block.words


def _family(words: str) -> tuple[str, str]:
    """Family and table of `inet filter`; a table named alone is of the family ip (nft(8))."""
    parts = words.split()
    return (parts[0], parts[1]) if len(parts) > 1 and parts[0] in _FAMILIES else ("ip", parts[0])
