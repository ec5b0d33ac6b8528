"""What the sendmail.mc's gave that stood beside the sendmail.cf of now, as far as the history has them.

Steps edit sendmail.mc, and only then sendmail.cf is made again: until that, the lines of the old sendmail.mc are no
work of anybody's hand."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.m4 import expand_text
from wizard.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshots.store import Store

MOST = 20
"""How many are looked at: m4 takes 25 ms for each."""


def earlier(host: Host, store: Store, facts: Facts) -> tuple[str, ...]:
    """The .cf of each of them, newest first, until no line of sendmail.cf is left that none gives.

    Raises StoreError, HostError."""
    cf, from_mc = facts.text(f.SENDMAIL_CF), facts.cf_from_mc
    if cf is None or from_mc is None or store.head() is None:
        return ()
    given: list[str] = []
    sources = _sources(store)
    while sendmail_cf.only_in(cf, from_mc, *given) and (source := next(sources, None)) is not None:
        given.append(expand_text(host, source).text)
    if (
        facts.cf_newest
        and sendmail_cf.lacking(cf, from_mc, *given)
        and (beside := _beside(store, cf)) is not None
    ):
        given.append(expand_text(host, beside).text)
    return tuple(given)


def _beside(store: Store, cf: str) -> bytes | None:
    """The sendmail.mc that was there when this sendmail.cf first was: a rollback brings one back without the other."""
    paths = [path.lstrip("/") for path in (f.SENDMAIL_CF, f.SENDMAIL_MC)]
    source = None
    for commit in islice(store.history(path=paths[0]), MOST):
        old_cf, mc = (store.entries(commit, paths)[path] for path in paths)
        if old_cf is not None and old_cf.content.decode("latin-1") == cf and mc is not None:
            source = mc.content
    return source


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
        if len(texts) == MOST or (last is not None and commit.id not in later):
            return
