"""The services that a rollback may concern: which run, and which must be restarted to read what comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from wizard.changes.service import ServiceEffect, is_there
from wizard.errors import HostError
from wizard.gather.host import READ_AT_START
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.sendmail.asked_saslauthd import asked_saslauthd, defaults_file
from wizard.sendmail.cf_needs import TlsFiles, behind_links
from wizard.steps.restart import stale
from wizard.system.host import Host
from wizard.system.links import real
from wizard.system.services import at_work

OURS = ("saslauthd", "sendmail")
_SENDMAIL = {*READ_AT_START, f.SENDMAIL_CONF}
_SASLAUTHD = {f.SASLAUTHD_DEFAULT, f.SASLAUTHD_CONF}


def names(effects: Iterable[ServiceEffect]) -> tuple[str, ...]:
    """Our two, and those of the effects."""
    return tuple(dict.fromkeys((*OURS, *(service.name for service in effects))))


def running(facts: Facts) -> tuple[str, ...]:
    """Which of our two daemons run."""
    return tuple(name for name in OURS if _running(facts, name))


def runs(host: Host, facts: Facts, name: str) -> bool:
    """Whether a service runs: of ours the facts tell, of others init does. Raises HostError."""
    return _running(facts, name) if name in OURS else at_work(host, name)


def is_installed(host: Host, name: str, facts: Facts) -> bool:
    """Whether it can run here. Raises HostError."""
    package = {"saslauthd": "sasl2-bin", "sendmail": "sendmail-bin"}.get(name)
    return package in facts.packages if package else is_there(host, name)


def must_restart(host: Host, facts: Facts, name: str, written: Collection[str]) -> bool:
    """Whether one that shall run has not read what is there once the paths `written` are, or does not serve. Raises
    HostError."""
    # Also the site's own certificates, behind links, and Sendmail.conf: what comes back, or its mode, has its old date.
    named = TlsFiles.of(facts.text(f.SENDMAIL_CF) or "").all
    own = {*named, *(behind_links(host, path) for path in named), facts.sasl_conf or ""}
    reads = {"saslauthd": {*_SASLAUTHD, defaults_file(facts)}, "sendmail": _SENDMAIL | own}
    read = {each.lstrip("/") for path in reads.get(name, ()) for each in _recorded(host, path)}
    # A file that is gone leaves no time behind: what was written counts, too.
    unread = not read.isdisjoint(written) or name not in OURS or (name == "sendmail" and bool(stale(facts)))
    return unread or not (serves(facts, name) if name in OURS else at_work(host, name))


def serves(facts: Facts, name: str) -> bool:
    """Whether one of our two daemons runs and, where sendmail asks it, answers: a saslauthd with its socket elsewhere is
    for others to ask."""
    asked = name == "saslauthd" and asked_saslauthd(facts) is not None
    return facts.saslauthd_says is not None if asked else _running(facts, name)


def _running(facts: Facts, name: str) -> bool:
    return facts.saslauthd_runs if name == "saslauthd" else facts.process("sendmail-mta") is not None


def _recorded(host: Host, path: str) -> Iterator[str]:
    """The names by which the history may have it: a folder on the way may be a link."""
    yield path
    with suppress(HostError):
        yield real(host, path)
