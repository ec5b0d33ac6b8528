"""The `test` command: an AUTH LOGIN conversation from the command line (howto 5.2), and its exit code."""

from __future__ import annotations

import getpass
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from templates import render
from wizard.certificates.peer_certificate import Certificate
from wizard.editors import EditError, shell_defaults
from wizard.gather.host import look, qualified_name
from wizard.maillog.correlate import WITHIN, Seen, Watch
from wizard.maillog.delivery import Delivery
from wizard.maillog.follow import LONGEST
from wizard.maillog.read import UNPROVED
from wizard.model.answers import Answers, AnswersError, host_name
from wizard.model.facts import SASLAUTHD_DEFAULT, SENDMAIL_CF
from wizard.model.plan import Check, Sign
from wizard.render import as_json
from wizard.render.text import check_text, clean, out
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.password_source import served_besides
from wizard.smtp.login_test import Credentials, Finding, Line, Result, Target, converse
from wizard.smtp.server_trust import trust_of, with_colons
from wizard.smtp.transcript import Transcript
from wizard.system.host import Host, HostError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

SIGNS = {"server": "<", "client": ">", "log": "|"}
"""Before a line of the server, of ours, of the mail log; a remark has `#`."""


def test(arguments: argparse.Namespace, answers: Answers) -> int:
    """0 when the login (or, without a user, all before it) is as it should be, else 1."""
    if arguments.from_outside:
        from wizard.cli import test_from_outside as outside_test

        return outside_test.wait(arguments)
    chosen = answers.test
    user = arguments.user or chosen.user
    try:
        target = target_of(
            Host(),
            arguments.host or chosen.host,
            arguments.port,
            accepted=arguments.accept_certificate,
            store_alone=arguments.verify,
            ask=None if arguments.json or not sys.stdin.isatty() else accept,
            mechanism=arguments.mechanism,
            family=arguments.family,
            send_to=arguments.send_to or chosen.send_to or None,
            sender=arguments.sender,
        )
        within = seconds(arguments, WITHIN)
        credentials = Credentials(user, password(arguments)) if user else None
        told = held(
            Host(), target, credentials, within, arguments.watch, (lambda _: None) if arguments.json else tell
        )
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem
    result = told.result
    bad = any(Sign(finding.state) is Sign.FAILED for finding in result.findings)
    if arguments.json:
        out(as_json.dumps(**result.to_json(), **told.to_json()))
        return int(bad or not result.ok)
    out()
    for finding in result.findings:
        out(check_text(Check(finding.id, Sign(finding.state), finding.says)))
    out(f"\n{'OK' if result.ok and not bad else 'FAILED'}: {clean(result.verdict)}")
    if credentials and target.server_name and "-c" in _saslauthd_options():
        out(
            "Note: saslauthd caches logins (-c): a password that was changed, or an account that was locked, is still"
        )
        out("accepted for up to 8 hours, unless saslauthd is restarted.")
    return int(bad or not result.ok)


@dataclass(frozen=True)
class Held:
    """A conversation with what the server logged meanwhile, and what became of its message."""

    result: Result
    seen: tuple[Seen, ...] | None
    """Both sides in the order of time; None where nobody watched."""
    delivery: Delivery | None

    def to_json(self) -> dict[str, object]:
        """What is not in the result, as plain values."""
        return {
            "watched": None if self.seen is None else [vars(item) for item in self.seen],
            "delivery": self.delivery.to_json() if self.delivery else None,
        }


def held(
    host: Host,
    target: Target,
    credentials: Credentials | None,
    within: float,
    watched: bool,
    told: Callable[[Seen], None],
) -> Held:
    """Hold the conversation, `watched` with the mail log beside it; a message is followed `within` seconds.

    Raises ValueError for wrong input."""
    if not watched and not target.send_to:
        at = _untimed(told)
        return Held(converse(target, credentials, at), None, None)
    seen: list[Seen] = []
    shown = Transcript(credentials, None).shown

    def take(item: Seen) -> None:
        if watched or item.who != "log" or following:
            seen.append(item)
            told(item)

    following = False
    with ExitStack() as stack:
        watch = stack.enter_context(Watch(host, credentials.user if credentials else None, take, shown))
        if watched and watch.source not in (None, "journal"):
            watch.line(Line("note", f"The mail log is {watch.source}. Of its lines: {UNPROVED}."))
        result = converse(target, credentials, watch.line, watch.connected)
        silent = _silent(watch, target)
        if silent:
            watch.line(Line("note", silent))
        elif result.queue_id:
            following = True
            watch.line(
                Line("note", f"Following {result.queue_id} in the mail log, for {within:.0f} s at most.")
            )
            made = watch.delivery(result.queue_id, within)
            return Held(_with_delivery(result, made), _in_order(seen) if watched else None, made)
        elif watched:
            watch.settled()
    return Held(result, _in_order(seen) if watched else None, None)


def _in_order(seen: Sequence[Seen]) -> tuple[Seen, ...]:
    """A line of the log is read a moment after it was written."""
    return tuple(sorted(seen, key=lambda item: item.time))


def _untimed(told: Callable[[Seen], None]) -> Callable[[Line], None]:
    return lambda line: told(Seen(0.0, line.who, line.text, line.explanation))


def _silent(watch: Watch, target: Target) -> str:
    """Why the log tells nothing, "" where it can."""
    if watch.elsewhere:
        return f"The mail log of {target.host} is on that machine: nothing of it can be seen here."
    if watch.source is None:
        return (
            "This host keeps no mail log, or you may not read it: nothing can be seen of the server's side."
        )
    return ""


def _with_delivery(result: Result, made: Delivery) -> Result:
    """The result with a finding on the message. One that waits is no failure: the queue is tried again. What stands in
    a file is no finding."""
    states = {"delivered": "ok", "deferred": "warning", "failed": "failed"}
    says = (
        made.says if made.state != "unknown" else f"What became of the message is not known yet: {made.says}"
    )
    state = "unknown" if made.file else states.get(made.state, "unknown")
    finding = Finding("delivery", state, clean(says))  # type: ignore[arg-type]
    return replace(result, findings=(*result.findings, finding))


def tell(item: Seen) -> None:
    """A line for the terminal."""
    beside = f"  {clean(item.explanation)}" if item.explanation else ""
    out(f"{SIGNS.get(item.who, '#')} {clean(item.text):<60}{beside}")


def seconds(arguments: argparse.Namespace, default: float) -> float:
    """How long is waited. Raises AnswersError for a time that is none."""
    if arguments.within is None:
        return default
    if not 1 <= arguments.within <= LONGEST:
        raise AnswersError(f"--within {arguments.within}: it takes 1 to {LONGEST:.0f} seconds")
    return float(arguments.within)


def password(arguments: argparse.Namespace) -> str:
    """From standard input, or asked for on the terminal; never from an argument or the environment."""
    if arguments.password_stdin:
        return sys.stdin.readline(4096).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise AnswersError("--user needs a password: give --password-stdin, or run it on a terminal")
    return getpass.getpass("Password: ")


def accept(seen: Certificate, why: str) -> bool:
    """Ask on the terminal whether the server with this certificate may have the password; no is the default."""
    out("\n" + question(seen, why))
    try:
        return input("Send the password to this server? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def question(seen: Certificate, why: str) -> str:
    """What the admin has to know for that answer: the certificate, and what is against it."""
    shown = with_colons(seen.fingerprint_sha256)
    return render(
        "accept_certificate.txt.j2",
        why=clean(why),
        subject=seen.subject,
        names=", ".join(seen.names[:8]) or "none",
        issuer=seen.issuer,
        begins=f"{seen.not_before:%Y-%m-%d}",
        ends=f"{seen.not_after:%Y-%m-%d}",
        fingerprint=[shown[:47], shown[48:]],
    ).rstrip("\n")


def target_of(
    host: Host,
    name: str,
    port: int,
    *,
    accepted: str | None = None,
    store_alone: bool = False,
    ask: Callable[[Certificate, str], bool] | None = None,
    **more: Any,
) -> Target:
    """What to test, with whom the password may go to; an empty `name` is this host. Raises ValueError."""
    address, known = reachable(name, port)
    trust = trust_of(host, accepted or "", store_alone=store_alone, ask=ask)
    served = frozenset() if name else served_here()
    return Target(host=address, server_name=known, port=port, trust=trust, served=served, **more)


def reachable(host: str, port: int) -> tuple[str, str | None]:
    """The address to test, and on this host itself (an empty `host`) the name that clients know it by. Raises ValueError.

    This host is reached where its own sendmail.cf says that it listens: behind a NAT its name leads elsewhere."""
    if host:
        return host_name(host), None
    own = Host()
    try:
        entry = own.entry(SENDMAIL_CF)
    except (PermissionError, HostError):
        entry = None
    found = sendmail_cf.for_clients(entry.content.decode("latin-1"), port) if entry else ()
    name, resolves = qualified_name(own)
    return found[0].reachable_at if found else "127.0.0.1", name if resolves else None


def served_here() -> frozenset[str]:
    """The mechanisms besides LOGIN and PLAIN that this host serves; none where only root may see it."""
    try:
        return served_besides(look(Host()))
    except (PermissionError, HostError):
        return frozenset()


def _saslauthd_options() -> list[str]:
    entry = Host().entry(SASLAUTHD_DEFAULT)
    try:
        return (
            (shell_defaults.value(entry.content.decode("latin-1"), "OPTIONS") or "").split() if entry else []
        )
    except EditError:
        return []
