"""msa-wizard.pyz: the program as one file, which unpacks itself at its first start (docs/decisions/one-file.md)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from building.archive import zipped
from building.program import version_of
from building.vendor import put

_HERE = Path(__file__).parent
INSIDE = "program.zip"
_SHEBANG = b"#!/usr/bin/python3 -IS\n"


def make(program: Path, target: Path, epoch: int) -> None:
    """Write the one file with the program of the folder `program`, as `building.program.lay_down` leaves it."""
    first = (_HERE / "first_start.py").read_bytes()
    files = [
        (str(path.relative_to(program)), path.read_bytes(), 0o644)
        for path in sorted(program.rglob("*"))
        if path.is_file()
    ]
    files.append(("first_start.py", first, 0o644))
    digest = hashlib.sha256()
    for name, content, _ in sorted(files):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    start = (_HERE / "start.py").read_text()
    digest.update(start.encode())
    start = start.replace("@DIGEST@", digest.hexdigest()[:16]).replace("@VERSION@", version_of(program))
    files.append(("msa-wizard", start.encode(), 0o755))
    outer = [
        ("__main__.py", start.encode(), 0o644),
        ("first_start.py", first, 0o644),
        (INSIDE, zipped(files, epoch), 0o644),
    ]
    put(target, _SHEBANG + zipped(outer, epoch, packed=False), 0o755)
