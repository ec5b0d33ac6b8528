"""The one door to the machine."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from wizard.errors import HostError, Overdue
from wizard.system.host import Host


def test_the_callers_environment_does_not_reach_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LD_PRELOAD_X", "x")
    shown = dict(line.split("=", 1) for line in Host().run(["env"]).stdout.splitlines())
    assert shown["LC_ALL"] == "C"
    assert "LD_PRELOAD_X" not in shown


def test_the_callers_umask_does_not_reach_a_command() -> None:
    before = os.umask(0o077)
    try:
        assert Host().run(["sh", "-c", "umask"]).stdout.strip() == "0022"
    finally:
        os.umask(before)


def test_lines_come_as_they_are_said() -> None:
    heard: list[tuple[str, float]] = []
    started = time.monotonic()
    Host().run(
        ["sh", "-c", "echo one; sleep 0.4; echo two"], say=lambda line: heard.append((line, time.monotonic()))
    )
    assert [line for line, _ in heard] == ["one", "two"]
    assert heard[0][1] - started < 0.35


def test_of_a_line_that_is_written_over_the_last_state_is_said() -> None:
    heard: list[str] = []
    counting = r"printf '(Reading ... \r(Reading ... 5%%\r(Reading ... 9 files.)\nold ends\r\n'"
    Host().run(["sh", "-c", counting], say=heard.append)
    assert heard == ["(Reading ... 9 files.)", "old ends"]


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(Overdue, match="did not end within"):
        Host().run(["sh", "-c", f"sleep 60 & echo $! > {mark}; wait"], timeout=0.5)
    child = int(mark.read_text())
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.05)
    raise AssertionError("the child is still there")


def test_a_daemon_that_keeps_the_pipe_does_not_hold_us() -> None:
    started = time.monotonic()
    assert Host().run(["sh", "-c", "sleep 5 & echo ready"]).stdout == "ready\n"
    assert time.monotonic() - started < 3


def test_a_command_that_is_missing_is_named() -> None:
    with pytest.raises(HostError, match="no-such-command could not be started"):
        Host().run(["no-such-command"])


def test_no_shell_reads_an_argument() -> None:
    assert Host().run(["echo", "$(id); `id`"]).stdout == "$(id); `id`\n"


def _serve(server: socket.socket, reply: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(reply)


@pytest.mark.parametrize(
    ("reply", "said"), [(struct.pack(">H", 2) + b"NO", "NO"), (b"", None), (b"\x00", None)]
)
def test_asking_a_socket(tmp_path: Path, reply: bytes, said: str | None) -> None:
    host = Host(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "mux"))
        listening.listen(1)
        server = threading.Thread(target=_serve, args=(listening, reply), daemon=True)
        server.start()
        if said is None:
            with pytest.raises(HostError, match="/mux"):
                host.ask_unix_socket("/mux", (b"", b"", b"smtp", b""))
        else:
            assert host.ask_unix_socket("/mux", (b"", b"", b"smtp", b"")) == said
        server.join(10)


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="does not answer"):
        Host(tmp_path).ask_unix_socket("/mux", (b"",))
