"""A folder of a machine on a small file system of its own, with as little room as a test wishes.

disk = SmallDisk(machine, "/etc")
disk.leave(0)           # No space left on device
disk.leave(3 * PAGE)    # three small files still fit
disk.leave_plenty()
"""

from __future__ import annotations

from tests.system.machine import Machine

PAGE = 4096
"""What a small file takes, and each page that a longer one has begun; folders and symbolic links take nothing."""

# Below another folder than the root of the file system: nothing but the content shows at the path.
_MOVE = """
set -e
at="/run/small-disks/$(echo "$1" | tr / -)"
mkdir -p "$at"
mount -t tmpfs -o mode=0700,nr_inodes=0 tmpfs "$at"
cp -a "$1" "$at/content"
mount --bind "$at/content" "$1"
printf %s "$at"
"""
_PLENTY = 2**30


class SmallDisk:
    """The content of a folder, copied to a file system in memory that lies over it until the machine goes down.

    A process of before with a file of the folder open keeps the old one. `picture` takes it for another file system:
    ask for the folder itself.
    """

    def __init__(self, machine: Machine, path: str) -> None:
        self._machine = machine
        self._at = machine.run(["sh", "-c", _MOVE, "sh", path]).stdout

    def leave(self, room: int) -> None:
        """From now on so many bytes fit, in whole pages, beyond what is there now; 0: not one."""
        self._resize(self.used + room)

    def leave_plenty(self) -> None:
        """As if the disk had been replaced by a large one."""
        self._resize(_PLENTY)

    @property
    def used(self) -> int:
        """The bytes in use."""
        blocks, free, size = self._machine.run(["stat", "-f", "-c", "%b %f %S", self._at]).stdout.split()
        return (int(blocks) - int(free)) * int(size)

    def _resize(self, size: int) -> None:
        self._machine.run(["mount", "-o", f"remount,size={max(PAGE, size)}", self._at])
