"""What sendmail.cf refuses to clients, and would not any more once it is made again of a sendmail.mc that somebody has edited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wizard.editors.daemon_options import is_loopback
from wizard.model.plan import Ending
from wizard.sendmail import cf as sendmail_cf
from wizard.steps.mail_endings import in_clear, without_login

PROTECTION = "protection"
"""What sendmail.cf refuses to clients, and sendmail.mc lets them do."""
_REFUSES_TO_RELAY = '"550 Relaying denied'


@dataclass(frozen=True)
class Opening:
    """What clients could do then; `step` keeps them from it, empty where none does."""

    says: str
    step: str = ""


def openings(now: str, then: str) -> Iterator[Opening]:
    """What clients cannot do by the sendmail.cf of `now`, and could `then`."""
    is_open = {(each.port, each.place) for _, each in without_login(now)}
    for name, each in without_login(then):
        if not is_loopback(each.address) and (each.port, each.place) not in is_open:
            yield Opening(f"port {each.port} ({name}) would take mail without a login", "submission-port")
    if "p" in sendmail_cf.auth_flags(sendmail_cf.option(now, "AuthOptions") or "") and in_clear(then):
        yield Opening("a password would be taken without TLS (AuthOptions without p)", "auth-options")
    if _REFUSES_TO_RELAY in now and _REFUSES_TO_RELAY not in then:
        yield Opening("anybody could send mail to anywhere (nothing in it denies relaying)")


def lost_protection(now: str, then: str) -> tuple[Ending, ...]:
    """The same as what would end."""
    lines = tuple(openings(now, then))
    if not lines:
        return ()
    steps = " ".join(dict.fromkeys(each.step for each in lines if each.step))
    keeps = f"`msa-wizard apply {steps} sendmailconfig restart`" if steps else "correct sendmail.mc"
    says = f"sendmail.cf refuses this now, and would not once it is rebuilt from sendmail.mc. To go on refusing it: {keeps}"
    return (Ending(PROTECTION, says, tuple(each.says for each in lines)),)
