"""The playbooks on made-up hosts, by Ansible alone: which hosts are begun, and what is reported. The oldest Ansible and the newest,
each in an environment of its own from the package index. All of them long."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.system.made_up_fleet import MadeUp

pytestmark = pytest.mark.full
MANY = 4
FAILURE = {"step": "restart", "why": "it did not start", "undone": []}
REFUSED = {
    "interrupted": None,
    "ends": [],
    "steps": [
        {
            **{"step": "restart", "outcome": "blocked", "reason": "it cannot be", "remedy": []},
            **{"ends": [], "changes": []},
        }
    ],
}
TO_DO = {
    "interrupted": None,
    "ends": [],
    "steps": [
        {
            **{"step": "restart", "outcome": "pending", "reason": "", "remedy": []},
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
    fleet.goes("b", after="b")
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


def test_those_that_were_left_out_are_not_the_first(programs: Path, tmp_path: Path) -> None:
    """Nor are those on which nothing is to be done: one host is set up before any other, and it must prove something."""
    fleet = MadeUp(tmp_path, programs, ["done", "refused", "gone", "b", "c", "d"])
    fleet.answer("refused", "plan", 3, REFUSED)
    fleet.goes("gone")
    for name in ("b", "c", "d"):
        fleet.answer(name, "plan", 10, TO_DO)
        fleet.answer(name, "apply", 1, {"steps": [], "ends": [], "failures": [{**FAILURE, "not_undone": []}]})
    assert fleet.play("site.yml", msa_client="", msa_go_on=True).returncode != 0
    begun = {name for name in fleet.names if any("--yes" in words for words in fleet.asked(name))}
    assert begun == {"b"}


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


def test_new_rules_of_a_firewall_are_confirmed_host_by_host(programs: Path, tmp_path: Path) -> None:
    """However many hosts are at work, and however few forks: each is over with its own before the next begins."""
    names = [f"h{number}" for number in range(MANY)]
    fleet = MadeUp(tmp_path, programs, names)
    for name in names:
        fleet.has_new_rules(name, within=60)
    done = fleet.play("site.yml", "--forks", "1", msa_serial="100%", msa_client="")
    assert done.returncode == 0, done.stdout[-6000:]
    spans = sorted(map(fleet.waited, names))
    assert all(confirmed < opened for (_, confirmed), (opened, _) in pairwise(spans))
    assert not [*tmp_path.glob("jobs/*")], "nothing is left of the jobs"


def test_rules_that_nobody_can_confirm_are_reverted_and_it_is_told(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b"])
    fleet.has_new_rules("a", within=3)
    fleet.answer("a", "confirm", 1, {"outcome": "late"})
    assert fleet.play("site.yml", msa_client="").returncode != 0
    rows = fleet.report()
    assert (rows["a"]["verdict"], rows["a"]["says"]) == ("failed", "firewall failed: nobody confirmed")
    assert fleet.applied() == {"a"}, "what comes before the firewall"


def test_what_cannot_be_given_is_found_before_anything_is_begun(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a"])
    given = {"msa_test_user": "alice", "msa_confirm_within": 4, "msa_client": "b"}
    assert fleet.play("site.yml", "--check", **given).returncode != 0
    says = fleet.report()["a"]["says"]
    for part in ("there is no msa_test_password", "it may be 5 to 3600", "which is no host of the inventory"):
        assert part in says


def test_variables_whose_lines_are_all_comments_set_nothing(programs: Path, tmp_path: Path) -> None:
    """As answers.yml itself has its lines. A password of digits is one, also without quotes."""
    fleet = MadeUp(tmp_path, programs, ["a"])
    empty = dict.fromkeys(["msa_answers", "msa_answers_host", "msa_accept", "msa_test_user"])
    login = {"msa_test_user": "alice", "msa_test_password": 8675309123}
    for playbook, given in (("site.yml", empty), ("drift.yml", empty), ("site.yml", {**empty, **login})):
        done = fleet.play(playbook, **given)
        assert done.returncode == 0, f"{playbook}: {done.stdout[-3000:]}"
    assert not [word for words in fleet.asked("a") for word in words if word.startswith(("--set", "--acc"))]


def test_no_host_is_its_own_client(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b"])
    done = fleet.play("site.yml", msa_client="a", msa_serial="100%")
    assert set(re.findall(r"^ok: \[(\w -> \w)", done.stdout, re.MULTILINE)) == {"a -> b", "b -> a"}


def test_a_client_that_is_no_host_of_the_run_is_looked_at_before(programs: Path, tmp_path: Path) -> None:
    """It gets the program, too."""
    fleet = MadeUp(tmp_path, programs, ["a", "client"])
    fleet.goes("client")
    done = fleet.play("site.yml", "--limit", "a", msa_client="client")
    assert (done.returncode, fleet.applied()) == (2, set())
    row = fleet.report()["a"]
    assert row["verdict"] == "failed"
    assert row["says"].startswith("client, which is to log in here, cannot be reached: ")
    (fleet.host("client") / "gone").unlink()
    done = fleet.play("site.yml", "--limit", "a", msa_client="client")
    assert done.returncode == 0
    there = re.findall(r"^TASK \[.* : (.+)\] .*\n(?:ok|changed): \[a -> client", done.stdout, re.MULTILINE)
    assert there == ["Have the program on the host that logs in", "Log in from another host"]


def test_a_client_that_is_lost_is_named_and_its_server_is_not(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b", "client"])
    fleet.goes("client", after="a")
    assert fleet.play("site.yml", "--limit", "a,b", msa_client="client").returncode != 0
    rows = fleet.report()
    assert rows["a"]["says"].startswith("client, which is to log in here, cannot be reached: ")
    assert (rows["a"]["verdict"], fleet.applied()) == ("failed", {"a"})
    assert "a was lost" not in rows["b"]["says"]
    (fleet.host("client") / "gone").unlink()
    fleet.answer("b", "test", 1, {"verdict": "no route to b"})
    assert fleet.play("site.yml", "--limit", "b", msa_client="client").returncode != 0
    assert fleet.report()["b"]["says"] == "on client: no route to b"


def test_the_login_is_tried_where_mail_clients_reach_the_host(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b"])
    for given, tried in (({}, "127.0.0.1"), ({"msa_test_host": "{{ inventory_hostname }}.mail"}, "a.mail")):
        fleet.variables(**given)
        assert fleet.play("site.yml", msa_client="b").returncode == 0
        words = [words for words in fleet.asked("a") if "--login-only" in words][-1]
        assert f"--host={tried}" in words


def test_a_host_that_failed_is_reported_as_it_is_since(programs: Path, tmp_path: Path) -> None:
    """So are those that the failure has ended with it."""
    fleet = MadeUp(tmp_path, programs, ["a", "b"])
    fleet.answer("a", "apply", 1, {"steps": [], "ends": [], "failures": [{**FAILURE, "not_undone": []}]})
    for name in ("a", "b"):
        fleet.changes_state(name)
    assert fleet.play("site.yml", msa_client="", msa_serial="100%").returncode != 0
    rows = fleet.report()
    assert (rows["a"]["verdict"], rows["a"]["says"]) == ("failed", "restart failed: it did not start")
    assert {row["steps"]["restart"] for row in rows.values()} == {"drifted"}


def test_hosts_that_a_rollback_did_not_come_to_are_reported(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b", "c", "d"])
    left: dict[str, Any] = {
        "outcome": "conflicts",
        "commit": None,
        "changes": [],
        "left": [],
        "failed": "a conflict",
    }
    fleet.answer("b", "rollback", 4, {**left, "conflicts": []})
    done = fleet.play("rollback.yml", "--limit", "!d", msa_rollback="everything", msa_serial=[1])
    assert done.returncode == 2
    rows = fleet.report()
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "a": "ok",
        "b": "failed",
        "c": "not begun",
    }


def test_a_host_that_can_no_longer_be_set_up_fails_the_look_for_drift(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b", "c"])
    row = {"outcome": "blocked", "reason": "it is not active"}
    steps = [{**row, "step": "firewall", "state": "blocked"}, {**row, "step": "restart", "state": "drifted"}]
    for name, count in (("a", 1), ("b", 2)):
        fleet.answer(name, "status", 0, {"interrupted": None, "confirmation": None, "steps": steps[:count]})
    done = fleet.play("drift.yml")
    assert done.returncode == 2, done.stdout[-3000:]
    rows = fleet.report()
    assert {name: row["verdict"] for name, row in rows.items()} == {"a": "failed", "b": "drifted", "c": "ok"}
    assert rows["a"]["says"] == "blocked: firewall: it is not active"
    assert rows["b"]["says"] == "drifted: restart: it is not active\nblocked: firewall: it is not active"


def certificates(server: int | None, client: int = 3649) -> list[dict[str, Any]]:
    """The rows of `certificate show --json`, by the days left; None is one that cannot be read."""
    rows = []
    for option, days in (("ClientCertFile", client), ("ServerCertFile", server)):
        held = {"fingerprint_sha256": option, "not_after": f"{option}-ends"}
        rows.append({"option": option, "days_left": days, "certificate": None if days is None else held})
    return rows


def test_only_the_certificate_that_mail_clients_get_counts(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b", "c", "d", "e"])
    gone, old = "server.crt holds no certificate", "the running sendmail presents another certificate"
    for name, days, client, fault in (
        ("a", 89, 3649, ""),
        ("b", None, 3649, gone),
        ("c", 89, 3649, old),
        ("d", 29, 3649, ""),
        ("e", 89, 1, ""),
    ):
        checks = [{"id": "it", "sign": "failed", "says": fault, "remedy": ""}] if fault else []
        shown = {"certificates": certificates(days, client), "checks": checks}
        fleet.answer(name, "certificate", int(bool(fault)), shown)
    assert fleet.play("certificate.yml").returncode == 2
    rows = fleet.report()
    assert {name: row["verdict"] for name, row in rows.items() if row["verdict"] != "ok"} == dict.fromkeys(
        "bcd", "failed"
    )
    assert rows["b"]["says"] == f"{gone}\nDays left of the certificate: none; wanted: 30"
    assert (rows["c"]["says"], rows["c"]["certificate_days"]) == (old, 89)
    assert rows["d"]["says"] == "Days left of the certificate: 29; wanted: 30"
    assert (rows["b"]["certificate_days"], rows["e"]["certificate_days"]) == (None, 89)
    fleet.play("site.yml", "--limit", "a,b")
    accepted = {
        name: [word for words in fleet.asked(name) for word in words if word.startswith("--accept-cert")]
        for name in "ab"
    }
    assert accepted == {"a": ["--accept-certificate=ServerCertFile"], "b": []}


def test_a_host_on_which_nothing_could_be_begun_is_reported(programs: Path, tmp_path: Path) -> None:
    """The report of the last run would else stay, in which it was well."""
    fleet = MadeUp(tmp_path, programs, ["a"])
    fleet.play("drift.yml")
    assert fleet.report()["a"]["verdict"] == "ok"
    fleet.goes("a")
    for playbook in ("drift.yml", "site.yml"):
        fleet.report_file.unlink()
        fleet.play(playbook)
        assert fleet.report()["a"]["verdict"] == "unreachable", playbook


def test_each_variable_of_the_readme_is_given_as_it_says(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b"])
    rows = (fleet.folder / "README.md").read_text().partition("| with `-e` |")[2]
    examples = re.findall(r"^\| `(.+?)` \|", rows, re.MULTILINE)
    assert len(examples) > 7
    for example in examples:
        done = fleet.play("site.yml", "--list-hosts", "-e", *shlex.split(example))
        assert done.returncode == 0, f"{example}: {done.stderr}"


def test_another_mail_server_goes_where_that_is_said(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b"])
    done = fleet.play("site.yml", "-e", "msa_replace_mta=true", "-e", "msa_accept=cf-lines", msa_client="")
    assert done.returncode == 0, done.stdout[-3000:]
    asked = {command: words for command, *words in fleet.asked("a") if command in ("plan", "apply")}
    assert asked.keys() == {"plan", "apply"}
    for words in asked.values():
        assert {"--replace-mta", "--accept=cf-lines"} <= {*words}


def test_a_fix_goes_as_carefully_as_a_run(programs: Path, tmp_path: Path) -> None:
    """One host first, new rules of a firewall confirmed, none after one that fails, and what the hosts are then reported."""
    fleet = MadeUp(tmp_path, programs, ["a", "b", "c"])
    (fleet.folder / "inventory/group_vars/msa/vault.yml").write_text("vault_msa_test_password: S3cr3t")
    fleet.has_new_rules("a", within=30)
    unfixed: dict[str, Any] = {"summary": "Users cannot log in.", "faults": [], "interrupted": None}
    fleet.answer(
        "b", "troubleshoot", 1, {**unfixed, "run": {"steps": [], "failures": [], "outcome": "failed"}}
    )
    given = {"msa_fix": ["all"], "msa_accept": ["cf-lines"], "msa_serial": [1], "msa_test_user": "alice"}
    done = fleet.play("troubleshoot.yml", **given)
    assert done.returncode == 2, done.stdout[-3000:]
    assert (fleet.host("a") / "confirmed").exists()
    rows = fleet.report()
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "a": "ok",
        "b": "failed",
        "c": "not begun",
    }
    assert not fleet.asked("c")
    fixing, looking = [words for words in fleet.asked("a") if words[0] == "troubleshoot"]
    for words in (fixing, looking):
        assert {"--yes", "--confirm-within=60", "--accept=cf-lines"} <= {*words}
    assert ("--user=alice" in fixing, "--user=alice" in looking) == (False, True)
    assert fleet.asked("a")[-2:][0][0] == "status", "gathered after the fix"
    fleet.was_killed("c")
    assert fleet.play("troubleshoot.yml", "--limit", "c", **given).returncode == 2
    assert fleet.report()["c"]["verdict"] == "interrupted"
    assert fleet.play("troubleshoot.yml", "--limit", "c", msa_interrupted="undo", **given).returncode == 0


def test_troubleshooting_alone_looks_at_all_hosts_at_once(programs: Path, tmp_path: Path) -> None:
    fleet = MadeUp(tmp_path, programs, ["a", "b", "gone"])
    fleet.goes("gone")
    fleet.answer(
        "a", "troubleshoot", 1, {"summary": "no", "faults": [{"state": "failed"}], "interrupted": None}
    )
    fleet.play("troubleshoot.yml")
    verdicts = {name: row["verdict"] for name, row in fleet.report().items()}
    assert verdicts == {"a": "failed", "b": "ok", "gone": "unreachable"}
    assert not [word for words in fleet.asked("b") for word in words if word.startswith(("--fix", "--conf"))]


@pytest.mark.parametrize(
    ("playbook", "given", "command"),
    [("rollback.yml", {"msa_rollback": "everything"}, "rollback"), ("site.yml", {"msa_client": ""}, "plan")],
)
def test_a_run_that_was_killed_is_ended_before_any_other(
    programs: Path, tmp_path: Path, playbook: str, given: dict[str, Any], command: str
) -> None:
    fleet = MadeUp(tmp_path, programs, ["a"])
    fleet.was_killed("a")
    assert fleet.play(playbook, **given).returncode == 2
    assert fleet.report()["a"]["verdict"] == "interrupted"
    assert "-e msa_interrupted=finish" in fleet.report()["a"]["says"]
    assert not [words for words in fleet.asked("a") if words[0] in ("recover", command)]
    done = fleet.play(playbook, **given, msa_interrupted="undo")
    assert done.returncode == 0, done.stdout[-3000:]
    (recover, *_), (then, *_) = [each for each in fleet.asked("a") if each[0] in ("recover", command)][:2]
    assert (recover, then) == ("recover", command)


def test_a_run_that_was_killed_while_its_rules_waited_is_finished(programs: Path, tmp_path: Path) -> None:
    """They wait again then, in the very task that finishes it."""
    fleet = MadeUp(tmp_path, programs, ["a"])
    fleet.has_new_rules("a", within=30, killed=True)
    done = fleet.play("site.yml", msa_client="", msa_interrupted="finish")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (fleet.host("a") / "confirmed").exists()
