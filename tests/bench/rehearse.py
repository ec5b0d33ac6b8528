"""What a rehearsal takes where the packages are there, against a real `apply` of the same answers on the same machine right
after it."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

from tests.system.images import with_whole_lists
from tests.system.machine import Machine
from tests.system.msa import WIZARD
from tests.system.releases import RELEASES

LIMIT = 1.5
ROUNDS = 3


def measured(rounds: int = ROUNDS) -> Iterator[tuple[str, float, float, str]]:
    """Name, ratio of medians, the most it may be, and what was timed."""
    for release in RELEASES:
        rehearsals, applies, memory = [], [], 0
        for _ in range(rounds):
            with Machine(with_whole_lists(release, "mail")) as machine:
                for command in ("status", "history", "test"):  # the first start compiles
                    machine.run([WIZARD, command], check=False)
                began = time.perf_counter()
                done = machine.run([WIZARD, "rehearse", "--json"], timeout=600)
                rehearsals.append(time.perf_counter() - began)
                memory = max(memory, json.loads(done.stdout)["clone"]["memory"])
                began = time.perf_counter()
                machine.run([WIZARD, "apply", "--yes"], timeout=600)
                applies.append(time.perf_counter() - began)
        rehearsal, apply = statistics.median(rehearsals), statistics.median(applies)
        words = f"{rehearsal:.2f} s rehearsed, {apply:.2f} s applied; the clone wrote {memory >> 20} MiB"
        yield f"rehearse {release} mail", rehearsal / apply, LIMIT, words


if __name__ == "__main__":
    for name, ratio, limit, words in measured(1):
        print(f"{name:<24} {ratio:5.2f}  (at most {limit:.2f})  {words}", flush=True)
