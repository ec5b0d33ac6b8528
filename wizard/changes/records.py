"""Effects from their records, as a commit or the journal kept them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snapshots.live.entry import Entry, Kind
from wizard.changes.command import CommandEffect
from wizard.changes.file import FileEffect
from wizard.changes.packages import PackagesBefore, PackagesEffect
from wizard.changes.rules import LiveRule, RulesEffect
from wizard.changes.service import ServiceEffect
from wizard.model.plan import Effect

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from snapshots.store import Commit, Store


def intent(effect: Effect) -> dict[str, object]:
    """The record of an effect for the journal, from which `recall` makes it again: of a file, with its bytes."""
    if not isinstance(effect, FileEffect):
        return effect.record()
    return {**effect.record(), "before": _packed(effect.before), "after": _packed(effect.after)}


def recall(record: Mapping[str, Any]) -> Effect | None:
    """The effect that `record` tells of; None for a file in the record of a commit, which has it.

    What older versions of this program did not write down counts as nothing. Raises KeyError or ValueError for an
    invalid record."""
    match record["kind"]:
        case "packages" if "before" in record:
            return PackagesBefore(
                record["before"],
                tuple(record["auto"]),
                record["modes"],
                tuple(record["overrides"]),
                tuple(record["half_way"]),
                tuple(record.get("transactions", ())),
                tuple(record.get("named", ())),
                tuple(record.get("tops", ())),
                tuple(record.get("accounts", ())),
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
        case "file" if "after" in record:
            states = _unpacked(record["before"]), _unpacked(record["after"])
            return FileEffect(record["path"], *states, dated=record.get("dated"))
        case "command" if record.get("live", True):  # an older version ran every command on the host itself
            return CommandEffect(tuple(record["argv"]), "", live=True)
        case "file" | "command" | "watch":
            return None
        case kind:
            raise ValueError(f"unknown kind of effect: {kind}")


def _packed(entry: Entry | None) -> dict[str, object] | None:
    if entry is None:
        return None
    return {
        "kind": entry.kind.value,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "content": _encoded(entry.content),
        "xattrs": [[name, _encoded(value)] for name, value in entry.xattrs],
    }


def _unpacked(packed: Mapping[str, Any] | None) -> Entry | None:
    if packed is None:
        return None
    xattrs = tuple((str(name), _decoded(value)) for name, value in packed["xattrs"])
    mode, uid, gid = (int(packed[name]) for name in ("mode", "uid", "gid"))
    return Entry(Kind(packed["kind"]), mode, uid, gid, _decoded(packed["content"]), xattrs)


def _encoded(content: bytes) -> str:
    return base64.b85encode(zlib.compress(content)).decode()


def _decoded(text: str) -> bytes:
    try:
        return zlib.decompress(base64.b85decode(text))
    except zlib.error as error:
        raise ValueError(f"content that cannot be unpacked: {error}") from error


def effects_of(store: Store, commit: Commit) -> list[Effect]:
    """The effects of a commit that are not files, in the order in which they were made. Raises StoreError."""
    record = store.record(commit)
    kept = json.loads(record)["effects"] if record else []
    return [effect for each in kept if (effect := recall(each)) is not None]
