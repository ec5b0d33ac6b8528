"""A certificate that certbot renews for sendmail: that it does so, in time, and that sendmail gets it."""

from __future__ import annotations

from datetime import UTC, datetime

from wizard.certificates.acme import HOOK
from wizard.console import count
from wizard.gather.renewal import TIMER
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_LATE = 4
"""certbot renews when a third of the time is left, or 30 days of 90: with less than a fourth left it has failed for a while."""
_START = f"`systemctl enable --now {TIMER}`; without systemd: `apt install cron`"
_WHICH = f"if sendmail's is to stay: `rm {HOOK}`; if certbot's is to come: `{HOOK}` brings it now"


def _idle(picture: Picture) -> Finding | None:
    renewal = picture.renewal
    if renewal is None or not renewal.idle:
        return None
    says = f"nothing renews the certificate that certbot got: {renewal.idle}"
    return Finding(says, (Evidence(renewal.idle, TIMER),), Mend(text=_START), Sign.WARNING)


def _late(picture: Picture) -> Finding | None:
    renewal = picture.renewal
    if renewal is None or renewal.kept is None or renewal.idle:
        return None
    kept, now = renewal.kept, datetime.fromtimestamp(picture.now, UTC)
    if kept.not_after - now > (kept.not_after - kept.not_before) / _LATE:
        return None
    days = max(0, (kept.not_after - now).days)
    return Finding(
        f"certbot should have renewed the certificate by now: {count(days, 'day')} left",
        (Evidence(f"until {kept.not_after:%F %R} UTC", f"{renewal.lineage}/fullchain.pem"),),
        Mend(
            text=f"`certbot renew --dry-run --cert-name {renewal.lineage.rpartition('/')[2]}` says what is in the way"
        ),
        Sign.WARNING,
    )


def _stuck(picture: Picture) -> Finding | None:
    renewal = picture.renewal
    if renewal is None or renewal.arrived or renewal.foreign:
        return None
    return Finding(
        "certbot has a newer certificate than sendmail: the hook did not bring it",
        (
            Evidence(
                f"another certificate than {picture.files.certificate}", f"{renewal.lineage}/fullchain.pem"
            ),
        ),
        Mend(text=f"`{HOOK}` brings it now, or says why it cannot"),
        Sign.WARNING,
    )


def _foreign(picture: Picture) -> Finding | None:
    renewal = picture.renewal
    if renewal is None or renewal.kept is None or not renewal.foreign:
        return None
    return Finding(
        "sendmail has another certificate than certbot's, and the next renewal takes its place",
        (
            Evidence(
                f"{picture.files.certificate} is none of those that certbot keeps in {renewal.lineage}", HOOK
            ),
        ),
        Mend(text=_WHICH),
        Sign.WARNING,
    )


def _gone(picture: Picture) -> Finding | None:
    renewal = picture.renewal
    if renewal is None or renewal.kept is not None:
        return None
    return Finding(
        "certbot does not keep the certificate any more that it renewed for sendmail",
        (Evidence(f"{renewal.lineage} holds no certificate", HOOK),),
        Mend(text="`msa-wizard certificate obtain` gets one; or remove the hook"),
        Sign.WARNING,
    )


_C = Layer.CERTIFICATE
_NOT_YET = "nothing yet"
_PROBE = "certbot's timer, its hook, and what it keeps"
DIAGNOSES = (
    Diagnosis(
        "renewal-idle", _C, _NOT_YET, "", _PROBE, _idle,
        cause="nothing runs certbot, so the certificate is not renewed",
        fix=_START,
    ),
    Diagnosis(
        "renewal-late", _C, _NOT_YET, "", _PROBE, _late,
        cause="certbot should have renewed the certificate by now, and has not",
        fix="`certbot renew --dry-run` says what is in the way: port 80, the DNS, the account",
    ),
    Diagnosis(
        "renewal-stuck", _C, _NOT_YET, "", _PROBE, _stuck,
        cause="certbot has renewed the certificate, and sendmail still has the old one",
        fix=f"`{HOOK}` brings it, or says why it cannot",
    ),
    Diagnosis(
        "renewal-overwrites", _C, _NOT_YET, "", _PROBE, _foreign,
        cause="sendmail has a certificate that is not certbot's, and certbot's hook puts the next renewal in its place",
        fix=_WHICH,
    ),
    Diagnosis(
        "renewal-gone", _C, _NOT_YET, "", _PROBE, _gone,
        cause="the hook waits for renewals of a certificate that certbot does not keep any more",
        fix="`msa-wizard certificate obtain` gets one; or remove the hook",
    ),
)  # fmt: skip
