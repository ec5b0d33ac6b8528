"""Packages that are missing, installed by apt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wizard.changes.packages import EVERYWHERE, OPTIONS, PackagesBefore, PackagesEffect
from wizard.console import count
from wizard.errors import ChangeError
from wizard.model.plan import Description
from wizard.model.step_facts import AptPlan
from wizard.packages.apt import advice, apt_get, wants_update
from wizard.packages.apt_history import OWN_LOG, History, configured_log, new_mark
from wizard.packages.footprint import own_tops
from wizard.packages.start_policy import not_started
from wizard.system.host import Completed, Host, Say

DAEMONS = {
    "postfix-mta-sts-resolver": "listens on 127.0.0.1:8461; not needed here (the setting install.recommends brings it)",
    "sendmail-bin": "the mail server, at most on 127.0.0.1 until a step below opens it",
    "sasl2-bin": "saslauthd, without a port, once it is configured",
    "fail2ban": "bans addresses that guess passwords: of sshd by Debian's default, of sendmail once a step says so",
    "cron": "runs what is in the crontabs",
}
"""Of the packages that come with sendmail those that start a daemon, and what it does: what surprises comes first."""


def megabytes(size: int) -> str:
    """Of bytes, as apt writes it."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


@dataclass(frozen=True)
class PackagesChange:
    """Install `names` with apt. `simulated` is what apt said it would do, when it was asked."""

    names: tuple[str, ...]
    simulated: AptPlan | None = field(default=None, compare=False)
    may_remove: tuple[str, ...] = ()
    recommends: bool = True
    starts_later: bool = False
    """Whether sendmail is not started by its package, but by a step that follows."""
    transaction: str = field(default_factory=new_mark, compare=False)
    """The mark of its runs of apt; another one each time that it is planned."""

    kind = "packages"
    touches = EVERYWHERE

    def _argv(self) -> list[str]:
        keep = [] if self.may_remove else ["--no-remove"]
        lean = [] if self.recommends else ["--no-install-recommends"]
        return ["install", "-y", "-q", *keep, *lean, *OPTIONS, *self.names]

    @property
    def brings(self) -> tuple[str, ...]:
        """What apt would install or upgrade, as it said when it was asked."""
        return self._lines("Inst ")

    def _lines(self, verb: str) -> tuple[str, ...]:
        lines = self.simulated.lines if self.simulated is not None else ()
        return tuple(line.split()[1] for line in lines if line.startswith(verb))

    def describe(self) -> Description:
        """The apt command, and the packages that it would bring."""
        goes = self._lines("Remv ")
        title = f"install {', '.join(self.names)}"
        if others := len(set(self.brings) - set(self.names)):
            title += f" and {count(others, 'package')} that come with them"
        if goes:
            title += f"; REMOVES {', '.join(goes)}"
        return Description(title, commands=(f"apt-get {' '.join(self._argv())}",), details=self._details())

    def _details(self) -> tuple[str, ...]:
        """How much comes, what of it starts a daemon, and all of it by name and size."""
        if self.simulated is None or not self.brings:
            return ()
        sizes = {name: self.simulated.sizes.get(name) for name in sorted(self.brings)}
        known = [size for size in sizes.values() if size is not None]
        fetched, on_disk = (megabytes(sum(size[at] for size in known)) for at in (0, 1))
        daemons = [f"  {name}: {what}" for name, what in DAEMONS.items() if name in sizes]
        named = (f"{name} ({megabytes(size[1])})" if size else name for name, size in sizes.items())
        return (
            f"{count(len(sizes), 'package')}: {fetched} to download, {on_disk} on the disk",
            *(["these start a daemon:", *daemons] if daemons else []),
            f"all of them: {', '.join(named)}",
        )

    def expect(self, host: Host) -> PackagesBefore:
        """All packages as they are now, and the empty folders of those that may go: dpkg removes these with them.
        Raises HostError."""
        tops = own_tops(host, self.may_remove)
        empty = tuple(path for path in tops if host.path(path).is_dir() and not host.names(path))
        named = (*self.names, *self.may_remove)
        return replace(PackagesBefore.of(host, self.transaction), named=named, tops=empty)

    def apply(self, host: Host, say: Say) -> PackagesEffect:
        """Run apt; where its lists are missing or stale, fetch them and try once more.

        Raises ChangeError with the effect to undo."""
        before = self.expect(host)
        try:
            with not_started(host, ["sendmail"] if self.starts_later else []):
                completed = self._install(host, say)
            if completed.code != 0:
                what_to_do = advice(completed.stdout + completed.stderr)
                raise ChangeError(
                    f"apt could not install {', '.join(self.names)}:\n{completed.tail()}\n{what_to_do}"
                )
        except ChangeError as error:
            raise ChangeError(str(error), before.settled_since(host, say)) from error
        if "\nSetting up " in f"\n{completed.stdout}" and not History.of(host).has(self.transaction):
            raise ChangeError(
                f"apt has installed {', '.join(self.names)}, but has not put that on record in {configured_log(host) or OWN_LOG}, "
                "so what it brought cannot be told from what others did: it stays. See why apt cannot write its history, "
                f"remove the packages with `apt-get purge {' '.join(self.names)}`, then try again",
                before.since(host),
            )
        return before.since(host)

    def _install(self, host: Host, say: Say) -> Completed:
        completed = apt_get(host, self._argv(), say, mark=self.transaction, progress=True)
        if completed.code == 0 or not wants_update(completed.stdout + completed.stderr):
            return completed
        say("the package lists are missing or stale: `apt-get update`")
        if apt_get(host, ["update", "-q"], say).code != 0:
            return completed
        return apt_get(host, self._argv(), say, mark=self.transaction, progress=True)
