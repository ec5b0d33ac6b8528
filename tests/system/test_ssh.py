"""Real sessions over a real sshd, and the ways to lose one."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.system.conftest import BootMachine
from tests.system.ssh import Session, Ssh

_SLOW = """
trap 'echo SIGHUP >>/root/told; exit 129' HUP
echo ready
while echo tick 2>>/root/told; do sleep 0.1; done
echo "no reader" >>/root/told
"""


def test_a_session_works(machine: BootMachine) -> None:
    debian = machine("minimal", project=False)
    ssh = Ssh(debian)
    with ssh.session(["printf", "%s|", "a b", "$HOME"]) as session:
        assert (session.wait(), session.said) == (0, "a b|$HOME|")
    with ssh.session("tty; exit 3") as session:
        assert (session.wait(), session.said) == (3, "not a tty\n")
    with ssh.session('tty; read -r line; echo "<$line>"', terminal=True) as session:
        session.wait_for("/dev/pts/")
        session.type("typed\n")
        session.wait_for("<typed>")
        assert session.wait() == 0
    assert ssh.servers() == []


def test_a_lost_session(machine: BootMachine) -> None:
    """With a terminal the command gets SIGHUP; without one it finds out when it writes."""
    debian = machine("minimal", project=False)
    debian.put("/root/slow", _SLOW)
    ssh = Ssh(debian)
    for terminal in (True, False):
        for lose in (Session.kill_client, Session.kill_server, Session.cut):
            loses(ssh, lose, terminal=terminal)


def loses(ssh: Ssh, lose: Callable[[Session], None], *, terminal: bool) -> None:
    """One session, lost in this way; the next one works."""
    debian = ssh.machine
    debian.run("rm -f /root/told")
    with ssh.session(["bash", "/root/slow"], terminal=terminal) as session:
        session.wait_for("tick")
        lose(session)
        deadline = time.monotonic() + 20
        while debian.run("pgrep -f '^bash /root/slow'", check=False).stdout:
            assert time.monotonic() < deadline, f"the command did not notice {lose.__name__}"
            time.sleep(0.05)
        assert ssh.servers() == []
    told = debian.read("/root/told").decode()
    assert "SIGHUP" in told if terminal else "SIGHUP" not in told, (lose.__name__, told)
    with ssh.session("echo again") as session:
        assert (session.wait(), session.said) == (0, "again\n")
