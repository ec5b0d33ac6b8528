"""A view of some folders of the host in which a command may write: what it writes is kept apart, the host stays as it is.

The view is a mount namespace in which overlays lie over the folders (mount_namespaces(7), the kernel's overlayfs.rst).
What was written is in memory and seen by nobody else; it is gone as soon as we are, however we end."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from snapshots.live.entry import Entry, EntryError, read_entry
from wizard.errors import WizardError

_PATIENCE = 10.0
"""Seconds for the mounts: one of a network that is away must not hold us up."""
_SCRIPT = """
umask 077
mount -t tmpfs -o mode=700 msa-wizard /mnt
cd /mnt
echo memory
read -r copies
while [ "$copies" -gt 0 ]; do
  read -r n names; copies=$((copies-1))
  eval "place=\\${$n}"
  (set -f; cd "$place"; cp -a --parents -- $names /mnt/$n/up)
done
echo copied
read -r go
n=0
for place; do n=$((n+1)); mount --bind "$place" $n/live; done
n=0
for place; do
  n=$((n+1))
  if [ -d $n/live ]; then
    layers="lowerdir=/mnt/$n/live,upperdir=/mnt/$n/up,workdir=/mnt/$n/work"
    mount -t overlay -o "$layers,index=off,metacopy=off,redirect_dir=off" msa-wizard "$place"
  else
    mount --bind $n/live "$place"; mount -o remount,bind,ro "$place"
  fi
done
umount --lazy /mnt
while IFS= read -r rest && [ -n "$rest" ]; do
  mount -o remount,bind,ro "$rest" 2>/dev/null || ! mountpoint -q "$rest" || { echo "$rest stays writable"; exit 1; }
done
echo ready
read -r end || :
"""
"""The memory is mounted nowhere in the end: the shell's own folder keeps it, and is our way to it (proc(5), cwd)."""
_OPAQUE = "trusted.overlay.opaque"
"""Set to y on a folder through which nothing of the layer below is seen (overlayfs.rst)."""
_KERNEL = ("/dev", "/proc", "/sys")
"""What stays as it is in a view that is sealed: no files."""
_ODD = re.compile(r"[,:\\\n\"]")
"""What a mount option, or a line of mountinfo, would need to have escaped."""


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo (proc(5)): number, mount point, type, and whether it is read-only."""

    number: int
    path: str
    kind: str
    readonly: bool


class ViewError(WizardError):
    """The kernel or the container gives no such view: what it said."""


class PrivateView:
    """The view of `folders` (absolute, those that exist), from `__enter__`, which raises ViewError, to `__exit__`.

    It has what is at the paths `copied` below them as it is now, whatever becomes of it on the host meanwhile; what is
    at the paths `hidden`, right below them, is not in it. Of all else the kernel leaves open when a change of the host
    is seen in it. Where it is `sealed` nothing outside the folders can be written, neither by a link that leads out."""

    def __init__(
        self,
        folders: Sequence[str],
        environment: Mapping[str, str],
        *,
        copied: Sequence[str] = (),
        hidden: Sequence[str] = (),
        sealed: bool = False,
    ) -> None:
        self._copied, self._hidden, self._sealed = copied, hidden, sealed
        self._places = _places([folder for folder in folders if os.path.isdir(folder)])  # noqa: PTH112
        self._environment = environment
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        rest = self._rest() if self._sealed else []
        if odd := [
            *(place for place in self._places if _ODD.search(place)),
            *(place for place in rest if "\n" in place),
            *(path for path in self._copied if re.search(r"\s", path)),
        ]:
            raise ViewError(f"{odd[0]!r} cannot be named in a mount option")
        try:
            self._holder = subprocess.Popen(
                ["unshare", "--mount", "sh", "-euc", _SCRIPT, "sh", *self._places],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(self._environment),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ViewError(f"unshare: {error.strerror}") from error
        try:
            self._say("", "memory")
            self._lay_out()
            self._say(self._orders(), "copied")
            self._freeze()
            self._say("".join(f"{line}\n" for line in ("mount", *rest, "")), "ready")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def entering(self) -> tuple[str, ...]:
        """The start of a command line that runs the rest in the view."""
        return ("nsenter", f"--mount=/proc/{self._pid}/ns/mnt", "--")

    @property
    def root(self) -> Path:
        """The file tree as it is seen in the view."""
        return Path(f"/proc/{self._pid}/root")

    def written(self) -> dict[str, Entry | None]:
        """What each path is in the view that was written there, None where it was removed; also what was only touched.

        What a removed folder held is not named one by one; what came on the host since into a folder that was copied is
        named as removed. Raises ViewError when something cannot be read."""
        entries: dict[str, Entry | None] = {}
        for number, place in enumerate(self._places, 1):
            upper = self._upper(number)
            for name, there in _all(upper, place) if upper.is_dir() else ():
                entries[f"{place}/{name}"] = self.entry(f"{place}/{name}") if there else None
        return entries

    @functools.cached_property
    def _keeps_attributes(self) -> bool:
        """Memory keeps user.* since Linux 6.6; before, a file that is changed in the view loses them there."""
        probe = Path(f"/proc/{self._pid}/cwd/probe")
        probe.touch()
        try:
            os.setxattr(probe, "user.probe", b"")
        except OSError:
            return False
        return True

    def _say(self, words: str, wanted: str) -> None:
        """Tell the shell, and wait for its answer. Raises ViewError with what it says instead."""
        assert self._holder is not None
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and says why
            self._holder.stdin.write(words.encode())
            self._holder.stdin.flush()
        ready = select.select([self._holder.stdout], [], [], _PATIENCE)[0]
        # The first line that comes in time, of an error all of it.
        answer = self._holder.stdout.readline().decode("utf-8", "replace").strip() if ready else ""
        if answer != wanted:
            raise ViewError(answer or "the mounts did not come about in time")

    def _inside(self, paths: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Each of the paths that is below one of the folders: the number of that, and its name there."""
        for path in paths:
            for number, place in enumerate(self._places, 1):
                if path.startswith(f"{place}/"):
                    yield number, path.removeprefix(f"{place}/")

    def _lay_out(self) -> None:
        """The folders of the overlays, each with mode and owner of the one it lies over, and what is hidden in them."""
        try:
            for number, place in enumerate(self._places, 1):
                upper = self._upper(number)
                upper.parent.mkdir(mode=0o700)
                if not Path(place).is_dir():
                    (upper.parent / "live").touch()
                    continue
                for name in ("live", "work", "up"):
                    (upper.parent / name).mkdir(mode=0o700)
                status = Path(place).stat()
                os.chown(upper, status.st_uid, status.st_gid)
                upper.chmod(stat.S_IMODE(status.st_mode))
            for number, name in self._inside(self._hidden):
                os.mknod(self._upper(number) / name, stat.S_IFCHR | 0o600, 0)
        except OSError as error:
            raise ViewError(f"its memory cannot be laid out: {error}") from error

    def _rest(self) -> list[str]:
        """What else is mounted and holds files, innermost first."""
        mounted = {mount.path for mount in seen_here() if not mount.readonly} - {*self._places}
        return sorted((path for path in mounted if not _in(path, _KERNEL)), reverse=True)

    def _orders(self) -> str:
        copies: dict[int, list[str]] = {}
        for number, name in self._inside(self._copied):
            copies.setdefault(number, []).append(name)
        lines = [f"{number} {' '.join(names)}\n" for number, names in copies.items()]
        return "".join([f"{len(lines)}\n", *lines])

    def _freeze(self) -> None:
        """Nothing of the host's shines through the folders that were copied, not even what is new there."""
        for number, name in self._inside(self._copied):
            top = self._upper(number) / name
            for folder, _, _ in os.walk(top) if not top.is_symlink() else ():  # its folder is the host's own
                try:
                    os.setxattr(folder, _OPAQUE, b"y")
                except OSError as error:
                    raise ViewError(f"{_OPAQUE}: {error.strerror}") from error

    def _upper(self, number: int) -> Path:
        return Path(f"/proc/{self._pid}/cwd/{number}/up")

    def entry(self, path: str) -> Entry | None:
        """What is at the path in the view. Raises ViewError when it cannot be read."""
        try:
            entry = read_entry(Path(f"{self.root}{path}"))
        except EntryError as error:
            raise ViewError(str(error)) from error
        return entry if entry is None or self._keeps_attributes else _with_attributes_of(entry, Path(path))

    @property
    def _pid(self) -> int:
        assert self._holder is not None
        return self._holder.pid

    def _end(self) -> None:
        holder, self._holder = self._holder, None
        if holder is None:
            return
        assert holder.stdin is not None
        assert holder.stdout is not None
        with contextlib.suppress(OSError):
            holder.stdin.close()
        holder.stdout.close()
        try:
            holder.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()


def parse(mountinfo: str) -> list[Mount]:
    """The lines of /proc/self/mountinfo, which has blanks and backslashes as octal numbers (proc(5))."""
    mounts = []
    for line in filter(None, mountinfo.split("\n")):  # all other blanks may be in a name
        left, _, right = line.partition(" - ")
        fields, behind = left.split(" "), right.split(" ")
        path = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        readonly = "ro" in fields[5].split(",") or "ro" in behind[-1].split(",")
        mounts.append(Mount(int(fields[0]), path, behind[0], readonly))
    return mounts


def seen_here() -> list[Mount]:
    """The mounts of our own namespace."""
    return parse(Path("/proc/self/mountinfo").read_bytes().decode("utf-8", "surrogateescape"))


def _places(folders: Sequence[str]) -> list[str]:
    """The folders, and what is mounted below them: an overlay shows nothing of that. Parents first."""
    mounted = [mount.path for mount in seen_here()]
    below = {path for path in mounted if any(path.startswith(f"{folder}/") for folder in folders)}
    return [*folders, *sorted(below - set(folders))]


def _in(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _all(upper: Path, place: str) -> Iterator[tuple[str, bool]]:
    """The names in an upper folder, and whether each is there: no whiteout, nor what an opaque folder has no more
    (overlayfs.rst)."""
    for folder, folders, files in os.walk(upper, onerror=_refuse):
        for name in sorted((*folders, *files)):
            path = Path(folder, name)
            relative, status = path.relative_to(upper), path.lstat()
            yield str(relative), not (stat.S_ISCHR(status.st_mode) and status.st_rdev == 0)
            if stat.S_ISDIR(status.st_mode) and is_opaque(path):
                gone = sorted(_names(Path(place, relative)) - _names(path))
                yield from ((str(relative / name), False) for name in gone)


def _refuse(error: OSError) -> None:
    raise ViewError(f"what was written in the view cannot be read: {error}")


def is_opaque(path: Path) -> bool:
    """Whether nothing of the folder that was at this path before is in it."""
    try:
        return os.getxattr(path, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _with_attributes_of(entry: Entry, live: Path) -> Entry:
    try:
        there = read_entry(live)
    except EntryError:
        return entry
    if there is None or there.kind is not entry.kind:
        return entry
    lost = tuple(pair for pair in there.xattrs if pair[0].startswith("user."))
    return replace(entry, xattrs=tuple(sorted((*entry.xattrs, *lost))))


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        return set()
