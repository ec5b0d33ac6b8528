"""The saslauthd that sendmail asks, as the diagnoses see it: its settings, its arguments, and how it is restarted."""

from __future__ import annotations

import shlex

from wizard.model import facts as f
from wizard.sendmail.asked_saslauthd import (
    argument,
    defaults_file,
    folder_of,
    of_another_service,
    own_saslauthd,
    service_of,
)
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Mend


def default(picture: Picture, key: str) -> str:
    """A setting of the defaults file of the saslauthd that is asked, empty where there is none."""
    path = defaults_file(picture.facts)
    if of_another_service(picture.facts) and path == f.SASLAUTHD_DEFAULT:  # that of one that nobody asks
        return ""
    return picture.setting(path, key)


def argument_of(picture: Picture, letter: str) -> str:
    """An argument of the saslauthd that serves sendmail, else of ours that listens elsewhere: it may be left over from
    before, for its init script looks for it where the configuration of now says."""
    process = own_saslauthd(picture.facts)
    return argument(process, letter) if process is not None else ""


def is_wanted(picture: Picture) -> bool:
    """Whether sendmail asks one, and it is installed."""
    return picture.asks_saslauthd and "sasl2-bin" in picture.facts.packages


def is_debians(picture: Picture) -> bool:
    """Whether it is wanted, and Debian's service is what starts it."""
    return is_wanted(picture) and not of_another_service(picture.facts)


def restarting(picture: Picture, steps: tuple[str, ...]) -> Mend:
    """These steps on Debian's service; where another one starts the saslauthd that is asked, what a person does."""
    if not of_another_service(picture.facts):
        return Mend(steps)
    return Mend(text=f"saslauthd.service does not start the one that sendmail asks: {restarted(picture)}")


def started_with(picture: Picture, steps: tuple[str, ...], how: str) -> Mend:
    """The same, where it must be started otherwise."""
    if not of_another_service(picture.facts):
        return Mend(steps)
    return Mend(text=f"have its own service start it {how}, then: {restarted(picture)}")


def restarted(picture: Picture) -> str:
    """How the saslauthd that is asked is restarted, by the service that starts it."""
    if name := service_of(picture.facts):
        return f"`systemctl restart {shlex.quote(name)}`"
    return (
        f"restart the service that puts its socket into {folder_of(picture.mux)} "
        "(`grep -l saslauthd /etc/systemd/system/*.service` may find it)"
    )


def service_state(picture: Picture) -> tuple[Evidence, ...]:
    """What systemd says of Debian's service, where that is what starts it."""
    service = None if of_another_service(picture.facts) else picture.facts.services.get("saslauthd")
    return (Evidence(f"saslauthd.service is {service.active}", "systemctl"),) if service else ()
