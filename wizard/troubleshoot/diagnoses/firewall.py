"""This host's own packet filter, and fail2ban's bans in it (howto 3.8)."""

from __future__ import annotations

from wizard.plan import Sign
from wizard.troubleshoot.nouns import Diagnosis, Evidence, Layer, Mend, Seen
from wizard.troubleshoot.picture import Picture

_OPEN = {
    "ufw": "ufw allow {port}/tcp",
    "firewalld": "firewall-cmd --add-port={port}/tcp && firewall-cmd --permanent --add-port={port}/tcp",
    "shorewall": "put `ACCEPT net $FW tcp {port}` into /etc/shorewall/rules, then `shorewall safe-reload`",
    "iptables-persistent": "iptables -I INPUT -p tcp --dport {port} -j ACCEPT && netfilter-persistent save",
}
_NFT = (
    "put `tcp dport {port} accept` into the input chain of /etc/nftables.conf and live: `nft insert rule ...`"
)


def _ports(picture: Picture) -> list[int]:
    return sorted({item.daemon.port for item in picture.submissions} or {587})


def _closed(picture: Picture) -> Seen | None:
    found = [(port, *picture.ruleset.verdict(port)) for port in _ports(picture)]
    closed = [(port, why) for port, verdict, why in found if verdict == "closed"]
    if not closed:
        return None
    port = closed[0][0]
    active = [item.name for item in picture.facts.firewalls if item.active]
    words = next((_OPEN[name] for name in active if name in _OPEN), _NFT).format(port=port)
    return Seen(
        f"the firewall of this host lets nobody in on port {', '.join(str(item) for item, _ in closed)}",
        tuple(Evidence(f"port {item}: {why}", "nft list ruleset") for item, why in closed),
        Mend(text=f"open it: {words}"),
    )


def _banned(picture: Picture) -> Seen | None:
    banned = picture.ruleset.banned()
    if not banned:
        return None
    return Seen(
        "fail2ban keeps some addresses out: their users see a time-out or a refused connection",
        tuple(Evidence(" ".join(addresses[:8]), f"nft, {name}") for name, addresses in banned),
        Mend(text="let one in again: `fail2ban-client unban ADDRESS`"),
        Sign.WARNING,
    )


DIAGNOSES = (
    Diagnosis(
        "firewall-closed",
        Layer.FIREWALL,
        "the connection times out from outside, and works on the server",
        "3.8",
        "nft list ruleset, followed for a new packet to each port",
        _closed,
    ),
    Diagnosis(
        "firewall-banned",
        Layer.FIREWALL,
        "one user cannot connect any more, others can",
        "3.8",
        "fail2ban's sets in the packet filter",
        _banned,
    ),
)
