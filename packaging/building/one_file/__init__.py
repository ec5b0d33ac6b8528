"""msa-wizard.pyz: the program as one file, which unpacks itself at its first start (docs/decisions/one-file.md)."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from building.archive import zipped
from building.program import version_of
from building.vendor import put

_HERE = Path(__file__).parent
INSIDE = "program.zip"
_HEAD = """\
#!/bin/sh
# A zip for Python follows, which takes the same arguments: `python3 msa-wizard.pyz`. Only the version is sooner said from here.
case $#$1 in 1--version | 1-V) echo {}; exit ;; esac
exec /usr/bin/python3 -IS "$0" "$@"
"""


def make(program: Path, target: Path, epoch: int) -> None:
    """Write the one file with the program of the folder `program`, as `building.program.lay_down` leaves it."""
    files = [
        (str(path.relative_to(program)), path.read_bytes(), 0o644)
        for path in sorted(program.rglob("*"))
        if path.is_file()
    ]
    main, start, first = ((_HERE / name).read_text() for name in ("main.py", "start.py", "first_start.py"))
    main = main.replace("@VERSION@", version_of(program))
    digest = hashlib.sha256()
    for name, content in sorted(
        [*((name, content) for name, content, _ in files), *_named(main, start, first)]
    ):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    start = start.replace("@DIGEST@", digest.hexdigest()[:16])
    own = [
        (name, content, 0o755 if name == "msa-wizard" else 0o644)
        for name, content in _named(main, start, first)
    ]
    inside = zipped([*files, *own], epoch)
    outer = [("__main__.py", main.encode(), 0o644), (INSIDE, inside, 0o644), *own[1:]]
    head = _HEAD.format(shlex.quote(version_of(program)))
    put(target, head.encode() + zipped(outer, epoch, packed=False), 0o755)


def _named(main: str, start: str, first: str) -> list[tuple[str, bytes]]:
    """Their names beside the program."""
    return [("msa-wizard", main.encode()), ("start.py", start.encode()), ("first_start.py", first.encode())]
