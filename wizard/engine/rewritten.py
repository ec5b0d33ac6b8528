"""What sendmailconfig changes by itself, besides what it is run for: Debian's scripts are tried in a private view of the host."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from snapshots.live.entry import Entry
from wizard.changes.capture import Capture, NoCaptureError, below, captured
from wizard.changes.file import FileChange
from wizard.console import count
from wizard.editors import EditError, sendmail_mc
from wizard.errors import ChangeError, HostError
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Ending, Plan
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.m4 import expand_text
from wizard.sendmail.mc_gate import Planned, unplanned
from wizard.sendmail.rights import MAIL_FOLDER, OF_SASL, SASLDB, taken_away
from wizard.sendmail.written_anew import ITS_MAKING, crontab_as_written, edits, jobs, transition
from wizard.system.host import Host
from wizard.system.tcp_wrappers import names_sendmail, refusing

REWRITTEN = "mc-rewritten"
"""Lines of sendmail.cf that would change, since sendmailconfig itself edits sendmail.mc."""
EDITS = "generated-edits"
"""What was changed by hand in files that Debian's scripts write anew each time."""
RIGHTS = "mail-rights"
"""What somebody may do below /etc/mail or with /etc/sasldb2, and no more once the scripts have set owner and mode there."""
LET_IN = "hosts-allow"
"""That rules of TCP wrappers keep clients away from sendmail."""
_OURS = Planned(sets=frozenset({"TrustedUser"}))
"""mc-includes sets it where update_mc would."""
_SCRIPTS = "/usr/share/sendmail"
CRONTAB = "/etc/cron.d/sendmail"
_SMRSH = "/etc/mail/smrsh"
"""What users may run by ~/.forward where FEATURE(smrsh) is: the links in it."""
_SMRSH_RUNS = "/smrsh,"
"""Of a mailer in sendmail.cf that is smrsh."""
_RUN_BY_ANYBODY = (
    "/usr/libexec/sendmail/mail.local",
    "/usr/libexec/sendmail/sensible-mda",
    "/usr/bin/vacation",
    "/usr/bin/procmail",
    "/usr/bin/maildrop",
    "/usr/bin/deliver",
)
"""What update_smrsh makes a link to, where it is there."""
_CRONTAB = (f"{_SCRIPTS}/update_conf", "--static", "--output-file", CRONTAB)
"""With --output-file it leaves inetd and /var alone."""
_M4 = {f.SASL_M4: f"{_SCRIPTS}/update_authm4", f.STARTTLS_M4: f"{_SCRIPTS}/update_tlsm4"}
_PARSED = (("rm", "-f", "/etc/mail/databases"), (f"{_SCRIPTS}/parse_mc",))
"""Comes before the scripts that make sasl.m4 and starttls.m4, as in update_sendmail. Of its other scripts update_sys changes
/var, and update_db is slow."""
_TRUSTS = "TRUST_AUTH_MECH"
"""Of several such lines parse_mc finds the last alone: with one in sendmail.mc, the one of sasl.m4 becomes much the same."""
_BETWEEN = "\0"
_KEEPS = {
    (
        "sendmail.cf: ",
        "submit.cf: ",
    ): "settings into sendmail.mc, below the includes (undefine for what was taken out)",
    (f.SASL_CONF,): "`auto_transition: no` into Sendmail.conf",
    (CRONTAB,): "jobs into a file of their own in /etc/cron.d",
}
"""By what is changed back: how it is kept."""
UPDATE_MC = f"{_SCRIPTS}/update_mc"
"""What sendmailconfig itself changes in sendmail.mc, before it makes sendmail.cf. It adds what Debian's own file has (the
include of cf.m4, _USE_ETC_MAIL_, DOMAIN(`debian-mta'), an area for sendmail.conf), makes OSTYPE(`linux') OSTYPE(`debian'),
and corrects some FEATUREs (update_mc of 8.17.1.9 and 8.18.1)."""
_HAS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^\s*`?include\(`?/usr/share/sendmail/cf/m4/cf\.m4'?\)",
        r"^\s*`?define\(`?_USE_ETC_MAIL_",
        r"^\s*`?DOMAIN\(`?debian-mta'?\)",
        r"^dnl # Items controlled by /etc/mail/sendmail\.conf",
    )
)
_CHANGES = re.compile(
    r"^\s*`?(?:OSTYPE\(`?linux'?\)|include\(`?/etc/mail/(?:dialup|provider)\.m4"
    r"|FEATURE\(`?(?:mailertable'?, `text |smrsh'?\s*,|nouucp'?\)|dont_masquerade_local'?\)"
    r"|access_db'?\s*,\s*`?hash\s*(?:-o)?\s*/etc/mail/access\.db))",
    re.MULTILINE,
)
_STATUS = {
    "n": re.compile(r"^dnl undefine\(`confHOST_STATUS_DIRECTORY'\)dnl", re.MULTILINE),
    "y": re.compile(r"^undefine\(`confHOST_STATUS_DIRECTORY'\)dnl", re.MULTILINE),
}
"""What is switched by the first letter of DAEMON_HOSTSTATS in sendmail.conf."""


def rewritten(host: Host, facts: Facts, plan: Plan) -> Plan:
    """The plan with what Debian's scripts, which sendmailconfig runs, change of the admin's own: they are tried in a private
    view of the host, and nothing is written."""
    entry = _mc(host, facts)
    if entry is None:
        return plan
    files = (change for change in plan.changes if isinstance(change, FileChange))
    planned = next((change.after for change in files if change.path == f.SENDMAIL_MC), None) or entry
    ends = (*_rights(host, facts, (MAIL_FOLDER, *below(host, MAIL_FOLDER), SASLDB)), *_let_in(host))
    plan = replace(plan, notes=(*plan.notes, *_of_smrsh(host, facts)))
    return _listing(plan, ends, lambda: _tried(host, facts, planned))


def rewritten_by_update_auth(host: Host, facts: Facts, plan: Plan) -> Plan:
    """The same of update_auth where a step runs it by itself: sasl.m4, and the rights on what is SASL's."""
    entry = _mc(host, facts)
    if entry is None:
        return plan
    return _listing(plan, _rights(host, facts, OF_SASL), lambda: _tried_sasl(host, entry))


def _mc(host: Host, facts: Facts) -> Entry | None:
    """The sendmail.mc of now, None where nothing can be tried."""
    there = facts.euid == 0 and "sendmailconfig" in facts.tools and host.exists(UPDATE_MC)
    return host.entry(f.SENDMAIL_MC) if there else None


def _listing(plan: Plan, ends: tuple[Ending, ...], trial: Callable[[], tuple[Ending, ...]]) -> Plan:
    ends = (*plan.ends, *ends)
    try:
        return replace(plan, ends=(*ends, *trial()))
    except (NoCaptureError, HostError, ChangeError) as error:
        note = f"what Debian's scripts change by themselves besides cannot be seen before ({error})"
        return replace(plan, ends=ends, notes=(*plan.notes, note))


def _tried_sasl(host: Host, mc: Entry) -> tuple[Ending, ...]:
    """What ends by the sasl.m4 that update_auth writes. Raises NoCaptureError, HostError, ChangeError."""
    _, sources = _written_anew(host, mc.content.decode("latin-1"), [f.SASL_M4])
    if not sources:
        return _ending(_of_sasl_conf(host))
    scripts = [(_M4[f.SASL_M4],)]
    capture = captured(host, lambda view: _ran(view, scripts, sources), lambda _: None, sealed=True)
    return _edits_that_go(host, capture, sources, mc)


def _tried(host: Host, facts: Facts, planned: Entry) -> tuple[Ending, ...]:
    """What ends by what the scripts write, where sendmail.mc is as `planned`. Raises NoCaptureError, HostError, ChangeError."""
    mc, conf = planned.content.decode("latin-1"), facts.text(f.SENDMAIL_CONF) or ""
    there, sources = _written_anew(host, mc, _M4)
    scripts: list[Sequence[str]] = [(UPDATE_MC,)] if may_rewrite(mc, conf) else []
    scripts += (*_PARSED, *((_M4[path],) for path in there)) if sources else ()
    if host.exists(CRONTAB) and not crontab_as_written(host.text(CRONTAB), conf):
        scripts.append(_CRONTAB)
    if not scripts:
        return _ending(_of_sasl_conf(host))
    with host.in_memory(planned.content) as source:
        # The file stays what it is, with its owner and mode: it gets the content.
        scripts.insert(0, ("cp", source, f.SENDMAIL_MC))
        capture = captured(host, lambda view: _ran(view, scripts, sources), lambda _: None, sealed=True)
    _, written = capture.writes.get(f.SENDMAIL_MC, (None, planned))
    return (*_edits_of_mc(host, planned, written), *_edits_that_go(host, capture, sources, written))


def _written_anew(host: Host, mc: str, paths: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Those of the .m4 files that are there, for in what is still to be made nothing was changed by hand; and the .mc files that
    include one of them, where the scripts make something else of one."""
    there = [path for path in paths if host.exists(path)]
    differs = _TRUSTS in mc or any(_edited(host, path) for path in there)
    return there, _made_with(host, mc, there) if there and differs else ()


def _edited(host: Host, path: str) -> bool:
    """Whether something was put into the file, or taken out of it, that its script undoes."""
    return bool(edits(host.text(path), host.text(_M4[path])))


def _of_sasl_conf(host: Host) -> list[str]:
    """What update_auth changes in Sendmail.conf: who is let in by saslauthd gets his password into sasldb2, in clear."""
    lines = transition(host.text(f.SASL_CONF))
    changes = (*(f"-{line}" for line in lines), "+auto_transition: true") if lines else ()
    return [f"{f.SASL_CONF}: {change}" for change in changes]


def _made_with(host: Host, mc: str, written: Collection[str]) -> tuple[str, ...]:
    """The .mc files that include something of what is written anew."""
    sources = ((f.SENDMAIL_MC, mc), (f.SUBMIT_MC, host.text(f.SUBMIT_MC)))
    return tuple(path for path, text in sources if not set(written).isdisjoint(_included(text)))


def _included(mc: str) -> tuple[str, ...]:
    try:
        return sendmail_mc.includes(mc)
    except EditError:
        return ()


def _ran(view: Host, scripts: Sequence[Sequence[str]], sources: Sequence[str]) -> str:
    """What m4 makes of the .mc files once the scripts have run, one behind the other."""
    for argv in scripts:
        view.run(argv, timeout=60)
    runs = (view.run(["m4", path], timeout=30, cwd="/etc/mail", encoding="latin-1") for path in sources)
    return _BETWEEN.join(run.stdout for run in runs)


def _edits_of_mc(host: Host, before: Entry, after: Entry | None) -> tuple[Ending, ...]:
    """What update_mc changes in sendmail.mc, and what that changes in sendmail.cf."""
    if after is None or after.content == before.content:
        return ()
    old, new = (expand_text(host, text.content).text for text in (before, after))
    lines = unplanned(old, new, _OURS)
    if not lines:
        return ()
    says = (
        f"sendmailconfig edits sendmail.mc itself (Debian's update_mc), and with that {count(len(lines), 'line')} of sendmail.cf "
        "would change that no step plans to change"
    )
    shown = (*_differing("sendmail.mc", before, after), *(f"sendmail.cf: {line}" for line in lines))
    return (Ending(REWRITTEN, says, shown),)


def _of_smrsh(host: Host, facts: Facts) -> tuple[str, ...]:
    """What users may run then: whether somebody took a link out, or there never was one, cannot be seen."""
    if _SMRSH_RUNS not in (facts.cf_from_mc or ""):
        return ()
    links = {f"{_SMRSH}/{program.rpartition('/')[2]}": program for program in _RUN_BY_ANYBODY}
    new = [link for link, program in links.items() if host.exists(program) and not host.path(link).exists()]
    if not new:
        return ()
    return (
        f"sendmailconfig makes {', '.join(new)}: users may then run what is behind it from ~/.forward. To prevent that, put a "
        "link to /bin/false there first",
    )


def _edits_that_go(
    host: Host, capture: Capture, sources: Sequence[str], mc: Entry | None
) -> tuple[Ending, ...]:
    """What was changed by hand in files that the scripts write anew, as far as it has an effect."""
    shown: list[str] = []
    for path, new in zip(sources, capture.output.split(_BETWEEN), strict=False):
        source = mc if path == f.SENDMAIL_MC else capture.writes.get(path, (None, host.entry(path)))[1]
        old = expand_text(host, source.content).text if source is not None else ""
        lines = sendmail_cf.changed(old, new) if min(len(old), len(new)) >= sendmail_cf.SMALLEST else ()
        shown += (f"{path.rpartition('/')[2].replace('.mc', '.cf')}: {line}" for line in lines)
    of_m4 = sorted(_M4.keys() & capture.writes.keys()) if shown else ()
    shown = [*(line for path in of_m4 for line in _differing(path, *capture.writes[path])), *shown]
    now, then = (jobs(_text(entry)) for entry in capture.writes.get(CRONTAB, (None, None)))
    shown += (f"{CRONTAB}: -{now[job]}" for job in now if job not in then)
    shown += (f"{CRONTAB}: +{then[job]}" for job in then if job not in now)
    return _ending([*shown, *_of_sasl_conf(host)])


def _ending(shown: Sequence[str]) -> tuple[Ending, ...]:
    """What is changed back, line by line."""
    if not shown:
        return ()
    keeps = [how for names, how in _KEEPS.items() if any(line.startswith(names) for line in shown)]
    says = (
        "Debian's scripts (sendmailconfig, update_auth) write this again, without what was changed in it by hand: what was taken "
        f"out comes back. To keep it as it is, put {', and '.join(keeps)}"
    )
    return (Ending(EDITS, says, tuple(shown)),)


def _differing(name: str, before: Entry | None, after: Entry | None) -> Iterator[str]:
    """The lines in which two texts differ, but for what says when, by whom and by which version they were made."""
    old, new = (
        [line for line in _text(entry).splitlines() if not ITS_MAKING.match(line)]
        for entry in (before, after)
    )
    for line in difflib.unified_diff(old, new, n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield f"{name}: {line}"


def _text(entry: Entry | None) -> str:
    return entry.content.decode("latin-1") if entry is not None else ""


def _rights(host: Host, facts: Facts, paths: Iterable[str]) -> tuple[Ending, ...]:
    """Who may read or write one of these files or folders no more."""
    lines = taken_away(host, paths, facts.cf_from_mc or "")
    if not lines:
        return ()
    says = (
        "Debian's scripts (sendmailconfig, update_auth) give these files and folders the owner and mode that Debian has for "
        "them, and somebody who may write to them, or read them, may not any more. To allow it again afterwards, use chown and chmod"
    )
    return (Ending(RIGHTS, says, lines),)


def _let_in(host: Host) -> tuple[Ending, ...]:
    """The rules of TCP wrappers that are asked no more for sendmail."""
    allow = host.text(f.HOSTS_ALLOW)
    if names_sendmail(allow) or not host.exists(f.HOSTS_ALLOW):
        return ()
    rules = refusing(allow, host.text("/etc/hosts.deny"))
    if not rules:
        return ()
    says = (
        f"sendmailconfig puts the line `sendmail: all` on top of {f.HOSTS_ALLOW}, since no line there names sendmail: clients "
        "that these rules turn away reach sendmail then, also at port 25. To keep them out, write there first who may come, "
        "such as `sendmail: 192.0.2.0/24`"
    )
    return (Ending(LET_IN, says, rules),)


def may_rewrite(mc: str, conf: str) -> bool:
    """Whether update_mc has perhaps something to change in this text, with this sendmail.conf: it is worth the time to ask."""
    chosen = re.findall(r"^\s*DAEMON_HOSTSTATS=[\"']?(\w)", conf, re.MULTILINE)
    status = _STATUS.get(chosen[-1].lower()) if chosen else None
    return (
        not all(pattern.search(mc) for pattern in _HAS)
        or _CHANGES.search(mc) is not None
        or (status is not None and status.search(mc) is not None)
    )
