"""Where the programs of this host hand in their mail (submit.cf; docs/debian.md trap 15)."""

from __future__ import annotations

from wizard.model import facts as f
from wizard.sendmail.local_mail import destination, refused_by
from wizard.troubleshoot.diagnoses.listener import SUBMISSION
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend


def _refused(picture: Picture) -> Finding | None:
    try:
        to = destination(picture.facts.text(f.SUBMIT_CF))
    except PermissionError:
        return None
    daemon = refused_by(picture.facts, to, picture.daemons)
    if daemon is None:
        return None
    return Finding(
        f"submit.cf hands local mail to {to}, where a login is wanted: what cron and other programs send is refused (530), "
        "and ends in dead.letter",
        (
            Evidence(f"local mail goes to {to}", f.SUBMIT_CF),
            Evidence(f"Name={daemon.name}, Port={daemon.port}, M={daemon.modifiers}", f.SENDMAIL_CF),
            *picture.logged("530 5.7.0", "Authentication required", since=picture.began - 3600),
        ),
        Mend(SUBMISSION),
    )


DIAGNOSES = (
    Diagnosis(
        "local-submission",
        Layer.RELAY,
        "mail of cron and of programs is lost in dead.letter",
        "3.3",
        "submit.cf against sendmail.cf",
        _refused,
    ),
)
