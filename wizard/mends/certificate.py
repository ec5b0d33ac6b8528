"""Debian's own certificate made again, its key closed to others, and the name that it was made for given to the host
(howto 5.3; docs/debian.md section sendmail, trap 8)."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime

from snapshots.live.entry import Entry, Kind
from templates import render
from wizard.certificates import Certificate, certificates, common_name, private_key, read
from wizard.certificates.handshake import fits
from wizard.changes.command import CommandChange
from wizard.changes.file import FileChange
from wizard.console import clean
from wizard.editors import hosts_file
from wizard.errors import PemError
from wizard.mends.parts import not_regular, restart, verdict, written
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.steps.mc_includes import UPDATE_TLS
from wizard.system.host import Host


class MendCertificate(Step):
    """As the howto does it: the old file is removed, and Debian's script makes another. A key that fits stays."""

    id = "mend-certificate"
    howto = "5.3"
    needs = ("install",)
    title = "Make a certificate"
    why = "Mail clients refuse a certificate that has expired. Without one, and its own key, there is no STARTTLS, and so no login."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """What must go, update_tls, a restart. Never touches a certificate that an authority issued."""
        crt, key = facts.files.get(f.SERVER_CERT), facts.files.get(f.COMMON_KEY)
        wrong = _wrong(crt, key)
        if not wrong:
            return Plan.done(self.id, "certificate and key are there, belong together, and are valid now")
        for path, entry in ((f.SERVER_CERT, crt), (f.COMMON_KEY, key)):
            if entry is not None and entry.kind is not Kind.FILE:
                return Plan.blocked(
                    self.id,
                    f"{path} is a symbolic link: it is not Debian's own",
                    "renew it where it comes from",
                )
        certificate = _certificate(crt)
        if certificate is not None and not certificate.self_signed:
            return Plan.blocked(
                self.id,
                f"{wrong}, but an authority issued the certificate and must issue the next one",
                "renew it there, then: `msa-wizard certificate install CERT KEY`",
            )
        if not facts.fqdn_resolves:
            return Plan.blocked(
                self.id, "this host has no qualified name, so update_tls makes nothing", "fix that first"
            )
        old = [(f.SERVER_CERT, crt, "remove the old certificate")]
        if _misfit(crt, key) and not (crt is None and _readable_key(key)):
            client = facts.files.get(f.CLIENT_CERT)
            old += [
                (f.COMMON_KEY, key, "remove its key"),
                (f.CLIENT_CERT, client, "remove the client's, which has the same key"),
            ]
        removals = [FileChange(path, entry, None, why) for path, entry, why in old if entry]
        script = CommandChange(
            (UPDATE_TLS,), "makes a self-signed certificate, and a key where there is none"
        )
        return Plan.pending(self.id, wrong, *removals, script, restart(facts, "sendmail"))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """They are there, and belong together."""
        wrong = _wrong(facts.files.get(f.SERVER_CERT), facts.files.get(f.COMMON_KEY))
        return verdict("certificate", not wrong, wrong or "certificate and key belong together")


def _wrong(crt: Entry | None, key: Entry | None) -> str:
    if crt is None or key is None:
        return f"{f.SERVER_CERT if crt is None else f.COMMON_KEY} is missing"
    certificate = _certificate(crt)
    if certificate is None or not certificate.not_before <= datetime.now(UTC) <= certificate.not_after:
        return "the certificate has expired, is not valid yet, or cannot be read"
    return _misfit(crt, key)


def _certificate(entry: Entry | None) -> Certificate | None:
    """The first certificate of the file, None where there is none that can be read."""
    if entry is None or entry.kind is not Kind.FILE:
        return None
    try:
        return read(certificates(entry.content)[:1], "", None, False, clean)
    except ValueError:
        return None


def _misfit(crt: Entry | None, key: Entry | None) -> str:
    """Why the two cannot be used together, empty where they can."""
    if crt is None or key is None or not crt.kind is key.kind is Kind.FILE:
        return "the certificate or its key is not a regular file"
    return fits(crt.content, key.content) or ""


def _readable_key(entry: Entry | None) -> bool:
    try:
        return bool(entry and entry.kind is Kind.FILE and private_key(entry.content))
    except PemError:
        return False


class MendKeyMode(Step):
    """Of the very files that sendmail.cf names, behind their links."""

    id = "mend-key-mode"
    howto = "5.3"
    needs = ("install",)
    title = "Close key and certificate to other users"
    why = (
        "sendmail offers no STARTTLS with a key that others can read, or a file that they can change: `unsafe` is all "
        "it says, in the log."
    )

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The mode of each (and root as the owner of Debian's own), then a restart."""
        wrong = _wrong_modes(facts)
        if not wrong:
            return Plan.done(self.id, "sendmail takes the modes of key and certificate")
        changes = []
        for path, mode in wrong.items():
            entry = facts.files.get(path)
            if entry is None or entry.kind is not Kind.FILE or not path.startswith("/etc/"):
                how = next(each.command for each in facts.tls_refused if each.culprit == path)
                return Plan.blocked(self.id, f"{path} is not a file below /etc: it is in no snapshot", how)
            uid = 0 if path in (f.SERVER_CERT, f.COMMON_KEY) else entry.uid
            changes.append(
                FileChange(path, entry, dataclasses.replace(entry, mode=mode, uid=uid), self.title)
            )
        why = facts.tls_refused[0].why
        return Plan.pending(self.id, f"{next(iter(wrong))}: {why}", *changes, restart(facts, "sendmail"))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The modes."""
        wrong = _wrong_modes(facts)
        says = (
            f"{', '.join(wrong)}: still unsafe"
            if wrong
            else "sendmail takes owner and mode of key and certificate"
        )
        return verdict("key", not wrong, says)


def _wrong_modes(facts: Facts) -> dict[str, int]:
    """By file, the mode that it is to have."""
    return {each.culprit: each.mode for each in facts.tls_refused if each.mode is not None}


class MendHostName(Step):
    """In the line of /etc/hosts that takes the name away, and in the one that gives it."""

    id = "mend-host-name"
    title = "Give this host its qualified name"
    why = "Without a name that resolves sendmail waits a minute at each start, and no certificate is made."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Lines of /etc/hosts."""
        if not misnamed(facts):
            return Plan.done(self.id, f"`hostname -f` says {facts.fqdn}")
        name, short = known_name(facts), facts.hostname.partition(".")[0]
        if not name:
            return Plan.blocked(
                self.id,
                "the name of this host is not known, and its certificate does not tell it either",
                f"put `127.0.1.1 {short}.YOUR.DOMAIN {short}` into {f.HOSTS}",
            )
        entry, text = facts.files.get(f.HOSTS), facts.text(f.HOSTS)
        if entry is None or text is None:
            return not_regular(self.id, f.HOSTS, "is missing or not a regular file")
        new = hosts_file.with_name(text, name, short, render("hosts_line.j2", name=name, short=short))
        if new == text:
            why = f"{f.HOSTS} gives {name}, and `hostname -f` says {facts.fqdn or 'nothing'}"
            return Plan.blocked(self.id, why, "look at the line `hosts:` of /etc/nsswitch.conf")
        change = written(f.HOSTS, entry, new, self.title)
        return Plan.pending(self.id, f"`hostname -f` says {facts.fqdn or 'nothing'}", change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """hostname -f."""
        return verdict("fqdn", not misnamed(facts), f"`hostname -f` says {facts.fqdn or 'nothing'}")


def misnamed(facts: Facts) -> bool:
    """Whether `hostname -f` gives no name, none with a domain, localhost's, or one with a dot at its end."""
    local = facts.fqdn.partition(".")[0].lower() == "localhost" != facts.hostname.partition(".")[0].lower()
    return not facts.fqdn_resolves or local or facts.fqdn.endswith(".")


def known_name(facts: Facts) -> str:
    """The qualified name of this host, as far as anything here gives it: the kernel, /etc/hosts, the name that Debian's
    certificate was made for, which is what it was called when it worked. Empty where nothing does."""
    short = facts.hostname.partition(".")[0].lower()
    in_hosts = [name for line in hosts_file.naming(facts.text(f.HOSTS) or "", [short]) for name in line.names]
    for name in (facts.hostname, facts.fqdn, *in_hosts, _certified(facts.files.get(f.SERVER_CERT))):
        plain = name.rstrip(".").lower()
        if plain.startswith(f"{short}.") and _QUALIFIED.fullmatch(plain):
            return plain
    return ""


_QUALIFIED = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+")


def _certified(entry: Entry | None) -> str:
    """The name that the certificate was made for, empty where it cannot be read."""
    try:
        return common_name(entry.content) if entry is not None and entry.kind is Kind.FILE else ""
    except PemError:
        return ""
