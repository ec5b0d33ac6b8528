"""Each firewall of howto 3.8 as its admin sets it up: troubleshooting blames it while it is closed, and not once it is open."""

from __future__ import annotations

import pytest

from tests.system.conftest import BootMachine
from tests.system.firewalls import connects, set_up
from tests.system.msa import wizard
from tests.system.test_troubleshoot import short, troubleshoot

BLAMED = {"ufw": "firewall-ufw", "nftables": "firewall-closed"}
"""The others' chains are followed by their own rules."""


@pytest.mark.full
@pytest.mark.parametrize("name", ["shorewall", "firewalld", "nftables", "iptables-persistent", "ufw"])
def test_a_closed_firewall_is_blamed_and_an_open_one_is_not(machine: BootMachine, name: str) -> None:
    debian = machine("msa")
    debian.client()
    set_up(debian, name)
    assert not connects(debian.client(), 587)
    made = troubleshoot(debian, user="")
    assert (made["blamed"], made["exit"]) == (BLAMED.get(name, "firewall-not-open"), 1), short(made)
    assert wizard(debian, "apply", "--yes", "firewall").returncode == 0
    assert connects(debian.client(), 587)
    made = troubleshoot(debian, user="")
    assert (made["blamed"], made["exit"]) == (None, 0), short(made)
