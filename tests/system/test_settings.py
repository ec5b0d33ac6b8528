"""The settings of a host on a real machine: saved on the command line and on the screens, read by every command."""

from __future__ import annotations

import json
import re

import pytest

from tests.system.conftest import BootMachine
from tests.system.msa import WIZARD, apply, listening, wizard
from tests.system.terminal import Terminal

SAVED = "/etc/msa-wizard/answers.toml"


@pytest.mark.default_on("bookworm")
def test_what_was_saved_is_what_every_command_does(machine: BootMachine) -> None:
    debian = machine("msa")
    done = wizard(debian, "answers", "--set", "listen.implicit_tls=true", "--save")
    assert (done.returncode, done.stderr) == (0, f"The settings are saved in {SAVED}.\n")
    assert debian.run(f"stat -c '%a %U' {SAVED} /etc/msa-wizard").stdout == "644 root\n755 root\n"
    states = {each["step"]: each for each in json.loads(wizard(debian, "status", "--json").stdout)["steps"]}
    assert states["submission-port"]["state"] == "pending"
    assert "your settings ask for [listen] implicit_tls = true" in states["submission-port"]["reason"]
    assert "0.0.0.0:465" not in listening(debian)
    assert "465" not in wizard(debian, "client-settings").stdout
    apply(debian)
    assert "0.0.0.0:465" in listening(debian)
    assert "465, with SSL/TLS" in wizard(debian, "client-settings").stdout
    kept = debian.run(f"git --git-dir /var/lib/msa-wizard/etc.git show HEAD:{SAVED[1:]}").stdout
    assert "implicit_tls = true" in kept, "it is in the history like the rest of /etc"
    # An option comes over it, for this one command.
    over = json.loads(wizard(debian, "plan", "--set", "listen.ipv6=true", "--json").stdout)["steps"]
    assert any(each["outcome"] == "pending" for each in over)
    assert "ipv6 = false" in debian.read(SAVED).decode()
    # What the admin has written there stays.
    debian.put(SAVED, "# ours\n[listen]\nimplicit_tls = true # for the old phones\n")
    debian.run(f"chgrp adm {SAVED}; chmod 640 {SAVED}")
    assert wizard(debian, "answers", "--set", "listen.implicit_tls=false", "--save").returncode == 0
    assert debian.read(SAVED) == b"# ours\n[listen]\nimplicit_tls = false # for the old phones\n"
    assert debian.run(f"stat -c '%a %U:%G' {SAVED}").stdout == "640 root:adm\n"
    debian.put(SAVED, "[listen]\nimplicit_tsl = true\n")
    wrong = wizard(debian, "plan")
    assert wrong.returncode == 2
    assert f"{SAVED}, line 2: listen.implicit_tsl: unknown key; did you mean implicit_tls?" in wrong.stderr
    looks = wizard(debian, "troubleshoot")
    assert looks.returncode in (0, 1)
    assert "going on without these settings" in looks.stderr
    assert "certificate" in looks.stdout
    (moves,) = re.findall("`(mv .*?)`", wrong.stderr)
    debian.run(moves)
    assert wizard(debian, "plan").returncode == 0


def to_the_certificate(terminal: Terminal, *keys: str) -> None:
    """From the first screen to the form by which an authority is asked for one."""
    terminal.until("steps have something to do", 120)
    terminal.press(*keys, "enter")
    terminal.until("What sendmail and mail clients make", 60)
    terminal.press("o")
    terminal.until("Where the authority may write", 60)


@pytest.mark.default_on("forky")
def test_what_is_chosen_on_the_screen_is_used_and_kept(machine: BootMachine) -> None:
    debian = machine("msa")
    argv = debian.argv([WIZARD], env={"TERM": "xterm-256color"})
    with Terminal(argv, (80, 24)) as terminal:
        terminal.until("Set up, step by step", 120)
        terminal.press("down", "down", "enter")
        terminal.until("The IP addresses of this host", 60)
        terminal.press(*["down"] * 17)
        terminal.until("RFC 8314")
        terminal.press(" ")
        terminal.until("[x] Port 465 too")
        terminal.until("$ msa-wizard answers --set listen.implicit_tls=true --save")
        terminal.press("escape")
        terminal.until("You have changed settings but not saved them")
        terminal.press("enter")
        terminal.until(lambda: "You have changed settings" not in terminal.text)
        terminal.press("f2")
        terminal.until(f"saved in {SAVED}")
        terminal.press("escape")
        terminal.until("steps have something to do", 60)
    with Terminal(argv, (80, 24)) as terminal:
        terminal.until("steps have something to do", 120)
        terminal.press("down", "down", "enter")
        terminal.until("The IP addresses of this host", 60)
        terminal.press(*["down"] * 16)
        terminal.until("[x] Port 465 too", 60)
        terminal.press("escape")
        to_the_certificate(terminal, "down", "down", "down", "down")
        terminal.press(*"admin@example.org")
        terminal.until("$ msa-wizard certificate obtain --email admin@example.org")
        terminal.press("escape")
        terminal.until("You have changed settings but not saved them")
        terminal.press("y")
        terminal.until("What sendmail and mail clients make", 60)
    with Terminal(argv, (80, 24)) as terminal:
        to_the_certificate(terminal, *["down"] * 6)
        terminal.until("E-mail address        admin@example.org", 60)
    saved = wizard(debian, "answers").stdout
    assert 'email = "admin@example.org"' in saved
    assert "implicit_tls = true" in saved
    assert "0.0.0.0:465" not in listening(debian)
    apply(debian)  # what the line above the keys says
    assert "0.0.0.0:465" in listening(debian)
