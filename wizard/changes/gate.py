"""What a file has to pass before it is written."""

from __future__ import annotations

from typing import Protocol

from wizard.system.host import Host, Say


class FileGate(Protocol):
    """Tries new content out, without touching what is there."""

    def check(self, host: Host, content: bytes, say: Say, /) -> object:
        """Raises mc_gate.GateError where it must not be written: why, and what to do."""
