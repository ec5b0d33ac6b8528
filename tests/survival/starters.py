"""What the tests of the starters share: a program that tells what it was given, and the user and the environment it runs with."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

NOBODY = 65534
PROGRAM = """
import os, sys

def main():
    if sys.argv[1:2] == ["exit"]:
        return int(sys.argv[2])
    if sys.argv[1:2] == ["wait"]:
        import time
        print(os.getpid(), flush=True)
        time.sleep(60)
    if sys.argv[1:2] == ["quick"]:
        return 0
    import json
    found = {"argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "file": __file__, "prefix": sys.prefix}
    found["environment"] = dict(os.environ)
    found["umask"] = oct(os.umask(0o22))
    print(json.dumps(found))
    return 0
"""
"""Its wizard/cli/main.py."""


def as_nobody() -> list[str]:
    """What makes a command nobody's, where root runs the tests."""
    setpriv = [shutil.which("setpriv") or "setpriv", f"--reuid={NOBODY}", "--clear-groups"]
    return setpriv if os.geteuid() == 0 else []


def group_may_write(folder: Path) -> None:
    """A default ACL by which a group may write in what is made there: no umask counts any more (acl(5))."""
    entries = ((0x01, 7), (0x04, 7), (0x20, 5))  # user, group, others: <linux/posix_acl.h>, posix_acl_xattr.h
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each, 0xFFFFFFFF) for each in entries)
    try:
        os.setxattr(folder, "system.posix_acl_default", acl)
    except OSError as problem:
        pytest.skip(f"no ACL here: {problem}")


def environment(cache: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without what steers Python and the cache, which is to be that folder; `extra` on top."""
    steers = ("PYTHON", "XDG_", "TMPDIR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steers)}
    return {**kept, "HOME": str(cache), "XDG_CACHE_HOME": str(cache), **(extra or {})}
