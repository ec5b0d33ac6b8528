"""Howto 3.5: DAEMON_OPTIONS for port 25 with M=A."""

from __future__ import annotations

from wizard.editors import sendmail_mc
from wizard.editors.sendmail_mc import Wanted
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Plan
from wizard.sendmail.local_mail import served, through_us
from wizard.sendmail.mc_effects import Planned
from wizard.steps.listeners import line, not_here, wanted
from wizard.steps.mc_edit import McStep, own_daemons


class SmtpPort(McStep):
    """No AUTH where other servers deliver."""

    id = "smtp-port"
    howto = "3.5"
    title = "No AUTH on port 25"
    why = "Port 25 is for other mail servers. Passwords are not to be tried there."
    needs = ("install", "sendmail-auth", "mc-includes")

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The lines of 25; one on loopback besides, where local mail goes there and nothing else would take it."""
        addresses = answers.listen.smtp
        items = wanted("smtp", addresses, answers, require="A", forbid="as")
        mc = sendmail_mc.set_listeners(mc, "smtp", items, line, keep_addresses=not addresses)
        if through_us(facts) and not served(own_daemons(mc)):
            local = Wanted("smtp", "inet", "MTA-local", "127.0.0.1", "A", "")
            mc = sendmail_mc.add_listener(mc, local, line)
        return mc

    def planned(self, facts: Facts, answers: Answers) -> Planned:
        """The listeners, which the gate compares by themselves."""
        return Planned(sets=frozenset({"DaemonPortOptions"}))

    def refusal(self, facts: Facts, answers: Answers) -> Plan | None:
        """An address that is not here."""
        return not_here(self.id, answers.listen.smtp, facts, answers)

    def done_reason(self, mc: str) -> str:
        """The lines as they are."""
        lines = [
            f"line {listener.line}"
            for listener in sendmail_mc.daemon_options(mc)
            if listener.service == "smtp"
        ]
        return f"port 25 has no AUTH ({', '.join(lines)} of sendmail.mc)"

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's line."""
        return tuple(
            f"will set {line(listener).strip()}"
            for listener in wanted("smtp", answers.listen.smtp, answers, "A", "")
        )
