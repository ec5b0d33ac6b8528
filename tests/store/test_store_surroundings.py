"""The store in hostile surroundings: nothing redirects it, and one that others can touch is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from snapshots.format.layout import PathChange, What
from snapshots.store import Store, StoreError
from tests.store.machine import Machine, commit, fsck


@pytest.fixture
def hostile_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another repository, and an environment and a configuration that would have everything go there."""
    other = tmp_path / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("reference-transaction", "post-commit", "pre-auto-gc", "post-rewrite"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\nexit 1\n")
        (hooks / hook).chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[core]\n hooksPath = {hooks}\n autocrlf = true\n quotePath = false\n[commit]\n gpgSign = true\n"
        f"[init]\n templateDir = {hooks}\n defaultBranch = other\n[diff]\n external = false\n noprefix = true\n"
        "[log]\n showSignature = true\n[color]\n ui = always\n[i18n]\n logOutputEncoding = ISO-8859-1\nbroken line [\n"
    )
    variables = {
        "HOME": str(home),
        "GIT_DIR": str(other / ".git"),
        "GIT_COMMON_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_OBJECT_DIRECTORY": str(other / ".git/objects"),
        "GIT_INDEX_FILE": "/nonexistent/index",
        "GIT_NAMESPACE": "elsewhere",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_PARAMETERS": "'core.bare=false'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(hooks),
        "GIT_EXTERNAL_DIFF": "/bin/false",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_AUTHOR_NAME": "Mallory",
        "GIT_TRACE": str(tmp_path / "trace"),
        "LC_ALL": "de_DE.ISO-8859-1",
        "LANG": "xx",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_neither_environment_nor_configuration_redirects_the_store(
    machine: Machine, hostile_git: Path
) -> None:
    before = sorted((hostile_git / "other").rglob("*"))
    store = machine.open()
    made = commit(store, "baseline")
    (machine.etc / "ő\r").write_bytes(b"a\r\nb\n")
    commit(store, subject="für")
    assert made is not None
    assert store.find("HEAD").subject == "für"
    assert "b/etc/" in store.diff("HEAD")
    assert store.entry("HEAD", "etc/ő\r") is not None
    assert store.pending() == ()
    assert sorted((hostile_git / "other").rglob("*")) == before
    assert not (hostile_git / "hook-ran").exists()
    assert not (hostile_git / "trace").exists()
    assert os.environ["GIT_DIR"] == str(hostile_git / "other/.git")
    reader = Store.open_existing(machine.store_path, root=machine.root)
    assert reader is not None
    assert reader.head() == store.head()
    assert fsck(machine) == ""


def test_git_that_is_not_there_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    store = machine.store()
    (machine.etc / "new").write_text("x")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StoreError, match="git"):
        commit(store)
    monkeypatch.undo()
    assert store.pending() == (PathChange("etc/new", What.CREATED),)


def test_a_path_without_git_is_said_before_anything_is_made(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(StoreError, match="Install the package git"):
        machine.open()
    assert not machine.store_path.exists()


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_nobody_else_can_enter_whatever_the_umask(machine: Machine, mask: int) -> None:
    shutil.rmtree(machine.store_path.parent)
    old = os.umask(mask)
    try:
        machine.store()
    finally:
        os.umask(old)
    found = [machine.store_path.parent, *machine.store_path.parent.rglob("*")]
    assert [one for one in found if one.stat().st_mode & 0o077] == []
    assert machine.store_path.parent.stat().st_mode & 0o7777 == 0o700
    assert all(one.stat().st_mode & 0o700 for one in found)


@pytest.mark.parametrize("which", ["store", "parent"])
@pytest.mark.parametrize("how", ["link", "owner", "mode", "file"])
def test_a_store_that_others_have_a_hand_in_is_refused(machine: Machine, which: str, how: str) -> None:
    machine.store()
    path = machine.store_path if which == "store" else machine.store_path.parent
    if how == "owner" and os.geteuid() != 0:
        pytest.skip("giving files away needs root")
    if how == "link":
        path.rename(path.with_name("moved"))
        path.symlink_to("moved")
    elif how == "owner":
        os.chown(path, 1234, 0)
    elif how == "mode":
        path.chmod(0o702)
    else:
        shutil.rmtree(path)
        path.write_text("")
    words = {
        "link": "symbolic link",
        "owner": "belongs to user 1234",
        "mode": "mode 0702",
        "file": "not a folder",
    }
    with pytest.raises(StoreError, match=words[how]):
        machine.open()
    with pytest.raises(StoreError, match=words[how]):
        Store.open_existing(machine.store_path, root=machine.root)


def test_a_folder_that_is_no_store_and_a_store_inside_etc_are_refused(machine: Machine) -> None:
    machine.store_path.mkdir(mode=0o700)
    (machine.store_path / "something").write_text("precious")
    with pytest.raises(StoreError, match="not a usable git repository"):
        machine.open()
    assert (machine.store_path / "something").read_text() == "precious"
    with pytest.raises(StoreError, match="inside the /etc"):
        Store.open(machine.etc / "var/etc.git", root=machine.root)
    with pytest.raises(StoreError, match="No such file"):
        Store.open(machine.root / "not/there/etc.git", root=machine.root)
    (machine.store_path / "something").unlink()
    assert commit(machine.open(), "baseline") is not None


def test_a_store_of_a_newer_program_is_refused(machine: Machine) -> None:
    machine.store()
    config = machine.store_path / "config"
    config.write_text(config.read_text().replace("format = 1", "format = 2"))
    with pytest.raises(StoreError, match="has the format"):
        machine.open()
