"""What a command that ran may call its own, by evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from snapshots.live.entry import Entry
from wizard.model.generated_files import derived
from wizard.system.links import other_names

Owns = Callable[[str, Entry | None, Entry | None], bool]
"""Path (relative to the root), what was there before, what is there now: whether the command did that."""


def nothing(path: str, before: Entry | None, after: Entry | None) -> bool:
    """No path at all."""
    return False


@dataclass(frozen=True)
class Claim:
    """What a command that ran may call its own: paths by evidence, and accounts by name."""

    owns: Owns = nothing
    accounts: frozenset[str] = field(default_factory=frozenset)
    """Users and groups whose records, and memberships, are its own."""
    left: Mapping[str, Entry] = field(default_factory=dict)
    """Files (relative to the root) as the command last wrote them, where that was seen."""
    of_packages: bool = False
    """Whether packages came or went: what the system keeps up by itself changes with them."""

    def without(self, other: Claim) -> Claim:
        """The same, without what the other one claims."""
        accounts = self.accounts - other.accounts
        return replace(self, owns=lambda *path: self.owns(*path) and not other.owns(*path), accounts=accounts)


def below(*tops: str) -> Owns:
    """A claim on all that is at or below these absolute paths."""
    names = tuple(top.strip("/") for top in tops)

    def owns(path: str, before: Entry | None, after: Entry | None) -> bool:
        return any(path == name or path.startswith(name + "/") for name in names)

    return owns


def by_links(owns: Owns, links: Mapping[str, str]) -> Owns:
    """The same, also on what the links (`wizard.system.links`, linked) lead to by a name that it claims."""

    def any_name(path: str, before: Entry | None, after: Entry | None) -> bool:
        names = (name[1:] for name in other_names(f"/{path}", links))
        return owns(path, before, after) or any(owns(name, before, after) for name in names)

    return any_name


def links_of_service(name: str) -> Owns:
    """A claim on the links that start a service at boot; of sendmail, too, on what its start makes of other files."""

    def owns(path: str, before: Entry | None, after: Entry | None) -> bool:
        folder, _, last = path.rpartition("/")
        if folder.startswith("etc/rc"):
            return last[3:] == name and last[0] in "SK"
        if folder.startswith("etc/systemd/system"):
            return last == f"{name}.service"
        if path != "etc/aliases" or before is None or after is None:
            return name == "sendmail" and derived(path)
        # A new owner alone: Debian's Makefile gives the aliases' text away where ALIAS_FILE is /etc/aliases.
        changed = (before.uid, before.mode) != (after.uid, after.mode)
        return name == "sendmail" and before.content == after.content and changed

    return owns
