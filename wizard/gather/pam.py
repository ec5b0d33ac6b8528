"""What PAM would read for the service `smtp` (howto 2.3, pam.conf(5)): the stack, followed through its includes, and
what is wrong in it. Nothing is asked of PAM itself: a failed login could lock an account."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.errors import HostError
from wizard.system.host import Host

FOLDER = "/etc/pam.d"
SERVICE = f"{FOLDER}/smtp"
OTHER = f"{FOLDER}/other"
_LINE = re.compile(r"-?(auth|account|password|session)\s+(\[[^\]]*\]|\S+)\s+(\S+)(?:\s+(.*))?\Z")
_CONTROLS = frozenset(["required", "requisite", "sufficient", "optional", "include", "substack"])
_KINDS = ("auth", "account")
_DEEPEST = 16
_OTHERS = tuple(
    f"pam_{name}.so"
    for name in (
        "ldap",
        "sss",
        "winbind",
        "krb5",
        "userdb",
        "pwdfile",
        "mysql",
        "pgsql",
        "radius_auth",
        "imap",
        "sqlite3",
    )
)
"""Modules for auth whose users /etc/passwd need not have."""


@dataclass(frozen=True)
class PamLine:
    """One line in force, and its place."""

    path: str
    number: int
    text: str
    kind: str
    control: str
    module: str

    @property
    def source(self) -> str:
        """For evidence."""
        return f"{self.path} line {self.number}"


@dataclass(frozen=True)
class Pam:
    """The stack of `smtp`: the file that answers, its lines for auth and account in order, what is wrong."""

    path: str | None
    """None where neither smtp nor other is there."""
    lines: tuple[PamLine, ...] = ()
    wrong: tuple[tuple[str, str, str], ...] = ()
    """What is wrong, the line, and its place."""

    def of(self, kind: str) -> tuple[PamLine, ...]:
        """The lines of `auth` or `account`."""
        return tuple(line for line in self.lines if line.kind == kind)

    def has(self, module: str) -> PamLine | None:
        """The first line with that module."""
        return next((line for line in self.lines if line.module.rpartition("/")[2] == module), None)

    @property
    def asks_unix(self) -> bool:
        """Whether /etc/shadow is asked, alone or with others; a stack that is broken counts as Debian's."""
        return not self.of("auth") or self.has("pam_unix.so") is not None

    @property
    def asks_others(self) -> bool:
        """Whether a module is asked that knows users of its own."""
        return any(map(self.has, _OTHERS))


def look(host: Host) -> Pam:
    """Read the stack; what cannot be read counts as missing."""
    path = next((file for file in (SERVICE, OTHER) if _text(host, file) is not None), None)
    if path is None:
        return Pam(None)
    reader = _Reader(host)
    reader.read(path, None, 0)
    return Pam(path, tuple(reader.lines), tuple(reader.wrong))


def _text(host: Host, path: str) -> str | None:
    try:
        return host.path(path).read_text("utf-8", "replace")
    except (HostError, OSError):
        return None


class _Reader:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.lines: list[PamLine] = []
        self.wrong: list[tuple[str, str, str]] = []
        self.folders = [
            f"{top}/{name}/security"
            for top in ("/lib", "/usr/lib")
            for name in ("", *host.names(top))
            if host.exists(f"{top}/{name}/security")
        ]

    def read(self, path: str, only: str | None, deep: int) -> None:
        text = _text(self.host, path)
        if text is None or deep > _DEEPEST:
            self.wrong.append(("it includes a file that is not there", path, path))
            return
        joined = text.replace("\\\n", "  ")
        for number, raw in enumerate(joined.splitlines(), 1):
            line = raw.split("#", 1)[0].strip()
            if line:
                self._line(path, number, line, only, deep)

    def _line(self, path: str, number: int, line: str, only: str | None, deep: int) -> None:
        where = f"{path} line {number}"
        if line.startswith("@include"):
            name = line[len("@include") :].strip()
            if not self.host.exists(self._at(name)):
                self.wrong.append(("it includes a file that is not there", line, where))
            else:
                self.read(self._at(name), only, deep + 1)
            return
        match = _LINE.match(line)
        if match is None:
            self.wrong.append(("this is not a line that PAM understands", line, where))
            return
        kind, control, module = match.group(1), match.group(2), match.group(3)
        if kind not in _KINDS or (only is not None and kind != only):
            return
        if not control.startswith("[") and control.lower() not in _CONTROLS:
            self.wrong.append((f"{control!r} is not a control word that PAM knows", line, where))
            return
        if control in ("include", "substack"):
            if self.host.exists(self._at(module)):
                self.read(self._at(module), kind, deep + 1)
            else:
                self.wrong.append(("it includes a file that is not there", line, where))
            return
        pam_line = PamLine(path, number, line, kind, control, module)
        self.lines.append(pam_line)
        must = control in ("required", "requisite") or control.startswith("[")
        if must and not line.startswith("-") and not self._there(module):
            self.wrong.append((f"the module {module} is not on this host", line, where))

    @staticmethod
    def _at(name: str) -> str:
        return name if name.startswith("/") else f"{FOLDER}/{name}"

    def _there(self, module: str) -> bool:
        if module.startswith("/"):
            return self.host.exists(module)
        return any(self.host.exists(f"{folder}/{module}") for folder in self.folders)
