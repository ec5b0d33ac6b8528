"""fail2ban's configuration: what it says of its jails (`fail2ban-client -d`), and our own file in jail.d."""

from __future__ import annotations

import ast
import contextlib
import ipaddress
import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

NAME = "sendmail-auth"
"""Debian's jail for wrong passwords at sendmail, and its filter."""
FAILURE = "AUTH failure"
"""What sendmail logs of a wrong password begins with, from LogLevel 9 on."""
NFT = ("nftables", "nftables-multiport")
STOCK = (*NFT, "iptables-multiport")
"""The actions that Debian's fail2ban bans by unless told otherwise."""
LOOPBACK = ("127.0.0.0/8", "::1")
_CONNECTION = re.compile(r"^# Never banned: .*the SSH connection .*\(([0-9A-Fa-f.:]+)\)", re.MULTILINE)

_BANNED = re.compile(r"^(\S+)\s+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \+", re.MULTILINE)


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "mo": 30 * 86400, "y": 365 * 86400}
"""What its durations are written in (jail.conf(5), TIME ABBREVIATION FORMAT), months and years rounded."""


@dataclass(frozen=True)
class Limit:
    """A ban of an address comes after so many `attempts` within the `window`, and lasts; both in seconds."""

    attempts: int
    window: float
    ban: float
    ignored: tuple[str, ...] = ()
    """Networks that are never banned."""


@dataclass(frozen=True)
class Jail:
    """A jail of fail2ban as its configuration has it (jail.conf(5)): what it bans for, and how."""

    backend: str = ""
    attempts: str = ""
    window: str = ""
    ban: str = ""
    """As fail2ban says them: maxretry, findtime, bantime."""
    ignored: tuple[str, ...] = ()
    """What it never bans."""
    actions: tuple[str, ...] = ()
    port: str = ""
    expressions: tuple[str, ...] = ()
    """What a failure is."""
    exceptions: tuple[str, ...] = ()
    """What is none all the same (ignoreregex)."""

    @property
    def limit(self) -> Limit | None:
        """Its numbers; None where one is missing, or is written in another way."""
        window, ban = _duration(self.window), _duration(self.ban)
        if not self.attempts.isdigit() or window is None or ban is None:
            return None
        return Limit(int(self.attempts), window, math.inf if ban < 0 else ban, self.ignored)


def _duration(text: str) -> float | None:
    """In seconds; negative: for ever."""
    if not re.fullmatch(r"(?:\s*-?\d+(?!\d)\s*[a-z]*)+\s*", text):
        return None
    words = re.findall(r"(-?\d+)\s*(mo|[a-z]?)", text)
    known = all(unit in _UNITS for _, unit in words)
    return float(sum(int(number) * _UNITS[unit] for number, unit in words)) if known else None


def jails(dump: str) -> dict[str, Jail]:
    """The jails that `fail2ban-client -d` starts, by name. What is not understood is left out."""
    found = dict[str, dict[str, object]]()
    for line in dump.splitlines():
        words = _words(line)
        if words[:1] == ["add"] and len(words) > 2:
            found[str(words[1])] = {"backend": str(words[2])}
        elif words[:1] in (["set"], ["multi-set"]) and len(words) > 3 and str(words[1]) in found:
            _take(found[str(words[1])], str(words[2]), words[3:])
    return {name: Jail(**values) for name, values in found.items()}  # type: ignore[arg-type]


def _words(line: str) -> list[object]:
    try:
        words = ast.literal_eval(line)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    return words if isinstance(words, list) else []


def _take(values: dict[str, object], key: str, rest: Sequence[object]) -> None:
    one = {"maxretry": "attempts", "findtime": "window", "bantime": "ban"}
    several = {
        "addignoreip": "ignored",
        "addaction": "actions",
        "addfailregex": "expressions",
        "addignoreregex": "exceptions",
    }
    if key in one:
        values[one[key]] = str(rest[0])
    elif key in several:
        there = values.get(several[key], ())
        assert isinstance(there, tuple)
        values[several[key]] = (*there, *_flat(rest))
    elif key == "action" and len(rest) > 1:
        properties = rest[1] if isinstance(rest[1], list) else []
        for pair in properties:
            if isinstance(pair, list) and len(pair) == 2 and pair[0] == "port":
                values["port"] = str(pair[1])


def _flat(words: Iterable[object]) -> Iterator[str]:
    for word in words:
        if isinstance(word, list):
            yield from map(str, word)
        else:
            yield str(word)


def for_sendmail(found: dict[str, Jail]) -> tuple[str, ...]:
    """Those that ban for what sendmail logs of wrong passwords."""
    return tuple(
        name
        for name, jail in found.items()
        if name == NAME or any(FAILURE in expression for expression in jail.expressions)
    )


def filter_of(jail: Jail) -> str:
    """A filter (filter.d) with what the jail looks for, to be tried out."""
    written = ("\n    ".join(each).replace("%", "%%") for each in (jail.expressions, jail.exceptions))
    return "[Definition]\nfailregex = {}\nignoreregex = {}\n".format(*written)


def banaction(texts: Iterable[str]) -> str:
    """How these files have addresses banned, for all jails or for sendmail's; the last one counts. Empty where they do not
    say."""
    import configparser  # here, since few hosts have fail2ban

    found = ""
    for text in texts:
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="")
        try:
            parser.read_string(text)
        except configparser.Error:  # fail2ban itself says what is wrong
            continue
        for section in ("DEFAULT", NAME):
            if parser.has_section(section):
                found = parser.get(section, "banaction", fallback="") or found
    return found.split()[0] if found.strip() else ""


def banned(said: str) -> dict[str, float]:
    """Since when each address is banned (seconds since the epoch), out of `fail2ban-client get JAIL banip --with-time`."""
    found = dict[str, float]()
    for address, begin in _BANNED.findall(said):
        with contextlib.suppress(ValueError, OverflowError):
            found[str(ipaddress.ip_address(address))] = time.mktime(time.strptime(begin, "%Y-%m-%d %H:%M:%S"))
    return found


def connection(text: str) -> str:
    """The SSH connection that our file names, empty where it names none."""
    match = _CONNECTION.search(text)
    try:
        return str(ipaddress.ip_address(match[1])) if match else ""
    except ValueError:
        return ""


def problem(said: str, folder: str, shown: str) -> str:
    """What `fail2ban-client` complains of, in one line; its `folder` is called `shown`. Empty where it does not."""
    found = list[str]()
    inside = False
    for line in said.splitlines():
        match = re.match(
            r"(?:\S+ \S+ +fail2ban\S* +\[\d+\]: +)?(ERROR|CRITICAL|WARNING|INFO|NOTICE)\b:? *(.*)", line
        )
        inside = match[1] in ("ERROR", "CRITICAL") if match else inside
        if inside:
            found.append((match[2] if match else line).strip())
    words = [each for each in found if each and "test configuration failed" not in each]
    return "; ".join(dict.fromkeys(words)).replace(folder, shown)[:400]
