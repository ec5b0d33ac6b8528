# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Runs the program on a host, and turns its JSON and its exit code into a result of Ansible."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile

PROGRAM = {"program": {"type": "path", "default": "/usr/local/sbin/msa-wizard"}}
ANSWERS = {
    "answers": {"type": "dict", "default": {}},
    "accept": {"type": "list", "elements": "str", "default": []},
}
LOGIN = {"user": {"type": "str"}, "password": {"type": "str", "no_log": True}}
CANNOT = 3
"""The exit code of a command that does not go on this host, as it is."""
INTERRUPTED = 6
"""The exit code of a command that an interrupted run is in the way of."""
_LONG = frozenset(("steps", "changes", "before", "lines", "apply", "paths", "log"))
"""What of a document a failure leaves out: Ansible prints a failure whole."""
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from wizard.cli.main import main; sys.exit(main())"


class Program:
    """The program on this host, for one module. In check mode it leaves nothing behind: it runs from Ansible's own temporary
    folder, and installs nothing that it would itself need."""

    def __init__(self, module):
        self.module = module
        self.path = module.params["program"]
        if not os.path.isfile(self.path):
            module.fail_json(
                msg=f"{self.path} is not on this host. Run the role msa_wizard.msa.msa there first, or name another program"
            )

    def run(self, *words, data=None, may_end=(0,), may_lack=False):
        """The exit code and the document of a command. Fails the module for a code that is not in `may_end`.

        With `may_lack` the document is empty where the host does not have yet what the command is about."""
        code, output, errors = self.module.run_command([*self._start(), *words, "--json"], data=data)
        try:
            document = json.loads(output)
        except ValueError:
            document = {}
        if may_lack and code == CANNOT and "error" in document:
            return code, {}
        if not document or "error" in document or code not in may_end:
            self.fail(code, document, errors)
        return code, document

    def planned(self, *words):
        """What a run would do: the result of the module, of which `changed` says whether it would do anything. Fails the module
        where a run would be refused."""
        code, document = self.run("plan", *words, "--exit-code", may_end=(0, 3, 10))
        if document["interrupted"]:
            self.fail(INTERRUPTED, {"error": {"message": document["interrupted"]}}, changed=False)
        pending = [plan for plan in document["steps"] if plan["outcome"] == "pending"]
        shown = diffs(change for plan in pending for change in plan["changes"])
        blocked = [plan["step"] for plan in document["steps"] if plan["outcome"] == "blocked"]
        if blocked or document["ends"]:
            refused = {**document, "blocked": next(iter(blocked), None)}
            self.fail(code, refused, changed=False, diff=shown)
        steps = [plan["step"] for plan in pending]
        return {
            "changed": code == 10,
            "pending": steps,
            "document": lean(document),
            "exit_code": code,
            "diff": shown,
        }

    def fail(self, code, document, errors="", **result):
        """End the module, in the program's own words."""
        why = _why(document) or errors.strip() or f"the program ended with {code} and said nothing"
        short = lean({name: value for name, value in document.items() if name not in _LONG})
        self.module.fail_json(
            msg=why, exit_code=code, interrupted=code == INTERRUPTED, document=short, **result
        )

    def settings(self, *, accept=True):
        """The options for the answers of this host, and for what may end where the command takes that."""
        try:
            words = [f"--set={key}={_typed(value)}" for key, value in flat(self.module.params["answers"])]
        except ValueError as error:
            self.module.fail_json(msg=f"answers: {error}")
        return [*words, *(f"--accept={name}" for name in self.module.params["accept"] if accept)]

    def login(self):
        """The options for a login, and what follows on standard input."""
        user, password = self.module.params["user"], self.module.params["password"]
        if not user:
            return [], None
        if not password:
            self.module.fail_json(msg=f"user {user} needs a password")
        return [f"--user={user}", "--password-stdin"], f"{password}\n"

    def _start(self):
        if self.module.check_mode and zipfile.is_zipfile(self.path):
            folder = os.path.join(self.module.tmpdir, "program")
            with zipfile.ZipFile(self.path) as outer:
                inside = io.BytesIO(outer.read("program.zip"))
            with zipfile.ZipFile(inside) as program:
                program.extractall(folder)
            return [sys.executable, "-I", "-S", "-c", _START, folder]
        if os.access(self.path, os.X_OK):
            return [self.path]
        return [sys.executable, "-I", "-S", self.path]


def flat(answers, above=""):
    """The settings of nested dictionaries, each with its whole name. What is null is left as it is on the host."""
    for key, value in (answers or {}).items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        elif value is not None:
            yield f"{above}{key}", value


def diffs(changes):
    """What `--diff` shows of changes: of a file its texts before and after, in which keys and passwords are masked; of anything
    else the program's own words."""
    return [_shown(change) for change in changes]


def lean(document):
    """What the program printed, without the texts of files, wherever in it a change is."""
    if isinstance(document, dict):
        texts = ("before", "after") if {"kind", "diff"} <= document.keys() else ()
        return {name: lean(value) for name, value in document.items() if name not in texts}
    return [lean(item) for item in document] if isinstance(document, list) else document


def _typed(value):
    """As the option --set takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        items = [str(item) for item in value]
        if any("," in item for item in items):
            raise ValueError(f"no item of a list may hold a comma: {', '.join(items)}")
        return ",".join(items)
    return str(value)


def _shown(change):
    before, after = change["before"], change["after"]
    lines = change["diff"].splitlines()
    if before != after:
        old, new = (line[len("--- ") :] for line in lines[:2])
        return {"before": before, "after": after, "before_header": old, "after_header": new}
    lines = lines or [
        change["title"],
        *(f"+ {command}" for command in change["commands"]),
        *change["details"],
    ]
    return {"prepared": "".join(f"{line}\n" for line in lines)}


def _why(document):
    """Why a command ended as it did, as its document has it."""
    if "error" in document:
        return document["error"]["message"]
    steps = {plan["step"]: plan for plan in document.get("steps", ()) if isinstance(plan, dict)}
    lines = []
    for failure in document.get("failures", ()):
        lines += [f"{failure['step']} failed: {failure['why']}"]
        lines += [f"undone: {line}" for line in failure["undone"]]
        lines += [f"NOT undone: {line}" for line in failure["not_undone"]]
    blocked = document.get("blocked")
    if blocked in steps:
        lines += [f"{blocked}: {steps[blocked]['reason']}", *steps[blocked]["remedy"]]
    if document.get("undecided"):
        why = "something that works would end" if document.get("ends") else "nobody was asked about it"
        lines.append(f"stopped before {document['undecided']}: {why}")
    if document.get("rolled_back"):
        lines.append(f"rolled back, for sendmail.mc was half edited: {', '.join(document['rolled_back'])}")
    lines += [f"{ending['says']} (accept: {ending['id']})" for ending in document.get("ends", ())]
    if isinstance(document.get("failed"), str) and not lines:
        lines.append(document["failed"])
        lines += [f"undone: {line}" for line in document.get("undone", ())]
    lines += [f"NOT undone: {line}" for line in document.get("not_undone", ())]
    lines += [f"left as it is: {line}" for line in document.get("left", ())]
    lines += [f"conflict: {each['path']}: {each['what']}" for each in document.get("conflicts", ())]
    lines += [document[name] for name in ("verdict", "summary", "why") if document.get(name)]
    for inner in ("run", "finished", "undone"):
        if isinstance(document.get(inner), dict):
            lines.append(_why(document[inner]))
    return "\n".join(lines)
