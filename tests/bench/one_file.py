"""The one file against the launcher of the checkout, and its first start against a later one, on the same machine.

A later start may take as long as the checkout's; a first one half as long again, and a second more, for unpacking and compiling."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tests.one_file import of_the_working_tree
from tests.system.images import layers
from tests.system.machine import Machine
from tests.system.msa import WIZARD
from tests.system.releases import RELEASES
from tests.system.terminal import Terminal

ROUNDS = 9
FIRST = 3
LIMIT = 1.05
"""Of a later start: the same, but for what a clock cannot tell apart."""
FILE = "/root/msa-wizard.pyz"
COMMANDS = ("--version", "status", "plan", "first frame")


def measured() -> Iterator[tuple[str, float, float, str]]:
    """Name, ratio or seconds, the most it may be, and what was timed."""
    for release in RELEASES:
        with Machine(layers(release, "ready")) as machine:
            machine.put(FILE, of_the_working_tree(), 0o755)
            for command in COMMANDS:
                yield from _command(release, command, machine)


def _command(release: str, command: str, machine: Machine) -> Iterator[tuple[str, float, float, str]]:
    def ours() -> float:
        return _seconds(machine, FILE, command)

    def fresh() -> float:
        machine.run("rm -rf /var/lib/msa-wizard/program-* /var/lib/msa-wizard/msa-wizard")
        return ours()

    first = min(fresh() for _ in range(FIRST))
    later, checkout = _side_by_side(ours, lambda: _seconds(machine, WIZARD, command))
    most = 1.5 * later + 1
    yield f"first start {command} {release}", first, most, f"s, a later one {later:.3f} s"
    yield (
        f"one file {command} {release}",
        later / checkout,
        LIMIT,
        f"{later:.3f} s, the checkout {checkout:.3f} s",
    )


def _side_by_side(*runs: Callable[[], float]) -> list[float]:
    """The best of each, taken in turns, since others may be at work on this host; the first one of each compiles."""
    times = [[run() for run in runs] for _ in range(ROUNDS + 1)][1:]
    return [min(each) for each in zip(*times, strict=True)]


def _seconds(machine: Machine, program: str, command: str) -> float:
    if command == "first frame":
        began = time.perf_counter()
        with Terminal(machine.argv([program], env={"TERM": "xterm-256color"})) as terminal:
            terminal.until("looks at this host", 60)
            return time.perf_counter() - began
    timed = f"TIMEFORMAT=%R; time {program} {command} >/dev/null 2>&1 </dev/null; true"
    return float(machine.run(["bash", "-c", timed]).stderr.split()[-1])


if __name__ == "__main__":
    for name, figure, limit, words in measured():
        print(f"{name:<36} {figure:5.2f}  (at most {limit:.2f})  {words}", flush=True)
