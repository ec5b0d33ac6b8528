"""The listeners of a daemon that was just restarted, watched for a while: if one disappears, the step is undone."""

from __future__ import annotations

import time
from dataclasses import dataclass

from wizard.errors import ChangeError
from wizard.model import facts as f
from wizard.model.claim import Claim
from wizard.model.plan import Description
from wizard.sendmail import cf as sendmail_cf
from wizard.smtp.session import TIMEOUT, greeting
from wizard.system.host import Host, Say

_PATIENCE = TIMEOUT
"""Seconds for a listener to greet."""
_PAUSE = 5.0
_TOLD = 15.0
"""Seconds between two messages on how long is left."""


@dataclass(frozen=True)
class WatchEffect:
    """It was watched; nothing of it can be undone."""

    seconds: int

    def undo(self, host: Host, say: Say) -> None:
        """Nothing was changed."""

    def claim(self, host: Host) -> Claim:
        """No file."""
        return Claim()

    def record(self) -> dict[str, object]:
        """How long."""
        return {"kind": "watch", "seconds": self.seconds}


@dataclass(frozen=True)
class WatchChange:
    """For `seconds` every listener of sendmail.cf must greet: sendmail ends 45 s after one that it could not open, and a
    wedged one shows only when it is asked (docs/debian.md trap 2)."""

    seconds: int

    kind = "watch"
    touches: tuple[str, ...] = ()

    def describe(self) -> Description:
        """What ends it."""
        return Description(
            f"watch the listeners for {self.seconds} s: if one is gone or does not greet, this step is undone"
        )

    def expect(self, host: Host) -> WatchEffect:
        """Nothing to undo."""
        return WatchEffect(self.seconds)

    def apply(self, host: Host, say: Say) -> WatchEffect:
        """Ask each of them again and again. Raises ChangeError when one does not greet."""
        cf = host.entry(f.SENDMAIL_CF)
        if cf is None:
            raise ChangeError(f"{f.SENDMAIL_CF} has gone: there is nothing to watch")
        daemons = sendmail_cf.daemons(cf.content.decode("utf-8", "replace"))
        say(f"watching port {', '.join(str(each.port) for each in daemons)} for {self.seconds} s")
        end = reported = time.monotonic()
        end += self.seconds
        while (now := time.monotonic()) < end:
            for daemon in daemons:
                _must_greet(daemon)
            if now - reported >= _TOLD:
                say(f"every listener greets; {end - now:.0f} s left to watch")
                reported = now
            time.sleep(_PAUSE)
        say(f"every listener greeted for {self.seconds} s")
        return WatchEffect(self.seconds)


def _must_greet(daemon: sendmail_cf.Daemon) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        left = max(1.0, end - time.monotonic())
        answer = greeting(daemon.reachable_at, daemon.port, tls=daemon.tls_on_connect, timeout=left)
        if answer.startswith("220"):
            return
        if time.monotonic() > end:
            raise ChangeError(
                f"{daemon.reachable_at} port {daemon.port} does not greet any more: {answer[:200]}"
            )
        time.sleep(0.5)
