"""saslauthd's socket where sendmail asks, open to sendmail, no cache of old passwords (docs/debian.md trap 11), and the
PAM service smtp, which it asks (docs/debian.md section saslauthd)."""

from __future__ import annotations

import dataclasses
import shlex
from abc import abstractmethod

from snapshots.live.entry import Kind
from templates import render
from wizard.changes.command import CommandChange
from wizard.editors import EditError, shell_defaults
from wizard.editors.pam_service import marked
from wizard.mends.parts import not_regular, restart, setting, verdict, written
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Ending, Plan, Step
from wizard.sendmail.asked_saslauthd import (
    defaults_file,
    folder_of,
    misplaced,
    of_another_service,
    serves,
    service_of,
    socket_ends,
    socket_of,
)
from wizard.steps.saslauthd import answers_on_socket
from wizard.system.host import Host


class _Options(Step):
    """An edit of OPTIONS, or another `key`, and a restart."""

    needs = ("install",)
    key = "OPTIONS"

    @abstractmethod
    def wanted(self, words: list[str], facts: Facts) -> list[str]:
        """The words of it as they must be."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The edit, where the words differ."""
        if of_another_service(facts):
            return _of_another(self.id, facts)
        try:
            path = defaults_file(facts)
            text = facts.text(path)
            words = (shell_defaults.value(text or "", self.key) or "").split()
            new = self.wanted(words, facts)
            change = setting(facts, path, self.key, " ".join(new), self.title) if new != words else None
        except EditError as error:
            return Plan.blocked(self.id, f"{path}: {error}", error.remedy)
        if text is None:
            return Plan.blocked(self.id, f"{path} is missing", "apt-get install --reinstall sasl2-bin")
        if change is None:
            return Plan.done(self.id, f'{self.key} is "{" ".join(words)}"')
        again = restart(facts, "saslauthd")
        # The init script looks for the old process where the new OPTIONS say, and would leave it behind.
        stop = dataclasses.replace(again, verb="stop")
        notes = self.notes(words)
        reason, ends = f'{self.key} is "{" ".join(words)}"', self.ends(facts)
        return Plan.pending(self.id, reason, stop, change, again, notes=notes, ends=ends)

    def ends(self, facts: Facts) -> tuple[Ending, ...]:
        """What works now and would end."""
        return ()

    def notes(self, words: list[str]) -> tuple[str, ...]:
        """What else follows where the words are these now."""
        return ()

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Its socket answers."""
        return [answers_on_socket(host, socket_of(facts))]


def _of_another(step: str, facts: Facts) -> Plan:
    """Blocked, since a start of saslauthd.service does nothing to the saslauthd that is asked."""
    name = service_of(facts)
    why = f"saslauthd.service does not start the saslauthd that sendmail asks, at {socket_of(facts)}"
    return Plan.blocked(
        step, why, f"systemctl restart {shlex.quote(name)}" if name else "restart the service that does"
    )


class MendSaslauthdFolder(_Options):
    """The place is compiled into libsasl2, or named in its Sendmail.conf."""

    id = "mend-saslauthd-folder"
    howto = "2.3"
    title = "Put saslauthd's socket where sendmail asks"
    why = "sendmail asks at one socket, in /var/run/saslauthd unless saslauthd_path in Sendmail.conf names another."

    def wanted(self, words: list[str], facts: Facts) -> list[str]:
        """-m /var/run/saslauthd, or the folder of saslauthd_path, in place of any other."""
        folder = folder_of(socket_of(facts))
        if "-m" not in words[:-1]:
            return [*(word for word in words if word != "-m"), "-m", folder]
        at = words.index("-m") + 1
        return words if serves(facts, words[at]) else [*words[:at], folder, *words[at + 1 :]]

    def notes(self, words: list[str]) -> tuple[str, ...]:
        """The socket of now may be there for somebody."""
        if "-m" not in words[:-1]:
            return ()
        folder = words[words.index("-m") + 1].rstrip("/")
        return (
            f"a program that asks saslauthd in {folder} finds it there no more: where there is one, have sendmail ask there, too, "
            f"by `saslauthd_path: {folder}/mux` in Sendmail.conf",
        )

    def ends(self, facts: Facts) -> tuple[Ending, ...]:
        """Where one runs there now."""
        return socket_ends(facts)


class MendSaslauthdCache(_Options):
    """Logins take a little longer, but are always checked."""

    id = "mend-saslauthd-cache"
    howto = "2.3"
    title = "Stop saslauthd from remembering passwords"
    why = "With -c an old password is accepted for 8 hours after a change, and a locked account, too."

    def wanted(self, words: list[str], facts: Facts) -> list[str]:
        """Without -c."""
        return [word for word in words if word != "-c"]


class MendSaslauthdRealm(_Options):
    """Users of this host have no realm; without -r both alice and alice@mail.example.test are alice."""

    id = "mend-saslauthd-realm"
    howto = "2.3"
    title = "Have saslauthd ask for the user without the realm"
    why = "With -r it asks for alice@mail.example.test, a user that this host does not have."

    def wanted(self, words: list[str], facts: Facts) -> list[str]:
        """Without -r."""
        return [word for word in words if word != "-r"]


class MendSaslauthdOption(_Options):
    """Debian's init script puts -O before MECH_OPTIONS, its unit (Debian 13 and newer) does not."""

    id = "mend-saslauthd-option"
    howto = "2.3"
    title = "Write MECH_OPTIONS as this release reads it"
    why = "The init script puts -O before it, the unit of Debian 13 and newer does not: written otherwise, saslauthd does not get its server."
    key = "MECH_OPTIONS"

    def wanted(self, words: list[str], facts: Facts) -> list[str]:
        """With -O for the unit, without it for the init script."""
        bare = words[1:] if words[:1] == ["-O"] else words
        return ["-O", *bare] if bare and facts.services["saslauthd"].native else bare


class MendSaslauthdSocket(Step):
    """As Debian's own dpkg-statoverride has it."""

    id = "mend-saslauthd-socket"
    howto = "3.1"
    needs = ("install",)
    title = "Open the folder of saslauthd's socket to sendmail"
    why = (
        "Only root and group sasl can enter the folder and ask saslauthd; sendmail's users are in that group."
    )

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """install(1) on the folder."""
        folder = folder_of(socket_of(facts))
        if _open(facts):
            return Plan.done(self.id, f"group sasl may enter {folder}")
        argv = ("install", "-d", "-o", "root", "-g", "sasl", "-m", "0710", folder)
        return Plan.pending(
            self.id,
            "group sasl cannot enter it",
            CommandChange(argv, f"{folder} as Debian has it", footprint=()),
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The mode."""
        says = f"group sasl may {'' if _open(facts) else 'not '}enter {folder_of(socket_of(facts))}"
        return verdict("folder", _open(facts), says)


def _open(facts: Facts) -> bool:
    socket = socket_of(facts)
    entry = facts.files.get(f.MUX_FOLDER if socket == f.MUX else folder_of(socket))
    return entry is not None and entry.kind is Kind.DIRECTORY and bool(entry.mode & 0o010)


class MendPamService(Step):
    """The users of this host, by the files that every service of Debian includes."""

    id = "mend-pam-service"
    howto = "2.3"
    title = "Write the PAM service smtp"
    why = "saslauthd asks PAM for the service smtp. Where that is broken nobody can log in, whatever the password."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Debian's two includes in place of what is there."""
        entry = facts.files.get(f.PAM_SMTP)
        if entry is not None and entry.kind is not Kind.FILE:
            return not_regular(self.id, f.PAM_SMTP)
        change = written(f.PAM_SMTP, entry, render("pam_smtp.j2"), self.title)
        if change.after == entry:
            return Plan.done(self.id, f"{f.PAM_SMTP} includes common-auth and common-account")
        reason = f"{f.PAM_SMTP} is missing" if entry is None else f"{f.PAM_SMTP} is broken"
        gone = "the policy on logins in it goes, too: `msa-wizard apply login-policy` brings it back"
        notes = (gone,) if marked(facts.text(f.PAM_SMTP) or "") else ()
        return Plan.pending(self.id, reason, change, notes=notes)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """What it includes is there."""
        gone = [name for name in ("common-auth", "common-account") if not host.exists(f"/etc/pam.d/{name}")]
        says = f"missing in /etc/pam.d: {', '.join(gone)}" if gone else "what it includes is there"
        return verdict("included", not gone, says)


class MendSaslauthdRestart(Step):
    """Always a restart: whoever asks for it has seen that it is needed."""

    id = "mend-saslauthd-restart"
    howto = "2.4"
    needs = ("install",)
    title = "Restart saslauthd"
    why = "A running saslauthd goes on with what it read at its start."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The restart."""
        if of_another_service(facts):
            return _of_another(self.id, facts)
        if not facts.services["saslauthd"].exists:
            return Plan.blocked(
                self.id, "there is no saslauthd service on this host", "msa-wizard apply install"
            )
        return Plan.pending(
            self.id,
            "it runs but does not answer as configured",
            restart(facts, "saslauthd", "KILL" if facts.saslauthd_says is None else ""),
            ends=() if misplaced(facts) else socket_ends(facts),  # else it has its socket there again
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Its socket answers."""
        return [answers_on_socket(host, socket_of(facts))]
