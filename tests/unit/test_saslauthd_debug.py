"""saslauthd's debug mode: the host's own options, and no password in what it prints."""

from __future__ import annotations

import pytest

from wizard.debug import command, debug_line
from wizard.editors import EditError
from wizard.smtp.transcript import Credentials, Transcript

DEBIAN = 'MECHANISMS="pam"\nMECH_OPTIONS=""\nTHREADS=5\nOPTIONS="-c -m /var/run/saslauthd"\n'


def plain(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("defaults", "argv"),
    [
        (DEBIAN, "-a pam -c -m /var/run/saslauthd -n 5 -d"),
        ("", "-a pam -c -m /var/run/saslauthd -d"),
        ('MECHANISMS=sasldb\nOPTIONS="-r -m /var/spool/p/saslauthd"\n', "-a sasldb -r -m /var/spool/p/saslauthd -d"),
        ('MECHANISMS="rimap"\nMECH_OPTIONS="imap.x.test"\nOPTIONS="-d -m /r"\n', "-a rimap -O imap.x.test -m /r -d"),
        ('OPTIONS="-cV -d -m /r/dV"\n', "-a pam -c -m /r/dV -d"),
        ('MECHANISMS="pam shadow"\nTHREADS="x; reboot"\nOPTIONS="-m /r"\n', "-a pam -m /r -d"),
    ],
)  # fmt: skip
def test_its_own_options(defaults: str, argv: str) -> None:
    assert " ".join(command(defaults)) == f"/usr/sbin/saslauthd {argv}"


def test_a_file_that_only_a_shell_can_read_is_refused() -> None:
    with pytest.raises(EditError):
        command("OPTIONS=$(cat /etc/x)\n")


@pytest.mark.parametrize(
    ("line", "pid", "text", "explanation"),
    [
        ("saslauthd[9] :num_procs  : 5", 9, "num_procs  : 5", "how many processes (-n)"),
        ("saslauthd[9] :main            : num_procs  : 5", 9, "num_procs  : 5", "how many processes (-n)"),
        ("saslauthd[9] :do_auth         : auth success: [user=a] [mech=pam]", 9, "auth success: [user=a] [mech=pam]",
         "yes: user and password are right"),
        ("saslauthd[9] :[login=a] [service=smtp] [realm=]: found with valid passwd", 9,
         "[login=a] [service=smtp] [realm=]: found with valid passwd", "the cache knows this user and password"),
        ("saslauthd: cannot find the executable", 0, "saslauthd: cannot find the executable", ""),
    ],
)  # fmt: skip
def test_its_lines(line: str, pid: int, text: str, explanation: str) -> None:
    made = debug_line(line, plain)
    assert (made.pid, made.text, made.explanation) == (pid, text, explanation)


@pytest.mark.parametrize(
    "line",
    [
        'auth_rimap: sending xxx LOGIN "alice" "S3cr3t-77"',
        "auth_httpform: sending POST /x user=alice&password=S3cr3t-77&ok=1",
        "Authorization: Basic S3cr3t-77",
        "ldap_password: S3cr3t-77",
        "[user=alice] [password=S3cr3t-77] [service=smtp]",
        '"passwd" = "S3cr3t-77"',
        "bind with pwd=S3cr3t-77, then",
    ],
)
def test_passwords_are_masked_whatever_prints_them(line: str) -> None:
    made = debug_line(f"saslauthd[9] :{line}", plain)
    assert "S3cr3t-77" not in made.text
    assert "********" in made.text


def test_the_password_of_our_own_login_is_masked_everywhere() -> None:
    mask = Transcript(Credentials("alice", "S3cr3t-77"), None).shown
    assert "S3cr3t-77" not in debug_line("saslauthd[9] :strange S3cr3t-77 place", mask).text
