"""Beyond the howto: a certificate that clients trust without a question, from an ACME authority by Debian's certbot; then
into sendmail, as `certificate install` puts it. Only where the answers ask for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from snapshots.live.entry import Entry, Kind
from wizard.certificates import covers, parsed
from wizard.certificates.acme import (
    CERTBOT,
    HOOK,
    LETS_ENCRYPT,
    PORT_HOOK,
    STAGING,
    authority,
    reached_from_outside,
)
from wizard.changes.file import FileChange
from wizard.changes.install_packages import PackagesChange
from wizard.changes.lineage import MINUTES, LineageChange, by_hand, port_script
from wizard.changes.rules import LiveRule
from wizard.errors import HostError
from wizard.firewalls.kinds import FIREWALLS
from wizard.firewalls.opening import CannotOpenError, PortRequest
from wizard.gather.acme import keeps, kept_from, look_at_acme, they_use, users
from wizard.gather.firewall import read_entries
from wizard.gather.renewal import is_of, renews
from wizard.model import facts as f
from wizard.model.answer_checks import certifiable
from wizard.model.answers import MANUAL, STANDALONE, WEBROOT, Answers, Certificate
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Outcome, Plan, Sign, Step
from wizard.model.step_facts import Acme, KeptPair
from wizard.sendmail.cf_needs import TlsFiles, certificate
from wizard.steps.certbot_command import command_lines, obtaining, server_option
from wizard.steps.certificate import Pair, brings, put
from wizard.steps.certificate_endings import issuer, names_lost, only_rsa, tlsa_lost, trusted_now, with_tlsa
from wizard.steps.certificate_install import CertificateInstall, Source, UnfitError, chosen, hook
from wizard.steps.certificate_obstacles import FOLDERS, PORT, lineage_paths, obstacle_to, remains_of
from wizard.steps.firewall import chosen as chosen_firewalls
from wizard.system.host import Host

_BEFORE = frozenset({"install", "mc-includes", "sendmailconfig"})
"""Steps that make the sendmail.cf which names the server's certificate."""
CHOOSE = "msa-wizard certificate obtain --email ADDRESS --agree-tos"
OPTIONAL = "optional, and not asked for: `msa-wizard certificate obtain`, or o on the screen Certificate, asks for one"


class CertificateObtain(Step):
    """Nothing unless it is chosen."""

    id = "certificate-obtain"
    title = "Get a certificate from an authority"
    without = "the certificate stays as it is"
    why = (
        "Mail clients trust a certificate from an authority that they know, and ask nobody about it. Debian's certbot gets "
        "one from Let's Encrypt, or from another ACME authority, and renews it by itself; a hook brings each renewal to "
        "sendmail. `apply` gets one where certificate.challenge is in the settings, with your e-mail address and your consent to the "
        "authority's terms of service."
    )
    checked = "whether sendmail presents it, whether the hook runs, and whether something renews it"
    afterwards = "mail clients meet the certificate again that sendmail had before"
    needs = ("install",)

    def gathered(self, host: Host, facts: Facts, answers: Answers) -> Facts:
        """With what certbot keeps for the name, else with what is known before the authority is asked."""
        wanted = answers.certificate
        facts = replace(facts, files={**facts.files, HOOK: host.entry(HOOK)}) if facts.euid == 0 else facts
        names = names_of(facts, wanted)
        if not wanted.challenge and facts.euid == 0:
            return replace(facts, acme=_brought(host, facts))
        if not wanted.challenge or not names or facts.euid != 0:
            return facts
        name, acme = names[0], facts.acme
        if keeps(host, name):
            return self._with_pair(host, facts, name)
        if acme is not None and not acme.kept and names == tuple(each.name for each in acme.names):
            return facts
        paths = {PORT_HOOK, *FOLDERS, *lineage_paths(name), *_install(facts, Acme(name)).reads}
        files, unreadable = read_entries(host, paths - facts.files.keys())
        return replace(
            with_tlsa(facts, certificate(facts), names),
            acme=look_at_acme(host, wanted, names),
            files={**facts.files, **files},
            unreadable=facts.unreadable | unreadable,
        )

    @staticmethod
    def _with_pair(host: Host, facts: Facts, name: str) -> Facts:
        try:
            step = chosen(host, _source(name))
        except HostError as error:
            unfit = error.what if isinstance(error, UnfitError) else str(error)
            acme = Acme(
                name, kept=True, unfit=unfit, users=tuple(users(host, name)), kept_from=kept_from(host, name)
            )
            return replace(facts, acme=acme)
        files, unreadable = read_entries(host, set(step.reads) - facts.files.keys())
        assert step.pair.key is not None
        pair = KeptPair(
            step.pair.certificate, step.pair.key, step.group, step.beside, step.notes, step.trusted
        )
        facts = step.gathered(host, facts, Answers())
        return replace(
            facts,
            acme=Acme(name, kept=True, pair=pair),
            files={**facts.files, **files},
            unreadable=facts.unreadable | unreadable,
        )

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """What certbot keeps goes into sendmail; else it is to get one first."""
        wanted = answers.certificate
        if not wanted.challenge:
            return self._unasked(facts)
        if facts.euid != 0:
            raise PermissionError(f"{CERTBOT} can only be read by root")
        if facts.text(f.SENDMAIL_CF) is None and "install" in facts.planned:
            return Plan.later(self.id, "sendmail comes first")
        if not names_of(facts, wanted):
            why = "this host has no qualified name (hostname -f)"
            return Plan.blocked(self.id, why, "choose the name that clients know it by: certificate.name")
        acme = facts.acme or Acme()
        if acme.kept and acme.pair is None:
            return self._unfit(acme, wanted)
        if obstacle := _install(facts, acme).obstacle(facts):
            if _BEFORE & facts.planned:
                return Plan.later(self.id, "sendmail.cf comes first")
            return Plan.blocked(self.id, *obstacle)
        if acme.kept:
            return _lacks(facts, wanted, acme) or self._installation(facts, answers, acme)
        if obstacle := remains_of(facts, acme.name) or obstacle_to(facts, wanted, acme):
            return Plan.blocked(self.id, *obstacle)
        return self._obtaining(facts, answers, acme)

    def _unasked(self, facts: Facts) -> Plan:
        if facts.files.get(HOOK) is None:
            return Plan.not_applicable(self.id, OPTIONAL)
        if facts.euid != 0:
            raise PermissionError(f"{CERTBOT} can only be read by root")
        if facts.acme is None or not facts.acme.kept:
            why = f"{HOOK} is there, but sendmail has a certificate that is not of certbot's: `msa-wizard troubleshoot`"
            return Plan.not_applicable(self.id, why)
        why = f"sendmail has a certificate of certbot's, and {HOOK} brings its renewals; the settings ask for no other"
        return Plan.done(self.id, why)

    def _unfit(self, acme: Acme, wanted: Certificate) -> Plan:
        why = f"certbot keeps a certificate for {acme.name} that is not fit for sendmail: {acme.unfit}"
        name, server = shlex.quote(acme.name), wanted.server or LETS_ENCRYPT
        ways = f"`certbot renew --cert-name {name}`, or delete it: `certbot delete --cert-name {name}`"
        again = f"certbot certonly --cert-name {name}{server_option(wanted)}"
        if acme.kept_from not in ("", server):
            no_good = ", which no client trusts" if acme.kept_from == STAGING else ""
            why = f"{why}. It is from {authority(acme.kept_from)}{no_good}"
            ways = f"delete it: `certbot delete --cert-name {name}`; then run the same command again"
            again = f"certbot certonly --cert-name {name} --server {shlex.quote(server)} --force-renewal"
        if acme.users:
            ways = f"do not delete it, for {they_use(acme.users)} it: `{again}` gets it again"
        return Plan.blocked(self.id, why, ways)

    def _installation(self, facts: Facts, answers: Answers, acme: Acme) -> Plan:
        plan = replace(_install(facts, acme).plan(facts, answers), step=self.id)
        if plan.outcome is Outcome.DONE:
            names = ", ".join(names_of(facts, answers.certificate))
            return replace(plan, reason=f"sendmail has the certificate for {names} that certbot keeps")
        return plan

    def _obtaining(self, facts: Facts, answers: Answers, acme: Acme) -> Plan:
        wanted = answers.certificate
        rules, notes = _opening(facts, answers)
        changes: list[Change] = []
        if acme.missing:
            changes.append(PackagesChange(acme.missing, acme.apt_plan, recommends=False))
        changes += _port_hook(facts, rules)
        names = names_of(facts, wanted)
        commands = tuple(command_lines(wanted, names, PORT_HOOK if rules else "", rsa=only_rsa(facts)))
        details = [
            "staging is asked first, a trial that counts against no limit" if len(commands) > 1 else "",
            f"port 80 is open in the firewall meanwhile, {MINUTES} minutes at most" if rules else "",
            "its key is of type RSA: CipherList of sendmail.cf has ciphers for no other"
            if only_rsa(facts)
            else "",
            f"you agree to the terms of service: {acme.terms}"
            if acme.terms
            else "you agree to its terms of service",
            "then the certificate goes into sendmail, without another question; that is restarted and must present it",
            "a hook brings each renewal",
        ]
        who = authority(wanted.server)
        changes.append(LineageChange(acme.name, names, who, commands, rules, tuple(filter(None, details))))
        reason = f"{who} is to sign a certificate for {', '.join(names)}"
        then = tuple((path, facts.files.get(path)) for path in _install(facts, acme).writes)
        path = certificate(facts)
        if now := trusted_now(facts, path):
            notes.append(f"it takes the place of one from {issuer(now)} until {now.not_after:%F}, in {path}")
        ends = (*names_lost(facts, path, names), *tlsa_lost(facts, path))
        notes += _notes(facts, wanted, acme)
        return Plan.pending(self.id, reason, *changes, notes=tuple(notes), ends=ends, then=then)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Sendmail presents it, the hook runs, and something renews it."""
        if not answers.certificate.challenge:
            return []
        acme = self.gathered(host, facts, answers).acme
        if acme is None or acme.pair is None:
            return [
                Check(
                    "kept",
                    Sign.FAILED,
                    f"certbot keeps no certificate for {', '.join(names_of(facts, answers.certificate))}",
                )
            ]
        checks = _install(facts, acme).verify(host, facts, answers)
        return [*checks, _hook_runs(host, acme.name), renews(host)]


def _brought(host: Host, facts: Facts) -> Acme | None:
    """The lineage that our hook brings to sendmail, where the certificate there is of it."""
    lineage = brings(facts.files.get(HOOK))
    if not lineage or not is_of(host, lineage, certificate(facts)):
        return None
    return Acme(lineage.rpartition("/")[2], kept=True)


def names_of(facts: Facts, wanted: Certificate) -> tuple[str, ...]:
    """What the certificate is to be for; empty where this host has no name for it."""
    own = certifiable(facts.fqdn)
    return wanted.names or ((own,) if own else ())


def _lacks(facts: Facts, wanted: Certificate, acme: Acme) -> Plan | None:
    """Blocked where the certificate that certbot keeps is not for all of the names: others may use it, too."""
    kept = parsed(acme.pair.certificate) if acme.pair else None
    names = names_of(facts, wanted)
    lacking = [name for name in names if kept is None or not covers(kept.names, name)]
    if not lacking:
        return None
    why = f"certbot keeps a certificate by the name {acme.name} that is not for {', '.join(lacking)}"
    extend = by_hand(obtaining(wanted, names, "", rsa=only_rsa(facts)))
    return Plan.blocked(
        CertificateObtain.id,
        why,
        f"let certbot extend it: `{extend}`, then run the same command again;",
        "or, if certificate-obtain got it: `msa-wizard rollback certificate-obtain`, then the same command. What certbot has extended "
        "stays at a rollback",
    )


def _source(name: str) -> Source:
    live = f"{CERTBOT}/live/{name}"
    return Source(f"{live}/fullchain.pem", f"{live}/privkey.pem", name=name)


def _install(facts: Facts, acme: Acme) -> CertificateInstall:
    """The step `certificate-install` for what certbot keeps; without a pair yet where that has to be got first."""
    files, kept = TlsFiles.of(facts.text(f.SENDMAIL_CF) or ""), acme.pair
    if kept is None:
        step = CertificateInstall(files=files, pair=Pair(b"", b"", b""), source=_source(acme.name))
        return replace(step, beside=tuple(hook(step)))
    return CertificateInstall(
        files=files,
        pair=Pair(kept.certificate, kept.key, kept.certificate),
        group=kept.group,
        trusted=kept.trusted,
        source=_source(acme.name),
        beside=kept.beside,
        notes=kept.notes,
    )


def _notes(facts: Facts, wanted: Certificate, acme: Acme) -> Iterator[str]:
    if wanted.server == STAGING:
        yield "mail clients refuse what staging signs: to try it out, --dry-run is enough"
    if wanted.webroot and wanted.challenge == STANDALONE:
        yield f"{wanted.webroot} is not used: a web folder goes with the challenge {WEBROOT}"
    if accounts := sorted({account for named in acme.names for account in named.accounts}):
        own = "`certbot register` makes one, `certbot show_account` shows it, with --staging the one of the trial"
        yield f"by the CAA records only {', '.join(accounts)} may ask the authority, so that must be certbot's account: {own}"
    if acme.renews_by:
        lines = ", ".join(acme.renews_by)
        yield f"certbot gets it the way you chose, but renews it by {lines}: choose that too, or remove it there"
    if wanted.challenge not in (STANDALONE, WEBROOT):
        by = (
            f"your hook {wanted.auth_hook}"
            if wanted.challenge == MANUAL
            else f"its plug-in {wanted.challenge}"
        )
        yield f"certbot proves the name by the DNS, with {by}: port 80 is not needed"
        return
    for named in acme.names:
        addresses, unseen = (
            ", ".join(named.addresses),
            "what the DNS says to the authority cannot be seen from here",
        )
        if named.hearsay:
            yield f"{named.name} leads to {addresses} here, which its resolver may have from {f.HOSTS} or the host's own name: {unseen}"
            continue
        yield f"the DNS says that {named.name} leads to {addresses}"
        if not any(map(reached_from_outside, named.addresses)):
            yield f"that cannot be reached from outside: {unseen}"
        elif not any(address in facts.addresses for address in named.addresses):
            yield "none of these is an address of this host: something before it has to lead port 80 here"
    yield "whether the authority gets through a provider's firewall cannot be seen from here: the authority will say so"


def _opening(facts: Facts, answers: Answers) -> tuple[tuple[LiveRule, ...], list[str]]:
    """The live rules that let the authority in; and what is to be said of the firewall."""
    if answers.certificate.challenge not in (STANDALONE, WEBROOT):
        return (), []
    if facts.rules is None and facts.firewalls:
        raise PermissionError("the live rules of the firewall can only be read by root")
    rules, notes = list[LiveRule](), list[str]()
    for firewall in chosen_firewalls(facts, answers):
        try:
            opening = FIREWALLS[firewall.name].opening(facts, PortRequest((PORT,), answers.firewall.zone))
            rules += opening.rules
        except CannotOpenError as error:
            notes.append(f"{firewall.name} is not opened: {error}")
    return tuple(rules), notes


def _port_hook(facts: Facts, rules: tuple[LiveRule, ...]) -> Iterator[FileChange]:
    if not rules:
        return
    folder, script = Entry(Kind.DIRECTORY, 0o755, 0, 0), port_script(rules).encode()
    yield from put(facts, ((CERTBOT, folder), (PORT_HOOK, Entry(Kind.FILE, 0o755, 0, 0, script))))


def _hook_runs(host: Host, name: str) -> Check:
    """It has nothing to do now, and must say so."""
    lineage = f"{CERTBOT}/live/{name}"
    try:
        done = host.run([HOOK], env={"RENEWED_LINEAGE": lineage, "RENEWED_DOMAINS": name})
    except HostError as error:
        return Check("hook", Sign.FAILED, f"{HOOK} cannot be run: {error}")
    if done.code:
        return Check("hook", Sign.FAILED, f"{HOOK} ends with status {done.code}: {done.tail(2)}")
    return Check("hook", Sign.OK, f"{HOOK} runs: it brings each renewal to sendmail")
