"""From the command line to the screens, and back with the terminal as it was."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from screens.terminal_check import plain, trouble, window
from wizard import log
from wizard.console import clean_block, error

CANNOT = 3


def launch() -> int:
    """Run the screens; the exit code. A terminal that cannot show them gets a sentence."""
    if why := trouble(os.environ, window()):
        error(f"msa-wizard: {why}")
        return CANNOT
    from screens.app import WizardApp

    app = WizardApp(plain=plain(os.environ))
    code = app.run(mouse=False)
    if app.crash is not None:
        error(crash_words(app.crash))
        return 1
    if app.signal:
        return 128 + app.signal
    return code or 0


def crash_words(crash: BaseException) -> str:
    """Write the report of a crash, and say where it is. It contains code and messages, never variables."""
    log.note("".join(traceback.format_exception(crash)))
    folder = Path("/var/lib/msa-wizard") if os.geteuid() == 0 else Path.home() / ".cache/msa-wizard"
    path = folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    words = f"msa-wizard: the screens failed ({type(crash).__name__}). "
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("".join(traceback.format_exception(crash)))
        words += f"A report is in {path}. "
    except OSError as problem:
        words += f"No report could be written ({problem.strerror}). "
    return clean_block(
        f"{words}`msa-wizard status` says how far the host is; `msa-wizard recover` takes up an interrupted run"
    )


if __name__ == "__main__":
    sys.exit(launch())
