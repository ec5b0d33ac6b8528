"""The certificate as mail clients judge it (howto 5.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from wizard.certificates import Certificate, covers
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_INSTALL = "`msa-wizard certificate install CERTIFICATE KEY`, or renew it with its authority"
SOON = 14
"""Days before its end at which a certificate is spoken of."""


def _certificate(picture: Picture) -> tuple[Certificate | None, str]:
    """The one that the server sends, else the one on disk; and where it was seen."""
    for talk in picture.submissions:
        if talk.certificate is not None:
            return talk.certificate, f"the certificate that {talk.source} sends"
    return picture.files.parsed, picture.files.certificate


def _renewal(picture: Picture, seen: Certificate) -> Mend:
    return Mend(("mend-certificate",)) if seen.self_signed and picture.files.debian else Mend(text=_INSTALL)


def _dated(
    test: Callable[[Certificate, datetime], bool],
    cause: str,
    sign: Sign = Sign.FAILED,
    *,
    early: bool = False,
) -> Callable[[Picture], Finding | None]:
    """A diagnosis of the certificate's dates; `cause` has the certificate as `it`, and the days it has left."""

    def look(picture: Picture) -> Finding | None:
        seen, source = _certificate(picture)
        now = datetime.fromtimestamp(picture.now, UTC)
        if seen is None or not test(seen, now):
            return None
        dates = f"from {seen.not_before:%F %R} UTC" if early else f"until {seen.not_after:%F %R} UTC"
        clock = (Evidence(f"{now:%F %R} UTC", "the clock"),) if early else ()
        return Finding(
            cause.format(it=seen, days=(seen.not_after - now).days),
            (Evidence(f"{seen.subject}: {dates}", source), *clock),
            _renewal(picture, seen),
            sign,
        )

    return look


_expired = _dated(
    lambda seen, now: seen.not_after <= now,
    "the certificate expired on {it.not_after:%Y-%m-%d}: mail clients refuse it",
)
_not_yet = _dated(
    lambda seen, now: seen.not_before > now,
    "the certificate is not valid before {it.not_before:%Y-%m-%d}: either it is wrong, or this host's clock",
    early=True,
)
_soon = _dated(
    lambda seen, now: now < seen.not_after and (seen.not_after - now).days < SOON,
    "the certificate expires in {days} days",
    Sign.WARNING,
)


def common_names(seen: Certificate) -> tuple[str, ...]:
    """The common name of the certificate's subject."""
    words = (word.partition(": ") for word in seen.subject.split(", "))
    return tuple(name for kind, _, name in words if kind == "Common Name")


def _other_name(picture: Picture) -> Finding | None:
    seen, source = _certificate(picture)
    wanted = picture.answers.test.host or picture.facts.fqdn
    if seen is None or not wanted:
        return None
    names = seen.names or common_names(seen)  # older clients look at the common name
    if covers(names, wanted):
        return None
    return Finding(
        f"the certificate is for {', '.join(names[:3]) or 'no name'}, and this host is {wanted}: clients that use "
        "this name refuse it",
        (Evidence(seen.subject, source),),
        Mend(
            text="`msa-wizard certificate renew` makes one for this host's name"
            if seen.self_signed
            else _INSTALL
        ),
        Sign.WARNING,
    )


def _no_alternative(picture: Picture) -> Finding | None:
    seen, source = _certificate(picture)
    if seen is None or seen.names:
        return None
    return Finding(
        "the certificate has no subjectAltName, as Debian makes it: today's clients find no name in it and ask the user",
        (Evidence(seen.subject, source),),
        Mend(text="`msa-wizard certificate renew` makes one with it"),
        Sign.WARNING,
    )


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
DIAGNOSES = (
    Diagnosis(
        "certificate-expired",
        _C,
        "the client warns of the certificate",
        "5.3",
        _PROBE,
        _expired,
        cause="the certificate has expired",
        fix="install a new one; where it is Debian's own, make one (--fix: mend-certificate)",
    ),
    Diagnosis(
        "certificate-not-yet-valid",
        _C,
        "the client warns of the certificate",
        "5.3",
        _PROBE,
        _not_yet,
        cause="the certificate's first day is in the future, or the host's clock is in the past",
        fix="set the clock, or make a new certificate (--fix: mend-certificate)",
    ),
    Diagnosis(
        "certificate-expires-soon",
        _C,
        "nothing yet",
        "5.3",
        _PROBE,
        _soon,
        cause="the certificate has less than two weeks left",
        fix="install a new one; where it is Debian's own, make one (--fix: mend-certificate)",
    ),
    Diagnosis(
        "certificate-name",
        _C,
        "the client says that the name is wrong",
        "5.4",
        _PROBE,
        _other_name,
        cause="the certificate is for another name than the one that clients use",
        fix="make one for it: `msa-wizard certificate renew`, or install one of a CA",
    ),
    Diagnosis(
        "certificate-no-alternative-name",
        _C,
        "the client asks about the certificate",
        "5.4",
        _PROBE,
        _no_alternative,
        cause="Debian's script makes certificates without a subjectAltName, where today's clients look for the name",
        fix="make one with it: `msa-wizard certificate renew`",
    ),
    Diagnosis(
        "certificate-unreadable",
        _C,
        "the TLS handshake fails",
        "5.4",
        _PROBE,
        _unreadable,
        cause="the server sends a certificate that cannot be read",
        fix="install another one: `msa-wizard certificate install CERTIFICATE KEY`",
    ),
    Diagnosis(
        "certificate-not-own",
        _C,
        "no login is tried",
        "5.4",
        "what is presented, and the file",
        _not_own,
        cause="what answers has another certificate than sendmail.cf names, and gets no password",
        fix="restart sendmail, so that it reads its certificate (--fix: mend-sendmail-restart)",
    ),
)
