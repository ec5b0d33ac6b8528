"""The one file and the Debian package against the launcher of the checkout, and the first start of the one file against a later
one, on the same machine.

A later start may take as long as the checkout's; a first one half as long again, and a second more, for unpacking and compiling.
The checkout's `status` and `plan` are measured against what they cannot do without.
All are processor seconds, since others may be at work on this host: the best of some runs, taken in turns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.one_file import of_the_working_tree
from tests.system.images import with_whole_lists
from tests.system.machine import Machine
from tests.system.msa import WIZARD
from tests.system.package import package
from tests.system.releases import RELEASES, Release
from tests.system.terminal import Terminal

ROUNDS = 7
FIRST = 3
LIMITS = {"--version": 1.2, "status": 1.05, "plan": 1.05, "first frame": 1.05}
"""Of a later start against the checkout's. Python 3.11 takes 4 ms to start from a zip, which only `--version` shows."""
_IMPORTS = '/var/lib/msa-wizard/venv-*/bin/python -c "import git, jinja2"'
OWN = {"status": (_IMPORTS, 4.5), "plan": (f"{_IMPORTS}; apt-get -s install sendmail", 1.7)}
"""What the checkout's are measured against, and the most that they may be of it."""
FILE = "/root/msa-wizard.pyz"
PACKAGE = "/usr/bin/msa-wizard"
_TIMES = {"--version": 30, "status": 3, "plan": 1}
"""How often a command is run for one figure."""


def measured(releases: tuple[Release, ...] = RELEASES) -> Iterator[tuple[str, float, float, str]]:
    """Name, ratio or seconds, the most it may be, and what was timed."""
    for release in releases:
        with Machine(with_whole_lists(release, "ready")) as machine:
            machine.put(FILE, of_the_working_tree(), 0o755)
            machine.put("/root/msa-wizard.deb", package().read_bytes())
            machine.run(
                ["apt-get", "install", "-y", "--no-install-recommends", "/root/msa-wizard.deb"], timeout=300
            )
            for program in (FILE, PACKAGE, WIZARD):
                machine.run([program, "--version"])  # what cannot be started takes no time
            for command, limit in LIMITS.items():
                yield from _command(release, command, limit, machine)


def _command(
    release: Release, command: str, limit: float, machine: Machine
) -> Iterator[tuple[str, float, float, str]]:
    def fresh() -> float:
        machine.run("rm -rf /var/lib/msa-wizard/program-*")
        return _seconds(machine, FILE, command, 1)

    times = _TIMES.get(command, 1)
    first = min(fresh() for _ in range(FIRST))
    later, packaged, checkout = _in_turns(
        *(partial(_seconds, machine, program, command, times) for program in (FILE, PACKAGE, WIZARD))
    )
    yield f"first start, {command}, {release}", first, 1.5 * later + 1, f"s, a later one {later:.3f} s"
    if command in OWN:
        floor, most = OWN[command]
        least = min(_timed(machine, floor, times) for _ in range(ROUNDS))
        yield (
            f"checkout, {command}, {release}",
            checkout / least,
            most,
            f"{checkout:.3f} s, {least:.3f} s for what it needs",
        )
    for name, ours in (("one file", later), ("package", packaged)):
        words = f"{ours:.3f} s, the checkout {checkout:.3f} s"
        yield f"{name}, {command}, {release}", ours / checkout, limit, words


def _in_turns(*runs: Callable[[], float]) -> list[float]:
    """The best of each; the first one of each compiles."""
    times = [[run() for run in runs] for _ in range(ROUNDS + 1)][1:]
    return [min(each) for each in zip(*times, strict=True)]


def _seconds(machine: Machine, program: str, command: str, times: int) -> float:
    if command == "first frame":
        with Terminal(machine.argv([program], env={"TERM": "xterm-256color"})) as terminal:
            terminal.until("Set up, step by step", 120)
            spent = _spent(terminal.process.pid)
            terminal.press("q")
            terminal.ended()
            return spent
    return _timed(machine, f"{program} {command}", times)


def _timed(machine: Machine, command: str, times: int) -> float:
    loop = f"i=0; while [ $i -lt {times} ]; do {{ {command}; }} >/dev/null 2>&1 </dev/null; i=$((i+1)); done"
    shown = machine.run(["bash", "-c", f"TIMEFORMAT='%U %S'; time ({loop})"], timeout=600).stderr.split()
    return sum(map(float, shown[-2:])) / times


def _spent(pid: int) -> float:
    """Processor seconds of the last of a chain of processes that wait for one another: of nsenter's child, of the program."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{pid}/comm").read_text() != "nsenter\n":
            break
        pid = int(children[0])
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    for name, figure, limit, words in measured():
        print(f"{name:<36} {figure:5.2f}  (at most {limit:.2f})  {words}", flush=True)
