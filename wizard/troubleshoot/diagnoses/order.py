"""All diagnoses, from the outside in; within a layer what explains most comes first."""

from __future__ import annotations

from wizard.troubleshoot.diagnoses import (
    account_state,
    auth_offer,
    certificate,
    client,
    configuration,
    delivery,
    firewall,
    greeting,
    listener,
    logs,
    name,
    pam_stack,
    queue_and_disk,
    saslauthd,
    sendmail_conf,
    starttls,
)
from wizard.troubleshoot.diagnosis import Diagnosis

DIAGNOSES: tuple[Diagnosis, ...] = (
    *name.DIAGNOSES,
    *client.NAMES,
    *firewall.DIAGNOSES,
    *configuration.DIAGNOSES,
    *listener.DIAGNOSES,
    *greeting.DIAGNOSES,
    *client.DIAGNOSES,
    *starttls.DIAGNOSES,
    *certificate.DIAGNOSES,
    *auth_offer.DIAGNOSES,
    *sendmail_conf.DIAGNOSES,
    *saslauthd.DIAGNOSES,
    *pam_stack.DIAGNOSES,
    *account_state.DIAGNOSES,
    *delivery.DIAGNOSES,
    *queue_and_disk.DIAGNOSES,
    *logs.DIAGNOSES,
)
