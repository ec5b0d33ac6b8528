"""Machines for the system tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from tests.system.images import Layer, compiled, layers, with_whole_lists
from tests.system.machine import Init, Machine
from tests.system.order import InOrder, turn
from tests.system.releases import RELEASES, Release
from tests.system.room import why_no_machines

_BOOTED = pytest.StashKey[list[Machine]]()


class BootMachine(Protocol):
    """What the `machine` fixture gives: boots a machine of the test's release, gone when the test ends; with `whole_lists`
    apt has as much to read as on a real host."""

    def __call__(
        self,
        layer: Layer = "ready",
        *,
        hostname: str = "mail",
        fqdn: str = "mail.example.test",
        init: Init = "systemd",
        project: bool = True,
        whole_lists: bool = False,
    ) -> Machine: ...


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Release:
    """Each Debian release that the tests run on."""
    found: Release = request.param
    return found


@pytest.fixture
def machine(request: pytest.FixtureRequest, release: Release) -> Iterator[BootMachine]:
    """Boots machines; see BootMachine and tests.system.machine.Machine."""
    if why := why_no_machines():
        pytest.skip(why)
    with ExitStack() as booted:

        def boot(
            layer: Layer = "ready",
            *,
            hostname: str = "mail",
            fqdn: str = "mail.example.test",
            init: Init = "systemd",
            project: bool = True,
            whole_lists: bool = False,
        ) -> Machine:
            under = (with_whole_lists if whole_lists else layers)(release, layer)
            debian = Machine(under, hostname=hostname, fqdn=fqdn, init=init, project=project)
            request.node.stash.setdefault(_BOOTED, []).append(booted.enter_context(debian))
            # Else each of them compiles all of the program at its first command.
            if project and layer in ("ready", "mail") and (ours := compiled(release)):
                debian.run(["tar", "-x"], input=ours, cwd="/")
            return debian

        yield boot


@pytest.fixture(scope="module", params=RELEASES)
def debian(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine with an MSA and alice, and a client's network beside it; the tests of a file share it."""
    if why := why_no_machines():
        pytest.skip(why)
    with Machine(layers(request.param, "msa")) as debian:
        debian.client()
        yield debian


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long first; see tests.system.order."""
    items.sort(key=lambda item: turn(f"{item.path.name}::{item.name}"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InOrder | None:
    """With `--dist loadscope`: one after the other in that order, and what shares a machine on one worker."""
    return InOrder(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to a failure what the machines' journals say."""
    report = yield
    if report.when == "call" and report.failed:
        none: list[Machine] = []
        booted = item.stash.get(_BOOTED, none)
        for number, machine in enumerate(booted, start=1):
            if machine.init_pid and machine.init == "systemd":
                journal = machine.run(["journalctl", "--no-pager", "--lines=60"], check=False).stdout
                report.sections.append((f"journal of machine {number}", journal))
    return report
