"""HANDS_OFF in sendmail.conf (docs/debian.md trap 12)."""

from __future__ import annotations

from wizard.editors import EditError, shell_defaults
from wizard.mends.parts import setting, verdict
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.system.host import Host


class MendHandsOff(Step):
    """Debian's scripts may work again."""

    id = "mend-hands-off"
    howto = "3.6"
    needs = ("install",)
    title = "Let sendmailconfig work"
    why = "With HANDS_OFF sendmailconfig, update_auth and update_tls do nothing, and report success."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """HANDS_OFF="No"."""
        try:
            value = shell_defaults.value(facts.text(f.SENDMAIL_CONF) or "", "HANDS_OFF")
            change = setting(facts, f.SENDMAIL_CONF, "HANDS_OFF", "No", self.title)
        except EditError as error:
            return Plan.blocked(self.id, f"{f.SENDMAIL_CONF}: {error}", error.remedy)
        if change is None or value in (None, ""):
            return Plan.done(self.id, "sendmail.conf does not forbid it")
        return Plan.pending(self.id, f'HANDS_OFF is "{value}"', change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The value as sh reads it."""
        value = shell_defaults.value(facts.text(f.SENDMAIL_CONF) or "", "HANDS_OFF")
        return verdict("HANDS_OFF", value == "No", f'HANDS_OFF is "{value}"')
