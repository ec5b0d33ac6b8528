"""sendmail.cf for a login without TLS, as the howto has it (5.2): AuthOptions commented out, on loopback where wished. Pure."""

from __future__ import annotations

import re

from wizard.editors.daemon_options import DaemonOption, is_loopback, parse

_AUTH_OPTIONS = re.compile(r"^O\s+AuthOptions\s*=")
_LISTENER = re.compile(r"^O\s+DaemonPortOptions\s*=(.*)$")
_LOOPBACK = {"inet": "127.0.0.1", "inet6": "::1"}
MARK = "## "
"""What the howto puts before a line of sendmail.cf that is not to count."""


def plain_login(cf: str, port: int, *, loopback: bool) -> str:
    """`cf` without AuthOptions. With `loopback` the listener of `port` listens on loopback alone, and no
    other one offers AUTH in clear.

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
