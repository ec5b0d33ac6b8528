"""The log: what is in it, what never is, and that it harms nobody."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from wizard import log
from wizard.cli import main as cli
from wizard.errors import HostError
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host

PASSWORD = "cl0uds&over Ghent"
HASH = "$6$saltsalt$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the log is."""
    log.end()  # of passwords that other tests have made up
    monkeypatch.setattr(log, "PATH", tmp_path / "msa-wizard.log")
    yield tmp_path / "msa-wizard.log"
    log.end()


@pytest.fixture
def begun(path: Path) -> Path:
    if os.getuid() != 0:
        pytest.skip("only root has a log")
    log.begin(["apply", "--yes"])
    return path


def test_a_run_its_commands_and_its_changes(begun: Path, tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.run(["sh", "-c", "echo one; echo two >&2; exit 3"])
    with pytest.raises(HostError):
        host.run(["sleep", "5"], timeout=0.1)
    with pytest.raises(HostError):
        host.run(["/no/such/command"])
    host.write("/a file", Entry(Kind.FILE, 0o640, 0, 0, b"content"))
    host.remove("/a file")
    log.note("asked: go on? yes")
    text = begun.read_text()
    assert "msa-wizard apply --yes" in text
    assert "$ sh -c 'echo one; echo two >&2; exit 3'" in text
    assert re.search(r"exit 3 after \d+\.\d", text)
    assert "    one\n" in text
    assert "    two\n" in text
    assert "sleep 5 did not end within 0 s" in text
    assert "/no/such/command could not be started" in text
    assert "wrote /a file: file, mode 0640, 7 bytes" in text
    assert "removed /a file" in text
    assert "asked: go on? yes" in text
    assert stat.S_IMODE(begun.stat().st_mode) == 0o600


def test_no_secret_of_any_kind(begun: Path) -> None:
    Credentials("alice", PASSWORD)
    plain = base64.b64encode(b"\0alice\0" + PASSWORD.encode()).decode()
    login = base64.b64encode(PASSWORD.encode()).decode()
    halves = f"{PASSWORD[:5]}\x1b[31m{PASSWORD[5:]}"
    words = (f"tried {PASSWORD} for her", plain, login, f"alice:{HASH}:19000:", halves, KEY)
    host = Host()
    for each in words:
        log.note(each)
        host.run(["printf", "%s", each])
    host.run(["printf", "%s", "x" * 9000 + "\n" + KEY + "\n" + "y" * 9000])
    host.run(["echo", "another one's"], secret=True)
    try:
        raise ValueError(f"bad: {PASSWORD}")
    except ValueError:
        log.exception()
    text = begun.read_text()
    for secret in (PASSWORD, plain, login, HASH, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "\x1b"):
        assert secret not in text
    assert "[password 1]" in text
    assert "s: echo 'another one'\"'\"'s'\n    (not shown)\n" in text
    assert "ValueError: bad: ********" in text


def test_hostile_text_cannot_look_like_a_record(begun: Path) -> None:
    log.note("a line\n2026-01-01T00:00:00+0000 [1] exit code 0\r\x1b[2J\u202eb\x00")
    lines = begun.read_text().splitlines()
    assert [line[:4] == "    " for line in lines] == [False, False, True, True]
    assert lines[-1].isprintable()


def test_much_output_is_cut_in_its_middle(begun: Path) -> None:
    Host().run(["seq", "100000"])
    text = begun.read_text()
    assert "    1\n" in text
    assert "characters left out]" in text
    assert "    100000\n" in text
    assert len(text) < 20_000


def test_it_is_renamed_once_it_is_full(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LONGEST", 5000)
    for number in range(200):
        log.note(f"{number} {'x' * 90}")
    older = begun.with_name(f"{begun.name}.1")
    assert begun.stat().st_size <= 5000
    assert older.stat().st_size <= 5000
    assert f" {199} " in begun.read_text()
    assert sorted(item.name for item in begun.parent.iterdir()) == [begun.name, older.name]
    assert stat.S_IMODE(begun.stat().st_mode) == stat.S_IMODE(older.stat().st_mode) == 0o600


def test_where_logrotate_renames_it_only_a_very_long_one_is_renamed(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = begun.with_name(f"{begun.name}.1")
    kept.write_text("what logrotate has renamed last, and compresses next time")
    rotated = [begun.with_name(name) for name in ("logrotate", "msa-wizard")]
    monkeypatch.setattr(log, "ROTATED", tuple(map(str, rotated)))
    monkeypatch.setattr(log, "LONGEST", 5000)
    monkeypatch.setattr(log, "LONGEST_ROTATED", 15000)
    for path in rotated:
        path.touch()
    for _ in range(100):
        log.note("x" * 90)
    assert begun.stat().st_size > 10_000
    assert kept.read_text().startswith("what logrotate")
    for _ in range(100):
        log.note("x" * 90)
    assert begun.stat().st_size < 15_000
    assert not kept.read_text().startswith("what logrotate")
    rotated[0].unlink()
    log.note("logrotate was removed, and its settings stayed")
    assert begun.stat().st_size < 5000


def test_logrotate_may_take_it_away(begun: Path) -> None:
    begun.rename(begun.with_name("taken"))
    log.note("after that")
    assert "after that" in begun.read_text()


@pytest.mark.parametrize("kind", ["link", "hard link", "folder", "pipe", "full", "of all", "no folder"])
def test_whatever_is_there_the_program_goes_on(
    path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    victim = path.with_name("victim")
    victim.write_text("untouched")
    match kind:
        case "link":
            path.symlink_to(victim)
        case "hard link":
            path.hardlink_to(victim)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "full":
            log.PATH = Path("/dev/full")
        case "of all":
            path.touch(0o644)
        case "no folder":
            log.PATH = path / "none" / "log"
    log.begin(["status"])
    assert Host().run(["echo", "works"]).stdout == "works\n"
    assert victim.read_text() == "untouched"
    assert capfd.readouterr() == ("", "")
    if kind == "of all" and os.getuid() == 0:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nobody_but_root_writes_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    log.begin(["status"])
    Host().run(["true"])
    assert not path.exists()


def test_verbose_shows_the_commands_to_anybody(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    log.begin(["status"], verbose=True)
    Host().run(["echo", "its output"])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.split(" after")[0] for line in shown.err.splitlines()] == ["$ echo 'its output'", "exit 0"]


def test_a_command_its_exit_code_and_its_error(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root has a log")
    assert cli.main(["apply", "no-such-step", "--yes"]) == 2
    text = path.read_text()
    assert "error: there is no step 'no-such-step'" in text
    assert "exit code 2" in text


def test_a_mistake_of_ours_leaves_its_frames(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_: object) -> int:
        raise KeyError("no such thing")

    if os.getuid() != 0:
        pytest.skip("only root has a log")
    monkeypatch.setattr("wizard.cli.steps.history", wrong)
    with pytest.raises(KeyError):
        cli.main(["history"])
    assert "KeyError: 'no such thing'" in path.read_text()


def test_quiet_shows_errors_and_data_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "no-such-step", "--quiet"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "there is no step" in shown.err
