"""Where one can go: offered on the first screen and, everywhere, in the command palette."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from textual.screen import Screen


@dataclass(frozen=True)
class Place:
    """A screen, with the command that does the same."""

    title: str
    command: str
    screen: str
    """Its module and its class."""

    def make(self) -> Screen[Any]:
        """The screen, imported when it is first wanted: the first frame does not wait for it."""
        module, _, name = self.screen.partition(":")
        screen: Screen[Any] = getattr(import_module(module), name)()
        return screen


PLACES: dict[str, Place] = {
    "continue": Place(
        "Continue the interrupted run", "msa-wizard recover", "screens.rollback:RecoveryScreen"
    ),
    "set-up": Place("Set up, step by step", "msa-wizard apply", "screens.steps:Steps"),
    "rehearse": Place("Rehearse first", "msa-wizard rehearse", "screens.rehearse:Rehearse"),
    "settings": Place("Settings", "msa-wizard answers", "screens.settings:Settings"),
    "test": Place("Test a login", "msa-wizard test --user NAME", "screens.login_test:LoginTest"),
    "troubleshoot": Place("Troubleshoot", "msa-wizard troubleshoot", "screens.troubleshoot:Troubleshoot"),
    "history": Place("History and rollback", "msa-wizard history", "screens.history:History"),
    "certificate": Place("Certificate", "msa-wizard certificate show", "screens.certificate:Certificate"),
    "clients": Place(
        "Mail client settings", "msa-wizard client-settings", "screens.mail_clients:MailClients"
    ),
    "report": Place("Report", "msa-wizard status", "screens.report:Report"),
}
"""By the id of the offer, in the order of the first screen."""

TOOLS: dict[str, Place] = {
    "saslauthd": Place(
        "saslauthd in debug mode", "msa-wizard debug saslauthd", "screens.tools:SaslauthdDebug"
    ),
    "by-hand": Place("A manual login", "msa-wizard debug login --user NAME", "screens.tools:ManualLogin"),
    "from-outside": Place(
        "A test from outside", "msa-wizard test --from-outside", "screens.tools:RemoteLogin"
    ),
    "install": Place(
        "Install a certificate",
        "msa-wizard certificate install CERT KEY",
        "screens.certificate:InstallCertificate",
    ),
}
"""The howto's own tools and the like: in the command palette, and on the screens that they belong to."""
