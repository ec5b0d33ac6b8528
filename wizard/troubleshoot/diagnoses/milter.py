"""Mail filters that sendmail asks and that do not answer: what F= makes of it is what clients see (op.me section 5.11)."""

from __future__ import annotations

from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import DAEMON, Picture
from wizard.troubleshoot.milters import Milter
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_FAILED = "to error state"
"""How each failure of a filter ends in sendmail's log."""
_REASONS = ("local socket", "error ", "timeout ", "init failed", "read", "write")
"""How the lines before begin (milter.c)."""
_MEETS = {
    "T": "and its F=T puts every mail client off with 454 or 451",
    "R": "and its F=R has sendmail reject every mail client with 554 or 550",
    "4": "and its F=4 has sendmail close every connection with 421",
    "": "and without F= mail passes unfiltered",
}


def _logged(picture: Picture, milter: Milter, since: float, *words: str) -> tuple[Evidence, ...]:
    prefix = f"Milter ({milter.name}): "
    return picture.logged(*(prefix + word for word in words), since=since, limit=2, proved=True)


def _problem(picture: Picture, milter: Milter) -> str:
    """Why it is of no use now, empty where it is."""
    if milter.problem:
        return milter.problem
    failed = _logged(picture, milter, picture.began - 1, _FAILED)  # in our own conversation
    return "it takes connections, but does not speak the milter protocol in time" if failed else ""


def _served(picture: Picture, milter: Milter) -> bool:
    """Whether a mail client got past it all the same, as where it was started while we looked."""
    return any(
        talk.login or (talk.stopped is None and not talk.daemon.tls_on_connect)
        for talk in picture.submissions
        if talk.daemon.port in milter.ports
    )


def _meets_clients(picture: Picture, milter: Milter) -> bool:
    return any(talk.daemon.port in milter.ports for talk in picture.submissions)


def _mend(milter: Milter) -> Mend:
    unit, path = milter.service, milter.socket.rpartition(":")[2]
    out = "take its INPUT_MAIL_FILTER line out of sendmail.mc, then `sendmailconfig`"
    if milter.open_folders:
        text = f"`chmod go-w {' '.join(milter.open_folders)}`"
        return Mend(text=f"{text}, then {_start(milter)}" if "unsafe" not in milter.problem else text)
    if unit and not milter.installed and milter.problem and not milter.runs:
        return Mend(text=f"`apt-get install {unit}`, or {out}")
    if unit and milter.runs:
        return Mend(
            text=f"{unit} runs, but not on {milter.socket}: give it that socket, then `systemctl restart {unit}`"
        )
    if unit:
        return Mend(text=_start(milter))
    return Mend(text=f"start what serves it (`grep -rn {path} /etc` shows who is told to), or {out}")


def _start(milter: Milter) -> str:
    if not milter.service:
        return "start what serves it"
    if not milter.problem:
        return f"`systemctl restart {milter.service}`"
    return f"`systemctl start {milter.service}`; why it ended: `journalctl -u {milter.service} -n 30`"


def _finding(picture: Picture, milter: Milter, what: str, sign: Sign, layer: Layer) -> Finding:
    flag = f", F={milter.flag}" if milter.flag else ""
    return Finding(
        f"the mail filter {milter.name} ({milter.socket}) cannot be used: {_problem(picture, milter)}; {what}",
        (
            Evidence(f"X{milter.name}, S={milter.socket}{flag}", f.SENDMAIL_CF),
            *_logged(picture, milter, picture.began - 60, *_REASONS),
        ),
        _mend(milter),
        sign,
        layer,
    )


def _dead(picture: Picture) -> Finding | None:
    dead = [
        milter
        for milter in picture.milters
        if milter.flag and _meets_clients(picture, milter) and _problem(picture, milter)
    ]
    if not dead:
        return None
    # sendmail asks them in the order of InputMailFilters; the first that is dead decides what clients get.
    first = dead[0]
    shows = (talk.stopped for talk in picture.broken if talk.daemon.port in first.ports)
    layer = next(
        (stopped for stopped in shows if stopped in (Layer.GREETING, Layer.STARTTLS)), Layer.AUTH_OFFER
    )
    passes = _served(picture, first) or not picture.runs
    return _finding(picture, first, _MEETS[first.flag], Sign.WARNING if passes else Sign.FAILED, layer)


def _unfiltered(picture: Picture) -> Finding | None:
    for milter in picture.milters:
        if not _problem(picture, milter):
            continue
        if not milter.flag:
            return _finding(picture, milter, _MEETS[""], Sign.WARNING, Layer.RELAY)
        if not _meets_clients(picture, milter):
            ports = " and ".join(map(str, sorted(milter.ports)))
            what = f"so its F={milter.flag} has mail of others refused on port {ports}; mail clients do not meet it"
            return _finding(picture, milter, what, Sign.WARNING, Layer.RELAY)
    return None


def _failed_lately(picture: Picture) -> Finding | None:
    process = picture.facts.process(DAEMON)
    since = max(process.started if process else 0.0, picture.began - 3600)
    for milter in picture.milters:
        failed = _logged(picture, milter, since, *_REASONS)
        if failed and not _problem(picture, milter):
            meanwhile = "passed unfiltered" if not milter.flag else "was refused"
            return Finding(
                f"the mail filter {milter.name} answers now, but failed in the last hour: mail that came then {meanwhile}",
                failed,
                Mend(text=f"`journalctl -u {milter.service or milter.name} -n 50` has its own words"),
                Sign.WARNING,
                Layer.RELAY,
            )
    return None


def _not_started(picture: Picture) -> Finding | None:
    """A folder that others may write to stops sendmail's start, whatever F= says; `sendmail -bC` is silent on it."""
    unsafe = [milter for milter in picture.milters if milter.open_folders]
    if picture.runs or not unsafe:
        return None
    folders = " ".join(dict.fromkeys(folder for milter in unsafe for folder in milter.open_folders))
    return Finding(
        f"sendmail does not start: others may write to {folders}, where the mail filter {unsafe[0].name} has its socket",
        (
            *(Evidence(f"X{milter.name}, S={milter.socket}", f.SENDMAIL_CF) for milter in unsafe),
            *picture.logged(f"X{unsafe[0].name}: local socket name", limit=1),
        ),
        Mend(text=f"`chmod go-w {folders}`, then `systemctl restart sendmail`"),
    )


AT_START = (
    Diagnosis(
        "milter-unsafe",
        Layer.LISTENER,
        "no connection since a restart",
        "",
        "the folders of the sockets",
        _not_started,
        cause="others may write to the folder of a mail filter's socket, and sendmail does not start",
        fix="`chmod go-w FOLDER`, then `systemctl restart sendmail`",
    ),
)
_PROBE = "X lines, InputMailFilters, a connection to each socket"
DIAGNOSES = (
    Diagnosis(
        "milter-dead",
        Layer.GREETING,
        "454 4.7.0 Please try again later",
        "",
        _PROBE,
        _dead,
        cause="a mail filter (milter) does not answer, and its F= has sendmail refuse mail meanwhile",
        fix="start the service that serves its socket, or take its INPUT_MAIL_FILTER line out of sendmail.mc",
    ),
    Diagnosis(
        "milter-unfiltered",
        Layer.GREETING,
        "spam comes in, DKIM signatures are missing",
        "",
        _PROBE,
        _unfiltered,
        cause="a mail filter (milter) does not answer, and mail passes unfiltered, or that of others is refused",
        fix="start the service that serves its socket",
    ),
    Diagnosis(
        "milter-failed",
        Layer.GREETING,
        "now and then mail is put off",
        "",
        "the last hour of the log",
        _failed_lately,
        cause="a mail filter (milter) answers now, but failed in the last hour",
        fix="read its own words: `journalctl -u SERVICE -n 50`",
    ),
)
