"""The account, and whether it is the password after all: credentials told from machinery."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from wizard.console import count
from wizard.model import facts as f
from wizard.troubleshoot.account import SHADOW, Account, Shadow
from wizard.troubleshoot.diagnoses import pam_stack
from wizard.troubleshoot.diagnoses.login_policy import shut_out
from wizard.troubleshoot.diagnosis import Diagnosis, of_unknown
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend, next_looks

_Look = Callable[[Picture], Finding | None]


def _unknown_user(picture: Picture) -> Finding | None:
    owner = picture.account
    if owner is None or owner.known or picture.login or owner.bare or owner.user in picture.sasldb:
        return None
    if not owner.own or picture.pam.asks_others:
        return None
    return Finding(
        f"there is no user {owner.user} on this host",
        (Evidence(f"{owner.user}: not found", "getent passwd"),),
        Mend(
            text=f"look at the spelling (`getent passwd`), or make the account: `adduser {shlex.quote(owner.user)}`"
        ),
    )


def _only_in_sasldb(picture: Picture) -> Finding | None:
    owner = picture.account
    if owner is None or owner.known or not owner.own or picture.login is not False:
        return None
    if not picture.asks_saslauthd or owner.user not in picture.sasldb:
        return None
    path = picture.facts.sasl_conf or f.SASL_CONF
    return Finding(
        f"{owner.user} is a user of sasldb2 alone, but saslauthd asks {picture.backend.mechanism}, which has no user of that name",
        (
            Evidence(
                next(
                    name for name in picture.sasldb if name.partition("@")[0] == owner.user.partition("@")[0]
                ),
                "sasldblistusers2",
            ),
            Evidence(f"{owner.user}: not found", "getent passwd"),
            *((Evidence(picture.socket_login, "saslauthd"),) if picture.socket_login else ()),
        ),
        Mend(
            text=f"make the account here: `adduser {owner.user}`; or let sasldb2 be asked as well: "
            f"`pwcheck_method: saslauthd auxprop` in {path}, then `systemctl restart sendmail`"
        ),
    )


def _not_in_sasldb(picture: Picture) -> Finding | None:
    """saslauthd -a sasldb looks for name and realm; where none is given, the realm is the host's name (gethostname(2))."""
    owner, users = picture.account, picture.facts.sasldb
    if owner is None or not users or not picture.asks_saslauthd or picture.backend.mechanism != "sasldb":
        return None
    name, _, given = owner.user.partition("@")
    realm = given or picture.facts.hostname
    if picture.login is not False or f"{name}@{realm}" in users:
        return None
    theirs = [user for user in users if user.partition("@")[0] == name]
    but = f", only {theirs[0]}" if theirs else ""
    return Finding(
        f"saslauthd asks sasldb2 for {name}@{realm}, and that is not in it{but}",
        (Evidence(f"{count(len(users), 'user')}, none of them {name}@{realm}{but}", "sasldblistusers2"),),
        Mend(text=f"add the user, with a password of its own: `saslpasswd2 -c -u {realm} {name}`"),
    )


def _barred(picture: Picture) -> Finding | None:
    owner = picture.account
    if owner is None or not owner.barred or picture.login:
        return None
    line = picture.pam.has("pam_faillock.so") or picture.pam.has("pam_tally2.so")
    program = "pam_tally2" if line and "tally2" in line.module else "faillock"
    return Finding(
        f"{owner.user} is locked out after too many wrong passwords, whatever the password is now",
        (Evidence(owner.barred, program), *((Evidence(line.text, line.source),) if line else ())),
        Mend(
            text=f"let the user in again: `{program} --user {owner.user} --reset`; then correct the mail client that has the old password"
        ),
    )


def _of_shadow(test: Callable[[Account, Shadow], bool], cause: str, text: str) -> _Look:
    """A diagnosis of one state of the line in shadow."""

    def look(picture: Picture) -> Finding | None:
        owner = picture.account
        if owner is None or owner.shadow is None or picture.login or not test(owner, owner.shadow):
            return None
        if shut_out(picture):  # the policy on logins refuses it with a good password, too
            return None
        return Finding(
            cause.format(user=owner.user),
            (Evidence(owner.line, SHADOW),),
            Mend(text=text.format(user=owner.user)),
        )

    return look


_locked = _of_shadow(
    lambda _, kept: kept.locked,
    "the account {user} is locked",
    "unlock it if it may log in: `passwd -u {user}` (or `usermod -U {user}`)",
)
_no_password = _of_shadow(
    lambda _, kept: (kept.never and not kept.locked) or kept.empty,
    "the account {user} has no usable password",
    "set one: `passwd {user}`",
)
_malformed = _of_shadow(
    lambda _, kept: kept.malformed,
    "what /etc/shadow has for {user} is not the hash of a password (clear text, or a line cut or joined by hand)",
    "set a new password, which writes the hash: `passwd {user}`; never edit /etc/shadow by hand",
)
_expired = _of_shadow(
    lambda owner, kept: kept.expired(owner.today),
    "the account {user} has expired",
    "if it may log in: `chage -E -1 {user}`",
)
_password_expired = _of_shadow(
    lambda owner, kept: kept.password_expired(owner.today) and not kept.locked,
    "the password of {user} has expired: it must be changed before it is accepted",
    "set a new one: `passwd {user}`; `chage -l {user}` shows the dates",
)


def _wrong(picture: Picture) -> Finding | None:
    owner = picture.account
    if (
        owner is None
        or owner.right is not False
        or picture.login
        or (picture.socket_login or "").startswith("OK")
    ):
        return None
    return Finding(
        f"the password of {owner.user} is wrong",
        (
            Evidence("the password does not match the hash that is stored", SHADOW),
            *((Evidence(picture.socket_login, "saslauthd"),) if picture.socket_login else ()),
        ),
        Mend(text=f"type it again, or set a new one: `passwd {owner.user}`"),
    )


def _nologin(picture: Picture) -> Finding | None:
    line = picture.pam.has("pam_nologin.so")
    if picture.login or line is None or not pam_stack.asked(picture) or Text.NOLOGIN not in picture.texts:
        return None
    return Finding(
        "only root may log in now: /etc/nologin exists, and PAM looks at it",
        (
            Evidence(picture.texts[Text.NOLOGIN].strip() or "(empty)", Text.NOLOGIN),
            Evidence(line.text, line.source),
        ),
        Mend(text="when the maintenance is over: rm /etc/nologin"),
    )


def _shell(picture: Picture) -> Finding | None:
    owner, line = picture.account, picture.pam.has("pam_shells.so")
    if owner is None or owner.shell is None or picture.login or line is None or not pam_stack.asked(picture):
        return None
    allowed = [
        shell.strip() for shell in picture.texts.get(Text.SHELLS, "").splitlines() if shell.startswith("/")
    ]
    if owner.shell in allowed:
        return None
    return Finding(
        f"the shell of {owner.user}, {owner.shell or 'none'}, is not in /etc/shells, and PAM wants it there",
        (Evidence(f"{owner.user}: {owner.shell}", "getent passwd"), Evidence(line.text, line.source)),
        Mend(text=f"take that line out of PAM, or give another shell: `chsh {owner.user}`"),
    )


_WHAT = {True: "is refused", False: "was cut off before the password was judged"}


def _login(picture: Picture) -> Finding | None:
    """The conversation's own last word, where nothing explains it."""
    refused = [talk for talk in picture.conversations if talk.login is False]
    if picture.login is not False or not refused:
        return None
    talk = refused[0]
    return Finding(
        f"the login on {talk.source} {_WHAT[talk.judged]}, and none of the known causes was found",
        (
            *picture.conversation_evidence(talk),
            *picture.logged("AUTH failure", "saslauthd", "generic failure", since=picture.began),
            *((Evidence(picture.socket_login, "saslauthd"),) if picture.socket_login else ()),
        ),
        next_looks(Layer.ACCOUNT, user=picture.account.user if picture.account else "NAME"),
    )


_A = Layer.ACCOUNT
_535 = "535, the password is refused for one user"
OF_SOURCES = (
    Diagnosis(
        "user-only-in-sasldb",
        _A,
        _535,
        "5.2",
        "sasldblistusers2, getent passwd",
        _only_in_sasldb,
        cause="the user is in sasldb2 alone, and saslauthd asks the users of this host",
        fix="make the account (`adduser NAME`), or let sasldb2 be asked as well (pwcheck_method: saslauthd auxprop)",
    ),
    Diagnosis(
        "user-not-in-sasldb",
        _A,
        _535,
        "5.2",
        "sasldblistusers2",
        _not_in_sasldb,
        cause="saslauthd asks sasldb2, which does not know this user, or knows it with another realm",
        fix="add the user: `saslpasswd2 -c -u REALM NAME`",
    ),
    Diagnosis(
        "password-malformed",
        _A,
        _535,
        "5.2",
        SHADOW,
        _malformed,
        cause="what /etc/shadow has for the user is clear text, or something else that is no hash",
        fix="set a new password: `passwd NAME`",
    ),
    Diagnosis(
        "account-barred",
        _A,
        "535 for one user, even with the right password",
        "5.2",
        "pam_faillock, pam_tally2",
        _barred,
        cause="pam_faillock or pam_tally2 locks the user out after too many wrong passwords",
        fix="`faillock --user NAME --reset`, or `pam_tally2 --user NAME --reset`",
    ),
)
"""The user is not where passwords come from, or not as it can be used there."""

DIAGNOSES = (
    Diagnosis(
        "account-unknown",
        _A,
        _535,
        "5.2",
        "getent passwd",
        _unknown_user,
        cause="there is no such user on the host",
        fix="look at the spelling (`getent passwd`), or make the account: `adduser NAME`",
    ),
    Diagnosis(
        "account-locked",
        _A,
        _535,
        "5.2",
        SHADOW,
        _locked,
        cause="the account is locked",
        fix="unlock it if it may log in: `passwd -u NAME`",
    ),
    Diagnosis(
        "account-expired",
        _A,
        _535,
        "5.2",
        SHADOW,
        _expired,
        cause="the account has expired",
        fix="let it log in again if it may: `chage -E -1 NAME`",
    ),
    Diagnosis(
        "password-expired",
        _A,
        _535,
        "5.2",
        SHADOW,
        _password_expired,
        cause="the password is too old and must be changed before it is accepted",
        fix="set a new one: `passwd NAME`",
    ),
    Diagnosis(
        "password-missing",
        _A,
        _535,
        "5.2",
        SHADOW,
        _no_password,
        cause="the account has no usable password",
        fix="set one: `passwd NAME`",
    ),
    Diagnosis(
        "logins-closed",
        _A,
        "535 for everybody",
        "5.2",
        Text.NOLOGIN,
        _nologin,
        cause="/etc/nologin exists, and PAM lets only root in",
        fix="remove it when the maintenance is over: `rm /etc/nologin`",
    ),
    Diagnosis(
        "shell-refused",
        _A,
        _535,
        "5.2",
        "getent passwd, /etc/shells, PAM",
        _shell,
        cause="PAM demands a shell that /etc/shells lists, and the user has another one",
        fix="give another shell: `chsh NAME`, or take pam_shells out of PAM",
    ),
    Diagnosis(
        "password-wrong",
        _A,
        _535,
        "5.2",
        "shadow's hash",
        _wrong,
        cause="the password is not the one of the account",
        fix="type it again, or set a new one: `passwd NAME`",
    ),
    of_unknown(
        ("login-unknown", _A, _535, "5.2", "the conversation"),
        _login,
        "the login is refused, and no known cause was found",
    ),
)
