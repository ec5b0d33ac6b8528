"""The gate: a new sendmail.mc reaches /etc only after m4 and sendmail itself have accepted a copy of it.

One missing quote in sendmail.mc kills the running MTA while sendmailconfig exits 0 (DEBIAN.md trap 1)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wizard import sendmail_cf
from wizard.editors.daemon_options import collisions
from wizard.host import Host, HostError
from wizard.m4 import expand
from wizard.plan import Say


class GateError(Exception):
    """The new sendmail.mc was not let by: what it would have done, and what to do."""


@dataclass(frozen=True)
class Gate:
    """What the .cf made of the new .mc must hold: the listeners, and for each option the words in its value."""

    daemons: frozenset[sendmail_cf.Daemon] | None = None
    options: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()

    def check(self, host: Host, mc: bytes, say: Say) -> str:
        """Return the .cf that `mc` gives, as text. Raises GateError; nothing outside a private folder is written."""
        with tempfile.TemporaryDirectory(prefix="msa-wizard-gate-") as folder:
            source = Path(folder) / "sendmail.mc"
            source.write_bytes(mc)
            cf = _m4(host, source)
            _accepted_by_sendmail(host, Path(folder) / "sendmail.cf", cf)
        self.compare(cf)
        say("the gate: m4 and `sendmail -bC` accept it, and the options are as planned")
        return cf

    def compare(self, cf: str) -> None:
        """Hold `cf` against what it must have. Raises GateError."""
        unknown = sendmail_cf.unexpanded(cf)
        if unknown:
            line, text = unknown[0]
            raise GateError(
                f"m4 does not know {text[:80]!r} (line {line} of the resulting sendmail.cf). It would have been copied into "
                "sendmail.cf as it stands. Look for a misspelt macro in sendmail.mc"
            )
        colliding = collisions(sendmail_cf.listeners(cf))
        if colliding:
            raise GateError(f"in the resulting sendmail.cf {colliding[0]}")
        daemons = frozenset(sendmail_cf.daemons(cf))
        if self.daemons is not None and daemons != self.daemons:
            raise GateError(
                "the listeners would not be those of the plan. "
                f"Planned: {_names(self.daemons)}. sendmail.cf would have: {_names(daemons)}. "
                "Look for DAEMON_OPTIONS in the files that sendmail.mc includes"
            )
        for name, wanted in self.options.items():
            value = sendmail_cf.option(cf, name)
            flags = sendmail_cf.auth_flags if name == "AuthOptions" else str.split
            missing = wanted - set(flags(value or ""))
            if value is None or missing:
                raise GateError(
                    f"sendmail.cf would have {name}={value or '(nothing)'}, without {' '.join(sorted(missing)) or 'a value'}. "
                    "A later line of sendmail.mc, or a file it includes, sets it otherwise"
                )
        if self.trusted:
            trusted = {
                word
                for line in cf.splitlines()
                if line.startswith("C{TrustAuthMech}")
                for word in line[16:].split()
            }
            if self.trusted - trusted:
                raise GateError(
                    f"TRUST_AUTH_MECH would lack {' '.join(sorted(self.trusted - trusted))}: "
                    "users would log in, and then be refused to relay"
                )


def _m4(host: Host, source: Path) -> str:
    try:
        made = expand(host, str(source), source.read_bytes())
    except HostError as error:
        raise GateError(str(error)) from error
    said = made.said.replace(str(source), "sendmail.mc").strip()
    if made.code != 0 or len(made.text) < sendmail_cf.SMALLEST or "ERROR" in said:
        raise GateError(
            f"m4 does not accept the new sendmail.mc: {said or f'only {len(made.text)} bytes came out'}. With it, "
            "sendmailconfig would have replaced sendmail.cf by a broken one and ended the running MTA"
        )
    return made.text


def _accepted_by_sendmail(host: Host, target: Path, cf: str) -> None:
    target.write_bytes(cf.encode("latin-1"))
    target.chmod(0o644)
    try:
        done = host.run(["sendmail", "-C", str(target), "-bC"], timeout=60)
    except HostError as error:
        raise GateError(str(error)) from error
    if done.code != 0:
        said = (done.stderr + done.stdout).replace(str(target), "sendmail.cf").strip()
        raise GateError(
            f"sendmail does not accept the resulting sendmail.cf (status {done.code}): {said[:600]}"
        )


def _names(daemons: frozenset[sendmail_cf.Daemon]) -> str:
    return "; ".join(
        f"{item.name} {item.family} {item.address or 'every address'}:{item.port} M={item.modifiers}"
        for item in sorted(daemons, key=lambda item: (item.port, item.family, item.address))
    )
