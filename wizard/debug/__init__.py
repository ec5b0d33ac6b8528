"""The howto's own tools. saslauthd in debug mode in the foreground (howto 5.1): its service is stopped meanwhile, and restarted
whatever happens. The AUTH LOGIN conversation one move at a time, as with telnet (howto 5.2.2 and 5.2.4): each is shown before
it is made, the mail log's lines beside it, the password masked wherever it is seen. AuthOptions can be removed from
sendmail.cf meanwhile, so that the login is tried without TLS (howto 5.2)."""

from __future__ import annotations

import re
import shlex
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from snapshots.visible import visible
from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.editors import EditError, shell_defaults
from wizard.engine.temporary import ForAWhile
from wizard.errors import HostError, MissingError
from wizard.maillog.correlate import WITHIN as FOLLOWED
from wizard.maillog.correlate import ConversationLine, Delivery, Watch, refused_because, word
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.asked_saslauthd import defaults_file, of_another_service, socket_of
from wizard.sendmail.cf import plain_login
from wizard.smtp.connection import Deadline, Ends, Move, Stopped, Target
from wizard.smtp.session import SubmissionSession, addresses, greeting, sender_of
from wizard.smtp.transcript import MASK, Credentials, Failure, Layer, Line, Transcript
from wizard.steps.saslauthd import answers_on_socket
from wizard.system.guard import FOLDER, Revert
from wizard.system.host import Host

SASLAUTHD, PLAINTEXT = "saslauthd in debug mode", "a manual login without TLS"
"""What is done for a while, in the words for others."""
SASLAUTHD_WITHIN = 600
"""Seconds that it runs at most by default."""
_OPTIONS = "-c -m /var/run/saslauthd"
"""What Debian's init script takes where OPTIONS is empty."""
_PREFIX = re.compile(r"saslauthd\[(\d+)\] :(?:[\w ]{16,17}: )?(.*)")
_SECRETS = (
    re.compile(r"(auth_\w+: sending )(.*)", re.IGNORECASE),  # rimap and httpform print the whole request
    re.compile(r"(authorization:\s*\w+\s+)(\S.*)", re.IGNORECASE),
    re.compile(r"""((?:pass(?:word|wd|phrase)?|pwd|secret)["']?\s*[=:]\s*)(\[[^\]]*\]|"[^"]*"|[^\s&,;\]]+)""", re.IGNORECASE),
)  # fmt: skip
LONGEST = 3600.0
"""Seconds for a whole conversation."""
_LOG_WAIT = 0.6
"""Seconds to wait after an answer for the log's lines about it."""
PLAINTEXT_WITHIN = 120
"""Seconds that a login without TLS is offered at most by default."""
_PATIENCE = 30.0
_BEFORE, _MEANWHILE = "while-sendmail.cf.before", "while-sendmail.cf"


@dataclass(frozen=True)
class ConversationResult:
    """The result of a manual login."""

    accepted: bool
    """Whether the login got its 235."""
    problem: str
    """Why it did not go on, safe to show; "" where it did, or somebody ended it."""
    delivery: Delivery | None = None


def talk(
    host: Host,
    target: Target,
    credentials: Credentials,
    tell: Callable[[ConversationLine], None],
    enter: Callable[[Move], bool],
    *,
    encrypted: bool,
) -> ConversationResult:
    """Hold the conversation, each move once `enter` lets it; `tell` gets the mail log's lines of it, too.

    Raises ValueError where the sender is no mailbox."""
    delivery: Delivery | None = None

    def tell_log(item: ConversationLine) -> None:
        if item.who == "log":
            tell(item)

    with Watch(host, credentials.user, tell_log, Transcript(credentials, None).shown) as watch:

        def line(item: Line) -> None:
            watch.line(item)
            tell(ConversationLine(time.time(), item.who, item.text, item.explanation))

        def reason(stop: Failure) -> str:
            if stop.layer is not Layer.CREDENTIALS:
                return str(stop)
            time.sleep(_LOG_WAIT)
            return stop.because(refused_because(watch.logged))

        def before(move: Move) -> bool:
            time.sleep(_LOG_WAIT)
            return enter(move)

        session, problem = converse(
            *(target, credentials, before, line, watch.connected, reason), encrypted=encrypted
        )
        if session.queue_id:
            delivery = watch.delivery(session.queue_id, FOLLOWED)
        else:
            time.sleep(_LOG_WAIT)
    return ConversationResult(bool(session.accepted), problem, delivery)


def converse(
    target: Target,
    credentials: Credentials,
    enter: Callable[[Move], bool],
    tell: Callable[[Line], None],
    on_connection: Callable[[Ends], None] | None = None,
    reason: Callable[[Failure], str] = str,
    *,
    encrypted: bool = True,
) -> tuple[SubmissionSession, str]:
    """Hold the conversation; `enter` waits before each move until it may be made, or says that there is none any more.
    The session, and why it did not go on, in the words of `reason` ("" where it did, or somebody ended it). Raises ValueError where the sender is no
    mailbox."""
    sender = sender_of(target, credentials) if target.send_to else ""
    transcript, until = Transcript(credentials, tell), Deadline(LONGEST)
    session = SubmissionSession(
        *(transcript, until, target.timeout),
        before=enter,
        on_connection=on_connection,
        for_servers=target.for_servers,
    )
    try:
        with suppress(Stopped), session:
            where = f"(connect to {target.host} port {target.port})"
            session.wire.announce(where, "and wait for the greeting")
            session.connect(addresses(target, Deadline(target.timeout)))
            if encrypted or target.tls_on_connect:
                session.open(target.tls_on_connect, lambda: _encrypt(session, target))
            else:
                session.greet()
                session.wire.admit_in_clear(target.trust)
            session.authenticate(credentials, target.mechanism)
            if target.send_to:
                session.deliver(sender, target.send_to)
    except Failure as stop:
        return session, reason(stop)
    return session, ""


def _encrypt(session: SubmissionSession, target: Target) -> None:
    """TLS with a server that may have the password. Raises Failure, WireError."""
    trust = target.trust
    verify = not (trust.pinned(session.wire.peer) or trust.accepted)
    try:
        session.encrypt(target.name, verify=verify)
        certificate = session.certificate(target.name, None, verify)
    except ssl.SSLCertVerificationError as error:
        raise Failure(Layer.CERTIFICATE, visible(error.verify_message)) from None
    except ValueError as error:
        raise Failure(Layer.CERTIFICATE, str(error)) from None
    session.wire.admit(trust, "" if verify else "it was not verified", certificate)


@dataclass(frozen=True)
class PlaintextOffer:
    """What is changed for a while: sendmail.cf, and the daemon that must read it."""

    changes: tuple[Change, ...]
    guard: Revert
    address: str
    """Where the listener answers during that time."""


def plaintext_offer(facts: Facts, port: int, *, loopback: bool) -> PlaintextOffer | None:
    """What to change; None where a login without TLS is already offered. Raises HostError."""
    entry = facts.files.get(f.SENDMAIL_CF)
    if entry is None or not entry.content:
        raise MissingError(f"there is no {f.SENDMAIL_CF} on this host: `msa-wizard apply` sets up sendmail")
    text = entry.content.decode("latin-1")
    listeners = [item for item in sendmail_cf.daemons(text) if item.port == port]
    if not listeners:
        raise HostError(f"{f.SENDMAIL_CF} has no listener on port {port}: `msa-wizard troubleshoot` says why")
    if listeners[0].tls_on_connect:
        raise HostError(f"port {port} has TLS from the first byte: a login without it is impossible there")
    if facts.process("sendmail-mta") is None:
        raise HostError("sendmail does not run: `msa-wizard troubleshoot` says why")
    flags = sendmail_cf.auth_flags(sendmail_cf.option(text, "AuthOptions") or "")
    if "p" not in flags:
        return None
    new = plain_login(text, port, loopback=loopback)
    after = replace(entry, content=new.encode("latin-1"))
    where = [item.reachable_at for item in sendmail_cf.daemons(new) if item.port == port]
    changes: tuple[Change, ...] = (
        FileChange(f.SENDMAIL_CF, entry, after, "AuthOptions temporarily removed from sendmail.cf"),
        ServiceChange("sendmail", facts.init, enable=False, was_running=True),
    )
    kept = ((_BEFORE, entry.content), (_MEANWHILE, after.content))
    return PlaintextOffer(changes, Revert(_commands(facts.init), kept), where[0])


def _commands(init: str) -> tuple[str, ...]:
    """Restore the old file if the temporary one is still there, and restart the daemon."""
    cf, new = f.SENDMAIL_CF, "/etc/mail/.msa-wizard-sendmail.cf"
    before, meanwhile = FOLDER / _BEFORE, FOLDER / _MEANWHILE
    restart = "systemctl restart sendmail" if init == "systemd" else "/etc/init.d/sendmail restart"
    return (
        f"if cmp -s {cf} {meanwhile}; then",
        f"    cp {before} {new} && chown --reference={cf} {new} && chmod --reference={cf} {new} && mv -f {new} {cf}",
        "fi",
        restart,
    )


@contextmanager
def plaintext_offered(work: ForAWhile, offer: PlaintextOffer, port: int, seconds: int) -> Iterator[float]:
    """A login without TLS is offered inside; yields when that ends, on the monotonic clock.

    Raises HostError when sendmail does not come up with it, and what ForAWhile raises."""
    with work.changed("debug-plain-login", offer.changes, offer.guard, seconds + int(_PATIENCE)):
        end = time.monotonic() + _PATIENCE
        while not (answer := greeting(offer.address, port, timeout=5)).startswith("220"):
            if time.monotonic() > end:
                raise HostError(f"sendmail does not greet on {offer.address} port {port}: {answer[:200]}")
            time.sleep(0.2)
        yield time.monotonic() + seconds


@dataclass(frozen=True)
class DebugLine:
    """One of its lines, safe to show: the process, the text, what it means."""

    pid: int
    text: str
    explanation: str


@dataclass(frozen=True)
class DebugResult:
    """How it ended: `by_itself` (which is a failure) with this status; and whether the service answers again."""

    by_itself: bool
    code: int
    check: Check | None
    """None where the service did not run before."""


def command(defaults: str) -> tuple[str, ...]:
    """The command line, with the host's own options out of /etc/default/saslauthd. Raises EditError."""
    names = ("MECHANISMS", "MECH_OPTIONS", "OPTIONS", "THREADS")
    mechanisms, own, given, number = (shell_defaults.value(defaults, name) or "" for name in names)
    words = [option for word in shlex.split(given or _OPTIONS) for option in _quiet(word)]
    options = shlex.split(own)
    if options and options[0] != "-O":
        options.insert(0, "-O")
    threads = ["-n", number] if number.isdigit() else []
    return ("/usr/sbin/saslauthd", "-a", (mechanisms or "pam").split()[0], *options, *words, *threads, "-d")


def _quiet(word: str) -> list[str]:
    """An option without d, which is added anyway, and without V, which makes rimap print passwords."""
    if not re.fullmatch(r"-[cdlrtvV]+", word):
        return [word]
    letters = re.sub("[dV]", "", word)
    return [letters] if letters != "-" else []


def debug_line(line: str, mask: Callable[[str], str]) -> DebugLine:
    """A line that saslauthd printed; passwords in it are masked, and whatever else `mask` knows."""
    match = _PREFIX.match(line)
    text = match[2] if match else line
    for pattern in _SECRETS:
        text = pattern.sub(lambda part: f"{part[1]}{MASK}", text)
    return DebugLine(int(match[1]) if match else 0, mask(text), word("saslauthd", text))


def changes(facts: Facts, *, restart_sendmail: bool) -> tuple[Change, ...]:
    """The service is stopped; sendmail is restarted where the admin wants it, as the howto does."""
    runs, sendmail = (facts.process(name) is not None for name in ("saslauthd", "sendmail-mta"))
    stop = ServiceChange("saslauthd", facts.init, enable=False, was_running=runs, verb="stop")
    restart = ServiceChange("sendmail", facts.init, enable=False, was_running=sendmail)
    return (stop, restart) if restart_sendmail else (stop,)


def guard(facts: Facts) -> Revert:
    """What restarts the service if this process is killed. The kernel then ends the saslauthd that it had started."""
    if facts.process("saslauthd") is None:
        return Revert(())
    # The service is stopped, so whatever is left of saslauthd is ours.
    ended = ("sleep 1", "kill -KILL $(pidof saslauthd) 2>/dev/null")
    if facts.init != "systemd":
        return Revert((*ended, "/etc/init.d/saslauthd restart"))
    # systemd refuses the sixth start within ten seconds, unless its counter is set back.
    return Revert((*ended, "systemctl reset-failed saslauthd 2>/dev/null", "systemctl restart saslauthd"))


def debug(
    work: ForAWhile,
    facts: Facts,
    seconds: int,
    tell: Callable[[str], None],
    over: Callable[[], bool],
    *,
    restart_sendmail: bool = False,
) -> DebugResult:
    """Run it for `seconds` at most, until `over` says so; `tell` gets each line as printed, secrets included.

    Raises HostError where it cannot be done here, ChangeError, NotPutBackError."""
    host = work.host
    argv = _ready(facts)
    running = facts.process("saslauthd") is not None
    end = time.monotonic() + seconds
    stopped = changes(facts, restart_sendmail=restart_sendmail)
    with work.changed("debug-saslauthd", stopped, guard(facts), seconds):
        work.say("$ " + shlex.join(argv))
        # Should we be killed: the kernel ends it then, so that the service finds its socket free.
        result = host.run(
            ("setpriv", "--pdeathsig", "TERM", *argv),
            timeout=seconds + 60,
            say=tell,
            over=lambda: over() or time.monotonic() >= end,
            secret=True,
        )
    by_itself = not over() and time.monotonic() < end
    return DebugResult(by_itself, result.code, answers_on_socket(host, socket_of(facts)) if running else None)


def _ready(facts: Facts) -> tuple[str, ...]:
    if not facts.services["saslauthd"].exists:
        raise MissingError("there is no saslauthd service on this host: `msa-wizard apply install` brings it")
    if of_another_service(facts):
        raise HostError(
            f"saslauthd.service does not start the saslauthd that sendmail asks, at {socket_of(facts)}"
        )
    path = defaults_file(facts)
    text = facts.text(path)
    if text is None:
        raise HostError(f"{path} is missing: `apt-get install --reinstall sasl2-bin`")
    try:
        return command(text)
    except (EditError, ValueError) as error:
        raise HostError(f"{path}: {error}") from error
