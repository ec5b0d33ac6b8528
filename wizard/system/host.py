"""The one door to the machine: run, spawn, read, stat, write atomically, under a root."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import re
import select
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.live.entry import Entry, EntryError, read_entry, remove_entry, write_entry
from snapshots.live.held import HeldFile, hold
from wizard import log
from wizard.console import count
from wizard.errors import HostError, MissingError, Overdue
from wizard.system.lock import taken
from wizard.system.private_view import PrivateView

if TYPE_CHECKING:
    import pexpect

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARK = "MSA_WIZARD=1"
"""In the environment of every command: so recovery finds what a killed run left at work."""
MAX_OUTPUT = 8 * 1024 * 1024
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")
"""What a terminal would not show any more: dpkg counts on one line, `(Reading database ... 5%`, up to the end."""

_PIECE = 64 * 1024
_ACCOUNTS_LOCK = "/etc/.pwd.lock"
_LOCK_PATIENCE = 15.0
"""Seconds, as lckpwdf(3) itself waits."""
_LIVE = 0.05
"""Seconds between two looks at what a command at work has said."""


@dataclass(frozen=True)
class Completed:
    """A command that ended: exit code (negative: killed by that signal), output as text, seconds taken."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def command(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.argv)

    def tail(self, lines: int = 8) -> str:
        """The last lines it said, for an error message."""
        output = (self.stdout.rstrip() + "\n" + self.stderr.rstrip()).strip().splitlines()
        return "\n".join(output[-lines:])


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every command: never the caller's, so locale and LD_* of the admin change nothing."""
    own = {"PATH": PATH, "LC_ALL": "C", "LANG": "C", "HOME": "/root", "TERM": "dumb"}
    return {**own, **dict([MARK.split("=")]), **(extra or {})}


@dataclass(frozen=True)
class Host:
    """A machine whose root folder is `root`. Commands run only on the real root."""

    root: Path = Path("/")
    prefix: tuple[str, ...] = ()
    """The start of each command line: what brings a command into a view of the machine."""

    def path(self, path: str) -> Path:
        """Where the absolute `path` of the machine lies here."""
        return self.root / path.lstrip("/")

    def entry(self, path: str) -> Entry | None:
        """What is at `path` (symlinks not followed), None when nothing is.

        Raises PermissionError when it may not be read, else HostError."""
        target = self.path(path)
        try:
            target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise PermissionError(f"{path} can only be read by root") from error
        except OSError as error:
            raise HostError(f"{path} could not be read: {error.strerror or error}") from error
        if target.is_file() and not target.is_symlink() and not os.access(target, os.R_OK):
            raise PermissionError(f"{path} can only be read by root")
        try:
            return read_entry(target)
        except EntryError as error:
            raise HostError(str(error).rstrip(".")) from error

    def write(
        self, path: str, entry: Entry, over: HeldFile | None = None, dated: int | None = None
    ) -> Entry | None:
        """Write `entry` atomically in place of what is at `path`, dated `dated` (nanoseconds since the epoch), else now.

        Where that was not the file `over`, but another that somebody has put there since: returns that one. Raises
        HostError, then nothing was changed."""
        try:
            other = write_entry(self.path(path), entry, over.descriptor if over else None, dated)
        except EntryError as error:
            raise HostError(str(error).rstrip(".")) from error
        log.note(f"wrote {path}: {entry.kind}, mode {entry.mode:04o}, {count(len(entry.content), 'byte')}")
        return other

    def remove(self, path: str) -> None:
        """Remove the file, symlink or empty folder at `path`; raises HostError."""
        try:
            remove_entry(self.path(path))
        except EntryError as error:
            raise HostError(str(error).rstrip(".")) from error
        log.note(f"removed {path}")

    def hold(self, path: str) -> HeldFile | None:
        """The regular file at `path`, held open while it is replaced; None where there is none. Raises HostError."""
        try:
            return hold(self.path(path))
        except OSError as error:
            raise HostError(f"{path} could not be read: {error.strerror}") from error

    @contextlib.contextmanager
    def accounts_locked(self) -> Iterator[None]:
        """The account databases are ours: the lock of lckpwdf(3), which adduser, passwd and the like take too.

        Raises HostError when somebody else keeps it for 15 seconds."""
        try:
            descriptor = os.open(self.path(_ACCOUNTS_LOCK), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostError(f"{_ACCOUNTS_LOCK} could not be opened: {error.strerror}") from error
        with os.fdopen(descriptor, "wb", buffering=0):
            try:
                ours = taken(lambda: fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), _LOCK_PATIENCE)
            except OSError as error:
                raise HostError(f"{_ACCOUNTS_LOCK} could not be locked: {error.strerror}") from error
            if not ours:
                raise HostError(
                    f"the account files are locked by another program ({_ACCOUNTS_LOCK}). "
                    "Nothing was written; try again when it has ended"
                )
            yield

    def text(self, path: str, encoding: str = "latin-1") -> str:
        """The text of a file of the system's own, symlinks followed; empty where there is none."""
        try:
            return self.path(path).read_text(encoding, "replace")
        except OSError:
            return ""

    def names(self, folder: str) -> tuple[str, ...]:
        """The sorted names in `folder`, empty when there is no such folder."""
        try:
            return tuple(sorted(path.name for path in self.path(folder).iterdir()))
        except OSError:
            return ()

    def exists(self, path: str) -> bool:
        """Whether `path` leads to something, symlinks followed."""
        # Not Path.exists, which raises where a folder on the way is closed to us.
        return os.path.exists(self.path(path))  # noqa: PTH110

    def mtime(self, path: str) -> float:
        """Seconds since the epoch of the last change of content, 0.0 when absent; symlinks followed."""
        try:
            return self.path(path).stat().st_mtime
        except OSError:
            return 0.0

    def dated(self, path: str) -> int | None:
        """When the regular file at `path` was last changed, in nanoseconds since the epoch; None where there is none."""
        try:
            status = self.path(path).lstat()
        except OSError:
            return None
        return status.st_mtime_ns if stat.S_ISREG(status.st_mode) else None

    def small_file(self, path: str, most: int) -> tuple[bytes, os.stat_result]:
        """Bytes and stat of the regular file that `path` leads to, symlinks followed, of at most `most` bytes.

        For files that somebody names: a pipe or a device is not waited for. Raises HostError."""
        try:
            descriptor = os.open(self.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            raise HostError(f"{path} cannot be read: {error.strerror}") from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise HostError(f"{path} is not a file")
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise HostError(f"{path} is larger than {most // 1024} KiB")
        return content, status

    @staticmethod
    @contextlib.contextmanager
    def in_memory(content: bytes) -> Iterator[str]:
        """The path of a file with this content that is on no disk: for us, and for the commands we run meanwhile."""
        descriptor = os.memfd_create("msa-wizard", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(content)
            yield f"/proc/{os.getpid()}/fd/{descriptor}"
        finally:
            os.close(descriptor)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60.0,
        say: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        encoding: str = "utf-8",
        told: Callable[[int], Sequence[str]] | None = None,
        over: Callable[[], bool] | None = None,
        inherited: Sequence[int] = (),
        secret: bool = False,
    ) -> Completed:
        """Run `argv` without a shell, without input, in its own session, and wait `timeout` seconds at most.

        `say` gets each line of its output as it comes; `encoding` latin-1 keeps every byte; `told` gives more
        arguments that tell the command of another descriptor of its output; once `over` says so, asked some twenty
        times a second, the command is ended; it keeps the descriptors `inherited`, should we be killed; what is `secret`
        is in no log. Raises HostError when it cannot be started or hangs; a hanging command's whole process group is
        ended (TERM, then KILL)."""
        started = time.monotonic()
        with log.command(argv) as ended, _Output(say, encoding) as out, _Output(say, encoding) as err:
            try:
                process = subprocess.Popen(
                    [*self._prefixed(argv, env), *(told(out.descriptor) if told else ())],
                    stdin=subprocess.DEVNULL,
                    stdout=out.descriptor,
                    stderr=err.descriptor,
                    pass_fds=(*inherited, *((out.descriptor,) if told else ())),
                    env=environment(env),
                    cwd=cwd,
                    start_new_session=True,
                    umask=0o022,
                )
            except FileNotFoundError as error:
                raise _missing(argv) from error
            except OSError as error:
                raise HostError(f"{argv[0]} could not be started: {error.strerror or error}") from error
            try:
                code = _wait(process, timeout, (out, err) if say else (), over)
            except subprocess.TimeoutExpired as error:
                end_group(process)
                why = f"{shlex.join(argv)} did not end within {timeout:.0f} s and was stopped"
                raise Overdue(why) from error
            except BaseException:
                end_group(process)
                raise
            shown = out.text(), err.text()
            ended(code, "(not shown)" if secret else "\n".join(shown))
        return Completed(tuple(argv), code, *shown, time.monotonic() - started)

    def _prefixed(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The whole command line. Raises MissingError where a program is not there that is to run in a view: what brings it
        there would be named as what failed."""
        if self.prefix and shutil.which(argv[0], path=environment(env)["PATH"]) is None:
            raise _missing(argv)
        return [*self.prefix, *argv]

    def output(self, argv: Sequence[str]) -> bytes:
        """The raw bytes `argv` writes; raises HostError when it fails or hangs."""
        with log.command(argv) as ended:
            try:
                result = subprocess.run(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    env=environment(),
                    timeout=60,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise HostError(f"{argv[0]} could not be run: {error}") from error
            stderr = result.stderr.decode("utf-8", "replace").strip()
            ended(result.returncode, f"{count(len(result.stdout), 'byte')}\n{stderr}")
        if result.returncode != 0:
            raise HostError(f"{shlex.join(argv)} failed: {stderr}")
        return result.stdout

    def spawn(self, argv: Sequence[str], *, timeout: float) -> pexpect.spawn[str]:
        """Start `argv` on a pseudo-terminal for a dialogue; raises HostError."""
        import pexpect

        program, *arguments = self._prefixed(argv)
        if shutil.which(program, path=PATH) is None:  # of which pexpect has words of its own
            raise _missing(argv)
        try:
            return pexpect.spawn(
                program,
                arguments,
                timeout=timeout,
                encoding="utf-8",
                codec_errors="replace",
                echo=False,
                env=environment(),
                cwd="/",
                dimensions=(24, 200),
            )
        except pexpect.ExceptionPexpect as error:
            raise HostError(f"{argv[0]} could not be started: {str(error).splitlines()[0]}") from error

    @contextlib.contextmanager
    def private_view(
        self,
        folders: Sequence[str],
        *,
        copied: Sequence[str] = (),
        hidden: Sequence[str] = (),
        sealed: bool = False,
    ) -> Iterator[View]:
        """The machine once more, where what `run` and `spawn` write below the folders is kept apart.

        It has what is at the paths `copied` as it is now, and nothing of what is at the paths `hidden`; where it is `sealed`
        nothing else can be written (PrivateView). Raises ViewError where the kernel or a container does not give that; then
        nothing was run."""
        here = [[str(self.path(path)) for path in paths] for paths in (folders, copied, hidden)]
        top = str(self.path("/")).rstrip("/")
        with PrivateView(here[0], environment(), copied=here[1], hidden=here[2], sealed=sealed) as view:
            inside = Path(f"{view.root}{self.root}")
            yield View(
                replace(self, root=inside, prefix=view.entering()),
                lambda: {path.removeprefix(top): entry for path, entry in view.written().items()},
                lambda path: view.entry(str(self.path(path))),
            )

    def ask_unix_socket(self, path: str, request: Sequence[bytes], timeout: float = 10.0) -> str:
        """Send length-prefixed strings to the stream socket at `path`, return the answer (saslauthd's protocol,
        docs/debian.md section saslauthd). Raises HostError when nothing answers."""
        message = b"".join(struct.pack(">H", len(part)) + part for part in request)
        try:
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
                connection.settimeout(timeout)
                connection.connect(str(self.path(path)))
                connection.sendall(message)
                header = connection.recv(2, socket.MSG_WAITALL)
                if len(header) < 2:
                    raise HostError(f"{path} closed the connection without an answer")
                return connection.recv(struct.unpack(">H", header)[0], socket.MSG_WAITALL).decode("latin-1")
        except OSError as error:
            raise HostError(f"{path} does not answer: {error.strerror or error}") from error

    def processes(self) -> Iterator[tuple[int, Path]]:
        """Each process id with its folder below /proc."""
        for name in self.names("/proc"):
            if name.isdigit():
                yield int(name), self.path("/proc") / name


def _missing(argv: Sequence[str]) -> MissingError:
    return MissingError(f"{argv[0]} could not be started: No such file or directory")


@dataclass(frozen=True)
class View:
    """A machine in which a command may write as it likes."""

    host: Host
    written: Callable[[], Mapping[str, Entry | None]]
    """What each path is that was written in it, None where it was removed; also what was only touched."""
    entry: Callable[[str], Entry | None]
    """What is at a path in it."""


class _Output:
    """Where a command writes. Not a pipe: it would break when we are killed, and apt's scripts with it; and a daemon
    that keeps it open holds nobody up."""

    def __init__(self, say: Callable[[str], None] | None, encoding: str) -> None:
        self.descriptor = os.memfd_create("output")
        self._say = say
        self._encoding = encoding
        self._said = 0
        """Bytes of whole lines passed on."""

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def pass_on(self) -> None:
        """Say the lines that are whole by now."""
        assert self._say is not None
        while piece := os.pread(self.descriptor, _PIECE, self._said):
            end = piece.rfind(b"\n") + 1 or (len(piece) if len(piece) == _PIECE else 0)
            if not end:
                return
            self._said += end
            shown = piece[:end].decode(self._encoding, "replace")
            shown = _OVERWRITTEN.sub("", shown) if "\r" in shown else shown  # it takes longer than all else
            for line in shown.splitlines():
                self._say(line)

    def text(self) -> str:
        """All of it, the first MAX_OUTPUT bytes."""
        if self._say is not None:
            self.pass_on()
            if rest := os.pread(self.descriptor, _PIECE, self._said):
                self._say(rest.decode(self._encoding, "replace"))
        return os.pread(self.descriptor, MAX_OUTPUT, 0).decode(self._encoding, "replace")


def _wait(
    process: subprocess.Popen[bytes],
    timeout: float,
    shown: Sequence[_Output],
    over: Callable[[], bool] | None,
) -> int:
    """The exit code, what is `shown` passed on meanwhile. Woken by the kernel: Popen.wait with a time-out polls, up to
    50 ms late each time.

    Raises subprocess.TimeoutExpired."""
    end = time.monotonic() + timeout
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        often = _LIVE if shown or over else timeout
        while not poll.poll(min(max(0.0, end - time.monotonic()), often) * 1000):
            if over is not None and over():
                end_group(process)
                break
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired(process.args, timeout)
            for each in shown:
                each.pass_on()
    finally:
        os.close(descriptor)
    return process.wait()


def end_group(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """End the process and all it started: SIGTERM to its group, SIGKILL after `patience` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


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


Say = Callable[[str], None]
"""Takes one line of live output of a change (no newline, any characters; the receiver cleans it)."""
