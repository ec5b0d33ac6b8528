"""What can be known before an ACME authority is asked: what the DNS says of the names, what the authority says of itself, and
what of certbot is here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import ssl
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.live.entry import ACL
from wizard.certificates.acme import CERTBOT, HOOK, IDENTITIES, LETS_ENCRYPT, OTHERS, SETTINGS, Caa, caa
from wizard.console import clean
from wizard.editors.daemon_options import is_loopback
from wizard.errors import HostError
from wizard.gather.host import ASK_DPKG, apt_simulation, installed
from wizard.model.answers import MANUAL, STANDALONE, WEBROOT, Certificate
from wizard.model.facts import HOSTS
from wizard.model.step_facts import Acme, NameInDns
from wizard.sendmail.cf_needs import MOST
from wizard.system.host import Host

if TYPE_CHECKING:
    import dns.resolver

PATIENCE = 8.0
"""Seconds for the DNS, and for the authority's directory."""
_MOST = 64 * 1024
_STUB = {"127.0.0.53", "127.0.0.54"}
"""systemd-resolved, which answers by /etc/hosts and by the host's own name before it asks anybody."""
_UPLINKS = "/run/systemd/resolve/resolv.conf"
"""Whom it asks."""
_VERSIONS = {".git", ".gitignore", ".hg", ".hgignore", ".bzr", ".bzrignore", "_darcs", ".etckeeper"}
"""What holds the versions of /etc: etckeeper names each file with its mode."""
_OPTION = re.compile(
    r"""^\s*(?:--)?(authenticator|server|preferred-challenges)\s*[:=\s]\s*(['"]?)(.+?)?\2\s*(?:\s[;#].*)?$"""
)
"""A line of cli.ini, as certbot's ConfigArgParse reads it."""
_SERVER = re.compile(r"^server\s*=\s*(\S+)", re.MULTILINE)
_COPY = re.compile(r".*(?:~|\.bak|\.(?:dpkg|ucf)-\w+)")
"""Copies by editors and packages, which no service reads."""


def look_at_acme(host: Host, wanted: Certificate, names: Sequence[str]) -> Acme:
    """All of it; some seconds where name servers do not answer. Raises HostError where dpkg cannot be asked."""
    packages = needed(wanted.challenge)
    there = installed(host.run([*ASK_DPKG, *packages], timeout=30).stdout)
    missing = tuple(package for package in packages if package not in there)
    with ThreadPoolExecutor(max_workers=16) as pool:
        apt = pool.submit(apt_simulation, host, False, missing) if missing else None
        asked = pool.submit(directory, wanted.server or LETS_ENCRYPT)
        resolved = [pool.submit(_addresses, host, name) for name in names]
        seen = asked.result()
        identities = seen.identities or (() if wanted.server else IDENTITIES)
        forbids = [
            pool.submit(_caa, name, identities, f"{answered_by(wanted.challenge)}-01") for name in names
        ]
        in_dns = (
            replace(dns.result(), **vars(says.result())) for dns, says in zip(resolved, forbids, strict=True)
        )
        return replace(
            seen,
            name=names[0],
            names=tuple(in_dns),
            missing=missing,
            beside=next(filter(host.exists, OTHERS), "") if "certbot" in missing else "",
            apt_plan=apt.result() if apt else None,
            webroot=host.exists(wanted.webroot) if wanted.webroot else False,
            credentials=_has_credentials(host, wanted),
            unfit_hook=next(
                filter(None, (_unfit(host, path) for path in (wanted.auth_hook, wanted.cleanup_hook))), ""
            ),
            renews_by=tuple(_renews_by(host, wanted)),
        )


def needed(challenge: str) -> tuple[str, ...]:
    """Debian's packages for the challenge."""
    plugin = () if challenge in (STANDALONE, WEBROOT, MANUAL) else (f"python3-certbot-{challenge}",)
    return ("certbot", *plugin)


def _has_credentials(host: Host, wanted: Certificate) -> bool:
    if wanted.credentials:
        return host.exists(wanted.credentials)
    return any(f"{wanted.challenge}-credentials" in host.text(path) for path in SETTINGS)


def answered_by(challenge: str) -> str:
    """The kind of the challenge, as certbot calls it."""
    return "http" if challenge in (STANDALONE, WEBROOT) else "dns"


def _renews_by(host: Host, wanted: Certificate) -> Iterator[str]:
    """`certbot renew` takes these from cli.ini, where they stand there, and not from what it was told when it got it."""
    server, kind = wanted.server or LETS_ENCRYPT, answered_by(wanted.challenge)
    for path in SETTINGS:
        # Of several the last counts.
        lines = filter(None, map(_OPTION.match, host.text(path).splitlines()))
        for option, value in {line[1]: line[3] or "" for line in lines}.items():
            right = {
                "authenticator": value == wanted.challenge,
                "server": value == server,
                "preferred-challenges": not {kind, f"{kind}-01"}.isdisjoint(
                    each.strip() for each in value.split(",")
                ),
            }
            if value and not right[option]:
                yield clean(f"`{option} = {value}` in {path}")


def _unfit(host: Host, hook: str) -> str:
    """Why certbot, which is root, is not to run this hook; empty where it can, and where none is chosen."""
    if not hook:
        return ""
    try:
        there = host.path(hook).stat()
        way = [(path, host.path(path).lstat()) for path in _way(host, hook)]
    except OSError:
        return f"{hook} is not there"
    if not stat.S_ISREG(there.st_mode) or not there.st_mode & 0o111:
        return f"{hook} is no program that can be run"
    for path, entry in way:
        if entry.st_uid != 0 or _others_write(host, path, entry):
            named = hook if path == hook else f"{path}, on the way to {hook},"
            return f"{named} can be written by others than root, and certbot would run the hook as root"
    return ""


def _others_write(host: Host, path: str, entry: os.stat_result) -> bool:
    """Whether others than its owner can, but by a link's mode, or in a sticky folder, where what is root's stays."""
    if stat.S_ISLNK(entry.st_mode) or (stat.S_ISDIR(entry.st_mode) and entry.st_mode & stat.S_ISVTX):
        return False
    return bool(entry.st_mode & 0o002) or (
        bool(entry.st_mode & 0o020)  # with an ACL the most that anybody in it may
        and (ACL in os.listxattr(host.path(path)) or not _is_empty(host, entry.st_gid))
    )


def _is_empty(host: Host, gid: int) -> bool:
    """Whether nobody but root is in this group of the host's own: staff, say, which /usr/local is of where Debian 9 was installed."""
    members = re.findall(rf"^[^:\n]+:[^:\n]*:{gid}:(.*)$", host.text("/etc/group"), re.MULTILINE)
    by_first = re.findall(rf"^([^:\n]+):[^:\n]*:\d+:{gid}:", host.text("/etc/passwd"), re.MULTILINE)
    return bool(members) and {*",".join(members).split(","), *by_first} <= {"", "root"}


def _way(host: Host, path: str) -> Iterator[str]:
    """Each folder and link that leads to the file, and the file: whoever owns one of them can put another file there."""
    here, rest = "/", [part for part in path.split("/") if part]
    yield here
    while rest:
        folder, here = here, f"{here.rstrip('/')}/{rest.pop(0)}"
        yield here
        if host.path(here).is_symlink():
            target = str(host.path(here).readlink())
            here, rest = "/" if target.startswith("/") else folder, [*filter(None, target.split("/")), *rest]


def keeps(host: Host, name: str) -> bool:
    """Whether certbot keeps a certificate by this name. Only root can tell."""
    return host.exists(f"{CERTBOT}/live/{name}/fullchain.pem") and host.exists(
        f"{CERTBOT}/renewal/{name}.conf"
    )


def kept_from(host: Host, name: str) -> str:
    """The directory of the authority that signed what certbot keeps by this name; empty where that is not known."""
    server = _SERVER.search(host.text(f"{CERTBOT}/renewal/{name}.conf"))
    return clean(server[1]) if server else ""


def users(host: Host, name: str) -> list[str]:
    """The files and links below /etc that name what certbot keeps by this name, but its own and the hook of this program; no
    comments, nor copies. Only root can tell."""
    named = re.compile(
        rb"^[ \t]*(?![#;\s]|//|--\s|dnl\b).*letsencrypt/(?:archive|live)/"
        + re.escape(name.encode())
        + rb"(?![-.\w])",
        re.MULTILINE,
    )
    own = (
        HOOK,
        *(f"{CERTBOT}/{folder}/{name}" for folder in ("archive", "live")),
        f"{CERTBOT}/renewal/{name}.conf",
    )
    found = []
    for folder, folders, files in os.walk(host.path("/etc")):
        folders[:] = [each for each in folders if each not in _VERSIONS]
        reads_all = folder.endswith("/sites-enabled")  # nginx does, copies too
        for file in (*files, *folders):
            if file in _VERSIONS or (_COPY.fullmatch(file) and not reads_all):
                continue
            path = f"/{Path(folder, file).relative_to(host.path('/'))}"
            its_own = any(path == each or path.startswith(f"{each}/") for each in own)
            if not its_own and named.search(_text(host, path)):
                found.append(clean(path))
    return sorted(found)


def they_use(files: Sequence[str]) -> str:
    """These files, as the beginning of a sentence on what they use."""
    return f"{', '.join(files[:3])} {'use' if len(files) > 1 else 'uses'}"


def _text(host: Host, path: str) -> bytes:
    """What a file holds, or where a link leads to."""
    place = host.path(path)
    try:
        if place.is_symlink():
            return os.fsencode(place.readlink())
        return host.small_file(path, MOST)[0] if place.is_file() else b""
    except (HostError, OSError):
        return b""


def _addresses(host: Host, name: str) -> NameInDns:
    """What A and AAAA say, as far as that can be known on this host."""
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver(str(host.path("/etc/resolv.conf")))
    except (dns.exception.DNSException, OSError) as error:
        return NameInDns(name, unresolved=f"the DNS could not be asked for {name}: {clean(str(error))}")
    by_resolved = bool(_STUB & set(map(str, resolver.nameservers)))
    made_up = _in_hosts_file(host, name) or (by_resolved and _is_hostname(host, name))
    if made_up and by_resolved:
        with contextlib.suppress(dns.resolver.NoResolverConfiguration):  # it knows of nobody
            uplinks = dns.resolver.Resolver(str(host.path(_UPLINKS)))
            uplinks.nameservers = uplinks.nameservers[:2]
            # All links' servers are among them, some of which know their own domains alone: a no of theirs says nothing.
            seen, _ = _asked(uplinks, name, PATIENCE / 2)
            if seen.addresses:
                return seen
    seen, answered = _asked(resolver, name, PATIENCE)
    by_program = any(is_loopback(server.partition("%")[0]) for server in answered)
    return replace(seen, hearsay=bool(seen.addresses) and made_up and by_program)


def _asked(resolver: dns.resolver.Resolver, name: str, patience: float) -> tuple[NameInDns, set[str]]:
    """What its name servers say within so many seconds for each kind of address, and which of them did."""
    import dns.exception
    import dns.resolver

    addresses: list[str] = []
    answered = set[str]()
    try:
        for kind in ("A", "AAAA"):
            answer = resolver.resolve(f"{name}.", kind, lifetime=patience, raise_on_no_answer=False)
            addresses += [str(each) for each in answer.rrset or ()]
            answered.add(str(answer.nameserver))
        why = "" if addresses else f"the DNS has no address for {name}"
    except dns.resolver.NXDOMAIN:
        addresses, why = [], f"the DNS does not know {name}"
    except (dns.exception.DNSException, OSError) as error:
        why = f"the DNS could not be asked for {name}: {clean(str(error))}"
    return NameInDns(name, tuple(addresses), why), answered


def _in_hosts_file(host: Host, name: str) -> bool:
    lines = host.text(HOSTS).splitlines()
    return any(name.lower() in line.partition("#")[0].lower().split()[1:] for line in lines)


def _is_hostname(host: Host, name: str) -> bool:
    return host.text("/etc/hostname").strip().lower() == name.lower()


def _caa(name: str, identities: Sequence[str], method: str) -> Caa:
    """What CAA says of it: the records that count are the name's own, else those of the nearest domain above that has some. Empty
    where the DNS cannot be asked: the authority asks for itself."""
    import dns.exception
    import dns.resolver

    for domain in _upwards(name):
        try:
            answer = dns.resolver.resolve(f"{domain}.", "CAA", lifetime=PATIENCE)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
        except (dns.exception.DNSException, OSError):
            return Caa()
        issue = [item.value.decode("latin-1") for item in answer if item.tag.lower() == b"issue"]
        return caa(domain, [clean(value) for value in issue], identities, method)
    return Caa()


def _upwards(name: str) -> Iterator[str]:
    labels = name.split(".")
    for at in range(len(labels)):
        yield ".".join(labels[at:])


def directory(server: str) -> Acme:
    """What the authority says of itself (RFC 8555, 7.1.1), or why it does not; asked as certbot asks, without the shell's proxy."""
    import urllib.request  # here, since every look imports this module, and few ask an authority
    from http.client import HTTPException
    from urllib.error import URLError

    if not server.startswith("https://"):
        return Acme(unreachable=f"{server} is no https address")
    try:
        https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
        with opener.open(server, timeout=PATIENCE) as answer:
            said = json.loads(answer.read(_MOST))
        if not isinstance(said, dict) or "newOrder" not in said:
            return Acme(unreachable=f"{server} is no ACME directory")
        terms, identities = _meta(said.get("meta"))
        return Acme(terms=terms, identities=identities)
    except (
        ValueError,
        RecursionError,
        HTTPException,
    ):  # other text, text within text for ever, or no HTTP at all
        return Acme(unreachable=f"{server} is no ACME directory")
    except (URLError, OSError) as error:
        why = error.reason if isinstance(error, URLError) else error
        proxied = "https" in urllib.request.getproxies()
        return Acme(unreachable=f"{server} cannot be reached: {clean(str(why))}", proxied=proxied)


def _meta(meta: object) -> tuple[str, tuple[str, ...]]:
    """Where the terms are, and what CAA records call the authority; what is of another type says nothing."""
    if not isinstance(meta, dict):
        return "", ()
    terms, identities = meta.get("termsOfService"), meta.get("caaIdentities")
    names = identities if isinstance(identities, list) else []
    return (
        clean(terms)[:200] if isinstance(terms, str) else "",
        tuple(each for each in names if isinstance(each, str)),
    )
