"""What packages own below /etc, by dpkg's own database (provisional)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from snapshots.entry import Entry, Kind
from wizard.host import Host

INFO = "/var/lib/dpkg/info"
_CREATES = re.compile(r"^.*\b(?:adduser|addgroup|useradd|groupadd)\b.*$", re.MULTILINE)


@dataclass(frozen=True)
class Footprint:
    """The paths and names of some packages."""

    listed: frozenset[str]
    scripts: str
    accounts: frozenset[str]

    def owns(self, path: str, before: Entry | None, after: Entry | None) -> bool:
        """Whether these packages did this to the path."""
        full = f"/{path}"
        if full in self.listed:
            return True
        entry = after or before
        if entry is not None and entry.kind is Kind.SYMLINK:
            target = entry.content.decode("utf-8", "replace")
            return any(target.rpartition("/")[2] == each.rpartition("/")[2] for each in self.listed)
        if re.search(rf"(?<![\w/.-]){re.escape(full)}(?![\w/.-])", self.scripts):
            return True
        if before is not None and after is not None:
            return False
        folder = full.rpartition("/")[0]
        while folder.count("/") > 1:
            if folder in self.listed:
                return True
            folder = folder.rpartition("/")[0]
        return False


def footprint(host: Host, packages: Iterable[str]) -> Footprint:
    """Of these packages."""
    listed: set[str] = set()
    scripts = ""
    for name in packages:
        plain = name.partition(":")[0]
        for file in host.names(INFO):
            stem, _, kind = file.rpartition(".")
            if stem.partition(":")[0] != plain:
                continue
            text = host.path(f"{INFO}/{file}").read_text("utf-8", "replace")
            if kind in ("list", "conffiles"):
                listed |= {line.split()[0] for line in text.splitlines() if line.startswith("/")}
            elif kind in ("preinst", "postinst", "prerm", "postrm"):
                scripts += text
    words = {word for line in _CREATES.findall(scripts) for word in re.findall(r"[\w.-]+", line)}
    return Footprint(frozenset(listed), scripts, frozenset(words))


def own_tops(host: Host, packages: Iterable[str]) -> tuple[str, ...]:
    """The paths below /etc that these packages list and no other does, as absolute paths: what is below a folder of
    them goes with it. Raises HostError."""
    going = {name.partition(":")[0] for name in packages}
    own: set[str] = set()
    others: set[str] = set()
    for file in host.names(INFO):
        stem, _, kind = file.rpartition(".")
        if kind == "list":
            lines = host.path(f"{INFO}/{file}").read_text("utf-8", "surrogateescape").splitlines()
            paths = {line for line in lines if line.startswith("/etc/")}
            (own if stem.partition(":")[0] in going else others).update(paths)
    return tuple(sorted(own - others))
