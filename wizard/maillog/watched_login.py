"""A login and what the mail log says about it: a test from here, or a client's on another machine that is waited for."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from templates import render
from wizard.certificates import Certificate, fingerprint_lines
from wizard.console import clean, command
from wizard.editors import EditError, shell_defaults
from wizard.editors.daemon_options import is_loopback
from wizard.errors import CannotHere, HostError
from wizard.gather.host import look
from wizard.maillog.correlate import ConversationLine, Delivery, Watch
from wizard.maillog.read import UNPROVED, LogFollower, LogLine
from wizard.model.answers import Certificate as CertificateAnswers
from wizard.model.plan import Check, Sign
from wizard.sendmail.client_name import client_name
from wizard.sendmail.password_source import served_besides
from wizard.sendmail.sasl_files import asked_default
from wizard.smtp.connection import Move
from wizard.smtp.login_test import Credentials, Finding, Line, Result, Target, converse
from wizard.smtp.server_trust import trust_of
from wizard.smtp.session import reachable
from wizard.smtp.transcript import Transcript
from wizard.system.accepted_login import note_login
from wizard.system.host import Host
from wizard.system.sockets import addresses, is_own, listeners

OUTSIDE_WITHIN = 300.0
"""Seconds to wait by default for a login from another machine."""
_POLL = 0.1
_FOR_CLIENTS, _FOR_SERVERS = (587, 465), 25
_NAMED = 5
"""So many addresses are named, the others counted."""


@dataclass(frozen=True)
class WatchedLogin:
    """A conversation, what the server logged meanwhile, and what became of its message."""

    result: Result
    seen: tuple[ConversationLine, ...] | None
    """Both sides in the order of time; None where nobody watched."""
    delivery: Delivery | None

    def to_json(self) -> dict[str, object]:
        """What is not in the result, as plain values."""
        return {
            "watched": None if self.seen is None else [vars(item) for item in self.seen],
            "delivery": self.delivery.to_json() if self.delivery else None,
        }


def hold_conversation(
    host: Host,
    target: Target,
    credentials: Credentials | None,
    within: float,
    watched: bool,
    tell: Callable[[ConversationLine], None],
    before: Callable[[Move], bool] = lambda _: True,
) -> WatchedLogin:
    """Hold the conversation, `watched` with the mail log beside it; a message is followed `within` seconds. `before` says
    whether the next command is sent.

    Raises ValueError for wrong input, Stopped after a no of `before`."""
    if not watched and not target.send_to:
        servers: list[str] = []
        untimed = converse(
            target,
            credentials,
            lambda line: tell(ConversationLine(0.0, line.who, line.text, line.explanation)),
            lambda ends: servers.append(ends[1][0]),
            before,
        )
        _note(host, target, untimed, credentials, here=bool(servers) and is_own(host, servers[-1]))
        return WatchedLogin(untimed, None, None)
    lines: list[ConversationLine] = []
    following, delivery = False, None

    def take(line: ConversationLine) -> None:
        if watched or line.who != "log" or following:
            lines.append(line)
            tell(line)

    user, shown = credentials.user if credentials else None, Transcript(credentials, None).shown
    with Watch(host, user, take, shown) as watch:

        def note(text: str) -> None:
            watch.line(Line("note", text))

        if watched and watch.source not in (None, "journal"):
            note(f"The mail log is {watch.source}. Of its lines: {UNPROVED}.")
        result = converse(target, credentials, watch.line, watch.connected, before)
        _note(host, target, result, credentials, here=not watch.elsewhere)
        if watch.elsewhere:
            note(f"The mail log of {target.host} is on that machine: it cannot be seen here.")
        elif watch.source is None:
            note("This host keeps no mail log, or you may not read it: the server's side cannot be shown.")
        elif result.queue_id:
            following = True
            note(f"Following {result.queue_id} in the mail log, for {within:.0f} s at most.")
            delivery = watch.delivery(result.queue_id, within)
            result = replace(result, findings=(*result.findings, _finding(delivery)))
        elif watched:
            watch.settled()
    # A line of the log is read a moment after it was written.
    in_order = tuple(sorted(lines, key=lambda line: line.time))
    return WatchedLogin(result, in_order if watched else None, delivery)


def _note(host: Host, target: Target, result: Result, credentials: Credentials | None, *, here: bool) -> None:
    """A login that this host has accepted proves its set-up; the whole test, where nothing else that it looks at is wrong."""
    if credentials is not None and result.ok and here:
        bad = any(finding.state == Sign.FAILED for finding in result.findings)
        whole = target.port == 587 and not target.login_only
        note_login(host, credentials.user, passed=whole and not bad)


def _finding(delivery: Delivery) -> Finding:
    """A deferred message is no failure: the queue is tried again. What is only in a file is no finding."""
    states = {"delivered": "ok", "deferred": "warning", "failed": "failed"}
    unknown = "What became of the message is not known yet: " if delivery.state == "unknown" else ""
    state = "unknown" if delivery.file else states.get(delivery.state, "unknown")
    return Finding("delivery", state, clean(f"{unknown}{delivery.says}"))  # type: ignore[arg-type]


def target_of(
    host: Host,
    name: str,
    port: int,
    wanted: CertificateAnswers,
    *,
    accepted: str | None = None,
    store_alone: bool = False,
    ask: Callable[[Certificate, str], bool] | None = None,
    **more: Any,
) -> Target:
    """What to test, with whom the password may go to; an empty `name` is this host, by the name that clients know. Raises
    ValueError."""
    address, known = reachable(name, port, more.get("family", "any"))
    trust = trust_of(host, accepted or "", store_alone=store_alone, ask=ask)
    served = frozenset[str]()
    if not name:
        with suppress(PermissionError, HostError):  # only root may see what this host serves
            facts = look(Host())
            known = client_name(facts, wanted, known or "") or None
            served = served_besides(facts)
    return Target(host=address, server_name=known, port=port, trust=trust, served=served, **more)


def saslauthd_options() -> list[str]:
    """The options in the defaults file of the saslauthd that this host's sendmail asks; none where they cannot be read."""
    host = Host()
    path = asked_default(host)
    with suppress(EditError):
        return (shell_defaults.value(host.text(path) if path else "", "OPTIONS") or "").split()
    return []


@dataclass
class OutsideLogin:
    """What came from outside so far. Pure."""

    own: frozenset[str]
    """The addresses of this host."""
    came: dict[str, list[LogLine]] = field(default_factory=dict)
    """The lines of each address that is not ours."""
    loopback: int = 0
    """Lines that came from this host itself."""
    logged_in: tuple[str, str] | None = None
    """Address and user of the first login."""
    file: str = ""
    """The file whose lines prove nothing; "" where the daemon's own lines are read."""
    listens: bool = True
    """Whether anything listens on this host for clients elsewhere."""

    def takes(self, line: LogLine) -> bool:
        """Whether the line is of a connection from outside."""
        address = line.peer
        if address is None:
            return False
        if address in self.own or ipaddress.ip_address(address).is_loopback:
            self.loopback += 1
            return False
        self.file = line.file
        self.came.setdefault(address, []).append(line)
        if self.logged_in is None and line.authid is not None:
            self.logged_in = address, line.authid
        return True


def commands(host: Host, wanted: CertificateAnswers, columns: int | None = None) -> str:
    """What to run on another machine, in lines of `columns` (the terminal's)."""
    facts = look(host)
    name = client_name(facts, wanted, facts.fqdn if facts.fqdn_resolves else "")
    if not name:
        others = sorted(item for item in addresses(host) if not ipaddress.ip_address(item).is_loopback)
        name = others[0] if others else "MAIL.EXAMPLE.ORG"
    pins = sorted(trust_of(host).pins)
    fingerprint = fingerprint_lines(pins[0]) if pins else ()
    text = render("outside_test.txt.j2", host=name, fingerprint=fingerprint).rstrip("\n")
    lines = (
        [line] if line[0] != " " else command(line.strip(), columns, "  ", "    ")
        for line in text.splitlines()
    )
    return "\n".join(line for some in lines for line in some)


def listens_for_clients(host: Host) -> bool:
    """Whether anything listens where mail clients elsewhere can come to: sendmail also at a port of the site's own."""
    return any(
        each.port in _FOR_CLIENTS or (each.process == "sendmail-mta" and each.port != _FOR_SERVERS)
        for each in listeners(host)
        if not is_loopback(each.address)
    )


def wait_for_login(
    host: Host, within: float, tell: Callable[[LogLine], None], over: Callable[[], bool]
) -> OutsideLogin:
    """Wait `within` seconds for a login from outside, which is kept; `tell` gets the lines about such clients. Not at all where
    nothing listens for them.

    Raises CannotHere where there is no log."""
    outside = OutsideLogin(frozenset(addresses(host)), listens=listens_for_clients(host))
    if not outside.listens:
        return outside
    with LogFollower(host) as log:
        if log.source is None:
            raise CannotHere("this host keeps no mail log, so a client's connection cannot be seen")
        end = time.monotonic() + within
        while outside.logged_in is None and time.monotonic() < end and not over():
            for line in log.taken():
                if outside.takes(line):
                    tell(line)
            time.sleep(_POLL)
    outside.listens = listens_for_clients(host)
    if outside.logged_in is not None and not outside.file:
        address, user = map(clean, outside.logged_in)
        note_login(host, user, address=address)
    return outside


def verdict(outside: OutsideLogin, within: float) -> Check:
    """What it proves, and what it does not. Any user of this host can write to a log file, so that proves nothing."""
    if outside.file:
        address, user = outside.logged_in or (sorted(outside.came)[0], "")
        claim = f"{user} logged in from {address}" if user else f"{address} connected, but did not log in"
        remedy = "see on the other machine that its login got 235, or keep a journal (systemd-journald)"
        says = f"{outside.file} says that {clean(claim)}; {UNPROVED}."
        return Check("from-outside", Sign.UNKNOWN, says, remedy)
    if outside.logged_in is not None:
        address, user = map(clean, outside.logged_in)
        says = f"{user} logged in from {address}: clients there get through the firewall and can log in."
        if ipaddress.ip_address(outside.logged_in[0]).is_private:
            says += " It is a private address: whether clients on the Internet get through is not proven."
        return Check("from-outside", Sign.OK, says)
    if not outside.listens:
        says = "Nothing listens on port 587 here for other machines."
        remedy = (
            "`msa-wizard apply` sets it up, or starts it; `msa-wizard troubleshoot` says what is in the way"
        )
        return Check("from-outside", Sign.FAILED, says, remedy)
    if outside.came:
        came = ", ".join(map(clean, sorted(outside.came)[:_NAMED]))
        more = f" and {len(outside.came) - _NAMED} more" if len(outside.came) > _NAMED else ""
        # Of a connection the log does not say to which port: it may be another mail server's.
        says = f"{came}{more} connected, perhaps only to port 25, but did not log in within {within:.0f} s."
        return Check("from-outside", Sign.FAILED, says, "`msa-wizard troubleshoot --user NAME` says why")
    says = f"Nobody connected from outside within {within:.0f} s."
    if outside.loopback:
        says += " Tests on this host itself were seen, but prove nothing about its firewall."
    remedy = "see that the firewall here, and the provider's, let port 587 through: `msa-wizard troubleshoot`"
    return Check("from-outside", Sign.FAILED, says, remedy)
