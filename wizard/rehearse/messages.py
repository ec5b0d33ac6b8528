"""What the two halves of a rehearsal say to each other: one JSON object a line. No secret ever goes this way."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any


class Teller:
    """The half in the clone: its lines go to the standard output that it was started with."""

    def __init__(self) -> None:
        self._out = sys.stdout
        sys.stdout = _Lines(lambda line: self.tell("text", line=line))
        sys.stderr = _Lines(lambda line: self.tell("error", line=line))

    def tell(self, event: str, **values: object) -> None:
        """Say one thing."""
        print(json.dumps({"event": event, **values}), file=self._out, flush=True)

    def pause(self, event: str, **values: object) -> None:
        """Say it, and wait until the other half has looked. Raises SystemExit when nobody listens any more."""
        self.tell(event, **values)
        if not sys.stdin.readline():
            sys.exit(1)


class _Lines(io.TextIOBase):
    """What is printed, passed on by whole lines."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def write(self, text: str) -> int:
        """As a text file does."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True


def heard(line: str) -> dict[str, Any]:
    """One line of the other half; what is not JSON is an error that it could not catch."""
    try:
        message = json.loads(line)
    except ValueError:
        return {"event": "error", "line": line.rstrip("\n")}
    return message if isinstance(message, dict) else {"event": "error", "line": line.rstrip("\n")}
