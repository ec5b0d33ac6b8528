"""What the kernel's packet filter does with a mail client's first packet: nft's ruleset, read and followed.

A packet of nobody in particular: from another host, over any device but lo, new, to a TCP port of this host. A rule
that depends on what is not known (an address, a rate) may or may not match; then the answer is `unknown`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from wizard.system.host import Host, HostError

Verdict = Literal["open", "closed", "unknown"]
_FAMILIES = ("ip", "inet", "ip6")
_DEEPEST = 32
_ENDS = {"accept": "open", "drop": "closed", "reject": "closed"}


@dataclass(frozen=True)
class Ruleset:
    """The tables as nft tells them. `asked` is False where there is no nft, or it did not answer."""

    asked: bool = False
    chains: tuple[dict[str, Any], ...] = ()
    rules: tuple[dict[str, Any], ...] = ()
    sets: tuple[dict[str, Any], ...] = ()

    def verdict(self, port: int, family: str = "ip") -> tuple[Verdict, str]:
        """What comes of a packet to `port`, and the chain or rule that says so."""
        answer: tuple[Verdict, str] = ("open", "no chain stands before it")
        bases = [
            item for item in self.chains if item.get("hook") == "input" and item["family"] in (family, "inet")
        ]
        for chain in sorted(bases, key=lambda item: item.get("prio", 0)):
            walk = _Walk(self, port)
            came = walk.chain(chain, 0)
            if "through" in came:
                dropped = chain.get("policy") == "drop"
                came = came - {"through"} | {"closed" if dropped else "open"}
                if dropped:
                    walk.why.append(f"chain {chain['family']} {chain['table']} {chain['name']}: policy drop")
            if came == {"closed"}:
                return "closed", walk.why[-1]
            if "closed" in came:
                answer = ("unknown", walk.why[0])
        return answer

    def banned(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """fail2ban's sets (f2b-..., addr-set-...) with the addresses in them."""
        found = [
            (f"{item['table']} {item['name']}", tuple(map(_address, item.get("elem", ()))))
            for item in self.sets
            if item["name"].startswith(("f2b-", "addr-set-")) and item.get("elem")
        ]
        for rule in self.rules:
            if rule["chain"].startswith("f2b-"):
                found += [(f"{rule['table']} {rule['chain']}", (address,)) for address in _sources(rule)]
        return tuple(found)


def _address(element: Any) -> str:
    if isinstance(element, dict):
        inner = element.get("elem", element)
        return _address(inner["val"]) if "val" in inner else json.dumps(inner)
    return str(element)


def _sources(rule: dict[str, Any]) -> list[str]:
    found = []
    for item in rule.get("expr", ()):
        match = item.get("match") or {}
        left = match.get("left")
        if isinstance(left, dict) and (left.get("payload") or {}).get("field") == "saddr":
            found.append(_address(match.get("right")))
    return [item for item in found if not item.startswith(("@", "{"))]


def look(host: Host) -> Ruleset:
    """Ask nft, which knows what ufw, firewalld, shorewall and fail2ban have put there, too. Raises nothing."""
    try:
        done = host.run(["nft", "-j", "list", "ruleset"], timeout=10)
        items = json.loads(done.stdout)["nftables"] if done.code == 0 else None
    except (HostError, ValueError, KeyError):
        return Ruleset()
    if items is None:
        return Ruleset()

    def of(kind: str) -> tuple[dict[str, Any], ...]:
        return tuple(item[kind] for item in items if kind in item and item[kind]["family"] in _FAMILIES)

    return Ruleset(True, of("chain"), of("rule"), of("set"))


@dataclass
class _Walk:
    """One packet on its way."""

    ruleset: Ruleset
    port: int
    why: list[str] = field(default_factory=list)
    """The rules that refuse it, or may."""

    def chain(self, chain: dict[str, Any], deep: int) -> set[str]:
        """All that may come of it in this chain: open, closed, or through (to where the chain was called from)."""
        key = (chain["family"], chain["table"], chain["name"])
        may: set[str] = set()
        for rule in self.ruleset.rules:
            if (rule["family"], rule["table"], rule["chain"]) != key:
                continue
            matches = self._matches(rule.get("expr", ()))
            if matches is False:
                continue
            came = self._ends(rule, deep)
            may |= came - {"on"}
            if matches and "on" not in came:
                return may
        return may | {"through"}

    def _ends(self, rule: dict[str, Any], deep: int) -> set[str]:
        """What may come of a rule that matches; `on` is the next rule."""
        where = f"rule in {rule['family']} {rule['table']} {rule['chain']}, handle {rule.get('handle')}"
        for item in rule.get("expr", ()):
            word = next((name for name in (*_ENDS, "return", "jump", "goto", "xt") if name in item), "")
            if word in _ENDS:
                if _ENDS[word] == "closed":
                    self.why.append(f"{where}: {word}")
                return {_ENDS[word]}
            if word == "return":
                return {"through"}
            if word in ("jump", "goto"):
                came = self._called(rule, (item[word] or {}).get("target"), deep)
                return came if word == "goto" else {"on" if one == "through" else one for one in came}
            if word == "xt" and (item["xt"] or {}).get("type") == "target":
                name = str(item["xt"].get("name", "")).upper()
                if name in ("REJECT", "DROP"):
                    self.why.append(f"{where}: {name}")
                    return {"closed"}
        return {"on"}

    def _called(self, rule: dict[str, Any], target: str | None, deep: int) -> set[str]:
        key = (rule["family"], rule["table"], target)
        for chain in self.ruleset.chains:
            if (chain["family"], chain["table"], chain["name"]) == key and deep < _DEEPEST:
                return self.chain(chain, deep + 1)
        return {"through"}

    def _matches(self, expressions: Any) -> bool | None:
        """True, False, or None where it depends on what is not known."""
        answer: bool | None = True
        for item in expressions:
            if "match" in item:
                one = self._one(item["match"])
                if one is False:
                    return False
                answer = answer if one else None
            elif ("xt" in item and (item["xt"] or {}).get("type") != "target") or "limit" in item:
                answer = None
        return answer

    def _one(self, match: dict[str, Any]) -> bool | None:
        left, right, operator = match.get("left"), match.get("right"), match.get("op")
        name = _name(left)
        known: dict[str, Any] = {
            "dport": self.port,
            "protocol": "tcp",
            "l4proto": "tcp",
            "nexthdr": "tcp",
            "ct state": "new",
            "iifname": None,
            "iif": None,
        }
        if name not in known:
            return None
        if name in ("iifname", "iif"):
            return operator == "!=" if right == "lo" else None
        if name == "dport" and isinstance(left, dict) and left.get("payload", {}).get("protocol") == "udp":
            return False
        inside = _inside(known[name], right)
        if inside is None:
            return None
        return not inside if operator == "!=" else inside


def _name(left: Any) -> str:
    if not isinstance(left, dict):
        return ""
    if "payload" in left:
        return str(left["payload"].get("field", ""))
    if "meta" in left:
        return str(left["meta"].get("key", ""))
    if "ct" in left and left["ct"].get("key") == "state":
        return "ct state"
    return ""


def _inside(value: Any, right: Any) -> bool | None:
    """Whether the value is what stands on the right: a value, a list, a set, a range."""
    if isinstance(right, list):
        found = [_inside(value, item) for item in right]
        return True if True in found else None if None in found else False
    if isinstance(right, dict):
        if "set" in right:
            return _inside(value, right["set"])
        if "range" in right:
            low, high = right["range"]
            try:
                return bool(int(low) <= int(value) <= int(high))
            except (TypeError, ValueError):
                return None
        return None
    if isinstance(right, str) and right.startswith("@"):
        return None
    return bool(str(right) == str(value))
