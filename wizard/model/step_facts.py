"""What single steps look up for themselves: facts are a picture of the whole host, and hold these where a step has asked for
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from snapshots.live.entry import Entry
from wizard.editors.fail2ban import NFT, STOCK, Jail


@dataclass(frozen=True)
class RecentLogin:
    """Somebody who logged in: the name without a realm, when (seconds since the epoch), the uid (None where this host
    knows none) and the numbers of all groups."""

    user: str
    at: float
    uid: int | None
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True)
class PairTrial:
    """What a mail client with this host's authorities makes of the server's certificate and key."""

    trusted: bool = False
    refusal: int | None = None
    """OpenSSL's X509_V_ERR_* number where it refuses it."""
    refusal_says: str = ""
    chain: tuple[str, ...] = ()
    """The subjects of all that it is sent, where that is more than one."""
    unfit: str = ""
    """Why OpenSSL does not take the two together, empty where it does."""
    unsent: str = ""
    """What to do so that sendmail sends the intermediate certificates of the file, too; empty where it does."""


@dataclass(frozen=True)
class Logins:
    """What a policy on logins is judged by."""

    uid_min: int = 1000
    """The lowest uid of a user (login.defs(5), UID_MIN)."""
    groups: Mapping[str, int] = field(default_factory=dict)
    """The numbers of the groups that the answers name, where they exist."""
    recent: tuple[RecentLogin, ...] = ()
    unjudged: tuple[RecentLogin, ...] = ()
    """Who logged in lately as well, but of whom neither uid nor groups could be looked up."""
    unseen: str = ""
    """Why it cannot be seen who logged in lately."""
    phases: frozenset[str] = frozenset()
    """`auth` and `account`, where the PAM service smtp has lines of its own for it."""
    broken: str = ""
    """Why nothing can be judged: what is wrong in the PAM service smtp, or that nobody answers; empty where nothing is."""
    bans: bool = False
    """Whether fail2ban bans for wrong passwords, or is going to: a login that is refused counts as one."""


@dataclass(frozen=True)
class Fail2ban:
    """What a limit on guessing is judged by."""

    log: str | None = None
    """`journal`, or the path of the mail log; None where this host keeps neither."""
    missing: tuple[str, ...] = ()
    """Packages that it needs and that are not installed, fail2ban among them where it is not."""
    apt_plan: AptPlan | None = None
    """What apt says of these, None when not asked."""
    broken: str = ""
    """Why nothing can be done with it: its configuration is no good even without our file, say. Empty where it can."""
    theirs: tuple[str, ...] = ()
    """Jails that ban for sendmail's AUTH without our file."""
    jails: Mapping[str, Jail] = field(default_factory=dict)
    """All that are enabled without our file."""
    recidive: tuple[str, ...] = ()
    """Those of them that count the bans of our jail, as Debian's `recidive` does."""
    stock: Jail | None = None
    """What the jail would be if it was enabled and nothing else said: the admin's own defaults are in it."""
    own: tuple[str, ...] = ()
    """The admin's own files that say something of jails: fail2ban reads them, also where it comes after them."""
    banaction: str = ""
    """How these say that is banned, empty where they do not, or what it takes is not here."""
    sshd_unread: bool = False
    """Whether its jail for sshd looks for a log that this host does not keep, so that fail2ban does not start at all; where it
    is not installed, whether there is no such log."""
    refused: str = ""
    """Why fail2ban does not take our file, empty where it does."""
    wanted: Jail | None = None
    """The jail as it will be with our file; None where it would not be enabled, or nobody has asked."""
    runs: bool = False
    up: bool = False
    """Whether the jail is at work."""
    enabled: bool = False
    without_nft: str = ""
    """Why nft cannot be used, empty where it can, or is not here yet."""
    connection: str = ""
    """The client's address of the SSH connection that this runs in."""
    lost: tuple[str, ...] = ()
    """Who logged in lately from an address that would have been banned then, a line each."""
    unseen: str = ""
    """What cannot be known of that."""

    @property
    def by_nft(self) -> bool:
        """Whether it is ours to say how to ban; an action that the admin has chosen for all jails stays."""
        if self.stock is None:
            return True
        return not self.banaction and any(action in STOCK for action in self.stock.actions)

    @property
    def needs_nft(self) -> bool:
        """Whether bans go by nft, whoever said so."""
        return self.by_nft or (self.stock is not None and any(each in NFT for each in self.stock.actions))


@dataclass(frozen=True)
class WeakLogin:
    """A login with TLS that is weak: who (without a realm), from which address, with what, when it was last."""

    user: str
    address: str
    version: str
    cipher: str
    at: float


@dataclass(frozen=True)
class HandedIn:
    """Mail that came in by SMTP: who had logged in for it (without a realm; empty where nobody had) and by which mechanism, from
    which address, at the listener of which name, whether over TLS, and when the last of it was."""

    user: str
    mechanism: str
    address: str
    listener: str
    encrypted: bool
    at: float


@dataclass(frozen=True)
class MailLately:
    """What an edit of the listeners, or of what a login takes, is judged by."""

    recent: tuple[HandedIn, ...] = ()
    unseen: str = ""
    """What cannot be known of it."""


@dataclass(frozen=True)
class TlsTaken:
    """What a policy on TLS is judged by."""

    ciphers: str = ""
    """The list of ciphers in force."""
    small_dh: bool = False
    """Whether Diffie-Hellman has a group below 2048 bits."""
    weak: tuple[str, ...] = ()
    """What is taken on which port and should not be, a clause each."""
    untried: tuple[str, ...] = ()
    """What could not be tried, and why."""
    recent: tuple[WeakLogin, ...] = ()
    unseen: str = ""
    """Why it cannot be seen who logged in lately."""
    broken: tuple[str, ...] = ()
    """Why nothing can be judged, and what to do; empty where nothing is wrong."""


@dataclass(frozen=True)
class AptPlan:
    """What apt would do: its lines (`Inst ...`, `Remv ...`), and by package the bytes of its file and on the disk."""

    lines: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptPair:
    """What certbot keeps, checked, and what brings its renewals to sendmail: PEM, and the entries to make, in order."""

    certificate: bytes
    key: bytes = field(repr=False)
    group: int = 0
    """The number of the group smmsp."""
    beside: tuple[tuple[str, Entry], ...] = ()
    notes: tuple[str, ...] = ()
    trusted: int = 0
    """The number of TrustedUser."""


@dataclass(frozen=True)
class Tlsa:
    """A TLSA record (RFC 6698) for port 25 of a name: what the certificate there has to be."""

    name: str
    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True)
class NameInDns:
    """What the DNS says of a name that a certificate is to be for."""

    name: str
    addresses: tuple[str, ...] = ()
    unresolved: str = ""
    """Why these are not known, or that there is none."""
    hearsay: bool = False
    """Whether a resolver on this host has given them, which may have read them in /etc/hosts."""
    forbidden: str = ""
    """Why the CAA records forbid it, empty where they do not."""
    accounts: tuple[str, ...] = ()
    """The accounts with the authority that alone may ask, where the CAA records name some."""


@dataclass(frozen=True)
class Acme:
    """What is known before an ACME authority is asked for a certificate, and once there is one."""

    name: str = ""
    """What certbot calls it: the first of the names."""
    names: tuple[NameInDns, ...] = ()
    """What it is to be for."""
    missing: tuple[str, ...] = ()
    """Packages that are not installed."""
    beside: str = ""
    """Another certbot, where Debian's is not installed."""
    apt_plan: AptPlan | None = None
    """What apt would do to install them."""
    unreachable: str = ""
    """Why the authority's directory cannot be had."""
    proxied: bool = False
    """Whether the shell has a proxy then, which neither certbot is given nor its timer has."""
    terms: str = ""
    """Where its terms of service are."""
    identities: tuple[str, ...] = ()
    """What CAA records call it, as it says itself."""
    webroot: bool = False
    """Whether the folder is there that the settings name."""
    credentials: bool = False
    """Whether the file is there that they name; where they name none, whether certbot's own do."""
    unfit_hook: str = ""
    """Why one of the hooks cannot be run that the settings name."""
    renews_by: tuple[str, ...] = ()
    """Lines of certbot's own settings that it would renew by, and that say another thing than was chosen."""
    kept: bool = False
    """Whether certbot keeps a certificate by the name."""
    pair: KeptPair | None = None
    """That one, where it is fit for sendmail."""
    unfit: str = ""
    """Why it is not."""
    kept_from: str = ""
    """The directory of the authority that signed it then."""
    users: tuple[str, ...] = ()
    """The files below /etc that name it then."""
