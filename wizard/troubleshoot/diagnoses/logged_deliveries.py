"""What other servers said to this host's mail since yesterday, by reason, as sendmail logged it (howto 5.2.4).

Since 8.17 the other server's `reply=` is logged; it counts, for `stat=` is then `User unknown` after each 550. A recipient
whom nobody knows, a full mailbox and greylisting are everyday, and no fault of this host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial

from wizard.maillog.read import LogLine
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import DAEMON, Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_MIDDLE = re.compile(
    r", mailer=([^,]+), (?:pri=\d+, )?(?:relay=(\[[^]]*\]|[^ ,]+)[^,]*, )?(?:quarantine=[^,]*, )?dsn=([245]\.\d+\.\d+), "
)
"""Between the recipients and what the other server said: both are in others' hands, so each is looked for once."""
_NETWORK = frozenset(("smtp", "esmtp", "smtp8", "dsmtp", "relay"))
_ADDRESS = re.compile(r"[^\s<>,=:;\"]+@")
_HERE = ("[127.", "[::1]", "[IPv6:::1]", "localhost")
NO_DNS = r"Name server: (?!\[)|host map: lookup"
"""sendmail's words where the name servers do not answer; with an address in brackets they are about a connection."""
_OFTEN = 3
"""So many attempts, and no other that came through, are no accident."""


@dataclass(frozen=True)
class _Attempt:
    """One delivery to another host: what came of it."""

    line: LogLine
    place: str
    """The host; the recipient's domain where none was reached."""
    sent: bool
    kind: _Kind | None
    broken: LogLine | None
    """The TLS handshake with that host that failed."""


@dataclass(frozen=True)
class _Kind:
    """Why mail is refused or waits. The first whose words are there holds."""

    id: str
    symptom: str
    words: str
    cause: str
    advice: str
    stops: bool = True
    """Whether it can stop all mail."""
    hosts: int = 1
    """Of how many other hosts at least, for one that is down is no fault of this one."""


_KINDS = (
    _Kind(
        "delivery-no-tls",
        "mail is accepted, but does not arrive",
        r"TLS handshake|[Mm]ust (?:issue|use) (?:a )?STARTTLS|STARTTLS (?:is )?required|[45]\.7\.\d+ (?:encryption|TLS)",
        "the encryption to the next server fails",
        "`openssl s_client -starttls smtp -connect SERVER:25` shows why; `Try_TLS:SERVER NO` in /etc/mail/access does "
        "without it where the server allows that",
    ),
    _Kind(
        "delivery-no-login",
        "530 or 535 from the provider's server, Relay access denied",
        r"^5(?:30|34|35|38)\b|[Aa]uthentication (?:is )?(?:required|failed|needed)|not authenticated|[Rr]elay(?:ing)?"
        r" (?:access )?(?:denied|not (?:permitted|allowed))|[Uu]nable to relay|AUTH first",
        "the next server takes no mail without a login, or refuses ours",
        "`AuthInfo:SERVER \"U:NAME\" \"P:PASSWORD\" \"M:PLAIN\"` in /etc/mail/access (mode 0640), `make -C /etc/mail`; "
        "libsasl2-modules must be installed",
    ),
    _Kind(
        "delivery-not-trusted",
        "mail to large providers comes back: 550 5.7.26",
        r"\b[45]\.7\.2[0-9]\b|\bSPF\b|\bDKIM\b|\bDMARC\b|\bPTR\b|[Rr]everse (?:DNS|hostname|lookup)|[Uu]nauthenticated",
        "other servers refuse mail from here for lack of SPF, DKIM or a PTR record",
        "ask the DNS as they do (package bind9-dnsutils): `dig -x ADDRESS-OF-THIS-HOST`, `dig TXT YOUR-DOMAIN`; publish an SPF record that names "
        "this host, have the provider set its PTR to its name, sign with OpenDKIM",
        stops=False,
    ),
    _Kind(
        "delivery-blocked",
        "mail comes back: blocked",
        r"block ?list|black ?list|\b[Bb]locked\b|spamhaus|S3150|S3140|barracuda|poor reputation|unsolicited|unusual rate",
        "other servers have this host's address on a block list",
        "look the address up at the list that the reply names; who sent the junk? `journalctl -t sm-mta -g authid`; then ask "
        "the list to take it off",
        stops=False,
    ),
    _Kind(
        "delivery-too-large",
        "mail with a large attachment comes back: 552",
        r"^552|[Ss]ize exceeds|[Tt]oo (?:large|big)|\b5\.3\.4\b|\b5\.2\.3\b",
        "other servers refuse messages that are too large for them",
        "set confMAX_MESSAGE_SIZE in sendmail.mc to what they take, so that the user is told at once",
        stops=False,
    ),
    _Kind(
        "delivery-no-dns",
        "mail is accepted, but does not arrive",
        rf"{NO_DNS}|^queued 4\.4\.3$",
        "the name servers do not answer",
        "`getent hosts example.org`; `cat /etc/resolv.conf`; then `sendmail -q -v` and `sendmail -Ac -q -v`",
        hosts=2,
    ),
    _Kind(
        "delivery-port-25",
        "mail is accepted, but does not arrive",
        r"Connection timed out|Connection refused|Network is unreachable|No route to host|Operation not permitted",
        "port 25 of other servers cannot be reached",
        "`openssl s_client -starttls smtp -connect gmail-smtp-in.l.google.com:25`: where that hangs, the provider or a packet filter closes port 25 for "
        "mail going out; ask the provider to open it, or send by its server (define(`SMART_HOST', ...) in sendmail.mc)",
        hosts=2,
    ),
)  # fmt: skip


@lru_cache(maxsize=1)
def _attempts(day: tuple[LogLine, ...]) -> tuple[_Attempt, ...]:
    """The last delivery of each message to each recipient at another host, oldest first. Each kind asks for them."""
    last, no_tls = dict[tuple[str, str], _Attempt](), dict[int, LogLine]()
    for line in day:
        if line.text.startswith("STARTTLS=client, error:"):
            no_tls[line.pid] = line  # what it says of the delivery is "Deferred", with whatever failed before
        match = _MIDDLE.search(line.text)
        name, _, recipients = line.text[: match.start()].partition(": to=") if match else ("", "", "")
        if match is None or not name.isalnum():
            continue
        mailer, relay, dsn = match.groups("")
        before, _, stat = line.text[match.end() :].rpartition("stat=")
        reply = before.partition("reply=")[2].removesuffix(", ")
        if mailer in _NETWORK and not relay.startswith(_HERE):
            broken = no_tls.get(line.pid) if dsn == "4.7.0" and not reply else None
            words = "TLS handshake" if broken else reply or f"{stat.removeprefix('Deferred: ')} {dsn}"
            recipient = line.queue_id, recipients.partition(", ")[0]
            last.pop(recipient, None)
            place = relay or recipient[1].rpartition("@")[2]
            sent = stat.startswith("Sent")
            last[recipient] = _Attempt(line, place, sent, None if sent else _kind(words), broken)
    return tuple(last.values())


def _kind(words: str) -> _Kind | None:
    return next((kind for kind in _KINDS if re.search(kind.words, words)), None)


def _look(kind: _Kind, picture: Picture) -> Finding | None:
    """A warning; failed where no mail at all leaves this host. One server that is down or odd is no fault of this host, nor
    is what came through since."""
    attempts = _attempts(picture.day)
    sent = {attempt.place: attempt.line.time for attempt in attempts if attempt.sent}
    mine = [attempt for attempt in attempts if attempt.kind is kind]
    if kind.stops or len(mine) < _OFTEN:
        mine = [attempt for attempt in mine if attempt.line.time >= sent.get(attempt.place, 0.0)]
    places = {attempt.place for attempt in mine}
    smart = re.search(r"^DS\S", picture.cf, re.MULTILINE) is not None
    if not mine or (kind.stops and len(places) <= len(sent)) or (len(places) < kind.hosts and not smart):
        return None
    last, broken, process = mine[-1].line, mine[-1].broken, picture.facts.process(DAEMON)
    many = len(mine) >= _OFTEN and (smart or len(places) >= _OFTEN)
    none = kind.stops and many and not sent and process is not None and last.time > process.started
    return Finding(
        kind.cause + (", and no mail leaves this host" if none else ""),
        (
            Evidence(f"{len(mine)} in the last day, such as {_ADDRESS.sub('...@', last.text)}", last.source),
            *([Evidence(broken.text, broken.source)] if broken else []),
        ),
        Mend(text=kind.advice),
        Sign.FAILED if none else Sign.WARNING,
    )


DIAGNOSES = tuple(
    Diagnosis(
        *(kind.id, Layer.RELAY, kind.symptom, "5.2.4", "the log of the last day", partial(_look, kind)),
        cause=kind.cause,
        fix=kind.advice,
    )
    for kind in _KINDS
)
