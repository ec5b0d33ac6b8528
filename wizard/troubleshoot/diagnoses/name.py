"""The host's own name: update_tls, the greeting and the certificate go by it (docs/debian.md trap 8)."""

from __future__ import annotations

from wizard.certificates import common_names
from wizard.steps.preflight import BUILT
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_HOSTS = "put `127.0.1.1 NAME.YOUR.DOMAIN NAME` into /etc/hosts, then try `hostname -f`"


def _unresolved(picture: Picture) -> Finding | None:
    facts = picture.facts
    if facts.fqdn:
        return None
    return Finding(
        "this host cannot find its own name, so sendmail waits a minute at each start, and no certificate is made",
        (Evidence(f"{facts.hostname}: no answer", "hostname -f"),),
        Mend(("mend-host-name",)) if certified_name(picture) else Mend(text=_HOSTS),
    )


def _unqualified(picture: Picture) -> Finding | None:
    facts = picture.facts
    if not facts.fqdn or facts.fqdn_resolves:
        return None
    return Finding(
        "this host has no qualified name: update_tls makes no certificate for it, and other servers reject its mail",
        (Evidence(facts.fqdn, "hostname -f"),),
        Mend(("mend-host-name",)) if certified_name(picture) else Mend(text=_HOSTS),
        picture.latent,
    )


def certified_name(picture: Picture) -> str:
    """The qualified name that the certificate was made for, where its first label is this host's."""
    seen = picture.files.parsed
    names = common_names(seen) if seen else ()
    host = picture.facts.hostname.partition(".")[0]
    return names[0] if names and names[0].startswith(f"{host}.") else ""


def _clock(picture: Picture) -> Finding | None:
    if picture.now >= BUILT:
        return None
    return Finding(
        "the clock of this host is wrong: every certificate seems not to be valid yet",
        (Evidence(f"{picture.now:.0f} seconds since 1970", "the clock"),),
        Mend(text="set it: `timedatectl set-ntp true`, or `date --set`"),
    )


_N, _PROBE = Layer.NAME, "hostname -f"
DIAGNOSES = (
    Diagnosis(
        "clock-wrong",
        _N,
        "the certificate is said not to be valid yet",
        "",
        "the clock",
        _clock,
        cause="the clock of the host is wrong",
        fix="set it: `timedatectl set-ntp true`",
    ),
    Diagnosis(
        "hostname-unresolved",
        _N,
        "sendmail takes a minute to start",
        "",
        _PROBE,
        _unresolved,
        cause="the host cannot find its own name, so sendmail waits a minute at each start, and no certificate is made",
        fix="write the name into /etc/hosts (--fix: mend-host-name)",
    ),
    Diagnosis(
        "hostname-unqualified",
        _N,
        "no STARTTLS, or mail is refused elsewhere",
        "",
        _PROBE,
        _unqualified,
        cause="the host's name has no domain, so no certificate is made for it, and other servers reject its mail",
        fix="write the qualified name into /etc/hosts (--fix: mend-host-name)",
    ),
)
