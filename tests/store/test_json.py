"""Each command's JSON is what the schema says; on real machines tests/system/msa.py looks, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from docs import generate
from docs.schema import schema
from snapshots.live.entry import Entry, Kind
from tests.json_documents import document
from tests.store.test_state_folder import interrupt
from tests.survival.machine import Machine, Wizard, make_machine
from tests.unit.rehearse.made import good
from tests.unit.troubleshoot.pictures import picture
from wizard.changes.file import FileChange
from wizard.cli import logins
from wizard.cli.logins import Login
from wizard.client_settings import ClientSettings
from wizard.debug import ConversationResult
from wizard.maillog.correlate import ConversationLine, delivery
from wizard.maillog.read import LogLine
from wizard.model import documents
from wizard.model.plan import Check, Ending, Plan, Sign
from wizard.render import as_json
from wizard.troubleshoot import report
from wizard.troubleshoot.diagnoses.order import DIAGNOSES
from wizard.troubleshoot.fix import Fix
from wizard.troubleshoot.verdict import judge

ID = "4ARJx3Nf001097"


class Commands:
    """msa-wizard on one machine, each document checked."""

    def __init__(self, wizard: Wizard, machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
        self.wizard, self.machine, self._capsys = wizard, machine, capsys

    def __call__(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        self._capsys.readouterr()
        assert self.wizard.run(self.machine, *arguments, "--json") == code
        return document(arguments[0], self._capsys.readouterr().out)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Commands]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wizard.cli.steps.must_be_root", lambda *_, **__: None)
        yield Commands(Wizard(patch), make_machine(tmp_path / "machine"), capsys)


def test_the_schema_is_one_and_names_every_command() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    with_json = {
        name.replace(" ", "-")
        for name, command in generate.commands().items()
        if "--json" in command.format_help()
    }
    assert with_json - {"certificate", "debug"} == set(documents.DOCUMENTS)


def test_from_apply_to_the_rollback(run: Commands) -> None:
    applied = run("apply", "--yes")
    assert applied["outcome"] == "done"
    done = [step for step in applied["steps"] if step["commit"]]
    assert {step["state"] for step in done} == {"applied"}, "told from what is still to do"
    assert run("apply", "--yes")["outcome"] == "nothing"
    assert {row["state"] for row in run("status")["steps"]} >= {"applied"}
    commits = run("history")["commits"]
    assert commits[0]["operation"] == "apply"
    assert run("diff", commits[0]["commit"])["commit"] == commits[0]
    assert run("rollback", "--all", "--dry-run")["outcome"] == "planned"
    assert run("rollback", "--all", "--yes")["outcome"] == "done"
    assert run("rollback", "--all", "--yes")["outcome"] == "nothing"


def test_a_conflict(run: Commands) -> None:
    run("apply", "--yes")
    rules = run.machine.root / "etc/firewall/rules.v4"
    rules.write_text("".join(f"mine: {line}" for line in rules.read_text().splitlines(keepends=True)))
    shown = run("rollback", "firewall", "--yes", code=4)
    assert shown["outcome"] == "conflict"
    assert shown["conflicts"]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [("--show", "shown"), ("--undo", "done"), ("--finish", "nothing"), ("--accept", "accepted")],
)
def test_a_killed_run(run: Commands, how: str, outcome: str) -> None:
    assert run("recover", how)["outcome"] == "nothing"
    run("apply", "firewall", "--yes")
    interrupt(run.machine)
    assert run("status")["interrupted"]
    assert run("plan", "firewall")["interrupted"]
    assert run("apply", "--yes", code=6)["error"]["exit_code"] == 6
    assert run("recover", how)["outcome"] == outcome


def test_nothing_to_confirm(run: Commands) -> None:
    assert run("confirm")["outcome"] == "nothing"


@pytest.mark.parametrize(
    "arguments", [("apply", "no-such-step"), ("rollback",), ("plan", "--no-such-option"), ("status", "more")]
)
def test_wrong_usage_is_an_error_of_each(run: Commands, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, code=2)["error"]["exit_code"] == 2


def _shown(command: str, **values: Any) -> dict[str, Any]:
    return document(command, as_json.dumps(**values))


def test_client_settings() -> None:
    settings = ClientSettings("mail.example.test", "example.test", implicit_tls=True)
    checks = as_json.checks([Check("dns", Sign.UNKNOWN, "nobody answers", "ask again")])
    shown = _shown("client-settings", **settings.to_json(), checks=checks)
    assert [server["port"] for server in shown["servers"]] == [587, 465]
    assert shown["checks"][0]["state"] == shown["checks"][0]["sign"] == "unknown"


def test_what_is_wrong_with_a_host() -> None:
    seen = judge(picture(facts={"processes": ()}))
    verdict = report.to_json(seen, {fault.id: Fix(True, ends=("cf-lines",)) for fault in seen.faults})
    shown = _shown("troubleshoot", **verdict, interrupted=None)
    assert not shown["ok"]
    assert shown["faults"][0]["fix"]["can_be_applied"]
    _shown("troubleshoot", **verdict, before=verdict, run=None)
    _shown("troubleshoot", diagnoses=report.catalogue_json(DIAGNOSES))


def test_a_plan() -> None:
    change = FileChange("/etc/x", None, Entry(Kind.FILE, 0o644, 0, 0, b"new"), "make it")
    ending = Ending("cf-lines", "lines of your own", ("Cwmine.test",))
    plans = [
        Plan.pending("firewall", "closed", change, notes=("a note",), ends=(ending,)),
        Plan.blocked("preflight", "no room", "make room"),
    ]
    shown = _shown("plan", steps=[as_json.plan(plan) for plan in plans], ends=as_json.endings([ending]))
    assert shown["steps"][1]["outcome"] == "blocked"


def test_a_rehearsal() -> None:
    rehearsal = good()
    assert _shown("rehearse", **rehearsal.to_json())["ok"]
    rehearsal.login = {"event": "login", "tried": False, "why": "steps remain", "remaining": True}
    _shown("rehearse", **rehearsal.to_json())
    rehearsal.run, rehearsal.after, rehearsal.login, rehearsal.rollback = {}, {}, {}, {}
    assert not _shown("rehearse", **rehearsal.to_json())["ok"]


def test_saslauthd_in_debug_mode() -> None:
    login = Login(None, silent=True)
    login.heard("saslauthd[471] :main            : num_procs  : 5")
    lines = [vars(line) for line in login.lines]
    shown = _shown(
        "debug saslauthd", ok=True, lines=lines, ended_by_itself=False, code=0, check=None, logged_in=None
    )
    assert shown["lines"][0]["pid"] == 471


def test_a_login_by_hand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [LogLine(0.0, "sm-mta", 1, f"{ID}: to=<bob@mx.test>, stat=Sent (ok)")]
    monkeypatch.setattr(
        logins, "talk", lambda *_args, **_more: ConversationResult(True, "", delivery(ID, lines))
    )
    arguments = generate.commands()["debug login"].parse_args(["--user", "alice", "--json", "--yes"])
    terminal = logins._Terminal(arguments, None, None)  # type: ignore[arg-type]
    terminal._tell(ConversationLine(1.5, "log", "a line", "what it means"))
    assert terminal.converse(encrypted=True) == 0
    assert document("debug login", capsys.readouterr().out)["delivery"]["attempts"][0]["to"]
