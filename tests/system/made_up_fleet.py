"""A fleet of made-up hosts on this one: the folder that is exported, connections to this host itself, and a dummy in place of
the program. What the playbooks make of their answers is seen within seconds, also of many hosts.

fleet = MadeUp(tmp_path, Path("/opt/ansible/bin"), ["mail1", "mail2"])
fleet.answer("mail2", "plan", 3, REFUSED)
fleet.play("site.yml")
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.unit.test_fleet import FACTS
from wizard.fleet import export
from wizard.model.answers import Answers

_DUMMY = '''#!/usr/bin/python3
import json, sys, time
from pathlib import Path

PLACE = Path(sys.argv[0]).parent
GIVEN = json.loads((PLACE / "answers.json").read_text())
WORDS = sys.argv[1:]
with (PLACE / "asked").open("a") as file:
    print(json.dumps(WORDS), file=file)
COMMAND = next((name for name in GIVEN if set(name.split()) <= set(WORDS)), WORDS[0])
OPENED, CONFIRMED = PLACE / "opened", PLACE / "confirmed"
STEP = {"step": "restart", "outcome": "done", "state": "applied", "reason": "", "remedy": [], "ends": [], "changes": []}
FIREWALL = {**STEP, "step": "firewall", "outcome": "pending"}
APPLIED = {"failures": [], "ends": [], "failed": None, "blocked": None, "undecided": None}
LOOKED = PLACE / "looked"
ENDED = PLACE / "ended"
killed = "it was killed" if "killed" in GIVEN and not CONFIRMED.exists() and not ENDED.exists() else None
waits = OPENED.exists() and not CONFIRMED.exists()


def stay():
    """Wait for a confirmation, as the program does; whether it came in time."""
    within = GIVEN["within"]
    OPENED.write_text(str(time.time()))
    while not CONFIRMED.exists() and time.time() < float(OPENED.read_text()) + within:
        time.sleep(0.05)
    if not CONFIRMED.exists():
        OPENED.unlink()
    return CONFIRMED.exists()


def answer():
    done = CONFIRMED.exists() or "within" not in GIVEN
    if COMMAND in GIVEN:
        return GIVEN[COMMAND]
    if COMMAND == "status":
        state = GIVEN.get("later", "applied") if LOOKED.exists() else "applied"
        return 0, {"steps": [{**STEP, "state": state}], "interrupted": killed, "confirmation": 1.0 if waits else None}
    if COMMAND == "certificate":
        return 0, {"certificates": []}
    if COMMAND == "plan":
        LOOKED.touch()
        return (0 if done else 10), {"interrupted": None, "ends": [], "steps": [STEP] if done else [STEP, FIREWALL]}
    if COMMAND == "apply" and "firewall" in WORDS:
        failure = {"step": "firewall", "why": "nobody confirmed", "undone": [], "not_undone": []}
        if stay():
            return 0, {**APPLIED, "steps": [{**FIREWALL, "state": "applied"}]}
        return 1, {**APPLIED, "steps": [], "failures": [failure]}
    if COMMAND == "apply":
        (PLACE / "applied").touch()
        if "leaves" in GIVEN:
            (PLACE.parent / GIVEN["leaves"] / "gone").touch()
        return 0, {**APPLIED, "steps": []}
    if COMMAND == "troubleshoot":
        well = stay() if "within" in GIVEN and "--fix" in WORDS else True
        run = {"steps": [], "failures": [], "outcome": "done" if well else "failed"}
        return (0 if well else 1), {"summary": "All is well.", "faults": [], "interrupted": None, "run": run}
    if COMMAND == "recover":
        well = stay() if "within" in GIVEN else True
        ENDED.touch()
        return (0 if well else 1), {"outcome": "done", "undone": None, "finished": None}
    if COMMAND == "confirm":
        if waits:
            CONFIRMED.touch()
        return (0 if waits else 1), {"outcome": "confirmed" if waits else "late"}
    if COMMAND == "rollback":
        return 0, {"outcome": "done", "commit": "c", "changes": [], "left": [], "conflicts": []}
    return 0, {"verdict": "well"}


code, document = answer()
print(json.dumps({"schema": 1, **document}))
sys.exit(code)
'''


class MadeUp:
    """The folder for Ansible below `place`, with hosts by their names; `programs` is where Ansible's are."""

    def __init__(self, place: Path, programs: Path, names: Sequence[str]) -> None:
        self.folder = place / "fleet"
        self.programs = programs
        self.names = [*names]
        export(self.folder, Answers(), FACTS, _DUMMY.encode())
        for name in names:
            self.host(name).mkdir(parents=True)
            (self.host(name) / "msa-wizard").write_text(_DUMMY)
            (self.host(name) / "msa-wizard").chmod(0o755)
            (self.host(name) / "answers.json").write_text("{}")
        self.variables()

    @property
    def report_file(self) -> Path:
        """What `report` reads."""
        return self.folder / "report/report.json"

    def host(self, name: str) -> Path:
        """Where the program of a host is, and what it remembers."""
        return self.folder / "hosts" / name

    def variables(self, **values: Any) -> None:
        """The variables of all hosts."""
        place = "(inventory_dir ~ '/../hosts/' ~ inventory_hostname)"
        common = {
            **{"ansible_user": "root", "ansible_host": "127.0.0.1", "ansible_port": 9},
            "ansible_python_interpreter": "/usr/bin/python3",
            "msa_program": f"{{{{ {place} ~ '/msa-wizard' }}}}",
            **values,
        }
        # With their own names: inventory_hostname is the server's also where a task is delegated.
        hosts = {
            name: {
                "ansible_connection": f"{{{{ 'ssh' if '{self.host(name) / 'gone'}' is exists else 'local' }}}}"
            }
            for name in self.names
        }
        inventory = {"msa": {"hosts": hosts, "vars": common}}
        (self.folder / "inventory/hosts.yml").write_text(json.dumps(inventory))

    def answer(self, name: str, command: str, code: int, document: Any) -> None:
        """What the program of a host says to a command."""
        file = self.host(name) / "answers.json"
        given = json.loads(file.read_text())
        file.write_text(json.dumps({**given, command: [code, document]}))

    def changes_state(self, name: str) -> None:
        """A host whose step is applied at first, and drifted once it was planned."""
        file = self.host(name) / "answers.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "later": "drifted"}))

    def was_killed(self, name: str) -> None:
        """A host on which a run was killed, until it is recovered."""
        (self.host(name) / "answers.json").write_text(json.dumps({"killed": True}))

    def has_new_rules(self, name: str, within: float, **more: object) -> None:
        """A host whose firewall is to be opened; the new rules are reverted after so many seconds. Where it is `killed`, a run was
        that waited for their confirmation."""
        (self.host(name) / "answers.json").write_text(json.dumps({"within": within, **more}))

    def asked(self, name: str) -> list[list[str]]:
        """What the program of a host was asked for so far, each with its options."""
        asked = self.host(name) / "asked"
        return [json.loads(line) for line in asked.read_text().splitlines()] if asked.exists() else []

    def waited(self, name: str) -> tuple[float, float]:
        """When the new rules of a host were there, and when they were confirmed."""
        opened, confirmed = self.host(name) / "opened", self.host(name) / "confirmed"
        return float(opened.read_text()), confirmed.stat().st_mtime

    def goes(self, name: str, *, after: str = "") -> None:
        """From now on a host cannot be reached; or only from when something was applied on the host that is named."""
        if after:
            (self.host(after) / "answers.json").write_text(json.dumps({"leaves": name}))
        else:
            (self.host(name) / "gone").touch()

    def play(self, playbook: str, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook; its exit status is the caller's to look at."""
        given = ["--extra-vars", json.dumps(variables)] if variables else []
        home = str(self.folder.parent)
        of_ansible = {"HOME": home, "ANSIBLE_ASYNC_DIR": f"{home}/jobs", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [str(self.programs / "ansible-playbook"), playbook, *options, *given],
            cwd=self.folder,
            env={"PATH": f"{self.programs}:{os.environ['PATH']}", **of_ansible},
            capture_output=True,
            text=True,
            check=False,
        )

    def report(self) -> dict[str, dict[str, Any]]:
        """What the last run has reported, by host."""
        report = json.loads(self.report_file.read_text())
        return {each["host"]: each for each in report["hosts"]}

    def applied(self) -> set[str]:
        """The hosts on which something was applied."""
        return {name for name in self.names if (self.host(name) / "applied").exists()}
