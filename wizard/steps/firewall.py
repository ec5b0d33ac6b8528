"""Howto 3.8: what was found of a firewall. It is reported; nothing is changed."""

from __future__ import annotations

from wizard.answers import Answers
from wizard.facts import Facts
from wizard.host import Host
from wizard.plan import Check, Plan, Sign, Step


class FirewallReport(Step):
    """Names the firewall, and the ports that must be open."""

    id = "firewall"
    howto = "3.8"
    title = "Firewall"
    why = "Ports 25 and 587 must be reachable from outside."
    reports = True

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Says what it found."""
        return Plan.not_applicable(self.id, _found(facts))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The same as a line of the report."""
        active = [item for item in facts.firewalls if item.active]
        ports = "25, 587 and 465" if answers.listen.implicit_tls else "25 and 587"
        if not active:
            return [
                Check(
                    "firewall",
                    Sign.UNKNOWN,
                    f"{_found(facts)} A provider's firewall may still block {ports}: only a test "
                    "from another machine proves it",
                    f"there: msa-wizard test --host {facts.fqdn}",
                )
            ]
        return [
            Check(
                "firewall",
                Sign.WARNING,
                f"{_found(facts)} Open {ports} in it",
                f"then, from another machine: msa-wizard test --host {facts.fqdn}",
            )
        ]


def _found(facts: Facts) -> str:
    if not facts.firewalls:
        return "No firewall program was found on this host."
    return (
        "Found: "
        + "; ".join(
            f"{item.name} ({'active: ' if item.active else ''}{item.says})" for item in facts.firewalls
        )
        + "."
    )
