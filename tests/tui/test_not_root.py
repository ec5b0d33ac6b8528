"""What only root can see is refused on the screens as on the command line, not judged by what others see of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.backend import Backend
from screens.certificate import Certificate
from screens.troubleshoot import Troubleshoot
from tests.tui.bench import Bench, Writes, at, play, shows, until, use
from tests.unit.steps.recorded import machine
from wizard.engine.overview import found
from wizard.errors import NotRoot
from wizard.model.answers import Answers
from wizard.model.facts import Firewall, Process
from wizard.model.plan import Plan, Sign
from wizard.system.sockets import Listener


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend: backend.troubleshoot(None),
        lambda backend: backend.certificates(),
        lambda backend: backend.from_outside(1, lambda _: None, lambda: True),
    ],
)
def test_it_is_refused(ask: Callable[[Backend], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotRoot):
        ask(Backend())


def test_troubleshooting_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(root=tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.push_screen(Troubleshoot())
        await until(pilot, lambda: shows(app, "Only root can look at all of this host"))

    play(bench, story)


def test_steps_that_only_root_can_see_are_counted_as_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    hidden, seen = (Writes(name, bench.host, f"/etc/{name}", f"old {name}\n") for name in ("a", "b"))
    monkeypatch.setattr(hidden, "plan", lambda *_: Plan.unseen("a", "only root can see it"))
    use(monkeypatch, bench, hidden, seen)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "Step 1 of 2, 1 unknown")
        assert not shows(app, "0 to do")

    play(bench, story)


def test_daemons_that_only_root_can_ask_are_not_said_to_be_silent() -> None:
    processes = tuple(Process(2, name, (name,), 1.0) for name in ("saslauthd", "sendmail-mta"))
    facts = replace(machine("12"), euid=1000, processes=processes, listeners=(), saslauthd_says=None)
    said = {check.id: check.says for check in found(facts, Answers())}
    assert said["saslauthd"] == "saslauthd runs; only root can see whether it answers"
    assert said["sendmail"] == "sendmail runs; only root can see on which ports"
    seen = {check.id: check for check in found(replace(facts, euid=0), Answers())}["sendmail"]
    assert (seen.sign, seen.says) == (Sign.WARNING, "sendmail runs, but listens on no port")


def test_what_is_missing_is_named_and_two_firewalls_are() -> None:
    alone = replace(machine("12"), packages={"sendmail": "8.17", "sendmail-bin": "8.17"})
    two = tuple(Firewall(name, active=True, says="") for name in ("ufw", "nftables"))
    says = {each.id: each.says for each in found(replace(alone, firewalls=two), Answers())}
    assert says["packages"] == "sasl2-bin is not installed yet, sendmail-bin 8.17 is"
    assert says["firewall"] == "ufw and nftables are active: ports 25 and 587 must be open"


def test_a_port_is_said_once() -> None:
    own = tuple(Listener("0.0.0.0", port, "sendmail-mta", 2) for port in (25, 465, 587))
    for implicit_tls, says in ((False, ["sendmail listens on port 465, too"]), (True, [])):
        answers = replace(Answers(), listen=replace(Answers().listen, implicit_tls=implicit_tls))
        facts = replace(machine("12"), listeners=own)
        assert [each.says for each in found(facts, answers) if each.id == "sendmail"] == says


def test_what_is_in_the_way_stays_said_in_a_window_of_another_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.push_screen(Certificate())
        await until(pilot, lambda: shows(app, "Only root can look at the server's certificate"))
        await pilot.resize_terminal(100, 30)
        await pilot.pause(0.3)
        assert shows(app, "Only root can look at the server's certificate")
        assert not shows(app, "Looking at the certificate")

    play(bench, story)
