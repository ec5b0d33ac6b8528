"""The qualified name of this host in /etc/hosts (docs/debian.md trap 8)."""

from __future__ import annotations

import re

from snapshots.live.entry import Entry, Kind
from templates import render
from wizard.certificates.pem import common_name
from wizard.errors import PemError
from wizard.mends.parts import not_regular, verdict, written
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.system.host import Host


class MendHostName(Step):
    """The name that the certificate was made for, which is what this host was called when it worked."""

    id = "mend-host-name"
    title = "Give this host its qualified name"
    why = "Without a name that resolves sendmail waits a minute at each start, and no certificate is made."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """One line of /etc/hosts."""
        if facts.fqdn_resolves:
            return Plan.done(self.id, f"`hostname -f` says {facts.fqdn}")
        name, short = _certified(facts.files.get(f.SERVER_CERT)), facts.hostname.partition(".")[0]
        if not name.startswith(f"{short}."):
            return Plan.blocked(
                self.id,
                "the name of this host is not known: its certificate does not give it either",
                f"put `127.0.1.1 {short}.YOUR.DOMAIN {short}` into {f.HOSTS}",
            )
        entry, text = facts.files.get(f.HOSTS), facts.text(f.HOSTS)
        if entry is None or text is None:
            return not_regular(self.id, f.HOSTS, "is missing or not a regular file")
        new = _with_line(text, short, render("hosts_line.j2", name=name, short=short))
        change = written(f.HOSTS, entry, new, self.title)
        return Plan.pending(self.id, "`hostname -f` gives no qualified name", change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """hostname -f."""
        return verdict("fqdn", facts.fqdn_resolves, f"`hostname -f` says {facts.fqdn or 'nothing'}")


def _certified(entry: Entry | None) -> str:
    """The name that the certificate was made for, empty where it cannot be read."""
    try:
        return common_name(entry.content) if entry is not None and entry.kind is Kind.FILE else ""
    except PemError:
        return ""


def _with_line(text: str, short: str, line: str) -> str:
    """The line in place of the one for 127.0.1.1 that names this host, else at the end."""
    old = re.compile(rf"^127\.0\.1\.1[ \t]+(?:{re.escape(short)}[ \t]*)?$\n?", re.MULTILINE)
    if old.search(text):
        return old.sub(lambda _: line, text, count=1)
    return text + ("" if not text or text.endswith("\n") else "\n") + line
