"""A generated sendmail.cf: its options, its listeners, whether m4 left anything undone, and itself without TLS. Pure."""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher

from wizard.editors.daemon_options import DaemonOption, is_loopback, is_wildcard, parse, plain_address
from wizard.system.sockets import bare_address

_OPTION = re.compile(r"^O\s+([A-Za-z0-9.]+)\s*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_UNEXPANDED = re.compile(
    r"^[ \t]*(?:[A-Z][A-Z_0-9]{3,}\(.*|(?:define|include|sinclude|ifdef|ifelse|undefine|divert)\(.*|dnl(?:[ \t].*)?)$",
    re.MULTILINE,
)
_NAMED = re.compile(r"O\s+[A-Za-z0-9.]+|[DCF](?:\{[^}]*\}|.)|K\S+")
_WORDS = re.compile(r"(C\{[^}]*\}|O AuthMechanisms=)(.*)")
_AUTH_OPTIONS = re.compile(r"^O\s+AuthOptions\s*=")
_LISTENER = re.compile(r"^O\s+DaemonPortOptions\s*=(.*)$")
_LOOPBACK = {"inet": "127.0.0.1", "inet6": "::1"}
_EVERYWHERE = {"inet": "0.0.0.0", "inet6": "::"}
MARK = "## "
"""What the howto puts before a line of sendmail.cf that is not to count."""
SMALLEST = 20_000
"""A sendmail.cf in bytes; about 65 KB is normal, 7 KB is what a failed m4 leaves (docs/debian.md trap 1)."""


@dataclass(frozen=True)
class Daemon:
    """One DaemonPortOptions line: where sendmail will listen."""

    name: str
    family: str
    address: str
    port: int
    modifiers: str
    """Its letters, sorted."""

    @property
    def tls_on_connect(self) -> bool:
        """Whether TLS comes first (modifier s, port 465)."""
        return "s" in self.modifiers

    @property
    def submission(self) -> bool:
        """Whether mail clients are meant to come here: 587, 465, or a port that requires AUTH."""
        return self.port in (587, 465) or "a" in self.modifiers

    @property
    def everywhere(self) -> bool:
        """Whether it listens at every address of this host."""
        return is_wildcard(self.address)

    @property
    def place(self) -> str:
        """Its address, as a socket has it; that of every one where it has none, or a name, which may lead anywhere."""
        try:
            return bare_address(plain_address(self.address) or "")
        except ValueError:
            return _EVERYWHERE.get(self.family, self.address)

    @property
    def reachable_at(self) -> str:
        """An address of this host at which the listener answers.

        A wildcard of either family answers on 127.0.0.1, which sendmail exempts from its rate limit; ::1 it does not."""
        return "127.0.0.1" if self.everywhere else self.address

    def reachable_by(self, family: str) -> str:
        """The same by `ipv4`, `ipv6` or `any` of them; empty where it does not answer there. One of IPv6 without an address
        answers by both (net.ipv6.bindv6only is 0)."""
        if family == "any":
            return self.reachable_at
        if self.everywhere:
            return "127.0.0.1" if family == "ipv4" else "::1" if self.family == "inet6" else ""
        return self.address if (":" in self.address) == (family == "ipv6") else ""


@functools.lru_cache(maxsize=8)
def options(cf: str) -> tuple[tuple[str, str], ...]:
    """The live `O Name=value` lines in file order."""
    return tuple((name, value) for name, value in _OPTION.findall(cf))


def option(cf: str, name: str) -> str | None:
    """The value of the last `O name=`, None when there is none."""
    return next((value for key, value in reversed(options(cf)) if key == name), None)


def trusted(cf: str) -> tuple[str, ...]:
    """The mechanisms whose users may relay (TRUST_AUTH_MECH)."""
    lines = (line for line in _lines(cf) if line.startswith("C{TrustAuthMech}"))
    return tuple(dict.fromkeys(word for line in lines for word in line.partition("}")[2].split()))


def auth_flags(value: str) -> tuple[str, ...]:
    """The letters of AuthOptions that sendmail takes from `value`: one, then it skips to behind the next comma, blank
    or tab, so `py` is p alone (sendmail's readcf.c)."""
    flags = []
    while value:
        if value[0] not in ", \t":
            flags.append(value[0])
        match = re.search(r"[, \t]", value[1:])
        value = value[1:][match.end() :] if match else ""
    return tuple(flags)


def listeners(cf: str) -> tuple[DaemonOption, ...]:
    """The DaemonPortOptions lines as sendmail takes them (op.me, DaemonPortOptions), with their line in the .cf."""
    return tuple(
        parse(match.group(2), cf.count("\n", 0, match.start()) + 1)
        for match in _OPTION.finditer(cf)
        if match.group(1) == "DaemonPortOptions"
    )


def daemons(cf: str) -> tuple[Daemon, ...]:
    """The listeners of a .cf."""
    return tuple(daemon(listener) for listener in listeners(cf))


def by_name(cf: str) -> tuple[tuple[str, Daemon], ...]:
    """The listeners, each by the name that the log has for it; names can be there twice. One without a Name is called
    Daemon and its number, from 0 (tried on Debian 12 and 14)."""
    return tuple((each.name or f"Daemon{number}", each) for number, each in enumerate(daemons(cf)))


def for_clients(cf: str, port: int) -> tuple[Daemon, ...]:
    """The listeners on `port`, those first that want a login: another may be there for programs of the host itself."""
    matching = [listener for listener in daemons(cf) if listener.port == port]
    return tuple(sorted(matching, key=lambda listener: "a" not in listener.modifiers))


def offering(cf: str) -> tuple[Daemon, ...]:
    """The listeners that others can reach, and where a login is offered (DaemonPortOptions, modifier A)."""
    return tuple(each for each in daemons(cf) if "A" not in each.modifiers and not is_loopback(each.address))


def daemon(option: DaemonOption) -> Daemon:
    """A listener for comparing, whatever file it was written in. A port name that sendmail alone knows is 0."""
    return Daemon(
        name=option.name or "",
        family=option.family,
        address=option.address or "",
        port=option.port_number or (0 if option.port else 25),
        modifiers="".join(sorted(set(option.modifiers))),
    )


def unexpanded(cf: str) -> tuple[tuple[int, str], ...]:
    """Line number and text of what looks like a macro that m4 did not know (a typo is copied and accepted)."""
    return tuple(
        (cf.count("\n", 0, match.start()) + 1, match.group().strip()) for match in _UNEXPANDED.finditer(cf)
    )


def holds(cf: str, word: str) -> bool:
    """Whether `word` stands in a .cf: of the name of a macro, whether m4 has copied it, as it does where no macro answers."""
    return any(re.search(rf"\b{word}\b", line) for line in statements(cf))


def same(left: str, right: str) -> bool:
    """Whether two .cf say the same: comments carry the date, and sendmailconfig appends the .mc as one."""
    return statements(left) == statements(right)


def only_in(cf: str, *given: str) -> tuple[str, ...]:
    """The lines that `cf` says and none of `given` does, in order; a line that is there more often, too."""
    there = Counter[str]()
    for other in given:
        there |= Counter(statements(other))
    lines = []
    for line in statements(cf):
        there[line] -= 1
        if there[line] < 0:
            lines.append(line)
    return tuple(lines)


def grown(line: str, cf: str) -> bool:
    """Whether `line` is a class, or the list of mechanisms, and `cf` has all of its words there, and perhaps more."""
    match = _WORDS.fullmatch(line)
    if not match:
        return False
    there = {
        word
        for other in statements(cf)
        if other.startswith(match[1])
        for word in other[match.end(1) :].split()
    }
    return set(match[2].split()) <= there


def lacking(cf: str, *given: str) -> tuple[str, ...]:
    """The lines that all of `given` say and `cf` does not, in order, but for those in whose place `cf` has another: an
    option, macro, class or map of the same name."""
    common = Counter(statements(given[0]))
    for other in given[1:]:
        common &= Counter(statements(other))
    there, instead = Counter(statements(cf)), {_name(line) for line in only_in(cf, *given)}
    lines = []
    for line in statements(given[0]):
        if common[line] > there[line] and _name(line) not in instead:
            lines.append(line)
            common[line] -= 1
    return tuple(lines)


def _name(line: str) -> str:
    """What a line sets, itself where it sets nothing by name."""
    named = _NAMED.match(line)
    return named.group() if named else line


def changed(old: str, new: str) -> tuple[str, ...]:
    """The lines in which two .cf differ, in order: `-` before what goes, `+` before what comes."""
    before, after = statements(old), statements(new)
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    lines = []
    for tag, i, j, k, m in SequenceMatcher(None, before[head:], after[head:], autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [f"-{line}" for line in before[head + i : head + j]]
            lines += [f"+{line}" for line in after[head + k : head + m]]
    return tuple(lines)


@functools.lru_cache(maxsize=8)
def statements(cf: str) -> tuple[str, ...]:
    """What a .cf says: its lines without blank ones and comments."""
    return tuple(line for line in _lines(cf) if line.strip() and not line.startswith("#"))


@functools.lru_cache(maxsize=8)
def _lines(cf: str) -> tuple[str, ...]:
    """As sendmail reads them: str.splitlines would end a line at each byte 0x85, half an UTF-8 letter in a comment."""
    return tuple(line.removesuffix("\r") for line in cf.split("\n"))


def plain_login(cf: str, port: int, *, loopback: bool) -> str:
    """`cf` for a login without TLS, as the howto has it (5.2): AuthOptions commented out. With `loopback` the listener of
    `port` listens on loopback alone, and no other one offers AUTH in clear.

    A key that is there twice counts the last time (`daemon_options`): so ours is put last."""
    families: set[str] = set()
    lines = []
    for number, line in enumerate(cf.split("\n"), 1):
        match = _LISTENER.match(line)
        if _AUTH_OPTIONS.match(line):
            line = MARK + line
        elif match and loopback:
            line = _on_loopback(line, parse(match[1], number), port, families)
        lines.append(line)
    return "\n".join(lines)


def _on_loopback(line: str, listener: DaemonOption, port: int, families: set[str]) -> str:
    encrypted, no_auth = "s" in listener.modifiers, "A" in listener.modifiers
    if listener.port_number != port:
        if encrypted or no_auth or is_loopback(listener.address):
            return line
        return f"{line}, M={listener.modifiers.replace('a', '')}A"
    if listener.family not in _LOOPBACK or is_loopback(listener.address):
        families.add(listener.family)
        return line
    if listener.family in families:
        return MARK + line  # its socket is taken by the one above
    families.add(listener.family)
    return f"{line}, Addr={_LOOPBACK[listener.family]}"
