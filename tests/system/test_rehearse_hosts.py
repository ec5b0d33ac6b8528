"""What a rehearsal says comes true: on hosts where the set-up fails it names the step, on unusual ones it succeeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.conftest import BootMachine
from tests.system.images import Layer
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, listening, login, wizard
from tests.system.rehearsing import rehearsed, shortly
from tests.system.small_disk import SmallDisk

MC = "/etc/mail/sendmail.mc"
_HOLDER = "import socket,time; s=socket.create_server(('0.0.0.0', 587)); time.sleep(9999)"
_HELD = """
mkdir -p /root/old/DEBIAN
printf 'Package: liblockfile1\\nVersion: 0.1\\nArchitecture: all\\nMulti-Arch: foreign\\nMaintainer: me <me@example.test>\\nDescription: old\\n' \\
    >/root/old/DEBIAN/control
dpkg-deb -b /root/old /root/old.deb && dpkg -i /root/old.deb && apt-mark hold liblockfile1
"""
"""A package that sendmail needs in a newer version, and that must stay as it is."""


@dataclass(frozen=True)
class Fault:
    """A host on which the real set-up fails at `step`; `login` is the first failed login after a set-up that went."""

    id: str
    step: str
    spoil: str | Callable[[Machine], object]
    layer: Layer = "mail"
    fqdn: str = "mail.example.test"
    quick: bool = False


FAULTS = (
    Fault("no-fqdn", "preflight", "true", layer="ready", fqdn="mail"),
    Fault("broken-mc", "mc-includes", 'sed -i "s/FEATURE(.use_cw_file\')/FEATURE(\\`use_cw_file)/" ' + MC),
    Fault(
        "port-taken",
        "preflight",
        f'systemctl stop sendmail; systemd-run -q --unit=holder python3 -c "{_HOLDER}"; sleep 1',
    ),
    Fault(
        "postfix", "preflight", "DEBIAN_FRONTEND=noninteractive apt-get install -y -q postfix", layer="ready"
    ),
    Fault("held-packages", "install", _HELD, layer="ready"),
    Fault(
        "full-disk",
        "s",  # saslauthd-config where the release has something to do there, else sendmail-auth
        lambda debian: SmallDisk(debian, "/etc").leave(0),
    ),
    Fault("broken-pam", "login", "sed -i '1i auth requisite pam_deny.so' /etc/pam.d/common-auth"),
    Fault(
        "hands-off",
        "sendmail-auth",
        "sed -i 's/^HANDS_OFF=.*/HANDS_OFF=\"Yes\";/' /etc/mail/sendmail.conf; rm -rf /etc/mail/sasl",
        quick=True,
    ),
    Fault(
        "read-only-mount",
        "sendmail-auth",
        "mount --bind /etc/mail /etc/mail; mount -o remount,bind,ro /etc/mail",
    ),
    Fault(
        "read-only-usr", "preflight", "mount --bind /usr /usr; mount -o remount,bind,ro /usr", layer="ready"
    ),
)


def cases() -> list[Any]:
    """All in the full run, one of them in the default run."""
    return [pytest.param(item, id=item.id, marks=[] if item.quick else [pytest.mark.full]) for item in FAULTS]


@pytest.mark.parametrize("fault", cases())
def test_what_it_predicts_comes_true(machine: BootMachine, fault: Fault) -> None:
    debian = machine(fault.layer, fqdn=fault.fqdn)
    spoiled = fault.spoil
    debian.run(spoiled, timeout=300) if isinstance(spoiled, str) else spoiled(debian)
    said = rehearsed(debian)
    assert said["exit"] == 1, shortly(said)
    done = wizard(debian, "apply", "--yes", "--json")
    real = json.loads(done.stdout)
    if fault.step == "login":
        assert said["stopped_at"] is None, shortly(said)
        assert said["login"]["code"] == 535
        assert done.returncode == 0
        add_alice(debian)
        assert login(debian)["code"] == 535
        return
    assert done.returncode in (1, 3)
    assert (real["failed"] or real["blocked"]).startswith(fault.step), real["failures"]
    assert said["stopped_at"] == (real["failed"] or real["blocked"]), shortly(said)
    assert said["why"]
    assert not any(item["not_undone"] for item in real["failures"])
    assert said["rollback"]["clean"], shortly(said)


def own_var(debian: Machine) -> None:
    """A file system of its own below /var/spool and /usr/local."""
    for path in ("/var/spool", "/usr/local"):
        SmallDisk(debian, path).leave_plenty()


def behind_nftables(debian: Machine) -> None:
    """A firewall that names the network device, and drops all but SSH."""
    debian.client()
    debian.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q nftables")
    rules = (
        "flush ruleset\ntable inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n"
        '  iif "lo" accept\n  iif "to-client" tcp dport 22 accept\n }\n}\n'
    )
    debian.put("/etc/nftables.conf", f"#!/usr/sbin/nft -f\n{rules}")
    debian.run("systemctl enable --now nftables")


def listens_on_one_address(debian: Machine) -> tuple[str, ...]:
    """The answers name an address of the network card."""
    debian.client()
    debian.put("/root/answers.toml", '[listen]\nsubmission = ["198.51.100.1"]\n')
    return ("--answers", "/root/answers.toml")


HOSTS: dict[str, tuple[Layer, str | Callable[[Machine], object]]] = {
    "own-var-and-local": ("mail", own_var),
    "etc-on-its-own": ("mail", lambda debian: SmallDisk(debian, "/etc").leave_plenty()),
    "odd-mount-point": ("ready", "mkdir '/srv/a b:c,d\\e'; mount -t tmpfs tmpfs '/srv/a b:c,d\\e'; mount -t tmpfs tmpfs /srv"),
    "hosts-file-mounted": ("mail", "cp -a /etc/hosts /root/h; mount --bind /root/h /etc/hosts"),
    "behind-nftables": ("mail", behind_nftables),
    "one-address": ("mail", listens_on_one_address),
    "no-ipv6": ("mail", "nsenter -t 1 -n sysctl -w net.ipv6.conf.all.disable_ipv6=1 || echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"),
    "already-set-up": ("mail", lambda debian: apply(debian)),
    "a-large-log": (
        "mail",
        "truncate -s 3G /var/log/mail.log; mkdir -p /var/lib/docker/overlay2/x; mount -t tmpfs tmpfs /var/lib/docker/overlay2/x",
    ),
    "services-that-hang": (
        "mail",
        "printf '[Unit]\\nBefore=basic.target\\nDefaultDependencies=no\\n[Service]\\nType=oneshot\\n"
        "ExecStart=/bin/sleep 600\\n[Install]\\nWantedBy=sysinit.target network-online.target\\n' "
        ">/etc/systemd/system/hangs.service; systemctl enable hangs",
    ),
}  # fmt: skip


@pytest.mark.full
def test_another_mta_goes_and_comes_back(machine: BootMachine) -> None:
    debian = machine("ready")
    debian.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q postfix", timeout=300)
    said = rehearsed(debian, "--replace-mta")
    assert said["exit"] == 0, shortly(said)
    assert "postfix" in debian.run(["dpkg", "--get-selections"]).stdout
    assert "0.0.0.0:25" in listening(debian)


@pytest.mark.full
@pytest.mark.parametrize("name", HOSTS)
def test_unusual_hosts(machine: BootMachine, name: str) -> None:
    layer, prepare = HOSTS[name]
    debian = machine(layer)
    arguments: Any = debian.run(prepare) if isinstance(prepare, str) else prepare(debian)
    given = arguments if isinstance(arguments, tuple) else ()
    said = rehearsed(debian, *given)
    assert said["exit"] == 0, shortly(said)
    apply(debian, *given)
    add_alice(debian)
    assert login(debian)["code"] == 235
