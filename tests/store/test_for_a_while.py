"""What holds for a while goes back at the end, at an error and after a kill; the guard's script by a real sh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from templates import render
from wizard.changes.file import FileChange
from wizard.engine.journal import Journal, unfinished
from wizard.engine.temporary import ForAWhile, settled
from wizard.system import guard as guards
from wizard.system.guard import Revert, clear_guards, started
from wizard.system.host import Host


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host below a folder; no timer is started for its guard."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").write_text("old\n")
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setattr(guards, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(guards, "_start", lambda *_: None)
    return tmp_path


def made(root: Path) -> ForAWhile:
    store = Store.open(root / "state/etc.git", root=root)
    return ForAWhile(Host(root), store, Journal(root / "state/journal"), lambda: None, lambda _: None)


def change(root: Path) -> FileChange:
    now = Host(root).entry("/etc/a")
    assert now is not None
    return FileChange("/etc/a", now, replace(now, content=b"for a while\n"), "another a")


def test_it_holds_inside_and_goes_back_after(root: Path) -> None:
    work = made(root)
    assert not work.begun
    with work.changed("debug-it", [change(root)], Revert(("true",), (("while-kept", b"x"),)), 60):
        assert work.begun
        assert (root / "etc/a").read_text() == "for a while\n"
        told = unfinished(root / "state/journal")
        assert told is not None
        assert (told.operation, told.step) == ("debug", "debug-it")
        assert (root / "run/while-kept").stat().st_mode & 0o777 == 0o600
    assert (root / "etc/a").read_text() == "old\n"
    assert unfinished(root / "state/journal") is None
    assert not list((root / "run").glob("*.sh")), "the guard finds no script any more"
    assert any(item.subject.startswith("debug-it: for ") for item in work.store.history())


def test_an_error_inside_puts_it_back(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), made(root).changed("debug-it", [change(root)], Revert(()), 60):
        1 / 0  # noqa: B018
    assert (root / "etc/a").read_text() == "old\n"
    assert unfinished(root / "state/journal") is None


def test_a_change_that_cannot_be_made_puts_back_those_before_it(root: Path) -> None:
    stale = FileChange("/etc/a", Entry(Kind.FILE, 0o644, 0, 0, b"never\n"), None, "stale")
    with (
        pytest.raises(Exception, match="changed"),
        made(root).changed("x", [change(root), stale], Revert(()), 60),
    ):
        raise AssertionError("not reached")
    assert (root / "etc/a").read_text() == "old\n"
    assert unfinished(root / "state/journal") is None


def script(root: Path, pid: int, *commands: str, until: int | None = None) -> subprocess.Popen[bytes]:
    up = int(float(Path("/proc/uptime").read_text().split()[0]))
    text = render(
        "guard.sh.j2",
        decision=root / "run/while-1.decision",
        lock=root / "run/service.lock",
        commands=commands,
        watched={"pid": pid, "started": started(pid), "until": up + (600 if until is None else until)},
    )
    (root / "run/while-1.sh").write_text(text)
    return subprocess.Popen(["sh", str(root / "run/while-1.sh")])


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_the_guard_acts_once_we_are_killed(root: Path) -> None:
    with sleeper() as us:
        guard = script(root, us.pid, f"echo back >>{root}/done")
        time.sleep(1.2)
        assert guard.poll() is None
        assert not (root / "done").exists()
        us.send_signal(signal.SIGKILL)
        us.wait()
        assert guard.wait(10) == 0
    assert (root / "done").read_text() == "back\n"


def test_the_guard_acts_when_the_time_is_over(root: Path) -> None:
    guard = script(root, os.getpid(), f"echo back >>{root}/done", until=1)
    assert guard.wait(10) == 0
    assert (root / "done").read_text() == "back\n"


def test_the_guard_does_nothing_once_it_is_decided(root: Path) -> None:
    guard = script(root, os.getpid(), f"touch {root}/done")
    time.sleep(0.3)
    clear_guards(Host(root), "while")
    assert guard.wait(10) == 0
    assert not (root / "done").exists()


def test_recovery_waits_for_a_guard_that_is_at_work(root: Path) -> None:
    with sleeper() as us:
        guard = script(root, us.pid, f"sleep 2; echo back >>{root}/done")
        time.sleep(0.3)
        us.send_signal(signal.SIGKILL)
        us.wait()
        while not (root / "run/while-1.decision").exists():
            time.sleep(0.05)
        began = time.monotonic()
        waiting = threading.Thread(target=guard.wait)  # what has ended must not stay behind as a zombie
        waiting.start()
        settled(Host())
        assert time.monotonic() - began > 1
        assert (root / "done").read_text() == "back\n"
        waiting.join(5)
