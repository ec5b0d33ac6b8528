"""Facts out of what the commands of real machines printed: tests/unit/gather/recorded, a folder for each release.

12 and 13 were mail servers on which `apply` had just ended. 11 and 14 were fresh machines with Sendmail and SASL
installed, and both services enabled and started by hand; 14 was still testing. All firewalls were set up as in
tests/system/firewalls.py, on 11 and 14 on fresh machines without Sendmail."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import file, machine
from wizard.firewalls.kinds import FIREWALLS
from wizard.firewalls.opening import PortRequest
from wizard.gather.firewall import JUDGES, Evidence, default_devices
from wizard.gather.host import SERVICES, daemon, groups, half_way, installed, may_be_daemon, release, services
from wizard.model import firewall_names as n
from wizard.model.facts import Firewall, Release
from wizard.system.host import Host

RECORDED = Path(__file__).parent / "recorded"
every = pytest.mark.parametrize("debian", ["debian-11", "debian-12", "debian-13", "debian-14"])
TOOLS = ("nft", "iptables", "ip6tables", "firewalld")


def printed(debian: str, name: str) -> str:
    return (RECORDED / debian / name).read_text("latin-1")


@every
def test_the_release(debian: str) -> None:
    number = debian.removeprefix("debian-")
    found = release(printed(debian, "os-release"))
    assert (found.id, found.version) == ("debian", number)
    shown = "forky/sid" if debian == "debian-14" else f"{number} ("  # testing has no VERSION_ID
    assert found.name.startswith(f"Debian GNU/Linux {shown}")


def test_a_release_that_nobody_has_tried() -> None:
    later = release("ID=debian\nPRETTY_NAME='Debian GNU/Linux duke/sid'\nVERSION_CODENAME=duke\n")
    assert later == Release("debian", "", "Debian GNU/Linux duke/sid")


def test_a_release_that_says_nothing() -> None:
    assert release("") == Release("", "", "an unknown system")


@every
def test_packages(debian: str) -> None:
    found = installed(printed(debian, "dpkg-query"))
    assert found.keys() == {
        *("sendmail", "sendmail-bin", "sendmail-base", "sendmail-cf"),
        *("sasl2-bin", "libsasl2-modules", "openssl"),
    }  # and not postfix, which dpkg has heard of
    version = {
        "debian-11": "8.15.2-22+deb11u3",
        "debian-12": "8.17.1.9-2+deb12u2",
        "debian-13": "8.18.1-6",
        "debian-14": "8.18.2-2",
    }
    assert found["sendmail"] == version[debian]


@every
def test_services(debian: str) -> None:
    found = services(SERVICES, printed(debian, "systemctl-show"))
    assert [service.name for service in found.values()] == ["sendmail", "saslauthd"]
    assert all(service.exists and service.active == "active (running)" for service in found.values())
    assert not any(service.masked for service in found.values())
    # 11 and 12 have init scripts, of which systemd does not say whether they are enabled
    units = debian not in ("debian-11", "debian-12")
    assert [service.native for service in found.values()] == [units, units]
    assert [service.enabled for service in found.values()] == [units, units]


def test_a_service_that_is_masked_and_one_that_is_not_there() -> None:
    shown = "LoadState=masked\nUnitFileState=masked\n\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState="
    sendmail, saslauthd = services(SERVICES, shown).values()
    assert (sendmail.masked, sendmail.native, sendmail.enabled) == (True, True, False)
    assert (saslauthd.exists, saslauthd.native, saslauthd.active) == (False, False, "inactive (dead)")


@every
def test_groups(debian: str) -> None:
    found = groups(printed(debian, "group"))
    assert found == {"sasl": {"smmta", "smmsp"}, "smmta": frozenset(), "smmsp": frozenset()}


@every
def test_daemons(debian: str) -> None:
    stat = printed(debian, "sendmail.stat")
    found = daemon(int(stat.split()[0]), stat, printed(debian, "sendmail.cmdline"), booted=1000.0)
    assert found is not None
    assert (found.name, found.state) == ("sendmail-mta", "S")
    assert found.argv[0] == "sendmail: MTA: accepting connections"
    assert found.started > 1000
    stat = printed(debian, "saslauthd.stat")
    found = daemon(int(stat.split()[0]), stat, printed(debian, "saslauthd.cmdline"), booted=0)
    assert found is not None
    assert found.argv == ("/usr/sbin/saslauthd", "-a", "pam", "-c", "-m", "/var/run/saslauthd", "-n", "5")


def test_other_processes() -> None:
    assert not may_be_daemon("1 (systemd) S 0 1")
    assert daemon(1, "1 (systemd) S 0 1", "/sbin/init\0", 0) is None
    with pytest.raises(ValueError, match="not found"):
        may_be_daemon("cut off")


@every
def test_devices_of_default_routes(debian: str) -> None:
    route, ipv6 = printed(debian, "route"), printed(debian, "ipv6_route")
    assert default_devices(route, ipv6) == frozenset()  # its cable leads to one client alone
    default = f"{route}eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    assert default_devices(default, ipv6) == {"eth0"}
    zeros = "0" * 32
    assert default_devices(route, f"{ipv6}{zeros} 00 {zeros} 00 fe80 00000400 1 0 00000003 eth1\n") == {
        "eth1"
    }


def judged(debian: str, name: str, host: Host) -> Firewall | None:
    folder = RECORDED / debian / name
    rules = {tool: (folder / tool).read_text("latin-1") for tool in TOOLS if (folder / tool).exists()}
    files = {
        path: Entry(Kind.FILE, 0o644, 0, 0, (folder / Path(path).name).read_bytes())
        for path in (n.UFW_CONF, n.NFT_CONF)
        if (folder / Path(path).name).exists()
    }
    kept = {path: Entry(Kind.FILE, 0o640, 0, 0, b"") for path in (n.RULES_V4, n.RULES_V6)}
    return JUDGES[name](Evidence(host, {**files, **(kept if name == n.IPTABLES else {})}, rules, {}))


@every
@pytest.mark.parametrize("name", sorted(JUDGES))
def test_a_firewall_at_work(debian: str, name: str, tmp_path: Path) -> None:
    firewall = judged(debian, name, Host(tmp_path))
    assert firewall is not None
    assert (firewall.name, firewall.active, firewall.trouble) == (name, True, "")


@every
@pytest.mark.parametrize("name", sorted(JUDGES))
def test_what_a_firewall_lets_in(debian: str, name: str) -> None:
    """All were set up to drop everything but SSH, for IPv4 and IPv6."""
    rules = {path.name: path.read_text("latin-1") for path in (RECORDED / debian / name).iterdir()}
    found = machine(
        "13", rules=rules, outside=frozenset({"to-client"}), files={n.UFW_DEFAULT: file("IPV6=yes\n")}
    )
    ssh = () if name == n.FIREWALLD else (22,)  # of its services, those of mail alone are known
    blocked = FIREWALLS[name].closed(found, PortRequest((*ssh, 25, 587)))
    assert sorted(blocked) == [(4, 25), (4, 587), (6, 25), (6, 587)]


@every
@pytest.mark.parametrize("name", sorted(JUDGES))
def test_a_firewall_beside_the_rules_of_another(debian: str, name: str, tmp_path: Path) -> None:
    """Installed, and another one's rules are live: it is not at work."""
    other = "shorewall" if name == n.UFW else "ufw"
    rules = {tool: printed(debian, f"{other}/{tool}") for tool in ("iptables", "ip6tables")}
    rules["nft"] = '{"nftables": []}'
    firewall = JUDGES[name](Evidence(Host(tmp_path), {}, rules, {}))
    assert firewall is not None
    assert not firewall.active


def test_what_dpkg_has_not_finished_is_not_installed_and_not_gone() -> None:
    rows = "sendmail-bin 8.18 triggers-pending\nsasl2-bin 2.1 half-configured\nm4 1.4 config-files\nx  not-installed\n"
    assert installed(rows) == {"sendmail-bin": "8.18"}
    assert half_way(rows) == {"sasl2-bin": "half-configured"}
