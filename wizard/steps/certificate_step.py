"""What `certificate renew` and `certificate install` have in common: a pair of files, a restart, a look at the daemon.

The pair goes to the files that sendmail.cf names already (Debian: sendmail-server.crt and sendmail-common.key), not to
files of its own with a `define` in sendmail.mc: so neither sendmail.mc nor sendmail.cf changes, and on Debian 12 and 13
update_tls and sendmailconfig leave both files alone as long as they and the client certificate are there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from snapshots.live.entry import Entry, Kind
from wizard.certificates.pem import certificates
from wizard.changes import FileChange, ServiceChange
from wizard.gather.certificates import parsed
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail.tls_files import TlsFiles
from wizard.smtp.own_listener import presented
from wizard.steps.restart import Restart
from wizard.system.host import Host

PATIENCE = 3.0
"""Seconds until the restarted daemon must present it, once it greets: what greets has read its files."""
CERTBOT = "/etc/letsencrypt"


@dataclass(frozen=True)
class Pair:
    """What the server presents from now on, as PEM. `key` None: the one that is there stays.

    `client` goes beside it where the client's certificate is for the same key file."""

    certificate: bytes
    key: bytes | None = field(default=None, repr=False)
    client: bytes | None = None


@dataclass(frozen=True)
class CertificateStep(Step):
    """Writes a pair where `files` say, restarts sendmail, and asks it what it presents."""

    files: TlsFiles = field(default_factory=TlsFiles)
    pair: Pair = Pair(b"")
    group: int = 0
    """The number of the group smmsp, which Debian lets read these files."""
    key_before: bytes | None = field(default=None, repr=False)
    """The content of the key file when the pair was made for it, where that key stays."""
    beside: tuple[tuple[str, Entry], ...] = ()
    """Further files and folders to make, in order: links, a hook."""
    notes: tuple[str, ...] = ()

    howto = "5.3"
    needs = ("install",)

    @property
    def reads(self) -> tuple[str, ...]:
        """The files that it may write."""
        return (*self.files.all, *(path for path, _ in self.beside))

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending unless the pair is there; blocked where it cannot be put there."""
        if why := self._obstacle(facts):
            return Plan.blocked(self.id, *why)
        changes = list(self._changes(facts))
        if not changes:
            return Plan.done(self.id, f"{self.files.certificate} is already this certificate")
        running = facts.process("sendmail-mta") is not None
        notes = (*described(self.pair.certificate), *self.notes)
        if running:
            restart = ServiceChange("sendmail", facts.init, enable=False, was_running=True)
            return Plan.pending(self.id, self.reason(), *changes, restart, notes=notes)
        notes = (*notes, "sendmail does not run: it will read the certificate at its next start")
        return Plan.pending(self.id, self.reason(), *changes, notes=notes)

    def reason(self) -> str:
        """Why something is to be done."""
        return f"another certificate is in {self.files.certificate}"

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Every listener greets as before, and the daemon presents this very certificate."""
        if facts.process("sendmail-mta") is None:
            says = "sendmail is not running, so nothing presents the certificate"
            return [Check("presented", Sign.UNKNOWN, says, "msa-wizard apply restart")]
        greets = [check for check in Restart().verify(host, facts, answers) if check.id != "boot"]
        if any(check.sign is Sign.FAILED for check in greets):
            return greets
        return [*greets, self._presented(facts)]

    def _presented(self, facts: Facts) -> Check:
        wanted = hashlib.sha256(certificates(self.pair.certificate)[0]).hexdigest()
        end = time.monotonic() + PATIENCE
        while (answer := presented(facts.text(f.SENDMAIL_CF) or "")).fingerprint != wanted:
            if time.monotonic() > end:
                why = answer.says or "it presents another one"
                says = f"sendmail does not present the new certificate on {answer.where}: {why}"
                return Check("presented", Sign.FAILED, says, "journalctl -t sm-mta -n 30")
            time.sleep(0.5)
        return Check("presented", Sign.OK, f"sendmail presents the new certificate on {answer.where}")

    def _targets(self) -> dict[str, Entry]:
        key_mode = 0o640 if self.files.group_readable else 0o600
        contents = {self.files.certificate: (self.pair.certificate, 0o644)}
        if self.pair.key is not None:
            contents[self.files.key] = (self.pair.key, key_mode)
            if self.files.shared and self.pair.client is not None:
                contents[self.files.client_certificate] = (self.pair.client, 0o644)
        return {
            path: Entry(Kind.FILE, mode, 0, self.group, content) for path, (content, mode) in contents.items()
        }

    def _changes(self, facts: Facts) -> Iterator[FileChange]:
        for path, entry in (*self._targets().items(), *self.beside):
            before = facts.files.get(path)
            if before != entry and not (
                entry.kind is Kind.DIRECTORY and before and before.kind is entry.kind
            ):
                yield FileChange(path, before, entry, f"{'replace' if before else 'make'} {path}")

    def _obstacle(self, facts: Facts) -> tuple[str, ...] | None:
        """Why it must not be done here, and what to do."""
        cf = facts.text(f.SENDMAIL_CF)
        if cf is None:
            return f"there is no {f.SENDMAIL_CF} on this host", "msa-wizard apply"
        if TlsFiles.of(cf) != self.files:
            return "sendmail.cf has changed since this was worked out", "run the same command again"
        if not (self.files.certificate and self.files.key):
            return (
                "sendmail.cf names no server certificate and key, so there is no STARTTLS",
                "msa-wizard apply mc-includes sendmailconfig restart",
            )
        if self.files.certificate == self.files.key:
            return (
                f"sendmail.cf names one file for certificate and key, {self.files.key}",
                "let confSERVER_CERT and confSERVER_KEY in sendmail.mc name two, then msa-wizard apply sendmailconfig",
            )
        for path in self._targets():
            if why := _not_ours(path, facts):
                return why
        kept = facts.files.get(self.files.key)
        if self.pair.key is None and (kept is None or kept.content != self.key_before):
            return f"{self.files.key} has changed since this was worked out", "run the same command again"
        return None


def described(pem: bytes) -> tuple[str, ...]:
    """A certificate for people, since its text in a diff says nothing to them."""
    certificate = parsed(pem, "")
    if certificate is None:
        return ()
    by = "itself (self-signed)" if certificate.self_signed else certificate.issuer
    return (
        f"it is for {', '.join(certificate.names)}; issued by {by}; valid from {certificate.not_before:%Y-%m-%d} to "
        f"{certificate.not_after:%Y-%m-%d}; {certificate.key}; SHA-256 {certificate.fingerprint_sha256}",
    )


def _not_ours(path: str, facts: Facts) -> tuple[str, ...] | None:
    """Why the file at `path` must not be written."""
    advice = f"give it, or let confSERVER_CERT and confSERVER_KEY in sendmail.mc name other files than {path}"
    if ".." in PurePosixPath(path).parts or not path.startswith("/etc/"):
        return f"sendmail.cf names {path}, which is not below /etc: it is in no snapshot", advice
    if path.startswith(f"{CERTBOT}/"):
        return (
            f"sendmail.cf names {path}, which certbot keeps: there is nothing to put there",
            "after each renewal: systemctl restart sendmail",
        )
    before = facts.files.get(path)
    if path in facts.unreadable:
        return f"{path} can only be read by root", "run this as root"
    if before is not None and before.kind is not Kind.FILE:
        return f"{path} is no regular file but a {before.kind.value}: it is not written through", advice
    return None
