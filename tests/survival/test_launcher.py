"""The launcher against a stand-in program, as an ordinary user; real machines are in tests/system."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.survival.starters import NOBODY, PROGRAM, as_nobody, environment

_TOP = Path(__file__).resolve().parents[2]
_PROGRAM = PROGRAM.replace("    import json\n", "    import json\n    from wizard import sibling\n")


@dataclass(frozen=True)
class Checkout:
    """A copy of the launcher with a program that tells what it was given, and a place for its environment."""

    top: Path
    cache: Path

    def argv(self, *arguments: str, launcher: Path | None = None) -> list[str]:
        return [*as_nobody(), str(launcher or self.top / "msa-wizard"), *arguments]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return environment(self.cache, extra)

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | str = "/",
        launcher: Path | None = None,
        umask: int = -1,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*arguments, launcher=launcher),
            env=self.environment(env),
            cwd=cwd,
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def told(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: str = "/"
    ) -> dict[str, object]:
        done = self.run(*arguments, env=env, cwd=cwd)
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def venvs(self) -> list[Path]:
        return sorted((self.cache / "msa-wizard").glob("venv-*"))


def _make(requirements: str = "") -> Checkout:
    # Not pytest's own folder: that one is closed to the ordinary user who runs the launcher here.
    place = Path(tempfile.mkdtemp(prefix="msa-wizard launcher "))
    place.chmod(0o755)
    top, cache = place / "a check'out", place / "cache"
    (top / "wizard/cli").mkdir(parents=True)
    shutil.copy(_TOP / "msa-wizard", top)
    (top / "requirements.txt").write_text(requirements)
    (top / "wizard/cli/main.py").write_text(_PROGRAM)
    (top / "wizard/sibling.py").write_text("")
    cache.mkdir()
    if os.geteuid() == 0:
        for folder in (cache, top, top / "wizard"):  # one who may write, so that what is not written shows
            os.chown(folder, NOBODY, NOBODY)
    return Checkout(top, cache)


@pytest.fixture(scope="module")
def ready() -> Iterator[Checkout]:
    made = _make()
    first = made.run("quick")
    assert first.returncode == 0, first.stderr
    assert "making its Python environment" in first.stderr
    yield made
    shutil.rmtree(made.top.parent)


@pytest.fixture
def fresh() -> Iterator[Checkout]:
    made = _make()
    yield made
    shutil.rmtree(made.top.parent)


@pytest.mark.parametrize("arguments", [[], ["", " ", "a 'b' \"c\"", "$HOME", "-c", "--", "line\nbreak", "*"]])
def test_arguments_and_folder_arrive_as_given(ready: Checkout, arguments: Sequence[str]) -> None:
    told = ready.told(*arguments, cwd="/usr/lib")
    assert told["argv"] == [f"{ready.top}/msa-wizard", *arguments]
    assert told["cwd"] == "/usr/lib"
    assert told["file"] == str(ready.top / "wizard/cli/main.py")


def test_a_tab_in_a_shell_makes_no_environment(fresh: Checkout) -> None:
    asked = fresh.run(env={"_ARGCOMPLETE": "1", "COMP_LINE": "msa-wizard ", "COMP_POINT": "11"})
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    assert list(fresh.cache.iterdir()) == []


@pytest.mark.parametrize("status", [0, 1, 4, 10])
def test_exit_status_is_the_programs(ready: Checkout, status: int) -> None:
    assert ready.run("exit", str(status)).returncode == status


def test_signals_reach_the_program(ready: Checkout) -> None:
    with subprocess.Popen(
        ready.argv("wait"), env=ready.environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert int(running.stdout.readline()) == running.pid, "the program takes the launcher's place"
        running.terminate()
        assert running.wait(10) == -signal.SIGTERM


def test_links_relative_calls_and_sh(ready: Checkout) -> None:
    link = ready.cache / "a link"
    link.symlink_to(ready.top / "msa-wizard")
    for call in (
        ready.run(launcher=link),
        ready.run(launcher=Path("msa-wizard"), env={"PATH": f"{ready.top}:{os.environ['PATH']}"}),
        ready.run(launcher=Path("../msa-wizard"), cwd=ready.top / "wizard"),
    ):
        assert call.returncode == 0, call.stderr
        assert Path(json.loads(call.stdout)["file"]).samefile(ready.top / "wizard/cli/main.py")
    by_sh = subprocess.run(
        ready.argv("msa-wizard", launcher=Path("sh")),
        cwd=ready.top,
        env=ready.environment(),
        capture_output=True,
        check=False,
    )
    assert by_sh.returncode == 0, by_sh.stderr


def test_the_callers_python_settings_stay_out(ready: Checkout, tmp_path: Path) -> None:
    (ready.cache / "evil").mkdir(exist_ok=True)
    for name in ("json.py", "sitecustomize.py", "usercustomize.py", "fcntl.py", "wizard.py"):
        (ready.cache / "evil" / name).write_text("raise SystemExit('leaked')\n")
    evil = str(ready.cache / "evil")
    told = ready.told(
        env={
            "PYTHONPATH": evil,
            "PYTHONHOME": evil,
            "PYTHONSTARTUP": f"{evil}/json.py",
            "PYTHONINSPECT": "1",
        },
        cwd=evil,
    )
    path = told["path"]
    assert isinstance(path, list)
    assert path[0] == str(ready.top)
    assert evil not in path
    assert "" not in path
    environment = told["environment"]
    assert isinstance(environment, dict)
    assert not {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT"} & environment.keys()


def test_nothing_is_written_into_the_checkout(ready: Checkout) -> None:
    ready.told()
    assert sorted(p.name for p in ready.top.rglob("*")) == [
        *("cli", "main.py", "msa-wizard", "requirements.txt", "sibling.py", "wizard")
    ]
    assert list((ready.cache / "msa-wizard").glob("venv-*/pycache/**/sibling.*.pyc")), (
        "yet it is kept compiled"
    )


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_umask_of_the_caller_does_not_matter(fresh: Checkout, umask: int) -> None:
    assert fresh.run("quick", umask=umask).returncode == 0
    assert fresh.run(umask=umask).returncode == 0
    base = fresh.cache / "msa-wizard"
    assert base.stat().st_mode & 0o777 == 0o700
    for path in base.rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o022 == 0, path
            assert path.stat().st_mode & 0o400, path


def test_later_runs_say_nothing_and_make_nothing(ready: Checkout) -> None:
    ready.told()
    before = {path: path.stat().st_ctime_ns for path in ready.cache.rglob("*")}
    assert ready.run("quick").stderr == ""
    assert before == {path: path.stat().st_ctime_ns for path in ready.cache.rglob("*")}


def test_half_made_environment_is_made_again(fresh: Checkout) -> None:
    fresh.run("quick")
    (venv,) = fresh.venvs()
    (venv / ".complete").unlink()
    (venv / "bin/python").unlink()
    (venv / "junk").write_text("")
    assert fresh.run("quick").returncode == 0
    assert fresh.venvs() == [venv]
    assert not (venv / "junk").exists()


def _others(folder: Path, how: str) -> None:
    """Make it a folder that others may have written to, or a link to one; "" makes it ours again."""
    beside = folder.with_name("elsewhere")
    if how == "a link":
        folder.rename(beside)
        folder.symlink_to(beside)
        return
    if folder.is_symlink():
        folder.unlink()
        beside.rename(folder)
    owner = 0 if how == "foreign" else NOBODY
    os.chown(folder, owner, owner)
    folder.chmod({"open": 0o777, "open to a group": 0o720}.get(how, 0o755))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_nothing_is_run_that_others_can_have_written(fresh: Checkout) -> None:
    fresh.run("quick")
    (venv,) = fresh.venvs()
    python = venv / "bin/python"
    python.unlink()
    python.write_text(f"#!/bin/sh\ntouch '{fresh.cache}/ran'\n")
    python.chmod(0o755)
    whys = {
        "open": "others can write to it",
        "open to a group": "others can write to it",
        "foreign": f"it belongs to user 0, not to user {NOBODY} who runs this",
        "a link": "it is a symbolic link",
    }
    for folder, how in itertools.product((venv.parent, venv), whys):
        _others(folder, how)
        refused = fresh.run("quick")
        assert refused.returncode == 3, (folder, how)
        assert f"{folder} is refused: {whys[how]}. Nothing was changed" in refused.stderr
        asked = fresh.run(env={"_ARGCOMPLETE": "1"})
        assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
        _others(folder, "")
    assert not (fresh.cache / "ran").exists()
    fresh.run("quick")
    assert (fresh.cache / "ran").exists(), "it would have run"


def test_two_first_runs_at_once(fresh: Checkout) -> None:
    started = [
        subprocess.Popen(fresh.argv("exit", "7"), env=fresh.environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [running.communicate(timeout=120)[1] for running in started]
    assert [running.returncode for running in started] == [7, 7, 7], said
    assert "".join(said).count("making its Python environment") == 1
    assert len(fresh.venvs()) == 1


def test_new_requirements_make_a_new_environment_and_remove_the_stale_one(fresh: Checkout) -> None:
    fresh.run("quick")
    (old,) = fresh.venvs()
    (fresh.cache / "msa-wizard/venv-half").mkdir()
    if os.geteuid() == 0:
        os.chown(fresh.cache / "msa-wizard/venv-half", NOBODY, NOBODY)
    (fresh.top / "requirements.txt").write_text("# newer\n")
    assert fresh.run("quick").returncode == 0
    (new,) = fresh.venvs()
    assert new != old


def test_environment_in_use_is_not_removed(fresh: Checkout) -> None:
    fresh.run("quick")
    (old,) = fresh.venvs()
    with subprocess.Popen(
        fresh.argv("wait"), env=fresh.environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        (fresh.top / "requirements.txt").write_text("# newer\n")
        assert fresh.run("quick").returncode == 0
        assert old in fresh.venvs()
        assert len(fresh.venvs()) == 2
        running.kill()


def test_packages_that_cannot_be_had_leave_nothing_half_made(fresh: Checkout) -> None:
    (fresh.top / "requirements.txt").write_text(f"no-such-thing==1 --hash=sha256:{'0' * 64}\n")
    failed = fresh.run("quick", env={"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"})
    assert failed.returncode == 1
    assert "could not install the packages" in failed.stderr
    assert "requirements.txt" in failed.stderr
    assert "no-such-thing" in failed.stderr.partition("msa-wizard: pip could not")[0], "pip's own words"
    assert "https_proxy=http://HOST:PORT names a proxy" in failed.stderr
    assert fresh.venvs() == []
    assert [each.name for each in (fresh.cache / "msa-wizard").iterdir() if "words" in each.name] == []


def test_interrupted_first_run_leaves_nothing_half_made(fresh: Checkout) -> None:
    # Tests that run in the background of a shell have SIGINT ignored.
    argv = ["env", "--default-signal=INT", *fresh.argv("quick")]
    with subprocess.Popen(
        argv, env=fresh.environment(), stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        assert running.stderr is not None
        running.stderr.readline()
        deadline = time.monotonic() + 20
        while not fresh.venvs() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert fresh.venvs()
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(20) != 0
        assert running.stderr.read() == b"msa-wizard: interrupted. Nothing half-made was left.\n", (
            "no traceback"
        )
    assert fresh.venvs() == []
    assert fresh.run("quick").returncode == 0


def test_without_git_the_command_to_run_is_named(ready: Checkout) -> None:
    tools = ready.cache / "tools"
    tools.mkdir(exist_ok=True)
    needed = "sh sha256sum apt-get mkdir flock rm find stat python3"
    for tool in needed.split():
        if (found := shutil.which(tool)) and not (tools / tool).exists():
            (tools / tool).symlink_to(found)
    refused = ready.run("quick", env={"PATH": str(tools)})
    assert refused.returncode == 3
    assert "apt-get install --no-install-recommends git" in refused.stderr or not (tools / "apt-get").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/var/lib/dpkg/status").exists(), reason="only root installs, and by dpkg"
)
@pytest.mark.parametrize("dpkg", [True, False])
def test_installing_what_is_missing_restarts_nothing(ready: Checkout, tmp_path: Path, dpkg: bool) -> None:
    """By needrestart, where that is set to restart by itself: nothing was shown, and nobody asked. An apt-get without dpkg, as
    other systems have it, installs nothing."""
    tools, said = tmp_path / "tools", tmp_path / "said"
    tools.mkdir()
    for tool in ("sha256sum", "mkdir", "flock", "rm", "find", "stat", "id"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    (tools / "apt-get").write_text(f"#!/bin/sh\necho $1 $NEEDRESTART_MODE >>{said}\n[ $1 = update ]\n")
    (tools / "apt-get").chmod(0o755)
    alone = ["unshare", "--mount", "--propagation", "private", "sh", "-euc"]
    has_dpkg = "mkdir /var/lib/dpkg; : >/var/lib/dpkg/status;" if dpkg else ""
    inside = f'mount -t tmpfs tmpfs /var/lib; {has_dpkg} PATH=$2; exec "$1" quick'
    done = subprocess.run(
        [*alone, inside, "sh", str(ready.top / "msa-wizard"), str(tools)],
        env={**ready.environment(), "NEEDRESTART_MODE": "a"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    if not dpkg:
        assert (done.returncode, said.exists()) == (3, False), done.stderr
        assert "Install them and run it again" in done.stderr
        return
    assert "apt-get could not install" in done.stderr
    assert said.read_text() == "update l\ninstall l\n"


def test_without_a_home_it_says_so(ready: Checkout) -> None:
    environment = {n: v for n, v in ready.environment().items() if n not in ("HOME", "XDG_CACHE_HOME")}
    refused = subprocess.run(
        ready.argv("quick"), env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "HOME is not set" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("arguments", [["apply", "--yes"], ["history"], ["certificate", "show"], ["remove"]])
def test_whoever_is_not_root_is_refused_before_an_environment_is_made(
    fresh: Checkout, arguments: Sequence[str]
) -> None:
    refused = fresh.run(*arguments)
    told = (
        f"only root can do that; nothing was changed. Run: sudo {fresh.top}/msa-wizard {' '.join(arguments)}"
    )
    assert (refused.returncode, refused.stderr) == (3, f"msa-wizard: {told}\n")
    assert fresh.venvs() == []


def test_damaged_checkout_is_named(fresh: Checkout) -> None:
    (fresh.top / "requirements.txt").unlink()
    refused = fresh.run("quick")
    assert refused.returncode == 1
    assert f"{fresh.top}/requirements.txt cannot be read" in refused.stderr


def test_launcher_adds_little_to_python(ready: Checkout) -> None:
    ready.run("quick")
    (venv,) = ready.venvs()
    setpriv = ready.argv()[:-1]

    def best(command: Sequence[str]) -> float:
        times = []
        for _ in range(15):
            began = time.perf_counter()
            subprocess.run(command, env=ready.environment(), check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    ratios: list[float] = []
    while not ratios or (
        min(ratios) >= 2 and len(ratios) < 4
    ):  # others may be at work on this machine meanwhile
        python = best([*setpriv, str(venv / "bin/python"), "-I", "-c", "pass"])
        ratios.append(best(ready.argv("quick")) / python)
    assert min(ratios) < 2, f"the launcher costs more than Python itself: {ratios}"
