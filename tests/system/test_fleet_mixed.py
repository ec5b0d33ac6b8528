"""A mixed fleet by Ansible: bare hosts, one that works already, one that cannot be set up, one that is away; a host that
loses its power; and the Ansible of each Debian. All of them long."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.firewalls import set_up
from tests.system.fleet import FOLDER, PROGRAM, Fleet, recap
from tests.system.picture import differences, picture
from tests.system.releases import RELEASES, Release
from tests.system.room import why_no_machines
from tests.system.test_fleet import OF_LOOKING, changed, succeeded

pytestmark = pytest.mark.full
SET_UP = ("bare", "without-git", "filtered", "by-hand")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    if why := why_no_machines():
        pytest.skip(why)
    with Fleet("trixie") as made:
        made.add("bare", "trixie", "ready")
        made.add("without-git", "bookworm", "minimal").run(
            "apt-get install --yes --quiet=2 --no-install-recommends python3; ! command -v git"
        )
        set_up(made.add("filtered", "forky"), "ufw")
        made.add("by-hand", "bookworm", "msa").run("rm -r /var/lib/msa-wizard /var/log/msa-wizard.log*")
        made.add("broken", "trixie").run("sed -i 's/^VERSION_ID=.*/VERSION_ID=10/' /etc/os-release")
        made.name_only("away", "198.51.100.99")
        made.export(msa_client="by-hand")
        made.controller.put(f"{FOLDER}/inventory/host_vars/by-hand.yml", "msa_client: filtered\n")
        yield made


def verdicts(fleet: Fleet) -> dict[str, str]:
    """By host."""
    return {name: each["verdict"] for name, each in fleet.report().items()}


def test_one_that_cannot_be_set_up_keeps_all_as_they_are(fleet: Fleet) -> None:
    before = {name: picture(machine) for name, machine in fleet.hosts.items()}
    checked = fleet.play("site.yml", "--check", "--diff")
    assert checked.returncode != 0
    assert verdicts(fleet) == {
        **dict.fromkeys(("bare", "without-git", "filtered"), "to do"),
        **{"by-hand": "ok", "broken": "failed", "away": "unreachable"},
    }
    fleet.hosts["without-git"].run("! command -v git && ! command -v sendmail")
    for name, machine in fleet.hosts.items():
        left = differences(before[name], picture(machine))
        assert [line for line in left if not line.startswith(tuple(OF_LOOKING))] == []
    refused = fleet.play("site.yml")
    assert refused.returncode != 0
    assert verdicts(fleet) == {
        **dict.fromkeys(SET_UP, "not begun"),
        **{"broken": "failed", "away": "unreachable"},
    }
    assert "preflight" in fleet.report()["broken"]["says"]
    for name in SET_UP:
        assert fleet.hosts[name].run("ls -d /var/lib/msa-wizard/etc.git", check=False).stdout == "", name


def test_a_host_without_power_says_so_and_is_finished_or_undone(fleet: Fleet) -> None:
    limited = ("--limit", "bare,by-hand")
    bare = fleet.hosts["bare"]
    for word in ("undo", "finish"):
        if bare.run(["test", "-e", PROGRAM], check=False).returncode == 0:
            succeeded(fleet.play("rollback.yml", "--limit", "bare", msa_rollback="everything"))
        command = " ".join(
            ["ansible-playbook", "--vault-password-file=/root/vault-key", "site.yml", *limited]
        )
        fleet.controller.run(f"cd {FOLDER}; setsid {command} >/root/killed 2>&1 & echo $! >/root/play")
        bare.run(
            "until grep -q submission-port /var/lib/msa-wizard/journal 2>/dev/null; do sleep 0.02; done",
            timeout=300,
        )
        bare.cut_power()
        fleet.controller.run(
            "while pgrep -s $(cat /root/play) ansible >/dev/null; do sleep 0.5; done", timeout=300
        )
        assert verdicts(fleet)["bare"] == "unreachable"
        fleet.power_on("bare")
        told = fleet.play("site.yml", *limited)
        assert told.returncode != 0
        assert verdicts(fleet) == {"bare": "interrupted", "by-hand": "not begun"}
        assert "msa_interrupted=finish" in told.stdout
        done = fleet.play("site.yml", *limited, msa_interrupted=word, msa_client="by-hand")
        succeeded(done)
        assert verdicts(fleet)["bare"] == "ok"
        assert recap(done)["bare"]["changed"] >= 1


@pytest.mark.parametrize("release", RELEASES)
def test_the_ansible_of_each_debian_does_it(release: Release) -> None:
    """On hosts of its own release: an older Ansible knows no newer Python."""
    if why := why_no_machines():
        pytest.skip(why)
    with Fleet(release) as fleet:
        set_up(fleet.add("mail1", release), "nftables")
        fleet.add("mail2", release, "msa")
        fleet.export()
        succeeded(fleet.play("site.yml", "--check", "--diff"))
        succeeded(fleet.play("site.yml"))
        assert verdicts(fleet) == {"mail1": "ok", "mail2": "ok"}
        again = fleet.play("site.yml")
        assert changed(again) == {"mail1": 0, "mail2": 0}
        for playbook in ("drift.yml", "certificate.yml", "troubleshoot.yml"):
            succeeded(fleet.play(playbook))
        done = fleet.play("rollback.yml", "--diff", msa_rollback="firewall")
        succeeded(done)
        assert changed(done) == {"mail1": 1, "mail2": 0}


_LINT = "supported_ansible_also: ['2.14']  # Debian 12's\nskip_list: ['galaxy[no-repository]']  # it is not published there\n"


def test_ansible_lint_has_nothing_to_say(tmp_path: Path) -> None:
    """In an environment of its own, from the package index, as the tests' environment is made."""
    from tests.unit.test_fleet import FACTS
    from wizard.fleet import COLLECTION, export
    from wizard.model.answers import Answers

    export(tmp_path / "fleet", Answers(), FACTS, b"")
    (tmp_path / "lint.yml").write_text(_LINT)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    there = tmp_path / "venv/bin"
    subprocess.run([str(there / "pip"), "install", "--quiet", "ansible-core", "ansible-lint"], check=True)
    books = sorted(path.name for path in (tmp_path / "fleet").glob("*.yml"))
    lint = [
        str(there / "ansible-lint"),
        "--offline",
        "--profile",
        "production",
        "-c",
        str(tmp_path / "lint.yml"),
    ]
    done = subprocess.run(
        [*lint, *books, COLLECTION],
        cwd=tmp_path / "fleet",
        env={"PATH": f"{there}:{os.environ['PATH']}", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
