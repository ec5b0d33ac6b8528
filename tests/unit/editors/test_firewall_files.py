"""The editors of firewalls' rules files: what they add is there, and everything else stays as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.editors import EditError, firewalld_zone, nft_conf, shorewall_rules, xtables_file
from wizard.packet_filter.iptables import filter_table
from wizard.packet_filter.walk import Packet, Verdict, fate

RULE = "tcp dport 587 accept"
KEY = "inet filter input"
LINE = "-A INPUT -p tcp -m tcp --dport 587 -j ACCEPT"
PACKET = Packet(4, 587, frozenset({"eth0"}))

statements = st.lists(
    st.sampled_from(
        [
            'iif "lo" accept',
            "ct state vmap { established : accept, invalid : drop }",
            "tcp dport { 22,\n 80 } accept",
            'tcp dport 22 accept comment "a { strange; } # one"',
            "# only a comment } {",
            "ip saddr 192.0.2.0/24 drop",
            "counter",
            "tcp dport 22 accept; tcp dport 80 accept",
        ]
    ),
    max_size=6,
)
ends = st.sampled_from(
    ["", "drop", "counter drop", 'log prefix "no: " drop', "reject with icmpx admin-prohibited"]
)


@given(statements, ends, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_nft_gets_the_rule_in_its_chain_before_the_end_and_nothing_else(
    inside: list[str], end: str, spread: bool, newline: str
) -> None:
    body = ["type filter hook input priority 0; policy drop;", *inside, *([end] if end else [])]
    rows = "\n".join(f"\t\t{row}" for row in body)
    other = "\tchain forward {\n\t\ttype filter hook forward priority 0;\n\t}\n"
    text = f"#!/usr/sbin/nft -f\nflush ruleset\ntable inet filter {{\n\tchain input {{\n{rows}\n\t}}\n{other}}}\n"
    text = (text if spread else text.replace("\t", " ")).replace("\n", newline)
    new = nft_conf.insert(text, KEY, [RULE])
    found = next(chain for chain in nft_conf.chain_bodies(new) if chain.key == KEY)
    words = [item.words for item in found.statements]
    before = [item.words for item in nft_conf.chain_bodies(text)[0].statements]
    at = words.index(RULE)
    assert words[:at] + words[at + 1 :] == before
    assert words[at + 1 :] == ([before[-1]] if end else [])
    kept = new.splitlines(keepends=True)
    assert [line for line in kept if line.strip() != RULE] == text.splitlines(keepends=True)


def test_nft_on_one_line() -> None:
    text = "table inet filter { chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept } }"
    new = nft_conf.insert(text, KEY, [RULE])
    assert [item.words for item in nft_conf.chain_bodies(new)[0].statements][-2:] == [
        "tcp dport 22 accept",
        RULE,
    ]


def test_a_rule_goes_before_the_log_of_what_is_dropped() -> None:
    rows = 'tcp dport 22 accept\nlimit rate 5/minute log prefix "dropped; "\ncounter\n'
    text = f"table inet filter {{\nchain input {{\ntype filter hook input priority 0; policy drop;\n{rows}drop\n}}\n}}\n"
    words = [item.words for item in nft_conf.chain_bodies(nft_conf.insert(text, KEY, [RULE]))[0].statements]
    assert words.index(RULE) < words.index("drop")
    text = text.replace("counter\n", "")
    words = [item.words for item in nft_conf.chain_bodies(nft_conf.insert(text, KEY, [RULE]))[0].statements]
    assert words[-3:] == [RULE, 'limit rate 5/minute log prefix "dropped; "', "drop"]


def test_a_jump_to_what_drops_everything_ends_a_chain() -> None:
    text = "table inet filter {\nchain input {\ntcp dport 22 accept\njump no\n}\nchain no { drop; }\n}\n"
    words = [
        item.words for item in nft_conf.chain_bodies(nft_conf.insert(text, KEY, [RULE], ["no"]))[0].statements
    ]
    assert words == ["tcp dport 22 accept", RULE, "jump no"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "table inet filter {",
        "table inet filter { chain input { } } }",
        "table ip filter { chain input { } }",
        "table inet filter { chain input { }\nchain input { } }",
        "add rule inet filter input tcp dport 22 accept",
    ],
)
def test_nft_that_is_not_understood_is_left_alone(text: str) -> None:
    with pytest.raises(EditError):
        nft_conf.insert(text, KEY, [RULE])


@given(st.text(alphabet='{}"#;\\\n tableinchx@$/é\x00', max_size=80))
def test_nft_of_any_text_is_edited_or_refused(text: str) -> None:
    try:
        new = nft_conf.insert(text, KEY, [RULE])
    except EditError:
        return
    assert len(new) > len(text)


def test_a_table_without_a_name_has_no_chains() -> None:
    assert nft_conf.chain_bodies("table {\n\tchain input {\n\t}\n}\n") == ()


def test_names_of_tables_and_includes() -> None:
    text = 'table inet filter {\n}\n# table ip no {\ntable mine {}\nadd table ip6 flat\ninclude "/etc/nftables.d/*.conf"\n'
    assert nft_conf.tables(text) == {"inet filter", "ip mine", "ip6 flat"}
    assert nft_conf.includes(text) == ("/etc/nftables.d/*.conf",)


rows = st.lists(
    st.sampled_from(
        [
            "-A INPUT -i lo -j ACCEPT",
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A INPUT -s 192.0.2.0/24 -j DROP",
            "-A FORWARD -j DROP",
            "# COMMIT",
            '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "a -j DROP b" -j ACCEPT',
        ]
    ),
    max_size=6,
)


@given(
    rows,
    st.sampled_from(["DROP", "ACCEPT"]),
    st.sampled_from(["", "-A INPUT -j REJECT", "-A INPUT -p tcp -j DROP"]),
)
def test_iptables_gets_a_rule_that_counts_and_nothing_else(inside: list[str], policy: str, last: str) -> None:
    head = (
        "*nat",
        ":INPUT ACCEPT [0:0]",
        "COMMIT",
        "*filter",
        f":INPUT {policy} [0:0]",
        ":FORWARD DROP [0:0]",
    )
    end = ((last,) if last else ()) + ("-A FORWARD -j ACCEPT", "COMMIT", "")
    text = "\n".join((*head, *inside, *end))
    found = fate(filter_table(text).chains(), "INPUT", PACKET)
    assert (found.verdict is Verdict.DROP) == (policy == "DROP" or bool(last))
    if found.verdict is Verdict.ACCEPT:
        return
    new = xtables_file.insert(text, "INPUT", found.way[0][1], [LINE])
    assert fate(filter_table(new).chains(), "INPUT", PACKET).verdict is Verdict.ACCEPT
    assert fate(filter_table(new).chains(), "INPUT", Packet(4, 99)).verdict is Verdict.DROP
    lines = new.split("\n")
    lines.remove(LINE)
    assert "\n".join(lines) == text


@pytest.mark.parametrize(
    "text", ["", "*filter\n:INPUT DROP\n", "*nat\n:INPUT DROP\nCOMMIT\n", "*filter\nCOMMIT\n"]
)
def test_iptables_without_the_chain_is_left_alone(text: str) -> None:
    with pytest.raises(EditError):
        xtables_file.insert(text, "INPUT", None, [LINE])


def test_ufw_gets_its_own_blocks() -> None:
    text = "*filter\n### RULES ###\n\n### tuple ### one\n-A one\n\n### END RULES ###\nCOMMIT\n"
    new = xtables_file.insert_ufw(text, ["### tuple ### two\n-A two\n"])
    assert new == text.replace("### END", "### tuple ### two\n-A two\n\n### END")
    with pytest.raises(EditError):
        xtables_file.insert_ufw(text * 2, ["x"])


PORT = '<port port="587" protocol="tcp"/>'


def test_firewalld_gets_the_port_in_the_zone_itself() -> None:
    zone = '<?xml version="1.0"?>\n<zone>\n  <rule><port port="1" protocol="tcp"/></rule>\n  <!-- </zone> -->\n</zone>\n'
    new = firewalld_zone.add(zone, [PORT])
    assert new == zone.replace("\n</zone>", f"\n  {PORT}\n</zone>")
    again = firewalld_zone.add(new, ['<port port="465" protocol="tcp"/>'])
    assert firewalld_zone.ports(again) == ((587, 587), (465, 465))  # what a rule limits is not open
    with pytest.raises(EditError):
        firewalld_zone.add("<zone>", [PORT])


BLOCK = "?COMMENT x\nACCEPT net $FW tcp 587\n?COMMENT\n"


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("", "?SECTION NEW\n"),
        ("# nothing\n", "?SECTION NEW\n"),
        ("?SECTION ESTABLISHED\n", "?SECTION NEW\n"),
        ("?SECTION NEW\nACCEPT net $FW tcp 22\n", ""),
        ("SECTION NEW", "\n"),
        ("ACCEPT net $FW tcp 22\n", ""),
    ],
)
def test_shorewall_gets_the_rules_under_the_section_new(text: str, head: str) -> None:
    assert shorewall_rules.add(text, BLOCK) == text + head + BLOCK
    assert not shorewall_rules.opens(text, "net", 587)
    assert shorewall_rules.opens(text + head + BLOCK, "net", 587)


@pytest.mark.parametrize(
    ("row", "port", "opens"),
    [
        ("ACCEPT net $FW tcp 25,587", 587, True),
        ("ACCEPT net fw tcp submission", 587, True),
        ("ACCEPT net $FW tcp 500:600 - -", 587, True),
        ("SMTP(ACCEPT) net $FW", 25, True),
        ("ACCEPT:info all $FW tcp 587 # all", 587, True),
        ("ACCEPT net:192.0.2.1 $FW tcp 587", 587, False),
        ("ACCEPT net $FW udp 587", 587, False),
        ("ACCEPT net $FW tcp 587 - 192.0.2.1", 587, False),
        ("DROP net $FW tcp 587", 587, False),
        ("ACCEPT dmz $FW tcp 587", 587, False),
        ("#ACCEPT net $FW tcp 587", 587, False),
        ("ACCEPT net \\\n $FW tcp 587", 587, True),
    ],
)
def test_what_a_row_of_shorewall_opens(row: str, port: int, opens: bool) -> None:
    assert shorewall_rules.opens(row, "net", port) is opens


def test_zones_and_interfaces_of_shorewall() -> None:
    zones = shorewall_rules.zones("#ZONE TYPE\nfw firewall\nworld ipv4\ndmz:world ip\n?COMMENT x\n")
    assert zones == {"fw": "firewall", "world": "ipv4", "dmz": "ip"}
    found = shorewall_rules.interfaces("?FORMAT 2\nworld EXT tcpflags,physical=eth0\ndmz br0:eth1\n- eth9\n")
    assert found == {"eth0": "world", "br0": "dmz"}
