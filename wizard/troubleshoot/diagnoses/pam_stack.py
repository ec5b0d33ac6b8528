"""the PAM service smtp, which saslauthd asks (howto 2.3)."""

from __future__ import annotations

import re

from wizard.editors.pam_service import is_ours
from wizard.gather.pam import FOLDER, OTHER
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis, of_unknown
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend, next_looks


def asked(picture: Picture) -> bool:
    """Whether a login ends at PAM here."""
    return picture.asks_saslauthd and picture.backend.mechanism == "pam"


def _denies(picture: Picture) -> bool:
    """Whether PAM's stack for auth says no to everybody."""
    lines = picture.pam.of("auth")
    for line in lines:
        if line.module.endswith("pam_deny.so") and line.control in ("required", "requisite"):
            return line is lines[0] or all(
                before.control == "required" for before in lines[: lines.index(line)]
            )
        if line.control not in ("required", "optional"):
            return False
    return not lines


def _missing(picture: Picture) -> Finding | None:
    if "sendmail-bin" not in picture.facts.packages:
        return None  # nobody asks, and Sendmail's packages bring the file
    if not asked(picture) or picture.pam.path == f.PAM_SMTP:
        return None
    denies = picture.pam.path is None or _denies(picture)
    return Finding(
        "/etc/pam.d/smtp is missing, so PAM's `other` answers"
        + (", which refuses everybody" if denies else ""),
        (Evidence("no such file", f.PAM_SMTP), Evidence(f"{picture.pam.path or 'nothing'} is asked", FOLDER)),
        Mend(("mend-pam-service",)),
        Sign.FAILED if denies else Sign.WARNING,
    )


def _broken(picture: Picture) -> Finding | None:
    pam = picture.pam
    if not asked(picture) or pam.path is None or not pam.wrong:
        return None
    debians = any(what.startswith(f"it includes {FOLDER}/common-") for what, _, _ in pam.wrong)
    own = any(where.startswith((f.PAM_SMTP, OTHER)) for _, _, where in pam.wrong) and not debians
    lost = "bring that file back" if debians else "correct that line"
    return Finding(
        f"the PAM service smtp is broken: {pam.wrong[0][0]}",
        (
            *(Evidence(line, where) for _, line, where in pam.wrong[:3]),
            *picture.logged("PAM", since=picture.began, limit=2),
        ),
        Mend(("mend-pam-service",))
        if own
        else Mend(
            text=f"{lost}; `pam-auth-update --force` writes Debian's own file, without what was added by hand"
        ),
    )


def _refuses(picture: Picture) -> Finding | None:
    if not asked(picture) or picture.pam.path != f.PAM_SMTP or picture.pam.wrong or not _denies(picture):
        return None
    lines = picture.pam.of("auth")
    return Finding(
        "the PAM service smtp refuses everybody",
        tuple(Evidence(line.text, line.source) for line in lines[:3])
        or (Evidence("no line for auth", f.PAM_SMTP),),
        Mend(("mend-pam-service",)),
    )


_REFUSES = re.compile(
    r"(pam_(?!unix|shells|nologin|faillock|tally)\w+)\(smtp:(?:auth|account)\): .*(?i:denied|refuse|not met|fail|lock|expired|permission)"
)


def _module(picture: Picture) -> Finding | None:
    """A module that refuses this user, by its own line in the log: pam_access(8), pam_listfile(8), pam_succeed_if(8)..."""
    owner = picture.account
    if owner is None or owner.right is False or picture.login is not False or not asked(picture):
        return None
    own = [x for x in picture.log or () if x.name == "saslauthd" and not x.file and x.time >= picture.began]
    user = owner.user.partition("@")[0]
    refusals = [(match[1], x) for x in own if user in x.text and (match := _REFUSES.match(x.text))]
    if not refusals:
        return None
    name, logged = refusals[-1]
    line = picture.pam.has(f"{name}.so")
    if line is not None and is_ours(line.text):
        return None  # policy-refuses knows more
    return Finding(
        f"PAM's module {name} refuses {owner.user}{', though the password is right' if owner.right else ''}",
        (
            Evidence(logged.text, logged.source),
            *((Evidence(line.text, line.source),) if line else ()),
        ),
        Mend(
            text=f"change what {name}(8) reads, or its line{f', {line.source}' if line else ''}, if {owner.user} may log in"
        ),
    )


def _unknown(picture: Picture) -> Finding | None:
    """The password is right, the account good, saslauthd answers, and says no."""
    owner = picture.account
    answer = picture.socket_login or ""
    if not asked(picture) or owner is None or owner.right is not True or not answer.startswith("NO"):
        return None
    kept = owner.shadow
    if kept is None or kept.locked or kept.expired(owner.today) or kept.password_expired(owner.today):
        return None
    return Finding(
        "the password is right, but PAM refuses it; none of the known causes was found",
        (
            Evidence(answer, picture.mux),
            Evidence(owner.line, "/etc/shadow"),
            *(Evidence(line.text, line.source) for line in picture.pam.lines[:4]),
            *picture.logged("pam", "PAM", since=picture.began),
        ),
        next_looks(Layer.PAM),
    )


_P = Layer.PAM
_535 = "535, the password is refused for everybody"
MODULES = (
    Diagnosis(
        "pam-module-refuses",
        _P,
        "535, the password is refused for one user",
        "2.3",
        "the log of saslauthd",
        _module,
        cause="a module of PAM refuses the user: pam_access, pam_listfile, pam_succeed_if and the like",
        fix="change what that module reads, or its line in /etc/pam.d",
    ),
)
DIAGNOSES = (
    Diagnosis(
        "pam-missing",
        _P,
        _535,
        "2.3",
        "/etc/pam.d/smtp",
        _missing,
        cause="/etc/pam.d/smtp is missing, so PAM's service `other` answers",
        fix="write it (--fix: mend-pam-service)",
    ),
    Diagnosis(
        "pam-broken",
        _P,
        _535,
        "2.3",
        "/etc/pam.d/smtp and what it includes",
        _broken,
        cause="the PAM service smtp names a module or a file that is not there, or has a line that PAM does not understand",
        fix="write the service again, correct the line that it includes, or bring a file of Debian's back that it includes (--fix: mend-pam-service)",
    ),
    Diagnosis(
        "pam-refuses",
        _P,
        _535,
        "2.3",
        "/etc/pam.d/smtp and what it includes",
        _refuses,
        cause="the PAM service smtp refuses everybody",
        fix="write it again (--fix: mend-pam-service)",
    ),
    of_unknown(
        ("pam-unknown", _P, _535, "5.1", "saslauthd's socket against shadow"),
        _unknown,
        "PAM refuses a password that is right, and no known cause was found",
    ),
)
