"""What would end when another certificate takes the place of the server's: names that clients use, ciphers for its key, and what
mail servers check by the DNS. Port 25 presents the same certificate as the ports for clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from wizard.certificates import Certificate, common_names, covers, parsed
from wizard.certificates.dane import fits
from wizard.gather.tls import key_kinds
from wizard.gather.tlsa import tlsa_records
from wizard.model.facts import SENDMAIL_CF, Facts
from wizard.model.plan import Ending
from wizard.model.step_facts import Tlsa

KEY = "certificate-key"
NAMES = "certificate-names"
TLSA = "certificate-tlsa"
_MOST_SHOWN = 64
"""Characters of a record's data: a hash; a whole certificate is longer."""


def names_lost(facts: Facts, path: str, names: Sequence[str]) -> Iterator[Ending]:
    """Where the certificate at `path` is one that clients trust, for names that the new one, for `names`, is not for."""
    seen = trusted_now(facts, path)
    lost = tuple(name for name in seen.names if not covers(tuple(names), name)) if seen is not None else ()
    if seen is None or not lost:
        return
    says = (
        f"the certificate in {path}, from {issuer(seen)} until {seen.not_after:%F}, is for these names, and the new one is not: "
        "mail clients that know this host by one of them warn of it, or refuse it"
    )
    yield Ending(NAMES, says, lost)


def trusted_now(facts: Facts, path: str) -> Certificate | None:
    """The certificate at `path`, where it is from an authority and has not expired."""
    seen = parsed(_content(facts, path))
    if seen is None or seen.self_signed or not seen.not_before <= datetime.now(UTC) <= seen.not_after:
        return None
    return seen


def issuer(seen: Certificate) -> str:
    """Who signed it, as people call that."""
    return next(iter(common_names(seen.issuer)), seen.issuer)


def key_unfit(facts: Facts, path: str, chain: bytes) -> Iterator[Ending]:
    """Where the ciphers that sendmail.cf allows go with the key of the certificate at `path`, and not with that of the new chain
    (PEM). TLS 1.3 has ciphers of its own."""
    kinds, now, new = key_kinds(_text(facts)), parsed(_content(facts, path)), parsed(chain)
    if kinds and now is not None and new is not None and _kind(now) in kinds and _kind(new) not in kinds:
        says = (
            f"CipherList of sendmail.cf has no cipher for the new certificate's type of key ({new.key}), and it has for that of "
            f"now ({now.key}): mail clients that do not speak TLS 1.3 get no encryption"
        )
        yield Ending(KEY, says)


def only_rsa(facts: Facts) -> bool:
    """Whether the ciphers that sendmail.cf allows go with RSA keys alone."""
    kinds = key_kinds(_text(facts)) or frozenset()
    return "rsa" in kinds and "ecdsa" not in kinds


def _kind(seen: Certificate) -> str:
    return "rsa" if seen.key.startswith("RSA") else "ecdsa"


def _text(facts: Facts) -> str:
    return facts.text(SENDMAIL_CF) or ""


def tlsa_lost(facts: Facts, path: str, chain: bytes = b"") -> Iterator[Ending]:
    """Where records of the DNS fit the chain at `path`, and those of the same name do not fit the new `chain` (PEM), which has a
    new key where it is still to be got."""
    lost = []
    for name in dict.fromkeys(each.name for each in facts.tlsa):
        records = [each for each in facts.tlsa if each.name == name]
        fit = [each for each in records if fits(each, _content(facts, path))]
        if fit and not any(fits(each, chain) for each in records):
            lost += fit
    if lost:
        # Whoever is to sign it may do so with the key that signed the one of now: nobody knows before.
        unknown = not chain and any(each.usage == 2 for each in lost)
        says = (
            f"mail servers that check TLSA records (DANE) {'may ' if unknown else ''}hold mail for this host back, and return it "
            "after some days: these records fit the certificate of now, and "
            f"{'of them only those of usage 2 can fit the new one, where the key that they name signs it' if unknown else 'none fits the new one'}"
        )
        yield Ending(TLSA, says, tuple(sorted(map(_shown, lost))))


def with_tlsa(facts: Facts, path: str, names: Sequence[str]) -> Facts:
    """With what the DNS says of the certificate of port 25, by all names that other servers may know this host by."""
    seen = parsed(_content(facts, path))
    known = (facts.fqdn, *names, *(seen.names if seen is not None else ()))
    return facts if seen is None else replace(facts, tlsa=tlsa_records(known))


def _shown(record: Tlsa) -> str:
    data = record.data.hex()
    data = data if len(data) <= _MOST_SHOWN else f"{data[:_MOST_SHOWN]}..."
    return f"_25._tcp.{record.name}. TLSA {record.usage} {record.selector} {record.matching} {data}"


def _content(facts: Facts, path: str) -> bytes:
    entry = facts.files.get(path)
    return entry.content if entry is not None else b""
