"""The numbers of the program, as ratios of things timed in one run on one machine: `python -m tests.bench [ROUNDS]`.

again     a second apply's own time, without the commands it asks, against `python -c "import git, jinja2"` (3)
version   `msa-wizard --version` against `python -c pass` plus the launcher (2)
and those of the snapshot store and of the screens, which tests.bench.store and tests.bench.screens name, and the seconds
that troubleshooting takes (tests.bench.troubleshoot); /etc with 20,000 more files or with one of 3 GB in it, against an
ordinary one (tests.bench.crowded); the way to a login against the same by hand (tests.bench.to_235); a rehearsal against a
real apply where the packages are there (tests.bench.rehearse); the one file and the Debian package against the checkout
(tests.bench.deliveries); a plan by Ansible against Ansible's own facts (tests.bench.fleet)
"""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path

from tests.bench import crowded, deliveries, fleet, rehearse, screens, store, to_235, troubleshoot
from tests.system.images import with_whole_lists
from tests.system.machine import PROJECT, Machine
from tests.system.msa import WIZARD
from tests.system.releases import RELEASES, Release

HERE = Path(__file__).parent
LIMITS = {"again": 3.0, "version": 2.0}


def main() -> int:
    """Print each ratio with its limit; 1 when one is over it."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    over = False
    for release in RELEASES:
        for name, ratio, detail in measured(release, rounds):
            over |= ratio > LIMITS[name]
            print(f"{release:<9} {name:<8} {ratio:5.2f}  (at most {LIMITS[name]:.2f})  {detail}", flush=True)
    for name, ratio, limit, detail in (
        *(*store.measured(), *screens.measured(), *troubleshoot.measured()),
        *(
            *crowded.measured(rounds),
            *to_235.measured(rounds),
            *rehearse.measured(rounds),
            *deliveries.measured(),
            *fleet.measured(),
        ),
    ):
        over |= ratio > limit
        print(f"{name:<18} {ratio:5.2f}  (at most {limit:.2f})  {detail}", flush=True)
    return int(over)


def measured(release: Release, rounds: int) -> list[tuple[str, float, str]]:
    """Name, ratio of medians, and what was timed."""
    again, imports, versions, floor = [], [], [], []
    for _ in range(rounds):
        with Machine(with_whole_lists(release, "ready")) as machine:
            python = machine.run("echo /var/lib/msa-wizard/venv-*/bin/python").stdout.strip()
            to_235.compiled(machine)
            for _ in range(2):
                machine.run([WIZARD, "apply", "--yes"], timeout=900)
            machine.put("/root/own_time.py", (HERE / "own_time.py").read_bytes())
            run = f"PYTHONPATH={PROJECT} PYTHONPYCACHEPREFIX=/root/pycache {python}"
            for turn in range(4):
                said = machine.run(f"{run} /root/own_time.py", cwd="/root").stderr
                found = re.search(r"seconds ([\d.]+) commands ([\d.]+) exit 0", said)
                assert found, said
                if turn:  # the first one compiles
                    again.append(float(found[1]) - float(found[2]))
                    imports.append(inner(machine, f'{run} -c "import git, jinja2"', 5))
            versions.append(inner(machine, f"{WIZARD} --version", 40))
            floor.append(inner(machine, f"{python} -I -c pass", 40) + launcher(machine, python))
    return [
        row("again", again, imports, "s of its own, {:.3f} s for import git, jinja2"),
        row("version", versions, floor, "s, {:.4f} s for python -c pass and the launcher"),
    ]


def row(name: str, ours: list[float], theirs: list[float], words: str) -> tuple[str, float, str]:
    """The ratio of the medians."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    return name, mine / other, f"{mine:.3f} " + words.format(other)


def inner(machine: Machine, command: str, times: int) -> float:
    """Seconds a run, timed inside the machine so that entering it does not count."""
    loop = f"i=0; while [ $i -lt {times} ]; do {command} >/dev/null; i=$((i+1)); done"
    shown = machine.run(["bash", "-c", f"TIMEFORMAT=%R; time ({loop})"]).stderr
    return float(shown.split()[-1]) / times


def launcher(machine: Machine, python: str) -> float:
    """The launcher alone: its environment's Python replaced by `true` for as long as it is timed."""
    swap = f"mv {python} {python}.real && ln -s /bin/true {python}"
    machine.run(swap)
    try:
        return inner(machine, f"{WIZARD} --version", 40)
    finally:
        machine.run(f"mv {python}.real {python}")


raise SystemExit(main())
