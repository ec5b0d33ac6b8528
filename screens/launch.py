"""From the command line to the screens, if the terminal can show them, and back with the terminal as it was."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from screens import SMALLEST
from wizard import log
from wizard.console import clean_block, error, out

if TYPE_CHECKING:
    from screens.app import WizardApp

CANNOT = 3


def launch() -> int:
    """Run the screens; the exit code. A terminal that cannot show them gets a sentence."""
    if why := trouble(os.environ, window()):
        error(f"msa-wizard: {why}")
        return CANNOT
    gc.disable()  # what is made until the first screen is drawn are modules and widgets, and they stay
    from screens.app import WizardApp
    from screens.backend import Backend

    app = WizardApp(Backend.of_this_host(), plain=plain(os.environ))
    code = asyncio.run(_run(app))
    if app.crash is not None:
        error(crash_words(app.crash))
        return 1
    from wizard.render.waiting import LOOKING, waiting

    with waiting(LOOKING):
        words = app.backend.parting_words(look=not app.signal)
    out(words)
    if app.signal:
        return 128 + app.signal
    return code or 0


async def _run(app: WizardApp) -> int | None:
    """The screens, until nothing is at work any more: what quitting waits for is said where the screens were."""
    code = await app.run_async(mouse=False)
    if app.desk.busy:
        out("msa-wizard: the command at work is finished first; please wait ...")
        await asyncio.to_thread(app.desk.wait)
    return code


def crash_words(crash: BaseException) -> str:
    """Write the report of a crash, and say where it is. It contains code and messages, never variables."""
    report = "".join(traceback.format_exception(crash))
    log.note(report)
    folder = Path("/var/lib/msa-wizard") if os.geteuid() == 0 else Path.home() / ".cache/msa-wizard"
    path = folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    words = f"msa-wizard: the screens failed ({type(crash).__name__}). "
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(report)
        words += f"A report is in {path}. "
    except OSError as problem:
        words += f"No report could be written ({problem.strerror}). "
    return clean_block(
        f"{words}`msa-wizard status` says how far the host is; `msa-wizard recover` takes up an interrupted run"
    )


DUMB = ("", "dumb", "unknown", "emacs")
COMMANDS = "`msa-wizard plan`, `msa-wizard apply` and `msa-wizard status` do the same without it"


def trouble(environ: Mapping[str, str], size: tuple[int, int]) -> str | None:
    """Why the screens cannot be shown here, and what to do; None when they can."""
    term = environ.get("TERM", "")
    if term in DUMB:
        return f"this terminal (TERM={term or 'not set'}) cannot show screens; {COMMANDS}"
    width, height = size
    if width <= 0 or height <= 0:
        return (
            f"the terminal does not tell its size: `stty cols 80 rows 24` does, then start again; {COMMANDS}"
        )
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return (
            f"the window is {width}x{height}, and the screens need {SMALLEST[0]}x{SMALLEST[1]}: make it larger "
            f"and start again; {COMMANDS}"
        )
    return None


def plain(environ: Mapping[str, str]) -> bool:
    """Whether only ASCII may be drawn: no UTF-8 locale, or the kernel's console with its small fonts.

    Python itself turns LC_CTYPE=C into C.UTF-8 before we see it (PEP 538), so LANG is believed then."""
    chosen = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    if chosen == "C.UTF-8" and not environ.get("LC_ALL") and environ.get("LANG", "C") in ("", "C", "POSIX"):
        chosen = "C"
    return "utf8" not in chosen.lower().replace("-", "") or environ.get("TERM") == "linux"


def window() -> tuple[int, int]:
    """Columns and lines, as the terminal itself says."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return (0, 0)
    return (size.columns, size.lines)
