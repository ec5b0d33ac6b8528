"""The screens are quit while apt is at work: what its dialog says comes true, and the terminal tells of it."""

from __future__ import annotations

from tests.system.conftest import BootMachine
from tests.system.msa import WIZARD, history
from tests.system.terminal import Terminal


def test_the_step_at_work_is_kept_where_its_command_completes_it(machine: BootMachine) -> None:
    debian = machine("ready")
    with Terminal(debian.argv([WIZARD], env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("steps have something to do", 120)
        terminal.press("enter")
        terminal.until("steps to do.", 60)
        terminal.press("a")
        terminal.until("y apply all", 30)
        terminal.press("y")
        terminal.until("install is at work, ", 60)
        terminal.press("q")
        terminal.until("If you quit now", 30)
        terminal.press("y")
        terminal.until("the command at work is finished first", 60)
        assert terminal.ended(240) == 130
        assert "Done         install" in terminal.text
        assert "msa-wizard status" in terminal.text
    assert [item["step"] for item in history(debian)] == ["install", None]
    assert debian.run(["dpkg-query", "-W", "-f", "${Status}", "sasl2-bin"]).stdout == "install ok installed"
