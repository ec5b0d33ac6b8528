"""What mail clients met since yesterday, as sendmail itself logged it: TLS handshakes and logins that fail (howto 5.2.3).

The internet tries every open port. A peer counts as a client where a login from it was accepted, or where it fails three
times and always for one reason. What this host itself asked, as this program's tests do, does not count."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial

from wizard.console import count
from wizard.maillog.read import LogLine
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.probe_smtp import is_submission

STEADY = 3
"""Failures of one kind that are no accident."""


@dataclass(frozen=True)
class _Kind:
    """Why handshakes fail: OpenSSL's reasons (err(3)), which sendmail logs as they are."""

    id: str
    symptom: str
    reasons: str
    cause: str
    advice: str
    strangers: bool = True
    """Whether peers count that never logged in."""

    def holds(self, line: LogLine) -> bool:
        """Whether this handshake failed so."""
        return re.search(rf", reason=[^,]*(?:{self.reasons})", line.text) is not None


_KINDS = (
    _Kind(
        "clients-old-tls",
        "an old mail client or a scanner cannot send any more",
        "unsupported protocol|version too low|protocol version|no suitable signature|legacy sigalg"
        "|inappropriate fallback|no protocols",
        "speak TLS 1.0, 1.1 or signatures that are too old for this host's OpenSSL",
        "update their mail client or firmware; a device that cannot be updated sends by port 25, with a line "
        "`Connect:ITS-ADDRESS RELAY` in /etc/mail/access, then `make -C /etc/mail`",
    ),
    _Kind(
        "clients-no-cipher",
        "some mail clients find no encryption",
        "no shared|no suitable key share|handshake failure|insufficient security|dh key too small|no ciphers",
        "have no cipher in common with this host",
        "see CipherList in /etc/mail/sendmail.cf, also that of the ruleset tls_srv_features (step tls-policy; "
        "`openssl ciphers -v LIST`), and the key's type "
        "(`msa-wizard certificate show`): without an RSA key old clients find none",
    ),
    _Kind(
        "clients-distrust",
        "the mail client warns of the certificate",
        "alert (?:(?:bad |unsupported )?certificate|unknown ca)",
        "do not trust the certificate of this host",
        "`msa-wizard certificate show` judges it; `msa-wizard certificate install CERT KEY` "
        "installs one from an authority that they know",
    ),
    _Kind(
        "clients-no-tls",
        "one mail client cannot connect",
        "wrong version number|packet length too long|unknown protocol",
        "send plain text where TLS must begin",
        "in the mail client: STARTTLS on port 587, SSL/TLS on port 465, never `none`",
    ),
    _Kind(
        "clients-break-off",
        "the connection breaks off at its start",
        "unexpected eof|unknown,|timed? ?out|http",
        "went away, or said nothing, before the connection was encrypted",
        "on port 465 a client set to STARTTLS or `none` waits for a greeting: set it to SSL/TLS; else a packet "
        "filter or a small MTU on the way: `ping -M do -s 1472 ITS-ADDRESS`",
        strangers=False,
    ),
)


def _own(picture: Picture, address: str) -> bool:
    return address in picture.facts.addresses or ipaddress.ip_address(address).is_loopback


def logged_in(picture: Picture) -> set[str]:
    """The addresses from which a login was accepted."""
    return {line.peer for line in picture.day if line.peer and line.authid is not None}


def _handshakes(picture: Picture) -> dict[str, list[LogLine]]:
    """The failed ones of each peer on the ports for mail clients: the end of a connection's process names the port."""
    names = {daemon.name for daemon in picture.daemons if is_submission(daemon)}
    failed, peers = dict[int, LogLine](), defaultdict[str, list[LogLine]](list)
    for line in picture.day:
        if line.text.startswith("STARTTLS=server, error:"):
            failed[line.pid] = line
        elif " did not issue MAIL" in line.text and (failure := failed.pop(line.pid, None)):
            peer = failure.peer
            if peer and not _own(picture, peer) and line.text.rpartition(" to ")[2] in names:
                peers[peer].append(failure)
    return peers


def _tls(kind: _Kind, picture: Picture) -> Finding | None:
    handshakes, clients = _handshakes(picture), dict[str, list[LogLine]]()
    known = logged_in(picture) if handshakes else set()
    for peer, failures in handshakes.items():
        mine = [line for line in failures if kind.holds(line)]
        if len(mine) >= STEADY and (peer in known or (kind.strangers and len(mine) == len(failures))):
            clients[peer] = mine
    if not clients:
        return None
    most = sorted(clients.items(), key=lambda client: -len(client[1]))[:3]
    return Finding(
        f"mail clients {kind.cause}: {count(sum(map(len, clients.values())), 'TLS handshake')} failed in the last day",
        tuple(
            Evidence(f"{peer}, {count(len(lines), 'time')}: {lines[-1].text}", lines[-1].source)
            for peer, lines in most
        ),
        Mend(text=f"if these are clients of yours: {kind.advice}"),
        Sign.WARNING,
    )


_CODES = {
    "-13": "password or account",
    "-1": "saslauthd did not answer",
    "-20": "sasldb was asked, not saslauthd",
    "-4": "no such mechanism",
    "-16": "without encryption",
}
"""What the codes of sasl_errors(3) mean here."""
_GUESSED = ("-13", "-16", "-4")
"""What guessers of passwords cause, too."""


def _logins(picture: Picture) -> Finding | None:
    """Wrong passwords are normal; that nobody gets in because saslauthd does not answer is not."""
    refused = defaultdict[str, Counter[str]](Counter)
    last: dict[str, LogLine] = {}
    for line in picture.day:
        code = re.search(r": AUTH failure \([^)]*\): [^()]*\((-\d+)\)", line.text)
        if code and line.peer and not _own(picture, line.peer):
            refused[line.peer][code[1]] += 1
            last[code[1]] = line
    if not refused:
        return None
    codes = sum(refused.values(), Counter[str]())
    entered = [line.time for line in picture.day if line.authid is not None]
    broken = [code for code in codes if code not in _GUESSED and last[code].time > max(entered, default=0.0)]
    nobody = not entered and picture.login is not True
    reasons = "; ".join(f"{times}: {_CODES.get(code, code)}" for code, times in codes.most_common())
    most = sorted(refused.items(), key=lambda client: -client[1].total())[:3]
    return Finding(
        f"{count(codes.total(), 'login')} from {count(len(refused), 'address', 'addresses')} refused in the last day "
        f"({reasons})" + (", and not one was accepted" if nobody else ""),
        (
            *(Evidence(f"{peer}: {by_code.total()} refused", "journal, sm-mta") for peer, by_code in most),
            *(Evidence(last[code].text, last[code].source) for code in broken[:2] or list(last)[:1]),
        ),
        Mend(
            text="`journalctl -t sm-mta -g 'AUTH failure'` shows them; `msa-wizard troubleshoot --user NAME` tries one"
        ),
        Sign.WARNING if nobody and broken else Sign.OK,
    )


_LOGINS = "the password is refused"
HANDSHAKES = tuple(
    Diagnosis(
        *(kind.id, Layer.STARTTLS, kind.symptom, "5.2.3", "the log of the last day", partial(_tls, kind)),
        cause=f"mail clients {kind.cause}",
        fix=kind.advice,
    )
    for kind in _KINDS
)
LOGINS = (
    Diagnosis(
        "logins-refused",
        Layer.LOGS,
        _LOGINS,
        "5.2.3",
        "the log of the last day",
        _logins,
        cause="logins were refused in the last day",
        fix="read them: `journalctl -t sm-mta -g 'AUTH failure'`",
    ),
)
