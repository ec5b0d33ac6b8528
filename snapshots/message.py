"""Commits as nouns, and their messages: a subject, a body, and the trailers at the end."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from snapshots.author import Author
from snapshots.visible import one_line, visible

OPERATIONS = ("baseline", "drift", "apply", "rollback", "recover")
"""What a commit may be the record of."""

LOG_FORMAT = "%H%x00%an%x00%ae%x00%ad%x00%B%x00"
"""For `git log --date=raw`: what `parse_log` reads."""

_TRAILER = re.compile(r"(?im)^(?=(?:step|howto|operation|run)\s*:)")
_SUBJECT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the store."""

    id: str
    time: datetime.datetime
    author: Author
    operation: str
    step: str | None
    howto: str | None
    run: str
    subject: str
    body: str

    @property
    def short(self) -> str:
        """The first ten digits of the id."""
        return self.id[:10]


def compose(*, subject: str, body: str, step: str | None, howto: str | None, operation: str, run: str) -> str:
    """The message of a commit. Nothing in `subject` and `body` can be taken for a trailer."""
    text = visible(body.replace("\r\n", "\n")).strip("\n")
    parts = [one_line(subject, _SUBJECT_LIMIT) or operation]
    if text.strip():
        parts.append(_TRAILER.sub("  ", text))
    trailers = [("Step", step), ("Howto", howto), ("Operation", operation), ("Run", run)]
    parts.append("\n".join(f"{name}: {one_line(value, _SUBJECT_LIMIT)}" for name, value in trailers if value))
    return "\n\n".join(parts) + "\n"


def parse_commit(identity: str, author: Author, time: datetime.datetime, message: str) -> Commit:
    """The commit with this message. One that somebody made without the trailers has empty ones."""
    paragraphs = message.strip("\n").split("\n\n")
    trailers: dict[str, str] = {}
    if len(paragraphs) > 1:
        for line in paragraphs[-1].split("\n"):
            name, _, value = line.partition(": ")
            trailers[name] = value
    if trailers.get("Operation") in OPERATIONS:
        paragraphs.pop()
    else:
        trailers = {}
    return Commit(
        id=identity,
        time=time,
        author=author,
        operation=trailers.get("Operation", ""),
        step=trailers.get("Step"),
        howto=trailers.get("Howto"),
        run=trailers.get("Run", ""),
        subject=visible(paragraphs[0]),
        body=visible("\n\n".join(paragraphs[1:])),
    )


def parse_log(output: bytes) -> list[Commit]:
    """The commits that `git log` printed in LOG_FORMAT."""
    commits = []
    fields = output.decode("utf-8", "replace").split("\0")
    for at in range(0, len(fields) - 1, 5):
        identity, name, email, when, message = fields[at : at + 5]
        seconds, _, zone = when.partition(" ")
        offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
        timezone = datetime.timezone(-offset if zone[0] == "-" else offset)
        time = datetime.datetime.fromtimestamp(int(seconds), timezone)
        author = Author(visible(name), visible(email))
        commits.append(parse_commit(identity.strip("\n"), author, time, message))
    return commits
