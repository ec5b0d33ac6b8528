"""Values in sendmail.mc, or in what it includes, that keep mail clients out: each fixed in the very line that has it."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import ClassVar

from wizard.editors import EditError, sendmail_mc
from wizard.mends.parts import written
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Plan
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.mc_gate import TRUSTED, Gate, Planned
from wizard.sendmail.password_source import to_be_trusted
from wizard.steps.mc_edit import McStep

SUITES = (
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256"
)
"""For every type of key that certificates have (RFC 9325, section 4.2)."""
_BARS = re.compile(r"!(?:a?RSA|a?ECDSA|k?ECDHE|EECDH|AES|AESGCM|HIGH|TLSv1\.2|ALL)")
"""What would keep these out, wherever they stand in the list (openssl-ciphers(1))."""
OFF = ("SSL_OP_NO_TLSv1_2", "SSL_OP_NO_TLSv1_3")
CHILDREN = 40
"""The fewest connections at once that a limit should allow."""


class _Value(McStep):
    """One define, changed in its place."""

    needs = ("install",)
    name: ClassVar[str]
    option: ClassVar[str]
    """What sendmail.cf calls it."""

    @abstractmethod
    def better(self, now: str) -> str:
        """The value in the place of `now`; the same where it is good."""

    def _wanted(self, facts: Facts) -> str:
        return self.better(sendmail_cf.option(facts.cf_from_mc or "", self.option) or "")

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """The value, quotes and all else on the line stay."""
        value = self._wanted(facts)
        return (
            sendmail_mc.set_define(mc, self.name, value, f"define(`{self.name}', `{value}')dnl\n")
            if value
            else mc
        )

    def done_reason(self, mc: str) -> str:
        """As it is."""
        return f"{self.name} is `{sendmail_mc.define_value(mc, self.name)}'"

    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """The new value, and nothing else."""
        words = frozenset(self._wanted(facts).split())
        return Gate(options={self.option: words} if words else {}, planned=Planned(frozenset({self.option})))


class MendCipherList(_Value):
    """The list gains suites for every type of key, and loses the demand for keys that nobody has."""

    id = "mend-cipher-list"
    title = "Allow ciphers that fit the certificate"
    why = "A TLS handshake needs a cipher of the certificate's own type: RSA or ECDSA."
    name = "confCIPHER_LIST"
    option = "CipherList"

    def better(self, now: str) -> str:
        """Without @SECLEVEL, OpenSSL's own level stays in force."""
        words = re.split(r"[:, ]", re.sub(r"@SECLEVEL=\d", "", now))
        kept = [word for word in words if word and not _BARS.fullmatch(word)]
        return ":".join(dict.fromkeys([*kept, *SUITES.split(":")])) if now else ""


class MendTlsVersions(_Value):
    """TLS 1.2 and 1.3, which today's OpenSSL and clients speak."""

    id = "mend-tls-versions"
    title = "Allow TLS 1.2 and 1.3"
    why = "Without a version of TLS that both sides know every handshake fails."
    name = "confSERVER_SSL_OPTIONS"
    option = "ServerSSLOptions"

    def better(self, now: str) -> str:
        """What switches these two off is taken out."""
        kept = [word for word in now.split() if word.lstrip("+") not in OFF]
        return " ".join(kept or ["+SSL_OP_NO_SSLv3"]) if now else ""


class MendChildren(_Value):
    """Twice as many, and 40 at least: idle connections of mail clients count, too."""

    id = "mend-daemon-children"
    title = "Allow more connections at once"
    why = "At MaxDaemonChildren processes sendmail closes all its ports until one of them exits."
    name = "confMAX_DAEMON_CHILDREN"
    option = "MaxDaemonChildren"

    def better(self, now: str) -> str:
        """Nothing where there is no limit."""
        return str(max(CHILDREN, 2 * int(now))) if now.isdecimal() and 0 < int(now) < CHILDREN else now


def listing(text: str, line: re.Pattern[str], mechanisms: frozenset[str]) -> str | None:
    """The last such line of a file, but that of EXTERNAL alone, with these as well; None where there is none."""
    lines = [match for match in line.finditer(text) if match[1].split() != ["EXTERNAL"]]
    if not lines:
        return None
    words = lines[-1][1].split()
    more = sorted(mechanisms - {word.upper() for word in words})
    start, end = lines[-1].span(1)
    return f"{text[:start]}{' '.join([*words, *more])}{text[end:]}" if more else text


class MendTrust(McStep):
    """In sasl.m4, whose marked lines update_auth takes over when it makes the file again, else in sendmail.mc."""

    id = "mend-trust"
    howto = "3.2"
    needs = ("install",)
    title = "Trust the mechanisms that are offered"
    why = "Users who log in with a mechanism that TRUST_AUTH_MECH lacks may not relay: 550 Relaying denied."
    line: ClassVar[re.Pattern[str]] = re.compile(r"^[ \t]*TRUST_AUTH_MECH\(`([^`'\n]*)'\)", re.MULTILINE)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The words that lack, in the line that is there."""
        entry, text = facts.files.get(f.SASL_M4), facts.text(f.SASL_M4) or ""
        new = listing(text, self.line, to_be_trusted(facts, answers))
        try:
            included = f.SASL_M4 in sendmail_mc.includes(facts.text(f.SENDMAIL_MC) or "")
        except EditError:
            included = False
        if entry is None or new is None or not included or new == text:
            return super().plan(facts, answers)
        return Plan.pending(self.id, "a mechanism lacks in it", written(f.SASL_M4, entry, new, self.title))

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """sendmail.mc's own line."""
        wanted = to_be_trusted(facts, answers)
        if wanted <= set(sendmail_cf.trusted(facts.cf_from_mc or "")):
            return mc
        return listing(mc, self.line, wanted) or mc

    def done_reason(self, mc: str) -> str:
        """As it is."""
        return "the line has what is offered"

    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """Only what is to be trusted comes."""
        wanted = to_be_trusted(facts, answers)
        return Gate(trusted=wanted, planned=Planned(grows={TRUSTED: wanted}))


class MendMechanisms(MendTrust):
    """In sasl.m4; what sendmail.mc itself defines, mc-includes completes."""

    id = "mend-mechanisms"
    howto = "3.1"
    title = "Offer the mechanisms that saslauthd serves"
    why = "Of the mechanisms that Sendmail.conf lists, clients are offered only those that confAUTH_MECHANISMS has, too."
    line = re.compile(r"^[ \t]*define\(`confAUTH_MECHANISMS',\s*(?:dnl\s+)?`([^`'\n]*)'\)", re.MULTILINE)

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """Nothing."""
        return mc

    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """They are there."""
        return Gate(options={"AuthMechanisms": to_be_trusted(facts, answers)})
