"""What holds for all tests: which run by default, and that in CI no system test may skip."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.system.releases import by_default, release_in
from wizard import console, log

_SYSTEM = Path(__file__).parent / "system"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the longer sweeps (marked full) too")


def pytest_configure(config: pytest.Config) -> None:
    # The default run is the same each time; the sweeps look further. How long an example takes is the machine's matter.
    settings.register_profile("same", derandomize=True, deadline=None)
    settings.register_profile("full", max_examples=1000, deadline=None)
    settings.load_profile("full" if config.getoption("--full") else "same")


@pytest.fixture(autouse=True, scope="session")
def _no_log_of_this_machine() -> None:
    log.PATH = Path(os.devnull)


@pytest.fixture(autouse=True)
def _nothing_left_quiet_or_hidden() -> Generator[None]:
    """A command that a test has run with -q keeps the process quiet, and hides a password from then on."""
    yield
    console.set_quiet(False)
    log._masks.clear()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_SYSTEM):
            item.add_marker(pytest.mark.system)
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full") or _elsewhere(item)]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


def _elsewhere(item: pytest.Item) -> bool:
    """Whether only --full runs this system test on this release; see `tests.system.releases`."""
    if not item.path.is_relative_to(_SYSTEM) or not isinstance(item, pytest.Function):
        return False
    release = release_in(item.callspec.params) if hasattr(item, "callspec") else None
    if release is None:
        return False
    about = item.get_closest_marker("default_on")
    return not by_default(
        f"{item.path.name}::{item.name}".replace(release, ""),
        release,
        only=about.args[0] if about else None,
        on_both=item.get_closest_marker("on_both") is not None,
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure is reported as skipped, too, and may stay.
    if item.get_closest_marker("system") and report.skipped and not hasattr(report, "wasxfail"):
        _fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.path.is_relative_to(_SYSTEM):
        _fail_in_ci(report)
    return report


def _fail_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("MSA_WIZARD_CI") == "1":
        report.outcome = "failed"
        report.longrepr = f"a system test may not skip in CI: {report.longrepr}"
