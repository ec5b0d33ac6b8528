"""Whoever decides first has decided; and what the script of the timer does, run by a real sh."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from templates import render
from wizard.changes import confirm_or_revert as confirmation
from wizard.changes.confirm_or_revert import Decision, decide, decision, time_left
from wizard.changes.live_rule import LiveRule


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(confirmation, "FOLDER", tmp_path)
    return tmp_path


def test_the_first_word_holds_for_all() -> None:
    assert decision() is None
    words = [Decision.CONFIRMED, Decision.REVERTED] * 8
    with ThreadPoolExecutor(8) as pool:
        said = set(pool.map(decide, words))
    assert said == {decision()}


def run(folder: Path, *commands: str) -> None:
    script = render("firewall_revert.sh.j2", decision=folder / "decision", commands=commands)
    subprocess.run(["sh", "-eu", "-c", script], check=True)


def test_the_script_does_nothing_once_it_is_confirmed(folder: Path) -> None:
    decide(Decision.CONFIRMED)
    run(folder, f"touch {folder}/done")
    assert not (folder / "done").exists()


def test_the_script_decides_and_does_each_command_once(folder: Path) -> None:
    run(folder, f"echo 1 >>{folder}/done", f"echo 2 >>{folder}/done")
    run(folder, f"echo 3 >>{folder}/done")
    assert (folder / "done").read_text() == "1\n2\n"
    assert decide(Decision.CONFIRMED) is Decision.REVERTED


def test_the_handles_of_nft_are_found_by_sed(tmp_path: Path) -> None:
    (tmp_path / "nft").write_text(
        "#!/bin/sh\n"
        'if [ "$1" = delete ]; then echo "$@" >>"$0.said"; exit; fi\n'
        "cat <<'END'\n"
        '\t\ttcp dport 587 accept comment "msa-wizard" # handle 12\n'
        '\t\ttcp dport 5870 accept comment "msa-wizard" # handle 13\n'
        "\t\ttcp dport 587 accept # handle 14\n"
        "END\n"
    )
    (tmp_path / "nft").chmod(0o755)
    command = LiveRule("nft", "inet filter input", 587, 4).shell_removal()
    subprocess.run(["sh", "-c", command], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (tmp_path / "nft.said").read_text() == "delete rule inet filter input handle 12\n"


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', '{"pid": 999999999, "started": "1"}'])
def test_a_run_that_has_ended_waits_for_nothing(folder: Path, text: str) -> None:
    assert time_left() is None
    (folder / "waiting").write_text(text)
    assert time_left() is None
