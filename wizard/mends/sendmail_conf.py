"""HANDS_OFF in sendmail.conf (docs/debian.md trap 12)."""

from __future__ import annotations

import dataclasses

from wizard.changes import FileChange
from wizard.editors import EditError, shell_defaults
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.system.host import Host


def edited(facts: Facts, path: str, key: str, value: str, why: str) -> FileChange | None:
    """The change of one setting of a file that sh reads; None where it is so already, or there is no file.

    Raises EditError."""
    entry, text = facts.files.get(path), facts.text(path)
    if entry is None or text is None or shell_defaults.value(text, key) == value:
        return None
    new = shell_defaults.set_value(text, key, value)
    return FileChange(path, entry, dataclasses.replace(entry, content=new.encode("latin-1")), why)


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
            change = edited(facts, f.SENDMAIL_CONF, "HANDS_OFF", "No", self.title)
        except EditError as error:
            return Plan.blocked(self.id, f"{f.SENDMAIL_CONF}: {error}", error.remedy)
        if change is None or value in (None, ""):
            return Plan.done(self.id, "sendmail.conf does not forbid it")
        return Plan.pending(self.id, f'HANDS_OFF is "{value}"', change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The value as sh reads it."""
        value = shell_defaults.value(facts.text(f.SENDMAIL_CONF) or "", "HANDS_OFF")
        return [Check("HANDS_OFF", Sign.OK if value == "No" else Sign.FAILED, f'HANDS_OFF is "{value}"')]
