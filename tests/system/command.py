"""Commands run somewhere else, in a machine or beside it, and what becomes of them."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO


class CommandError(AssertionError):
    """A command failed or took too long; the message holds both its outputs, `done` the rest."""

    def __init__(self, done: subprocess.CompletedProcess[str], why: str) -> None:
        command = done.args if isinstance(done.args, str) else shlex.join(done.args)
        super().__init__(f"{command}: {why}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}")
        self.done = done


def in_shell(command: str | Sequence[str]) -> list[str]:
    """The argument list of a command: a string goes to `sh -c`."""
    return ["sh", "-c", command] if isinstance(command, str) else list(command)


def run_elsewhere(
    argv: Sequence[str],
    command: str | Sequence[str],
    *,
    input: str | bytes | None,
    timeout: float,
    check: bool,
) -> subprocess.CompletedProcess[str]:
    """Runs `argv`, the way to `command`, which ends by itself (timeout(1)) after `timeout` seconds.

    The outputs go through files, so that a daemon that keeps them open holds up nothing; what is not UTF-8
    comes as backslash escapes. Raises CommandError after `timeout`, and on a failing exit status if `check`.
    """
    given = input.encode() if isinstance(input, str) else input or b""
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as fed:
        fed.write(given)
        fed.seek(0)
        status = subprocess.run(argv, stdin=fed, stdout=out, stderr=err, check=False).returncode
        done = subprocess.CompletedProcess(command, status, text_of(out), text_of(err))
    if time.monotonic() - began >= timeout:
        raise CommandError(done, f"not done after {timeout:g} s")
    if check and status != 0:
        raise CommandError(done, f"exit {status}")
    return done


def ending_after(timeout: float) -> list[str]:
    """The start of a command line that ends the rest, politely and then not, after so many seconds."""
    return ["timeout", "--kill-after=5", f"{timeout:g}"]


def text_of(file: IO[bytes]) -> str:
    """All that was written to a file so far."""
    file.seek(0)
    return file.read().decode(errors="backslashreplace")
