"""The log: what each run did, for finding out later why something failed. Passwords and keys are masked, hostile text cleaned.

root's runs are in PATH; `--verbose` shows the commands on standard error as they run. Until `begin` nothing is kept:
`logging` is not even imported. Inside a rehearsal's clone nobody begins one."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.console import clean

if TYPE_CHECKING:
    import logging

    from snapshots.format.secret_text import PasswordMask

PATH = Path("/var/log/msa-wizard.log")
MOST, MOST_OF_SUCCESS = 8000, 3000
"""Characters of one record, and of the output of a command that ended with 0: a quarter from its beginning, the rest
from its end. So the log of an `apply` is some 100 KB, and that of a look at the host a tenth."""

_logger: logging.Logger | None = None
_masks: dict[Hashable, Callable[[bytes], bytes]] = {}


def begin(arguments: Sequence[str], *, verbose: bool = False) -> None:
    """Keep a log of this run, should we be root; `verbose`: show its commands, too. Never raises for a full disk."""
    global _logger
    root = os.geteuid() == 0
    if not (root or verbose):
        return
    from wizard.log.handlers import logger

    _logger = logger(PATH if root else None, verbose=verbose)
    note(f"msa-wizard {shlex.join(arguments)}".rstrip())


def end() -> None:
    """Keep nothing any more, and forget what was to be hidden."""
    global _logger
    _logger = None
    _masks.clear()


def hide(secret: Hashable, mask: Callable[[bytes], bytes]) -> None:
    """From now on each line goes through `mask`, which removes the `secret`, before it is written."""
    _masks[secret] = mask


def note(text: str) -> None:
    """A change, a decision or an error, of one line or several."""
    if _logger is not None:
        _logger.info("%s", masked(text))


def exception() -> None:
    """The exception being handled: its frames and messages, never variables."""
    import traceback

    if _logger is not None:
        note(traceback.format_exc())


def started(argv: Sequence[str]) -> Callable[[int | None, str], None]:
    """A command is at work; to be called with its exit code and its output when it has ended."""
    if _logger is None:
        return lambda _code, _output: None
    words, since, logger = masked(shlex.join(argv)), time.monotonic(), _logger
    logger.info("$ %s", words, extra={"command": True})

    def ended(code: int | None, output: str) -> None:
        seconds, shown = time.monotonic() - since, masked(output.strip(), MOST if code else MOST_OF_SUCCESS)
        logger.info("exit %s after %.2f s: %s", code, seconds, words, extra={"command": True, "more": shown})

    return ended


@contextmanager
def command(argv: Sequence[str]) -> Iterator[Callable[[int | None, str], None]]:
    """The same; what ends it otherwise is noted, too."""
    try:
        yield started(argv)
    except BaseException as error:
        note(f"{shlex.join(argv)}: {error or type(error).__name__}")
        raise


def masked(text: str, most: int = MOST) -> str:
    """The lines of `text`, harmless, without the passwords we know, without hashes and keys; the middle of many left out."""
    from snapshots.format.secret_text import PasswordMask, hidden

    if instead := hidden("", text.encode("utf-8", "backslashreplace")):
        return instead
    hashes = PasswordMask("")
    return "\n".join(_line(line, hashes) for line in _shortened(text, most).splitlines())


def _line(line: str, hashes: PasswordMask) -> str:
    # Once more where something was cleaned: what was hidden between escape sequences shows then.
    for _ in range(2):
        raw = hashes.line(line.encode("utf-8", "backslashreplace"))
        for mask in tuple(_masks.values()):
            raw = mask(raw)
        text = raw.decode("utf-8", "replace")
        line = clean(text)
        if line == text:
            break
    return line


def _shortened(text: str, most: int) -> str:
    """Whole lines of both ends: half a password could not be recognized."""
    if len(text) <= most:
        return text
    head, tail = text[: most // 4].rpartition("\n")[0], text[-3 * most // 4 :].partition("\n")[2]
    return f"{head}\n[{len(text) - len(head) - len(tail)} characters left out]\n{tail}"
