"""Howto 3.2: the sasl.m4 and starttls.m4 includes, before the MAILER lines."""

from __future__ import annotations

from templates import render
from wizard import facts as f
from wizard.answers import Answers
from wizard.changes import CommandChange
from wizard.editors import sendmail_mc
from wizard.facts import Facts
from wizard.password_source import to_be_offered, to_be_trusted
from wizard.plan import Outcome, Plan
from wizard.steps.mc_edit import McStep

UPDATE_TLS = "/usr/share/sendmail/update_tls"
_INCLUDES = ((f.SASL_M4, "include_sasl.mc.j2"), (f.STARTTLS_M4, "include_starttls.mc.j2"))


class McIncludes(McStep):
    """Without them sendmail.cf knows neither AUTH nor STARTTLS."""

    id = "mc-includes"
    howto = "3.2"
    title = "Include SASL2 and STARTTLS in sendmail.mc"
    why = "sendmail.cf gets AUTH and STARTTLS only when sendmail.mc includes the two files that Debian's scripts make."

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """Each include that is not live anywhere in the file is inserted."""
        for path, template in _INCLUDES:
            mc = sendmail_mc.add_include(mc, path, render(template, path=path))
        return mc

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """update_tls first where starttls.m4 is missing (openssl came after sendmail)."""
        plan = super().plan(facts, answers)
        missing = facts.files.get(f.STARTTLS_M4) is None and "install" not in facts.planned
        if missing and plan.outcome in (Outcome.PENDING, Outcome.DONE):
            update = CommandChange(
                (UPDATE_TLS,), f"makes {f.STARTTLS_M4} and the certificate, which are missing"
            )
            return Plan.pending(
                self.id, f"{f.STARTTLS_M4} is missing", update, *plan.changes, notes=plan.notes
            )
        return plan

    def done_reason(self, mc: str) -> str:
        """Both are there."""
        return "both files are included in sendmail.mc"

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's lines."""
        return tuple(f"will insert include(`{path}')dnl" for path, _ in _INCLUDES)

    def options(self, facts: Facts, answers: Answers) -> dict[str, frozenset[str]]:
        """What the includes define."""
        return {
            "AuthMechanisms": to_be_offered(facts, answers),
            "ServerCertFile": frozenset(),
            "ServerKeyFile": frozenset(),
        }

    def trusted(self, facts: Facts, answers: Answers) -> frozenset[str]:
        """A mechanism that is offered and not trusted lets users in, and then refuses to relay."""
        return to_be_trusted(facts, answers)
