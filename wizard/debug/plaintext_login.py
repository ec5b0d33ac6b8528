"""AuthOptions temporarily removed from sendmail.cf (howto 5.2), so that a login can be tried without TLS; restored afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from wizard.changes import FileChange, ServiceChange
from wizard.engine.temporary import ForAWhile
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Change
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import plain_login
from wizard.smtp.own_listener import greeting
from wizard.system.guard import FOLDER, Revert

NAME = "debug-plain-login"
WITHIN = 120
"""Seconds that it lasts at most by default."""
_PATIENCE = 30.0
_BEFORE, _MEANWHILE = "while-sendmail.cf.before", "while-sendmail.cf"


@dataclass(frozen=True)
class PlaintextOffer:
    """What is changed for a while: sendmail.cf, and the daemon that must read it."""

    changes: tuple[Change, ...]
    guard: Revert
    address: str
    """Where the listener answers during that time."""


def plaintext_offer(facts: Facts, port: int, *, loopback: bool) -> PlaintextOffer | None:
    """What to change; None where a login without TLS is already offered. Raises HostError."""
    entry = facts.files.get(f.SENDMAIL_CF)
    if entry is None or not entry.content:
        raise HostError(f"there is no {f.SENDMAIL_CF} on this host: `msa-wizard apply` sets up sendmail")
    text = entry.content.decode("latin-1")
    listeners = [item for item in sendmail_cf.daemons(text) if item.port == port]
    if not listeners:
        raise HostError(f"{f.SENDMAIL_CF} has no listener on port {port}: msa-wizard troubleshoot")
    if listeners[0].tls_on_connect:
        raise HostError(f"port {port} has TLS from the first byte: a login without it is impossible there")
    if facts.process("sendmail-mta") is None:
        raise HostError("sendmail does not run: msa-wizard troubleshoot")
    flags = sendmail_cf.auth_flags(sendmail_cf.option(text, "AuthOptions") or "")
    if "p" not in flags:
        return None
    new = plain_login(text, port, loopback=loopback)
    after = replace(entry, content=new.encode("latin-1"))
    where = [item.reachable_at for item in sendmail_cf.daemons(new) if item.port == port]
    changes: tuple[Change, ...] = (
        FileChange(f.SENDMAIL_CF, entry, after, "AuthOptions temporarily removed from sendmail.cf"),
        ServiceChange("sendmail", facts.init, enable=False, was_running=True),
    )
    kept = ((_BEFORE, entry.content), (_MEANWHILE, after.content))
    return PlaintextOffer(changes, Revert(_commands(facts.init), kept), where[0])


def _commands(init: str) -> tuple[str, ...]:
    """Restore the old file if the temporary one is still there, and restart the daemon."""
    cf, new = f.SENDMAIL_CF, "/etc/mail/.msa-wizard-sendmail.cf"
    before, meanwhile = FOLDER / _BEFORE, FOLDER / _MEANWHILE
    restart = "systemctl restart sendmail" if init == "systemd" else "/etc/init.d/sendmail restart"
    return (
        f"if cmp -s {cf} {meanwhile}; then",
        f"    cp {before} {new} && chown --reference={cf} {new} && chmod --reference={cf} {new} && mv -f {new} {cf}",
        "fi",
        restart,
    )


@contextmanager
def plaintext_offered(work: ForAWhile, offer: PlaintextOffer, port: int, seconds: int) -> Iterator[float]:
    """A login without TLS is offered inside; yields when that ends, on the monotonic clock.

    Raises HostError when sendmail does not come up with it, and what ForAWhile raises."""
    with work.changed(NAME, offer.changes, offer.guard, seconds + int(_PATIENCE)):
        end = time.monotonic() + _PATIENCE
        while not (answer := greeting(offer.address, port, timeout=5)).startswith("220"):
            if time.monotonic() > end:
                raise HostError(f"sendmail does not greet on {offer.address} port {port}: {answer[:200]}")
            time.sleep(0.2)
        yield time.monotonic() + seconds
