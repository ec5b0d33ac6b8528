"""How the one file starts: with a stand-in program, as an ordinary user; real machines are in tests/system."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from building import one_file
from building.one_file import first_start
from building.one_file.start import FOR_ROOT
from building.vendor import put
from tests.survival.starters import NOBODY, PROGRAM, as_nobody, environment, group_may_write

_TOP = Path(__file__).resolve().parents[2]
_PYTHON = os.path.realpath(sys.executable)


@dataclass(frozen=True)
class OneFile:
    """The file, and a user's cache, in which it is unpacked."""

    file: Path
    cache: Path

    @property
    def home(self) -> Path:
        return self.cache / "msa-wizard"

    def argv(self, *arguments: str, file: Path | None = None, python: bool = True) -> list[str]:
        start = [_PYTHON] if python else []
        return [*as_nobody(), *start, str(file or self.file), *arguments]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return environment(self.cache, extra)

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | str = "/",
        umask: int = -1,
        file: Path | None = None,
        python: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*arguments, file=file, python=python),
            env=self.environment(env),
            cwd=cwd,
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def programs(self) -> list[Path]:
        return sorted(self.home.glob("program-*"))

    def whole(self) -> bool:
        """One program, with all that it has, and nothing half-made beside it."""
        (program,) = self.programs()
        names = {
            str(path.relative_to(program)) for path in program.rglob("*") if "__pycache__" not in path.parts
        }
        wanted = {".complete", "first_start.py", "msa-wizard", "start.py", *_STAND_IN, "wizard", "wizard/cli"}
        return names == wanted and not list(self.home.glob("unpacking-*"))

    def replaced_by(self, text: str) -> None:
        """Another version in the place of the file."""
        _make(self.file, {**_STAND_IN, "wizard/other.py": text})


_STAND_IN = {
    "wizard/__init__.py": "",
    "wizard/BUILD": "pyz 0123456789abcdef0123456789abcdef01234567\n",
    "wizard/cli/__init__.py": "",
    "wizard/cli/main.py": PROGRAM,
    **{f"wizard/data_{number}.txt": "x" * 4096 for number in range(40)},
}


def _make(file: Path, files: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        for name, text in files.items():
            put(Path(place, name), text.encode())
        one_file.make(Path(place), file, 0)


@pytest.fixture
def fresh() -> Iterator[OneFile]:
    # Not pytest's own folder: that one is closed to the ordinary user who runs the file here.
    place = Path(tempfile.mkdtemp(prefix="msa-wizard one file "))
    place.chmod(0o755)
    made = OneFile(place / "a fi'le/msa-wizard.pyz", place / "cache")
    _make(made.file, _STAND_IN)
    made.cache.mkdir()
    if os.geteuid() == 0:
        os.chown(made.cache, NOBODY, NOBODY)
    yield made
    shutil.rmtree(place)


@pytest.fixture
def ready(fresh: OneFile) -> OneFile:
    first = fresh.run("quick")
    assert (first.returncode, first.stdout) == (0, "")
    assert "unpacking itself, this once, into" in first.stderr
    return fresh


@pytest.mark.parametrize("arguments", [[], ["", " ", "a 'b' \"c\"", "$HOME", "-c", "--", "line\nbreak", "*"]])
def test_arguments_and_folder_arrive_as_given(ready: OneFile, arguments: list[str]) -> None:
    told = json.loads(ready.run(*arguments, cwd="/usr/lib").stdout)
    assert told["argv"] == [str(ready.file), *arguments]
    assert told["cwd"] == "/usr/lib"
    assert told["umask"] == "0o22"


@pytest.mark.parametrize("status", [0, 1, 4, 10])
def test_exit_status_is_the_programs(ready: OneFile, status: int) -> None:
    assert ready.run("exit", str(status)).returncode == status


def test_signals_reach_the_program(ready: OneFile) -> None:
    with subprocess.Popen(
        ready.argv("wait"), env=ready.environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert int(running.stdout.readline()) == running.pid
        running.terminate()
        assert running.wait(10) == -signal.SIGTERM


def test_later_starts_say_nothing_and_make_nothing(ready: OneFile) -> None:
    ready.run()
    before = {path: path.stat().st_ctime_ns for path in ready.cache.rglob("*")}
    assert ready.run("quick").stderr == ""
    assert before == {path: path.stat().st_ctime_ns for path in ready.cache.rglob("*")}


def test_what_was_imported_is_kept_compiled(ready: OneFile) -> None:
    (program,) = ready.programs()
    assert list(program.glob("wizard/cli/__pycache__/main.*.pyc"))


def test_what_is_unpacked_runs_without_the_file(ready: OneFile) -> None:
    ready.file.unlink()
    command = ready.home / "msa-wizard"
    told = json.loads(ready.run("x", file=command).stdout)
    assert told["argv"] == [str(command), "x"]
    assert told["file"].startswith(str(ready.programs()[0]))
    if os.access("/usr/bin/python3", os.X_OK):
        assert ready.run("exit", "7", file=command, python=False).returncode == 7


@pytest.mark.parametrize("python", [True, False])
def test_the_version_needs_nothing_to_be_unpacked(fresh: OneFile, python: bool) -> None:
    for option in ("--version", "-V"):
        shown = fresh.run(option, python=python)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert shown.stdout.startswith("msa-wizard ")
        assert shown.stdout.endswith(" (one file, commit 0123456789ab)\n")
    assert list(fresh.cache.iterdir()) == []


@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="Debian's own Python is not here")
def test_what_is_typed_comes_through_its_first_lines_as_it_is(ready: OneFile) -> None:
    for typed in (["--version", "x y"], ["", "$HOME", "a'b\"c", "*", "\n"], []):
        told = json.loads(ready.run(*(typed or ["argv"]), python=False).stdout)
        assert told["argv"] == [str(ready.file), *(typed or ["argv"])]


def test_a_tab_neither_waits_nor_writes(fresh: OneFile) -> None:
    shown = fresh.run("quick", env={"_ARGCOMPLETE": "1"})
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")
    assert list(fresh.cache.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("arguments", [["apply", "--yes"], ["history"], ["certificate", "show"]])
def test_whoever_is_not_root_is_refused_before_anything_is_unpacked(
    fresh: OneFile, arguments: list[str]
) -> None:
    refused = fresh.run(*arguments)
    told = f"only root can do that; nothing was changed. Run: {shlex.join(['sudo', 'python3', str(fresh.file), *arguments])}"
    assert (refused.returncode, refused.stderr) == (3, f"msa-wizard: {told}\n")
    assert list(fresh.cache.iterdir()) == []
    assert fresh.run(*arguments, "--help").returncode == 0


def test_the_launcher_refuses_the_same_commands() -> None:
    (listed,) = re.findall(r"^    (apply \| .*)\) ;;$", (_TOP / "msa-wizard").read_text(), re.MULTILINE)
    assert set(listed.split(" | ")) == FOR_ROOT


@pytest.mark.parametrize("python", [True, False])
def test_the_callers_python_and_the_hosts_packages_stay_out(ready: OneFile, python: bool) -> None:
    evil = ready.cache / "evil"
    evil.mkdir()
    for name in ("json.py", "fcntl.py", "wizard.py", *([] if python else ["sitecustomize.py"])):
        (evil / name).write_text("raise SystemExit('leaked')\n")
    extra = {"PYTHONPATH": str(evil), "PYTHONSTARTUP": f"{evil}/json.py", "PYTHONINSPECT": "1"}
    done = ready.run(env=extra, cwd=evil, python=python)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["path"][0] == str(ready.programs()[0])
    assert len(told["path"]) == 3
    assert not any("packages" in path for path in told["path"])
    assert not extra.keys() & told["environment"].keys() or not python


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_umask_of_the_caller_does_not_matter(fresh: OneFile, umask: int) -> None:
    assert fresh.run("quick", umask=umask).returncode == 0
    assert fresh.run("quick", umask=umask).stderr == ""
    assert fresh.home.stat().st_mode & 0o777 == 0o700
    for path in fresh.home.rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o022 == 0, path
            assert path.stat().st_mode & 0o400, path


def test_a_default_acl_that_lets_a_group_write_does_not_matter(fresh: OneFile) -> None:
    group_may_write(fresh.cache)
    for _ in range(2):
        done = fresh.run("quick")
        assert done.returncode == 0, done.stderr
    assert {each.stat().st_mode & 0o777 for each in (fresh.home, *fresh.programs())} == {0o700}


def test_two_first_starts_at_once(fresh: OneFile) -> None:
    started = [
        subprocess.Popen(fresh.argv("exit", "7"), env=fresh.environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = "".join(running.communicate(timeout=60)[1] for running in started)
    assert [running.returncode for running in started] == [7] * 4, said
    assert said.count("unpacking itself") == 1
    assert fresh.whole()


def test_a_first_start_that_is_killed_at_any_moment_is_made_good(fresh: OneFile) -> None:
    killed = 0
    for turn in range(12):
        shutil.rmtree(fresh.home, ignore_errors=True)
        with subprocess.Popen(
            fresh.argv("quick"), env=fresh.environment(), stderr=subprocess.PIPE
        ) as running:
            assert running.stderr is not None
            running.stderr.readline()  # it begins now
            time.sleep(turn * 0.004)
            running.kill()
            killed += running.wait(20) == -signal.SIGKILL
        assert fresh.run("quick").returncode == 0
        assert fresh.whole()
    assert killed


def test_what_is_half_there_is_made_again(ready: OneFile) -> None:
    (program,) = ready.programs()
    (program / ".complete").unlink()
    (program / "wizard/cli/main.py").unlink()
    (program / "junk").write_text("")
    assert "unpacking itself" in ready.run("quick").stderr
    assert ready.whole()


def test_a_new_version_removes_the_old_one(ready: OneFile) -> None:
    (old,) = ready.programs()
    ready.replaced_by("new")
    assert ready.run("quick").returncode == 0
    (new,) = ready.programs()
    assert new != old
    assert (ready.home / "msa-wizard").readlink() == Path(new.name, "msa-wizard")


def test_a_version_in_use_is_not_removed(ready: OneFile) -> None:
    (old,) = ready.programs()
    with subprocess.Popen(
        ready.argv("wait"), env=ready.environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        ready.replaced_by("new")
        assert ready.run("quick").returncode == 0
        assert old in ready.programs()
        running.kill()
    ready.replaced_by("newer")
    assert ready.run("quick").returncode == 0
    assert len(ready.programs()) == 1


_EVIL = "def main():\n    print('leaked')\n    return 0\n"


def _spoil(folder: Path, how: str, beside: Path) -> None:
    """Let others have their hands on a folder that a program is run from."""
    if how == "link":
        folder.rename(beside / "elsewhere")
        folder.symlink_to(beside / "elsewhere")
    elif how == "writable":
        folder.chmod(0o777)
    else:
        os.chown(folder, 12345, 12345)
        folder.chmod(0o755)


@pytest.mark.parametrize("how", ["link", "writable", "another's"])
def test_nothing_is_run_from_a_folder_that_others_can_write_to(fresh: OneFile, how: str) -> None:
    if how == "another's" and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    assert fresh.run("quick").returncode == 0
    (program,) = fresh.programs()
    (program / "wizard/cli/main.py").write_text(_EVIL)
    _spoil(fresh.home, how, fresh.cache)
    refused = fresh.run()
    assert (refused.returncode, refused.stdout) == (3, "")
    assert f"{fresh.home} is refused: " in refused.stderr


@pytest.mark.parametrize("how", ["link", "writable", "another's"])
def test_a_program_that_is_not_ours_is_unpacked_again(fresh: OneFile, how: str) -> None:
    if how == "another's" and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    assert fresh.run("quick").returncode == 0
    (program,) = fresh.programs()
    (program / "wizard/cli/main.py").write_text(_EVIL)
    _spoil(program, how, fresh.cache)
    again = fresh.run()
    if how == "another's":  # whose files nobody but root can remove: it is run from elsewhere
        assert "for this one run" in again.stderr
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["argv"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take a folder from its user")
def test_where_nothing_can_be_written_it_runs_once_from_a_folder_that_goes(
    fresh: OneFile, tmp_path: Path
) -> None:
    os.chown(fresh.cache, 0, 0)
    rooms = Path(tempfile.mkdtemp(prefix="msa-wizard rooms "))
    os.chown(rooms, NOBODY, NOBODY)
    try:
        for extra in ({}, {"HOME": "", "XDG_CACHE_HOME": ""}):
            done = fresh.run(env={"TMPDIR": str(rooms), **extra})
            assert done.returncode == 0, done.stderr
            assert "for this one run" in done.stderr
            assert json.loads(done.stdout)["file"].startswith(str(rooms))
            assert list(rooms.iterdir()) == []
            assert fresh.run("exit", "4", env={"TMPDIR": str(rooms), **extra}).returncode == 4
    finally:
        rooms.rmdir()
    assert list(fresh.cache.iterdir()) == []


def test_without_git_the_command_to_run_is_named(ready: OneFile) -> None:
    tools = ready.cache / "tools"
    tools.mkdir()
    (tools / "apt-get").symlink_to("/bin/true")
    refused = ready.run("quick", env={"PATH": str(tools)})
    assert refused.returncode == 3
    if Path("/var/lib/dpkg/status").exists():
        assert "sudo apt-get install --no-install-recommends git\n" in refused.stderr


def test_installing_git_restarts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By needrestart, where that is set to restart by itself: nothing was shown, and nobody asked."""
    said, tool = tmp_path / "said", tmp_path / "apt-get"
    tool.write_text(f"#!/bin/sh\necho $1 $NEEDRESTART_MODE >>{said}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NEEDRESTART_MODE", "a")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    there = {"/var/lib/dpkg/status": True, "/etc/debian_version": False}
    exists = os.path.exists
    monkeypatch.setattr("os.path.exists", lambda path: there.get(path, exists(path)))
    with pytest.raises(SystemExit):  # git is not there even now
        first_start.install_git()
    assert said.read_text() == "update l\n--yes l\n"


def test_a_copy_that_was_cut_short_is_named_by_python(ready: OneFile) -> None:
    ready.file.write_bytes(ready.file.read_bytes()[:-200])
    assert ready.run("quick").returncode != 0


def test_a_python_that_is_too_old_is_told_so(fresh: OneFile) -> None:
    for name in ("main.py", "start.py"):
        source = _TOP / "packaging/building/one_file" / name
        ast.parse(source.read_text(), feature_version=(3, 7))
    older = (
        "import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    told = subprocess.run(
        [sys.executable, "-c", older, str(fresh.file), "status"], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr.startswith("msa-wizard: needs Python 3.11 or newer, and this is ")


def test_the_same_program_is_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "one/msa-wizard.pyz", tmp_path / "two/msa-wizard.pyz"]
    mask = os.umask(0o077)
    try:
        _make(files[0], _STAND_IN)
        os.umask(0)
        _make(files[1], dict(reversed(_STAND_IN.items())))
    finally:
        os.umask(mask)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert {file.stat().st_mode & 0o777 for file in files} == {0o755}
    assert files[0].read_bytes().startswith(b"#!/bin/sh\n")
