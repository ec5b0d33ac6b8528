"""sasl.m4 and starttls.m4, made again by Debian's scripts where they are damaged, and these scripts allowed to work
(howto 3.1, 3.2, 3.6; docs/debian.md trap 12)."""

from __future__ import annotations

from typing import ClassVar

from snapshots.live.entry import Kind
from wizard.changes.command import CommandChange
from wizard.changes.file import FileChange
from wizard.editors import EditError, shell_defaults
from wizard.mends.parts import not_regular, setting, verdict
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Plan, Step
from wizard.sendmail.daemon_mode import KEY, LISTENS, silent_mode, silent_sentence
from wizard.steps.mc_includes import UPDATE_TLS
from wizard.steps.sendmail_auth import UPDATE_AUTH, hands_off
from wizard.system.host import Host


class _Generated(Step):
    """A file that a script writes, but only where there is none."""

    needs = ("install",)
    path: ClassVar[str]
    holds: ClassVar[str]
    """What a good one holds in a line that is not a comment."""
    script: ClassVar[str]

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The damaged one is removed, the script makes another."""
        entry = facts.files.get(self.path)
        if entry is not None and entry.kind is not Kind.FILE:
            return not_regular(self.id, self.path)
        if self._good(facts):
            return Plan.done(self.id, f"{self.path} sets {self.holds}")
        stopped = hands_off(facts, self.id) if "mend-hands-off" not in facts.planned else None
        if stopped is not None:
            return stopped
        removals: list[Change] = (
            [FileChange(self.path, entry, None, "remove the damaged file")] if entry else []
        )
        script = CommandChange((self.script,), f"makes {self.path}")
        return Plan.pending(self.id, "it is missing" if entry is None else "it is damaged", *removals, script)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """It holds what it must."""
        good = self._good(facts)
        says = f"{self.path} {'sets' if good else 'does not set'} {self.holds}"
        return verdict("made", good, says)

    def _good(self, facts: Facts) -> bool:
        lines = (facts.text(self.path) or "").splitlines()
        return any(self.holds in line and not line.lstrip().startswith(("dnl", "#")) for line in lines)


class MendSaslM4(_Generated):
    """sasl.m4."""

    id = "mend-sasl-m4"
    howto = "3.1"
    title = "Rebuild sasl.m4"
    why = "sendmail.mc includes it; without what it defines no login is offered."
    path = f.SASL_M4
    holds = "confAUTH_MECHANISMS"
    script = UPDATE_AUTH


class MendStarttlsM4(_Generated):
    """starttls.m4."""

    id = "mend-starttls-m4"
    howto = "3.2"
    title = "Rebuild starttls.m4"
    why = "sendmail.mc includes it; without what it defines there is no encryption."
    path = f.STARTTLS_M4
    holds = "confSERVER_CERT"
    script = UPDATE_TLS


class MendDaemonMode(Step):
    """QUEUE_MODE follows it, as Debian's file has it."""

    id = "mend-daemon-mode"
    howto = "3.7"
    needs = ("install",)
    title = "Have sendmail listen"
    why = (
        "With another DAEMON_MODE no sendmail listens, whatever sendmail.cf says: mail clients find no port."
    )

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """DAEMON_MODE="Daemon"."""
        mode = silent_mode(facts)
        change = setting(facts, f.SENDMAIL_CONF, KEY, LISTENS, self.title) if mode else None
        if change is None:
            return Plan.done(self.id, "a sendmail that listens is started")
        return Plan.pending(self.id, silent_sentence(mode), change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The value as the script reads it."""
        mode = silent_mode(facts)
        return verdict("daemon-mode", not mode, mode or f'{KEY}="{LISTENS}"')


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
