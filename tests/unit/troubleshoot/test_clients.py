"""What only clients from outside meet, as diagnoses; and the fixes of the access map's lines."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import CF, facts, picture
from wizard.errors import HostError
from wizard.maillog.read import LogLine
from wizard.mends.access import MendAccess, MendAccessFeatures, MendAccessLimits
from wizard.mends.order import find
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.plan import Sign
from wizard.sendmail.rulesets import Admission
from wizard.system.host import Host
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.outside import Outside, _answers, turned_away
from wizard.troubleshoot.verdict import judge

DENIED = "550 5.7.1 Access denied"
OWN, ONE, TWO = "198.51.100.1", "203.0.113.77", "198.51.100.77"
REJECT = "Connect:198.51.100\tREJECT\n"


def outside(
    own: dict[str, Any] | None = None, strangers: dict[str, Any] | None = None, **more: Any
) -> Outside:
    met = [Admission(address, "", **(strangers or {})) for address in (ONE, TWO)]
    return Outside((Admission(OWN, "", **(own or {})),), tuple(met), **more)


def seen(access: str, state: Outside, **more: Any) -> Picture:
    texts = dict(picture().texts) | {Text.ACCESS: access, Text.RESOLV_CONF: "nameserver 203.0.113.53\n"}
    return picture(texts=texts, outside=state, facts={"addresses": ("127.0.0.1", OWN, "fe80::1")} | more)


@pytest.mark.parametrize(
    ("name", "layer", "access", "state", "steps"),
    [
        ("clients-refused", Layer.GREETING, REJECT, outside({"refused": DENIED}), ("mend-access",)),
        ("clients-refused", Layer.GREETING, REJECT, outside({"discarded": True}), ("mend-access",)),
        ("clients-refused", Layer.GREETING, "", outside(strangers={"refused": DENIED}), ()),
        (
            "clients-refused",
            Layer.GREETING,
            "TLS_Clt:\tVERIFY\n",
            outside({"refused_tls": "454 x"}),
            ("mend-access",),
        ),
        ("access-not-made", Layer.GREETING, "", outside(map_is="missing"), ()),
        ("clients-refused", Layer.GREETING, "", outside(greeting="550 no", greeted_at=OWN), ()),
        (
            "clients-no-features",
            Layer.AUTH_OFFER,
            "Srv_Features:\tA\n",
            outside({"features": "A"}),
            ("mend-access-features",),
        ),
        (
            "clients-no-features",
            Layer.STARTTLS,
            "Srv_Features:198.51\tS\n",
            outside({"features": "S"}),
            ("mend-access-features",),
        ),
        ("names-slow", Layer.NAME, "", outside(nameless=(ONE, TWO)), ()),
    ],
)
def test_what_all_clients_meet_is_to_blame(
    name: str, layer: Layer, access: str, state: Outside, steps: tuple[str, ...]
) -> None:
    blamed = judge(seen(access, state)).blamed
    assert blamed is not None
    assert (blamed.id, blamed.layer, blamed.finding.mend.steps) == (name, layer, steps)
    assert blamed.finding.evidence
    assert bool(blamed.finding.mend.text) != bool(steps)
    assert all(find(step) for step in steps)


@pytest.mark.parametrize(
    ("access", "state"),
    [
        ("", outside()),
        ("", Outside()),
        ("Connect:192.0.2 REJECT\nConnect:224\tREJECT\nreject@\tREJECT\nClientRate:\t10\n", outside()),
        ("ClientRate:127\t1\n", outside()),
        ("", outside(nameless=(ONE,))),
        ("", outside({"refused_late": DENIED}, {"refused_late": DENIED})),
        ("", outside(greeting="220 x", greeted_at=OWN)),
        ("", outside(greeting="421 too many", greeted_at=OWN)),
    ],
)
def test_a_sound_host(access: str, state: Outside) -> None:
    assert judge(seen(access, state)).faults == ()


@pytest.mark.parametrize(
    ("name", "access", "state"),
    [
        ("clients-limited", "ClientRate:192.0.2.7\t3\n", outside()),
        ("clients-wait", "GreetPause:198.51.100\t30000\n", outside({"pause": 30.0})),
        ("access-not-made", "", outside(map_is="older")),
        ("clients-kept-out", "Connect:192.0.3\tREJECT\n", outside()),
    ],
)
def test_what_may_be_meant_is_a_warning(name: str, access: str, state: Outside) -> None:
    (fault,) = judge(seen(access, state)).faults
    assert (fault.id, fault.sign) == (name, Sign.WARNING)
    assert fault.finding.evidence[0].source in ("/etc/mail/access line 1", "/etc/mail/access.db")


def test_delayed_checks_keep_no_user_out() -> None:
    host = seen("Connect:192.0.3\tREJECT\n", outside(), files={f.SENDMAIL_CF: file(f"{CF}Scheckrelay\n")})
    assert "clients-kept-out" not in [fault.id for fault in judge(host).faults]


def test_how_long_clients_wait() -> None:
    text = "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions timeout:2 attempts:3\n"
    host = seen("", outside(nameless=(ONE, TWO)))
    host = picture(texts=dict(host.texts) | {Text.RESOLV_CONF: text}, outside=host.outside)
    blamed = judge(host).blamed
    assert blamed is not None
    assert "wait up to 24 s for the greeting" in blamed.finding.cause
    assert "192.0.2.1, 192.0.2.2" in blamed.finding.mend.text


@pytest.mark.parametrize(("tries", "answered"), [(1, True), (2, True), (3, False)])
def test_a_resolver_may_be_slow_once(tries: int, answered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(_: Host, argv: list[str], **__: Any) -> None:
        asked.append(argv[-1])
        if len(asked) < tries:
            raise HostError("no answer in time")

    monkeypatch.setattr(Host, "run", run)
    assert _answers(Host(), ONE) is answered


LINES = (
    "ruleset=check_relay, arg1=[198.51.100.2], arg2=198.51.100.2, relay=[198.51.100.2], reject=550 5.7.1 Access denied",
    "ruleset=check_relay, arg1=pc.example, arg2=198.51.100.3, relay=pc.example [198.51.100.3], reject=421 4.3.2 Connection rate limit exceeded.",
    "ruleset=check_relay, arg1=[IPv6:2001:db8:0:0:0:0:0:2], arg2=IPv6:2001:db8:0:0:0:0:0:2, relay=[IPv6:2001:db8:0:0:0:0:0:2], discard",
    "ruleset=tls_client, arg1=NOT, arg2=STARTTLS, relay=[198.51.100.2], reject=454 4.7.0 no authentication requested",
    "rejecting commands from pc.example [198.51.100.4] due to pre-greeting traffic after 0 seconds",
    "6AT8t1xi001917: pc.example [198.51.100.5]: possible SMTP attack: command=AUTH, count=8",
)


def _log(*texts: str, path: str = "") -> list[LogLine]:
    return [LogLine(100.0, "sm-mta", 1, text, path) for text in texts]


def test_whom_the_log_says_was_turned_away() -> None:
    found = turned_away(_log(*LINES, LINES[0]), (), 50.0)
    assert [(client.address, client.times) for client in found][:2] == [
        ("198.51.100.2", 2),
        ("198.51.100.3", 1),
    ]
    assert [client.why for client in found] == [
        DENIED,
        "421 4.3.2 Connection rate limit exceeded.",
        "discard",
        "454 4.7.0 no authentication requested",
        "due to pre-greeting traffic",
        "possible SMTP attack: command=AUTH",
    ]
    (fault,) = judge(seen("ClientRate:\t10\n", outside(turned_away=found))).faults
    assert (fault.id, fault.sign) == ("clients-turned-away", Sign.WARNING)
    assert "7 connections of 5 clients" in fault.finding.cause
    assert "ClientRate:\t10" in [piece.says for piece in fault.finding.evidence]


@pytest.mark.parametrize("line", [LINES[1], *LINES[4:]])
def test_what_guessers_of_passwords_earn_all_day_is_no_warning(line: str) -> None:
    away = turned_away(_log(line), (), 50.0)
    (fault,) = judge(seen("", outside(turned_away=away))).faults
    assert (fault.id, fault.sign) == ("clients-turned-away", Sign.OK)
    entered = f"AUTH=server, relay=[{away[0].address}], authid=alice, mech=LOGIN, bits=0"
    state = seen("", outside(turned_away=away))
    (fault,) = judge(dataclasses.replace(state, day=tuple(_log(entered)))).faults
    assert fault.sign is Sign.WARNING


@pytest.mark.parametrize(
    "log", [_log(LINES[0], path="/var/log/mail.log"), _log(f"x {LINES[0]}"), _log("to=<x>")]
)
def test_what_proves_nothing(log: list[LogLine]) -> None:
    assert turned_away(log, (), 0.0) == ()


def test_old_lines_and_our_own_do_not_count() -> None:
    assert turned_away(_log(LINES[0]), (), 200.0) == ()
    assert turned_away(_log(LINES[0]), ("198.51.100.2",), 0.0) == ()


ACCESS = """Connect:192.0.2 REJECT
Connect:203.0.113\tREJECT
Connect:198.51.100\tREJECT
TLS_Clt:\tVERIFY
ClientRate:127\t1
ClientRate:192.0.2.7\t3
ClientConn:\t10
Srv_Features:198.51\tS
Srv_Features:192.0.2\tA
Srv_Features:127\tA
"""


def test_a_comment_in_utf8_is_one_line() -> None:
    """In Latin-1, which keeps every byte, it may hold what Python takes for the end of a line."""
    host = facts(files={f.ACCESS: file("# \xc3\x85ke\n" + REJECT)}, addresses=("127.0.0.1", OWN))
    (change, *_) = MendAccess().plan(host, Answers()).changes
    assert change.after.content.decode("latin-1") == f"# \xc3\x85ke\n#{REJECT}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("step", "taken"),
    [
        (MendAccess(), [3, 4]),
        (MendAccessLimits(), [6]),
        (MendAccessFeatures(), [8, 10]),
    ],
)
def test_only_the_lines_of_the_fault_are_taken_out(step: Any, taken: list[int]) -> None:
    host = facts(files={f.ACCESS: file(ACCESS)}, addresses=("127.0.0.1", OWN))
    plan = step.plan(host, Answers())
    change = plan.changes[0]
    now = change.after.content.decode().splitlines()
    assert [number for number, line in enumerate(now, 1) if line.startswith("#")] == taken
    fixed = facts(files={f.ACCESS: change.after}, addresses=("127.0.0.1", OWN))
    assert step.plan(fixed, Answers()).outcome == "done"


@pytest.mark.parametrize(
    ("allow", "deny", "named"),
    [
        ("", "ALL: 192.0.2.5 .spam.example\nALL: PARANOID\n", False),
        ("", "ALL: ALL EXCEPT 127.0.0.1\n", True),
        ("sendmail: 10.\nALL: 127.\n", "ALL: ALL\n", False),
        ("sendmail: 10.\n", "ALL: ALL\n", True),
        ("sshd: ALL\n", "sendmail: ALL\n", True),
        ("ALL: ALL: deny\n", "", True),
    ],
)
def test_tcp_wrappers_are_blamed_where_they_keep_everybody_out(allow: str, deny: str, named: bool) -> None:
    texts = {Text.HOSTS_ALLOW: allow, Text.HOSTS_DENY: deny}
    assert (judge(picture(texts=texts)).fault("hosts-access") is not None) is named
