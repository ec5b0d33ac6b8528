"""Wrong passwords in the mail log: who guesses, and who would have been banned and logged in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wizard.editors.fail2ban import Limit
from wizard.maillog.guessing import Ban, bans, busiest, spared, unbanned, wrong_password
from wizard.maillog.read import LogLine

GUESSER, OFFICE = "198.51.100.2", "198.51.100.9"


def failed(at: float, peer: str = GUESSER, user: str = "alice", code: str = "-13", sasl: str = "") -> LogLine:
    words = f"authentication failure ({code}) SASL(-13): authentication failure: {sasl or 'checkpass failed'}"
    text = f"6AU5Ww61000576: AUTH failure (LOGIN): {words}, user={user}, relay=[{peer}]"
    return LogLine(at, "sm-mta", 576, text)


def entered(at: float, peer: str = OFFICE, user: str = "bob") -> LogLine:
    return LogLine(at, "sm-mta", 577, f"AUTH=server, relay=[{peer}], authid={user}, mech=LOGIN, bits=0")


@pytest.mark.parametrize(
    ("line", "user"),
    [
        (failed(1), "alice"),
        (failed(1, user="x, relay=[192.0.2.1]"), "x, relay=[192.0.2.1]"),
        (failed(1, sasl="Password verification failed"), "alice"),
        (failed(1, code="-20"), "alice"),
        (failed(1, code="-1"), None),
        (failed(1, code="-4"), None),
        (entered(1), None),
        (LogLine(1, "logger", 1, failed(1).text), None),
    ],
)
def test_what_is_a_wrong_password(line: LogLine, user: str | None) -> None:
    assert wrong_password(line) == user


def test_the_address_is_the_one_that_sendmail_saw() -> None:
    assert failed(1, user="x, relay=[192.0.2.1]").peer == GUESSER


def test_a_client_that_answers_ident_is_known_by_its_address_too() -> None:
    for relay in (
        f"root@[{GUESSER}]",
        f"root@pc.example [{GUESSER}]",
        f"a@b@pc.example [{GUESSER}] (may be forged)",
    ):
        line = LogLine(1, "sm-mta", 576, failed(1).text.replace(f"[{GUESSER}]", relay))
        assert line.peer == GUESSER
    forged = failed(1, user=f"x, relay=root@[{OFFICE}]").text.replace(
        f"relay=[{GUESSER}]", f"relay=y@[{GUESSER}]"
    )
    assert LogLine(1, "sm-mta", 576, forged).peer == GUESSER


def test_a_login_within_a_ban_that_there_would_have_been() -> None:
    office = [failed(at, OFFICE) for at in (100, 110, 120)]
    log = [*office, entered(130), entered(140), failed(150), entered(4000)]
    assert list(bans(log, Limit(3, 600, 3600))) == [Ban(OFFICE, 120, 3720, "bob", 130)]
    assert list(bans(log, Limit(4, 600, 3600))) == [], "too few"
    assert list(bans(log, Limit(3, 15, 3600))) == [], "not within the window"
    assert list(bans(log, Limit(3, 600, 5))) == [], "the ban had ended by then"


def test_each_ban_begins_to_count_anew() -> None:
    log = [*(failed(at, OFFICE) for at in (1, 2, 3, 20, 21)), entered(22)]
    assert list(bans(log, Limit(3, 600, 10))) == []
    log = [*(failed(at, OFFICE) for at in (1, 2, 3, 20, 21, 22)), entered(23)]
    assert list(bans(log, Limit(3, 600, 10))) == [Ban(OFFICE, 22, 32, "bob", 23)]


def test_who_is_never_banned_is_not_banned() -> None:
    log = [*(failed(at, OFFICE) for at in (1, 2, 3)), entered(4)]
    assert list(bans(log, Limit(3, 600, 10, ("198.51.100.0/28",)))) == []


def test_what_is_banned_now_as_well_is_not_lost_by_another_limit() -> None:
    log = [*(failed(at, OFFICE) for at in (1, 2, 3)), entered(4), failed(5000, OFFICE), failed(5001, OFFICE)]
    three, two = Limit(3, 600, 60), Limit(2, 600, 60)
    assert [ban.login for ban in bans(log, two)] == [4]
    assert list(bans(log, two, three)) == []
    log.append(entered(5002))
    assert list(bans(log, two, three)) == [Ban(OFFICE, 5001, 5061, "bob", 5002)]
    assert list(bans(log, three, replace(three, ignored=("198.51.100.9",)))) != [], (
        "the network is spared no more"
    )


def test_wrong_passwords_that_end_in_no_ban() -> None:
    slow = [tick * 600.0 + each for tick in range(144) for each in (0, 1, 2, 3)]
    assert unbanned(OFFICE, slow, Limit(5, 600, 3600)) == 576
    assert unbanned(OFFICE, slow, Limit(5, 86400, 3600)) < 5
    quick = [float(at) for at in range(20)]
    assert unbanned(OFFICE, quick, Limit(5, 600, 3600)) == 0
    assert unbanned(OFFICE, [*quick, 9000, 9999], Limit(5, 600, 3600)) == 2
    assert unbanned(OFFICE, quick, Limit(5, 600, 3600, (OFFICE,))) == 20


def test_lines_of_no_known_time_ban_nobody() -> None:
    assert list(bans([failed(0.0, OFFICE)] * 5 + [entered(0.0)], Limit(3, 600, 3600))) == []


def test_who_tried_most_comes_first() -> None:
    log = [failed(1), *[failed(2, OFFICE)] * 3, failed(3, "127.0.0.1"), failed(4, "192.0.2.25"), entered(5)]
    found = busiest(log, {"192.0.2.25"})
    assert [(peer, len(lines)) for peer, lines in found.items()] == [(OFFICE, 3), (GUESSER, 1)]


def test_networks_that_are_spared() -> None:
    assert spared(OFFICE, ("host.example", "198.51.100.0/24"))
    assert spared("2001:db8::5", ("127.0.0.0/8", "2001:db8::/32"))
    assert not spared(OFFICE, ("", "192.0.2.0/24"))
