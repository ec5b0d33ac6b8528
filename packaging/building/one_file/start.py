"""Starts msa-wizard, from the one file, or from the folder into which that has unpacked the program.

Python from 3.7 on must be able to read it, so that it can say that it is too old."""

import os
import sys

HOME = "/var/lib/msa-wizard"
NAME = "program-@DIGEST@"
"""Of the folder; another program has another name."""
FOR_ROOT = frozenset(
    "apply certificate confirm debug diff history recover rehearse remove rollback".split()  # noqa: SIM905
)
"""Commands that whoever is not root is refused before anything is unpacked, as the launcher of the checkout does."""


def home() -> str:
    """Where the program is unpacked, "" where there is no such place."""
    if os.geteuid() == 0:
        return HOME
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        user = os.environ.get("HOME", "")
        cache = f"{user}/.cache" if user.startswith("/") else ""
    return cache and f"{cache}/msa-wizard"


def ready(folder: str) -> bool:
    """Whether the whole program is there, and nobody else can have written to it. It is locked then, with a lock that all share
    who run it, until this process ends."""
    import fcntl

    try:
        found = os.lstat(folder)
        mark = os.open(f"{folder}/.complete", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    fcntl.flock(mark, fcntl.LOCK_SH)
    # Without a name it was removed while we waited.
    return distrusted(found) == "" and os.fstat(mark).st_nlink > 0


def distrusted(found: os.stat_result) -> str:
    """Why nothing is run from a folder, "" where it may be."""
    if found.st_mode & 0o170000 != 0o040000:
        return "it is not a folder, but perhaps a link to one"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}, not to user {os.geteuid()} who runs this"
    return "others can write to it" if found.st_mode & 0o022 else ""


def trusted(place: str) -> bool:
    """Whether it is a folder of our own that nobody else can write to."""
    try:
        return distrusted(os.lstat(place)) == ""
    except OSError:
        return False


def run(folder: str) -> int:
    """Run the program; the exit code."""
    library = os.path.dirname(os.__file__)
    # Nothing of the host's Python packages.
    sys.path[:] = [folder, library, f"{library}/lib-dynload"]
    room = os.statvfs(folder)
    # Compiled code that a full disk cuts short would break every later start.
    sys.dont_write_bytecode = room.f_bavail * room.f_frsize < 16 << 20
    if "_ARGCOMPLETE" not in os.environ and not any(
        os.access(f"{each}/git", os.X_OK) for each in os.environ.get("PATH", "").split(":") if each
    ):
        from first_start import install_git  # type: ignore[import-not-found]

        install_git()
    os.umask(0o022)  # whatever the caller's is: it must not decide what gets written
    from wizard.cli.main import main

    code = main()
    import gc

    # The end of the process frees all: no need to search it for garbage first, which takes longer than a short command.
    gc.freeze()
    return code


def start() -> int:
    """Run the program, unpacked before where it is not; the exit code."""
    if sys.version_info < (3, 11):
        old = sys.version.split()[0]
        sys.stderr.write(
            f"msa-wizard: needs Python 3.11 or newer, and this is {old}. Debian 12 and newer have it.\n"
        )
        return 3
    own = [name for name in os.environ if name.startswith("PYTHON")]
    if own and not sys.flags.isolated:
        for name in own:
            del os.environ[name]
        os.execv(sys.executable, [sys.executable, "-I", "-S", *sys.argv])
    here = os.path.dirname(os.path.realpath(__file__))
    if os.path.isdir(here):
        if ready(here):
            return run(here)
        sys.stderr.write(f"msa-wizard: {here} is not complete: run the file msa-wizard.pyz again.\n")
        return 1
    place = home()
    if place and trusted(place) and ready(f"{place}/{NAME}"):
        return run(f"{place}/{NAME}")
    if "_ARGCOMPLETE" in os.environ:  # a Tab must neither wait nor write
        return 0
    words = sys.argv[1:]
    if os.geteuid() != 0 and words and words[0] in FOR_ROOT and not {"-h", "--help"} & set(words):
        import shlex

        again = shlex.join(["sudo", "python3", *sys.argv])
        sys.stderr.write(f"msa-wizard: only root can do that; nothing was changed. Run: {again}\n")
        return 3
    from first_start import unpacked

    with unpacked(here, place, NAME, ready, distrusted) as folder:
        return run(folder)
