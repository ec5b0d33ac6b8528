"""Which mounts the clone gets, and how."""

from __future__ import annotations

import pytest

from wizard.rehearse.clone import kind_of
from wizard.system.private_view import Mount, parse

LINES = r"""22 28 0:21 / /proc rw,nosuid - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 28 0:40 / /srv/a\040b:c,d\134e rw - tmpfs tmpfs rw
41 28 8:2 / /usr ro,relatime - ext4 /dev/sda2 rw
42 28 8:3 / /var rw,relatime - ext4 /dev/sda3 ro
"""


def test_mountinfo_is_read_as_the_kernel_writes_it() -> None:
    found = parse(LINES)
    assert [item.path for item in found] == ["/proc", "/", "/srv/a b:c,d\\e", "/usr", "/var"]
    assert [item.readonly for item in found] == [False, False, False, True, True]
    assert found[1] == Mount(28, "/", "ext4", False)


@pytest.mark.parametrize(
    ("path", "kind", "is_file", "expected"),
    [
        ("/", "ext4", False, "overlay"),
        ("/", "tmpfs", False, "overlay"),
        ("/usr", "ext4", False, "overlay"),
        ("/var/lib/msa-wizard", "tmpfs", False, "overlay"),
        ("/etc/hosts", "ext4", True, "copy"),
        ("/home", "ext4", False, "readonly"),
        ("/homes", "ext4", False, "overlay"),
        ("/opt/share", "nfs4", False, "readonly"),
        ("/opt/ssh", "fuse.sshfs", False, "readonly"),
        ("/proc", "proc", False, None),
        ("/run/user/0", "tmpfs", False, None),
        ("/tmp", "ext4", False, None),
        ("/var/lib/docker/overlay2/x/merged", "overlay", False, None),
        ("/sys/fs/cgroup", "cgroup2", False, None),
    ],
)
def test_how_it_is_taken(path: str, kind: str, is_file: bool, expected: str | None) -> None:
    assert kind_of(Mount(1, path, kind, False), is_file=is_file) == expected
