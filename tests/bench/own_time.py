"""Runs `msa-wizard apply --yes` in this process and prints its seconds, and how many of them its commands took.

Run inside a machine by `tests.bench`, with the program's own Python."""

from __future__ import annotations

import sys
import time

BEGAN = time.perf_counter()

from wizard.cli import main as cli  # noqa: E402 - the import is part of what is measured
from wizard.system.host import Completed, Host  # noqa: E402

asked = 0.0
real = Host.run


def timed(self: Host, *arguments: object, **options: object) -> Completed:
    """Host.run, its time added up."""
    global asked
    began = time.perf_counter()
    try:
        return real(self, *arguments, **options)  # type: ignore[arg-type]
    finally:
        asked += time.perf_counter() - began


Host.run = timed  # type: ignore[method-assign]
code = cli.main(["apply", "--yes"])
print(f"\nseconds {time.perf_counter() - BEGAN:.4f} commands {asked:.4f} exit {code}", file=sys.stderr)
