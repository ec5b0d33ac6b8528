"""Effects from their records, as a commit or the journal kept them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wizard.changes.packages import PackagesBefore, PackagesEffect
from wizard.changes.rules import RulesEffect
from wizard.changes.service import ServiceEffect
from wizard.firewalls.live_rule import LiveRule
from wizard.plan import Effect


def recall(record: Mapping[str, Any]) -> Effect | None:
    """The effect that `record` tells of; None for files and commands, which the snapshot itself takes back.

    What older versions of this program did not write down counts as nothing. Raises KeyError or ValueError for a
    record that is none."""
    match record["kind"]:
        case "packages" if "before" in record:
            return PackagesBefore(
                record["before"],
                tuple(record["auto"]),
                record["modes"],
                tuple(record["overrides"]),
                tuple(record["half_way"]),
                tuple(record.get("transactions", ())),
            )
        case "packages":
            return PackagesEffect(
                tuple(record["installed"].items()),
                tuple(record["removed"].items()),
                tuple(record["upgraded"]),
                tuple(record.get("auto", ())),
                tuple(record.get("modes", {}).items()),
                tuple(record.get("overrides", ())),
                transactions=tuple(record.get("transactions", ())),
                automatic=tuple(record.get("automatic", ())),
            )
        case "service":
            enabled, running = record["enabled"], record["running"]
            return ServiceEffect(
                record["name"],
                record.get("init", "systemd"),
                enabled["before"],
                running["before"],
                enabled["after"],
                running["after"],
            )
        case "rules":
            rules = tuple(LiveRule.recalled(each) for each in record["rules"])
            return RulesEffect(rules, record["removed"], record["confirm"])
        case "file" | "command" | "watch":
            return None
        case kind:
            raise ValueError(f"unknown kind of effect: {kind}")
