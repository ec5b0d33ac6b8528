"""One msa-wizard at a time: the second says who, and since when, and changes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.machine import as_root
from tests.survival.machine import Wizard, make_machine
from tests.unit.troubleshoot.pictures import picture
from wizard.debug import SASLAUTHD
from wizard.engine.journal import Journal
from wizard.errors import Locked
from wizard.system import lock
from wizard.system.lock import free, held

LOCKED = 5


@contextlib.contextmanager
def holder(path: Path, who: str = "alice", work: str = "") -> Iterator[int]:
    """Another process that holds the lock; its pid. It is killed in the end."""
    ready, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        with held(path, who, work):
            os.write(say, b"1")
            signal.pause()
        os._exit(0)
    try:
        assert os.read(ready, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(say)


def test_the_second_says_what_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    words = rf"alice has been running msa-wizard \(pid {os.getpid()}, saslauthd in debug mode\) since "
    with (
        held(path, "alice", "saslauthd in debug mode"),
        pytest.raises(Locked, match=words),
        held(path, "bob"),
    ):
        pass


def test_the_second_says_who_and_since_when(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as pid:
        assert not free(path)
        words = rf"alice has been running msa-wizard \(pid {pid}\) since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\Z"
        with pytest.raises(Locked, match=words), held(path, "bob"):
            pass
        with pytest.raises(Locked, match="alice"), held(path, "carol"):
            pass
    # It was killed: nobody has to clean up behind it.
    assert free(path)
    with held(path, "bob"):
        assert not free(path)
    assert free(path)


def test_a_holder_who_has_not_said_who_yet(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for content in (b"", b'{"pid": 1', b"[]", b'{"pid": 1, "who": "x", "since": "then"}'):
        with holder(path):
            path.write_bytes(content)
            with pytest.raises(Locked, match="another msa-wizard has just started"), held(path, "bob"):
                pass


def test_a_shorter_name_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path, "a-very-long-name-indeed"):
        pass
    with (
        holder(path, "al") as pid,
        pytest.raises(Locked, match=rf"al has been running msa-wizard \(pid {pid}\)"),
        held(path, ""),
    ):
        pass


@pytest.mark.parametrize("target", ["precious", "nowhere"])
def test_a_link_in_its_place_is_not_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(OSError, match="Too many levels of symbolic links"), held(tmp_path / "lock", "bob"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert free(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize("command", [("apply", "--yes"), ("rollback", "--all", "--yes"), ("recover",)])
def test_a_second_run_changes_nothing_and_looking_on_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    machine, wizard = make_machine(tmp_path / "machine"), Wizard(monkeypatch)
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    before = machine.picture()
    with holder(machine.home / "lock") as pid:
        capfd.readouterr()
        assert wizard.run(machine, *command) == LOCKED
        said = capfd.readouterr()
        assert said.out == ""
        assert re.search(
            rf"alice has been running msa-wizard \(pid {pid}\) since .*Nothing was changed; wait for it to end",
            said.err,
        )
        assert wizard.run(machine, "status") == 0
        assert wizard.run(machine, "history") == 0
    assert machine.picture() == before
    assert wizard.run(machine, *command) == 0


@pytest.mark.parametrize("command", ["status", "plan", "troubleshoot"])
def test_who_is_at_work_is_said_with_what_is_seen_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    machine, wizard = make_machine(tmp_path / "machine"), Wizard(monkeypatch)
    as_root(monkeypatch)
    machine.home.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr("wizard.cli.troubleshoot.take", lambda *_: picture())
    for work, named in ((SASLAUTHD, ", saslauthd in debug mode"), ("", "")):
        capfd.readouterr()
        with holder(machine.home / "lock", work=work) as pid:
            wizard.run(machine, command)
        words = (
            rf"alice has been running msa-wizard \(pid {pid}{named}\) since [-:0-9 ]+: "
            "what is seen of the host meanwhile may not stay"
        )
        assert re.search(words, " ".join(capfd.readouterr().err.split()))
    wizard.run(machine, command)
    assert "meanwhile" not in capfd.readouterr().err


def test_a_run_at_work_was_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine, wizard = make_machine(tmp_path / "machine"), Wizard(monkeypatch)
    as_root(monkeypatch)
    machine.home.mkdir(parents=True, exist_ok=True)
    Journal(machine.home / "journal").begin("debug", "f" * 12, "alice", "0" * 40, {})
    assert wizard.run(machine, "recover", "--show") == 0
    assert "`debug`, begun by alice" in capfd.readouterr().out
    with holder(machine.home / "lock") as pid:
        assert wizard.run(machine, "recover", "--show") == 0
    said = capfd.readouterr().out
    assert re.match(rf"alice has been running msa-wizard \(pid {pid}\) since ", said)
    assert "interrupted" not in said


def test_nobody_else_is_at_work_where_we_are(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path, "alice"):
        assert lock.holder(path) == ""
    assert lock.holder(path) == ""
