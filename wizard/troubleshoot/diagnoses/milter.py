"""Mail filters that sendmail asks and that do not answer: what F= makes of it is what clients see (op.me section 5.11)."""

from __future__ import annotations

from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import DAEMON, Picture
from wizard.troubleshoot.milters import Milter
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.probe_smtp import Conversation

_FAILED = "to error state"
"""How each failure of a filter ends in sendmail's log."""
_REASONS = ("local socket", "error ", "timeout ", "init failed", "read", "write")
"""How the lines before begin (milter.c)."""
_MEETS = {
    "T": "and its F=T puts every mail client off with 454 or 451",
    "R": "and its F=R has sendmail reject every mail client with 554 or 550",
    "4": "and its F=4 has sendmail close every connection with 421",
    "": "and with no T, R or 4 in F= mail passes unfiltered",
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


def _talks(picture: Picture, milter: Milter) -> list[Conversation]:
    """Those with the ports for mail clients where it is asked."""
    return [talk for talk in picture.submissions if talk.daemon.port in milter.ports]


def _mend(milter: Milter) -> Mend:
    # What takes connections and is not its milter is some other program.
    unit = milter.service if milter.installed or milter.problem else ""
    out = "take its line out of sendmail.mc, then `msa-wizard apply sendmailconfig restart`"
    if milter.unsafe:
        return Mend(text=milter.unsafe)
    if not unit:
        path = (milter.socket.partition(":")[2] or milter.socket).partition("@")[0]
        return Mend(text=f"start what serves it (`grep -rn {path} /etc` shows who is told to), or {out}")
    if milter.problem and milter.runs:
        text = (
            f"{unit} runs, but not on {milter.socket}: give it that socket, then `systemctl restart {unit}`"
        )
    elif milter.problem and not milter.installed:
        text = f"`apt-get install {unit}` and give it that socket, or {out}"
    else:
        verb = "start" if milter.problem else "restart"
        text = f"`systemctl {verb} {unit}`; its own words: `journalctl -u {unit} -n 30`"
    return Mend(text=text)


def _finding(picture: Picture, milter: Milter, what: str, sign: Sign, layer: Layer) -> Finding:
    return Finding(
        f"the mail filter {milter.name} ({milter.socket}) cannot be used: {_problem(picture, milter)}; {what}",
        (
            Evidence(milter.line, f.SENDMAIL_CF),
            *_logged(picture, milter, picture.began - 60, *_REASONS),
        ),
        _mend(milter),
        sign,
        layer,
    )


def _dead(picture: Picture) -> Finding | None:
    # sendmail asks them in this order; the first that is dead decides what clients get.
    dead = (milter for milter in picture.milters if milter.flag and _talks(picture, milter))
    first = next((milter for milter in dead if _problem(picture, milter)), None)
    if first is None:
        return None
    talks = _talks(picture, first)
    # One may have been started while we looked. Where TLS comes first, a dead one shows at the login at the latest.
    passed = any(talk.login or (talk.stopped is None and not talk.daemon.tls_on_connect) for talk in talks)
    sign = Sign.WARNING if passed or not picture.runs else Sign.FAILED
    shows = [talk.stopped for talk in talks if talk.stopped in (Layer.GREETING, Layer.STARTTLS)]
    return _finding(picture, first, _MEETS[first.flag], sign, next(iter(shows), None) or Layer.AUTH_OFFER)


def _unfiltered(picture: Picture) -> Finding | None:
    for milter in picture.milters:
        if not _problem(picture, milter):
            continue
        if not milter.flag:
            return _finding(picture, milter, _MEETS[""], Sign.WARNING, Layer.RELAY)
        if not _talks(picture, milter):
            ports = " and ".join(map(str, sorted(milter.ports)))
            what = f"so its F={milter.flag} has mail from others refused on port {ports}; mail clients are not affected"
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
    """An unsafe socket keeps sendmail from starting, whatever F= says; `sendmail -bC` does not mind it."""
    milter = next((milter for milter in picture.milters if milter.unsafe), None)
    if picture.runs or milter is None:
        return None
    return Finding(
        f"sendmail does not start because of its mail filter {milter.name}: {milter.problem}",
        (
            Evidence(milter.line, f.SENDMAIL_CF),
            *picture.logged(f"X{milter.name}: local socket name", limit=1),
        ),
        Mend(text=f"{milter.unsafe}, then `systemctl restart sendmail`"),
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
_PROBE = "the mail filters in sendmail.cf, a connection to each socket"
DIAGNOSES = (
    Diagnosis(
        "milter-dead",
        Layer.GREETING,
        "454 4.7.0 Please try again later",
        "",
        _PROBE,
        _dead,
        cause="a mail filter (milter) does not answer, and its F= makes sendmail refuse mail until it does",
        fix="start the service that serves its socket, or take its INPUT_MAIL_FILTER line out of sendmail.mc",
    ),
    Diagnosis(
        "milter-unfiltered",
        Layer.GREETING,
        "mail is not filtered: what the filter stops comes in, what it adds is missing",
        "",
        _PROBE,
        _unfiltered,
        cause="a mail filter (milter) does not answer, and mail passes unfiltered, or mail from others is refused",
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
