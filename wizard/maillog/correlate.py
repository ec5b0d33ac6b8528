"""The server's side of a test beside the client's (howto 5.2.3): lines of the mail log matched by the connection's
process, by queue id, by user and time; all of it in the order of time."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from snapshots.visible import visible
from wizard.maillog.explain import Delivery, delivery, word
from wizard.maillog.read import LogFollower, LogLine
from wizard.smtp.connection import Ends
from wizard.smtp.transcript import Line
from wizard.system.host import Host
from wizard.system.sockets import addresses, server_process

WITHIN = 30.0
"""Seconds that a message is followed by default."""
LAG = 0.4
"""Seconds that a line is held back, so that a late line of the log still finds its place."""
_TICK = 0.1
_SETTLE = 0.5
"""Seconds to wait after news of a message for news of another recipient."""
_AFTER = 2.0
"""Seconds to wait for the last lines after the conversation's end."""


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
        self.elsewhere = server.split("%")[0] not in addresses(self._host) and not server.startswith("127.")

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
