"""Listeners watched after a restart: real sockets that greet, stop greeting, or go."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wizard.changes import service as watched
from wizard.changes.service import WatchChange
from wizard.errors import ChangeError
from wizard.system.host import Host


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_PATIENCE", 0.5)
    monkeypatch.setattr(watched, "_PAUSE", 0.05)
    monkeypatch.setattr(watched, "_TOLD", 0.4)


@contextmanager
def listening(greets: float) -> Iterator[int]:
    """A server that greets for so many seconds, and then takes connections and says nothing."""
    end = time.monotonic() + greets
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            held = []
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                if time.monotonic() < end:
                    client.sendall(b"220 mail.example.test ESMTP\r\n")
                    client.close()
                else:
                    held.append(client)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def host(root: Path, port: int) -> Host:
    (root / "etc/mail").mkdir(parents=True)
    (root / "etc/mail/sendmail.cf").write_text(f"O DaemonPortOptions=Name=MSA, Port={port}, Addr=127.0.0.1\n")
    return Host(root)


def test_listeners_that_greet_are_left_alone(tmp_path: Path) -> None:
    said: list[str] = []
    with listening(60) as port:
        WatchChange(1).apply(host(tmp_path, port), said.append)
    assert said[-1] == "every listener greeted for 1 s"
    assert any("left to watch" in line for line in said)


def test_one_that_greets_no_more_is_told(tmp_path: Path) -> None:
    with listening(0.3) as port, pytest.raises(ChangeError, match=f"port {port} does not greet any more"):
        WatchChange(30).apply(host(tmp_path, port), lambda _: None)


def test_one_that_has_gone_is_told(tmp_path: Path) -> None:
    with listening(60) as port:
        pass
    with pytest.raises(ChangeError, match=f"127.0.0.1 port {port} does not greet any more"):
        WatchChange(30).apply(host(tmp_path, port), lambda _: None)
