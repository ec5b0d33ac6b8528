"""One conversation with `git cat-file`: any number of objects for one process."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from snapshots.git.repository import SHALLOW, GitProcess

_FOUND = re.compile(rb"[0-9a-f]{40} [a-z]+ ([0-9]+)\n")
_PIPE_SIZE = 4096
"""No pipe holds less. While git writes an answer that we do not read yet, it must hold the questions."""


class ObjectReader(GitProcess):
    """Reads objects of one repository; git starts with the first question. A context manager."""

    @functools.cached_property
    def cut(self) -> frozenset[str]:
        """The commits at which a repaired history begins: what they name as their parent cannot be read."""
        try:
            return frozenset((self._repository.path / SHALLOW).read_text().split())
        except FileNotFoundError:
            return frozenset()

    def read(self, names: Sequence[bytes]) -> list[bytes | None]:
        """The contents of objects named by their whole id or as `COMMIT:PATH`, None for those there are not.

        Raises StoreError.
        """
        contents: list[bytes | None] = []
        for chunk in _chunks(names):
            self._ask(chunk)
            contents += map(self._answer, chunk)
        return contents

    def _ask(self, names: Sequence[bytes]) -> None:
        if self._process is None:
            self._process = self._repository.start("cat-file", "--batch", "-z")
        try:
            self._process.stdin.write(b"".join(name + b"\0" for name in names))
            self._process.stdin.flush()
        except (BrokenPipeError, ConnectionError):
            self._fail()

    def _answer(self, name: bytes) -> bytes | None:
        output = self._process.stdout
        line = output.readline()
        head = _FOUND.fullmatch(line)
        if head is None:  # "NAME missing", and a name may have newlines
            missing = name + b" missing\n"
            if line + output.read(len(missing) - len(line)) != missing:
                self._fail()
            return None
        content: bytes = output.read(int(head[1]) + 1)
        if len(content) <= int(head[1]):
            self._fail()
        return content[:-1]

    def _fail(self) -> None:
        process, self._process = self._process, None
        process.kill()
        _, errors = process.communicate()
        raise self._repository.failure("cat-file", process.returncode, errors)


def _chunks(names: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    first = size = 0
    for at, name in enumerate(names):
        size += len(name) + 1
        if size > _PIPE_SIZE and at > first:
            yield names[first:at]
            first, size = at, len(name) + 1
    if names:
        yield names[first:]
