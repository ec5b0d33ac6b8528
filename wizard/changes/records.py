"""Effects from their records, as a commit or the journal kept them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snapshots.live.entry import Entry, Kind
from wizard.changes.command import CommandEffect
from wizard.changes.file import FileEffect
from wizard.changes.lineage import LineageEffect
from wizard.changes.packages import BEFORE_LISTS, EFFECT_LISTS, PackagesBefore, PackagesEffect
from wizard.changes.rules import LiveRule, RulesEffect
from wizard.changes.service import ServiceEffect
from wizard.model.plan import Effect

if TYPE_CHECKING:
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
            needed = {name: tuple(record[name]) for name in ("auto", "overrides", "half_way")}
            lists = _lists(record, BEFORE_LISTS) | needed
            return PackagesBefore(record["before"], modes=record["modes"], **lists)
        case "packages":
            installed, removed = (tuple(record[name].items()) for name in ("installed", "removed"))
            modes, lists = tuple(record.get("modes", {}).items()), _lists(record, EFFECT_LISTS)
            return PackagesEffect(installed, removed, tuple(record["upgraded"]), modes=modes, **lists)
        case "service":
            both = record["enabled"], record["running"]
            flags = (each[when] for when in ("before", "after") for each in both)
            return ServiceEffect(record["name"], record.get("init", "systemd"), *flags)
        case "rules":
            rules = tuple(LiveRule(**each) for each in record["rules"])
            return RulesEffect(rules, record["removed"], record["confirm"])
        case "lineage":
            return LineageEffect(record["name"], tuple(LiveRule(**each) for each in record["rules"]))
        case "file" if "after" in record:
            states = _unpacked(record["before"]), _unpacked(record["after"])
            return FileEffect(record["path"], *states, dated=record.get("dated"))
        case "command" if record.get("live", True):  # an older version ran every command on the host itself
            return CommandEffect(tuple(record["argv"]), "", live=True)
        case "file" | "command" | "watch":
            return None
        case kind:
            raise ValueError(f"unknown kind of effect: {kind}")


def _lists(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: tuple(record.get(name, ())) for name in names}


def _packed(entry: Entry | None) -> dict[str, object] | None:
    if entry is None:
        return None
    metadata = {"kind": entry.kind.value, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid}
    xattrs = [[name, _encoded(value)] for name, value in entry.xattrs]
    return {**metadata, "content": _encoded(entry.content), "xattrs": xattrs}


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


def record_of(store: Store, commit: Commit) -> dict[str, Any]:
    """What a commit keeps beside the tree, as JSON has it. Raises StoreError."""
    record = store.record(commit)
    return json.loads(record) if record else {"effects": []}


def dates_before(store: Store, commits: Sequence[Commit]) -> dict[str, tuple[Entry | None, int]]:
    """What was at each path before the oldest of the commits (newest first) that wrote it, and its date, as far as that is on
    record. Raises StoreError."""
    dates: dict[str, tuple[Entry | None, int]] = {}
    for commit in commits:  # the oldest has the last word
        first: dict[str, int] = {}
        for each in record_of(store, commit)["effects"]:
            if each["kind"] == "file" and "dated" in each:
                first.setdefault(each["path"].lstrip("/"), each["dated"])
        before = {path: pair[0] for path, pair in store.changes(commit).items()} if first else {}
        dates |= {path: (before[path], date) for path, date in first.items() if path in before}
    return dates


def effects_of(store: Store, commit: Commit) -> list[Effect]:
    """The effects of a commit that are not files, in the order in which they were made. Raises StoreError."""
    effects = map(recall, record_of(store, commit)["effects"])
    return [effect for effect in effects if effect is not None]
