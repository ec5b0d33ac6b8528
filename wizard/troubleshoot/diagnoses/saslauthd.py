"""saslauthd: running, answering where sendmail asks, asking what the users are in (howto 2.3, 2.4; docs/debian.md)."""

from __future__ import annotations

from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail.asked_saslauthd import (
    argument,
    defaults_file,
    folder_of,
    own_saslauthd,
    own_saslauthds,
    own_socket,
    serves,
)
from wizard.sendmail.password_source import configured_mechanism
from wizard.steps.saslauthd import asks_start
from wizard.troubleshoot.asked_saslauthd import (
    argument_of,
    default,
    is_debians,
    is_wanted,
    restarting,
    service_state,
    started_with,
)
from wizard.troubleshoot.diagnoses.listener import OUTSIDE, outside, overridden, unmasked
from wizard.troubleshoot.diagnoses.saslauthd_options import ends_at_once, option_misread
from wizard.troubleshoot.diagnosis import Diagnosis, of_unknown
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend, next_looks

RESTART = ("saslauthd-config", "saslauthd-start")
USERS_OF_THIS_HOST = ("pam", "shadow", "getpwent")


def _missing(picture: Picture) -> Finding | None:
    if picture.facts.has("sasl2-bin") or not picture.asks_saslauthd:
        return None
    if "sendmail-bin" not in picture.facts.packages:
        return None
    return Finding(
        "sasl2-bin is not installed: there is no saslauthd to check passwords",
        (Evidence("sasl2-bin: not installed", "dpkg-query"),),
        Mend(("install", *RESTART)),
    )


def _no_start(picture: Picture) -> Finding | None:
    if not is_debians(picture) or not asks_start(picture.facts) or default(picture, "START") == "yes":
        return None
    runs = not picture.mux_problem
    return Finding(
        f"this release's init script demands START=yes, which is not in {defaults_file(picture.facts)}"
        + (": it will not come up at the next boot" if runs else ""),
        (
            Evidence(f"START={default(picture, 'START') or '(nothing)'}", defaults_file(picture.facts)),
            *service_state(picture),
        ),
        Mend(RESTART),
    )


def _dead(picture: Picture) -> Finding | None:
    if ends_at_once(picture) or option_misread(picture):
        return None
    if not is_wanted(picture) or own_saslauthd(picture.facts) is not None or not picture.mux_problem:
        return None
    service = picture.facts.services.get("saslauthd") if is_debians(picture) else None
    trap = service is not None and service.active.startswith("active")
    lie = ", although systemd calls it active, so that `start` does nothing" if trap else ""
    masked, steps = unmasked(picture, "saslauthd", RESTART) if service is not None else ("", RESTART)
    others = picture.facts.process("saslauthd") is not None
    return Finding(
        f"{'the saslauthd that sendmail asks' if others else 'saslauthd'} does not run{masked or lie}: every login ends in 535",
        (
            *service_state(picture),
            Evidence(f"no saslauthd{f' with its socket in {folder_of(picture.mux)}' * others}", "/proc"),
            Evidence(picture.mux_problem, picture.mux),
            *picture.logged("generic failure", since=picture.began),
        ),
        restarting(picture, steps),
    )


def _elsewhere(picture: Picture) -> Finding | None:
    if not is_debians(picture):
        return None
    ours, words = own_saslauthd(picture.facts), default(picture, "OPTIONS").split()
    runs = (argument(ours, "-m") or f.MUX_FOLDERS[0]) if ours is not None else ""
    configured = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    bad_now = bool(runs) and not serves(picture.facts, runs)
    bad_next = bool(configured) and not serves(picture.facts, configured)
    if not bad_now and not bad_next:
        return None
    later = bool(runs) and not bad_now
    has = "will have, once it is restarted," if later else "has"
    return Finding(
        f"saslauthd {has} its socket in {runs if bad_now else configured}, but sendmail asks at {folder_of(picture.mux)}",
        (
            Evidence(f"OPTIONS={default(picture, 'OPTIONS')}", defaults_file(picture.facts)),
            *((Evidence(f"-m {runs}", "the running saslauthd"),) if runs else ()),
            *((Evidence(picture.mux_problem, picture.mux),) if picture.mux_problem else ()),
        ),
        _moved(picture, runs or configured, in_file=bad_next),
        picture.latent if later else Sign.FAILED,
    )


def _moved(picture: Picture, folder: str, *, in_file: bool) -> Mend:
    """Where Sendmail.conf names the socket, either of the two lines may be the wrong one, or that of another saslauthd."""
    if own_socket(picture.facts) is None:
        return Mend(("mend-saslauthd-folder" if in_file else "mend-saslauthd-restart",))
    conf = picture.facts.sasl_conf or f.SASL_CONF
    return Mend(
        text=f"let it be `saslauthd_path: {folder.rstrip('/')}/mux` in {conf}, or `-m {folder_of(picture.mux)}` in OPTIONS of "
        f"{defaults_file(picture.facts)}; then: `systemctl restart saslauthd sendmail`. Where another saslauthd is meant to "
        "answer there: start its service"
    )


def _hung(picture: Picture) -> Finding | None:
    ours = [process.pid for process in own_saslauthds(picture.facts)]
    if not ours or not picture.mux_problem or not is_wanted(picture):
        return None
    stopped = [pid for pid in ours if picture.states.get(pid) == "T"]
    if (
        not stopped
        and "timed out" not in picture.mux_problem
        and "without an answer" not in picture.mux_problem
    ):
        return None
    return Finding(
        "saslauthd runs but does not answer: it hangs, or is stopped",
        (
            Evidence(picture.mux_problem, picture.mux),
            *(Evidence(f"pid {pid} is stopped (state T)", "/proc") for pid in stopped[:3]),
        ),
        restarting(picture, ("mend-saslauthd-restart",)),
    )


def _socket_gone(picture: Picture) -> Finding | None:
    if not is_wanted(picture) or own_saslauthd(picture.facts) is None or not picture.mux_problem:
        return None
    if "No such file" not in picture.mux_problem and "refused" not in picture.mux_problem:
        return None
    if _elsewhere(picture) or _hung(picture):
        return None
    return Finding(
        "saslauthd runs, but its socket is gone",
        (Evidence(picture.mux_problem, picture.mux),),
        restarting(picture, ("mend-saslauthd-restart",)),
    )


def _mechanism(picture: Picture) -> Finding | None:
    if not is_wanted(picture):
        return None
    runs, configured = argument_of(picture, "-a"), default(picture, "MECHANISMS").strip()
    wanted = picture.source.asks
    if runs and configured and runs != configured.split()[0]:
        return Finding(
            f"saslauthd runs with -a {runs}, but its configuration says {configured}: it was not restarted after the change",
            (
                Evidence(f"-a {runs}", "the running saslauthd"),
                Evidence(f'MECHANISMS="{configured}"', defaults_file(picture.facts)),
            ),
            restarting(picture, ("mend-saslauthd-restart",))
            if configured_mechanism(picture.facts) == wanted
            else started_with(picture, RESTART, f"with -a {wanted}"),
        )
    now = runs or configured
    if now and now == wanted and _knows_nobody(picture, now):
        return None if picture.backend.wrong else _nobody(picture, now)
    if not now or now == wanted or (now in USERS_OF_THIS_HOST and wanted in USERS_OF_THIS_HOST):
        return None
    ours = picture.account is not None and picture.account.known and not picture.login
    return Finding(
        f"saslauthd asks {now}, not the users of this host",
        (
            Evidence(f'MECHANISMS="{configured}"', defaults_file(picture.facts)),
            *((Evidence(picture.socket_login, picture.mux),) if picture.socket_login else ()),
        ),
        started_with(picture, RESTART, f"with -a {wanted}")
        if now == "sasldb" or picture.answers.auth.saslauthd_mechanism
        else Mend(text=_KEEP.format(now)),
        Sign.FAILED if ours or _knows_nobody(picture, now) else Sign.WARNING,
    )


_KEEP = (
    "set {0} up (saslauthd(8)), or say where passwords come from: `msa-wizard answers --save --set "
    "auth.saslauthd_mechanism=...`, then `msa-wizard apply`"
)


def _nobody(picture: Picture, mechanism: str) -> Finding:
    """What this host has chosen, and cannot have anybody in it."""
    return Finding(
        f"saslauthd asks {mechanism}, which is not set up: nobody can log in",
        (
            Evidence(f'MECHANISMS="{default(picture, "MECHANISMS")}"', defaults_file(picture.facts)),
            *((Evidence(picture.socket_login, picture.mux),) if picture.socket_login else ()),
        ),
        Mend(
            text=f"set {mechanism} up (saslauthd(8)), or have saslauthd ask PAM: `msa-wizard answers --save "
            "--set auth.saslauthd_mechanism=pam`, then `msa-wizard apply`"
        ),
    )


def _knows_nobody(picture: Picture, mechanism: str) -> bool:
    """Whether what it asks cannot have anybody in it."""
    texts = picture.texts
    return {
        "sasldb": not picture.sasldb,
        "ldap": Text.SASLAUTHD_CONF not in texts
        and "-O" not in default(picture, "OPTIONS").split()
        and not default(picture, "MECH_OPTIONS"),
        "kerberos5": Text.KRB5_CONF not in texts,
    }.get(mechanism, False)


def _closed(picture: Picture) -> Finding | None:
    mode = picture.mux_mode
    if not is_wanted(picture) or mode is None:
        return None
    members = picture.facts.groups.get("sasl", frozenset())
    outside = [name for name in ("smmta", "smmsp") if name not in members]
    if mode & 0o010 and (mode & 0o001 or not outside):
        return None
    why = (
        f"smmta and smmsp are not in group sasl ({', '.join(outside)} missing)"
        if mode & 0o010
        else "group sasl cannot enter it"
    )
    return Finding(
        f"the directory of saslauthd's socket is closed to sendmail's users: {why}",
        (
            Evidence(f"mode {mode:04o}", folder_of(picture.mux)),
            Evidence(f"sasl: {' '.join(sorted(members)) or 'nobody'}", "/etc/group"),
        ),
        Mend(("mend-saslauthd-socket",)) if not mode & 0o010 else Mend(("sendmail-auth",)),
        Sign.FAILED if picture.login is False else Sign.WARNING,
    )


def _boot(picture: Picture) -> Finding | None:
    service = picture.facts.services.get("saslauthd")
    if not is_debians(picture) or service is None or not service.exists or service.enabled:
        return None
    return Finding(
        "saslauthd is not enabled at boot: logins will fail after the next boot",
        (Evidence("saslauthd: not enabled", "systemctl is-enabled, /etc/rc?.d"),),
        Mend(unmasked(picture, "saslauthd", ("saslauthd-start",))[1]),
    )


def _cache(picture: Picture) -> Finding | None:
    """What was accepted though shadow says no."""
    owner = picture.account
    accepted = picture.login or (picture.socket_login or "").startswith("OK")
    if owner is None or owner.shadow is None or not accepted or not is_wanted(picture):
        return None
    if owner.right is False:
        evidence = "this is not the password"
    elif owner.shadow.expired(owner.today) or owner.shadow.password_expired(owner.today):
        evidence = owner.line
    else:
        return None
    return Finding(
        "saslauthd accepts old passwords from its cache (-c) for up to 8 hours after a change",
        (
            Evidence(f"OPTIONS={default(picture, 'OPTIONS')}", defaults_file(picture.facts)),
            Evidence(picture.socket_login or "accepted", picture.mux),
            Evidence(evidence, "/etc/shadow"),
        ),
        started_with(picture, ("mend-saslauthd-cache",), "without -c"),
    )


def _outside(picture: Picture) -> Finding | None:
    return outside(picture, "saslauthd", "saslauthd-start")


def _unknown(picture: Picture) -> Finding | None:
    if not is_wanted(picture) or not picture.mux_problem:
        return None
    return Finding(
        "saslauthd does not answer on its socket, and none of the known causes was found",
        (Evidence(picture.mux_problem, picture.mux), *service_state(picture)),
        next_looks(Layer.SASLAUTHD),
    )


_S = Layer.SASLAUTHD
_535 = "535, the password is refused for everybody"

DIAGNOSES = (
    Diagnosis(
        "saslauthd-missing",
        _S,
        _535,
        "2.1",
        "dpkg-query",
        _missing,
        cause="sasl2-bin is not installed, so there is no saslauthd",
        fix="install it (--fix: install, saslauthd-config, saslauthd-start)",
    ),
    Diagnosis(
        "saslauthd-start-no",
        _S,
        _535,
        "2.3",
        "/etc/default/saslauthd",
        _no_start,
        cause="its defaults file, /etc/default/saslauthd or saslauthd-NAME there, does not say START=yes, which the init script of this release demands",
        fix="write it (--fix: saslauthd-config, saslauthd-start)",
    ),
    Diagnosis(
        "saslauthd-elsewhere",
        _S,
        _535,
        "2.3",
        "its arguments",
        _elsewhere,
        cause="saslauthd has its socket in a folder where sendmail does not ask",
        fix="move the socket (--fix: mend-saslauthd-folder, mend-saslauthd-restart)",
    ),
    Diagnosis(
        "saslauthd-overridden",
        _S,
        _535,
        "2.4",
        "units and drop-ins below /etc/systemd/system",
        lambda picture: overridden(picture, "saslauthd"),
        cause="an admin's unit or drop-in for saslauthd fails",
        fix="see why: `systemctl status saslauthd`; back to Debian's: `systemctl revert saslauthd`",
    ),
    Diagnosis(
        "saslauthd-dead",
        _S,
        _535,
        "2.4",
        "/proc and the socket",
        _dead,
        cause="the saslauthd that sendmail asks does not run, whatever systemd says, and whichever others do",
        fix="start it, unmasked first where it is masked (--fix: saslauthd-config, saslauthd-start, mend-saslauthd-unmask)",
    ),
    Diagnosis(
        "saslauthd-hung",
        _S,
        "the login hangs, then 535",
        "2.4",
        "/proc and the socket",
        _hung,
        cause="saslauthd is stopped or hangs, and answers nobody",
        fix="restart it (--fix: mend-saslauthd-restart)",
    ),
    Diagnosis(
        "saslauthd-socket-gone",
        _S,
        _535,
        "2.4",
        "the socket",
        _socket_gone,
        cause="saslauthd runs, but its socket is gone",
        fix="restart it (--fix: mend-saslauthd-restart)",
    ),
    Diagnosis(
        "saslauthd-mechanism",
        _S,
        _535,
        "2.3",
        "its arguments, MECHANISMS",
        _mechanism,
        cause="saslauthd asks another source of passwords than it should, or one that is not set up",
        fix="have it ask the right one (--fix: saslauthd-config, saslauthd-start, mend-saslauthd-restart)",
    ),
    Diagnosis(
        "saslauthd-socket-closed",
        _S,
        _535,
        "3.1",
        "mode of the folder, group sasl",
        _closed,
        cause="sendmail's users may not enter the folder of saslauthd's socket",
        fix="open it to group sasl, and put them into it (--fix: mend-saslauthd-socket, sendmail-auth)",
    ),
    Diagnosis(
        "saslauthd-cache",
        _S,
        "an old password still works",
        "2.3",
        "the socket against shadow",
        _cache,
        cause="saslauthd remembers logins (-c) for up to 8 hours",
        fix="restart it without its cache (--fix: mend-saslauthd-cache)",
    ),
    Diagnosis(
        "saslauthd-boot",
        _S,
        "535 since the server was restarted",
        "2.4",
        "systemd",
        _boot,
        cause="saslauthd is not enabled at boot, or is masked",
        fix="enable it (--fix: saslauthd-start, mend-saslauthd-unmask)",
    ),
    of_unknown(("saslauthd-unknown", _S, _535, "5.1", "the socket"), _unknown),
    Diagnosis(
        "saslauthd-outside",
        _S,
        OUTSIDE,
        "2.4",
        "systemd, /proc",
        _outside,
        late=True,
        cause="saslauthd runs outside its service, so systemd can neither stop nor restart it",
        fix="end that process and start the service (--fix: saslauthd-start)",
    ),
)
