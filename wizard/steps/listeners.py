"""Howto 3.3 and 3.5: DAEMON_OPTIONS for port 587 with M=Ea, and 465 with TLS on connect where it was chosen; for 25 with M=A."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar

from templates import render
from wizard.console import numbered
from wizard.editors import EditError, sendmail_mc
from wizard.editors.daemon_options import is_loopback, plain_address
from wizard.editors.sendmail_mc import Wanted
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import Daemon
from wizard.sendmail.local_mail import LOOPBACK, destination, refused_by, served, through_us
from wizard.sendmail.mc_gate import Gate, Planned, SubmitGate
from wizard.sendmail.own_address import can_listen, elsewhere, remedy, why
from wizard.steps.absent import edited
from wizard.steps.mail_endings import (
    CutOff,
    logins_at_25,
    offering_at_25,
    open_mail,
    with_logins,
    with_open_mail,
    without_login,
)
from wizard.steps.mc_edit import McStep, included_daemons, own_daemons
from wizard.system.host import Host

LOCAL = Wanted("submission", "inet", "MSP-local", "127.0.0.1", "E", "aASs")
"""For the programs of this host alone, without a login, as on Debian's port 25."""
_NAMES = {"smtp": "MTA", "submission": "MSP", "submissions": "MSP-TLS"}
_NUMBERS = {"smtp": 25, "submission": 587, "submissions": 465}
_PORTS = {"smtp": "smtp", "submission": "submission", "submissions": "465"}


def login_at_25(facts: Facts, so: str) -> Iterator[str]:
    """What is to be said where a login is offered at port 25, too, and stays so: `so` is what follows, a clause."""
    offering = sendmail_cf.offering(facts.text(f.SENDMAIL_CF) or "")
    if any(each.port == 25 for each in offering) and "smtp-port" not in facts.planned:
        yield f"a login is offered at port 25, too, {so}: `msa-wizard apply smtp-port sendmailconfig restart` ends that"


def wanted(
    service: str, addresses: tuple[str, ...], answers: Answers, require: str, forbid: str
) -> tuple[Wanted, ...]:
    """One line for each address; without addresses one for all of them, IPv6 included where that was chosen.

    Family=inet and Family=inet6 side by side, both without an address, end the MTA after 45 s: inet6 alone serves
    IPv4 as well (docs/debian.md trap 2)."""
    listeners: list[Wanted] = []
    for address in addresses or (None,):
        six = answers.listen.ipv6 if address is None else ":" in address
        family, name = ("inet6", f"{_NAMES[service]}-v6") if six else ("inet", f"{_NAMES[service]}-v4")
        if earlier := sum(listener.family == family for listener in listeners):
            name += f"-{earlier + 1}"
        listeners.append(Wanted(service, family, name, address, require, forbid))
    return tuple(listeners)


def line(listener: Wanted) -> str:
    """The DAEMON_OPTIONS line for a listener that is not there yet."""
    return render(
        "daemon_options.mc.j2",
        family=listener.family,
        name=listener.name,
        port=_PORTS[listener.service],
        address=listener.address,
        modifiers=listener.require,
    )


class ListenerStep(McStep):
    """A step that makes the listeners of one service what the answers want."""

    needs = ("install", "sendmail-auth", "mc-includes")
    service: ClassVar[str]
    require: ClassVar[str]
    """The modifiers that its lines must have."""

    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """The listeners, which the gate compares by themselves."""
        return Gate(planned=Planned(sets=frozenset({"DaemonPortOptions"})))

    def refusal(self, facts: Facts, answers: Answers) -> Plan | None:
        """Blocked where an address is not this host's, or IPv6 was chosen and cannot be: the MTA would end."""
        addresses = self.addresses(answers)
        for address in addresses:
            if not can_listen(facts, address):
                why = f"{address} is not an address of this host: sendmail would exit within a minute of its restart"
                return Plan.blocked(self.id, why, f"this host has {', '.join(facts.addresses)}")
        if (answers.listen.ipv6 or any(":" in address for address in addresses)) and not facts.ipv6:
            why = "IPv6 was chosen, but this host has none (or net.ipv6.bindv6only is 1): sendmail would exit"
            return Plan.blocked(self.id, why, "set ipv6 = false in your settings, or enable IPv6")
        return None

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The listeners as wanted; refused where one is left at an address that this host does not have."""
        mc = self.listeners(mc, facts, answers)
        served = ("smtp",) if self.service == "smtp" else ("submission", "submissions")
        for listener in elsewhere(facts, sendmail_mc.daemon_options(mc)):
            if listener.service in served:
                raise EditError(listener.line, listener.raw, why(listener), remedy(facts, f.SENDMAIL_MC))
        return mc

    def in_includes(
        self, mc: str, included: Collection[Daemon], answers: Answers, listeners: tuple[Wanted, ...]
    ) -> bool:
        """Whether a file that sendmail.mc includes has lines for the service of these, and all of them are as they are wanted;
        `included` are the listeners of such files. Raises EditError where they are not: none of that is ours to edit."""
        port = _NUMBERS[listeners[0].service]
        theirs = [each for each in included if each.port == port]
        own = [each for each in own_daemons(mc) if each.port == port]
        if theirs and not _as_wanted([*theirs, *own], listeners, keep=not self.addresses(answers)):
            raise _not_ours(theirs, listeners)
        return bool(theirs)

    @abstractmethod
    def listeners(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The text with the lines as they are wanted. Raises EditError."""

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's line."""
        listeners = wanted(self.service, self.addresses(answers), answers, self.require, "")
        return tuple(f"will set {line(listener).strip()}" for listener in listeners)

    def addresses(self, answers: Answers) -> tuple[str, ...]:
        """The addresses that were chosen for the service, empty for every address."""
        return answers.listen.smtp if self.service == "smtp" else answers.listen.submission

    def over_to_ipv6(self, before: str, after: str) -> bool:
        """Whether the edit puts a listener of IPv6 in the place of those of IPv4."""
        old, new = (
            {each.family for each in sendmail_mc.daemon_options(mc) if each.service == self.service}
            for mc in (before, after)
        )
        return "inet6" in new - old and "inet" in old - new

    def notes(self, before: str, after: str) -> tuple[str, ...]:
        """Why a listener of IPv4 goes for one of IPv6."""
        if not self.over_to_ipv6(before, after):
            return ()
        return (
            "a listener of IPv6 without an address serves IPv4 as well; beside one of IPv4 on the same port sendmail would exit",
        )

    def places(self, mc: str, but: Collection[int] = ()) -> str:
        """Where the lines are: `line 3 of sendmail.mc`, or `lines 3 and 7`."""
        mine = [option for option in sendmail_mc.daemon_options(mc) if option.service == self.service]
        lines = numbered(option.line for option in mine if option.line not in but)
        return f"{lines} of sendmail.mc" if lines else "in a file that sendmail.mc includes"


def _not_ours(theirs: Sequence[Daemon], listeners: Sequence[Wanted]) -> EditError:
    names = ", ".join(sorted(each.name or "one without a name" for each in theirs))
    port = _NUMBERS[listeners[0].service]
    reason = f"listeners of port {port} ({names}) are in a file that it includes, and they are not as your settings ask"
    lines = " and ".join(line(listener).strip() for listener in listeners)
    return EditError(
        None,
        "",
        reason,
        f"move their lines into sendmail.mc, where they can be edited, or write there: {lines}",
    )


def _as_wanted(daemons: Sequence[Daemon], listeners: Sequence[Wanted], *, keep: bool) -> bool:
    """Whether these are the listeners that are wanted. With `keep` any address will do, and those on loopback may be as they are."""
    there = [each for each in daemons if not (keep and is_loopback(each.address))]
    places = {(each.family, plain_address(each.address)) for each in there}
    families = {family for family, _ in places} | ({"inet"} if ("inet6", None) in places else set())
    if keep and not {listener.family for listener in listeners} <= families:
        return False
    if not keep and places != {(each.family, plain_address(each.address)) for each in listeners}:
        return False
    return all(
        any(_fits(each, listener) for listener in listeners if keep or listener.family == each.family)
        for each in there
    )


def _fits(daemon: Daemon, listener: Wanted) -> bool:
    return set(listener.require) <= set(daemon.modifiers) and not set(listener.forbid) & set(daemon.modifiers)


class SubmissionPort(ListenerStep):
    """AUTH required (a), ETRN off (E); Debian's own line listens on 127.0.0.1 alone."""

    id = "submission-port"
    howto = "3.3"
    title = "Require AUTH on port 587"
    why = (
        "Mail clients submit on port 587, and only after logging in. Debian listens there on 127.0.0.1 only."
    )
    service = "submission"
    require = "Ea"

    def listeners(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The lines of 587, and of 465 where chosen; the built-in listeners made visible first. Who listens on 465 already,
        for others too, requires a login there as well."""
        included = included_daemons(facts, mc)  # of the text that m4 was asked about, before an edit
        if not sendmail_mc.daemon_options(mc) and not included:
            # Any DAEMON_OPTIONS replaces the built-in listener on 25, which local mail needs.
            builtin = Wanted("smtp", "inet", "MTA-v4", None, "", "")
            mc = sendmail_mc.set_listeners(mc, "smtp", (builtin,), line, keep_addresses=True)
        mc = sendmail_mc.add_feature(mc, "no_default_msa", render("no_default_msa.mc.j2"))
        addresses = self.addresses(answers)
        listeners = wanted("submission", addresses, answers, self.require, forbid="ASs")
        if answers.listen.local_submission:
            listeners = (*listeners, LOCAL)
        if not self.in_includes(mc, included, answers, listeners):
            mc = sendmail_mc.set_listeners(mc, "submission", listeners, line, keep_addresses=not addresses)
        listeners = wanted("submissions", addresses, answers, require="Eas", forbid="AS")
        if not answers.listen.implicit_tls:
            theirs = [each for each in included if each.port == 465]
            if any("a" not in each.modifiers and not is_loopback(each.address) for each in theirs):
                raise _not_ours(theirs, listeners)
        elif not self.in_includes(mc, included, answers, listeners):
            mc = sendmail_mc.set_listeners(mc, "submissions", listeners, line, keep_addresses=not addresses)
        return sendmail_mc.require_login(mc, "submissions")

    def notes(self, before: str, after: str) -> tuple[str, ...]:
        """What was open without a login."""
        listeners = (
            f"line {listener.line} of sendmail.mc lets port {listener.port_number} on {listener.address or 'every address'} take mail "
            "without a login, also from other machines; from now on who submits there must log in"
            for listener in sendmail_mc.daemon_options(before)
            if listener.service in ("submission", "submissions")
            and not listener.loopback
            and "a" not in listener.modifiers
        )
        return (*super().notes(before, after), *listeners)

    def narrows(self, cf: str) -> bool:
        """Mail is taken without a login."""
        return bool(without_login(cf))

    def asked_of_the_log(self, host: Host, facts: Facts) -> Facts:
        """Whose mail that was."""
        return with_open_mail(host, facts)

    def cut_off(self, facts: Facts, then: frozenset[sendmail_cf.Daemon]) -> CutOff:
        """Mail without a login, but local mail."""
        return open_mail(facts, then)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """And where the programs of this host hand their mail to a listener that wants a login now: to port 25 instead."""
        plan = super().plan(facts, answers)
        return self._with_local_mail(plan, facts) if plan.outcome in (Outcome.PENDING, Outcome.DONE) else plan

    def _with_local_mail(self, plan: Plan, facts: Facts) -> Plan:
        mc = next((change.after for change in plan.changes if change.kind == "file"), None)  # type: ignore[attr-defined]
        text = mc.content.decode("latin-1") if mc is not None else facts.text(f.SENDMAIL_MC) or ""
        theirs = included_daemons(facts, facts.text(f.SENDMAIL_MC) or "")
        daemons = own_daemons(text) | theirs or frozenset(sendmail_cf.daemons(facts.cf_from_mc or ""))
        submit = facts.text(f.SUBMIT_MC)
        from_mc = facts.submit_from_mc
        to = destination(from_mc if from_mc is not None else facts.text(f.SUBMIT_CF))
        refused = refused_by(facts, to, daemons)
        if refused is None or submit is None:
            return plan  # without a submit.mc sendmailconfig brings Debian's, which submits to port 25
        try:
            new = sendmail_mc.on_loopback(submit)
        except EditError as error:
            why = f"{f.SUBMIT_MC} hands local mail to {to}, which wants a login: it would end in dead.letter. {error}"
            return Plan.blocked(self.id, why, error.remedy)
        if from_mc is None:
            why = f"{f.SUBMIT_CF} hands local mail to {to}, which wants a login, and m4 does not accept {f.SUBMIT_MC}"
            return Plan.blocked(self.id, why, f"see where: `m4 {f.SUBMIT_MC} > /dev/null`")
        if new == submit:
            return plan  # it was edited already, when planned in a row
        title = f"Hand local mail to {LOOPBACK}: at {to} it would be refused without a login"
        change = edited(facts, f.SUBMIT_MC, new, title, SubmitGate(from_mc))
        reason = plan.reason if plan.outcome is Outcome.PENDING else "local mail goes where a login is wanted"
        return Plan.pending(self.id, reason, change, *plan.changes, notes=plan.notes, ends=plan.ends)

    def pending_reason(self, before: str, after: str) -> str:
        """What the lines lack, the most important first."""
        options = sendmail_mc.daemon_options(before)
        outside = [each for each in options if each.service == "submission" and not each.loopback]
        if not outside:
            return "sendmail.mc has no line that serves port 587 to other machines"
        if any("a" not in each.modifiers for each in outside):
            return f"the line for port 587 does not require AUTH ({self.places(before)})"
        if self.over_to_ipv6(before, after):
            return f"the settings ask for IPv6, and port 587 has IPv4 alone ({self.places(before)})"
        if _serves_465(after) and not _serves_465(before):
            return "sendmail.mc has no line that serves port 465 to other machines"
        return f"sendmail.mc has other listeners for mail clients ({self.places(before)})"

    def done_reason(self, mc: str) -> str:
        """The lines as they are, those of 465 too: a setting adds them, and takes none away."""
        options = sendmail_mc.daemon_options(mc)
        open_here = [
            each.line
            for each in options
            if each.service == self.service and each.loopback and "a" not in each.modifiers
        ]
        on_tls = [each.line for each in options if each.service == "submissions" and not each.loopback]
        tls = f", and so does port 465 ({numbered(on_tls)})" if on_tls else ""
        local = f"; {numbered(open_here)}: for programs of this host, without a login" if open_here else ""
        return f"port 587 requires AUTH ({self.places(mc, but=open_here)}){tls}{local}"


def _serves_465(mc: str) -> bool:
    return any(each.service == "submissions" and not each.loopback for each in sendmail_mc.daemon_options(mc))


class SmtpPort(ListenerStep):
    """No AUTH where other servers deliver."""

    id = "smtp-port"
    howto = "3.5"
    title = "No AUTH on port 25"
    without = "passwords can be tried at port 25, too"
    why = (
        "Port 25 is for other mail servers; Debian listens there on 127.0.0.1 only. Nobody should be able to try passwords "
        "there."
    )
    service = "smtp"
    require = "A"

    def listeners(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The lines of 25; one on loopback besides, where local mail goes there and nothing else would take it."""
        addresses, included = self.addresses(answers), included_daemons(facts, mc)
        listeners = wanted("smtp", addresses, answers, self.require, forbid="as")
        if not self.in_includes(mc, included, answers, listeners):
            mc = sendmail_mc.set_listeners(mc, "smtp", listeners, line, keep_addresses=not addresses)
        if through_us(facts) and not served(own_daemons(mc) | included):
            local = Wanted("smtp", "inet", "MTA-local", "127.0.0.1", "A", "")
            mc = sendmail_mc.add_listener(mc, local, line)
        return mc

    def notes(self, before: str, after: str) -> tuple[str, ...]:
        """Whether other machines reach it only now."""
        now, then = (
            [each.loopback for each in sendmail_mc.daemon_options(mc) if each.service == self.service]
            for mc in (before, after)
        )
        opens = (
            "port 25 is open to other machines from now on, as mail servers that deliver here need it; to keep it for this host "
            "alone: `msa-wizard answers --set listen.smtp=127.0.0.1 --save` first"
        )
        return (*super().notes(before, after), *([opens] if now and all(now) and not all(then) else ()))

    def narrows(self, cf: str) -> bool:
        """A login is offered there."""
        return bool(offering_at_25(cf))

    def asked_of_the_log(self, host: Host, facts: Facts) -> Facts:
        """Who logged in."""
        return with_logins(host, facts)

    def cut_off(self, facts: Facts, then: frozenset[sendmail_cf.Daemon]) -> CutOff:
        """Logins at port 25."""
        return logins_at_25(facts)

    def pending_reason(self, before: str, after: str) -> str:
        """What the lines lack."""
        options = [each for each in sendmail_mc.daemon_options(before) if each.service == "smtp"]
        if not options:
            return "sendmail.mc has no line for port 25 that forbids AUTH"
        if any("A" not in each.modifiers for each in options):
            return f"port 25 would offer AUTH ({self.places(before)})"
        if self.over_to_ipv6(before, after):
            return f"the settings ask for IPv6, and port 25 has IPv4 alone ({self.places(before)})"
        return f"sendmail.mc has other listeners for port 25 ({self.places(before)})"

    def done_reason(self, mc: str) -> str:
        """The lines as they are."""
        return f"port 25 has no AUTH ({self.places(mc)})"
