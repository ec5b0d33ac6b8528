"""What was written is read from an upper folder, and compared with what was there before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wizard.rehearse.written import GONE, PACKAGES, PathChange, Row, changes, explain, may_stay, read, scan

root = pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts need root")


def test_a_scan_names_paths_as_the_clone_does(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/x").write_text("one")
    (tmp_path / "etc/l").symlink_to("x")
    found = scan([("/", tmp_path), ("/var", tmp_path)])
    assert found.keys() == {"/etc", "/etc/x", "/etc/l", "/var/etc", "/var/etc/x", "/var/etc/l"}
    assert found["/etc/l"].content == "x"
    assert read(tmp_path / "nothing") is None


@root
def test_a_whiteout_and_an_opaque_folder_are_what_is_gone(tmp_path: Path) -> None:
    os.mknod(tmp_path / "bin", 0o600 | 0o020000, os.makedev(0, 0))
    assert scan([("/", tmp_path)])["/bin"] == GONE


def test_differences(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("x")
    same, other = str(tmp_path / "same"), str(tmp_path / "other")
    now = read(tmp_path / "same")
    assert now is not None
    assert changes({}, {same: now}) == [], "written again as it was on the host"
    changed = Row(now.kind, now.mode, now.owner, "another digest")
    assert changes({}, {same: changed}) == [PathChange(same, "changed")]
    assert changes({}, {same: GONE}) == [PathChange(same, "removed")]
    assert changes({}, {other: now}) == [PathChange(other, "new")]
    assert changes({}, {other: GONE}) == [], "made and removed"
    assert changes({same: changed}, {same: now}) == [PathChange(same, "changed")], (
        "the clone's own before counts"
    )
    assert changes({same: changed}, {same: changed}) == []


def test_who_wrote_it() -> None:
    touches = {"install": ["/etc", "/usr/lib/sasl2"], "smtp-port": ["/etc/mail/sendmail.mc"]}
    paths = [
        "/etc/mail/sendmail.mc",
        "/etc/new",
        "/usr/bin/m4",
        "/var/log/dpkg.log",
        "/opt/what",
        "/etc/.pwd.lock",
    ]
    said = explain([PathChange(path, "new") for path in paths], touches, frozenset({"/usr/bin/m4"}), {})
    assert [item.by for item in said] == [
        *("smtp-port", "install", PACKAGES, "logs", "", "the lock file of useradd"),
    ]
    assert may_stay("/var/log/dpkg.log")
    assert not may_stay("/etc/mail/sendmail.mc")


def test_the_step_that_wrote_a_path_counts_before_those_that_might_have() -> None:
    touches = {"install": ["/etc"], "sendmailconfig": ["/etc/group", "/etc/mail", "/etc/mail/access.db"]}
    made = {"/etc/group": "install", "/etc/mail/access": "install", "/etc/mail/access.db": "sendmailconfig"}
    paths = [PathChange("/etc/group", "changed"), PathChange("/etc/mail", "new")]
    paths += [PathChange(path, "new") for path in ("/etc/mail/access", "/etc/mail/access.db")]
    said = explain(paths, touches, frozenset({"/etc/mail/access"}), made)
    assert [item.by for item in said] == ["install", "install", PACKAGES, "sendmailconfig"]
