"""A rollback that cannot be done leaves the daemons as they were, too."""

from pathlib import Path

import pytest

from tests.survival.machine import Wizard, make_machine, not_the_same
from wizard.sendmail import m4


def test_a_daemon_that_had_not_read_a_new_file_is_left_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    assert wizard.run(machine, "apply", "--yes") == 0
    mc = machine.root / "etc/mail/sendmail.mc"
    mc.write_text("# what the admin has begun to write\n")
    (machine.root / "etc/mail/sasl/Sendmail.conf.2").write_text("mech_list: not read yet\n")
    monkeypatch.setattr("tests.survival.fake_host.filled", lambda cf: cf)  # the gate refuses so short a one
    m4._runs.clear()  # what it gave before
    before = machine.picture()
    assert wizard.run(machine, "rollback", "auth-options", "--yes", "--on-conflict=restore") == 1
    assert not not_the_same(before, machine.picture())
