"""The account, and whether it is the password after all: credentials told from machinery."""

from __future__ import annotations

from collections.abc import Callable

from wizard.troubleshoot.account import SHADOW, Account, Shadow
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend, next_looks

_Look = Callable[[Picture], Finding | None]


def _unknown_user(picture: Picture) -> Finding | None:
    owner = picture.account
    if owner is None or owner.known or picture.login or owner.user in picture.sasldb:
        return None
    bare, _, realm = owner.user.partition("@")
    hint = f"; without @{realm} it is {bare}" if realm else ""
    return Finding(
        f"there is no user {owner.user} on this host{hint}",
        (Evidence(f"{owner.user}: not found", "getent passwd"),),
        Mend(text="look at the spelling (`getent passwd`), or make the account: `adduser NAME`"),
    )


def _of_shadow(test: Callable[[Account, Shadow], bool], cause: str, text: str) -> _Look:
    """A diagnosis of one state of the line in shadow."""

    def look(picture: Picture) -> Finding | None:
        owner = picture.account
        if owner is None or owner.shadow is None or picture.login or not test(owner, owner.shadow):
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
    "the account {user} has no password that could be right",
    "give it one: `passwd {user}`",
)
_expired = _of_shadow(
    lambda owner, kept: kept.expired(owner.today),
    "the account {user} has expired",
    "if it may log in: `chage -E -1 {user}`",
)
_password_expired = _of_shadow(
    lambda owner, kept: kept.password_expired(owner.today) and not kept.locked,
    "the password of {user} has expired: it must be changed before it is accepted",
    "give a new one: `passwd {user}`; `chage -l {user}` shows the dates",
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
        f"the password of {owner.user} is wrong; everything before it is looked at above",
        (
            Evidence("this is not the password whose hash is there", SHADOW),
            *((Evidence(picture.socket_login, "saslauthd"),) if picture.socket_login else ()),
        ),
        Mend(text=f"type it anew in the mail client, or give a new one: `passwd {owner.user}`"),
    )


def _nologin(picture: Picture) -> Finding | None:
    line = picture.pam.has("pam_nologin.so")
    if picture.login or line is None or Text.NOLOGIN not in picture.texts:
        return None
    return Finding(
        "nobody but root may log in now: /etc/nologin is there, and PAM looks at it",
        (
            Evidence(picture.texts[Text.NOLOGIN].strip() or "(empty)", Text.NOLOGIN),
            Evidence(line.text, line.source),
        ),
        Mend(text="when the maintenance is over: rm /etc/nologin"),
    )


def _shell(picture: Picture) -> Finding | None:
    owner, line = picture.account, picture.pam.has("pam_shells.so")
    if owner is None or owner.shell is None or picture.login or line is None:
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


_WHAT = {True: "is refused", False: "was broken off without a word on the password"}


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
DIAGNOSES = (
    Diagnosis("account-unknown", _A, _535, "5.2", "getent passwd", _unknown_user),
    Diagnosis("account-locked", _A, _535, "5.2", SHADOW, _locked),
    Diagnosis("account-expired", _A, _535, "5.2", SHADOW, _expired),
    Diagnosis("password-expired", _A, _535, "5.2", SHADOW, _password_expired),
    Diagnosis("password-missing", _A, _535, "5.2", SHADOW, _no_password),
    Diagnosis("logins-closed", _A, "535 for everybody", "5.2", Text.NOLOGIN, _nologin),
    Diagnosis("shell-refused", _A, _535, "5.2", "getent passwd, /etc/shells, PAM", _shell),
    Diagnosis("password-wrong", _A, _535, "5.2", "shadow's hash", _wrong),
    Diagnosis("login-unknown", _A, _535, "5.2", "the conversation", _login, unknown=True),
)
