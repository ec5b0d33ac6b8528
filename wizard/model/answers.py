"""What the admin chose, typed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from wizard.model.firewall_names import NAMES

MECHANISMS = ("pam", "shadow", "getpwent", "sasldb", "ldap", "kerberos5", "rimap")
"""What Debian's saslauthd can ask (/etc/default/saslauthd)."""
SERVABLE = ("LOGIN", "PLAIN")
"""The SASL mechanisms saslauthd can serve: it needs the password itself (docs/debian.md trap 7)."""


@dataclass(frozen=True)
class Listen:
    """Where sendmail listens. No addresses: every address, but an Addr= of your own in sendmail.mc stays."""

    submission: tuple[str, ...] = ()
    smtp: tuple[str, ...] = ()
    ipv6: bool = False
    implicit_tls: bool = False
    local_submission: bool = False
    """Programs of this host go on submitting on port 587: a listener without a login on 127.0.0.1, and no edit of submit.mc."""


@dataclass(frozen=True)
class Auth:
    """Who checks the passwords, and which SASL mechanisms are offered. Left empty: as this host has it, else PAM with
    LOGIN and PLAIN (`wizard.sendmail.password_source`); a file leaves the line out then."""

    saslauthd_mechanism: str = ""
    mechanisms: tuple[str, ...] = ()


EVERYBODY, NO_SYSTEM_ACCOUNTS, GROUPS = POLICIES = ("everybody", "no-system-accounts", "groups")
"""Who may log in: the howto's way; all but root and system accounts; members of the groups that are named."""


@dataclass(frozen=True)
class Login:
    """Who of those whose password is right may log in (the step login-policy); `groups` count with that policy alone."""

    policy: str = EVERYBODY
    groups: tuple[str, ...] = ()


UNCHANGED, RECOMMENDED = TLS_POLICIES = ("unchanged", "recommended")
"""Which TLS mail clients may speak: as sendmail and OpenSSL have it; or what RFC 8996 and RFC 9325 recommend."""


@dataclass(frozen=True)
class Tls:
    """Which TLS is spoken on the ports for mail clients (the step tls-policy)."""

    policy: str = UNCHANGED


@dataclass(frozen=True)
class Guess:
    """Whether addresses are banned from which passwords are guessed (the step guess-limit): after so many `attempts` within the
    `window`, for the time of the `ban`. Times are a number with its unit: 30s, 10m, 1h, 7d, 4w."""

    limit: bool = False
    attempts: int = 5
    window: str = "10m"
    ban: str = "1h"
    never: tuple[str, ...] = ()
    """Networks that are never banned."""


STANDALONE, WEBROOT, MANUAL = "standalone", "webroot", "manual"
"""How certbot proves to an authority that a name is this host's: by a web server of its own on port 80, by a file in the
folder of the web server that is there, or by a record in the DNS that a hook of the admin's writes. The fourth way is one of
its plug-ins for the DNS, by its name: dns-rfc2136."""


@dataclass(frozen=True)
class Certificate:
    """What an ACME authority is asked for (the step certificate-obtain): nothing without a challenge, unless it is by hand.
    No name: this host's own; no server: Let's Encrypt. Several names are separated by commas, and clients use the first."""

    challenge: str = ""
    name: str = ""
    email: str = ""
    agree_tos: bool = False
    server: str = ""
    webroot: str = ""
    credentials: str = ""
    """The file in which the plug-in for the DNS finds what it logs in with."""
    auth_hook: str = ""
    """The program that writes certbot's record into the DNS, with MANUAL; `cleanup_hook`, if any, takes it out again."""
    cleanup_hook: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it is to be for."""
        return tuple(self.name.split(",")) if self.name else ()

    @property
    def by_hand(self) -> Certificate:
        """As `certificate obtain` and its screen ask: by STANDALONE where no challenge is named."""
        return replace(self, challenge=self.challenge or STANDALONE)


@dataclass(frozen=True)
class Test:
    """What `msa-wizard test` uses when its options do not say otherwise. Never a password."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    host: str = ""
    user: str = ""
    send_to: str = ""


@dataclass(frozen=True)
class Firewall:
    """Which firewall the ports are opened in, and the zone that leads outside where it has zones (empty: find it)."""

    use: str = "auto"
    zone: str = ""


@dataclass(frozen=True)
class Install:
    """What apt installs: what is needed, and with `recommends` what is only recommended, as Debian's apt does unless told
    otherwise: a daemon for mail to other servers, and its Python packages."""

    recommends: bool = False


@dataclass(frozen=True)
class Answers:
    """All answers; `Answers()` is the howto's own set-up."""

    listen: Listen = field(default_factory=Listen)
    auth: Auth = field(default_factory=Auth)
    test: Test = field(default_factory=Test)
    replace_mta: bool = False
    """Only on the command line (--replace-mta): another MTA may be removed."""
    firewall: Firewall = field(default_factory=Firewall)
    confirm_within: int = 0
    """Only on the command line (--confirm-within): seconds in which a change of the firewall must be confirmed, or it
    is reverted; 0 when it need not be."""
    confirm_typed: bool = False
    """Whether the terminal may confirm it, too."""
    watch_restart: int = 0
    """Only on the command line (--watch-restart): seconds that sendmail's listeners are watched after its restart."""
    install: Install = field(default_factory=Install)
    accept: tuple[str, ...] = ()
    """Ids of endings (`wizard.model.plan.Ending`) that may happen, here or with --accept; nothing else accepts one unasked."""
    login: Login = field(default_factory=Login)
    guess: Guess = field(default_factory=Guess)
    tls: Tls = field(default_factory=Tls)
    certificate: Certificate = field(default_factory=Certificate)


FIREWALL_CHOICES = ("auto", *NAMES, "none")
"""What [firewall] use may be: the one that is active, one of several by its name, or none."""
Section = Listen | Auth | Login | Guess | Tls | Certificate | Test | Firewall | Install
"""What a section of answers.toml holds."""
_Part = TypeVar("_Part", bound=Answers | Section)


def answers_from(kept: Any) -> Answers:
    """The answers that the journal kept. Raises AttributeError, KeyError or TypeError."""

    def section(kind: Any, values: dict[str, Any]) -> Any:
        typed = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return _of_its_types(kind(**typed), kind())

    answers = Answers(
        section(Listen, kept["listen"]),
        section(Auth, kept["auth"]) if "accept" in kept else _old_auth(kept["auth"]),
        section(Test, kept["test"]),
        kept["replace_mta"],
        section(Firewall, kept.get("firewall", {})),
        kept.get("confirm_within", 0),
        watch_restart=kept.get("watch_restart", 0),
        install=section(Install, kept.get("install", {})),
        accept=tuple(map(str, kept.get("accept", ()))),
        login=section(Login, kept.get("login", {})),
        guess=section(Guess, kept.get("guess", {})),
        tls=section(Tls, kept.get("tls", {})),
        certificate=section(Certificate, kept.get("certificate", {})),
    )
    return _of_its_types(answers, Answers())


def _of_its_types(part: _Part, default: _Part) -> _Part:
    """`part`, where each of its fields is of the type that it has in `default`. Raises TypeError."""
    for each in fields(default):
        if type(getattr(part, each.name)) is not type(getattr(default, each.name)):
            raise TypeError(f"{each.name} is of the wrong type")
    return part


def _old_auth(kept: dict[str, Any]) -> Auth:
    """Those of a version that wrote its defaults, PAM with LOGIN and PLAIN, where nothing had been chosen."""
    mechanism, names = str(kept["saslauthd_mechanism"]), tuple(map(str, kept["mechanisms"]))
    return Auth("" if mechanism == "pam" else mechanism, () if names == SERVABLE else names)
