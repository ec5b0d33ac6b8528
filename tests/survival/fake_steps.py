"""Steps under real ids with their real needs, that change a fake root in every way that steps change a host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from snapshots.live.entry import Entry, Kind
from tests.survival.fake_host import LINK, SASL, UPDATE_AUTH, FakeHost, expanded
from wizard.changes.command import CommandChange, DialogueChange
from wizard.changes.file import FileChange
from wizard.changes.install_packages import PackagesChange
from wizard.changes.service import ServiceChange
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Outcome, Plan, Sign, Step
from wizard.sendmail import cf as sendmail_cf
from wizard.steps import order as real
from wizard.system.host import Host

WANTED = ("sendmail-bin", "sasl2-bin", "libsasl2-modules")
MC = "/etc/mail/sendmail.mc"
CF = "/etc/mail/sendmail.cf"
RULES = "/etc/firewall/rules.v4"
OPENED = "/etc/firewall/opened"
"""A folder that is empty when all is well: a step makes it."""
OLD = "/etc/firewall/old"
"""A link that a step replaces by a file."""


class Made(Step):
    """A step of the fake machine: what it is to change, worked out from the host itself."""

    why = "a test"

    def __init__(
        self, step_id: str, host: FakeHost, changes: Callable[[FakeHost, Facts], list[Change]]
    ) -> None:
        genuine = real.step(step_id)
        self.id, self.howto, self.title = step_id, genuine.howto, genuine.title  # type: ignore[misc]
        self.needs, self.also_reverts = genuine.needs, genuine.also_reverts  # type: ignore[misc]
        self.host, self.changes = host, changes

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending while there is something to change; what must be there first and is not blocks it."""
        try:
            changes = self.changes(self.host, facts)
        except Missing as problem:
            return Plan.blocked(self.id, str(problem), "bring it back")
        return Plan.pending(self.id, "differs", *changes) if changes else Plan.done(self.id, "is so")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """It is done when nothing is left to change."""
        plan = self.plan(facts, answers)
        sign = Sign.OK if plan.outcome is Outcome.DONE else Sign.FAILED
        return [Check("done", sign, f"{self.id}: {plan.reason}")]


class Missing(Exception):
    """A file that the step edits is not there, or no plain file."""


@dataclass(frozen=True)
class Line:
    """Puts a line into a file that is there: behind the line `after`, else at the end."""

    path: str
    line: str
    after: str = ""

    def __call__(self, host: FakeHost, facts: Facts) -> list[Change]:
        now = host.entry(self.path)
        if now is None or now.kind is not Kind.FILE:
            raise Missing(f"{self.path} is not a regular file")
        lines = now.content.decode("latin-1").splitlines(keepends=True)
        if f"{self.line}\n" in lines:
            return []
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        at = lines.index(f"{self.after}\n") + 1 if f"{self.after}\n" in lines else len(lines)
        content = "".join([*lines[:at], f"{self.line}\n", *lines[at:]]).encode("latin-1")
        return [FileChange(self.path, now, replace(now, content=content), self.line)]


def steps(host: FakeHost) -> tuple[Step, ...]:
    """All of them, in the howto's order."""
    edits: Sequence[tuple[str, Callable[[FakeHost, Facts], list[Change]]]] = (
        ("preflight", lambda _host, _facts: []),
        ("install", _install),
        ("saslauthd-init", lambda _host, _facts: []),
        ("saslauthd-config", Line("/etc/default/saslauthd", "START=yes", "MECHANISMS=pam")),
        ("saslauthd-start", _saslauthd_start),
        ("sendmail-auth", _sendmail_auth),
        ("mc-includes", Line(MC, "include(`sasl.m4')dnl", "divert(0)dnl")),
        ("submission-port", Line(MC, "DAEMON(`submission')dnl", "DAEMON(`local')dnl")),
        ("auth-options", Line(MC, "OPTIONS(`py')dnl", "include(`sasl.m4')dnl")),
        ("smtp-port", lambda _host, _facts: []),
        ("sendmailconfig", _sendmailconfig),
        ("restart", _restart),
        ("firewall", _firewall),
    )
    return tuple(Made(name, host, changes) for name, changes in edits)


def _install(host: FakeHost, facts: Facts) -> list[Change]:
    missing = tuple(name for name in WANTED if name not in facts.packages)
    if not missing:
        return []
    stop = ServiceChange("nullmailer", facts.init, enable=False, was_running=True, verb="stop")
    stops = [stop] if "nullmailer" in host.systemd.running() else []
    return [*stops, PackagesChange(missing, None, ("nullmailer",))]


def _saslauthd_start(host: FakeHost, facts: Facts) -> list[Change]:
    running, enabled = facts.saslauthd_says is not None, facts.services["saslauthd"].enabled
    if running and enabled:
        return []
    return [ServiceChange("saslauthd", facts.init, enable=not enabled, was_running=running)]


def _sendmail_auth(host: FakeHost, facts: Facts) -> list[Change]:
    conf = f"/{SASL}/Sendmail.conf.2"
    now = host.entry(conf)
    joined = "smmta" in facts.groups.get("sasl", ())
    if now is None or host.entry(f"/{LINK}") is None or host.entry(f"/{SASL}/sasl.m4") is None or not joined:
        if host.entry("/etc/mail/access") is None:
            raise Missing("/etc/mail/access is not there")
        return [CommandChange(UPDATE_AUTH, "makes what is missing")]
    if now.kind is not Kind.FILE:
        raise Missing(f"{conf} is not a regular file")
    wanted = now.content.replace(b"DIGEST-MD5 ", b"")
    return [FileChange(conf, now, replace(now, content=wanted))] if wanted != now.content else []


def _sendmailconfig(host: FakeHost, facts: Facts) -> list[Change]:
    mc, cf = host.entry(MC), host.entry(CF)
    if mc is None or mc.kind is not Kind.FILE:
        raise Missing(f"{MC} is not a regular file")
    made = expanded(mc.content.decode("latin-1"))
    has = cf.content.decode("latin-1") if cf and cf.kind is Kind.FILE else ""
    return [] if sendmail_cf.same(made, has) else [DialogueChange()]


def _restart(host: FakeHost, facts: Facts) -> list[Change]:
    enabled = facts.services["sendmail"].enabled
    running = host.systemd.running().get("sendmail")
    if enabled and running == host.systemd.should_have_read("sendmail"):
        return []
    return [ServiceChange("sendmail", facts.init, enable=not enabled, was_running=running is not None)]


def _firewall(host: FakeHost, facts: Facts) -> list[Change]:
    """Edits a file with odd metadata, makes a folder, puts a file in a link's place, takes a file away."""
    changes = Line(RULES, "-A INPUT -p tcp --dport 587 -j ACCEPT", "*filter")(host, facts)
    rules = host.entry(RULES)
    assert rules is not None
    wanted = {
        OPENED: Entry(Kind.DIRECTORY, 0o2750, rules.uid, rules.gid),
        f"{OPENED}/587": Entry(Kind.FILE, 0o604, rules.uid, rules.gid, b"by msa-wizard\n", rules.xattrs),
        OLD: Entry(Kind.FILE, 0o600, rules.uid, rules.gid, b"the rules of before\n"),
        "/etc/firewall/closed": None,
    }
    found = {path: host.entry(path) for path in wanted}
    changes += [
        FileChange(path, found[path], entry)
        for path, entry in wanted.items()
        if (found[path] is None) != (entry is None) or (entry and found[path].kind is not entry.kind)  # type: ignore[union-attr]
    ]
    return changes
