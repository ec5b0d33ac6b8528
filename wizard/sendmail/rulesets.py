"""What sendmail's own rulesets decide on a client, asked in address test mode without a connection (sendmail -bt; op.me,
section 5.1.4). sendmail reads a copy of its sendmail.cf, in memory, with rulesets that call those of two arguments."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from wizard.errors import HostError
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.access_map import Address, written
from wizard.system.host import Host

DEADLINE = 4.0
"""Seconds for sendmail's answer; it takes some hundredths."""
LONG_PAUSE = 20.0
"""Seconds before the greeting with which some clients give up."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_CALLS = {
    "connect": ("check_relay", "$&{client_name} $| $&{client_addr}"),
    "late": ("checkrelay", "$&{client_name} $| $&{client_addr}"),
    "pause": ("greet_pause", "$&{client_name} $| $&{client_addr}"),
    "rate": ("RateControl", "x"),
    "conn": ("ConnControl", "x"),
    "features": ("srv_features", "x"),
    "tls": ("tls_client", "NO $| MAIL"),
}
"""What is asked: the ruleset, and its arguments. checkrelay is there where they are `delayed`."""
_ASK_THE_DNS = re.compile(r"^K(\S+)\s+(?:dns|host)\b.*$", re.MULTILINE)
_ASK_A_SERVER = re.compile(r"^K\S+\s+(?:ldap|nis|nisplus|socket|hesiod|ph)\b", re.MULTILINE)
_ZONE = re.compile(r"\$\(e?dnsbl \$4\.\$3\.\$2\.\$1\.([A-Za-z0-9_.-]+?)\.? ")


@dataclass(frozen=True)
class Admission:
    """What the rulesets decide on one client. Replies are sendmail's, empty where it lets the client go on."""

    address: str
    """As sendmail writes it."""
    name: str
    refused: str = ""
    """Its reply to the connection: every command of the client gets it."""
    refused_late: str = ""
    """Its reply to the recipient (delay_checks), or DISCARD: who has logged in does not get it."""
    discarded: bool = False
    """Whether it takes the client's mail and throws it away."""
    rate: int = 0
    """Connections within sendmail's window (ConnectionRateWindowSize), 0 for any number."""
    connections: int = 0
    """Connections at once, 0 for any number."""
    pause: float = 0.0
    """Seconds before the greeting."""
    features: str = ""
    """The letters of srv_features: A hides AUTH, S hides STARTTLS."""
    refused_tls: str = ""
    """Its reply to MAIL from a client that uses TLS without a certificate of its own."""


def dns_lists(cf: str) -> tuple[str, ...]:
    """The zones that FEATURE(`dnsbl') and FEATURE(`enhdnsbl') ask about each client."""
    return tuple(dict.fromkeys(_ZONE.findall(cf)))


def delayed(cf: str) -> bool:
    """Whether clients are refused only when they name a recipient, and who has logged in passes (delay_checks)."""
    return re.search(r"^Scheckrelay\b", cf, re.MULTILINE) is not None


def admissions(host: Host, cf: str, clients: Iterable[tuple[Address, str]]) -> tuple[Admission, ...]:
    """What becomes of each client, by address and name ("" where it has none; a name that is no host's counts as none).
    The DNS is not asked: lists there find nothing. Raises HostError where sendmail does not answer in time."""
    short = (sendmail_cf.option(cf, "UseCompressedIPv6Addresses") or "").lower().startswith(("t", "y"))
    known = {key: call for key, call in _CALLS.items() if re.search(rf"^S{call[0]}\b", cf, re.MULTILINE)}
    rules = (f'Swz_{key}\nR$*\t\t$: $>"{name}" {what}\n' for key, (name, what) in known.items())
    content = (
        _ASK_THE_DNS.sub(r"K\1 null", cf) + "\nO DontProbeInterfaces=True\nO LogLevel=0\n" + "".join(rules)
    )
    asked = [(written(address, compressed=short), name) for address, name in clients]
    named = [(address, name if _NAME.fullmatch(name) else f"[{address}]") for address, name in asked]
    macros = ".D{client_addr}%s\n.D{client_name}%s\n.D{client_resolve}%s\n.D{client_rate}0\n.D{client_connections}0\n"
    macros += ".D{verify}NO\n.D{cipher_bits}256\n" + "".join(f"wz_{key} x\n" for key in known)
    commands = "".join(macros % (*pair, "FAIL" if pair[1].startswith("[") else "OK") for pair in named)
    with host.in_memory(content.encode("latin-1")) as cf_path, host.in_memory(commands.encode()) as wanted:
        # Without a network it cannot wait for the DNS, as it does for its own name; maps on a server need one.
        alone = "" if _ASK_A_SERVER.search(cf) else "unshare -n"
        for way in dict.fromkeys((alone, "")):  # some containers do not allow the first
            argv = ["sh", "-c", f'exec {way} sendmail -C "$1" -bt <"$2"', "sh", cf_path, wanted]
            output = host.run(argv, timeout=DEADLINE, encoding="latin-1")
            if "unshare:" not in output.stderr:
                break
    returns = re.findall(r"^(?:> )*wz_(\w+) +returns: ?(.*)$", output.stdout, re.MULTILINE)
    if not known or len(returns) != len(known) * len(named):
        raise HostError(f"sendmail's address test mode did not answer: {output.tail(2)}")
    answers = [dict(returns[index : index + len(known)]) for index in range(0, len(returns), len(known))]
    return tuple(_admission(*pair, answer) for pair, answer in zip(named, answers, strict=False))


def _admission(address: str, name: str, returns: dict[str, str]) -> Admission:
    late = returns.get("late", "")
    features = returns.get("features", "")
    pause = re.match(r"\$# *(\d+)", returns.get("pause", ""))
    return Admission(
        address,
        name,
        _reply(returns.get("connect", "")),
        "DISCARD" if late.startswith("$# discard") else _reply(late),
        returns.get("connect", "").startswith("$# discard"),
        _limit(returns.get("rate", "")),
        _limit(returns.get("conn", "")),
        int(pause[1]) / 1000 if pause else 0.0,
        features.removeprefix("$#").replace(" ", "") if features.startswith("$#") else "",
        _reply(returns.get("tls", "")),
    )


def _limit(returns: str) -> int:
    match = re.match(r"< (\d+) >", returns)
    return int(match[1]) if match else 0


def _reply(returns: str) -> str:
    """The reply in `$# error $@ 5 . 7 . 1 $: "550 Access denied"`, as sendmail says it: 550 5.7.1 Access denied. A
    quarantine is none, the mail is kept."""
    match = re.match(r"\$# error (?:\$@ ([\d .]+))?\$: (.*)", returns)
    if not match:
        return ""
    code, words = (match[1] or "").replace(" ", ""), match[2].replace('"', " ").split()
    first = words.pop(0) if words and re.fullmatch(r"[45]\d\d", words[0]) else "550"
    return " ".join(filter(None, (first, code, *words))).replace(" . ", ".")


def client(text: str) -> Address | None:
    """The address in `text`, None where it is no address of one client. A mapped IPv4 address is that one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    return None if address.is_multicast or address.is_unspecified else address
