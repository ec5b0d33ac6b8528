"""The command `remove`: the program goes; the history only where that was said twice."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

import wizard
from snapshots.errors import StoreError
from wizard import log
from wizard.cli.options import ask, asks, must_be_asked, yes
from wizard.console import clean, command, error, out
from wizard.delivery import delivery
from wizard.engine import state_dir
from wizard.engine.in_force import applied
from wizard.engine.removal import Removal, in_use, take_away, what_is_there
from wizard.errors import DONE, FAILED, CannotHere, Locked, WizardError
from wizard.rehearse.clone import keepers
from wizard.render import as_json
from wizard.system.host import Host
from wizard.system.lock import held
from wizard.system.signals import postponed

_BY_APT = (
    "this is Debian's package: `apt-get remove msa-wizard` removes it, and the settings, the history and the log stay; "
    "`apt-get purge msa-wizard` also removes settings and log, and says where the history is. Nothing was removed"
)
_AGREE = "remove msa-wizard? [y]es, [n]o (the default): "
_FORGET = "remove the history and the log, too? [y]es, [n]o (the default): "
_SURE = "without it nothing can be rolled back any more; to remove it, type forget: "


def remove(arguments: argparse.Namespace) -> int:
    """`remove`: 0 done, or not wanted; 1 when something could not be removed."""
    state_dir.must_be_root()
    state_dir.must_not_wait()
    host = Host()
    program = Path(wizard.__file__).resolve().parents[1]
    if next(keepers(), None) is not None:
        raise CannotHere(
            "a rehearsal's clone is running: `msa-wizard rehearse --end` ends it. Nothing was removed"
        )
    if delivery(str(program))[0] == "deb":
        raise CannotHere(_BY_APT)
    removal = what_is_there(host, program)
    must_be_asked(arguments, "remove", " (and --forget-history, if the history is to go, too)")
    _must_be_the_only_one(removal, hold=False)  # before somebody has answered for nothing
    if not arguments.json:
        out(_shown(removal, _in_force()))
    if not arguments.yes and not yes(_AGREE, "remove what is listed first", "remove nothing"):
        out("Nothing was removed.")
        return DONE
    forget = bool(removal.history) and _forgets(arguments)
    lock = state_dir.LOCK
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with postponed(), held(lock, os.environ.get("SUDO_USER") or "root"):
        state_dir.must_not_wait()
        _must_be_the_only_one(removal, hold=True)
        log.note(f"remove: the history {'goes, too' if forget else 'stays'}")
        log.end()
        gone, left = take_away([*(removal.history if forget else ()), *(path for path, _ in removal.goes)])
        if lock.parent.is_dir() and not any(lock.parent.iterdir()):
            lock.parent.rmdir()
    return _told(arguments, removal, forget, gone, left)


def _must_be_the_only_one(removal: Removal, *, hold: bool) -> None:
    """Raises Locked while somebody else runs us from what is to go."""
    if any(in_use(path, hold=hold) for path, _ in removal.goes):
        raise Locked("another msa-wizard is open on this host, perhaps its screens")


def _forgets(arguments: argparse.Namespace) -> bool:
    """Whether the history goes: by its option, or because it was said twice."""
    if arguments.forget_history or not asks(arguments) or arguments.yes:
        return bool(arguments.forget_history)
    return yes(_FORGET, "remove them, once you say so again", "keep them") and ask(_SURE) == "forget"


def _in_force() -> bool:
    """Whether something that was applied is in force; also where that cannot be read."""
    try:
        store = state_dir.existing_store()
        return store is not None and bool(applied(store.history()))
    except (WizardError, StoreError):
        return True


def _shown(removal: Removal, in_force: bool) -> str:
    first = "For the host as it was found, run `msa-wizard rollback --all` first."
    return "\n".join(
        [
            "This removes:",
            *(f"   {clean(str(path))}  ({what})" for path, what in removal.goes),
            *(["The history and the log, which stay unless you say otherwise:"] if removal.history else []),
            *(f"   {clean(str(path))}" for path in removal.history),
            "These stay:",
            *(f"   {clean(line)}" for line in removal.stays),
            *([first] if in_force else []),
        ]
    )


def _told(
    arguments: argparse.Namespace, removal: Removal, forget: bool, gone: list[str], left: list[str]
) -> int:
    kept = [str(path) for path in removal.history] if not forget else []
    if arguments.json:
        as_json.show(
            outcome="incomplete" if left else "done",
            removed=gone,
            history_removed=forget,
            left=left,
            stays=[*removal.stays, *kept],
        )
    else:
        for line in left:
            error(f"NOT removed: {clean(line)}")
        if kept:
            out("The history and the log stay. To remove them, too:")
            out("\n".join(command(clean(shlex.join(["rm", "-r", *kept])), first="  ", then="    ")))
        out("msa-wizard is removed." if not left else "What could be removed is removed.")
    return FAILED if left else DONE
