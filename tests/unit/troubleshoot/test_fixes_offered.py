"""Fixes that act on the very object of the evidence: sendmail.mc's words, a masked unit, a listener, the firewall."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import CF, facts, picture
from wizard.engine.engine import Engine
from wizard.mends.order import find
from wizard.mends.parts import not_regular
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import McFault, Service
from wizard.model.plan import Outcome, Sign
from wizard.system.host import Host
from wizard.system.sockets import Listener
from wizard.troubleshoot.model import Layer, Mend
from wizard.troubleshoot.verdict import judge

TYPO = McFault(57, "DAEMON_OPTION", "sendmail has no macro DAEMON_OPTION", typo=True, text=b"better")
OPEN = McFault(59, "define(`x', `y)", "this quote (`) is never closed (')", typo=False)
FOREIGN = "O DaemonPortOptions=Family=inet, Name=X, Port=465, Addr=192.0.2.99, M=Eas\n"


@pytest.mark.parametrize(
    ("seen", "name", "fixed"),
    [
        (TYPO, "mc-typo", True),
        (dataclasses.replace(TYPO, text=None), "mc-typo", False),
        (OPEN, "mc-broken", False),
        (dataclasses.replace(OPEN, text=b"old", commit="abc"), "mc-broken", True),
    ],
)
@pytest.mark.parametrize("works", [True, False])
def test_what_is_wrong_with_the_words_of_sendmail_mc(
    seen: McFault, name: str, fixed: bool, works: bool
) -> None:
    talk = {} if works else {"stopped": Layer.LISTENER, "why": "refused"}
    verdict = judge(picture(facts={"mc_fault": seen, "cf_from_mc": CF + "O X=1\n"}, talk=talk))
    fault = verdict.fault(name)
    assert fault is not None
    assert fault.sign is (Sign.WARNING if works else Sign.FAILED)
    assert f"line {seen.line} of sendmail.mc" in fault.finding.cause
    assert fault.finding.evidence[0].says == seen.shown
    assert ("mend-sendmail-mc" in fault.finding.mend.steps) is fixed
    assert bool(fault.finding.mend.text) is not fixed
    assert verdict.fault("cf-differs") is None  # its fix would bring the fault into sendmail.cf


@pytest.mark.parametrize(
    ("process", "command"),
    [("master", "systemctl disable --now postfix"), ("docker-proxy", "systemctl status 9")],
)
def test_only_a_mail_server_is_disabled_unseen(process: str, command: str) -> None:
    blamed = judge(picture(facts={"listeners": (Listener("::", 587, process, 9),)})).blamed
    assert blamed is not None
    assert f"`{command}`" in blamed.finding.mend.text


@pytest.mark.parametrize("name", ["sendmail", "saslauthd"])
def test_a_masked_service_is_unmasked_first(name: str) -> None:
    services = {**facts().services, name: Service(name, True, False, "inactive (dead)", True, masked=True)}
    processes = tuple(each for each in facts().processes if not each.name.startswith(name))
    changed: dict[str, Any] = {"services": services, "processes": processes}
    seen = judge(picture(facts=changed, mux_problem="gone" if name == "saslauthd" else "")).blamed
    assert seen is not None
    assert seen.id == f"{name}-dead"
    assert "masked" in seen.finding.cause
    assert seen.finding.mend.steps[0] == f"mend-{name}-unmask"
    step = find(f"mend-{name}-unmask")
    assert (
        step.plan(facts(**changed), Answers()).outcome is Outcome.BLOCKED
    )  # below /run: a rollback could not
    link = Entry(Kind.SYMLINK, 0o777, 0, 0, b"/dev/null")
    plan = step.plan(facts(**changed, files={step.reads[0]: link}), Answers())
    commands = [f"systemctl {verb} {name}" for verb in ("unmask", "enable", "restart")]
    assert list(plan.changes[0].describe().commands) == commands
    assert step.plan(facts(), Answers()).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("address", "named"),
    [("192.0.2.99", True), ("192.0.2.25", False), ("mail.example.test", False), ("::", False)],
)
def test_a_listener_on_an_address_of_another_host(address: str, named: bool) -> None:
    cf = CF + FOREIGN.replace("192.0.2.99", address)
    changed = {"files": {f.SENDMAIL_CF: facts().files[f.SENDMAIL_CF]}, "cf_from_mc": cf}
    entry = changed["files"][f.SENDMAIL_CF]  # type: ignore[index]
    changed["files"] = {f.SENDMAIL_CF: dataclasses.replace(entry, content=cf.encode())}
    seen = judge(picture(facts=changed)).fault("listener-address")
    assert (seen is not None) is named
    if seen:
        assert "192.0.2.25" in seen.finding.mend.text


@pytest.mark.parametrize(
    ("text", "active", "sign"),
    [
        ("[Service]\nExecStart=\nExecStart=/usr/sbin/sendmial -bd\n", "failed (failed)", Sign.FAILED),
        ("[Unit]\nDescription=mine\n", "failed (failed)", None),
        ("[Service]\nExecStart=/usr/sbin/sendmail -bd\n", "inactive (dead)", None),
    ],
)
def test_a_unit_that_an_admin_has_changed(text: str, active: str, sign: Sign | None) -> None:
    services = {**facts().services, "sendmail": Service("sendmail", True, True, active)}
    path = "/etc/systemd/system/sendmail.service.d/own.conf"
    seen = judge(picture(facts={"services": services, "processes": ()}, overrides={path: text}))
    fault = seen.fault("sendmail-overridden")
    assert (fault.sign if fault else None) is sign
    assert seen.fault("saslauthd-overridden") is None
    if fault:
        assert seen.blamed is fault
        assert fault.finding.evidence[1].says == "ExecStart=/usr/sbin/sendmial -bd"


def test_a_unit_that_systemd_cannot_read_bites_at_the_next_start() -> None:
    services = {**facts().services, "sendmail": Service("sendmail", exists=False, active="active (running)")}
    path = "/etc/systemd/system/sendmail.service.d/own.conf"
    fault = judge(
        picture(facts={"services": services}, overrides={path: "[Service]\nExecStart=/usr/sbin/x\n"})
    ).fault("sendmail-overridden")
    assert fault is not None
    assert fault.sign is Sign.WARNING


def test_two_lines_on_one_port_have_a_fix() -> None:
    cf = CF + "O DaemonPortOptions=Family=inet, Name=X, Port=587\n"
    entry = facts().files[f.SENDMAIL_CF]
    assert entry is not None
    files = {f.SENDMAIL_CF: dataclasses.replace(entry, content=cf.encode())}
    lines = "".join(f"DAEMON_OPTIONS(`Port=587, Name={name}')dnl\n" for name in "XY")

    def mend(mc: str, made: str) -> Mend:
        seen = judge(picture(facts={"files": {**files, f.SENDMAIL_MC: file(mc)}, "cf_from_mc": made}))
        fault = seen.fault("listeners-collide")
        assert fault is not None
        return fault.finding.mend

    assert mend(lines, cf).steps == ("mend-listeners", "sendmailconfig", "restart")
    assert mend(lines, CF).steps == ("sendmailconfig", "restart")
    later = judge(picture(facts={"files": {f.SENDMAIL_MC: file(lines)}, "cf_from_mc": cf}))
    assert later.fault("cf-differs") is None
    seen = later.fault("listeners-collide")
    assert seen is not None
    assert seen.sign is Sign.WARNING
    assert "once sendmailconfig has run" in seen.finding.cause
    assert "a file that sendmail.mc includes" in mend("FEATURE(`no_default_msa')dnl\n", cf).text
    assert mend("include(`mine.m4')dnl\n", cf).steps[0] == "submission-port"


def test_a_sendmail_mc_that_would_open_a_port_is_corrected_first() -> None:
    made = CF.replace("O AuthOptions=p y", "O AuthOptions=y").replace("M=Ea", "M=E")
    fault = judge(picture(facts={"cf_from_mc": made})).fault("cf-differs")
    assert fault is not None
    assert fault.finding.mend.steps == ("submission-port", "auth-options", "sendmailconfig", "restart")
    assert fault.finding.evidence[0].says == "port 587 (MSP-v4) would take mail without a login"


@pytest.mark.parametrize("runs", [True, False])
def test_a_folder_that_saslauthd_takes_at_its_next_start(runs: bool) -> None:
    files = {f.SASLAUTHD_DEFAULT: file('OPTIONS="-c -m /elsewhere"\n')}
    processes = facts().processes[: 2 if runs else 1]
    fault = judge(
        picture(facts={"files": files, "processes": processes}, mux_problem="" if runs else "gone")
    ).fault("saslauthd-elsewhere")
    assert fault is not None
    assert "/elsewhere, but" in fault.finding.cause
    assert fault.sign is (Sign.WARNING if runs else Sign.FAILED)
    assert ("once it is restarted" in fault.finding.cause) is runs


@pytest.mark.parametrize("step", ["mend-sendmail-mc", "restart"])
def test_m4_is_asked_again_only_for_the_step_that_needs_it(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("wizard.engine.planner.mc_repair.fault", lambda *_: asked.append(1))
    Engine(Host(), Answers(), lambda _: None, (find(step),)).plan(facts=facts())
    assert bool(asked) is (step == "mend-sendmail-mc")


def test_a_file_that_no_fix_can_write_is_to_be_looked_at() -> None:
    assert not_regular("mend-x", "/etc/x").remedy == ("look at it: `ls -l /etc/x`",)
