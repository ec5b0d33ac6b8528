"""A daemon that serves, and that systemd does not count to its service (howto 2.4, 3.7)."""

from __future__ import annotations

from wizard.sendmail.strays import stray_sentence, strays
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend


def _outside(picture: Picture, name: str, step: str) -> Finding | None:
    processes = strays(picture.facts, name)
    if not processes:
        return None
    return Finding(
        stray_sentence(picture.facts, name),
        (
            Evidence(f"{name}.service is {picture.facts.services[name].active}", "systemctl"),
            *(Evidence(f"pid {item.pid} is in {item.unit or 'no unit'}", "/proc") for item in processes[:1]),
        ),
        Mend((step,)),
        picture.latent,
    )


def _sendmail(picture: Picture) -> Finding | None:
    return _outside(picture, "sendmail", "restart")


def _saslauthd(picture: Picture) -> Finding | None:
    return _outside(picture, "saslauthd", "saslauthd-start")


_SYMPTOM = "a restart fails, or changes nothing"
SENDMAIL = Diagnosis(
    "sendmail-outside", Layer.LISTENER, _SYMPTOM, "3.7", "systemd, /proc", _sendmail, late=True
)
SASLAUTHD = Diagnosis(
    "saslauthd-outside", Layer.SASLAUTHD, _SYMPTOM, "2.4", "systemd, /proc", _saslauthd, late=True
)
