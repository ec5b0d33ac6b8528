"""The one file, made of a program for tests."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from building import one_file
from building.program import lay_down

TOP = Path(__file__).resolve().parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@functools.cache
def of_the_working_tree() -> bytes:
    """What `packaging/build` would make of it, were it committed. Needs a package index, as the tests' environment does."""
    with tempfile.TemporaryDirectory() as place:
        program, file = Path(place, "program"), Path(place, "msa-wizard.pyz")
        lay_down(TOP, program, "pyz", COMMIT)
        one_file.make(program, file, int(os.environ.get("SOURCE_DATE_EPOCH", "1764547200")))
        return file.read_bytes()
