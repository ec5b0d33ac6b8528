"""Commands of the system that rewrite files themselves: update_auth, update_tls, and sendmailconfig's dialogue."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from wizard.changes.claim import Claim, below
from wizard.host import Host, HostError
from wizard.plan import ChangeError, Description, Say
from wizard.sendmailconfig import ARGV, QUESTIONS, converse

MEMBERS = ("smmta", "smmsp")
"""The users that update_auth puts into a group."""
ETC_MAIL = (
    "/etc/mail",
    "/usr/lib/sasl2",
    "/etc/sasldb2",
    "/etc/group",
    "/etc/gshadow",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/group+",
    "/etc/gshadow+",
    "/etc/group.lock",
    "/etc/gshadow.lock",
    "/etc/ssl/certs",
    "/etc/hosts.allow",
    "/etc/cron.d/sendmail",
    "/etc/aliases",
)
"""What Debian's update_* scripts and sendmailconfig write (DEBIAN.md section sendmail)."""


@dataclass(frozen=True)
class CommandEffect:
    """A command that ran. The files it wrote come back from the snapshot."""

    argv: tuple[str, ...]
    output: str
    touches: tuple[str, ...] = ()

    def undo(self, host: Host, say: Say) -> None:
        """Nothing beyond its files, which the engine restores."""

    def claim(self, host: Host) -> Claim:
        """What it may write; Debian's update_auth puts users into the group sasl."""
        return Claim(below(*self.touches), frozenset(MEMBERS))

    def record(self) -> dict[str, object]:
        """The command and all it said."""
        return {
            "kind": "command",
            "argv": list(self.argv),
            "output": self.output,
            "touches": list(self.touches),
        }


@dataclass(frozen=True)
class CommandChange:
    """Run `argv`, which must exit 0 within `deadline` seconds."""

    argv: tuple[str, ...]
    why: str
    touches: tuple[str, ...] = ETC_MAIL
    deadline: float = 120.0

    kind = "command"

    def describe(self) -> Description:
        """The command and its reason."""
        return Description(self.why, commands=(shlex.join(self.argv),))

    def expect(self, host: Host) -> CommandEffect:
        """The command; what it writes comes back from the snapshot."""
        return CommandEffect(self.argv, "", self.touches)

    def apply(self, host: Host, say: Say) -> CommandEffect:
        """Run it. Raises ChangeError with what it said."""
        say("$ " + shlex.join(self.argv))
        try:
            done = host.run(self.argv, timeout=self.deadline, say=say)
        except HostError as error:
            raise ChangeError(str(error), self.expect(host)) from error
        if done.code != 0:
            why = f"`{done.command}` failed with status {done.code}:\n{done.tail()}"
            raise ChangeError(why, self.expect(host))
        return CommandEffect(self.argv, done.stdout + done.stderr, self.touches)


@dataclass(frozen=True)
class DialogueChange:
    """sendmailconfig, its questions answered one by one (howto 3.6)."""

    why: str = "make sendmail.cf and the databases from sendmail.mc"
    touches: tuple[str, ...] = ETC_MAIL

    kind = "dialogue"

    def describe(self) -> Description:
        """The command, and each question with its answer."""
        answers = tuple(f"  {item.shown} -> {item.answer}  ({item.why})" for item in QUESTIONS)
        return Description(self.why, commands=(" ".join(ARGV), *answers))

    def expect(self, host: Host) -> CommandEffect:
        """The command; what it writes comes back from the snapshot."""
        return CommandEffect(ARGV, "", self.touches)

    def apply(self, host: Host, say: Say) -> CommandEffect:
        """Hold the dialogue. Raises ChangeError with the transcript's end; sendmail.cf itself is checked by verify."""
        try:
            return CommandEffect(ARGV, converse(host, say), self.touches)
        except HostError as error:
            raise ChangeError(str(error), self.expect(host)) from error
