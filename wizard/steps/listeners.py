"""From the answers to the DAEMON_OPTIONS lines that are wanted, and what the steps that write them share (howto 3.3, 3.5)."""

from __future__ import annotations

import ipaddress
from typing import ClassVar

from templates import render
from wizard.editors import sendmail_mc
from wizard.editors.sendmail_mc import Wanted
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Plan
from wizard.sendmail.mc_gate import Planned
from wizard.steps.mc_edit import McStep

_NAMES = {"smtp": "MTA", "submission": "MSP", "submissions": "MSP-TLS"}
_PORTS = {"smtp": "smtp", "submission": "submission", "submissions": "465"}


def wanted(
    service: str, addresses: tuple[str, ...], answers: Answers, require: str, forbid: str
) -> tuple[Wanted, ...]:
    """One line for each address; without addresses one for all of them, IPv6 included where that was chosen.

    Family=inet and Family=inet6 side by side, both without an address, end the MTA after 45 s: inet6 alone serves
    IPv4 as well (docs/debian.md trap 2)."""
    pairs: list[tuple[str, str | None]]
    if addresses:
        pairs = [("inet6" if ":" in address else "inet", address) for address in addresses]
    else:
        pairs = [("inet6" if answers.listen.ipv6 else "inet", None)]
    listeners = []
    for at, (family, address) in enumerate(pairs):
        earlier = sum(1 for other, _ in pairs[:at] if other == family)
        name = (
            f"{_NAMES[service]}-{'v6' if family == 'inet6' else 'v4'}{f'-{earlier + 1}' if earlier else ''}"
        )
        listeners.append(Wanted(service, family, name, address, require, forbid))
    return tuple(listeners)


def line(listener: Wanted) -> str:
    """The DAEMON_OPTIONS line for a listener that is not there yet."""
    return render(
        "daemon_options.mc.j2",
        family=listener.family,
        name=listener.name,
        port=_PORTS[listener.service],
        address=listener.address,
        modifiers=listener.require,
    )


def not_here(step: str, addresses: tuple[str, ...], facts: Facts, answers: Answers) -> Plan | None:
    """Blocked where an address is not this host's, or IPv6 was chosen and cannot be: the MTA would end."""
    for address in addresses:
        if address not in facts.addresses and not ipaddress.ip_address(address).is_unspecified:
            return Plan.blocked(
                step,
                f"{address} is not an address of this host: sendmail would end within a minute of its restart",
                f"this host has {', '.join(facts.addresses)}",
            )
    if (answers.listen.ipv6 or any(":" in address for address in addresses)) and not facts.ipv6:
        return Plan.blocked(
            step,
            "IPv6 was chosen, but this host has none (or net.ipv6.bindv6only is 1): sendmail would end",
            "set ipv6 = false in the answers, or enable IPv6",
        )
    return None


class ListenerStep(McStep):
    """A step that makes the listeners of one service what the answers want."""

    needs = ("install", "sendmail-auth", "mc-includes")
    service: ClassVar[str]
    require: ClassVar[str]
    """The modifiers that its lines must have."""

    def planned(self, facts: Facts, answers: Answers) -> Planned:
        """The listeners, which the gate compares by themselves."""
        return Planned(sets=frozenset({"DaemonPortOptions"}))

    def refusal(self, facts: Facts, answers: Answers) -> Plan | None:
        """An address that is not here."""
        return not_here(self.id, self.addresses(answers), facts, answers)

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's line."""
        listeners = wanted(self.service, self.addresses(answers), answers, self.require, "")
        return tuple(f"will set {line(listener).strip()}" for listener in listeners)

    def addresses(self, answers: Answers) -> tuple[str, ...]:
        """The addresses that were chosen for the service, empty for every address."""
        return answers.listen.smtp if self.service == "smtp" else answers.listen.submission

    def places(self, mc: str) -> str:
        """Where the lines are in sendmail.mc: `line 3, line 7`."""
        options = sendmail_mc.daemon_options(mc)
        return ", ".join(f"line {option.line}" for option in options if option.service == self.service)
