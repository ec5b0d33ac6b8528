"""What sendmailconfig changes by itself, besides what it is run for: Debian's scripts are tried in a private view of the host."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

from wizard.changes.capture import NoCaptureError, captured
from wizard.console import count
from wizard.errors import ChangeError, HostError
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Ending, Plan
from wizard.sendmail.m4 import expand_text
from wizard.sendmail.mc_gate import Planned, unplanned
from wizard.system.host import Host

REWRITTEN = "mc-rewritten"
"""Lines of sendmail.cf that would change, since sendmailconfig itself edits sendmail.mc."""
_OURS = Planned(sets=frozenset({"TrustedUser"}))
"""mc-includes sets it where update_mc would."""
UPDATE_MC = "/usr/share/sendmail/update_mc"
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
    """The plan with what sendmailconfig's own edit of sendmail.mc changes in sendmail.cf: update_mc is tried in a private
    view of the host, and nothing is written."""
    entry = host.entry(f.SENDMAIL_MC) if facts.euid == 0 and "sendmailconfig" in facts.tools else None
    if entry is None or not host.exists(UPDATE_MC):
        return plan
    if not may_rewrite(entry.content.decode("latin-1"), facts.text(f.SENDMAIL_CONF) or ""):
        return plan
    try:
        capture = captured(host, lambda view: view.run([UPDATE_MC], timeout=60).stdout, lambda _: None)
    except (NoCaptureError, HostError, ChangeError) as error:
        note = f"whether sendmailconfig edits sendmail.mc itself cannot be seen before ({error})"
        return replace(plan, notes=(*plan.notes, note))
    _, after = capture.writes.get(f.SENDMAIL_MC, (None, None))
    if after is None:
        return plan
    old, new = (expand_text(host, text.content).text for text in (entry, after))
    lines = unplanned(old, new, _OURS)
    if not lines:
        return plan
    old_mc, new_mc = (text.content.decode("latin-1").splitlines() for text in (entry, after))
    diff = difflib.unified_diff(old_mc, new_mc, n=0, lineterm="")
    edits = (line for line in diff if not line.startswith(("---", "+++", "@@")))
    says = (
        f"sendmailconfig edits sendmail.mc itself (Debian's update_mc), and with that {count(len(lines), 'line')} of sendmail.cf "
        "would change that no step plans to change"
    )
    shown = (*(f"sendmail.mc: {line}" for line in edits), *(f"sendmail.cf: {line}" for line in lines))
    return replace(plan, ends=(*plan.ends, Ending(REWRITTEN, says, shown)))


def may_rewrite(mc: str, conf: str) -> bool:
    """Whether update_mc has perhaps something to change in this text, with this sendmail.conf: it is worth the time to ask."""
    chosen = re.findall(r"^\s*DAEMON_HOSTSTATS=[\"']?(\w)", conf, re.MULTILINE)
    status = _STATUS.get(chosen[-1].lower()) if chosen else None
    return (
        not all(pattern.search(mc) for pattern in _HAS)
        or _CHANGES.search(mc) is not None
        or (status is not None and status.search(mc) is not None)
    )
