"""Folders that are symbolic links: what is written behind them is in the history by one name, and can be rolled back."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.difference import scan
from snapshots.live.entry import Kind
from snapshots.store import Store
from tests.store.bench import Bench, Made, entry
from wizard.changes.file import FileChange, in_turn
from wizard.engine.local_edits import own_edits
from wizard.engine.recorder import Recorder
from wizard.errors import ChangeError, HostError
from wizard.model.plan import Outcome, Plan
from wizard.system.host import Host
from wizard.system.links import in_the_way, linked, real

FILE = "/etc/default/saslauthd"
INSIDE = {
    "relative": {"default": "default.real"},
    "by dots": {"default": "../etc/./old/../default.real"},
    "chain": {"default": "default.new", "default.new": "default.real"},
}
OUTSIDE = {
    "absolute": {"default": "/srv/default"},
    "relative": {"default": "../srv/default"},
    "chain": {"default": "default.new", "default.new": "/srv/default"},
    "dangling": {"default": "default.gone"},
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, monkeypatch)
    for folder in ("etc/default.real", "etc/old", "srv/default"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "saslauthd").write_text("START=no\n")
    return made


def link(bench: Bench, links: dict[str, str]) -> None:
    for name, target in links.items():
        (bench.root / "etc" / name).symlink_to(target)


def step(bench: Bench, good: bool = True) -> Made:
    return Made("one", bench.host, {FILE: "START=yes\n"}, lambda: good)


@pytest.mark.parametrize("kind", INSIDE)
def test_what_lies_behind_a_link_is_recorded_where_it_is_and_goes_back(bench: Bench, kind: str) -> None:
    link(bench, INSIDE[kind])
    assert list(bench.apply(step(bench)).applied) == ["one"]
    assert [item.path for item in bench.store.changed("one")] == ["etc/default.real/saslauthd"]
    assert not bench.store.pending()
    before = bench.store.entry("HEAD", "etc/default")
    assert before is not None
    assert before.kind is Kind.SYMLINK
    reversal = bench.store.reverse([bench.store.find("one")])
    for change in in_turn(reversal.targets):
        change.apply(bench.host, lambda _: None)
    assert bench.text("/etc/default.real/saslauthd") == "START=no\n"
    assert not [one for one in bench.store.pending() if one.path != "etc/default.real/saslauthd"]


@pytest.mark.parametrize("kind", INSIDE)
def test_ones_own_edits_behind_a_link_are_told_from_none(bench: Bench, kind: str) -> None:
    link(bench, INSIDE[kind])
    bench.apply(step(bench))

    def met() -> list[str]:
        change = FileChange(FILE, bench.host.entry(FILE), entry("START=perhaps\n"))
        return [edit.text for edit in own_edits(bench.host, bench.store, Plan.pending("one", "x", change))]

    assert met() == []
    (bench.root / FILE[1:]).write_text("START=mine\n")
    (text,) = met()
    assert "  START=yes" in text


def test_a_step_that_fails_behind_a_link_is_undone(bench: Bench) -> None:
    link(bench, INSIDE["relative"])
    assert bench.apply(step(bench, good=False)).failed == "one"
    assert not bench.failure().not_undone
    assert bench.text("/etc/default.real/saslauthd") == "START=no\n"
    assert not bench.store.pending()


@pytest.mark.parametrize("kind", OUTSIDE)
def test_nothing_is_written_where_no_snapshot_is(bench: Bench, kind: str) -> None:
    link(bench, OUTSIDE[kind])
    run = bench.apply(step(bench))
    assert run.blocked == "one"
    plan = run.plans["one"]
    assert plan.outcome is Outcome.BLOCKED
    assert "/etc/default is a symbolic link" in plan.reason
    assert "/etc/default" in plan.remedy[0]
    assert bench.text("/srv/default/saslauthd") == "START=no\n"
    assert bench.operations() == ["baseline"]


def test_a_link_that_others_make_once_it_is_planned(bench: Bench) -> None:
    (bench.root / "etc/default").mkdir()
    (bench.root / FILE[1:]).write_text("START=no\n")
    change = FileChange(FILE, bench.host.entry(FILE), entry("START=yes\n"))
    (bench.root / "etc/default").rename(bench.root / "etc/default.own")
    link(bench, OUTSIDE["absolute"])
    with pytest.raises(ChangeError, match=r"/srv/default/saslauthd.*Nothing was written"):
        change.apply(bench.host, lambda _: None)
    assert bench.text("/srv/default/saslauthd") == "START=no\n"
    (bench.root / "etc/default").unlink()
    link(bench, {"default": "default.own"})
    assert change.apply(bench.host, lambda _: None).path == "/etc/default.own/saslauthd"


def test_which_links_are_in_the_way(tmp_path: Path) -> None:
    host = Host(tmp_path)
    for folder in ("etc/mail/tls", "etc/default.real", "etc/ssl.real/certs", "srv/cron"):
        (tmp_path / folder).mkdir(parents=True)
    for name, target in {
        "default": "default.real",
        "ssl": "ssl.real",
        "cron.d": "/srv/cron",
        "pam.d": "gone",
        "mail/sasl": "tls",
    }.items():
        (tmp_path / "etc" / name).symlink_to(target)
    links = linked(host)
    assert links == {
        "/etc/mail/sasl": "/etc/mail/tls",
        "/etc/default": "/etc/default.real",
        "/etc/cron.d": "/srv/cron",
        "/etc/pam.d": "",
        "/etc/ssl": "/etc/ssl.real",
    }
    assert [why.split(" ")[0] for why, _ in in_the_way(links)] == [
        "/etc/mail/sasl",
        "/etc/cron.d",
        "/etc/pam.d",
    ]
    assert real(host, "/etc/ssl/certs/x") == "/etc/ssl.real/certs/x"


def test_absolute_links_and_circles(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "etc/new").mkdir(parents=True)
    for name, target in {"old": "/etc/older", "older": "//etc/./new/", "a": "/etc/b", "b": "a/c"}.items():
        (tmp_path / "etc" / name).symlink_to(target)
    assert real(host, "/etc/old/x") == "/etc/new/x"
    assert real(host, "/etc/old") == "/etc/old"
    with pytest.raises(HostError, match="lead in a circle"):
        real(host, "/etc/a/x")
    assert linked(host, ("/etc/old", "/etc/a")) == {"/etc/old": "/etc/new", "/etc/a": ""}


@pytest.mark.parametrize("drifted", [True, False])
def test_a_step_that_an_older_version_has_recorded_below_a_link_goes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, drifted: bool
) -> None:
    """Its commit has the link as a folder, the drift after it has neither, and the file as the work of others."""
    link(bench, INSIDE["chain"])
    bench.apply(Made("before", bench.host, {"/etc/b": "new b\n"}))
    bench.apply(Made("one", bench.host, {"/etc/c": "c\n"}))
    (bench.root / "etc/default.real/saslauthd").write_text("START=yes\n")
    now = bench.host.entry(FILE)
    assert now is not None
    monkeypatch.setattr(scan._Walk, "must_be_in_folders", lambda *_: None)
    Recorder(bench.host, bench.store, "r", lambda _: None)._kept(
        operation="apply", subject="old", step="old", entries={FILE[1:]: now, "etc/new": now}
    )
    (bench.root / "etc/new").write_bytes(now.content)
    if drifted:
        Recorder(bench.host, bench.store, "r", lambda _: None).drift()
    monkeypatch.undo()
    (bench.root / "store/etc.git/stat-cache").unlink()  # that of an older version is not believed
    store = Store.open(bench.root / "store/etc.git", root=bench.root)
    Recorder(bench.host, store, "s", lambda _: None).drift()
    assert not store.pending()
    reversal = store.reverse([store.find("old")])
    assert not reversal.conflicts
    assert sorted(reversal.targets) == ["etc/default.real/saslauthd", "etc/new"]
    for change in in_turn(reversal.targets):
        change.apply(bench.host, lambda _: None)
    assert bench.text("/etc/default.real/saslauthd") == "START=no\n"


def test_a_step_goes_back_whose_folder_somebody_has_moved_behind_a_link_since(bench: Bench) -> None:
    (bench.root / "etc/default").mkdir()
    (bench.root / FILE[1:]).write_text("START=no\n")
    bench.apply(Made("one", bench.host, {FILE: "START=yes\n", "/etc/default/new": "x\n"}))
    (bench.root / "etc/default").rename(bench.root / "etc/default.own")
    link(bench, {"default": "default.own"})
    Recorder(bench.host, bench.store, "r", lambda _: None).drift()
    reversal = bench.store.reverse([bench.store.find("one")])
    assert not reversal.conflicts
    for change in in_turn(reversal.targets):
        change.apply(bench.host, lambda _: None)
    assert bench.text("/etc/default.own/saslauthd") == "START=no\n"
    assert not (bench.root / "etc/default.own/new").exists()


def test_what_somebody_has_moved_out_of_etc_since_is_for_him_to_decide(bench: Bench) -> None:
    (bench.root / "etc/default").mkdir()
    (bench.root / FILE[1:]).write_text("START=no\n")
    bench.apply(step(bench))
    (bench.root / "etc/default").rename(bench.root / "srv/own")
    link(bench, {"default": "../srv/own"})
    Recorder(bench.host, bench.store, "r", lambda _: None).drift()
    assert bench.store.reverse([bench.store.find("one")]).conflicts


def test_a_commit_that_has_made_the_link_itself_goes_back(bench: Bench) -> None:
    (bench.root / "etc/default").mkdir()
    (bench.root / FILE[1:]).write_text("mine\n")
    recorder = Recorder(bench.host, bench.store, "r", lambda _: None)
    recorder.baseline()
    (bench.root / FILE[1:]).unlink()
    (bench.root / "etc/default").rmdir()
    link(bench, INSIDE["relative"])
    recorder.drift()
    reversal = bench.store.reverse([bench.store.find("HEAD")])
    for change in in_turn(reversal.targets):
        change.apply(bench.host, lambda _: None)
    assert bench.text(FILE) == "mine\n"
    assert not (bench.root / "etc/default").is_symlink()
    assert bench.text("/etc/default.real/saslauthd") == "START=no\n"
