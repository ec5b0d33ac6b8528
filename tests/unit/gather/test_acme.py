"""What a server says that is asked for its ACME directory: a directory, or anything else."""

from __future__ import annotations

import http.client
import io
import os
import socket
import struct
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dns.exception
import dns.resolver
import dns.rrset
import pytest

from wizard.certificates.acme import Caa
from wizard.gather import acme
from wizard.gather.acme import directory, look_at_acme, needed
from wizard.model.answers import MANUAL, STANDALONE, WEBROOT, Certificate
from wizard.model.step_facts import Acme, NameInDns
from wizard.system.host import Completed, Host

SERVER = "https://ca.example.org/dir"
META = '{"newOrder": "https://ca.example.org/order", "meta": %s}'


def said(monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception) -> Acme:
    def opened(*_: Any, **__: Any) -> io.BytesIO:
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", opened)
    return directory(SERVER)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 60_000,
        http.client.BadStatusLine("220 mail.example.org ESMTP"),
        http.client.IncompleteRead(b""),
    ],
)
def test_a_server_of_another_kind_is_no_acme_directory(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception
) -> None:
    assert said(monkeypatch, answer) == Acme(unreachable=f"{SERVER} is no ACME directory")


@pytest.mark.parametrize(
    "meta",
    ["null", '"x"', "[1]", "7", '{"termsOfService": null, "caaIdentities": null}', '{"caaIdentities": "x"}'],
)
def test_what_an_authority_leaves_open_is_not_known(monkeypatch: pytest.MonkeyPatch, meta: str) -> None:
    assert said(monkeypatch, (META % meta).encode()) == Acme()


def test_what_an_authority_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    meta = '{"termsOfService": "https://ca.example.org/t\\u001b[2J", "caaIdentities": ["ca.example.org", 7, null]}'
    seen = said(monkeypatch, (META % meta).encode())
    assert (seen.unreachable, seen.identities) == ("", ("ca.example.org",))
    assert seen.terms.startswith("https://ca.example.org/t")
    assert "\x1b" not in seen.terms


def test_the_authority_is_asked_as_certbot_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the proxy of the shell, which certbot is not given."""
    asked = list[str]()

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> None:
        asked.append(address[0])
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "create_connection", connect)
    for shell, proxied in (("", False), ("http://user:secret@proxy.example.org:3128", True)):
        monkeypatch.setenv("https_proxy", shell)
        seen = directory(SERVER)
        assert (seen.unreachable, seen.proxied) == (f"{SERVER} cannot be reached: refused", proxied)
    assert asked == ["ca.example.org", "ca.example.org"]


def nobody_is_asked(monkeypatch: pytest.MonkeyPatch, here: tuple[str, ...] = ()) -> None:
    """Neither dpkg nor apt, nor the DNS, nor an authority; these packages are installed."""
    monkeypatch.setattr(acme, "installed", lambda _: here)
    monkeypatch.setattr(acme, "apt_simulation", lambda *_: None)
    monkeypatch.setattr(acme, "_addresses", lambda _, name: NameInDns(name))
    monkeypatch.setattr(acme, "directory", lambda _: Acme())
    monkeypatch.setattr(acme, "_caa", lambda *_: Caa())
    monkeypatch.setattr(Host, "run", lambda *_, **__: Completed((), 0, "", "", 0.1))


@pytest.mark.parametrize(
    ("here", "path", "beside"),
    [
        ((), "/usr/local/bin/certbot", "/usr/local/bin/certbot"),
        ((), "/snap/bin/certbot", "/snap/bin/certbot"),
        ((), "/usr/bin/certbot", "/usr/bin/certbot"),
        (("certbot",), "/usr/bin/certbot", ""),
        (("certbot",), "/usr/local/bin/certbot", ""),
        ((), "/usr/bin/other", ""),
    ],
)
def test_another_certbot_than_debians_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: tuple[str, ...], path: str, beside: str
) -> None:
    nobody_is_asked(monkeypatch, here)
    host = Host(tmp_path)
    host.path(path).parent.mkdir(parents=True)
    host.path(path).touch()
    assert look_at_acme(host, Certificate(STANDALONE), ("mail.example.org",)).beside == beside


NAME, OUTSIDE, IN_FILE = "mail.example.org", "198.51.100.7", "127.0.1.1"


def resolving(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    servers: Sequence[str],
    uplinks: Sequence[str],
    hosts: str,
) -> None:
    """192.0.2.53 says what everybody is told, 192.0.2.44 knows its own domain alone, 192.0.2.99 does not answer."""
    for path, lines in (
        ("/etc/resolv.conf", [f"nameserver {each}" for each in servers]),
        ("/run/systemd/resolve/resolv.conf", [f"nameserver {each}" for each in uplinks]),
        ("/etc/hosts", [hosts]),
    ):
        host.path(path).parent.mkdir(parents=True, exist_ok=True)
        host.path(path).write_text("\n".join(["# written by a program", *lines]))

    class Answer:
        def __init__(self, nameserver: str, kind: str) -> None:
            address = OUTSIDE if nameserver == "192.0.2.53" else IN_FILE
            self.nameserver = nameserver
            self.rrset = dns.rrset.from_text(f"{NAME}.", 60, "IN", "A", address) if kind == "A" else None

    def resolve(resolver: dns.resolver.Resolver, _: str, kind: str, **__: Any) -> Answer:
        for server in map(str, resolver.nameservers):
            if server == "192.0.2.44":
                raise dns.resolver.NXDOMAIN
            if server != "192.0.2.99":
                return Answer(server, kind)
        raise dns.exception.Timeout

    monkeypatch.setattr(dns.resolver.Resolver, "resolve", resolve)


@pytest.mark.parametrize(
    ("servers", "uplinks", "hosts", "seen", "hearsay"),
    [
        # systemd-resolved has more to say than /etc/hosts: whom it asks itself is asked.
        (("127.0.0.53",), ("192.0.2.53",), f"{IN_FILE} {NAME} mail\n", OUTSIDE, False),
        (("127.0.0.53",), ("192.0.2.99",), f"{IN_FILE} {NAME} mail\n", IN_FILE, True),  # does not answer
        (
            ("127.0.0.53",),
            ("192.0.2.44",),
            f"{IN_FILE} {NAME} mail\n",
            IN_FILE,
            True,
        ),  # knows its own domain alone
        (("127.0.0.53",), ("192.0.2.44",), "127.0.0.1 localhost\n", IN_FILE, False),  # is not asked at all
        (("127.0.0.53",), ("192.0.2.53",), "127.0.0.1 localhost\n", IN_FILE, False),
        (("127.0.0.53",), (), f"{IN_FILE} {NAME} mail\n", IN_FILE, True),
        (("127.0.0.1",), (), f"{IN_FILE} Mail.Example.Org\n", IN_FILE, True),  # dnsmasq
        (("::1",), (), f"{IN_FILE}\tmail {NAME} # own\n", IN_FILE, True),
        (("127.0.0.1",), (), f"{IN_FILE} mail # {NAME}\n", IN_FILE, False),  # not named there: unbound, say
        (("192.0.2.53",), (), f"{IN_FILE} {NAME} mail\n", OUTSIDE, False),
    ],
)
def test_what_etc_hosts_says_is_not_taken_for_the_dns(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    servers: tuple[str, ...],
    uplinks: tuple[str, ...],
    hosts: str,
    seen: str,
    hearsay: bool,
) -> None:
    host = Host(tmp_path)
    resolving(host, monkeypatch, servers, uplinks, hosts)
    assert acme._addresses(host, NAME) == NameInDns(NAME, (seen,), hearsay=hearsay)


@pytest.mark.parametrize(
    ("uplink", "seen", "hearsay"), [("192.0.2.53", OUTSIDE, False), ("192.0.2.44", IN_FILE, True)]
)
def test_systemd_resolved_knows_the_hosts_own_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uplink: str, seen: str, hearsay: bool
) -> None:
    host = Host(tmp_path)
    resolving(host, monkeypatch, ["127.0.0.53"], [uplink], "127.0.0.1 localhost\n")
    host.path("/etc/hostname").write_text(f"{NAME}\n")
    assert acme._addresses(host, NAME) == NameInDns(NAME, (seen,), hearsay=hearsay)


def test_what_certbot_would_renew_by_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_is_asked(monkeypatch)
    host = Host(tmp_path)
    for path, text in (
        ("/etc/letsencrypt/cli.ini", "max-log-backups = 0\n# server = x\nauthenticator = webroot\n"),
        (
            "/root/.config/letsencrypt/cli.ini",
            'preferred-challenges: dns-01,tls-alpn\nserver="https://x/dir"\n',
        ),
    ):
        host.path(path).parent.mkdir(parents=True)
        host.path(path).write_text(text)

    def seen(challenge: str, server: str = "") -> list[str]:
        wanted = Certificate(challenge, server=server, webroot="/srv")
        return [
            each.partition("`")[2].partition("`")[0] for each in look_at_acme(host, wanted, (NAME,)).renews_by
        ]

    webroot, by_dns, other = (
        "authenticator = webroot",
        "preferred-challenges = dns-01,tls-alpn",
        "server = https://x/dir",
    )
    assert seen(STANDALONE) == [webroot, by_dns, other]
    assert seen(WEBROOT, "https://x/dir") == [by_dns]
    assert seen("dns-rfc2136", "https://x/dir") == [webroot]


@pytest.mark.parametrize(
    ("line", "challenge", "seen"),
    [
        ("preferred-challenges = dns, http", STANDALONE, ""),
        ("preferred-challenges = dns, http", MANUAL, ""),
        ("preferred-challenges = 'tls-alpn , http-01'  # by port 80", WEBROOT, ""),
        ("preferred-challenges dns , tls-alpn ; only", STANDALONE, "preferred-challenges = dns , tls-alpn"),
        ("--preferred-challenges dns", STANDALONE, "preferred-challenges = dns"),
        ("authenticator =", STANDALONE, ""),
        ("authenticator =   \t", STANDALONE, ""),
        ("authenticator = webroot\nauthenticator = standalone", STANDALONE, ""),
        ("server = https://x/dir#a;b", STANDALONE, "server = https://x/dir#a;b"),
        ("preferred-challenges-too = dns", STANDALONE, ""),
        ("; server = https://x/dir", STANDALONE, ""),
    ],
)
def test_its_settings_are_read_as_certbot_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, challenge: str, seen: str
) -> None:
    nobody_is_asked(monkeypatch)
    host = Host(tmp_path)
    host.path("/etc/letsencrypt").mkdir(parents=True)
    host.path("/etc/letsencrypt/cli.ini").write_text(f"max-log-backups = 0\n{line}\n")
    said = look_at_acme(host, Certificate(challenge, webroot="/srv"), (NAME,)).renews_by
    assert said == ((f"`{seen}` in /etc/letsencrypt/cli.ini",) if seen else ())


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize(
    ("mode", "owner", "unfit"),
    [
        (0o755, 0, ""),
        (0o500, 0, ""),
        (None, 0, "/root/hook is not there"),
        (0o644, 0, "/root/hook is no program that can be run"),
        (0o775, 0, "/root/hook can be written by others than root, and certbot would run the hook as root"),
        (0o757, 0, "/root/hook can be written by others than root, and certbot would run the hook as root"),
        (
            0o755,
            1000,
            "/root/hook can be written by others than root, and certbot would run the hook as root",
        ),
    ],
)
def test_a_hook_is_roots_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None, owner: int, unfit: str
) -> None:
    nobody_is_asked(monkeypatch)
    host = Host(tmp_path)
    hook = host.path("/root/hook")
    hook.parent.mkdir()
    if mode is not None:
        hook.touch()
        hook.chmod(mode)
        os.chown(hook, owner, 0)
    for wanted in (
        Certificate(MANUAL, auth_hook="/root/hook"),
        Certificate(MANUAL, cleanup_hook="/root/hook"),
    ):
        assert look_at_acme(host, wanted, ("mail.example.org",)).unfit_hook == unfit
    assert needed(MANUAL) == ("certbot",)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize(
    ("hook", "others"),
    [
        ("/usr/local/sbin/hook", ""),
        ("/home/alice/bin/hook", "/home/alice"),
        ("/srv/open/hook", "/srv/open"),
        ("/srv/open/../hook", "/srv/open"),
        ("/tmp/hook", ""),  # sticky: nobody but root moves what is root's
        ("/tmp/link", "/tmp/link"),
        ("/srv/absolute", "/home/alice"),
        ("/srv/relative/hook", "/home/alice"),
        ("/srv/hop", "/home/alice"),  # by a link there to a place that is root's alone
    ],
)
def test_nobody_else_can_put_another_hook_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str, others: str
) -> None:
    """Where links lead to is told by the real root alone."""
    nobody_is_asked(monkeypatch)
    top = tmp_path / "top"
    folders = {"home/alice/bin": 0o755, "srv/open": 0o775, "tmp": 0o1777, "usr/local/sbin": 0o755}
    for folder, mode in folders.items():
        (top / folder).mkdir(parents=True)
        (top / folder).chmod(mode)
    for file in ("srv/hook", *(f"{folder}/hook" for folder in folders)):
        (top / file).touch()
        (top / file).chmod(0o755)
    for link, target in {
        "srv/absolute": f"{top}/home/alice/bin/hook",
        "srv/relative": "../home/alice/bin",
        "home/alice/back": "../../usr/local/sbin/hook",
        "srv/hop": "../home/alice/back",
        "tmp/link": "../usr/local/sbin/hook",
    }.items():
        (top / link).symlink_to(target)
    os.chown(top / "home/alice", 1000, 0)
    os.chown(top / "srv/open", 0, 54321)
    os.lchown(top / "tmp/link", 1000, 0)
    path = f"{top}{hook}"
    seen = look_at_acme(Host(), Certificate(MANUAL, auth_hook=path), (NAME,)).unfit_hook
    named = path if others == hook else f"{top}{others}, on the way to {path},"
    says = "can be written by others than root, and certbot would run the hook as root"
    assert seen.replace("/srv/../home", "/home") == (f"{named} {says}" if others else "")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize(
    ("group", "passwd", "acl", "fit"),
    [
        ("staff:x:50:", "alice:x:1000:1000::/home/alice:/bin/sh", False, True),
        ("staff:x:50:root", "root:x:0:50::/root:/bin/sh", False, True),
        ("staff:x:50:alice", "alice:x:1000:1000::/home/alice:/bin/sh", False, False),
        ("staff:x:50:", "alice:x:1000:50::/home/alice:/bin/sh", False, False),
        ("staff:x:50:\nlocal:x:50:alice", "", False, False),
        ("users:x:100:", "", False, False),  # of another directory than /etc/group
        ("staff:x:50:", "", True, False),
    ],
)
def test_a_group_without_members_is_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, passwd: str, acl: bool, fit: bool
) -> None:
    """As /usr/local is on a host that was installed as Debian 9 or earlier."""
    nobody_is_asked(monkeypatch)
    host = Host(tmp_path)
    hook = host.path("/usr/local/sbin/hook")
    hook.parent.mkdir(parents=True)
    hook.touch(mode=0o755)
    for folder in (hook.parent.parent, hook.parent):
        os.chown(folder, 0, 50)
        folder.chmod(0o2775)
    if acl:
        # user, the user 1000, group, mask, others: <linux/posix_acl.h>, posix_acl_xattr.h
        entries = ((0x01, 7, -1), (0x02, 7, 1000), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1))
        packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
        os.setxattr(hook.parent, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    host.path("/etc").mkdir()
    host.path("/etc/group").write_text(f"root:x:0:\n{group}\n")
    host.path("/etc/passwd").write_text(f"{passwd}\n")
    seen = look_at_acme(host, Certificate(MANUAL, auth_hook="/usr/local/sbin/hook"), (NAME,)).unfit_hook
    assert (seen == "") == fit
