"""Times the snapshot store in a machine and prints the seconds (for `size` the bytes) as JSON.

Run there by `tests.bench.store`, with the program's own Python: `commits COUNT`, `rollback` or `size`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from store_commit import ALICE, STORE, record  # type: ignore[import-not-found]

from snapshots.format.message import Commit
from snapshots.live.entry import write_entry
from snapshots.store import Store

ROUNDS = 7
ETC = Path("/etc")
FILLER = ETC / "filler"

AS_LAUNCHED = """import gc, sys
sys.path[:0] = sys.argv[1:]
from wizard.cli.main import collect_seldom
collect_seldom()
from store_commit import STORE, Store, record
record(Store.open(STORE))
gc.freeze()"""
"""One commit of a fresh process. Its flags, and what it does at its beginning and its end, are those of the program."""


def main(what: str, *arguments: str) -> None:
    """Print what was timed."""
    times: dict[str, list[float]]
    match what:
        case "commits":
            times = commits(int(arguments[0]))
        case "rollback":
            times = rollback()
        case _:
            times = size()
    print(json.dumps(times))


def commits(count: int) -> dict[str, list[float]]:
    """One changed file in an /etc of `count` files, for both stores in turn."""
    fill(count)
    record(Store.open(STORE))
    etckeeper()
    change("compiled")
    process()
    times: dict[str, list[float]] = {"process": [], "commit": [], "etckeeper": [], "look": []}
    for number in range(ROUNDS):
        change(f"process {number}")
        times["process"].append(seconds(process))
        change(f"etckeeper {number}")
        times["etckeeper"].append(seconds(etckeeper))
        store = Store.open(STORE)
        times["commit"].append(seconds(lambda: record(store)))  # noqa: B023
        times["look"].append(seconds(look))
    return times


def rollback() -> dict[str, list[float]]:
    """A commit of one file, and the way back of it, in an /etc of 2,000 files."""
    fill(2_000)
    store = Store.open(STORE)
    record(store)
    times: dict[str, list[float]] = {"commit": [], "back": []}
    for number in range(3 * ROUNDS):
        change(f"step {number}")
        made: list[Commit] = []
        times["commit"].append(seconds(lambda: made.append(record(store))))  # noqa: B023
        times["back"].append(seconds(lambda: take_back(store, made[0])))  # noqa: B023
    return times


def size() -> dict[str, list[float]]:
    """Bytes after 1,000 commits of one line each, in 37 files."""
    shutil.rmtree(STORE)
    fill(2_000)
    store = Store.open(STORE)
    record(store)
    for number in range(1_000):
        path = FILLER / f"{number % 37}/0"
        with path.open("a") as file:
            file.write(f"option{number} = {number * number}\n")
        record(store)
    clone = STORE.with_name("clone.git")
    for command in (
        ["git", "clone", "--quiet", "--bare", "--no-local", str(STORE), str(clone)],
        ["git", f"--git-dir={clone}", "repack", "-a", "-d", "-f", "-q"],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {"ours": [float(bytes_in(STORE))], "git": [float(bytes_in(clone))]}


def fill(count: int) -> None:
    """Makes /etc hold that many files."""
    shutil.rmtree(FILLER, ignore_errors=True)
    there = sum(len(files) for folder, _, files in os.walk(ETC) if "/.git" not in folder)
    for number in range(count - there):
        path = FILLER / str(number // 20) / str(number % 20)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"option{line} = {line * number}\n" for line in range(12)))
    time.sleep(0.1)  # else the newest of them would have to be read again


def change(word: str) -> None:
    """Other content in one file."""
    (FILLER / "0/0").write_text(f"changed = {word}\n")


def process() -> None:
    """The commit of a fresh process."""
    flags = ["-I", "-X", f"pycache_prefix={sys.pycache_prefix}", "-c", AS_LAUNCHED]
    folders = [os.environ["PYTHONPATH"], str(Path(__file__).parent)]
    subprocess.run([sys.executable, *flags, *folders], check=True)


def take_back(store: Store, commit: Commit) -> None:
    """One file as it was before the commit, and a commit of that."""
    reversal = store.reverse([commit])
    for path, (_, wanted) in reversal.targets.items():
        assert wanted is not None
        write_entry(Path("/") / path, wanted)
    store.commit(operation="rollback", subject="back", run="1", author=ALICE, reverts=[commit.id])


def etckeeper() -> None:
    """What etckeeper does for the same."""
    subprocess.run(["etckeeper", "commit", "a change"], check=True, stdout=subprocess.DEVNULL)


def look() -> None:
    """A stat of every file in /etc."""
    pending = [os.fsencode(ETC)]
    while pending:
        with os.scandir(pending.pop()) as listing:
            for item in listing:
                item.stat(follow_symlinks=False)
                if item.is_dir(follow_symlinks=False) and item.name != b".git":
                    pending.append(item.path)


def seconds(deed: Callable[[], object]) -> float:
    """Wall time of it."""
    began = time.perf_counter()
    deed()
    return time.perf_counter() - began


def bytes_in(folder: Path) -> int:
    """What is in the files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


main(*sys.argv[1:])
