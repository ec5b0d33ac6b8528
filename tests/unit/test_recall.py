"""Effects, written down as a commit or the journal keeps them, and read again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.live.entry import Entry, Kind
from wizard.changes.command import CommandEffect
from wizard.changes.file import FileEffect
from wizard.changes.packages import PackagesBefore, PackagesEffect
from wizard.changes.records import intent, recall
from wizard.changes.rules import LiveRule, RulesEffect
from wizard.changes.service import ServiceEffect
from wizard.model.plan import Effect

names = st.text(min_size=1, max_size=8)
versions = st.dictionaries(names, names, max_size=3)
lists = st.lists(names, max_size=3).map(tuple)
modes = st.dictionaries(names, st.integers(0, 0o7777), max_size=2)
pairs = versions.map(lambda found: tuple(found.items()))
rules = st.builds(
    LiveRule,
    st.sampled_from(["nft", "iptables", "ip6tables", "firewalld"]),
    names,
    st.integers(1, 65535),
    st.sampled_from([4, 6]),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 999),
)
effects: st.SearchStrategy[Effect] = st.one_of(
    st.builds(
        PackagesEffect,
        pairs,
        pairs,
        lists,
        lists,
        modes.map(lambda found: tuple(found.items())),
        lists,
        transactions=lists,
        automatic=lists,
    ),
    st.builds(RulesEffect, st.lists(rules, max_size=3).map(tuple), st.booleans(), st.integers(0, 3600)),
    st.builds(PackagesBefore, versions, lists, modes, lists, lists, lists),
    st.builds(
        ServiceEffect,
        name=names,
        init=st.sampled_from(["systemd", "sysv"]),
        was_enabled=st.booleans(),
        was_running=st.booleans(),
        enabled=st.booleans(),
        running=st.booleans(),
    ),
)


@given(effects)
def test_what_was_written_down_rolls_back_the_same(effect: Effect) -> None:
    found = recall(json.loads(json.dumps(effect.record())))
    assert found is not None
    assert found.record() == effect.record()
    if not isinstance(
        effect, ServiceEffect
    ):  # which of `enabled` and `was_enabled` it was does not matter any more
        assert found == effect


@pytest.mark.parametrize("was", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_a_record_tells_whether_the_service_was_enabled_before_us(was: bool, asked: bool) -> None:
    found = recall(ServiceEffect("x", "systemd", was, False, asked, True).record())
    assert isinstance(found, ServiceEffect)
    assert (found.enabled and not found.was_enabled) == (asked and not was)


entries = st.none() | st.builds(
    Entry,
    st.sampled_from([Kind.FILE, Kind.SYMLINK, Kind.DIRECTORY]),
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 2),
    st.integers(0, 2**32 - 2),
    st.binary(),
    st.lists(st.tuples(st.text(min_size=1), st.binary()), max_size=2).map(tuple),
)


@given(st.builds(FileEffect, names, entries, entries))
def test_the_journal_keeps_a_file_with_its_bytes(effect: FileEffect) -> None:
    assert recall(json.loads(json.dumps(intent(effect)))) == effect


def test_a_commit_keeps_the_path_of_a_file_alone() -> None:
    assert recall(FileEffect("/etc/a", None, None).record()) is None


def test_a_command_counts_where_it_ran_on_the_host_itself() -> None:
    live = CommandEffect(("x",), "", live=True)
    assert recall(live.record()) == live
    assert recall(CommandEffect(("x",), "captured").record()) is None
    older = recall({"kind": "command", "argv": ["x"], "output": "by an older version"})
    assert older == CommandEffect(("x",), "", live=True)  # it ran every command there


@pytest.mark.parametrize("content", ["", "not base85 ~~~", "000000"])
def test_bytes_that_cannot_be_unpacked_are_an_error(content: str) -> None:
    packed = {"kind": "file", "mode": 0, "uid": 0, "gid": 0, "content": content, "xattrs": []}
    with pytest.raises(ValueError, match=r"."):
        recall({"kind": "file", "path": "/etc/a", "before": None, "after": packed})


def test_what_older_versions_wrote_down_is_understood() -> None:
    packages = recall({"kind": "packages", "installed": {"a": "1"}, "removed": {}, "upgraded": []})
    assert packages == PackagesEffect((("a", "1"),), ())
    state = {"before": False, "after": True}
    service = recall({"kind": "service", "name": "sendmail", "enabled": state, "running": state})
    assert service == ServiceEffect("sendmail", "systemd", False, False, True, True)


@pytest.mark.parametrize(
    "record", [{"kind": "nothing"}, {}, {"kind": "packages"}, {"kind": "service", "name": "x"}]
)
def test_what_is_no_record_is_an_error(record: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError)):
        recall(record)


@pytest.mark.parametrize("name", ["auto", "overrides", "half_way"])
def test_what_every_version_wrote_of_packages_must_be_there(name: str) -> None:
    record: dict[str, object] = {"kind": "packages", "before": {}, "modes": {}}
    whole = record | {"auto": [], "overrides": [], "half_way": []}
    assert recall(whole) is not None
    with pytest.raises(KeyError, match=name):
        recall({key: value for key, value in whole.items() if key != name})
