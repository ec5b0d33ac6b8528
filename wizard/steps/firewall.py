"""Howto 3.8: ports 25 and 587, and 465 where it was chosen, through the firewall that is active."""

from __future__ import annotations

from dataclasses import replace

from templates import render
from wizard.changes.confirm_or_revert import Confirmation
from wizard.changes.rules import RulesChange
from wizard.console import numbered
from wizard.firewalls.kinds import FIREWALLS
from wizard.firewalls.opening import CannotOpenError, FirewallKind, PortRequest
from wizard.model.answers import Answers
from wizard.model.facts import Facts, Firewall
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.system.host import Host

NONE = "none"

_CHOOSE = "msa-wizard answers --save --set firewall.use="


class OpenFirewall(Step):
    """Adds what is missing, live and in the firewall's own files; never enables one, never reloads one."""

    id = "firewall"
    howto = "3.8"
    title = "Firewall"
    without = "the firewall keeps clients out"
    why = "Mail clients connect to port 587, other servers to 25: while a firewall drops these connections, nothing else helps."
    checked = "whether the live rules let the ports in; that clients get through is proved by a login from elsewhere alone"
    always_reports = True

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Blocked where two firewalls are active and none was chosen, or where its rules cannot be edited safely."""
        if answers.firewall.use == NONE:
            why = f'[firewall] use = "none" in your settings. {_inventory(facts)}'
            return Plan.not_applicable(self.id, why)
        if facts.rules is None and facts.firewalls:
            raise PermissionError("the live rules of the firewall can only be read by root")
        active = chosen(facts, answers)
        if not active and answers.firewall.use != "auto":
            why = f"{answers.firewall.use} is chosen in your settings but is not active. {_inventory(facts)}"
            remedy = "choose one that is active, or start it yourself: this program enables no firewall"
            return Plan.blocked(self.id, why, remedy)
        if not active:
            why = f"no firewall is active on this host. {_inventory(facts)}"
            why = why if facts.firewalls else "no firewall program was found on this host"
            return Plan.not_applicable(self.id, why, (_provider(answers),))
        if len(active) > 1:
            return Plan.blocked(
                self.id,
                f"more than one firewall is active. {_inventory(facts)}",
                "choose in your settings the one in which the ports are opened:",
                *(f"   {_CHOOSE}{firewall.name}" for firewall in active),
                f"   {_CHOOSE}{NONE}   # leaves all of them alone",
            )
        return self._opening(active[0], facts, answers)

    def _opening(self, firewall: Firewall, facts: Facts, answers: Answers) -> Plan:
        if firewall.trouble:
            why = f"{firewall.name} is active ({firewall.says}), but its rules cannot be read: {firewall.trouble}"
            remedy = f"fix {firewall.name}, then run this again"
            return Plan.blocked(self.id, why, remedy, f"or leave it alone: `{_CHOOSE}{NONE}`")
        kind, wanted = FIREWALLS[firewall.name], _wanted(answers)
        try:
            opening = kind.opening(facts, wanted)
        except CannotOpenError as error:
            return Plan.blocked(self.id, str(error), *error.remedy)
        notes: tuple[str, ...] = (f"found {firewall.name}: {firewall.says}",)
        if facts.ssh_port is not None:
            notes += (f"the rules that carry your SSH connection (port {facts.ssh_port}) are not touched",)
        notes += opening.notes
        if not (opening.rules or opening.files):
            return Plan.done(self.id, f"{_ports(answers)} are open in {firewall.name}", notes)
        if not opening.rules:
            path = opening.files[0].path
            reason = f"{_ports(answers)} are open in {firewall.name}, but {path} does not open all of them after a boot"
            return Plan.pending(self.id, reason, *opening.files, notes=notes)
        closed = [port for port in wanted.ports if any(rule.port == port for rule in opening.rules)]
        reason = f"open {numbered(closed, 'port')} in {firewall.name}"
        # What the files have to pass is tried before the live rules; once is enough, shorewall takes a second.
        tried = (replace(change, gate=None) for change in opening.files)
        seconds = answers.confirm_within
        guard = Confirmation(seconds, answers.confirm_typed) if seconds else None
        live = RulesChange(opening.rules, first=opening.files, guard=guard)
        return Plan.pending(self.id, reason, live, *tried, notes=notes)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The live rules once more; and that only a test from outside proves it."""
        plan, active = self.plan(facts, answers), chosen(facts, answers)
        if len(active) == 1 and not active[0].trouble:
            checks = _live_checks(FIREWALLS[active[0].name], facts, answers)
        else:
            checks = [Check("firewall", Sign.UNKNOWN, plan.reason)]
        return [*checks, _proof(facts, answers)]


def chosen(facts: Facts, answers: Answers) -> list[Firewall]:
    """The firewalls that are active, of those that the settings mean."""
    use = answers.firewall.use
    return [each for each in facts.firewalls if each.active and use in ("auto", each.name)]


def _live_checks(kind: FirewallKind, facts: Facts, answers: Answers) -> list[Check]:
    try:
        closed = kind.closed(facts, _wanted(answers))
    except CannotOpenError as error:
        return [Check("firewall", Sign.FAILED, str(error), "\n".join(error.remedy))]
    if not closed:
        return [Check("firewall", Sign.OK, f"the live rules of {kind.name} accept {_ports(answers)}")]
    remedy = "look for a rule before it that drops it"
    faults = (f"the live rules of {kind.name} block port {port} over IPv{family}" for family, port in closed)
    return [Check("firewall", Sign.FAILED, says, remedy) for says in faults]


def _proof(facts: Facts, answers: Answers) -> Check:
    commands = render("outside_test.txt.j2", host=facts.fqdn or facts.hostname, fingerprint="").strip()
    lines = f"{commands}\nHere, meanwhile, `msa-wizard test --from-outside` shows it arrive."
    says = f"this does not yet prove that clients get through: a test on this machine does not pass the firewall. {_provider(answers)}"
    return Check("outside", Sign.PENDING, says, lines)


def _wanted(answers: Answers) -> PortRequest:
    return PortRequest((25, 587, 465) if answers.listen.implicit_tls else (25, 587), answers.firewall.zone)


def _ports(answers: Answers) -> str:
    return numbered(_wanted(answers).ports, "port")


def _provider(answers: Answers) -> str:
    return f"A provider's firewall may still block {_ports(answers)}"


def _inventory(facts: Facts) -> str:
    if not facts.firewalls:
        return "No firewall program was found on this host."
    shown = (f"{each.name} ({'active: ' if each.active else ''}{each.says})" for each in facts.firewalls)
    return f"Found: {'; '.join(shown)}."
