"""The steps of the howto, in its order, and what is optional beyond it. The ids are stable: scripts and snapshots use them (docs/server.md)."""

from __future__ import annotations

from wizard.model.plan import Step
from wizard.steps.certificate_obtain import CertificateObtain
from wizard.steps.firewall import OpenFirewall
from wizard.steps.guess_limit import GuessLimit
from wizard.steps.install import Install
from wizard.steps.listeners import SmtpPort, SubmissionPort
from wizard.steps.login_policy import LoginPolicy
from wizard.steps.mc_edit import AuthOptions
from wizard.steps.mc_includes import McIncludes
from wizard.steps.preflight import Preflight
from wizard.steps.restart import AuthTest, Restart
from wizard.steps.saslauthd import SaslauthdConfig, SaslauthdInit, SaslauthdStart
from wizard.steps.sendmail_auth import SendmailAuth
from wizard.steps.sendmailconfig import Sendmailconfig
from wizard.steps.tls_policy import TlsPolicy

STEPS: tuple[Step, ...] = (
    Preflight(),
    Install(),
    SaslauthdInit(),
    SaslauthdConfig(),
    SaslauthdStart(),
    SendmailAuth(),
    McIncludes(),
    SubmissionPort(),
    AuthOptions(),
    SmtpPort(),
    Sendmailconfig(),
    Restart(),
    OpenFirewall(),
    AuthTest(),
    LoginPolicy(),
    GuessLimit(),
    TlsPolicy(),
    CertificateObtain(),  # last: what is in an authority's way ends the run, and must keep no policy out
)


def step(step_id: str) -> Step:
    """The step with this id. Raises KeyError."""
    return {each.id: each for each in STEPS}[step_id]
