"""Whoever decides first has decided; and what the script of the timer does, run by a real sh."""

from __future__ import annotations

import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from templates import render
from wizard.changes.confirm_or_revert import decide, decision, time_left
from wizard.changes.rules import LiveRule
from wizard.errors import ChangeError
from wizard.system import guard as guards
from wizard.system.guard import Decision, Guard, Revert
from wizard.system.host import Host


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guards, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(guards, "_start", lambda *_: None)
    return tmp_path / "run"


def armed(tmp_path: Path, *commands: str) -> Guard:
    return Guard.arm(Host(tmp_path), "revert", Revert(commands), 60, watch=False)


def test_the_first_word_holds_for_all(tmp_path: Path) -> None:
    armed(tmp_path)
    assert decision() is None
    words = [Decision.CONFIRMED, Decision.REVERTED] * 8
    with ThreadPoolExecutor(8) as pool:
        said = set(pool.map(decide, words))
    assert said == {decision()}


def test_a_word_that_cannot_be_written_decides_nothing(tmp_path: Path) -> None:
    guard = armed(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            decide(Decision.CONFIRMED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert time_left(), "it can still be decided"
    assert guard.decide(Decision.CONFIRMED) is Decision.CONFIRMED


def run(guard: Guard) -> None:
    subprocess.run(["sh", "-eu", str(guard.stem.with_suffix(".sh"))], check=True)


def test_the_script_does_nothing_once_it_is_confirmed(tmp_path: Path) -> None:
    guard = armed(tmp_path, f"touch {tmp_path}/done")
    assert guard.decide(Decision.CONFIRMED) is Decision.CONFIRMED
    run(guard)
    assert not (tmp_path / "done").exists()


def test_the_script_decides_and_does_each_command_once(tmp_path: Path) -> None:
    guard = armed(tmp_path, f"echo 1 >>{tmp_path}/done", f"echo 2 >>{tmp_path}/done")
    run(guard)
    run(guard)
    assert (tmp_path / "done").read_text() == "1\n2\n"
    assert decide(Decision.CONFIRMED) is Decision.REVERTED
    assert not guard.claim(Decision.REVERTED), "the script is the one that reverts"


def test_a_new_guard_ends_the_one_before(tmp_path: Path, folder: Path) -> None:
    first = armed(tmp_path, f"touch {tmp_path}/first")
    script = first.stem.with_suffix(".sh").read_text()
    (folder / "service.lock").touch()
    second = armed(tmp_path)
    assert (first.decision(), second.decision()) == (Decision.REVERTED, None)
    assert Guard.last("revert") == second
    subprocess.run(["sh", "-c", script], check=True)  # one that its timer had started by then
    assert not (tmp_path / "first").exists()
    assert (folder / "service.lock").exists(), "somebody may hold it"


def test_a_timer_that_cannot_be_started_leaves_nothing_armed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ChangeError("no systemd-run")

    monkeypatch.setattr(guards, "_start", fails)
    with pytest.raises(ChangeError, match=r"could not be started: no systemd-run"):
        armed(tmp_path)
    assert time_left() is None


@pytest.mark.parametrize("watched", [None, {"pid": 1, "started": "1", "until": 2.5}])
def test_shellcheck_reads_both_scripts(watched: object) -> None:
    script = render(
        "guard.sh.j2", decision="/run/x.decision", lock="/run/lock", commands=["true"], watched=watched
    )
    result = subprocess.run(["shellcheck", "-"], input=script, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


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
def test_a_run_that_has_ended_waits_for_nothing(tmp_path: Path, text: str) -> None:
    assert time_left() is None
    guard = armed(tmp_path)
    assert 59 < (time_left() or 0) <= 60
    guard.stem.with_suffix(".json").write_text(text)
    assert time_left() is None
