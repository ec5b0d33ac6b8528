"""The accounts and groups of this host, as NSS knows them: its own files, LDAP, SSSD (nsswitch.conf(5))."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.errors import HostError
from wizard.system.host import Host

LOGIN_DEFS = "/etc/login.defs"
PASSWD, SHADOW = "/etc/passwd", "/etc/shadow"
_UID_MIN = re.compile(r"^[ \t]*UID_MIN[ \t]+(\d+)[ \t]*$", re.MULTILINE)
_DEFAULT = 1000
_PATIENCE = 15
"""Seconds for one look-up: a directory server may be slow."""


@dataclass(frozen=True)
class LocalAccount:
    """A line of /etc/passwd; `password` is whether /etc/shadow has a hash for it that can match."""

    name: str
    uid: int
    password: bool = False


def uid_min(host: Host) -> int:
    """The lowest uid of a user; below are root and system accounts (login.defs(5))."""
    written = _UID_MIN.findall(host.text(LOGIN_DEFS))
    return int(written[-1]) if written else _DEFAULT


def group_id(host: Host, name: str) -> int | None:
    """The number of a group, None where there is none of that name. Raises HostError."""
    row = _row(host, "group", name)
    return int(row[2]) if row and len(row) == 4 and row[0] == name and row[2].isdigit() else None


def user_ids(host: Host, name: str) -> tuple[int | None, frozenset[int]]:
    """The uid of a user, None where none is known, and the numbers of all groups that the user is in. Raises HostError."""
    row = _row(host, "passwd", name)
    if not row or len(row) != 7 or not row[2].isdigit():
        return None, frozenset()
    return int(row[2]), _numbers(host.run(["id", "-G", "--", name], timeout=_PATIENCE).stdout)


def users_ids(host: Host, names: Sequence[str]) -> dict[str, tuple[int | None, frozenset[int]]]:
    """By name the same of several users, with two commands for all whom NSS knows by these names. Raises HostError."""
    lines = host.run(["getent", "passwd", "--", *names], timeout=_PATIENCE).stdout.splitlines()
    rows = {row[0]: row for row in (line.split(":") for line in lines) if len(row) == 7}
    there = [name for name in names if name in rows and rows[name][2].isdigit()]
    groups = host.run(["id", "-G", "--", *there], timeout=_PATIENCE).stdout.splitlines() if there else []
    known = {}
    if len(groups) == len(there):  # else somebody of them is gone
        known = {name: (int(rows[name][2]), _numbers(line)) for name, line in zip(there, groups, strict=True)}
    return {name: known.get(name) or user_ids(host, name) for name in names}


def _numbers(line: str) -> frozenset[int]:
    return frozenset(int(number) for number in line.split() if number.isdigit())


def _row(host: Host, database: str, name: str) -> list[str]:
    result = host.run(["getent", database, "--", name], timeout=_PATIENCE)
    return result.stdout.strip().split(":") if result.code == 0 else []


def local_accounts(host: Host) -> tuple[LocalAccount, ...]:
    """Those of /etc/passwd. Only root sees who has a password."""
    hashes = {row[0]: row[1] for row in _rows(host, SHADOW) if len(row) > 1}
    return tuple(
        LocalAccount(row[0], int(row[2]), hashes.get(row[0], "!")[:1] not in ("", "!", "*"))
        for row in _rows(host, PASSWD)
        if len(row) == 7 and row[2].isdigit()
    )


def _rows(host: Host, path: str) -> list[list[str]]:
    try:
        entry = host.entry(path)
    except (HostError, PermissionError):
        return []
    return (
        [line.split(":") for line in entry.content.decode("utf-8", "replace").splitlines()] if entry else []
    )
