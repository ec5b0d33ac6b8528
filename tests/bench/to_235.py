"""From a bare machine to an accepted login (235): by `msa-wizard apply --yes`, and in a rehearsal, where msa-wizard has been
started before, and by the one file where nothing but Python is there, its unpacking and git's packages included, against the
same commands in a plain shell script, which installs with apt's defaults. All on the same release, in turns, each on a new
machine."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.one_file import of_the_working_tree
from tests.system.images import with_whole_lists
from tests.system.machine import PROJECT, Machine
from tests.system.msa import PASSWORD, WIZARD, add_alice
from tests.system.releases import RELEASES, Release

LIMITS = {"apply": 0.8, "rehearse": 1.0, "one file": 0.9}
ROUNDS = 3
_FILE = "/root/msa-wizard.pyz"
_LOGIN = """
import base64, smtplib, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
session = smtplib.SMTP("127.0.0.1", 587)
session.starttls(context=context)
session.ehlo()
secret = base64.b64encode(b"\\0alice\\0" + sys.stdin.buffer.readline().rstrip()).decode()
assert session.docmd("AUTH", f"PLAIN {secret}")[0] == 235
"""


def measured(
    rounds: int = ROUNDS, releases: tuple[Release, ...] = RELEASES
) -> Iterator[tuple[str, float, float, str]]:
    """Name, ratio of medians, the most it may be, and what was timed."""
    file = of_the_working_tree()
    for release in releases:
        times: dict[str, list[float]] = {name: [] for name in _WAYS}
        for _ in range(rounds):
            for name, way in _WAYS.items():
                with Machine(
                    with_whole_lists(release, "minimal" if way is _one_file else "ready")
                ) as machine:
                    add_alice(machine)
                    if way is _one_file:
                        machine.run(
                            "apt-get install --yes --quiet=2 --no-install-recommends python3", timeout=300
                        )
                        machine.put(_FILE, file, 0o755)
                    else:
                        compiled(machine)
                    began = time.perf_counter()
                    way(machine)
                    times[name].append(time.perf_counter() - began)
        hand, *ours = (statistics.median(times[name]) for name in _WAYS)
        for (name, limit), seconds in zip(LIMITS.items(), ours, strict=True):
            yield f"{name} {release}", seconds / hand, limit, f"{seconds:.2f} s, {hand:.2f} s by hand"


def compiled(machine: Machine) -> None:
    """The checkout compiled, as the launcher does when it makes its environment, and read from the disk once; the
    image's environment was made for another checkout."""
    python = machine.run("echo /var/lib/msa-wizard/venv-*/bin/python").stdout.strip()
    cache = f"pycache_prefix={python.removesuffix('/bin/python')}/pycache"
    folders = [f"{PROJECT}/{name}" for name in ("wizard", "snapshots", "templates", "screens")]
    machine.run([python, "-I", "-X", cache, "-m", "compileall", "-q", *folders])
    machine.run([python, "-I", "-X", cache, "-c", "import asn1crypto.x509"])
    for command in ("status", "history", "test"):
        machine.run([WIZARD, command], check=False)


def _by_hand(machine: Machine) -> None:
    machine.put("/root/by_hand.sh", Path(__file__).with_name("by_hand.sh").read_bytes(), 0o755)
    machine.run("/root/by_hand.sh", timeout=900)
    _log_in(machine)


def _apply(machine: Machine) -> None:
    machine.run([WIZARD, "apply", "--yes"], timeout=900)
    _log_in(machine)


def _one_file(machine: Machine) -> None:
    machine.run([_FILE, "apply", "--yes"], timeout=900)
    _log_in(machine)


def _rehearse(machine: Machine) -> None:
    machine.run([WIZARD, "rehearse"], timeout=900)  # logs in itself


def _log_in(machine: Machine) -> None:
    machine.run(["python3", "-c", _LOGIN], input=f"{PASSWORD}\n")


_WAYS: dict[str, Callable[[Machine], None]] = {
    "hand": _by_hand,
    "apply": _apply,
    "rehearse": _rehearse,
    "one file": _one_file,
}

if __name__ == "__main__":
    for name, ratio, limit, words in measured(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS):
        print(f"{name:<18} {ratio:5.2f}  (at most {limit:.2f})  {words}", flush=True)
