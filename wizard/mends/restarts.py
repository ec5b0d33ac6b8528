"""Restarts of a daemon that is there and does not answer, or has not read what was changed (docs/debian.md trap 3)."""

from __future__ import annotations

from wizard.mends.parts import restart
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.steps.restart import Restart
from wizard.steps.saslauthd_start import answers_on_socket
from wizard.system.host import Host


class MendSaslauthdRestart(Step):
    """Always a restart: whoever asks for it has seen that it is needed."""

    id = "mend-saslauthd-restart"
    howto = "2.4"
    needs = ("install",)
    title = "Restart saslauthd"
    why = "It runs but does not answer as configured."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The restart."""
        if not facts.services["saslauthd"].exists:
            return Plan.blocked(
                self.id, "there is no saslauthd service on this host", "msa-wizard apply install"
            )
        return Plan.pending(
            self.id, self.why, restart(facts, "saslauthd", "KILL" if facts.saslauthd_says is None else "")
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Its socket answers."""
        return [answers_on_socket(host)]


class MendSendmailRestart(Step):
    """Always a restart, also where nothing that sendmail reads is newer than it is."""

    id = "mend-sendmail-restart"
    howto = "3.7"
    needs = ("install",)
    title = "Restart Sendmail"
    why = "It runs but does not answer, or has not read yet what was fixed."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The restart, unless another program holds one of the ports."""
        plan = Restart().plan(facts, answers)
        if plan.outcome == "blocked":
            return Plan.blocked(self.id, plan.reason, *plan.remedy)
        return Plan.pending(self.id, self.why, restart(facts, "sendmail", "CONT"))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Every listener of sendmail.cf greets."""
        return [item for item in Restart().verify(host, facts, answers) if item.id != "boot"]
