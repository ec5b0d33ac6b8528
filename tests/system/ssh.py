"""A real sshd in a machine, an admin who logs in over the cable, and the ways in which such a session is lost.

ssh = Ssh(machine)
with ssh.session(["./msa-wizard", "apply", "--yes"], terminal=True) as session:
    session.wait_for("apply mc-includes")
    session.kill_client()
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.system.command import text_of
from tests.system.machine import Machine

_KEY = "/root/of-the-admin"
_INSTALL = f"""
set -e
apt-get install --yes --quiet=2 --no-install-recommends openssh-server openssh-client >/dev/null
ssh-keygen -q -t ed25519 -N '' -f {_KEY}
mkdir -p -m 0700 /root/.ssh
cp {_KEY}.pub /root/.ssh/authorized_keys
printf 'ClientAliveInterval 1\\nClientAliveCountMax 2\\n' >/etc/ssh/sshd_config.d/tests.conf
sysctl -q net.ipv4.tcp_retries2=3
systemctl restart ssh
until ss -ltn | grep -q ':22 '; do sleep 0.05; done
"""
_OPTIONS = (
    *("-i", _KEY, "-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
)
_ADDRESS = "198.51.100.1"
_SERVERS = "pgrep -f '^sshd(-session)?: root'"


class Ssh:
    """sshd in the machine, where root logs in by key; the client's files are the machine's, its network is not.

    It gives up a client that is silent for a few seconds, where an admin's sshd would wait for hours.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.client = machine.client()
        machine.run(_INSTALL, env={"DEBIAN_FRONTEND": "noninteractive"})

    def session(self, command: str | Sequence[str], *, terminal: bool = False) -> Session:
        """Starts a command in a new session, with a terminal of its own (`ssh -tt`) if wished."""
        return Session(self, command if isinstance(command, str) else shlex.join(command), terminal)

    def argv(self, command: str, *, terminal: bool, term: str = "xterm") -> list[str]:
        """The host's command line for a command in a new session, for a caller with its own pipes or terminal."""
        target = ("nsenter", "--target", str(self.machine.init_pid), "--mount", "--")
        # Files and terminals are those of the machine, the network that of the client outside.
        clean = (
            "env",
            "-i",
            "-C",
            "/root",
            "HOME=/root",
            f"TERM={term}",
            "LANG=C.UTF-8",
            "PATH=/usr/bin:/bin",
        )
        login = ("ssh", "-tt" if terminal else "-T", *_OPTIONS, f"root@{_ADDRESS}", command)
        return self.client.argv([*target, *clean, *login])

    def servers(self) -> list[int]:
        """The processes of sshd that serve a login, in the machine's numbers; empty once all are gone."""
        return [int(pid) for pid in self.machine.run(_SERVERS, check=False).stdout.split()]


class Session:
    """One login with its command. As a context manager: the client is ended on leaving, the cable repaired."""

    def __init__(self, ssh: Ssh, command: str, terminal: bool) -> None:
        self._ssh = ssh
        self._cut = False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the session)
        self._client = subprocess.Popen(
            ssh.argv(command, terminal=terminal),
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_client()
        self.repair()
        assert self._client.stdin is not None
        self._client.stdin.close()
        self._said.close()

    @property
    def said(self) -> str:
        """All that the command has printed so far, and what ssh itself said."""
        return text_of(self._said)

    def type(self, text: str) -> None:
        """Sends text to the command's input, or to its terminal."""
        assert self._client.stdin is not None
        self._client.stdin.write(text.encode())
        self._client.stdin.flush()

    def wait_for(self, words: str, seconds: float = 60) -> str:
        """Waits until the command has printed `words`; returns all that it said. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while words not in (said := self.said):
            assert time.monotonic() < deadline, f"{words!r} was not said in {seconds:g} s:\n{said}"
            assert self._client.poll() is None, f"the session ended without {words!r}:\n{said}"
            time.sleep(0.02)
        return said

    def wait(self, seconds: float = 120) -> int:
        """The exit status of the command, once it has ended; 255 when the connection was lost."""
        return self._client.wait(seconds)

    def kill_client(self) -> None:
        """The client dies (SIGKILL): its kernel closes the connection, and sshd sees it at once."""
        if self._client.poll() is None:
            self._client.kill()
            self._client.wait()

    def kill_server(self) -> None:
        """The processes of sshd that serve logins die (SIGKILL)."""
        servers = map(str, self._ssh.servers())
        self._ssh.machine.run(["kill", f"-{signal.SIGKILL:d}", *servers])

    def cut(self) -> None:
        """The cable is out: neither end hears of the other again, until sshd gives up after a few seconds."""
        self._ssh.client.run("ip link set to-mail down")
        self._cut = True

    def repair(self) -> None:
        """The cable is in again."""
        if self._cut:
            self._ssh.client.run("ip link set to-mail up")
        self._cut = False
