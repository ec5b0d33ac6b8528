"""What clients do now and could not do after an edit of sendmail.mc: send mail after a login at port 25, after one without TLS, or
without any. By the mail log, so that what nobody does is no question."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from wizard.console import count
from wizard.editors.daemon_options import is_loopback, plain_address
from wizard.maillog.recent import DAYS, mail_after_login, mail_without_login
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Ending
from wizard.model.step_facts import HandedIn, MailLately
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import Daemon
from wizard.sendmail.local_mail import LOOPBACK, destination, taking
from wizard.system.host import Host

AT_25 = "logins-port-25"
WITHOUT_TLS = "logins-without-tls"
WITHOUT_LOGIN = "mail-without-login"
_PASSWORD_ITSELF = ("LOGIN", "PLAIN")
"""Mechanisms that AuthOptions p refuses without TLS."""
_FOR_CLIENTS = (587, 465)


@dataclass(frozen=True)
class CutOff:
    """What an edit would end, and what is not known of that: sentences."""

    ends: tuple[Ending, ...] = ()
    notes: tuple[str, ...] = ()


def with_logins(host: Host, facts: Facts) -> Facts:
    """The facts, with the mail that came in lately after a login."""
    if facts.euid != 0:
        return replace(facts, mail=MailLately(unseen="only root can see who logged in lately"))
    return replace(facts, mail=MailLately(*mail_after_login(host, _cf(facts))))


def with_open_mail(host: Host, facts: Facts) -> Facts:
    """The facts, with the mail that came in lately without a login at the ports for mail clients."""
    if facts.euid != 0:
        return replace(facts, mail=MailLately(unseen="only root can see who sent mail lately"))
    names = {name for name, _ in without_login(_cf(facts))}
    return replace(facts, mail=MailLately(*mail_without_login(host, _cf(facts), names)))


def offering_at_25(cf: str) -> frozenset[str]:
    """The listeners at port 25 that offer a login, by name; also those that programs of this host alone can reach."""
    return frozenset(
        name for name, each in sendmail_cf.by_name(cf) if each.port == 25 and "A" not in each.modifiers
    )


def in_clear(cf: str) -> frozenset[str]:
    """The listeners that take a password without TLS, by name."""
    if "p" in sendmail_cf.auth_flags(sendmail_cf.option(cf, "AuthOptions") or ""):
        return frozenset()
    return frozenset(name for name, each in sendmail_cf.by_name(cf) if "A" not in each.modifiers)


def without_login(cf: str) -> tuple[tuple[str, Daemon], ...]:
    """The listeners at the ports for mail clients that want no login, by name."""
    return tuple(
        (name, each)
        for name, each in sendmail_cf.by_name(cf)
        if each.port in _FOR_CLIENTS and "a" not in each.modifiers
    )


def logins_at_25(facts: Facts) -> CutOff:
    """Who sent mail after a login at port 25."""
    offering = offering_at_25(_cf(facts))
    lost = [each for each in _recent(facts) if each.listener in offering]
    says = "after a login at port 25, and can no longer log in there: their mail clients have to use port 587"
    ends = (Ending(AT_25, *_told(facts, lost, says)),) if lost else ()
    return CutOff(ends, _unseen_logins(facts) if offering else ())


def logins_in_clear(facts: Facts) -> CutOff:
    """Who sent mail after a login in which the password itself was sent without TLS."""
    clear = in_clear(_cf(facts))
    lost = [
        each
        for each in _recent(facts)
        if not each.encrypted and each.mechanism in _PASSWORD_ITSELF and each.listener in clear
    ]
    says = (
        "after a login without TLS, which will be refused: their mail clients have to use STARTTLS, and what knows no TLS can "
        "no longer log in"
    )
    ends = (Ending(WITHOUT_TLS, *_told(facts, lost, says)),) if lost else ()
    return CutOff(ends, _unseen_logins(facts) if clear else ())


def open_mail(facts: Facts, then: Collection[Daemon]) -> CutOff:
    """Whose mail was taken without a login, and will not be by the listeners that there are `then`. Local mail does not count:
    where it would be refused it is led to another port."""
    there = without_login(_cf(facts))
    closing = [
        (name, each)
        for name, each in there
        if _closes(each, then, each.address if is_loopback(each.address) else "")
    ]
    local = taking(facts, destination(facts.text(f.SUBMIT_CF)), [each for _, each in closing])
    lost, untold = list[HandedIn](), set[int]()
    for mail in _recent(facts):
        at = [each for name, each in closing if name == mail.listener and _closes(each, then, mail.address)]
        if at and set(at) & set(local) and _own(facts, mail.address):
            untold |= {each.port for each in at}
        elif at:
            lost.append(mail)
    says = (
        f"without a login where one will be wanted: programs of this host can go on without one by port {LOOPBACK.port} of "
        "127.0.0.1, and all others have to log in"
    )
    notes = tuple(
        f"the log does not tell local mail from what other programs of this host send by port {port}: who speaks SMTP to it "
        f"needs a login from now on, or port {LOOPBACK.port} of 127.0.0.1"
        for port in sorted(untold)
    )
    unseen = (facts.mail.unseen,) if closing and facts.mail and facts.mail.unseen else ()
    ends = (Ending(WITHOUT_LOGIN, *_told(facts, lost, says)),) if lost else ()
    return CutOff(ends, (*notes, *unseen))


def _closes(now: Daemon, then: Collection[Daemon], peer: str) -> bool:
    """Whether a client at the address `peer` that is taken without a login now needs one then, or finds nobody."""
    here = is_loopback(peer)
    met = [
        each
        for each in then
        if each.port == now.port
        and (
            each.everywhere
            or now.everywhere
            or plain_address(each.address) == plain_address(now.address)
            or (here and is_loopback(each.address))
        )
    ]
    if here:
        met = [each for each in met if is_loopback(each.address)] or met
    return not met or any("a" in each.modifiers for each in met)


def _told(facts: Facts, lost: Collection[HandedIn], says: str) -> tuple[str, tuple[str, ...]]:
    """Who that is, as an ending says it, and each in a line."""
    users, addresses = {each.user for each in lost} - {""}, {each.address for each in lost}
    who = count(len(users), "user") if users else count(len(addresses), "address", "addresses")
    return f"{who} sent mail within {DAYS} days {says}", tuple(_line(facts, each) for each in lost)


def _line(facts: Facts, mail: HandedIn) -> str:
    """The day alone, so that another mail of theirs asks nobody again."""
    ports = sorted({each.port for name, each in sendmail_cf.by_name(_cf(facts)) if name == mail.listener})
    at = " or ".join(f"port {port}" for port in ports)
    tls = "" if mail.encrypted else " without TLS"
    when = f"on {time.strftime('%F', time.localtime(mail.at))}" if mail.at else "not known when"
    who = f"{mail.user} from" if mail.user else "from"
    return f"{who} {mail.address or '?'}, {at} ({mail.listener}){tls}, last {when}"


def _unseen_logins(facts: Facts) -> tuple[str, ...]:
    """What is not known, where the admin has set up logins; without mechanisms of the admin's next to nobody can log in."""
    configured = sendmail_cf.option(_cf(facts), "AuthMechanisms") is not None
    return (facts.mail.unseen,) if configured and facts.mail and facts.mail.unseen else ()


def _own(facts: Facts, address: str) -> bool:
    return is_loopback(address) or address in facts.addresses


def _recent(facts: Facts) -> tuple[HandedIn, ...]:
    return facts.mail.recent if facts.mail is not None else ()


def _cf(facts: Facts) -> str:
    """What sendmail runs with, and logs by."""
    return facts.text(f.SENDMAIL_CF) or ""
