"""The gate for submit.mc: a new one is written only after m4 made a submit.cf of it that differs by its destination alone."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.errors import GateError, HostError
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.local_mail import DESTINATION, LOOPBACK, destination
from wizard.sendmail.m4 import expand_text
from wizard.system.host import Host, Say


@dataclass(frozen=True)
class SubmitGate:
    """`before` is what m4 makes of the submit.mc that is there."""

    before: str

    def check(self, host: Host, content: bytes, say: Say) -> str:
        """The submit.cf that `content` gives. Raises GateError; nothing outside a private folder is written."""
        try:
            expansion = expand_text(host, content)
        except HostError as error:
            raise GateError(str(error)) from error
        if len(expansion.text) < sendmail_cf.SMALLEST:
            messages = expansion.messages.strip() or f"{len(expansion.text)} bytes came out"
            raise GateError(f"m4 does not accept the new submit.mc: {messages}")
        to = destination(expansion.text)
        if to != LOOPBACK:
            raise GateError(
                f"local mail would go to {to or 'nowhere that is known here'}, not to {LOOPBACK}. A later line of submit.mc, "
                "or a file it includes, says so"
            )
        others = [
            line
            for pair in ((expansion.text, self.before), (self.before, expansion.text))
            for line in sendmail_cf.only_in(*pair)
            if not line.startswith(DESTINATION)
        ]
        if others:
            raise GateError(
                f"submit.cf would differ in more than its destination: {others[0].strip()[:80]!r}"
            )
        say(f"the gate: m4 accepts it, and local mail goes to {to}")
        return expansion.text
