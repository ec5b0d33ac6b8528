"""What saslauthd itself asks, where that is not this host: LDAP, an IMAP server, Kerberos, a web form (saslauthd(8)).

saslauthd is sound then, and so is the account: getent and /etc/shadow have no part in it. No fix here changes what is
asked. The patterns are saslauthd's own words, from the start of a line: what follows may be a client's."""

from __future__ import annotations

import re

from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail.asked_saslauthd import defaults_file, of_another_service
from wizard.troubleshoot.asked_saslauthd import restarted
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_CALLED = {
    "ldap": "the LDAP server",
    "rimap": "the IMAP server",
    "httpform": "the web server",
    "kerberos5": "Kerberos",
}
_WHERE = {
    "ldap": "ldap_servers in {conf}",
    "rimap": "MECH_OPTIONS in {default}",
    "httpform": "httpform_host in {conf}",
}
_SOCKET = (
    r"auth_{0}: (?:connect |couldn't connect |read \(banner\)|failed to send|unexpected response during)"
)
_TROUBLE = {
    "ldap": re.compile(
        r"ldap_(?:simple|sasl_interactive)_bind\(\) failed -?\d|ldap_initialize failed|start tls failed"
        r"|user ldap_search_st\(\) failed|ldap_whoami_s\(\) failed"
    ),
    "rimap": re.compile(_SOCKET.format("rimap")),
    "httpform": re.compile(_SOCKET.format("httpform")),
    "kerberos5": re.compile(
        r"auth_krb5: (?:krb5_(?:init_context|kt_resolve|sname_to_principal|verify_init_creds): "
        r"|krb5_parse_name: Configuration file"
        r"|krb5_get_init_creds_password: (?:Cannot (?:contact|find|resolve)|Clock skew))"
    ),
}
_HINTS = (
    (
        "Can't contact",
        "its port is open: look at the encryption (ldaps:// or ldap://, ldap_tls_cacert_file) in {conf}",
    ),
    ("Strong", "it wants encryption: ldap_servers: ldaps://NAME, or ldap_start_tls: yes, in {conf}"),
    ("tls failed", "look at ldap_tls_cacert_file and ldap_tls_check_peer in {conf}"),
    ("ldap_initialize", "correct ldap_servers in {conf}: ldap://NAME or ldaps://NAME"),
    ("search_st", "correct ldap_search_base and the rights of ldap_bind_dn ({conf})"),
    ("Clock skew", "set this host's clock: `timedatectl set-ntp true`"),
    ("default realm", "set default_realm in /etc/krb5.conf"),
    ("verify_init", "create this host's key: host/NAME in /etc/krb5.keytab"),
)
_RECENT = 300.0
"""Seconds for which the trouble of others counts, where no login was tried."""


def _remote(picture: Picture) -> bool:
    return picture.asks_saslauthd and picture.backend.mechanism in _CALLED and not picture.mux_problem


def _logged(picture: Picture, since: float, own: re.Pattern[str]) -> tuple[Evidence, ...]:
    """What saslauthd itself logged in those words, each once."""
    lines = [
        line
        for line in picture.log or ()
        if line.name == "saslauthd" and not line.file and line.time >= since
    ]
    last = {line.text.strip().removeprefix(": "): line.source for line in lines if own.match(line.text)}
    return tuple(Evidence(text, source) for text, source in last.items())[-2:]


def _conf(picture: Picture) -> Finding | None:
    asked = picture.backend
    if not picture.asks_saslauthd or not asked.wrong:
        return None
    return Finding(
        f"saslauthd asks {asked.mechanism}, and cannot read where: {asked.conf}: {asked.wrong}",
        (
            Evidence(asked.wrong, asked.conf),
            *picture.logged(
                "Could not open saslauthd config file", since=picture.began - _RECENT, proved=True
            ),
        ),
        Mend(
            text=f"write {asked.conf} (saslauthd(8); mode 0600, as it may hold a password), then: {restarted(picture)}"
        ),
        Sign.WARNING if picture.login else Sign.FAILED,
    )


def _down(picture: Picture) -> Finding | None:
    asked = picture.backend
    gone = [server for server in asked.servers if server.problem]
    if not picture.asks_saslauthd or not gone:
        return None
    names = ", ".join(server.name for server in gone)
    every = len(gone) == len(asked.servers)
    then = (
        "nobody's password can be checked"
        if every
        else "logins are slow while the others are asked in its place"
    )
    return Finding(
        f"saslauthd asks {_CALLED[asked.mechanism]} {names}, which cannot be reached: {then}",
        (
            *(Evidence(f"{server.name}: {server.problem}", "a connection from this host") for server in gone),
            *_logged(picture, picture.began - _RECENT, _TROUBLE[asked.mechanism]),
        ),
        Mend(
            text=f"get {names} to answer this host (is it up, its name known, its port open to here?), or correct "
            f"{_where(picture)}; saslauthd itself works"
        ),
        Sign.FAILED if every and not picture.login else Sign.WARNING,
    )


def _where(picture: Picture) -> str:
    """Where the server is named; of what an admin's own service starts no defaults file need say it."""
    asked, default = picture.backend, defaults_file(picture.facts)
    if of_another_service(picture.facts) and default == f.SASLAUTHD_DEFAULT:
        default = "the command line that its own service starts it with"
    return _WHERE[asked.mechanism].format(conf=asked.conf, default=default)


def _refuses(picture: Picture) -> Finding | None:
    """It can be reached, and yet saslauthd gets no answer from it."""
    if not _remote(picture) or picture.login or _down(picture):
        return None
    asked, tried = picture.backend, picture.login is False
    lines = _logged(picture, picture.began if tried else picture.began - _RECENT, _TROUBLE[asked.mechanism])
    if not lines:
        return None
    hint = next((text for word, text in _HINTS if word in lines[-1].says), "")
    called = " ".join((_CALLED[asked.mechanism], ", ".join(server.name for server in asked.servers))).strip()
    return Finding(
        f"{called} does not serve saslauthd: {lines[-1].says[:200]}",
        lines,
        Mend(text=hint.format(conf=asked.conf) or f"ask those who run {called}; saslauthd itself works"),
        Sign.FAILED if tried else Sign.WARNING,
    )


_SAYS_NO = (
    (
        "User not found (-6)",
        "LDAP has no user {user} below ldap_search_base that ldap_filter finds",
        "look there: ldapsearch with the base and the filter of {conf}",
    ),
    (
        "(-7)",
        "LDAP refused the bind: the password of {user} is wrong, or {account}",
        "try each: ldapwhoami -x -W -H SERVER -D DN",
    ),
    (
        "Group member check failed",
        "LDAP knows {user}, but not as a member of ldap_group_dn",
        "put {user} into that group, or correct ldap_group_dn in {conf}",
    ),
    ("Client not found", "Kerberos has no principal {user}", "create it there: kadmin -q 'addprinc {user}'"),
    (
        "remote server rejected",
        "the server that saslauthd asks refused the password of {user}",
        "try it there; the reply is in its log",
    ),
    (
        "krb5_get_init_creds_password failed",
        "Kerberos refused the password of {user}",
        "try it: kinit {user}",
    ),
)


def _says_no(picture: Picture) -> Finding | None:
    owner, asked = picture.account, picture.backend
    if (
        owner is None
        or picture.login is not False
        or not _remote(picture)
        or _down(picture)
        or _refuses(picture)
    ):
        return None
    user = owner.user if asked.joined else owner.user.partition("@")[0]
    own = re.compile(
        rf"Authentication failed for {re.escape(user)}[^:\s]*: [A-Z][^:]* \(-\d+\)\Z"
        rf"|\s*: auth failure: \[user={re.escape(user)}\] .*\[mech={re.escape(asked.mechanism)}\] \[reason=[^]]*\]?"
        r"|auth_krb5: krb5_get_init_creds_password: Client not found"
    )
    lines = _logged(picture, picture.began, own)
    for word, cause, text in _SAYS_NO:
        if any(word in line.says for line in lines):
            theirs = (
                f"that of saslauthd's own account, {asked.account}"
                if asked.account
                else "nobody may bind without one"
            )
            words = {"user": user, "conf": asked.conf, "account": theirs}
            return Finding(cause.format(**words), lines, Mend(text=text.format(**words)))
    return None


_535 = "535, the password is refused for everybody"
DIAGNOSES = (
    Diagnosis(
        "password-server-file",
        Layer.SASLAUTHD,
        _535,
        "2.3",
        "/etc/saslauthd.conf",
        _conf,
        cause="saslauthd cannot read the file that says which server it asks",
        fix="write /etc/saslauthd.conf, or correct its line",
    ),
    Diagnosis(
        "password-server-down",
        Layer.SASLAUTHD,
        _535,
        "2.3",
        "a connection to the server that saslauthd asks",
        _down,
        cause="the LDAP, IMAP or web server that saslauthd asks cannot be reached",
        fix="get that server to answer this host, or correct its name where saslauthd has it",
    ),
    Diagnosis(
        "password-server-refuses",
        Layer.SASLAUTHD,
        _535,
        "2.3",
        "the log of saslauthd",
        _refuses,
        cause="the server that saslauthd asks answers, and does not serve it: encryption, rights, Kerberos",
        fix="as saslauthd's own line in the log says",
    ),
)
OF_ONE_USER = (
    Diagnosis(
        "password-server-says-no",
        Layer.ACCOUNT,
        "535, the password is refused for one user",
        "5.2",
        "the log of saslauthd",
        _says_no,
        cause="the server that saslauthd asks does not know the user, or refuses the password",
        fix="look there; /etc/shadow is not asked",
    ),
)
