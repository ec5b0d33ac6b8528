"""Howto 3.3: DAEMON_OPTIONS for port 587 with M=Ea; 465 with TLS on connect where it was chosen."""

from __future__ import annotations

from templates import render
from wizard.answers import Answers
from wizard.editors import sendmail_mc
from wizard.editors.sendmail_mc import Wanted
from wizard.facts import Facts
from wizard.mc_effects import Planned
from wizard.plan import Plan
from wizard.steps.listeners import line, not_here, wanted
from wizard.steps.mc_edit import McStep


class SubmissionPort(McStep):
    """AUTH required (a), ETRN off (E); Debian's own line listens on 127.0.0.1 alone."""

    id = "submission-port"
    howto = "3.3"
    title = "Require AUTH on port 587"
    why = "Mail clients submit on port 587, and only who has logged in may. Debian listens there on 127.0.0.1 only."
    needs = ("install", "sendmail-auth", "mc-includes")

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The lines of 587, and of 465 where chosen; the built-in listeners made visible first. Who listens on 465 already,
        for others too, requires a login there as well."""
        if not sendmail_mc.daemon_options(mc):
            # Any DAEMON_OPTIONS replaces the built-in listener on 25, which local mail needs.
            builtin = Wanted("smtp", "inet", "MTA-v4", None, "", "")
            mc = sendmail_mc.set_listeners(mc, "smtp", (builtin,), line, keep_addresses=True)
        mc = sendmail_mc.add_feature(mc, "no_default_msa", render("no_default_msa.mc.j2"))
        addresses = answers.listen.submission
        items = wanted("submission", addresses, answers, require="Ea", forbid="ASs")
        mc = sendmail_mc.set_listeners(mc, "submission", items, line, keep_addresses=not addresses)
        if answers.listen.implicit_tls:
            items = wanted("submissions", addresses, answers, require="Eas", forbid="AS")
            mc = sendmail_mc.set_listeners(mc, "submissions", items, line, keep_addresses=not addresses)
        return sendmail_mc.require_login(mc, "submissions")

    def planned(self, answers: Answers) -> Planned:
        """The listeners, which the gate compares by themselves."""
        return Planned(sets=frozenset({"DaemonPortOptions"}))

    def notes(self, before: str, after: str) -> tuple[str, ...]:
        """What was open without a login."""
        return tuple(
            f"port {item.port_number} on {item.address or 'every address'} (line {item.line} of sendmail.mc) takes mail "
            "without a login now, also from other machines; from now on who submits there must log in"
            for item in sendmail_mc.daemon_options(before)
            if item.service in ("submission", "submissions")
            and not item.loopback
            and "a" not in item.modifiers
        )

    def refusal(self, facts: Facts, answers: Answers) -> Plan | None:
        """An address that is not here."""
        return not_here(self.id, answers.listen.submission, facts, answers)

    def done_reason(self, mc: str) -> str:
        """The lines as they are."""
        lines = [
            f"line {item.line}" for item in sendmail_mc.daemon_options(mc) if item.service == "submission"
        ]
        return f"port 587 requires AUTH ({', '.join(lines)} of sendmail.mc)"

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's line."""
        items = wanted("submission", answers.listen.submission, answers, require="Ea", forbid="")
        return tuple(f"will set {line(item).strip()}" for item in items)
