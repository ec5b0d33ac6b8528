"""The picture of the host that the diagnoses judge: the steps' facts, and what else troubleshooting needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from wizard.editors import EditError, sasl_conf, shell_defaults
from wizard.gather.certificates import CertificateFiles
from wizard.gather.fail2ban import Bans
from wizard.gather.pam import Pam
from wizard.gather.renewal import Renewal
from wizard.maillog.read import NAMES, LogLine
from wizard.mends.certificate import misnamed
from wizard.model import facts as f
from wizard.model.answers import SERVABLE, Answers
from wizard.model.facts import Facts
from wizard.model.plan import Sign
from wizard.packet_filter.nftables import Ruleset
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.asked_saslauthd import socket_of
from wizard.sendmail.client_name import client_name
from wizard.sendmail.password_source import PAM, PasswordSource, mechanisms, wanted
from wizard.smtp.handshakes import Handshake
from wizard.system.sockets import Listener
from wizard.troubleshoot.account import Account
from wizard.troubleshoot.backend import Backend
from wizard.troubleshoot.confinement import Confined
from wizard.troubleshoot.milters import Milter
from wizard.troubleshoot.model import Evidence, Finding, Layer, next_looks
from wizard.troubleshoot.outside import Outside
from wizard.troubleshoot.probe_smtp import Conversation, is_submission
from wizard.troubleshoot.storage import Storage


class Text(StrEnum):
    """What the diagnoses read besides the steps' facts."""

    HOSTS_ALLOW = "/etc/hosts.allow"
    HOSTS_DENY = "/etc/hosts.deny"
    ACCESS = f.ACCESS
    CF_ERRORS = "/etc/mail/sendmail.cf.errors"
    PID_FILE = "/run/sendmail/mta/sendmail.pid"
    SHELLS = "/etc/shells"
    NOLOGIN = "/etc/nologin"
    SASLAUTHD_CONF = f.SASLAUTHD_CONF
    KRB5_CONF = f.KRB5_CONF
    CRON_PID = "/run/crond.pid"
    UFW_RULES = "/etc/ufw/user.rules"
    UFW_DEFAULT = "/etc/default/ufw"
    RESOLV_CONF = "/etc/resolv.conf"


DAEMON = "sendmail-mta"
_TROUBLE = (
    "error",
    "fail",
    "reject",
    "SYSERR",
    "warning",
    "unsafe",
    "Milter",
    "timeout",
    "TLS not available",
)
"""Words of log lines that may explain a conversation."""


def daemon_lines(daemons: Iterable[sendmail_cf.Daemon]) -> tuple[Evidence, ...]:
    """Listeners as sendmail.cf has them."""
    texts = (f"Name={daemon.name}, Port={daemon.port}, M={daemon.modifiers}" for daemon in daemons)
    return tuple(Evidence(text, "sendmail.cf") for text in texts)


def of_others(listeners: Sequence[Listener]) -> frozenset[int]:
    """The ports that another program holds, and sendmail does not."""
    return frozenset(each.port for each in listeners) - {each.port for each in _of_sendmail(listeners)}


def _of_sendmail(listeners: Sequence[Listener]) -> tuple[Listener, ...]:
    return tuple(each for each in listeners if each.process in (DAEMON, None))


@dataclass(frozen=True)
class Picture:
    """Everything the diagnoses know of the host at one moment."""

    facts: Facts
    answers: Answers = field(default_factory=Answers)
    now: float = 0.0
    """Seconds since the epoch."""
    name_addresses: tuple[str, ...] | None = None
    """The addresses of the host's own qualified name, None where it has none."""
    conversations: tuple[Conversation, ...] = ()
    mux_problem: str = ""
    """Why saslauthd's socket did not answer."""
    account: Account | None = None
    """None where no user was given."""
    root_password: bool = False
    """Whether root has a password that can match."""
    root_let_in: bool | None = True
    """Whether the lines of PAM that may refuse root let it in, None where that cannot be told."""
    socket_login: str | None = None
    """saslauthd's own answer to the login, None where it was not asked."""
    log: tuple[LogLine, ...] | None = None
    """Oldest first, None where this host keeps none, or it cannot be read."""
    log_problem: str = ""
    """Why the mail log that is there cannot be read."""
    day: tuple[LogLine, ...] = ()
    """What sendmail itself logged of clients and deliveries since yesterday, oldest first."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Those of Text that are there."""
    pam: Pam = field(default_factory=lambda: Pam(None))
    storage: Storage = field(default_factory=Storage)
    ruleset: Ruleset | None = None
    """None where there is no nft, or it did not answer."""
    files: CertificateFiles = field(default_factory=CertificateFiles)
    cf_refused: str = ""
    """What `sendmail -bC` says of sendmail.cf, empty where it accepts it."""
    m4_said: str = ""
    """What m4 says where it does not accept sendmail.mc."""
    states: Mapping[int, str] = field(default_factory=dict)
    """The kernel's letter for the state of each of our processes (proc(5)): T is stopped."""
    sasldb: tuple[str, ...] = ()
    """The users of /etc/sasldb2, as `name` and as `name@realm`."""
    aliases_db: bool = True
    """Whether the alias database that sendmail.cf names is there."""
    mux_mode: int | None = None
    """The mode of the socket's folder."""
    outside: Outside = field(default_factory=Outside)
    """What clients from outside would meet."""
    milters: tuple[Milter, ...] = ()
    """The mail filters that listeners ask, in sendmail's order."""
    confined: tuple[Confined, ...] = ()
    """The daemons that AppArmor confines, and what it denied them in the last hour."""
    weak_tls: tuple[Handshake, ...] = ()
    """What became of the weak kinds of TLS on the first port for mail clients that works; renegotiation is not tried."""
    suites: frozenset[str] | None = None
    """The kinds of key (`rsa`, `ecdsa`) for which CipherList has a suite of TLS 1.2; None where it is not set."""
    included: Mapping[str, str] = field(default_factory=dict)
    """The files that sendmail.mc includes, but those of the packages."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    """What an admin has put over the units of daemons that do not run: path and text."""
    renewal: Renewal | None = None
    """How certbot's renewals reach sendmail; None where no hook of ours brings them."""
    bans: Bans | None = None
    """Whom fail2ban bans for guessing, and after how much; None where no jail for that is at work."""
    backend: Backend = field(default_factory=Backend)
    """What saslauthd asks, and whether its servers can be reached."""
    began: float = 0.0
    """When it was begun, in seconds since the epoch."""
    seconds: float = 0.0
    """How long everything took."""
    waited: float = 0.0
    """How long the slowest conversation took."""

    @property
    def cf(self) -> str:
        """sendmail.cf, empty where there is none."""
        return self._text(f.SENDMAIL_CF)

    @property
    def mc(self) -> str:
        """sendmail.mc, empty where there is none."""
        return self._text(f.SENDMAIL_MC)

    def _text(self, path: str) -> str:
        try:
            return self.facts.text(path) or ""
        except PermissionError:
            return ""

    @property
    def client_name(self) -> str:
        """What mail clients know this host as, empty where it has no name for them."""
        own = "" if misnamed(self.facts) else self.facts.fqdn
        return client_name(self.facts, self.answers.certificate, own)

    @property
    def daemons(self) -> tuple[sendmail_cf.Daemon, ...]:
        """The listeners that sendmail.cf asks for."""
        return sendmail_cf.daemons(self.cf)

    @property
    def from_mc(self) -> tuple[sendmail_cf.Daemon, ...]:
        """The listeners that sendmail.mc would give."""
        return sendmail_cf.daemons(self.facts.cf_from_mc or "")

    @property
    def runs(self) -> bool:
        """Whether there is a process of the MTA."""
        return self.facts.process(DAEMON) is not None

    @property
    def stale(self) -> bool:
        """Whether the daemon has not read what is there now."""
        process = self.facts.process(DAEMON)
        return process is not None and process.started < self.facts.cf_changed

    @property
    def mine(self) -> tuple[Listener, ...]:
        """The listeners that sendmail holds."""
        return _of_sendmail(self.facts.listeners)

    @property
    def taken(self) -> frozenset[int]:
        """The ports that another program holds, and sendmail does not."""
        return of_others(self.facts.listeners)

    @property
    def submissions(self) -> tuple[Conversation, ...]:
        """The conversations with the ports where mail clients are meant to come."""
        return tuple(talk for talk in self.conversations if is_submission(talk.daemon))

    @property
    def broken(self) -> tuple[Conversation, ...]:
        """Those of them with sendmail that ended early."""
        return tuple(
            talk
            for talk in self.submissions
            if talk.stopped is not None and talk.daemon.port not in self.taken
        )

    @property
    def no_room(self) -> tuple[Conversation, ...]:
        """Those that sendmail ended because its queue's disk is full: it says so as early as STARTTLS."""
        return tuple(talk for talk in self.broken if "disk space" in talk.why)

    @property
    def works(self) -> bool:
        """Whether there is a port for mail clients, and each gets as far as the offer of a login."""
        return bool(self.submissions) and all(
            talk.stopped is None or talk.login is not None for talk in self.submissions
        )

    def written(self, word: str, without: str = "defn(") -> tuple[Evidence, ...]:
        """The last live line with this word, and not the other, of sendmail.mc and what it includes, as m4 reads them."""
        last: tuple[Evidence, ...] = ()
        for path, number, line in self._mc_lines():
            if word in line and without not in line and not line.lstrip().startswith(("dnl", "#")):
                last = (Evidence(line.strip()[:300], f"{path} line {number}"),)
        return last

    def _mc_lines(self) -> Iterable[tuple[str, int, str]]:
        for number, line in enumerate(self.mc.split("\n"), 1):
            yield f.SENDMAIL_MC, number, line
            for path, text in self.included.items():
                if f"include(`{path}'" in line:
                    yield from ((path, at, each) for at, each in enumerate(text.split("\n"), 1))

    def setting(self, path: str, key: str) -> str:
        """A setting of a file that sh reads, empty where there is none or it cannot be read."""
        try:
            return shell_defaults.value(self._text(path), key) or ""
        except EditError:
            return ""

    @property
    def mux(self) -> str:
        """saslauthd's socket, where sendmail asks."""
        return socket_of(self.facts)

    @property
    def asks_saslauthd(self) -> bool:
        """Whether sendmail's SASL asks saslauthd, as far as Sendmail.conf says."""
        try:
            method = sasl_conf.value(self._text(self.facts.sasl_conf or f.SASL_CONF), "pwcheck_method")
        except EditError:
            return True
        return method is None or "saslauthd" in method.split()

    @property
    def source(self) -> PasswordSource:
        """Where passwords should come from: as answered, else as configured on this host."""
        try:
            return wanted(self.facts, self.answers)
        except PermissionError:
            return PAM

    @property
    def mechanisms(self) -> frozenset[str]:
        """The mechanisms that are to be offered."""
        try:
            return frozenset(mechanisms(self.facts, self.answers))
        except PermissionError:
            return frozenset(SERVABLE)

    @property
    def login(self) -> bool | None:
        """Whether a login was accepted by sendmail; None where none was tried."""
        tried = [talk.login for talk in self.conversations if talk.login is not None]
        return any(tried) if tried else None

    @property
    def latent(self) -> Sign:
        """The sign of what is wrong in a file and may not show yet: failed where the conversation fails."""
        return Sign.WARNING if self.works and self.login is not False else Sign.FAILED

    def logged(
        self,
        *words: str,
        tags: Sequence[str] = NAMES,
        since: float = 0.0,
        limit: int = 3,
        proved: bool = False,
    ) -> tuple[Evidence, ...]:
        """The last log lines that hold one of the words (where their time is not known, they count as new). What is
        decided by them alone takes the `proved` ones: the daemon itself wrote them, and chose their words."""
        lines = [
            line
            for line in self.log or ()
            if line.name in tags
            and (line.time == 0.0 or line.time >= since)
            and any(word in line.text for word in words)
            and not (proved and (line.file or not line.own_words))
        ]
        last = {line.text: line.source for line in lines}  # the same is often said twice
        return tuple(Evidence(text, source) for text, source in last.items())[-limit:]

    def unexplained(self, layer: Layer, words: str) -> Finding | None:
        """A conversation that ended in this layer for no known cause; `words` has {source} for where."""
        stopped = [talk for talk in self.broken if talk.stopped is layer and talk not in self.no_room]
        if not stopped:
            return None
        first = stopped[0]
        cause = f"{words.format(source=first.source)}: {first.why}; none of the known causes was found"
        replies = (line for talk in stopped for line in self.conversation_evidence(talk))
        logged = self.logged(*_TROUBLE, since=self.began - 1)
        return Finding(cause, (*replies, *logged), next_looks(layer, first.address, first.daemon.port))

    def conversation_evidence(self, talk: Conversation) -> tuple[Evidence, ...]:
        """What was said last, and the clause on which it ended."""
        reply = talk.last or talk.greeting
        lines = ([reply] if reply else []) + ([talk.why] if talk.why and talk.why not in reply else [])
        return tuple(Evidence(line, talk.source) for line in lines)
