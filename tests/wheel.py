"""The wheel, built of the working tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
OFFLINE = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "https_proxy": "http://127.0.0.1:9"}


def of_the_working_tree(place: Path) -> Path:
    """The wheel that `pip wheel` makes in `place` of a copy of what git knows here; without a network, by the tools of
    tests/requirements.txt, which must satisfy what pyproject.toml needs for the build."""
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    checkout = place / "checkout"
    for name in tracked:
        if (TOP / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((TOP / name).read_bytes())
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--check-build-dependencies"]
    subprocess.run(
        [*PIP, "wheel", *offline, "--wheel-dir", str(place), str(checkout)], check=True, env=OFFLINE
    )
    return next(place.glob("msa_wizard-*.whl"))
