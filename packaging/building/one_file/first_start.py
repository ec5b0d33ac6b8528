"""What only a first start of the one file does: it unpacks the program for the later ones, and installs git where that is missing."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import NoReturn

INSIDE = "program.zip"
"""In the one file: the program, in a zip of its own, since Python reads the names in the outer one at each start."""
_UNFINISHED = "unpacking-"
Ready = Callable[[str], bool]
Distrusted = Callable[[os.stat_result], str]


@contextlib.contextmanager
def unpacked(file: str, home: str, name: str, ready: Ready, distrusted: Distrusted) -> Iterator[str]:
    """The folder with the program: `name` in `home`, which stays; where nothing can be written there, one that does not.

    `ready` and `distrusted` are those of start.py. Ends the process where `home` cannot be trusted."""
    try:
        folder = _in(home, file, name, ready, distrusted)
    except OSError as problem:
        folder = ""
        why = f"{home} cannot be used ({problem.strerror or problem})" if home else "HOME is not set"
    if folder:
        yield folder
        return
    # root's own: nobody else can have put anything there.
    place = tempfile.mkdtemp(prefix="msa-wizard-", dir="/run" if os.geteuid() == 0 else None)
    try:
        say(f"{why}; unpacking itself into {place} for this one run")
        try:
            _write(file, f"{place}/{name}")
        except OSError as problem:
            _die(
                1, f"it cannot be unpacked there either: {problem.strerror or problem}. Nothing was changed."
            )
        yield f"{place}/{name}"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def install_git() -> None:
    """By apt; said first. Ends the process where that cannot be."""
    if not os.path.exists("/var/lib/dpkg/status") or shutil.which("apt-get") is None:
        _die(3, "needs git, which is missing here. Install it and run this again.")
    install = ["apt-get", "install", "--no-install-recommends", "git"]
    if os.geteuid() != 0:
        _die(3, f"git is missing here. Have it installed first: sudo {' '.join(install)}")
    say("installing with apt-get, because it is missing here and msa-wizard needs it: git")
    # A root shell from plain su lacks the sbin directories, and dpkg refuses to work without them.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "LC_ALL": "C"}
    quiet["NEEDRESTART_MODE"] = "l"  # it lists what runs old code, and restarts nothing: nobody was asked yet

    def apt(*arguments: str) -> bool:
        done = subprocess.run(
            ["apt-get", *arguments],
            env={**os.environ, **quiet, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            umask=0o022,
            check=False,
        )
        return done.returncode == 0

    if not apt("update"):
        say("apt-get update failed; going on with the package lists that are here")
    if not apt("--yes", "-o", "DPkg::Lock::Timeout=300", *install[1:]):
        _die(
            1,
            "apt-get could not install git (its own words are above). Fix that, or install it by hand, and run this again.",
        )
    if shutil.which("git") is None:
        _die(3, "apt-get installed git, yet there is none on the PATH.")


def say(sentence: str) -> None:
    """On standard error: standard output is the command's."""
    print(f"msa-wizard: {sentence}", file=sys.stderr, flush=True)


def _die(code: int, sentence: str) -> NoReturn:
    say(sentence)
    sys.exit(code)


def _in(home: str, file: str, name: str, ready: Ready, distrusted: Distrusted) -> str:
    """The program in a folder below `home`, which other starts find. Raises OSError."""
    folder = f"{home}/{name}"
    mask = os.umask(0o077)
    try:
        os.makedirs(home, 0o700, exist_ok=True)
        if why := distrusted(os.lstat(home)):
            _die(
                3, f"{home} is refused: {why}. Nothing was changed. Find out who did this; then move it away."
            )
        with open(
            os.open(f"{home}/launcher.lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w"
        ) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another msa-wizard is being unpacked; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if ready(folder):
                return folder
            say(f"unpacking itself, this once, into {folder}")
            _sweep(home, name)
            unfinished = f"{home}/{_UNFINISHED}{name}"
            try:
                _write(file, unfinished)
                # All of it on the disk before it counts: a power cut must not leave a mark over empty files.
                subprocess.run(["sync", "-f", unfinished], stderr=subprocess.DEVNULL, check=False)
                os.rename(unfinished, folder)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            _link(home, name)
            _remove_others(home, name)
            assert ready(folder)
            return folder
    finally:
        os.umask(mask)


def _write(file: str, target: str) -> None:
    """All files of the program, and the mark that they are there. Raises OSError."""
    with zipfile.ZipFile(file) as outer:
        inside = io.BytesIO(outer.read(INSIDE))
    os.mkdir(target, 0o700)  # said here: where its parent has a default ACL the umask does not count
    made = {target}
    with zipfile.ZipFile(inside) as program:
        for item in program.infolist():
            path = f"{target}/{item.filename}"
            parent = path.rpartition("/")[0]
            if parent not in made:
                os.makedirs(parent, exist_ok=True)
                made.add(parent)
            _put(path, program.read(item), item.external_attr >> 16 & 0o777)
    _put(f"{target}/.complete", b"", 0o600)


def _put(path: str, content: bytes, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
        file.write(content)


def _sweep(home: str, name: str) -> None:
    """What was killed while it was unpacked or removed, and what is not ours under our name."""
    for entry in os.scandir(home):
        if entry.name.startswith(_UNFINISHED) or entry.name == name:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


def _link(home: str, name: str) -> None:
    """A command whose path stays the same, for when the file that was started is gone."""
    new = f"{home}/{_UNFINISHED}link"
    os.symlink(f"{name}/msa-wizard", new)
    os.replace(new, f"{home}/msa-wizard")


def _remove_others(home: str, name: str) -> None:
    """Programs of other versions, and what is left of any, unless somebody runs them."""
    for entry in os.scandir(home):
        if not entry.name.startswith("program-") or entry.name == name:
            continue
        with contextlib.suppress(OSError):
            mark = os.open(f"{entry.path}/.complete", os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                gone = f"{home}/{_UNFINISHED}{entry.name}"
                os.rename(entry.path, gone)  # half of it must not be found under its name
                shutil.rmtree(gone)
            finally:
                os.close(mark)
