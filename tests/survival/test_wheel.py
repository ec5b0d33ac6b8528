"""`pip install .` gives the same program: the packages, the templates, the command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.wheel import OFFLINE, PIP, TOP, of_the_working_tree
from wizard import __version__


def test_a_fresh_clone_builds_without_network_a_wheel_that_works(tmp_path: Path) -> None:
    wheel = of_the_working_tree(tmp_path)
    with zipfile.ZipFile(wheel) as held:
        names = set(held.namelist())
    for folder, pattern in (
        ("templates", "*.j2"),
        ("wizard", "**/*.py"),
        ("snapshots", "**/*.py"),
        ("screens", "**/*.py"),
        ("screens", "*.tcss"),
        ("wizard", "render/*.json"),
    ):
        expected = {str(path.relative_to(TOP)) for path in (TOP / folder).glob(pattern)}
        assert expected
        assert expected <= names
    assert not any(name.startswith("tests/") for name in names)

    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    install = ["--python", str(venv), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*PIP, *install], check=True, env=OFFLINE)
    shown = subprocess.run(
        [str(venv / "bin/msa-wizard"), "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"msa-wizard {__version__} (pip)\n"
