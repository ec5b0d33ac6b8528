"""A rollback that restarts a service, as the admin's own fail2ban, leaves it as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from tests import stand_ins
from tests.survival.fake_files import make_folders, put
from tests.survival.fake_host import FakeHost
from tests.survival.fake_steps import Made
from tests.survival.machine import Machine, Wizard, make_machine
from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.errors import ChangeError
from wizard.model.facts import JAIL, Facts
from wizard.model.plan import Change
from wizard.rollback.apply import RollbackSession

NAME = "fail2ban"


class Limiting(Wizard):
    """With one step: a file that fail2ban reads, and its restart."""

    def at(self, machine: Machine) -> None:
        """From now on this is the machine."""
        super().at(machine)
        step = Made("guess-limit", machine.host, _limited)
        step.needs = ()  # type: ignore[misc]
        stand_ins.use_steps(self._patch, [step])


def _limited(host: FakeHost, facts: Facts) -> list[Change]:
    if host.entry(JAIL) is not None:
        return []
    jail = Entry(Kind.FILE, 0o644, 0, 0, b"[sendmail-auth]\n")
    runs = NAME in host.systemd.running()
    return [
        FileChange(JAIL, None, jail),
        ServiceChange(NAME, facts.init, enable=False, was_running=runs),
    ]


@pytest.fixture
def wizard(monkeypatch: pytest.MonkeyPatch) -> Wizard:
    return Limiting(monkeypatch)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """With the admin's fail2ban at work."""
    made = make_machine(tmp_path / "machine")
    put(made.root / f"lib/systemd/system/{NAME}.service", "[Unit]\n")
    make_folders((made.root / JAIL.lstrip("/")).parent)
    made.host.systemd.start(NAME)
    return made


def test_it_reads_the_files_of_before_again(wizard: Wizard, machine: Machine) -> None:
    before = machine.host.systemd.running()
    assert wizard.run(machine, "apply", "--yes") == 0
    assert machine.host.systemd.running() != before
    assert wizard.run(machine, "rollback", "guess-limit", "--yes") == 0
    assert machine.host.systemd.running() == before


def test_where_the_rollback_fails_it_runs_with_our_file_as_before(
    wizard: Wizard, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wizard.run(machine, "apply", "--yes") == 0
    before = machine.host.systemd.running()

    def refuses(*_: object) -> None:
        raise ChangeError("a listener has gone")

    monkeypatch.setattr(RollbackSession, "_listens", refuses)
    assert wizard.run(machine, "rollback", "guess-limit", "--yes") == 1
    assert machine.host.entry(JAIL) is not None
    assert machine.host.systemd.running() == before


def test_one_that_had_been_stopped_meanwhile_is_not_started_by_a_failed_rollback(
    wizard: Wizard, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.host.systemd.stop(NAME)
    assert wizard.run(machine, "apply", "--yes") == 0
    machine.host.systemd.stop(NAME)
    before = machine.host.systemd.running()

    def refuses(*_: object) -> None:
        raise ChangeError("a listener has gone")

    monkeypatch.setattr(RollbackSession, "_listens", refuses)
    assert wizard.run(machine, "rollback", "guess-limit", "--yes") == 1
    assert machine.host.systemd.running() == before


def test_one_that_does_not_come_back_is_said(
    wizard: Wizard,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert wizard.run(machine, "apply", "--yes") == 0
    monkeypatch.setattr("tests.survival.fake_systemd.Systemd.start", lambda *_: None)
    wizard.run(machine, "rollback", "guess-limit", "--yes")
    said = capsys.readouterr()
    assert "fail2ban ran before msa-wizard changed anything, and does not run now" in said.out + said.err


def test_saslauthd_reads_its_file_again_that_is_behind_a_link(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard = Wizard(monkeypatch)
    assert wizard.run(machine, "apply", "--yes", "install") == 0
    default = machine.root / "etc/default"
    default.rename(default.with_name("default.own"))
    default.symlink_to("default.own")
    machine.host.systemd.stop("saslauthd")
    machine.host.systemd.start("saslauthd")
    before = machine.host.systemd.running()["saslauthd"]
    assert wizard.run(machine, "apply", "--yes", "saslauthd-config") == 0
    machine.host.systemd.stop("saslauthd")
    machine.host.systemd.start("saslauthd")
    assert machine.host.systemd.running()["saslauthd"] != before
    assert wizard.run(machine, "rollback", "saslauthd-config", "--yes") == 0
    assert machine.host.systemd.running()["saslauthd"] == before
