"""A fleet by Ansible: `plan` of a host that is set up against `ansible.builtin.setup` on it; and, run by itself, what more hosts
cost: `python -m tests.bench.fleet [HOSTS...]` prints a table of time, memory and bytes, and the lines that fit it.

All machines share the processors of one host, so the seconds of a run say less than the processor's."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from tests.system.fleet import FOLDER, PROGRAM, VAULT_OPTIONS, Fleet
from tests.system.machine import Machine

LIMIT = 3.0
_ROUNDS = 5
_FORKS = 5
_MEASURED = """
import json, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, time.monotonic() - began, used.ru_utime + used.ru_stime]))
"""
_PEAK = """
import os, pathlib, re, time
word, out, peak, before = os.environ["WORD"].encode(), pathlib.Path(os.environ["OUT"]), -1, None
while True:
    held = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if word in (process / "cmdline").read_bytes() and process.name != str(os.getpid()):
                held += int(re.search("^Pss: +([0-9]+)", (process / "smaps_rollup").read_text(), re.M)[1])
        except (OSError, TypeError):
            pass
    before = held if before is None else before
    if held - before > peak:
        peak = held - before
        out.write_text(str(peak))
    time.sleep(0.2)
"""
"""The most that all processes with a word in their command line held at a time, over what they held at first, in KB; pages that
they share count once."""

_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")  # inotify(7)
_WATCHER = "/run/watcher"


@dataclass(frozen=True)
class Row:
    """What one run took."""

    seconds: float
    controller_processor: float
    """Seconds, of all its processes."""
    host_processor: float
    """Seconds, of each host."""
    controller_memory: float
    """MB, of all of Ansible's processes at a time."""
    host_memory: float
    """MB, of Ansible's and the program's processes at a time."""
    bytes_per_host: float
    """KB that the controller has sent and received."""


def measured() -> Iterator[tuple[str, float, float, str]]:
    """Name, ratio of medians, the most it may be, and what was timed."""
    with Fleet("trixie") as fleet:
        fleet.add("mail1", "trixie", "msa")
        fleet.export()
        assert fleet.play("site.yml").returncode == 0
        times: dict[str, list[float]] = {"msa_wizard.msa.plan": [], "ansible.builtin.setup": []}
        for _ in range(_ROUNDS):
            for module, found in times.items():
                began = time.perf_counter()
                fleet.controller.run(["ansible", *VAULT_OPTIONS, "mail1", "-m", module], cwd=FOLDER)
                found.append(time.perf_counter() - began)
    plan, setup = map(statistics.median, times.values())
    yield "plan of a fleet", plan / setup, LIMIT, f"{plan:.2f} s, {setup:.2f} s for ansible.builtin.setup"


def main(counts: Sequence[int]) -> None:
    """Print a row for each number of hosts, all of which are set up already but for the program, and the lines."""
    names = [field.name.replace("_", " ") for field in fields(Row)]
    print(" | ".join(("hosts", "run", *names)), flush=True)
    rows: dict[str, dict[int, Row]] = {"first": {}, "second": {}}
    with _watches_for(max(counts) + 1), Fleet("trixie") as fleet:
        for count in counts:
            while len(fleet.hosts) < count:
                fleet.add(f"mail{len(fleet.hosts) + 1}", "trixie", "msa")
            fleet.controller.run(["rm", "-rf", FOLDER])
            fleet.export(msa_serial=[1, "100%"])
            for host in fleet.hosts.values():
                host.run(["rm", "-f", PROGRAM])
            for run in rows:
                row = rows[run][count] = one_run(fleet)
                shown = (f"{getattr(row, field.name):.1f}" for field in fields(Row))
                print(" | ".join((str(count), run, *shown)), flush=True)
    for run, by_count in rows.items():
        for field, name in zip(fields(Row), names, strict=True):
            if len(by_count) > 1:
                found = [getattr(row, field.name) for row in by_count.values()]
                slope, start = statistics.linear_regression(list(by_count), found)
                print(f"{run}: {name} = {start:.1f} + {slope:.2f} * hosts")


@contextmanager
def _watches_for(machines: int) -> Iterator[None]:
    """Let root watch as many files as the systemd of so many machines does; a kernel's own limit is met by some twenty."""
    before = _INSTANCES.read_text()
    _INSTANCES.write_text(str(max(int(before), 16 * machines)))
    try:
        yield
    finally:
        _INSTANCES.write_text(before)


def one_run(fleet: Fleet) -> Row:
    """site.yml on all hosts, five at a time."""
    host, count = fleet.hosts["mail1"], len(fleet.hosts)
    _watch(fleet.controller, "ansible")
    _watch(host, "python")
    before, used = _bytes(fleet), _processor(fleet)
    command = ["ansible-playbook", *VAULT_OPTIONS, "site.yml", "--forks", str(_FORKS)]
    done = fleet.controller.run(["python3", "-c", _MEASURED, *command], cwd=FOLDER, timeout=3600)
    code, seconds, processor = json.loads(done.stdout)
    assert code == 0, f"{count} hosts: exit {code}"
    over, used = (_bytes(fleet) - before) / count / 1024, (_processor(fleet) - used) / count
    return Row(seconds, processor, used, _peak(fleet.controller), _peak(host), over)


def _watch(machine: Machine, word: str) -> None:
    """Begin to watch the memory of processes."""
    machine.put(f"{_WATCHER}.py", _PEAK)
    env = {"WORD": word, "OUT": f"{_WATCHER}.peak"}
    machine.run(f"setsid python3 {_WATCHER}.py >/dev/null 2>&1 & echo $! >{_WATCHER}.pid", env=env)


def _peak(machine: Machine) -> float:
    """MB, at most since `_watch`."""
    machine.run(f"kill $(cat {_WATCHER}.pid)")
    return int(machine.read(f"{_WATCHER}.peak")) / 1024


def _processor(fleet: Fleet) -> float:
    """Seconds that all processes of all hosts have used (cgroup v2, cpu.stat)."""
    texts = [(machine.cgroup / "cpu.stat").read_text() for machine in fleet.hosts.values()]
    return sum(int(dict(map(str.split, text.splitlines()))["usage_usec"]) for text in texts) / 1_000_000


def _bytes(fleet: Fleet) -> int:
    """What the controller has sent and received."""
    shown = fleet.controller.run(["ip", "-s", "-j", "link", "show", "net0"]).stdout
    counted = json.loads(shown)[0]["stats64"]
    return int(counted["rx"]["bytes"]) + int(counted["tx"]["bytes"])


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 4, 16, 32])
