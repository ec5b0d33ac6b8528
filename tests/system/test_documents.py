"""Every command that README and the manual show, in their order, on a real machine: each ends as they say."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.one_file import of_the_working_tree
from tests.system.conftest import BootMachine
from tests.system.machine import PROJECT, Machine
from tests.system.msa import PASSWORD, add_alice
from tests.system.terminal import Terminal
from tests.system.test_log_watch import _LOGIN
from tests.unit.named_commands import examples

TOP = Path(__file__).resolve().parents[2]
LONGEST = 400.0
"""Seconds for one command: a rehearsal is the longest."""
_WAITS = re.compile(
    r"(?P<password>Password of \S+: )$|(?P<yes>\[y[]/][^\n]*[:\]] )$|(?P<key>   Enter sends it[^\n]*)$"
)
_COLOURS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_APPLY = "./msa-wizard apply --yes"
_GO_BACK = (
    f"{_APPLY} && ./msa-wizard history --json mc-includes | "
    'python3 -c \'import json, sys; print(json.load(sys.stdin)["commits"][0]["commit"])\' > /root/commit'
)
_PAIR = "/etc/letsencrypt/live/mail.example.test"


@dataclass(frozen=True)
class Example:
    """How a command line is run: what must be so before, with what in place of its placeholders, and how it ends."""

    before: str = ""
    """Run by sh."""
    instead: Mapping[str, str] | None = None
    exit: int = 0
    meanwhile: Callable[[Terminal, Machine], None] | None = None
    """What somebody does while it waits."""


def _quit(terminal: Terminal, _machine: Machine) -> None:
    terminal.until("steps have something to do", 120)
    terminal.press("f10")


def _login_outside(terminal: Terminal, machine: Machine) -> None:
    terminal.until("Waiting for it", 60)
    done = machine.client().run([sys.executable, "-c", _LOGIN], input=f"alice\n{PASSWORD}")
    assert done.stdout.split() == ["334", "235"], done.stdout


EXAMPLES = {
    "./msa-wizard": Example(meanwhile=_quit),
    "./msa-wizard test --from-outside": Example(meanwhile=_login_outside),
    "./msa-wizard apply --yes saslauthd-config saslauthd-start": Example(before=_APPLY),
    "./msa-wizard diff submission-port": Example(before=_APPLY),
    "./msa-wizard rollback auth-options --on-conflict=keep": Example(before=_APPLY),
    "./msa-wizard rollback --to 1a6def5b05": Example(
        before=_GO_BACK, instead={"1a6def5b05": "$(cat /root/commit)"}
    ),
    "./msa-wizard test --user alice --password-stdin --send-to bob@example.org < password-file": Example(
        before=_APPLY
    ),
    "./msa-wizard troubleshoot --fix saslauthd-start-no": Example(
        before="sed -i s/^START=yes/START=no/ /etc/default/saslauthd"
    ),
    "./msa-wizard certificate install CERT KEY --chain FILE": Example(
        instead={"CERT": "/root/leaf.crt", "KEY": "/root/leaf.key", "FILE": "/root/chain.crt"}
    ),
    "./msa-wizard certificate install /etc/letsencrypt/live/NAME/fullchain.pem "
    "/etc/letsencrypt/live/NAME/privkey.pem": Example(instead={"NAME": "mail.example.test"}),
}
"""Those that need more than being typed."""
NOT_HERE = {
    "./tests/run": "it is what runs this",
    **dict.fromkeys(
        ("./msa-wizard remove", "./msa-wizard remove --yes", "./msa-wizard remove --yes --forget-history"),
        "what comes after it would be gone: test_remove",
    ),
    **dict.fromkeys(
        (
            "./msa-wizard certificate obtain --email admin@example.org --agree-tos",
            "./msa-wizard certificate obtain --email ADDRESS --agree-tos --dry-run",
            "./msa-wizard certificate obtain --email ADDRESS --agree-tos --challenge webroot --webroot /var/www/html",
        ),
        "Let's Encrypt is not in reach: test_certificate_obtain",
    ),
}


@pytest.mark.default_on("bookworm")
def test_every_example_ends_as_the_documents_say(machine: BootMachine, tmp_path: Path) -> None:
    lines = [line for page in ("README.md", "docs/manual.md") for line in examples((TOP / page).read_text())]
    lines = [line for line in dict.fromkeys(lines) if line not in NOT_HERE]
    assert set(EXAMPLES) <= set(lines), "an example that no document shows any more"
    debian = machine("ready")
    debian.client()
    add_alice(debian)
    debian.put(f"{PROJECT}/password-file", f"{PASSWORD}\n", 0o600)
    debian.put(f"{PROJECT}/msa-wizard.pyz", of_the_working_tree(), 0o755)
    _certificates(debian, Authority(tmp_path))
    wrong = []
    for line in lines:
        example = EXAMPLES.get(line, Example())
        began = time.monotonic()
        code, said = _run(debian, line, example)
        print(f"{time.monotonic() - began:6.1f} s  {line}: {code}")
        assert PASSWORD not in said, line
        if code != example.exit:
            wrong.append(f"{line}: {code} instead of {example.exit}\n{said[-3000:]}")
    assert wrong == [], "\n".join(wrong)


def _certificates(debian: Machine, authority: Authority) -> None:
    """Two pairs of an authority, where the examples look for them."""
    chain = authority.between + authority.root
    debian.run(["mkdir", "-p", _PAIR, "/etc/letsencrypt/renewal-hooks/deploy"])
    for certificate, key, whole in (
        ("/root/leaf.crt", "/root/leaf.key", False),
        (f"{_PAIR}/fullchain.pem", f"{_PAIR}/privkey.pem", True),
    ):
        leaf = authority.leaf()
        debian.put(certificate, leaf.certificate + (chain if whole else ""))
        debian.put(key, leaf.key, 0o600)
    debian.put("/root/chain.crt", chain)


def _run(debian: Machine, line: str, example: Example) -> tuple[int, str]:
    """The exit status, and all that was drawn. Whatever it asks is answered with yes, the password, or Enter."""
    if example.before:
        debian.run(example.before, cwd=PROJECT, timeout=LONGEST)
    for name, value in (example.instead or {}).items():
        line = re.sub(rf"\b{name}\b", value, line)
    with Terminal(debian.argv(line, cwd=PROJECT, env={"PAGER": "cat"}), (160, 50)) as terminal:
        if example.meanwhile is not None:
            example.meanwhile(terminal, debian)
        answered, end = 0, time.monotonic() + LONGEST
        while terminal.process.poll() is None:
            assert time.monotonic() < end, f"{line}\n{terminal.text}"
            terminal.read(0.2)
            new = _COLOURS.sub(b"", terminal.raw[answered:]).decode("utf-8", "replace").replace("\r", "")
            if example.meanwhile is None and (waits := _WAITS.search(new)):
                answered = len(terminal.raw)
                answers = {"password": f"{PASSWORD}\r", "yes": "y\r", "key": "\r"}
                terminal.press(answers[str(waits.lastgroup)])
        return terminal.ended(), terminal.raw.decode("utf-8", "replace")
