"""All diagnoses, from the outside in; within a layer what explains most comes first."""

from __future__ import annotations

from wizard.troubleshoot.diagnoses import (
    account_state,
    auth_offer,
    certificate,
    configuration,
    delivery,
    firewall,
    from_outside,
    greeting,
    listener,
    logged_clients,
    logged_deliveries,
    logs,
    milter,
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
    *milter.DIAGNOSES,
    *greeting.DIAGNOSES,
    *from_outside.DIAGNOSES,
    *starttls.DIAGNOSES,
    *logged_clients.HANDSHAKES,
    *certificate.DIAGNOSES,
    *auth_offer.DIAGNOSES,
    *sendmail_conf.DIAGNOSES,
    *saslauthd.AS_CONFIGURED,
    *saslauthd.DIAGNOSES,
    *password_server.DIAGNOSES,
    *pam_stack.DIAGNOSES,
    *password_server.OF_ONE_USER,
    *account_state.OF_SOURCES,
    *account_state.DIAGNOSES,
    *delivery.DIAGNOSES,
    *logged_deliveries.DIAGNOSES,
    *queue_and_disk.DIAGNOSES,
    *logs.DIAGNOSES,
    *logged_clients.LOGINS,
)
