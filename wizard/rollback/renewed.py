"""Rolling back a certificate that certbot got and has renewed since: its renewals are no work of the admin, and go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.certificates.acme import CERTBOT
from wizard.changes.lineage import LineageEffect, of_any_run, of_lineage
from wizard.changes.packages import PackagesEffect
from wizard.changes.records import effects_of
from wizard.errors import HostError
from wizard.sendmail.cf_needs import MOST
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Commit, Store

_ACCOUNTS = f"{CERTBOT}/accounts/".lstrip("/")


@dataclass(frozen=True)
class Renewals:
    """The lineages that go, by name, and the PEM that certbot keeps of them now: what its hook gave to sendmail is the same."""

    names: tuple[str, ...]
    pems: tuple[bytes, ...]
    host: Host

    @classmethod
    def of(cls, host: Host, store: Store, commits: Sequence[Commit]) -> Renewals:
        """Those that the commits brought. Raises StoreError."""
        effects = [effect for commit in commits for effect in effects_of(store, commit)]
        names = tuple(dict.fromkeys(each.name for each in effects if isinstance(each, LineageEffect)))
        paths = (f"{CERTBOT}/live/{name}/{file}.pem" for name in names for file in ("fullchain", "privkey"))
        pems = tuple(pem for path in paths if (pem := _content(host, path)))
        return cls(names, pems, host)

    def renewed(self, path: str) -> bool:
        """Whether what is at the path (relative to the root) is a renewal's work: it goes back, whatever it is now."""
        if any(of_lineage(name, path) for name in self.names):
            return True
        return (
            path.startswith("etc/mail/") and bool(self.pems) and _content(self.host, f"/{path}") in self.pems
        )

    def grown(self, path: str) -> bool:
        """Whether certbot made it in a folder that goes, for these lineages alone: an account of later is somebody's."""
        if not self.names or path.startswith(_ACCOUNTS):
            return False
        return any(of_lineage(name, path) for name in self.names) or of_any_run(path)

    def needed(self, store: Store, commits: Sequence[Commit]) -> str | None:
        """Why certbot or its account must stay: other certificates have come since that it renews; None where none has.
        Raises StoreError."""
        brought = [commit for commit in commits if has_lineage(store, commit)]
        others = self._since(store, brought[-1]) if brought else []
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
        return (
            f"certbot, {what} came with the step, keeps certificates for {', '.join(others[:3])} by now, and would renew them no "
            f"more. If they may go: `certbot delete --cert-name {others[0]}`, then try again"
        )

    def _since(self, store: Store, commit: Commit) -> list[str]:
        """The lineages that certbot keeps beside these, and did not before the commit."""
        confs = (name for name in self.host.names(f"{CERTBOT}/renewal") if name.endswith(".conf"))
        others = [name for conf in confs if (name := conf.removesuffix(".conf")) not in self.names]
        changes = store.changes(commit)
        paths = {name: f"{CERTBOT}/renewal/{name}.conf".lstrip("/") for name in others}
        kept = store.entries(commit, paths.values())
        return [
            name
            for name, path in paths.items()
            if (changes[path][0] if path in changes else kept[path]) is None
        ]


def has_lineage(store: Store, commit: Commit) -> bool:
    """Whether the commit brought a lineage. Raises StoreError."""
    return any(isinstance(effect, LineageEffect) for effect in effects_of(store, commit))


def _content(host: Host, path: str) -> bytes:
    try:
        return host.small_file(path, MOST)[0]
    except HostError:
        return b""
