"""What PAM would read for the service `smtp` (howto 2.3, pam.conf(5)): the stack, followed through its includes, and
what is wrong in it. Nothing is asked of PAM itself: a failed login could lock an account."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.editors import EditError
from wizard.editors.pam_service import INCLUDE, KINDS, Line, lines, rule
from wizard.errors import HostError
from wizard.system.host import Host

FOLDER = "/etc/pam.d"
SERVICE = f"{FOLDER}/smtp"
OTHER = f"{FOLDER}/other"
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
        for line in lines(text):
            self._line(path, text, line, only, deep)

    def _line(self, path: str, text: str, line: Line, only: str | None, deep: int) -> None:
        where = f"{path} line {line.number}"
        try:
            says = rule(text, line)
        except EditError as error:
            self.wrong.append((error.why, line.text, where))
            return
        includes = says.kind == INCLUDE or says.control.lower() in ("include", "substack")
        if says.kind != INCLUDE and (says.kind not in KINDS or only not in (None, says.kind)):
            return
        if includes:
            if self.host.exists(self._at(says.module)):
                self.read(self._at(says.module), only if says.kind == INCLUDE else says.kind, deep + 1)
            else:
                missing = f"it includes {self._at(says.module)}, which is not there"
                self.wrong.append((missing, line.text, where))
            return
        self.lines.append(PamLine(path, line.number, line.text, says.kind, says.control, says.module))
        must = says.control in ("required", "requisite") or says.control.startswith("[")
        if must and not line.text.startswith("-") and not self._there(says.module):
            self.wrong.append((f"the module {says.module} is not on this host", line.text, where))

    @staticmethod
    def _at(name: str) -> str:
        return name if name.startswith("/") else f"{FOLDER}/{name}"

    def _there(self, module: str) -> bool:
        if module.startswith("/"):
            return self.host.exists(module)
        return any(self.host.exists(f"{folder}/{module}") for folder in self.folders)
