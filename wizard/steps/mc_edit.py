"""What the four edits of sendmail.mc share (howto 3.2 to 3.5): the file is read, understood, edited, and gated. And the
shortest of them (3.4): confAUTH_OPTIONS `p y`."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

from templates import render
from wizard.editors import EditError, sendmail_mc
from wizard.errors import GateError
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Outcome, Plan, Sign, Step
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.mc_gate import Gate, Planned
from wizard.steps.absent import as_wanted, assumed_note, edited, not_there_yet
from wizard.steps.mail_endings import CutOff, in_clear, logins_in_clear, with_logins
from wizard.system.host import Host


class McStep(Step):
    """A step that edits sendmail.mc."""

    checked = "whether m4 accepts sendmail.mc as it is then, and whether it gives what was planned"
    needs: ClassVar[tuple[str, ...]] = ("install", "sendmail-auth")

    @abstractmethod
    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The text after the edit. Raises EditError."""

    @abstractmethod
    def done_reason(self, mc: str) -> str:
        """Why nothing is to be done when the edit changes nothing."""

    def pending_reason(self, before: str, after: str) -> str:
        """What the file lacks, where the edit changes it."""
        return "sendmail.mc does not have the change below yet"

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The lines that will be wanted, for a plan made before there is a file."""
        return ()

    @abstractmethod
    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """What sendmail.cf must have, and `planned`, the lines of it that the edit means to change: whatever else changes
        with it is asked about."""

    def refusal(self, facts: Facts, answers: Answers) -> Plan | None:
        """A reason on this host not to make the edit at all."""
        return None

    def narrows(self, cf: str) -> bool:
        """Whether sendmail, by its sendmail.cf, lets clients do something now that it would not after the edit."""
        return False

    def asked_of_the_log(self, host: Host, facts: Facts) -> Facts:
        """The facts, with who did that lately."""
        return facts

    def cut_off(self, facts: Facts, then: frozenset[sendmail_cf.Daemon]) -> CutOff:
        """What of that would end; `then` are the listeners that there will be."""
        return CutOff()

    def gathered(self, host: Host, facts: Facts, answers: Answers) -> Facts:
        """With what the mail log says, where something may end. Raises PermissionError."""
        if facts.mail is not None or not self.narrows(facts.text(f.SENDMAIL_CF) or ""):
            return facts
        pending = self.plan(facts, answers).outcome is Outcome.PENDING
        return self.asked_of_the_log(host, facts) if pending else facts

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The edit as one gated file change."""
        if stopped := self.refusal(facts, answers):
            return stopped
        if stopped := not_there_yet(facts, self.id, f.SENDMAIL_MC, *self.lines(facts, answers)):
            return stopped
        text, entry = facts.text(f.SENDMAIL_MC), facts.files.get(f.SENDMAIL_MC)
        if text is None or entry is None:
            remedy = "restore Debian's: `cp /usr/share/sendmail/cf/debian/sendmail.mc /etc/mail/`"
            return Plan.blocked(self.id, f"{f.SENDMAIL_MC} is missing", remedy)
        try:
            sendmail_mc.check(text)
            typos = _typos(text, facts.text(f.SENDMAIL_CF) or "", facts.cf_from_mc or "")
            new = self.edit(text, facts, answers)
            colliding = sendmail_mc.collisions(sendmail_mc.daemon_options(new))
        except EditError as error:
            return Plan.blocked(self.id, f"{f.SENDMAIL_MC}: {error}", error.remedy)
        if colliding:
            why = f"{f.SENDMAIL_MC}: {colliding[0]}"
            return Plan.blocked(self.id, why, "switch one of the lines off with dnl")
        if new == text:
            notes = assumed_note(facts, f.SENDMAIL_MC)
            return as_wanted(facts, self.id, f.SENDMAIL_MC, self.done_reason(text), notes)
        then = _daemons(facts, text, new)
        gate = replace(
            self.gate(facts, answers),
            daemons=then,
            before=entry.content,
            serves=True,
            owner=facts.mail_owner,
        )
        change = edited(facts, f.SENDMAIL_MC, new, self.title, gate)
        lost = self.cut_off(facts, then)
        notes = (*assumed_note(facts, f.SENDMAIL_MC), *typos, *self.notes(text, new), *lost.notes)
        return Plan.pending(self.id, self.pending_reason(text, new), change, notes=notes, ends=lost.ends)

    def notes(self, before: str, after: str) -> tuple[str, ...]:
        """What the admin should know of the edit, in sentences."""
        return ()

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The live file gives what the gate let by: includes may have changed since."""
        if facts.cf_from_mc is None:
            says = f"m4 does not accept {f.SENDMAIL_MC}"
            return [Check("m4", Sign.FAILED, says, f"m4 {f.SENDMAIL_MC} > /dev/null")]
        try:
            self.gate(facts, answers).compare(facts.cf_from_mc)
        except GateError as error:
            return [Check("options", Sign.FAILED, str(error))]
        says = "m4 accepts the file as it is now, and it gives the options of the plan"
        return [Check("options", Sign.OK, says)]


def unless_left_out(check: Check, step: McStep, facts: Facts, answers: Answers) -> Check:
    """The check; a warning where it failed since somebody has left out the step, which a login can do without."""
    if check.sign is not Sign.FAILED or step.plan(facts, answers).outcome is Outcome.DONE:
        return check
    remedy = f"msa-wizard apply {step.id} sendmailconfig restart"
    return Check(check.id, Sign.WARNING, f"without {step.id} {step.without}", remedy)


_FLAGS = "py"
_MEANS = {"p": "p (no password without TLS)", "y": "y (no anonymous login)"}
_BUILT_IN = sendmail_cf.Daemon("MTA", "inet", "", 25, "")
"""The listener that sendmail has where there is no DAEMON_OPTIONS at all, in no included file either."""
_DEFAULT_MSA = ("MSA", "E")
"""The listener on 587 that sendmail adds by itself without FEATURE(no_default_msa), which submission-port turns on."""


def _typos(mc: str, cf: str, from_mc: str) -> tuple[str, ...]:
    """Misspelt macros that the live sendmail.cf has as well, a sentence each. Raises EditError for one that it has not.

    `from_mc` is what m4 makes of the file, empty where that is not known: a macro that an included file defines is not in it."""
    notes = []
    for line, word, near in sendmail_mc.unknown_macros(mc):
        if from_mc and not sendmail_cf.holds(from_mc, word):
            continue
        remedy = f"{f'write {near}, or ' if near else ''}take the line out with dnl"
        why = "sendmail knows no such macro, and m4 would copy the line into sendmail.cf as it is"
        if not any(each.lstrip().startswith(word) for each in sendmail_cf.statements(cf)):
            raise EditError(line, word, why, remedy)
        notes.append(f"line {line} of sendmail.mc, {word}: {why}, where it is already: {remedy}")
    return tuple(notes)


def _daemons(facts: Facts, old: str, new: str) -> frozenset[sendmail_cf.Daemon]:
    """The listeners that the .cf must have: the file's own, and those that its includes bring already."""
    before = own_daemons(old)
    from_mc = frozenset(sendmail_cf.daemons(facts.cf_from_mc or ""))
    if "no_default_msa" in sendmail_mc.features(new):
        from_mc = _without_msa(from_mc)
    # Without any DAEMON_OPTIONS the .cf has sendmail's built-in listeners, which go with the first one.
    elsewhere = from_mc - before if before else included_daemons(facts, old)
    return own_daemons(new) | elsewhere if own_daemons(new) else from_mc


def _without_msa(daemons: frozenset[sendmail_cf.Daemon]) -> frozenset[sendmail_cf.Daemon]:
    return frozenset(each for each in daemons if (each.name, each.modifiers) != _DEFAULT_MSA)


def included_daemons(facts: Facts, mc: str) -> frozenset[sendmail_cf.Daemon]:
    """The listeners that files bring which a sendmail.mc includes; none where m4 was asked about another text. Raises
    EditError."""
    own, given = own_daemons(mc), frozenset(sendmail_cf.daemons(facts.cf_from_mc or ""))
    if not own <= given:
        return frozenset()
    raw = frozenset(map(sendmail_cf.daemon, sendmail_mc.raw_listeners(mc)))
    elsewhere = _without_msa(given - own - raw)
    return elsewhere if own or elsewhere - {_BUILT_IN} else frozenset()


def own_daemons(mc: str) -> frozenset[sendmail_cf.Daemon]:
    """The listeners that a sendmail.mc has itself. Raises EditError."""
    return frozenset(sendmail_cf.daemon(option) for option in sendmail_mc.daemon_options(mc))


class AuthOptions(McStep):
    """Without p LOGIN gets 235 in clear text (docs/debian.md trap 6)."""

    id = "auth-options"
    howto = "3.4"
    title = "No password without TLS"
    without = "passwords may cross the network in clear"
    why = "LOGIN and PLAIN carry the password itself. Option p refuses them until the connection is encrypted; option y refuses anonymous logins."
    needs = ("install", "sendmail-auth", "mc-includes")

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """p and y are added to the flags that are there."""
        now = sendmail_mc.define_value(mc, "confAUTH_OPTIONS") or ""
        if set(_FLAGS) <= set(sendmail_cf.auth_flags(now)):
            return mc
        value = " ".join(dict.fromkeys(letter for letter in now + _FLAGS if letter not in ", \t\n"))
        block = render("auth_options.mc.j2", value=value)
        return sendmail_mc.set_define(mc, "confAUTH_OPTIONS", value, block)

    def pending_reason(self, before: str, after: str) -> str:
        """Which flags it has."""
        now = sendmail_mc.define_value(before, "confAUTH_OPTIONS")
        has = f"confAUTH_OPTIONS is `{now}'" if now else "sendmail.mc has no confAUTH_OPTIONS"
        lacks = [what for flag, what in _MEANS.items() if flag not in sendmail_cf.auth_flags(now or "")]
        return f"{has}: it lacks {' and '.join(lacks)}"

    def done_reason(self, mc: str) -> str:
        """The flags as they are."""
        return f"confAUTH_OPTIONS is `{sendmail_mc.define_value(mc, 'confAUTH_OPTIONS')}'"

    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """Its flags."""
        return Gate(options={"AuthOptions": frozenset(_FLAGS)}, planned=Planned(frozenset({"AuthOptions"})))

    def narrows(self, cf: str) -> bool:
        """A password is taken without TLS."""
        return bool(in_clear(cf))

    def asked_of_the_log(self, host: Host, facts: Facts) -> Facts:
        """Who logged in."""
        return with_logins(host, facts)

    def cut_off(self, facts: Facts, then: frozenset[sendmail_cf.Daemon]) -> CutOff:
        """Logins without TLS."""
        return logins_in_clear(facts)

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's line."""
        return ("will set define(`confAUTH_OPTIONS',`p y')dnl",)
