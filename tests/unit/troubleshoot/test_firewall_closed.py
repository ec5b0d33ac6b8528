"""A firewall that keeps its own rules, seen from within: closed to all, to some, or open."""

from __future__ import annotations

import pytest

from tests.unit.troubleshoot.pictures import picture
from wizard.model.facts import Firewall
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnoses.firewall import DIAGNOSES

DROP = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n{}COMMIT\n"
OPEN = "-A INPUT -p tcp -m tcp --dport 587 -j ACCEPT\n"
SOME = "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 587 -j ACCEPT\n"
NAME = "iptables-persistent"


@pytest.mark.parametrize(
    ("rules", "active", "sign"),
    [
        ("", True, Sign.FAILED),
        (SOME, True, Sign.WARNING),
        (OPEN, True, None),
        ("", False, None),
    ],
)
def test_who_is_let_in(rules: str, active: bool, sign: Sign | None) -> None:
    seen = next(item for item in DIAGNOSES if item.id == "firewall-not-open").look(
        picture(
            facts={
                "firewalls": (Firewall(NAME, active, "as found"),),
                "rules": {"iptables": DROP.format(rules), "ip6tables": DROP.format(rules)},
                "outside": frozenset({"eth0"}),
            }
        )
    )
    assert (seen.sign if seen else None) == sign
    if seen:
        limited = seen.sign is Sign.WARNING
        assert seen.mend.steps == (() if limited else ("firewall",))
        assert ("msa-wizard apply firewall" in seen.mend.text) is limited
        assert [item.says for item in seen.evidence][:1] == ["IPv4, port 587: blocked"]
