"""What sendmailconfig itself changes in sendmail.mc before it makes sendmail.cf: by Debian's update_mc, a part of it.

It adds what Debian's own file has (the include of cf.m4, _USE_ETC_MAIL_, DOMAIN(`debian-mta'), an area for sendmail.conf),
makes OSTYPE(`linux') OSTYPE(`debian'), and corrects some FEATUREs (update_mc of 8.17.1.9 and 8.18.1)."""

from __future__ import annotations

import re

from wizard.changes.capture import captured
from wizard.model import facts as f
from wizard.system.host import Host

UPDATE_MC = "/usr/share/sendmail/update_mc"
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


def may_rewrite(mc: str, conf: str) -> bool:
    """Whether update_mc has perhaps something to change in this text, with this sendmail.conf: it is worth the time to ask."""
    chosen = re.findall(r"^\s*DAEMON_HOSTSTATS=[\"']?(\w)", conf, re.MULTILINE)
    status = _STATUS.get(chosen[-1].lower()) if chosen else None
    return (
        not all(pattern.search(mc) for pattern in _HAS)
        or _CHANGES.search(mc) is not None
        or (status is not None and status.search(mc) is not None)
    )


def rewritten(host: Host) -> bytes | None:
    """What update_mc makes of the live sendmail.mc, None where it leaves that as it is; nothing is written to the host.

    Raises NoCaptureError where this host gives no private view to run it in, HostError, ChangeError."""

    def act(view: Host) -> str:
        return view.run([UPDATE_MC], timeout=60).stdout

    pair = captured(host, act, lambda _: None).writes.get(f.SENDMAIL_MC)
    return pair[1].content if pair is not None and pair[1] is not None else None
