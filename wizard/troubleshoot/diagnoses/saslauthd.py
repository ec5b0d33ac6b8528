"""saslauthd: running, answering where sendmail asks, asking what the users are in (howto 2.3, 2.4; docs/debian.md)."""

from __future__ import annotations

from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail.password_source import argument, configured_mechanism, serving
from wizard.steps.saslauthd import asks_start
from wizard.troubleshoot.diagnoses.listener import OUTSIDE, outside, overridden, unmasked
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

RESTART = ("saslauthd-config", "saslauthd-start")
USERS_OF_THIS_HOST = ("pam", "shadow", "getpwent")


def default(picture: Picture, key: str) -> str:
    """A setting of /etc/default/saslauthd, empty where there is none."""
    return picture.setting(f.SASLAUTHD_DEFAULT, key)


def _argument(picture: Picture, letter: str) -> str:
    """An argument of the saslauthd that serves sendmail, else of the oldest: one that listens elsewhere may be left over
    from before, for its init script looks for it where the configuration of now says."""
    process = serving(picture.facts) or picture.facts.process("saslauthd")
    return argument(process, letter) if process is not None else ""


def _missing(picture: Picture) -> Finding | None:
    if "sasl2-bin" in picture.facts.packages or not picture.asks_saslauthd:
        return None
    if "sendmail-bin" not in picture.facts.packages:
        return None
    return Finding(
        "sasl2-bin is not installed: there is no saslauthd that could check a password",
        (Evidence("sasl2-bin: not installed", "dpkg-query"),),
        Mend(("install", *RESTART)),
    )


def _no_start(picture: Picture) -> Finding | None:
    if not _wanted(picture) or not asks_start(picture.facts) or default(picture, "START") == "yes":
        return None
    runs = not picture.mux_problem
    return Finding(
        "/etc/default/saslauthd does not say START=yes, and this release's init script demands it"
        + (": it will not come up at the next start" if runs else ""),
        (Evidence(f"START={default(picture, 'START') or '(nothing)'}", f.SASLAUTHD_DEFAULT), *_word(picture)),
        Mend(RESTART),
    )


def _wanted(picture: Picture) -> bool:
    return picture.asks_saslauthd and "sasl2-bin" in picture.facts.packages


def _word(picture: Picture) -> tuple[Evidence, ...]:
    service = picture.facts.services.get("saslauthd")
    return (Evidence(f"saslauthd.service is {service.active}", "systemctl"),) if service else ()


def _dead(picture: Picture) -> Finding | None:
    if not _wanted(picture) or picture.facts.process("saslauthd") is not None or not picture.mux_problem:
        return None
    service = picture.facts.services.get("saslauthd")
    trap = service is not None and service.active.startswith("active")
    lie = ", although systemd calls it active, so that `start` does nothing" if trap else ""
    masked, steps = unmasked(picture, "saslauthd", RESTART)
    return Finding(
        f"saslauthd does not run{masked or lie}: every login ends in 535",
        (
            *_word(picture),
            Evidence("no saslauthd", "/proc"),
            Evidence(picture.mux_problem, f.MUX),
            *picture.logged("generic failure", since=picture.began),
        ),
        Mend(steps),
    )


def _elsewhere(picture: Picture) -> Finding | None:
    if not _wanted(picture):
        return None
    runs, words = _argument(picture, "-m"), default(picture, "OPTIONS").split()
    configured = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    bad_now = bool(runs) and runs.rstrip("/") not in f.MUX_FOLDERS
    bad_next = bool(configured) and configured.rstrip("/") not in f.MUX_FOLDERS
    if not bad_now and not bad_next:
        return None
    later = bool(runs) and not bad_now
    has = "will have, once it is restarted," if later else "has"
    return Finding(
        f"saslauthd {has} its socket in {runs if bad_now else configured}, but sendmail asks at {f.MUX_FOLDERS[0]}",
        (
            Evidence(f"OPTIONS={default(picture, 'OPTIONS')}", f.SASLAUTHD_DEFAULT),
            *((Evidence(f"-m {runs}", "the running saslauthd"),) if runs else ()),
            *((Evidence(picture.mux_problem, f.MUX),) if picture.mux_problem else ()),
        ),
        Mend(("mend-saslauthd-folder",)) if bad_next else Mend(("mend-saslauthd-restart",)),
        picture.latent if later else Sign.FAILED,
    )


def _hung(picture: Picture) -> Finding | None:
    process = picture.facts.process("saslauthd")
    if process is None or not picture.mux_problem or not _wanted(picture):
        return None
    ours = [process.pid for process in picture.facts.processes if process.name == "saslauthd"]
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
            Evidence(picture.mux_problem, f.MUX),
            *(Evidence(f"pid {pid} is stopped (state T)", "/proc") for pid in stopped[:3]),
        ),
        Mend(("mend-saslauthd-restart",)),
    )


def _socket_gone(picture: Picture) -> Finding | None:
    if not _wanted(picture) or picture.facts.process("saslauthd") is None or not picture.mux_problem:
        return None
    if "No such file" not in picture.mux_problem and "refused" not in picture.mux_problem:
        return None
    if _elsewhere(picture) or _hung(picture):
        return None
    return Finding(
        "saslauthd runs, but its socket is gone",
        (Evidence(picture.mux_problem, f.MUX),),
        Mend(("mend-saslauthd-restart",)),
    )


def _mechanism(picture: Picture) -> Finding | None:
    if not _wanted(picture):
        return None
    runs, configured = _argument(picture, "-a"), default(picture, "MECHANISMS")
    wanted = picture.source.asks
    if runs and configured and runs != configured.split()[0]:
        return Finding(
            f"saslauthd runs with -a {runs}, but its configuration says {configured}: it was not restarted after the change",
            (
                Evidence(f"-a {runs}", "the running saslauthd"),
                Evidence(f'MECHANISMS="{configured}"', f.SASLAUTHD_DEFAULT),
            ),
            Mend(("mend-saslauthd-restart",))
            if configured_mechanism(picture.facts) == wanted
            else Mend(RESTART),
        )
    now = runs or configured
    if now and now == wanted and _knows_nobody(picture, now):
        return _nobody(picture, now)
    if not now or now == wanted or (now in USERS_OF_THIS_HOST and wanted in USERS_OF_THIS_HOST):
        return None
    ours = picture.account is not None and picture.account.known and not picture.login
    return Finding(
        f"saslauthd asks {now}, not the users of this host",
        (
            Evidence(f'MECHANISMS="{configured}"', f.SASLAUTHD_DEFAULT),
            *((Evidence(picture.socket_login, f.MUX),) if picture.socket_login else ()),
        ),
        Mend(RESTART),
        Sign.FAILED if ours or _knows_nobody(picture, now) else Sign.WARNING,
    )


def _nobody(picture: Picture, mechanism: str) -> Finding:
    """What this host has chosen, and cannot have anybody in it."""
    return Finding(
        f"saslauthd asks {mechanism}, which is not set up: nobody can log in",
        (
            Evidence(f'MECHANISMS="{default(picture, "MECHANISMS")}"', f.SASLAUTHD_DEFAULT),
            *((Evidence(picture.socket_login, f.MUX),) if picture.socket_login else ()),
        ),
        Mend(
            text=f"set {mechanism} up (saslauthd(8)), or have saslauthd ask PAM: "
            'saslauthd_mechanism = "pam" in answers.toml, then `msa-wizard apply --answers answers.toml`'
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
    if not _wanted(picture) or mode is None:
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
            Evidence(f"mode {mode:04o}", f.MUX.rpartition("/")[0]),
            Evidence(f"sasl: {' '.join(sorted(members)) or 'nobody'}", "/etc/group"),
        ),
        Mend(("mend-saslauthd-socket",)) if not mode & 0o010 else Mend(("sendmail-auth",)),
        Sign.FAILED if picture.login is False else Sign.WARNING,
    )


def _boot(picture: Picture) -> Finding | None:
    service = picture.facts.services.get("saslauthd")
    if not _wanted(picture) or service is None or not service.exists or service.enabled:
        return None
    return Finding(
        "saslauthd is not enabled at boot: logins fail after the next restart of this host",
        (Evidence("saslauthd: not enabled", "systemctl is-enabled, /etc/rc?.d"),),
        Mend(unmasked(picture, "saslauthd", ("saslauthd-start",))[1]),
    )


def _cache(picture: Picture) -> Finding | None:
    """What was accepted though shadow says no."""
    owner = picture.account
    accepted = picture.login or (picture.socket_login or "").startswith("OK")
    if owner is None or owner.shadow is None or not accepted or not _wanted(picture):
        return None
    if owner.right is False:
        evidence = "this is not the password"
    elif owner.shadow.expired(owner.today) or owner.shadow.password_expired(owner.today):
        evidence = owner.line
    else:
        return None
    return Finding(
        "saslauthd accepts from its cache (-c) what is no longer right, for up to 8 hours after a change",
        (
            Evidence(f"OPTIONS={default(picture, 'OPTIONS')}", f.SASLAUTHD_DEFAULT),
            Evidence(picture.socket_login or "accepted", f.MUX),
            Evidence(evidence, "/etc/shadow"),
        ),
        Mend(("mend-saslauthd-cache",)),
    )


def _outside(picture: Picture) -> Finding | None:
    return outside(picture, "saslauthd", "saslauthd-start")


def _unknown(picture: Picture) -> Finding | None:
    if not _wanted(picture) or not picture.mux_problem:
        return None
    return Finding(
        "saslauthd does not answer on its socket, and none of the known causes was found",
        (Evidence(picture.mux_problem, f.MUX), *_word(picture)),
        Mend(text="stop the service, then watch it: saslauthd -a pam -d -m /var/run/saslauthd"),
    )


_S = Layer.SASLAUTHD
_535 = "535, the password is refused for everybody"
DIAGNOSES = (
    Diagnosis("saslauthd-missing", _S, _535, "2.1", "dpkg-query", _missing),
    Diagnosis("saslauthd-start-no", _S, _535, "2.3", "/etc/default/saslauthd", _no_start),
    Diagnosis("saslauthd-elsewhere", _S, _535, "2.3", "its arguments", _elsewhere),
    Diagnosis(
        "saslauthd-overridden",
        _S,
        _535,
        "2.4",
        "units and drop-ins below /etc/systemd/system",
        lambda picture: overridden(picture, "saslauthd"),
    ),
    Diagnosis("saslauthd-dead", _S, _535, "2.4", "/proc and the socket", _dead),
    Diagnosis("saslauthd-hung", _S, "the login hangs, then 535", "2.4", "/proc and the socket", _hung),
    Diagnosis("saslauthd-socket-gone", _S, _535, "2.4", "the socket", _socket_gone),
    Diagnosis("saslauthd-mechanism", _S, _535, "2.3", "its arguments, MECHANISMS", _mechanism),
    Diagnosis("saslauthd-socket-closed", _S, _535, "3.1", "mode of the folder, group sasl", _closed),
    Diagnosis(
        "saslauthd-cache", _S, "an old password still works", "2.3", "the socket against shadow", _cache
    ),
    Diagnosis("saslauthd-boot", _S, "535 since the server was restarted", "2.4", "systemd", _boot),
    Diagnosis("saslauthd-unknown", _S, _535, "5.1", "the socket", _unknown, unknown=True),
    Diagnosis("saslauthd-outside", _S, OUTSIDE, "2.4", "systemd, /proc", _outside, late=True),
)
