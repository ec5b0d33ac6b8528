"""`--version`: the version, how the program was installed, and the commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from building.archive import zipped
from tests import stand_ins
from wizard import __version__
from wizard.delivery import as_started, begin, delivery, from_anywhere, version_line
from wizard.engine import state_dir
from wizard.errors import CannotHere

COMMIT = "03e365f1c2d3a4b5968778695a4b3c2d1e0f9a8b"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("kind", "words"), [("pyz", "one file"), ("deb", "Debian package"), ("wheel", "wheel")]
)
def test_what_the_build_wrote_is_told(kind: str, words: str, tmp_path: Path) -> None:
    put(tmp_path / "wizard/BUILD", f"{kind} {COMMIT}\n")
    put(tmp_path / "msa-wizard", "")
    assert delivery(str(tmp_path)) == (kind, COMMIT)
    assert version_line(str(tmp_path)) == f"msa-wizard {__version__} ({words}, commit {COMMIT[:12]})"


def test_a_commit_that_is_none_is_not_told(tmp_path: Path) -> None:
    put(tmp_path / "wizard/BUILD", f"deb \x1b[31m{COMMIT}\n")
    assert delivery(str(tmp_path)) == ("deb", "")
    put(tmp_path / "wizard/BUILD", "something else\n")
    assert delivery(str(tmp_path)) == ("pip", "")


def test_the_source_archive_is_a_checkout_where_it_is_unpacked(tmp_path: Path) -> None:
    put(tmp_path / "wizard/BUILD", f"source {COMMIT} 1764442800\n")
    assert delivery(str(tmp_path)) == ("pip", COMMIT), "built and installed by pip"
    put(tmp_path / "msa-wizard", "")
    put(tmp_path / "requirements.txt", "")
    assert delivery(str(tmp_path)) == ("checkout", COMMIT)
    put(tmp_path / ".git/HEAD", COMMIT[::-1])
    assert delivery(str(tmp_path)) == ("checkout", COMMIT[::-1]), "somebody went on from it"


def _unpacked(top: Path) -> None:
    put(top / "wizard/__init__.py", "newer")
    os.utime(top / "wizard/__init__.py", (1, 1))


@pytest.mark.parametrize("how", ["git pull", "unpacked over it"])
def test_what_was_replaced_while_it_was_open_changes_nothing(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins.anybody(monkeypatch)
    monkeypatch.setattr("wizard.delivery._TOP", str(tmp_path))
    monkeypatch.setattr("wizard.delivery._started", ())
    monkeypatch.setattr(state_dir, "HOME", tmp_path / "home")
    monkeypatch.setattr(state_dir, "LOCK", tmp_path / "home/lock")
    for name in ("msa-wizard", "requirements.txt", "wizard/__init__.py"):
        put(tmp_path / name, "")
    put(tmp_path / ".git/HEAD", COMMIT)
    begin()
    with state_dir.alone():
        pass
    put(tmp_path / ".git/HEAD", COMMIT[::-1]) if how == "git pull" else _unpacked(tmp_path)
    with pytest.raises(CannotHere, match="was replaced while it was open"), state_dir.alone():
        pass
    begin()
    with state_dir.alone():
        pass


def test_of_a_checkout_it_is_the_commit_that_is_checked_out(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        author = ["-c", "user.name=a", "-c", "user.email=a@example.test"]
        command = ["git", "-C", str(tmp_path), *author, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    put(tmp_path / "msa-wizard", "")
    put(tmp_path / "requirements.txt", "")
    assert version_line(str(tmp_path)) == f"msa-wizard {__version__} (checkout)"
    git("init", "--quiet", "--initial-branch", "a/branch")
    assert delivery(str(tmp_path)) == ("checkout", "")
    for _ in range(2):
        git("commit", "--quiet", "--allow-empty", "--message", "one")
        assert delivery(str(tmp_path)) == ("checkout", git("rev-parse", "HEAD"))
    git("pack-refs", "--all")
    assert delivery(str(tmp_path)) == ("checkout", git("rev-parse", "HEAD"))
    git("checkout", "--quiet", "--detach", "HEAD~1")
    assert delivery(str(tmp_path)) == ("checkout", git("rev-parse", "HEAD"))


def test_of_a_worktree_and_of_a_submodule_too(tmp_path: Path) -> None:
    def git(folder: str, *arguments: str) -> str:
        author = ["-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "protocol.file.allow=always"]
        command = ["git", "-C", str(tmp_path / folder), *author, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    for name in ("msa-wizard", "requirements.txt"):
        put(tmp_path / "clone" / name, "")
    git("clone", "init", "--quiet")
    git("clone", "add", "-A")
    git("clone", "commit", "--quiet", "--message", "one")
    git("clone", "worktree", "add", "--quiet", "-b", "next", "../tree")
    (tmp_path / "whole").mkdir()
    git("whole", "init", "--quiet")
    git("whole", "submodule", "--quiet", "add", "../clone", "part")
    git("tree", "commit", "--quiet", "--allow-empty", "--message", "two")
    for folder in ("tree", "whole/part"):
        assert delivery(str(tmp_path / folder)) == ("checkout", git(folder, "rev-parse", "HEAD"))
    git("clone", "pack-refs", "--all")
    assert delivery(str(tmp_path / "tree")) == ("checkout", git("tree", "rev-parse", "HEAD"))


ONE_FILE = zipped([(name, b"", 0o644) for name in ("__main__.py", "first_start.py", "program.zip")], 0)


@pytest.mark.parametrize(
    ("started", "in_path", "command"),
    [
        ("./msa-wizard", "", "{here}/msa-wizard confirm"),
        ("mine", "", "{here}/mine confirm"),
        ("msa-wizard.pyz", "", "python3 {here}/msa-wizard.pyz confirm"),
        ("msa-wizard-1.0.0(1).pyz", "", "python3 '{here}/msa-wizard-1.0.0(1).pyz' confirm"),
        ("./msa-wizard", "msa-wizard", "msa-wizard confirm"),
        ("mine", "msa-wizard", "msa-wizard confirm"),
        ("msa-wizard-1.0.0(1).pyz", "msa-wizard", "python3 '{here}/msa-wizard-1.0.0(1).pyz' confirm"),
        ("/usr/bin/msa-wizard", "/usr/bin/msa-wizard", "msa-wizard confirm"),
        ("-c", "", "msa-wizard confirm"),
    ],
)
def test_another_session_can_run_it_in_any_folder(
    started: str, in_path: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever name it was started: the firewall waits for the command, a minute at most."""
    here = tmp_path / "here"
    put(here / "msa-wizard", "#!/bin/sh\n")
    (here / "mine").symlink_to("msa-wizard")
    for name in ("msa-wizard.pyz", "msa-wizard-1.0.0(1).pyz"):
        (here / name).write_bytes(ONE_FILE)
    monkeypatch.setattr("wizard.delivery._TOP", str(here))
    monkeypatch.chdir(here)
    monkeypatch.setattr("sys.argv", [started])
    monkeypatch.setattr("shutil.which", lambda _: str(here / in_path) if in_path else None)
    assert from_anywhere("confirm") == command.format(here=here)


@pytest.mark.parametrize("started", ["./mine", "a (1).pyz"])
def test_whoever_is_not_root_is_told_the_command_by_the_name_that_was_typed(
    started: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "msa-wizard", "")
    (tmp_path / "mine").symlink_to("msa-wizard")
    (tmp_path / "a (1).pyz").write_bytes(ONE_FILE)
    monkeypatch.setattr("wizard.delivery._TOP", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [started])
    assert as_started() == (["python3", started] if "pyz" in started else [started])
