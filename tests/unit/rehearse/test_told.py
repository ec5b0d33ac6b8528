"""What a rehearsal shows on the way: the steps, and what commands print only where it is short, or asked for."""

from __future__ import annotations

import contextlib
import json
import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wizard.cli import main, rehearse
from wizard.cli.rehearse import Told
from wizard.engine.run import Run
from wizard.errors import USAGE, Interrupted, NeededError
from wizard.model.answers import Answers
from wizard.rehearse import worker as in_the_clone
from wizard.rehearse.outcome import Rehearsal
from wizard.rehearse.worker import CloneRun
from wizard.render import text
from wizard.smtp.login_test import Line


def told(lines: list[str], capsys: pytest.CaptureFixture[str], *, whole: bool = False) -> list[str]:
    tell = Told(whole)
    for line in lines:
        tell({"event": "text", "line": line})
    tell({"event": "phase", "phase": "login"})
    return capsys.readouterr().out.splitlines()[:-2]


APT = [f"   | Setting up package-{number} ..." for number in range(300)]


def test_a_rehearsal_that_is_interrupted_has_changed_nothing_on_this_host(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(rehearse, "rehearsed", interrupted)
    assert main.main(["rehearse"]) == 128 + signal.SIGINT
    says = "msa-wizard: interrupted by SIGINT. Nothing is left of the clone. This host was not changed\n"
    assert capsys.readouterr().err == says


def test_long_output_is_counted_and_short_output_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    step = [
        "== install: Install",
        *APT,
        "   [ok]    m4 is there",
        "== restart: Restart",
        "   | $ systemctl restart sendmail",
    ]
    assert told(step, capsys) == [
        "== install: Install",
        "   | ... 300 lines of output: `-v` shows them",
        *step[-3:],
    ]


def test_all_of_it_is_shown_where_it_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(APT, capsys, whole=True) == APT


def test_what_a_line_of_the_login_means_has_a_row_of_its_own_where_it_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(text, "terminal_columns", lambda _: 80)
    heard: list[dict[str, Any]] = []
    teller = SimpleNamespace(tell=lambda event, **values: heard.append({"event": event} | values))
    run = CloneRun(cast("Any", teller), Answers(), {"steps": []})
    run._shown(Line("client", "AUTH LOGIN", "log in: name and password are asked for one by one"))
    Told(whole=False)(heard[0])
    assert capsys.readouterr().out.splitlines() == [
        "> AUTH LOGIN",
        "     log in: name and password are asked for one by one",
    ]


def test_what_a_step_needs_is_rehearsed_with_it_and_not_applied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacks = NeededError(
        "step tls-policy needs restart, which is not done", ["restart", "tls-policy"], ["restart"]
    )
    heard: list[dict[str, Any]] = []

    def applied(*_: object) -> Run:
        raise lacks

    class Teller:
        def tell(self, event: str, **values: object) -> None:
            heard.append({"event": event} | values)

        def pause(self, event: str, **values: object) -> None:
            self.tell(event, **values)

    worker = CloneRun(cast("Any", Teller()), Answers(), {"steps": ["tls-policy"]})
    monkeypatch.setattr(CloneRun, "_settled", lambda _: None)
    monkeypatch.setattr(CloneRun, "_asked_apt", lambda _: None)
    monkeypatch.setattr(CloneRun, "_applied", applied)
    monkeypatch.setattr(in_the_clone, "at_work", lambda: contextlib.nullcontext((None, None, None)))
    monkeypatch.setattr(in_the_clone, "running", lambda _: {})
    worker.run()
    made = Rehearsal()
    made.hear(json.loads(json.dumps(heard[-1])))
    monkeypatch.setattr(rehearse, "rehearsed", lambda *_, **__: made)
    assert main.main(["rehearse", "tls-policy", "--set", "tls.policy=recommended"]) == USAGE
    says = " ".join(capsys.readouterr().err.split())
    assert "`msa-wizard rehearse restart tls-policy --set tls.policy=recommended`" in says
    assert "msa-wizard apply" not in says
