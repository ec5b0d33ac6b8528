"""sendmail.mc put right, two listeners on one port, a masked unit, the queue's folders, somebody who runs it, the alias
database, and a restart of a daemon that does not answer, or has not read what was changed (docs/debian.md trap 3)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple

from wizard.changes.command import CommandChange
from wizard.editors import EditError, sendmail_mc, shell_defaults
from wizard.editors.daemon_options import DaemonOption, collide
from wizard.mends.parts import restart, setting, verdict
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail import mc_repair
from wizard.sendmail.asked_saslauthd import socket_of
from wizard.sendmail.mc_gate import Gate, Planned
from wizard.steps.absent import edited
from wizard.steps.mc_edit import McStep
from wizard.steps.restart import Restart
from wizard.steps.saslauthd import answers_on_socket
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


class MendMc(Step):
    """The word that is misspelt, the quote that is open; else the last text of the history that m4 accepts."""

    id = mc_repair.STEP
    howto = "3.6"
    needs = ("install",)
    title = "Fix sendmail.mc"
    why = "m4 copies or swallows what it does not understand, and the listener or setting that was meant has no effect."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The text of `mc_repair`, which the gate tries once more."""
        seen, entry = facts.mc_fault, facts.files.get(f.SENDMAIL_MC)
        if seen is None or entry is None:
            return Plan.done(self.id, "sendmail.mc has no misspelt word and no open quote")
        if seen.text is None:
            return Plan.blocked(
                self.id, seen.sentence, f"correct it by hand, then try again: {f.SENDMAIL_MC}"
            )
        notes = (f"the whole file goes back to what it was in {seen.commit}",) if seen.commit else ()
        gate = Gate(serves=True, owner=facts.mail_owner)
        change = edited(facts, f.SENDMAIL_MC, seen.text.decode("latin-1"), self.title, gate)
        return Plan.pending(self.id, seen.sentence, change, notes=notes)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """m4 accepts it."""
        fine = facts.cf_from_mc is not None and not sendmail_cf.unexpanded(facts.cf_from_mc)
        return verdict("m4", fine, f"m4 {'accepts' if fine else 'does not accept'} {f.SENDMAIL_MC}")


class MendListeners(McStep):
    """One of two lines on one port switched off: the foreign one, else the later."""

    id = "mend-listeners"
    howto = "3.3"
    needs = ("install",)
    title = "Switch off the second listener of a port"
    why = "sendmail can open a port once. With two lines for it the whole MTA exits 45 s after its start."

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """dnl before the line."""
        for _ in range(_MOST_LISTENERS):
            lines = sendmail_mc.daemon_options(mc)
            pair = next((each for each in itertools.combinations(lines, 2) if collide(*each)), None)
            if pair is None:
                break
            goes = pair[0] if _ours(pair[1]) and not _ours(pair[0]) else pair[1]
            rows = mc.split("\n")
            for at in range(goes.line - 1, goes.line + goes.raw.count("\n")):
                rows[at] = f"dnl {rows[at]}"
            mc = "\n".join(rows)
        return mc

    def done_reason(self, mc: str) -> str:
        """None are there twice."""
        return "each port of sendmail.mc has one line"

    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """The listeners, which the gate compares by themselves."""
        return Gate(planned=Planned(sets=frozenset({"DaemonPortOptions"})))


_MOST_LISTENERS = 50


def _ours(listener: DaemonOption) -> bool:
    """Whether it is as the howto has it: its name, and AUTH required but on port 25."""
    named = (listener.name or "").startswith(("MSP-", "MTA-"))
    return named and ("a" in listener.modifiers or listener.service == "smtp")


class MendUnmask(Step):
    """systemd refuses every start of a masked unit."""

    needs = ("install",)
    service: ClassVar[Literal["sendmail", "saslauthd"]]

    @property
    def reads(self) -> tuple[str, ...]:
        """The link to /dev/null, which a rollback brings back; one below /run nobody could."""
        return (f"/etc/systemd/system/{self.service}.service",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Unmask, enable, start: in one, so that a rollback stops it before it is masked again."""
        if not facts.services[self.service].masked:
            return Plan.done(self.id, f"{self.service} is not masked")
        if facts.files.get(self.reads[0]) is None:
            to_do = f"systemctl unmask --runtime {self.service} && systemctl restart {self.service}"
            return Plan.blocked(self.id, f"{self.service} is masked only until the next boot", to_do)
        change = replace(restart(facts, self.service), enable=True, unmask=True)
        return Plan.pending(self.id, f"{self.service} is masked: somebody wanted it never to start", change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """It serves."""
        if self.service == "saslauthd":
            return [answers_on_socket(host, socket_of(facts))]
        return Restart().verify(host, facts, answers)


class MendSendmailUnmask(MendUnmask):
    """sendmail."""

    id = "mend-sendmail-unmask"
    howto = "3.7"
    title = "Let sendmail start again"
    why = "It is masked: systemd refuses to start it, now and at boot."
    service = "sendmail"


class MendSaslauthdUnmask(MendUnmask):
    """saslauthd."""

    id = "mend-saslauthd-unmask"
    howto = "2.4"
    title = "Let saslauthd start again"
    why = "It is masked: systemd refuses to start it, now and at boot, and every login ends in 535."
    service = "saslauthd"


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
    why = "A running sendmail goes on with what it read at its start."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The restart, unless another program holds one of the ports."""
        plan = Restart().plan(facts, answers)
        if plan.outcome == "blocked":
            return Plan.blocked(self.id, plan.reason, *plan.remedy)
        return Plan.pending(
            self.id,
            "it does not answer, or has not read what was changed since it started",
            restart(facts, "sendmail", "CONT"),
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Every listener of sendmail.cf greets."""
        return [item for item in Restart().verify(host, facts, answers) if item.id != "boot"]
