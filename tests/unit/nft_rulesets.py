"""Rulesets as nft would print them, from their chains, rules and sets alone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

from wizard.packet_filter.nftables import Ruleset, ruleset

Json = dict[str, Any]


def read(chains: Iterable[Json], rules: Iterable[Json] = (), **others: Iterable[Json]) -> Ruleset:
    """What is read of them; `others` are objects of other kinds (set, map)."""
    handles = itertools.count(10)
    items = [{"chain": {"type": "filter", **chain}} for chain in chains]
    items += [{"rule": {"handle": next(handles), **rule}} for rule in rules]
    items += [{kind: each} for kind, several in others.items() for each in several]
    return ruleset(json.dumps({"nftables": items}))
