"""`pip install .` gives the same program: the packages, the templates, the command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from wizard import __version__

TOP = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_the_program_and_its_templates(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    checkout = tmp_path / "checkout"
    for name in tracked:
        if (TOP / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((TOP / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(checkout)], check=True)
    wheel = next(tmp_path.glob(f"msa_wizard-{__version__}-*.whl"))
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

    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv/bin/python")
    subprocess.run(
        [python, "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", str(wheel)], check=True
    )
    shown = subprocess.run(
        [str(tmp_path / "venv/bin/msa-wizard"), "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"msa-wizard {__version__}\n"
