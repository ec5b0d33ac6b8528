"""What the mail log says, a line in a word: sendmail's, saslauthd's (also in debug mode), PAM's; what became of a submitted
message (howto 5.2.4); and the server's side of a test beside the client's (howto 5.2.3): lines matched by the connection's
process, by queue id, by user and time, all of it in the order of time."""

from __future__ import annotations

import heapq
import itertools
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from snapshots.visible import visible
from wizard.maillog.read import QUEUE_ID, UNPROVED, LogFollower, LogLine
from wizard.smtp.connection import Ends
from wizard.smtp.transcript import Line
from wizard.system.host import Host
from wizard.system.sockets import is_own, server_process

WITHIN = 30.0
"""Seconds that a message is followed by default."""
LAG = 0.4
"""Seconds that a line is held back, so that a late line of the log still finds its place."""
_TICK = 0.1
_SETTLE = 0.5
"""Seconds to wait after news of a message for news of another recipient."""
_AFTER = 2.0
"""Seconds to wait for the last lines after the conversation's end."""
_SASLDB, _SILENT = (
    "login refused: sasldb was asked, not saslauthd",
    "login refused: saslauthd does not answer",
)
_WRONG = "PAM: the password is wrong or locked, or there is no such user"
_REFUSED = "login refused: password, or account"
_CAUSES = (_SASLDB, _SILENT, _WRONG)
"""What names the one cause of a login that is refused; where none of them does, `_REFUSED` rules all others out."""
_SENDMAIL = (
    (
        r"STARTTLS=server, error:.*(bad certificate|unknown ca|certificate unknown)",
        "the client refuses the certificate",
    ),
    (r"STARTTLS=server, error:", "encryption failed"),
    (r"STARTTLS=server, relay=", "the connection is encrypted"),
    (r"STARTTLS=client, relay=", "encrypted to the next server"),
    (r"STARTTLS=client, error:", "no encryption to the next server"),
    (r"STARTTLS", "about encryption"),
    (r"AUTH=server, relay=", "the login is accepted"),
    (r"AUTH=client", "we log in to the next server"),
    (r"AUTH failure .*\(-13\)", _REFUSED),
    (r"AUTH failure .*\(-20\)", _SASLDB),
    (r"AUTH failure .*\(-1\)", _SILENT),
    (r"AUTH failure", "login refused"),
    (r".*possible SMTP attack", "too many commands of one kind"),
    (r".*did not issue MAIL/EXPN/VRFY/ETRN", "it ended without a message"),
    (r"ruleset=check_\w+, .*reject=", "a rule refuses it"),
    (r".*rejecting commands from .* pre-greeting", "the client spoke before the greeting"),
    (r".*\.\.\. User unknown", "there is no such user"),
    (r"from=.*nrcpts=0", "no recipient was accepted: there is no message"),
    (r"from=", "the message is accepted"),
    (r"to=.*stat=Sent", "delivered"),
    (r"to=.*stat=(Deferred|queued)", "it waits in the queue"),
    (r"to=.*stat=(expanded|aliased)", "an alias: it goes on to others"),
    (r"to=.*dsn=5\.", "it cannot be delivered"),
    (r"to=.*dsn=4\.", "it waits in the queue"),
    (r"[^ :]+: (DSN|return to sender|postmaster notify|sender notify)", "a bounce goes to the sender"),
    (r"clone", "it is split into two"),
    (r"done; ", "finished: removed from the queue"),
    (r".*lost input channel|.*timeout waiting for input", "the client went away"),
    (r".*SYSERR", "sendmail itself has a problem"),
    (r"Milter", "a mail filter"),
    (r".*rejecting connections", "too much load: no connections are accepted"),
    (r"starting daemon", "sendmail starts"),
    (r"stopping daemon", "sendmail stops"),
)
_SASLAUTHD = (
    (r"auth success \(cached\)", "yes, from its cache: PAM was not asked"),
    (r"auth success", "yes: user and password are right"),
    (r"auth failure", "no, and the reason"),
    (
        r"NULL (login|password) received",
        "asked without a name or password: msa-wizard itself does, to see whether it answers",
    ),
    (r"pam_unix\(.*authentication failure", _WRONG),
    (r"pam_unix\(.*check pass; user unknown", "PAM: there is no such user"),
    (r"pam_unix\(.*expired", "PAM: the account has expired"),
    (r"pam_\w+\(", "PAM says"),
    (r"DEBUG: auth_pam: pam_authenticate failed", "PAM refuses the password"),
    (r"DEBUG: auth_pam: pam_acct_mgmt failed", "PAM refuses the account"),
    (r"PAM unable to dlopen|PAM adding faulty module", "a PAM module is missing"),
    (r"response: OK", "sendmail gets the answer yes"),
    (r"response: NO", "sendmail gets the answer no"),
    (r"acquired accept lock", "this process takes the next request"),
    (r"released accept lock", "it is handling a request"),
    (r"found with valid passwd", "the cache knows this user and password"),
    (r"found with invalid passwd", "the cache knows another password: it asks again"),
    (r"not found, update pending", "not in the cache: asks"),
    (r"lookup committed", "the answer goes into the cache"),
    (r"attempting (a|to)", "a lock of the cache"),
    (r"listening on socket", "ready: sendmail asks it here"),
    (r"forked child", "one process more"),
    (r"child exited", "one process less"),
    (r"master pid is", "it runs in the foreground"),
    (r"num_procs", "how many processes (-n)"),
    (r"mech_option", "the mechanism's own option (-O)"),
    (r"run_path", "the folder of its socket (-m)"),
    (r"auth_mech", "the mechanism that is asked (-a)"),
    (r"using accept lock file", "who takes the next request"),
    (r"using process model", "processes, not threads"),
    (r"mmaped|bucket|stats size|timeout|cache table|flock file opened", "its cache of logins (-c)"),
    (r"(socket|file|lock) removed|file lock removed", "it cleans up"),
    (r"master exited", "it has ended"),
    (r"[Cc]ould not|failed|[Uu]nable|error", "an error"),
)
_TABLES = {
    "sendmail": [(re.compile(pattern).match, words) for pattern, words in _SENDMAIL],
    "saslauthd": [(re.compile(pattern).search, words) for pattern, words in _SASLAUTHD],
}


def word(name: str, text: str) -> str:
    """What the line `text` of the program `name` means, "" where nobody knows."""
    family = "saslauthd" if name.startswith("saslauthd") else "sendmail"
    message = QUEUE_ID.sub("", text) if family == "sendmail" else text
    return next((words for matches, words in _TABLES[family] if matches(message)), "")


def refused_because(lines: Sequence[LogLine]) -> str:
    """The one cause that these lines name for a login that was refused, as a sentence; "" where they name none, or several.

    Whoever can write to a file of the log could name one: that does not count."""
    own = [line for line in lines if not line.file]
    explanations = {word(line.name, line.text) for line in own}
    # Another module may have let the password pass, and the account is refused.
    passed = any("PAM acct error" in line.text for line in own)
    precise = [cause for cause in _CAUSES if cause in explanations and not (passed and cause == _WRONG)]
    causes = precise or [cause for cause in (_REFUSED,) if cause in explanations]
    return f"The mail log says: {causes[0]}." if len(causes) == 1 else ""


State = Literal["delivered", "deferred", "failed", "unknown"]
_FIELD = re.compile(r"(?:^|[ ,])(to|relay|mailer|dsn)=([^,]*)")
_STAT = re.compile(r"(?:^|[ ,])stat=(.*)$")
_REPLY = re.compile(r".*, reply=(\d\d\d.*), stat=")
_ON_THE_WAY = re.compile(r"expanded|aliased|forwarded|included", re.IGNORECASE)
_SENTENCES: dict[State, str] = {
    "delivered": "Delivered to ",
    "unknown": "",
    "deferred": "It waits in the queue and will be tried again: ",
    "failed": "It cannot be delivered, and is returned to its sender: ",
}
"""How a sentence on an attempt begins, from the best state to the worst."""


@dataclass(frozen=True)
class Attempt:
    """One delivery attempt: the recipient, the state, sendmail's own words, and the relay."""

    to: str
    state: State
    says: str
    relay: str


@dataclass(frozen=True)
class Delivery:
    """What has become of the message so far; `state` is the worst of its recipients'. `says` is a sentence."""

    queue_id: str
    state: State
    says: str
    attempts: tuple[Attempt, ...] = ()
    accepted: bool = False
    """Whether sendmail's log also says that it accepted the message."""
    file: str = ""
    """The log file that says so, which proves nothing; "" where sendmail itself wrote it into the journal."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for json.dumps."""
        return {**vars(self), "attempts": [vars(item) for item in self.attempts]}


def delivery(queue_id: str, lines: Sequence[LogLine]) -> Delivery:
    """What the lines of this message, oldest first, say."""
    about = [line for line in lines if line.queue_id == queue_id]
    own, file = [line.text.partition(": ")[2] for line in about], about[0].file if about else ""
    accepted = any(text.startswith("from=") for text in own)
    attempts = tuple({latest.to: latest for text in own if (latest := attempt(text))}.values())
    if attempts:
        worst = max(attempts, key=lambda item: list(_SENTENCES).index(item.state))
        via = f" by way of {worst.relay}" if worst.relay else ""
        state, says = worst.state, f"{_SENTENCES[worst.state]}{worst.to}{via}: {worst.says}."
    else:
        state, says = "unknown", "nothing is logged about it."
        if accepted:
            says = "sendmail has accepted it, but not tried to deliver it yet."
    doubt = f" So says {file}; {UNPROVED}." if file else ""
    return Delivery(queue_id, state, says + doubt, attempts, accepted, file)


def attempt(text: str) -> Attempt | None:
    """What a line, after its queue id, says about a delivery; None for other lines and for aliases.

    Since 8.17 sendmail logs the other server's reply, and `stat=User unknown` beside each that begins with 550."""
    stat = _STAT.search(text)
    if not text.startswith("to=") or stat is None or _ON_THE_WAY.match(stat[1]):
        return None
    fields = dict(_FIELD.findall(text[: stat.start()]))
    dsn = fields.get("dsn", "")
    state: State = "unknown"
    if stat[1].startswith("Sent") or dsn.startswith("2"):
        state = "delivered"
    elif stat[1].startswith(("Deferred", "queued")) or dsn.startswith("4"):
        state = "deferred"
    elif dsn.startswith("5"):
        state = "failed"
    reply = _REPLY.match(text)
    says = stat[1] if state == "delivered" or reply is None else reply[1]
    return Attempt(fields["to"], state, says, fields.get("relay", "") or fields.get("mailer", ""))


@dataclass(frozen=True)
class ConversationLine:
    """One line of either side, safe to show: when (seconds since the epoch), who, what, what it means."""

    time: float
    who: Literal["server", "client", "note", "log"]
    text: str
    explanation: str


class Matching:
    """Which lines of the log belong to the test. Pure."""

    def __init__(self, user: str | None, shown: Callable[[str], str] = visible) -> None:
        self._user = user
        self._shown = shown
        self.pids: set[int] = set()
        self.ids: set[str] = set()

    def takes(self, line: LogLine) -> bool:
        """Whether this line does; what it says about the message counts for later lines."""
        if line.name == "saslauthd":
            names = [f"{key}={self._user}{end}" for key in ("user", "login") for end in "] ,"]
            return bool(self._user) and any(name in f"{line.text} " for name in names)
        mine = line.pid in self.pids or line.queue_id in self.ids
        if mine and line.queue_id:
            self.ids.add(line.queue_id)
        return mine

    def seen(self, line: LogLine) -> ConversationLine:
        """The line as it may be shown."""
        where = f"{line.name}[{line.pid}]" if line.pid else line.name
        text = self._shown(f"{where}: {line.text}")
        return ConversationLine(line.time, "log", text, word(line.name, line.text))


class Watch:
    """Both sides of a test; `tell` gets each line once its place is certain, from one thread at a time."""

    def __init__(
        self,
        host: Host,
        user: str | None,
        tell: Callable[[ConversationLine], None],
        shown: Callable[[str], str] = visible,
    ) -> None:
        self._host = host
        self._tell = tell
        self._match = Matching(user, shown)
        self._follower = LogFollower(host)
        self._waiting: list[tuple[float, int, ConversationLine]] = []
        self._serial = itertools.count()
        self._unmatched: list[LogLine] = []
        self._ends: Ends | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self.elsewhere = False
        """Whether the server is another machine, and so its log is elsewhere."""
        self.logged: list[LogLine] = []
        """The lines of the log that belong to it."""

    @property
    def source(self) -> str | None:
        """`journal`, a path, or None where this host keeps no log."""
        return self._follower.source

    def __enter__(self) -> Self:
        self._follower.__enter__()
        self._ticker.start()
        return self

    def __exit__(self, _kind: object, _error: object, _trace: object) -> None:
        self._over.set()
        self._ticker.join(10)
        self._follower.__exit__(None, None, None)
        self._move(time.time() + 1e9)

    def connected(self, ends: Ends) -> None:
        """A connection is open."""
        self._ends, server = ends, ends[1][0]
        self.elsewhere = not is_own(self._host, server)

    def line(self, line: Line) -> None:
        """A line of the conversation. At the server's first line its process can be found."""
        if line.who == "server" and self._ends is not None:
            (client, server), self._ends = self._ends, None
            pid = server_process(self._host, client, server)
            if pid is not None:
                with self._lock:
                    self._match.pids.add(pid)
        with self._lock:
            self._push(ConversationLine(time.time(), line.who, line.text, line.explanation))

    def settled(self) -> None:
        """Wait a moment for the last lines of the conversation."""
        quiet = time.monotonic()
        end, count = quiet + _AFTER, len(self.logged)
        while time.monotonic() < end and time.monotonic() - quiet < _SETTLE:
            time.sleep(_TICK)
            if len(self.logged) != count:
                count, quiet = len(self.logged), time.monotonic()

    def delivery(self, queue_id: str, within: float) -> Delivery:
        """What became of the message, waited for `within` seconds at most."""
        with self._lock:
            self._match.ids.add(queue_id)
        since = time.monotonic()
        end, last = since + within, Delivery(queue_id, "unknown", "")
        while time.monotonic() < end:
            with self._lock:
                now = delivery(queue_id, self.logged)
            if now != last:
                last, since = now, time.monotonic()
            if now.state != "unknown" and time.monotonic() - since >= _SETTLE:
                return now
            time.sleep(_TICK)
        with self._lock:
            return delivery(queue_id, self.logged)

    def _push(self, line: ConversationLine) -> None:
        heapq.heappush(self._waiting, (line.time, next(self._serial), line))

    def _tick(self) -> None:
        while not self._over.wait(_TICK):
            self._move(time.time() - LAG)

    def _move(self, until: float) -> None:
        """Take in what was logged; tell what is older than `until`. A line whose process was not yet known when it came
        gets a second chance."""
        with self._lock:
            lines, self._unmatched = self._unmatched + self._follower.taken(), []
            for line in lines:
                if self._match.takes(line):
                    self.logged.append(line)
                    self._push(self._match.seen(line))
                elif time.time() - line.time < 5:
                    self._unmatched.append(line)
            while self._waiting and self._waiting[0][0] <= until:
                self._tell(heapq.heappop(self._waiting)[2])
