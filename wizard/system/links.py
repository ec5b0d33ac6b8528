"""Folders that are symbolic links: where a path really is. The snapshots know each file by that name alone."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from wizard.console import clean
from wizard.errors import HostError
from wizard.system.host import Host

WRITTEN = (
    "/etc/mail/sasl",
    "/etc/mail/tls",
    "/etc/mail/m4",
    "/etc/default",
    "/etc/init.d",
    "/etc/cron.d",
    "/etc/pam.d",
    "/etc/ssl/certs",
    "/etc/systemd/system",
)
"""Folders in which steps, Debian's scripts for sendmail and its packages write."""
_MOST = 40
"""Links that the kernel follows on one way at most (path_resolution(7))."""


def real(host: Host, path: str) -> str:
    """The name of the same place with no symbolic link among its folders; what is at `path` itself is not followed.

    Raises HostError where the links lead in a circle."""
    folder, _, name = path.rpartition("/")
    return f"{real_folder(host, folder)}/{name}"


def real_folder(host: Host, path: str) -> str:
    """As `real`, of a folder, which may be a link itself; "" is the root. Raises HostError."""
    ahead, behind, followed = path.split("/")[::-1], list[str](), 0
    while ahead:
        name = ahead.pop()
        if name in ("", "."):
            continue
        if name == "..":
            behind = behind[:-1]
            continue
        try:
            target = os.readlink(host.path("/".join([*behind, name])))  # noqa: PTH115 - the words, not a Path
        except OSError:  # no link
            behind.append(name)
            continue
        followed += 1
        if followed > _MOST:
            raise HostError(f"{path} leads nowhere: the symbolic links on the way lead in a circle")
        behind = [] if target.startswith("/") else behind
        ahead += target.split("/")[::-1]
    return "".join(f"/{name}" for name in behind)


def file_itself(path: str) -> str:
    """What to do where a link at `path` is in the way: a clause that ends with a command."""
    where = clean(shlex.quote(path))
    return f'put the file itself there: `cp --remove-destination "$(readlink -f {where})" {where}`'


def inside_etc(host: Host, path: str) -> str:
    """As `real`, of what is to be written. Raises HostError too where it lies below /etc by its name alone."""
    if not path.startswith("/etc/"):
        return path
    place = real(host, path)
    if not place.startswith("/etc/"):
        raise HostError(
            f"{path} is really {place}, since a folder on the way is a symbolic link: that is in no snapshot"
        )
    return place


def linked(host: Host, folders: Iterable[str] = WRITTEN) -> dict[str, str]:
    """Of these folders and the ones they are in those that are symbolic links: the folder that each really is, empty where
    it is none."""
    places = dict.fromkeys(str(each) for folder in folders for each in _on_the_way(folder))
    # Not Path.is_symlink, which raises where a folder on the way is closed to us.
    return {place: _folder(host, place) for place in places if os.path.islink(host.path(place))}  # noqa: PTH114


def linked_folders(host: Host) -> dict[str, str]:
    """As `linked`, of these and of all that is right below /etc."""
    return linked(host, (*WRITTEN, *(f"/etc/{name}" for name in host.names("/etc"))))


def other_names(path: str, links: Mapping[str, str]) -> Iterator[str]:
    """The names by which the links (`linked`) lead to an absolute path."""
    for link, place in links.items():
        if place and path.startswith(f"{place}/"):
            yield link + path.removeprefix(place)


def _on_the_way(folder: str) -> list[PurePosixPath]:
    path = PurePosixPath(folder)
    return [*reversed(path.parents), path][1:]


def _folder(host: Host, link: str) -> str:
    try:
        place = real_folder(host, link)
    except HostError:
        return ""
    return place if os.path.isdir(host.path(place)) else ""  # noqa: PTH112 - as above


def in_the_way(links: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Why nothing must be written on a host with these (`linked`), and what to do, for each that is in the way: one that leads
    to another folder below /etc is not, but for those of /etc/mail, whose files are known by their names."""
    for link, place in links.items():
        copy = f"`cp -a {link}/. {link}.new && rm {link} && mv {link}.new {link}`"
        remedy = f"put a folder in its place, with all that it leads to: {copy}"
        if not place:
            yield (
                f"{link} is a symbolic link that leads to no folder",
                f"put one there: `rm {link} && mkdir {link}`",
            )
        elif not place.startswith("/etc/"):
            why = "is not below /etc: what is changed there is in no snapshot, and could not be rolled back"
            yield f"{link} is a symbolic link to {place}, which {why}", remedy
        elif link == "/etc/mail" or link.startswith("/etc/mail/"):
            yield (
                f"{link} is a symbolic link, and what Debian's scripts write there is known by its name",
                remedy,
            )
