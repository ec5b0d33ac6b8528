"""Howto 5.3: a new self-signed certificate, with the subjectAltName that Debian's script leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from snapshots.live.entry import Entry, Kind
from wizard.certificates import self_signed as maker
from wizard.certificates.key_pair import fits
from wizard.certificates.pem import certificates, private_key, self_issued
from wizard.errors import HostError, PemError
from wizard.model import facts as f
from wizard.model.plan import Step
from wizard.sendmail.tls_files import MOST, TlsFiles, group, unsafe
from wizard.steps.certificate_step import CertificateStep, Pair
from wizard.system.host import Host


@dataclass(frozen=True)
class CertificateRenew(CertificateStep):
    """The howto removes the certificate and runs sendmailconfig, which makes a new one for the same key: so does this,
    but for sendmailconfig, which would change more. A key that can no longer serve is made again."""

    names: tuple[str, ...] = ()
    days: int = maker.DAYS

    id = "certificate-renew"
    title = "Make a new self-signed certificate"
    why = (
        "Debian's certificate has no subjectAltName, so today's mail clients find no name in it; and every certificate "
        "ends one day."
    )

    def reason(self) -> str:
        """What it will be for."""
        return f"a new certificate for {', '.join(self.names)}, for {self.days} days"

    def request(self) -> dict[str, object]:
        """The certificate itself, which is no secret; a new key is in memory only."""
        return {
            "names": list(self.names),
            "days": self.days,
            "certificate": self.pair.certificate.decode(),
            "key": "stays" if self.pair.key is None else "is new" if self.pair.client else "is put right",
        }

    def rebuild(self, host: Host, request: Mapping[str, object]) -> Step:
        """The same certificate for the same key. Raises HostError when the key was a new one, and TypeError or ValueError
        for a request that is none."""
        if request["key"] == "is new":
            raise HostError("its new private key was in memory only")
        names = request["names"]
        if not isinstance(names, list):
            raise TypeError("the names are not a list")
        step = _shaped(host, tuple(map(str, names)), int(str(request["days"])))
        key = host.small_file(step.files.key, MOST)[0]
        repaired = key if request["key"] == "is put right" else None
        pair = Pair(str(request["certificate"]).encode(), repaired)
        if why := fits(pair.certificate, private_key(key)):
            raise HostError(why)
        return _linked(host, replace(step, pair=pair, key_before=key))


def renewed(host: Host, names: Sequence[str], days: int, *, replace_authority: bool) -> CertificateRenew:
    """The step, with a certificate made for `names`; nothing is changed yet.

    Raises HostError when it cannot be made, or would take the place of an authority's unasked."""
    step = _shaped(host, tuple(names), days)
    if not (step.files.certificate and step.files.key):
        return step  # its plan says so
    if not replace_authority:
        _must_be_self_signed(host, step.files.certificate)
    kept, why = _usable_key(host, step.files)
    if kept is None:
        key = maker.new_key(host)
        client = maker.self_signed(host, key, names, days, client=True)
        pair = Pair(maker.self_signed(host, key, names, days), key, client)
        step = replace(step, pair=pair, notes=(f"the private key is made again: {why}",))
    else:
        pair = Pair(maker.self_signed(host, private_key(kept), names, days), kept if why else None)
        note = f"the private key stays; its owner and mode are put right: {why}" if why else _STAYS
        step = replace(step, pair=pair, key_before=kept, notes=(note,))
    return _linked(host, step)


_STAYS = "the private key stays: clients that accepted the certificate by its key need not do so again"


def _shaped(host: Host, names: tuple[str, ...], days: int) -> CertificateRenew:
    cf = host.entry(f.SENDMAIL_CF)
    files = TlsFiles.of(cf.content.decode("latin-1") if cf else "")
    return CertificateRenew(files=files, group=group(host, "smmsp"), names=names, days=days)


def _linked(host: Host, step: CertificateRenew) -> CertificateRenew:
    """With the link that update_tls would make, so that programs of this host trust the certificate."""
    if step.files.certificate != f.SERVER_CERT:
        return step
    path = maker.link_name(host, step.pair.certificate)
    if host.exists(path) or host.entry(path) is not None:
        return step
    return replace(step, beside=((path, Entry(Kind.SYMLINK, 0o777, 0, 0, f.SERVER_CERT.encode())),))


def _must_be_self_signed(host: Host, path: str) -> None:
    try:
        own = certificates(host.small_file(path, MOST)[0])[0]
    except (HostError, PemError):
        return  # there is none to lose
    if not self_issued(own):
        raise HostError(
            f"the certificate in {path} is from an authority, and a self-signed one would take its place. Get a new one "
            "there and use `msa-wizard certificate install`; or, if you mean it, `certificate renew --self-signed`. "
            "Nothing was changed"
        )


def _usable_key(host: Host, files: TlsFiles) -> tuple[bytes | None, str]:
    """The content of the key file that can stay, or None; and why not, or what must be put right."""
    try:
        content = host.small_file(files.key, MOST)[0]
        key = private_key(content)
        why = unsafe(host, files.key, files, key=True)
        unusable = fits(maker.self_signed(host, key, ("localhost",), 1), key)
    except HostError as error:
        return None, str(error)
    except PemError as error:
        return None, f"{files.key} {error}"
    return (None, unusable) if unusable else (content, why or "")
