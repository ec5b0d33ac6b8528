"""What a command wrote: reading the record, and the process that makes it where nothing can be watched."""

from __future__ import annotations

import json
import os
import signal
import stat
import struct
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from wizard.packages.footprint import Footprint
from wizard.packages.witness import Evidence, evidence, owns, watching
from wizard.packages.witness_process import NAME, below, half_way, mounts_below, parsed

_HEAD: dict[str, Any] = {"schema": 1, "watching": ["/etc", "/usr/lib/sasl2"]}
_END: dict[str, Any] = {"end": True}


def _wrote(path: str, inode: int, content: bytes, **more: bool) -> bytes:
    line = {**more, "path": path, "device": 7, "inode": inode, "mode": 0o640, "uid": 1, "gid": 2}
    line |= {"size": len(content), "sha256": sha256(content).hexdigest()}
    return json.dumps(line).encode() + b"\n" + content


def _now(path: str, inode: int, *, there: bool = True, **more: bool) -> bytes:
    return _line({**more, "now": path, "device": 7, "inode": inode, "there": there})


def _line(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _folder(tmp_path: Path, *parts: bytes) -> Path:
    (tmp_path / NAME).write_bytes(b"".join(parts))
    return tmp_path


def test_what_others_write_is_kept_apart(tmp_path: Path) -> None:
    """Each file that had the name, by the last one that it had; what was lost of theirs says nothing of ours."""
    folder = _folder(
        tmp_path,
        _line(_HEAD),
        _wrote("/etc/a", 1, b"his 1\n", others=True),
        _wrote("/etc/a", 1, b"ours\n"),
        _wrote("/etc/sedXYZ123", 2, b"his 1\nhis 2\n", others=True),
        _line({"others": True, "lost": True}),
        _wrote("/tmp/b", 3, b"elsewhere\n", others=True),
        _now("/etc/a", 1, there=False, others=True),
        _now("/etc/a", 2, others=True),
        _line(_END),
    )
    read = evidence(folder)
    assert read.complete
    assert {path: entry.content for path, entry in read.files.items()} == {"/etc/a": b"ours\n"}
    assert {path: [each.content for each in entries] for path, entries in read.others.items()} == {
        "/etc/a": [b"his 1\n", b"his 1\nhis 2\n"]
    }


def test_the_last_bytes_of_each_file_count(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        _line(_HEAD),
        _wrote("/etc/a", 1, b"first\n"),
        _wrote("/etc/b", 2, b'{"end": true}\n'),
        _wrote("/etc/a", 1, b"second"),
        _line(_END),
    )
    read = evidence(folder)
    assert read.complete
    assert {path: entry.content for path, entry in read.files.items()} == {
        "/etc/a": b"second",
        "/etc/b": b'{"end": true}\n',
    }
    assert (read.files["/etc/a"].mode, read.files["/etc/a"].uid, read.files["/etc/a"].gid) == (0o640, 1, 2)
    assert (read.wrote("etc/a"), read.wrote("/etc/other")) == (True, False)


def test_a_file_has_the_name_that_it_was_given_in_the_end(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        _line(_HEAD),
        _wrote("/tmp/x.1", 1, b"moved in"),
        _wrote("/tmp/x.2", 2, b"stays out"),
        _wrote("/etc/b.new", 3, b"the new one"),
        _wrote("/etc/b", 4, b"the old one, written after"),
        _now("/etc/a", 1),
        _now("/tmp/x.2", 2, there=False),
        _now("/etc/b", 3),
        _now("/etc/b", 4, there=False),
        _line(_END),
    )
    found = evidence(folder).files
    assert {path: entry.content for path, entry in found.items()} == {
        "/etc/a": b"moved in",
        "/etc/b": b"the new one",
    }


def test_a_record_that_was_cut_anywhere_tells_what_is_whole(tmp_path: Path) -> None:
    parts = [_line(_HEAD), _wrote("/etc/a", 1, b"one\n"), _wrote("/etc/b", 2, b"two"), _line(_END)]
    data = b"".join(parts)
    ends = [sum(map(len, parts[: count + 1])) for count in range(len(parts))]
    for cut in range(len(data)):
        read = evidence(_folder(tmp_path, data[:cut]))
        assert not read.complete
        assert read.why
        assert len(read.files) == (cut >= ends[1]) + (cut >= ends[2])
        assert read.wrote("/etc/never") is None
    assert evidence(_folder(tmp_path, data)).complete


@pytest.mark.parametrize(
    "damage",
    [
        b"[1]\n",
        b"nonsense\n",
        b'{"size": "many"}\n',
        b'{"size": -5}\n',
        b'{"size": 99999999999}\n',
        b'{"sha256": "0", "size": 0}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        _wrote("/etc/b", 2, b"two").replace(b"two", b"owt"),
        _line({"path": "/etc/x", "sha256": sha256(b"").hexdigest()}),
        _line({"now": 5, "device": 7, "inode": 1}),
    ],
)
def test_what_is_behind_damage_does_not_count(tmp_path: Path, damage: bytes) -> None:
    folder = _folder(
        tmp_path, _line(_HEAD), _wrote("/etc/a", 1, b"one"), damage, _wrote("/etc/c", 3, b"c"), _line(_END)
    )
    read = evidence(folder)
    assert set(read.files) == {"/etc/a"}
    assert not read.complete


@pytest.mark.parametrize(
    "line", [{"lost": True}, {"path": "/etc/big", "device": 7, "inode": 9, "lost": True}]
)
def test_it_is_not_complete_where_something_was_lost(tmp_path: Path, line: dict[str, Any]) -> None:
    read = evidence(_folder(tmp_path, _line(_HEAD), _line(line), _wrote("/etc/a", 1, b"x"), _line(_END)))
    assert set(read.files) == {"/etc/a"}
    assert (read.complete, read.wrote("/etc/b")) == (False, None)


def test_it_is_not_complete_where_dpkg_was_left_half_way(tmp_path: Path) -> None:
    """Whoever runs `dpkg --configure -a` then is not watched, be it ourselves."""
    parts = _line(_HEAD), _wrote("/etc/a", 1, b"x")
    assert evidence(_folder(tmp_path, *parts, _line(_END | {"half_way": False}))).complete
    read = evidence(_folder(tmp_path, *parts, _line(_END | {"half_way": True})))
    assert (set(read.files), read.complete, read.wrote("/etc/b")) == ({"/etc/a"}, False, None)


@pytest.mark.parametrize(
    ("states", "journal", "half"),
    [
        (("install ok installed", "deinstall ok config-files"), (), False),
        (("install ok installed",), ("tmp.i",), False),
        (("install ok installed",), ("0003",), True),
        (("install ok unpacked",), (), True),
        (("install ok half-configured",), (), True),
        (("install reinstreq half-installed",), (), True),
    ],
)
def test_what_counts_as_half_way(
    tmp_path: Path, states: tuple[str, ...], journal: tuple[str, ...], half: bool
) -> None:
    (tmp_path / "updates").mkdir()
    for name in journal:
        (tmp_path / "updates" / name).touch()
    (tmp_path / "status").write_text("".join(f"Package: p\nStatus: {state}\n\n" for state in states))
    assert half_way(tmp_path) is half


def test_nothing_was_watched(tmp_path: Path) -> None:
    assert not evidence(tmp_path / "missing").complete
    assert not evidence(_folder(tmp_path)).complete
    assert (
        evidence(_folder(tmp_path, _line({"watching": 5}), _line(_END))).why == "the record has no beginning"
    )
    unwatched = _folder(tmp_path, _line({"schema": 1, "watching": [], "why": "not permitted"}), _line(_END))
    assert (evidence(unwatched).complete, evidence(unwatched).why) == (False, "not permitted")


def test_bytes_are_whose_they_were_seen_to_be_and_the_rest_goes_by_the_footprint() -> None:
    owner = Footprint(
        listed=frozenset({"/etc/listed", "/etc/ours"}),
        named=frozenset({"/etc/named", "/etc/gone"}),
        folders=frozenset({"/etc/ours"}),
    )
    one, two = (Entry(Kind.FILE, 0o644, 0, 0, content) for content in (b"one", b"two"))
    closed = Entry(Kind.FILE, 0o600, 0, 0, b"one")
    link, folder = Entry(Kind.SYMLINK, 0o777, 0, 0, b"listed"), Entry(Kind.DIRECTORY, 0o755, 0, 0)
    seen = Evidence({"/etc/seen": two}, complete=True)
    blind = Evidence({"/etc/seen": two})
    rows: list[tuple[str, Entry | None, Entry | None, bool, bool]] = [
        # what                               with all seen, with a part
        ("etc/seen", None, two, True, True),
        ("etc/seen", one, two, True, True),
        ("etc/named", None, two, False, True),  # an admin's own file, of a name that a script has
        ("etc/listed", None, two, True, True),  # a conffile under a new name
        ("etc/listed", one, two, False, False),
        ("etc/other", None, two, False, False),
        ("etc/link", None, link, True, True),
        ("etc/ours", None, folder, True, True),
        ("etc/gone", one, None, True, True),
        ("etc/other", one, None, False, False),
        ("etc/named", one, closed, True, True),
    ]
    for path, before, after, whole, part in rows:
        assert owns(owner, seen, path, before, after) == whole, path
        assert owns(owner, blind, path, before, after) == part, path


def test_events_of_the_kernel() -> None:
    event = struct.Struct("=IBBHQii")
    lost = event.pack(24, 3, 0, 24, 0x4000, -1, 0)
    longer = event.pack(32, 3, 0, 24, 8, 5, 1) + bytes(8)
    assert list(parsed(lost + longer + lost[:9])) == [(0x4000, -1), (8, 5)]


def test_below_is_by_parts() -> None:
    assert below("/etc", ["/etc"])
    assert below("/etc/a", ["/x", "/etc/"])
    assert not below("/etcetera", ["/etc"])


def test_mounts_on_which_the_paths_lie_and_below_them() -> None:
    info = b"".join(
        b"1 1 0:1 / %s rw - ext4 x rw\n" % point
        for point in (b"/", b"/etc", b"/etc/a\\040b", b"/usr", b"/usr/share", b"/proc", b"/etc/../odd")
    )
    assert mounts_below(info, ["/etc", "/usr/lib/sasl2"]) == ["/", "/etc", "/etc/../odd", "/etc/a b", "/usr"]


def _run(folder: Path, script: str, **more: Any) -> subprocess.CompletedProcess[str]:
    argv = watching(folder, ["/nonexistent"], ["sh", "-c", script])
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, **more)


def test_input_output_and_status_are_the_commands(tmp_path: Path) -> None:
    done = _run(tmp_path / "out", "cat; echo err >&2; exit 7", input="in")
    assert (done.stdout, done.stderr, done.returncode) == ("in", "err\n", 7)


def test_a_command_that_a_signal_ended_is_told_so(tmp_path: Path) -> None:
    assert _run(tmp_path / "out", "kill -KILL $$").returncode == -signal.SIGKILL
    assert _run(tmp_path / "out", "kill -PIPE $$").returncode == -signal.SIGPIPE


def test_a_command_that_is_missing(tmp_path: Path) -> None:
    argv = watching(tmp_path / "out", ["/nonexistent"], ["/nonexistent/command"])
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        127,
        "/nonexistent/command could not be started: No such file or directory\n",
    )


def test_descriptors_that_it_inherits_reach_the_command(tmp_path: Path) -> None:
    descriptor = os.memfd_create("output")
    done = _run(
        tmp_path / "out", f"echo hello >/proc/self/fd/{descriptor}; ls /proc/self/fd", pass_fds=(descriptor,)
    )
    assert os.pread(descriptor, 100, 0) == b"hello\n"
    # ls has one of its own, for the folder; nothing of the witness is open in the command.
    assert len(done.stdout.split()) == len({"0", "1", "2", str(descriptor)}) + 1
    os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_command(tmp_path: Path, number: signal.Signals) -> None:
    script = f"trap 'echo caught; exit 3' {number}; echo ready; while :; do sleep 0.05; done"
    argv = watching(tmp_path / "out", ["/nonexistent"], ["sh", "-c", script])

    def heeded() -> None:  # nohup, and a shell that puts the tests into the background, have some ignored
        signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heeded
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate(timeout=30)[0] == "caught\n"
    assert process.returncode == 3


def test_it_goes_on_when_what_started_it_is_killed(tmp_path: Path) -> None:
    command = watching(tmp_path / "out", ["/nonexistent"], ["sh", "-c", f"sleep 0.5; : >{tmp_path}/done"])
    starter = (
        f"import subprocess, os, signal\nsubprocess.Popen({command!r})\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    # The pipe ends when the witness has, which still holds it.
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "done").exists()
    assert (tmp_path / "out" / NAME).read_bytes().endswith(_line(_END))


def test_the_record_is_for_its_owner_alone(tmp_path: Path) -> None:
    _run(tmp_path / "out", "true")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out", tmp_path / "out" / NAME)]
    assert modes == [0o700, 0o600]
