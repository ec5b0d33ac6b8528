"""Pictures of a machine's file system: each kind of difference is seen, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.system.conftest import BootMachine
from tests.system.picture import Row, differences, picture

_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service+ep, as the kernel keeps it."""


def test_each_kind_of_difference_is_seen(machine: BootMachine) -> None:
    debian = machine("minimal", project=False)
    debian.run(
        "mkdir -p /srv/a/gone /srv/a/mode; cd /srv/a; ln -s one link; ln -s same same; mkfifo fifo; mknod null c 1 3;"
        "for name in bits setuid owner group content kind xattr removed; do echo $name >$name; done"
    )
    before = picture(debian, "/srv")
    assert before["/srv/a/link"] == Row("symbolic link", "0777", "0:0", target="one")
    assert before["/srv/a/null"] == Row("character device", "0644", "0:0", target="1:3")
    assert len(before["/srv/a/content"].digest) == 64
    assert differences(before, picture(debian, "/srv")) == []

    debian.run(
        "cd /srv/a; rmdir gone; chmod 1700 mode; ln -sfn two link; rm null; mknod null c 1 5; chmod 0600 bits;"
        "chmod u+s setuid; chown 7 owner; chgrp 8 group; echo CONTENT >content; rm kind; ln -s content kind;"
        "rm removed; mkdir made; echo x >made/file; rm fifo; mkfifo -m 0600 fifo; touch -hd 2001-02-03 same bits;"
        "printf x >\"$(printf 'b\\377\\nd')\""
    )
    os.setxattr(f"/proc/{debian.init_pid}/root/srv/a/xattr", "security.capability", _CAPABILITY)
    assert differences(before, picture(debian, "/srv")) == [
        "/srv/a/bits: mode 0644 -> 0600",
        "/srv/a/b\\xff\\nd: new file",
        "/srv/a/content: content",
        "/srv/a/fifo: mode 0644 -> 0600",
        "/srv/a/gone: folder is gone",
        "/srv/a/group: owner 0:0 -> 0:8",
        "/srv/a/kind: file -> symbolic link",
        "/srv/a/kind: mode 0644 -> 0777",
        "/srv/a/link: leads to one -> two",
        "/srv/a/made: new folder",
        "/srv/a/made/file: new file",
        "/srv/a/mode: mode 0755 -> 1700",
        "/srv/a/null: leads to 1:3 -> 1:5",
        "/srv/a/owner: owner 0:0 -> 7:0",
        "/srv/a/removed: file is gone",
        "/srv/a/setuid: mode 0644 -> 4644",
        f"/srv/a/xattr: xattr security.capability None -> {_CAPABILITY!r}",
    ]


def test_a_whole_machine_in_a_few_seconds(machine: BootMachine) -> None:
    debian = machine("mail")
    began = time.monotonic()
    before = picture(debian)
    assert time.monotonic() - began < 20
    assert {"/", "/etc/mail/sendmail.mc", "/usr/lib/sasl2", "/var/lib/dpkg/status"} <= before.keys()
    assert not [path for path in before if path.startswith(("/proc", "/run", "/sys", "/dev", "/tmp"))]
    assert before["/usr/bin/perl"].digest
    debian.run("echo >>/etc/mail/sendmail.mc; mkdir /mnt/on; mount -t tmpfs tmpfs /mnt/on; echo x >/mnt/on/x")
    mine = [line for line in differences(before, picture(debian)) if not line.startswith("/var/log/journal/")]
    # The folder below a mount is not of this file system.
    assert mine == ["/etc/mail/sendmail.mc: content"]
    assert set(picture(debian, "/mnt/on")) == {"/mnt/on", "/mnt/on/x"}
    assert Path(f"/proc/{debian.init_pid}/root/mnt/on").is_dir()
