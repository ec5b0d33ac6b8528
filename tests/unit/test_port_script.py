"""The script by which certbot opens port 80 and closes it, run with stand-ins for the firewalls' own commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from wizard.changes.lineage import port_script
from wizard.changes.rules import LiveRule

RULES = (
    LiveRule("nft", "inet filter input", 80, 4, at=7),
    LiveRule("iptables", "ufw-user-input", 80, 4, marked=False),
    LiveRule("firewalld", "public", 80, 4, marked=False),
)
UFW = "-p tcp -m tcp --dport 80 -j ACCEPT"
_IPTABLES = """#!/bin/sh
[ ! -e "$TOP/busy" ] || exit 4
shift 2; verb=$1; shift 2; rules=$TOP/iptables
case $verb in
-C) grep -Fxq -e "$*" "$rules" ;;
-I) shift; { echo "$*"; cat "$rules"; } >"$rules.new"; mv "$rules.new" "$rules" ;;
-D) [ ! -e "$TOP/stuck" ] || exit 1
    awk -v rule="$*" '$0 == rule && !gone { gone = 1; next } { print }' "$rules" >"$rules.new"; mv "$rules.new" "$rules" ;;
esac
"""
_FIREWALL_CMD = """#!/bin/sh
ports=$TOP/firewalld
case $2 in
--query-port=*) grep -Fxq -e "${2#*=}" "$ports" ;;
--add-port=*) echo "${2#*=}" >>"$ports" ;;
--remove-port=*) sed -i "\\|^${2#*=}\\$|d" "$ports" ;;
esac
"""
_NFT = """#!/bin/sh
rules=$TOP/nft
case $* in
*insert*) echo '		tcp dport 80 accept comment "msa-wizard"' >>"$rules" ;;
*delete*) : >"$rules" ;;
"-a "*) sed 's/$/ # handle 9/' "$rules" ;;
*) cat "$rules" ;;
esac
"""
_LOGGED = '#!/bin/sh\necho "${0##*/} $*" >>"$TOP/timers"\n'


class Firewalls:
    """The commands, what they keep, and the script over them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "bin").mkdir()
        (top / "systemd").mkdir()
        scripts = {"iptables": _IPTABLES, "firewall-cmd": _FIREWALL_CMD, "nft": _NFT}
        for name, text in {**scripts, "systemctl": _LOGGED, "systemd-run": _LOGGED}.items():
            (top / "bin" / name).write_text(text)
            (top / "bin" / name).chmod(0o755)
        for name in ("iptables", "firewalld", "nft", "timers"):
            (top / name).touch()
        text = port_script(RULES).replace("PATH=/usr/sbin", f"PATH={top}/bin:/usr/sbin")
        text = text.replace("/run/msa-wizard-port-80", f"{top}/added").replace(
            "/run/systemd/system", f"{top}/systemd"
        )
        (top / "script").write_text(text)

    def run(self, verb: str) -> int:
        """`open` or `close`."""
        argv = ["sh", str(self.top / "script"), verb]
        return subprocess.run(argv, env={**os.environ, "TOP": str(self.top)}, check=False).returncode

    def kept(self, name: str) -> list[str]:
        """The lines that it has now."""
        return (self.top / name).read_text().splitlines()

    def admin(self, name: str, line: str) -> None:
        """The admin allows it, too."""
        with (self.top / name).open("a") as file:
            file.write(f"{line}\n")


@pytest.fixture
def firewalls(tmp_path: Path) -> Firewalls:
    return Firewalls(tmp_path)


def test_it_is_open_for_that_while_alone(firewalls: Firewalls) -> None:
    assert firewalls.run("open") == 0
    assert (firewalls.kept("iptables"), firewalls.kept("firewalld")) == ([UFW], ["80/tcp"])
    assert len(firewalls.kept("nft")) == 1
    assert firewalls.run("open") == 0, "once more, as if certbot had been killed"
    assert firewalls.kept("iptables") == [UFW]
    assert firewalls.run("close") == 0
    assert [firewalls.kept(name) for name in ("iptables", "firewalld", "nft")] == [[], [], []]
    assert not (firewalls.top / "added").exists()


def test_what_the_admin_allows_himself_stays(firewalls: Firewalls) -> None:
    """What ufw and firewalld have carries no mark: his rule and ours are the same."""
    firewalls.admin("iptables", UFW)
    firewalls.admin("firewalld", "80/tcp")
    for verb in ("close", "open", "open", "close"):
        assert firewalls.run(verb) == 0
        assert (firewalls.kept("iptables"), firewalls.kept("firewalld")) == ([UFW], ["80/tcp"]), verb
    assert firewalls.kept("nft") == []


def test_what_he_allows_meanwhile_stays(firewalls: Firewalls) -> None:
    assert firewalls.run("open") == 0
    firewalls.admin("iptables", UFW)
    assert firewalls.run("close") == 0
    assert firewalls.kept("iptables") == [UFW]


@pytest.mark.parametrize("trouble", ["stuck", "busy"])
def test_the_timer_goes_only_once_it_is_closed(firewalls: Firewalls, trouble: str) -> None:
    assert firewalls.run("open") == 0
    assert firewalls.kept("timers")[-1].startswith("systemd-run ")
    (firewalls.top / trouble).touch()
    assert firewalls.run("close") == 1
    assert firewalls.kept("timers")[-1].startswith("systemd-run "), "it tries again"
    (firewalls.top / trouble).unlink()
    assert firewalls.run("close") == 0
    assert firewalls.kept("timers")[-1] == "systemctl stop msa-wizard-port-80.timer"
    assert firewalls.kept("iptables") == []


def test_the_timer_closes_it_also_where_a_rollback_has_taken_the_script_away(firewalls: Firewalls) -> None:
    assert firewalls.run("open") == 0
    (firewalls.top / "script").unlink()
    timer = firewalls.kept("timers")[-1].split()
    argv = timer[timer.index("/bin/sh") :]
    done = subprocess.run(argv, env={**os.environ, "TOP": str(firewalls.top)}, check=False)
    assert done.returncode == 0
    assert [firewalls.kept(name) for name in ("iptables", "firewalld", "nft")] == [[], [], []]
    assert not list(firewalls.top.glob("added*")), "nothing is left in /run"
