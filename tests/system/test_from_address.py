"""`troubleshoot --from`: what a client with an address meets, on a machine as Debian ships it, and as apply leaves it."""

from __future__ import annotations

import json
from typing import Any

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, wizard


def _visit(debian: Machine) -> tuple[int, dict[str, Any]]:
    done = wizard(debian, "troubleshoot", "--json", "--from", "192.0.2.7")
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return done.returncode, {stage["id"]: stage for stage in json.loads(done.stdout)["stages"]}


def test_what_a_client_meets(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    # Debian's own access map refuses 192.0.2, and its port 587 is open on loopback at most.
    debian.run("sed -i '/192.0.2/d' /etc/mail/access; make -C /etc/mail access.db")
    code, stages = _visit(debian)
    assert (code, stages["listener"]["state"]) == (1, "failed"), stages
    assert "587" in str(stages["listener"]["evidence"])
    apply(debian)
    code, stages = _visit(debian)
    bad = {name for name, stage in stages.items() if stage["state"] in ("failed", "unknown")}
    assert (code, bad) == (0, {"firewall"}), stages  # there is no nft on this machine
    debian.run("printf 'Connect:192.0.2\\tREJECT\\n' >> /etc/mail/access; make -C /etc/mail access.db")
    code, stages = _visit(debian)
    assert stages["connect"]["evidence"][0]["says"] == "Connect:192.0.2\tREJECT", stages
    debian.run(": > /etc/hosts.allow; echo 'ALL: 192.0.2.' > /etc/hosts.deny")
    code, stages = _visit(debian)
    assert (code, stages["tcp-wrappers"]["state"]) == (1, "failed"), stages
