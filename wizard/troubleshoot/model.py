"""The nouns of troubleshooting: Layer, Evidence, Mend, Finding (howto section 5)."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Finding:
    """What a diagnosis found. `layer` where it differs from the diagnosis' own."""

    cause: str
    evidence: tuple[Evidence, ...] = ()
    mend: Mend = Mend()
    sign: Sign = Sign.FAILED
    layer: Layer | None = None
