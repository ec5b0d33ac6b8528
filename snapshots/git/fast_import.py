"""One commit as a stream for `git fast-import`, fed only with what changed."""

from __future__ import annotations

import datetime

from snapshots.errors import StoreError
from snapshots.git.repository import BRANCH, GitProcess
from snapshots.git.writers import remove_leftovers, writer_mark

_PLAIN = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}


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


class FastImport(GitProcess):
    """A `git fast-import` that starts with the first thing given to it and ends with `commit`.

    As a context manager: leaving it without `commit` kills the process, and nothing of it stays.
    """

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            super().__exit__()
            remove_leftovers(self._repository.path)

    def blob(self, content: bytes) -> None:
        """Stores the content of a file or a symbolic link. Raises StoreError."""
        self._write(b"blob\ndata %d\n" % len(content), content, b"\n")

    def commit(
        self,
        *,
        parent: str | None,
        author: bytes,
        committer: bytes,
        time: datetime.datetime,
        message: bytes,
        deleted: list[bytes],
        blobs: list[tuple[bytes, bytes, bytes]],
        texts: list[tuple[bytes, bytes]],
    ) -> None:
        """Ends the stream with the commit and waits until it is safe on disk.

        `author` and `committer` as `Name <mail>`; `deleted` names of the tree; `blobs` as (git's mode, id
        of a blob given before or long there, name); `texts` as (name, content). Raises StoreError; then the
        branch is where it was.
        """
        date = raw_date(time)
        lines = [
            b"commit " + BRANCH.encode(),
            b"author %s %s" % (author, date),
            b"committer %s %s" % (committer, date),
            b"data %d\n%s" % (len(message), message),
        ]
        if parent:
            lines.append(b"from " + parent.encode())
        lines += [b"D " + quote_path(name) for name in deleted]
        lines += [b"M %s %s %s" % (mode, blob, quote_path(name)) for mode, blob, name in blobs]
        for name, content in texts:
            lines.append(b"M 100644 inline %s\ndata %d\n%s" % (quote_path(name), len(content), content))
        self._write(b"\n".join(lines), b"\n\ndone\n")
        self._end()

    def _write(self, *parts: bytes) -> None:
        if self._process is None:
            with writer_mark(self._repository.path) as mark:
                self._process = self._repository.start(
                    "fast-import", "--quiet", "--done", "--date-format=raw", keep=[mark]
                )
        try:
            for part in parts:
                self._process.stdin.write(part)
        except (BrokenPipeError, ConnectionError):
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
