"""Faults made for real: troubleshoot names each, --fix repairs it, and rolling the fix back brings it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.system.conftest import BootMachine
from tests.system.faults import KEEP, LISTENER, REPAIR, TLS, Fault, of
from tests.system.faults_clients import CLIENTS
from tests.system.faults_inside import ACCOUNT, AUTH, SASLAUTHD
from tests.system.faults_limits import LIMITS
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, STORE, history, login, wizard
from tests.system.releases import RELEASES, Release
from tests.unit.troubleshoot.test_catalogue import steps_named
from wizard.troubleshoot.diagnoses.order import DIAGNOSES

GROUPS = {
    "listener": LISTENER,
    "limits": LIMITS,
    "clients": CLIENTS,
    "tls": TLS,
    "auth": AUTH,
    "saslauthd": SASLAUTHD,
    "account": ACCOUNT,
}
DEFAULT_ON: dict[str, Release] = {
    "listener": "forky",
    "limits": "bookworm",
    "clients": "forky",
    "tls": "bookworm",
    "auth": "forky",
    "saslauthd": "bookworm",
    "account": "bookworm",
}
"""The release that a group is tried on in the default run."""
BACK = 3
"""Of so many fixes one is rolled back there; with --full all are."""
CATALOGUE = {each.id: each.fix for each in DIAGNOSES}
"""What fixes each, by the catalogue."""
_FOLLOWING = (
    "sendmailconfig",
    "restart",
    "mend-sendmail-restart",
    "mend-saslauthd-restart",
    "saslauthd-start",
)


def troubleshoot(
    debian: Machine, *arguments: str, password: str = PASSWORD, user: str = "alice"
) -> dict[str, Any]:
    """`troubleshoot --json`, its document with the exit status as `exit`; without a user no login."""
    who = ["--user", user, "--password-stdin"] if user else []
    done = wizard(debian, "troubleshoot", "--json", *who, *arguments, input=password + "\n" if user else "")
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    assert not user or password not in done.stdout
    made: dict[str, Any] = json.loads(done.stdout)
    return made | {"exit": done.returncode}


def short(made: dict[str, Any]) -> str:
    """For a failure message."""
    return "; ".join(
        f"{item['id']} {item['sign']} in {item['layer']}: {item['cause']}" for item in made["faults"]
    )


def _wrong(debian: Machine, fault: Fault, *, back: bool) -> list[str]:
    """All that is not as awaited of one fault, in words; with `back` the fix is rolled back, too."""
    wrong: list[str] = []
    user = (fault.who or "alice") if fault.user else ""
    password = fault.password or PASSWORD

    def look(*arguments: str) -> dict[str, Any]:
        return troubleshoot(debian, *arguments, password=password, user=user)

    def named(made: dict[str, Any], when: str) -> None:
        found = {item["id"]: item for item in made["faults"]}.get(fault.id)
        if found is None or (found["layer"], found["sign"]) != (fault.layer, fault.sign):
            wrong.append(f"{when}: not named as {fault.sign} in {fault.layer}. It says: {short(made)}")
        elif fault.sign == "failed" and (made["blamed"], made["exit"]) != (fault.blamed or fault.id, 1):
            wrong.append(f"{when}: {made['blamed']} is blamed, exit {made['exit']}. It says: {short(made)}")
        elif fault.sign != "failed" and made["exit"] != 0:
            wrong.append(f"{when}: a warning ends with exit {made['exit']}. It says: {short(made)}")
        elif not found["evidence"] or not (found["mend"]["steps"] or found["mend"]["text"]):
            wrong.append(f"{when}: no evidence, or no fix: {found}")

    if fault.id == "saslauthd-cache":
        login(debian)  # so that saslauthd has it
    debian.run(fault.make, timeout=180)
    made = look()
    named(made, "made")
    if wrong:
        return wrong
    fix = {item["id"]: item["mend"] for item in made["faults"]}[fault.id]
    if bool(fix["steps"]) != fault.fix:
        return [f"the fix is {fix}"]
    if not set(fix["steps"]) <= steps_named(CATALOGUE[fault.id]):
        return [f"the catalogue says {CATALOGUE[fault.id]!r}, the fix is {fix}"]
    if not fault.fix:
        return wrong
    before = int(debian.run(["git", "--git-dir", STORE, "rev-list", "--count", "main"]).stdout)
    if fault.accept and (exit_code := look("--fix", fault.id, "--yes")["exit"]) != 4:
        wrong.append(f"nobody was asked about {fault.accept}: exit {exit_code}")
    accepted = ["--accept", fault.accept] if fault.accept else []
    fixed = look("--fix", fault.id, "--yes", *accepted)
    if fault.id in {item["id"] for item in fixed["faults"]}:
        return [f"--fix left it: {short(fixed)}; {json.dumps(fixed['run'])[:3000]}"]
    got = login(debian, password="changed-since-77") if fault.id == "saslauthd-cache" else login(debian)
    if got["code"] != 235:
        wrong.append(f"after --fix no login: {got['verdict']}; {short(fixed)}")
    commits = [commit for commit in history(debian)[:-before] if commit["operation"] == "apply"]
    if not commits:
        return [*wrong, "--fix left no commit"]
    if fault.back == "no" or not back:
        return wrong
    first = next((item for item in reversed(commits) if item["step"] not in _FOLLOWING), commits[-1])
    done = wizard(debian, "rollback", "--yes", first["commit"])
    if fault.back == "refused" or (fault.back == "either" and done.returncode == 1):
        if done.returncode != 1 or fault.id in {item["id"] for item in look()["faults"]}:
            wrong.append(
                f"the rollback of {first['step']} should be refused: {done.returncode} {done.stderr[-600:]}"
            )
    elif done.returncode != 0:
        wrong.append(f"the rollback of {first['step']}: exit {done.returncode}: {done.stderr[-900:]}")
    else:
        named(look(), f"after {first['step']} was rolled back")
    return wrong


def _sound(debian: Machine) -> list[str]:
    made = troubleshoot(debian)
    return [] if made["exit"] == 0 else [f"healthy, and yet: {short(made)}"]


def _table(machine: BootMachine, faults: list[Fault], back: int = 1) -> None:
    """Each fault of the list on one machine: made, named, fixed, each `back`th rolled back, repaired by hand."""
    debian = machine("msa")
    debian.run(KEEP)
    assert _sound(debian) == []
    failures = []
    for number, fault in enumerate(faults):
        try:
            wrong = _wrong(debian, fault, back=number % back == 0)
        finally:
            sendmail = "" if fault.layer in ("pam", "account") else "sendmail"
            repair = REPAIR.format(sendmail=sendmail)
            debian.run(f"{fault.undo or 'true'}; {repair}", check=False)
        wrong += [f"after the repair: {item}" for item in _sound(debian)] if wrong else []
        failures += [f"{fault.label}: {item}" for item in wrong]
    assert failures == [], "\n\n".join(failures)
    assert _sound(debian) == []


@pytest.mark.parametrize(
    "group", [pytest.param(name, marks=pytest.mark.default_on(DEFAULT_ON[name])) for name in GROUPS]
)
def test_every_fault_is_named_fixed_and_comes_back(
    machine: BootMachine, release: Release, group: str
) -> None:
    """The releases take turns, but for what differs between them."""
    _table(machine, of(release, GROUPS[group], every=False), back=BACK)


@pytest.mark.full
@pytest.mark.parametrize("group", GROUPS)
def test_every_fault_on_every_release(machine: BootMachine, release: Release, group: str) -> None:
    """Those of the other releases' turns, too."""
    _table(machine, of(release, GROUPS[group], every=True))


def test_the_table_is_long_enough() -> None:
    made = {
        fault.label
        for release in RELEASES
        for group in GROUPS.values()
        for fault in of(release, group, every=False)
    }
    assert made == {fault.label for group in GROUPS.values() for fault in group if not fault.full}
    by_default = [
        fault for name, group in GROUPS.items() for fault in of(DEFAULT_ON[name], group, every=False)
    ]
    assert len(by_default) >= 45
