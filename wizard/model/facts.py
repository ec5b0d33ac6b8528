"""A frozen picture of the host. Steps decide on this alone; `wizard.gather.host` takes the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from snapshots.live.entry import Entry
from wizard.model.step_facts import Acme, AptPlan, Fail2ban, Logins, MailLately, PairTrial, Tlsa, TlsTaken
from wizard.system.accepted_login import AcceptedLogin
from wizard.system.sockets import Listener

SENDMAIL_MC = "/etc/mail/sendmail.mc"
SENDMAIL_CF = "/etc/mail/sendmail.cf"
SENDMAIL_CONF = "/etc/mail/sendmail.conf"
SASL_M4 = "/etc/mail/sasl/sasl.m4"
STARTTLS_M4 = "/etc/mail/tls/starttls.m4"
SASL_CONF = "/etc/mail/sasl/Sendmail.conf.2"
SASL_LINK = "/usr/lib/sasl2/Sendmail.conf"
SASLDB = "/etc/sasldb2"
SASLPASSWD_CONF = "/usr/lib/sasl2/saslpasswd.conf"
SERVER_CERT = "/etc/mail/tls/sendmail-server.crt"
COMMON_KEY = "/etc/mail/tls/sendmail-common.key"
SASLAUTHD_DEFAULT = "/etc/default/saslauthd"
SASLAUTHD_INIT = "/etc/init.d/saslauthd"
SYSTEMD_HOOK = "/lib/lsb/init-functions.d/40-systemd"
SASLAUTHD_CONF = "/etc/saslauthd.conf"
KRB5_CONF = "/etc/krb5.conf"
PAM_SMTP = "/etc/pam.d/smtp"
JAIL = "/etc/fail2ban/jail.d/msa-wizard.conf"
"""Our file in fail2ban's configuration."""
DEFAULT_FOLDER = "/etc/default"
MUX = "/run/saslauthd/mux"
MUX_FOLDER = "/run/saslauthd"
MUX_FOLDERS = (f"/var{MUX_FOLDER}", MUX_FOLDER)
"""Both names of it: the first is compiled into libsasl2."""
CLIENT_CERT = "/etc/mail/tls/sendmail-client.crt"
ALIASES_DB = "/etc/mail/aliases.db"
ACCESS = "/etc/mail/access"
HOSTS = "/etc/hosts"
SUBMIT_MC = "/etc/mail/submit.mc"
SUBMIT_CF = "/etc/mail/submit.cf"
HOSTS_ALLOW = "/etc/hosts.allow"
MTA_QUEUE = "/var/spool/mqueue"
CLIENT_QUEUE = "/var/spool/mqueue-client"

READ = (
    SENDMAIL_MC,
    SENDMAIL_CF,
    SENDMAIL_CONF,
    SASL_M4,
    STARTTLS_M4,
    SASL_CONF,
    SASL_LINK,
    SERVER_CERT,
    COMMON_KEY,
    SASLAUTHD_DEFAULT,
    SASLAUTHD_INIT,
    SASLAUTHD_CONF,
    KRB5_CONF,
    SYSTEMD_HOOK,
    PAM_SMTP,
    JAIL,
    DEFAULT_FOLDER,
    CLIENT_CERT,
    ALIASES_DB,
    ACCESS,
    HOSTS,
    SUBMIT_MC,
    SUBMIT_CF,
    HOSTS_ALLOW,
    MUX_FOLDER,
    MTA_QUEUE,
    CLIENT_QUEUE,
)
"""The paths whose entries are part of the facts."""

DECLARED = (SASL_LINK.lstrip("/"), SASLPASSWD_CONF.lstrip("/"))
"""The paths outside /etc that a step may write (docs/debian.md section sendmail)."""

MTA_PACKAGES = (
    "postfix",
    "exim4-daemon-light",
    "exim4-daemon-heavy",
    "exim4-base",
    "opensmtpd",
    "courier-mta",
    "nullmailer",
    "msmtp-mta",
    "ssmtp",
    "dma",
    "esmtp-run",
    "lsb-invalid-mta",
    "citadel-server",
)
"""Packages that apt would remove for sendmail: all provide mail-transport-agent."""


@dataclass(frozen=True)
class Release:
    """From /etc/os-release: id `debian`, version `12` (empty where it is not known), the name shown to people."""

    id: str
    version: str
    name: str


@dataclass(frozen=True)
class Service:
    """A service as the init system sees it. `active` is its word, which docs/debian.md trap 3 forbids to believe."""

    name: str
    exists: bool = False
    enabled: bool = False
    active: str = "unknown"
    native: bool = False
    masked: bool = False
    """Whether the admin has forbidden every start of it (systemctl(1), mask)."""


@dataclass(frozen=True)
class Process:
    """A running process: its command line, and when it started (seconds since the epoch)."""

    pid: int
    name: str
    argv: tuple[str, ...]
    started: float
    state: str = ""
    """The kernel's letter for it (proc(5)): T is stopped, and answers nobody."""
    unit: str | None = None
    """The systemd unit that it is counted to, empty for none; None where that is not known, or not ours to judge."""


@dataclass(frozen=True)
class Firewall:
    """What was found of a firewall (howto 3.8): its name, whether it is active, and why that is believed.

    `trouble` is why its rules could not be read, where it is active and they could not."""

    name: str
    active: bool
    says: str
    trouble: str = ""


@dataclass(frozen=True)
class McFault:
    """What is wrong with the words of sendmail.mc, and the text that puts it right (`wizard.sendmail.mc_repair`)."""

    line: int
    """Counted from 1; 0 where no line is to blame."""
    shown: str
    """The word, or the line."""
    why: str
    typo: bool
    """Whether it is a misspelt word: m4 goes on behind it."""
    text: bytes | None = None
    """What m4 accepts in its place, None where there is nothing."""
    commit: str = ""
    """The commit of the history that has this text, empty where it is the same with the word put right."""

    @property
    def sentence(self) -> str:
        """What is wrong, and where."""
        return f"line {self.line} of sendmail.mc: {self.why}" if self.line else f"sendmail.mc: {self.why}"


@dataclass(frozen=True)
class TlsRefusal:
    """Why sendmail does not take the file that sendmail.cf calls `path`."""

    path: str
    culprit: str
    """The file behind its links, or a folder on the way to it: what has to change."""
    why: str
    command: str
    """What a person types as root."""
    mode: int | None = None
    """What a fix makes of the file's mode; None where a person has to decide."""


OLDEST = 12
"""The oldest Debian that will do."""


@dataclass(frozen=True)
class Foreign:
    """Why Sendmail is not Debian's package on a host, and what its admin can do."""

    why: str
    remedy: str


@dataclass(frozen=True)
class Facts:
    """Everything the steps know of the host at one moment."""

    euid: int
    release: Release
    init: Literal["systemd", "sysv"]
    """`systemd` or `sysv` (PID 1 is something else: init scripts are run)."""
    hostname: str
    fqdn: str
    """What `hostname -f` says, empty when it fails."""
    fqdn_resolves: bool
    addresses: tuple[str, ...]
    ipv6: bool
    any_address: frozenset[str] = frozenset()
    """The families (inet, inet6) in which the kernel lets a program listen at an address that is not this host's."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Installed packages of interest: name to version."""
    half_way: Mapping[str, str] = field(default_factory=dict)
    """Those that dpkg has begun and not finished: name to its state, such as half-configured."""
    services: Mapping[str, Service] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()
    listeners: tuple[Listener, ...] = ()
    saslauthd_says: str | None = None
    """What answered on saslauthd's socket, None when nothing did."""
    files: Mapping[str, Entry | None] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    """Folders of /etc that steps write in and that are symbolic links (`wizard.system.links`, linked)."""
    starts_later: bool = False
    """Whether a sendmail that this run installs is started by the step restart, and not by its package."""
    shipped: Mapping[str, Entry] = field(default_factory=dict)
    """Files as the packages in apt's cache ship them, for planning before they are installed."""
    apt_plan: AptPlan | None = None
    """What apt says it would do, None when not asked."""
    asking_apt: bool = False
    """Whether apt has still to say it."""
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    local_groups: frozenset[str] = frozenset()
    """The names of all groups in /etc/group."""
    sasl_conf: str | None = SASL_CONF
    """The Sendmail.conf that libsasl2 reads, links followed; None where it finds none."""
    sasl_place: str = SASL_LINK
    """Where it finds that: Debian's link, or a place of the admin's that is looked into before."""
    sasl_plugins: frozenset[str] = frozenset()
    """The plug-ins of libsasl2 that are here: `libplain`, `libsasldb`."""
    sasldb: tuple[str, ...] | None = ()
    """The users of sasldb, as `name@realm`; None where there is one and its users cannot be listed."""
    cf_from_mc: str | None = None
    """What m4 makes of the live sendmail.mc, None when m4 failed or could not be asked."""
    submit_from_mc: str | None = None
    """What m4 makes of the live submit.mc, None when m4 failed, could not be asked, or there is none."""
    cf_newest: bool = False
    """Whether sendmail.cf is not older than sendmail.mc and what that includes: what it lacks then was taken out by hand."""
    cf_earlier: tuple[str, ...] = ()
    """What m4 makes of the sendmail.mc's that stood beside this sendmail.cf since it was made, where the history knows
    them: steps edit the one before the other is made again."""
    tls_missing: frozenset[str] = frozenset()
    """Files for TLS that sendmail.cf names, or would name when made again, and that are not there."""
    tls_refused: tuple[TlsRefusal, ...] = ()
    """What sendmail does not take of the files for TLS that sendmail.cf names, owner and mode being what they are."""
    tls_trial: PairTrial | None = None
    """Of the pair that sendmail.cf names; None where there is none, and where only root can try it."""
    cf_changed: float = 0.0
    """When the newest of what sendmail reads only at start was changed, seconds since the epoch."""
    without_tls: tuple[str, ...] = ()
    """Why sendmail would offer no STARTTLS with what m4 makes of sendmail.mc (`wizard.sendmail.cf_needs`)."""
    without_start: str = ""
    """Why sendmail would not start once sendmailconfig has run, empty where it would (`wizard.sendmail.cf_needs`)."""
    mail_owner: str = ""
    """Who has to be TrustedUser for maps to be made in /etc/mail; empty where that is root."""
    mc_changed: float = 0.0
    """When the newer of sendmail.mc and sendmail.cf was changed, seconds since the epoch."""
    mc_fault: McFault | None = None
    """Where somebody has looked for one."""
    firewalls: tuple[Firewall, ...] = ()
    rules: Mapping[str, str] | None = field(default_factory=dict)
    """The live rules as each tool prints them: `nft` (JSON), `iptables` and `ip6tables` (as saved), `firewalld` (all
    zones). None where only root may see them."""
    outside: frozenset[str] = frozenset()
    """Network devices that lead to other machines."""
    ssh_port: int | None = None
    """The port of the SSH connection that this runs in, None where it runs in none."""
    tools: frozenset[str] = frozenset()
    """Which of the commands asked for by the steps exist."""
    disk_free: int = 0
    """Bytes free below /var."""
    foreign: Foreign | None = None
    """Why Sendmail is not Debian's package here; None where it is, and on Debian itself, where nobody asks."""
    usr_readonly: bool = False
    """Whether /usr is mounted read-only."""
    taken: float = 0.0
    """When the picture was taken, on the monotonic clock, in seconds."""
    login: AcceptedLogin | None = None
    """The last login that a test saw accepted here; None too where only root may know."""
    acme: Acme | None = None
    """None where nobody has looked: only a certificate that is asked for needs it."""
    tlsa: tuple[Tlsa, ...] = ()
    """Where somebody has looked: only another certificate needs it."""
    logins: Logins | None = None
    """None where nobody has looked: only a policy that is chosen needs it."""
    fail2ban: Fail2ban | None = None
    """None where nobody has looked: only a limit on guessing needs it."""
    tls: TlsTaken | None = None
    """None where nobody has looked: only a policy that is chosen, and not in force yet, needs it."""
    mail: MailLately | None = None
    """None where nobody has looked: only a step that would narrow what clients can do needs it."""
    unseen: frozenset[str] = frozenset()
    """Ids of earlier steps of which only root can see whether they have something to do."""
    planned: frozenset[str] = frozenset()
    """Ids of earlier steps that have something to do, when planning a sequence without doing it."""
    assumed: frozenset[str] = frozenset()
    """Paths whose text is a package's, because the package is only going to be installed."""

    def text(self, path: str) -> str | None:
        """The content of `path` as text that keeps every byte (Latin-1), None when absent or no regular file.

        Raises PermissionError when only root may read it."""
        if path in self.unreadable:
            raise PermissionError(f"{path} can only be read by root")
        entry = self.files.get(path)
        return entry.content.decode("latin-1") if entry is not None and entry.kind == "file" else None

    @property
    def saslauthd_runs(self) -> bool:
        """Whether there is one, also where it hangs, or has its socket elsewhere and serves other programs."""
        return self.saslauthd_says is not None or self.process("saslauthd") is not None

    @property
    def sendmail_runs(self) -> bool:
        """Whether anything of its service does: where it does not listen, its queue runner may (MSP_MODE), which systemd
        counts to it."""
        service = self.services.get("sendmail")
        counted = service is not None and service.active == "active (running)"
        return counted or self.process("sendmail-mta") is not None

    def has(self, package: str) -> bool:
        """Whether its files are there, though dpkg may not have finished with it."""
        return package in self.packages or package in self.half_way

    def process(self, name: str) -> Process | None:
        """The process called `name` that listens, else the oldest: a child busy with a connection outlives a restart."""
        named = [each for each in self.processes if each.name == name]
        listening = {each.pid for each in self.listeners}
        named = [each for each in named if each.pid in listening] or named
        return min(named, key=lambda each: each.started) if named else None
