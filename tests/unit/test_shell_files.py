"""What is made for the shell from the parser: the completion of bash, tried in bash, and the man page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docs import generate
from wizard.errors import EXIT_CODES


def offered(*words: str, history: str = "exit 1") -> list[str]:
    """What bash offers for the last of the words; `history` stands in for the command that lists commits."""
    script = f"""
        . {generate.COMPLETION}
        msa-wizard() {{ {history}; }}
        COMP_WORDS=(msa-wizard "$@") COMP_CWORD=$#
        _msa_wizard
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-uec", script, "bash", *words], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["ap"], ["apply"]),
        (["certificate", ""], ["show", "renew", "install"]),
        (["certificate", "renew", "--d"], ["--days"]),
        (["apply", "--yes", "auth-o"], ["auth-options"]),
        (["test", "--mechanism", ""], ["LOGIN", "PLAIN"]),
        (["apply", "--accept", "log"], ["login-mechanisms", "logins"]),
        (["troubleshoot", "--fix", "saslauthd-de"], ["saslauthd-dead"]),
        (["help", "roll"], ["rollback"]),
    ],
)
def test_bash_offers_what_the_parser_takes(words: list[str], some: list[str]) -> None:
    assert [each for each in offered(*words) if not each.startswith("--") or words[-1]][: len(some)] == some


def test_where_nothing_is_known_bash_offers_files() -> None:
    assert offered("apply", "--answers", "") == []
    assert offered("apply", "--yes", "/etc/") == []


def test_a_commit_is_offered_where_one_is_taken() -> None:
    listed = "echo 'ac86e42935  2026-11-22 16:45  applied  restart'"
    root = offered("diff", "ac", history=listed) == ["ac86e42935"]
    assert root or "auth-options" in offered("diff", "auth", history=listed)
    assert offered("history", "ac", history=listed) == [], "it takes a step alone"
    assert "COMMIT" not in offered("diff", "")


def test_shellcheck_finds_nothing() -> None:
    subprocess.run(["shellcheck", str(generate.COMPLETION)], check=True)


def test_the_man_page_has_every_command_option_and_exit_code() -> None:
    page = Path(generate.MAN_PAGE).read_text().replace(r"\-", "-")
    for name, command in generate.commands().items():
        if name not in ("certificate", "debug"):
            assert f".SS {name}" in page
        for action in command._actions:
            assert all(option in page for option in action.option_strings)
    assert all(f".TP\n\\fB{code}\\fR\n" in page for code in EXIT_CODES)
    requests = {line.split()[0] for line in page.splitlines() if line[:1] in (".", "'")}
    assert requests == {'.\\"', ".TH", ".SH", ".SS", ".TP", ".B", ".BR"}, "no sentence is a request"
