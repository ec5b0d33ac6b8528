"""fail2ban's own words: the jails of its dump, the SSH connection in our file, what it complains of."""

from __future__ import annotations

import math
import time

import pytest

from wizard.editors.fail2ban import (
    NAME,
    Jail,
    Limit,
    banaction,
    banned,
    connection,
    for_sendmail,
    jails,
    problem,
)

# As the fail2ban of Debian 12 to 14 prints it, shortened.
DUMP = r"""['set', 'syslogsocket', 'auto']
['set', 'loglevel', 'INFO']
['add', 'sshd', 'systemd']
['set', 'sshd', 'maxretry', 5]
['set', 'sshd', 'addaction', 'nftables']
['add', 'sendmail-auth', 'systemd']
['multi-set', 'sendmail-auth', 'addfailregex', ['^possible SMTP attack: command=AUTH, count=\\d+$', '^AUTH failure \\([^\\)]+\\):$']]
['set', 'sendmail-auth', 'addjournalmatch', '_SYSTEMD_UNIT=sendmail.service']
['set', 'sendmail-auth', 'maxretry', 3]
['set', 'sendmail-auth', 'findtime', '10m']
['set', 'sendmail-auth', 'bantime', '30']
['set', 'sendmail-auth', 'addignoreip', '127.0.0.0/8', '::1']
['set', 'sendmail-auth', 'addaction', 'nftables']
['multi-set', 'sendmail-auth', 'action', 'nftables', [['actionstart', 'nft ...'], ['port', '587,465'], ['protocol', 'tcp']]]
['start', 'sshd']
"""


def test_the_jails_of_a_dump() -> None:
    found = jails(DUMP)
    assert found["sshd"] == Jail("systemd", attempts="5", actions=("nftables",))
    assert found[NAME] == Jail(
        "systemd",
        "3",
        "10m",
        "30",
        ("127.0.0.0/8", "::1"),
        ("nftables",),
        "587,465",
        (r"^possible SMTP attack: command=AUTH, count=\d+$", r"^AUTH failure \([^\)]+\):$"),
    )


@pytest.mark.parametrize(
    ("attempts", "window", "ban", "limit"),
    [
        ("5", "10m", "1h", Limit(5, 600, 3600)),
        ("3", "600", "1d 12h", Limit(3, 600, 129600)),
        ("3", "10min", "1mo", Limit(3, 600, 2592000)),
        ("3", "10 minutes", "-1", Limit(3, 600, math.inf)),
        ("3", "600*2", "1h", None),
        ("3", "10x", "1h", None),
        ("", "10m", "1h", None),
        ("3", "", "1h", None),
    ],
)
def test_the_numbers_of_a_jail(attempts: str, window: str, ban: str, limit: Limit | None) -> None:
    assert Jail(attempts=attempts, window=window, ban=ban).limit == limit


@pytest.mark.parametrize(
    "line", ["", "['add'", "['add', 'x']", "__import__('os')", "['set', 'none', 'maxretry', 1]", "[" * 5000]
)
def test_what_is_no_dump_gives_no_jail(line: str) -> None:
    assert jails(line) == {}


def test_a_jail_of_another_name_for_the_same_lines_counts() -> None:
    there = {"sshd": Jail(), "mail": Jail(expressions=("^AUTH failure",)), NAME: Jail()}
    assert for_sendmail(there) == ("mail", NAME)
    assert for_sendmail({"sshd": Jail(expressions=("^Failed password",))}) == ()


@pytest.mark.parametrize(
    ("line", "peer"),
    [
        (
            "# Never banned: this host, the SSH connection that it was applied from (198.51.100.7), and",
            "198.51.100.7",
        ),
        (
            "# Never banned: this host, the SSH connection that it was applied from (2001:db8::7), and",
            "2001:db8::7",
        ),
        ("# Never banned: this host, the SSH connection that it was applied from (7), and", ""),
        ("# Never banned: this host, and what the settings name", ""),
    ],
)
def test_the_connection_that_a_file_names(line: str, peer: str) -> None:
    assert connection(f"[sendmail-auth]\n{line}\nignoreip = ::1\n") == peer


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], ""),
        (["[DEFAULT]\nbantime = 1h\n# banaction = ufw\n", "[sshd]\nbanaction = ufw\n"], ""),
        (["[DEFAULT]\nbanaction = nftables[type=allports]\n"], "nftables[type=allports]"),
        (["[DEFAULT]\nbanaction=ufw\n", "[DEFAULT]\nbanaction = iptables-multiport\n"], "iptables-multiport"),
        (["[sendmail-auth]\nbanaction = ufw\n"], "ufw"),
        (["banaction = ufw\n", "[DEFAULT\n", "[DEFAULT]\nx\nbanaction =\n"], ""),
    ],
)
def test_how_the_admins_own_files_ban(texts: list[str], found: str) -> None:
    assert banaction(texts) == found


def test_since_when_who_is_banned() -> None:
    said = "192.0.2.1 \t2026-11-30 05:33:01 + 3600 = 2026-11-30 06:33:01\n2001:db8::1\t2026-11-30 05:33:01 + -1 = 9999-12-31 23:59:59\n"
    begin = time.mktime((2026, 11, 30, 5, 33, 1, 0, 0, -1))
    assert banned(said) == {"192.0.2.1": begin, "2001:db8::1": begin}
    assert banned("host.example \t2026-11-30 05:33:01 + 60 = x\n0\n") == {}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "2026-11-30 05:36:26,777 fail2ban                [369]: ERROR   Failed during configuration: Source contains parsing "
            "errors: '/tmp/x/f/jail.d/z.conf'\n\t[line  2]: 'foo'\n"
            "2026-11-30 05:36:26,777 fail2ban                [369]: ERROR   ERROR: test configuration failed\n",
            "Failed during configuration: Source contains parsing errors: '/etc/fail2ban/jail.d/z.conf'; [line  2]: 'foo'",
        ),
        (
            "2026-11-30 05:35:42,040 fail2ban.configreader   [280]: WARNING 'allowipv6' not defined\n"
            "2026-11-30 05:35:42,050 fail2ban                [280]: ERROR   Failed during configuration: Have not found any log "
            "file for sshd jail\n",
            "Failed during configuration: Have not found any log file for sshd jail",
        ),
        ("2026-11-30 05:35:42,040 fail2ban.configreader   [280]: WARNING only that\nOK\n", ""),
    ],
)
def test_what_it_complains_of(said: str, says: str) -> None:
    assert problem(said, "/tmp/x/f", "/etc/fail2ban") == says
