"""The list of ciphers that is in force for sendmail: its own, or that of OpenSSL's configuration."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Any, cast

from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.tls_rules import LIST
from wizard.system.host import Host

OPENSSL_CNF = "/etc/ssl/openssl.cnf"
_STRING = re.compile(r"^[ \t]*CipherString[ \t]*=[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_ADVICE = "set confCIPHER_LIST in sendmail.mc (openssl-ciphers(1)), then `msa-wizard apply`"


@dataclass(frozen=True)
class Ciphers:
    """The list, or why it cannot be known and what to do."""

    listed: str = ""
    broken: str = ""
    remedy: str = ""


def ciphers(host: Host, cf: str) -> Ciphers:
    """CipherList of sendmail.cf, else CipherString of openssl.cnf, which holds for every program, else OpenSSL's own."""
    text = re.sub(r"[,\s]+", ":", (sendmail_cf.option(cf, "CipherList") or "").strip())
    if text:
        if not suites(text):
            why = (
                f"OpenSSL finds no cipher in CipherList of sendmail.cf ({text[:60]}), so sendmail ignores it"
            )
            return Ciphers(broken=why, remedy="correct confCIPHER_LIST in sendmail.mc (openssl-ciphers(1))")
    else:
        text = next(
            (each for each in ("DEFAULT", *_STRING.findall(host.text(OPENSSL_CNF))) if suites(each) == suites("")),
            "",
        )  # fmt: skip
        if not text:
            return Ciphers(
                broken=f"{OPENSSL_CNF} sets a list of ciphers that is not understood here", remedy=_ADVICE
            )
    if not LIST.match(text):
        return Ciphers(
            broken=f"the list of ciphers is too long for a rule of sendmail.cf: {text[:60]}", remedy=_ADVICE
        )
    return Ciphers(text)


def suites(listed: str) -> tuple[str, ...]:
    """The suites before TLS 1.3 that OpenSSL finds in a list, or in its own default for an empty one; none where it takes
    none."""
    return tuple(str(suite["name"]) for suite in _found(listed) if suite["protocol"] != "TLSv1.3")


def key_kinds(cf: str) -> frozenset[str] | None:
    """The kinds of key (`rsa`, `ecdsa`) for which CipherList of sendmail.cf has a suite of TLS 1.2; None where it is not set, and
    none where OpenSSL finds no suite in it: then sendmail is left with none."""
    listed = sendmail_cf.option(cf, "CipherList")
    return frozenset(str(suite["auth"]).removeprefix("auth-") for suite in _found(listed)) if listed else None


def _found(listed: str) -> list[dict[str, Any]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if listed:
            context.set_ciphers(listed)
    except (ssl.SSLError, ValueError):
        return []
    return cast(list[dict[str, Any]], context.get_ciphers())
