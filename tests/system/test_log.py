"""/var/log/msa-wizard.log on real machines: everything that was done is in it, no secret that was used is."""

from __future__ import annotations

import base64
import json

from tests.json_documents import document
from tests.system.conftest import BootMachine
from tests.system.msa import PASSWORD, STORE, add_alice, apply, login, wizard
from tests.system.test_hidden_passwords import hashes

LOG = "/var/log/msa-wizard.log"
KEYS = "/etc/mail/tls/*.key /etc/mail/tls/*.key.* /etc/ssl/private/*.key"


def test_all_that_is_done_and_no_secret(machine: BootMachine) -> None:
    debian = machine("ready")
    add_alice(debian)
    assert not {plan["outcome"] for plan in json.loads(wizard(debian, "plan", "--json").stdout)["steps"]} & {
        "blocked"
    }
    apply(debian)
    assert login(debian)["ok"]
    wizard(debian, "test", "--user", "alice", "--password-stdin", "--watch", input=PASSWORD + "\n")
    wizard(debian, "test", "--user", "alice", "--password-stdin", input=f"{PASSWORD}x\n")
    wizard(debian, "troubleshoot", "--json", "--user", "alice", "--password-stdin", input=PASSWORD + "\n")
    by_hand = ("debug", "login", "--user", "alice", "--password-stdin", "--yes", "--json")
    assert json.loads(wizard(debian, *by_hand, input=PASSWORD + "\n").stdout)["accepted"]
    talking = ("debug", "saslauthd", "--user", "alice", "--password-stdin", "--yes", "--json")
    shown = document("debug saslauthd", wizard(debian, *talking, input=PASSWORD + "\n").stdout)
    assert shown["logged_in"]
    debian.run(["chpasswd"], input="alice:another-77\n")
    wizard(debian, "certificate", "renew", "--self-signed", "--yes", "--json")
    wizard(debian, "certificate", "show", "--json")
    wizard(debian, "client-settings", "--json")
    wizard(debian, "diff", "install", "--json")
    wizard(debian, "confirm", "--json")
    wizard(debian, "recover", "--json")
    quiet = wizard(debian, "status", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    verbose = wizard(debian, "plan", "firewall", "--verbose").stderr
    assert "$ dpkg-query -W" in verbose
    secrets = hashes(debian)
    keys = {
        line
        for line in debian.run(f"cat {KEYS} 2>/dev/null", check=False).stdout.splitlines()
        if len(line) > 40 and "-" not in line
    }
    wizard(debian, "rollback", "--all", "--yes", "--json")
    text = debian.run(["cat", LOG]).stdout
    for words in (
        "msa-wizard apply --yes",
        "$ apt-get",
        "exit 0 after",
        "wrote /etc/mail/sendmail.mc: file",
        "$ sendmailconfig",
        "Configure sendmail with the existing",
        "mc-includes done in",
        "exit code 0",
        "msa-wizard rollback --all --yes --json",
    ):
        assert words in text, words
    assert secrets
    assert keys
    plain = base64.b64encode(f"\0alice\0{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), plain, *secrets, *keys):
        assert secret not in text, secret
    assert debian.run(["stat", "-c", "%a %U", LOG]).stdout.split() == ["600", "root"]
    names = debian.run(["git", "--git-dir", STORE, "log", "--all", "--name-only", "--format="]).stdout
    assert "msa-wizard.log" not in names


def test_a_full_and_a_read_only_log_folder(machine: BootMachine) -> None:
    debian = machine("ready")
    debian.run("mount -t tmpfs -o size=64k tmpfs /var/log && head -c 128k /dev/zero >/var/log/full || true")
    for command in ("plan", "status"):  # apt and dpkg themselves need their logs
        done = wizard(debian, command)
        assert (done.returncode, done.stderr) == (0, "")
    debian.run(["mount", "-o", "remount,ro", "/var/log"])
    assert wizard(debian, "plan").returncode == 0
    assert debian.run(["cat", LOG], check=False).stdout == ""
