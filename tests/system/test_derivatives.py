"""Systems that take over Debian's Sendmail: by their name (os-release(5)), and with the init of sysvinit-core, as Devuan has it.

The machines are Debian's own: of Ubuntu, Raspberry Pi OS, Mint and Devuan nothing but the name was tried."""

from __future__ import annotations

import json

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import WIZARD, add_alice, apply, listening, login, wizard
from tests.system.test_troubleshoot import troubleshoot

NAMES = {
    "ubuntu": ('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "Ubuntu 24.04.3 LTS"),
    "raspbian": (
        'NAME="Raspbian GNU/Linux"\nID=raspbian\nID_LIKE=debian\nVERSION_ID="12"\n',
        "Raspbian GNU/Linux 12",
    ),
    "devuan": (
        'NAME="Devuan GNU/Linux"\nID=devuan\nID_LIKE=debian\nVERSION_ID="5"\n',
        "Devuan GNU/Linux 5 (daedalus)",
    ),
    "no name": ("", "an unknown system"),
}


def call_it(machine: Machine, text: str, pretty: str) -> None:
    """Another name for it."""
    machine.run("rm -f /etc/os-release")
    machine.put("/etc/os-release", f'{text}PRETTY_NAME="{pretty}"\n' if text else "")


def preflight(machine: Machine) -> dict[str, object]:
    """What `status` has of the first step."""
    steps = json.loads(machine.run([WIZARD, "status", "--json"], check=False).stdout)["steps"]
    found: dict[str, object] = next(step for step in steps if step["step"] == "preflight")
    return found


def test_a_name_alone_refuses_nobody(machine: BootMachine) -> None:
    derivative = machine("ready")
    for text, pretty in NAMES.values():
        call_it(derivative, text, pretty)
        assert preflight(derivative)["state"] == "done"
        shown = derivative.run([WIZARD, "apply", "preflight", "--yes"]).stdout
        assert f"not tried on {pretty}" in " ".join(shown.split()), shown
        assert "msa-wizard rehearse" in shown


@pytest.mark.full
def test_a_derivative_is_set_up_like_debian(machine: BootMachine) -> None:
    derivative = machine("ready")
    call_it(derivative, *NAMES["ubuntu"])
    add_alice(derivative)
    rehearsed = json.loads(derivative.run([WIZARD, "rehearse", "--json"], timeout=600).stdout)
    assert rehearsed["ok"], rehearsed
    apply(derivative)
    made = login(derivative)
    assert made["ok"], made["verdict"]
    derivative.run([WIZARD, "rollback", "--all", "--yes"], timeout=600)
    assert not listening(derivative)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("mv /var/lib/dpkg/status /root", "it has no dpkg and no apt"),
        (
            r"printf 'Package: sendmail-base sasl2-bin\nPin: release *\nPin-Priority: -1\n' >/etc/apt/preferences.d/no",
            "apt offers no sendmail-base and no sasl2-bin here",
        ),
    ],
)
def test_another_sendmail_is_refused_with_the_reason(machine: BootMachine, how: str, why: str) -> None:
    other = machine("ready")
    call_it(other, 'ID=fedora\nVERSION_ID="41"\n', "Fedora Linux 41")
    other.run(how)
    before = other.mark()
    refused = other.run([WIZARD, "apply", "--yes"], check=False)
    assert refused.returncode == 3
    assert f"this is Fedora Linux 41: {why}" in " ".join((refused.stdout + refused.stderr).split())
    for command in (["plan", "install"], ["rehearse"]):
        refused = other.run([WIZARD, *command], check=False)
        assert (refused.returncode, why in " ".join(refused.stderr.split())) == (3, True), refused
    written = {path for path in other.written(before) if not path.startswith("/var/log/msa-wizard.log")}
    assert not {path for path in written if path.startswith(("/etc", "/usr"))}, written


def _one_that_only_sends_listens_again(machine: Machine) -> None:
    """Debian's script starts none that listens with DAEMON_MODE="None", and says that all is well."""
    machine.run("sed -i 's/^DAEMON_MODE=.*/DAEMON_MODE=\"None\";/' /etc/mail/sendmail.conf")
    machine.run("/etc/init.d/sendmail restart", timeout=180)
    assert not listening(machine) & {"0.0.0.0:25", "0.0.0.0:587"}
    silent = troubleshoot(machine)
    assert silent["blamed"] == "daemon-mode", silent
    refused = wizard(machine, "apply", "--yes")
    assert (refused.returncode, 'DAEMON_MODE="None"' in refused.stderr) == (3, True), "not started in vain"
    fixed = troubleshoot(machine, "--fix", "daemon-mode", "--yes")
    assert (fixed["exit"], fixed["blamed"]) == (0, None), fixed
    assert {"0.0.0.0:25", "0.0.0.0:587"} <= listening(machine)
    made = login(machine)
    assert made["ok"], made["verdict"]


def test_sysvinit(machine: BootMachine) -> None:
    """From bare to 235, over a reboot, and back: nobody but init and its scripts starts anything."""
    devuan = machine("sysvinit", init="sysvinit")
    call_it(devuan, *NAMES["devuan"])
    assert devuan.read("/proc/1/comm") == b"init\n"
    add_alice(devuan)
    rehearsed = json.loads(devuan.run([WIZARD, "rehearse", "--json"], timeout=600).stdout)
    assert rehearsed["ok"], rehearsed
    apply(devuan)
    made = login(devuan)
    assert made["ok"], made["verdict"]
    devuan.reboot()
    assert {"0.0.0.0:25", "0.0.0.0:587"} <= listening(devuan)
    made = login(devuan)
    assert made["ok"], made["verdict"]
    healthy = devuan.run([WIZARD, "troubleshoot"], check=False)
    assert healthy.returncode == 0, healthy.stdout
    _one_that_only_sends_listens_again(devuan)
    devuan.run([WIZARD, "rollback", "restart", "--yes"], timeout=300)
    # Its sendmail.conf was edited since: that is the admin's to say.
    devuan.run([WIZARD, "rollback", "--all", "--yes", "--on-conflict=restore"], timeout=600)
    assert not listening(devuan)
    assert devuan.run("ls /etc/rc2.d | grep -c -e sendmail -e saslauthd", check=False).stdout.strip() == "0"
