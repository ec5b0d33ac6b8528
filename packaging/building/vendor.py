"""The dependencies of requirements.txt, pure Python, for a folder that any Python from 3.11 on, on any processor, can import from."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

_WHEEL_OF = ("--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=none")
_PLATFORM = ("--platform=manylinux2014_x86_64", "--platform=manylinux_2_28_x86_64")
"""One and the same wheel wherever this runs. Only MarkupSafe's has a compiled part, and works without it."""
_LEFT_OUT = frozenset(("tests", "test", "demo", "__pycache__"))
_KEPT_OF_METADATA = re.compile(r"METADATA|(LICEN[CS]E|COPYING|AUTHORS|NOTICE)[^/]*|licenses", re.IGNORECASE)


def wheels(requirements: Path, target: Path) -> list[Path]:
    """The wheels, fetched by pip into `target`, each by the hash that `requirements` pins. pip's own settings for the index hold.

    Raises subprocess.CalledProcessError."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps")
    hashed = ("--require-hashes", "--only-binary=:all:", *_WHEEL_OF, *_PLATFORM)
    subprocess.run([*pip, *hashed, f"--dest={target}", f"--requirement={requirements}"], check=True)
    return sorted(target.glob("*.whl"))


def collect(requirements: Path, target: Path, names: Collection[str] = ()) -> None:
    """Unpack them into `target`, of packages with these `names` only, if there are any: no compiled code, no caches, no tests, no demonstrations,
    and of the metadata what a licence asks for. Modes do not depend on the umask.

    Raises subprocess.CalledProcessError, ValueError for a name that is not required."""
    wanted = {normal(name) for name in names}
    with tempfile.TemporaryDirectory() as place:
        found = {normal(wheel.name.split("-")[0]): wheel for wheel in wheels(requirements, Path(place))}
        if unknown := wanted - found.keys():
            raise ValueError(f"{requirements.name} has no {', '.join(sorted(unknown))}")
        for wheel in (path for name, path in found.items() if not wanted or name in wanted):
            with zipfile.ZipFile(wheel) as held:
                for name in held.namelist():
                    if not name.endswith("/") and _belongs(PurePosixPath(name)):
                        put(target / name, held.read(name))


def put(path: Path, content: bytes, mode: int = 0o644) -> None:
    """A file with its folders, with modes that do not depend on the umask."""
    for folder in reversed([parent for parent in path.parents if not parent.exists()]):
        folder.mkdir()
        folder.chmod(0o755)
    path.write_bytes(content)
    path.chmod(mode)


def _belongs(path: PurePosixPath) -> bool:
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"a wheel holds {path}")
    if path.parts[0].endswith(".dist-info"):
        return bool(_KEPT_OF_METADATA.fullmatch(path.parts[1]))
    return path.suffix != ".so" and not _LEFT_OUT & set(path.parts) and not path.parts[0].endswith(".data")


def normal(name: str) -> str:
    """The name of a package as all spellings of it have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
