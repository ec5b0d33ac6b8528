"""What the log says besides: complaints that no other diagnosis reads, and whether there is a log at all."""

from __future__ import annotations

from wizard.model.plan import Sign
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import DAEMON, Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_PROGRAMS = (
    ("sendmail", DAEMON, ("sm-mta", "sm-msp", "sendmail")),
    ("saslauthd", "saslauthd", ("saslauthd",)),
)
"""Each with its process, and what it calls itself in the log."""
_WORDS = ("SYSERR", "exiting", "unsafe", "cannot open", "Permission denied", "out of memory")


def _unreadable(picture: Picture) -> Finding | None:
    if not picture.log_problem:
        return None
    return Finding(
        "the mail log cannot be read, so why a login or a message failed cannot be looked up",
        (Evidence(picture.log_problem, "journal, /var/log/mail.log"),),
        Mend(text="as root: `journalctl -t sm-mta -n 3`, `journalctl --verify`, `ls -l /var/log/mail.log`"),
        Sign.WARNING,
    )


def _none(picture: Picture) -> Finding | None:
    if picture.log is not None or picture.log_problem:
        return None
    return Finding(
        "this host keeps no mail log: neither a journal nor /var/log/mail.log was found",
        (Evidence("absent", "/run/systemd/journal, /var/log/mail.log"),),
        Mend(text="to have one: `apt-get install rsyslog`"),
        Sign.UNKNOWN,
    )


def _complaints(picture: Picture) -> Finding | None:
    complaints = {program: _complaints_of(picture, process, tags) for program, process, tags in _PROGRAMS}
    if not any(complaints.values()):
        return None
    tags = " ".join(f"-t {tag}" for program, _, (tag, *_) in _PROGRAMS if complaints[program])
    return Finding(
        f"{' and '.join(program for program in complaints if complaints[program])} logged errors in the last hour",
        tuple(line for lines in complaints.values() for line in lines),
        Mend(text=f"read them, and the lines around them: `journalctl {tags} -n 50`"),
        Sign.WARNING,
    )


def _complaints_of(picture: Picture, name: str, tags: tuple[str, ...]) -> tuple[Evidence, ...]:
    """Since it was started: what it said before may be mended."""
    process = picture.facts.process(name)
    since = max(process.started if process else picture.began - 600, picture.began - 3600)
    return picture.logged(*_WORDS, tags=tags, since=since, limit=4, proved=True)


_NOTHING = "nothing can be looked up"
DIAGNOSES = (
    Diagnosis(
        "log-unreadable",
        Layer.LOGS,
        _NOTHING,
        "5.2.3",
        "journal, mail.log",
        _unreadable,
        cause="the mail log is there and cannot be read",
        fix="see why: `journalctl -t sm-mta -n 3`, `journalctl --verify`, `ls -l /var/log/mail.log`",
    ),
    Diagnosis(
        "log-missing",
        Layer.LOGS,
        _NOTHING,
        "5.2.3",
        "journal, mail.log",
        _none,
        cause="the host keeps no mail log",
        fix="install one: `apt-get install rsyslog`",
    ),
    Diagnosis(
        "log-complaints",
        Layer.LOGS,
        "now and then mail is lost or refused",
        "5.2.3",
        "the last hour of the log",
        _complaints,
        cause="sendmail or saslauthd logged errors in the last hour",
        fix="read them, and the lines around them: `journalctl -t sm-mta -t saslauthd -n 50`",
    ),
)
