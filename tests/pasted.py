"""What a shell makes of a text that is pasted into it."""

from __future__ import annotations

import subprocess


def pasted(text: str) -> list[str]:
    """The words that a shell takes from it."""
    said = subprocess.run(["/bin/sh", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True)
    return said.stdout.decode().split("\0")[:-1]
