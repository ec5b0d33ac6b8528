"""Packages for the clone, fetched into its own apt cache: in the clone's file system, with the host's network.

The host's apt does not notice: whatever apt-get writes, lists, locks and caches included, goes to the overlay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wizard.errors import WizardError
from wizard.packages.apt import installed, wants_update
from wizard.rehearse.clone import Clone
from wizard.system.host import Completed, Host

_ENV = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}
_NO_NETWORK = (
    "Temporary failure resolving",
    "Could not resolve",
    "Could not connect",
    "Cannot initiate the connection",
    "Unable to connect",
    "Failed to fetch",
    "Unable to fetch",
    "Connection timed out",
    "Network is unreachable",
)
PATIENCE = 1800.0
"""Seconds, as `wizard.packages.apt` gives apt."""


class NoNetwork(WizardError):
    """The packages are not here and cannot be fetched."""


@dataclass(frozen=True)
class CloneApt:
    """apt-get in a clone, with the host's network. `interrupt` is asked at each line that it says."""

    clone: Clone
    interrupt: Callable[[], None]
    host: Host = field(default_factory=Host)

    def apt(self, arguments: list[str]) -> Completed:
        """Run it. Raises HostError, and what `interrupt` raises."""
        return self.host.run(
            [*self.clone.entering(network=True), "apt-get", "-o", "DPkg::Lock::Timeout=60", *arguments],
            timeout=PATIENCE,
            env=_ENV,
            say=lambda _: self.interrupt(),
        )

    def install(self, names: Sequence[str], *, may_remove: bool) -> Completed:
        """Download what installing these would."""
        keep = [] if may_remove else ["--no-remove"]
        return self.apt(["install", "--download-only", "-y", "-q", *keep, *names])

    def again(self, names: Sequence[str]) -> None:
        """Download what is installed, so that it can come back without a network."""
        here = installed(self.host)
        wanted = [f"{name}={here[name]}" for name in names if name in here]
        self.apt(["install", "--reinstall", "--download-only", "-y", "-q", *wanted])


def fetch(
    clone: Clone, names: Sequence[str], goes: Sequence[str], interrupt: Callable[[], None] = lambda: None
) -> str:
    """Fetch what is missing of these packages and what they need, and what `goes` for them, since it is to come back.
    Returns why apt refused, where it is not the network: the rehearsal will then meet the same as the real set-up.

    Raises NoNetwork, HostError, and what `interrupt` raises."""
    fetching = CloneApt(clone, interrupt)
    result = fetching.install(names, may_remove=bool(goes))
    if result.code != 0 and wants_update(result.stdout + result.stderr):
        fetching.apt(["update", "-q"])
        result = fetching.install(names, may_remove=bool(goes))
    if result.code == 0:
        if goes:
            fetching.again(goes)
        return ""
    output = result.stdout + result.stderr
    if any(mark in output for mark in _NO_NETWORK):
        raise NoNetwork(result.tail(3))
    return result.tail(3)
