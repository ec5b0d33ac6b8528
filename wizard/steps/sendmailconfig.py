"""Howto 3.6: sendmail.cf and the databases are made again, and sendmail.cf is read back."""

from __future__ import annotations

from wizard.changes.command import DialogueChange
from wizard.console import count
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf_needs import REMEDY, certificate, certificate_is_there, tls_sentence
from wizard.sendmail.local_mail import destination, refused_by
from wizard.sendmail.sendmailconfig import no_room
from wizard.steps.absent import not_there_yet
from wizard.steps.mc_edit import AuthOptions, unless_left_out
from wizard.steps.sendmail_auth import hands_off
from wizard.system.host import Host

ERRORS = "/etc/mail/sendmail.cf.errors"
EDITS = frozenset({"mc-includes", "submission-port", "auth-options", "smtp-port"})
"""The steps that edit sendmail.mc."""
MC_STEPS = EDITS | {"install", "sendmail-auth"}


class Sendmailconfig(Step):
    """The dialogue is held only when sendmail.cf is not what sendmail.mc gives."""

    id = "sendmailconfig"
    howto = "3.6"
    title = "Make sendmail.cf"
    why = "The daemon reads sendmail.cf, not sendmail.mc. sendmailconfig makes the one from the other."
    checked = "whether sendmail.cf is what sendmail.mc gives, where local mail goes, AuthOptions, and the certificate"
    needs = ("mc-includes", "submission-port")

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending when m4 makes something else of sendmail.mc than sendmail.cf is, or the certificate is missing."""
        if stopped := hands_off(facts, self.id):
            return stopped
        if facts.without_tls:
            return Plan.blocked(self.id, tls_sentence(facts.without_tls), REMEDY)
        if MC_STEPS & facts.planned:
            why = "sendmail.mc will change"
            if not EDITS & facts.planned:
                by = "the packages" if "install" in facts.planned else "sendmail-auth"
                why = f"{by} may change what sendmail.mc includes"
            return Plan.pending(self.id, why, DialogueChange(), follows=True)
        if stopped := not_there_yet(facts, self.id, f.SENDMAIL_MC):
            return stopped
        if MC_STEPS & facts.unseen:
            return Plan.unseen(
                self.id, "only root can see whether sendmail.mc has to change; run this as root"
            )
        if facts.files.get(f.SENDMAIL_MC) is None:
            why = f"{f.SENDMAIL_MC} is missing: sendmailconfig would ask some twenty questions and write its own"
            remedy = "restore Debian's: `cp /usr/share/sendmail/cf/debian/sendmail.mc /etc/mail/`"
            return Plan.blocked(self.id, why, remedy)
        if facts.cf_from_mc is None:
            why = f"m4 does not accept {f.SENDMAIL_MC}: sendmailconfig would stop the running MTA and report success"
            return Plan.blocked(self.id, why, f"see where: `m4 {f.SENDMAIL_MC} > /dev/null`")
        if not sendmail_cf.same(facts.cf_from_mc, facts.text(f.SENDMAIL_CF) or ""):
            reason = "sendmail.cf is not what sendmail.mc gives"
            if not facts.cf_newest:
                reason += ": sendmail.mc, or a file that it includes, was changed later"
            return Plan.pending(self.id, reason, DialogueChange(), follows=not facts.cf_newest)
        daemons = sendmail_cf.daemons(facts.cf_from_mc)
        refused = refused_by(facts, destination(facts.text(f.SUBMIT_CF)), daemons)
        if refused is not None and not refused_by(facts, destination(facts.submit_from_mc), daemons):
            reason = f"submit.cf hands local mail to port {refused.port}, where a login is wanted, and submit.mc does not"
            return Plan.pending(self.id, reason, DialogueChange())
        if certificate(facts) == f.SERVER_CERT and not certificate_is_there(facts):
            return Plan.pending(self.id, "the server certificate is missing", DialogueChange())
        return Plan.done(self.id, "sendmail.cf is what sendmail.mc gives")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Read sendmail.cf back; the exit status says nothing (docs/debian.md trap 1)."""
        cf = facts.text(f.SENDMAIL_CF) or ""
        errors = host.entry(ERRORS)
        checks = []
        if errors is not None and errors.content.strip():
            message = errors.content.decode("utf-8", "replace").strip().splitlines()[0]
            # What stops m4 leaves no whole file; the rest it says of a file that works, as of a FEATURE behind MAILER.
            sign = Sign.FAILED if facts.cf_from_mc is None else Sign.WARNING
            checks.append(Check("errors", sign, f"{ERRORS} says: {message[:200]}"))
        if facts.cf_from_mc is None or not sendmail_cf.same(facts.cf_from_mc, cf):
            says = f"sendmail.cf is not what sendmail.mc gives{no_room(host)}"
            remedy = "run `sendmailconfig` by hand and read what it says"
            checks.append(Check("cf", Sign.FAILED, says, remedy))
        else:
            checks.append(
                Check("cf", Sign.OK, f"sendmail.cf ({count(len(cf), 'byte')}) is what sendmail.mc gives")
            )
        to = destination(facts.text(f.SUBMIT_CF))
        refused = refused_by(facts, to, sendmail_cf.daemons(cf))
        if refused is not None:
            says = f"submit.cf hands local mail to {to}, which wants a login ({refused.name}): it would end in dead.letter"
            remedy = f"put port 25 into the msp line of {f.SUBMIT_MC}"
            checks.append(Check("local-mail", Sign.FAILED, says, remedy))
        elif to is not None:
            says = f"submit.cf hands local mail to {to}, where no login is wanted"
            checks.append(Check("local-mail", Sign.OK, says))
        options = sendmail_cf.option(cf, "AuthOptions") or ""
        sign = Sign.OK if {"p", "y"} <= set(sendmail_cf.auth_flags(options)) else Sign.FAILED
        check = Check("auth-options", sign, f"AuthOptions={options or '(nothing)'}")
        return [*checks, unless_left_out(check, AuthOptions(), facts, answers), _certificate(facts)]


def _certificate(facts: Facts) -> Check:
    path, there = certificate(facts), certificate_is_there(facts)
    if there:
        return Check("certificate", Sign.OK, f"{path} is there")
    remedy = "" if path == f.SERVER_CERT else "confSERVER_CERT in sendmail.mc names it: bring the file there"
    return Check("certificate", Sign.FAILED, f"{path} is missing: no STARTTLS", remedy)
