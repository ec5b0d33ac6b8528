"""saslauthd in debug mode in the foreground (howto 5.1): its service is stopped meanwhile, and restarted whatever happens."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from wizard.changes import ServiceChange
from wizard.editors import EditError, shell_defaults
from wizard.engine.temporary import ForAWhile
from wizard.errors import HostError
from wizard.maillog.correlate import word
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check
from wizard.smtp.transcript import MASK
from wizard.steps.saslauthd import answers_on_socket
from wizard.system.guard import Revert
from wizard.system.host import Host

NAME = "debug-saslauthd"
SASLAUTHD_WITHIN = 600
"""Seconds that it runs at most by default."""
_OPTIONS = "-c -m /var/run/saslauthd"
"""What Debian's init script takes where OPTIONS is empty."""
_PREFIX = re.compile(r"saslauthd\[(\d+)\] :(?:[\w ]{16,17}: )?(.*)")
_SECRETS = (
    re.compile(r"(auth_\w+: sending )(.*)", re.IGNORECASE),  # rimap and httpform print the whole request
    re.compile(r"(authorization:\s*\w+\s+)(\S.*)", re.IGNORECASE),
    re.compile(r"""((?:pass(?:word|wd|phrase)?|pwd|secret)["']?\s*[=:]\s*)(\[[^\]]*\]|"[^"]*"|[^\s&,;\]]+)""", re.IGNORECASE),
)  # fmt: skip


@dataclass(frozen=True)
class DebugLine:
    """One of its lines, safe to show: the process, the text, what it means."""

    pid: int
    text: str
    explanation: str


@dataclass(frozen=True)
class DebugResult:
    """How it ended: `by_itself` (which is a failure) with this status; and whether the service answers again."""

    by_itself: bool
    code: int
    check: Check | None
    """None where the service did not run before."""


def command(defaults: str) -> tuple[str, ...]:
    """The command line, with the host's own options out of /etc/default/saslauthd. Raises EditError."""
    names = ("MECHANISMS", "MECH_OPTIONS", "OPTIONS", "THREADS")
    mechanisms, own, given, number = (shell_defaults.value(defaults, name) or "" for name in names)
    words = [option for word in shlex.split(given or _OPTIONS) for option in _quiet(word)]
    options = shlex.split(own)
    if options and options[0] != "-O":
        options.insert(0, "-O")
    threads = ["-n", number] if number.isdigit() else []
    return ("/usr/sbin/saslauthd", "-a", (mechanisms or "pam").split()[0], *options, *words, *threads, "-d")


def _quiet(word: str) -> list[str]:
    """An option without d, which is added anyway, and without V, which makes rimap print passwords."""
    if not re.fullmatch(r"-[cdlrtvV]+", word):
        return [word]
    letters = re.sub("[dV]", "", word)
    return [letters] if letters != "-" else []


def debug_line(line: str, mask: Callable[[str], str]) -> DebugLine:
    """A line that saslauthd printed; passwords in it are masked, and whatever else `mask` knows."""
    match = _PREFIX.match(line)
    text = match[2] if match else line
    for pattern in _SECRETS:
        text = pattern.sub(lambda part: f"{part[1]}{MASK}", text)
    return DebugLine(int(match[1]) if match else 0, mask(text), word("saslauthd", text))


def changes(facts: Facts, *, restart_sendmail: bool) -> tuple[Change, ...]:
    """The service is stopped; sendmail is restarted where the admin wants it, as the howto does."""
    runs, sendmail = (facts.process(name) is not None for name in ("saslauthd", "sendmail-mta"))
    stop = ServiceChange("saslauthd", facts.init, enable=False, was_running=runs, verb="stop")
    restart = ServiceChange("sendmail", facts.init, enable=False, was_running=sendmail)
    return (stop, restart) if restart_sendmail else (stop,)


def guard(facts: Facts) -> Revert:
    """What restarts the service if this process is killed. The kernel then ends the saslauthd that it had started."""
    if facts.process("saslauthd") is None:
        return Revert(())
    # The service is stopped, so whatever is left of saslauthd is ours.
    ended = ("sleep 1", "kill -KILL $(pidof saslauthd) 2>/dev/null")
    if facts.init != "systemd":
        return Revert((*ended, "/etc/init.d/saslauthd restart"))
    # systemd refuses the sixth start within ten seconds, unless its counter is set back.
    return Revert((*ended, "systemctl reset-failed saslauthd 2>/dev/null", "systemctl restart saslauthd"))


def debug(
    work: ForAWhile,
    facts: Facts,
    seconds: int,
    tell: Callable[[str], None],
    over: Callable[[], bool],
    *,
    restart_sendmail: bool = False,
) -> DebugResult:
    """Run it for `seconds` at most, until `over` says so; `tell` gets each line as printed, secrets included.

    Raises HostError where it cannot be done here, ChangeError, NotPutBackError."""
    host = work.host
    argv = _ready(host, facts)
    running = facts.process("saslauthd") is not None
    end = time.monotonic() + seconds
    with work.changed(NAME, changes(facts, restart_sendmail=restart_sendmail), guard(facts), seconds):
        work.say("$ " + shlex.join(argv))
        # Should we be killed: the kernel ends it then, so that the service finds its socket free.
        result = host.run(
            ("setpriv", "--pdeathsig", "TERM", *argv),
            timeout=seconds + 60,
            say=tell,
            over=lambda: over() or time.monotonic() >= end,
            secret=True,
        )
    by_itself = not over() and time.monotonic() < end
    return DebugResult(by_itself, result.code, answers_on_socket(host) if running else None)


def _ready(host: Host, facts: Facts) -> tuple[str, ...]:
    if not facts.services["saslauthd"].exists:
        raise HostError("there is no saslauthd service on this host: `msa-wizard apply install` brings it")
    text = facts.text(f.SASLAUTHD_DEFAULT)
    if text is None:
        raise HostError(f"{f.SASLAUTHD_DEFAULT} is missing: apt-get install --reinstall sasl2-bin")
    try:
        return command(text)
    except (EditError, ValueError) as error:
        raise HostError(f"{f.SASLAUTHD_DEFAULT}: {error}") from error
