"""What another admin does in the middle of a run: with an editor, which reads first and writes later, and with tools."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.survival.admin import (
    Edit,
    change_mode,
    change_owner,
    delete,
    replace_by_link,
    rewrite_with,
    write_anew,
)
from tests.survival.fake_apt import Apt
from tests.survival.fake_dpkg import ACCOUNTS_LOCK, INTERRUPTED, KNOWN, LOCK, Dpkg, locked
from tests.survival.fake_files import rewrite, text
from tests.survival.fake_systemd import Systemd
from tests.survival.visitor import DIARY, Act

Look = Callable[[Path], Act]
FILES = (
    *("etc/plain", "etc/aliases", "etc/firewall/rules.v4", "etc/firewall/closed", "etc/nullmailer/remotes"),
    *("etc/mail/access", "etc/mail/sendmail.mc", "etc/default/saslauthd", "etc/firewall/opened/587"),
    "etc/mail/sasl/Sendmail.conf.2",
)
"""Of his own, of packages and of steps: those of these that are there are edited."""
FRESH = (
    *("etc/mine", "etc/work/mine", "etc/default/mine", "etc/cron.d/mine", "etc/mail/mine"),
    *("etc/mail/sasl/mine", "etc/systemd/system/mine.service", "etc/firewall/opened/mine"),
)
_OTHER = (change_mode, "etc/work/mode"), (change_owner, "etc/work/owner"), (replace_by_link, "etc/work/link")
_MORE = (
    (delete, "etc/work/gone"),
    (replace_by_link, "etc/rc2.d/S99mine"),
    (change_mode, "etc/mail/sendmail.mc"),
)


def nothing(root: Path) -> Sequence[Edit]:
    """It cannot be done."""
    return ()


def in_place(path: str, line: str) -> Look:
    """An editor that writes into the file that is there (nano): what it read, with a line more."""

    def look(root: Path) -> Act:
        place = root / path
        if not place.is_file() or place.is_symlink():
            return nothing
        seen = text(place)

        def act(root: Path) -> Sequence[Edit]:
            if not place.parent.is_dir() or place.is_symlink():
                return ()
            place.write_text(f"{seen}{line}\n")
            return (Edit(path, "line", line), Edit(path, "saved", seen))

        return act

    return look


def renamed(path: str, line: str) -> Look:
    """An editor that writes another file and gives it the name (vim, sed -i)."""

    def look(root: Path) -> Act:
        place = root / path
        if not place.is_file() or place.is_symlink():
            return nothing
        seen = text(place)

        def act(root: Path) -> Sequence[Edit]:
            if not place.is_file() or place.is_symlink():
                return ()
            rewrite_with(place, f"{seen}{line}\n")
            return (Edit(path, "line", line), Edit(path, "saved", seen))

        return act

    return look


def appended(path: str, line: str) -> Look:
    """A program that opens the file and writes a line at its end, later (echo >>)."""

    def look(root: Path) -> Act:
        place = root / path
        if not place.is_file() or place.is_symlink():
            return nothing
        descriptor = os.open(place, os.O_WRONLY | os.O_APPEND)

        def act(root: Path) -> Sequence[Edit]:
            # Into a file that has no name any more nobody writes for good: it was removed before he wrote, or he himself
            # has saved another in its place.
            diary = (root.parent / DIARY).read_text() if (root.parent / DIARY).exists() else ""
            if not os.fstat(descriptor).st_nlink and (not place.is_file() or f'"{path}"' in diary):
                return ()
            os.write(descriptor, f"{line}\n".encode())
            return (Edit(path, "line", line),)

        return act

    return look


def without_line(path: str, number: int) -> Look:
    """sed -i: one of the lines goes that are there."""

    def look(root: Path) -> Act:
        def act(root: Path) -> Sequence[Edit]:
            lines = text(root / path).splitlines()
            if len(lines) < 3:
                return ()
            goes = lines[number % len(lines)]
            rewrite_with(root / path, "".join(f"{line}\n" for line in lines if line != goes))
            return (Edit(path, "no line", goes),)

        return act

    return look


def at_once(act: Callable[[Path], Sequence[Edit]]) -> Look:
    """He looks and does it in one."""
    return lambda root: act


def useradd(number: int) -> Look:
    """A user and a group of that name, under the lock of the accounts."""

    def act(root: Path) -> Sequence[Edit]:
        with locked(root / ACCOUNTS_LOCK):
            lines = {
                "etc/passwd": f"admin{number}:x:{9000 + number}:{9000 + number}::/home/a{number}:/bin/sh",
                "etc/group": f"admin{number}:x:{9000 + number}:",
                "etc/shadow": f"admin{number}:!:20000::::::",
            }
            for path, line in lines.items():
                rewrite(root / path, f"{text(root / path)}{line}\n")
        return [Edit(path, "line", line) for path, line in lines.items()]

    return at_once(act)


def chpasswd(root: Path) -> Sequence[Edit]:
    """alice gets another password."""
    with locked(root / ACCOUNTS_LOCK):
        rewrite(root / "etc/shadow", text(root / "etc/shadow").replace("alice:$6$old", "alice:$6$new"))
    return (Edit("etc/shadow", "line", "alice:$6$new:2:::::::"),)


def gpasswd(root: Path) -> Sequence[Edit]:
    """alice joins adm."""
    with locked(root / ACCOUNTS_LOCK):
        lines = [
            f"{line}alice" if line == "adm:x:4:" else line for line in text(root / "etc/group").splitlines()
        ]
        rewrite(root / "etc/group", "".join(f"{line}\n" for line in lines))
    return (Edit("etc/group", "member", "adm:alice"),)


def install(root: Path) -> Sequence[Edit]:
    """A package of his own; where dpkg was cut off he ends that first, as apt asks him to."""
    _apt(root, "install", "-y", "swaks")
    return (Edit(f"{KNOWN}/swaks", "package", True),)


def remove(root: Path) -> Sequence[Edit]:
    """It goes again."""
    if not (root / KNOWN / "swaks").exists():
        return ()
    _apt(root, "purge", "-y", "swaks")
    return (Edit(f"{KNOWN}/swaks", "no package", True),)


def _apt(root: Path, *arguments: str) -> None:
    apt = Apt(Dpkg(root, Systemd(root)))
    if (root / INTERRUPTED).exists():
        with locked(root / LOCK):
            apt.dpkg.configure_pending()
    code, said = apt.get(*arguments)
    assert code == 0, said


def restart(name: str) -> Look:
    """systemctl restart, where there is such a unit."""

    def act(root: Path) -> Sequence[Edit]:
        Systemd(root).systemctl("restart", name)
        return ()

    return at_once(act)


def editing(deed: Callable[[Path, str, int], Edit | None], path: str, number: int) -> Look:
    """A deed of tests.survival.admin."""

    def act(root: Path) -> Sequence[Edit]:
        edit = deed(root, path, number)
        return (edit,) if edit else ()

    return at_once(act)


def looks(number: int) -> Mapping[str, Look]:
    """All that he can do, by what it is and where; the number makes his lines like nothing else."""
    line = f"# the admin's line {number}"
    found: dict[str, Look] = {}
    for path in FILES:
        found[f"nano {path}"] = in_place(path, line)
        found[f"vim {path}"] = renamed(path, line)
        found[f"echo >> {path}"] = appended(path, line)
    for path in ("etc/plain", "etc/firewall/rules.v4"):
        found[f"sed -i {path}"] = without_line(path, number)
    for path in FRESH:
        found[f"new {path}"] = editing(write_anew, path, number)
    for deed, path in (*_OTHER, *_MORE):
        found[f"{deed.__name__} {path}"] = editing(deed, path, number)
    found |= {"useradd": useradd(number), "chpasswd": at_once(chpasswd), "gpasswd": at_once(gpasswd)}
    found |= {"apt-get install": at_once(install), "apt-get purge": at_once(remove)}
    return found | {f"systemctl restart {name}": restart(name) for name in ("sendmail", "saslauthd")}
