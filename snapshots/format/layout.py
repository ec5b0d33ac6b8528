"""Where things are in the tree of a commit.

A live path keeps its name: `etc/mail/sendmail.mc`. What the entries of one folder are (kind, mode, owner,
attributes) is one text file, `.metadata/etc/mail/%entries`, so that a change costs what changed.

Some names mean something to git (`.git`, `.gitattributes`, `.gitmodules` and what some file systems take for
them). These, and names that begin with `%`, carry a `%` in front and behind each backslash.
"""

from __future__ import annotations

import re

METADATA = b".metadata"
RECORD = b".record.json"
LISTING = b"%entries"

_IGNORED_BY_HFS = re.compile(b"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf")
_GIT_NAME = re.compile(
    rb"(?:\.git(?:modules|attributes)?|g[a-z0-9]{0,5}~[0-9]+)[ .]*(?::.*)?\Z", re.IGNORECASE | re.DOTALL
)
"""What git itself reads or refuses, with the short names and endings that NTFS takes for the same."""

_SUSPECT = re.compile(b"(?:^|[/\\\\])[.gG%]|\xe2\x80|\xe2\x81|\xef\xbb")


def to_tree(path: bytes) -> bytes:
    """The name in a commit's tree of a live path (relative, no empty, `.` or `..` part)."""
    if not _SUSPECT.search(path):
        return path
    return b"/".join(_marked(part) if _needs_mark(part) else part for part in path.split(b"/"))


def from_tree(name: bytes) -> bytes:
    """The live path of a name in a commit's tree: the inverse of `to_tree`."""
    if b"%" not in name:
        return name
    return b"/".join(
        part[1:].replace(b"\\%", b"\\") if part.startswith(b"%") else part for part in name.split(b"/")
    )


def listing_of(folder: bytes) -> bytes:
    """The name in the tree of the text file that says what the entries of the live `folder` are."""
    return b"/".join((METADATA, to_tree(folder), LISTING) if folder else (METADATA, LISTING))


def folder_of_listing(name: bytes) -> bytes | None:
    """The live folder that a name in the tree lists, or None where the name is no such list."""
    if not name.startswith(METADATA + b"/") or not name.endswith(b"/" + LISTING):
        return None
    return from_tree(name[len(METADATA) + 1 : -len(LISTING)].rstrip(b"/"))


def is_live(name: bytes) -> bool:
    """Whether a name in the tree holds the content of a live path."""
    return name != RECORD and not name.startswith(METADATA + b"/")


def split(path: bytes) -> tuple[bytes, bytes]:
    """The folder (empty at the top) and the last part of a live path."""
    folder, _, name = path.rpartition(b"/")
    return folder, name


def _needs_mark(part: bytes) -> bool:
    if part.startswith(b"%"):
        return True
    # Git looks behind each backslash too: elsewhere that is a folder.
    return any(_GIT_NAME.match(piece) for piece in _IGNORED_BY_HFS.sub(b"", part).split(b"\\"))


def _marked(part: bytes) -> bytes:
    return b"%" + part.replace(b"\\", b"\\%")
