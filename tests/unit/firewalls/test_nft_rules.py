"""What nftables rules do with a connection from outside, as nft's JSON tells of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wizard.changes.rules import LiveRule, in_nft
from wizard.packet_filter.nftables import Ruleset, ruleset
from wizard.packet_filter.walk import Packet, Verdict, fate

KEY = "inet filter input"
OUTSIDE = frozenset({"eth0"})
PACKET = Packet(4, 587, OUTSIDE)
Json = dict[str, Any]


def dport(right: object, op: str = "==") -> Json:
    return {"match": {"op": op, "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": right}}


def meta(key: str, right: object, op: str = "==") -> Json:
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}


def state(*right: str) -> Json:
    return {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": list(right)}}


DROP: Json = {"drop": None}
ACCEPT: Json = {"accept": None}
SADDR = {
    "match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.1"}
}
LOG: Json = {"log": {"prefix": "no"}}


def live(
    *rules: list[Json], policy: str = "accept", comment: str = "", more: tuple[Json, ...] = ()
) -> Ruleset:
    where = {"family": "inet", "table": "filter"}
    chain = {
        **where,
        "name": "input",
        "handle": 1,
        "type": "filter",
        "hook": "input",
        "prio": 0,
        "policy": policy,
    }
    items: list[Json] = [{"metainfo": {}}, {"chain": chain}, *more]
    for handle, expr in enumerate(rules, 10):
        items.append(
            {"rule": {**where, "chain": "input", "handle": handle, "expr": expr, "comment": comment}}
        )
    return ruleset(json.dumps({"nftables": items}))


@pytest.mark.parametrize(
    "rule",
    [
        [DROP],
        [{"counter": {"packets": 0, "bytes": 0}}, LOG, {"reject": {"type": "icmpx"}}],
        [dport(587), DROP],
        [dport({"set": [25, {"range": [500, 600]}]}), DROP],
        [dport(22, "!="), DROP],
        [dport("@closed"), DROP],
        [meta("iifname", "eth0"), DROP],
        [meta("iifname", "eth*"), DROP],
        [meta("iifname", "lo", "!="), DROP],
        [meta("l4proto", "tcp"), meta("nfproto", "ipv4"), DROP],
        [state("new", "invalid"), DROP],
        [
            {
                "vmap": {
                    "key": {"payload": {"protocol": "tcp", "field": "dport"}},
                    "data": {"set": [[587, DROP]]},
                }
            }
        ],
        [{"jump": {"target": "end"}}],
    ],
)
def test_what_keeps_the_connection_out(rule: list[Json]) -> None:
    where = {"family": "inet", "table": "filter"}
    closed = {"set": {**where, "name": "closed", "elem": [{"elem": {"val": 587}}, 1]}}
    end = {"chain": {**where, "name": "end", "handle": 2}}
    last = {"rule": {**where, "chain": "end", "handle": 3, "expr": [DROP]}}
    found = fate(live(rule, more=(closed, end, last)).chains, KEY, PACKET)
    assert (found.verdict, found.way[0]) == (Verdict.DROP, (KEY, 10))


@pytest.mark.parametrize(
    "rule",
    [
        [SADDR, DROP],
        [dport(22), DROP],
        [dport(587, "!="), DROP],
        [meta("iifname", "lo"), DROP],
        [meta("nfproto", "ipv6"), DROP],
        [meta("l4proto", "udp"), DROP],
        [state("established", "related"), DROP],
        [{"limit": {"rate": 5}}, DROP],
        [{"xt": {"type": "match", "name": "recent"}}, DROP],
        [
            {
                "vmap": {
                    "key": {"ct": {"key": "state"}},
                    "data": {"set": [["invalid", DROP], ["established", ACCEPT]]},
                }
            }
        ],
        [{"vmap": {"key": {"ct": {"key": "state"}}, "data": "@named"}}],
        [{"counter": None}],
    ],
)
def test_what_does_not_or_not_for_all(rule: list[Json]) -> None:
    assert fate(live(rule).chains, KEY, PACKET).verdict is Verdict.ACCEPT
    assert fate(live(rule, policy="drop").chains, KEY, PACKET).way == ((KEY, None),)


def test_only_chains_that_see_what_comes_in_count() -> None:
    forward = {
        "family": "ip",
        "table": "x",
        "name": "f",
        "handle": 1,
        "type": "filter",
        "hook": "forward",
        "prio": 0,
    }
    nat = {**forward, "name": "n", "type": "nat", "hook": "input"}
    early = {**forward, "name": "e", "hook": "input", "prio": -5}
    found = live(more=({"chain": forward}, {"chain": nat}, {"chain": early}))
    assert [base.words for base in found.inputs] == ["ip x e", KEY]
    assert found.inputs[0].families == (4,)


OURS = LiveRule("nft", KEY, 587, 4)


def test_ours_goes_before_the_log_of_what_is_dropped() -> None:
    found = in_nft(live([dport(22), ACCEPT], [{"limit": {}}, LOG], [DROP]), OURS, PACKET)
    assert found is not None
    assert (found.places, found.before) == ((), 11)
    assert OURS.adding(found)[:8] == ("nft", "insert", "rule", "inet", "filter", "input", "position", "11")


def test_ours_alone_is_found_again() -> None:
    found = in_nft(live([dport(587), ACCEPT]), OURS, PACKET)
    assert found is not None
    assert found.places == ()
    found = in_nft(live([dport(25), ACCEPT], [dport(587), ACCEPT], comment="msa-wizard"), OURS, PACKET)
    assert found is not None
    assert found.places == (11,)
    assert OURS.removing(found) == (("nft", "delete", "rule", "inet", "filter", "input", "handle", "11"),)
    assert in_nft(live(), LiveRule("nft", "inet filter gone", 587, 4), PACKET) is None


def test_what_is_no_ruleset_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        ruleset("no json")
    assert ruleset("") == Ruleset()
