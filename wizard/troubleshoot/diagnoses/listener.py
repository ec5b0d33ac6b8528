"""The daemon and its listeners: running, on the right ports and addresses, and there after the next boot (howto 3.3, 3.7)."""

from __future__ import annotations

import contextlib
import re

from wizard.console import numbered
from wizard.editors import EditError, sendmail_mc
from wizard.editors.daemon_options import collisions, is_loopback
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail.cf import listeners
from wizard.sendmail.daemon_mode import silent_mode, silent_sentence
from wizard.sendmail.own_address import can_listen
from wizard.sendmail.strays import DAEMON_OF, stray_sentence, strays
from wizard.steps.preflight import free_port
from wizard.steps.restart import WEDGED
from wizard.troubleshoot.diagnoses.configuration import REGENERATED
from wizard.troubleshoot.diagnoses.greeting import children
from wizard.troubleshoot.diagnosis import Diagnosis, of_unknown
from wizard.troubleshoot.host_state import DAEMON, Picture, daemon_lines
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.probe_smtp import is_submission

SUBMISSION = ("submission-port", *REGENERATED)


def _wanted(picture: Picture) -> set[int]:
    return {daemon.port for daemon in picture.daemons}


def _taken(picture: Picture) -> Finding | None:
    others = [
        listener
        for listener in picture.facts.listeners
        if listener.port in (_wanted(picture) or {25, 587}) and listener.process not in (DAEMON, None)
    ]
    if not others:
        return None
    first = others[0]
    return Finding(
        f"port {first.port} is held by another program, {first.process}, so sendmail cannot listen there",
        tuple(
            Evidence(
                f"{listener.address} port {listener.port}: {listener.process} (pid {listener.pid})",
                "/proc/net/tcp",
            )
            for listener in others
        ),
        Mend(
            text=f"{', '.join(free_port(picture.facts, first))}; then: `msa-wizard troubleshoot --fix sendmail-dead listener-missing`"
        ),
    )


def _collide(picture: Picture) -> Finding | None:
    pairs, again = (collisions(listeners(cf)) for cf in (picture.cf, picture.facts.cf_from_mc or ""))
    if not pairs and not again:
        return None
    process = picture.facts.process(DAEMON)
    logged = picture.logged(WEDGED, since=process.started if process else 0.0) if pairs else ()
    file, when = ("sendmail.cf", "") if pairs else ("sendmail.mc", "once sendmailconfig has run, ")
    return Finding(
        f"two lines of {file} want the same port: {when}sendmail exits, closing every port, 45 s after its start",
        (*(Evidence(line, "sendmail.cf" if pairs else "what m4 makes") for line in pairs or again), *logged),
        _one_off(picture) if again else Mend(REGENERATED),
        Sign.FAILED if pairs else picture.latent,
    )


def _one_off(picture: Picture) -> Mend:
    with contextlib.suppress(EditError):
        if collisions(sendmail_mc.daemon_options(picture.mc)):
            return Mend(("mend-listeners", *REGENERATED))
        if "no_default_msa" not in sendmail_mc.features(picture.mc):
            return Mend(SUBMISSION)  # the other one is sendmail's own
    return Mend(
        text="one of the two lines is in a file that sendmail.mc includes: switch it off there with dnl, then "
        "`sendmailconfig && systemctl restart sendmail`"
    )


def _foreign_address(picture: Picture) -> Finding | None:
    """An Addr= that no interface has: `cannot bind: Cannot assign requested address`, and so on to the end."""
    here = picture.facts.addresses
    strange = [
        daemon
        for daemon in picture.daemons
        if not can_listen(picture.facts, daemon.address)
        and not (picture.runs and daemon.port in {each.port for each in picture.mine})
    ]
    if not strange:
        return None
    return Finding(
        f"sendmail.cf has a listener on {strange[0].address}, which is no address of this host: sendmail exits, closing "
        "every port, 45 s after its start",
        tuple(
            Evidence(f"Name={each.name}, Port={each.port}, Addr={each.address}", "sendmail.cf")
            for each in strange
        ),
        Mend(
            text=f"put one of this host's ({', '.join(here)}) after Addr= in {f.SENDMAIL_MC}, or take Addr= out, then: "
            "`sendmailconfig && systemctl restart sendmail`"
        ),
    )


def _default_msa(picture: Picture) -> Finding | None:
    """Without FEATURE no_default_msa sendmail adds an MSA of its own to those that are written."""
    own = [daemon for daemon in picture.daemons if daemon.name == "MSA" and daemon.port == 587]
    others = [daemon for daemon in picture.daemons if daemon.name != "MSA" and daemon.port == 587]
    with contextlib.suppress(EditError):
        if "no_default_msa" in sendmail_mc.features(picture.mc):
            return None  # then it is somebody's line, or sendmail.cf is not made of this sendmail.mc
    if not own or not others:
        return None
    return Finding(
        "FEATURE(`no_default_msa') is missing in sendmail.mc: sendmail adds a listener of its own on port 587, without M=a",
        (Evidence("Port=587, Name=MSA", "sendmail.cf"),),
        Mend(SUBMISSION),
    )


def _silent(picture: Picture) -> Finding | None:
    mode = silent_mode(picture.facts)
    if not mode or "sendmail-bin" not in picture.facts.packages:
        return None
    listens = any(listener.process == DAEMON for listener in picture.facts.listeners)
    later = ". The one of now listens until it is started again" if listens else ""
    return Finding(
        f"{silent_sentence(mode)}{later}",
        (Evidence(mode, f.SENDMAIL_CONF),),
        Mend(("mend-daemon-mode", "restart")),
        picture.latent if listens else Sign.FAILED,
    )


def _dead(picture: Picture) -> Finding | None:
    if picture.runs or "sendmail-bin" not in picture.facts.packages or _silent(picture):
        return None
    word = picture.facts.services["sendmail"].active if "sendmail" in picture.facts.services else "unknown"
    lie = ", although systemd calls it active" if word.startswith("active") else ""
    masked, steps = unmasked(picture, "sendmail", ("restart",))
    logged = picture.logged("SYSERR", "wedged", "problem creating", "unable to qualify", limit=2)
    return Finding(
        f"sendmail does not run{masked or lie}",
        (Evidence(f"sendmail.service is {word}", "systemctl"), Evidence(f"no {DAEMON}", "/proc"), *logged),
        Mend(steps),
    )


_STARTS = re.compile(
    r"^[ \t]*(?:Exec\w*|Type|User|PIDFile|RootDirectory|Environment\w*)[ \t]*=.*", re.MULTILINE
)


def overridden(picture: Picture, name: str) -> Finding | None:
    """A service that systemd cannot start, or whose unit it cannot even read, where an admin has put something over it."""
    service = picture.facts.services.get(name)
    if service is None or (service.exists and not service.active.startswith("failed")):
        return None
    lines = [
        Evidence(line.strip(), path)
        for path, text in picture.overrides.items()
        if path.split("/")[4].startswith(f"{name}.service")
        for line in _STARTS.findall(text)
    ]
    if not lines:
        return None
    fails = "it fails" if service.exists else "systemd cannot read it"
    return Finding(
        f"the unit of {name} is not Debian's own but was changed here, and {fails}: {name} does not start",
        (*lines[:4], Evidence(f"{name}.service is {service.active}", "systemctl")),
        Mend(
            text=f"see why: `systemctl status {name}`; back to Debian's unit: `systemctl revert {name} && systemctl restart {name}`"
        ),
        Sign.FAILED if picture.facts.process(DAEMON_OF[name]) is None else picture.latent,
    )


def unmasked(picture: Picture, name: str, steps: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What is to be said where the service is masked, and the steps that start it: then that which unmasks it."""
    service = picture.facts.services.get(name)
    if service is None or not service.masked:
        return "", steps
    return ": it is masked, so systemd refuses every start, also at boot", (f"mend-{name}-unmask",)


def _no_submission(picture: Picture) -> Finding | None:
    if not picture.cf or any(map(is_submission, picture.daemons)):
        return None
    ports = ", ".join(str(daemon.port) for daemon in picture.daemons) or "none but the built-in one"
    return Finding(
        "sendmail.cf has no listener for mail clients: neither port 587 nor 465",
        (Evidence(f"ports: {ports}", "sendmail.cf"),),
        Mend(SUBMISSION if not any(map(is_submission, picture.from_mc)) else REGENERATED),
    )


def _wrong_port(picture: Picture) -> Finding | None:
    wanted = [daemon for daemon in picture.daemons if is_submission(daemon)]
    if not wanted or any(daemon.port in (587, 465) for daemon in wanted):
        return None
    shown = ", ".join(str(daemon.port) for daemon in wanted)
    return Finding(
        f"submission listens on port {shown}, but clients connect to 587 or 465",
        daemon_lines(wanted),
        Mend(SUBMISSION),
    )


def _loopback(picture: Picture) -> Finding | None:
    wanted = [daemon for daemon in picture.daemons if daemon.port in (587, 465)]
    if not wanted or not all(is_loopback(daemon.address) for daemon in wanted):
        return None
    generated = [daemon for daemon in picture.from_mc if daemon.port in (587, 465)]
    mc_too = not generated or all(is_loopback(daemon.address) for daemon in generated)
    return Finding(
        "the port for mail clients is open only to this host itself, as Debian ships it",
        tuple(
            Evidence(f"Name={daemon.name}, Port={daemon.port}, Addr={daemon.address}", "sendmail.cf")
            for daemon in wanted
        ),
        Mend(text=_LOOPBACK)
        if mc_too and picture.answers.listen.submission
        else Mend(SUBMISSION if mc_too else REGENERATED),
    )


_LOOPBACK = "your settings have only loopback addresses for submission: name others, or none"


def _listener_missing(picture: Picture) -> Finding | None:
    held = {listener.port for listener in picture.mine}
    missing = sorted(_wanted(picture) - held - {0})
    if not picture.runs or not missing or children(picture) or _silent(picture):
        return None
    process = picture.facts.process(DAEMON)
    since = process.started if process else 0.0
    logged = picture.logged(WEDGED, "rejecting connections", since=since)
    busy = picture.logged("rejecting connections", since=since, proved=True)
    if busy:
        return Finding(
            "sendmail has closed its ports because the load is over its limit (RefuseLA)",
            busy,
            Mend(text="find what loads this host (`uptime`, `top`), or raise confREFUSE_LA in sendmail.mc"),
        )
    return Finding(
        f"sendmail runs, but does not listen on {numbered(missing, 'port')}, which its sendmail.cf names",
        (Evidence(f"no listener on {', '.join(map(str, missing))}", "/proc/net/tcp"), *logged),
        Mend(("restart",)),
    )


def _stale(picture: Picture) -> Finding | None:
    process = picture.facts.process(DAEMON)
    if process is None or not picture.stale:
        return None
    return Finding(
        "sendmail has not read what was changed since it started",
        (Evidence(f"pid {process.pid} is older than its configuration, certificate or SASL files", "/proc"),),
        Mend(("restart",)),
        picture.latent,
        next((talk.stopped for talk in picture.broken), None),
    )


def _boot(picture: Picture) -> Finding | None:
    service = picture.facts.services.get("sendmail")
    if service is None or not service.exists or service.enabled:
        return None
    masked, steps = unmasked(picture, "sendmail", ("restart",))
    return Finding(
        masked.removeprefix(": ").replace("it is", "sendmail is", 1)
        or "sendmail is not enabled at boot: it will not start at the next boot",
        (Evidence("sendmail: not enabled", "systemctl is-enabled, /etc/rc?.d"),),
        Mend(steps),
    )


def outside(picture: Picture, name: str, step: str) -> Finding | None:
    """A daemon that serves, and that systemd does not count to its service."""
    processes = strays(picture.facts, name)
    if not processes:
        return None
    return Finding(
        stray_sentence(picture.facts, name),
        (
            Evidence(f"{name}.service is {picture.facts.services[name].active}", "systemctl"),
            *(
                Evidence(f"pid {process.pid} is in {process.unit or 'no unit'}", "/proc")
                for process in processes[:1]
            ),
        ),
        Mend((step,)),
        Sign.WARNING,  # it serves: what fails has another cause
    )


def _outside(picture: Picture) -> Finding | None:
    return outside(picture, "sendmail", "restart")


def _unknown(picture: Picture) -> Finding | None:
    if not picture.submissions:
        return Finding(
            "there is no port for mail clients on this host, and none of the known causes was found",
            tuple(
                Evidence(f"{listener.address} port {listener.port}: {listener.process}", "/proc/net/tcp")
                for listener in picture.facts.listeners[:6]
            ),
            Mend(text="`journalctl -t sm-mta`; `ss -ltnp`; or set it up: `msa-wizard apply`"),
        )
    return picture.unexplained(Layer.LISTENER, "no connection to {source}")


_L = Layer.LISTENER
OUTSIDE = "a restart fails, or changes nothing"
DIAGNOSES = (
    Diagnosis(
        "port-taken",
        _L,
        "no connection, or another program answers",
        "3.7",
        "/proc/net/tcp",
        _taken,
        cause="another program holds the port, so sendmail cannot listen there",
        fix="stop and disable the other program, then restart sendmail",
    ),
    Diagnosis(
        "default-msa",
        _L,
        "all ports close 45 s after each start",
        "3.3",
        "sendmail.cf",
        _default_msa,
        cause="FEATURE(`no_default_msa') is missing, so sendmail adds a listener of its own on the same port",
        fix="add the line to sendmail.mc (--fix: submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "listeners-collide",
        _L,
        "all ports close 45 s after each start",
        "3.3",
        "sendmail.cf",
        _collide,
        cause="two DAEMON_OPTIONS lines want the same port, and sendmail exits when it cannot open the second",
        fix="switch one of the two off, or rebuild sendmail.cf where only that has both (--fix: mend-listeners, submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "listener-address",
        _L,
        "all ports close 45 s after each start",
        "3.3",
        "sendmail.cf against the addresses of this host",
        _foreign_address,
        cause="a listener is on an address that the host does not have, so sendmail exits soon after each start",
        fix="put one of the host's addresses after Addr= in sendmail.mc, or take Addr= out, then run sendmailconfig",
    ),
    Diagnosis(
        "sendmail-overridden",
        _L,
        "no connection",
        "3.7",
        "units and drop-ins below /etc/systemd/system",
        lambda picture: overridden(picture, "sendmail"),
        cause="an admin's unit or drop-in for sendmail fails",
        fix="see why: `systemctl status sendmail`; back to Debian's: `systemctl revert sendmail`",
    ),
    Diagnosis(
        "daemon-mode",
        _L,
        "no connection",
        "3.7",
        "sendmail.conf",
        _silent,
        cause="DAEMON_MODE in /etc/mail/sendmail.conf has no sendmail started that listens, as on a host that only sends",
        fix="set it to Daemon, and start sendmail (--fix: mend-daemon-mode, restart)",
    ),
    Diagnosis(
        "sendmail-dead",
        _L,
        "no connection",
        "3.7",
        "/proc",
        _dead,
        cause="sendmail does not run, whatever systemd says",
        fix="start it, unmasked first where it is masked (--fix: restart, mend-sendmail-unmask)",
    ),
    Diagnosis(
        "submission-missing",
        _L,
        "no connection to port 587",
        "3.3",
        "sendmail.cf",
        _no_submission,
        cause="sendmail.cf has no listener on port 587 or 465",
        fix="add one to sendmail.mc (--fix: submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "submission-elsewhere",
        _L,
        "no connection to port 587",
        "3.3",
        "sendmail.cf",
        _wrong_port,
        cause="submission listens on a port where no mail client looks",
        fix="move it to port 587 (--fix: submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "loopback-only",
        _L,
        "no connection from outside, though it works on the server",
        "3.3",
        "sendmail.cf",
        _loopback,
        cause="the port for mail clients is open only to the host itself, as Debian ships it",
        fix="let it listen on all addresses (--fix: submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "listener-missing",
        _L,
        "no connection to one port",
        "3.7",
        "/proc/net/tcp",
        _listener_missing,
        cause="sendmail runs, but does not listen on a port that its sendmail.cf names",
        fix="restart it, or lower the load where that closed its ports (--fix: restart)",
    ),
    Diagnosis(
        "sendmail-stale",
        _L,
        "a change has no effect",
        "3.7",
        "when the daemon started",
        _stale,
        late=True,
        cause="sendmail has not read what was changed since it started",
        fix="restart it (--fix: restart)",
    ),
    Diagnosis(
        "sendmail-boot",
        _L,
        "no connection since the server was restarted",
        "3.7",
        "systemd",
        _boot,
        cause="sendmail is not enabled at boot, or is masked",
        fix="enable it (--fix: restart, mend-sendmail-unmask)",
    ),
    of_unknown(("listener-unknown", _L, "no connection", "3.7", "the conversation"), _unknown),
    Diagnosis(
        "sendmail-outside",
        _L,
        OUTSIDE,
        "3.7",
        "systemd, /proc",
        _outside,
        late=True,
        cause="sendmail runs outside its service, so systemd can neither stop nor restart it",
        fix="end that process and start the service (--fix: restart)",
    ),
)
