"""All diagnoses, from the outside in; within a layer what explains most comes first."""

from __future__ import annotations

from wizard.troubleshoot.diagnoses import (
    account_state,
    auth_offer,
    certificate,
    configuration,
    delivery,
    firewall,
    greeting,
    listener,
    logs,
    name,
    pam_stack,
    password_server,
    queue_and_disk,
    saslauthd,
    sendmail_conf,
    starttls,
)
from wizard.troubleshoot.diagnosis import Diagnosis

DIAGNOSES: tuple[Diagnosis, ...] = (
    *name.DIAGNOSES,
    *firewall.DIAGNOSES,
    *configuration.DIAGNOSES,
    *listener.DIAGNOSES,
    *greeting.DIAGNOSES,
    *starttls.DIAGNOSES,
    *certificate.DIAGNOSES,
    *auth_offer.DIAGNOSES,
    *sendmail_conf.DIAGNOSES,
    *saslauthd.AS_CONFIGURED,
    *saslauthd.DIAGNOSES,
    *password_server.DIAGNOSES,
    *pam_stack.DIAGNOSES,
    *pam_stack.MODULES,
    *password_server.OF_ONE_USER,
    *account_state.OF_SOURCES,
    *account_state.DIAGNOSES,
    *delivery.DIAGNOSES,
    *queue_and_disk.DIAGNOSES,
    *logs.DIAGNOSES,
)
