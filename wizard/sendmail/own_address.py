"""Whether sendmail can listen at the addresses that its listeners name: where it cannot, it exits 45 s after its start, and all
of its ports are closed (docs/debian.md trap 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.editors.daemon_options import DaemonOption, is_loopback, plain_address
from wizard.model.answers import Listen
from wizard.model.facts import Facts

_NUMBERS = re.compile(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:.]+")


def can_listen(facts: Facts, address: str | None) -> bool:
    """Whether a socket can be opened there. A name may be anything."""
    plain = plain_address(address)
    if plain is None or not _NUMBERS.fullmatch(plain) or is_loopback(plain) or not facts.addresses:
        return True
    return plain in facts.addresses or ("inet6" if ":" in plain else "inet") in facts.any_address


def elsewhere(facts: Facts, listeners: Iterable[DaemonOption]) -> tuple[DaemonOption, ...]:
    """Those at an address that this host does not have; of an optional one (M=O) sendmail goes on without it."""
    return tuple(each for each in listeners if not each.optional and not can_listen(facts, each.address))


def not_here(facts: Facts, listen: Listen) -> str:
    """A sentence on chosen addresses that this host does not have: it may get them later, and the steps wait for that."""
    named = dict.fromkeys([*listen.submission, *listen.smtp])
    strange = [each for each in named if not can_listen(facts, each)]
    if not strange:
        return ""
    be, they = ("is no address", "it") if len(strange) == 1 else ("are no addresses", "them")
    return f"{', '.join(strange)} {be} of this host: until it has {they}, the steps cannot be applied."


def why(listener: DaemonOption) -> str:
    """What is wrong with it."""
    return (
        f"it listens on {listener.address}, which is no address of this host: sendmail would exit, closing every port, 45 s "
        "after its restart"
    )


def remedy(facts: Facts, path: str) -> str:
    """What to do in the file at `path`."""
    own = ", ".join(facts.addresses)
    return f"in {path} put one of this host's addresses ({own}) after its Addr=, or take Addr= out"
