"""Whether a server's port can be reached, and how long that may take."""

from __future__ import annotations

import socket
import time

import pytest

from wizard.smtp import connection


def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.create_connection(full.getsockname()),
        socket.socket() as waiting,
        socket.create_server(("127.0.0.1", 0)) as good,
    ):
        waiting.setblocking(False)
        waiting.connect_ex(full.getsockname())
        both = [(socket.AF_INET, server.getsockname()) for server in (full, good)]
        monkeypatch.setattr(connection, "lookup", lambda *_: both)
        assert connection.unreachable("x.test", "389", 1.0) == ""
        monkeypatch.setattr(connection, "lookup", lambda *_: both[:1])
        began = time.monotonic()
        assert connection.unreachable("x.test", "389", 0.3) == "no answer in time"
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("port", ["no-such-service", "99999", "", "²"])
def test_odd_ports(port: str) -> None:
    assert connection.unreachable("127.0.0.1", port, 1.0) not in ("", "connection refused")
