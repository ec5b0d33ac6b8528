"""What `certificate renew` and `certificate install` have in common: a pair of files, a restart, a look at the daemon. And
the renewal itself (howto 5.3): a new self-signed certificate, with the subjectAltName that Debian's script leaves out.

The pair goes to the files that sendmail.cf names already (Debian: sendmail-server.crt and sendmail-common.key), not to
files of its own with a `define` in sendmail.mc: so neither sendmail.mc nor sendmail.cf changes, and on Debian 12 and 13
update_tls and sendmailconfig leave both files alone as long as they and the client certificate are there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from snapshots.live.entry import Entry, Kind
from wizard.certificates import certificates, parsed, private_key, self_issued
from wizard.certificates import self_signed as maker
from wizard.certificates.acme import CERTBOT, HOOK, lineage_of
from wizard.certificates.handshake import fits
from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.console import count
from wizard.errors import HostError, MissingError, PemError
from wizard.gather.certificates import CertificateReport, report
from wizard.gather.host import look
from wizard.model import facts as f
from wizard.model.answers import Answers, Certificate
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Ending, Plan, Sign, Step
from wizard.sendmail.cf_needs import MOST, TlsFiles, group, sent_from, takes, trusted_user, unsafe, unsent
from wizard.sendmail.client_name import client_name
from wizard.smtp.session import presented
from wizard.steps.certificate_endings import key_unfit, names_lost, tlsa_lost, with_tlsa
from wizard.steps.restart import Restart
from wizard.system.host import Host, group_name
from wizard.system.sockets import qualified_name

PATIENCE = 3.0
"""Seconds until the restarted daemon must present it, once it greets: what greets has read its files."""


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
    trusted: int = 0
    """The number of TrustedUser, who may own them."""
    key_before: bytes | None = field(default=None, repr=False)
    """The content of the key file when the pair was made for it, where that key stays."""
    beside: tuple[tuple[str, Entry], ...] = ()
    """Further files and folders to make, in order: links, a hook."""
    notes: tuple[str, ...] = ()

    howto = "5.3"
    needs = ("install",)

    @property
    def reads(self) -> tuple[str, ...]:
        """The files that sendmail.cf names, and what it may write."""
        return tuple(dict.fromkeys((*self.files.all, *self.writes)))

    @property
    def writes(self) -> tuple[str, ...]:
        """What it may write, with a key of its own."""
        client = self.files.client_certificate if self.files.shared else ""
        named = self.files.certificate, self.files.key, client
        beside = (path for path, _ in self.beside)
        return tuple(dict.fromkeys((*(path for path in named if path), *beside, HOOK)))

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending unless the pair is there; blocked where it cannot be put there."""
        if why := self.obstacle(facts):
            return Plan.blocked(self.id, *why)
        changes: list[Change] = list(self._changes(facts))
        if not changes:
            return Plan.done(self.id, f"{self.files.certificate} is already this certificate")
        notes = (*self.notes, *self._of_others(facts), *self._of_certbot(facts, answers))
        if facts.process("sendmail-mta") is not None:
            changes.append(ServiceChange("sendmail", facts.init, enable=False, was_running=True))
        else:
            notes = (*notes, "sendmail does not run: it will read the certificate at its next start")
        return Plan.pending(self.id, self.reason(), *changes, notes=notes, ends=(*self._ends(facts),))

    def gathered(self, host: Host, facts: Facts, answers: Answers) -> Facts:
        """With what the DNS says of the certificate that port 25 has to present, where that changes."""
        there = facts.files.get(self.files.certificate)
        if there is None or there.content == self.pair.certificate:
            return facts
        return with_tlsa(facts, self.files.certificate, self._new_names)

    @property
    def _new_names(self) -> tuple[str, ...]:
        new = parsed(self.pair.certificate)
        return new.names if new is not None else ()

    def _ends(self, facts: Facts) -> Iterator[Ending]:
        path = self.files.certificate
        yield from names_lost(facts, path, self._new_names)
        yield from key_unfit(facts, path, self.pair.certificate)
        yield from tlsa_lost(facts, path, self.pair.certificate)

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

    def _targets(self, facts: Facts) -> dict[str, Entry]:
        key_mode = 0o640 if self.files.group_readable else 0o600
        contents = {self.files.certificate: (self.pair.certificate, 0o644)}
        if self.pair.key is not None:
            contents[self.files.key] = (self.pair.key, key_mode)
        if self.files.shared and self.pair.client is not None:
            contents[self.files.client_certificate] = (self.pair.client, 0o644)
        return {path: self._dressed(facts, path, *each) for path, each in contents.items()}

    def _dressed(self, facts: Facts, path: str, pem: bytes, mode: int) -> Entry:
        """With the owner, group, mode and ACL of the file that is there, by which others may read it, as long as sendmail takes it
        so."""
        before, key = facts.files.get(path), path == self.files.key
        if before is not None and takes(before, self.files, key=key, trusted=self.trusted):
            return replace(before, content=pem)
        return Entry(Kind.FILE, mode, 0, self.group, pem)

    def _of_others(self, facts: Facts) -> Iterator[str]:
        """That others who read the key get the new pair, too."""
        if self.pair.key is None or (before := facts.files.get(self.files.key)) is None:
            return
        if self._targets(facts)[self.files.key].content == before.content:
            return
        if not self.files.key.startswith("/etc/mail/"):
            yield f"{self.files.key} is outside /etc/mail: other services that use it get the new pair at their next start"
            return
        group = before.mode & 0o040 and before.gid not in (0, self.group)
        if takes(before, self.files, key=True, trusted=self.trusted) and (group or before.xattrs):
            who = f"its group {group_name(before.gid)}" if group else "whom its ACL names"
            yield f"{self.files.key} stays readable for {who}: other services that use it get the new pair at their next start"

    def _changes(self, facts: Facts) -> Iterator[FileChange]:
        yield from put(facts, (*self._targets(facts).items(), *self.beside))
        if self._strange_lineage(facts) and HOOK not in dict(self.beside):
            yield FileChange(HOOK, facts.files[HOOK], None, f"remove {HOOK}")

    def _strange_lineage(self, facts: Facts) -> str:
        """The lineage whose renewals certbot's hook puts in the place of the pair, though it is not of it."""
        lineage = brings(facts.files.get(HOOK))
        return lineage if lineage != brings(dict(self.beside).get(HOOK)) else ""

    def _of_certbot(self, facts: Facts, answers: Answers) -> Iterator[str]:
        """What becomes of a certificate that certbot renews for sendmail."""
        if lineage := self._strange_lineage(facts):
            name = lineage.rpartition("/")[2]
            yield f"certbot goes on renewing its certificate {name}, which reaches sendmail no more: its hook would have put it in this one's place"
        if answers.certificate.challenge and HOOK not in dict(self.beside):
            yield "the settings ask for certbot's certificate (certificate.challenge): the next `msa-wizard apply` would bring that back"

    def obstacle(self, facts: Facts) -> tuple[str, ...] | None:
        """Why it must not be done here, and what to do."""
        cf = facts.text(f.SENDMAIL_CF)
        if cf is None:
            return f"there is no {f.SENDMAIL_CF} on this host", "msa-wizard apply"
        if TlsFiles.of(cf) != self.files:
            return "sendmail.cf has changed since this was worked out", "run the same command again"
        if not (self.files.certificate and self.files.key):
            why = "sendmail.cf names no server certificate and key, so there is no STARTTLS"
            return why, "msa-wizard apply mc-includes sendmailconfig restart"
        if self.files.certificate == self.files.key:
            why = f"sendmail.cf names one file for certificate and key, {self.files.key}"
            remedy = "let confSERVER_CERT and confSERVER_KEY in sendmail.mc name two, then `msa-wizard apply sendmailconfig`"
            return why, remedy
        if self.files.several and any(self._changes(facts)):
            return _several(self.files)
        if self._unsent(facts):
            return sent_from(self.files)
        folders = [path for path, entry in self.beside if entry.kind is Kind.DIRECTORY]
        if obstacle := no_folder(facts, folders):
            return obstacle
        for path in self._targets(facts):
            if obstacle := _not_ours(path, facts):
                return obstacle
        kept = facts.files.get(self.files.key)
        if self.pair.key is None and (kept is None or kept.content != self.key_before):
            return f"{self.files.key} has changed since this was worked out", "run the same command again"
        return None

    def _unsent(self, facts: Facts) -> bool:
        """Whether clients would get it without the intermediate certificates; an authority that is still to be asked gives some."""
        there = facts.files.get(self.files.authorities)
        known = there.content if there is not None else b""
        if not self.pair.certificate:
            return self.files.own_authorities
        return unsent(self.files, self.pair.certificate, known)


def _several(files: TlsFiles) -> tuple[str, str]:
    """Why a pair must not be put beside another: OpenSSL keeps one for each type of key, and gives most clients the EC one."""
    named = " and ".join(files.certificates)
    why = f"sendmail.cf names more than one server certificate or key ({named}): clients may go on getting the other"
    remedy = "let confSERVER_CERT and confSERVER_KEY in sendmail.mc name one file each, then `msa-wizard apply sendmailconfig restart`"
    return why, remedy


def brings(hook: Entry | None) -> str:
    """The lineage that a hook of ours brings to sendmail; empty where it is none."""
    return lineage_of(hook.content.decode("utf-8", "replace")) if hook is not None else ""


def put(facts: Facts, entries: Iterable[tuple[str, Entry]]) -> Iterator[FileChange]:
    """What makes or replaces each path; a folder that is there stays as it is."""
    for path, entry in entries:
        before = facts.files.get(path)
        folder = before is not None and before.kind is entry.kind is Kind.DIRECTORY
        if before != entry and not folder:
            yield FileChange(path, before, entry, f"{'replace' if before else 'make'} {path}")


def no_folder(facts: Facts, folders: Iterable[str]) -> tuple[str, ...] | None:
    """Why nothing may be made in one of the folders: a link leads out of what the snapshots hold."""
    for path in folders:
        there = facts.files.get(path)
        if there is not None and there.kind is not Kind.DIRECTORY:
            why = f"{path} is not a folder but a {there.kind.value}: what is made there is in no snapshot"
            return (
                why,
                "put a folder in its place, with all that it leads to, then run the same command again",
            )
    return None


def _not_ours(path: str, facts: Facts) -> tuple[str, ...] | None:
    """Why the file at `path` must not be written."""
    advice = f"give it, or let confSERVER_CERT and confSERVER_KEY in sendmail.mc name other files than {path}"
    if ".." in PurePosixPath(path).parts or not path.startswith("/etc/"):
        return f"sendmail.cf names {path}, which is not below /etc: it is in no snapshot", advice
    if path.startswith(f"{CERTBOT}/"):
        why = f"sendmail.cf names {path}, which certbot keeps: there is nothing to put there"
        return why, "after each renewal: `systemctl restart sendmail`"
    before = facts.files.get(path)
    if path in facts.unreadable:
        return f"{path} can only be read by root", "run this as root"
    if before is not None and before.kind is not Kind.FILE:
        return (
            f"{path} is not a regular file but a {before.kind.value}: msa-wizard writes to regular files only",
            advice,
        )
    return None


@dataclass(frozen=True)
class CertificateRenew(CertificateStep):
    """The howto removes the certificate and runs sendmailconfig, which makes a new one for the same key: so does this,
    but for sendmailconfig, which would change more. A key that can no longer serve is made again."""

    names: tuple[str, ...] = ()
    days: int = maker.DAYS

    id = "certificate-renew"
    title = "Make a new self-signed certificate"
    why = (
        "The certificate that Debian makes has no subjectAltName, so today's mail clients find no name in it; and every certificate "
        "expires one day."
    )

    def reason(self) -> str:
        """What it will be for."""
        return f"a new certificate for {', '.join(self.names)}, for {count(self.days, 'day')}"

    def request(self) -> dict[str, object]:
        """The certificate itself, which is no secret; a new key is in memory only."""
        return {
            "names": list(self.names),
            "days": self.days,
            "certificate": self.pair.certificate.decode(),
            "key": "stays"
            if self.pair.key is None
            else "is new"
            if self.key_before is None
            else "is put right",
            "client": self.pair.client.decode() if self.pair.client else "",
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
        client = str(request.get("client", "")).encode() or None
        pair = Pair(str(request["certificate"]).encode(), repaired, client)
        if why := fits(pair.certificate, private_key(key)):
            raise HostError(why)
        return _linked(host, replace(step, pair=pair, key_before=key))


def shown(host: Host, wanted: Certificate) -> CertificateReport:
    """The report on this host's certificates, for the name that clients know it by. Raises HostError."""
    cf = host.entry(f.SENDMAIL_CF)
    if cf is None:
        raise MissingError(f"there is no {f.SENDMAIL_CF} on this host: `msa-wizard apply` sets up sendmail")
    facts = look(host)
    name = client_name(facts, wanted, facts.fqdn if facts.fqdn_resolves else "")
    return report(host, cf.content.decode("latin-1"), name)


def renewal(host: Host, names: Sequence[str]) -> Step:
    """The step `certificate-renew` for these names, for this host's own where there are none. Raises HostError."""
    return renewed(host, names or [own_name(host)], maker.DAYS, replace_authority=False)


def own_name(host: Host) -> str:
    name, resolves = qualified_name(host)
    if not resolves:
        why = "this host has no qualified name (hostname -f): give the name that mail clients know it by, --name NAME"
        raise HostError(why)
    return name


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
        step = replace(step, pair=pair, notes=(f"a new private key is made: {why}",))
    else:
        own, client = private_key(kept), None
        if step.files.shared and _is_of_another(host, step.files.client_certificate, own):
            client = maker.self_signed(host, own, names, days, client=True)
        pair = Pair(maker.self_signed(host, own, names, days), kept if why else None, client)
        note = "the private key stays, and with it what pins it (TLSA 3 1 1); each mail client asks once whether to trust the new certificate"
        if why:
            note = f"the private key stays; its owner and mode are put right: {why}"
        step = replace(step, pair=pair, key_before=kept, notes=(note,))
    return _linked(host, step)


def _is_of_another(host: Host, path: str, key: bytes) -> bool:
    """Whether there is a certificate that this key does not belong to."""
    try:
        return bool(fits(host.small_file(path, MOST)[0], key))
    except HostError:
        return False
    except PemError:
        return True


def _shaped(host: Host, names: tuple[str, ...], days: int) -> CertificateRenew:
    cf = host.entry(f.SENDMAIL_CF)
    files = TlsFiles.of(cf.content.decode("latin-1") if cf else "")
    smmsp, trusted = group(host, "smmsp"), trusted_user(host, files)
    return CertificateRenew(files=files, group=smmsp, trusted=trusted, names=names, days=days)


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
            "from an authority (`msa-wizard certificate obtain`, or `msa-wizard certificate install`); or, if you mean it: `msa-wizard "
            "certificate renew --self-signed`. "
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
