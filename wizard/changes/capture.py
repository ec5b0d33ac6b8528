"""A command that writes files below /etc, run so that exactly what it writes is known (docs/provenance.md).

It runs in a private view of the host, in which nobody else's work can be and from which nothing gets out. What it wrote
there is compared with the host as the command saw it, and then written to the host as any other change is. Where
somebody has meanwhile changed what the command read, it runs again."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snapshots.live.entry import Entry, Kind
from snapshots.merge.accounts import database, merge_accounts
from wizard.errors import ChangeError, StaleError, WizardError
from wizard.model.facts import DECLARED
from wizard.model.generated_files import derived, in_order
from wizard.system.host import Host, Say
from wizard.system.links import in_the_way, linked
from wizard.system.private_view import ViewError

FOLDERS = ("/etc", *sorted({f"/{path.rpartition('/')[0]}" for path in DECLARED}))
"""What the snapshots hold, and so what is kept apart."""
READ = ("/etc/mail", "/usr/lib/sasl2", "/etc/aliases", "/etc/default/sendmail", "/etc/mailname")
"""What Debian's scripts for sendmail read, with all below it."""
ROUNDS = 4
"""How often a command runs at most, when what it reads changes while it is at work."""
_CLOCK = 5
"""CLOCK_REALTIME_COARSE (time.h): what the kernel dates files with."""
_LOCKS = tuple(f"/etc/{name}.lock" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"))
"""Of somebody who changes the live account files: they would hold up the command, which has its own copies."""
_NO_CONTENT = {*_LOCKS, "/etc/.pwd.lock"}
_MAKES = re.compile(
    r"/etc/mail/(?:[^/]+\.mc|sendmail\.conf|.+\.m4|m4/.*|sasl/.*|tls/.*)\Z|/usr/lib/sasl2/.*|/etc/default/.*"
)
"""What makes sendmail.cf and what must be as the command saw it; of other files at most a map of theirs is made."""

Pair = tuple[Entry | None, Entry | None]
"""What a path was when the command began, and what the command made of it."""
Seen = Mapping[str, tuple[int, ...]]
"""What tells a file from each later version of it, by path."""


class NoCaptureError(WizardError):
    """There is no private view on this host: why. Nothing was run."""


@dataclass(frozen=True)
class Capture:
    """What a command said, and what it wrote: in the order in which it is to be written, and nothing else."""

    output: str
    writes: Mapping[str, Pair]
    seen: Seen
    """What it read, to be asked for again once all is written."""

    def must_still_hold(self, host: Host) -> None:
        """Raises StaleError where what the writes were made of has changed since."""
        moved = _moved(self.seen, picture(host)) - set(self.writes)
        if bad := [path for path in moved if _MAKES.match(path) or _map_of(path) in self.writes]:
            raise StaleError(f"{_named(bad)} changed while files were made out of it")


def captured(host: Host, act: Callable[[Host], str], say: Say, *, sealed: bool = False) -> Capture:
    """Have `act` run its command on the host it is given, and return what it said and what it wrote.

    What scripts do outside the folders (FOLDERS) they do on the host itself, but where the view is `sealed`, as for a plan.
    Nothing is written to the host. Raises NoCaptureError, what `act` raises, ChangeError for what cannot be written to
    a host, and StaleError where what the command reads keeps changing."""
    for _ in range(ROUNDS - 1):
        capture, moved = _round(host, act, sealed)
        if not moved:
            return capture
        say(f"{_named(moved)} was changed by somebody meanwhile: once more, with what is there now")
    return _without(*_round(host, act, sealed))


def picture(host: Host) -> Seen:
    """What the files of READ are now."""
    signatures = {path: _signature(host.path(path)) for top in READ for path in (top, *below(host, top))}
    return {path: signature for path, signature in signatures.items() if signature}


def _round(host: Host, act: Callable[[Host], str], sealed: bool) -> tuple[Capture, list[str]]:
    """One run, and what changed on the host meanwhile of all that it has to do with."""
    for why, _ in in_the_way(linked(host)):
        raise ChangeError(f"{why}; nothing was run")  # a view of /etc is none of what lies elsewhere
    try:
        accounts = [f"/etc/{name}" for name in host.names("/etc") if database(f"etc/{name}")]
        # First the picture, then the copies: what changes between the two counts as changed.
        seen, began = picture(host), time.clock_gettime_ns(_CLOCK)
        copied = [path for path in (*READ, *accounts) if path not in FOLDERS and host.exists(path)]
        with host.private_view(FOLDERS, copied=copied, hidden=_LOCKS, sealed=sealed) as view:
            saw = dict(view.written())  # the copies; what came between picture and copy is among them
            saw |= {path: view.entry(path) for path in {*seen, *accounts} - saw.keys()}
            output = act(view.host)
            written = {path: entry for path, entry in view.written().items() if path not in _NO_CONTENT}
    except ViewError as error:
        raise NoCaptureError(str(error)) from error
    pairs = dict(_pairs(host, written, saw))
    moved = _moved(seen, picture(host))
    others = [path for path in pairs if path not in accounts and not _read(path)]
    moved |= {path for path in others if _since(host, path, began)}
    return Capture(output, {path: pairs[path] for path in _order(pairs)}, seen), sorted(moved)


def _pairs(
    host: Host, written: Mapping[str, Entry | None], saw: Mapping[str, Entry | None]
) -> Iterator[tuple[str, Pair]]:
    """What differs from what the command saw; of account files, from what they are by now."""
    for path, after in written.items():
        before = saw.get(path) if path in saw or _read(path) else host.entry(path)
        if after is not None and after.kind is Kind.SPECIAL and before != after:
            raise ChangeError(f"the command made {path}, a {after.special}, which is not written to a host")
        if _is_folder(before) and not _is_folder(after):
            for one in below(host, path):
                old = saw.get(one) if _read(one) else host.entry(one)
                if one not in written and old is not None:
                    yield one, (old, None)
        if before != after and database(path[1:]):
            live = host.entry(path)
            before, after = live, _merged(path, before, live, after)
        if before != after:
            yield path, (before, after)


def _merged(path: str, base: Entry | None, live: Entry | None, after: Entry | None) -> Entry | None:
    """An account file with what the command changed in it, and with what others have changed since it began."""
    name = database(path[1:])
    if name is None or live == base or base is None or live is None or after is None:
        return after
    if path.endswith("-"):  # a backup of what was there before the last change, which is theirs
        return live
    merge = merge_accounts(name, base.content, live.content, after.content, None)
    if merge.conflict:
        raise StaleError(f"{path} was changed by somebody where the command changes it too")
    dress = after if (after.mode, after.uid, after.gid) != (base.mode, base.uid, base.gid) else live
    return replace(dress, content=merge.content)


def _without(capture: Capture, moved: Sequence[str]) -> Capture:
    """What can still be written though these have changed: all but the maps made of them.

    The next start or reload of sendmail makes these, as they are older than their source. Raises StaleError where more
    than a map depends on them."""
    bad = [path for path in moved if _MAKES.match(path) or (path in capture.writes and not derived(path[1:]))]
    if bad:
        raise StaleError(
            f"{_named(bad)} kept changing while files were made out of it, {ROUNDS} times in a row: nothing was "
            f"written. Find out who writes it, then try again"
        )
    left = {*moved, *map(_map_of, moved)}
    return replace(capture, writes={path: pair for path, pair in capture.writes.items() if path not in left})


def _map_of(path: str) -> str:
    """The map that is made of a file, should one be."""
    return "/etc/mail/aliases.db" if path == "/etc/aliases" else f"{path}.db"


def _read(path: str) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in READ)


def _order(pairs: Mapping[str, Pair]) -> list[str]:
    """What goes first, deepest first; then folders before what is in them, sources before what is made of them."""
    goes = sorted((path for path, (_, after) in pairs.items() if after is None), reverse=True)
    folders = sorted(path for path, (_, after) in pairs.items() if _is_folder(after))
    rest = pairs.keys() - {*goes, *folders}
    return [*goes, *folders, *(f"/{path}" for path in in_order(path[1:] for path in rest))]


def _moved(before: Seen, after: Seen) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def _since(host: Host, path: str, began: int) -> bool:
    try:
        return host.path(path).lstat().st_ctime_ns >= began
    except OSError:
        return False


def _signature(path: Path) -> tuple[int, ...]:
    try:
        status = path.lstat()
    except OSError:
        return ()
    whose = (status.st_mode, status.st_uid, status.st_gid)
    if stat.S_ISDIR(status.st_mode):  # what is in it is told by itself
        return whose
    return (*whose, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def below(host: Host, top: str) -> Iterator[str]:
    """All below the path, symbolic links not followed."""
    base = host.path(top)
    for folder, folders, files in os.walk(base):
        for name in (*folders, *files):
            yield f"{top}/{(Path(folder) / name).relative_to(base)}"


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.DIRECTORY


def _named(paths: Iterable[str]) -> str:
    first, *others = sorted(paths)
    return f"{first} and {len(others)} more" if others else first
