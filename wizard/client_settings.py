"""What a mail client needs to know of this host (howto section 4): for people, as files, and as DNS records."""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from templates import render
from wizard.editors.daemon_options import is_loopback
from wizard.model.answer_checks import host_name
from wizard.model.answers import Answers
from wizard.model.facts import SENDMAIL_CF, Facts
from wizard.model.plan import Check, Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.client_name import client_name

SUBMISSION, IMPLICIT_TLS = 587, 465
FORMATS = ("table", "text", "autoconfig", "mobileconfig", "srv")
"""A table, a text to mail to users, Thunderbird's autoconfig, Apple's profile, DNS records."""
PATIENCE = 5.0
"""Seconds for each question to the DNS."""


def serves_implicit_tls(facts: Facts) -> bool:
    """Whether sendmail.cf has port 465 for other machines."""
    return _serves(facts, IMPLICIT_TLS)


def _serves(facts: Facts, port: int) -> bool:
    daemons = sendmail_cf.daemons(facts.text(SENDMAIL_CF) or "")
    return any(each.port == port and not is_loopback(each.address) for each in daemons)


@dataclass(frozen=True)
class ClientSettings:
    """The submission server as clients name it. `imap` is where they read mail: some files need it."""

    host: str
    domain: str
    implicit_tls: bool = False
    imap: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for what is no host name."""
        for name in filter(None, (self.host, self.domain, self.imap)):
            host_name(name)

    @classmethod
    def of(cls, facts: Facts, answers: Answers, imap: str = "") -> ClientSettings:
        """The settings of this host, with the mail domain that its names tell. Port 465 counts where sendmail serves it;
        before anything is set up, where it is chosen."""
        host = client_name(facts, answers.certificate, facts.fqdn or facts.hostname)
        chosen = answers.listen.implicit_tls and not _serves(facts, SUBMISSION)
        implicit_tls = chosen or serves_implicit_tls(facts)
        names = (facts.fqdn, *answers.certificate.names)
        return cls(host, mail_domain(host, names), implicit_tls, imap)

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """The howto's table."""
        return (
            ("Server name", self.host),
            ("Port", "587"),
            ("User name", "the login name on the server"),
            ("Authentication method", "Normal password"),
            ("Connection security", "STARTTLS"),
            *((("Or: port", "465, with SSL/TLS"),) if self.implicit_tls else ()),
        )

    @property
    def records(self) -> tuple[tuple[str, int, str], ...]:
        """DNS SRV records of RFC 6186 and RFC 8314: name, port, target."""
        records = [(f"_submission._tcp.{self.domain}.", 587, f"{self.host}.")]
        if self.implicit_tls:
            records.append((f"_submissions._tcp.{self.domain}.", 465, f"{self.host}."))
        return tuple(records)

    def to_json(self) -> dict[str, object]:
        """Plain values, without the checks of the DNS."""
        ports = [(587, "STARTTLS"), *([(465, "SSL/TLS")] if self.implicit_tls else [])]
        return {
            "domain": self.domain,
            "servers": [{"host": self.host, "port": port, "security": security} for port, security in ports],
            "authentication": "password",
            "imap": self.imap or None,
            "records": [dict(zip(("name", "port", "target"), row, strict=True)) for row in self.records],
        }

    def rendered(self, form: str) -> str:
        """One of FORMATS. Raises ValueError where it needs the IMAP server and has none."""
        account = {"autoconfig": "Thunderbird", "mobileconfig": "an Apple device"}.get(form)
        if account and not self.imap:
            raise ValueError(
                f"This file sets up a whole account in {account}, so it needs the server for reading mail, too: name the "
                "IMAP server (--imap HOST)"
            )
        if form == "mobileconfig":
            return self._mobileconfig()
        return render(f"client_{form}{'.xml' if form == 'autoconfig' else ''}.j2", settings=self)

    def _mobileconfig(self) -> str:
        mail = {
            "PayloadType": "com.apple.mail.managed",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"msa-wizard.{self.host}.mail",
            "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"mail.{self.host}")),
            "PayloadDisplayName": f"Mail at {self.domain}",
            "EmailAccountType": "EmailTypeIMAP",
            "EmailAccountDescription": self.domain,
            "IncomingMailServerAuthentication": "EmailAuthPassword",
            "IncomingMailServerHostName": self.imap,
            "IncomingMailServerPortNumber": 993,
            "IncomingMailServerUseSSL": True,
            "OutgoingMailServerAuthentication": "EmailAuthPassword",
            "OutgoingMailServerHostName": self.host,
            "OutgoingMailServerPortNumber": 587,
            "OutgoingMailServerUseSSL": True,
            "OutgoingPasswordSameAsIncomingPassword": True,
        }
        profile = {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"msa-wizard.{self.host}",
            "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, self.host)),
            "PayloadDisplayName": f"Mail at {self.domain}",
            "PayloadDescription": f"Outgoing mail through {self.host}. User name and password are asked for.",
            "PayloadContent": [mail],
        }
        return plistlib.dumps(profile).decode()


def mail_domain(host: str, names: Iterable[str]) -> str:
    """The domain that follows the first label of `host`. Where one of `names` lies below `host`, or only a top-level domain
    would follow, `host` is the domain itself."""
    host = host.rstrip(".")
    rest = host.partition(".")[2]
    below = any(name.rstrip(".").lower().endswith(f".{host.lower()}") for name in names)
    return host if below or "." not in rest else rest


def check_dns(settings: ClientSettings) -> list[Check]:
    """What the DNS says now of the server's name and of each record; never raises for what a name server does."""
    import dns.exception
    import dns.resolver

    checks = [_address(settings.host)]
    for name, port, target in settings.records:
        try:
            answer = dns.resolver.resolve(name, "SRV", lifetime=PATIENCE)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            checks.append(Check(name, Sign.WARNING, f"{name} has no SRV record", "add the record shown"))
        except (dns.exception.DNSException, OSError) as error:
            checks.append(Check(name, Sign.UNKNOWN, f"{name} could not be asked for: {error}"))
        else:
            targets = {(int(item.port), str(item.target).lower()) for item in answer}
            right = (port, target.lower()) in targets
            says = ", ".join(f"{host} port {number}" for number, host in sorted(targets))
            sign, remedy = (Sign.OK, "") if right else (Sign.FAILED, "change it")
            checks.append(Check(name, sign, f"{name} says {says}", remedy))
    return checks


def _address(name: str) -> Check:
    """Whether mail clients find the server by its name."""
    import dns.exception
    import dns.resolver

    try:
        addresses = sorted(dns.resolver.resolve_name(name, lifetime=PATIENCE).addresses())
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        says = f"{name} has no address in the DNS: mail clients cannot find it"
        return Check(name, Sign.FAILED, says, "add an A record for IPv4, an AAAA record for IPv6")
    except (dns.exception.DNSException, OSError) as error:
        return Check(name, Sign.UNKNOWN, f"{name} could not be asked for: {error}")
    return Check(name, Sign.OK, f"{name} is at {', '.join(addresses)}")


def not_ready(facts: Facts, name: str) -> str:
    """A sentence where clients that know this host as `name` cannot use the settings yet, or take its certificate amiss, as far
    as the facts tell; else ""."""
    from wizard.certificates import judge_file
    from wizard.sendmail.cf_needs import certificate

    if not _serves(facts, SUBMISSION):
        return (
            f"Mail clients cannot use this yet: sendmail.cf has no port {SUBMISSION} for them. `msa-wizard plan` shows what is "
            "left to do."
        )
    entry = facts.files.get(certificate(facts))
    trial = facts.tls_trial
    if trial is not None and trial.unfit:
        return f"Mail clients cannot use this yet: {certificate(facts)}: {trial.unfit}."
    _, objections = judge_file(entry.content if entry is not None else b"", name, trial)
    wrong = [each.says for each in objections if each.kind not in ("expires-soon", "untried")]
    return f"Mail clients will take it amiss: the certificate {'; it '.join(wrong)}." if wrong else ""


def certificate_warning(name: str) -> str | None:
    """What a careful client that knows this host as `name` would say of its certificate, None where it says nothing."""
    from wizard.smtp.login_test import Target, converse
    from wizard.smtp.session import reachable

    address, _ = reachable("", 587)
    result = converse(Target(host=address, server_name=name, port=587, smtp_port=None), None)
    if result.certificate is None:
        return f"The certificate could not be looked at: {result.verdict}"
    if result.certificate.problem:
        return f"Mail clients will warn of the certificate: {result.certificate.problem}."
    return None
