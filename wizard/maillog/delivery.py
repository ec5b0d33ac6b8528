"""What became of a submitted message, from the lines that sendmail logged (howto 5.2.4). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wizard.maillog.read import UNPROVED, LogLine

State = Literal["delivered", "deferred", "failed", "unknown"]
_FIELD = re.compile(r"(?:^|[ ,])(to|relay|mailer|dsn)=([^,]*)")
_STAT = re.compile(r"(?:^|[ ,])stat=(.*)$")
_ON_THE_WAY = re.compile(r"expanded|aliased|forwarded|included", re.IGNORECASE)
_RANK: dict[State, int] = {"delivered": 0, "unknown": 1, "deferred": 2, "failed": 3}


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
    latest: dict[str, Attempt] = {}
    for text in own:
        one = attempt(text)
        if one is not None:
            latest[one.to] = one
    attempts = tuple(latest.values())
    if not attempts:
        says = (
            "sendmail has accepted it, but not tried to deliver it yet"
            if accepted
            else "nothing is logged about it"
        )
        return Delivery(queue_id, "unknown", f"{says}.{_doubt(file)}", (), accepted, file)
    worst = max(attempts, key=lambda item: _RANK[item.state])
    return Delivery(queue_id, worst.state, _sentence(worst) + _doubt(file), attempts, accepted, file)


def _doubt(file: str) -> str:
    return f" So says {file}; {UNPROVED}." if file else ""


def attempt(text: str) -> Attempt | None:
    """What a line, after its queue id, says about a delivery; None for other lines and for aliases."""
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
    return Attempt(fields["to"], state, stat[1], fields.get("relay", "") or fields.get("mailer", ""))


def _sentence(item: Attempt) -> str:
    via = f" by way of {item.relay}" if item.relay else ""
    match item.state:
        case "delivered":
            return f"Delivered to {item.to}{via}: {item.says}."
        case "deferred":
            return f"It waits in the queue and will be tried again: {item.to}{via}: {item.says}."
        case "failed":
            return f"It cannot be delivered, and is returned to its sender: {item.to}{via}: {item.says}."
        case _:
            return f"{item.to}{via}: {item.says}."
