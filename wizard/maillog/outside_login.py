"""Waits for a login from another machine, and says what the mail log shows of it."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from templates import render
from wizard.console import clean
from wizard.errors import CannotHere
from wizard.maillog.follow import LogFollower
from wizard.maillog.read import UNPROVED, LogLine
from wizard.model.plan import Check, Sign
from wizard.smtp.server_trust import trust_of, with_colons
from wizard.system.host import Host
from wizard.system.sockets import addresses, qualified_name

if TYPE_CHECKING:
    from collections.abc import Callable


WITHIN = 300.0
"""Seconds to wait by default."""
_POLL = 0.1


@dataclass
class OutsideLogin:
    """What came from outside so far. Pure."""

    own: frozenset[str]
    """The addresses of this host."""
    came: dict[str, list[LogLine]] = field(default_factory=dict)
    """The lines of each address that is not ours."""
    loopback: int = 0
    """Lines that came from this host itself."""
    logged_in: tuple[str, str] | None = None
    """Address and user of the first login."""
    file: str = ""
    """The file whose lines prove nothing; "" where the daemon's own lines are read."""

    def takes(self, line: LogLine) -> bool:
        """Whether the line is of a connection from outside."""
        address = line.peer
        if address is None:
            return False
        if address in self.own or ipaddress.ip_address(address).is_loopback:
            self.loopback += 1
            return False
        self.file = line.file
        self.came.setdefault(address, []).append(line)
        if self.logged_in is None and line.authid is not None:
            self.logged_in = address, line.authid
        return True


def commands(host: Host) -> str:
    """What to run on another machine."""
    name, resolves = qualified_name(host)
    where = name if resolves else _address(frozenset(addresses(host)))
    pins = sorted(trust_of(host).pins)
    return render("outside_test.txt.j2", host=where, fingerprint=with_colons(pins[0]) if pins else "").rstrip(
        "\n"
    )


def wait_for_login(
    host: Host, within: float, tell: Callable[[LogLine], None], over: Callable[[], bool]
) -> OutsideLogin:
    """Wait `within` seconds for a login from outside; `tell` gets the lines about such clients.

    Raises CannotHere where there is no log."""
    outside = OutsideLogin(frozenset(addresses(host)))
    with LogFollower(host) as log:
        if log.source is None:
            raise CannotHere("this host keeps no mail log, so a client's connection cannot be seen")
        end = time.monotonic() + within
        while outside.logged_in is None and time.monotonic() < end and not over():
            for line in log.taken():
                if outside.takes(line):
                    tell(line)
            time.sleep(_POLL)
    return outside


def verdict(outside: OutsideLogin, within: float) -> Check:
    """What it proves, and what it does not. Any user of this host can write to a log file, so that proves nothing."""
    if outside.file:
        address, user = outside.logged_in or (sorted(outside.came)[0], "")
        claim = f"{user} logged in from {address}" if user else f"{address} connected, but did not log in"
        return Check(
            "from-outside",
            Sign.UNKNOWN,
            f"{outside.file} says that {clean(claim)}; {UNPROVED}.",
            "see on the other machine that its login got 235, or keep a journal (systemd-journald)",
        )
    if outside.logged_in is not None:
        address, user = map(clean, outside.logged_in)
        says = f"{user} logged in from {address}: clients there get through the firewall and can log in."
        if ipaddress.ip_address(outside.logged_in[0]).is_private:
            says += " It is a private address: whether clients on the Internet get through is not proven."
        return Check("from-outside", Sign.OK, says)
    if outside.came:
        return Check(
            "from-outside",
            Sign.FAILED,
            f"{', '.join(map(clean, sorted(outside.came)))} connected, so the firewall lets it through, but did not log in "
            f"within {within:.0f} s.",
            "msa-wizard troubleshoot --user NAME says why",
        )
    own = (
        " Tests on this host itself were seen, but prove nothing about its firewall."
        if outside.loopback
        else ""
    )
    return Check(
        "from-outside",
        Sign.FAILED,
        f"Nobody connected from outside within {within:.0f} s.{own}",
        "see that the firewall here, and the provider's, let port 587 through: msa-wizard troubleshoot",
    )


def _address(own: frozenset[str]) -> str:
    """An address of this host that others may reach, where it has no name."""
    addresses = sorted(item for item in own if not ipaddress.ip_address(item).is_loopback)
    return addresses[0] if addresses else "MAIL.EXAMPLE.ORG"
