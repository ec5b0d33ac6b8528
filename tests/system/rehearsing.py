"""What the tests of the rehearsal look at again and again: the host around it, and its outcome."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from tests.system.machine import Machine
from tests.system.msa import wizard
from tests.system.picture import differences, picture

OWN = ("/var/lib/msa-wizard/venv-", "/var/log/msa-wizard.log", "/var/log/journal/", "/root/")
"""The program's compiled code and its log, what the machine's own daemons log meanwhile, and the tests' own files."""


def rehearsed(debian: Machine, *arguments: str, **options: Any) -> dict[str, Any]:
    """`rehearse --json`, its document with the exit status as `exit`."""
    done = wizard(debian, "rehearse", "--json", *arguments, **options)
    assert done.stdout.startswith("{"), done.stdout[-3000:] + done.stderr[-3000:]
    made: dict[str, Any] = json.loads(done.stdout)
    return made | {"exit": done.returncode}


def shortly(made: dict[str, Any]) -> str:
    """What says why, for a failed assertion."""
    back = made["rollback"]
    said = {
        name: back.get(name) for name in ("failed", "left", "not_undone", "left_paths", "different", "clean")
    }
    return f"{made['verdict']} {made['notes']} {made['errors']} {made['apply'].get('failures')} {made['login'].get('verdict')} {said} {made['log']}"


PROMPT = """
systemctl stop '*.timer'
for _ in $(seq 200); do if test -e /run/agetty.reload; then exit; fi; sleep 0.1; done
echo 'no login prompt in 20 s' >&2; exit 1
"""
"""The last that a boot starts is the login prompt, which may come after the host is said to run (systemd.service(5),
Type=idle) and adds to /run; what timers start would add to it later."""


def around(debian: Machine, *, files: bool = True) -> dict[str, Any]:
    """All of the host that a rehearsal must leave alone: files, mounts, processes, namespaces, cgroups, units."""
    if debian.init == "systemd":
        debian.run(PROMPT)
    spaces = "for kind in mnt pid net uts ipc cgroup; do readlink /proc/[0-9]*/ns/$kind; done | sort -u"
    found: dict[str, Any] = {
        "files": picture(debian) if files else {},
        "run": debian.run("find /run /tmp -xdev | sort").stdout.splitlines(),
        "mounts": debian.run(["cat", "/proc/1/mountinfo"]).stdout,
        "processes": processes(debian),
        "namespaces": debian.run(spaces).stdout,
        "cgroups": debian.run("find /sys/fs/cgroup -name '*rehearsal*'").stdout,
        "links": debian.run(["cat", "/proc/net/dev"]).stdout.splitlines()[2][:6],
    }
    if debian.init == "systemd":
        found["units"] = debian.run(
            "systemctl list-units --all --no-legend --plain | cut -d' ' -f1 | sort"
        ).stdout
        found["logged"] = debian.run("journalctl --no-pager -q -o cat | grep -ci rehears", check=False).stdout
    return found


def processes(debian: Machine) -> Counter[str]:
    """The names of all that runs; what this very look runs, and the kernel's own threads, left out."""
    listed = debian.run("ps -eo comm= | grep -vxE 'ps|sh|grep|timeout|kworker.*'", check=False).stdout
    return Counter(listed.split("\n"))


def untouched(
    debian: Machine, before: dict[str, Any], patience: float = 0.0, *, files: bool = True, but: str = ""
) -> None:
    """Assert that the host is as it was; what ends by itself may take `patience` seconds to do so. Without `files` they
    are not looked at; `but` is a name of `around` that is not."""
    end = time.monotonic() + patience
    while time.monotonic() < end and processes(debian) != before["processes"]:
        time.sleep(0.1)
    now = around(debian, files=files)
    changed = differences(before["files"], now["files"]) if files else []
    assert [line for line in changed if not line.startswith(OWN)] == []
    names = before.keys() - {"files", but}
    assert {name: now[name] for name in names} == {name: before[name] for name in names}
