"""The kill harness: what it counts, and that it kills where it was told to."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from snapshots.live.entry import Entry, Kind, remove_entry, write_entry
from tests.killing.operations import OperationsError, count, kill_at, operations, spread
from wizard.errors import HostError
from wizard.system.host import Host

_TOP = Path(__file__).resolve().parents[2]


def fd_of(path: Path) -> int:
    """A descriptor of the test's own, from before the run."""
    return os.open(path, os.O_RDWR)


ONE: dict[str, tuple[Callable[[Path, int], object], str]] = {
    "open to create": (lambda at, fd: os.open(at / "new", os.O_WRONLY | os.O_CREAT), "open {at}/new"),
    "open to write": (lambda at, fd: os.open(at / "file", os.O_RDWR), "open {at}/file"),
    "write": (lambda at, fd: os.write(fd, b"12345"), "write {at}/file 5 bytes"),
    "pwrite": (lambda at, fd: os.pwrite(fd, b"123", 0), "pwrite {at}/file 3 bytes"),
    "writev": (lambda at, fd: os.writev(fd, [b"1", b"2"]), "writev {at}/file"),
    "fsync": (lambda at, fd: os.fsync(fd), "fsync {at}/file"),
    "fdatasync": (lambda at, fd: os.fdatasync(fd), "fdatasync {at}/file"),
    "ftruncate": (lambda at, fd: os.ftruncate(fd, 0), "ftruncate {at}/file"),
    "truncate": (lambda at, fd: os.truncate(at / "file", 0), "truncate {at}/file"),
    "rename by Path": (lambda at, fd: (at / "file").rename(at / "b"), "rename {at}/file -> {at}/b"),
    "replace by Path": (lambda at, fd: (at / "file").replace(at / "b"), "replace {at}/file -> {at}/b"),
    "unlink by Path": (lambda at, fd: (at / "file").unlink(), "unlink {at}/file"),
    "remove": (lambda at, fd: os.remove(at / "file"), "remove {at}/file"),  # noqa: PTH107
    "mkdir by Path": (lambda at, fd: (at / "d").mkdir(), "mkdir {at}/d"),
    "rmdir": (lambda at, fd: (at / "folder").rmdir(), "rmdir {at}/folder"),
    "symlink": (lambda at, fd: (at / "l").symlink_to("x"), "symlink x -> {at}/l"),
    "link": (lambda at, fd: os.link(at / "file", at / "l"), "link {at}/file -> {at}/l"),
    "mkfifo": (lambda at, fd: os.mkfifo(at / "f"), "mkfifo {at}/f"),
    "chmod by Path": (lambda at, fd: (at / "file").chmod(0o640), "chmod {at}/file 640"),
    "fchmod": (lambda at, fd: os.fchmod(fd, 0o600), "fchmod {at}/file 600"),
    "chown": (lambda at, fd: os.chown(at / "file", -1, -1), "chown {at}/file"),
    "fchown": (lambda at, fd: os.fchown(fd, -1, -1), "fchown {at}/file"),
    "utime": (lambda at, fd: os.utime(at / "file"), "utime {at}/file"),
    "setxattr": (lambda at, fd: os.setxattr(fd, "user.a", b"1"), "setxattr {at}/file"),
    "removexattr": (lambda at, fd: os.removexattr(fd, "user.here"), "removexattr {at}/file"),
}


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """A folder with a file and a folder in it."""
    (tmp_path / "file").write_bytes(b"old")
    os.setxattr(tmp_path / "file", "user.here", b"1")
    (tmp_path / "folder").mkdir()
    return tmp_path


def state(at: Path) -> list[object]:
    """All that an operation of ONE may change."""
    found: list[object] = []
    for path in sorted(at.iterdir()):
        seen = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        xattrs = [] if path.is_symlink() else os.listxattr(path)
        found.append((path.name, seen.st_mode, seen.st_nlink, seen.st_mtime_ns, content, xattrs))
    return found


@pytest.mark.parametrize("kind", ONE)
def test_each_kind_is_counted_and_killed_before_and_after(kind: str, at: Path) -> None:
    act, words = ONE[kind]
    descriptor = fd_of(at / "file")
    before = state(at)
    assert kill_at(1, lambda: act(at, descriptor)) == words.format(at=at)
    assert state(at) == before

    def run() -> None:
        act(at, descriptor)
        (at / "later").mkdir()

    assert kill_at(1, run, after=0) == words.format(at=at)
    assert not (at / "later").exists()
    if kind not in ("open to write", "fsync", "fdatasync", "chown", "fchown"):
        assert state(at) != before, "it was to be done"
    os.close(descriptor)


@pytest.mark.parametrize("kind", ONE)
def test_each_kind_is_one_operation(kind: str, at: Path) -> None:
    act, words = ONE[kind]
    descriptor = fd_of(at / "file")
    assert operations(lambda: act(at, descriptor)) == (words.format(at=at),)
    os.close(descriptor)


def test_reading_is_not_counted(at: Path) -> None:
    def run() -> None:
        (at / "file").read_bytes()
        assert len(list(at.iterdir())) == 2
        print("said")
        os.write(1, b"")
        Path(os.devnull).write_bytes(b"x")

    assert operations(run) == ()


def test_an_atomic_write_in_all_its_operations(at: Path) -> None:
    entry = Entry(Kind.FILE, 0o640, os.getuid(), os.getgid(), b"new", (("user.here", b"2"),))
    target = at / "file"
    done = operations(lambda: write_entry(target, entry))
    draft = f"{at}/.msa-wizard-*"
    assert done == (
        f"open {draft}",
        f"fchown {draft}",
        f"setxattr {draft}",
        f"fchmod {draft} 640",
        f"write {draft} 3 bytes",
        f"setxattr {draft}",
        f"fsync {draft}",
        f"rename {draft} -> {target}",
        f"fsync {at}",
    )
    target.write_bytes(b"old")
    for number, name in enumerate(done, start=1):
        assert kill_at(number, lambda: write_entry(target, entry)) == name
        assert target.read_bytes() == (b"old" if number <= 8 else b"new"), name
    assert kill_at(len(done) + 1, lambda: write_entry(target, entry)) is None
    assert operations(lambda: remove_entry(target)) == (f"unlink {target}", f"fsync {at}")


def test_file_objects_write_and_truncate(at: Path) -> None:
    def run() -> None:
        with (at / "text").open("w", encoding="utf-8") as text:
            text.write("one\n")
            text.flush()
            text.write("two\n")
        with open(at / "file", "r+b") as both:  # noqa: PTH123 - the built-in, too
            assert both.read() == b"old"
            both.truncate(1)
        with tempfile.TemporaryDirectory(dir=at) as folder:
            Path(folder, "x").write_bytes(b"")

    assert [name.replace(str(at), "") for name in operations(run)] == [
        *("open /text", "write /text 4 bytes", "write /text 4 bytes"),
        *("open /file", "ftruncate /file"),
        *("mkdir /tmp*", "open /tmp*/x", "unlink /tmp*/x", "rmdir /tmp*"),
    ]
    assert (at / "text").read_text() == "one\ntwo\n"
    assert (at / "file").read_bytes() == b"o"


def test_a_command_starts_and_ends(at: Path) -> None:
    def run() -> None:
        Host().run(["touch", f"{at}/made"])
        (at / "later").mkdir()

    start, end = f"start touch {at}/made", f"end touch {at}/made: 0"
    assert operations(run) == (start, end, f"mkdir {at}/later")
    (at / "made").unlink()
    (at / "later").rmdir()
    assert kill_at(1, run) == start
    assert not (at / "made").exists()
    assert kill_at(1, run, after=0) == start
    assert (at / "made").exists(), "the command was let end"
    assert kill_at(2, run) == end
    assert not (at / "later").exists()


def test_input_for_a_command_and_the_ways_to_wait(at: Path) -> None:
    def run() -> None:
        subprocess.run(["cat"], input=b"fed", check=True, capture_output=True)
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write("fed")
        process.wait()
        polled = subprocess.Popen(["false"])
        while polled.poll() is None:
            time.sleep(0.01)

    assert [name for name in operations(run) if not name.startswith("write pipe:[*]")] == [
        *("start cat", "end cat: 0") * 2,
        *("start false", "end false: 1"),
    ]
    assert sum(name == "write pipe:[*] 3 bytes" for name in operations(run)) == 2


def test_a_command_that_is_stopped(at: Path) -> None:
    def run() -> None:
        with pytest.raises(HostError, match="was stopped"):
            Host().run(["sleep", "60"], timeout=0.05)

    assert operations(run) == ("start sleep 60", "killpg sleep 60 SIGTERM", "end sleep 60: -15")


def test_a_dialogue_on_a_terminal(at: Path) -> None:
    script = f"read -p 'well? ' x && echo $x >{at}/said"

    def run() -> None:
        child: pexpect.spawn[str] = pexpect.spawn("bash", ["-c", script], encoding="utf-8", timeout=10)
        child.expect_exact("well? ")
        child.sendline("yes")
        child.expect(pexpect.EOF)
        child.close()

    done = operations(run)
    assert done == ("forkpty", "write /dev/ptmx 4 bytes", "end a forked child: 0")
    (at / "said").unlink()
    for number, name in enumerate(done[:2], start=1):
        assert kill_at(number, run) == name
        assert not (at / "said").exists()


def test_so_many_seconds_after_it(at: Path) -> None:
    def run() -> None:
        (at / "first").mkdir()
        time.sleep(0.05)
        (at / "second").mkdir()
        time.sleep(20)
        (at / "third").mkdir()

    assert kill_at(1, run, after=0.5) == f"mkdir {at}/first"
    assert (at / "second").exists()
    assert not (at / "third").exists()


def test_operations_of_threads_count(at: Path) -> None:
    def run() -> None:
        threads = [threading.Thread(target=(at / str(number)).mkdir) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert count(run) == 20
    for number in range(20):
        (at / str(number)).rmdir()
    kill_at(8, run)
    # Other threads may be half-way through theirs.
    assert 1 <= len(list(at.glob("[0-9]*"))) <= 7


def test_an_operation_that_fails_is_one(at: Path) -> None:
    def run() -> None:
        with pytest.raises(FileExistsError):
            (at / "folder").mkdir()
        (at / "later").mkdir()

    assert kill_at(1, run, after=0) == f"mkdir {at}/folder"
    assert not (at / "later").exists()


def test_a_run_that_fails_is_told(at: Path) -> None:
    def run() -> None:
        (at / "d").mkdir()
        raise ValueError("of its own")

    with pytest.raises(OperationsError, match=r"(?s)ValueError: of its own.*at operation 1: mkdir"):
        count(run)
    assert kill_at(1, lambda: sys.exit(3)) is None


def test_what_goes_round_the_counter_is_told(at: Path) -> None:
    import posix

    with pytest.raises(OperationsError, match=r"missed: os\.mkdir"):
        count(lambda: posix.mkdir(str(at / "d")))


def test_commands_that_outlive_the_run_are_told(at: Path) -> None:
    def run() -> None:
        subprocess.Popen(["sleep", "7"])
        (at / "d").mkdir()

    began = time.monotonic()
    with pytest.raises(OperationsError, match=r"still ran 0\.2 s later: sleep 7"):
        kill_at(2, run, patience=0.2)
    assert kill_at(1, run, after=0, patience=None) == "start sleep 7"
    assert time.monotonic() - began < 5


def test_points_over_the_whole_range() -> None:
    assert spread(5, 40) == [1, 2, 3, 4, 5]
    points = spread(1000, 40)
    assert (points[0], points[-1], len(set(points))) == (1, 1000, 40)


def test_as_a_script(tmp_path: Path) -> None:
    """It runs `wizard.cli.main.main`, here a stand-in, with what follows --."""
    stand_in = "import os\ndef main(argv):\n    print(argv)\n    for name in argv:\n        os.mkdir(name)\n    return 7\n"
    (tmp_path / "wizard/cli").mkdir(parents=True)
    (tmp_path / "wizard/cli/main.py").write_text(stand_in)
    names = tmp_path / "names"

    def run(*arguments: str) -> tuple[int, list[str]]:
        script = [sys.executable, str(_TOP / "tests/killing/counter.py"), "--count", str(names), *arguments]
        env = {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run([*script], env=env, cwd=tmp_path, capture_output=True, check=False)
        return done.returncode, names.read_text().splitlines()

    assert run("--", "a", "b") == (7, ["mkdir a", "mkdir b"])
    assert run("--kill-at", "2", "--", "c", "d") == (-9, ["mkdir c", "mkdir d"])
    assert run("--kill-at", "1", "--after", "0", "--", "e", "f") == (-9, ["mkdir e"])
    assert run("--kill-at", "9", "--", "g") == (7, ["mkdir g"])
    assert sorted(path.name for path in tmp_path.glob("[a-g]")) == ["a", "b", "c", "e", "g"]
