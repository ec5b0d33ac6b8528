"""The queue's folders, somebody who runs it, the alias database, and a restart of a daemon that does not answer, or has
not read what was changed (docs/debian.md trap 3)."""

from __future__ import annotations

from typing import NamedTuple

from wizard.changes.command import CommandChange
from wizard.editors import EditError, shell_defaults
from wizard.mends.parts import restart, setting, verdict
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.steps.restart import Restart
from wizard.system.host import Host


class _Folder(NamedTuple):
    path: str
    mode: int
    user: str


FOLDERS = (_Folder(f.MTA_QUEUE, 0o2750, "smmta"), _Folder(f.CLIENT_QUEUE, 0o2770, "smmsp"))
"""As sendmail-bin's scripts make them."""


def _bad(facts: Facts) -> list[_Folder]:
    bad = []
    for folder in FOLDERS:
        entry = facts.files.get(folder.path)
        if entry is None or entry.kind != "directory" or entry.mode & 0o007 or entry.mode & 0o700 != 0o700:
            bad.append(folder)
    return bad


class MendQueueFolder(Step):
    """What is in them stays."""

    id = "mend-queue-folder"
    needs = ("install",)
    title = "Fix the queue folders"
    why = "sendmail takes no message where the folder for it is missing, or open to others."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """install(1) for each."""
        bad = _bad(facts)
        if not bad:
            return Plan.done(self.id, "both folders are there, closed to others")
        commands = [
            CommandChange(
                ("install", "-d", "-o", folder.user, "-g", "smmsp", "-m", f"{folder.mode:04o}", folder.path),
                f"{folder.path} as Debian makes it",
                footprint=(),
            )
            for folder in bad
        ]
        return Plan.pending(self.id, f"not right: {', '.join(folder.path for folder in bad)}", *commands)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Both are right."""
        bad = _bad(facts)
        says = f"not right: {', '.join(folder.path for folder in bad)}" if bad else "both folders are right"
        return verdict("folders", not bad, says)


class MendQueueRun(Step):
    """Every ten minutes, as Debian has it."""

    id = "mend-queue-run"
    needs = ("install",)
    title = "Have the queue run"
    why = "A message that cannot be delivered at once is tried again only when somebody runs the queue."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """QUEUE_MODE and QUEUE_INTERVAL in sendmail.conf, update_conf's settings, then a restart."""
        try:
            text = facts.text(f.SENDMAIL_CONF) or ""
            mode = shell_defaults.value(text, "QUEUE_MODE") if "QUEUE_MODE" in text else None
        except EditError:  # Debian's own is "${DAEMON_MODE}", which only sh can read
            mode = "Daemon"
        try:
            change = setting(facts, f.SENDMAIL_CONF, "QUEUE_INTERVAL", "10m", self.title)
            if (mode or "").lower() in ("none", "cron"):
                change = setting(facts, f.SENDMAIL_CONF, "QUEUE_MODE", "Daemon", self.title) or change
        except EditError as error:
            return Plan.blocked(self.id, f"{f.SENDMAIL_CONF}: {error}", error.remedy)
        if change is None:
            return Plan.done(self.id, "sendmail.conf has a queue interval")
        return Plan.pending(
            self.id, "sendmail.conf has no queue interval", change, restart(facts, "sendmail")
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The daemon's own command line has -q."""
        path = host.path("/run/sendmail/mta/sendmail.pid")
        words = path.read_text("latin-1").split() if path.exists() else []
        runs = any(word.startswith("-q") for word in words)
        return verdict("queue", runs, f"the daemon was started as {' '.join(words[1:])}")


class MendAliases(Step):
    """newaliases(1)."""

    id = "mend-aliases"
    needs = ("install",)
    title = "Make the alias database"
    why = "Without it mail for users of this host waits in the queue."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The command, where the database is missing."""
        if facts.files.get(f.ALIASES_DB) is not None:
            return Plan.done(self.id, f"{f.ALIASES_DB} is there")
        return Plan.pending(self.id, f"{f.ALIASES_DB} is missing", CommandChange(("newaliases",), "makes it"))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """It is there."""
        there = facts.files.get(f.ALIASES_DB) is not None
        return verdict("aliases", there, f"{f.ALIASES_DB} is {'there' if there else 'missing'}")


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
