"""Rolling back a certificate that certbot got and has renewed since: its renewals are no work of the admin, and go with it,
unless others use by now what the step brought."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from wizard.certificates import parsed
from wizard.certificates.acme import CERTBOT, HOOK
from wizard.changes.lineage import LineageEffect, of_any_run, of_lineage
from wizard.changes.packages import PackagesEffect
from wizard.changes.records import effects_of, record_of
from wizard.console import clean
from wizard.engine.in_force import commits_in_force
from wizard.errors import HostError
from wizard.gather.acme import they_use, users
from wizard.sendmail.cf_needs import MOST
from wizard.steps.certificate import brings
from wizard.steps.certificate_obtain import CertificateObtain
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Commit, Store

_TOP = CERTBOT.lstrip("/")
_HOOK = HOOK.lstrip("/")
_GIVES = re.compile(r"(?:renew_hook|installer)\s*=\s*(?!None$|\s).")
_ACCOUNTS = f"{_TOP}/accounts/"


@dataclass(frozen=True)
class Renewals:
    """The lineages that go, by name, and all PEM that certbot has ever made of those that the commits brought to sendmail."""

    names: tuple[str, ...]
    pems: frozenset[bytes]
    host: Host

    @classmethod
    def of(cls, host: Host, store: Store, commits: Sequence[Commit]) -> Renewals:
        """Those of the commits. Raises StoreError."""
        effects = [effect for commit in commits for effect in effects_of(store, commit)]
        names = tuple(dict.fromkeys(each.name for each in effects if isinstance(each, LineageEffect)))
        return cls(names, frozenset(_pems(store, {*names, *_brought(store, commits)})), host)

    def renewed(self, path: str) -> bool:
        """Whether what is at the path (relative to the root) is a renewal's work: it goes back, whatever it is now."""
        if any(of_lineage(name, path) for name in self.names):
            return True
        return bool(self.pems) and _content(self.host, f"/{path}") in self.pems

    def grown(self, path: str) -> bool:
        """Whether certbot made it in a folder that goes, for these lineages alone: an account of later is somebody's."""
        if not self.names or path.startswith(_ACCOUNTS):
            return False
        return any(of_lineage(name, path) for name in self.names) or of_any_run(path)

    def needed(self, store: Store, commits: Sequence[Commit]) -> tuple[str, str] | None:
        """Why certbot and what it keeps must stay, and how that ends; None where nobody else needs it. Raises StoreError."""
        brought = [commit for commit in commits if has_lineage(store, commit)]
        for name in self.names:
            if files := users(self.host, name):
                return f"{they_use(files)} certbot's certificate {name}", "Let it use another one"
            if hooks := self._hooks(store, brought, name):
                why = f"certbot gives its certificate {name} to others by now: {', '.join(hooks[:3])}"
                return why, "If nobody needs that, take it out there"
            if more := self._more_names(store, brought, name):
                why = f"certbot's certificate {name}, which came with the step, is for {', '.join(more[:3])} as well by now"
                return why, f"If it may go: `certbot delete --cert-name {name}`"
        return self._others(store, brought) if brought else None

    def _hooks(self, store: Store, brought: Sequence[Commit], name: str) -> list[str]:
        """What has come since that goes by no path of the lineage: a hook or plug-in of its own, a hook for all (certbot(1))."""
        conf, folder = f"{CERTBOT}/renewal/{name}.conf", PurePosixPath(HOOK).parent
        paths = {f"{folder}/{each}" for each in self.host.names(str(folder))} - {HOOK}
        then = [store.entries(commit, [path.lstrip("/") for path in (conf, *paths)]) for commit in brought]
        known = {
            line for each in then if (entry := each[conf.lstrip("/")]) for line in _own_hooks(entry.content)
        }
        own = [line for line in _own_hooks(_content(self.host, conf)) if line not in known]
        found = [f"`{clean(line)}` in {conf}" for line in own]
        for path in sorted(paths):
            entry = self.host.entry(path)
            runs = entry is not None and entry.mode & 0o111 and b"RENEWED_LINEAGE" in entry.content
            if runs and not any(entry == each[path.lstrip("/")] for each in then):
                found.append(clean(path))
        return found

    def _more_names(self, store: Store, brought: Sequence[Commit], name: str) -> list[str]:
        """What the lineage is for by now, and was not when it came."""
        now = parsed(_content(self.host, f"{CERTBOT}/live/{name}/fullchain.pem"))
        then = {each for commit in brought for each in _names_then(store, commit, name)}
        return [each for each in now.names if each not in then] if now and then else []

    def _others(self, store: Store, brought: Sequence[Commit]) -> tuple[str, str] | None:
        """The same, where other certificates have come since that certbot renews."""
        others = self._since(store, brought[-1])
        packages = [
            effect
            for commit in brought
            for effect in effects_of(store, commit)
            if isinstance(effect, PackagesEffect)
        ]
        certbot = any(name == "certbot" for effect in packages for name, _ in effect.installed)
        account = any(
            path.startswith(_ACCOUNTS) and before is None
            for commit in brought
            for path, (before, _) in store.changes(commit).items()
        )
        if not (others and (certbot or account)):
            return None
        what = "which" if certbot else "whose account"
        why = f"certbot, {what} came with the step, keeps certificates for {', '.join(others[:3])} by now, and would renew them no more"
        return why, f"If they may go: `certbot delete --cert-name {others[0]}`"

    def _since(self, store: Store, commit: Commit) -> list[str]:
        """The lineages that certbot keeps beside these, and did not before the commit."""
        confs = (name for name in self.host.names(f"{CERTBOT}/renewal") if name.endswith(".conf"))
        others = [name for conf in confs if (name := conf.removesuffix(".conf")) not in self.names]
        changes = store.changes(commit)
        paths = {name: f"{_TOP}/renewal/{name}.conf" for name in others}
        kept = store.entries(commit, paths.values())
        return [
            name
            for name, path in paths.items()
            if (changes[path][0] if path in changes else kept[path]) is None
        ]


def has_lineage(store: Store, commit: Commit) -> bool:
    """Whether the commit brought a lineage. Raises StoreError."""
    return any(isinstance(effect, LineageEffect) for effect in effects_of(store, commit))


def staying(store: Store, brought: Sequence[Commit]) -> Callable[[str], bool]:
    """Whether a path (relative to the root) is certbot's: of what these commits brought, all but what is for sendmail alone, the
    files that the step itself wrote and the hook. Raises StoreError."""
    paths, own = set[str](), {_HOOK}
    for commit in brought:
        paths |= {change.path for change in store.changed(commit)}
        files = (
            each["path"].lstrip("/") for each in record_of(store, commit)["effects"] if each["kind"] == "file"
        )
        own |= {path for path in files if not f"{path}/".startswith(f"{_TOP}/")}
    return (paths - own).__contains__


def in_part(store: Store, commits: Sequence[Commit]) -> list[Commit]:
    """Those of the commits of which a rollback in force took what is for sendmail alone, when others needed the rest. Raises
    StoreError."""
    if not any(has_lineage(store, commit) for commit in commits):
        return []
    rollbacks = (commit for commit in commits_in_force(store.history()) if commit.reverts)
    ids = {each for commit in rollbacks for each in record_of(store, commit).get("in_part", ())}
    return [commit for commit in commits if commit.id in ids]


def _brought(store: Store, commits: Sequence[Commit]) -> Iterator[str]:
    """The names of the lineages that `certificate obtain` gave to sendmail, whoever had got them. Of what `certificate install` did
    the admin says whose it shall be."""
    for commit in commits:
        hook = store.entry(commit, _HOOK) if commit.step == CertificateObtain.id else None
        if lineage := brings(hook):
            yield lineage.rpartition("/")[2]


def _pems(store: Store, names: set[str]) -> Iterator[bytes]:
    """All that certbot has kept of the lineages, in any commit."""
    for top in (f"{_TOP}/archive/{name}" for name in names):
        for commit in store.history(path=top):
            paths = [change.path for change in store.changed(commit) if change.path.startswith(f"{top}/")]
            yield from (
                entry.content for entry in store.entries(commit, paths).values() if entry and entry.content
            )


def _names_then(store: Store, commit: Commit, name: str) -> tuple[str, ...]:
    """What the lineage was for in the commit: its file in live is a link into archive."""
    link = store.entry(commit, f"{_TOP}/live/{name}/fullchain.pem")
    if link is None:
        return ()
    file = link.content.decode("utf-8", "replace").rpartition("/")[2]
    entry = store.entry(commit, f"{_TOP}/archive/{name}/{file}")
    certificate = parsed(entry.content) if entry is not None else None
    return certificate.names if certificate is not None else ()


def _own_hooks(conf: bytes) -> list[str]:
    """The lines of a lineage's file that name whom certbot gives it to."""
    lines = (line.strip() for line in conf.decode("utf-8", "replace").splitlines())
    return [line for line in lines if _GIVES.match(line)]


def _content(host: Host, path: str) -> bytes:
    try:
        return host.small_file(path, MOST)[0]
    except HostError:
        return b""
