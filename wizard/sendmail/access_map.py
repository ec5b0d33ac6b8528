"""The access map as text, and which of its lines decides for a client (cf/README, section ANTI-SPAM CONFIGURATION CONTROL)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address
CONNECT, RATE, CONNECTIONS = "connect", "clientrate", "clientconn"
PAUSE, FEATURES, TLS = "greetpause", "srv_features", "tls_clt"
STRANGERS = ("203.0.113.77", "198.51.100.77")
"""Addresses of nobody (RFC 5737), in two nets: what is refused to both is refused to everybody. (Debian's own access map
refuses the third such net.)"""
FEW = 4
"""Connections within sendmail's window (ConnectionRateWindowSize), or at once, that one office behind one address soon makes."""
_TAGS = (CONNECT, RATE, CONNECTIONS, PAUSE, FEATURES, TLS)
REFUSING = (CONNECT, TLS)
"""Tags of lines that turn clients away."""
_LINE = re.compile(rf"^(?:({'|'.join(_TAGS)}):)?(\S*)[ \t]+(\S.*?)[ \t]*$", re.IGNORECASE)
_REFUSALS = re.compile(r'"?(?:REJECT|DISCARD|ERROR:|[45]\d\d )', re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """A line of the map: its number (from 1), its words, its tag in lower case ("" for none), its key, its value."""

    number: int
    text: str
    tag: str
    key: str
    value: str

    @property
    def refuses(self) -> bool:
        """Whether its value turns away who comes: also DISCARD, which takes mail and throws it away, and VERIFY, which
        asks each client for a certificate."""
        if self.tag == TLS:
            return self.value.upper().startswith(("VERIFY", "PERM+VERIFY", "TEMP+VERIFY"))
        bare = (
            self.tag == "" and "@" not in self.key and (":" not in self.key or self.key.startswith("ipv6:"))
        )
        return (self.tag == CONNECT or bare) and bool(_REFUSALS.match(self.value))

    @property
    def hides_auth(self) -> bool:
        """Whether it hides AUTH (A) from clients."""
        return self.tag == FEATURES and "A" in self.value

    @property
    def hides(self) -> bool:
        """Whether it hides AUTH or STARTTLS (S) from clients."""
        return self.hides_auth or (self.tag == FEATURES and "S" in self.value)

    @property
    def low(self) -> bool:
        """Whether it allows FEW connections, at once or within the window, to others than this host itself."""
        known = self.tag in (RATE, CONNECTIONS) and self.value.isdecimal() and not self.key.startswith("127")
        return known and 0 < int(self.value[:9]) <= FEW


def lines(text: str) -> tuple[Line, ...]:
    """The lines with a key and a value, but for comments. Tags of mail addresses (From:, To:) are part of the key."""
    entries = []
    for number, line in enumerate(text.split("\n"), 1):
        match = _LINE.match(line) if not line.startswith("#") else None
        if match:
            entries.append(Line(number, line.strip(), (match[1] or "").lower(), match[2].lower(), match[3]))
    return tuple(entries)


def deciding(entries: Sequence[Line], tag: str, address: str, name: str = "") -> Line | None:
    """The line that decides on the client with this address (as sendmail writes it) and name: by its name and the
    domains above it, by its address and the nets around it, then by the tag alone."""
    by_key = {(entry.tag, entry.key): entry for entry in reversed(entries)}
    tags = (tag, "") if tag == CONNECT else (tag,)
    keys = [*_above(name), *_nets(address), *([""] if tag not in (CONNECT, PAUSE) else [])]
    return next((by_key[each, key] for key in keys for each in tags if (each, key) in by_key), None)


def general(entries: Sequence[Line], tag: str, own: Iterable[str]) -> tuple[Line, ...]:
    """The lines that decide on this host's `own` addresses (loopback aside), thus on its net, and on everybody."""
    ours = [address for text in own if (address := outer(text))]
    decisive = [deciding(entries, tag, written(address)) for address in ours]
    everybody = {deciding(entries, tag, address) for address in STRANGERS}
    decisive += everybody if len(everybody) == 1 else []
    return tuple(dict.fromkeys(line for line in decisive if line is not None))


def outer(text: str) -> Address | None:
    """The address, None where it is loopback's, or one that no router passes on."""
    address = ip_address(text.partition("%")[0])
    return None if address.is_loopback or address.is_link_local else address


def _above(name: str) -> list[str]:
    labels = name.lower().split(".") if name and not name.startswith("[") else []
    return [".".join(labels[index:]) for index in range(len(labels))]


def _nets(address: str) -> list[str]:
    dot = ":" if ":" in address else "."
    labels = address.lower().split(dot)
    return [dot.join(labels[:end]) for end in range(len(labels), 0, -1)]


def written(address: Address, *, compressed: bool = False) -> str:
    """An address as sendmail writes it: an IPv6 one in full (Debian builds it with IPV6_FULL), without leading zeros,
    unless the option UseCompressedIPv6Addresses is set."""
    if address.version == 4:
        return str(address)
    groups = (f"{int(group, 16):x}" for group in address.exploded.split(":"))
    return f"IPv6:{address if compressed else ':'.join(groups)}"
