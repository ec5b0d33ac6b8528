"""A terminal of 80x24 on which the program runs in a machine: keys go in, the screen is read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import pyte

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "down": "\x1b[B",
    "up": "\x1b[A",
    "home": "\x1b[H",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f10": "\x1b[21~",
}


class AnsweringScreen(pyte.Screen):
    """pyte's screen, which does not know the private requests of a terminal's state that tmux 3.6 makes."""

    def report_device_status(self, mode: int, **_: object) -> None:
        """As for the others: pyte answers the modes that it knows."""
        super().report_device_status(mode)


class Terminal:
    """A process on a pseudo-terminal, and what it has drawn. Closing hangs up the line."""

    def __init__(
        self, argv: Sequence[str], size: tuple[int, int] = (80, 24), env: Mapping[str, str] | None = None
    ) -> None:
        self.screen = AnsweringScreen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.received = 0
        """Bytes drawn so far."""
        self.raw = b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = subprocess.Popen(
            list(argv),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            os.close(self.master)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGHUP)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    @property
    def text(self) -> str:
        """The screen as it is now."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, *keys: str) -> None:
        """Type names of keys, or text."""
        for key in keys:
            os.write(self.master, KEYS.get(key, key).encode())

    def read(self, seconds: float = 0.05) -> bool:
        """Take in what was drawn; False when the line has ended."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            piece = self.take()
        except OSError:
            return False
        self.received += len(piece)
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)

    def take(self) -> bytes:
        """What the line has brought. Raises OSError when it has ended."""
        return os.read(self.master, 65536)

    def until(self, what: str | Callable[[], bool], seconds: float = 60.0) -> None:
        """Read until the screen holds the words, or the condition holds; a failure shows the screen."""
        end = time.monotonic() + seconds
        while not (what in self.text if isinstance(what, str) else what()):
            if time.monotonic() > end or not self.read():
                raise AssertionError(f"{what!r} did not come about; the screen:\n{self.text}")

    def ended(self, seconds: float = 30.0) -> int:
        """The exit status, once it has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            self.read()
        while self.read(0.2) and select.select([self.master], [], [], 0)[0]:
            pass
        return self.process.wait(1)
