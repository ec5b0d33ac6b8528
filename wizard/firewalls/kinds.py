"""The firewalls that are known, by name."""

from __future__ import annotations

from wizard.firewalls.firewalld import Firewalld
from wizard.firewalls.iptables import Iptables
from wizard.firewalls.nftables import Nftables
from wizard.firewalls.opening import FirewallKind
from wizard.firewalls.shorewall import Shorewall
from wizard.firewalls.ufw import Ufw

FIREWALLS: dict[str, FirewallKind] = {
    kind.name: kind for kind in (Shorewall(), Ufw(), Firewalld(), Nftables(), Iptables())
}
