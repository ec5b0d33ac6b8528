"""What the clone's half says arrives whole, whatever is printed."""

from __future__ import annotations

import io
import json
import sys

import pytest

from wizard.rehearse.rehearsal import heard
from wizard.rehearse.worker import Teller


def test_prints_and_errors_become_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "stdin", io.StringIO("go\n"))
    teller = Teller()
    print("one\ntwo")
    print("thr", end="")
    print("ee \x1b[31m")
    print("why", file=sys.stderr)
    teller.tell("phase", phase="login")
    teller.pause("ready", before={})
    with pytest.raises(SystemExit):
        teller.pause("applied")  # nobody listens any more
    said = [heard(line) for line in out.getvalue().splitlines()]
    assert [(item["event"], item.get("line")) for item in said] == [
        *(("text", "one"), ("text", "two"), ("text", "thr" + "ee \x1b[31m"), ("error", "why")),
        *(("phase", None), ("ready", None), ("applied", None)),
    ]


@pytest.mark.parametrize("line", ["nsenter: failed", "[1]", "", "Traceback {"])
def test_what_is_no_word_of_the_clone_is_an_error(line: str) -> None:
    assert heard(line + "\n") == {"event": "error", "line": line}


def test_a_word_is_what_it_was() -> None:
    assert heard(json.dumps({"event": "text", "line": "ä"}))["line"] == "ä"
