"""What the admin chose: typed, validated, TOML in and out. Every value is checked before anything sees it."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from snapshots.visible import visible
from wizard.errors import AnswersError
from wizard.model.firewall_names import NAMES

MECHANISMS = ("pam", "shadow", "getpwent", "sasldb", "ldap", "kerberos5", "rimap")
"""What Debian's saslauthd can ask (/etc/default/saslauthd)."""

SERVABLE = ("LOGIN", "PLAIN")
"""The SASL mechanisms saslauthd can serve: it needs the password itself (docs/debian.md trap 7)."""

_AS_HERE = "; where it is not set, it stays as this host has it"
SAVED = "/etc/msa-wizard/answers.toml"
"""Where the settings of this host are kept: every command reads them, and the screens save them there."""
MAX_FILE = 64 * 1024
_MAX_LINE = 4096
_MAX_DOTS = 20
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}\Z")
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?\Z")
_ZONE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}\Z")
_GROUP = re.compile(r"(?!\d+\Z)(?=.{1,64}\Z)[A-Za-z0-9_][A-Za-z0-9_.@-]*(?: [A-Za-z0-9_.@-]+)*\Z")
_MOST_GROUPS = 600
"""Characters of all groups' names: PAM before 1.7 reads lines of 1,024."""
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 366 * 86400
_ATTEMPTS = range(1, 101)
_MOST_NETWORKS = 100
MOST_NAMES = 100
"""In one certificate (https://letsencrypt.org/docs/rate-limits/)."""
_ENDING = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&*+/=?^_{|}~.-]{1,64}(@[A-Za-z0-9.-]{1,253})?\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&*+/=?^_{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+\Z")
_DIRECTORY = re.compile(r"https://[A-Za-z0-9.:\[\]-]{1,270}(/[A-Za-z0-9._~%/-]*)?\Z")
_PATH = re.compile(r"/[A-Za-z0-9._+@/-]*\Z")
_DNS_PLUGIN = re.compile(r"dns-[a-z0-9]+(-[a-z0-9]+)*\Z")


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
    """What an ACME authority is asked for (the step certificate-obtain): nothing without a challenge. No name: this host's own;
    no server: Let's Encrypt. Several names are separated by commas, and clients use the first."""

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


_Section = Listen | Auth | Login | Guess | Tls | Certificate | Test | Firewall | Install
_SECTIONS: dict[str, type[_Section]] = {
    "listen": Listen,
    "auth": Auth,
    "login": Login,
    "guess": Guess,
    "tls": Tls,
    "certificate": Certificate,
    "test": Test,
    "firewall": Firewall,
    "install": Install,
}
FIREWALL_CHOICES = ("auto", *NAMES, "none")
"""What [firewall] use may be: the one that is active, one of several by its name, or none."""


def load(path: Path, base: Answers = Answers()) -> Answers:
    """The answers in the TOML file at `path`, over those of `base`. Raises AnswersError naming file, line, key and what
    is allowed."""
    try:
        return parse(_content(path).decode("utf-8"), str(path), base)
    except UnicodeDecodeError as error:
        why = f"{path}: not UTF-8 text (byte {error.start}). TOML is written in UTF-8."
        raise AnswersError(why) from error
    except FileNotFoundError:
        if path.is_symlink():
            where = visible(os.readlink(path))  # noqa: PTH115 - as it was written
            raise AnswersError(
                f"{visible(str(path))}: it is a symbolic link to {where}, which is not there."
            ) from None
        folder = path.absolute().parent
        way = f"`msa-wizard answers --output {path}` makes one"
        if not folder.is_dir():
            way = f"The folder {folder} is not there either: name the file where it is"
        raise AnswersError(f"{path}: there is no such file. {way}.") from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise AnswersError(f"{visible(str(path))}: cannot be read: {why}.") from error


def saved(path: Path = Path(SAVED)) -> Answers:
    """The settings of this host; the howto's own set-up where none were saved. Raises AnswersError, with a way on."""
    try:
        return load(path) if os.path.lexists(path) else Answers()
    except AnswersError as error:
        where = visible(str(path))
        way = f"Put that right, or move it away: `mv {where} {where}.old`. Without it the howto's own set-up counts."
        if isinstance(error.__cause__, PermissionError):
            way = f"Run it with sudo, or let everybody read the settings: `sudo chmod a+r {where}`."
        raise AnswersError(f"{error} {way}") from error


def _content(path: Path) -> bytes:
    """The bytes of a regular file. Never waits: not for the writer of a pipe, and not for a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AnswersError(f"{path}: not a regular file. Put the answers into a file of their own.")
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise AnswersError(f"{path}: larger than {MAX_FILE // 1024} KiB, which no answers file is.")
    return content


def parse(text: str, name: str = "answers.toml", base: Answers = Answers()) -> Answers:
    """The answers in `text`, and those of `base` where it has none; `name` is used in the error messages. Raises
    AnswersError."""
    _check_shape(text, name)
    try:
        return _parsed(text, name, base)
    except RecursionError:
        why = f"{name}: lists or tables within each other, far deeper than any answer has them."
        raise AnswersError(why) from None


def _check_shape(text: str, name: str) -> None:
    """Refuse what no answers file holds and the parser would work on for long: its time grows with the square of a key's
    parts. Raises AnswersError."""
    if len(text) > MAX_FILE:
        raise AnswersError(f"{name}: larger than {MAX_FILE // 1024} KiB, which no answers file is.")
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{name}, line {number}"
        if len(line) > _MAX_LINE:
            why = f"longer than {_MAX_LINE} characters, which no line of an answers file is."
            raise AnswersError(f"{where}: {why}")
        bare = _QUOTED.sub("", line).partition("#")[0]
        if max(part.count(".") for part in re.split(r"[={,]", bare)) > _MAX_DOTS:
            why = f"a key of more than {_MAX_DOTS} parts; the longest there is has two."
            raise AnswersError(f"{where}: {why}")


def _parsed(text: str, name: str, base: Answers) -> Answers:
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # or a number of thousands of digits, which Python does not read
        why = str(error) if isinstance(error, tomllib.TOMLDecodeError) else str(error).partition(";")[0]
        raise AnswersError(f"{name}: not valid TOML: {why}.") from error
    sections: dict[str, _Section] = {}
    accept = _accept(name, text, data.pop("accept", list(base.accept)))
    for section, values in data.items():
        if section not in _SECTIONS:
            raise _Wrong(name, text, section, "", f"unknown section{_nearest(section, _SECTIONS)}")
        if not isinstance(values, dict):
            raise _Wrong(name, text, section, "", f"[{section}] must be a section with keys")
        sections[section] = _section(name, text, section, values, getattr(base, section))
    answers = replace(base, **sections, accept=accept)  # type: ignore[arg-type]
    for key, why in _across(answers.listen):
        raise _Wrong(name, text, "listen", key, why)
    if answers.login.policy == GROUPS and not answers.login.groups:
        why = f'policy = "{GROUPS}" needs the names of one or more groups'
        raise _Wrong(name, text, "login", "groups", why)
    return answers


def _accept(name: str, text: str, value: object) -> tuple[str, ...]:
    try:
        names = _typed(value, ())
        assert isinstance(names, tuple)
        return tuple(dict.fromkeys(ending_id(each) for each in names))
    except ValueError as error:
        raise _Wrong(name, text, "accept", "", str(error)) from error


def ending_id(value: str) -> str:
    """`value` when it can be the id of an ending, else ValueError saying what is allowed."""
    if len(value) > 64 or not _ENDING.match(value):
        expected = "the id of something that would end, such as cf-lines: `msa-wizard plan` names them"
        raise ValueError(f"{_shown(value)} is not {expected} (letters a-z, digits and hyphens)")
    return value


class _Wrong(AnswersError):
    def __init__(self, name: str, text: str, section: str, key: str, why: str) -> None:
        where = f"{section}.{key}" if key else section
        super().__init__(f"{name}, line {_line(text, section, key)}: {visible(where, 80)}: {why}.")


def _section(name: str, text: str, section: str, values: dict[str, object], base: _Section) -> _Section:
    known = {each.name: each for each in fields(base)}
    checked: dict[str, object] = {}
    for key, value in values.items():
        if key not in known:
            raise _Wrong(name, text, section, key, f"unknown key{_nearest(key, known)}")
        try:
            checked[key] = _CHECKS[section, key](_typed(value, getattr(base, key)))
        except ValueError as error:
            raise _Wrong(name, text, section, key, str(error)) from error
    return replace(base, **checked)  # type: ignore[arg-type]


def _typed(value: object, default: object) -> object:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {_shown(value)}")
        return value
    if isinstance(default, int):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be a whole number such as {default}, not {_shown(value)}")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError(f'must be a list of strings such as ["..."], not {_shown(value)}')
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string in quotes, not {_shown(value)}")
    return value


def _addresses(value: object) -> object:
    assert isinstance(value, tuple)
    addresses: dict[str, None] = {}
    for address in value:
        try:
            addresses[str(ipaddress.ip_address(address))] = None
        except ValueError:
            why = f"{_shown(address)} is not an IP address such as 192.0.2.25 or 2001:db8::25"
            raise ValueError(why) from None
        if "%" in address:
            raise ValueError(f"{_shown(address)} has a scope, which sendmail cannot listen on")
    if len(addresses) != len(value):
        raise ValueError("duplicate address; sendmail would stop serving its port within a minute")
    return tuple(addresses)


def _flag(value: object) -> object:
    return value


def _one_of(allowed: tuple[str, ...], what: str, otherwise: str = "") -> Callable[[object], object]:
    def check(value: object) -> object:
        if value not in allowed:
            raise ValueError(f"{_shown(value)} is {what}; allowed: {', '.join(allowed)}{otherwise}")
        return value

    return check


def _mechanisms(value: object) -> object:
    assert isinstance(value, tuple)
    servable = ", ".join(SERVABLE)
    if not value:
        raise ValueError(f"needs at least one of {servable}{_AS_HERE}")
    for mechanism in value:
        if mechanism not in SERVABLE:
            why = "clients that prefer it would be refused"
            raise ValueError(f"saslauthd cannot serve {_shown(mechanism)}: {why}; allowed: {servable}")
    return tuple(dict.fromkeys(value))


def _groups(value: object) -> object:
    assert isinstance(value, tuple)
    for group in value:
        if not _GROUP.match(group):
            allowed = "the name of a group (letters, digits and _ . @ -, single blanks between them, 64 at most, not digits alone)"
            raise ValueError(f"{_shown(group)} is not {allowed}")
    if len(":".join(value)) > _MOST_GROUPS:
        raise ValueError("too many groups: PAM takes no line as long as that; make one group of them")
    return tuple(dict.fromkeys(value))


def seconds(duration: str) -> int:
    """How long a duration of the answers is. Raises ValueError saying what is allowed."""
    match = _DURATION.match(duration)
    length = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < length <= _LONGEST:
        raise ValueError(
            f"{_shown(duration)} is not a time such as 30s, 10m, 1h, 7d or 4w, of a year at most"
        )
    return length


def _duration(value: object) -> object:
    assert isinstance(value, str)
    seconds(value)
    return value


def _attempts(value: object) -> object:
    if value not in _ATTEMPTS:
        raise ValueError(f"{_shown(value)} is not from {_ATTEMPTS[0]} to {_ATTEMPTS[-1]}")
    return value


def _networks(value: object) -> object:
    assert isinstance(value, tuple)
    networks = dict[str, None]()
    for each in value:
        try:
            network = ipaddress.ip_network(each)
        except ValueError as error:
            host_bits = "has host bits set" in str(error)
            why = f": it begins at {ipaddress.ip_interface(each).network}" if host_bits else ""
            raise ValueError(
                f"{_shown(each)} is not a network such as 192.0.2.0/24 or 2001:db8::/32{why}"
            ) from None
        if "%" in each:
            raise ValueError(f"{_shown(each)} has a scope, which no ban looks at")
        if network.prefixlen == 0:
            raise ValueError(f"{_shown(each)} would let everybody guess")
        networks[str(network) if "/" in each else each] = None
    if len(networks) > _MOST_NETWORKS:
        raise ValueError(f"more than {_MOST_NETWORKS} networks; name larger ones")
    return tuple(networks)


def _challenge(value: object) -> object:
    assert isinstance(value, str)
    if value and value not in (STANDALONE, WEBROOT, MANUAL) and not _DNS_PLUGIN.match(value):
        allowed = (
            f"{STANDALONE}, {WEBROOT}, {MANUAL}, or a plug-in of certbot for the DNS, such as dns-rfc2136"
        )
        raise ValueError(f"{_shown(value)} is no challenge; allowed: {allowed}")
    return value


def certified_name(value: object) -> str:
    """`value` when a certificate can be for it, else ValueError saying what is allowed; in small letters, without its last dot."""
    name = host_name(str(value))
    if "." not in name.strip(".") or ":" in name or name.replace(".", "").isdigit():
        raise ValueError(f"{_shown(value)} is not a qualified host name, such as mail.example.org")
    return name.rstrip(".").lower()


def _certified_names(value: object) -> object:
    """Separated by commas, whatever separated them before."""
    assert isinstance(value, str)
    names = dict.fromkeys(map(certified_name, value.replace(",", " ").split()))
    if len(names) > MOST_NAMES:
        raise ValueError(f"more than {MOST_NAMES} names, for which no authority signs at once")
    return ",".join(names)


def _path(value: object) -> object:
    value = _pattern(_PATH, "an absolute path (letters, digits and . _ + @ -, 320 at most)")(value)
    assert isinstance(value, str)
    if ".." in value.split("/"):
        raise ValueError(f"{_shown(value)} must not hold ..")
    return value


def _pattern(pattern: re.Pattern[str], allowed: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        assert isinstance(value, str)
        if value and (len(value) > 320 or not pattern.match(value)):
            raise ValueError(f"{_shown(value)} is not {allowed}")
        return value

    return check


def host_name(value: str) -> str:
    """`value` when it is a host name or an IP address, else ValueError saying what is allowed."""
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        if len(value) > 253 or not _HOSTNAME.match(value):
            why = f"{_shown(value)} is not a host name (letters, digits, hyphens and dots) or an IP address"
            raise ValueError(why) from None
        return value


_CHECKS: dict[tuple[str, str], Callable[[object], object]] = {
    ("listen", "submission"): _addresses,
    ("listen", "smtp"): _addresses,
    ("listen", "ipv6"): _flag,
    ("listen", "implicit_tls"): _flag,
    ("listen", "local_submission"): _flag,
    ("auth", "saslauthd_mechanism"): _one_of(MECHANISMS, "not a saslauthd mechanism", _AS_HERE),
    ("auth", "mechanisms"): _mechanisms,
    ("login", "policy"): _one_of(POLICIES, "no policy"),
    ("login", "groups"): _groups,
    ("guess", "limit"): _flag,
    ("guess", "attempts"): _attempts,
    ("guess", "window"): _duration,
    ("guess", "ban"): _duration,
    ("guess", "never"): _networks,
    ("tls", "policy"): _one_of(TLS_POLICIES, "no policy"),
    ("certificate", "challenge"): _challenge,
    ("certificate", "name"): _certified_names,
    ("certificate", "email"): _pattern(_ADDRESS, "a mail address with a domain"),
    ("certificate", "agree_tos"): _flag,
    ("certificate", "server"): _pattern(_DIRECTORY, "the https:// address of an ACME directory"),
    ("certificate", "webroot"): _path,
    ("certificate", "credentials"): _path,
    ("certificate", "auth_hook"): _path,
    ("certificate", "cleanup_hook"): _path,
    ("firewall", "use"): _one_of(FIREWALL_CHOICES, "no firewall known here"),
    ("firewall", "zone"): _pattern(_ZONE, "the name of a zone (letters, digits and _ -, 32 at most)"),
    ("install", "recommends"): _flag,
    ("test", "host"): lambda value: host_name(value) if isinstance(value, str) and value else value,
    ("test", "user"): _pattern(_LOGIN, "a login name (letters, digits and . _ @ + -, 64 at most)"),
    ("test", "send_to"): _pattern(_MAILBOX, "a mail address"),
}


def _across(listen: Listen) -> Iterator[tuple[str, str]]:
    """What is wrong between the answers of [listen]: the key, and why."""
    submission, smtp = (
        [ipaddress.ip_address(address) for address in addresses]
        for addresses in (listen.submission, listen.smtp)
    )
    for key, addresses in (("submission", submission), ("smtp", smtp)):
        four, six = ([address for address in addresses if address.version == version] for version in (4, 6))
        for family in (four, six):
            if len(family) > 1 and any(address.is_unspecified for address in family):
                yield key, "an address that means all of them leaves room for no other"
        if four and any(address.is_unspecified for address in six):
            yield key, '"::" serves IPv4 as well: name it alone, or each address'
        if four and listen.ipv6 and not six:
            yield key, "ipv6 = true, but no IPv6 address is listed; add one, or set it false"
    loopback = any(address.is_unspecified or address.is_loopback for address in submission)
    if listen.local_submission and (loopback or not submission):
        why = "needs addresses in submission, none of them loopback: a listener on every address has 127.0.0.1 too"
        yield "local_submission", why
    if smtp and not any(address.is_unspecified or str(address) == "127.0.0.1" for address in smtp):
        why = 'add "127.0.0.1": mail of local programs goes through port 25 there (submit.mc) and would stop'
        yield "smtp", why


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?  Known: {', '.join(names)}" if near else f"; known: {', '.join(names)}"


def _line(text: str, section: str, key: str) -> int:
    """The line of `section.key`, for messages; tomllib does not keep it."""
    inside = not key
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[\s*[\"']?([^\"'\]]+?)[\"']?\s*\]", line)
        if head:
            inside = head.group(1) == section
            if inside and not key:
                return number
        elif (inside and re.match(rf"\s*[\"']?{re.escape(key or section)}[\"']?\s*[=.]", line)) or re.match(
            rf"\s*{re.escape(section)}\s*[=.]", line
        ):
            return number
    return 1


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return "so large a number"
    return visible(repr(value), 80)


_Part = TypeVar("_Part", Answers, Listen, Auth, Login, Guess, Tls, Certificate, Test, Firewall, Install)


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
