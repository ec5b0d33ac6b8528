"""A mixed fleet by Ansible: bare hosts, one that works already, one whose users are in LDAP, one that cannot be set up, one that
is away; and the Ansible of each Debian. All of them long."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system import directory
from tests.system.firewalls import set_up
from tests.system.fleet import FOLDER, PROGRAM, Fleet
from tests.system.machine import Machine
from tests.system.picture import Row, differences, picture
from tests.system.releases import RELEASES, Release
from tests.system.room import why_no_machines
from tests.system.test_fleet import OF_LOOKING, changed, succeeded
from tests.system.test_rollback import MAY_DIFFER
from wizard.steps.order import STEPS

pytestmark = pytest.mark.full
SET_UP = ("bare", "without-git", "filtered", "by-hand", "ldap")
OF_REHEARSING = {
    **OF_LOOKING,
    PROGRAM: "the program, which stays",
    "/var/lib/msa-wizard": "the program, unpacked",
    "/var/lib/apt/": "apt's lists",
}
"""What may differ where a host has only rehearsed."""
OF_THE_FLEET = {
    **OF_REHEARSING,
    **MAY_DIFFER,
    "/usr/lib/python3": "the byte-compiled modules of Python",
    "/var/lib/ldap/lock.mdb": "who reads in the LDAP server's database",
}
"""What may differ on a host where everything was rolled back."""
_WITH_PACKAGES = ("/var/lib/dpkg/", "/etc/ld.so.cache", "/usr/lib/python3")
CHOSEN = {
    "login": {"policy": "no-system-accounts"},
    "guess": {"limit": True},
    "tls": {"policy": "recommended"},
}
"""What a host chooses beyond the howto, in its host_vars."""
OPTIONAL = ("login-policy", "guess-limit", "tls-policy")
OBTAINED = {"challenge": "standalone", "email": "admin@example.test", "agree_tos": True}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Hosts of all releases, each another one; `away` is nowhere."""
    if why := why_no_machines():
        pytest.skip(why)
    with Fleet("trixie") as fleet:
        fleet.add("bare", "trixie", "ready")
        fleet.add("without-git", "bookworm", "minimal").run(
            "apt-get install --yes --quiet=2 --no-install-recommends python3; ! command -v git"
        )
        set_up(fleet.add("filtered", "forky"), "ufw")
        fleet.add("by-hand", "bookworm", "msa").run("rm -r /var/lib/msa-wizard /var/log/msa-wizard.log*")
        fleet.add("broken", "trixie").run("sed -i 's/^VERSION_ID=.*/VERSION_ID=10/' /etc/os-release")
        directory.serve_users_of_ldap(fleet.add("ldap", "trixie", "directory", user="deploy"))
        fleet.name_only("away", "198.51.100.99")
        fleet.export()
        yield fleet


def variables(fleet: Fleet, host: str, **values: Any) -> None:
    """The variables of one host."""
    fleet.controller.put(f"{FOLDER}/inventory/host_vars/{host}.yml", json.dumps(values))


def verdicts(fleet: Fleet) -> dict[str, str]:
    """By host."""
    return {name: each["verdict"] for name, each in fleet.report().items()}


def packages(machine: Machine) -> set[str]:
    """Those that are installed."""
    return set(machine.run(["dpkg-query", "--show", "--showformat=${Package}\n"]).stdout.split())


def strange(
    machine: Machine, before: dict[str, Row], may_differ: dict[str, str], brought: set[str]
) -> list[str]:
    """What differs from before, but for what may, and for what packages have brought that stay."""
    files = machine.run(["dpkg-query", "--listfiles", *brought]).stdout.split("\n") if brought else []
    allowed = (*may_differ, *(_WITH_PACKAGES if brought else ()))
    return [
        line
        for line in differences(before, picture(machine))
        if not line.startswith(allowed) and line.partition(": ")[0] not in files
    ]


def one_that_cannot_be_set_up_keeps_all_as_they_are(fleet: Fleet) -> None:
    before = {name: picture(machine) for name, machine in fleet.hosts.items()}
    variables(fleet, "ldap", msa_answers_host={"auth": {"saslauthd_mechanism": "pam"}})
    checked = fleet.play("site.yml", "--check", "--diff")
    assert checked.returncode != 0
    assert verdicts(fleet) == {
        **dict.fromkeys(("bare", "without-git", "filtered"), "to do"),
        **{"by-hand": "ok", "broken": "failed", "ldap": "failed", "away": "unreachable"},
    }
    assert "every user of LDAP will no longer be able to log in" in fleet.report()["ldap"]["says"]
    fleet.hosts["without-git"].run("! command -v git && ! command -v sendmail")
    for name, machine in fleet.hosts.items():
        assert strange(machine, before[name], OF_LOOKING, set()) == [], name
    variables(
        fleet,
        "ldap",
        msa_answers_host={"auth": {"saslauthd_mechanism": None}},
        msa_test_user=directory.USER,
        msa_test_password=directory.PASSWORD,
    )
    there = {name: packages(fleet.hosts[name]) for name in SET_UP}
    refused = fleet.play("site.yml", msa_rehearse=True, timeout=2000)
    assert refused.returncode != 0
    assert verdicts(fleet) == {
        **dict.fromkeys(SET_UP, "not begun"),
        **{"broken": "failed", "ldap": "failed", "away": "unreachable"},
    }
    assert "preflight" in fleet.report()["broken"]["says"]
    assert "passwords come from ldap" in fleet.report()["ldap"]["says"], "out of the clone's reach"
    rehearsed = refused.stdout.partition(": Rehearse] ")[2].partition("\nTASK ")[0]
    assert set(re.findall(r"^ok: \[(\S+)\]", rehearsed, re.MULTILINE)) == {*SET_UP} - {"ldap"}
    odd = {}
    for name in SET_UP:
        machine = fleet.hosts[name]
        assert machine.run("ls -d /var/lib/msa-wizard/etc.git", check=False).stdout == "", name
        odd[name] = strange(machine, before[name], OF_REHEARSING, packages(machine) - there[name])
    assert {name: lines for name, lines in odd.items() if lines} == {}


def the_others_are_set_up_where_that_is_said(fleet: Fleet) -> None:
    done = fleet.play("site.yml", msa_go_on=True, timeout=2000)
    assert done.returncode != 0, "two of them were left out"
    assert {name: verdicts(fleet)[name] for name in SET_UP} == dict.fromkeys(SET_UP, "ok"), done.stdout[
        -6000:
    ]
    assert len(re.findall(r"^ok: \[\S+ -> \S+\]", done.stdout, re.MULTILINE)) == len(SET_UP), (
        "each was logged in on"
    )
    assert "applied" not in fleet.report()["by-hand"]["steps"].values()
    again = fleet.play("site.yml", msa_go_on=True, timeout=2000)
    assert {name: changed(again)[name] for name in SET_UP} == dict.fromkeys(SET_UP, 0)


def the_users_of_ldap_log_in_still(fleet: Fleet) -> None:
    running = fleet.hosts["ldap"].run("cat /proc/$(pgrep -o -x saslauthd)/cmdline").stdout
    assert "-a\0ldap" in running
    wrong = fleet.play("site.yml", "--limit", "ldap", msa_client="by-hand", msa_test_password="not hers")
    assert wrong.returncode != 0
    assert "535" in fleet.report()["ldap"]["says"]


def a_server_that_takes_no_more_connections_is_named_so(fleet: Fleet) -> None:
    """Debian's ratecontrol: ten in ten minutes from one address."""
    connect = f"exec 3<>/dev/tcp/{fleet.address('ldap')}/587; read -r greeting <&3; echo $greeting"
    greetings = fleet.hosts["by-hand"].run(["bash", "-c", f"for i in $(seq 12); do {connect}; done"]).stdout
    assert "421" in greetings
    assert fleet.play("site.yml", "--limit", "ldap,by-hand").returncode != 0
    assert "takes 10 in ten minutes" in fleet.report()["ldap"]["says"]


def test_from_a_refusal_to_everything_back(fleet: Fleet) -> None:
    """Each begins where the one before has ended; at the end the whole file systems are as at the beginning."""
    before = {name: picture(fleet.hosts[name]) for name in SET_UP}
    there = {name: packages(fleet.hosts[name]) for name in SET_UP}
    one_that_cannot_be_set_up_keeps_all_as_they_are(fleet)
    the_others_are_set_up_where_that_is_said(fleet)
    the_users_of_ldap_log_in_still(fleet)
    a_server_that_takes_no_more_connections_is_named_so(fleet)
    limited = ("--limit", ",".join(SET_UP))
    succeeded(fleet.play("drift.yml", *limited))
    succeeded(fleet.play("rollback.yml", *limited, msa_rollback="everything", timeout=2000))
    odd = {}
    for name in SET_UP:
        brought = packages(fleet.hosts[name]) - there[name]
        assert ("git" in brought) == (name == "without-git"), "it stays, for the history"
        assert name == "without-git" or not brought
        odd[name] = strange(fleet.hosts[name], before[name], OF_THE_FLEET, brought)
    assert {name: lines for name, lines in odd.items() if lines} == {}


@pytest.mark.parametrize(
    ("release", "newest"), [*((release, False) for release in RELEASES), ("trixie", True)]
)
def test_each_ansible_does_it(release: Release, newest: bool, tmp_path: Path) -> None:
    """Debian's on hosts of its own release, since an older one knows no newer Python; and the newest of all on the oldest."""
    if why := why_no_machines():
        pytest.skip(why)
    with Fleet(release) as fleet:
        if newest:
            version = fleet.take_newest_ansible(tmp_path)
            assert tuple(map(int, version.split(".")[:2])) > (2, 19), version
        set_up(fleet.add("mail1", "bookworm" if newest else release), "nftables")
        fleet.add("mail2", release, "msa")
        fleet.export()
        variables(fleet, "mail1", msa_answers_host=CHOSEN)
        succeeded(fleet.play("site.yml", "--check", "--diff"))
        succeeded(fleet.play("site.yml"))
        assert verdicts(fleet) == {"mail1": "ok", "mail2": "ok"}
        states = {name: {row["steps"][step] for step in OPTIONAL} for name, row in fleet.report().items()}
        assert states == {"mail1": {"applied"}, "mail2": {"not-applicable"}}
        commits = json.loads(fleet.wizard("mail1", "history", "--json").stdout)["commits"]
        applied = [commit["step"] for commit in reversed(commits) if commit["operation"] == "apply"]
        assert applied == [step.id for step in STEPS if step.id in applied], "in the order of apply"
        again = fleet.play("site.yml")
        assert changed(again) == {"mail1": 0, "mail2": 0}
        if newest:
            assert "WARN" not in again.stderr + again.stdout, "of what will go"
            asked = fleet.play(
                "site.yml", "--check", "--limit", "mail2", msa_answers={"certificate": OBTAINED}
            )
            assert asked.returncode != 0
            assert "certificate-obtain: " in fleet.report()["mail2"]["says"], "no authority is in reach"
        for playbook in ("drift.yml", "certificate.yml", "troubleshoot.yml"):
            succeeded(fleet.play(playbook))
        done = fleet.play("rollback.yml", "--diff", msa_rollback="firewall")
        succeeded(done)
        assert changed(done) == {"mail1": 1, "mail2": 0}
