"""set_listeners: Debian's lines, the admin's lines, and the constellations that end the whole MTA."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.editors.mc_collection import HEAD, TAIL, UNDERSTOOD, Shape
from wizard.editors import EditError
from wizard.editors.sendmail_mc import DaemonOption, Wanted, collisions, daemon_options, set_listeners

PORTS = {"smtp": "smtp", "submission": "submission", "submissions": "465"}
DEBIAN = (
    "dnl DAEMON_OPTIONS(`Family=inet6, Name=MTA-v6, Port=smtp, Addr=::1')dnl\n"
    "DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, Addr=127.0.0.1')dnl\n"
    "dnl DAEMON_OPTIONS(`Family=inet6, Name=MSP-v6, Port=submission, M=Ea, Addr=::1')dnl\n"
    "DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea, Addr=127.0.0.1')dnl\n"
)


def line(item: Wanted) -> str:
    address = f", Addr={item.address}" if item.address else ""
    return f"DAEMON_OPTIONS(`Family={item.family}, Name={item.name}, Port={PORTS[item.service]}{address}, M={item.require}')dnl\n"


def want(
    family: str = "inet", address: str | None = None, service: str = "submission", require: str = "Ea"
) -> Wanted:
    return Wanted(service, family, f"New-{family}", address, require, "AS" if "a" in require else "as")


def middle(text: str) -> str:
    assert text.startswith(HEAD)
    assert text.endswith(TAIL)
    return text[len(HEAD) : len(text) - len(TAIL)]


def made(lines: str, wanted: Sequence[Wanted], keep: bool = True) -> str:
    service = wanted[0].service if wanted else "submission"
    once = set_listeners(HEAD + lines + TAIL, service, wanted, line, keep)
    assert set_listeners(once, service, wanted, line, keep) == once
    assert not collisions([item for item in daemon_options(once) if item.service == service])
    return middle(once)


def test_debians_lines_become_the_howtos() -> None:
    lines = made(DEBIAN, [want()]).splitlines()
    assert lines[3] == "DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea')dnl"
    assert lines[:3] == DEBIAN.splitlines()[:3]
    lines = made(DEBIAN, [want(service="smtp", require="A")]).splitlines()
    assert lines[1] == "DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, M=A')dnl"
    assert lines[2:] == DEBIAN.splitlines()[2:]


def test_ipv6_turns_debians_line_over() -> None:
    lines = made(DEBIAN, [want("inet6")]).splitlines()
    assert lines[3] == "DAEMON_OPTIONS(`Family=inet6,  Name=MSP-v6, Port=submission, M=Ea')dnl"


KEPT = [
    ("bare alone", "DAEMON_OPTIONS(Port=587)dnl\n", "DAEMON_OPTIONS(`Port=587, M=Ea')dnl\n"),
    ("bare with commas", "DAEMON_OPTIONS(Port=587, Name=MSA, M=E)\n", "DAEMON_OPTIONS(`Port=587, Name=MSA, M=Ea')\n"),
    ("bare with a loopback that m4 dropped", "DAEMON_OPTIONS(Port=587,Addr=127.0.0.1)\n", "DAEMON_OPTIONS(`Port=587,M=Ea')\n"),
    ("doubled quotes", "DAEMON_OPTIONS(``Port=587, Addr=127.0.0.1'')dnl\n", "DAEMON_OPTIONS(``Port=587, M=Ea'')dnl\n"),
    ("address first", "DAEMON_OPTIONS(`Addr=127.0.0.1, Port=587, M=aE')dnl\n", "DAEMON_OPTIONS(`Port=587, M=aE')dnl\n"),
    ("key spellings stay", "DAEMON_OPTIONS(`address=localhost,port=587 ,Modifiers=b')\n", "DAEMON_OPTIONS(`port=587 ,Modifiers=bEa')\n"),
    ("modifiers twice", "DAEMON_OPTIONS(`M=E, Port=587, M=af')\n", "DAEMON_OPTIONS(`M=E, Port=587, M=afE')\n"),
    ("forbidden letters go", "DAEMON_OPTIONS(`Port=587, M=EaAS, Name=X')\n", "DAEMON_OPTIONS(`Port=587, M=Ea, Name=X')\n"),
    ("over lines", "DAEMON_OPTIONS(`Port=587,\n\tAddr=127.0.0.1,\n\tName=MSA')dnl  mine\n",
     "DAEMON_OPTIONS(`Port=587,\n\tName=MSA,M=Ea')dnl  mine\n"),
    ("behind a dnl", "DAEMON_OPTIONS(dnl\n`Port=587, M=Ea, Addr=127.0.0.1')dnl\n", "DAEMON_OPTIONS(dnl\n`Port=587, M=Ea')dnl\n"),
    ("extra keys", "DAEMON_OPTIONS(`Port=587, children=9, InputMailFilters=a;b, delay=3, M=Eaf')\n", None),
    ("the admin's address", "DAEMON_OPTIONS(`Port=587, Addr=192.0.2.9, M=Ea')\n", None),
    ("the admin's address and a loopback",
     "DAEMON_OPTIONS(`Port=587, Addr=192.0.2.9, M=Ea')\nDAEMON_OPTIONS(`Port=587, Addr=127.0.0.1, M=Ea')\n", None),
    ("a loopback for programs of the host beside the admin's address",
     "DAEMON_OPTIONS(`Port=587, Addr=192.0.2.9, M=Ea')\nDAEMON_OPTIONS(`Name=web, Port=587, Addr=127.0.0.1, M=E')\n", None),
    ("a loopback for programs of the host, of the other family",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, Addr=::1')\n", None),
    ("a loopback alone, of the other family", "DAEMON_OPTIONS(`Family=inet6, Port=587, Addr=::1, M=E')\n",
     "DAEMON_OPTIONS(`Family=inet6, Port=587, Addr=::1, M=Ea')\n"
     "DAEMON_OPTIONS(`Family=inet, Name=New-inet, Port=submission, M=Ea')dnl\n"),
    ("explicit address on both families",
     "DAEMON_OPTIONS(`Port=587, Addr=192.0.2.9, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, Addr=2001:db8::9, M=Ea')\n", None),
    ("inet6 alone serves both", "DAEMON_OPTIONS(`Family=inet6, Port=587, M=Ea')\n", None),
    ("both wildcards, the second optional",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, M=EaO')\n", None),
    ("a loopback of the family that is not wanted",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, Addr=::1, M=Ea')\n", None),
    ("a loopback beside a wildcard",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\n  DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1')dnl\n",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\n  dnl DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1')dnl\n"),
    ("two loopbacks", "DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1, M=Ea')\nDAEMON_OPTIONS(`Port=587, Addr=127.0.0.2, M=Ea')\n",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\ndnl DAEMON_OPTIONS(`Port=587, Addr=127.0.0.2, M=Ea')\n"),
    ("two loopbacks, the second optional",
     "DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1, M=Ea')\nDAEMON_OPTIONS(`Port=587, Addr=127.0.0.2, M=EaO')\n",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\ndnl DAEMON_OPTIONS(`Port=587, Addr=127.0.0.2, M=EaO')\n"),
    ("the same line twice", "DAEMON_OPTIONS(`Port=587, M=Ea')\nDAEMON_OPTIONS(`Port=submission, M=Ea')\n",
     "DAEMON_OPTIONS(`Port=587, M=Ea')\ndnl DAEMON_OPTIONS(`Port=submission, M=Ea')\n"),
    ("both wildcards collide", "DAEMON_OPTIONS(`Port=587, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, M=Ea')\n",
     "dnl DAEMON_OPTIONS(`Port=587, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, M=Ea')\n"),
    ("both live on one line",
     "DAEMON_OPTIONS(`Port=587, M=Ea') DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1') DAEMON_OPTIONS(`Port=25')dnl\n",
     "DAEMON_OPTIONS(`Port=587, M=Ea') \ndnl DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1')\n DAEMON_OPTIONS(`Port=25')dnl\n"),
    ("switched off over lines", "DAEMON_OPTIONS(`Port=587, M=Ea')dnl\nDAEMON_OPTIONS(`Port=587,\n  Addr=127.0.0.1')dnl\n",
     "DAEMON_OPTIONS(`Port=587, M=Ea')dnl\ndnl DAEMON_OPTIONS(`Port=587,\ndnl   Addr=127.0.0.1')dnl\n"),
    ("none yet", "DAEMON_OPTIONS(`Port=smtp')dnl\ndnl x\n",
     "DAEMON_OPTIONS(`Port=smtp')dnl\nDAEMON_OPTIONS(`Family=inet, Name=New-inet, Port=submission, M=Ea')dnl\ndnl x\n"),
    ("none at all", "dnl x\n", "dnl x\nDAEMON_OPTIONS(`Family=inet, Name=New-inet, Port=submission, M=Ea')dnl\n"),
    ("an address from a define",
     "define(`HERE', `127.0.0.1')dnl\nDAEMON_OPTIONS(`Port=587, M=Ea, Name=MSA')\n", None),
    ("inside an ifdef", "ifdef(`CF_LEVEL', `DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1')')dnl\n",
     "ifdef(`CF_LEVEL', `DAEMON_OPTIONS(`Port=587, M=Ea')')dnl\n"),
    ("an empty argument", "DAEMON_OPTIONS(`Port=587, M=A')\n", "DAEMON_OPTIONS(`Port=587, M=Ea')\n"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [pytest.param(b, a, id=name) for name, b, a in KEPT])
def test_the_admins_lines(before: str, after: str | None) -> None:
    assert made(before, [want()]) == (before if after is None else after)


SIX = [
    ("a wildcard of inet is turned over", "DAEMON_OPTIONS(`Name=MSA-v4,Port=587,M=Ea')\n",
     "DAEMON_OPTIONS(`Family=inet6,Name=MSA-v6,Port=587,M=Ea')\n"),
    ("another name stays", "DAEMON_OPTIONS(`Family=inet, Name=mx4, Port=587, M=Ea')\n",
     "DAEMON_OPTIONS(`Family=inet6, Name=mx4, Port=587, M=Ea')\n"),
    ("the loopbacks of both",
     "DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, Addr=::1, M=Ea')\n",
     "dnl DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1, M=Ea')\nDAEMON_OPTIONS(`Family=inet6, Port=587, M=Ea')\n"),
    ("0.0.0.0 is a wildcard too", "DAEMON_OPTIONS(`Addr=0.0.0.0, Port=587, M=Ea')\n", "DAEMON_OPTIONS(`Family=inet6, Port=587, M=Ea')\n"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [pytest.param(b, a, id=name) for name, b, a in SIX])
@pytest.mark.parametrize("both", [False, True])
def test_inet6_wanted(before: str, after: str, both: bool) -> None:
    wanted = [want("inet6"), want("inet")] if both else [want("inet6")]
    assert made(before, wanted) == after


def test_nothing_there_and_both_families_wanted_makes_one_line() -> None:
    assert made("", [want("inet"), want("inet6")]) == line(want("inet6"))


CHOSEN = [
    ("debian's loopback becomes the address", "DAEMON_OPTIONS(`Port=587, Addr=127.0.0.1, M=Eaf')dnl\n", ["192.0.2.1"],
     "DAEMON_OPTIONS(`Port=587, Addr=192.0.2.1, M=Eaf')dnl\n"),
    ("a wildcard becomes the address", "DAEMON_OPTIONS(`Port=587, M=Ea')dnl\n", ["192.0.2.1"],
     "DAEMON_OPTIONS(`Port=587, M=Ea, Addr=192.0.2.1')dnl\n"),
    ("surplus lines go", "DAEMON_OPTIONS(`Port=587, M=Ea, Addr=192.0.2.2')dnl\nDAEMON_OPTIONS(`Port=587, M=Ea, Addr=192.0.2.1')dnl\n",
     ["192.0.2.1"],
     "dnl DAEMON_OPTIONS(`Port=587, M=Ea, Addr=192.0.2.2')dnl\nDAEMON_OPTIONS(`Port=587, M=Ea, Addr=192.0.2.1')dnl\n"),
    ("missing ones come", "DAEMON_OPTIONS(`Port=587, M=Ea, Addr=192.0.2.1')dnl\n", ["192.0.2.1", "2001:db8::1"],
     "DAEMON_OPTIONS(`Port=587, M=Ea, Addr=192.0.2.1')dnl\n" + line(want("inet6", "2001:db8::1"))),
    ("the same address in other words", "DAEMON_OPTIONS(`Family=inet6, Port=587, M=Ea, Addr=IPv6:2001:DB8:0::1')dnl\n", ["2001:db8::1"],
     None),
    ("back from inet6", "DAEMON_OPTIONS(`Family=inet6, Name=MSP-v6, Port=587, M=Ea')dnl\n", ["0.0.0.0"],
     "DAEMON_OPTIONS(`Family=inet, Name=MSP-v4, Port=587, M=Ea')dnl\n"),
    ("every address of both families is one line", "DAEMON_OPTIONS(`Port=587, M=Ea')dnl\n", ["0.0.0.0", "::"],
     "DAEMON_OPTIONS(`Family=inet6, Port=587, M=Ea')dnl\n"),
    ("none wanted", "DAEMON_OPTIONS(`Port=587, M=Ea')dnl\n", [], "dnl DAEMON_OPTIONS(`Port=587, M=Ea')dnl\n"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "addresses", "after"), [pytest.param(b, w, a, id=name) for name, b, w, a in CHOSEN]
)
def test_chosen_addresses(before: str, addresses: list[str], after: str | None) -> None:
    wanted = [want("inet6" if ":" in item else "inet", item) for item in addresses]
    assert made(before, wanted, keep=False) == (before if after is None else after)


STOPPED = [
    ("inet6 on every address beside the admin's", "DAEMON_OPTIONS(`Port=587, Addr=192.0.2.9')\n", "inet6", 3),
    (
        "every address beside one",
        "DAEMON_OPTIONS(`Port=587')\nDAEMON_OPTIONS(`Port=587, Addr=192.0.2.9')\n",
        "inet",
        3,
    ),
    ("raw .cf text", "LOCAL_CONFIG\nO DaemonPortOptions=Port=587, Name=X\n", "inet", 4),
    ("a macro writes the line", "define(`ON', `DAEMON_OPTIONS(`Port=$1')')dnl\n\nON(587)\n", "inet", 5),
    ("half in quotes", "DAEMON_OPTIONS(Port=587, `Name=MSA')\n", "inet", 3),
    ("what m4 dropped would move the port", "DAEMON_OPTIONS(Port=587, Name=MSA, Port=2525)\n", "inet", 3),
    ("what m4 dropped would bind an address", "DAEMON_OPTIONS(Port=587, Addr=192.0.2.9)\n", "inet", 3),
    ("an option no longer valid", "define(`confDAEMON_OPTIONS', `Port=587')\n", "inet", 3),
]


@pytest.mark.parametrize(
    ("lines", "family", "number"), [pytest.param(b, f, n, id=name) for name, b, f, n in STOPPED]
)
def test_refused_with_the_line(lines: str, family: str, number: int) -> None:
    with pytest.raises(EditError) as caught:
        set_listeners(HEAD + lines + TAIL, "submission", [want(family)], line, keep_addresses=True)
    assert caught.value.line == number
    assert caught.value.remedy


def test_every_address_and_a_single_one_cannot_both_be_chosen() -> None:
    with pytest.raises(EditError, match="beside every address"):
        made("", [want("inet6", "::"), want("inet", "192.0.2.1")], keep=False)


def option(
    family: str = "inet", address: str | None = None, port: str = "smtp", modifiers: str = "", at: int = 1
) -> DaemonOption:
    return DaemonOption(at, family, None, port, address, modifiers, "")


@pytest.mark.parametrize(
    ("pair", "collides"),
    [
        ((option(), option("inet6", at=2)), True),
        ((option(), option("inet6", modifiers="O", at=2)), False),
        ((option(modifiers="O"), option("inet6", at=2)), True),
        ((option("inet6"), option(address="127.0.0.1", at=2)), True),
        ((option(), option("inet6", "::1", at=2)), False),
        ((option(), option(port="25", at=2)), True),
        ((option(), option(port="587", at=2)), False),
        ((option(), option(address="192.0.2.1", at=2)), True),
        ((option(address="192.0.2.1"), option("inet6", "2001:db8::1", at=2)), False),
        ((option("inet6", "::"), option("inet6", at=2)), True),
        ((option("unix", "/run/x"), option(at=2)), False),
        ((option(port="nosuch"), option(port="nosuch", at=2)), False),
    ],
)
def test_collisions(pair: tuple[DaemonOption, DaemonOption], collides: bool) -> None:
    found = collisions(pair)
    assert bool(found) == collides
    assert all("lines 1 and 2" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("port", "service"),
    [("", "smtp"), ("25", "smtp"), ("SMTP", "smtp"), ("587", "submission"), ("submission", "submission"), ("465", "submissions"),
     ("smtps", "submissions"), ("2525", "2525"), ("0587", "submission"), ("imap", "imap")],
)  # fmt: skip
def test_services(port: str, service: str) -> None:
    assert option(port=port).service == service


ITEMS = st.lists(
    st.sampled_from(
        [
            "Name=MSA",
            "Name=MTA-v4",
            "M=E",
            "M=aA",
            "Modifiers=bS",
            "children=4",
            "InputMailFilters=x;y",
            "delay=2",
        ]
    ),
    max_size=4,
)
ADDRESS = st.sampled_from(["", "Addr=127.0.0.1", "Addr=192.0.2.1", "Address=192.0.2.2", "address=::1"])
PORT = st.sampled_from(["Port=587", "Port=submission", "port=smtp", "", "Port=465", "Port=2525"])
WRAP = st.sampled_from(["DAEMON_OPTIONS(`{}')dnl\n", "  DAEMON_OPTIONS(``{}'')\n", "DAEMON_OPTIONS(dnl\n\t`{}')dnl # h\xe4\n",
                        "dnl DAEMON_OPTIONS(`{}')dnl\n", "DAEMON_OPTIONS(`{}') dnl x\ndnl y\n", "dnl # it's prose\n"])  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> str:
    lines = ""
    for _ in range(draw(st.integers(0, 4))):
        address = draw(ADDRESS)
        family = (
            "Family=inet6" if "::" in address else draw(st.sampled_from(["", "Family=inet", "Family=inet6"]))
        )
        if family == "Family=inet6" and "." in address:
            family = ""
        parts = draw(st.permutations([item for item in [family, address, draw(PORT), *draw(ITEMS)] if item]))
        lines += draw(WRAP).replace("{}", draw(st.sampled_from([", ", ",", ",\n  "])).join(parts))
    text = HEAD + lines + draw(st.sampled_from([TAIL, "", "LOCAL_CONFIG\nCwx\n" + TAIL]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@given(text=files(), family=st.sampled_from(["inet", "inet6"]), service=st.sampled_from(["submission", "smtp"]), keep=st.booleans(),
       address=st.sampled_from([None, "192.0.2.1"]))  # fmt: skip
def test_any_file(text: str, family: str, service: str, keep: bool, address: str | None) -> None:
    address = None if family == "inet6" or keep else address
    item = want(family, address, service, "Ea" if service == "submission" else "A")
    try:
        once = set_listeners(text, service, [item], line, keep)
    except EditError:
        return
    assert set_listeners(once, service, [item], line, keep) == once
    options = daemon_options(once)
    mine = [found for found in options if found.service == service]
    assert mine
    assert not collisions(mine)
    for found in mine:
        if found.loopback and "a" in item.require and not all(each.loopback for each in mine):
            assert found.raw in [each.raw for each in daemon_options(text)] or set("Ea") <= {*found.modifiers}
            continue  # for programs of the host itself
        assert set(item.require) <= set(found.modifiers)
        assert not set(item.forbid) & set(found.modifiers)
    if not keep:
        assert [(found.family, found.address) for found in mine] == [(family, address)]
    others = [(found.raw, found.family) for found in daemon_options(text) if found.service != service]
    assert [(found.raw, found.family) for found in options if found.service != service] == others
    assert "\r\n" in once or "\r" not in text
    assert once.replace("\r\n", "").count("\n") in (0, once.count("\n"))
    names = [found.name for found in daemon_options(text) if found.service == service]
    renamed = (
        {(name or "").replace("-v4", "-v6") for name in names}
        | {(name or "") for name in names}
        | {item.name}
    )
    assert {found.name or "" for found in mine} <= renamed


@pytest.mark.parametrize("shape", UNDERSTOOD, ids=lambda shape: shape.name)
def test_what_is_no_business_of_the_edit_stays(shape: Shape) -> None:
    once = set_listeners(
        shape.text, "submissions", [want(service="submissions", require="Eas")], line, keep_addresses=True
    )
    before, after = daemon_options(shape.text), daemon_options(once)
    assert [item.raw for item in after if item.service != "submissions"] == [item.raw for item in before]
    kept = [row for row in once.splitlines() if "Port=465" not in row]
    assert kept == shape.text.splitlines()
