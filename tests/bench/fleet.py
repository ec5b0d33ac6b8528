"""A fleet by Ansible: `plan` of a host that is set up against `ansible.builtin.setup` on it; and, run by itself, what more hosts
cost: `python -m tests.bench.fleet [HOSTS...]` prints a table of seconds, memory and bytes, and a fitted line."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence

from tests.system.fleet import FOLDER, VAULT_OPTIONS, Fleet

LIMIT = 3.0
_ROUNDS = 5
_MEASURED = """
import json, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


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
    print("hosts  run     seconds  processor  controller MB  KB over the network per host")
    rows = []
    with Fleet("trixie") as fleet:
        for count in counts:
            while len(fleet.hosts) < count:
                fleet.add(f"mail{len(fleet.hosts) + 1}", "trixie", "msa")
            fleet.controller.run(["rm", "-rf", FOLDER])
            fleet.export(msa_serial=[1, "100%"])
            for host in fleet.hosts.values():
                host.run("rm -f /usr/local/sbin/msa-wizard")
            for run in ("first", "second"):
                before = _bytes(fleet)
                command = ["ansible-playbook", *VAULT_OPTIONS, "site.yml", "--forks", str(max(5, count))]
                done = fleet.controller.run(["python3", "-c", _MEASURED, *command], cwd=FOLDER, timeout=3600)
                code, seconds, processor, memory = json.loads(done.stdout)
                assert code == 0, f"{count} hosts: exit {code}"
                over = (_bytes(fleet) - before) / count / 1024
                print(
                    f"{count:<6} {run:<7} {seconds:7.1f} {processor:10.1f} {memory / 1024:14.0f} {over:12.0f}",
                    flush=True,
                )
                rows.append((run, count, seconds, processor))
    for run in ("first", "second"):
        for name, index in (("seconds", 2), ("processor seconds of the controller", 3)):
            points = [(float(row[1]), float(row[index])) for row in rows if row[0] == run]
            if len(points) > 1:
                slope, start = statistics.linear_regression(*zip(*points, strict=True))
                print(f"{run}: {name} = {start:.1f} + {slope:.2f} * hosts")


def _bytes(fleet: Fleet) -> int:
    """What the controller has sent and received."""
    shown = fleet.controller.run(["ip", "-s", "-j", "link", "show", "net0"]).stdout
    counted = json.loads(shown)[0]["stats64"]
    return int(counted["rx"]["bytes"]) + int(counted["tx"]["bytes"])


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 4, 16, 32])
