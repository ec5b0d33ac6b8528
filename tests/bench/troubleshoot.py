"""How long troubleshooting takes where nothing is wrong: its own time, and what it waits for the ports' answers."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

from tests.system.images import with_whole_lists
from tests.system.machine import Machine
from tests.system.msa import WIZARD, apply
from tests.system.releases import RELEASES

LIMIT = 2.0
"""Seconds of its own, launcher and Python's start included."""
ROUNDS = 5


def measured() -> Iterator[tuple[str, float, float, str]]:
    """Name, seconds of its own, the most it may take, and what was timed."""
    for release in RELEASES:
        with Machine(with_whole_lists(release, "mail")) as machine:
            apply(machine)
            own, waited = [], []
            for turn in range(ROUNDS + 1):
                began = time.perf_counter()
                done = machine.run([WIZARD, "troubleshoot", "--json"])
                took = time.perf_counter() - began
                if turn:  # the first one compiles
                    waited.append(json.loads(done.stdout)["seconds"]["waited"])
                    own.append(took - waited[-1])
        words = f"s of its own, and {statistics.median(waited):.3f} s talking to the ports"
        yield f"troubleshoot {release}", statistics.median(own), LIMIT, words


if __name__ == "__main__":
    for name, seconds, limit, words in measured():
        print(f"{name:<22} {seconds:5.2f}  (at most {limit:.2f})  {words}")
