"""What each answer may be: every value is checked before anything sees it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator

from snapshots.visible import visible
from wizard.model.answers import (
    FIREWALL_CHOICES,
    GROUPS,
    MANUAL,
    MECHANISMS,
    POLICIES,
    SERVABLE,
    STANDALONE,
    TLS_POLICIES,
    WEBROOT,
    Listen,
    Login,
)
from wizard.model.mail_address import mailbox

_AS_HERE = "; where it is not set, it stays as this host has it"
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
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&*+/=?^_{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+\Z")
_DIRECTORY = re.compile(r"https://[A-Za-z0-9.:\[\]-]{1,270}(/[A-Za-z0-9._~%/-]*)?\Z")
_PATH = re.compile(r"/[A-Za-z0-9._+@/-]*\Z")
_DNS_PLUGIN = re.compile(r"dns-[a-z0-9]+(-[a-z0-9]+)*\Z")


def ending_id(value: str) -> str:
    """`value` when it can be the id of an ending, else ValueError saying what is allowed."""
    if len(value) > 64 or not _ENDING.match(value):
        expected = "the id of something that would end, such as cf-lines: `msa-wizard plan` names them"
        raise ValueError(f"{shown(value)} is not {expected} (letters a-z, digits and hyphens)")
    return value


def _addresses(value: object) -> object:
    assert isinstance(value, tuple)
    addresses: dict[str, None] = {}
    for address in value:
        try:
            addresses[str(ipaddress.ip_address(address))] = None
        except ValueError:
            why = f"{shown(address)} is not an IP address such as 192.0.2.25 or 2001:db8::25"
            raise ValueError(why) from None
        if "%" in address:
            raise ValueError(f"{shown(address)} has a scope, which sendmail cannot listen on")
    if len(addresses) != len(value):
        raise ValueError("duplicate address; sendmail would stop serving its port within a minute")
    return tuple(addresses)


def _flag(value: object) -> object:
    return value


def _one_of(allowed: tuple[str, ...], what: str, otherwise: str = "") -> Callable[[object], object]:
    def check(value: object) -> object:
        if value not in allowed:
            raise ValueError(f"{shown(value)} is {what}; allowed: {', '.join(allowed)}{otherwise}")
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
            raise ValueError(f"saslauthd cannot serve {shown(mechanism)}: {why}; allowed: {servable}")
    return tuple(dict.fromkeys(value))


def _groups(value: object) -> object:
    assert isinstance(value, tuple)
    for group in value:
        if not _GROUP.match(group):
            allowed = "the name of a group (letters, digits and _ . @ -, single blanks between them, 64 at most, not digits alone)"
            raise ValueError(f"{shown(group)} is not {allowed}")
    if len(":".join(value)) > _MOST_GROUPS:
        raise ValueError("too many groups: PAM takes no line as long as that; make one group of them")
    return tuple(dict.fromkeys(value))


def seconds(duration: str) -> int:
    """How long a duration of the answers is. Raises ValueError saying what is allowed."""
    match = _DURATION.match(duration)
    length = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < length <= _LONGEST:
        raise ValueError(f"{shown(duration)} is not a time such as 30s, 10m, 1h, 7d or 4w, of a year at most")
    return length


def _duration(value: object) -> object:
    assert isinstance(value, str)
    seconds(value)
    return value


def _attempts(value: object) -> object:
    if value not in _ATTEMPTS:
        raise ValueError(f"{shown(value)} is not from {_ATTEMPTS[0]} to {_ATTEMPTS[-1]}")
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
                f"{shown(each)} is not a network such as 192.0.2.0/24 or 2001:db8::/32{why}"
            ) from None
        if "%" in each:
            raise ValueError(f"{shown(each)} has a scope, which no ban looks at")
        if network.prefixlen == 0:
            raise ValueError(f"{shown(each)} would let everybody guess")
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
        raise ValueError(f"{shown(value)} is no challenge; allowed: {allowed}")
    return value


def certified_name(value: object) -> str:
    """`value` when a certificate can be for it, else ValueError saying what is allowed; in small letters, without its last dot."""
    name = host_name(str(value))
    if "." not in name.strip(".") or ":" in name or name.replace(".", "").isdigit():
        raise ValueError(f"{shown(value)} is not a qualified host name, such as mail.example.org")
    return name.rstrip(".").lower()


def certifiable(name: str) -> str:
    """The name as a certificate can be for it; empty where none can, as for *.example.org."""
    try:
        return certified_name(name)
    except ValueError:
        return ""


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
        raise ValueError(f"{shown(value)} must not hold ..")
    return value


def _pattern(pattern: re.Pattern[str], allowed: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        assert isinstance(value, str)
        if value and (len(value) > 320 or not pattern.match(value)):
            raise ValueError(f"{shown(value)} is not {allowed}")
        return value

    return check


def host_name(value: str) -> str:
    """`value` when it is a host name or an IP address, else ValueError saying what is allowed."""
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        if len(value) > 253 or not _HOSTNAME.match(value):
            why = f"{shown(value)} is not a host name (letters, digits, hyphens and dots) or an IP address"
            raise ValueError(why) from None
        return value


CHECKS: dict[tuple[str, str], Callable[[object], object]] = {
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
    ("test", "send_to"): lambda value: mailbox(value) if isinstance(value, str) and value else value,
}
"""What is asked of each, by section and key: the value as it is kept, else ValueError saying what is allowed."""


def across(listen: Listen) -> Iterator[tuple[str, str]]:
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


def unused_groups(login: Login) -> str:
    """A sentence on groups that are named and asked by no policy, empty where there are none."""
    if not login.groups or login.policy == GROUPS:
        return ""
    return f"The policy on logins is {login.policy}: groups ({', '.join(login.groups)}) count only where it is {GROUPS}."


def unknown_groups(login: Login, local: Collection[str]) -> str:
    """A sentence on groups of the policy that are not `local`, those of this host; empty where all are, or none is known. A
    directory may have them: that is looked up by the step alone."""
    unknown = [name for name in login.groups if name not in local]
    if not (local and unknown and login.policy == GROUPS):
        return ""
    are, they = ("is no group", "it is") if len(unknown) == 1 else ("are no groups", "they are")
    return (
        f"{', '.join(unknown)} {are} of this host's /etc/group: unless {they} in a directory (`getent group NAME`), login-policy "
        "cannot be applied."
    )


def shown(value: object) -> str:
    """A value as a message shows it."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "so large a number"
    return visible(repr(value), 80)
