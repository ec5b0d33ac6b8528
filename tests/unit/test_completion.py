"""Completion: what fits where, and in real shells that it arrives on their command lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from docs import generate
from wizard.cli.parser import SHELLS
from wizard.model.plan import ENDINGS
from wizard.steps.order import STEPS
from wizard.troubleshoot.diagnoses.order import DIAGNOSES

TOP = Path(__file__).resolve().parents[2]
_BREAKS = " \t\n\"'><=;|&(:"
"""Where bash ends a word, as it tells us (COMP_WORDBREAKS)."""


def completed(line: str, **environment: str) -> list[str]:
    """What the shell is told for this line; what is printed besides would spoil the command line."""
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_COMP_WORDBREAKS": _BREAKS}
    asked |= {"_ARGCOMPLETE_SUPPRESS_SPACE": "1", "_ARGCOMPLETE_IFS": "\v"}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), **environment}
    script = '"$0" -m wizard 8>&1 >/dev/null'
    done = subprocess.run(
        ["/bin/bash", "-c", script, sys.executable],
        env={**os.environ, **asked},
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split("\v") if done.stdout else []


def test_every_command_is_offered() -> None:
    offered = set(completed("msa-wizard "))
    assert {name.split()[0] for name in generate.commands()} <= offered
    assert completed("msa-wizard certificate ") == ["--help", "show", "renew", "install", "obtain"]


@pytest.mark.parametrize(
    "name", [name for name, each in generate.commands().items() if each.get_default("run")]
)
def test_every_option_of_every_command_is_offered(name: str) -> None:
    options = {
        option
        for action in generate.commands()[name]._actions
        for option in action.option_strings
        if option.startswith("--")
    }
    assert set(completed(f"msa-wizard {name} --")) == options


def ids_of_fixes() -> list[str]:
    return ["all", *(each.id for each in DIAGNOSES if "(--fix: " in each.fix)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plan s", [step.id for step in STEPS if step.id.startswith("s")]),
        ("apply saslauthd-start saslauthd", ["saslauthd-init", "saslauthd-config"]),
        ("rehearse fire", ["firewall"]),
        ("plan --accept ", list(ENDINGS)),
        ("plan --set listen.i", ["listen.ipv6=", "listen.implicit_tls="]),
        ("plan --set listen.ipv6=", ["true", "false"]),
        ("plan --set install.recommends=f", ["false"]),
        ("plan --set firewall.use=nf", ["nftables"]),
        ("plan --set auth.mechanisms=LOGIN,P", ["LOGIN,PLAIN"]),
        ("plan --set test.host=", []),
        ("plan --set nothing.at-all=", []),
        ("troubleshoot --fix ", ids_of_fixes()),
        ("troubleshoot --fix saslauthd-start-no saslauthd-d", ["saslauthd-dead"]),
        ("test --family ", ["any", "ipv4", "ipv6"]),
        ("test --port 4", ["465"]),
        ("test --host ", []),
        ("help certificate re", ["renew"]),
        ("help roll", ["rollback"]),
        ("completion ", ["--help", "--verbose", "--quiet", *SHELLS]),
        ("plan --answers pyproj", ["pyproject.toml"]),
    ],
)
def test_what_fits(line: str, expected: list[str]) -> None:
    assert completed(f"msa-wizard {line}") == expected


def test_zsh_and_fish_are_told_what_a_word_means() -> None:
    assert completed("msa-wizard plan auth-t", _ARGCOMPLETE_SHELL="zsh") == ["auth-test:Test AUTH LOGIN"]
    fish = completed("msa-wizard troubleshoot --fix all", _ARGCOMPLETE_SHELL="fish", _ARGCOMPLETE_DFS="\t")
    assert fish == ["all\twhatever fails"]


def test_only_who_completes_waits_for_argcomplete() -> None:
    script = (
        "import sys; from wizard.cli.main import main; main(['answers']); print('argcomplete' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder with the program, and the script of each shell as the program prints it."""
    program = tmp_path / "msa-wizard"
    program.write_text(f'#!/bin/sh\ncd {TOP}\nexec {sys.executable} -m wizard "$@"\n')
    program.chmod(0o755)
    for shell in SHELLS:
        done = subprocess.run([program, "completion", shell], capture_output=True, check=True)
        (tmp_path / shell).write_bytes(done.stdout)
    return tmp_path


def at_a_prompt(shell: str, arguments: list[str], scripts: Path, first: str) -> pexpect.spawn[str]:
    """An interactive shell whose prompt is `> `."""
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    environment = {
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PS1": "> ",
        "TERM": "dumb",
        "HOME": str(scripts),
    }
    spawned = pexpect.spawn(
        shell, arguments, env=environment, encoding="utf-8", timeout=30, dimensions=(40, 200)
    )
    spawned.sendline(first.replace("DIR", str(scripts)))
    spawned.expect_exact("ready\r\n")
    return spawned


_BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
"""What tells bash that behind sudo comes another command."""
_INTERACTIVE = {
    "bash": (
        ["--norc", "--noprofile", "-i"],
        f"bind 'set enable-bracketed-paste off'; . {_BASH_COMPLETION}; source DIR/bash; echo rea'dy'",
    ),
    "zsh": (
        ["-f", "-i"],
        "autoload -U compinit; compinit -u -D; source DIR/zsh; unsetopt zle_bracketed_paste; echo rea'dy'",
    ),
}


@pytest.mark.parametrize("shell", _INTERACTIVE)
@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("msa-wizard rehea", "msa-wizard rehearse "),
        ("msa-wizard apply submis", "msa-wizard apply submission-port "),
        ("msa-wizard plan --set listen.impl", "msa-wizard plan --set listen.implicit_tls="),
        ("msa-wizard plan --set listen.ipv6=t", "msa-wizard plan --set listen.ipv6=true "),
        (
            "msa-wizard troubleshoot --fix saslauthd-start-n",
            "msa-wizard troubleshoot --fix saslauthd-start-no ",
        ),
        ("sudo msa-wizard apply submis", "sudo msa-wizard apply submission-port "),
        ("sudo msa-wizard plan --set listen.ipv6=t", "sudo msa-wizard plan --set listen.ipv6=true "),
        ("LC_ALL=C msa-wizard rollback --al", "LC_ALL=C msa-wizard rollback --all "),
    ],
)
def test_a_tab_completes_the_word_that_was_begun(shell: str, typed: str, whole: str, scripts: Path) -> None:
    if (shell, typed[:5]) == ("bash", "sudo ") and not Path(_BASH_COMPLETION).exists():
        pytest.skip("there is no bash-completion here")
    arguments, first = _INTERACTIVE[shell]
    terminal = at_a_prompt(shell, arguments, scripts, first)
    try:
        terminal.send(f"{typed}\t")
        terminal.expect_exact(whole.rstrip()[-6:])
        # And the shell itself has it on its line: to its beginning, to its end, and printed.
        terminal.send('END\x01echo "<\x05>"\r')
        terminal.expect_exact(f"\r\n<{whole}END>\r\n")
    finally:
        terminal.close(force=True)


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish here")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("msa-wizard rehea", "rehearse\t"),
        ("msa-wizard apply submis", "submission-port\tRequire AUTH on port 587"),
        ("msa-wizard plan --set listen.ipv6=t", "listen.ipv6=true"),
        ("msa-wizard plan --answers pyproj", "pyproject.toml"),
    ],
)
def test_fish_offers_it(typed: str, expected: str, scripts: Path) -> None:
    environment = {"PATH": f"{scripts}:{os.environ['PATH']}", "HOME": str(scripts), "TERM": "dumb"}
    script = f"source {scripts}/fish; complete -C {typed!r}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert [line for line in done.stdout.splitlines() if line.startswith(expected)] != [], done.stdout
