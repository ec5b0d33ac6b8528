"""A certificate whose name is proved by the DNS: by hooks of the admin's, and by certbot's plug-in for a real name server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.acme import ADDRESS, NAME, acme
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import wizard
from tests.system.test_certificate import contents, first_of, presented
from tests.system.test_certificate_obtain import LIVE, OBTAIN, QUIET, RENEW, obtained, rolled_back, tree

pytestmark = [pytest.mark.full, pytest.mark.on_both]
ADD, REMOVE = "/usr/local/sbin/dns-add", "/usr/local/sbin/dns-remove"
BY_HOOK = ("--challenge", "manual", "--auth-hook", ADD, "--cleanup-hook", REMOVE)
_HOOK = f"""#!/usr/bin/python3
import json, os, urllib.request
record = {{"host": f"_acme-challenge.{{os.environ['CERTBOT_DOMAIN']}}.", "value": os.environ["CERTBOT_VALIDATION"]}}
urllib.request.urlopen("http://{ADDRESS}:8055/%s", json.dumps(record).encode())
"""
CREDENTIALS = "/root/rfc2136.ini"
_KEY = "bXNhLXdpemFyZCdzIHRlc3Qga2V5LCAzMiBieXRlcyE="
_NAMED = f"""
cat >/etc/bind/named.conf.options <<'END'
options {{ directory "/var/cache/bind"; recursion no; listen-on {{ 198.51.100.1; }}; listen-on-v6 {{ none; }}; dnssec-validation no; }};
END
cat >/etc/bind/named.conf.local <<'END'
key "certbot." {{ algorithm hmac-sha256; secret "{_KEY}"; }};
zone "example.test" {{ type master; file "/var/lib/bind/example.test"; update-policy {{ grant certbot. wildcard *.example.test. TXT; }}; }};
END
cat >/var/lib/bind/example.test <<'END'
$TTL 60
@ IN SOA mail root 1 60 60 3600 60
  IN NS mail
mail IN A 198.51.100.1
END
chown bind:bind /var/lib/bind/example.test
systemctl restart named
"""


def is_presented_and_renewed(debian: Machine) -> None:
    """What certbot keeps is what clients meet, before and after its next renewal."""
    assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))
    before = contents(debian)
    renewed = debian.run(RENEW, check=False)
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    assert contents(debian)[0] != before[0]
    assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))


def test_by_hooks_of_the_admins(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("certbot")
    for path, does in ((ADD, "set-txt"), (REMOVE, "clear-txt")):
        debian.put(path, _HOOK % does, 0o777)
    with acme(debian, tmp_path) as authority:
        authority.says("add-a", host=f"{NAME}.", addresses=["198.51.100.77"])  # a web server elsewhere
        found, before = tree(debian), contents(debian)
        refused = wizard(debian, *OBTAIN, *BY_HOOK)
        assert (
            refused.returncode,
            "can be written by others than root" in " ".join(refused.stderr.split()),
        ) == (3, True)
        debian.run(["chmod", "0755", REMOVE])
        debian.put(ADD, "#!/bin/sh\necho no such zone >&2\nexit 3\n", 0o755)
        failed = wizard(debian, *OBTAIN, *BY_HOOK)
        assert (failed.returncode, "your hook failed" in failed.stderr) == (1, True), failed.stderr
        assert "no such zone" in failed.stdout, "what the hook said"
        assert tree(debian) == found
        debian.put(ADD, _HOOK % "set-txt", 0o755)
        assert f"with your hook {ADD}: port 80 is not needed" in " ".join(obtained(debian, *BY_HOOK).split())
        is_presented_and_renewed(debian)
        rolled_back(debian)
        assert (tree(debian), contents(debian)) == (found, before)


def test_by_a_name_server_that_takes_updates(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("certbot")
    debian.run("apt-get install --yes --quiet=2 --no-install-recommends bind9", env=QUIET)
    with acme(debian, tmp_path) as authority:
        debian.run(_NAMED)
        authority.start(names="198.51.100.1:53")
        debian.put(
            CREDENTIALS,
            f"dns_rfc2136_server = 198.51.100.1\ndns_rfc2136_name = certbot.\ndns_rfc2136_secret = {_KEY}\n"
            "dns_rfc2136_algorithm = HMAC-SHA256\n",
            0o600,
        )
        found, before = tree(debian), contents(debian)
        plugin = ("--challenge", "dns-rfc2136", "--credentials", CREDENTIALS)
        assert "with its plug-in dns-rfc2136: port 80 is not needed" in " ".join(
            obtained(debian, *plugin).split()
        )
        is_presented_and_renewed(debian)
        assert _KEY not in debian.run("cat /var/log/msa-wizard.log").stdout
        rolled_back(debian)
        assert (tree(debian), contents(debian)) == (found, before)
