"""Odd input on real machines: devices as output, answers that nobody would write, a damaged journal, a damaged store."""

from __future__ import annotations

import json
import time

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import STORE, apply, history, wizard

JOURNAL = "/var/lib/msa-wizard/journal"


def output(debian: Machine, path: str, *more: str) -> tuple[int, str]:
    """`client-settings --output PATH`: exit status and standard error."""
    done = wizard(debian, "client-settings", "--format", "text", "--output", path, *more)
    return done.returncode, done.stderr


@pytest.mark.default_on("forky")
def test_output_goes_into_files_devices_and_pipes_and_takes_no_ones_place(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run(
        "cd /root; mknod null c 1 3; chmod 666 null; mknod full c 1 7; mkfifo pipe; mkdir folder; ln -s null link"
    )
    debian.run("cd /root; echo old >theirs; chown games:mail theirs; chmod 640 theirs; (cat pipe >got &) ")
    before = debian.run(
        "stat -c '%n %F %a %u:%g %t:%T %i' /root/null /root/full /root/pipe /root/folder /root/link"
    ).stdout
    assert output(debian, "/root/null") == (0, "It is written to the device /root/null.\n")
    code, said = output(debian, "/root/full")
    assert (code, "No space left on device" in said) == (2, True), said
    assert output(debian, "/root/pipe") == (0, "It is written to the pipe /root/pipe.\n")
    for name, why in (("folder", "it is a folder"), ("link", "it is a symbolic link")):
        code, said = output(debian, f"/root/{name}")
        assert code == 2
        assert f"/root/{name} could not be written: {why}" in said
        assert "Nothing was changed; name" in said
    # A rehearsal, which takes minutes, is refused before it begins.
    began = time.monotonic()
    done = wizard(debian, "rehearse", "--output", "/root/link")
    assert (done.returncode, done.stdout) == (2, "")
    assert time.monotonic() - began < 10
    code, said = output(debian, "/root/theirs")
    assert (code, "--force replaces it" in said) == (2, True), said
    assert debian.run("cat /root/theirs").stdout == "old\n"
    assert output(debian, "/root/theirs", "--force")[0] == 0
    assert output(debian, "/root/new")[0] == 0
    after = debian.run(
        "stat -c '%n %F %a %u:%g %t:%T %i' /root/null /root/full /root/pipe /root/folder /root/link"
    ).stdout
    assert after == before
    assert debian.run("stat -c '%U:%G %a' /root/theirs /root/new").stdout == "games:mail 640\nroot:root 644\n"
    text = debian.run("cat /root/new").stdout
    assert "587" in text
    assert debian.run("sleep 0.5; cat /root/got").stdout == text == debian.run("cat /root/theirs").stdout


@pytest.mark.default_on("bookworm")
def test_answers_that_nobody_would_write(machine: BootMachine) -> None:
    debian = machine("mail")
    made = {
        "deep.toml": "x = " + "[" * 1000 + "]" * 1000,
        "digits.toml": "[listen]\nipv6 = " + "9" * 5000,
        "dots.toml": ".".join("a" * 20_000) + " = 1",
        "nul.toml": "[listen]\nipv6 = \0",
    }
    for name, text in made.items():
        debian.run(f"cat >/root/{name}", input=text)
    debian.run(
        "cd /root; truncate -s 100M huge.toml; mkfifo pipe.toml; mkdir folder.toml; printf '\\377' >latin.toml"
    )
    names = [*made, "huge.toml", "pipe.toml", "folder.toml", "latin.toml"]
    for name in names:
        began = time.monotonic()
        done = wizard(debian, "plan", "--answers", f"/root/{name}")
        took = time.monotonic() - began
        assert (done.returncode, done.stdout) == (2, ""), name
        assert done.stderr.startswith(f"msa-wizard: /root/{name}"), done.stderr
        assert "Traceback" not in done.stderr
        assert took < 5, f"{name}: {took:.1f} s with the start of Python"


def test_a_damaged_journal_and_a_damaged_store(machine: BootMachine) -> None:
    debian = machine("msa")
    commits = [item["commit"] for item in history(debian)]
    first = {"schema": 1, "operation": "apply", "run": "r", "who": "root", "since": 1.0, "head": commits[0]}
    first["request"] = {"wanted": [], "answers": {}}
    for line, word in (
        (json.dumps({**first, "schema": 2}), "written by a newer msa-wizard"),
        (json.dumps(first) + "\n" + '{"brewed": 1}', "is damaged (line 2 is of a kind that is not known"),
        (
            json.dumps(first) + "\n" + '{"change": {"touches": 5, "expected": {"kind": "file"}}}',
            "touches is of the wrong type",
        ),
        (json.dumps({**first, "since": "yesterday"}), "since is of the wrong type"),
        ("[" * 100_000, "a line is not JSON"),
    ):
        debian.run(f"cat >{JOURNAL}", input=line + "\n")
        for command in (
            ("recover",),
            ("recover", "--finish"),
            ("recover", "--show"),
            ("apply", "--yes"),
            ("status",),
        ):
            done = wizard(debian, *command)
            assert done.returncode == 3, (command, done.stderr)
            assert word in done.stderr
            assert "Traceback" not in done.stderr
    debian.run(["rm", JOURNAL])

    debian.run(f"printf '[core' >{STORE}/config; rm -r {STORE}/refs {STORE}/HEAD")
    assert wizard(debian, "history").returncode == 3
    done = wizard(debian, "rollback", "--all", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "config of the store is damaged" in done.stderr
    assert "none after it is lost" in done.stderr
    assert [item["commit"] for item in history(debian)][-len(commits) :] == commits
    assert wizard(debian, "rollback", "auth-options", "--yes").returncode == 0
    apply(debian)

    debian.run(f"rm -r {STORE}")
    assert "is gone: somebody has wiped it" in wizard(debian, "history").stderr
    done = apply(debian)
    assert "is gone: somebody has wiped it" in done.stderr
    assert history(debian)[-1]["operation"] == "baseline"
    assert "gone" not in wizard(debian, "status").stderr
