"""TCP wrappers and the access map, where they refuse clients that they must accept."""

from __future__ import annotations

import re
from abc import abstractmethod

from snapshots.live.entry import Kind
from templates import render
from wizard.changes.command import CommandChange
from wizard.mends.parts import not_regular, restart, verdict, written
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.sendmail import access_map
from wizard.system.host import Host

_ALLOWED = re.compile(r"^sendmail[ \t]*:[ \t]*all[ \t]*$", re.IGNORECASE)
_REFUSALS = ("REJECT", "DISCARD", "ERROR", "5")
_OURS = frozenset(["127", "127.0", "127.0.0", "127.0.0.1", "localhost", "ipv6:::1"])


class MendHostsAccess(Step):
    """The first rule that matches wins, and hosts.allow is read first."""

    id = "mend-hosts-access"
    title = "Let mail clients past TCP wrappers"
    why = "sendmail asks hosts.allow and hosts.deny, and answers 550 to clients that they refuse. sendmail has rules of its own."

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


def of_loopback(key: str) -> bool:
    """Whether a key of the access map is that of this host itself."""
    return key.lower() in _OURS


def refuses_us(line: str) -> bool:
    """Whether a line of the access map refuses loopback."""
    words = line.split(None, 1)
    if len(words) < 2 or line.startswith("#"):
        return False
    bare = re.sub(r"^connect:", "", words[0], flags=re.IGNORECASE)
    # `Connect:` alone means everybody.
    return (not bare or of_loopback(bare)) and words[1].strip().strip('"').upper().startswith(_REFUSALS)


_MAKE_MAP = CommandChange(("make", "-C", "/etc/mail", "access.db"), "makes the map from it")


class _AccessLines(Step):
    """Lines of the access map become comments, the map is made again, sendmail is restarted."""

    needs = ("install",)
    what = ""
    """What such a line does."""

    @abstractmethod
    def bad(self, text: str, facts: Facts) -> frozenset[int]:
        """The numbers of the lines that are to go, from 1."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """What was there stays, as a comment."""
        entry, text = facts.files.get(f.ACCESS), facts.text(f.ACCESS)
        if entry is None or text is None:
            return Plan.done(self.id, f"there is no {f.ACCESS}")
        bad = self.bad(text, facts)
        if not bad:
            return Plan.done(self.id, f"no line of it {self.what}")
        lines = enumerate(re.findall(r".*\n|.+", text), 1)
        new = "".join(f"#{line}" if number in bad else line for number, line in lines)
        change = written(f.ACCESS, entry, new, self.title)
        return Plan.pending(
            self.id, f"a line of it {self.what}", change, _MAKE_MAP, restart(facts, "sendmail")
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The lines are gone, and the map is newer."""
        bad = self.bad(facts.text(f.ACCESS) or "", facts)
        old = host.mtime(f"{f.ACCESS}.db") < host.mtime(f.ACCESS)
        says = "the map is older than the file" if old else f"no line {self.what}"
        return verdict("access", not (bad or old), says)


class MendAccess(_AccessLines):
    """Local mail comes from this host, and so do the tests of this program; from its net come the users."""

    id = "mend-access"
    title = "Let this host, its net and strangers past the access map"
    why = "The access map refuses connections that must be possible: those of this host itself, its own net, or everybody."
    what = "refuses this host itself, its net or everybody"

    def bad(self, text: str, facts: Facts) -> frozenset[int]:
        """Those that refuse them."""
        us = {number for number, line in enumerate(text.split("\n"), 1) if refuses_us(line)}
        lines, own = access_map.lines(text), facts.addresses
        general = (line for tag in access_map.REFUSING for line in access_map.general(lines, tag, own))
        return frozenset(us | {line.number for line in general if line.refuses})


class MendAccessFeatures(_AccessLines):
    """A rule that hides AUTH or STARTTLS from everybody."""

    id = "mend-access-features"
    title = "Offer AUTH and STARTTLS to mail clients again"
    why = "A Srv_Features line of the access map hides AUTH or STARTTLS from mail clients: nobody can log in."
    what = "hides AUTH or STARTTLS from this host itself, its net or everybody"

    def bad(self, text: str, facts: Facts) -> frozenset[int]:
        """Those that hide it."""
        lines = access_map.lines(text)
        general = access_map.general(lines, access_map.FEATURES, facts.addresses)
        return frozenset(
            line.number for line in lines if line.hides and (line in general or of_loopback(line.key))
        )


class MendAccessLimits(_AccessLines):
    """A limit that is too low for several users behind one address."""

    id = "mend-access-limits"
    title = "Take out connection limits that are too low"
    why = "Users of one office come from one address: with so few connections their mail clients get 421."
    what = f"allows {access_map.FEW} connections or fewer"

    def bad(self, text: str, facts: Facts) -> frozenset[int]:
        """Those with a limit of FEW at most."""
        return frozenset(line.number for line in access_map.lines(text) if line.low)
