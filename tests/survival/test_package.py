"""The Debian package as a file: what is in it, what lintian says of it, and that it is always the same."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path

import pytest

from docs.manual_page import manual_page
from tests.system.machine import working_tree
from tests.system.package import MOMENT, build, package

TOP = Path(__file__).resolve().parents[2]
_TOOLS = ("dpkg-buildpackage", "dh", "dh_python3")
_OF_OTHERS = re.compile(
    rb"Copyright \(?[cC\d]|Licensed under|[Aa]dapted from|(?:Data|Borrowed) from|from Python \d"
)
_OF_ITS_PACKAGE = re.compile(rb"[Kk]islyuk|the Pygments team|BSD license, see LICENSE|the formal grammar")
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in _TOOLS), reason="Debian's tools for packages are not here"
)


@pytest.fixture(scope="module")
def built() -> Path:
    return package()


@pytest.fixture(scope="module")
def held(built: Path) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """Each path with its content."""
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(built)], capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tar:
        files = {each.name.removeprefix("."): (each, tar.extractfile(each)) for each in tar.getmembers()}
        return {name: (each, file.read() if file else b"") for name, (each, file) in files.items()}


def test_lintian_has_nothing_to_say(built: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("there is no lintian here")
    command = [
        "lintian",
        "--allow-root",
        "--fail-on",
        "error,warning",
        "--tag-display-limit",
        "0",
        str(built),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_same_tree_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = build(working_tree(), tmp_path, umask=0o077)
    assert hashlib.sha256(again.read_bytes()).hexdigest() == hashlib.sha256(built.read_bytes()).hexdigest()


def test_nothing_is_compiled_or_of_another_moment(held: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    assert [name for name in held if name.endswith((".so", ".pyc"))] == []
    assert {each.mtime for each, _ in held.values()} == {MOMENT}
    assert {each.uid for each, _ in held.values()} == {0}
    assert [name for name, (each, _) in held.items() if each.mode & 0o022] == []


def test_what_comes_from_debian_does_not_travel_along(held: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    private = {name.split("/")[4] for name in held if name.count("/") == 4 and "/usr/lib/msa-wizard/" in name}
    own = {"wizard", "screens", "snapshots", "templates"}
    assert private == own | {"argcomplete", "platformdirs", "pygments", "rich", "textual", "in-use"}


def test_the_command_is_the_one_that_keeps_the_callers_python_out(
    held: dict[str, tuple[tarfile.TarInfo, bytes]],
) -> None:
    command = held["/usr/bin/msa-wizard"][1]
    assert command.startswith(b"#!/usr/bin/python3 -IS\n")
    assert command == (TOP / "packaging/deb/msa-wizard").read_bytes()


def test_only_root_can_lock_the_package(held: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    assert held["/usr/lib/msa-wizard/in-use"][0].mode == 0o600


def test_what_travels_along_has_its_licence(held: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    text = held["/usr/share/doc/msa-wizard/copyright"][1].decode()
    files = re.findall(r"(?m)^Files: ([^/\s]+)/\*\n", text)
    assert sorted(files) == ["argcomplete", "platformdirs", "pygments", "rich", "textual"]
    used = set(re.findall(r"(?m)^License: (.+)$", text.partition("\n\nLicense: ")[0]))
    explained = set(re.findall(r"(?m)^License: (\S+)\n ", text))
    assert {name for each in used for name in each.split(" and ")} <= explained


def test_who_else_has_written_part_of_what_travels_along_is_named(
    held: dict[str, tuple[tarfile.TarInfo, bytes]],
) -> None:
    """As the files themselves say: each that names somebody else than its package's authors has a paragraph of its own."""
    text = held["/usr/share/doc/msa-wizard/copyright"][1].decode()
    listed = [each for files in re.findall(r"(?m)^Files: (\S+(?:\n \S+)*)", text) for each in files.split()]
    own = [each for each in listed if not re.fullmatch(r"([^/]+/)?\*", each)]
    theirs = set()
    for name, (_, content) in held.items():
        path = name.removeprefix("/usr/lib/msa-wizard/")
        if path == name or path.split("/")[0] in ("wizard", "screens", "snapshots", "templates"):
            continue
        lines = [line for line in content.splitlines() if _OF_OTHERS.search(line)]
        if [line for line in lines if not _OF_ITS_PACKAGE.search(line)]:
            theirs.add(path)
    assert len(theirs) > 20
    assert [path for path in theirs if not any(fnmatch(path, each) for each in own)] == []


def test_page_completions_and_log_rotation_are_in_debians_places(
    held: dict[str, tuple[tarfile.TarInfo, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(MOMENT))
    page = gzip.decompress(held["/usr/share/man/man8/msa-wizard.8.gz"][1]).decode()
    assert page == manual_page()
    assert b"complete -o nospace" in held["/usr/share/bash-completion/completions/msa-wizard"][1]
    assert held["/usr/share/zsh/vendor-completions/_msa-wizard"][1].startswith(b"#compdef msa-wizard")
    assert b"complete --command msa-wizard" in held["/usr/share/fish/vendor_completions.d/msa-wizard.fish"][1]
    rotate = (TOP / "packaging/msa-wizard.logrotate").read_bytes()
    assert held["/etc/logrotate.d/msa-wizard"][1] == rotate
    assert "/usr/share/doc/msa-wizard/docs/manual.md" in held
