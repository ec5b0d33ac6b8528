"""The five firewalls of howto 3.8, each set up in its usual way: SSH open, all else dropped; and how they are looked at."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.system.client import Client
from tests.system.machine import Machine
from tests.system.msa import PASSWORD

_TOP = Path(__file__).resolve().parents[2]
ADDRESSES = {4: "198.51.100.1", 6: "2001:db8::1"}
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}

_NFT_CONF = """#!/usr/sbin/nft -f

flush ruleset

table inet filter {
	set of_the_admin {
		type inet_service
		elements = { 22, 80 }
	}
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		ct state vmap { established : accept, related : accept, invalid : drop }
		meta l4proto ipv6-icmp accept
		tcp dport @of_the_admin accept comment "SSH of the admin"
		limit rate 5/minute log prefix "dropped: "
		counter drop
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
"""
_FOREIGN_NFT = """
command -v nft >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 nftables  # firewalld of 13 needs none
nft add table inet f2b-table
nft add set inet f2b-table addr-set-sshd '{ type ipv4_addr; elements = { 203.0.113.9 }; }'
nft add chain inet f2b-table f2b-chain '{ type filter hook input priority -1; }'
nft add rule inet f2b-table f2b-chain tcp dport 22 ip saddr @addr-set-sshd reject
"""
_FOREIGN_IPTABLES = """
iptables -N f2b-sshd
iptables -A f2b-sshd -s 203.0.113.9/32 -j REJECT
iptables -A f2b-sshd -j RETURN
iptables -I INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
iptables -N DOCKER
iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
iptables -I FORWARD -o docker0 -j DOCKER
"""
_IPTABLES = "".join(
    f"""
{tool} -A INPUT -i lo -j ACCEPT
{tool} -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{tool} -A INPUT -p {icmp} -j ACCEPT
{tool} -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
{tool} -A INPUT {last}
"""
    for tool, icmp, last in (("iptables", "icmp", "-j DROP"), ("ip6tables", "ipv6-icmp", "-p tcp -j DROP"))
)
_SHOREWALL = {
    "zones": "fw\tfirewall\n{zone}\t{kind}\n",
    "interfaces": "?FORMAT 2\n{zone}\tto-client\n",
    "policy": "$FW\tall\tACCEPT\n{zone}\tall\tDROP\nall\tall\tREJECT\n",
    "rules": "?SECTION ALL\n?SECTION ESTABLISHED\n?SECTION RELATED\n?SECTION INVALID\n?SECTION UNTRACKED\n?SECTION NEW\n\n"
    "# SSH\nACCEPT\t{zone}\t$FW\ttcp\t22\n{more}",
}


@dataclass(frozen=True)
class SetUp:
    """A firewall: its name, what apt installs, how it is set up, what others put beside it, the files it keeps."""

    name: str
    packages: str
    script: str
    foreign: str
    files: tuple[str, ...]
    admins: str = ""
    """A rule that the admin adds later."""


SET_UPS = {
    item.name: item
    for item in (
        SetUp(
            "nftables",
            "nftables",
            "chmod 0755 /etc/nftables.conf; systemctl enable --now nftables",
            _FOREIGN_NFT,
            ("/etc/nftables.conf",),
            "nft add rule inet filter input tcp dport 8025 accept; nft insert rule inet filter input tcp dport 8587 accept",
        ),
        SetUp(
            "ufw",
            "ufw",
            "ufw allow 22/tcp; ufw limit 2222/tcp; ufw --force enable",
            _FOREIGN_IPTABLES,
            ("/etc/ufw/user.rules", "/etc/ufw/user6.rules"),
            "ufw insert 1 allow 8587/tcp; ufw allow 8025/tcp",
        ),
        SetUp(
            "firewalld",
            "firewalld",
            "firewall-cmd --permanent --zone=public --set-target=DROP; firewall-cmd --reload",
            _FOREIGN_NFT,
            ("/etc/firewalld/zones/public.xml",),
            "firewall-cmd --add-port=8587/tcp",
        ),
        SetUp(
            "iptables-persistent",
            "iptables-persistent",
            _IPTABLES + "netfilter-persistent save",
            _FOREIGN_IPTABLES,
            ("/etc/iptables/rules.v4", "/etc/iptables/rules.v6"),
            "iptables -I INPUT 5 -p tcp --dport 8587 -j ACCEPT; iptables -I INPUT 8 -p tcp --dport 8025 -j ACCEPT",
        ),
        SetUp(
            "shorewall",
            "shorewall shorewall6",
            "systemctl enable shorewall shorewall6; systemctl restart shorewall shorewall6",
            _FOREIGN_IPTABLES,
            ("/etc/shorewall/rules", "/etc/shorewall6/rules"),
            "iptables -I net-fw 5 -p tcp --dport 8587 -j ACCEPT",
        ),
    )
}


def set_up(debian: Machine, name: str, *, zone: str = "net") -> SetUp:
    """Install it and set it up, over the cable that is in."""
    made = SET_UPS[name]
    debian.run(f"apt-get install --yes --quiet=2 {made.packages}", env=QUIET)
    if name == "nftables":
        debian.put("/etc/nftables.conf", _NFT_CONF, 0o755)
    if name == "shorewall":
        for folder, kind, more in (
            ("shorewall", "ipv4", "Ping(ACCEPT)\tall\t$FW\n"),
            ("shorewall6", "ipv6", "ACCEPT\tall\t$FW\tipv6-icmp\n"),
        ):
            for file, text in _SHOREWALL.items():
                debian.put(f"/etc/{folder}/{file}", text.format(zone=zone, kind=kind, more=more), 0o640)
    debian.run(f"set -e; {made.script}", timeout=180)
    return made


def take_down(debian: Machine, made: SetUp) -> None:
    """Purge it, and leave no rule behind."""
    stop = {"shorewall": "shorewall clear; shorewall6 clear", "ufw": "ufw --force disable"}.get(
        made.name, "true"
    )
    debian.run(
        f"{stop}; systemctl disable --now {made.packages} 2>/dev/null; apt-get purge --yes --quiet=2 {made.packages}; "
        "nft flush ruleset; rm -rf /etc/shorewall* /etc/firewalld /etc/ufw /etc/iptables /etc/nftables.conf",
        env=QUIET,
        check=False,
    )


_CERTIFICATE = "/etc/mail/tls/sendmail-server.crt"


def connects(client: Client, port: int, family: int = 4) -> bool:
    """Whether a TCP connection from outside is made within 1.5 seconds."""
    script = f"exec 3<>/dev/tcp/{ADDRESSES[family]}/{port}"
    return client.run(["timeout", "1.5", "bash", "-c", script], check=False).returncode == 0


def login_outside(debian: Machine, family: int = 4) -> dict[str, Any]:
    """alice's login from outside, as `test --json` tells of it; the certificate is accepted by its fingerprint."""
    said = debian.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", _CERTIFICATE]).stdout
    done = debian.client().run(
        [
            *("env", "-C", str(_TOP), sys.executable, "-m", "wizard", "test", "--host", ADDRESSES[family]),
            *("--user", "alice", "--password-stdin", "--json"),
            *("--accept-certificate", said.partition("=")[2].strip()),
        ],
        input=PASSWORD + "\n",
        check=False,
    )
    made: dict[str, Any] = json.loads(done.stdout)
    return made | {"exit": done.returncode}


class Line:
    """A connection from outside to port 22 that is held, and used all the time, as an admin's SSH is."""

    def __init__(self, debian: Machine, client: Client) -> None:
        self._debian = debian
        self._client = client

    def __enter__(self) -> Self:
        debian = self._debian
        debian.run(["systemd-run", "--quiet", "--collect", "--unit=line", "python3", "-c", _ECHO])
        debian.run("until ss -ltn | grep -q ':22 '; do sleep 0.05; done")
        self._held = subprocess.Popen(
            self._client.argv(["python3", "-c", _TALK, ADDRESSES[4]]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._held.stdout is not None
        assert self._held.stdout.readline() == b"up\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._held.kill()
        self._held.wait()
        self._debian.run(["systemctl", "stop", "line"], check=False)

    def held(self) -> bool:
        """Whether it never stood still for more than two seconds. Ends it."""
        said, _ = self._held.communicate(b"", timeout=20)
        return self._held.returncode == 0 and said.endswith(b"held\n")


_ECHO = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", 22), Echo).serve_forever()
"""
_TALK = """
import select, socket, sys
line = socket.create_connection((sys.argv[1], 22), 2)
line.settimeout(2)
print("up", flush=True)
while not select.select([sys.stdin], [], [], 0.1)[0]:
    line.sendall(b"x\\n")
    assert line.recv(9) == b"x\\n"
print("held", flush=True)
"""


def live(debian: Machine) -> str:
    """All live rules without counters, handles and dates, as nft and iptables-save print them."""
    nft = debian.run("nft -s list ruleset", check=False).stdout
    saved = debian.run("iptables-save; ip6tables-save", check=False).stdout
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    # shorewall gives some chains of its own a new name each time it starts.
    return re.sub(r"\[\d+:\d+\]|\bsha-[lr]h-\w+", "", nft + "\n".join(lines))


def kept(debian: Machine, made: SetUp) -> dict[str, bytes]:
    """Bytes, mode and owner of the files in which the firewall keeps its rules."""
    return {
        path: debian.read(path) + debian.run(["stat", "-c", "%a %u:%g", path]).stdout.encode()
        for path in made.files
    }
