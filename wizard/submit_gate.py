"""The gate for submit.mc: a new one is written only after m4 made a submit.cf of it that differs by its destination alone."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from wizard import sendmail_cf
from wizard.host import Host, HostError
from wizard.local_mail import DESTINATION, LOOPBACK, destination
from wizard.m4 import expand
from wizard.mc_gate import GateError
from wizard.plan import Say


@dataclass(frozen=True)
class SubmitGate:
    """`before` is what m4 makes of the submit.mc that is there."""

    before: str

    def check(self, host: Host, content: bytes, say: Say) -> str:
        """The submit.cf that `content` gives. Raises GateError; nothing outside a private folder is written."""
        with tempfile.TemporaryDirectory(prefix="msa-wizard-gate-") as folder:
            source = Path(folder) / "submit.mc"
            source.write_bytes(content)
            try:
                made = expand(host, str(source), content)
            except HostError as error:
                raise GateError(str(error)) from error
        said = made.said.replace(str(source), "submit.mc").strip()
        if made.code != 0 or len(made.text) < sendmail_cf.SMALLEST:
            raise GateError(
                f"m4 does not accept the new submit.mc: {said or f'{len(made.text)} bytes came out'}"
            )
        to = destination(made.text)
        if to != LOOPBACK:
            raise GateError(
                f"local mail would go to {to or 'nowhere that is known here'}, not to {LOOPBACK}. A later line of submit.mc, "
                "or a file it includes, says so"
            )
        others = [
            line
            for pair in ((made.text, self.before), (self.before, made.text))
            for line in sendmail_cf.only_in(*pair)
            if not line.startswith(DESTINATION)
        ]
        if others:
            raise GateError(
                f"submit.cf would differ in more than its destination: {others[0].strip()[:80]!r}"
            )
        say(f"the gate: m4 accepts it, and local mail goes to {to}")
        return made.text
