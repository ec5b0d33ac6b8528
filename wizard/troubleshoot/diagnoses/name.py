"""The host's own name: update_tls, the greeting and the certificate go by it (docs/debian.md trap 8)."""

from __future__ import annotations

from ipaddress import ip_address

from wizard.editors import hosts_file
from wizard.editors.hosts_file import HostsLine
from wizard.mends.certificate import known_name, misnamed
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.steps.preflight import BUILT
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend


def _hosts(picture: Picture) -> tuple[HostsLine, ...]:
    """The lines of /etc/hosts that name this host; the first decides."""
    names = {picture.facts.hostname, picture.facts.hostname.partition(".")[0], known_name(picture.facts)}
    return hosts_file.naming(picture.facts.text(f.HOSTS) or "", [name for name in names if name])


def _in_hosts(lines: tuple[HostsLine, ...]) -> tuple[Evidence, ...]:
    return tuple(Evidence(line.text, f"{f.HOSTS} line {line.number}") for line in lines[:4])


def _named(picture: Picture) -> Mend:
    if known_name(picture.facts):
        return Mend(("mend-host-name",))
    short = picture.facts.hostname.partition(".")[0]
    local = [line for line in _hosts(picture) if line.local]
    first = f"take {short} off line {local[0].number} of {f.HOSTS}, " if local else ""
    return Mend(text=f"{first}put `127.0.1.1 {short}.YOUR.DOMAIN {short}` there, then try `hostname -f`")


def _unresolved(picture: Picture) -> Finding | None:
    facts = picture.facts
    if facts.fqdn:
        return None
    return Finding(
        "this host cannot find its own name, so sendmail waits a minute at each start, and no certificate is made",
        (Evidence(f"{facts.hostname}: no answer", "hostname -f"), *_in_hosts(_hosts(picture))),
        _named(picture),
    )


def _unqualified(picture: Picture) -> Finding | None:
    facts, lines = picture.facts, _hosts(picture)
    if not facts.fqdn or not misnamed(facts):
        return None
    says = "this host has no qualified name"
    if facts.fqdn.endswith("."):
        says = f"this host's name ends in a dot: {facts.fqdn}"
    elif lines and lines[0].names[0] == facts.fqdn:
        says = f"line {lines[0].number} of {f.HOSTS} turns this host's name into {facts.fqdn}"
    return Finding(
        f"{says}: update_tls makes no certificate for it that clients accept, and other servers reject its mail",
        (Evidence(facts.fqdn, "hostname -f"), *_in_hosts(lines)),
        _named(picture),
        picture.latent,
    )


def _elsewhere(picture: Picture) -> Finding | None:
    """Behind address translation the name rightly leads to a public address that the host itself does not have."""
    facts = picture.facts
    named = [ip_address(each.partition("%")[0]) for each in picture.name_addresses or ()]
    own = {ip_address(each) for each in facts.addresses}
    untranslated = {each.version for each in own if each.is_global}  # IPv4 alone may be, beside a public IPv6
    if misnamed(facts) or not named:
        return None
    if any(
        each in own or each.is_loopback or (each.is_global and each.version not in untranslated)
        for each in named
    ):
        return None
    lines = tuple(line for line in _hosts(picture) if line.address in map(str, named))
    where = f"line {lines[0].number} of {f.HOSTS}" if lines else "the DNS"
    addresses = ", ".join(map(str, named[:4]))
    return Finding(
        f"{facts.fqdn} is another host's address according to {where}: clients that use this name do not come here",
        _in_hosts(lines) or (Evidence(addresses, f"getent ahosts {facts.fqdn}"),),
        Mend(
            text=f"give {facts.fqdn} an address of this host in {where}, then try `getent ahosts {facts.fqdn}`"
        ),
        Sign.WARNING,
    )


def _clock(picture: Picture) -> Finding | None:
    if picture.now >= BUILT:
        return None
    return Finding(
        "the clock of this host is wrong: no certificate seems to be valid yet",
        (Evidence(f"{picture.now:.0f} seconds since 1970", "the clock"),),
        Mend(text="set it: `timedatectl set-ntp true`, or `date --set`"),
    )


_N, _PROBE = Layer.NAME, "hostname -f, /etc/hosts"
DIAGNOSES = (
    Diagnosis(
        "clock-wrong",
        _N,
        "the client says that the certificate is not valid yet",
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
    Diagnosis(
        "hostname-elsewhere",
        _N,
        "clients do not come to this host",
        "",
        "getent",
        _elsewhere,
        cause="the host's name has the address of another host",
        fix="give the name an address of this host in /etc/hosts or in the DNS",
    ),
)
