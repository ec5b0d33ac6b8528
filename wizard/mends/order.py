"""Fixes in the order in which they are applied among the steps of the howto, and every step by its id."""

from __future__ import annotations

from wizard.mends.access import MendAccess, MendAccessFeatures, MendAccessLimits, MendHostsAccess
from wizard.mends.certificate import MendCertificate, MendHostName, MendKeyMode
from wizard.mends.generated import MendDaemonMode, MendHandsOff, MendSaslM4, MendStarttlsM4
from wizard.mends.mc_values import MendChildren, MendCipherList, MendMechanisms, MendTlsVersions, MendTrust
from wizard.mends.saslauthd import (
    MendPamService,
    MendSaslauthdCache,
    MendSaslauthdFolder,
    MendSaslauthdOption,
    MendSaslauthdRealm,
    MendSaslauthdRestart,
    MendSaslauthdSocket,
)
from wizard.mends.sendmail import (
    MendAliases,
    MendListeners,
    MendMc,
    MendQueueFolder,
    MendQueueRun,
    MendSaslauthdUnmask,
    MendSendmailRestart,
    MendSendmailUnmask,
)
from wizard.model.plan import Step
from wizard.steps.certificate import CertificateRenew
from wizard.steps.certificate_install import CertificateInstall
from wizard.steps.order import STEPS

BEFORE: tuple[Step, ...] = (
    MendHandsOff(),
    MendDaemonMode(),
    MendHostName(),
    MendSaslM4(),
    MendStarttlsM4(),
    MendMechanisms(),
    MendTrust(),
    MendCipherList(),
    MendTlsVersions(),
    MendChildren(),
    MendMc(),
    MendListeners(),
    MendPamService(),
    MendHostsAccess(),
    MendAccess(),
    MendAccessFeatures(),
    MendAccessLimits(),
    MendQueueFolder(),
    MendAliases(),
    MendSaslauthdSocket(),
    MendSaslauthdFolder(),
    MendSaslauthdCache(),
    MendSaslauthdRealm(),
    MendSaslauthdOption(),
    MendQueueRun(),
    MendCertificate(),
    MendKeyMode(),
    MendSaslauthdUnmask(),
)
"""What the howto's steps may build on."""

AFTER: tuple[Step, ...] = (MendSaslauthdRestart(), MendSendmailRestart())
"""Restarts of daemons that hang, or have not read what a step changed."""

UNMASK = MendSendmailUnmask()
"""It starts sendmail: with what the howto's steps have made, and before the step that restarts it."""

MENDS = (*BEFORE, UNMASK, *AFTER)


def in_order() -> tuple[Step, ...]:
    """Fixes and the howto's steps, in the order in which they are applied together."""
    at = [step.id for step in STEPS].index("restart")
    return (*BEFORE, *STEPS[:at], UNMASK, *STEPS[at:], *AFTER)


def extra() -> tuple[Step, ...]:
    """One of each step beyond the howto's order: done when a command of its own asks for it, never by `plan`, `apply`,
    `status`; recorded, rolled back and recovered like those of the order."""
    return CertificateRenew(), CertificateInstall(), *MENDS


def find(step_id: str) -> Step:
    """The step with this id, in the howto's order or beyond it. Raises KeyError."""
    return {step.id: step for step in (*extra(), *STEPS)}[step_id]
