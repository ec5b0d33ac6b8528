"""What the user names to be written: files are replaced whole, devices and pipes are written to, the rest is refused."""

from __future__ import annotations

import ast
import os
import pty
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import machine
from wizard.errors import AnswersError
from wizard.steps.absent import not_there_yet
from wizard.system.output_file import AlreadyThere, OutputError, check_output, keep, save

PROJECT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and files of others")


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    check_output(path)
    assert save(path, "Grüße\n") == f"{path} is written, readable for you alone."
    assert path.read_bytes() == "Grüße\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_for_users_is_readable_for_users(tmp_path: Path) -> None:
    path = tmp_path / "mail-settings.txt"
    assert save(path, "x", 0o644) == f"{path} is written, readable for everybody."
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_whole_path_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert save(Path("x.md"), "x").startswith(f"{tmp_path}/x.md is written")


def test_what_is_there_is_replaced_only_when_that_was_said(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text("mine")
    for act in (lambda: check_output(path, force=False), lambda: save(path, "new")):
        with pytest.raises(AlreadyThere, match=r"there already.* --force replaces it"):
            act()
    assert path.read_text() == "mine"
    assert "is replaced" in save(path, "new", force=True)
    assert path.read_text() == "new"


def test_the_settings_are_kept_for_everybody_to_read(tmp_path: Path) -> None:
    path = tmp_path / "msa-wizard/answers.toml"
    for text in ("one", "two"):
        assert keep(path, text) == f"The settings are saved in {path}."
        assert path.read_text() == text
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path)] == [0o755, 0o644]


@needs_root
@pytest.mark.parametrize("mode", [0o644, 0o400, 0o660])
def test_a_file_of_another_keeps_owner_mode_and_attributes(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "report.md"
    path.write_text("old")
    path.chmod(mode)
    os.chown(path, 1234, 2345)
    os.setxattr(path, "user.colour", b"blue")
    assert f"keeps its owner and its mode, {mode:04o}" in save(path, "new", force=True)
    found = path.stat()
    assert (path.read_text(), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (
        "new",
        mode,
        1234,
        2345,
    )
    assert os.getxattr(path, "user.colour") == b"blue"


@needs_root
@pytest.mark.parametrize("number", [os.makedev(1, 3), os.makedev(1, 5)])  # as /dev/null and /dev/zero
def test_a_device_is_written_to_and_stays(tmp_path: Path, number: int) -> None:
    path = tmp_path / "device"
    os.mknod(path, 0o666 | stat.S_IFCHR, number)
    path.chmod(0o666)
    before = path.lstat()
    check_output(path)
    assert save(path, "x" * 200_000) == f"It is written to the device {path}."
    after = path.lstat()
    assert (after.st_mode, after.st_rdev, after.st_ino) == (before.st_mode, number, before.st_ino)
    assert [item.name for item in tmp_path.iterdir()] == ["device"]


@needs_root
def test_a_device_that_is_full_says_so(tmp_path: Path) -> None:
    path = tmp_path / "device"
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 7))  # as /dev/full
    with pytest.raises(OutputError, match="No space left on device"):
        save(path, "x")
    assert stat.S_ISCHR(path.lstat().st_mode)


def test_a_pipe_is_written_to_whole(tmp_path: Path) -> None:
    path, text, got = tmp_path / "pipe", "line\n" * 60_000, list[str]()
    os.mkfifo(path)

    def read() -> None:
        time.sleep(0.3)  # the reader comes later
        got.append(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    assert save(path, text) == f"It is written to the pipe {path}."
    reader.join()
    assert got == [text]
    assert path.is_fifo()


def test_a_terminal_is_written_to() -> None:
    ours, theirs = pty.openpty()
    try:
        name = Path(os.ttyname(theirs))
        assert "to the device" in save(name, "hello\n")
        assert os.read(ours, 100) == b"hello\r\n"
        assert name.is_char_device()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_pipe_that_nobody_reads_is_an_error_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.system.output_file.PATIENCE", 0.2)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OutputError, match="nobody reads from this pipe"):
        save(path, "x")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OutputError, match="it takes nothing more"):
        save(path, "x" * 1_000_000)
    os.close(descriptor)
    assert path.is_fifo()


def folder(path: Path) -> None:
    path.mkdir()


def link_to_file(path: Path) -> None:
    path.with_name("other").write_text("stays")
    path.symlink_to("other")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/null")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def pasted(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True)


@pytest.mark.parametrize("make", [folder, link_to_file, link_to_nothing, a_socket, a_pipe])
def test_what_is_in_the_way_of_the_settings_goes_by_the_command_that_is_named(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "it's/answers.toml"
    path.parent.mkdir()
    make(path)
    with pytest.raises(OutputError, match=r"could not be written: it is .* Nothing was changed; ") as caught:
        keep(path, "new")
    assert "option" not in str(caught.value)
    pasted(str(caught.value).split("`")[1])
    other = path.with_name("other")
    assert not other.exists() or path.read_text() == "stays", "the settings that were in force"
    keep(path, "new")
    assert path.read_text() == "new"
    assert not other.exists() or other.read_text() == "stays"


def test_the_way_from_a_link_to_the_file_itself_is_one_for_a_shell(tmp_path: Path) -> None:
    kept, place = tmp_path / "my settings", tmp_path / "own answers.toml"
    kept.mkdir()
    (kept / "answers.toml").write_text("# own\n")
    place.symlink_to(kept / "answers.toml")
    with pytest.raises(OutputError) as refused:
        keep(place, "x")
    command = str(refused.value).split("`")[1]
    subprocess.run(["sh", "-c", command], check=True)
    assert (place.is_symlink(), place.read_text()) == (False, "# own\n")
    keep(place, "x")
    step = not_there_yet(
        machine("13", files={"/etc/x": Entry(Kind.SYMLINK, 0o777, 0, 0, b"y z")}), "step", "/etc/x"
    )
    assert step is not None
    assert '"$(readlink -f /etc/x)"' in step.remedy[0]


@pytest.mark.parametrize("make", [folder, link_to_file, link_to_nothing, link_to_device, a_socket])
def test_the_rest_is_refused_and_stays(tmp_path: Path, make: object) -> None:
    path = tmp_path / "it"
    assert callable(make)
    make(path)
    before = path.lstat()
    for act in (lambda: check_output(path), lambda: save(path, "new")):
        with pytest.raises(OutputError, match=r"could not be written: it is a .* Nothing was changed; name "):
            act()
    after = path.lstat()
    assert (after.st_mode, after.st_ino, after.st_mtime_ns) == (
        before.st_mode,
        before.st_ino,
        before.st_mtime_ns,
    )
    if (other := tmp_path / "other").exists():
        assert other.read_text() == "stays"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "name", ["gone/report.md", "file/report.md", "x" * 300, "nul\0l", "", ".", "..", "a\x1b[31mb/x"]
)
def test_what_no_file_can_be_is_a_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("stays")
    path = tmp_path / name if name else Path()
    with pytest.raises(AnswersError, match="could not be written: ") as caught:
        save(path, "new")
    assert str(caught.value).isprintable()
    assert (tmp_path / "file").read_text() == "stays"


def test_everything_that_a_user_names_goes_this_way() -> None:
    """No other module of the commands and screens writes to a path of the user's."""
    allowed = {"wizard/system/output_file.py", "wizard/system/host.py", "screens/launch.py"}
    writers = {"write_entry", "write_text", "write_bytes"}
    for file in [
        *PROJECT.glob("screens/**/*.py"),
        *PROJECT.glob("wizard/*_command*.py"),
        PROJECT / "wizard/render/files.py",
    ]:
        name = str(file.relative_to(PROJECT))
        names = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Attribute | ast.Name)
        }
        assert name in allowed or not names & writers, name
