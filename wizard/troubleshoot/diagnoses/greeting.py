"""The greeting: in time, sendmail's own, and a 220 (docs/debian.md section sendmail)."""

from __future__ import annotations

import re

from wizard.mends.access import refuses_us
from wizard.mends.mc_values import CHILDREN
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.access_map import STRANGERS
from wizard.system.tcp_wrappers import refusal
from wizard.troubleshoot.diagnoses.configuration import in_place
from wizard.troubleshoot.diagnosis import Diagnosis, of_unknown
from wizard.troubleshoot.host_state import DAEMON, Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_OURS = re.compile(r"^\s*(?:[^#:\n]*[\s,])?(?:ALL|sendmail)\b[^:\n]*:.*$", re.IGNORECASE | re.MULTILINE)
"""Rules of TCP wrappers for sendmail."""
SLOW = 8.0
"""Seconds: Debian's greet_pause for strangers is 5."""


def _stopped(picture: Picture) -> Picture | None:
    return picture if any(talk.stopped is Layer.GREETING for talk in picture.broken) else None


def _hung(picture: Picture) -> Finding | None:
    process = picture.facts.process(DAEMON)
    if process is None:
        return None
    stopped = picture.states.get(process.pid) == "T"
    silent = [talk for talk in picture.broken if talk.stopped is Layer.GREETING and talk.code == 0]
    if not stopped and not silent:
        return None
    why = (
        "it is stopped, by SIGSTOP or a debugger" if stopped else "it accepts the connection but says nothing"
    )
    return Finding(
        f"sendmail hangs: {why}",
        (
            Evidence(f"pid {process.pid}: state {picture.states.get(process.pid, '?')}", "/proc"),
            *(line for talk in silent for line in picture.conversation_evidence(talk)),
        ),
        Mend(("mend-sendmail-restart",)),
    )


def _wrappers(picture: Picture) -> Finding | None:
    deny, allow = picture.texts.get(Text.HOSTS_DENY, ""), picture.texts.get(Text.HOSTS_ALLOW, "")
    rule = refusal(allow, deny, "127.0.0.1", "localhost")
    # Whoever lets some in may keep all others out on purpose.
    if not rule and all(line.lower().rstrip().endswith("deny") for line in _OURS.findall(allow)):
        rules = [refusal(allow, deny, address, "client.example.net") for address in STRANGERS]
        rule = rules[0] if all(rules) else ""
    if not rule:
        return None
    replies = (line for talk in picture.broken for line in picture.conversation_evidence(talk))
    return Finding(
        "hosts.deny or hosts.allow rejects sendmail's clients",
        (Evidence(rule, "hosts.allow, hosts.deny"), *replies),
        Mend(("mend-hosts-access",)),
    )


def _access(picture: Picture) -> Finding | None:
    lines = [line.strip() for line in picture.texts.get(Text.ACCESS, "").splitlines() if refuses_us(line)]
    if not lines:
        return None
    return Finding(
        "the access map refuses connections from this host itself: local mail stops, and so do tests on it",
        tuple(Evidence(line, Text.ACCESS) for line in lines),
        Mend(("mend-access",)),
        layer=next((talk.stopped for talk in picture.broken), None),
    )


def _limit(picture: Picture) -> Finding | None:
    limited = [
        talk for talk in picture.broken if talk.code == 421 and "closing connection" not in talk.greeting
    ]
    if not limited:
        return None
    logged = picture.logged("rejecting connections", "Connection rate", "too many", since=picture.began - 60)
    return Finding(
        "sendmail rejects connections with 421: too many at once or within its window, or too high a load",
        (*(line for talk in limited for line in picture.conversation_evidence(talk)), *logged),
        Mend(
            text=f"wait ten minutes, Debian's window; the limits are ClientRate and ClientConn in {Text.ACCESS}, and confREFUSE_LA in sendmail.mc"
        ),
    )


def children(picture: Picture) -> tuple[Evidence, ...]:
    """What sendmail says, every 15 s, while it keeps its ports closed for too many processes."""
    last = picture.logged("rejecting connections on daemon", since=picture.began - 60, limit=2, proved=True)
    return tuple(line for line in last if " children, max " in line.says)


def _children(picture: Picture) -> Finding | None:
    missing = {daemon.port for daemon in picture.daemons} - {each.port for each in picture.mine}
    limit = sendmail_cf.option(picture.cf, "MaxDaemonChildren")
    logged, place = children(picture), picture.written("confMAX_DAEMON_CHILDREN")
    if not picture.runs or not missing or not limit or not logged:
        return None
    return Finding(
        f"sendmail has closed its ports, because it already has as many processes as MaxDaemonChildren allows ({limit})",
        (
            Evidence(f"O MaxDaemonChildren={limit}", "sendmail.cf"),
            *place,
            *logged,
        ),
        in_place(place, {f.SENDMAIL_MC: "mend-daemon-children"}, "raise")
        if limit.isdecimal() and int(limit) < CHILDREN
        else Mend(
            text="see who holds them: `ss -tnp | grep sendmail`; or raise confMAX_DAEMON_CHILDREN in sendmail.mc"
        ),
        layer=Layer.LISTENER,
    )


def _other(picture: Picture) -> Finding | None:
    others = [
        talk for talk in picture.submissions if talk.code == 220 and "sendmail" not in talk.greeting.lower()
    ]
    held = {
        listener.port: listener.process
        for listener in picture.facts.listeners
        if listener.process not in (DAEMON, None)
    }
    others = [talk for talk in others if talk.daemon.port in held]
    if not others:
        return None
    return Finding(
        f"{held[others[0].daemon.port]}, not sendmail, answers on port {others[0].daemon.port}",
        tuple(Evidence(talk.greeting, talk.source) for talk in others),
        Mend(text="stop and disable the other server, then `msa-wizard troubleshoot --fix listener-missing`"),
    )


def _slow(picture: Picture) -> Finding | None:
    slow = [talk for talk in picture.conversations if talk.seconds > SLOW and talk.stopped is None]
    if not slow:
        return None
    return Finding(
        f"the conversation took {slow[0].seconds:.0f} s, because look-ups of names time out or greet_pause is long: mail "
        "clients may give up",
        tuple(Evidence(f"{talk.seconds:.1f} s", talk.source) for talk in slow),
        Mend(text="try `getent hosts ADDRESS-OF-A-CLIENT`; look for GreetPause in /etc/mail/access"),
        Sign.WARNING,
    )


def _unknown(picture: Picture) -> Finding | None:
    return picture.unexplained(Layer.GREETING, "{source} does not greet as a mail server")


_G = Layer.GREETING
DIAGNOSES = (
    Diagnosis(
        "sendmail-hung",
        _G,
        "the connection opens, and then nothing comes",
        "3.7",
        "/proc and the greeting",
        _hung,
        cause="sendmail is stopped (SIGSTOP, a debugger) or hangs",
        fix="restart it (--fix: mend-sendmail-restart)",
    ),
    Diagnosis(
        "hosts-access",
        _G,
        "550 Access denied",
        "",
        "hosts.allow, hosts.deny",
        _wrappers,
        cause="hosts.deny or hosts.allow rejects sendmail's clients",
        fix="let clients in by hosts.allow (--fix: mend-hosts-access)",
    ),
    Diagnosis(
        "access-refuses",
        _G,
        "access denied",
        "",
        Text.ACCESS,
        _access,
        cause="the access map refuses connections from the host itself",
        fix="take the line out of /etc/mail/access (--fix: mend-access)",
    ),
    Diagnosis(
        "connections-full",
        _G,
        "no connection, now and then",
        "",
        "the log, MaxDaemonChildren",
        _children,
        cause="sendmail has closed its ports, because it already has as many processes as MaxDaemonChildren allows",
        fix="allow more (--fix: mend-daemon-children, sendmailconfig, restart)",
    ),
    Diagnosis(
        "connections-limited",
        _G,
        "421, try later",
        "",
        "the greeting",
        _limit,
        cause="there are more connections at once, or within ten minutes, than sendmail's limits allow, or the load is too high",
        fix="wait ten minutes, or raise ClientRate and ClientConn in /etc/mail/access",
    ),
    Diagnosis(
        "other-server",
        _G,
        "another mail server answers",
        "3.7",
        "the greeting",
        _other,
        cause="a mail server other than sendmail answers on the port",
        fix="stop and disable the other server, then restart sendmail",
    ),
    Diagnosis(
        "greeting-slow",
        _G,
        "it takes long to send",
        "",
        "how long the conversation took",
        _slow,
        cause="look-ups of the client's name time out, or greet_pause makes everybody wait",
        fix="repair the name servers in /etc/resolv.conf, or lower GreetPause in /etc/mail/access",
    ),
    of_unknown(("greeting-unknown", _G, "no greeting", "3.7", "the conversation"), _unknown),
)
