"""What an AppArmor profile forbids the daemons. Ubuntu and others ship or offer profiles for them; Debian has none."""

from __future__ import annotations

import re

from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_SHOWN = 3
_OBJECT = re.compile(r'\bname="([^"]+)"')


def _denied(picture: Picture) -> Finding | None:
    found = [each for each in picture.confined if each.denied]
    if not found:
        return None
    daemon = found[0]
    objects = dict.fromkeys(match[1] for line in daemon.denied if (match := _OBJECT.search(line)))
    what = f"what it was denied: {', '.join(list(objects)[-_SHOWN:])}" if objects else "what it was denied"
    return Finding(
        f"AppArmor's profile {daemon.profile} keeps {daemon.daemon} from {what}",
        tuple(Evidence(line, "journal, kernel") for line in daemon.denied[-_SHOWN:]),
        Mend(
            text="if it may: add it to the profile's file in /etc/apparmor.d/local, and load it: "
            f"apparmor_parser -r the file in /etc/apparmor.d; to see whether that is it: aa-complain {daemon.profile}"
        ),
        picture.latent,
    )


DIAGNOSES = (
    Diagnosis(
        "apparmor-denies",
        Layer.SASLAUTHD,
        "535 though the password is right, or no answer",
        "",
        "/proc and the kernel's lines in the journal",
        _denied,
        cause="an AppArmor profile keeps saslauthd or sendmail from what it needs",
        fix="allow it in the profile's file in /etc/apparmor.d/local and load that: `apparmor_parser -r`",
    ),
)
