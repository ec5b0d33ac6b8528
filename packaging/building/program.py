"""The program with its dependencies in one folder, from which it runs as it is: what the one file and the Debian package hold."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from building.vendor import collect, put
from wizard.delivery import version_line

PARTS = ("screens", "snapshots", "templates", "wizard")
_SUFFIXES = frozenset((".py", ".j2", ".json", ".tcss", ".typed", ".yml", ".md", ".example"))


def lay_down(source: Path, target: Path, kind: str, commit: str, names: Collection[str] = ()) -> None:
    """The program of the checkout `source` and its dependencies (with these `names` only, if there are any) in `target`, which
    then says of itself how it was installed: `kind` is one of wizard.delivery's.

    Raises subprocess.CalledProcessError."""
    collect(source / "requirements.txt", target, names)
    for part in PARTS:
        for path in sorted((source / part).rglob("*")):
            if path.suffix in _SUFFIXES:
                put(target / path.relative_to(source), path.read_bytes())
    put(target / "LICENSE", (source / "LICENSE").read_bytes())
    mark(target, kind, commit)


def mark(target: Path, *words: str) -> None:
    """What wizard.delivery reads: the kind and the commit. In the source packaging/build reads the moment of the commit, too."""
    put(target / "wizard/BUILD", f"{' '.join(words)}\n".encode())


def version_of(program: Path) -> str:
    """What its `--version` prints."""
    return version_line(str(program))
