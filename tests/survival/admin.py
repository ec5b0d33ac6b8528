"""What an admin does between two runs, and how to see later that it is still there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapshots.live.entry import Entry, Kind
from tests.survival.fake_files import ROOT, State, put, rewrite, text

ACCOUNTS = ("etc/passwd", "etc/group")
EDITED = (
    *("etc/plain", "etc/firewall/rules.v4", "etc/nullmailer/remotes", "etc/default/saslauthd"),
    *("etc/mail/sendmail.mc", "etc/mail/access", "etc/mail/sasl/Sendmail.conf.2", "etc/firewall/opened/587"),
)
"""Files of the machine, of packages and of steps, which the admin edits, too."""
MADE = ("etc/mail/mine", "etc/mail/sasl/mine", "etc/default/mine", "etc/firewall/opened/mine", "etc/mine")
"""New files of the admin's own, most of them in folders that may go."""
FOLDERS = ("etc/mail", "etc/firewall/opened", "etc/empty", "etc/mail/sasl")
OURS = (
    "START=yes",
    "include(`sasl.m4')dnl",
    "DAEMON(`submission')dnl",
    "-A INPUT -p tcp --dport 587 -j ACCEPT",
)
"""Lines that steps put into files."""


@dataclass(frozen=True)
class Edit:
    """Something that the admin made so: one fact of one path."""

    path: str
    what: str
    """`line`, `no line`, `member`, `mode`, `owner`, `absent`, `link`, `package` or `no package`."""
    value: object

    def holds(self, root: Path) -> bool:
        """Whether it is so now."""
        place = root / self.path
        if self.what in ("package", "no package"):
            here = place.is_file() and place.read_text().split()[1] != "config-files"
            return here == (self.what == "package")
        if self.what == "no line":
            return not place.is_file() or self.value not in text(place).splitlines()
        if self.what == "member":
            group, name = str(self.value).split(":")
            lines = [line for line in text(place).splitlines() if line.startswith(f"{group}:")]
            return any(name in line.rpartition(":")[2].split(",") for line in lines)
        if self.what == "absent":
            return not os.path.lexists(place)
        if not os.path.lexists(place):
            return False
        if self.what == "line":
            return place.is_file() and not place.is_symlink() and self.value in text(place).splitlines()
        if self.what == "link":
            return place.is_symlink() and str(place.readlink()) == self.value
        seen = place.lstat()
        if place.is_symlink():
            return False
        return self.value == (seen.st_mode & 0o7777 if self.what == "mode" else (seen.st_uid, seen.st_gid))

    def held(self, entry: Entry | None) -> bool:
        """Whether it was so in an entry of a commit."""
        if entry is None or self.what == "absent":
            return entry is None and self.what == "absent"
        if self.what == "line":
            return entry.kind is Kind.FILE and self.value in entry.content.decode("latin-1").splitlines()
        if self.what == "link":
            return entry.kind is Kind.SYMLINK and entry.content == str(self.value).encode()
        return self.value == (entry.mode if self.what == "mode" else (entry.uid, entry.gid))


Deed = Callable[[Path, str, int], Edit | None]
"""Does something to a path of the root, and says what is so now; the number makes it like nothing else."""


def add_line(root: Path, path: str, number: int) -> Edit | None:
    """A new line at the end."""
    return _edited(root, path, lambda lines: [*lines, _line(path, number)], number)


def put_line_first(root: Path, path: str, number: int) -> Edit | None:
    """A new line at the beginning."""
    return _edited(root, path, lambda lines: [_line(path, number), *lines], number)


def change_line(root: Path, path: str, number: int) -> Edit | None:
    """Another line in the place of one."""

    def changed(lines: list[str]) -> list[str]:
        at = number % len(lines) if lines else 0
        return [*lines[:at], _line(path, number), *lines[at + 1 :]]

    return _edited(root, path, changed, number)


def change_our_line(root: Path, path: str, number: int) -> Edit | None:
    """Another line in the place of the one that a step put there."""
    lines = text(root / path).splitlines() if (root / path).is_file() else []
    at = next((at for at, line in enumerate(lines) if line in OURS), None)
    if at is None:
        return None
    return _edited(root, path, lambda _: [*lines[:at], _line(path, number), *lines[at + 1 :]], number)


def write_anew(root: Path, path: str, number: int) -> Edit | None:
    """Nothing stays of what was there; a link is replaced, too."""
    place = root / path
    if place.is_dir() or not place.parent.is_dir():
        return None
    put(place, f"{_line(path, number)}\n", 0o644)
    return Edit(path, "line", _line(path, number))


def change_mode(root: Path, path: str, number: int) -> Edit | None:
    """Another mode, of a file or a folder."""
    place = root / path
    if place.is_symlink() or not place.exists():
        return None
    mode = (0o600, 0o640, 0o4755, 0o666)[number % 4] | (0o700 if place.is_dir() else 0)
    place.chmod(mode)
    return Edit(path, "mode", mode)


def change_owner(root: Path, path: str, number: int) -> Edit | None:
    """Another owner and group; the mode stays."""
    place = root / path
    if not ROOT or place.is_symlink() or not place.exists():
        return None
    mode = place.stat().st_mode & 0o7777
    os.chown(place, 5000 + number, 6000 + number)
    place.chmod(mode)
    return Edit(path, "owner", (5000 + number, 6000 + number))


def delete(root: Path, path: str, number: int) -> Edit | None:
    """It is gone."""
    place = root / path
    if (place.is_dir() and not place.is_symlink()) or not os.path.lexists(place):
        return None
    place.unlink()
    return Edit(path, "absent", None)


def replace_by_link(root: Path, path: str, number: int) -> Edit | None:
    """A link in its place, to nowhere."""
    place = root / path
    if (place.is_dir() and not place.is_symlink()) or not place.parent.is_dir():
        return None
    if os.path.lexists(place):
        place.unlink()
    place.symlink_to(f"/srv/{number}")
    return Edit(path, "link", f"/srv/{number}")


DEEDS: dict[str, tuple[Deed, Sequence[str]]] = {
    "add a line": (add_line, EDITED),
    "put a line first": (put_line_first, EDITED),
    "change a line": (change_line, EDITED),
    "change our line": (change_our_line, EDITED),
    "change ours again": (change_our_line, EDITED),
    "write anew": (write_anew, (*EDITED, "etc/firewall/old", "etc/mail/sendmail.cf")),
    "make a file": (write_anew, MADE),
    "change the mode": (change_mode, (*EDITED, *FOLDERS)),
    "change the owner": (change_owner, (*EDITED, *FOLDERS)),
    "delete": (delete, (*EDITED, *MADE)),
    "replace by a link": (replace_by_link, (*EDITED, *MADE)),
    "add an account": (add_line, ACCOUNTS),
}
"""What is done, and to which paths it may be done."""


def metadata(states: Iterable[dict[str, State]]) -> dict[str, set[tuple[object, ...]]]:
    """By path: what its mode, its owner and its attributes were in any of the pictures."""
    found: dict[str, set[tuple[object, ...]]] = {}
    for state in states:
        for path, (kind, mode, uid, gid, _, xattrs) in state.items():
            fields = (("mode", kind, mode), ("owner", uid), ("group", gid), ("xattrs", xattrs))
            found.setdefault(path, set()).update(fields)
    return found


def _edited(root: Path, path: str, change: Callable[[list[str]], list[str]], number: int) -> Edit | None:
    place = root / path
    if not place.is_file() or place.is_symlink():
        return None
    rewrite_with(place, "".join(f"{line}\n" for line in change(text(place).splitlines())))
    return Edit(path, "line", _line(path, number))


def rewrite_with(place: Path, content: str) -> None:
    """As an editor does: the new content under the same metadata, attributes as well."""
    xattrs = [(name, os.getxattr(place, name)) for name in os.listxattr(place)]
    rewrite(place, content)
    for name, value in xattrs:
        os.setxattr(place, name, value)


def _line(path: str, number: int) -> str:
    if path in ACCOUNTS:
        rest = f"{9000 + number}::/home/a{number}:/bin/sh" if path == "etc/passwd" else f"{9000 + number}:"
        return f"admin{number}:x:{rest}" if path == "etc/passwd" else f"admin{number}:x:{9000 + number}:"
    return f"# the admin's line {number}"
