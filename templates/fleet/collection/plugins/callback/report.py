# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""What became of each host, also of those that failed: a table on the terminal, and files as JSON and HTML."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: report
type: aggregate
short_description: Report what became of each mail server
version_added: 1.0.0
description:
  - At the end of a playbook that uses C(msa_wizard.msa), shows a table of its hosts, the worst first.
  - Writes the same as JSON and HTML.
requirements:
  - Enable it in C(callbacks_enabled).
options:
  folder:
    description: The folder for C(report.json) and C(report.html). Empty writes no files.
    type: str
    default: ""
    env:
      - name: MSA_WIZARD_REPORT
    ini:
      - section: callback_msa_wizard
        key: report
"""

import json
import os
import tempfile
import time

from ansible.plugins.callback import CallbackBase
from jinja2 import Environment, FileSystemLoader

_OURS = "msa_wizard.msa."
_PLACE = "/msa_wizard/msa/"
"""What is in the path of each file of the collection."""
_PAGES = os.path.join(os.path.dirname(__file__), "..", "..", "playbooks", "templates")
_WORST_FIRST = ("unreachable", "interrupted", "failed", "drifted", "to do", "not begun", "ok")
_SAID = {"not begun, ": "not begun", "drifted: ": "drifted"}
"""How a failure begins that is none of what was done."""


class CallbackModule(CallbackBase):
    """The callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "msa_wizard.msa.report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._hosts = {}
        self._ours = False

    def v2_playbook_on_play_start(self, play):
        """Which hosts are to be reported, also where none of them is come to."""
        if _PLACE in str(play.get_path()):
            for name in play.get_variable_manager().get_vars(play=play)["ansible_play_hosts_all"]:
                self._row(name)

    def v2_runner_on_ok(self, result):
        """What a task found out."""
        self._heard(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Why a task failed."""
        returned = self._heard(result)
        if not ignore_errors:
            row = self._row(_host(result))
            row["says"] = f"{_elsewhere(result)}{returned.get('msg', 'failed')}"
            verdicts = (word for begins, word in _SAID.items() if row["says"].startswith(begins))
            row["verdict"] = next(verdicts, "failed")
            if returned.get("interrupted") is True:
                row["verdict"] = "interrupted"

    def v2_runner_on_unreachable(self, result):
        """Why a host could not be reached."""
        self._ours |= _is_ours(result)
        row = self._row(_host(result))
        row["verdict"], row["says"] = "unreachable", str(_returned(result).get("msg", ""))

    def v2_playbook_on_stats(self, stats):
        """Show and write it all."""
        rows = sorted(self._hosts.values(), key=_rank)
        if not self._ours or not rows:
            return
        shown = [
            _shown(row, row["changed"] or bool(stats.summarize(row["host"]).get("changed"))) for row in rows
        ]
        self._display.banner("MSA REPORT")
        for line in _table(shown):
            self._display.display(line)
        folder = self.get_option("folder")
        if folder:
            self._write(folder, shown)

    def _row(self, name):
        return self._hosts.setdefault(
            name,
            {
                **{"host": name, "begun": False, "verdict": "", "says": "", "facts": {}},
                **{"faults": 0, "changed": False},
            },
        )

    def _heard(self, result):
        returned, row = _returned(result), self._row(_host(result))
        row["begun"] = True
        self._ours |= _is_ours(result)
        if str(_task(result).action).startswith(_OURS):
            row["changed"] |= bool(returned.get("changed"))  # Ansible itself counts none of a task that fails
            row["faults"] = returned.get("faults", row["faults"])
        facts = returned.get("ansible_facts", {})
        if isinstance(facts, dict) and isinstance(facts.get("msa"), dict):
            row["facts"] = facts["msa"]
        return returned

    def _write(self, folder, shown):
        try:
            os.makedirs(folder, exist_ok=True)
            when = time.strftime("%F %R %Z")
            pages = Environment(loader=FileSystemLoader(_PAGES), autoescape=True)
            _replace(folder, "report.json", json.dumps({"schema": 1, "hosts": shown}, indent=2) + "\n")
            page = pages.get_template("report.html.j2").render(hosts=shown, when=when)
            _replace(folder, "report.html", page)
        except OSError as error:
            self._display.warning(f"the report could not be written: {error}")
            return
        self._display.display(f"report.json and report.html are in {folder}")


def _returned(result):
    """What a task returned; older releases of Ansible have it under another name."""
    return getattr(result, "result", None) or result._result


def _host(result):
    return (getattr(result, "host", None) or result._host).get_name()


def _task(result):
    return getattr(result, "task", None) or result._task


def _elsewhere(result):
    """On which host a task was, where it was another one."""
    there = getattr(_task(result), "delegate_to", None)
    return f"on {there}: " if there and there != _host(result) else ""


def _is_ours(result):
    """Whether a task is of our playbooks or our role, also where it is none of our modules."""
    task = _task(result)
    return str(task.action).startswith(_OURS) or _PLACE in str(task.get_path())


def _rank(row):
    """The worst first: by the verdict, then by how many things are wrong."""
    return _WORST_FIRST.index(_verdict(row)), -row["faults"], row["host"]


def _verdict(row):
    facts = row["facts"]
    if row["verdict"] in ("unreachable", "interrupted"):
        return row["verdict"]
    if facts.get("interrupted"):
        return "interrupted"
    if row["verdict"]:
        return row["verdict"]
    if not row["begun"]:
        return "not begun"
    if facts.get("blocked"):
        return "failed"
    return "drifted" if facts.get("drifted") else "to do" if facts.get("pending") else "ok"


def _shown(row, changed):
    """What is reported of a host. Without facts nothing is known of its steps."""
    facts = row["facts"]
    ends = min(_ends(facts.get("certificates", ())), default=None)
    return {
        "host": row["host"],
        "verdict": _verdict(row),
        "says": row["says"] or facts.get("interrupted", ""),
        "changed": changed,
        "release": facts.get("release", ""),
        "steps": {each["step"]: each["state"] for each in facts.get("steps", ())},
        "drifted": facts.get("drifted", []),
        "blocked": facts.get("blocked", []),
        "pending": facts.get("pending", []),
        "faults": row["faults"],
        "certificate_end": ends and ends[1],
        "certificate_days": ends and ends[0],
    }


def _ends(certificates):
    """When each certificate that can be read ends: the days until then, and the date."""
    for each in certificates:
        if each.get("days_left") is not None:
            yield each["days_left"], each["certificate"]["not_after"][:10]


def _table(shown):
    head = ("host", "verdict", "changed", "release", "applied", "to do", "drifted", "certificate")
    rows = [
        (
            each["host"],
            each["verdict"],
            "yes" if each["changed"] else "no",
            each["release"] or "-",
            str(sum(state == "applied" for state in each["steps"].values())) if each["steps"] else "-",
            ", ".join(each["pending"]) if len(each["pending"]) < 3 else str(len(each["pending"])),
            ", ".join(each["drifted"]),
            f"{each['certificate_end']} ({each['certificate_days']} days)"
            if each["certificate_end"]
            else "-",
        )
        for each in shown
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for each in shown:
        if each["says"]:
            yield f"{each['host']}: {each['says']}"


def _replace(folder, name, text):
    """Whole, or not at all."""
    handle, path = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path, os.path.join(folder, name))
    except BaseException:
        os.unlink(path)
        raise
