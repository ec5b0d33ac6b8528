"""A host of a fake root: the files are real ones below it, the commands are played, in this very process."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snapshots.live.entry import Entry
from tests.survival.fake_apt import HISTORY, TERMINAL, Apt
from tests.survival.fake_dpkg import ACCOUNTS_LOCK, Dpkg, locked
from tests.survival.fake_files import drop, make_folders, picture, put, rewrite, text
from tests.survival.fake_systemd import MUX, Said, Systemd
from wizard.errors import HostError
from wizard.sendmail.cf import SMALLEST
from wizard.system.host import Completed, Host, View

UPDATE_AUTH = ("update_auth",)
CONFIGURE = "sendmailconfig"
SASL = "etc/mail/sasl"
LINK = "usr/lib/sasl2/Sendmail.conf"


@dataclass(frozen=True)
class FakeHost(Host):
    """What Host is, for a fake root."""

    @property
    def systemd(self) -> Systemd:
        """Its services."""
        return Systemd(self.root)

    @property
    def apt(self) -> Apt:
        """Its packages."""
        return Apt(Dpkg(self.root, self.systemd))

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
        """Play the command."""
        try:
            code, said = self._played(*argv)
        except OSError as error:  # the command met it, and says so
            code, said = 1, f"{argv[0]}: {error.strerror}\n"
        if say:
            for line in said.splitlines():
                say(line)
        return Completed(tuple(argv), code, said, "", 0.0)

    def spawn(self, argv: Sequence[str], *, timeout: float) -> object:  # type: ignore[override]
        """There is no terminal here: see `converse`."""
        raise AssertionError(f"{argv} was to be started on a terminal")

    @contextlib.contextmanager
    def private_view(
        self,
        folders: Sequence[str],
        *,
        copied: Sequence[str] = (),
        hidden: Sequence[str] = (),
        sealed: bool = False,
    ) -> Iterator[View]:
        """The folders copied beside the root: there are no mounts here."""
        place = self.root.parent / "view"
        shutil.rmtree(place, ignore_errors=True)  # a killed run's; of a real one nothing is left
        there = [folder for folder in folders if self.path(folder).is_dir()]
        for folder in there:
            (place / folder[1:]).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--", self.path(folder), place / folder[1:]], check=True)
        inside = replace(self, root=place)
        before = _entries(inside, there)

        def written() -> dict[str, Entry | None]:
            after = _entries(inside, there)
            paths = sorted(before.keys() | after.keys())
            return {path: after.get(path) for path in paths if before.get(path) != after.get(path)}

        try:
            yield View(inside, written, inside.entry)
        finally:
            shutil.rmtree(place)

    def output(self, argv: Sequence[str], *, timeout: float = 60.0) -> bytes:
        """Nothing asks for raw bytes."""
        raise AssertionError(f"the bytes of {argv} were wanted")

    def processes(self) -> Iterator[tuple[int, Path]]:
        """The daemons."""
        yield from self.systemd.processes()

    def ask_unix_socket(self, path: str, request: Sequence[bytes], timeout: float = 10.0) -> str:
        """saslauthd answers while it runs."""
        if path.lstrip("/") == MUX and "saslauthd" in self.systemd.running():
            return "NO"
        raise HostError(f"{path} does not answer")

    def _played(self, name: str, *arguments: str) -> Said:
        match name, arguments:
            case "dpkg-query", ("-W", "-f", layout, *names):
                return self.apt.dpkg.query(layout, names)
            case "dpkg-query", ("-L", *names):
                return self.apt.dpkg.files(names)
            case "dpkg", ("--audit",):
                return self.apt.dpkg.audit()
            case "dpkg", (*_, "--configure", "-a"):
                return self.apt.dpkg.configure_pending()
            case "dpkg-statoverride", ("--remove", path):
                return self.apt.dpkg.override_no_more(path)
            case "apt-get", _:
                return self.apt.get(*arguments)
            case "apt-cache", ("rdepends", *rest):
                return self.apt.rdepends(*rest)
            case "apt-config", ("shell", *asked):
                paths = {"Dir::Log::History/f": HISTORY, "Dir::Log::Terminal/f": TERMINAL}
                pairs = zip(asked[::2], asked[1::2], strict=True)
                return 0, "".join(f"{name}='/{paths[item]}'\n" for name, item in pairs)
            case "apt-mark", (verb, *names):
                return self.apt.mark(verb, *names)
            case "systemctl", (verb, *rest):
                return self.systemd.systemctl(verb, *rest)
            case "hostname", _:
                return 0, "mail.example.test\n"
            case "m4", (*_, path):
                return 0, filled(expanded(text(self.path(path) if path.startswith("/etc/") else Path(path))))
            case "sendmail", ("-C", _, "-bC"):
                return 0, ""
            case "make", ("-s", "-C", "/etc/mail", "access.db"):
                put(self.root / "etc/mail/access.db", made_map(self.root), 0o640)
                return 0, ""
            case "update_auth", _:
                return self._update_auth()
        raise HostError(f"{name} could not be started: No such file or directory")

    def _update_auth(self) -> Said:
        """As Debian's script does: files come, one goes, one is written again, two users join a group."""
        make_folders(self.root / SASL)
        put(self.root / SASL / "sasl.m4", "define(AUTH)\n", 0o644)
        if not (self.root / SASL / "Sendmail.conf.2").exists():
            put(self.root / SASL / "Sendmail.conf.2", "mech_list: DIGEST-MD5 LOGIN PLAIN\n", 0o640, (0, 2))
        make_folders((self.root / LINK).parent)
        if not (self.root / LINK).is_symlink():
            (self.root / LINK).symlink_to("/etc/mail/sasl/Sendmail.conf.2")
        drop(self.root / "etc/cron.d/sendmail")
        rewrite(
            self.root / "etc/mail/access", f"{text(self.root / 'etc/mail/access')}# seen by update_auth\n"
        )
        with locked(self.root / ACCOUNTS_LOCK):
            group = text(self.root / "etc/group")
            lines = [
                _joined(line, "smmta") if line.startswith("sasl:") else line for line in group.splitlines()
            ]
            put(self.root / "etc/group-", group)
            rewrite(self.root / "etc/group", "\n".join(lines) + "\n")
        return 0, "done\n"


def converse(host: Host, say: Callable[[str], None]) -> str:
    """sendmailconfig's dialogue: sendmail.cf out of sendmail.mc, and a map, which comes first."""
    mail = host.root / "etc/mail"
    if not (mail / "sendmail.mc").is_file():
        raise HostError("/etc/mail/sendmail.mc is missing")
    try:
        put(mail / "access.db", made_map(host.root), 0o640)
        put(mail / "sendmail.cf", f"# made at {time.time_ns()}\n{expanded(text(mail / 'sendmail.mc'))}")
        put(mail / "databases", f"# made at {time.time_ns()}\n")
    except OSError as error:
        raise HostError(f"sendmailconfig ended with status 1: {error.strerror}") from error
    say("made")
    return "made\n"


def made_map(root: Path) -> str:
    """What access.db is, made now."""
    return f"# made at {time.time_ns()}\n{text(root / 'etc/mail/access')}"


def expanded(mc: str) -> str:
    """What m4 makes of a sendmail.mc here: a plain word for each macro."""
    lines = [line.partition("dnl")[0].rstrip() for line in mc.splitlines()]
    return "".join(f"{line.replace('(`', ' ').replace(chr(39) + ')', '')}\n" for line in lines if line)


def _entries(host: Host, folders: Sequence[str]) -> dict[str, Entry | None]:
    names = [folder[1:] for folder in folders]
    return {f"/{path}": host.entry(path) for path in picture(host.root, *names) if path not in names}


def filled(cf: str) -> str:
    """The same, as large as a whole sendmail.cf, where it has a mailer."""
    return f"#{'x' * SMALLEST}\n{cf}" if "MAILER" in cf else cf


def _joined(line: str, name: str) -> str:
    names = [each for each in line.rpartition(":")[2].split(",") if each]
    return line.rpartition(":")[0] + ":" + ",".join(dict.fromkeys((*names, name)))
