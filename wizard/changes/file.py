"""A file before and after: the diff that is shown is exactly what is written."""

from __future__ import annotations

import difflib
import grp
import pwd
from dataclasses import dataclass, field

from snapshots.entry import Entry, Kind
from snapshots.secret_text import PasswordMask, hidden
from wizard.changes.gate import FileGate
from wizard.host import Host, HostError
from wizard.mc_gate import GateError
from wizard.plan import ChangeError, Description, Say, StaleError


@dataclass(frozen=True)
class FileEffect:
    """A file that was written; undo puts back what was there."""

    path: str
    before: Entry | None
    after: Entry | None

    def undo(self, host: Host, say: Say) -> None:
        """Write the bytes and the metadata of before. Raises ChangeError."""
        say(f"putting back {self.path}")
        try:
            if self.before is None:
                host.remove(self.path)
            else:
                host.write(self.path, self.before)
        except HostError as error:
            raise ChangeError(str(error)) from error

    def record(self) -> dict[str, object]:
        """The path; its bytes are in the snapshot itself."""
        return {"kind": "file", "path": self.path}


@dataclass(frozen=True)
class FileChange:
    """`path` becomes `after` (None: is removed), when it still is `before`; with a gate only if that lets it by."""

    path: str
    before: Entry | None
    after: Entry | None
    why: str = ""
    gate: FileGate | None = field(default=None, compare=False)
    over: bool = field(default=False, compare=False)
    """Whatever is there by now: what apt leaves of a file whose content is in the snapshot."""

    kind = "file"

    @property
    def touches(self) -> tuple[str, ...]:
        """The file itself."""
        return (self.path,)

    def describe(self) -> Description:
        """The unified diff, with mode and owner in its heading."""
        return Description(self.why or f"edit {self.path}", file_diff(self.path, self.before, self.after))

    def expect(self, host: Host) -> FileEffect:
        """The file before and after."""
        return FileEffect(self.path, self.before, self.after)

    def apply(self, host: Host, say: Say) -> FileEffect:
        """Pass the gate, look again, write. Raises StaleError or ChangeError; then nothing was written."""
        if self.gate is not None and self.after is not None:
            try:
                self.gate.check(host, self.after.content, say)
            except GateError as error:
                raise ChangeError(str(error)) from error
        try:
            if not self.over and host.entry(self.path) != self.before:
                raise StaleError(f"{self.path} has changed since its diff was shown; nothing was written")
            if self.after is None:
                host.remove(self.path)
            else:
                host.write(self.path, self.after)
            if host.entry(self.path) != self.after:
                raise ChangeError(
                    f"{self.path} does not hold what was written; see `dmesg` for file system errors"
                )
        except (HostError, PermissionError) as error:
            raise ChangeError(f"{error}. Nothing was written") from error
        say(f"{'removed' if self.after is None else 'wrote'} {self.path}")
        return self.expect(host)


def file_diff(path: str, before: Entry | None, after: Entry | None) -> str:
    """A unified diff of two entries of one path; mode and owner stand behind the names. Nothing secret is in it."""
    names = f"{path}  {_metadata(before)}", f"{path}  {_metadata(after)}"
    heading = f"--- {names[0]}\n+++ {names[1]}"
    contents = [side.content for side in (before, after) if side]
    instead = hidden(path, *contents)
    if not instead and any(b"\0" in content for content in contents):
        instead = f"(binary, {' -> '.join(f'{len(content)} bytes' for content in contents)})"
    if before != after and instead:
        return f"{heading}\n{instead}"
    mask = PasswordMask(path)
    lines = difflib.unified_diff(_lines(before, mask), _lines(after, mask), *names, lineterm="")
    text = "\n".join(_visible(line) for line in lines)
    return text or (heading if before != after else "")


def _lines(entry: Entry | None, mask: PasswordMask) -> list[str]:
    if entry is None:
        return []
    if entry.kind == Kind.SYMLINK:
        return [f"(symbolic link to {entry.content.decode('utf-8', 'replace')})"]
    text = mask.text(entry.content).decode("utf-8", "replace")
    lines = text.split("\n")
    if lines and lines[-1] == "":
        return lines[:-1]
    return [*lines[:-1], lines[-1] + "\N{SYMBOL FOR END OF TEXT}"] if lines else lines


def _visible(line: str) -> str:
    """Escape sequences in a file must not reach the admin's terminal; tabs stay."""
    return "".join(ch if ch == "\t" or ch.isprintable() else f"\\x{ord(ch):02x}" for ch in line)


def _metadata(entry: Entry | None) -> str:
    if entry is None:
        return "(absent)"
    return f"({entry.mode:04o} {user_name(entry.uid)}:{group_name(entry.gid)})"


def user_name(uid: int) -> str:
    """The name of the user, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of the group, or the number where there is none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
