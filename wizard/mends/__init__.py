"""Fixes: steps that repair one broken thing. Troubleshooting applies them, with the ordinary engine; `apply`, `plan`
and `status` know nothing of them, `history`, `diff`, `rollback` and `recover` treat them as any other step."""

from __future__ import annotations

from wizard.mends.access import MendAccess, MendHostsAccess
from wizard.mends.certificate import MendCertificate, MendKeyMode
from wizard.mends.generated import MendSaslM4, MendStarttlsM4
from wizard.mends.host_name import MendHostName
from wizard.mends.pam_service import MendPamService
from wizard.mends.queue import MendAliases, MendQueueFolder, MendQueueRun
from wizard.mends.restarts import MendSaslauthdRestart, MendSendmailRestart
from wizard.mends.saslauthd import MendSaslauthdCache, MendSaslauthdFolder, MendSaslauthdSocket
from wizard.mends.sendmail_conf import MendHandsOff
from wizard.model.plan import Step
from wizard.steps import STEPS

BEFORE: tuple[Step, ...] = (
    MendHandsOff(),
    MendHostName(),
    MendSaslM4(),
    MendStarttlsM4(),
    MendPamService(),
    MendHostsAccess(),
    MendAccess(),
    MendQueueFolder(),
    MendAliases(),
    MendSaslauthdSocket(),
    MendSaslauthdFolder(),
    MendSaslauthdCache(),
    MendQueueRun(),
    MendCertificate(),
    MendKeyMode(),
)
"""What the howto's steps may build on."""

AFTER: tuple[Step, ...] = (MendSaslauthdRestart(), MendSendmailRestart())
"""Restarts of daemons that hang, or have not read what a step changed."""

MENDS = (*BEFORE, *AFTER)


def in_order() -> tuple[Step, ...]:
    """Fixes and the howto's steps, in the order in which they are applied together."""
    return (*BEFORE, *STEPS, *AFTER)
