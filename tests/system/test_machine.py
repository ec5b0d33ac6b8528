"""The machines themselves: a system test is worth what its machine is."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.system.command import CommandError
from tests.system.conftest import BootMachine
from tests.system.images import layers
from tests.system.machine import PROJECT, BootError, Machine
from tests.system.releases import NATIVE_UNITS, Release

_TOP = Path(__file__).resolve().parents[2]
_GREETER = """
import socket
server = socket.create_server(("::", 2525), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    server.accept()[0].sendall(b"220 here\\n")
"""
_GREETED = "import socket, sys; print(socket.create_connection((sys.argv[1], 2525), 5).recv(99).decode())"


@pytest.mark.on_both
def test_it_is_a_whole_debian(machine: BootMachine, release: Release) -> None:
    booted = machine("minimal")
    assert booted.run("systemctl is-system-running").stdout == "running\n"
    assert booted.run("systemctl --failed --no-legend").stdout == ""
    assert booted.run("stat -f -c %T /sys/fs/cgroup").stdout == "cgroup2fs\n"
    assert booted.run("cat /proc/loadavg").stdout.startswith("0.00 ")
    assert booted.run("hostname -f").stdout == "mail.example.test\n"
    assert f"VERSION_CODENAME={release}\n" in booted.run("cat /etc/os-release").stdout
    assert booted.run("! command -v python3 && ! command -v git && echo neither").stdout == "neither\n"


def test_names_are_as_asked(machine: BootMachine) -> None:
    booted = machine(hostname="bare", fqdn="")
    assert booted.run("hostname").stdout == "bare\n"
    assert booted.run("hostname -f").stdout == "bare\n"


def test_reboot_keeps_files_and_starts_again(machine: BootMachine) -> None:
    booted = machine()
    booted.put("/etc/kept", b"\xff kept\n", 0o640)
    booted.run(": >/run/lost")
    began = booted.run("cat /proc/1/stat | cut -d' ' -f22").stdout
    booted.reboot()
    assert booted.read("/etc/kept") == b"\xff kept\n"
    assert booted.run("stat -c %a /etc/kept").stdout == "640\n"
    assert booted.run("test -e /run/lost", check=False).returncode != 0
    assert booted.run("cat /proc/1/stat | cut -d' ' -f22").stdout != began


def test_power_cut_keeps_files(machine: BootMachine) -> None:
    booted = machine()
    init = booted.init_pid
    booted.put("/etc/kept", "kept\n")
    booted.cut_power()
    assert not Path(f"/proc/{init}").exists()
    booted.boot()
    assert booted.read("/etc/kept") == b"kept\n"


def test_every_machine_starts_fresh_and_alone(machine: BootMachine) -> None:
    one, other = machine(), machine()
    for booted in (one, other):
        booted.run("systemd-run --quiet --unit=held sleep 1000")
    one.put("/etc/mine", "one\n")
    one.run("systemctl stop held.service")
    assert other.run("systemctl is-active held.service").stdout == "active\n"
    assert other.run("test -e /etc/mine", check=False).returncode != 0
    # The cgroups are apart, too: what systemd would stop with the unit is its own sleep alone.
    held = list(other.cgroup.rglob("held.service/cgroup.procs"))
    assert held
    assert all(len(found.read_text().split()) == 1 for found in held)


def test_upper_is_the_exact_list_of_what_was_written(machine: BootMachine) -> None:
    booted = machine()
    mark = booted.mark()
    assert booted.written(mark) == set()
    booted.run("echo x >>/etc/hosts; mkdir /srv/new; ln -s a /srv/new/link; rm /etc/debian_version")
    booted.run("cat /etc/passwd")
    assert booted.written(mark) == {"/etc/hosts", "/srv/new", "/srv/new/link", "/etc/debian_version"}
    assert {"/etc/hosts", PROJECT, f"{PROJECT}/msa-wizard"} <= booted.written()
    assert (booted.upper / "srv/new/link").is_symlink()


def test_commands_in_the_machine(machine: BootMachine) -> None:
    booted = machine("minimal")
    assert booted.run(["printf", "%s", "a 'b'\n$c"]).stdout == "a 'b'\n$c"
    assert booted.run("cat", input="fed\n").stdout == "fed\n"
    assert booted.run("pwd; echo $X; exit 3", check=False, env={"X": "y z"}).stdout == "/root\ny z\n"
    with pytest.raises(CommandError, match=r"(?s)exit 3.*--- stderr\nsaid so"):
        booted.run("echo said so >&2; exit 3")
    with pytest.raises(CommandError, match=r"not done after 1 s"):
        booted.run("sleep 998", timeout=1)
    booted.run("while pgrep -f '[s]leep 998'; do sleep 0.1; done", timeout=10)
    began = time.monotonic()
    booted.run("sleep 20 & echo daemon")
    assert time.monotonic() - began < 10, "a daemon that keeps the outputs open must not hold up the test"
    booted.run("useradd --create-home alice")
    assert booted.run("id -un; pwd; echo $HOME", user="alice").stdout == "alice\n/home/alice\n/home/alice\n"


def test_the_project_is_there_as_a_clone_would_have_it(machine: BootMachine) -> None:
    booted = machine()
    assert booted.read(f"{PROJECT}/msa-wizard") == (_TOP / "msa-wizard").read_bytes()
    assert booted.run(["stat", "-c", "%U %a", f"{PROJECT}/msa-wizard"]).stdout == "root 755\n"
    assert booted.run(["find", PROJECT, "-name", ".git", "-o", "-name", "__pycache__"]).stdout == ""


def test_client_outside_reaches_a_port(machine: BootMachine) -> None:
    booted = machine()
    client = booted.client()
    booted.put("/root/greeter.py", _GREETER)
    booted.run("systemd-run --quiet --unit=greeter python3 /root/greeter.py")
    booted.run("until ss -ltn | grep -q :2525; do sleep 0.1; done", timeout=10)
    for address in ("198.51.100.1", "2001:db8::1"):
        assert client.run([sys.executable, "-c", _GREETED, address]).stdout == "220 here\n\n"
    assert client.run([sys.executable, "-c", _GREETED, "127.0.0.1"], check=False).returncode != 0
    booted.reboot()
    booted.run("systemd-run --quiet --unit=greeter python3 /root/greeter.py")
    booted.run("until ss -ltn | grep -q :2525; do sleep 0.1; done", timeout=10)
    assert client.run([sys.executable, "-c", _GREETED, "198.51.100.1"]).stdout == "220 here\n\n"


def test_container_without_systemd(machine: BootMachine) -> None:
    booted = machine("mail", init="none")
    assert booted.run("test -d /run/systemd/system", check=False).returncode != 0
    assert booted.run("hostname -f").stdout == "mail.example.test\n"
    booted.run("/etc/init.d/sendmail start")
    booted.run("until ss -ltn | grep -q 127.0.0.1:25; do sleep 0.1; done", timeout=30)
    booted.put("/etc/kept", "kept\n")
    booted.reboot()
    assert booted.read("/etc/kept") == b"kept\n"
    assert ":25 " not in booted.run("ss -ltn").stdout


def test_nothing_is_fetched_from_outside(machine: BootMachine) -> None:
    booted = machine("minimal")
    began = time.monotonic()
    booted.run("apt-get update", check=False)
    assert time.monotonic() - began < 15
    mail = machine("mail")
    rivals = ["postfix", "exim4-daemon-light"]
    for here, names in ((booted, ["rsyslog", "etckeeper", "openssh-server", "nftables", "ufw"]), (mail, [])):
        for chosen in [*names, *rivals]:
            uncached = here.run(["apt-get", "install", "--print-uris", "-qq", chosen]).stdout
            assert uncached == "", f"not in the cache for {chosen}"
    booted.run("apt-get install -y -qq rsyslog", env={"DEBIAN_FRONTEND": "noninteractive"})
    booted.run("systemctl is-active rsyslog")


@pytest.mark.on_both
def test_mail_layer_is_as_apt_leaves_it(machine: BootMachine, release: Release) -> None:
    booted = machine("mail")
    enabled = booted.run("systemctl is-enabled sendmail", check=False).stdout
    assert enabled.splitlines()[-1] == ("disabled" if release in NATIVE_UNITS else "enabled")
    assert booted.run("systemctl is-active saslauthd", check=False).stdout == "inactive\n"
    booted.run("systemctl restart sendmail", timeout=60)
    booted.run("until ss -ltn | grep -q 127.0.0.1:587; do sleep 0.1; done", timeout=30)
    subject = "openssl x509 -noout -subject -in /etc/mail/tls/sendmail-server.crt"
    assert "mail.example.test" in booted.run(subject).stdout


def test_a_boot_that_fails_shows_its_console(machine: BootMachine, release: Release, tmp_path: Path) -> None:
    init = tmp_path / "usr/lib/systemd/systemd"
    init.parent.mkdir(parents=True)
    init.write_text("#!/bin/sh\necho this init is broken\nexit 7\n")
    init.chmod(0o755)
    broken = Machine((tmp_path, *layers(release, "minimal")))
    with pytest.raises(BootError, match=r"(?s)ended with 7; its console:.*this init is broken"), broken:
        pytest.fail("it came up")


def test_killed_tests_leave_nothing_behind(machine: BootMachine, release: Release) -> None:
    machine("minimal")  # asks whether machines can run here
    before = set(_mounts())
    script = f"""
        import sys, time
        from tests.system.images import layers
        from tests.system.machine import Machine
        with Machine(layers({release!r}, "minimal")) as machine:
            machine.client()
            print(machine.init_pid, machine.cgroup, flush=True)
            time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=_TOP, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        init, cgroup = tests.stdout.readline().split()
        assert Path(f"/proc/{init}").exists()
        children = Path(f"/proc/{tests.pid}/task/{tests.pid}/children").read_text().split()
        tests.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in [init, *children]):
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.05)
    assert not any("msa-wizard-tests" in line.split()[1] for line in set(_mounts()) - before)
    machine("minimal")
    assert not Path(cgroup).exists()


def _mounts() -> list[str]:
    return Path("/proc/1/mounts").read_text().splitlines()
