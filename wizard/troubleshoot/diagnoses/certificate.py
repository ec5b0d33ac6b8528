"""The certificate as mail clients judge it (howto 5.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from wizard.certificates import Certificate, judge
from wizard.certificates.acme import CERTBOT
from wizard.gather.certificates import ENDING, TODAYS, renewing
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_INSTALL = "`msa-wizard certificate obtain` gets one from an authority, `msa-wizard certificate install CERT KEY` installs one that you have"
_GET = (
    "`msa-wizard certificate obtain` gets one from an authority such as Let's Encrypt, `msa-wizard certificate install CERT KEY` "
    "installs one that you have; or let each user accept this one"
)
_RENEW = (
    "`msa-wizard certificate obtain` gets one from an authority, `msa-wizard certificate renew` makes a self-signed one for this "
    "host's name"
)
_CHAIN = (
    "`msa-wizard certificate install CERT KEY --chain FILE` installs it with the intermediate certificates; get one from the authority "
    f"itself, if this one is from its staging environment; or {TODAYS}"
)


def _certificate(picture: Picture) -> tuple[Certificate | None, str]:
    """The one that the server sends, else the one on disk; and where it was seen."""
    on_disk = picture.files.parsed
    for talk in picture.submissions:
        if sent := talk.certificate:
            if on_disk is not None and on_disk.fingerprint_sha256 == sent.fingerprint_sha256:
                # Only that one was tried with this host's authorities.
                tried = {name: getattr(on_disk, name) for name in ("trusted", "refusal", "refusal_says")}
                tried["chain"] = sent.chain or on_disk.chain  # an older Python does not tell what was sent
                return replace(sent, **tried), f"{picture.files.certificate}, which {talk.source} sends"
            return sent, f"the certificate that {talk.source} sends"
    return on_disk, picture.files.certificate


def _judged(kind: str, remedy: str) -> Callable[[Picture], Finding | None]:
    """A diagnosis of what the one judgement says under `kind`; `remedy` "" where a new certificate is needed."""

    def look(picture: Picture) -> Finding | None:
        seen, source = _certificate(picture)
        if seen is None:
            return None
        now = datetime.fromtimestamp(picture.now, UTC)
        name = picture.answers.test.host or picture.client_name
        says = next((each for each in judge(seen, name, now) if each.kind == kind), None)
        if says is None:
            return None
        return Finding(
            f"the certificate {says.says}",
            _evidence(kind, seen, source, now),
            _mend(picture, seen, kind, remedy),
            says.sign,
        )

    return look


def _evidence(kind: str, seen: Certificate, source: str, now: datetime) -> tuple[Evidence, ...]:
    if kind == "not-yet-valid":
        words = f"{seen.subject}: from {seen.not_before:%F %R} UTC"
        return Evidence(words, source), Evidence(f"{now:%F %R} UTC", "the clock")
    more = {
        "expired": f"until {seen.not_after:%F %R} UTC",
        "expires-soon": f"until {seen.not_after:%F %R} UTC",
        "key-small": seen.key,
        "name": f"names {', '.join(seen.names[:5]) or 'none'}",
        "no-alternative-name": "names none",
        "self-signed": "issued by itself",
    }.get(kind, seen.refusal_says or f"issued by {seen.issuer}")
    return (Evidence(f"{seen.subject}: {more}", source),)


def _mend(picture: Picture, seen: Certificate, kind: str, remedy: str) -> Mend:
    """Debian's own is made again; who has another's renews it there."""
    brought = picture.renewal
    kept = brought.kept if brought else None
    if kind in ENDING and brought and kept and kept.fingerprint_sha256 == seen.fingerprint_sha256:
        return Mend(text=renewing(brought.lineage))
    if kind == "chain" and picture.files.unsent:
        return Mend(text=picture.files.unsent)
    folder, _, file = picture.files.certificate.rpartition("/")
    if folder.startswith(CERTBOT) and not seen.self_signed:
        if remedy == _CHAIN and file == "cert.pem":
            text = f"let confSERVER_CERT in sendmail.mc name {folder}/fullchain.pem, then run sendmailconfig"
            return Mend(text=text)
        if remedy in ("", _RENEW):
            return Mend(text="`certbot renew`, then `systemctl restart sendmail`")
    if remedy:
        return Mend(text=remedy if seen.self_signed or remedy != _RENEW else _INSTALL)
    if seen.self_signed and picture.files.debian:
        return Mend(("mend-certificate",))
    return Mend(text=picture.files.renewal or _INSTALL)


def _unreadable(picture: Picture) -> Finding | None:
    bad = [talk for talk in picture.submissions if talk.unreadable]
    if not bad:
        return None
    return Finding(
        "the server sends a certificate that cannot be read",
        tuple(Evidence(talk.unreadable, talk.source) for talk in bad),
        Mend(text=_INSTALL),
        Sign.UNKNOWN,
    )


def _not_own(picture: Picture) -> Finding | None:
    """The password was kept back."""
    bad = [talk for talk in picture.broken if talk.stopped is Layer.CERTIFICATE]
    if not bad:
        return None
    return Finding(
        f"what answers on {bad[0].source} does not present the certificate that sendmail.cf names: no password was sent there",
        tuple(Evidence(talk.why, talk.source) for talk in bad),
        Mend(("mend-sendmail-restart",)),
    )


_C = Layer.CERTIFICATE
_PROBE = "the certificate that the server sends, else the file"
_ASKS = "the client asks about the certificate"
_WARNS = "the client warns of the certificate"
_KNOWN = (
    "give clients the authority's own certificate, or install one from an authority that they know: "
    + _INSTALL
    + f"; or {TODAYS}"
)
_JUDGED = (
    ("expired", _WARNS, "5.3", "",
     "the certificate has expired",
     "install a new one; where it is Debian's own, make one (--fix: mend-certificate)"),
    ("not-yet-valid", _WARNS, "5.3", "",
     "the certificate is not valid yet, or the host's clock is wrong",
     "set the clock, or make a new certificate (--fix: mend-certificate)"),
    ("key-small", "the TLS handshake fails", "5.3", "",
     "the certificate's key is too short for today's mail clients",
     "install one with a longer key, or renew it with its authority (--fix: mend-certificate)"),
    ("chain", "some clients refuse it, others do not", "5.4", _CHAIN,
     "the intermediate certificates are not sent, or one of them is not",
     "install it with them: `msa-wizard certificate install CERT KEY --chain FILE`"),
    ("refused", _WARNS, "5.4", _INSTALL,
     "the certificate cannot be verified against its authority",
     "install one that can: `msa-wizard certificate install CERT KEY`"),
    ("expires-soon", "nothing yet", "5.3", "",
     "the certificate expires in less than two weeks",
     "install a new one; where it is Debian's own, make one (--fix: mend-certificate)"),
    ("name", "the client says that the name is wrong", "5.4", _RENEW,
     "the certificate is for another name than the one that clients use",
     "get one for that name from an authority: `msa-wizard certificate obtain`, or make a self-signed one: `msa-wizard certificate renew`"),
    ("no-alternative-name", _ASKS, "5.4", _RENEW,
     "Debian's script makes certificates without a subjectAltName, where today's clients look for the name",
     "get one from an authority: `msa-wizard certificate obtain`, or make a self-signed one with it: `msa-wizard certificate renew`"),
    ("authority", _ASKS, "5.4", _KNOWN,
     "the certificate comes from an authority that no mail client knows by itself",
     "give clients the authority's own certificate, or install one from an authority that they know"),
    ("self-signed", _ASKS, "5.4", _GET,
     "the certificate is self-signed, so each client asks its user about it once",
     "live with it, or get one from an authority: `msa-wizard certificate obtain`"),
)  # fmt: skip
"""By the kind of the judgement: what users say, the section of the howto, the remedy, cause and fix for the catalogue."""
DIAGNOSES = (
    *(
        Diagnosis(
            *(f"certificate-{kind}", _C, symptom, howto, _PROBE, _judged(kind, remedy)), cause=cause, fix=fix
        )
        for kind, symptom, howto, remedy, cause, fix in _JUDGED
    ),
    Diagnosis(
        "certificate-unreadable",
        _C,
        "the TLS handshake fails",
        "5.4",
        _PROBE,
        _unreadable,
        cause="the server sends a certificate that cannot be read",
        fix="install another one: `msa-wizard certificate install CERT KEY`",
    ),
    Diagnosis(
        "certificate-not-own",
        _C,
        "no login is tried",
        "5.4",
        "what is presented, and the file",
        _not_own,
        cause="what answers presents another certificate than sendmail.cf names, so no password is sent",
        fix="restart sendmail, so that it reads its certificate (--fix: mend-sendmail-restart)",
    ),
)
