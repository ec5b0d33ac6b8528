"""TCP wrappers and the access map, where they refuse clients that they must accept."""

from __future__ import annotations

import re

from snapshots.live.entry import Kind
from templates import render
from wizard.changes.command import CommandChange
from wizard.mends.parts import not_regular, restart, verdict, written
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.system.host import Host

_ALLOWED = re.compile(r"^sendmail[ \t]*:[ \t]*all[ \t]*$", re.IGNORECASE)
_REFUSALS = ("REJECT", "DISCARD", "ERROR", "5")
_OURS = frozenset(["127", "127.0", "127.0.0", "127.0.0.1", "localhost", "IPv6:::1", ""])
"""The keys of loopback; the empty one, `Connect:` alone, means everybody."""


class MendHostsAccess(Step):
    """The first rule that matches wins, and hosts.allow is read first."""

    id = "mend-hosts-access"
    title = "Let mail clients past TCP wrappers"
    why = "sendmail asks hosts.allow and hosts.deny, and answers 550 to clients that they refuse. It has rules of its own."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """A first line in hosts.allow."""
        entry, text = facts.files.get(f.HOSTS_ALLOW), facts.text(f.HOSTS_ALLOW) or ""
        if entry is not None and entry.kind is not Kind.FILE:
            return not_regular(self.id, f.HOSTS_ALLOW)
        rules = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
        if rules and _ALLOWED.match(rules[0]):
            return Plan.done(self.id, "the first rule of hosts.allow lets them in")
        change = written(f.HOSTS_ALLOW, entry, render("hosts_allow.j2") + text, self.title)
        return Plan.pending(self.id, "no rule lets everybody in first", change)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The rule is the first."""
        first = self.plan(facts, answers).outcome == "done"
        says = "the first rule of hosts.allow is sendmail: ALL" if first else "the rule is not there"
        return verdict("hosts.allow", first, says)


def refuses_us(line: str) -> bool:
    """Whether a line of the access map refuses loopback."""
    words = line.split(None, 1)
    if len(words) < 2 or line.startswith("#"):
        return False
    bare = re.sub(r"^connect:", "", words[0], flags=re.IGNORECASE)
    return bare in _OURS and words[1].strip().strip('"').upper().startswith(_REFUSALS)


class MendAccess(Step):
    """Local mail comes from there, and so do the tests of this program."""

    id = "mend-access"
    needs = ("install",)
    title = "Let this host itself past the access map"
    why = "The access map refuses connections from loopback: mail of programs on this host stops."

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The lines become comments, the map is made again, sendmail is restarted."""
        entry, text = facts.files.get(f.ACCESS), facts.text(f.ACCESS)
        if entry is None or text is None:
            return Plan.done(self.id, f"there is no {f.ACCESS}")
        lines = re.findall(r".*\n|.+", text)
        if not any(map(refuses_us, lines)):
            return Plan.done(self.id, "no line of it refuses this host itself")
        new = "".join(f"#{line}" if refuses_us(line) else line for line in lines)
        make_map = CommandChange(("make", "-C", "/etc/mail", "access.db"), "makes the map out of it")
        change = written(f.ACCESS, entry, new, self.title)
        return Plan.pending(
            self.id, "a line of it refuses this host itself", change, make_map, restart(facts, "sendmail")
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The lines are gone, and the map is newer."""
        bad = any(map(refuses_us, (facts.text(f.ACCESS) or "").split("\n")))
        old = host.mtime(f"{f.ACCESS}.db") < host.mtime(f.ACCESS)
        says = "the map is older than the file" if old else "no line refuses this host itself"
        return verdict("access", not (bad or old), says)
