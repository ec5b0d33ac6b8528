"""The nouns of troubleshooting: Layer, Evidence, Mend, Finding (howto section 5)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from snapshots.format.secret_text import PasswordMask
from wizard.model.plan import Sign


class Layer(StrEnum):
    """Where mail submission can fail, from the outside in. The first that fails is to blame."""

    NAME = "name"
    FIREWALL = "firewall"
    LISTENER = "listener"
    GREETING = "greeting"
    STARTTLS = "starttls"
    CERTIFICATE = "certificate"
    AUTH_OFFER = "auth-offer"
    SASLAUTHD = "saslauthd"
    PAM = "pam"
    ACCOUNT = "account"
    RELAY = "relay"
    QUEUE = "queue"
    LOGS = "logs"


ORDER = tuple(Layer)
"""The layers from the outside in."""

TITLES = {
    Layer.NAME: "name and DNS",
    Layer.FIREWALL: "firewall",
    Layer.LISTENER: "listener",
    Layer.GREETING: "greeting",
    Layer.STARTTLS: "STARTTLS",
    Layer.CERTIFICATE: "certificate",
    Layer.AUTH_OFFER: "AUTH offer",
    Layer.SASLAUTHD: "saslauthd",
    Layer.PAM: "PAM",
    Layer.ACCOUNT: "account",
    Layer.RELAY: "relay and delivery",
    Layer.QUEUE: "queue and disk",
    Layer.LOGS: "logs",
}


@dataclass(frozen=True)
class Evidence:
    """The exact words found, passwords masked, and where. Not cleaned: whoever shows them does that."""

    says: str
    source: str

    def __post_init__(self) -> None:
        shown = PasswordMask(self.source).text(self.says.encode("utf-8", "surrogateescape"))
        object.__setattr__(self, "says", shown.decode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class Mend:
    """The fix: ids of steps in order; or, where a person must act, a sentence."""

    steps: tuple[str, ...] = ()
    text: str = ""


_LOG, _SASL_LOG = "journalctl -t sm-mta -n 30", "journalctl -t saslauthd -n 30"
_WATCH = "msa-wizard debug saslauthd"
_LOOKS = {
    Layer.LISTENER: ("ss -ltnp", _LOG, "grep '^O DaemonPortOptions' /etc/mail/sendmail.cf"),
    Layer.GREETING: (
        "openssl s_client {tls}-connect {where} < /dev/null",
        _LOG,
        "grep -E '^(X|O (InputMailFilters|RefuseLA|MaxDaemonChildren))' /etc/mail/sendmail.cf",
    ),
    Layer.STARTTLS: (
        "openssl s_client {tls}-connect {where} < /dev/null",
        _LOG,
        "grep -E '^(X|O (Server|CACert|CipherList|InputMail))' /etc/mail/sendmail.cf",
    ),
    Layer.AUTH_OFFER: (
        "saslpluginviewer -s",
        "grep -E '^(O Auth|O DaemonPort|C.TrustAuthMech)' /etc/mail/sendmail.cf",
        _LOG,
    ),
    Layer.SASLAUTHD: (_SASL_LOG, "ls -ld /run/saslauthd /run/saslauthd/mux", _WATCH),
    Layer.PAM: (_SASL_LOG, "grep -v '^#' /etc/pam.d/smtp", _WATCH),
    Layer.ACCOUNT: (_WATCH, _SASL_LOG, "getent passwd {user}"),
}


def next_looks(layer: Layer, address: str = "127.0.0.1", port: int = 587, user: str = "NAME") -> Mend:
    """The three likeliest next looks, as commands, where nobody knows why this layer fails."""
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    tls = "" if port == 465 else "-starttls smtp "
    looks = (look.format(tls=tls, where=where, user=shlex.quote(user)) for look in _LOOKS[layer])
    return Mend(text=f"look next: {', '.join(f'`{look}`' for look in looks)}")


@dataclass(frozen=True)
class Finding:
    """What a diagnosis found. `layer` where it differs from the diagnosis' own."""

    cause: str
    evidence: tuple[Evidence, ...] = ()
    mend: Mend = Mend()
    sign: Sign = Sign.FAILED
    layer: Layer | None = None
