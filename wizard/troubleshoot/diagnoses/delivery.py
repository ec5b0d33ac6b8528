"""What becomes of a message after the login: relaying, local mail (submit.cf; docs/debian.md trap 15), deliveries that wait
(howto 5.2.4)."""

from __future__ import annotations

import re

from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.local_mail import destination, refused_by
from wizard.troubleshoot.diagnoses.auth_offer import trust_mend
from wizard.troubleshoot.diagnoses.configuration import REGENERATED
from wizard.troubleshoot.diagnoses.listener import SUBMISSION
from wizard.troubleshoot.diagnoses.logged_deliveries import NO_DNS
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture, daemon_lines
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.storage import CLIENT_QUEUE

_LOCAL = ("127.0.0.1", "0.0.0.0", "::", "::1")
OLD = 3600.0
"""Seconds that a message may wait in the queue before that is spoken of."""


def _trust(picture: Picture) -> Finding | None:
    trusted = {name.upper() for name in sendmail_cf.trusted(picture.cf)}
    offered = {name for talk in picture.submissions for name in talk.offered if name in ("LOGIN", "PLAIN")}
    if not offered - trusted or not picture.cf:
        return None
    generated = picture.facts.cf_from_mc or ""
    return Finding(
        f"offered but not trusted: {' and '.join(sorted(offered - trusted))}, so users can log in but not relay",
        (
            Evidence(f"TrustAuthMech: {' '.join(sorted(trusted)) or 'none'}", "sendmail.cf"),
            *picture.written("TRUST_AUTH_MECH(", "`EXTERNAL'"),
        ),
        trust_mend(picture)
        if "C{TrustAuthMech}" in generated
        and not offered <= {*map(str.upper, sendmail_cf.trusted(generated))}
        else Mend(
            REGENERATED if "C{TrustAuthMech}" in generated else ("mend-sasl-m4", "mc-includes", *REGENERATED)
        ),
    )


def _local(picture: Picture) -> Finding | None:
    held = [listener for listener in picture.mine if listener.port == 25]
    if not picture.runs or any(listener.address in _LOCAL for listener in held):
        return None
    return Finding(
        "sendmail does not listen on 127.0.0.1 port 25: mail from programs on this host (cron) goes nowhere",
        (Evidence("no listener on 127.0.0.1 port 25", "/proc/net/tcp"),),
        Mend(
            ("restart",)
            if any(daemon.port == 25 for daemon in picture.daemons)
            else ("smtp-port", *REGENERATED)
        ),
        Sign.WARNING,
    )


def _aliases(picture: Picture) -> Finding | None:
    logged = picture.logged("alias database unavailable", "Alias file", since=picture.began - 3600, limit=2)
    wanted = sendmail_cf.option(picture.cf, "AliasFile")
    if not wanted or picture.aliases_db or not picture.runs:
        return None
    return Finding(
        "the alias database is missing: mail for users of this host is stuck",
        (Evidence("no such file", f"{wanted}.db"), *logged),
        Mend(("mend-aliases",)),
    )


def _waiting(picture: Picture) -> Finding | None:
    full = [queue for queue in picture.storage.queues if queue.count and queue.oldest > OLD]
    if not full:
        return None
    runs = [f"sendmail {'-Ac ' if queue.path == CLIENT_QUEUE else ''}-q -v" for queue in full]
    reasons = [reason for queue in full for reason in queue.reasons]
    dns = any(re.search(NO_DNS, reason) for reason in reasons)
    count, hours = sum(queue.count for queue in full), max(queue.oldest for queue in full) / 3600
    return Finding(
        f"messages wait for delivery: {count}, the oldest for {hours:.0f} h"
        + (", because the name servers do not answer" if dns else ""),
        tuple(Evidence(reason, "the queue") for reason in reasons[:3]),
        Mend(text=f"`mailq` shows them; `{' && '.join(runs)}` tries them now"),
        Sign.WARNING,
    )


def _refused(picture: Picture) -> Finding | None:
    """What the programs of this host hand in by submit.cf."""
    try:
        to = destination(picture.facts.text(f.SUBMIT_CF))
    except PermissionError:
        return None
    daemon = refused_by(picture.facts, to, picture.daemons)
    if daemon is None:
        return None
    return Finding(
        f"submit.cf hands local mail to {to}, which demands a login: what cron and other programs send is refused (530), "
        "and ends up in dead.letter",
        (
            Evidence(f"local mail goes to {to}", f.SUBMIT_CF),
            *daemon_lines([daemon]),
            *picture.logged("530 5.7.0", "Authentication required", since=picture.began - 3600),
        ),
        Mend(SUBMISSION),
    )


_R = Layer.RELAY
DIAGNOSES = (
    Diagnosis(
        "mechanisms-not-trusted",
        _R,
        "the login works, then 550 Relaying denied",
        "3.2",
        "sendmail.cf",
        _trust,
        cause="sendmail offers a mechanism that TrustAuthMech lacks, so a login with it allows nothing",
        fix="trust what is offered (--fix: mend-trust, mend-sasl-m4, mc-includes, sendmailconfig, restart)",
    ),
    Diagnosis(
        "aliases-missing",
        _R,
        "mail to users of this host waits",
        "",
        "the alias database",
        _aliases,
        cause="the alias database that sendmail.cf names is not there",
        fix="rebuild it (--fix: mend-aliases)",
    ),
    Diagnosis(
        "local-mail",
        _R,
        "mail from cron does not arrive",
        "3.5",
        "/proc/net/tcp",
        _local,
        cause="sendmail does not listen on 127.0.0.1 port 25, where programs of the host hand in their mail",
        fix="let it listen there (--fix: smtp-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "messages-wait",
        _R,
        "mail is accepted, but does not arrive",
        "5.2.4",
        "the queue's files",
        _waiting,
        cause="messages wait in the queue: the server that they go to, or a name server, does not take them",
        fix="read the reasons: `mailq`; try them now: `sendmail -q -v`",
    ),
    Diagnosis(
        "local-submission",
        _R,
        "mail from cron and other programs ends up in dead.letter",
        "3.3",
        "submit.cf against sendmail.cf",
        _refused,
        cause="submit.cf hands local mail to a port that demands a login",
        fix="give local mail a port of its own (--fix: submission-port, sendmailconfig, restart)",
    ),
)
