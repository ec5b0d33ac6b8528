"""What a client with one address meets: the access map's line, sendmail's rulesets, TCP wrappers, the packet filter."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.json_documents import document
from wizard.cli.main import main
from wizard.errors import HostError
from wizard.model.plan import Sign
from wizard.packet_filter.iptables import filter_table
from wizard.packet_filter.nftables import ruleset
from wizard.packet_filter.walk import Packet, Verdict, outcomes
from wizard.render import as_json
from wizard.sendmail import access_map, rulesets
from wizard.system.host import Completed, Host
from wizard.system.tcp_wrappers import refusal
from wizard.troubleshoot import client


@pytest.fixture(autouse=True)
def dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose name servers do not answer."""
    answers(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))


def answers(
    monkeypatch: pytest.MonkeyPatch, addresses: str | Exception, name: str | Exception | None = None
) -> None:
    """What the resolver says of every name, and of every address: the same, or `name`."""

    def answer(says: Any) -> Any:
        if isinstance(says, Exception):
            raise says
        return says

    def getaddrinfo(*_: Any) -> Any:
        return [(2, 1, 6, "", (answer(addresses), 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "getnameinfo", lambda *_: (answer(name or addresses), "0"))


ACCESS = """# Connect:10 REJECT
Connect:127	RELAY
ClientRate:	10
Connect:198.51.100	REJECT
CLIENTRATE:198.51.100.2	3
bad.example	ERROR:5.7.1:550 go away
Connect:IPv6:2001:db8:0	DISCARD
From:x@198.51.100	REJECT
Connect:203.0.113	OK
"""


@pytest.mark.parametrize(
    ("tag", "address", "name", "number"),
    [
        ("connect", "198.51.100.2", "", 4),
        ("clientrate", "198.51.100.2", "", 5),
        ("clientrate", "198.51.100.3", "", 3),
        ("connect", "192.0.2.1", "pc.sub.Bad.example", 6),
        ("connect", "192.0.2.1", "verybad.example", None),
        ("connect", "IPv6:2001:db8:0:0:0:0:0:2", "[IPv6:2001:db8:0:0:0:0:0:2]", 7),
        ("connect", "198.51.10.1", "", None),
        ("greetpause", "198.51.100.2", "", None),
        ("connect", "10.0.0.1", "", None),
    ],
)
def test_which_line_decides(tag: str, address: str, name: str, number: int | None) -> None:
    line = access_map.deciding(access_map.lines(ACCESS), tag, address, name)
    assert (line.number if line else None) == number


def test_what_lines_do() -> None:
    refusing = [line.number for line in access_map.lines(ACCESS) if line.refuses]
    assert refusing == [4, 6, 7]
    assert [line.number for line in access_map.lines(ACCESS) if line.low] == [5]


def test_addresses_as_sendmail_writes_them() -> None:
    six = ip_address("2001:db8::2")
    assert access_map.written(six) == "IPv6:2001:db8:0:0:0:0:0:2"
    assert access_map.written(six, compressed=True) == "IPv6:2001:db8::2"
    assert access_map.written(ip_address("192.0.2.7")) == "192.0.2.7"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        *(
            (bad, None)
            for bad in ("192.0.2", "192.0.2.0/24", "x", "", "0.0.0.0", "224.0.0.1", "fe80::1%eth0")
        ),
        ("192.0.2.7\n.D{x}y", None),
    ],
)
def test_one_client(text: str, address: str | None) -> None:
    found = rulesets.client(text)
    assert (str(found) if found else None) == address


CF = (
    "Kdnsbl host -T<TMP>\nScheck_relay\nR$*\t\t$: <?> $(dnsbl $4.$3.$2.$1.zen.example.org. $: OK $)\n"
    "Scheckrelay\nSgreet_pause\nSRateControl\nSConnControl\nSsrv_features\nStls_client\n"
)
SAID = """ADDRESS TEST MODE (ruleset 3 NOT automatically invoked)
Enter <ruleset> <address>
> > > wz_connect         input: x
check_relay      returns: < 10 > $| FALSE
wz_connect       returns: {connect}
> wz_late          returns: {late}
> wz_pause         returns: $# 9000
> wz_rate          returns: < 3 > $| FALSE
> wz_conn          returns: OK
> wz_features      returns: $# A S
> wz_tls           returns: $# error $@ 4 . 7 . 0 $: 454 " not authenticated"
"""


RULES = (
    "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 198.51.100.0/24 -p tcp -m tcp --dport 587 -j DROP\nCOMMIT\n"
)


class Machine(Host):
    """A host whose sendmail says this; what it was given is kept."""

    given: tuple[str, str] = ("", "")

    def __init__(self, root: Path, said: str) -> None:
        super().__init__(root)
        self.said = said

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        """Sendmail's address test mode, and iptables; any other command hangs."""
        if argv[0] == "iptables-save":
            return Completed(tuple(argv), 0, RULES, "", 0.1)
        if argv[0] != "sh":
            raise HostError("it hangs")
        self.given = (Path(argv[-2]).read_text(), Path(argv[-1]).read_text())
        return Completed(tuple(argv), 0, self.said, "", 0.1)


def said(connect: str = "OK", late: str = "OK") -> str:
    return SAID.format(connect=connect, late=late)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ('$# error $@ 5 . 7 . 1 $: "550 Access denied"', "550 5.7.1 Access denied"),
        ('$# error $: "5.7.1:550 go away"', "550 5.7.1:550 go away"),
        ("$# error $@ 4 . 3 . 2 $: 421 Too many open connections.", "421 4.3.2 Too many open connections."),
        ("$# error $@ quarantine $: foo", ""),
        ("< 10 > $| FALSE", ""),
        ("", ""),
    ],
)
def test_what_the_rulesets_say(tmp_path: Path, answer: str, reply: str) -> None:
    host = Machine(tmp_path, said(answer))
    (met,) = rulesets.admissions(host, CF, [(ip_address("198.51.100.2"), "pc;rm -rf.example")])
    assert met.refused == reply
    assert (met.rate, met.connections, met.pause, met.features) == (3, 0, 9.0, "AS")
    assert met.refused_tls == "454 4.7.0 not authenticated"
    cf, commands = host.given
    assert "Kdnsbl null\n" in cf
    assert 'Swz_late\nR$*\t\t$: $>"checkrelay" $&{client_name} $| $&{client_addr}\n' in cf
    assert ".D{client_addr}198.51.100.2\n.D{client_name}[198.51.100.2]\n" in commands
    assert "rm" not in commands
    assert rulesets.dns_lists(CF) == ("zen.example.org",)


@pytest.mark.parametrize(
    ("connect", "late", "discarded", "refused_late"),
    [
        ("$# discard $: discard", "OK", True, ""),
        ("< 10 > $| FALSE", "$# discard $: discard", False, "DISCARD"),
        ("OK", '$# error $@ 5 . 7 . 1 $: "550 Access denied"', False, "550 5.7.1 Access denied"),
    ],
)
def test_delayed_checks_are_told_apart(
    tmp_path: Path, connect: str, late: str, discarded: bool, refused_late: str
) -> None:
    host = Machine(tmp_path, said(connect, late))
    (met,) = rulesets.admissions(host, CF, [(ip_address("198.51.100.2"), "")])
    assert (met.discarded, met.refused_late, met.refused) == (discarded, refused_late, "")


def test_a_sendmail_that_says_something_else(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="did not answer"):
        rulesets.admissions(Machine(tmp_path, "gibberish"), CF, [(ip_address("198.51.100.2"), "")])


def test_a_visit(tmp_path: Path) -> None:
    for path, text in (
        ("etc/mail/access", ACCESS),
        ("etc/mail/sendmail.cf", CF),
        ("etc/resolv.conf", "nameserver 203.0.113.53\n"),
        ("etc/hosts.deny", "ALL: 198.51.100.\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    host = Machine(tmp_path, said('$# error $@ 5 . 7 . 1 $: "550 Access denied"'))
    visit = client.visit(host, ip_address("198.51.100.2"))
    by_id = {stage.id: stage for stage in visit.stages}
    assert not visit.ok
    assert (by_id["firewall"].state, by_id["firewall"].evidence[0].says) == (
        Sign.FAILED,
        "chain INPUT, rule 1",
    )
    assert by_id["connect"].evidence[0].source == "/etc/mail/access line 4"
    assert by_id["tcp-wrappers"].state is Sign.FAILED
    assert by_id["name"].evidence[0].says == "nameserver 203.0.113.53"
    assert (by_id["dns-list"].state, by_id["limit"].state) == (Sign.UNKNOWN, Sign.WARNING)
    shown = client.text(visit, 60)
    assert "550 5.7.1 Access denied" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 60
    document("troubleshoot", as_json.dumps(**client.to_json(visit)))


@pytest.mark.parametrize(
    ("rules", "state", "why"),
    [
        (RULES, Sign.FAILED, "chain INPUT, rule 1"),
        ("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", Sign.FAILED, "chain INPUT, its policy"),
        ("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m rt --rt-type 0 -j DROP\nCOMMIT\n", Sign.OK, ""),
        (
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m limit --limit 1/s -j DROP\nCOMMIT\n",
            Sign.WARNING,
            "chain INPUT, rule 1",
        ),
        ("", Sign.UNKNOWN, ""),
    ],
)
def test_iptables_without_nft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, state: Sign, why: str
) -> None:
    monkeypatch.setattr("tests.unit.test_from_client.RULES", rules)
    stage = client.visit(Machine(tmp_path, said()), ip_address("198.51.100.2")).stages[0]
    assert (stage.state, stage.evidence[0].says if stage.evidence else "") == (state, why)


@pytest.mark.parametrize(
    ("table", "end", "address", "state"),
    [
        ("tcp", "00000000", "198.51.100.2", Sign.OK),
        ("tcp", "00000000", "2001:db8::1", Sign.FAILED),
        ("tcp6", "0" * 32, "198.51.100.2", Sign.OK),
        ("tcp6", "0" * 32, "2001:db8::1", Sign.OK),
        ("tcp", "0100007F", "198.51.100.2", Sign.FAILED),
        ("tcp", "0100007F", "127.0.0.1", Sign.OK),
    ],
)
def test_a_port_that_is_open_elsewhere_alone_turns_it_away(
    tmp_path: Path, table: str, end: str, address: str, state: Sign
) -> None:
    row = f" 0: {end}:024B {end}:0000 0A 00000000:00000000 00:00000000 00000000 0 0 123 1 0\n"
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net" / table).write_text(f"head\n{row}")
    visit = client.visit(Machine(tmp_path, said()), ip_address(address))
    assert [stage.state for stage in visit.stages if stage.id == "listener"] == [state]


@pytest.mark.parametrize(("delayed", "state"), [(True, Sign.WARNING), (False, Sign.FAILED)])
def test_a_list_turns_away_who_is_on_it_unless_checks_are_delayed(
    monkeypatch: pytest.MonkeyPatch, delayed: bool, state: Sign
) -> None:
    answers(monkeypatch, "127.0.0.2")
    stage = client._dns_list("198.51.100.2", "zen.example.org", delayed)
    assert stage.state is state
    assert stage.evidence[0].says == "2.100.51.198.zen.example.org is 127.0.0.2"


@pytest.mark.parametrize("back", ["198.51.100.2", "192.0.2.1"])
def test_a_name_counts_only_where_it_leads_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, back: str
) -> None:
    answers(monkeypatch, back, "PC.example.test")
    name, stage = client.reverse_name(Host(tmp_path), "198.51.100.2")
    assert name == ("pc.example.test" if back == "198.51.100.2" else "")
    assert ("may be forged" in stage.says) is not name.startswith("pc")


@pytest.mark.parametrize(
    ("code", "name", "on_the_list"),
    [
        (socket.EAI_NONAME, (Sign.OK, "it has no name"), (Sign.OK, "it is not on the list zen.example.org")),
        (
            socket.EAI_AGAIN,
            (Sign.WARNING, "its name could not be looked up: it failed ("),
            (Sign.UNKNOWN, "whether it is on the list zen.example.org is not known: it failed"),
        ),
    ],
)
def test_no_such_name_is_told_from_no_answer(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: int,
    name: tuple[Sign, str],
    on_the_list: tuple[Sign, str],
) -> None:
    answers(monkeypatch, socket.gaierror(code, "It failed"))
    _, looked = client.reverse_name(Host(tmp_path), "198.51.100.2")
    assert (looked.state, looked.says[: len(name[1])]) == name
    assert "the client waits" not in looked.says
    listed = client._dns_list("198.51.100.2", "zen.example.org", delayed=False)
    assert (listed.state, listed.says) == on_the_list


def test_a_client_waits_where_no_name_server_answers_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "LOOK_UP", 0.01)
    monkeypatch.setattr(socket, "getnameinfo", lambda *_: time.sleep(0.5))
    name, looked = client.reverse_name(Host(tmp_path), "198.51.100.2")
    assert (name, looked.state) == ("", Sign.WARNING)
    assert looked.says.endswith(
        "did not answer in time): the client waits for the greeting meanwhile, often a minute"
    )


def test_a_name_that_is_no_text_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Latin-1 in /etc/hosts."""
    answers(monkeypatch, "198.51.100.2", UnicodeDecodeError("utf-8", b"b\xfcro", 1, 2, "invalid"))
    name, looked = client.reverse_name(Host(tmp_path), "198.51.100.2")
    assert (name, looked.says[:14]) == ("", "it has no name")


def test_what_could_not_be_looked_at_is_not_called_well() -> None:
    unknown = client.Stage("firewall", Sign.UNKNOWN, "the packet filter could not be read")
    assert "may be turned away" in client.text(client.Visit("198.51.100.2", "", (unknown,)))


def test_who_logs_in_passes_delayed_checks() -> None:
    met = rulesets.Admission("198.51.100.2", "", refused_late="550 5.7.1 Access denied")
    (stage,) = [stage for stage in client.judged(met, ACCESS) if stage.id == "connect"]
    assert stage.state is Sign.WARNING
    assert "a client that logs in passes" in stage.says


def test_a_map_that_is_older_than_its_text() -> None:
    (stage,) = [
        stage
        for stage in client.judged(rulesets.Admission("198.51.100.2", ""), ACCESS)
        if stage.id == "connect"
    ]
    assert "make -C /etc/mail access.db" in stage.says


@pytest.mark.parametrize(
    ("allow", "deny", "rule"),
    [
        ("", "", ""),
        ("sendmail: all\n", "ALL: ALL\n", ""),
        ("", "ALL: ALL\n", "ALL: ALL"),
        ("sendmail: 10.\n", "sendmail: ALL\n", "sendmail: ALL"),
        ("sendmail: 198.51.100.\n", "ALL: ALL\n", ""),
        ("", "sshd: ALL\n", ""),
        ("", "ALL: ALL EXCEPT 198.51.100.0/24\n", ""),
        ("", "ALL EXCEPT sendmail: ALL\n", ""),
        ("ALL: .example.test: deny\n", "", "ALL: .example.test: deny"),
        (
            "",
            "sendmail: 198.51.100.0/255.255.255.0 # office\n",
            "sendmail: 198.51.100.0/255.255.255.0 # office",
        ),
        ("", "sendmail: UNKNOWN\n", ""),
        ("", "sendmail: \\\n 198.51.*\n", "sendmail:   198.51.*"),
        ("", "ALL: [2001:db8::]/32\n", ""),
    ],
)
def test_tcp_wrappers(allow: str, deny: str, rule: str) -> None:
    assert refusal(allow, deny, "198.51.100.2", "pc.example.test") == rule


def test_tcp_wrappers_and_ipv6() -> None:
    assert refusal("", "ALL: [2001:db8::]/32\n", "2001:db8::2")
    assert not refusal("", "ALL: [2001:db8::]/32\n", "2001:db9::2")


def _nft(*rules: object, sets: Sequence[object] = ()) -> str:
    chain = {
        "family": "inet",
        "table": "f",
        "name": "i",
        "hook": "input",
        "type": "filter",
        "policy": "accept",
    }
    items: list[object] = [*({"set": each} for each in sets), {"chain": chain}]
    items += [
        {"rule": {"family": "inet", "table": "f", "chain": "i", "handle": number, "expr": expr}}
        for number, expr in enumerate(rules, 1)
    ]
    return json.dumps({"nftables": items})


SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}
PORT = {"payload": {"protocol": "tcp", "field": "dport"}}
NET = {"prefix": {"addr": "198.51.100.0", "len": 24}}


def _is(left: object, right: object) -> dict[str, object]:
    return {"match": {"op": "==", "left": left, "right": right}}


@pytest.mark.parametrize(
    ("expr", "inside", "outside", "anybody"),
    [
        ([_is(SOURCE, NET), {"drop": None}], "closed", "open", "unknown"),
        ([_is(SOURCE, {"set": [NET, "203.0.113.1"]}), {"drop": None}], "closed", "open", "unknown"),
        ([_is(SOURCE, "@office"), {"drop": None}], "closed", "open", "unknown"),
        ([{"vmap": {"key": SOURCE, "data": {"set": [[NET, {"drop": None}]]}}}], "closed", "open", "unknown"),
        (
            [_is({"concat": [SOURCE, PORT]}, {"set": [{"concat": [NET, 587]}]}), {"drop": None}],
            "closed",
            "open",
            "unknown",
        ),
        (
            [_is({"concat": [SOURCE, PORT]}, {"set": [{"concat": [NET, 25]}]}), {"drop": None}],
            "open",
            "open",
            "open",
        ),
        (
            [_is(SOURCE, {"range": ["198.51.100.1", "198.51.100.9"]}), {"drop": None}],
            "closed",
            "open",
            "unknown",
        ),
    ],
)
def test_the_packet_filter_knows_the_source(expr: object, inside: str, outside: str, anybody: str) -> None:
    office = {
        "family": "inet",
        "table": "f",
        "name": "office",
        "elem": [{"elem": {"val": "198.51.100.2", "timeout": 9}}],
    }
    rules = ruleset(_nft(expr, sets=[office]))
    assert rules.verdict(587, 4, "198.51.100.2")[0] == inside
    assert rules.verdict(587, 4, "192.0.2.1")[0] == outside
    assert rules.verdict(587, 6, "2001:db8::1")[0] == "open"
    assert rules.verdict(587)[0] == anybody


@pytest.mark.parametrize("option", ["-s 198.51.100.0/24", "-m iprange --src-range 198.51.100.1-198.51.100.9"])
def test_so_does_iptables(option: str) -> None:
    saved = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {option} -p tcp -j DROP\nCOMMIT\n"
    chains = filter_table(saved).chains()
    for source, verdict in (("198.51.100.2", Verdict.DROP), ("192.0.2.1", Verdict.ACCEPT)):
        assert outcomes(chains, "INPUT", Packet(4, 587, source=source)).verdicts == {verdict}


@pytest.mark.parametrize(
    "words",
    [
        ["--from", "x"],
        ["--from", "192.0.2.1", "--user", "alice"],
        ["--from", ""],
        ["--from", "192.0.2.1", "--list"],
    ],
)
def test_odd_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["troubleshoot", *words]) == 2
    assert "--from" in capsys.readouterr().err
