"""What a crowded /etc costs, against an ordinary one on the same Debian 12: `python -m tests.bench.crowded [ROUNDS]`.

many since      `rollback --all` after 20,000 files came into /etc since the set-up (2.0)
many before     `rollback --all` where they were there before the set-up (2.0)
large before    `apply` where a sparse file of 3 GB lies in /etc (2.0)
large since     `rollback --all` after such a file came into /etc since the set-up (2.0)
"""

from __future__ import annotations

import statistics
import sys
import time

from tests.system.images import with_whole_lists
from tests.system.machine import Machine
from tests.system.msa import WIZARD

LIMIT = 2.0
MANY = (
    "python3 -c 'import pathlib\n"
    "for n in range(20_000):\n"
    '    path = pathlib.Path(f"/etc/crowd/{n // 20}/{n % 20}")\n'
    "    path.parent.mkdir(parents=True, exist_ok=True)\n"
    '    path.write_text(f"option = {n}\\n" * 12)\'; sleep 0.1'
)
LARGE = "truncate -s 3G /etc/disk.img"


def measured(rounds: int = 3) -> list[tuple[str, float, float, str]]:
    """Name, ratio of medians, the most it may be, and what was timed."""
    cases = {"ordinary": ("", ""), "many since": ("", MANY), "many before": (MANY, ""),
             "large before": (LARGE, ""), "large since": ("", LARGE)}  # fmt: skip
    applies: dict[str, list[float]] = {name: [] for name in cases}
    rollbacks: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (before, since) in cases.items():
            apply, rollback = _there_and_back(before, since)
            applies[name].append(apply)
            rollbacks[name].append(rollback)
    return [
        _row("many since", "rollback --all", rollbacks),
        _row("many before", "rollback --all", rollbacks),
        _row("large before", "apply", applies),
        _row("large since", "rollback --all", rollbacks),
    ]


def _there_and_back(before: str, since: str) -> tuple[float, float]:
    """Seconds of `apply` and of `rollback --all` on a fresh machine; the commands fill /etc before them."""
    with Machine(with_whole_lists("bookworm", "ready")) as machine:
        for command in ("status", "history", "rollback --help"):  # the first start of a checkout compiles it
            machine.run(f"{WIZARD} {command}", check=False)
        machine.run(before or "true", timeout=300)
        apply = _seconds(machine, f"{WIZARD} apply --yes")
        machine.run(since or "true", timeout=300)
        return apply, _seconds(machine, f"{WIZARD} rollback --all --yes")


def _seconds(machine: Machine, command: str) -> float:
    began = time.perf_counter()
    machine.run(command, timeout=900)
    return time.perf_counter() - began


def _row(name: str, command: str, times: dict[str, list[float]]) -> tuple[str, float, float, str]:
    crowded, ordinary = (statistics.median(times[one]) for one in (name, "ordinary"))
    return (
        name,
        crowded / ordinary,
        LIMIT,
        f"{command}: {crowded:.1f} s, {ordinary:.1f} s on an ordinary /etc",
    )


if __name__ == "__main__":
    for name, ratio, limit, words in measured(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        print(f"{name:<18} {ratio:5.2f}  (at most {limit:.2f})  {words}", flush=True)
