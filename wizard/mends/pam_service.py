"""/etc/pam.d/smtp, which saslauthd asks (docs/debian.md section saslauthd)."""

from __future__ import annotations

from snapshots.live.entry import Kind
from templates import render
from wizard.mends.parts import not_regular, verdict, written
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.system.host import Host


class MendPamService(Step):
    """The users of this host, by the files that every service of Debian includes."""

    id = "mend-pam-service"
    howto = "2.3"
    title = "Write PAM's service smtp"
    why = "saslauthd asks PAM for the service smtp. Where that is broken nobody can log in, whatever the password."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Debian's two includes in place of what is there."""
        entry = facts.files.get(f.PAM_SMTP)
        if entry is not None and entry.kind is not Kind.FILE:
            return not_regular(self.id, f.PAM_SMTP)
        change = written(f.PAM_SMTP, entry, render("pam_smtp.j2"), self.title)
        if change.after == entry:
            return Plan.done(self.id, f"{f.PAM_SMTP} includes common-auth and common-account")
        reason = f"{f.PAM_SMTP} is missing" if entry is None else f"{f.PAM_SMTP} is broken"
        return Plan.pending(self.id, reason, change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """What it includes is there."""
        gone = [name for name in ("common-auth", "common-account") if not host.exists(f"/etc/pam.d/{name}")]
        says = f"missing in /etc/pam.d: {', '.join(gone)}" if gone else "what it includes is there"
        return verdict("included", not gone, says)
