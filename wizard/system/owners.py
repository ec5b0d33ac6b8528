"""Names of the owners of files."""

from __future__ import annotations

import grp
import pwd


def user_name(uid: int) -> str:
    """The name of the user, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of the group, or the number where there is none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
