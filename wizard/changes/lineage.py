"""A lineage of certbot: a certificate that it got from an ACME authority, with its key, and that it renews.

certbot runs on the host itself, not in a private view as Debian's own scripts do: what an authority has signed cannot be signed
once more for nothing, and counts against its limits."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from snapshots.live.entry import Entry
from templates import render
from wizard.certificates.acme import CERTBOT, SETTINGS, authority, refusal
from wizard.changes.rules import LiveRule
from wizard.errors import ChangeError, HostError, Overdue
from wizard.gather.acme import keeps, kept_from
from wizard.log import note
from wizard.model.claim import Claim
from wizard.model.plan import Description
from wizard.system.host import Completed, Host, Say

DEADLINE = 1800.0
"""Seconds for one run of certbot that proves names by the DNS: it waits for that, or runs a hook that does, name by name."""
_BY_HTTP = 300.0
"""For one where the authority asks port 80."""
_CLOSING = 300.0
"""Seconds to close port 80."""
MINUTES = 10
"""After which the timer closes port 80."""
LOG = "/var/log/letsencrypt/letsencrypt.log"
_TOP = CERTBOT.lstrip("/")
_FOLDERS = re.compile(
    rf"{_TOP}(?:/(?:accounts|archive|csr|keys|live|renewal|renewal-hooks(?:/(?:deploy|post|pre))?))?\Z"
)
_OF_ANY_RUN = re.compile(rf"{_TOP}/(?:accounts/.+|csr/.+|keys/.+|live/README)\Z")
"""What certbot makes whatever it is asked for: an account, and before its version 3 a copy of each key and request."""


def of_lineage(name: str, path: str) -> bool:
    """Whether the path (relative to the root) is the lineage's own, whoever last wrote it: a renewal makes new files."""
    tops = (f"{_TOP}/live/{name}", f"{_TOP}/archive/{name}", f"{_TOP}/renewal/{name}.conf")
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def of_any_run(path: str) -> bool:
    """Whether certbot makes the path whatever it is asked for."""
    return bool(_FOLDERS.match(path) or _OF_ANY_RUN.match(path))


def port_script(rules: Sequence[LiveRule]) -> str:
    """The script by which certbot opens port 80, and closes it."""
    return render("certbot_port.sh.j2", minutes=MINUTES, rules=rules)


def port_not_closed(host: Host, rules: Sequence[LiveRule]) -> str:
    """Take out those of the rules that the script has added, should certbot not have come to it; why that failed, else empty."""
    if not rules:
        return ""
    try:
        with host.in_memory(port_script(rules).encode()) as script:
            result = host.run(["/bin/sh", script, "close"], timeout=_CLOSING)
        why = result.tail(3) if result.code != 0 else ""
    except HostError as error:
        why = str(error)
    return f"port 80 could not be closed again in the firewall: {why}" if why else ""


@dataclass(frozen=True)
class LineageEffect:
    """A lineage that certbot made, and the rules by which its hooks opened port 80 meanwhile."""

    name: str
    rules: tuple[LiveRule, ...] = ()

    def undo(self, host: Host, say: Say) -> None:
        """Port 80 is closed again. Its files the engine restores. Raises ChangeError."""
        if why := port_not_closed(host, self.rules):
            raise ChangeError(why)

    def claim(self, host: Host) -> Claim:
        """The lineage, and what certbot makes with its first one."""

        def owns(path: str, before: Entry | None, _after: Entry | None) -> bool:
            return of_lineage(self.name, path) or (before is None and of_any_run(path))

        return Claim(owns)

    def record(self) -> dict[str, object]:
        """Its name, and the rules."""
        return {"kind": "lineage", "name": self.name, "rules": [asdict(rule) for rule in self.rules]}


def ask(host: Host, argv: Sequence[str], say: Say) -> Completed:
    """Have certbot ask the authority. Raises HostError that says what to do where that does not end."""
    say("$ " + shlex.join(argv))
    by_dns = ("--preferred-challenges", "dns") in pairwise(argv)
    try:
        return host.run(argv, timeout=DEADLINE if by_dns else _BY_HTTP, say=say)
    except Overdue as error:
        log = "" if "--logs-dir" in argv else f", and in {LOG},"  # else it is gone
        what = f"see above{log} what it waited for"
        if not by_dns:
            raise HostError(f"{error}. What to do: {what}, then run the same command again") from error
        raise HostError(
            f"{error}. Records that it has put into the DNS may still be there (TXT of _acme-challenge). What to do: {what}; or get it with "
            f"`{by_hand(argv)}`, which may take as long as it needs, then run the same command again: what certbot keeps by that name is "
            f"used"
        ) from error


def by_hand(argv: Sequence[str], program: str = "certbot") -> str:
    """The same command for a shell, where certbot can ask for what was not chosen, and nothing of ours is needed."""
    words = [program]
    for before, word, after in zip(argv, argv[1:], (*argv[2:], "-"), strict=False):
        ours = word in _ALONE or {before, word} & _WITH_VALUE
        if not ours and "" not in (word, after):
            words.append(word)
    return shlex.join(words)


_ALONE = {"--non-interactive", "--dry-run"}
_WITH_VALUE = {"--pre-hook", "--post-hook", "--config-dir", "--work-dir", "--logs-dir"}


def refused(host: Host, result: Completed, log: str = LOG, since: int = 0) -> tuple[str, str]:
    """What it means that certbot failed, and what to do. Of what the authority said it prints the words alone, that of Debian 12
    not even these; its log has the kind of the problem, too. Debian's certbot appends to that: this run's begins at byte `since`,
    or at its beginning where it has been put away meanwhile."""
    log_now = host.text(log)
    written = log_now[since:] if since <= len(log_now) else log_now
    text = written.encode("latin-1").decode("utf-8", "replace")
    if result.code != 0:  # with a certbot that the undo takes away again its log goes, too
        note(f"certbot's log:\n{text}")
    problems = re.findall(r"urn:ietf:params:acme:error:\w+ :: .*", text)
    return refusal(f"{result.stdout}\n{result.stderr}", *problems[-1:])


@dataclass(frozen=True)
class LineageChange:
    """Have certbot get a certificate by these commands, the first of which may be a trial."""

    name: str
    """What certbot calls it."""
    names: tuple[str, ...]
    """What it is for."""
    authority: str
    commands: tuple[tuple[str, ...], ...]
    rules: tuple[LiveRule, ...] = ()
    details: tuple[str, ...] = ()

    kind = "command"
    """After it is planned once more: the lineage goes into sendmail."""
    touches = (CERTBOT,)

    def describe(self) -> Description:
        """Its commands, and what else happens meanwhile."""
        title = f"ask {self.authority} for a certificate for {', '.join(self.names)}"
        return Description(title, commands=tuple(map(shlex.join, self.commands)), details=self.details)

    def expect(self, host: Host) -> LineageEffect:
        """The lineage."""
        return LineageEffect(self.name, self.rules)

    def apply(self, host: Host, say: Say) -> LineageEffect:
        """Run them. Raises ChangeError that says in plain words why the authority did not sign."""
        effect = self.expect(host)
        failure = ""
        try:
            for argv in self.commands:
                self._run(host, argv, say)
            self._must_be_kept(host)
        except (HostError, ChangeError) as error:
            failure = str(error)
        finally:
            still_open = port_not_closed(host, self.rules)
        if failure or still_open:
            raise ChangeError(". And ".join(filter(None, (failure, still_open))), effect)
        return effect

    def _run(self, host: Host, argv: tuple[str, ...], say: Say) -> None:
        before = len(host.text(LOG))
        result = ask(host, argv, say)
        if result.code != 0:
            means, remedy = refused(host, result, since=before)
            raise ChangeError(
                f"{self.authority} gave no certificate for {', '.join(self.names)}: {means}. What to do: {remedy}"
            )

    def _must_be_kept(self, host: Host) -> None:
        """Else the step would be planned once more, and the authority asked again; or it is a certificate that no client trusts."""
        if not keeps(host, self.name):
            raise ChangeError(
                f"certbot ended well, but keeps no certificate by the name {self.name}: `certbot certificates` lists those that it "
                f"keeps"
            )
        argv, signed = self.commands[-1], kept_from(host, self.name)
        asked = argv[argv.index("--server") + 1] if "--server" in argv else signed
        if signed not in ("", asked):
            raise ChangeError(
                f"certbot was told to ask {self.authority}, but asked {authority(signed)}. What to do: its own settings override "
                f"that ({' and '.join(SETTINGS)}): take `staging = true` out of them"
            )
