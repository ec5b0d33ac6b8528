"""Healthy machines, most of them unusual, and troubleshoot raises no alarm; and machines on which nothing is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, add_alice, apply, wizard
from tests.system.test_troubleshoot import short, troubleshoot

MC = "/etc/mail/sendmail.mc"
_ANEW = "yes '' | sendmailconfig --no-reload >/dev/null 2>&1; systemctl restart sendmail"
_APT = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q"
NFT = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state { established, related } accept
    tcp dport { 22, 25, 465, 587 } accept
  }
}
"""
VMAP = """
flush ruleset
table inet own {
  set offered { type inet_service; flags interval; elements = { 25, 465, 587-588 } }
  set banned { type ipv4_addr; flags timeout; elements = { 198.51.100.66 timeout 1h } }
  map verdicts { type inet_service : verdict; elements = { 22 : accept, 3306 : drop } }
  chain mail { tcp dport @offered accept }
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state vmap { established : accept, related : accept, invalid : drop }
    ip saddr @banned drop
    tcp dport vmap @verdicts
    meta l4proto vmap { tcp : jump mail, icmp : accept }
  }
}
"""
CA = r"""
d=$(mktemp -d); cd $d
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj '/CN=Example CA' 2>/dev/null
openssl req -new -newkey rsa:2048 -nodes -keyout k -out r -subj /CN=mail.example.test 2>/dev/null
printf 'subjectAltName=DNS:mail.example.test,DNS:smtp.example.test\n' > x
openssl x509 -req -in r -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile x -out c 2>/dev/null
mkdir -p /etc/ssl/mail; cat c ca.crt > /etc/ssl/mail/fullchain.pem; cat k > /etc/ssl/mail/key.pem; chmod 600 /etc/ssl/mail/key.pem
printf "define(\`confSERVER_CERT', \`/etc/ssl/mail/fullchain.pem')dnl\ndefine(\`confSERVER_KEY', \`/etc/ssl/mail/key.pem')dnl\n" > lines
sed -i '/^MAILER_DEFINITIONS/{e cat lines
}' /etc/mail/sendmail.mc
"""
SASLDB = """
printf 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: LOGIN PLAIN CRAM-MD5\n' > /etc/mail/sasl/Sendmail.conf.2
printf 'secret-77' | saslpasswd2 -c -p -u mail.example.test bob
systemctl disable -q --now saslauthd 2>/dev/null; systemctl restart sendmail
"""

ONE: dict[str, tuple[str, bool]] = {
    "as apply leaves it": ("true", True),
    "a user without a shell": ("usermod -s /usr/sbin/nologin alice", True),
    "rsyslog": (f"{_APT} rsyslog >/dev/null 2>&1; systemctl restart sendmail", True),
    "etckeeper": (
        f"git config --global user.email r@example.test; git config --global user.name r; {_APT} etckeeper >/dev/null 2>&1",
        True,
    ),
    "nftables with the ports open": (f"{_APT} nftables >/dev/null 2>&1; nft -f /root/rules", True),
    "nftables with maps of verdicts and named sets": ("nft -f /root/vmap", True),
    "ufw with the ports open": (
        f"nft flush ruleset; {_APT} ufw >/dev/null 2>&1; ufw allow 22/tcp; ufw allow 25/tcp; ufw allow 587/tcp; ufw --force enable; true",
        True,
    ),
    "a certificate of an authority": (f"ufw --force disable; {CA}{_ANEW}", True),
    "no journal": (
        "systemctl mask -q systemd-journald; systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald; rm -f /run/systemd/journal/socket; true",
        True,
    ),
}
"""One thing after the other on one machine: what is done, and whether alice can log in."""

TWO: dict[str, tuple[str, bool]] = {
    "465 as well, and IPv6": ("true", True),
    "several daemons": (
        f'sed -i "/^MAILER_DEFINITIONS/i DAEMON_OPTIONS(\\`Family=inet6, Name=MSP-2, Port=2525, M=Ea\')dnl" {MC}; {_ANEW}',
        True,
    ),
    "465 only": (f"sed -i -e '/2525/d' -e '/^DAEMON_OPTIONS.*Port=submission/d' {MC}; {_ANEW}", True),
    "sasldb instead of saslauthd": (SASLDB, False),
}

WARNINGS = {
    "certificate-no-alternative-name",
    "certificate-self-signed",
    "certificate-authority",
    "weak-tls",
}
"""What Debian's own certificate earns, on every machine that has it; and one of an authority that this host does not know:
its clients may well. And what Debian's TLS does, by RSA key exchange, until somebody chooses another policy."""


def _alarm(debian: Machine, arguments: tuple[str, ...], user: str) -> list[str]:
    made = troubleshoot(debian, *arguments, user=user)
    bad = [
        item
        for item in made["faults"]
        if item["sign"] == "failed" or (item["sign"] == "warning" and item["id"] not in WARNINGS)
    ]
    return [f"exit {made['exit']}: {short(made)}"] if bad or made["exit"] else []


def _told(debian: Machine, cases: dict[str, tuple[str, bool]], *arguments: str) -> list[str]:
    wrong = []
    for name, (script, logs_in) in cases.items():
        debian.run(script, check=False, timeout=300)
        for user in ("", "alice") if logs_in else ("",):
            wrong += [f"{name}, {user or 'nobody'}: {item}" for item in _alarm(debian, arguments, user)]
    return wrong


@pytest.mark.on_both
def test_no_false_alarm(machine: BootMachine) -> None:
    debian = machine("msa")
    debian.put("/root/rules", NFT)
    debian.put("/root/vmap", VMAP)
    assert _told(debian, ONE) == []


def test_no_false_alarm_with_other_listeners(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    debian.put("/root/answers.toml", "[listen]\nipv6 = true\nimplicit_tls = true\n")
    apply(debian, "--answers", "/root/answers.toml")
    assert _told(debian, TWO, "--answers", "/root/answers.toml") == []


def test_no_false_alarm_on_chosen_addresses(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    debian.client()
    chosen = '[listen]\nsubmission = ["198.51.100.1", "2001:db8::1"]\nsmtp = ["127.0.0.1", "198.51.100.1"]\n'
    debian.put("/root/answers.toml", chosen)
    apply(debian, "--answers", "/root/answers.toml")
    assert _alarm(debian, ("--answers", "/root/answers.toml"), "alice") == []


def test_a_firewall_that_lets_nobody_in(machine: BootMachine) -> None:
    """From the machine itself all is well; the rules say that it is not. A ban is told as well."""
    debian = machine("msa")
    debian.run(f"{_APT} nftables >/dev/null 2>&1", timeout=300)
    debian.put("/root/rules", NFT.replace(", 587", ""))
    debian.run("nft -f /root/rules")
    made = troubleshoot(debian, user="")
    assert (made["blamed"], made["exit"]) == ("firewall-closed", 1), short(made)
    debian.run("nft flush ruleset")
    debian.run(
        "nft add table inet f2b-table; nft add set inet f2b-table addr-set-sendmail '{ type ipv4_addr; }';"
        "nft add element inet f2b-table addr-set-sendmail '{ 198.51.100.7 }'"
    )
    made = troubleshoot(debian, user="")
    found = [item["id"] for item in made["faults"] if "198.51.100.7" in str(item["evidence"])]
    assert (found, made["exit"]) == (["firewall-banned"], 0)
    debian.run(
        f"nft flush ruleset; {_APT} ufw >/dev/null 2>&1; ufw allow 22/tcp; ufw --force enable", timeout=300
    )
    made = troubleshoot(debian, user="")
    assert (made["blamed"], made["exit"]) == ("firewall-ufw", 1), short(made)
    debian.run("ufw allow 587/tcp")
    assert troubleshoot(debian, user="")["exit"] == 0


@pytest.mark.parametrize(
    ("layer", "scripts", "blamed"),
    [
        ("ready", ("true",), "sendmail-missing"),
        (
            "mail",
            (
                "true",
                "rm -rf /etc/mail",
                "rm -rf /etc/pam.d /etc/default/saslauthd; mkdir -p /etc/mail/sendmail.mc /etc/mail/sendmail.cf",
            ),
            "",
        ),
    ],
    ids=["ready", "mail"],
)
def test_thoroughly_broken_machines_are_told_of(
    machine: BootMachine, layer: Any, scripts: tuple[str, ...], blamed: str
) -> None:
    """No sendmail at all; one that nobody set up; then no /etc/mail; then folders in place of files."""
    debian = machine(layer)
    for script in scripts:
        debian.run(script)
        made = troubleshoot(debian, user="")
        assert made["exit"] == 1, script
        assert blamed in ("", made["blamed"]), short(made)
        done = wizard(debian, "troubleshoot")
        assert done.returncode == 1, script
        assert done.stdout.startswith("MSA CRITICAL - "), script
        assert done.stderr == "", script


def test_usage_and_what_it_needs(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    done = wizard(debian, "troubleshoot", "--fix", "all")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    done = wizard(debian, "troubleshoot", "--fix", "saslauthd-ded", "--yes")
    assert done.returncode == 2
    assert "did you mean saslauthd-dead?" in done.stderr
    assert wizard(debian, "troubleshoot", "--password-stdin", input="x\n").returncode == 2
    assert wizard(debian, "troubleshoot", "--user", "alice").returncode == 2
    debian.run(
        "cp -r /root/msa-wizard /home/alice/; chown -R alice /home/alice; chmod 755 /var/lib/msa-wizard; true"
    )
    done = debian.run(["/home/alice/msa-wizard/msa-wizard", "troubleshoot"], user="alice", check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "root" in done.stderr


def test_fix_all_takes_a_machine_that_nobody_set_up_to_a_login(machine: BootMachine) -> None:
    """As apt leaves it: several fixes in one run, in the right order, and the password nowhere."""
    debian = machine("mail")
    add_alice(debian)
    for _ in range(3):  # what lies behind the first layer shows when that is fixed
        made = troubleshoot(debian, "--fix", "all", "--yes")
        if made["exit"] == 0:
            break
    assert made["exit"] == 0, short(made)
    assert made["layers"]["account"] == "ok"
    found = debian.run(["grep", "-rlF", PASSWORD, "/var/lib/msa-wizard", "/var/log", "/tmp"], check=False)
    assert found.stdout == ""


def test_without_systemd(machine: BootMachine) -> None:
    debian = machine("mail", init="none")
    made = troubleshoot(debian, user="")
    assert made["exit"] == 1
    assert made["blamed"] == "sendmail-dead", short(made)
