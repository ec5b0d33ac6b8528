"""`pip install .` gives the same program: the packages, the templates, the command."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from wizard import __version__

TOP = Path(__file__).resolve().parents[2]


PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
OFFLINE = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "https_proxy": "http://127.0.0.1:9"}


def test_a_fresh_clone_builds_without_network_a_wheel_that_works(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    checkout = tmp_path / "checkout"
    for name in tracked:
        if (TOP / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((TOP / name).read_bytes())
    # By the tools of tests/requirements.txt, which must satisfy what pyproject.toml needs for the build.
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--check-build-dependencies"]
    subprocess.run(
        [*PIP, "wheel", *offline, "--wheel-dir", str(tmp_path), str(checkout)], check=True, env=OFFLINE
    )
    wheel = next(tmp_path.glob("msa_wizard-*.whl"))
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
