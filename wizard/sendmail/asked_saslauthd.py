"""Which saslauthd sendmail asks. Several may run: Debian's init script starts one for each /etc/default/saslauthd*, an admin
has units of his own, and each has its socket in a folder of its own (-m). libsasl2 asks at one socket: the one that is compiled
into it, or that saslauthd_path in Sendmail.conf names (lib/checkpw.c). Pure."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from snapshots.live.entry import Entry
from wizard.editors import EditError, sasl_conf, shell_defaults
from wizard.model import facts as f
from wizard.model.facts import Facts, Process
from wizard.model.plan import Ending

INSTANCE = re.compile(r"saslauthd[\w-]+\Z", re.ASCII)
"""The names in /etc/default of further saslauthds, as the init script looks for them."""
_INSTANCE_FILE = re.compile(rf"{f.DEFAULT_FOLDER}/{INSTANCE.pattern}", re.ASCII)
UNIT = "saslauthd.service"


def named_socket(conf: str | None) -> str | None:
    """saslauthd_path of this text of Sendmail.conf; libsasl2 drops the whole of a file that it does not understand."""
    try:
        return sasl_conf.value(conf or "", "saslauthd_path")
    except EditError:
        return None


def own_socket(facts: Facts) -> str | None:
    """saslauthd_path, None where there is none, or only root may read it."""
    try:
        return named_socket(facts.text(facts.sasl_conf) if facts.sasl_conf is not None else None)
    except PermissionError:
        return None


def socket_of(facts: Facts) -> str:
    """Where sendmail asks."""
    return own_socket(facts) or f.MUX


def folder_of(socket: str) -> str:
    """Its folder, as Debian's files write it."""
    return f.MUX_FOLDERS[0] if socket == f.MUX else posixpath.dirname(socket)


def serves_at(folder: str, socket: str) -> bool:
    """Whether a saslauthd with this -m (empty: it has none) has its socket there; /var/run is /run."""
    return _in_run(f"{folder or f.MUX_FOLDER}/mux") == _in_run(socket)


def _in_run(path: str) -> str:
    path = posixpath.normpath(path)
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def places(files: Mapping[str, Entry | None], socket: str) -> tuple[str, ...]:
    """The socket where sendmail asks, and where a link in place of its folder leads; `files` has that folder."""
    folder, name = posixpath.split(socket)
    link = files.get(folder)
    if link is None or link.kind != "symlink":
        return (socket,)
    return socket, posixpath.join(posixpath.dirname(folder), link.content.decode("latin-1"), name)


def _places(facts: Facts) -> tuple[str, ...]:
    return places(facts.files, socket_of(facts))


def serves(facts: Facts, folder: str) -> bool:
    """Whether a saslauthd with this -m (empty: it has none) has its socket where sendmail asks, be it by a link."""
    return _serves(folder, _places(facts))


def _serves(folder: str, asked: Iterable[str]) -> bool:
    return any(serves_at(folder, place) for place in asked)


def serving(processes: Iterable[Process], asked: Sequence[str]) -> tuple[Process, ...]:
    """The saslauthds that sendmail reaches at these places, the oldest first: each is several processes, and others may run
    for other programs, with a socket elsewhere."""
    daemons = [daemon for daemon in processes if daemon.name == "saslauthd"]
    ours = [daemon for daemon in daemons if _serves(argument(daemon, "-m"), asked)]
    return tuple(sorted(ours, key=lambda daemon: daemon.started))


def is_stopped(processes: Iterable[Process], asked: Sequence[str]) -> bool:
    """Whether the one that sendmail reaches there is stopped (SIGSTOP), and will say nothing."""
    ours = serving(processes, asked)
    return bool(ours) and all(process.state == "T" for process in ours)


def asked_saslauthd(facts: Facts) -> Process | None:
    """The one that serves sendmail on this host."""
    return next(iter(serving(facts.processes, _places(facts))), None)


def own_saslauthds(facts: Facts) -> tuple[Process, ...]:
    """Those that serve sendmail; where none does, those that may be meant to, with their socket elsewhere. What another
    service runs is not, nor what has its socket where the defaults file of another one says."""
    ours = serving(facts.processes, _places(facts))
    daemons = (daemon for daemon in facts.processes if daemon.name == "saslauthd")
    left = [daemon for daemon in daemons if not _of_another_one(facts, daemon)]
    return ours or tuple(sorted(left, key=lambda daemon: daemon.started))


def own_saslauthd(facts: Facts) -> Process | None:
    """The oldest of these."""
    return next(iter(own_saslauthds(facts)), None)


def socket_ends(facts: Facts) -> tuple[Ending, ...]:
    """Who asks saslauthd where it has its socket now, and sendmail does not ask: with a restart it is there no more."""
    elsewhere = (argument(daemon, "-m").rstrip("/") or f.MUX_FOLDERS[0] for daemon in own_saslauthds(facts))
    lines = tuple(dict.fromkeys(f"{folder}/mux" for folder in elsewhere if not serves(facts, folder)))
    says = f"a program that asks at saslauthd's socket where it is now will no longer find it there: it moves to {socket_of(facts)}"
    return (Ending("saslauthd-socket", says, lines),) if lines else ()


def _of_another_one(facts: Facts, daemon: Process) -> bool:
    if daemon.unit is not None and daemon.unit.endswith(".service") and daemon.unit != UNIT:
        return True
    own, folder = defaults_file(facts), argument(daemon, "-m")
    texts = _defaults(facts)
    others = [text for path, text in texts.items() if path != own]
    return not _names_folder(texts.get(own, ""), folder) and any(
        _names_folder(text, folder) for text in others
    )


def _names_folder(default: str, folder: str) -> bool:
    """Whether a defaults file has the socket in this folder; not where only sh can tell."""
    try:
        return serves_at(_folder(default), f"{folder or f.MUX_FOLDER}/mux")
    except EditError:
        return False


def argument(process: Process, letter: str) -> str:
    """The value of an option on its command line, empty where it has none."""
    values = [value for key, value in itertools.pairwise(process.argv) if key == letter]
    return values[-1] if values else ""


def options_folder(default: str) -> str:
    """The folder of its socket by the text of its defaults file, empty where that names none, or only sh can read it."""
    try:
        return _folder(default)
    except EditError:
        return ""


def _folder(default: str) -> str:
    words = (shell_defaults.value(default, "OPTIONS") or "").split()
    return words[words.index("-m") + 1].rstrip("/") if "-m" in words[:-1] else ""


def defaults_file(facts: Facts) -> str:
    """The defaults file of the saslauthd that sendmail asks: Debian's own, unless another has the socket there."""
    return _found(facts) or f.SASLAUTHD_DEFAULT


def _found(facts: Facts) -> str | None:
    return found_default(_defaults(facts), _places(facts))


def _defaults(facts: Facts) -> dict[str, str]:
    """Text by path of the defaults files, Debian's own first."""
    further = sorted(path for path in facts.files if _INSTANCE_FILE.match(path))
    return {path: facts.text(path) or "" for path in (f.SASLAUTHD_DEFAULT, *further)}


def found_default(defaults: Mapping[str, str], asked: Sequence[str]) -> str | None:
    """Of these defaults files (path and text, Debian's own first) the one whose OPTIONS have the socket where sendmail asks,
    or may have it, where only sh can tell."""
    for path, text in defaults.items():
        try:
            folder = _folder(text)
        except EditError:
            return path
        if _serves(folder, asked):
            return path
    return None


def of_another_service(facts: Facts) -> bool:
    """Whether it is none that Debian's service starts: an admin's unit does, with a defaults file of its own, or without."""
    path, native = _found(facts), facts.services["saslauthd"].native
    if path is not None:
        return native and path != f.SASLAUTHD_DEFAULT
    process = asked_saslauthd(facts)
    return process is not None and process.unit not in (None, UNIT)


def service_of(facts: Facts) -> str:
    """The service that starts the one that is asked, empty where that is not known: it is another one than Debian's."""
    if not of_another_service(facts):
        return "saslauthd"
    process = asked_saslauthd(facts)
    unit = (process.unit if process is not None else None) or ""
    return unit.removesuffix(".service") if unit.endswith(".service") else ""


def misplaced(facts: Facts) -> str:
    """The folder that Debian's defaults file names, where a start would put the socket, and sendmail does not ask; empty where
    it does, or asks the saslauthd of another service."""
    if _found(facts) is not None or of_another_service(facts):
        return ""
    return options_folder(facts.text(f.SASLAUTHD_DEFAULT) or "") or f.MUX_FOLDER
