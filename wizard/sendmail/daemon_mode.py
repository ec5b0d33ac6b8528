"""DAEMON_MODE in /etc/mail/sendmail.conf: whether Debian's script starts a sendmail that listens. It does so for `daemon` alone,
in any case; with `None` a host only sends, and with `Inetd` another program listens. Every start succeeds all the same. Pure."""

from __future__ import annotations

from wizard.editors import EditError, shell_defaults
from wizard.model import facts as f
from wizard.model.facts import Facts

KEY = "DAEMON_MODE"
LISTENS = "Daemon"
REMEDY = (
    f'if mail clients shall submit mail here: set {KEY}="{LISTENS}" in {f.SENDMAIL_CONF}, or have it set and sendmail '
    "started: `msa-wizard troubleshoot --fix daemon-mode`"
)


def silent_mode(facts: Facts) -> str:
    """The mode in which none is started that listens, as it is written; empty where one is, or only root can tell."""
    try:
        value = shell_defaults.value(facts.text(f.SENDMAIL_CONF) or "", KEY)
    except (EditError, PermissionError):
        return ""
    if value is None or value.lower() == LISTENS.lower():
        return ""
    return f'{KEY}="{value}"'


def silent_sentence(mode: str) -> str:
    """What it means."""
    return (
        f"{mode} in {f.SENDMAIL_CONF}: Debian's script starts no sendmail that listens, and reports success"
    )
