"""The manual page holds the whole command line, and both readers of manual pages take it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from docs import generate
from docs.manual_page import manual_page
from wizard.cli.parser import parser
from wizard.errors import EXIT_CODES

TOP = Path(__file__).resolve().parents[2]
PAGE = manual_page()


@pytest.fixture(scope="module")
def shown() -> str:
    """The page as man shows it, in one line."""
    environment = {**os.environ, "MANWIDTH": "100", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8"}
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-"]
    done = subprocess.run(command, input=PAGE, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    return " ".join(done.stdout.split())


@pytest.mark.skipif(not shutil.which("man"), reason="there is no man here")
class TestAsManShowsIt:
    def test_every_command_with_every_option_is_named(self, shown: str) -> None:
        for name, command in generate.commands().items():
            for action in command._actions:
                assert all(option in shown for option in action.option_strings)
            assert f"msa-wizard {name}" in shown
        for action in parser()._actions:
            assert all(option in shown for option in action.option_strings)

    def test_every_option_stands_with_its_command(self) -> None:
        plain = PAGE.replace(r"\-", "-").replace(r"\(aq", "'").replace("\\fR", "").replace("\\fB", "")
        sections = dict(re.findall(r"^\.SS (.*)\n((?:(?!\.S[SH]).*\n)*)", plain, re.MULTILINE))
        lost = []
        common = plain.partition(".SH OPTIONS\n")[2].partition(".SH COMMANDS")[0]
        for name, command in generate.commands().items():
            for action in command._actions if command.get_default("run") else ():
                line = f".B {generate.named(action)}\n".replace("…", "...")
                if line not in sections[name] and line not in common:
                    lost.append(f"{name} {line}")
        assert lost == []
        assert ".B --dry-run\n" in sections["rollback"]
        assert ".B --dry-run\n" not in sections["apply"]

    def test_the_sections_that_manual_pages_have_are_there(self, shown: str) -> None:
        for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES"):
            assert f" {heading} " in shown
        assert all(f" {code} {words}" in shown for code, words in EXIT_CODES.items())
        assert "/var/lib/msa-wizard/etc.git" in shown
        assert "sendmailconfig(8)" in shown
        assert "./msa-wizard" not in shown

    def test_what_is_there_to_be_copied_is_as_it_was_typed(self, shown: str) -> None:
        assert "DAEMON_OPTIONS(`Family=inet, Name=MSP-v4, Port=submission, M=Ea')dnl" in shown
        assert 'accept = ["NAME"]' in shown


def test_mandoc_finds_no_fault(tmp_path: Path) -> None:
    if not shutil.which("mandoc"):
        pytest.skip("there is no mandoc here")
    page = tmp_path / "msa-wizard.8"
    page.write_text(PAGE)
    done = subprocess.run(["mandoc", "-T", "lint", str(page)], capture_output=True, text=True, check=False)
    # Its source is not there to be read: a long line is no fault.
    assert [line for line in done.stdout.splitlines() if "longer than 80 bytes" not in line] == []


def test_it_is_the_same_for_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764442800")
    assert '.TH MSA\\-WIZARD 8 2025-11-29 "msa\\-wizard ' in manual_page()
    assert manual_page() == manual_page()


def test_every_variable_that_is_read_is_in_the_manual() -> None:
    told = (TOP / "docs/manual.md").read_text().partition("\n## Environment\n")[2].partition("\n## ")[0]
    read = {
        name
        for folder in ("wizard", "screens", "snapshots")
        for path in (TOP / folder).rglob("*.py")
        for name in re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"|"([A-Z_]+)" in environ', path.read_text())
        for name in name
        if name
    }
    assert read >= {"PAGER", "SUDO_USER", "VISUAL", "SSH_CONNECTION"}
    assert {name for name in read if f"`{name}`" not in told} == set()
