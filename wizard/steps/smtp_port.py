"""Howto 3.5: DAEMON_OPTIONS for port 25 with M=A."""

from __future__ import annotations

from wizard.editors import sendmail_mc
from wizard.editors.sendmail_mc import Wanted
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.sendmail.local_mail import served, through_us
from wizard.steps.listeners import ListenerStep, line, wanted
from wizard.steps.mc_edit import own_daemons


class SmtpPort(ListenerStep):
    """No AUTH where other servers deliver."""

    id = "smtp-port"
    howto = "3.5"
    title = "No AUTH on port 25"
    why = "Port 25 is for other mail servers. Passwords are not to be tried there."
    service = "smtp"
    require = "A"

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The lines of 25; one on loopback besides, where local mail goes there and nothing else would take it."""
        addresses = self.addresses(answers)
        listeners = wanted("smtp", addresses, answers, self.require, forbid="as")
        mc = sendmail_mc.set_listeners(mc, "smtp", listeners, line, keep_addresses=not addresses)
        if through_us(facts) and not served(own_daemons(mc)):
            local = Wanted("smtp", "inet", "MTA-local", "127.0.0.1", "A", "")
            mc = sendmail_mc.add_listener(mc, local, line)
        return mc

    def done_reason(self, mc: str) -> str:
        """The lines as they are."""
        return f"port 25 has no AUTH ({self.places(mc)} of sendmail.mc)"
