"""The Debian package of the working tree, as `packaging/build` makes it; and one that passes for an older one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.system.images import cache
from tests.system.machine import working_tree
from wizard import __version__

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""What the package says that it is of."""
MOMENT = 1_764_442_800
OLDER = "0.0.9"


def package(version: str = __version__) -> Path:
    """The package, or the OLDER one; built once for each state of the tree.

    Raises subprocess.CalledProcessError."""
    tree = working_tree()
    folder = cache().parent / "packages"
    folder.mkdir(exist_ok=True)
    place = folder / hashlib.sha256(tree).hexdigest()[:16]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            made = Path(tempfile.mkdtemp(dir=folder))
            renamed(build(tree, made), OLDER)
            for old in folder.iterdir():
                if old.is_dir() and old != made:
                    shutil.rmtree(old)
            made.rename(place)
    return place / f"msa-wizard_{version}_all.deb"


def build(tree: bytes, target: Path, umask: int = 0o022) -> Path:
    """Build it of a tar of the tree into the folder `target`. Raises subprocess.CalledProcessError."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "source")
        source.mkdir()
        unpack = ["tar", "-x", "--no-same-owner", "-C", str(source)]
        subprocess.run(unpack, input=tree, check=True, umask=umask)
        environment = {"MSA_WIZARD_COMMIT": COMMIT, "SOURCE_DATE_EPOCH": str(MOMENT)}
        environment |= {"MSA_WIZARD_PYTHON": sys.executable}
        subprocess.run(
            [str(source / "packaging/deb/build"), str(source), str(target)],
            env={**os.environ, **environment},
            check=True,
            umask=umask,
        )
    return next(target.glob("*.deb"))


def renamed(built: Path, version: str) -> Path:
    """The same package, which says of itself that it is of another `version`, beside it."""
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place, "tree")
        subprocess.run(["dpkg-deb", "-R", str(built), str(tree)], check=True)
        for name, old in (
            ("DEBIAN/control", r"(?m)^(Version: ).*()$"),
            ("usr/lib/msa-wizard/wizard/__init__.py", '(__version__ = ").*(")'),
        ):
            file = tree / name
            file.write_text(re.sub(old, rf"\g<1>{version}\2", file.read_text()))
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(built.parent)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return built.with_name(f"msa-wizard_{version}_all.deb")
