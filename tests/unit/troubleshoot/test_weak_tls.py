"""Which listener is asked for weak TLS: one of those that the step tls-policy narrows, past sendmail's rate limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.troubleshoot.pictures import conversation
from wizard.sendmail.cf import Daemon
from wizard.smtp.handshakes import QUICK
from wizard.system.host import Host
from wizard.troubleshoot import collect
from wizard.troubleshoot.model import Layer


def asked(monkeypatch: pytest.MonkeyPatch, *daemons: Daemon, **changes: Any) -> list[int]:
    found = list[int]()

    def handshakes(_host: Host, daemon: Daemon, _name: str, kinds: object) -> tuple[()]:
        assert kinds == QUICK
        found.append(daemon.port)
        return ()

    monkeypatch.setattr(collect, "handshakes", handshakes)
    collect._weak_tls(Host(), [conversation(0, daemon=each, **changes) for each in daemons], "mail")
    return found


def test_port_25_stays_as_it_is_though_it_requires_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    mta, msp = Daemon("MTA", "inet", "", 25, "a"), Daemon("MSP", "inet", "", 587, "Ea")
    assert asked(monkeypatch, mta, msp) == [587]
    assert asked(monkeypatch, mta) == []


def test_what_the_rate_limits_count_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, Daemon("X", "inet", "192.0.2.1", 587, "Ea")) == []
    assert asked(monkeypatch, Daemon("X", "inet", "", 587, "Ea"), stopped=Layer.STARTTLS) == []
