"""Howto 5.2: the conversation with the new MSA, as far as it goes without a password."""

from __future__ import annotations

from dataclasses import replace

from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.password_source import mechanisms, served_besides
from wizard.system.host import Host


class AuthTest(Step):
    """The login itself is `msa-wizard test --user NAME`: a password is never part of the answers."""

    id = "auth-test"
    howto = "5.2"
    title = "Test AUTH LOGIN"
    why = "It works when a login gets 235, and not before."
    needs = ("saslauthd-start", "restart")
    reports = True

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Changes nothing."""
        return Plan.done(self.id, "`msa-wizard test --user NAME` proves a login")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """STARTTLS, LOGIN only after it, 530 before AUTH, no AUTH on port 25."""
        from wizard.smtp.login_test import Target, converse

        daemons = sendmail_cf.for_clients(facts.text(f.SENDMAIL_CF) or "", 587)
        if not daemons:
            says = "sendmail.cf has no listener on port 587"
            return [Check("listener", Sign.FAILED, says, "msa-wizard apply")]
        served = served_besides(facts)
        target = Target(host=daemons[0].reachable_at, served=served)
        if "LOGIN" not in mechanisms(facts, answers):  # an answer, or the site's own list
            target = replace(target, mechanism="PLAIN")
        result = converse(target, None)
        checks = [Check(finding.id, Sign(finding.state), finding.says) for finding in result.findings]
        if result.layer is not None:
            checks.append(Check(result.layer, Sign.FAILED, result.verdict))
        return checks
