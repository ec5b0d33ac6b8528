"""Small disks have the room that was asked for, and hold what was there before."""

from __future__ import annotations

from tests.system.conftest import BootMachine
from tests.system.msa import wizard
from tests.system.picture import differences, picture
from tests.system.small_disk import PAGE, SmallDisk


def test_a_disk_with_so_much_room(machine: BootMachine) -> None:
    debian = machine("minimal", project=False)
    debian.run("mkdir -m 0700 /etc/private; ln -s nowhere /etc/dangling")
    before = picture(debian, "/etc")
    disk = SmallDisk(debian, "/etc")
    assert differences(before, picture(debian, "/etc")) == []

    def write(name: str, size: int) -> str:
        """Why it could not be written; empty where it was."""
        return debian.run(f"head -c {size} /dev/zero >/etc/{name}", check=False).stderr

    disk.leave(0)
    assert "No space left on device" in write("one", 1)
    debian.run("ln -s x /etc/link; mkdir /etc/folder; rm /etc/one")
    disk.leave(2 * PAGE)
    assert write("one", 1) == ""
    assert write("two", PAGE) == ""
    assert "No space left on device" in write("three", 1)
    disk.leave_plenty()
    assert write("three", 1000 * PAGE) == ""
    assert len(debian.read("/etc/three")) == 1000 * PAGE


def test_the_program_works_on_small_disks(machine: BootMachine) -> None:
    debian = machine("mail")
    store, etc = SmallDisk(debian, "/var/lib/msa-wizard"), SmallDisk(debian, "/etc")
    store.leave(0)
    refused = wizard(debian, "apply", "--yes", "preflight")
    assert refused.returncode != 0
    assert "space" in refused.stderr.lower(), refused.stderr
    store.leave_plenty()
    etc.leave(0)
    assert wizard(debian, "apply", "--yes", "preflight").returncode == 0
    assert etc.used > 100 * PAGE
