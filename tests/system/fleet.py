"""Several machines on one network, with real sshd, and one of them from which Ansible sets the others up.

with Fleet("trixie") as fleet:
    fleet.add("mail1", "bookworm")
    fleet.export(settings)
    fleet.play("site.yml")
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.one_file import of_the_working_tree
from tests.system.firewalls import QUIET
from tests.system.images import Layer, layers
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, add_alice
from tests.system.releases import PYTHON_OF, Release
from tests.system.room import Room

FOLDER = "/root/fleet"
PROGRAM = "/usr/local/sbin/msa-wizard"
_PYZ = "/root/msa-wizard.pyz"
_KEY = "/root/.ssh/id_ed25519"
_VAULT = f"{FOLDER}/inventory/group_vars/msa/vault.yml"
_VAULT_KEY = "/root/vault-key"
VAULT_OPTIONS = ("--vault-password-file", _VAULT_KEY)
_SSHD = """
apt-get install --yes --quiet=2 --no-install-recommends openssh-server >/dev/null
install --directory --mode=0700 --owner="$1" "$2/.ssh"
cat >"$2/.ssh/authorized_keys"
systemctl restart ssh
until ss -ltn | grep -q ':22 '; do sleep 0.05; done
"""
_SUDOER = """
useradd --create-home --shell /bin/bash "$1"
echo "$1 ALL=(ALL:ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$1"
"""
_NEWEST = """
set -e
mkdir /opt/wheels; tar -x -C /opt/wheels
python3 -m venv /opt/ansible
/opt/ansible/bin/pip install --quiet --no-index --find-links /opt/wheels ansible-core
ln -s /opt/ansible/bin/ansible* /usr/local/bin/
"""
_SSH = "ssh_args = -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 "


class Fleet:
    """A controller with Debian's own Ansible of `release`, and the hosts that were added. As a context manager: all are gone
    on leaving."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.hosts: dict[str, Machine] = {}
        self._addresses: dict[str, str] = {}
        self._users: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._switch = Room(
            ("--net",),
            "ip link set lo up; ip link add switch type bridge forward_delay 0; ip link set switch up",
        )
        self._stack.callback(self._switch.close)
        try:
            self.controller = self._boot("controller", self.release, "controller")
            self.controller.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", _KEY])
            self.controller.put(_PYZ, of_the_working_tree(), 0o755)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def take_newest_ansible(self, place: Path) -> str:
        """Have the controller use the newest Ansible of the package index in place of Debian's, fetched into a folder of the
        host; its version."""
        fetched = [
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"),
            *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON_OF[self.release]}"),
            *(f"--abi=cp{PYTHON_OF[self.release].replace('.', '')}", "--abi=abi3", "--abi=none"),
            *(f"--platform=manylinux2014_{platform.machine()}", f"--dest={place}", "ansible-core"),
        ]
        subprocess.run(fetched, check=True)
        wheels = subprocess.run(["tar", "-c", "-C", str(place), "."], check=True, capture_output=True).stdout
        self.controller.run(_NEWEST, input=wheels, timeout=600)
        shown = self.controller.run(["ansible", "--version"]).stdout
        return shown.partition("[core ")[2].partition("]")[0]

    def add(self, name: str, release: Release, layer: Layer = "mail", user: str = "root") -> Machine:
        """A host with sshd, where the user logs in by the controller's key, and alice can send mail. Another user than root may
        do everything by sudo, which the layer must have."""
        machine = self._boot(name, release, layer)
        home = "/root"
        if user != "root":
            home = f"/home/{user}"
            machine.run(["sh", "-euc", _SUDOER, "sh", user])
        key = self.controller.read(f"{_KEY}.pub")
        machine.run(["sh", "-euc", _SSHD, "sh", user, home], input=key, env=QUIET)
        self._users[name] = user
        if layer != "msa":  # which has her
            add_alice(machine)
        self.hosts[name] = machine
        return machine

    def address(self, name: str) -> str:
        """Where a host is."""
        return self._addresses[name]

    def name_only(self, name: str, address: str) -> None:
        """A host that is in the inventory, and nowhere else."""
        self._addresses[name] = address

    def export(self, **variables: Any) -> None:
        """The folder for Ansible, made on the controller by the one file, with all hosts in the inventory."""
        self.controller.run(["python3", _PYZ, "export", "ansible", FOLDER])
        names = {
            name: {"ansible_host": address, "ansible_user": self._users.get(name, "root")}
            for name, address in self._addresses.items()
            if name != "controller"
        }
        inventory = {
            "msa": {
                "hosts": names,
                "vars": {
                    "ansible_python_interpreter": "/usr/bin/python3",
                    **variables,
                },
            }
        }
        self.controller.put(f"{FOLDER}/inventory/hosts.yml", json.dumps(inventory))
        vault = json.dumps({"msa_test_user": "alice", "vault_msa_test_password": PASSWORD})
        self.controller.put(_VAULT_KEY, "of the vault\n", 0o600)
        encrypt = ["ansible-vault", "encrypt", *VAULT_OPTIONS, "--output", _VAULT, "-"]
        self.controller.run(encrypt, input=vault)
        cfg = self.controller.read(f"{FOLDER}/ansible.cfg").decode()
        self.controller.put(f"{FOLDER}/ansible.cfg", cfg.replace("ssh_args = ", _SSH))

    def play(
        self, playbook: str, *options: str, timeout: float = 900, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook on the controller; its exit status is the caller's to look at."""
        given = ["--extra-vars", json.dumps(variables)] if variables else []
        command = ["ansible-playbook", *VAULT_OPTIONS, playbook, *options, *given]
        return self.controller.run(command, cwd=FOLDER, timeout=timeout, check=False)

    def report(self) -> dict[str, dict[str, Any]]:
        """What the last run has reported, by host."""
        report = json.loads(self.controller.read(f"{FOLDER}/report/report.json"))
        return {each["host"]: each for each in report["hosts"]}

    def power_on(self, name: str) -> None:
        """Boot a host again that has lost its power; it is on the network then."""
        machine = self.hosts[name]
        machine.boot()
        self._plug_in(machine, int(self._addresses[name].rpartition(".")[2]))
        machine.run("until ss -ltn | grep -q ':22 '; do sleep 0.05; done", timeout=60)
        for other in (self.controller, *self.hosts.values()):
            other.run("ip neigh flush all")  # a real host would have its old hardware address

    def reachable(self, name: str, *, reachable: bool) -> None:
        """Put the cable of a host in, or pull it out."""
        port, state = f"port{self._addresses[name].rpartition('.')[2]}", "up" if reachable else "down"
        enter = ["nsenter", "--target", str(self._switch.pid), "--net"]
        subprocess.run([*enter, "ip", "link", "set", port, state], check=True)

    def wizard(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The program on a host, by hand."""
        return self.hosts[name].run([PROGRAM, *arguments], check=False, timeout=600)

    def _boot(self, name: str, release: Release, layer: Layer) -> Machine:
        number = len(self._addresses) + 1
        machine = self._stack.enter_context(
            Machine(layers(release, layer), hostname=name, fqdn=f"{name}.example.test", project=False)
        )
        self._addresses[name] = f"198.51.100.{number}"
        self._plug_in(machine, number)
        return machine

    def _plug_in(self, machine: Machine, number: int) -> None:
        port = f"port{number}"
        pair = (
            f"ip link add {port} netns {self._switch.pid} type veth peer name net0 netns {machine.init_pid}"
        )
        subprocess.run(pair.split(), check=True)
        for pid, batch in (
            (self._switch.pid, f"link set {port} master switch\nlink set {port} up"),
            (machine.init_pid, f"address add 198.51.100.{number}/24 dev net0\nlink set net0 up"),
        ):
            enter = ["nsenter", "--target", str(pid), "--net", "ip", "-batch", "-"]
            subprocess.run(enter, input=batch.encode(), check=True)


def recap(done: subprocess.CompletedProcess[str]) -> Mapping[str, Mapping[str, int]]:
    """The numbers that Ansible ends with, by host."""
    rows = re.findall(r"^(\S+) +: (ok=.*)$", done.stdout, re.MULTILINE)
    return {
        host: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", numbers)}
        for host, numbers in rows
    }
