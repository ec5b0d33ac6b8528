"""The collection for Ansible, with the one file in it, as `ansible-galaxy collection install` takes it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from building.vendor import put

PROGRAM = "roles/msa/files/msa-wizard.pyz"
_ASKED = "import json, sys; sys.path.insert(0, sys.argv[1]); from wizard.fleet import GALAXY, collection; print(json.dumps([GALAXY, collection()]))"


def make(program: Path, one_file: Path, folder: Path, epoch: int) -> None:
    """Write the archive into the folder: what the program of the folder `program` exports, with the one file.

    Raises subprocess.CalledProcessError."""
    command = [sys.executable, "-I", "-c", _ASKED, str(program)]
    galaxy, texts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    files = {name: text.encode() for name, text in texts.items() if name != "galaxy.yml"}
    files["LICENSE"] = (program / "LICENSE").read_bytes()
    files[PROGRAM] = one_file.read_bytes()
    listed = _json({"files": [*_folders(files), *map(_file, sorted(files.items()))], "format": 1})
    about = galaxy | {
        "license_file": None,
        "repository": None,
        "documentation": None,
        "homepage": None,
        "issues": None,
    }
    manifest = {"collection_info": about, "file_manifest_file": _file(("FILES.json", listed)), "format": 1}
    held = {**files, "FILES.json": listed, "MANIFEST.json": _json(manifest)}
    name = f"{galaxy['namespace']}-{galaxy['name']}-{galaxy['version']}.tar.gz"
    put(folder / name, _packed(held, epoch))


def _json(value: object) -> bytes:
    return f"{json.dumps(value, indent=1)}\n".encode()


def _folders(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    nothing = {"chksum_type": None, "chksum_sha256": None, "format": 1}
    return [{"name": name, "ftype": "dir", **nothing} for name in (".", *_folder_names(files))]


def _folder_names(files: Mapping[str, bytes]) -> list[str]:
    """ansible-galaxy wants each folder in the archive, and in its list."""
    names = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    return sorted(names - {"."})


def _file(item: tuple[str, bytes]) -> dict[str, Any]:
    name, content = item
    digest = hashlib.sha256(content).hexdigest()
    return {"name": name, "ftype": "file", "chksum_type": "sha256", "chksum_sha256": digest, "format": 1}


def _packed(files: Mapping[str, bytes], epoch: int) -> bytes:
    """A tar of them, all of one time and of nobody, in the order of their names."""
    out = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 9, out, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, content in sorted({**dict.fromkeys(_folder_names(files)), **files}.items()):
            item = tarfile.TarInfo(name)
            item.mtime = epoch
            if content is None:
                item.type, item.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(item)
            else:
                item.size, item.mode = len(content), 0o755 if name == PROGRAM else 0o644
                tar.addfile(item, io.BytesIO(content))
    return out.getvalue()
