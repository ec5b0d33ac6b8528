"""The conversation with sendmailconfig (howto 3.6), held by pexpect.

Its exit status is not believed: it is 0 after m4 has failed (docs/debian.md trap 1). Whoever calls this reads sendmail.cf
back afterwards."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from typing import Any

from wizard import log
from wizard.errors import HostError
from wizard.model.facts import SENDMAIL_MC
from wizard.system.host import Host, Say

ARGV = ("sendmailconfig",)
PROMPT_DEADLINE = 120.0
"""Seconds until the next question or the end: making DH parameters or a certificate can take a while."""
DEADLINE = 300.0
"""Seconds for the whole conversation."""
LOGGED = 64 * 1024
"""Characters of what it says that the log keeps: its exit status tells nothing, and the command line shows only a part."""
_ROOM = 256
"""KiB that sendmailconfig needs: sendmail.cf, submit.cf, and the old ones beside them."""


@dataclass(frozen=True)
class Question:
    """One question, without its `[Y]`: our answer and the reason for it."""

    shown: str
    answer: str
    why: str


QUESTIONS = (
    Question("Configure sendmail with the existing /etc/mail/sendmail.conf?", "Y", "it is yours"),
    Question(
        "Configure sendmail with the existing /etc/mail/sendmail.mc?",
        "Y",
        "N would write it again and lose the edits",
    ),
    Question(
        "Reload the running sendmail now with the new configuration?",
        "N",
        "sendmail.cf is read back first, and SASL and TLS need the restart that follows",
    ),
)
_OTHER_QUESTION = r"[^\r\n]*(?:\? \[[^\]\r\n]*\] |Press \[ENTER\] )\Z"


def no_room(host: Host) -> str:
    """The likely reason why sendmail.cf is not whole: a full file system, which sendmailconfig does not mind."""
    free = shutil.disk_usage(host.path("/etc/mail")).free // 1024
    return f". No space left on device: {free} KiB are free below /etc/mail" if free < _ROOM else ""


def converse(host: Host, say: Say) -> str:
    """Run sendmailconfig, answer its questions, return the whole transcript.

    Raises HostError: no sendmail.mc (it would ask some twenty other questions and write its own), a question that is
    not in the table, a deadline, an exit status other than 0."""
    import pexpect

    if host.entry(SENDMAIL_MC) is None:
        raise HostError(
            f"{SENDMAIL_MC} is missing: sendmailconfig would ask some twenty questions and write a new one. "
            "Reinstall it with `cp /usr/share/sendmail/cf/debian/sendmail.mc /etc/mail/`"
        )
    say("$ " + " ".join(ARGV))
    child, ended = host.spawn(ARGV, timeout=PROMPT_DEADLINE), log.started(ARGV, LOGGED)
    # pexpect's pauses are for programs that empty their input; sendmailconfig reads with the shell's `read`.
    child.delaybeforesend = None
    child.ptyproc.delayafterclose = 0.0  # type: ignore[attr-defined]
    # A question is the end of what was said; without a window each piece is searched from the beginning.
    child.searchwindowsize = 400
    transcript = _Transcript(say)
    end = time.monotonic() + DEADLINE
    patterns: list[Any] = [
        *(re.compile(re.escape(question.shown) + r" \[[YN]\] ") for question in QUESTIONS),
        re.compile(_OTHER_QUESTION),
        pexpect.EOF,
    ]
    try:
        while True:
            try:
                which = child.expect(patterns, timeout=min(PROMPT_DEADLINE, max(0.0, end - time.monotonic())))
            except pexpect.TIMEOUT as error:
                transcript.add(child.before or "")
                raise HostError(
                    f"sendmailconfig printed nothing for {PROMPT_DEADLINE:.0f} s and was stopped:\n{transcript.tail()}"
                ) from error
            transcript.add((child.before or "") + (child.after if isinstance(child.after, str) else ""))
            if which == len(QUESTIONS) + 1:
                break
            if which == len(QUESTIONS):
                raise HostError(
                    f"sendmailconfig asked something unknown and was stopped:\n{transcript.tail()}\n"
                    "Run sendmailconfig by hand and accept its defaults"
                )
            transcript.add(QUESTIONS[which].answer + "\n")
            child.sendline(QUESTIONS[which].answer)
        child.wait()
    finally:
        child.close(force=True)
        ended(child.exitstatus, transcript.text)
    if child.exitstatus != 0:
        raise HostError(f"sendmailconfig ended with status {child.exitstatus}:\n{transcript.tail()}")
    return transcript.text


class _Transcript:
    """All that was said, each line passed on as soon as it is whole."""

    def __init__(self, say: Say) -> None:
        self.text = ""
        self._said = 0
        self._say = say

    def add(self, piece: str) -> None:
        self.text += piece.replace("\r\n", "\n")
        while (at := self.text.find("\n", self._said)) >= 0:
            self._say(self.text[self._said : at])
            self._said = at + 1

    def tail(self, lines: int = 12) -> str:
        return "\n".join(self.text.rstrip().splitlines()[-lines:])
