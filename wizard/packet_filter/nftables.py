"""The rules of nftables as `nft -j list ruleset` prints them (libnftables-json(5)). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wizard.packet_filter.walk import (
    Chain,
    Match,
    Packet,
    Rule,
    Verdict,
    any_of,
    both,
    negated,
    outcomes,
    when,
)

Json = Any
Reach = Literal["open", "closed", "unknown"]
"""Whether a packet gets by; unknown where that depends on its address, a rate, or anything else of the packet itself."""
_FAMILIES = {"inet": (4, 6), "ip": (4,), "ip6": (6,)}
_WORDS = ("accept", "drop", "reject", "jump", "goto", "return")
_NEUTRAL = frozenset({"counter", "log", "comment", "mangle", "notrack"})


@dataclass(frozen=True)
class BaseChain:
    """A chain that the kernel calls for every packet to this host: its table, name, the families it sees."""

    family: str
    table: str
    name: str
    priority: int
    families: tuple[int, ...]

    @property
    def words(self) -> str:
        """As nft names it."""
        return f"{self.family} {self.table} {self.name}"


@dataclass(frozen=True)
class Ruleset:
    """All live rules; chains are keyed by family, table and name, as in `inet filter input`."""

    inputs: tuple[BaseChain, ...] = ()
    chains: Mapping[str, Chain] = field(default_factory=dict)
    banned: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """fail2ban's sets and chains (f2b-..., addr-set-...), each with the addresses in it."""

    def verdict(self, port: int, family: int = 4, source: str = "") -> tuple[Reach, str]:
        """What becomes of a new connection to `port` from `source`, or from nobody in particular, and the rule or chain
        that says so."""
        answer: tuple[Reach, str] = ("open", "no chain refuses it")
        for base in self.inputs:
            if family not in base.families:
                continue
            came = outcomes(self.chains, base.words, Packet(family, port, source=source))
            if came.verdicts == {Verdict.DROP}:
                return "closed", _place(came.refusals[-1])
            if Verdict.DROP in came.verdicts:
                answer = ("unknown", _place(came.refusals[0]))
        return answer


def ruleset(text: str) -> Ruleset:
    """The rules in the JSON `text`. Raises ValueError where it is not valid."""
    items = json.loads(text)["nftables"] if text.strip() else []
    several = [item[kind] for item in items for kind in ("set", "map") if kind in item]
    sets = {_key(each): each.get("elem", []) for each in several}
    rules: dict[str, list[Json]] = {}
    for rule in (item["rule"] for item in items if "rule" in item):
        rules.setdefault(f"{rule['family']} {rule['table']} {rule['chain']}", []).append(rule)
    chains, inputs = {}, []
    for chain in (item["chain"] for item in items if "chain" in item):
        key, family = _key(chain), chain["family"]
        policy = Verdict(chain["policy"]) if chain.get("policy") in ("accept", "drop") else None
        chains[key] = Chain(key, tuple(_rule(rule, sets) for rule in rules.get(key, [])), policy)
        if chain.get("hook") == "input" and chain.get("type") == "filter" and family in _FAMILIES:
            priority = int(chain.get("prio", 0))
            inputs.append(BaseChain(family, chain["table"], chain["name"], priority, _FAMILIES[family]))
    banned = tuple(_banned(sets, [rule for several in rules.values() for rule in several]))
    return Ruleset(tuple(sorted(inputs, key=lambda base: base.priority)), chains, banned)


def _place(place: tuple[str, int | None]) -> str:
    chain, handle = place
    return f"chain {chain}: policy drop" if handle is None else f"rule in {chain}, handle {handle}"


def _banned(sets: Mapping[str, Json], rules: Sequence[Json]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, elements in sets.items():
        _, table, name = key.split(" ", 2)
        if name.startswith(("f2b-", "addr-set-")) and elements:
            yield f"{table} {name}", tuple(map(_address, elements))
    for rule in rules:
        for item in rule.get("expr", []) if rule["chain"].startswith("f2b-") else ():
            match item:
                case {"match": {"left": {"payload": {"field": "saddr"}}, "right": right}}:
                    if not (address := _address(right)).startswith(("@", "{")):
                        yield f"{rule['table']} {rule['chain']}", (address,)


def _address(element: Json) -> str:
    if isinstance(element, dict):
        inner = element.get("elem", element)
        return _address(inner["val"]) if "val" in inner else json.dumps(inner)
    return str(element)


def _key(item: Json) -> str:
    return f"{item['family']} {item['table']} {item['name']}"


def _rule(rule: Json, sets: Mapping[str, Json]) -> Rule:
    where = f"{rule['family']} {rule['table']}"

    def judge(packet: Packet) -> tuple[Match, Verdict, str]:
        match, verdict, target = Match.ALWAYS, Verdict.NONE, ""
        expressions = rule.get("expr", [])
        for expression in expressions:
            pairs = expression.items() if isinstance(expression, dict) else [(expression, None)]
            name, body = next(iter(pairs))
            if name == "match":
                match = both(match, _match(body, packet, where, sets))
            elif name in _WORDS:
                verdict, target = _verdict(expression, where)
            elif name == "vmap":
                taken, verdict, target = _map(body, packet, where, sets)
                match = both(match, taken)
            elif name == "xt" and isinstance(body, dict) and body.get("type") == "target":
                # What iptables-nft could not translate.
                refuses = str(body["name"]).upper() in ("DROP", "REJECT")
                verdict = Verdict.DROP if refuses else verdict
            elif name not in _NEUTRAL:
                match = both(match, Match.PERHAPS)
        if verdict is Verdict.NONE and any("log" in each for each in expressions):
            verdict = Verdict.LOG
        return match, verdict, target

    return Rule(rule["handle"], judge, rule.get("comment", ""))


def _verdict(expression: Json, where: str) -> tuple[Verdict, str]:
    name, body = next(iter(expression.items()))
    if name == "reject":
        return Verdict.DROP, ""
    target = f"{where} {body['target']}" if name in ("jump", "goto") else ""
    return Verdict(name), target


def _match(body: Json, packet: Packet, where: str, sets: Mapping[str, Json]) -> Match:
    match = _holds(body["left"], list(_values(body["right"], where, sets)), packet)
    if body["op"] in ("==", "in"):
        return match
    return negated(match) if body["op"] == "!=" else Match.PERHAPS


def _holds(left: Json, values: list[Json], packet: Packet) -> Match:
    """Whether what `left` reads of the packet is one of `values`."""
    match left:
        case {"payload": {"protocol": "tcp" | "th", "field": "dport"}}:
            return when(any(_in_range(packet.port, value) for value in values))
        case {"payload": {"protocol": "udp" | "icmp" | "icmpv6" | "udplite" | "sctp" | "dccp"}}:
            return Match.NEVER
        case {"meta": {"key": "iifname" | "iif"}}:
            return any_of(packet.by(str(value)) for value in values)
        case {"meta": {"key": "l4proto"}} | {"payload": {"field": "protocol" | "nexthdr"}}:
            return when(bool({"tcp", 6} & set(values)))
        case {"meta": {"key": "nfproto"}}:
            return when({4: "ipv4", 6: "ipv6"}[packet.family] in values)
        case {"ct": {"key": "state"}}:
            return when("new" in values)
        case {"fib": {"result": "type"}}:
            return when("local" in values)
        case {"concat": list(parts)}:
            rows = [value["concat"] for value in values if isinstance(value, dict) and "concat" in value]
            return any_of(
                both(*(_holds(part, [value], packet) for part, value in zip(parts, row, strict=False)))
                for row in rows
            )
        case {"payload": {"protocol": "ip" | "ip6" as protocol, "field": "saddr"}} if packet.source:
            mine = protocol == {4: "ip", 6: "ip6"}[packet.family]
            return any_of(_comes_from(packet, value) for value in values) if mine else Match.NEVER
        case {"payload": {"protocol": "ip" | "ip6" as protocol}}:
            return Match.PERHAPS if protocol == {4: "ip", 6: "ip6"}[packet.family] else Match.NEVER
        case _:
            return Match.PERHAPS


def _comes_from(packet: Packet, value: Json) -> Match:
    match value:
        case str(address):
            return packet.comes_from(address)
        case {"prefix": {"addr": str(address), "len": int(length)}}:
            return packet.comes_from(f"{address}/{length}")
        case {"range": [str(first), str(last)]}:
            return packet.comes_from(first, last)
        case _:
            return Match.PERHAPS


def _map(body: Json, packet: Packet, where: str, sets: Mapping[str, Json]) -> tuple[Match, Verdict, str]:
    """Where only the packet can tell which of its verdicts it is, the one that refuses, if there is one."""
    data = body["data"]
    inline = isinstance(data, dict)
    pairs = data.get("set", []) if inline else sets.get(f"{where} {str(data).removeprefix('@')}", [])
    perhaps: list[tuple[Verdict, str]] = []
    for key, verdict in pairs:
        taken = _holds(body["key"], list(_values(key, where, sets)), packet)
        if taken is Match.ALWAYS:
            return (taken, *_verdict(verdict, where))
        if taken is Match.PERHAPS:
            perhaps.append(_verdict(verdict, where))
    worst = sorted(perhaps, key=lambda each: each[0] is not Verdict.DROP)
    return (Match.PERHAPS, *worst[0]) if worst else (Match.NEVER, Verdict.NONE, "")


def _values(right: Json, where: str, sets: Mapping[str, Json]) -> Iterator[Json]:
    match right:
        case {"set": several} | list(several):
            for value in several:
                yield from _values(value, where, sets)
        case str(name) if name.startswith("@"):
            yield from _values(sets.get(f"{where} {name[1:]}", []), where, sets)
        case {"elem": {"val": value}}:
            yield value
        case _:
            yield right


def _in_range(port: int, value: Json) -> bool:
    match value:
        case {"range": [int(low), int(high)]}:
            return low <= port <= high
        case _:
            return bool(value == port)
