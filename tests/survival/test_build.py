"""`packaging/build`: the same commit gives the same bytes, wherever and by whomever it is built."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from building.sbom import licence_of
from wizard import __version__
from wizard.delivery import version_line
from wizard.engine.removal import what_is_there
from wizard.system.host import Host

_TOP = Path(__file__).resolve().parents[2]
_COLLECTION = f"msa_wizard-msa-{__version__}.tar.gz"
_NAMES = {
    "SHA256SUMS",
    f"msa-wizard-{__version__}.cdx.json",
    "msa-wizard.deb",
    "msa-wizard.pyz",
    _COLLECTION,
    f"msa_wizard-{__version__}-py3-none-any.whl",
    f"msa_wizard-{__version__}.tar.gz",
}


def _git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false"]
    command = ["git", *author, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree, committed. In place of the Debian package, which needs tools of its own and has tests of its own, it
    makes a file of what those tools heed."""
    place = tmp_path_factory.mktemp("build") / "one"
    place.mkdir()
    listed = _git(_TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in listed:
        if (_TOP / name).is_file() and not name.startswith("packaging/deb/"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes((_TOP / name).read_bytes())
            (place / name).chmod((_TOP / name).stat().st_mode)
    stand_in = place / "packaging/deb/build"
    stand_in.parent.mkdir()
    stand_in.write_text(
        '#!/bin/sh\necho "$DEB_BUILD_OPTIONS $DH_OPTIONS $TAR_OPTIONS" >"$2/msa-wizard.deb"\n'
    )
    stand_in.chmod(0o755)
    _git(place, "init", "-q")
    _git(place, "add", "-A")
    _git(place, "commit", "-qm", "one")
    return place


def _built(checkout: Path, target: Path, umask: int, **settings: str) -> dict[str, str]:
    """The digests of what is made."""
    done = subprocess.run(
        [str(checkout / "packaging/build"), str(target)],
        env={**os.environ, **settings},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(target.iterdir())}


@pytest.fixture(scope="module")
def built(checkout: Path) -> Path:
    _built(checkout, checkout / "dist", 0o022)
    return checkout / "dist"


def test_two_places_give_the_same_bytes(checkout: Path, built: Path, tmp_path: Path) -> None:
    other = tmp_path / "another place, with a longer name/checkout"
    subprocess.run(["git", "clone", "-q", str(checkout), str(other)], check=True, umask=0o077)
    (other / "not committed.txt").write_text("of the admin")
    (other / "wizard/__init__.py").write_text("broken here, not in the commit")
    (tmp_path / ".gitconfig").write_text(
        "[core]\n\tautocrlf = true\n[tar]\n\tumask = 0077\n[log]\n\tshowSignature = true\n"
    )
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    strange = {
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
        "LANG": "xx_YY",
        "HOME": str(tmp_path),
        "USER": "somebody",
        "DEB_BUILD_OPTIONS": "nodoc",
        "DH_OPTIONS": "--verbose",
        "GIT_DIR": "/nowhere",
    }
    again = _built(other, tmp_path / "out", 0o077, XDG_CACHE_HOME=cache, PYTHONHASHSEED="7", **strange)
    assert again == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in built.iterdir()}
    assert again.keys() == _NAMES


def test_the_released_source_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    archive = built / f"msa_wizard-{__version__}.tar.gz"
    subprocess.run(["tar", "-xf", str(archive), "-C", str(tmp_path)], check=True, umask=0o077)
    source = tmp_path / f"msa_wizard-{__version__}"
    for _ in range(2):  # what the first build left in it is not in the second
        again = _built(source, source / "made", 0o022)
        assert again == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in built.iterdir()}


def test_what_was_added_to_the_released_source_is_said_to_be_in_what_is_built_of_it(
    built: Path, tmp_path: Path
) -> None:
    archive = built / f"msa_wizard-{__version__}.tar.gz"
    subprocess.run(["tar", "-xf", str(archive), "-C", str(tmp_path)], check=True)
    source = tmp_path / f"msa_wizard-{__version__}"
    no_cache = {**os.environ, "XDG_CACHE_HOME": "/dev/null"}  # it ends there
    for added in (None, "mine.txt"):
        if added:
            (source / added).write_text("")
        ended = subprocess.run(
            [str(source / "packaging/build")], env=no_cache, capture_output=True, text=True, check=False
        )
        words = "files here are newer than the release (./mine.txt): what was changed or added is in it, too"
        assert (words in ended.stderr) is bool(added), ended.stderr
        assert ("packaging/build" in ended.stderr) is bool(added)


def test_a_folder_that_is_neither_is_refused(built: Path, tmp_path: Path) -> None:
    archive = built / f"msa_wizard-{__version__}.tar.gz"
    subprocess.run(["tar", "-xf", str(archive), "-C", str(tmp_path)], check=True)
    source = tmp_path / f"msa_wizard-{__version__}"
    (source / "wizard/BUILD").unlink()
    refused = subprocess.run([str(source / "packaging/build")], capture_output=True, text=True, check=False)
    assert refused.returncode == 3
    assert f"git names no commit in {source}, and it is not the source of a release" in refused.stderr
    assert not (source / "dist").exists()


def test_the_sums_are_those_that_sha256sum_checks(built: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=built,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.partition(":")[0] for line in checked.stdout.splitlines()} == _NAMES - {"SHA256SUMS"}


def test_a_release_is_signed_and_checked_as_the_document_says(built: Path, tmp_path: Path) -> None:
    page = (_TOP / "docs/release.md").read_text()
    (sign,) = re.findall(r"^ +(ssh-keygen -Y sign .*)$", page, re.MULTILINE)
    (check,) = re.findall(r"^    (ssh-keygen -Y verify .*\n)    (sha256sum .*)$", page, re.MULTILINE)
    shutil.copytree(built, tmp_path / "dist")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    signed = sign.replace("~/.ssh/msa-wizard-release", "key")
    assert signed != sign
    subprocess.run(["sh", "-c", signed], cwd=tmp_path, check=True, capture_output=True)
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "dist/allowed_signers").write_text(f"release {public}")

    def checked() -> bool:
        both = "set -e; " + "".join(check).replace("\n", "; ")
        return (
            subprocess.run(
                ["sh", "-c", both], cwd=tmp_path / "dist", capture_output=True, check=False
            ).returncode
            == 0
        )

    assert checked()
    file = tmp_path / "dist/msa-wizard.pyz"
    kept = file.read_bytes()
    file.write_bytes(kept[:-1] + b"x")
    assert not checked()
    file.write_bytes(kept)
    sums = tmp_path / "dist/SHA256SUMS"
    sums.write_text(sums.read_text().replace("a", "b", 1))
    assert not checked()


def test_each_delivery_says_what_it_is_and_of_which_commit(
    checkout: Path, built: Path, tmp_path: Path
) -> None:
    commit = _git(checkout, "rev-parse", "HEAD")
    shown = subprocess.run(
        [sys.executable, str(built / "msa-wizard.pyz"), "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == f"msa-wizard {__version__} (one file, commit {commit[:12]})\n"
    with zipfile.ZipFile(built / f"msa_wizard-{__version__}-py3-none-any.whl") as wheel:
        assert wheel.read("wizard/BUILD").decode() == f"wheel {commit}\n"
        assert {name.split("/")[0] for name in wheel.namelist()} == {
            *("screens", "snapshots", "templates", "wizard"),
            f"msa_wizard-{__version__}.dist-info",
        }
    archive = built / f"msa_wizard-{__version__}.tar.gz"
    with tarfile.open(archive) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    subprocess.run(["tar", "-xf", str(archive), "--no-same-owner", "-C", str(tmp_path)], check=True)
    tracked = set(_git(checkout, "ls-files").splitlines())
    assert tracked - {".gitignore"} <= names
    unpacked = tmp_path / f"msa_wizard-{__version__}"
    assert version_line(str(unpacked)) == f"msa-wizard {__version__} (checkout, commit {commit[:12]})"
    removal = what_is_there(Host(tmp_path / "root"), unpacked)
    assert (unpacked, "the program") in removal.goes, "`remove` takes it, as any checkout"


def test_the_bill_of_materials_names_what_the_one_file_holds(checkout: Path, built: Path) -> None:
    bill = json.loads((built / f"msa-wizard-{__version__}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    whole = bill["metadata"]["component"]
    assert (whole["version"], whole["properties"]) == (
        __version__,
        [{"name": "commit", "value": _git(checkout, "rev-parse", "HEAD")}],
    )
    pinned = (checkout / "requirements.txt").read_text()
    for component in bill["components"]:
        assert f"{component['name']}=={component['version']} " in pinned
        assert f"--hash=sha256:{component['hashes'][0]['content']}" in pinned
        assert [list(each["license"]) for each in component["licenses"]] == [["id"]], "as SPDX has it"
    with zipfile.ZipFile(built / "msa-wizard.pyz") as outer, outer.open("program.zip") as inner:
        held = {
            name.split("-")[0].replace("_", "-").lower()
            for name in zipfile.ZipFile(inner).namelist()
            if ".dist-info/" in name
        }
    assert held == {component["name"] for component in bill["components"]}
    (root,) = (each for each in bill["dependencies"] if each["ref"] == "msa-wizard")
    assert {"textual", "jinja2", "gitpython"} <= set(root["dependsOn"])
    assert "smmap" not in root["dependsOn"]


def test_a_licence_whose_words_are_not_known_ends_the_build(tmp_path: Path) -> None:
    folder = tmp_path / "some-1.dist-info"
    folder.mkdir()
    for words, found in (("MIT License", "MIT"), ("ISC", "ISC")):
        (folder / "METADATA").write_text(f"Name: some\nVersion: 1\nLicense: {words}\n")
        assert licence_of(Distribution.at(folder)) == found
    for words in ("BSD License", "Mine"):
        (folder / "METADATA").write_text(f"Name: some\nVersion: 1\nLicense: {words}\n")
        with pytest.raises(ValueError, match=r"some: .* is no SPDX id"):
            licence_of(Distribution.at(folder))


def test_the_one_file_holds_no_compiled_code_no_caches_and_no_tests(built: Path) -> None:
    with zipfile.ZipFile(built / "msa-wizard.pyz") as outer, outer.open("program.zip") as inner:
        names = zipfile.ZipFile(inner).namelist()
    assert not [name for name in names if name.endswith((".so", ".pyc", ".pyd", ".exe"))]
    assert not {"tests", "test", "demo", "__pycache__"} & {part for name in names for part in name.split("/")}
    needed = {
        "textual/app.py",
        "wizard/cli/main.py",
        "screens/wizard.tcss",
        "templates/guard.sh.j2",
        "LICENSE",
    }
    assert needed <= set(names)


def test_the_collection_lists_all_that_it_holds_and_holds_the_one_file(built: Path) -> None:
    """As `ansible-galaxy collection verify` looks at it."""
    with tarfile.open(built / _COLLECTION) as packed:
        folders = {item.name for item in packed if item.isdir()}
        held = {item.name: packed.extractfile(item).read() for item in packed if item.isfile()}  # type: ignore[union-attr]
    about = json.loads(held.pop("MANIFEST.json"))
    assert about["collection_info"]["version"] == __version__
    assert about["file_manifest_file"]["chksum_sha256"] == hashlib.sha256(held["FILES.json"]).hexdigest()
    listed = json.loads(held.pop("FILES.json"))["files"]
    digests = {each["name"]: each["chksum_sha256"] for each in listed if each["ftype"] == "file"}
    assert digests == {name: hashlib.sha256(content).hexdigest() for name, content in held.items()}
    assert {each["name"] for each in listed if each["ftype"] == "dir"} == {".", *folders}
    assert folders == {str(parent) for name in held for parent in Path(name).parents if parent != Path()}
    assert held["roles/msa/files/msa-wizard.pyz"] == (built / "msa-wizard.pyz").read_bytes()
    assert held["LICENSE"] == (_TOP / "LICENSE").read_bytes()
    assert "plugins/modules/apply.py" in held


def test_a_folder_with_other_things_in_it_is_not_emptied(checkout: Path, tmp_path: Path) -> None:
    """Nor is another release's, or a folder with the sums of something else."""
    ours = "0  msa-wizard.pyz\n"
    for files in (
        {"mine": ""},
        {"SHA256SUMS": "0  debian-12.iso\n", "debian-12.iso": ""},
        {"SHA256SUMS": "0  debian-12.iso\n"},
        {"SHA256SUMS": ours, "msa-wizard.pyz": "", "mine": ""},
        {"SHA256SUMS": ours, ".mine": ""},
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        refused = subprocess.run(
            [str(checkout / "packaging/build"), str(folder)], capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2, files
        assert "name another folder" in refused.stderr
        assert {path.name: path.read_text() for path in folder.iterdir()} == files
    file = str(checkout / "README.md")
    by_name = subprocess.run([str(checkout / "packaging/build"), file], capture_output=True, check=False)
    assert by_name.returncode == 2
    assert Path(file).is_file()


def test_an_earlier_build_is_replaced_with_its_signature(checkout: Path, built: Path) -> None:
    (built / "SHA256SUMS.sig").write_text("of the one before")
    (built / "msa-wizard.pyz").write_text("an older one")
    assert _built(checkout, built, 0o022).keys() == _NAMES
