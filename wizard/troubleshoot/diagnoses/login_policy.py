"""Who may log in, of those whose password is right (the step login-policy): what it refuses, and root where nothing does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wizard.editors.pam_service import NOBODY, Policy, asked_by, is_ours
from wizard.gather.pam import PamLine
from wizard.maillog.read import LogLine
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.steps.login_policy import CHOOSE
from wizard.troubleshoot.account import SHADOW
from wizard.troubleshoot.diagnoses.pam_stack import asked
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.probe_smtp import is_submission
from wizard.troubleshoot.root_login import counts, doubtful

_NOT_MET = re.compile(
    r'pam_succeed_if\(smtp:(?:auth|account)\): requirement "[^"]*" not met by user "([^"]*)"'
)
_WRONG = re.compile(
    r"pam_(?!succeed_if)\w+\(smtp:auth\): .*(?:fail|unknown|denied|locked|error)", re.IGNORECASE
)
_OVER = re.compile(r".*: auth failure: \[user=")


def _policy_lines(picture: Picture) -> Iterator[PamLine]:
    """The lines of the policy, where PAM is asked."""
    if asked(picture) and picture.pam.path == f.PAM_SMTP:
        yield from (line for line in picture.pam.lines if is_ours(line.text))


def _says(line: PamLine) -> str:
    policy: Policy | None = asked_by(line.text)
    return f"{policy.says} may log in" if policy else line.text


def shut_out(picture: Picture) -> PamLine | None:
    """The line of a policy that refuses this account whatever its password and its groups are: a system account's, by its uid.
    Not one that a line above may let it past."""
    owner = picture.account
    if owner is None or not (owner.own and owner.known) or picture.login:
        return None
    for line in _policy_lines(picture):
        policy = asked_by(line.text)
        if policy is None or policy.uid_min is None or policy.uid_min <= owner.uid != NOBODY:
            continue
        if counts(picture.pam.of(line.kind), line):
            return line
    return None


def refuses(picture: Picture) -> Finding | None:
    """The policy refuses the user of this very look: by the uid, or by PAM's own line in the log."""
    owner, line = picture.account, next(_policy_lines(picture), None)
    if owner is None or line is None:
        return None
    user = owner.user.partition("@")[0]
    another = "another policy (login.policy in the settings, then `msa-wizard apply login-policy`)"
    if refusing := shut_out(picture):
        return Finding(
            f"the policy on logins refuses {user}: {_says(refusing)}",
            (
                Evidence(f"{user} has the uid {owner.uid}", "getent passwd"),
                Evidence(refusing.text, refusing.source),
            ),
            Mend(text=f"if {user} may log in: {another}"),
        )
    if owner.right is False or picture.login is not False:
        return None
    logged = [
        each
        for each in _of_saslauthd(picture)
        if each.time >= picture.began and (match := _NOT_MET.match(each.text)) and match[1] == user
    ]
    if not logged:
        return None
    return Finding(
        f"the policy on logins refuses {user}{', though the password is right' if owner.right else ''}: {_says(line)}",
        (Evidence(logged[-1].text, logged[-1].source), Evidence(line.text, line.source)),
        Mend(text=f"if {user} may log in: a group that may (`adduser {user} GROUP`), or {another}"),
    )


def _of_saslauthd(picture: Picture) -> list[LogLine]:
    return [line for line in picture.log or () if line.name == "saslauthd" and not line.file]


def _known_passwords(picture: Picture) -> Iterator[tuple[str, LogLine]]:
    """Whom the policy alone refused in the last hour: no module that looks at passwords complained before the end."""
    refused = dict[int, tuple[str, LogLine]]()
    for line in _of_saslauthd(picture):
        if match := _NOT_MET.match(line.text):
            refused[line.pid] = match[1], line
        elif _WRONG.match(line.text):
            refused.pop(line.pid, None)
        elif _OVER.match(line.text) and line.pid in refused:
            yield refused.pop(line.pid)


def _known_password(picture: Picture) -> Finding | None:
    line = next(_policy_lines(picture), None)
    if line is None or picture.pam.asks_others or refuses(picture) is not None:
        return None
    found = dict(_known_passwords(picture))
    if not found:
        return None
    user, logged = next(iter(found.items()))
    names = ", ".join(found)
    return Finding(
        f"the policy on logins refused {names}, though the password was right: {_says(line)}",
        (Evidence(logged.text, logged.source), Evidence(line.text, line.source)),
        Mend(
            text=f"if {user} may log in, give it a group that may, or choose another policy (login.policy in the settings); if "
            f"nobody sends mail as {user}, somebody has its password: `passwd {user}`"
        ),
        Sign.WARNING,
    )


def _for_root(line: PamLine | None) -> str:
    """What to do about root, where the policy in force has this line."""
    policy = asked_by(line.text) if line else None
    if policy and policy.groups:
        return f"take root out of {', '.join(policy.groups)}: `gpasswd --delete root GROUP`"
    return f"`{CHOOSE}` lets neither root nor system accounts log in"


def _root(picture: Picture) -> Finding | None:
    stack = picture.pam
    if not asked(picture) or not picture.root_password or not stack.asks_unix or stack.wrong:
        return None
    if not any(is_submission(daemon) for daemon in picture.daemons):
        return None
    if picture.root_let_in is False:
        return None
    can = "can" if picture.root_let_in else "may be able to"
    lines = doubtful(stack) or stack.of("auth")[:1]
    return Finding(
        f"root {can} log in to send mail: whoever guesses root's password, from anywhere, then knows it",
        (
            Evidence("root has a password", SHADOW),
            *(Evidence(x.text, x.source) for x in lines),
        ),
        Mend(text=_for_root(next(_policy_lines(picture), None))),
        Sign.WARNING,
    )


_P = Layer.PAM
DIAGNOSES = (
    Diagnosis(
        "policy-refuses",
        _P,
        "535 for one user, even with the right password",
        "",
        "the log of saslauthd",
        refuses,
        cause="the policy on logins (step login-policy) refuses the user",
        fix="if the user may log in: a group that may (`adduser NAME GROUP`), or another policy (login.policy)",
    ),
    Diagnosis(
        "policy-refused-password",
        _P,
        "535 for one user, even with the right password",
        "",
        "the log of saslauthd, the last hour",
        _known_password,
        cause="the policy on logins refused somebody whose password was right",
        fix="let the user in by a group or another policy (login.policy), or set a new password: `passwd NAME`",
    ),
    Diagnosis(
        "root-login",
        _P,
        "mail is sent in root's name, or root's password is guessed",
        "",
        "/etc/pam.d/smtp, shadow, and PAM itself, without a password",
        _root,
        cause="root has a password, and nothing in PAM refuses its login on port 587, which is open to the world",
        fix=f"`{CHOOSE}`",
    ),
)
