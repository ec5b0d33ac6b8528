"""Howto 3.2: the sasl.m4 and starttls.m4 includes, before the MAILER lines."""

from __future__ import annotations

from templates import render
from wizard.changes.command import CommandChange
from wizard.editors import EditError, sendmail_mc
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan, after
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf_needs import TLS_PATHS
from wizard.sendmail.mc_gate import TRUST, TRUSTED, Gate, Planned, untrusted
from wizard.sendmail.password_source import to_be_offered, to_be_trusted
from wizard.steps.mc_edit import McStep

UPDATE_TLS = "/usr/share/sendmail/update_tls"
_SETS = frozenset(
    {
        *("Timeout.auth", "AuthRealm", "AuthMechanisms", TRUSTED, "DontBlameSendmail", "Timeout.starttls"),
        *("CACertPath", "CACertFile", "CRLFile", "ServerCertFile", "ServerKeyFile", "ClientCertFile"),
        *("ClientKeyFile", "DHParameters", "TLSSrvOptions"),
    }
)
"""What sasl.m4 and starttls.m4 define, as sendmail.cf calls it."""
_KEY_FLAG = "GroupReadableKeyFile"
_FLAGS = frozenset({"GroupReadableSASLDBFile", "GroupWritableSASLDBFile", _KEY_FLAG})
_TRUSTS = frozenset({"DIGEST-MD5", "CRAM-MD5", "NTLM", "LOGIN", "PLAIN", "EXTERNAL"})
_USER = "confTRUSTED_USER"
_INCLUDES = ((f.SASL_M4, "include_sasl.mc.j2"), (f.STARTTLS_M4, "include_starttls.mc.j2"))


class McIncludes(McStep):
    """Without them sendmail.cf knows neither AUTH nor STARTTLS."""

    id = "mc-includes"
    howto = "3.2"
    title = "Include SASL2 and STARTTLS in sendmail.mc"
    why = "sendmail.cf has AUTH and STARTTLS only if sendmail.mc includes the two files that Debian's scripts make."

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """Each include that is needed and not live anywhere in the file is inserted, above the admin's own settings."""
        cf = facts.cf_from_mc or ""
        offered = to_be_offered(facts, answers)
        own = {f.SASL_M4: _own_auth(mc, cf, offered), f.STARTTLS_M4: _own_tls(mc, cf)}
        for path, template in _INCLUDES:
            if not own[path]:
                mc = _with_include(mc, path, render(template, path=path))
        return _with_trusted_user(_with_mechanisms(mc, offered), cf, facts.mail_owner)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """update_tls first where starttls.m4 is missing (openssl came after sendmail)."""
        plan = super().plan(facts, answers)
        if plan.outcome is Outcome.PENDING and (lacking := _never_trusted(facts, answers)):
            return Plan.blocked(self.id, untrusted(lacking), TRUST)
        missing = (
            facts.files.get(f.STARTTLS_M4) is None
            and "install" not in facts.planned
            and _included(facts, plan, f.STARTTLS_M4)
        )
        if not missing or plan.outcome not in (Outcome.PENDING, Outcome.DONE):
            return plan
        why = f"makes {f.STARTTLS_M4} and the certificate, which are missing"
        changes = (CommandChange((UPDATE_TLS,), why), *plan.changes)
        return Plan.pending(self.id, f"{f.STARTTLS_M4} is missing", *changes, notes=plan.notes)

    def pending_reason(self, before: str, after: str) -> str:
        """The files that will be included; the rest is the admin's own lists."""
        included, then = sendmail_mc.includes(before), sendmail_mc.includes(after)
        if left := [path for path, _ in _INCLUDES if path in then and path not in included]:
            return f"sendmail.mc does not include {' and '.join(left)}"
        return "settings of your own in sendmail.mc leave out something that AUTH or STARTTLS needs"

    def done_reason(self, mc: str) -> str:
        """Both are there, or what they would set is."""
        included = sendmail_mc.includes(mc)
        left = [path for path, _ in _INCLUDES if path not in included]
        if not left:
            return "both files are included in sendmail.mc"
        return f"sendmail.mc has settings of your own in the place of {' and '.join(left)}"

    def notes(self, before: str, after: str) -> tuple[str, ...]:
        """What is left out, and why."""
        included = sendmail_mc.includes(after)
        return tuple(
            f"{path} is left out: sendmail.mc has {what} of your own, and needs nothing of it"
            for (path, _), what in zip(_INCLUDES, ("mechanisms for AUTH", "a certificate"), strict=True)
            if path not in included
        )

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's lines."""
        return tuple(f"will insert include(`{path}')dnl" for path, _ in _INCLUDES)

    def gate(self, facts: Facts, answers: Answers) -> Gate:
        """What the two files set, where nothing was set; mechanisms are only added to the admin's own. One that is offered
        and not trusted lets users in, and then refuses to relay."""
        offered, tls = to_be_offered(facts, answers), ("ServerCertFile", "ServerKeyFile")
        options = {"AuthMechanisms": offered, **dict.fromkeys(tls, frozenset[str]())}
        grows = {"DontBlameSendmail": _FLAGS, "AuthMechanisms": offered, TRUSTED: _TRUSTS | offered}
        planned = Planned(adds=_SETS | {"TrustedUser"}, grows=grows)
        return Gate(options=options, trusted=to_be_trusted(facts, answers), planned=planned)


def _never_trusted(facts: Facts, answers: Answers) -> frozenset[str]:
    """What will be offered and lacks in the list of sendmail.mc, where sasl.m4 is still to be made: Debian's script takes that
    list into it."""
    own = sendmail_mc.trusted_mechanisms(facts.text(f.SENDMAIL_MC) or "")
    if not own or facts.files.get(f.SASL_M4) is not None:
        return frozenset()
    return to_be_trusted(facts, answers).difference(own, sendmail_cf.trusted(facts.cf_from_mc or ""))


def _own_tls(mc: str, cf: str) -> bool:
    """Whether sendmail serves STARTTLS by the admin's own settings, wherever they are: nothing of Debian's is needed."""
    return all(
        sendmail_cf.option(cf, option) or sendmail_mc.define_value(mc, name)
        for option, name in TLS_PATHS.items()
    )


def _own_auth(mc: str, cf: str, wanted: frozenset[str]) -> bool:
    """Whether AUTH is set by the admin's own settings; mechanisms that lack are added to his own define."""
    mechanisms = sendmail_cf.option(cf, "AuthMechanisms") or ""
    if wanted <= set(mechanisms.split()) and wanted <= set(sendmail_cf.trusted(cf)):
        return True
    own = bool(sendmail_mc.define_value(mc, "confAUTH_MECHANISMS"))
    return own and wanted <= set(sendmail_mc.trusted_mechanisms(mc))


def _with_include(mc: str, path: str, block: str) -> str:
    """The include, and the flag without which sendmail refuses the key that it names, where a define below drops it."""
    new, name = sendmail_mc.add_include(mc, path, block), "confDONT_BLAME_SENDMAIL"
    now = sendmail_mc.define_value(new, name) or ""
    dropped = new != mc and path == f.STARTTLS_M4 and sendmail_mc.starts_over(new, name, path)
    if not dropped or _KEY_FLAG in now:
        return new
    return sendmail_mc.set_define(new, name, f"{now},{_KEY_FLAG}", "")


def _with_mechanisms(mc: str, wanted: frozenset[str]) -> str:
    """The admin's own list of mechanisms gains what is to be offered and loses nothing: sendmail takes the same list as a
    client of a smart host. What is offered is limited in Sendmail.conf."""
    now = sendmail_mc.define_value(mc, "confAUTH_MECHANISMS")
    if now is None:
        return mc
    more = sorted(name for name in wanted if name not in now.split())
    value = " ".join([now, *more])
    return sendmail_mc.set_define(mc, "confAUTH_MECHANISMS", value, "") if more else mc


def _with_trusted_user(mc: str, cf: str, owner: str) -> str:
    """The owner of /etc/mail named where nobody is: without DOMAIN(`debian-mta') sendmail can make no maps there."""
    if not owner or not cf or sendmail_cf.option(cf, "TrustedUser") or sendmail_mc.define_value(mc, _USER):
        return mc
    return sendmail_mc.set_define(mc, _USER, owner, render("trusted_user.mc.j2", owner=owner))


def _included(facts: Facts, plan: Plan, path: str) -> bool:
    """Whether sendmail.mc includes `path` once the plan is carried out."""
    entry = after(facts, plan).files.get(f.SENDMAIL_MC)
    try:
        return entry is not None and path in sendmail_mc.includes(entry.content.decode("latin-1"))
    except EditError:
        return False
