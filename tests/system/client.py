"""A mail client's computer: a network of its own, outside the machine and joined to it by a cable."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.system.command import ending_after, in_shell, run_elsewhere
from tests.system.room import Room

MACHINE_ADDRESSES = ("198.51.100.1/24", "2001:db8::1/64")
CLIENT_ADDRESSES = ("198.51.100.2/24", "2001:db8::2/64")


class Client:
    """A network outside the machine: commands see the files of the host and no network but this."""

    def __init__(self, init_pid: int) -> None:
        self._room = Room(("--net",), "ip link set lo up")
        self.plug_in(init_pid)

    def plug_in(self, init_pid: int) -> None:
        """Lays the cable to the machine with this PID 1: 198.51.100.0/24 and 2001:db8::/64."""
        ends = [(self._room.pid, "to-mail", CLIENT_ADDRESSES), (init_pid, "to-client", MACHINE_ADDRESSES)]
        (client, near, _), (machine, far, _) = ends
        pair = f"ip link add {near} netns {client} type veth peer name {far} netns {machine}".split()
        subprocess.run(pair, check=True)
        for pid, device, addresses in ends:
            script = [f"address add {address} dev {device} nodad" for address in addresses if ":" in address]
            script += [f"address add {address} dev {device}" for address in addresses if ":" not in address]
            batch = "\n".join([*script, f"link set {device} up"])
            enter = ["nsenter", "--target", str(pid), "--net", "ip", "-batch", "-"]
            subprocess.run(enter, input=batch.encode(), check=True)

    def argv(self, command: str | Sequence[str]) -> list[str]:
        """The host's command line for a command in the client's network; a string goes to `sh -c`."""
        return [*self._room.entering(), *in_shell(command)]

    def run(
        self,
        command: str | Sequence[str],
        *,
        input: str | bytes | None = None,
        timeout: float = 120,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command of the host in the client's network; raises CommandError as `Machine.run` does."""
        argv = self.argv([*ending_after(timeout), *in_shell(command)])
        return run_elsewhere(argv, command, input=input, timeout=timeout, check=check)

    def close(self) -> None:
        """Takes the client away."""
        self._room.close()
