"""What is said of passwords that are being guessed."""

from __future__ import annotations

import pytest

from tests.unit.troubleshoot.pictures import picture
from wizard.editors.fail2ban import Limit
from wizard.gather.fail2ban import Bans
from wizard.maillog.read import LogLine
from wizard.model.plan import Sign
from wizard.troubleshoot.verdict import Verdict, judge

GUESSER, OTHER = "203.0.113.9", "IPv6:2001:db8::9"
LIMIT = Limit(5, 600, 3600)


def failed(peer: str = GUESSER, user: str = "root") -> str:
    words = "authentication failure (-13) SASL(-13): authentication failure: checkpass failed"
    return f"6AU5Ww61000576: AUTH failure (LOGIN): {words}, user={user}, relay=[{peer}]"


def looked(
    *texts: str, banned: dict[str, float] | None = None, every: int = 1, limit: Limit = LIMIT
) -> Verdict:
    """`banned` None: no jail is at work. A line comes `every` so many seconds."""
    day = tuple(LogLine(2e9 + every * at, "sm-mta", 7, text) for at, text in enumerate(texts))
    return judge(picture(day=day, bans=None if banned is None else Bans(banned, (limit,))))


def test_who_guesses_and_how_much() -> None:
    texts = [*[failed()] * 8, failed(user="admin"), failed(user="info"), failed(user="x"), failed(OTHER)]
    fault = next(fault for fault in looked(*texts).faults if fault.id == "password-guessing")
    says = "passwords are being guessed: 12 wrong ones from 2 addresses in the last day, for root, admin, info and 1 more user"
    assert (fault.finding.cause, fault.finding.sign) == (says, Sign.WARNING)
    assert [item.says for item in fault.finding.evidence] == [
        "203.0.113.9: 11 wrong passwords, for root, admin, info and 1 more user",
        "2001:db8::9: 1 wrong password, for root",
    ]
    assert "--set guess.limit=true" in fault.finding.mend.text


def test_many_addresses_that_try_little_each_guess_too() -> None:
    texts = [failed(f"203.0.113.{number}") for number in range(1, 31)]
    assert "password-guessing" in [fault.id for fault in looked(*texts).faults]


def test_where_fail2ban_bans_it_is_no_fault() -> None:
    for banned in ({}, {GUESSER: 2e9 + 5}, {"203.0.113.8": 1e9}):
        verdict = looked(*[failed()] * 12, banned=banned)
        (fault,) = (fault for fault in verdict.faults if fault.id == "password-guessing")
        assert fault.finding.sign is Sign.OK
        assert "fail2ban bans those who try too many" in fault.finding.cause


def test_who_goes_on_though_banned_is_a_fault() -> None:
    verdict = looked(*[failed()] * 12, banned={GUESSER: 2e9 - 100})
    (fault,) = (fault for fault in verdict.faults if fault.id == "password-guessing")
    assert fault.finding.sign is Sign.WARNING
    assert "203.0.113.9 goes on though fail2ban bans it" in fault.finding.cause
    assert "smtp-port guess-limit" in fault.finding.mend.text


def said(verdict: Verdict) -> tuple[str, Sign, str]:
    (fault,) = (fault for fault in verdict.faults if fault.id == "password-guessing")
    assert fault.finding.mend is not None
    return fault.finding.cause.partition("; ")[2], fault.finding.sign, fault.finding.mend.text


def test_who_stays_below_the_limit_goes_on() -> None:
    clause, sign, mend = said(looked(*[failed()] * 576, banned={}, every=150))
    assert (clause, sign) == (f"{GUESSER} goes on below the limit of fail2ban", Sign.WARNING)
    assert "--set guess.window=1d`" in mend
    a_day = Limit(5, 86400, 3600)
    assert said(looked(*[failed()] * 576, banned={}, every=150, limit=a_day))[1] is Sign.OK
    assert said(looked(*[failed()] * 576, banned={GUESSER: 2e9 + 576 * 150}, every=150))[1] is Sign.OK


def test_who_is_never_banned_goes_on() -> None:
    office = Limit(5, 600, 3600, ("203.0.113.0/24",))
    clause, sign, mend = said(looked(*[failed()] * 12, banned={}, limit=office))
    assert (clause, sign) == (f"fail2ban never bans {GUESSER}", Sign.WARNING)
    assert "guess.never" in mend


def test_many_addresses_that_try_too_little_for_a_ban_go_on() -> None:
    for peers in ("203.0.113.{}", "IPv6:2001:db8::{}"):
        texts = [failed(peers.format(number)) for number in range(100, 200) for _ in range(4)]
        clause, sign, mend = said(looked(*texts, banned={}))
        assert sign is Sign.WARNING
        assert (
            clause == "fail2ban bans none of the 100 addresses from which 400 of them came, too few from each"
        )
        assert "login-policy" in mend


def test_who_logged_in_before_the_first_wrong_password_is_not_accused() -> None:
    texts = [f"AUTH=server, relay=[{GUESSER}], authid=alice, mech=LOGIN, bits=0", *[failed()] * 12]
    (fault,) = (x for x in looked(*texts).faults if x.id == "password-guessing")
    assert "somebody got in" not in fault.finding.cause


def test_whoever_got_in_among_many_wrong_ones_is_named() -> None:
    texts = [*[failed()] * 12, f"AUTH=server, relay=[{GUESSER}], authid=alice, mech=LOGIN, bits=0"]
    for banned in (None, dict[str, float]()):
        (fault,) = (x for x in looked(*texts, banned=banned).faults if x.id == "password-guessing")
        assert fault.finding.sign is Sign.WARNING
        assert fault.finding.cause.endswith("and somebody got in from there: alice from 203.0.113.9")
        assert "`passwd alice`" in fault.finding.mend.text


@pytest.mark.parametrize(
    "texts",
    [
        [failed()] * 9,
        [failed("127.0.0.1")] * 50,
        [failed("192.0.2.25")] * 50,
        [failed().replace("(-13)", "(-1)", 1)] * 50,
        [
            *[failed(user="alice@mail.example.test")] * 50,
            f"AUTH=server, relay=[{GUESSER}], authid=alice, mech=LOGIN, bits=0",
        ],
    ],
    ids=["few", "from here", "from here, too", "saslauthd is down", "a user's device"],
)
def test_what_is_no_guessing(texts: list[str]) -> None:
    assert "password-guessing" not in [fault.id for fault in looked(*texts).faults]
