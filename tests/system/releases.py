"""The Debian releases that system tests boot, and which of them a test runs on without --full.

The oldest and the newest run everything between them: they take turns from test to test, and a test that is marked
`on_both` runs on both. A release between them behaves like one of its neighbours; it runs what ON_THE_MIDDLE names.
With --full everything runs on every release.
"""

from __future__ import annotations

import zlib
from typing import Literal

Release = Literal["bookworm", "trixie", "forky"]

PYTHON_OF: dict[Release, str] = {"bookworm": "3.11", "trixie": "3.13", "forky": "3.14"}
"""The releases, oldest first, and the Python that each brings."""
RELEASES: tuple[Release, ...] = tuple(PYTHON_OF)
ENDS = (RELEASES[0], RELEASES[-1])
"""The oldest and the newest."""
INIT_SCRIPTS: tuple[Release, ...] = ("bookworm",)
"""Where systemd makes the units of sendmail and saslauthd of their init scripts."""
NATIVE_UNITS: tuple[Release, ...] = ("trixie", "forky")
"""Where they have units of their own."""

ON_THE_MIDDLE = {
    "test_machine.py::test_it_is_a_whole_debian": "the machine itself must be sound before anything else counts",
    "test_machine.py::test_mail_layer_is_as_apt_leaves_it": "Debian's own packages, in versions of its own",
    "test_launcher.py::test_first_run_installs_what_is_missing_and_says_so_first": "a Python of its own",
    "test_one_file.py::test_from_a_copied_file_to_235_and_back_to_nothing": "compiled by a Python of its own",
    "test_package.py::test_from_a_bare_debian_to_a_login_and_back": "the package with Debian's own Python modules",
    "test_apply.py::test_from_a_bare_machine_to_235": "the whole way once, on its sendmail, systemd and Python",
    "test_rollback.py::test_everything_back_leaves_the_machine_as_it_was": "the whole way back once",
    "test_capture.py::test_captured_files_are_those_that_the_commands_write_by_themselves": "what its scripts write",
    "test_troubleshoot_healthy.py::test_no_false_alarm": "the words of its log, and its units as they are",
}
"""What a release in the middle runs, too, and why: here it can differ from both ends."""


def by_default(case: str, release: Release, *, only: Release | None = None, on_both: bool = False) -> bool:
    """Whether a test runs on `release` without --full.

    `case` is its file, its name and its parameters but the release; `only` is the release that it is about. Raises ValueError
    where that is one between the ends: such a test would never run.
    """
    if only not in (None, *ENDS):
        raise ValueError(
            f"{case}: default_on({only!r}) runs nowhere by default: name one of the ends, or mark it full"
        )
    if release not in ENDS:
        return case.partition("[")[0] in ON_THE_MIDDLE
    if only is not None:
        return release == only
    return on_both or release == ENDS[zlib.crc32(case.encode()) % len(ENDS)]


def release_in(parameters: dict[str, object]) -> Release | None:
    """The release among a test's parameters."""
    return next((release for release in RELEASES if release in parameters.values()), None)
