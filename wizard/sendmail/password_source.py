"""Who checks a password on this host: saslauthd and what it asks, or libsasl2 itself by a plug-in (auxprop). Pure.

libsasl2's own words are in its options.html: pwcheck_method, auxprop_plugin, mech_list."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.editors import EditError, pam_service, sasl_conf, shell_defaults
from wizard.model import facts as f
from wizard.model.answers import SERVABLE, Answers, Auth
from wizard.model.facts import Facts, Process
from wizard.model.plan import Ending
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.asked_saslauthd import argument, asked_saslauthd, defaults_file, of_another_service

DEBIAN_LIST = frozenset({"EXTERNAL", "DIGEST-MD5", "CRAM-MD5", "LOGIN", "PLAIN"})
"""The mech_list of Sendmail.conf as Debian's package makes it: nobody's own choice."""
SASL_M4 = ("DIGEST-MD5", "CRAM-MD5", "NTLM", "LOGIN", "PLAIN")
"""The confAUTH_MECHANISMS of Debian's sasl.m4."""
SHARED_SECRET = ("CRAM-MD5", "DIGEST-MD5", "NTLM", "OTP", "SRP", "PASSDSS-3DES-1")
"""Mechanisms that need the password itself on the server, and SCRAM-*: a plug-in has it, saslauthd has not."""
_PLUGINS = {
    **{name: f"lib{name.replace('-', '').lower()}" for name in (*SASL_M4, "OTP", "ANONYMOUS")},
    **dict.fromkeys(("GSSAPI", "GSS-SPNEGO"), "libgssapiv2"),
}
_WHO = {
    "pam": "the users of this host (PAM)",
    "shadow": "the users of this host (/etc/shadow)",
    "getpwent": "the users of this host (getpwent)",
    "sasldb": "the users of /etc/sasldb2",
    "ldap": "every user of LDAP",
    "kerberos5": "every user of Kerberos",
    "rimap": "every user of the IMAP server that saslauthd asks",
    "sql": "every user of the SQL database",
    "ldapdb": "every user of LDAP",
}
_LOCAL = ("pam", "shadow", "getpwent")


@dataclass(frozen=True)
class PasswordSource:
    """Where the passwords are. `method` is pwcheck_method's word; `asks` is what saslauthd or the plug-in asks."""

    method: str
    asks: str

    @property
    def saslauthd(self) -> bool:
        """Whether saslauthd is asked."""
        return self.method == "saslauthd"

    @property
    def name(self) -> str:
        """As an admin would say it: `pam`, `sasldb`, `sql`."""
        return self.asks or self.method

    @property
    def users(self) -> str:
        """Whose passwords these are, as the subject of a sentence."""
        return _WHO.get(self.name, f"every user that {self.name} knows")


PAM = PasswordSource("saslauthd", "pam")
"""The howto's own: everybody with an account on this host."""


def of_host(facts: Facts) -> PasswordSource:
    """What somebody has configured on this host and has somebody in it, else PAM.

    Debian's untouched files count for nothing; a sasldb without a user (where they can be listed) neither, nor a file that
    cannot be understood (the steps that edit it say so). Raises PermissionError where only root may read one of them."""
    words = methods(facts)
    plugin = _plugin(facts) if words[0] == "auxprop" else ""
    nobody = words == ("auxprop",) and plugin == "sasldb" and facts.sasldb == ()
    if nobody or "saslauthd" in words:
        return PasswordSource("saslauthd", _asked(facts))
    return PasswordSource(words[0], plugin)


def wanted(facts: Facts, answers: Answers) -> PasswordSource:
    """Where passwords will come from: as the answers say, else as this host has it. Raises as `of_host`."""
    if answers.auth.saslauthd_mechanism:
        return PasswordSource("saslauthd", answers.auth.saslauthd_mechanism)
    return of_host(facts)


def methods(facts: Facts) -> tuple[str, ...]:
    """The words of pwcheck_method that are in force. Raises PermissionError.

    Without a file, or without that line, libsasl2 asks its plug-ins; on a host that offers no login yet this says
    nothing, for update_auth makes the file."""
    method = _conf_value(facts, "pwcheck_method")
    if method:
        return tuple(method.lower().split())
    return ("auxprop",) if offered(facts) else ("saslauthd",)


def conf_text(facts: Facts) -> str | None:
    """The Sendmail.conf that libsasl2 reads, None where it finds none. Raises PermissionError."""
    return facts.text(facts.sasl_conf) if facts.sasl_conf is not None else None


def _conf_value(facts: Facts, key: str) -> str | None:
    """A value of Sendmail.conf; libsasl2 drops the whole of a file with a line that it does not understand."""
    try:
        return sasl_conf.value(conf_text(facts) or "", key)
    except EditError:
        return None


def offered(facts: Facts) -> tuple[str, ...]:
    """The mechanisms that sendmail.cf has, of which libsasl2 offers some; none where sendmail offers no login."""
    cf = facts.text(f.SENDMAIL_CF) or ""
    return tuple((sendmail_cf.option(cf, "AuthMechanisms") or "").upper().split())


def _asked(facts: Facts) -> str:
    """What saslauthd asks: as its file says, as it runs, else PAM."""
    configured, process = configured_mechanism(facts), asked_saslauthd(facts)
    if configured not in ("", "pam") and not (configured == "sasldb" and facts.sasldb == ()):
        return configured
    running = argument(process, "-a") if process is not None else ""
    elsewhere = process is not None and running not in ("", *_LOCAL) and _knows_somebody(facts, process)
    return running if elsewhere else "pam"


def configured_mechanism(facts: Facts) -> str:
    """The first word of MECHANISMS (saslauthd takes no more), empty where there is none."""
    words = (mechanisms_line(facts) or "").split()
    return words[0] if words else ""


def mechanisms_line(facts: Facts) -> str | None:
    """MECHANISMS as it is written, None where there is none, or it cannot be read. Raises PermissionError."""
    if of_another_service(facts) and defaults_file(facts) == f.SASLAUTHD_DEFAULT:
        return None  # that file is not of the one that is asked
    try:
        return shell_defaults.value(facts.text(defaults_file(facts)) or "", "MECHANISMS")
    except EditError:
        return None


def _knows_somebody(facts: Facts, process: Process) -> bool:
    """Whether there can be anybody in what a running saslauthd asks, though its file does not say it."""
    mechanism = argument(process, "-a")
    needs = {"ldap": f.SASLAUTHD_CONF, "kerberos5": f.KRB5_CONF}.get(mechanism)
    if mechanism == "sasldb":
        return facts.sasldb != ()
    return needs is None or bool(argument(process, "-O")) or facts.files.get(needs) is not None


def _plugin(facts: Facts) -> str:
    """The auxprop plug-in that has the passwords. Without auxprop_plugin libsasl2 asks all that are there."""
    named = _conf_value(facts, "auxprop_plugin")
    if named:
        return named.split()[0].lower()
    if _conf_value(facts, "sql_select"):
        return "sql"
    return "ldapdb" if _conf_value(facts, "ldapdb_uri") else "sasldb"


def mech_list(facts: Facts) -> tuple[str, ...] | None:
    """mech_list's words, None where there is no such line: libsasl2 then offers all it has."""
    listed = _conf_value(facts, "mech_list")
    return tuple(listed.upper().split()) if listed else None


def mechanisms(facts: Facts, answers: Answers) -> tuple[str, ...]:
    """What clients are to be offered: as the answers say, else what is listed here, as far as the source can serve it.

    Debian's untouched list is LOGIN and PLAIN, which are all that saslauthd can serve; where sasldb has users, and
    logins are offered already, those that ask it stay. Raises as `of_host`."""
    if answers.auth.mechanisms:
        return answers.auth.mechanisms
    listed, source = mech_list(facts), wanted(facts, answers)
    if not source.saslauthd:
        there = listed if listed is not None else tuple(offered(facts) or SASL_M4)
        return tuple(name for name in there if _installed(facts, name))
    secrets = facts.sasldb != () and bool(offered(facts))
    own = listed is not None and frozenset(listed) != DEBIAN_LIST
    if not own and not secrets:
        return SERVABLE
    there = listed if listed is not None else tuple(offered(facts))
    kept = [name for name in there if _installed(facts, name) and (secrets or not needs_secret(name))]
    if not own:
        kept = [name for name in kept if name != "EXTERNAL"]
    return tuple(kept) if set(kept) & set(SERVABLE) else (*kept, *SERVABLE)


def served_besides(facts: Facts) -> frozenset[str]:
    """The mechanisms besides LOGIN and PLAIN that this host offers and can serve. Raises PermissionError."""
    return frozenset(mechanisms(facts, Answers())) & frozenset(offered(facts)) - frozenset(SERVABLE)


def past_pam(facts: Facts, answers: Answers) -> tuple[str, ...]:
    """Where saslauthd asks PAM, how somebody logs in without it, a sentence each. Raises PermissionError."""
    there = frozenset(mechanisms(facts, answers)) & frozenset(offered(facts)) - frozenset(SERVABLE)
    says = (
        [f"who logs in with {', '.join(sorted(there))} is not refused: that does not ask PAM"]
        if there
        else []
    )
    words = methods(facts)
    for word in words if "saslauthd" in words else ():
        name = _plugin(facts) if word == "auxprop" else word
        if word != "saslauthd" and not (name == "sasldb" and facts.sasldb == ()):
            says.append(
                f"whose password is in {name} is not refused: pwcheck_method also asks that, besides PAM"
            )
    return tuple(says)


def needs_secret(mechanism: str) -> bool:
    """Whether the server must have the password itself (docs/debian.md trap 7)."""
    return mechanism in SHARED_SECRET or mechanism.startswith("SCRAM-")


def _installed(facts: Facts, mechanism: str) -> bool:
    """Whether its plug-in is there; true for one that nothing is known of, and before anything is installed."""
    library = "libscram" if mechanism.startswith("SCRAM-") else _PLUGINS.get(mechanism)
    return library is None or not facts.sasl_plugins or library in facts.sasl_plugins


def to_be_offered(facts: Facts, answers: Answers) -> frozenset[str]:
    """What sendmail.cf must have in AuthMechanisms: what is asked for, or is offered already."""
    if answers.auth.mechanisms:
        return frozenset(answers.auth.mechanisms)
    try:
        listed, now = frozenset(mechanisms(facts, answers)), frozenset(offered(facts))
    except PermissionError:
        return frozenset(SERVABLE)  # without root the howto's plan is shown; it cannot be applied
    if wanted(facts, answers).saslauthd:
        return listed & (now | frozenset(SERVABLE))
    return listed & (now or frozenset(SASL_M4))


def to_be_trusted(facts: Facts, answers: Answers) -> frozenset[str]:
    """What sendmail.cf must have in TrustAuthMech: of a site's own mechanisms those that it trusts already."""
    names = to_be_offered(facts, answers)
    now = frozenset(name.upper() for name in sendmail_cf.trusted(facts.text(f.SENDMAIL_CF) or ""))
    try:
        own = not answers.auth.mechanisms and not wanted(facts, answers).saslauthd
    except PermissionError:
        own = False
    return names & now if own and now else names


def ends(facts: Facts, answers: Answers) -> tuple[Ending, ...]:
    """Who logs in now and could not any more, since the answers name another source, and what no longer limits that. Raises as
    `of_host`."""
    now, then = of_host(facts), wanted(facts, answers)
    if _same_users(now, then) or (now == PAM and asked_saslauthd(facts) is None):
        return _limit_ends(now, then, facts)  # without a saslauthd nobody logs in by PAM
    return (_login_ending(now, then, facts), *_limit_ends(now, then, facts))


def running_ends(facts: Facts, then: PasswordSource) -> tuple[Ending, ...]:
    """The same, where the saslauthd that runs asks something else than its file says, and is restarted."""
    process = asked_saslauthd(facts)
    now = PasswordSource("saslauthd", argument(process, "-a") or "pam") if process is not None else then
    if process is None or _same_users(now, then) or not _knows_somebody(facts, process):
        return _limit_ends(now, then, facts)
    return (_login_ending(now, then, facts), *_limit_ends(now, then, facts))


def changed_ends(facts: Facts, then: Facts) -> tuple[Ending, ...]:
    """The same, where the host becomes `then`, whoever asked for it. Raises as `of_host`."""
    old, new = of_host(facts), of_host(then)
    login = () if _same_users(old, new) else (_login_ending(old, new, facts),)
    return (*login, *_limit_ends(old, new, then))


def _same_users(now: PasswordSource, then: PasswordSource) -> bool:
    return now == then or (now.asks in _LOCAL and then.asks in _LOCAL)


def _login_ending(now: PasswordSource, then: PasswordSource, facts: Facts) -> Ending:
    """The users of one source give way to those of another; the lines are their names, never a password."""
    says = f"{now.users} will no longer be able to log in: passwords come from {now.name} now, and would come from {then.name}"
    return Ending("logins", says, tuple(facts.sasldb or ()) if now.name == "sasldb" else ())


def _limit_ends(now: PasswordSource, then: PasswordSource, facts: Facts) -> tuple[Ending, ...]:
    """The lines that say who may log in, whoever wrote them, where PAM reads them now and would not be asked."""
    if now.name != "pam" or then.name == "pam":
        return ()
    text = facts.text(f.PAM_SMTP) or ""
    try:
        limits = [*pam_service.own(text), *pam_service.others(text)]
    except EditError:
        return ()
    root = ", root too" if then.name in _LOCAL else ""
    says = f"{f.PAM_SMTP} will no longer limit who may log in, since PAM will not be asked: {then.users} may{root}"
    return (Ending("login-limit", says, tuple(each.line.text for each in limits)),) if limits else ()


def mechanism_ends(facts: Facts, answers: Answers) -> tuple[Ending, ...]:
    """What clients log in with now, and the answers leave out."""
    chosen = answers.auth.mechanisms
    if not chosen or not offered(facts):
        return ()
    as_it_is = Answers(auth=Auth(answers.auth.saslauthd_mechanism))
    lost = [name for name in mechanisms(facts, as_it_is) if name in offered(facts) and name not in chosen]
    says = f"clients that log in with {', '.join(lost)} will no longer be able to: only {', '.join(chosen)} would be offered"
    return (Ending("login-mechanisms", says),) if lost else ()


def as_here(facts: Facts) -> Auth:
    """The answers that name what this host has; left empty where they cannot, or only root can see it."""
    try:
        source, names = of_host(facts), mechanisms(facts, Answers())
    except PermissionError:
        return Auth()
    return Auth(source.asks if source.saslauthd else "", names if set(names) <= set(SERVABLE) else ())


def in_words(facts: Facts) -> str:
    """What an answer left empty means on this host."""
    try:
        source = of_host(facts)
    except PermissionError:
        return "only root can see what that is"
    return f"saslauthd asks {source.asks}" if source.saslauthd else f"{source.name}, without saslauthd"
