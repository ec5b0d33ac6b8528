"""What msa-wizard has on a host, and how it goes: the program, its environment, its settings; the history by itself. The mail
server is not part of it: nothing that was set up needs it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.certificates.acme import HOOK, PORT_HOOK
from wizard.delivery import delivery, one_file
from wizard.errors import HostError
from wizard.log import LOGROTATE
from wizard.model.answers_file import SAVED
from wizard.system.host import Host, user_name

HOME = "/var/lib/msa-wizard"
HISTORY = ("etc.git", "etc.git-history", "apt-history.log")
"""Below HOME: what a rollback needs."""
LOG = "/var/log"
GUARDS = "/run/msa-wizard"
PACKAGED = "/usr/lib/msa-wizard/wizard/BUILD"
"""There where the Debian package is installed."""
_SHARED = "the settings, the history and the log: the Debian package, which is installed here, too, uses them"
_REMEMBERED = "what it remembers"
LINKS = ("/usr/local/bin/msa-wizard", "/usr/local/sbin/msa-wizard")
CHECKOUT = frozenset(
    (
        *(
            ".ci",
            ".editorconfig",
            ".git",
            ".gitignore",
            ".pre-commit-config.yaml",
        ),
        *(
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "LICENSE",
            "PKG-INFO",
            "README.md",
            "SECURITY.md",
        ),
        *(
            "docs",
            "msa-wizard",
            "packaging",
            "pyproject.toml",
            "requirements.txt",
        ),
        *(
            "screens",
            "snapshots",
            "templates",
            "tests",
            "wizard",
        ),
    )
)
"""The names at the top of the program's folder, that of the source archive too; whatever else is there is the admin's."""


@dataclass(frozen=True)
class Removal:
    """What goes, in the order in which it does; what goes only with the history; and what stays, with the command that
    removes it, or what it is for."""

    goes: tuple[tuple[Path, str], ...]
    history: tuple[Path, ...]
    stays: tuple[str, ...]


def what_is_there(host: Host, program: Path) -> Removal:
    """Look; `program` is the folder that this program runs from."""
    kind, _ = delivery(str(program))
    file = one_file() if kind == "pyz" else None
    packaged = host.path(PACKAGED).is_file()
    goes = [(path, what) for path, what in _small(host, program, file, packaged) if os.path.lexists(path)]
    stays: list[str] = [_SHARED] if packaged else list(_beside_settings(host))
    if kind == "pyz":  # what it has unpacked lies in HOME
        if file is None:
            stays.append("msa-wizard.pyz, if it is still there: this was not started from it")
        elif (owner := file.stat().st_uid) != os.geteuid():
            stays.append(f"{file}: it belongs to {user_name(owner)}, who can remove it")
        else:
            goes.append((file, "the program"))
    elif why := why_it_stays(host, program):
        stays.append(f"the program in {program}: {why}")
    else:
        ours = sorted(path for path in program.iterdir() if path.name in CHECKOUT)
        others = sorted(path.name for path in program.iterdir() if path.name not in CHECKOUT)
        goes += [(path, "the program") for path in ours] if others else [(program, "the program")]
        stays += [f"{program}: {', '.join(others)}, which msa-wizard did not bring"] if others else []
    home = host.path(HOME)
    history = [home / name for name in HISTORY] + sorted(host.path(LOG).glob("msa-wizard.log*"))
    there = sorted(home.iterdir()) if home.is_dir() else []
    goes += [
        (path, _what(path))
        for path in there
        if path.name not in HISTORY and (not packaged or _what(path) != _REMEMBERED)
    ]  # last: it holds the Python that runs this
    with_it = () if packaged else tuple(path for path in history if os.path.lexists(path))
    return Removal(tuple(goes), with_it, (*stays, *_staying(host)))


def _small(host: Host, program: Path, file: Path | None, packaged: bool) -> Iterator[tuple[Path, str]]:
    if not packaged:
        settings = host.path(SAVED)
        yield (settings if _beside_settings(host) else settings.parent), "your settings"
    yield host.path(GUARDS), "scripts of guarded changes, all of them settled"
    logrotate = host.path(LOGROTATE)
    if (
        not packaged
        and logrotate.is_file()
        and "/var/log/msa-wizard.log" in logrotate.read_text(errors="replace")
    ):
        yield logrotate, "rotates its log"
    for link in map(host.path, LINKS):
        if link.is_symlink() and link.resolve() in (program / "msa-wizard", file):
            yield link, "leads to the program"


def _beside_settings(host: Host) -> tuple[str, ...]:
    """What the admin has put into the folder of the settings, such as what certbot reads at each renewal: a sentence, or none."""
    settings = host.path(SAVED)
    folder = settings.parent
    others = sorted(path.name for path in folder.iterdir() if path != settings) if folder.is_dir() else []
    return (f"{folder}: {', '.join(others)}, which msa-wizard did not bring",) if others else ()


def _what(path: Path) -> str:
    if path.name.startswith("program-"):
        return "the program, unpacked"
    if path.name == "msa-wizard":
        return "leads to the program"
    return "its Python environment" if path.name.startswith("venv-") else _REMEMBERED


def why_it_stays(host: Host, program: Path) -> str:
    """Why the program's folder is not removed, "" where it is."""
    kind, _ = delivery(str(program))
    if kind != "checkout":
        return "it was installed by pip or pipx: `pipx uninstall msa-wizard`"
    owner = program.stat().st_uid
    if owner != os.geteuid():
        return f"it belongs to {user_name(owner)}, who can remove it"
    if os.path.ismount(program):
        return "it is mounted there"
    if not (program / ".git").exists():
        return ""
    git = ["git", "-C", str(program)]
    try:
        asked = {
            "changes that are nowhere else": ["status", "--porcelain"],
            # All: a stash, a tag, and what was committed on no branch, where a release is checked out.
            "commits that no branch of a remote has, and perhaps nowhere else": [
                *("log", "-1", "--format=%h", "--all", "--ignore-missing"),
                *("--not", "--remotes", *_fetched_tags(host, git)),
            ],
        }
        for what, arguments in asked.items():
            if host.output([*git, *arguments]).strip():
                return f"it is a git clone with {what}"
        if len(host.output([*git, "worktree", "list"]).splitlines()) > 1:
            return "it is a git clone with more than one worktree"
    except HostError:
        return "git does not say whether it holds changes of yours"
    return ""


def _fetched_tags(host: Host, git: list[str]) -> list[str]:
    """The tags that a clone of one release alone (`git clone --branch TAG`) has from its remote: it has no branch of it."""
    refspecs = host.run([*git, "config", "--get-regexp", r"^remote\..*\.fetch$"]).stdout
    return re.findall(r":(refs/tags/[^*\s]+)$", refspecs, re.M)


def _staying(host: Host) -> Iterator[str]:
    yield "the mail server as it is set up now: it does not need msa-wizard"
    if host.path(HOOK).exists():
        yield f"{HOOK}: by it Sendmail gets the certificates that certbot renews"
    if host.path(PORT_HOOK).exists():
        yield f"{PORT_HOOK}: by it certbot opens port 80 while it renews them"
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(os.environ.get("SUDO_USER", ""))
        cache = Path(user.pw_dir, ".cache/msa-wizard")
        if user.pw_uid and host.path(str(cache)).is_dir():
            yield f"{cache}: the environment of {user.pw_name}, who can remove it"
    yield "python3, python3-venv and git, if the first start installed them"


def in_use(environment: Path, *, hold: bool = True) -> bool:
    """Whether somebody else runs us from the Python environment, or from what the one file has unpacked. The start of either
    takes a lock on its mark that all share. Where nobody does, nobody can until we end, if we `hold` it."""
    mark = environment / ".complete"
    try:
        # Another descriptor of ours would be in the way of the one that our own start has left us.
        for descriptor in _own(mark) or [os.open(mark, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)]:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not hold:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
    except BlockingIOError:
        return True
    except OSError:  # it is nothing that can be run
        return False
    return False


def _own(path: Path) -> list[int]:
    """Our own descriptors of a file; not by its name, for a folder above it may be a symbolic link. Raises OSError."""
    found, file = [], path.lstat()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor that lists the folder
            if os.path.samestat(os.fstat(int(each.name)), file):
                found.append(int(each.name))
    return found


def take_away(paths: Iterable[Path]) -> tuple[list[str], list[str]]:
    """Remove them; what has gone, and what could not be removed and why."""
    gone, left = [], []
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as problem:
            left.append(f"{path}: {problem.strerror or problem}")
        else:
            gone.append(str(path))
    return gone, left
