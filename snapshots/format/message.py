"""Commits as nouns: who they are by, and their messages: a subject, a body, and the trailers at the end."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snapshots.errors import StoreError
from snapshots.visible import one_line, visible

OPERATIONS = ("baseline", "drift", "settings", "apply", "rollback", "recover")
"""What a commit may be the record of."""

LOG_FORMAT = "%H%x00author %an <%ae> %ad%n%n%B%x00"
"""For `git log --date=raw`: what `parse_log` reads."""

_TRAILER = re.compile(r"(?im)^(?=(?:step|howto|operation|run|reverts)\s*:)")
_SUBJECT_LIMIT = 200
_NAME_LIMIT = 64
_EMAIL_LIMIT = 320
_AUTHOR = re.compile(r"(?m)^author (.*) <(.*)> ([0-9]+) ([+-][0-9]{4,})$")
_WHOLE_ID = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True)
class Author:
    """Name and mail address as a commit carries them."""

    name: str
    email: str

    def cleaned(self) -> Author:
        """The same without what git would drop or could take for the end of it."""
        return Author(_clean(self.name), _clean(self.email, _EMAIL_LIMIT).replace(" ", ""))

    def signature(self) -> bytes:
        """`Name <mail>` for a commit."""
        clean = self.cleaned()
        return f"{clean.name} <{clean.email}>".encode()


def author_from_environment(environ: Mapping[str, str], hostname: str | None = None) -> Author:
    """The admin behind sudo (SUDO_USER), else the one who logged in (the terminal's login, LOGNAME),
    else root; the mail address is that name at `hostname` (by default this machine's)."""
    login = ""
    if "SSH_CONNECTION" in environ:
        with contextlib.suppress(OSError):  # no terminal: LOGNAME says it
            login = os.getlogin()
    name = _clean(environ.get("SUDO_USER") or login or environ.get("LOGNAME") or "root")
    return Author(name, f"{name.replace(' ', '')}@{_clean(hostname or os.uname().nodename or 'localhost')}")


def _clean(text: str, limit: int = _NAME_LIMIT) -> str:
    # Git ends a name at < and drops these from both ends.
    return re.sub(r"[<>\\]", "", one_line(text, limit)).strip(" .,:;\"'") or "root"


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
    reverts: tuple[str, ...] = ()
    """The ids of the commits that this one rolls back."""

    @property
    def short(self) -> str:
        """The first ten digits of the id."""
        return self.id[:10]


def compose(
    *,
    subject: str,
    body: str,
    step: str | None,
    howto: str | None,
    operation: str,
    run: str,
    reverts: Sequence[str] = (),
) -> str:
    """The message of a commit. Nothing in `subject` and `body` can be taken for a trailer. Raises StoreError
    where `reverts` holds anything but whole ids."""
    for identity in reverts:
        if not _WHOLE_ID.match(identity):
            raise StoreError(f"{identity!r} is not the whole id of a commit, so no commit can revert it.")
    text = visible(body.replace("\r\n", "\n"), keep="\n\t").strip("\n")
    parts = [one_line(subject, _SUBJECT_LIMIT) or operation]
    if text.strip():
        parts.append(_TRAILER.sub("  ", text))
    named = [("Step", step), ("Howto", howto), ("Operation", operation), ("Run", run)]
    trailers = [f"{name}: {one_line(value, _SUBJECT_LIMIT)}" for name, value in named if value]
    if reverts:
        trailers.append(f"Reverts: {' '.join(reverts)}")
    parts.append("\n".join(trailers))
    return "\n\n".join(parts) + "\n"


def parse_commit(identity: str, author: Author, time: datetime.datetime, message: str) -> Commit:
    """The commit with this message. One that somebody made without the trailers has empty ones."""
    paragraphs = message.strip("\n").split("\n\n")
    pairs = (line.partition(": ") for line in paragraphs[-1].split("\n"))
    trailers = {name: value for name, _, value in pairs}
    if len(paragraphs) > 1 and trailers.get("Operation") in OPERATIONS:
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
        body=visible("\n\n".join(paragraphs[1:]), keep="\n\t"),
        reverts=tuple(filter(_WHOLE_ID.match, trailers.get("Reverts", "").split(" "))),
    )


def parse_raw(identity: str, text: bytes) -> Commit:
    """The commit that git keeps as `text`. Raises ValueError where that is none."""
    head, _, message = text.decode("utf-8", "replace").partition("\n\n")
    author = _AUTHOR.search(head)
    if author is None:
        raise ValueError("a commit without an author")
    name, email, seconds, zone = author.groups()
    offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    timezone = datetime.timezone(-offset if zone[0] == "-" else offset)
    time = datetime.datetime.fromtimestamp(int(seconds), timezone)
    return parse_commit(identity, Author(visible(name), visible(email)), time, message)


def parse_log(output: bytes) -> list[Commit]:
    """The commits that `git log` printed in LOG_FORMAT."""
    fields = output.split(b"\0")
    return [
        parse_raw(identity.decode().strip("\n"), text)
        for identity, text in zip(fields[:-1:2], fields[1::2], strict=True)
    ]
