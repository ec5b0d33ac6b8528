"""Why a test of this host's own MSA failed, as the host itself sees it: what troubleshooting looks at, judged with the
conversation that failed. No password is tried again, as pam_faillock counts failures."""

from __future__ import annotations

import dataclasses
import ipaddress
import os

from wizard.console import numbered
from wizard.engine.engine import Engine
from wizard.engine.run import Run
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.events import Checked
from wizard.model.plan import Check, Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.smtp.connection import Deadline, WireError, lookup
from wizard.smtp.login_test import Result, Target
from wizard.smtp.transcript import Credentials
from wizard.smtp.transcript import Layer as SmtpLayer
from wizard.steps.restart import AuthTest
from wizard.system.host import Host
from wizard.system.sockets import addresses
from wizard.troubleshoot.account import Account
from wizard.troubleshoot.collect import hopeless, take
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.probe_smtp import Tried, is_submission
from wizard.troubleshoot.verdict import judge

_OF_OTHERS = "mechanisms"
"""The diagnosis of what clients meet that prefer what saslauthd cannot serve."""
_LOGIN = (Layer.SASLAUTHD, Layer.PAM, Layer.ACCOUNT)
_WHERE = {
    SmtpLayer.TCP: (Layer.LISTENER,),
    SmtpLayer.GREETING: (Layer.GREETING,),
    SmtpLayer.STARTTLS: (Layer.NAME, Layer.STARTTLS),  # without a name there is no certificate
    SmtpLayer.CERTIFICATE: (Layer.NAME, Layer.CERTIFICATE),
    SmtpLayer.AUTH_OFFER: (Layer.AUTH_OFFER,),
    SmtpLayer.LOGIN: _LOGIN,
    SmtpLayer.CREDENTIALS: _LOGIN,
    SmtpLayer.RELAY: (Layer.RELAY,),
}
"""Where the cause is as a rule, by where a test ended."""
_AMISS = {
    "login-before-starttls": "auth-in-clear",
    "mail-before-auth": "auth-not-required",
    "smtp-auth": "auth-on-smtp",
}
"""The diagnosis of what a test finds beside the login."""
_NAME_WITHIN = 5.0
"""Seconds for the look-up of the name that was tested."""


def of_login(
    host: Host,
    answers: Answers,
    target: Target,
    credentials: Credentials | None,
    result: Result,
    began: float,
) -> Check | None:
    """What on this host made a test fail that `began` then, and its fix; None where it was of another machine, or is not
    root's (others see too little to tell), or where the login was accepted and what was found beside it is not seen here."""
    if os.geteuid() != 0 or not _own(host, target.host):
        return None
    if target.for_servers and result.layer is SmtpLayer.AUTH_OFFER:
        return None  # that no login is offered there is as it should be, as the verdict says
    if result.layer is SmtpLayer.TCP and (unserved := _no_ipv6(host, target)):
        return unserved
    replies = tuple(f"< {line.text}" for line in result.lines if line.who == "server")
    amiss = tuple(each.id for each in result.findings if Sign(each.state) is Sign.FAILED)
    tried = Tried(credentials, target.port, began, result.layer, result.headline, replies, amiss)
    check = _seen(host, answers, tried)
    return None if check is not None and result.ok and check.sign is not Sign.FAILED else check


def of_run(engine: Engine, run: Run) -> None:
    """Add the cause to the checks of the step auth-test, with which the run ended."""
    check = _seen(engine.host, engine.answers)
    if check is not None and check.sign is Sign.FAILED:
        run.checks[AuthTest.id].append(check)
        engine.report(Checked(AuthTest(), check))


def _seen(host: Host, answers: Answers, tried: Tried | None = None) -> Check | None:
    try:
        picture = take(host, answers, tried.credentials if tried else None, tried)
    except HostError:
        return None
    return cause(picture, tried)


def cause(picture: Picture, tried: Tried | None = None) -> Check:
    """The fault that is to blame, as a check of its id; of `troubleshoot` where nothing fails here. It is unknown where
    no cause is known. Of what was `tried`, a fault where it ended goes before others; a login was none of a client that
    prefers another mechanism than LOGIN and PLAIN. A port where no listener is meant to be is a cause by itself."""
    if tried is not None and tried.layer is SmtpLayer.TCP and (unserved := _unserved(picture, tried.port)):
        return unserved
    verdict = judge(picture)
    failed = fails = [fault for fault in verdict.faults if fault.sign is Sign.FAILED]
    if tried is not None and tried.refused:
        failed = [fault for fault in failed if fault.id != _OF_OTHERS] or failed
    if tried is not None and tried.layer is None:
        ids = {_AMISS.get(each) for each in tried.amiss}
        on_it = "certificate" in tried.amiss
        failed = [
            each for each in verdict.faults if each.id in ids or (on_it and each.layer is Layer.CERTIFICATE)
        ]
    where = _WHERE.get(tried.layer, ()) if tried is not None and tried.layer is not None else ()
    there = (fault for fault in failed if fault.layer in where and not fault.diagnosis.unknown)
    blamed = next(there, next(iter(failed), None))
    if blamed is None:
        return Check("troubleshoot", Sign.UNKNOWN, "On this host nothing that troubleshoot looks at fails.")
    says = f"Cause: {blamed.finding.cause}."
    sign = Sign.UNKNOWN if blamed.diagnosis.unknown else Sign.FAILED
    alone = fails == [blamed] and not (tried is not None and tried.amiss)
    if blamed.layer is Layer.ACCOUNT and sign is Sign.FAILED and alone:
        says += " All else that was looked at works."
    if blamed.layer in (Layer.PAM, Layer.ACCOUNT):
        says += _state(picture.account)
    mend = blamed.finding.mend
    command = f"msa-wizard troubleshoot --fix {blamed.id}" if mend.steps else ""
    return Check(blamed.id, sign, says, "\n".join(filter(None, (mend.text, command))))


def _unserved(picture: Picture, port: int) -> Check | None:
    """That nothing is to listen on this port, while mail clients are served on another; None where that is not so."""
    clients = sorted({each.port for each in picture.daemons if is_submission(each)})
    if not clients or port in {each.port for each in picture.daemons}:
        return None
    says = f"Cause: sendmail.cf has no listener on port {port}; mail clients are served on {numbered(clients, 'port')}."
    to_do = f"use {numbered(clients, 'port')}"
    if port in {each.port for each in picture.from_mc}:
        to_do = "sendmail.mc has one: `msa-wizard troubleshoot --fix cf-differs`"
    elif port == 465:
        to_do += "; to serve 465, too: `msa-wizard apply --set listen.implicit_tls=true`"
    return Check("troubleshoot", Sign.FAILED, says, to_do)


def _no_ipv6(host: Host, target: Target) -> Check | None:
    """That what listens on the port does so by IPv4 alone, where IPv6 was tried."""
    there = [daemon for daemon in _daemons(host) if daemon.port == target.port]
    if ":" not in target.host or not there or any(daemon.reachable_by("ipv6") for daemon in there):
        return None
    says = f"Cause: sendmail.cf has no listener of IPv6 on port {target.port}."
    return Check("troubleshoot", Sign.FAILED, says, "msa-wizard apply --set listen.ipv6=true")


def _daemons(host: Host) -> tuple[sendmail_cf.Daemon, ...]:
    return sendmail_cf.daemons(host.text(f.SENDMAIL_CF) if host.exists(f.SENDMAIL_CF) else "")


def _state(owner: Account | None) -> str:
    """What is sound about the account itself."""
    kept = owner.shadow if owner is not None else None
    if owner is None or kept is None or hopeless(dataclasses.replace(owner, right=None)):
        return ""
    return f" The account {owner.user} is there and not locked."


def _own(host: Host, name: str) -> bool:
    """Whether it is this host, by its addresses."""
    try:
        named = [str(address[0]) for _, address in lookup(name, 0, 0, Deadline(_NAME_WITHIN))]
    except (OSError, UnicodeError, WireError):
        return False
    # What sendmail.cf names is meant to be here, also where the address is gone.
    ours = {*addresses(host), *(daemon.reachable_at for daemon in _daemons(host))}
    return bool(named) and all(
        each.split("%")[0] in ours or ipaddress.ip_address(each).is_loopback for each in named
    )
