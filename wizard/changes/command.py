"""Commands of the system that rewrite files themselves: update_auth, update_tls, and sendmailconfig's dialogue.

What they write is captured first and written then, file by file (`wizard.changes.capture`); where a host does not allow that,
they run on the host itself, and what they wrote is found in their footprint."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from snapshots.live.entry import Entry, Kind
from wizard.changes.capture import Capture, NoCaptureError, below, captured
from wizard.changes.file import FileChange, FileEffect
from wizard.errors import ChangeError, HostError, MissingError
from wizard.model.claim import Claim
from wizard.model.generated_files import derived, in_order, same_but_dated
from wizard.model.plan import Change, Description
from wizard.sendmail.sendmailconfig import ARGV, QUESTIONS, converse
from wizard.system.host import Host, Say
from wizard.system.links import inside_etc

MEMBERS = ("smmta", "smmsp")
"""The users that update_auth puts into a group."""
ETC_MAIL = (
    "/etc/mail",
    "/usr/lib/sasl2",
    "/etc/sasldb2",
    *(f"/etc/{name}{end}" for end in ("", "-", "+", ".lock") for name in ("group", "gshadow")),
    "/etc/ssl/certs",
    "/etc/hosts.allow",
    "/etc/cron.d/sendmail",
    "/etc/aliases",
)
"""What Debian's update_* scripts and sendmailconfig write (docs/debian.md section sendmail)."""

_MADE = re.compile(
    r"/etc/mail/(?:[^/]+\.(?:db|cf|cf\.errors|cf\.old)|databases|Makefile|sendmail\.conf|default-auth-info"
    r"|sasl(?:/(?:sasl\.m4|Sendmail\.conf\.2))?|tls(?:/(?:starttls\.m4|no_prompt|sendmail-[a-z]+\.[a-z]+))?)\Z"
    r"|/etc/(?:sasldb2|hosts\.allow|cron\.d/sendmail|ssl/certs/[0-9a-f]{8}\.0)\Z"
    r"|/usr/lib/sasl2/(?:Sendmail|saslpasswd)\.conf\Z"
)
"""What of the footprint the scripts make: what else differs there after one ran on the host was somebody else's work."""


@dataclass(frozen=True)
class CommandEffect:
    """A command that ran. What it wrote comes back as files."""

    argv: tuple[str, ...]
    output: str
    writes: tuple[FileEffect, ...] = ()
    """What it wrote to the host itself, as far as that can be told; none where it was captured."""
    follow_up: tuple[Change, ...] = field(default=(), compare=False)
    """What is still to be done, each of it a change of its own."""
    capture: Capture | None = field(default=None, compare=False)
    live: bool = False
    """Whether it ran on the host itself, and how far it came is not known."""

    def undo(self, host: Host, say: Say) -> None:
        """Nothing beyond its files, which the engine restores."""

    def claim(self, host: Host) -> Claim:
        """What the scripts make, where they ran on the host itself; update_auth puts users into the group sasl."""
        if not self.live:
            return Claim()
        return Claim(lambda path, _before, _after: bool(_MADE.match(f"/{path}")), frozenset(MEMBERS))

    def record(self) -> dict[str, object]:
        """The command and all it said."""
        return {"kind": "command", "argv": list(self.argv), "output": self.output, "live": self.live}

    def must_still_hold(self, host: Host) -> None:
        """To be asked once the follow-up is done. Raises StaleError where it was made of what is there no more."""
        if self.capture is not None:
            self.capture.must_still_hold(host)


@dataclass(frozen=True)
class CommandChange:
    """Run `argv`, which must exit 0 within `deadline` seconds."""

    argv: tuple[str, ...]
    why: str
    footprint: tuple[str, ...] = ETC_MAIL
    """The files and folders that it may write; where there are none it runs on the host itself."""
    deadline: float = 120.0

    kind = "command"
    touches = ()
    keep = False

    def describe(self) -> Description:
        """The command and its reason."""
        return Description(self.why, commands=(shlex.join(self.argv),))

    def expect(self, host: Host) -> CommandEffect:
        """The command; what it writes is told of by changes of its own."""
        return CommandEffect(self.argv, "")

    def apply(self, host: Host, say: Say) -> CommandEffect:
        """Run it, and return what it would write as what is to follow. Raises ChangeError with what it said."""
        if not self.footprint:
            return CommandEffect(self.argv, self.run(host, say))
        return _captured(self, host, say)

    def run(self, host: Host, say: Say) -> str:
        """Run it on the host that is given; what it said. Raises ChangeError."""
        say("$ " + shlex.join(self.argv))
        try:
            result = host.run(self.argv, timeout=self.deadline, say=say)
        except HostError as error:
            raise _not_run(host, self.argv, error) from error
        if result.code != 0:
            raise ChangeError(f"`{shlex.join(self.argv)}` failed with status {result.code}:\n{result.tail()}")
        return result.stdout + result.stderr


@dataclass(frozen=True)
class DialogueChange:
    """sendmailconfig, its questions answered one by one (howto 3.6)."""

    why: str = "make sendmail.cf and the databases from sendmail.mc"
    footprint: tuple[str, ...] = ETC_MAIL
    keep: bool = field(default=False, compare=False)
    """What comes out the same but for its date stays as it is, byte for byte."""

    argv = ARGV
    kind = "dialogue"
    touches = ()

    def describe(self) -> Description:
        """The command, and each question with its answer."""
        answers = tuple(
            f"  {question.shown} -> {question.answer}  ({question.why})" for question in QUESTIONS
        )
        return Description(self.why, commands=(" ".join(ARGV), *answers))

    def expect(self, host: Host) -> CommandEffect:
        """The command; what it writes is told of by changes of its own."""
        return CommandEffect(ARGV, "")

    def apply(self, host: Host, say: Say) -> CommandEffect:
        """Hold the dialogue, and return what came out as what is to follow. Raises ChangeError with the transcript's
        end; sendmail.cf itself is checked by verify."""
        return _captured(self, host, say)

    def run(self, host: Host, say: Say) -> str:
        """Hold it on the host that is given; the transcript. Raises ChangeError."""
        try:
            return converse(host, say)
        except HostError as error:
            raise _not_run(host, ARGV, error) from error


_SHIPS = {
    "make": "make",
    "newaliases": "sendmail-bin",
    "sendmailconfig": "sendmail-base",
    "update_auth": "sendmail-base",
    "update_tls": "sendmail-base",
}
"""The package of a program that may be missing."""


def _not_run(host: Host, argv: Sequence[str], error: HostError) -> ChangeError:
    """The error, and for a program that is not there what brings it."""
    package = _SHIPS.get(argv[0].rpartition("/")[2])
    if not isinstance(error, MissingError) or package is None:
        return ChangeError(str(error))
    installed = host.exists(f"/var/lib/dpkg/info/{package}.list")
    command = f"apt-get install --reinstall {package}" if installed else "msa-wizard apply install"
    return ChangeError(f"{error}. `{command}` brings it")


@dataclass(frozen=True)
class LiveCommand:
    """A command on a host that gives no private view: it writes to the host itself."""

    command: CommandChange | DialogueChange
    why: str

    kind = "command"

    @property
    def touches(self) -> tuple[str, ...]:
        """All that it may write."""
        return self.command.footprint

    def describe(self) -> Description:
        """The command and its reason."""
        return self.command.describe()

    def expect(self, host: Host) -> CommandEffect:
        """The command; what it wrote is known once it has."""
        return CommandEffect(self.command.argv, "", live=True)

    def apply(self, host: Host, say: Say) -> CommandEffect:
        """Run it, and look at what it makes before and after. Raises ChangeError with what it said."""
        say(
            f"this host gives no private view of its files ({self.why}): the command writes to the host itself"
        )
        before = _footprint(host, self.touches)
        try:
            output = self.command.run(host, say)
        except ChangeError as error:
            raise ChangeError(str(error), self.expect(host)) from error
        writes = _written(host, before, _footprint(host, self.touches))
        return CommandEffect(self.command.argv, output, tuple(writes))


def _captured(command: CommandChange | DialogueChange, host: Host, say: Say) -> CommandEffect:
    try:
        capture = captured(host, lambda inside: command.run(inside, say), say)
    except NoCaptureError as error:
        return CommandEffect(command.argv, "", follow_up=(LiveCommand(command, str(error)),))
    except (HostError, PermissionError) as error:
        raise ChangeError(str(error)) from error
    writes = {path: (old, _as_before(command, old, new)) for path, (old, new) in capture.writes.items()}
    follow_up = tuple(
        FileChange(path, before, after, f"written by {command.argv[0]}")
        for path, (before, after) in writes.items()
        if before != after or derived(path[1:])
    )
    return CommandEffect(command.argv, capture.output, follow_up=follow_up, capture=capture)


def _as_before(
    command: CommandChange | DialogueChange, before: Entry | None, after: Entry | None
) -> Entry | None:
    """A script that writes a new file and renames it drops access lists and attributes, which somebody gave to the file.
    And of a command that is to keep it what was there, where what came out differs by its date alone: written once more
    it is newer than its source, and the next start of sendmail does not make it again."""
    if before is None or after is None or not before.kind is after.kind is Kind.FILE:
        return after
    if command.keep and same_but_dated(before.content, after.content):
        return before
    return after if after.xattrs else replace(after, xattrs=before.xattrs)


def _footprint(host: Host, paths: Iterable[str]) -> dict[str, Entry]:
    """What is at the paths and below them."""
    entries = {path: host.entry(path) for top in paths for path in (top, *below(host, top))}
    return {path: entry for path, entry in entries.items() if entry is not None}


def _written(host: Host, before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[FileEffect]:
    """What a script made, of all that differs: its own files, and its users in group sasl."""
    paths = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    for path in in_order(path[1:] for path in paths):
        old, new = before.get(f"/{path}"), after.get(f"/{path}")
        if path in ("etc/group", "etc/gshadow") and old and new:
            rows = [entry.content.splitlines(keepends=True) for entry in (old, new)]
            sasl = next((row for row in rows[1] if row.startswith(b"sasl:")), b"")
            new = replace(old, content=b"".join(sasl if row.startswith(b"sasl:") else row for row in rows[0]))
        elif not _MADE.match(f"/{path}"):
            continue
        if old != new:
            yield FileEffect(inside_etc(host, f"/{path}"), old, new)
