"""Where one can go: the first screen offers it, and the command palette from everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.screen import Screen


@dataclass(frozen=True)
class Place:
    """A screen, with what does the same on the command line. `make` imports it: the first frame does not wait."""

    title: str
    command: str
    make: Callable[[], Screen[Any]]


def _interrupted() -> Screen[Any]:
    from screens.recovery import Interrupted

    return Interrupted()


def _steps() -> Screen[Any]:
    from screens.steps import Steps

    return Steps()


def _rehearse() -> Screen[Any]:
    from screens.rehearse import Rehearse

    return Rehearse()


def _settings() -> Screen[Any]:
    from screens.settings import Settings

    return Settings()


def _login_test() -> Screen[Any]:
    from screens.login_test import LoginTest

    return LoginTest()


def _history() -> Screen[Any]:
    from screens.history import History

    return History()


def _troubleshoot() -> Screen[Any]:
    from screens.troubleshoot import Troubleshoot

    return Troubleshoot()


def _certificate() -> Screen[Any]:
    from screens.certificate import Certificate

    return Certificate()


def _saslauthd_debug() -> Screen[Any]:
    from screens.saslauthd_debug import SaslauthdDebug

    return SaslauthdDebug()


def _by_hand() -> Screen[Any]:
    from screens.manual_login import ByHand

    return ByHand()


def _from_outside() -> Screen[Any]:
    from screens.remote_login import FromOutside

    return FromOutside()


def _install_certificate() -> Screen[Any]:
    from screens.install_certificate import InstallCertificate

    return InstallCertificate()


def _mail_clients() -> Screen[Any]:
    from screens.mail_clients import MailClients

    return MailClients()


def _report() -> Screen[Any]:
    from screens.report import Report

    return Report()


PLACES: dict[str, Place] = {
    "continue": Place("Continue the interrupted run", "msa-wizard recover", _interrupted),
    "set-up": Place("Set up, step by step", "msa-wizard apply", _steps),
    "rehearse": Place("Rehearse first", "msa-wizard rehearse", _rehearse),
    "settings": Place("Settings", "msa-wizard answers", _settings),
    "test": Place("Test a login", "msa-wizard test --user NAME", _login_test),
    "troubleshoot": Place("Troubleshoot", "msa-wizard troubleshoot", _troubleshoot),
    "history": Place("History and rollback", "msa-wizard history", _history),
    "certificate": Place("Certificate", "msa-wizard certificate show", _certificate),
    "clients": Place("Mail client settings", "msa-wizard client-settings", _mail_clients),
    "report": Place("Report", "msa-wizard status", _report),
}
"""By the id of the offer, in the order of the first screen."""

TOOLS: dict[str, Place] = {
    "saslauthd": Place("saslauthd in debug mode", "msa-wizard debug saslauthd", _saslauthd_debug),
    "by-hand": Place("A login by hand", "msa-wizard debug login --user NAME", _by_hand),
    "from-outside": Place("A test from outside", "msa-wizard test --from-outside", _from_outside),
    "install": Place(
        "Install a certificate", "msa-wizard certificate install CERT KEY", _install_certificate
    ),
}
"""The howto's own tools and the like: by the command palette, and from the screens that they belong to."""
