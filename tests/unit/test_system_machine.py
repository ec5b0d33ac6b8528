"""What a machine gets of the working tree, and of an image that it does not boot from."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system import images, machine


def printed(room: Path, source: str) -> str:
    """What a program of that text prints that is laid down as in a machine, beside what was compiled there before."""
    (room / "clone").mkdir(exist_ok=True)
    (room / "clone/program.py").write_text(source)
    tree = machine.packed(room / "clone", [b"program.py"])
    subprocess.run(["tar", "-x", "-C", str(room)], input=tree, check=True)
    start = [sys.executable, "-I", "-X", f"pycache_prefix={room}/pycache", "-c"]
    run = "import sys; sys.dont_write_bytecode = False; sys.path.insert(0, sys.argv[1]); import program"
    return subprocess.run([*start, run, str(room)], capture_output=True, text=True, check=True).stdout


def test_what_was_compiled_of_another_text_of_the_same_length_is_not_run(tmp_path: Path) -> None:
    assert printed(tmp_path, "print(1 < 2)\n") == "True\n"
    (compiled,) = tmp_path.glob("pycache/**/program.*.pyc")
    before = compiled.stat().st_mtime_ns
    assert printed(tmp_path, "print(1 < 2)\n") == "True\n"
    assert compiled.stat().st_mtime_ns == before, "of the same text it counts"
    assert printed(tmp_path, "print(1 > 2)\n") == "False\n"


def test_the_working_tree_is_packed_with_its_modes_and_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/run").write_text("#!/bin/sh\n")
    (tmp_path / "folder/run").chmod(0o755)
    (tmp_path / "link").symlink_to("folder/run")
    tree = machine.packed(tmp_path, [b"folder/run", b"link", b"gone"])
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(["tar", "-x", "-C", str(there)], input=tree, check=True)
    assert (there / "folder/run").read_text() == "#!/bin/sh\n"
    assert (there / "folder/run").stat().st_mode & 0o777 == 0o755
    assert (there / "link").readlink() == Path("folder/run")
    assert sorted(path.name for path in there.iterdir()) == ["folder", "link"]


def test_what_was_compiled_in_an_image_is_read_while_nobody_can_remove_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    held: dict[Path, int] = {}
    monkeypatch.setattr(images, "_held", held)
    monkeypatch.setattr(images, "_recipe_hash", lambda *_: "of-now")
    assert images.compiled("trixie") == b""
    assert held == {}
    tree = images.cache() / "trixie-msa-of-now"
    (tree / "var/lib/msa-wizard/venv-1/pycache").mkdir(parents=True)
    assert b"var/lib/msa-wizard/venv-1/pycache" in images.compiled("trixie")
    folder = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(folder)
        for descriptor in held.values():
            os.close(descriptor)
