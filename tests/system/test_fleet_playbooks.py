"""The playbooks on made-up hosts, by Ansible alone: which hosts are begun, and what is reported. The oldest Ansible and the newest,
each in an environment of its own from the package index. All of them long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.made_up_fleet import MadeUp

pytestmark = pytest.mark.full
REFUSED = {
    "interrupted": None,
    "steps": [
        {
            **{"step": "restart", "outcome": "blocked", "reason": "it cannot be", "remedy": []},
            **{"ends": [], "changes": []},
        }
    ],
}


@pytest.fixture(scope="module", params=["ansible-core==2.14.*", "ansible-core"], ids=["oldest", "newest"])
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Ansible's programs are."""
    place = tmp_path_factory.mktemp("ansible")
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    subprocess.run([str(place / "bin/pip"), "install", "--quiet", request.param], check=True)
    return place / "bin"


def test_a_host_that_is_lost_ends_the_run_like_one_that_fails(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b", "c", "d", "e"])
    fleet.goes("b", later=True)
    done = fleet.play("site.yml", "--limit", "a,b,c,d", msa_serial=[1, 2, "100%"], msa_client="")
    assert done.returncode != 0
    assert fleet.applied() == {"a", "b", "c"}
    rows = fleet.report()
    assert {name: row["verdict"] for name, row in rows.items()} == {
        **{"a": "ok", "b": "unreachable", "c": "ok", "d": "not begun"},
    }
    assert rows["d"]["says"] == "not begun, since b was lost"
    fleet.play("site.yml", msa_serial=[1, "100%"], msa_client="", msa_go_on=True)
    assert fleet.applied() == {"a", "b", "c", "d", "e"}, (
        "one that was lost before is left out where that is said"
    )
    done = fleet.play("rollback.yml", msa_rollback="everything", msa_serial=[2, "100%"])
    assert {name for name, row in fleet.report().items() if row["verdict"] == "not begun"} == {"c", "d", "e"}


def test_all_are_told_the_same_of_those_that_cannot_be_set_up(programs: Path, tmp_path: Path) -> None:
    """Also with fewer forks than hosts."""
    fleet = MadeUp(tmp_path, programs, ["a", "b", "c", "d"])
    fleet.answer("b", "plan", 3, REFUSED)
    assert fleet.play("site.yml", "--forks", "1", msa_client="").returncode != 0
    says = {
        row["says"].partition(":")[2].partition(".")[0] for name, row in fleet.report().items() if name != "b"
    }
    assert says == {" b"}
    assert fleet.applied() == set()


def test_a_password_that_looks_like_a_template_is_never_printed(programs: Path, tmp_path: Path) -> None:
    """Written into the vault as its example has it."""
    fleet = MadeUp(tmp_path, programs, ["a"])
    group = fleet.folder / "inventory/group_vars/msa"
    example = (group / "vault.yml.example").read_text()
    (group / "vault.yml").write_text(example.replace("the password of msa_test_user", "S3cr3t{#et{{''%}"))
    done = fleet.play("site.yml", "--check", "-vvv", msa_test_user="alice")
    assert done.returncode == 0, done.stdout[-3000:]
    failed = fleet.play("troubleshoot.yml", "-vvv", msa_test_user="alice")
    for run in (done, failed):
        assert "S3cr3t" not in run.stdout + run.stderr
    assert "S3cr3t" not in fleet.report_file.read_text()
