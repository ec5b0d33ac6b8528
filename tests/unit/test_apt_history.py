"""apt's history, as it is written on real hosts, cut off, rotated away, and with anything in it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.packages.apt_history import History, Ours, Transaction, bare, marking, new_mark, transactions
from wizard.system.host import Completed, Host

RECORDED = """
Start-Date: 2026-11-28  12:45:01
Commandline: apt-get install --yes --quiet=2 --no-install-recommends python3 git
Install: libssh2-1:amd64 (1.10.0-3+deb12u1, automatic), git:amd64 (1:2.39.5-0+deb12u3), python3:amd64 (3.11.2-1+b1)
End-Date: 2026-11-28  12:45:04

Start-Date: 2026-11-28  12:56:40
Commandline: apt-get -o DPkg::Lock::Timeout=120 -o MSA-Wizard::Transaction=abcdef012345 install -y -q sasl2-bin exim4-
Install: libsasl2-modules:amd64 (2.1.28+dfsg-10+deb12u1), sasl2-bin:amd64 (2.1.28+dfsg-10+deb12u1, automatic)
Upgrade: libsasl2-2:amd64 (2.1.27, 2.1.28)
Remove: exim4:amd64 (4.96-15), exim4-base:amd64 (4.96-15)

Start-Date: 2026-11-28  13:01:21
Commandline: packagekit role='remove-packages'
Requested-By: alice (1000)
Error: Sub-process /usr/bin/dpkg returned an error code (1)
Purge: git:amd64 (1:2.39.5-0+deb12u3)
End-Date: 2026-11-28  13:01:22
"""


def test_what_apt_writes_down() -> None:
    first, ours, last = transactions(RECORDED)
    assert first.mark is None
    assert first.installed == {"libssh2-1:amd64", "git:amd64", "python3:amd64"}
    assert first.automatic == {"libssh2-1:amd64"}
    assert first.named == {"python3", "git"}
    assert ours.mark == "abcdef012345"
    assert ours.removed == {"exim4:amd64", "exim4-base:amd64"}
    assert ours.upgraded == {"libsasl2-2:amd64"}
    assert ours.named == {"sasl2-bin"}
    assert last.removed == {"git:amd64"}
    assert not last.named
    assert last.mark is None


def test_which_part_is_ours() -> None:
    history = History(transactions(RECORDED))
    ours = history.ours(["abcdef012345"])
    assert ours.installed == {"sasl2-bin", "sasl2-bin:amd64", "libsasl2-modules", "libsasl2-modules:amd64"}
    assert history.ours(["000000000000"]) == Ours()
    assert history.since(["abcdef012345"]).removed_by_others().keys() == {"git", "git:amd64"}
    assert history.since(["abcdef012345"]).installed_by_others() == {}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("apt-get install -y a=1.0-1 b/stable c:i386 d+ e- /tmp/f.deb", {"a", "b", "c", "d"}),
        ("aptitude install a", {"a"}),
        ("apt-get purge a", set()),
        ("", set()),
    ],
)
def test_what_was_asked_for(words: str, named: set[str]) -> None:
    assert Transaction(words).named == named


names = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,8}:(amd64|i386)", fullmatch=True)
versions = st.from_regex(r"([0-9]:)?[0-9][A-Za-z0-9.+~-]{0,6}", fullmatch=True)
marks = st.none() | st.builds(new_mark)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Transaction, str]:
    """A run, and how apt writes it."""
    mark = draw(marks)
    command = " ".join(["apt-get", *(marking(mark) if mark else ()), "install", "-y", "x"])
    packages = draw(st.lists(names, unique=True, max_size=6))
    kinds = [draw(st.sampled_from(["Install", "automatic", "Upgrade", "Remove", "Purge"])) for _ in packages]
    lists: dict[str, list[str]] = {}
    for name, kind in zip(packages, kinds, strict=True):
        more = {"automatic": ", automatic", "Upgrade": f", {draw(versions)}"}.get(kind, "")
        key = "Install" if kind == "automatic" else kind
        lists.setdefault(key, []).append(f"{name} ({draw(versions)}{more})")
    lines = ["", "Start-Date: 2026-11-28  12:45:01", f"Commandline: {command}"]
    lines += [f"{key}: {', '.join(items)}" for key, items in lists.items()]
    lines += ["End-Date: 2026-11-28  12:45:04"] if draw(st.booleans()) else []

    def of(*wanted: str) -> frozenset[str]:
        return frozenset(name for name, kind in zip(packages, kinds, strict=True) if kind in wanted)

    run = Transaction(
        command, of("Install", "automatic"), of("automatic"), of("Upgrade"), of("Remove", "Purge")
    )
    return run, "".join(f"{line}\n" for line in lines)


@given(st.lists(runs(), max_size=5))
def test_every_run_is_read_as_it_was_written(written: list[tuple[Transaction, str]]) -> None:
    assert transactions("".join(text for _, text in written)) == tuple(run for run, _ in written)


@given(st.lists(runs(), min_size=1, max_size=4), st.data())
def test_a_history_that_is_cut_off_adds_nothing(
    written: list[tuple[Transaction, str]], data: st.DataObject
) -> None:
    whole = "".join(text for _, text in written)
    found = transactions(whole[: data.draw(st.integers(0, len(whole)))])
    for run, (there, _) in zip(found, written, strict=False):
        for cut, full in (
            (run.installed, there.installed),
            (run.removed, there.removed),
            (run.upgraded, there.upgraded),
        ):
            assert cut <= full


@given(st.binary(max_size=400))
def test_anything_can_stand_in_a_history(content: bytes) -> None:
    for run in transactions("Start-Date: x\n" + content.decode("utf-8", "replace")):
        assert run.mark is None or run.mark in run.command


@given(st.lists(runs(), max_size=6))
def test_what_others_did_last_is_never_ours(written: list[tuple[Transaction, str]]) -> None:
    history = History(tuple(run for run, _ in written))
    for mark in {run.mark for run in history.runs if run.mark}:
        ours = history.ours([mark])
        assert {bare(name) for name in ours.installed} <= {
            bare(name) for run in history.runs if run.mark == mark for name in run.installed
        }
        assert not ours.installed & history.since([mark]).installed_by_others().keys()
        assert not ours.removed & history.since([mark]).removed_by_others().keys()


class Logs(Host):
    """A host whose apt writes to /var/log/apt/history.log."""

    def run(self, argv, **options):  # type: ignore[no-untyped-def]
        assert argv == ["apt-config", "shell", "History", "Dir::Log::History/f"]
        return Completed(tuple(argv), 0, "History='/var/log/apt/history.log'\n", "", 0.0)


def _run(name: str) -> bytes:
    text = f"Start-Date: x\nCommandline: apt-get install {name} \xff\nInstall: {name}:amd64 (1)\n"
    return text.encode("latin-1")


def test_logs_that_were_rotated_away_are_read_oldest_first(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/apt"
    folder.mkdir(parents=True)
    logs = {
        "history.log.3.gz": gzip.compress(_run("a")),
        "history.log-20261001.xz": lzma.compress(_run("b")),
        "history.log.2.bz2": bz2.compress(_run("c")),
        "history.log.1": _run("d"),
        "history.log": _run("e"),
        "term.log": _run("f"),
    }
    for number, (name, content) in enumerate(logs.items(), start=1):
        (folder / name).write_bytes(content)
        os.utime(folder / name, (number, number))
    (folder / "history.log.4.gz").write_bytes(gzip.compress(_run("z"))[:-30])
    os.utime(folder / "history.log.4.gz", (0, 0))
    found = [sorted(run.installed) for run in History.of(Logs(tmp_path)).runs]
    assert found[-5:] == [[f"{name}:amd64"] for name in "abcde"]


def test_a_host_without_a_history_has_none(tmp_path: Path) -> None:
    assert History.of(Logs(tmp_path)) == History()
