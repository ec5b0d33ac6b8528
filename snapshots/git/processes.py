"""The gits that a conversation is held with: one reads objects, one makes a commit."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from snapshots.errors import StoreError
from snapshots.format.message import Author
from snapshots.git.repository import BRANCH, SHALLOW, GitRepository
from snapshots.git.writers import remove_leftovers, writer_mark

_FOUND = re.compile(rb"[0-9a-f]{40} [a-z]+ ([0-9]+)\n")
_PIPE_SIZE = 4096
"""No pipe holds less. While git writes an answer that we do not read yet, it must hold the questions."""

_PLAIN = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}


class GitProcess:
    """A git that one conversation is held with: it starts when it is first needed, and ends with the block."""

    def __init__(self, repository: GitRepository) -> None:
        self._repository = repository
        self._process: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class ObjectReader(GitProcess):
    """Reads objects of one repository; git starts with the first question. A context manager."""

    @functools.cached_property
    def cut(self) -> frozenset[str]:
        """The commits at which a repaired history begins: what they name as their parent cannot be read."""
        try:
            return frozenset((self._repository.path / SHALLOW).read_text().split())
        except FileNotFoundError:
            return frozenset()

    def begin(self) -> None:
        """Starts git, before the first question. Raises StoreError."""
        if self._process is None:
            self._process = self._repository.start("cat-file", "--batch", "-z")

    def read(self, names: Sequence[bytes]) -> list[bytes | None]:
        """The contents of objects named by their whole id or as `COMMIT:PATH`, None for those there are not.
        Raises StoreError."""
        contents: list[bytes | None] = []
        for chunk in _chunks(names):
            self.begin()
            try:
                self._process.stdin.write(b"".join(name + b"\0" for name in chunk))
                self._process.stdin.flush()
            except ConnectionError:
                self._fail()
            contents += map(self._answer, chunk)
        return contents

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


@dataclass(frozen=True, slots=True)
class Draft:
    """What a commit says beside its files; `record` is bytes kept with it alone."""

    parent: str | None
    author: Author
    time: datetime.datetime
    message: str
    record: bytes | None = None


class FastImport(GitProcess):
    """A `git fast-import` that starts with the first thing given to it and ends with `commit`. As a context
    manager: leaving it without `commit` kills the process, and nothing of it stays."""

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            super().__exit__()
            remove_leftovers(self._repository.path)

    def blob(self, content: bytes) -> None:
        """Stores the content of a file or a symbolic link. Raises StoreError."""
        self._write(b"blob\ndata %d\n" % len(content), content, b"\n")

    def commit(
        self,
        draft: Draft,
        deleted: list[bytes],
        blobs: list[tuple[bytes, bytes, bytes]],
        texts: list[tuple[bytes, bytes]],
    ) -> None:
        """Ends the stream with the commit and waits until it is safe on disk. `deleted` are names of the
        tree; `blobs` (git's mode, id of a blob given before or long there, name); `texts` (name, content).
        Raises StoreError; then the branch is where it was."""
        date = raw_date(draft.time)
        message = draft.message.encode("utf-8", "replace")
        lines = [
            b"commit " + BRANCH.encode(),
            b"author %s %s" % (draft.author.signature(), date),
            b"committer %s %s" % (Author("msa-wizard", draft.author.email).signature(), date),
            b"data %d\n%s" % (len(message), message),
        ]
        if draft.parent:
            lines.append(b"from " + draft.parent.encode())
        lines += [b"D " + quote_path(name) for name in deleted]
        lines += [b"M %s %s %s" % (mode, blob, quote_path(name)) for mode, blob, name in blobs]
        for name, content in texts:
            lines.append(b"M 100644 inline %s\ndata %d\n%s" % (quote_path(name), len(content), content))
        self._write(b"\n".join(lines), b"\n\ndone\n")
        self._end()

    def _write(self, *parts: bytes) -> None:
        if self._process is None:
            with writer_mark(self._repository.path) as mark:
                # 0, not the 1 that stores have: a pack of the commit alone, as a rollback makes, would be taken apart by one
                # more git, which takes longer than all the rest of it.
                self._process = self._repository.start(
                    *("-c", "fastimport.unpackLimit=0"),
                    *("fast-import", "--quiet", "--done", "--date-format=raw"),
                    keep=[mark],
                )
        try:
            for part in parts:
                self._process.stdin.write(part)
        except ConnectionError:
            self._end()
            raise StoreError("git fast-import ended before it had read everything.") from None

    def _end(self) -> None:
        process = self._process
        try:
            _, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
        finally:
            self._process = None
        if process.returncode:
            remove_leftovers(self._repository.path)
            raise self._repository.failure("fast-import", process.returncode, errors)


def quote_path(path: bytes) -> bytes:
    """A path as git quotes it, in the manner of C."""
    return b'"' + b"".join(bytes((one,)) if one in _PLAIN else b"\\%03o" % one for one in path) + b'"'


def raw_date(time: datetime.datetime) -> bytes:
    """A time as git writes it: seconds since 1970, and the offset from UTC as +HHMM."""
    offset = time.utcoffset() or datetime.timedelta()
    minutes = int(offset.total_seconds() // 60)
    if abs(minutes) > 14 * 60:  # git refuses what no time zone has
        minutes = 0
    sign = b"-" if minutes < 0 else b"+"
    return b"%d %s%02d%02d" % (max(0, int(time.timestamp())), sign, *divmod(abs(minutes), 60))
