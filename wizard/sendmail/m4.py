"""m4's run over a sendmail.mc, that of now or one of before: what it made, and what it printed."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.editors import EditError, EndlessError
from wizard.editors.mc_document import read
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.sendmail import cf as sendmail_cf
from wizard.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshots.store import Store

_MOST = 20
"""How many are looked at: m4 takes 25 ms for each."""
_READ = "m4debug: input read from "
_DEBUG = "m4debug: "
_MIDDLE = re.compile(rf"(?<=[^\n]){_DEBUG}")
_OWN = re.compile(r"/tmp/cf\w{6}")
"""What cfhead.m4 makes, reads and removes: the date and the host's name, for a comment."""
_TICK = 20_000_000
"""Nanoseconds: no kernel's clock for file times is coarser."""


@dataclass(frozen=True)
class Expansion:
    """One run of m4: exit code, the text it made, what it printed."""

    code: int
    text: str
    messages: str


@dataclass(frozen=True)
class _Run:
    """A run, and all that it depended on but the source."""

    files: tuple[tuple[Path, tuple[int, ...] | None], ...]
    folders: tuple[tuple[Path, frozenset[str]], ...]
    """The names in them: a file that an `sinclude` did not find may be there by now."""
    expansion: Expansion

    def holds(self) -> bool:
        """Whether m4 would say the same now."""
        same = all(_stamp(path) == stamp for path, stamp in self.files)
        return same and all(_names(path) == names for path, names in self.folders)


_KEPT = 16
"""Runs that are remembered: each step's gate expands the text before and after it, in `plan` for all of them."""
_runs: OrderedDict[tuple[Path, bytes], _Run] = OrderedDict()
"""The newest last. The gate and the look after it expand the same text, and most looks find it unchanged: m4 takes 25
ms each time."""


def expand(host: Host, path: str, source: bytes) -> Expansion:
    """Let m4 expand the .mc file at `path`, whose content is `source`, in /etc/mail as sendmailconfig does.

    Raises HostError, also where m4 would never end."""
    known = _runs.get((host.root, source))
    if known is not None and known.holds():
        _runs.move_to_end((host.root, source))
        return known.expansion
    _refuse_endless(path, source)
    began = time.time_ns()
    # m4's own `input read from` lines (-di) name every include, also those that macros make.
    result = host.run(["m4", "-di", path], timeout=30, cwd="/etc/mail", encoding="latin-1")
    # sendmail's own macros end what they say without a newline.
    lines = _MIDDLE.sub("\n" + _DEBUG, result.stderr).splitlines(keepends=True)
    messages = "".join(line for line in lines if not line.startswith(_DEBUG))
    expansion = Expansion(result.code, result.stdout, messages)
    names = {line[len(_READ) :].rstrip("\n") for line in lines if line.startswith(_READ)} - {path}
    inputs = [host.path("/etc/mail") / name for name in sorted(names) if not _OWN.fullmatch(name)]
    files = tuple((file, _stamp(file)) for file in inputs)
    # What is so new could change again without a new time.
    if all(stamp is not None and stamp[0] < began - _TICK for _, stamp in files):
        places = sorted({host.path("/etc/mail"), *(file.parent for file in inputs)})
        folders = tuple((folder, _names(folder)) for folder in places)
        _runs[host.root, source] = _Run(files, folders, expansion)
        _runs.move_to_end((host.root, source))
        while len(_runs) > _KEPT:
            _runs.popitem(last=False)
    return expansion


def _refuse_endless(path: str, source: bytes) -> None:
    try:
        read(source.decode("latin-1"))
    except EndlessError as error:
        raise HostError(f"m4 would never finish on {path}: {error}") from error
    except EditError:
        pass  # m4 says better what it does not accept


def expand_text(host: Host, source: bytes) -> Expansion:
    """Let m4 expand `source`, which no file of the host may hold. Raises HostError."""
    with tempfile.TemporaryDirectory(prefix="msa-wizard-m4-") as folder:
        path = Path(folder) / "sendmail.mc"
        path.write_bytes(source)
        return expand(host, str(path), source)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_ino


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - names alone are wanted
    except OSError:
        return frozenset()


def earlier(host: Host, store: Store, facts: Facts) -> tuple[str, ...]:
    """What m4 makes of the sendmail.mc's that stood beside the sendmail.cf of now, as far as the history has them: newest
    first, until no line of sendmail.cf is left that none gives. Raises StoreError, HostError.

    Steps edit sendmail.mc, and only then sendmail.cf is made again: until that, the lines of the old sendmail.mc are no
    work of anybody's hand."""
    cf, from_mc = facts.text(f.SENDMAIL_CF), facts.cf_from_mc
    if cf is None or from_mc is None or store.head() is None:
        return ()
    given: list[str] = []
    sources = _sources(store)
    while (own := sendmail_cf.only_in(cf, from_mc, *given)) and (source := next(sources, None)) is not None:
        given.append(expand_text(host, source).text)
    lost = facts.cf_newest and sendmail_cf.lacking(cf, from_mc, *given)
    if (own or lost) and (beside := _beside(store, cf)) is not None:
        given.append(expand_text(host, beside).text)
    return tuple(given)


def _beside(store: Store, cf: str) -> bytes | None:
    """The sendmail.mc that was there when this sendmail.cf first was, however long ago: a rollback brings one back without the
    other."""
    paths = [path.lstrip("/") for path in (f.SENDMAIL_CF, f.SENDMAIL_MC)]
    for commit in reversed(list(store.history(path=paths[0]))):  # mostly it is the one that was found
        then = store.entries(commit, paths)
        old_cf, mc = (then[path] for path in paths)
        if old_cf is not None and old_cf.content.decode("latin-1") == cf and mc is not None:
            return mc.content
    return None


def _sources(store: Store) -> Iterator[bytes]:
    """The texts of sendmail.mc since sendmail.cf was last made by a run of ours, newest first, each once."""
    path, texts = f.SENDMAIL_MC.lstrip("/"), set[bytes]()
    of_cf = store.history(path=f.SENDMAIL_CF.lstrip("/"))
    last = next((commit for commit in of_cf if commit.operation not in ("drift", "baseline")), None)
    later = set[str]()  # several commits may have one second
    for commit in store.history() if last is not None else ():
        if commit == last:
            break
        later.add(commit.id)
    for commit in store.history(path=path):
        entry = store.entries(commit, [path])[path]
        if entry is not None and entry.content not in texts:
            texts.add(entry.content)
            yield entry.content
        if len(texts) == _MOST or (last is not None and commit.id not in later):
            return
