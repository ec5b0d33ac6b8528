"""A journal with anything wrong in it is a damaged journal, in words and at once: never a traceback, never half believed."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wizard.changes.command import CommandEffect
from wizard.changes.file import FileEffect
from wizard.changes.packages import PackagesBefore, PackagesEffect
from wizard.changes.records import recall
from wizard.changes.rules import LiveRule, RulesEffect
from wizard.changes.service import ServiceEffect, WatchEffect
from wizard.engine.journal import Journal, Unfinished, unfinished
from wizard.errors import JournalError
from wizard.model.answers import Answers, answers_from
from wizard.model.plan import Effect

EFFECTS: tuple[Effect, ...] = (
    FileEffect("/etc/a", None, None),
    CommandEffect(("a", "b"), "said"),
    PackagesBefore({"a": "1"}, ("a",), {"/x": 0o644}, ("o",), ("h",)),
    PackagesEffect((("a", "1"),), (("b", "2"),), ("c",), ("d",), (("/x", 0o644),), ("o",)),
    ServiceEffect("sendmail", "systemd", True, False, True, True),
    RulesEffect(
        (LiveRule("nft", "inet filter input", 587, 4, at=None), LiveRule("iptables", "INPUT", 25, 6, at=7)),
        False,
        30,
    ),
    WatchEffect(60),
)
REQUESTS: dict[str, dict[str, object]] = {
    "apply": {
        "wanted": ["restart"],
        "answers": asdict(Answers()),
        "extra": [["certificate-renew", {"days": 3}]],
    },
    "rollback": {
        **{"commits": ["a" * 40], "steps": ["restart"], "dependents": [], "everything": True},
        **{"running": ["sendmail"], "choice": None},
    },
    "debug": {},
}


def lines_of(path: Path, operation: str) -> list[dict[str, Any]]:
    """A journal with every kind of line and of effect, line by line."""
    path.unlink(missing_ok=True)
    journal = Journal(path)
    journal.begin(operation, "r1", "alice", "0" * 40, REQUESTS[operation])
    journal.step("one", "0" * 40)
    journal.settled()
    journal.step("two", "1" * 40)
    for effect in EFFECTS:
        journal.change(("/etc/a", "/etc/b"), effect.record())
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read(path: Path, content: bytes) -> Unfinished | str | None:
    """What is told, or the error, within a second."""
    path.write_bytes(content)
    began = time.monotonic()
    try:
        told = unfinished(path)
        if told is not None:
            use(told)
        return told
    except JournalError as error:
        return str(error)
    finally:
        assert time.monotonic() - began < 1


def use(told: Unfinished) -> None:
    """What recovery reads of it, before it touches anything."""
    assert told.words()
    for change in told.changes:
        assert isinstance(change["expected"], dict)
        recall(change["expected"])
        assert isinstance(change["touches"], list)
        assert all(isinstance(path, str) and "\0" not in path for path in change["touches"])
    if told.operation == "apply":
        try:
            answers_from(told.request["answers"])
        except (AttributeError, KeyError, TypeError):
            return  # the errors that `recover --finish` tells


def written(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container with each key of it, all the way down."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


@pytest.mark.parametrize("operation", REQUESTS)
def test_what_we_write_is_believed_and_more_is_let_by(tmp_path: Path, operation: str) -> None:
    lines = lines_of(tmp_path / "journal", operation)
    told = read(tmp_path / "journal", written(lines))
    assert isinstance(told, Unfinished)
    assert len(told.changes) == len(EFFECTS)
    for line in lines:
        line["later"] = {"more": [1]}
        if "change" in line:
            line["change"]["later"] = None
            line["change"]["expected"]["later_too"] = "x"
    assert isinstance(read(tmp_path / "journal", written(lines)), Unfinished)


WRONG: tuple[Any, ...] = (
    None,
    True,
    5,
    -1,
    1.5,
    "",
    "text",
    "\0",
    "\x1b[2J",
    [],
    [[]],
    [5],
    {},
    {"a": {}},
    10**30,
    float("nan"),
    1e300,
)


def test_every_field_of_every_wrong_type(tmp_path: Path) -> None:
    path, refused, tried = tmp_path / "journal", 0, 0
    for operation in REQUESTS:
        whole = lines_of(path, operation)[: None if operation == "apply" else 1]
        for at in range(sum(1 for _ in places(whole))):
            for wrong in WRONG:
                lines = copy.deepcopy(whole)
                container, key = next(pair for number, pair in enumerate(places(lines)) if number == at)
                if type(container[key]) is type(wrong) and wrong == wrong:  # not nan
                    continue
                container[key] = wrong
                told = read(path, written(lines))
                tried += 1
                if isinstance(told, str):
                    assert "is damaged (" in told
                    refused += 1
    assert tried > 2000
    assert refused > tried * 0.8


def test_every_field_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for operation in REQUESTS:
        whole = lines_of(path, operation)[: None if operation == "apply" else 1]
        for at in range(sum(1 for _ in places(whole))):
            lines = copy.deepcopy(whole)
            container, key = next(pair for number, pair in enumerate(places(lines)) if number == at)
            del container[key]
            told = read(path, written(lines))
            assert isinstance(told, Unfinished) or not lines or "is damaged (" in str(told)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[" * 100_000, "not JSON"),
        (b'{"step": ' + b"[" * 100_000 + b"}", "not JSON"),
        (b'{"settled": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"brewed": true}', "of a kind that is not known"),
        (b'{"settled": true, "step": "a", "head": "b"}', "of a kind that is not known"),
        (b'{"settled": 1}', "settled is not true"),
        (b'{"change": {"touches": [], "expected": {"kind": "brew"}}}', "a kind that is not known, 'brew'"),
        (b'{"change": {"touches": [], "expected": {}}}', "has no kind"),
        (b'{"change": {"touches": ["a\\u0000b"], "expected": {"kind": "file", "path": "/"}}}', "wrong type"),
        (b'{"step": "a\\u001b[2J", "head": "b"}', "cannot be shown"),
    ],
)
def test_a_line_of_another_kind_says_what_is_wrong(tmp_path: Path, line: bytes, why: str) -> None:
    path = tmp_path / "journal"
    whole = written(lines_of(path, "apply"))
    told = read(path, whole + line + b"\n")
    assert isinstance(told, str)
    assert "is damaged (" in told
    assert why in told
    assert told.isprintable()


@pytest.mark.parametrize("schema", ["2", "99", "1" + "0" * 4000])
def test_a_newer_schema_is_newer_whatever_else_is_there(tmp_path: Path, schema: str) -> None:
    told = read(tmp_path / "journal", f'{{"schema": {schema}, "operation": []}}\nwhat\n'.encode())
    assert isinstance(told, str)
    assert "newer msa-wizard" in told
    assert "damaged" not in told


@pytest.mark.parametrize("schema", ["0", "-1", "true", '"2"', "1.0", "null", "[2]"])
def test_what_is_no_schema_is_damage(tmp_path: Path, schema: str) -> None:
    assert "is damaged" in str(read(tmp_path / "journal", f'{{"schema": {schema}}}\n'.encode()))


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal")
    with pytest.raises(JournalError, match="not a regular file"):
        unfinished(tmp_path / "journal")


def test_one_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "journal").touch()
    os.truncate(tmp_path / "journal", 3 << 30)
    with pytest.raises(JournalError, match="larger than any journal"):
        unfinished(tmp_path / "journal")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(0, 1, b"")])
@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4
    )
)
def test_bytes_that_changed_anywhere(tmp_path: Path, edits: list[tuple[int, int, bytes]]) -> None:
    path = tmp_path / "journal"
    content = written(lines_of(path, "apply"))
    for at, cut, new in edits:
        content = content[:at] + new + content[at + cut :]
    told = read(path, content)
    assert told is None or isinstance(told, Unfinished) or told.isprintable()
