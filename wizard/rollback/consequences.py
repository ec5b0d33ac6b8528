"""What works now and will not once steps are rolled back: said before, and above the question."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from wizard.console import numbered
from wizard.editors import EditError
from wizard.editors.daemon_options import is_loopback
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.asked_saslauthd import defaults_file
from wizard.sendmail.password_source import changed_ends
from wizard.steps.mc_edit import included_daemons, own_daemons

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from wizard.engine.recorder import Targets
    from wizard.sendmail.cf import Daemon

_FOR_CLIENTS = (465, 587)


def consequences(facts: Facts, targets: Targets, stopped: Collection[str]) -> tuple[str, ...]:
    """Sentences without their full stop; `targets` is what becomes of files, `stopped` the services."""
    mc = targets.get(f.SENDMAIL_MC.lstrip("/"), (None, None))
    of_passwords = () if stopped else _of_passwords(facts, targets)
    return (*_of_listeners(facts, *mc), *of_passwords, *_of_services(stopped))


def of_removal(facts: Facts) -> tuple[str, ...]:
    """The same, where Sendmail's packages go."""
    runs = facts.process("sendmail-mta") is not None
    return (
        ("sendmail goes: no mail comes in or goes out, and mail clients can no longer log in",)
        if runs
        else ()
    )


def _of_passwords(facts: Facts, targets: Targets) -> Iterator[str]:
    """Unless a file goes that says where passwords come from, and its package with it."""
    named = (f.SASL_CONF.lstrip("/"), defaults_file(facts).lstrip("/"))
    if any(path in targets and targets[path][1] is None for path in named):
        return
    files = {f"/{path}": after for path, (_, after) in targets.items()}
    try:
        yield from (each.says for each in changed_ends(facts, replace(facts, files={**facts.files, **files})))
    except PermissionError:
        return


def _of_services(stopped: Collection[str]) -> Iterator[str]:
    if "sendmail" in stopped:
        yield "sendmail is stopped: no mail comes in or goes out"
    if "saslauthd" in stopped:
        yield "saslauthd is stopped: users whose passwords it checks can no longer log in"


def _of_listeners(facts: Facts, before: Entry | None, after: Entry | None) -> Iterator[str]:
    if before is None or after is None:
        return
    old, new = (entry.content.decode("latin-1") for entry in (before, after))
    live = sendmail_cf.daemons(facts.text(f.SENDMAIL_CF) or "")
    try:
        own = own_daemons(new)
        if not own or own == own_daemons(old):
            return
        will = _outside(own | included_daemons(facts, old))
    except EditError:
        return
    now = _outside(live)
    if lost := sorted(
        {each.port for each in now if each.port in _FOR_CLIENTS} - {each.port for each in will}
    ):
        yield f"mail clients can no longer reach {numbered(lost, 'port')}"
    if laid_open := sorted(_without_login(will) - _without_login(now)):
        yield f"{numbered(laid_open, 'port')} takes mail without a login, also from other machines"
    if _at_25(now) and not _at_25(will):
        yield "other mail servers can no longer reach port 25"
    if any("A" not in each.modifiers for each in _at_25(will)) and not any(
        "A" not in each.modifiers for each in _at_25(now)
    ):
        yield "passwords can be tried at port 25, too"


def _outside(daemons: Collection[Daemon]) -> list[Daemon]:
    return [each for each in daemons if not is_loopback(each.address)]


def _without_login(daemons: Collection[Daemon]) -> set[int]:
    return {each.port for each in daemons if each.port in _FOR_CLIENTS and "a" not in each.modifiers}


def _at_25(daemons: Collection[Daemon]) -> list[Daemon]:
    return [each for each in daemons if each.port == 25]
