"""The log: what each run did, for finding out later why something failed. Passwords and keys are masked, hostile text cleaned.

root's runs are in PATH; `--verbose` shows the commands on standard error as they run. Until `begin` nothing is kept. Inside
a rehearsal's clone nobody begins one."""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.console import clean, error

if TYPE_CHECKING:
    from snapshots.format.secret_text import PasswordMask

PATH = Path("/var/log/msa-wizard.log")
LONGEST = 4 * 1024 * 1024
"""Bytes of the file; then it is renamed to .1, and the one before is gone."""
LOGROTATE = "/etc/logrotate.d/msa-wizard"
ROTATED = ("/usr/sbin/logrotate", LOGROTATE)
"""Where these are, logrotate renames it once a day, and keeps what was .1."""
LONGEST_ROTATED = 64 * 1024 * 1024
"""Bytes of the file there: should logrotate not run."""
MOST, MOST_OF_SUCCESS = 8000, 3000
"""Characters of one record, and of the output of a command that ended with 0: a quarter from its beginning, the rest
from its end. So the log of an `apply` is some 100 KB, and that of a look at the host a tenth."""

_file: Path | None = None
_verbose = False
_masks: dict[Hashable, Callable[[bytes], bytes]] = {}


def begin(arguments: Sequence[str], *, verbose: bool = False) -> None:
    """Keep a log of this run, should we be root; `verbose`: show its commands, too. Never raises for a full disk."""
    global _file, _verbose
    _file, _verbose = PATH if os.geteuid() == 0 else None, verbose
    note(f"msa-wizard {shlex.join(arguments)}".rstrip())


def end() -> None:
    """Keep nothing any more, and forget what was to be hidden."""
    global _file, _verbose
    _file, _verbose = None, False
    _masks.clear()


def hide(secret: Hashable, mask: Callable[[bytes], bytes]) -> None:
    """From now on each line goes through `mask`, which removes the `secret`, before it is written."""
    _masks[secret] = mask


def note(text: str) -> None:
    """A change, a decision or an error, of one line or several."""
    if _file is not None:
        _record(masked(text))


def exception() -> None:
    """The exception being handled: its frames and messages, never variables."""
    import traceback

    note(traceback.format_exc())


def started(argv: Sequence[str], most: int = MOST_OF_SUCCESS) -> Callable[[int | None, str], None]:
    """A command is at work; to be called with its exit code and its output when it has ended. Of the output of one that
    succeeds `most` characters are kept."""
    if _file is None and not _verbose:
        return lambda _code, _output: None
    words, since = masked(shlex.join(argv)), time.monotonic()
    _say(f"$ {words}")

    def ended(code: int | None, output: str) -> None:
        seconds = time.monotonic() - since
        _say(
            f"exit {code} after {seconds:.2f} s: {words}",
            masked(output.strip(), MOST if code else most),
        )

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


def _say(text: str, output: str = "") -> None:
    _record(f"{text}\n{output}" if output else text)
    if _verbose:
        error(text)


def _record(text: str) -> None:
    """Append it, with its further lines indented. Whatever the disk does, the program goes on without a log.

    The file is opened for each record: so logrotate, a killed run and a second process do no harm."""
    if (path := _file) is None:
        return
    text = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} [{os.getpid()}] {text}"
    line = (text.replace("\n", "\n    ") + "\n").encode("utf-8", "backslashreplace")
    with suppress(OSError):
        descriptor = _opened(path)
        try:
            if _is_full(os.fstat(descriptor).st_size + len(line)):
                with suppress(BlockingIOError):  # a second process renames it, or just has
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.path.samestat(path.lstat(), os.fstat(descriptor)):
                        path.replace(f"{path}.1")
                full, descriptor = descriptor, _opened(path)
                os.close(full)
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def _is_full(size: int) -> bool:
    return size > LONGEST and (size > LONGEST_ROTATED or not all(map(os.path.exists, ROTATED)))


def _opened(path: Path) -> int:
    """Raises OSError for anything but a regular file of ours with one name: a link may lead anywhere."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file of ours")
    if stat.S_IMODE(status.st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)
    return descriptor
