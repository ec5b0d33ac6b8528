"""Which SSH connection is the present one, in an environment that may tell of an earlier one."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wizard.gather.firewall import ssh_client
from wizard.system.host import Host

OLD = "198.51.100.7 40000 192.0.2.1 22"
NEW = "203.0.113.9 50000 192.0.2.1 22"
OTHER = "203.0.113.20 60000 192.0.2.1 22"
MAPPED = "::ffff:203.0.113.9 50000 ::ffff:192.0.2.1 22"
LINK = "fe80::2%eth0 50000 fe80::1%eth0 22"


def end(address: str, port: str) -> str:
    """As /proc/net/tcp* have it."""
    raw = ipaddress.ip_address(address.partition("%")[0]).packed
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return f"{raw.hex().upper()}:{int(port):04X}"


@pytest.fixture
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Host]:
    """Makes a host that runs this in `environment`, with these connections open, and such of the same login by process."""

    def made(
        environment: str,
        *opened: str,
        others: tuple[str, ...] = (),
        state: str = "01",
        login: str = "0",
        own: str = "0",
    ) -> Host:
        monkeypatch.setenv("SSH_CONNECTION", environment)
        rows = []
        for text in opened:
            client, its_port, server, port = text.split()
            rows.append(f"0: {end(server, port)} {end(client, its_port)} {state} 0:0 00:0 0 0 0 1 1\n")
        for name in ("net", "self", "1"):
            (tmp_path / "proc" / name).mkdir(parents=True)
        (tmp_path / "proc/net/tcp6").write_text("head\n" + "".join(rows))
        (tmp_path / "proc/self/loginuid").write_text(own)
        for pid, text in enumerate(others, start=100):
            (tmp_path / f"proc/{pid}").mkdir()
            (tmp_path / f"proc/{pid}/loginuid").write_text(login)
            (tmp_path / f"proc/{pid}/environ").write_bytes(f"A=b\0SSH_CONNECTION={text}\0".encode())
        return Host(tmp_path)

    return made


@pytest.mark.parametrize(
    ("environment", "client"),
    [(NEW, "203.0.113.9"), (MAPPED, "203.0.113.9"), (LINK, "fe80::2"), ("", ""), ("x", "")],
)
def test_one_that_is_open_counts(connected: Callable[..., Host], environment: str, client: str) -> None:
    assert ssh_client(connected(environment, *([environment] if client else []))) == client


def test_one_that_has_ended_does_not(connected: Callable[..., Host]) -> None:
    assert ssh_client(connected(OLD, "198.51.100.7 40001 192.0.2.1 22")) == ""


def test_one_that_is_being_closed_does_not(connected: Callable[..., Host]) -> None:
    assert ssh_client(connected(OLD, OLD, state="06")) == ""


def test_in_tmux_the_only_open_one_of_the_login_counts(connected: Callable[..., Host]) -> None:
    assert ssh_client(connected(OLD, NEW, OTHER, others=(OLD, NEW, NEW, ""))) == "203.0.113.9"


def test_of_several_none_is_guessed(connected: Callable[..., Host]) -> None:
    assert ssh_client(connected(OLD, NEW, OTHER, others=(NEW, OTHER))) == ""


def test_that_of_another_login_is_not_taken(connected: Callable[..., Host]) -> None:
    assert ssh_client(connected(OLD, NEW, others=(NEW,), login="1000")) == ""


@pytest.mark.parametrize("own", ["4294967295", ""])
def test_where_no_login_has_a_number_that_of_nobody_else_is_taken(
    connected: Callable[..., Host], own: str
) -> None:
    """In a container all processes have the same: it may be anybody's."""
    assert ssh_client(connected(OLD, NEW, others=(NEW,), login=own, own=own)) == ""
