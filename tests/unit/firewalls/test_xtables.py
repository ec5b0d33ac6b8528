"""What iptables rules do with a connection from outside, and where a rule of ours goes."""

from __future__ import annotations

import pytest

from wizard.changes.rules import LiveRule, in_xtables
from wizard.packet_filter.iptables import filter_table
from wizard.packet_filter.walk import Fate, Packet, Verdict, fate

OUTSIDE = frozenset({"eth0"})
PACKET = Packet(4, 587, OUTSIDE)


def saved(*rows: str, policy: str = "ACCEPT", chains: tuple[str, ...] = ()) -> str:
    declared = [f":{name} - [0:0]" for name in chains]
    return "\n".join(("*filter", f":INPUT {policy} [0:0]", *declared, *rows, "COMMIT", ""))


def verdict(row: str) -> Fate:
    return fate(filter_table(saved(row)).chains(), "INPUT", PACKET)


@pytest.mark.parametrize(
    "row",
    [
        "-j DROP",
        "-p tcp -j REJECT --reject-with tcp-reset",
        "-i eth0 -j DROP",
        "-i eth+ -p 6 -j DROP",
        "-m conntrack --ctstate NEW,INVALID -j DROP",
        "-m state --state NEW -j DROP",
        "-p tcp -m tcp ! --dport 22 -j DROP",
        "-p tcp -m multiport --dports 25,500:600 -j DROP",
        "-p tcp -m tcp --dport submission -j DROP",
        "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
        "-p tcp --syn -j DROP",
        '-m comment --comment "-s 192.0.2.1 ! --dport 1" -j DROP',
        "-m addrtype --dst-type LOCAL -j DROP",
        "[12:34] -A INPUT -j DROP",
    ],
)
def test_what_keeps_the_connection_out(row: str) -> None:
    row = row if "-A" in row else f"-A INPUT {row}"
    assert verdict(row) == Fate(Verdict.DROP, (("INPUT", 1),))


@pytest.mark.parametrize(
    "row",
    [
        "-i lo -j DROP",
        "-i eth1 -j DROP",
        "! -i eth0 -j DROP",
        "-p udp -j DROP",
        "-s 192.0.2.0/24 -j DROP",
        "-m conntrack --ctstate INVALID -j DROP",
        "-p tcp -m tcp --dport 22 -j DROP",
        "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
        "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP",
        "-p tcp -m tcp --tcp-flags SYN,RST SYN,RST -j DROP",
        "-m limit --limit 1/sec -j DROP",
        "-m set --match-set bad src -j DROP",
        "-j LOG --log-prefix no",
        "-j elsewhere",
        "-m addrtype --dst-type BROADCAST -j DROP",
        "not a rule",
    ],
)
def test_what_does_not_or_not_for_all(row: str) -> None:
    assert verdict(f"-A INPUT {row}").verdict is Verdict.ACCEPT


def test_the_way_through_chains() -> None:
    rows = ("-A INPUT -j f2b", "-A f2b -s 192.0.2.1 -j DROP", "-A f2b -j RETURN", "-A f2b -j DROP")
    text = saved(
        *rows,
        "-A INPUT -i eth0 -j net-fw",
        "-A net-fw -g end",
        "-A end -j DROP",
        chains=("f2b", "net-fw", "end"),
    )
    found = fate(filter_table(text).chains(), "INPUT", PACKET)
    assert found == Fate(Verdict.DROP, (("INPUT", 2), ("net-fw", 1), ("end", 1)))
    # goto does not come back.
    text = saved("-A INPUT -g end", "-A INPUT -j DROP", chains=("end",))
    assert fate(filter_table(text).chains(), "INPUT", PACKET).verdict is Verdict.ACCEPT
    # A loop, which the kernel would refuse, ends.
    text = saved("-A INPUT -j a", "-A a -j a", chains=("a",), policy="DROP")
    assert fate(filter_table(text).chains(), "INPUT", PACKET) == Fate(Verdict.DROP, (("INPUT", None),))


def test_other_tables_do_not_count() -> None:
    text = "*nat\n:INPUT DROP\n-A INPUT -j DROP\nCOMMIT\n" + saved() + "*raw\n:INPUT DROP\nCOMMIT\n"
    assert fate(filter_table(text).chains(), "INPUT", PACKET).verdict is Verdict.ACCEPT


OURS = LiveRule("iptables", "INPUT", 587, 4)
ROW = "-A INPUT " + " ".join(OURS.options)


def test_ours_goes_before_what_blocks_and_what_logs_that() -> None:
    text = saved("-A INPUT -i lo -j ACCEPT", "-A INPUT -m limit --limit 3/min -j LOG", "-A INPUT -j DROP")
    found = in_xtables(text, OURS, PACKET)
    assert found is not None
    assert (found.places, found.before) == ((), 2)
    assert OURS.adding(found)[:6] == ("iptables", "-w", "10", "-I", "INPUT", "2")
    assert in_xtables(saved(), LiveRule("iptables", "gone", 587, 4), PACKET) is None


def test_ours_alone_is_found_again() -> None:
    admins = ROW.replace("-m comment --comment msa-wizard ", "")
    other = ROW.replace("587", "25")
    found = in_xtables(saved(admins, other, ROW, ROW), OURS, PACKET)
    assert found is not None
    assert found.places == (3, 4)
    assert [argv[-2:] for argv in OURS.removing(found)] == [("INPUT", "4"), ("INPUT", "3")]


def test_what_shorewall_has_merged_is_taken_out_of_it() -> None:
    rule = LiveRule("iptables", "INPUT", 587, 4, shared=True)
    row = (
        '-A INPUT -p tcp -m multiport --dports 22,587 -m comment --comment "Others and msa-wizard" -j ACCEPT'
    )
    found = in_xtables(saved(row), rule, PACKET)
    assert found is not None
    (command,) = rule.removing(found)
    assert command[3:12] == ("-R", "INPUT", "1", "-p", "tcp", "-m", "tcp", "--dport", "22")
    # Where the comment is not ours the admin put it there.
    found = in_xtables(saved(row.replace("msa-wizard", "mine")), rule, PACKET)
    assert found is not None
    assert rule.removing(found) == ()
