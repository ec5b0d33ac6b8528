"""Howto 5.3, for a certificate from an authority: checked first, then put where sendmail looks for it.

A certificate that certbot keeps is copied, not referred to: sendmail's own demands on owner and mode hold for it, the
snapshot has it, and a hook brings each renewal."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from snapshots.live.entry import Entry, Kind
from templates import render
from wizard.certificates import (
    Certificate,
    as_pem,
    certificates,
    chain_error,
    judge,
    private_key,
    self_issued,
)
from wizard.certificates.acme import CERTBOT, HOOK
from wizard.certificates.handshake import judged
from wizard.console import clean
from wizard.errors import HostError, PemError, UsageError
from wizard.gather.certificates import CHAIN, whole_chain
from wizard.model import facts as f
from wizard.model.answer_checks import certified_name
from wizard.model.plan import Step
from wizard.sendmail.cf_needs import MOST, TlsFiles, group, open_to, trusted_user
from wizard.steps.certificate import CertificateStep, Pair, own_name
from wizard.system.host import Host

_LINEAGE = re.compile(rf"({CERTBOT}/live/[A-Za-z0-9._-]+)/[^/]+")
HOOKS = f"{CERTBOT}/renewal-hooks"
_TAKEN = ("self-signed", "authority", "expires-soon")
"""What an admin may want all the same. The rest is refused: it can be put right before the certificate is installed."""
_WRONG_ORDER = "put them in order: the server's first, each one's issuer behind it"


@dataclass(frozen=True)
class Source:
    """What the admin named: absolute paths, and the name that clients know this host by."""

    certificate: str
    key: str
    chain: str = ""
    name: str = ""

    @property
    def lineage(self) -> str:
        """The folder in which certbot keeps both, empty when it does not."""
        matches = [_LINEAGE.fullmatch(path) for path in (self.certificate, self.key)]
        return matches[0][1] if matches[0] and matches[1] and matches[0][1] == matches[1][1] else ""


@dataclass(frozen=True)
class CertificateInstall(CertificateStep):
    """Puts a pair that was checked in the place of the one that is there."""

    source: Source = Source("", "")
    digests: tuple[str, ...] = ()

    id = "certificate-install"
    title = "Install a certificate from an authority"
    why = "Mail clients trust a certificate from an authority that they know, and ask nobody about it."

    def reason(self) -> str:
        """Where it comes from."""
        return f"{self.source.certificate} is to be the server's certificate"

    def request(self) -> dict[str, object]:
        """The paths, and the hashes of what they held."""
        return {**vars(self.source), "digests": list(self.digests)}

    def rebuild(self, host: Host, request: Mapping[str, object]) -> Step:
        """From the same files. Raises HostError when they are gone, or hold something else."""
        source = Source(*(str(request[name]) for name in ("certificate", "key", "chain", "name")))
        step = chosen(host, source)
        if list(step.digests) != request["digests"]:
            raise HostError(f"{source.certificate} or {source.key} holds something else by now")
        return step


def installation(host: Host, cert: str, key: str, chain: str = "", name: str = "") -> Step:
    """The step `certificate-install` for these files, checked. Raises UsageError, HostError."""
    known = checked_name(name) if name else own_name(host)
    cert, key, chain = (_absolute(path) if path else "" for path in (cert, key, chain))
    return chosen(host, Source(cert, key, chain, known))


def _absolute(path: str) -> str:
    """With what a shell makes of `~/`, and a form does not."""
    return str((Path(path).expanduser() if path.startswith("~/") else Path(path)).absolute())


def checked_name(name: str) -> str:
    """A host name for a certificate. Raises UsageError."""
    try:
        return certified_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _contents(host: Host, source: Source) -> dict[str, bytes]:
    """What each of the files holds. Raises HostError that names all that cannot be read."""
    contents, problems = {}, []
    for path in filter(None, (source.certificate, source.key, source.chain)):
        try:
            contents[path] = host.small_file(path, MOST)[0]
        except HostError as problem:
            problems.append(problem)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise HostError("; ".join(map(str, problems)))
    return contents


def chosen(host: Host, source: Source) -> CertificateInstall:
    """The step, with the pair of `source`, checked; nothing is changed yet.

    Raises HostError that says what is wrong with it, and what to do."""
    cf = host.entry(f.SENDMAIL_CF)
    files = TlsFiles.of(cf.content.decode("latin-1") if cf else "")
    contents = _contents(host, source)
    ders = _read(source.certificate, contents[source.certificate])
    if source.chain:
        ders += [der for der in _read(source.chain, contents[source.chain]) if der not in ders]
    try:
        key = private_key(contents[source.key])
    except PemError as error:
        raise UnfitError(f"{source.key} {error}", _key_remedy(source.key, contents[source.key])) from error
    notes = [*_warnings(host, source, ders, key)]
    pair = Pair(as_pem(ders), key, as_pem(ders))
    digests = tuple(hashlib.sha256(content).hexdigest() for content in contents.values())
    smmsp, trusted = group(host, "smmsp"), trusted_user(host, files)
    step = CertificateInstall(
        files=files, pair=pair, group=smmsp, trusted=trusted, source=source, digests=digests
    )
    if source.lineage:
        step = replace(step, beside=tuple(hook(step)))
        note = f"certbot runs {HOOK} after each renewal: it installs the new pair and restarts sendmail"
        notes.append(note)
    elif source.certificate.startswith(f"{CERTBOT}/"):
        note = "certificate and key are not both in one folder of /etc/letsencrypt/live: renewals are not installed automatically"
        notes.append(note)
    return replace(step, notes=tuple(notes))


def _read(path: str, content: bytes) -> list[bytes]:
    try:
        return certificates(content)
    except PemError as error:
        how = "another format? `openssl x509 -inform der -in FILE -out FILE.pem`"
        if b"-----BEGIN" in content:
            how = "name the certificate first, then its key" if b"PRIVATE KEY-----" in content else ""
        raise UnfitError(f"{path} {error}", how if content else "") from error


def _key_remedy(path: str, content: bytes) -> str:
    if b"ENCRYPTED" in content:
        key = shlex.quote(path)
        return f"install one without: `(umask 077; openssl pkey -in {key} -out {key}.open)`"
    return "name the certificate first, then its key" if b"-----BEGIN CERTIFICATE-----" in content else ""


def _pair_remedy(why: str, source: Source) -> str:
    if not why.startswith("the key is not"):
        return "have another one made, with a key of RSA 2048 or EC 256 bits"
    certificate, key = shlex.quote(source.certificate), shlex.quote(source.key)
    return (
        "give the key that this certificate was asked for with: of a pair these two print the same, "
        f"`openssl x509 -in {certificate} -noout -pubkey` and `openssl pkey -in {key} -pubout`"
    )


def _warnings(host: Host, source: Source, ders: list[bytes], key: bytes) -> list[str]:
    """What is worth saying of a pair that clients will take. Raises HostError when they will not."""
    if why := chain_error(ders):
        raise UnfitError(f"the chain is not in order: {why}", _WRONG_ORDER)
    try:
        seen = judged(as_pem(ders), key, source.name, clean)
        rooted = self_issued(ders[-1]) and len(ders) > 1
        own = judged(as_pem(ders), key, source.name, clean, root=ders[-1]) if rooted else seen
    except PemError as error:
        pair = f"{source.certificate} with {source.key}"
        raise UnfitError(f"{pair}: {error}", _pair_remedy(str(error), source)) from error
    objections = judge(seen if own.trusted else own, source.name)
    for each in objections:
        if each.kind not in _TAKEN:
            raise UnfitError(f"{source.certificate}: it {each.says}", _remedy(each.kind, source, seen))
    sentences = [f"{source.certificate}: it {each.says}" for each in objections]
    mode = host.small_file(source.key, MOST)[1].st_mode & 0o7777
    if mode & 0o004:
        readable = f"everybody on this host can read {source.key} (mode {mode:04o})"
        sentences.append(f"{readable}: is it still a secret?")
    return sentences


def _remedy(kind: str, source: Source, seen: Certificate) -> str:
    if kind == "name":
        return (
            f"do clients know this host by another name than {source.name}? Then say so: --name NAME (on the screens, save it by "
            'F2 in the field Name of "Get a certificate")'
        )
    if kind == "chain":
        return "; or ".join(whole_chain(seen))
    return CHAIN if kind == "refused" else ""


class UnfitError(HostError):
    """A pair that sendmail must not get: what is wrong with it, and what whoever installs it can do."""

    def __init__(self, what: str, how: str) -> None:
        self.what = what
        super().__init__(f"{what}. {f'What to do: {how}. ' if how else ''}Nothing was changed")


def hook(step: CertificateInstall) -> list[tuple[str, Entry]]:
    """The hook, and the folders on its way."""
    text = render(
        "certbot_hook.sh.j2",
        name=shlex.quote(step.source.name),
        lineage=shlex.quote(step.source.lineage),
        certificate=shlex.quote(step.files.certificate),
        key=shlex.quote(step.files.key),
        client=shlex.quote(step.files.client_certificate if step.files.shared else ""),
        group=step.group,
        trusted=step.trusted,
        key_mode="0640" if step.files.group_readable else "0600",
        key_unsafe=f"{open_to(step.files, key=True):04o}",
    )
    folders = (CERTBOT, HOOKS, str(PurePosixPath(HOOK).parent))
    entries = [(path, Entry(Kind.DIRECTORY, 0o755, 0, 0)) for path in folders]
    return [*entries, (HOOK, Entry(Kind.FILE, 0o755, 0, 0, text.encode()))]
