"""The firewalls that are known, and the files that each keeps its rules in."""

from __future__ import annotations

from typing import Literal

SHOREWALL, UFW, FIREWALLD = "shorewall", "ufw", "firewalld"
NFTABLES, IPTABLES = "nftables", "iptables-persistent"
NAMES = (SHOREWALL, UFW, FIREWALLD, NFTABLES, IPTABLES)

NFT_CONF = "/etc/nftables.conf"
UFW_CONF = "/etc/ufw/ufw.conf"
UFW_DEFAULT = "/etc/default/ufw"
UFW_RULES = {4: "/etc/ufw/user.rules", 6: "/etc/ufw/user6.rules"}
RULES_V4, RULES_V6 = "/etc/iptables/rules.v4", "/etc/iptables/rules.v6"
FIREWALLD_CONF = "/etc/firewalld/firewalld.conf"
ZONES, SHIPPED_ZONES = "/etc/firewalld/zones", "/usr/lib/firewalld/zones"
SHOREWALL_FOLDER = {4: "/etc/shorewall", 6: "/etc/shorewall6"}

FILES: dict[str, tuple[str, ...]] = {
    SHOREWALL: tuple(
        f"{folder}/{name}"
        for folder in SHOREWALL_FOLDER.values()
        for name in ("zones", "interfaces", "rules")
    ),
    UFW: (UFW_CONF, UFW_DEFAULT, *UFW_RULES.values()),
    FIREWALLD: (FIREWALLD_CONF, f"{ZONES}/*.xml", f"{SHIPPED_ZONES}/*.xml"),
    NFTABLES: (NFT_CONF,),
    IPTABLES: (RULES_V4, RULES_V6),
}
"""A name with a star means all files of the folder with that ending."""

MARK = "msa-wizard"
"""The comment on each rule of ours: by it they are known again."""
TOOLS: dict[int, Literal["iptables", "ip6tables"]] = {4: "iptables", 6: "ip6tables"}
