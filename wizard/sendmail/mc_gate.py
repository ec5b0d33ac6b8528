"""The gates: a new sendmail.mc or submit.mc reaches /etc only after m4, and sendmail itself, have accepted a copy of it, and
what it changes in sendmail.cf is known.

One missing quote in sendmail.mc kills the running MTA while sendmailconfig exits 0 (docs/debian.md trap 1)."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snapshots.live.entry import Kind
from wizard.console import count
from wizard.editors.daemon_options import collisions
from wizard.errors import GateError, HostError
from wizard.model.facts import SENDMAIL_CF
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf_needs import REMEDY, tls_sentence, without_folders, without_maps, without_tls
from wizard.sendmail.local_mail import DESTINATION, LOOPBACK, destination
from wizard.sendmail.m4 import Expansion, expand_text
from wizard.system.host import Host, Say

_PLACE = re.compile(r"(?:m4:)?\S*sendmail\.mc(?::\d+)?(?::\d+)?:?\s*")
_LINE = re.compile(r"\bline \d+")
TRUSTED = "C{TrustAuthMech}"
_OPTION = re.compile(r"O\s+(?P<name>[A-Za-z0-9.]+)[ \t]*(?:=(?P<value>.*))?\Z", re.DOTALL)
_DENIED = '"550 Relaying denied"'
_DENIED_WITH_AUTH = '"550 Relaying denied. Proper authentication required."'


@dataclass(frozen=True)
class Planned:
    """The lines of sendmail.cf that a step means to change: options by their names, TRUSTED among them."""

    sets: frozenset[str] = frozenset()
    """They may change in any way: the gate looks at their values by itself."""
    adds: frozenset[str] = frozenset()
    """They come, where there was none."""
    grows: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """They may gain these words, and lose none."""
    lines: frozenset[str] = frozenset()
    """Lines that set no option: they may come, and go."""


@dataclass(frozen=True)
class GateResult:
    """What the gate saw of a text that it lets by."""

    cf: str
    """The .cf that it gives."""
    effects: tuple[str, ...] = ()
    """The lines in which that differs from what the text before gives, and that the step does not plan."""
    notes: tuple[str, ...] = ()
    """What m4 says of the text before too, and what is wrong with the live sendmail.cf too: sentences."""


TRUST = "Add them to TRUST_AUTH_MECH in sendmail.mc"
"""What to do where some are `untrusted`."""


def untrusted(lacking: Iterable[str]) -> str:
    """What comes of mechanisms that are offered and not trusted."""
    names = " ".join(sorted(lacking))
    return f"TRUST_AUTH_MECH would lack {names}: users would log in, and then be refused to relay"


@dataclass(frozen=True)
class Gate:
    """What the .cf made of the new .mc must hold: the listeners, and for each option the words in its value.

    `before` is the text that it takes the place of: what m4 says of that too is no fault of the new one. What sendmail
    makes of it is held against the live sendmail.cf, with which the daemon runs."""

    daemons: frozenset[sendmail_cf.Daemon] | None = None
    options: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()
    rules: tuple[str, ...] = ()
    """Lines that must be there in this order, with none between them."""
    before: bytes | None = None
    planned: Planned = field(default_factory=Planned)
    serves: bool = False
    """Whether sendmail must be able to serve TLS with it on this host, and to start; a rollback goes back to what was."""
    owner: str = ""
    """Who has to be TrustedUser (`wizard.sendmail.cf_needs.mail_owner`)."""

    def check(self, host: Host, mc: bytes, say: Say) -> str:
        """Return the .cf that `mc` gives, as text. Raises GateError; nothing outside a private folder is written."""
        judged = self.judge(host, mc)
        say("checked: m4 and `sendmail -bC` accept it, and the options are as planned")
        return judged.cf

    def judge(self, host: Host, mc: bytes) -> GateResult:
        """Try `mc` out. Raises GateError where it must not be written."""
        with tempfile.TemporaryDirectory(prefix="msa-wizard-gate-") as folder:
            old = _expanded(host, self.before) if self.before is not None else None
            new = _expanded(host, mc)
            notes = (*_judged_m4(new, old), *_judged_words(new.text, _live(host)))
            notes = (*notes, *_judged_sendmail(host, new.text, Path(folder)))
            self.compare(new.text)
            if self.serves and (why := without_maps(self.owner, new.text) or without_folders(host, new.text)):
                raise GateError(why)
            if self.serves and (faults := without_tls(host, new.text)):
                raise GateError(f"{tls_sentence(faults)}. What to do: {REMEDY}")
            effects = unplanned(old.text, new.text, self.planned) if old else ()
        return GateResult(new.text, effects, notes)

    def compare(self, cf: str) -> None:
        """Hold `cf` against what it must have. Raises GateError."""
        if colliding := collisions(sendmail_cf.listeners(cf)):
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
                    "A later line of sendmail.mc, or a file it includes, sets it otherwise: add what is missing there, then try again"
                )
        if lacking := self.trusted.difference(sendmail_cf.trusted(cf)):
            raise GateError(f"{untrusted(lacking)}. {TRUST}, then try again")
        if "\n".join(self.rules) not in "\n".join(sendmail_cf.statements(cf)):
            raise GateError(
                f"sendmail.cf would not have {self.rules[0]} as planned. A macro of sendmail.mc, or a divert, changes its lines: "
                "look at the end of the file"
            )


@dataclass(frozen=True)
class SubmitGate:
    """The gate for submit.mc: m4 makes a submit.cf of it that differs by its destination alone. `before` is what m4 makes
    of the submit.mc that is there."""

    before: str

    def check(self, host: Host, content: bytes, say: Say) -> str:
        """The submit.cf that `content` gives. Raises GateError; nothing outside a private folder is written."""
        expansion = _expanded(host, content)
        if len(expansion.text) < sendmail_cf.SMALLEST:
            messages = expansion.messages.strip() or f"{count(len(expansion.text), 'byte')} came out"
            raise GateError(f"m4 does not accept the new submit.mc: {messages}")
        to = destination(expansion.text)
        if to != LOOPBACK:
            raise GateError(
                f"local mail would go to {to or 'nowhere that is known here'}, not to {LOOPBACK}. A later line of submit.mc, "
                "or a file it includes, says so"
            )
        pairs = ((expansion.text, self.before), (self.before, expansion.text))
        lines = (line for pair in pairs for line in sendmail_cf.only_in(*pair))
        other = next((line for line in lines if not line.startswith(DESTINATION)), None)
        if other is not None:
            raise GateError(f"submit.cf would differ in more than its destination: {other.strip()[:80]!r}")
        say(f"checked: m4 accepts it, and local mail goes to {to}")
        return expansion.text


def _expanded(host: Host, mc: bytes) -> Expansion:
    try:
        return expand_text(host, mc)
    except HostError as error:
        raise GateError(str(error)) from error


def _live(host: Host) -> str:
    """The sendmail.cf of now, empty where there is none. Raises GateError."""
    try:
        entry = host.entry(SENDMAIL_CF)
    except (HostError, PermissionError) as error:
        raise GateError(str(error)) from error
    return entry.content.decode("latin-1") if entry is not None and entry.kind is Kind.FILE else ""


def _messages(expansion: Expansion) -> list[str]:
    """m4's complaints, without the places: they move when lines are inserted."""
    return [_PLACE.sub("", line).strip() for line in expansion.messages.splitlines() if line.strip()]


def _accepted(host: Host, path: str) -> tuple[int, list[str]]:
    """The exit status of `sendmail -bC` for a .cf, and what it says, a line each. Raises GateError."""
    try:
        result = host.run(["sendmail", "-C", path, "-bC"], timeout=60)
    except HostError as error:
        raise GateError(str(error)) from error
    output = (result.stderr + result.stdout).replace(path, "sendmail.cf")
    return result.code, [_LINE.sub("line N", line).strip() for line in output.splitlines() if line.strip()]


def _more(new: Iterable[str], old: Iterable[str]) -> list[str]:
    """What `new` says more often than `old`."""
    return list((Counter(new) - Counter(old)).elements())


def _judged_m4(new: Expansion, old: Expansion | None) -> tuple[str, ...]:
    """What m4 said before too. Raises GateError where it says more, or makes less than a whole sendmail.cf."""
    more = _more(_messages(new), _messages(old) if old else ())
    worse = new.code != 0 and (old is None or old.code == 0)
    if worse or len(new.text) < sendmail_cf.SMALLEST or any("ERROR" in line for line in more):
        messages = "; ".join(more or _messages(new)) or f"only {count(len(new.text), 'byte')} came out"
        raise GateError(
            f"m4 does not accept the new sendmail.mc: {messages[:600]}. With it, "
            "sendmailconfig would have replaced sendmail.cf with a broken one and stopped the running MTA"
        )
    lines = dict.fromkeys(_messages(new))
    return tuple(f"m4 says of sendmail.mc, as it did before: {line}" for line in lines)


def _judged_words(new: str, live: str) -> tuple[str, ...]:
    """What m4 does not know, and is in the live .cf as well. Raises GateError for what does not: a typo of today
    has not been tried by any daemon."""
    known = Counter(text for _, text in sendmail_cf.unexpanded(live))
    notes = []
    for line, text in sendmail_cf.unexpanded(new):
        known[text] -= 1
        if known[text] < 0:
            raise GateError(
                f"m4 does not know {text[:80]!r} (line {line} of the resulting sendmail.cf). It would have been copied into "
                "sendmail.cf as it is. Look for a misspelt macro in sendmail.mc"
            )
        notes.append(f"sendmail.cf holds, as it does now, what m4 does not know: {text[:80]}")
    return tuple(dict.fromkeys(notes))


def _judged_sendmail(host: Host, cf: str, folder: Path) -> tuple[str, ...]:
    """What sendmail refuses of the live .cf as well. Raises GateError where that is accepted, or has less wrong."""
    target = folder / "sendmail.cf"
    target.write_bytes(cf.encode("latin-1"))
    target.chmod(0o644)
    code, messages = _accepted(host, str(target))
    if code == 0:
        return ()
    code_now, messages_now = _accepted(host, str(host.path(SENDMAIL_CF)))
    if code_now == 0 or _more(messages, messages_now):
        why = f"sendmail does not accept the resulting sendmail.cf (status {code})"
        raise GateError(f"{why}: {'; '.join(messages)[:600]}")
    return (f"sendmail does not accept sendmail.cf, as it does not now either: {'; '.join(messages)[:300]}",)


def _names(daemons: frozenset[sendmail_cf.Daemon]) -> str:
    return "; ".join(
        f"{daemon.name} {daemon.family} {daemon.address or 'every address'}:{daemon.port} M={daemon.modifiers}"
        for daemon in sorted(daemons, key=lambda daemon: (daemon.port, daemon.family, daemon.address))
    )


def unplanned(old: str, new: str, planned: Planned) -> tuple[str, ...]:
    """The lines that differ between two .cf and that nobody planned, `-` or `+` before each; comments do not count."""
    differing = sendmail_cf.changed(old, new)
    before, after = _words(sendmail_cf.statements(old)), _words(sendmail_cf.statements(new))
    sides = frozenset(differing)
    trusts = TRUSTED in planned.adds and TRUSTED not in before

    def meant(line: str) -> bool:
        parsed = _parsed(line[1:])
        if line[1:] in planned.lines:
            return True
        if parsed is None:  # the words of a refusal follow from TRUST_AUTH_MECH, wherever they are
            bare = line[1:].replace(_DENIED_WITH_AUTH, _DENIED)
            pair = {f"-{bare}", f"+{bare.replace(_DENIED, _DENIED_WITH_AUTH)}"}
            return trusts and len(pair) == 2 and line in pair <= sides
        name = parsed[0]
        if name in planned.sets or (name in planned.adds and name not in before):
            return True
        had, has = before.get(name, set()), after.get(name, set())
        return name in planned.grows and name in before and had <= has and has - had <= planned.grows[name]

    return tuple(line for line in differing if not meant(line))


def _parsed(line: str) -> tuple[str, str] | None:
    if line.startswith(TRUSTED):
        return TRUSTED, line[len(TRUSTED) :]
    match = _OPTION.match(line)
    return (match["name"], match["value"] or "") if match else None


def _words(lines: Iterable[str]) -> dict[str, set[str]]:
    """What each option, and TRUSTED, is set to."""
    words: dict[str, set[str]] = {}
    for name, value in filter(None, map(_parsed, lines)):
        words.setdefault(name, set()).update(word for word in re.split(r"[,\s]+", value) if word)
    return words
