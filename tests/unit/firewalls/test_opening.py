"""What each firewall plans, from facts alone; the live rules are what the tools print."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import file, machine
from wizard.changes.file import FileChange
from wizard.changes.rules import LivePlaces, LiveRule, RulesChange, Tool
from wizard.firewalls.kinds import FIREWALLS
from wizard.gather.firewall import _ASKS, _INSTALLED, JUDGES
from wizard.model import firewall_names as n
from wizard.model.answers import Answers, Listen
from wizard.model.answers import Firewall as Chosen
from wizard.model.facts import Facts, Firewall
from wizard.model.plan import Outcome, Plan, Sign
from wizard.steps.order import step

NOTHING = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
DROPS = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
ZONES = """public (default, active)
  target: default
  interfaces: eth0
  services: dhcpv6-client ssh {services}
  ports: {ports}

work
  target: default
  interfaces:
  services: ssh
  ports:
"""
ZONE = '<zone>\n  <service name="ssh"/>\n</zone>\n'


def facts(name: str, rules: dict[str, str], files: dict[str, str], **more: object) -> Facts:
    found = machine("12", files={path: file(text) for path, text in files.items()})
    found = dataclasses.replace(
        found, firewalls=(Firewall(name, True, "it is"),), rules=rules, outside=frozenset({"eth0"})
    )
    return dataclasses.replace(found, **more)  # type: ignore[arg-type]


def plan(found: Facts, answers: Answers | None = None) -> Plan:
    return step("firewall").plan(found, answers or Answers())


def rules(made: Plan) -> list[str]:
    return [
        rule.words() for change in made.changes if isinstance(change, RulesChange) for rule in change.rules
    ]


def written(made: Plan) -> dict[str, str]:
    return {
        change.path: change.after.content.decode()
        for change in made.changes
        if isinstance(change, FileChange) and change.after
    }


def iptables(live4: str = DROPS, file4: str = DROPS) -> Facts:
    return facts(
        n.IPTABLES, {"iptables": live4, "ip6tables": NOTHING}, {n.RULES_V4: file4, n.RULES_V6: NOTHING}
    )


def test_only_what_is_missing_where_it_is_missing() -> None:
    made = plan(iptables())
    assert [words.split()[0] for words in rules(made)] == ["iptables", "iptables"]
    assert set(written(made)) == {n.RULES_V4}
    both = DROPS.replace("COMMIT", "-A INPUT -p tcp -m multiport --dports 25,587 -j ACCEPT\nCOMMIT")
    assert plan(iptables(both, both)).outcome is Outcome.DONE
    assert (len(rules(plan(iptables(DROPS, both)))), written(plan(iptables(DROPS, both)))) == (2, {})
    assert (rules(plan(iptables(both, DROPS))), set(written(plan(iptables(both, DROPS))))) == (
        [],
        {n.RULES_V4},
    )


def test_465_where_it_was_chosen() -> None:
    made = plan(iptables(), Answers(Listen(implicit_tls=True)))
    assert [words.split("--dport ")[1].split()[0] for words in rules(made)] == ["25", "587", "465"]


def test_the_live_rules_come_first_and_the_files_have_been_tried_by_then() -> None:
    change, file_change = plan(iptables()).changes
    assert isinstance(change, RulesChange)
    assert isinstance(file_change, FileChange)
    assert change.first[0].gate is not None
    assert change.first[0].after == file_change.after


def test_a_confirmation_is_asked_for_where_the_answers_say_so() -> None:
    made = plan(iptables(), dataclasses.replace(Answers(), confirm_within=60))
    assert "unless confirmed within 60 s" in made.changes[0].describe().title


def test_none_and_inactive_and_two() -> None:
    none = plan(facts("x", {}, {}, firewalls=()))
    assert (none.outcome, "provider" in none.notes[0]) == (Outcome.NOT_APPLICABLE, True)
    off = plan(facts("x", {}, {}, firewalls=(Firewall(n.UFW, False, "not enabled"),)))
    assert off.outcome is Outcome.NOT_APPLICABLE
    two = dataclasses.replace(
        iptables(), firewalls=(Firewall(n.IPTABLES, True, "a"), Firewall(n.UFW, True, "b"))
    )
    assert plan(two).outcome is Outcome.BLOCKED
    assert any("firewall.use=ufw" in line for line in plan(two).remedy)
    assert plan(two, Answers(firewall=Chosen(n.IPTABLES))).outcome is Outcome.PENDING
    assert plan(two, Answers(firewall=Chosen("none"))).outcome is Outcome.NOT_APPLICABLE
    assert plan(two, Answers(firewall=Chosen(n.SHOREWALL))).outcome is Outcome.BLOCKED


def test_rules_that_cannot_be_read_block() -> None:
    made = plan(
        dataclasses.replace(iptables(), firewalls=(Firewall(n.IPTABLES, True, "a", "iptables-save hangs"),))
    )
    assert (made.outcome, "hangs" in made.reason) == (Outcome.BLOCKED, True)
    with pytest.raises(PermissionError, match="root"):
        plan(dataclasses.replace(iptables(), rules=None))


def test_a_file_that_is_a_link_blocks() -> None:
    found = iptables()
    link = Entry(Kind.SYMLINK, 0o777, 0, 0, b"/srv/rules")
    made = plan(dataclasses.replace(found, files={**found.files, n.RULES_V4: link}))
    assert (made.outcome, "not a regular file" in made.reason) == (Outcome.BLOCKED, True)


UFW = "*filter\n:ufw-user-input - [0:0]\n### RULES ###\n\n{}### END RULES ###\nCOMMIT\n"
UFW_LIVE = "*filter\n:INPUT DROP [0:0]\n:ufw-user-input - [0:0]\n-A INPUT -j ufw-user-input\n{}COMMIT\n"


def ufw(inside: str = "", live: str = "") -> Facts:
    files = {n.UFW_DEFAULT: "IPV6=no\n", n.UFW_RULES[4]: UFW.format(inside), n.UFW_RULES[6]: ""}
    return facts(n.UFW, {"iptables": UFW_LIVE.format(live), "ip6tables": NOTHING}, files)


def test_ufw() -> None:
    made = plan(ufw())
    assert "-A ufw-user-input -p tcp --dport 587 -j ACCEPT" in written(made)[n.UFW_RULES[4]]
    assert any("IPV6=yes is not" in note for note in made.notes)
    denied = "-A ufw-user-input -p tcp --dport 587 -j DROP\n"
    made = plan(ufw(denied, denied))
    assert (made.outcome, "denies port 587" in made.reason) == (Outcome.BLOCKED, True)


@pytest.mark.parametrize(
    ("services", "ports", "missing"),
    [("", "", [25, 587]), ("smtp submission", "", []), ("", "20-30/tcp 587/udp", [587])],
)
def test_firewalld(services: str, ports: str, missing: list[int]) -> None:
    shown = ZONES.format(services=services, ports=ports)
    found = facts(
        n.FIREWALLD,
        {"firewalld": shown},
        {n.FIREWALLD_CONF: "DefaultZone=work\n", f"{n.SHIPPED_ZONES}/public.xml": ZONE},
    )
    made = plan(found)
    assert rules(made) == [f"firewall-cmd --zone=public --add-port={port}/tcp" for port in missing]
    assert set(written(made)) == {f"{n.ZONES}/public.xml"}
    unknown = plan(found, Answers(firewall=Chosen(zone="dmz")))
    assert (unknown.outcome, "one of: public, work" in unknown.remedy[0]) == (Outcome.BLOCKED, True)


def test_what_firewalld_opens_for_some_is_not_open() -> None:
    rule = '<rule family="ipv4"><source address="192.0.2.0/24"/>{}<accept/></rule>'
    own = f"""<zone>
  <!-- <service name="submission"/> -->
  {rule.format('<service name="smtp"/>')}
  {rule.format('<port port="587" protocol="tcp"/>')}
</zone>
"""
    shown = ZONES.format(services="", ports="")
    files = {n.FIREWALLD_CONF: "", f"{n.SHIPPED_ZONES}/public.xml": ZONE, f"{n.ZONES}/public.xml": own}
    text = written(plan(facts(n.FIREWALLD, {"firewalld": shown}, files)))[f"{n.ZONES}/public.xml"]
    assert [line.strip() for line in text.splitlines() if line not in own.splitlines()] == [
        '<port port="25" protocol="tcp"/>',
        '<port port="587" protocol="tcp"/>',
    ]


NFT = """table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		tcp dport 22 accept
	}
}
"""


def nft(*more: dict[str, object], family: str = "inet", text: str = NFT) -> Facts:
    where = {"family": family, "table": "filter"}
    chain = {
        **where,
        "name": "input",
        "handle": 1,
        "type": "filter",
        "hook": "input",
        "prio": 0,
        "policy": "drop",
    }
    items = [{"chain": chain}, *({"rule": {**where, "chain": "input", **rule}} for rule in more)]
    return facts(n.NFTABLES, {"nft": json.dumps({"nftables": items})}, {n.NFT_CONF: text})


def opened(*ports: int) -> dict[str, object]:
    left = {"payload": {"protocol": "tcp", "field": "dport"}}
    match = {"match": {"op": "==", "left": left, "right": {"set": list(ports)}}}
    return {"handle": 7, "expr": [match, {"accept": None}]}


@pytest.mark.parametrize("at", [None, 7])
@pytest.mark.parametrize(
    ("tool", "chain"),
    [("nft", "inet filter input"), ("iptables", "INPUT"), ("ip6tables", "INPUT"), ("firewalld", "public")],
)
def test_the_command_that_is_shown_is_the_one_that_is_run_also_when_it_is_pasted(
    tool: Tool, chain: str, at: int | None
) -> None:
    rule = LiveRule(tool, chain, 587, 4, at=at)
    assert tuple(shlex.split(rule.words())) == rule.adding(LivePlaces(before=at))


def test_which_rule_a_command_removes_is_seen() -> None:
    rule = LiveRule("nft", "inet filter input", 587, 4)
    assert rule.words(remove=True) == "nft delete rule inet filter input handle N  # of port 587"
    rule = LiveRule("iptables", "INPUT", 587, 4)
    assert shlex.split(rule.words(remove=True)) == [*rule.removing(LivePlaces((0,)))[0]]


def test_nftables() -> None:
    made = plan(nft())
    assert rules(made)[1] == """nft add rule inet filter input tcp dport 587 accept comment '"msa-wizard"'"""
    assert 'tcp dport 587 accept comment "msa-wizard"' in written(made)[n.NFT_CONF]
    # Live only: it would be closed after the next boot.
    made = plan(nft(opened(25, 587)))
    assert (rules(made), set(written(made))) == ([], {n.NFT_CONF})
    assert made.reason.endswith("/etc/nftables.conf does not open all of them after a boot")
    for row in (
        "tcp dport { 25, 587 } accept",
        "tcp dport { smtp, submission } accept",
        'ct state new tcp dport vmap { 25 : accept, 500-600 : accept } comment "mail"',
    ):
        both = NFT.replace("tcp dport 22 accept", row)
        assert plan(nft(opened(25, 587), text=both)).outcome is Outcome.DONE, row
        assert (len(rules(plan(nft(text=both)))), written(plan(nft(text=both)))) == (2, {}), row


@pytest.mark.parametrize(
    ("declared", "row", "more"),
    [
        (
            "set mail { type inet_service; flags interval; elements = { 25, 80-90 }; }",
            "tcp dport @mail accept",
            "80-90, 587",
        ),
        (
            "set mail { type inet_service; size 587; elements={25,80-90}; auto-merge; }",
            "tcp dport @mail accept",
            "submission",
        ),
        ("define mail={smtp,80-90}", "tcp dport $mail accept", "587"),
        ("define mail = { smtp, 80-90 }", "tcp dport $mail counter accept", "80-90, submission"),
        (
            "define more = 80-90; set mail { type inet_service; elements = { 25, $more }; }",
            "tcp dport @mail accept",
            "500-600",
        ),
        (
            "map mail { type inet_service : verdict; elements = { 25 : accept, 80-90 : drop }; }",
            "tcp dport vmap @mail",
            "587 : accept, 80-90",
        ),
    ],
)
def test_a_set_or_a_variable_of_the_file_opens_what_is_in_it_alone(
    declared: str, row: str, more: str
) -> None:
    text = NFT.replace("tcp dport 22 accept", row).replace("\tchain", f"\t{declared}\n\tchain")
    rule = 'tcp dport 587 accept comment "msa-wizard"'
    for live in (nft(opened(25), text=text), nft(opened(25, 587), text=text)):
        new = written(plan(live))[n.NFT_CONF]
        assert new.replace(f"\t\t{rule}\n", "") == text
        assert rule in new
    text = text.replace("80-90", more)
    assert plan(nft(opened(25, 587), text=text)).outcome is Outcome.DONE


def test_the_rule_stands_before_one_of_the_file_that_refuses_the_port() -> None:
    for row in ("tcp dport vmap { 25 : accept, 587 : drop }", "tcp dport 587 reject with tcp reset"):
        new = written(plan(nft(text=NFT.replace("tcp dport 22 accept", row))))[n.NFT_CONF]
        assert new.index("587 accept") < new.index(row), row
    row = "ip saddr 192.0.2.0/24 tcp dport 587 drop"  # whoever is kept out stays out
    new = written(plan(nft(text=NFT.replace("tcp dport 22 accept", row))))[n.NFT_CONF]
    assert new.index("587 accept") > new.index(row)


def test_elements_that_the_file_adds_further_down_count() -> None:
    row, more = "tcp dport @mail accept", "add element inet filter mail {{ {} }}\n"
    text = NFT.replace("tcp dport 22 accept", row).replace(
        "\tchain", "\tset mail { type inet_service; }\n\tchain"
    )
    assert plan(nft(opened(25, 587), text=text + more.format("25, 587"))).outcome is Outcome.DONE
    assert plan(nft(opened(25, 587), text=text + more.format("25"))).outcome is Outcome.PENDING


_INCLUDE = 'include "/etc/nftables.d/*.nft"\n'


@pytest.mark.parametrize(
    ("declared", "row", "end"),
    [
        ("", "tcp dport @mail accept", ""),
        ("set mail { type inet_service; }", "tcp dport @mail accept", _INCLUDE),
        ("set mail { type inet_service; elements = { 25 }; }", "tcp dport @mail accept", _INCLUDE),
        ("map mail { type inet_service : verdict; }", "tcp dport vmap @mail", _INCLUDE),
    ],
)
def test_what_another_file_may_explain_is_believed_where_the_port_is_open(
    declared: str, row: str, end: str
) -> None:
    both = NFT.replace("tcp dport 22 accept", row).replace("\tchain", f"\t{declared}\n\tchain") + end
    assert plan(nft(opened(25, 587), text=both)).outcome is Outcome.DONE
    assert set(written(plan(nft(text=both)))) == {n.NFT_CONF}


def test_what_stands_in_quotes_is_no_word_of_the_rule() -> None:
    for row in (
        'tcp dport { 25, 587 } log prefix "mail, no drop: " accept',
        'tcp dport { 25, 587 } accept comment "from any saddr"',
        'log prefix "tcp dport 22 drop" tcp dport { 25, 587 } accept',
    ):
        both = NFT.replace("tcp dport 22 accept", row)
        assert plan(nft(opened(25, 587), text=both)).outcome is Outcome.DONE, row
    row = 'tcp dport { 25, 587 } log prefix "accept " drop'
    new = written(plan(nft(opened(25, 587), text=NFT.replace("tcp dport 22 accept", row))))[n.NFT_CONF]
    assert new.index("587 accept") < new.index(row)


def test_a_rule_of_the_file_that_is_not_for_everybody_opens_nothing() -> None:
    for limits in ("iifname lan0", "ip saddr 192.0.2.0/24"):
        both = NFT.replace("tcp dport 22 accept", f"{limits} tcp dport {{ 25, 587 }} accept")
        assert set(written(plan(nft(text=both)))) == {n.NFT_CONF}, limits


def test_only_the_ports_that_are_closed_are_named() -> None:
    one, both = plan(nft(opened(25))), plan(nft())
    assert one.reason == "open port 587 in nftables"
    assert one.changes[0].describe().title == "add a live rule, beside what is there"
    assert both.reason == "open ports 25 and 587 in nftables"
    assert both.changes[0].describe().title == "add live rules, beside what is there"


def test_a_chain_that_the_file_does_not_make_blocks() -> None:
    blocked = plan(nft(family="ip"))
    assert (blocked.outcome, "something else does" in blocked.reason) == (Outcome.BLOCKED, True)
    blocked = plan(
        nft(
            text="add table inet filter\nadd chain inet filter input { type filter hook input priority 0; }\n"
        )
    )
    assert (blocked.outcome, "is not edited" in blocked.reason) == (Outcome.BLOCKED, True)


def test_the_ssh_connection_is_named_and_the_proof_is_outside() -> None:
    found = dataclasses.replace(iptables(), ssh_port=2222)
    assert any("port 2222" in note and "not touched" in note for note in plan(found).notes)
    from wizard.system.host import Host

    checks = step("firewall").verify(Host(), found, Answers())
    assert [check.sign for check in checks] == [Sign.FAILED, Sign.FAILED, Sign.PENDING]
    assert "msa-wizard test --host mail.example.test" in checks[-1].remedy
    assert "openssl s_client -starttls smtp" in checks[-1].remedy
    assert "swaks --server" in checks[-1].remedy


def test_each_firewall_is_in_every_table_without_which_it_is_never_seen_or_opened() -> None:
    assert set(n.NAMES) == FIREWALLS.keys() == n.FILES.keys() == JUDGES.keys() == _INSTALLED.keys()
    assert set(n.NAMES) == {name for _, names in _ASKS.values() for name in names}
