"""Many hosts by Ansible: real sshd, Debian's own Ansible on a machine of its own, hosts of several releases."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator

import pytest

from tests.system.firewalls import set_up
from tests.system.fleet import FOLDER, VAULT_OPTIONS, Fleet, recap
from tests.system.machine import Machine
from tests.system.msa import PASSWORD
from tests.system.picture import differences, picture
from tests.system.room import why_no_machines

MC = "/etc/mail/sendmail.mc"
FACTS = "/root/facts"
CACHED = rf"\nfact_caching = jsonfile\nfact_caching_connection = {FACTS}"
OF_LOOKING = {
    "/var/log/": "logs go on",
    "/var/lib/systemd/": "clocks and seeds",
    "/var/lib/private/": "clocks and seeds",
    "/root/.ansible": "Ansible's own folder for its modules",
    "/home/deploy/.ansible": "the same, of an ordinary user",
    "/root/.cache": "systemd's and Ansible's",
    "/var/cache/": "apt's package lists as it keeps them",
    "/etc/.pwd.lock": "the lock file of useradd's",
    "/var/backups/": "Debian's own daily copies",
    "/var/lib/apt/daily_lock": "of apt's own daily timers",
    "/var/spool/": "the queue, where cron and sendmail work",
}
"""What may differ on a host that was only looked at."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A host without Sendmail, behind a firewall, and one that was set up by hand before."""
    if why := why_no_machines():
        pytest.skip(why)
    with Fleet("trixie") as fleet:
        set_up(fleet.add("mail1", "forky", "ready"), "nftables")
        fleet.add("mail2", "bookworm", "msa")
        fleet.export()
        fleet.controller.run(["sed", "-i", f"s|^.defaults.|&{CACHED}|", f"{FOLDER}/ansible.cfg"])
        yield fleet


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """It ended with 0; all that it said."""
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


def changed(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many tasks have changed something, by host."""
    return {host: numbers["changed"] for host, numbers in recap(done).items()}


def watched(machine: Machine) -> None:
    """Collect the command lines and environments of all processes, again and again."""
    machine.run(
        "(while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>/root/seen 2>/dev/null; sleep 0.1; done) "
        ">/dev/null 2>&1 & echo $! >/root/watcher"
    )


def found_with(machine: Machine, word: str) -> list[str]:
    """Files that hold the word, and what the journal and the processes said of it."""
    machine.run("kill $(cat /root/watcher); journalctl --no-pager >/root/journal")
    assert len(machine.read("/root/seen")) > 1000
    places = "/var/log /var/lib /var/tmp /tmp /run /root /home /etc"
    grep = ["sh", "-c", f'grep -rlF --binary-files=text -e "$1" {places} 2>/dev/null', "sh", word]
    return machine.run(grep, check=False).stdout.split()


def test_the_inventory_has_the_settings_that_answers_prints(fleet: Fleet) -> None:
    printed = tomllib.loads(fleet.controller.run(["python3", "/root/msa-wizard.pyz", "answers"]).stdout)
    del printed["test"], printed["accept"]  # which are about one host
    printed["auth"].pop("saslauthd_mechanism", None)
    host = fleet.controller.run(["ansible-inventory", *VAULT_OPTIONS, "--host", "mail1"], cwd=FOLDER)
    assert json.loads(host.stdout)["msa_answers"] == printed


def a_check_shows_the_plan_of_each_host_and_changes_nothing(fleet: Fleet) -> None:
    before = {name: picture(machine) for name, machine in fleet.hosts.items()}
    done = fleet.play("site.yml", "--check", "--diff")
    output = succeeded(done)
    assert "sasl2-bin" in output
    assert "+ nft insert rule inet filter input" in output
    assert "PRIVATE KEY" not in output
    assert changed(done) == {"mail1": 2, "mail2": 1}, (
        "the program would be brought to both, one would be set up"
    )
    report = fleet.report()
    assert {name: each["verdict"] for name, each in report.items()} == {"mail1": "to do", "mail2": "ok"}
    assert {"install", "firewall"} <= set(report["mail1"]["pending"])
    assert report["mail2"]["steps"]["submission-port"] == "applied"
    for name, machine in fleet.hosts.items():
        left = differences(before[name], picture(machine))
        assert [line for line in left if not line.startswith(tuple(OF_LOOKING))] == []


def a_run_sets_up_what_is_to_do_and_another_host_logs_in(fleet: Fleet) -> None:
    for machine in (fleet.controller, *fleet.hosts.values()):
        watched(machine)
    done = fleet.play("site.yml", "-vvv")
    output = succeeded(done)
    assert changed(done)["mail2"] == 1, "the program itself"
    assert {name: each["verdict"] for name, each in fleet.report().items()} == {"mail1": "ok", "mail2": "ok"}
    assert re.search(
        r"(?s)confirm the new rules through a fresh connection.*?^changed: \[mail1\]", output, re.M
    )
    assert re.search(r"(?s)Log in from another host.*?^ok: \[mail1 -> mail2", output, re.M)
    assert "235 2.0.0" in output
    assert PASSWORD not in output + done.stderr
    assert "submission-port" in fleet.controller.run(f"cat {FACTS}/*").stdout
    for machine in (fleet.controller, *fleet.hosts.values()):
        assert found_with(machine, PASSWORD) == []
    assert "submission-port" in fleet.wizard("mail1", "history").stdout
    page = fleet.controller.read("/root/fleet/report/report.html").decode()
    assert "<td>mail1</td>" in page


def a_second_run_changes_nothing(fleet: Fleet) -> None:
    done = fleet.play("site.yml")
    succeeded(done)
    assert changed(done) == {"mail1": 0, "mail2": 0}


def none_is_begun_after_the_first_that_fails(fleet: Fleet) -> None:
    done = fleet.play("site.yml", msa_test_password="not hers")
    assert done.returncode != 0
    assert "535" in fleet.report()["mail1"]["says"]
    begun = done.stdout.partition("PLAY [Set them up, one first]")[2]
    assert set(re.findall(r"^\w+: \[(\w+)", begun, re.MULTILINE)) == {"mail1"}


def on_one_host_alone_nobody_logs_in(fleet: Fleet) -> None:
    done = fleet.play("site.yml", "--limit", "mail2")
    assert re.search(r"Log in from another host\] \*+\nskipping: \[mail2\]", succeeded(done))
    assert changed(done) == {"mail2": 0}


def drift_is_named_and_left_alone(fleet: Fleet) -> None:
    machine = fleet.hosts["mail1"]
    text = machine.read(MC).decode()
    machine.put(MC, text.replace("include(`/etc/mail/sasl/sasl.m4')dnl", "dnl"))
    before = machine.read(MC)
    done = fleet.play("drift.yml")
    assert done.returncode == 2, done.stdout[-3000:]
    assert {host: numbers["failed"] for host, numbers in recap(done).items()} == {"mail1": 1, "mail2": 0}
    row = fleet.report()["mail1"]
    assert row["verdict"] == "drifted"
    assert row["drifted"][0] == "mc-includes"
    assert "mc-includes: " in row["says"]
    assert machine.read(MC) == before
    machine.put(MC, text)


def a_certificate_that_ends_too_soon_is_named(fleet: Fleet) -> None:
    succeeded(fleet.play("certificate.yml"))
    done = fleet.play("certificate.yml", msa_certificate_days=9999)
    assert done.returncode == 2, done.stdout[-3000:]
    assert re.search(r"Days left of the certificate: \d+; wanted: 9999", fleet.report()["mail2"]["says"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", fleet.report()["mail2"]["certificate_end"])


def a_fault_is_named_and_fixed(fleet: Fleet) -> None:
    machine = fleet.hosts["mail2"]
    machine.run("systemctl stop saslauthd")
    assert fleet.play("troubleshoot.yml").returncode == 2
    assert {name: (each["verdict"], each["faults"]) for name, each in fleet.report().items()} == {
        "mail2": ("failed", 1),
        "mail1": ("ok", 0),
    }
    shown = fleet.play("troubleshoot.yml", "--check", "--diff", msa_fix=["all"])
    assert "saslauthd-dead: saslauthd-config, saslauthd-start" in succeeded(shown)
    assert machine.run("systemctl is-active saslauthd", check=False).stdout == "inactive\n"
    fixed = fleet.play("troubleshoot.yml", msa_fix=["all"])
    succeeded(fixed)
    assert changed(shown) == changed(fixed) == {"mail1": 0, "mail2": 1}
    succeeded(fleet.play("troubleshoot.yml"))


def a_step_comes_back_everywhere(fleet: Fleet) -> None:
    done = fleet.play("rollback.yml", "--diff", msa_rollback="auth-options", msa_serial="100%")
    assert "-define(`confAUTH_OPTIONS',`p y')dnl" in succeeded(done)
    assert changed(done) == {"mail1": 1, "mail2": 1}
    for machine in fleet.hosts.values():
        assert "confAUTH_OPTIONS" not in machine.read(MC).decode()


def test_from_the_check_to_a_step_taken_back(fleet: Fleet) -> None:
    """Each begins where the one before has ended."""
    a_check_shows_the_plan_of_each_host_and_changes_nothing(fleet)
    a_run_sets_up_what_is_to_do_and_another_host_logs_in(fleet)
    a_second_run_changes_nothing(fleet)
    none_is_begun_after_the_first_that_fails(fleet)
    on_one_host_alone_nobody_logs_in(fleet)
    drift_is_named_and_left_alone(fleet)
    a_certificate_that_ends_too_soon_is_named(fleet)
    a_fault_is_named_and_fixed(fleet)
    a_step_comes_back_everywhere(fleet)
