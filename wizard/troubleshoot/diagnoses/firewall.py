"""This host's own packet filter, and fail2ban's bans in it (howto 3.8)."""

from __future__ import annotations

import re

from wizard.firewalls.kinds import FIREWALLS
from wizard.firewalls.opening import CannotOpenError, PortRequest
from wizard.model.plan import Outcome, Sign
from wizard.packet_filter.nftables import Ruleset
from wizard.steps.firewall import OpenFirewall
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_OPEN = {
    "ufw": "ufw allow {port}/tcp",
    "firewalld": "firewall-cmd --add-port={port}/tcp && firewall-cmd --permanent --add-port={port}/tcp",
    "shorewall": "put `ACCEPT net $FW tcp {port}` into /etc/shorewall/rules, then `shorewall safe-reload`",
    "iptables-persistent": "iptables -I INPUT -p tcp --dport {port} -j ACCEPT && netfilter-persistent save",
}
_OWN_WAY = ("shorewall", "firewalld", "iptables-persistent")
_NFT = (
    "put `tcp dport {port} accept` into the input chain of /etc/nftables.conf and live: `nft insert rule ...`"
)


def _ports(picture: Picture) -> list[int]:
    return sorted({talk.daemon.port for talk in picture.submissions} or {587})


def _closed(picture: Picture) -> Finding | None:
    rules = picture.ruleset or Ruleset()
    verdicts = [(port, *rules.verdict(port)) for port in _ports(picture)]
    closed = [(port, why) for port, verdict, why in verdicts if verdict == "closed"]
    if not closed:
        return None
    port = closed[0][0]
    active = [firewall.name for firewall in picture.facts.firewalls if firewall.active]
    words = next((_OPEN[name] for name in active if name in _OPEN), _NFT).format(port=port)
    return Finding(
        f"this host's firewall blocks port {', '.join(str(number) for number, _ in closed)}",
        tuple(Evidence(f"port {number}: {why}", "nft list ruleset") for number, why in closed),
        _opened(picture, [number for number, _ in closed], words),
    )


def _opened(picture: Picture, ports: list[int], by_hand: str) -> Mend:
    """The howto's step where it opens them in the firewall that blocks, else a sentence."""
    opens = {25, 587, *((465,) if picture.answers.listen.implicit_tls else ())}
    plan = OpenFirewall().plan(picture.facts, picture.answers)
    if set(ports) <= opens and plan.outcome is Outcome.PENDING:
        return Mend(("firewall",))
    why = f" (a step cannot: {plan.reason})" if plan.outcome is Outcome.BLOCKED else ""
    return Mend(text=f"open it: {by_hand}{why}")


def _not_open(picture: Picture) -> Finding | None:
    """By the firewall's own rules, for those whose chains nft alone cannot follow to an end."""
    active = [firewall for firewall in picture.facts.firewalls if firewall.active and not firewall.trouble]
    if len(active) != 1 or active[0].name not in _OWN_WAY or picture.facts.rules is None:
        return None
    kind = FIREWALLS[active[0].name]
    try:
        blocked = kind.closed(
            picture.facts, PortRequest(tuple(_ports(picture)), picture.answers.firewall.zone)
        )
    except CannotOpenError:
        return None
    closed = [port for family, port in blocked if family == 4]
    if not closed or _closed(picture) is not None:
        return None
    rules = "\n".join(picture.facts.rules.values())
    limited = all(re.search(rf"\b{port}\b", rules) for port in closed)
    ports, words = ", ".join(map(str, closed)), _OPEN[kind.name].format(port=closed[0])
    return Finding(
        f"{kind.name} {'restricts' if limited else 'blocks'} port {ports}",
        tuple(
            Evidence(f"IPv{family}, port {port}: blocked", f"live rules of {kind.name}")
            for family, port in blocked
        ),
        # Whoever lets some in has meant it: opening the port to all is for a person to decide.
        Mend(text=f"to open it to all: `msa-wizard apply firewall`; by hand: {words}")
        if limited
        else _opened(picture, closed, words),
        Sign.WARNING if limited else Sign.FAILED,
    )


def _ufw(picture: Picture) -> Finding | None:
    """By ufw's own list: nft cannot tell what all of ufw's rules look at."""
    active = any(firewall.name == "ufw" and firewall.active for firewall in picture.facts.firewalls)
    policy = re.search(
        r"^DEFAULT_INPUT_POLICY=\"?(\w+)", picture.texts.get(Text.UFW_DEFAULT, ""), re.MULTILINE
    )
    if not active or policy is None or policy.group(1) == "ACCEPT" or Text.UFW_RULES not in picture.texts:
        return None
    allowed = ufw_allows(picture.texts[Text.UFW_RULES])
    closed = [port for port in _ports(picture) if not any(low <= port <= high for low, high in allowed)]
    if not closed:
        return None
    return Finding(
        f"ufw blocks port {', '.join(map(str, closed))}",
        (
            Evidence(f'DEFAULT_INPUT_POLICY="{policy.group(1)}"', Text.UFW_DEFAULT),
            Evidence(f"no rule allows {', '.join(map(str, closed))}", Text.UFW_RULES),
        ),
        _opened(picture, closed, " && ".join(_OPEN["ufw"].format(port=port) for port in closed)),
    )


def ufw_allows(text: str) -> list[tuple[int, int]]:
    """The ranges of TCP ports that a user.rules of ufw lets in, from wherever."""
    ranges = []
    for words in (line.split() for line in text.splitlines() if line.startswith("### tuple ###")):
        if len(words) < 6 or not words[3].startswith(("allow", "limit")) or words[4] not in ("tcp", "any"):
            continue
        for ports in words[5].split(","):
            low, _, high = ports.partition(":")
            if ports == "any":
                ranges.append((1, 65535))
            elif low.isdecimal():
                ranges.append((int(low), int(high) if high.isdecimal() else int(low)))
    return ranges


def _banned(picture: Picture) -> Finding | None:
    banned = picture.ruleset.banned if picture.ruleset else ()
    if not banned:
        return None
    return Finding(
        "fail2ban bans some addresses: their users see a time-out or a refused connection",
        tuple(Evidence(" ".join(addresses[:8]), f"nft, {name}") for name, addresses in banned),
        Mend(text="let one in again: `fail2ban-client unban ADDRESS`"),
        Sign.WARNING,
    )


_F = Layer.FIREWALL
_OUTSIDE = "the connection times out from outside, but works on the server"
DIAGNOSES = (
    Diagnosis(
        "firewall-closed",
        _F,
        _OUTSIDE,
        "3.8",
        "nft list ruleset, followed for a new packet to each port",
        _closed,
        cause="the packet filter drops or rejects new connections to the port for mail clients",
        fix="open the port (--fix: firewall)",
    ),
    Diagnosis(
        "firewall-not-open",
        _F,
        _OUTSIDE,
        "3.8",
        "the live rules of Shorewall, firewalld or iptables, followed for a new packet to each port",
        _not_open,
        cause="Shorewall, firewalld or iptables does not let the port for mail clients in",
        fix="open the port (--fix: firewall)",
    ),
    Diagnosis(
        "firewall-ufw",
        _F,
        _OUTSIDE,
        "3.8",
        "ufw's own rules",
        _ufw,
        cause="ufw blocks what it has no rule for, and it has none for the port",
        fix="open the port (--fix: firewall)",
    ),
    Diagnosis(
        "firewall-banned",
        _F,
        "one user can no longer connect, others can",
        "3.8",
        "fail2ban's sets in the packet filter",
        _banned,
        cause="fail2ban bans their address after failed logins",
        fix="let it in again: `fail2ban-client unban ADDRESS`",
    ),
)
