"""Packages for the clone, fetched into its own apt cache: in the clone's file system, with the host's network.

The host's apt does not notice: whatever apt-get writes, lists, locks and caches included, goes to the overlay."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.apt import wants_update
from wizard.host import Completed, Host
from wizard.rehearse.clone import Clone

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
"""Seconds, as `wizard.apt` gives apt."""


class NoNetwork(Exception):
    """The packages are neither here nor can be fetched."""


def fetch(clone: Clone, names: Sequence[str], may_remove: bool) -> str:
    """Fetch what is missing of these packages and what they need; why apt would not, where it is not the network.

    Then the rehearsal meets the same, as the real set-up would. Raises NoNetwork, HostError."""
    host = Host()
    done = _download(host, clone, names, may_remove)
    if done.code != 0 and wants_update(done.stdout + done.stderr):
        _apt(host, clone, ["update", "-q"])
        done = _download(host, clone, names, may_remove)
    if done.code == 0:
        return ""
    said = done.stdout + done.stderr
    if any(mark in said for mark in _NO_NETWORK):
        raise NoNetwork(done.tail(3))
    return done.tail(3)


def _download(host: Host, clone: Clone, names: Sequence[str], may_remove: bool) -> Completed:
    keep = [] if may_remove else ["--no-remove"]
    return _apt(host, clone, ["install", "--download-only", "-y", "-q", *keep, *names])


def _apt(host: Host, clone: Clone, arguments: list[str]) -> Completed:
    return host.run(
        [*clone.entering(network=True), "apt-get", "-o", "DPkg::Lock::Timeout=60", *arguments],
        timeout=PATIENCE,
        env=_ENV,
    )
