"""Beyond the howto: which TLS mail clients may speak, as RFC 8996 and RFC 9325 recommend. Only where the answers ask for it.

By a ruleset of sendmail's own (`wizard.sendmail.tls_rules`): CipherList and ServerSSLOptions hold for port 25 and for mail
that goes out as well, where weak TLS is better than none. TLS policies in the access map are not concerned."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from wizard.changes.command import DialogueChange
from wizard.changes.service import ServiceChange
from wizard.console import count, numbered
from wizard.editors import EditError, sendmail_mc
from wizard.gather.tls import ciphers, suites
from wizard.maillog.recent import DAYS, recent_tls
from wizard.model import facts as f
from wizard.model.answers import UNCHANGED, Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Ending, Plan, Sign, Step
from wizard.model.step_facts import TlsTaken, WeakLogin
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail import tls_rules
from wizard.sendmail.m4 import expand_text
from wizard.sendmail.mc_gate import Gate, Planned
from wizard.smtp.handshakes import KINDS, QUICK, SMALL_DH, Handshake, Kind, handshakes, weak
from wizard.steps.absent import edited, not_there_yet
from wizard.steps.listeners import login_at_25
from wizard.steps.restart import Restart
from wizard.system.host import Host

ENDS = "tls-refused"
"""Logins with TLS that the policy refuses, and that were there lately."""
CHOOSE = "msa-wizard apply tls-policy --set tls.policy=recommended"
OPTIONAL = 'optional, and not asked for: TLS is as sendmail and OpenSSL have it ("TLS of clients" in the settings, tls.policy)'
_BEFORE = frozenset({"install", "sendmail-auth", "sendmailconfig", "restart"})
_OLDER = re.compile(r"8\.(?:\d|1[0-5])(?=\.)")
_OLD = ("SSLv3", "TLSv1", "TLSv1.1")
_OWN_RULES = "sendmail.cf has a ruleset tls_srv_features of its own, as FEATURE(`tls_session_features') brings one: there can be one only"


class TlsPolicy(Step):
    """Nothing unless it is chosen."""

    id = "tls-policy"
    title = "Allow only TLS that is recommended today"
    without = "TLS that is not recommended today is accepted"
    why = (
        "Debian's sendmail also takes TLS 1.2 without forward secrecy: whoever records such a connection, and has the server's "
        "key one day, can read the password in it. With the settings of other times, or of the admin's, it takes TLS 1.0 and 1.1 "
        "as well. Chosen in the settings (tls.policy): TLS 1.2 and newer with forward secrecy, on the ports for mail clients "
        "alone. Port 25 stays as it is: a server that knows nothing better would send its mail without any TLS, or not at all."
    )
    checked = "which TLS each port for mail clients takes and refuses, by handshakes of each kind"
    afterwards = "mail clients can use the TLS again that tls-policy has shut out"
    needs = ("sendmailconfig", "restart")
    always_reports = True

    def gathered(self, host: Host, facts: Facts, answers: Answers) -> Facts:
        """With what a policy that is chosen, and not in force yet, is judged by. Raises HostError."""
        cf = facts.cf_from_mc
        if answers.tls.policy == UNCHANGED or facts.tls is not None or cf is None or _BEFORE & facts.planned:
            return facts
        if facts.process("sendmail-mta") is None:
            return facts
        return replace(facts, tls=_look(host, facts, cf))

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The ruleset, where it is chosen, and something weaker is taken."""
        if answers.tls.policy == UNCHANGED:
            return self._unasked(facts)
        if stopped := not_there_yet(facts, self.id, f.SENDMAIL_MC):
            return stopped
        if _BEFORE & facts.planned:
            return Plan.later(self.id, "once sendmail runs with its new configuration")
        entry, mc, cf = facts.files.get(f.SENDMAIL_MC), facts.text(f.SENDMAIL_MC), facts.cf_from_mc
        if entry is None or mc is None or cf is None:
            why = f"m4 makes no sendmail.cf of {f.SENDMAIL_MC}"
            return Plan.blocked(self.id, why, "msa-wizard apply sendmailconfig")
        if (release := _OLDER.match(facts.packages.get("sendmail-bin", ""))) is not None:
            why = f"sendmail {release.group()} has no ruleset tls_srv_features, which came with 8.16"
            return Plan.blocked(self.id, why, "upgrade to Debian 12 or newer")
        seen = facts.tls
        if seen is None:
            why = "sendmail does not run, so nobody can tell which TLS it takes"
            return Plan.blocked(self.id, why, "msa-wizard apply restart")
        if seen.broken:
            return Plan.blocked(self.id, *seen.broken)
        try:
            sendmail_mc.check(mc)
            block = tls_rules.own(mc)
            wanted = self._rules(cf, seen)
            new = tls_rules.with_rules(mc, wanted)
        except EditError as error:
            return Plan.blocked(self.id, f"{f.SENDMAIL_MC}: {error}", error.remedy)
        now = tls_rules.present(cf)
        if now != tls_rules.of_block(block):
            why = "add to it what docs/server.md says, or take it out of sendmail.mc"
            return Plan.blocked(self.id, _OWN_RULES, why)
        at_25 = tuple(login_at_25(facts, "with the TLS that it has there"))
        notes = (*at_25, *(f"not tried: {clause}" for clause in seen.untried))
        if now == wanted:
            return Plan.done(self.id, f"{_ports(cf)} only TLS that is recommended, by sendmail.mc", at_25)
        if not block and not seen.weak:
            return Plan.done(self.id, f"{_ports(cf)} nothing weaker than is recommended", notes)
        gate = Gate(
            daemons=frozenset(sendmail_cf.daemons(cf)),
            rules=wanted,
            before=entry.content,
            planned=Planned(lines=frozenset({*wanted, *now})),
            serves=True,
            owner=facts.mail_owner,
        )
        changes = (
            edited(facts, f.SENDMAIL_MC, new, self.title, gate),
            DialogueChange(keep=True),
            ServiceChange("sendmail", facts.init, enable=False, was_running=True),
        )
        reason = "; ".join(seen.weak) or "the lines in sendmail.mc are not those of these ports and ciphers"
        return Plan.pending(
            self.id, reason, *changes, notes=(*notes, *_notes(seen, block)), ends=(*_ends(seen),)
        )

    def _unasked(self, facts: Facts) -> Plan:
        """What there is to say where nothing is asked for."""
        try:
            there = tls_rules.own(facts.text(f.SENDMAIL_MC) or "")
        except (EditError, PermissionError):
            there = ""
        if there:
            why = (
                "sendmail.mc still says which TLS is taken, as it was applied, though the settings ask for nothing (tls.policy); "
                f"`msa-wizard rollback {self.id}` takes it out"
            )
            return Plan.done(self.id, why)
        return Plan.not_applicable(self.id, OPTIONAL)

    def _rules(self, cf: str, seen: TlsTaken) -> tuple[str, ...]:
        """The lines that are wanted. Raises EditError."""
        listed = tls_rules.listed(seen.ciphers, small_dh=seen.small_dh)
        if not suites(listed):
            why = f"of the ciphers in force ({seen.ciphers[:60]}) none has forward secrecy"
            raise EditError(None, "", why, "put some into confCIPHER_LIST, such as ECDHE+AESGCM")
        at = tls_rules.ports(cf)
        if not at:
            raise EditError(
                None, "", "it has no listener for mail clients", "msa-wizard apply submission-port"
            )
        return tls_rules.rules(at, listed)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Real handshakes of every kind with each port for mail clients; where nothing is asked for, what is weak."""
        if facts.process("sendmail-mta") is None:
            return []
        if answers.tls.policy == UNCHANGED:
            made = _tried(host, facts, QUICK)
            clauses = [clause for port, each in made for clause in _weak(port, each)]
            return [Check("tls", Sign.WARNING, says, CHOOSE) for says in clauses]
        greets = [check for check in Restart().verify(host, facts, answers) if check.id != "boot"]
        if any(check.sign is Sign.FAILED for check in greets):
            return greets
        return [check for port, each in _tried(host, facts, KINDS) for check in _checks(port, each)]


def _look(host: Host, facts: Facts, cf: str) -> TlsTaken:
    """What is in force, what is taken; and, where something is to be done, who comes with it."""
    if problem := _m4_problem(host, facts):
        return TlsTaken(broken=problem)
    known = ciphers(host, cf)
    if known.broken:
        return TlsTaken(broken=(known.broken, known.remedy))
    barred = tls_rules.drops_dh(facts.text(f.SENDMAIL_MC) or "")
    wanted = tls_rules.rules(tls_rules.ports(cf), tls_rules.listed(known.listed, small_dh=barred))
    if tls_rules.present(cf) == wanted and (barred or not _takes_small_dh(host, facts)):
        return TlsTaken(known.listed, small_dh=barred)
    made = _tried(host, facts, KINDS)
    if problem := _no_good_one(made):
        return TlsTaken(broken=problem)
    clauses = tuple(clause for port, each in made for clause in _weak(port, each))
    each_one = [(port, one) for port, each in made for one in each]
    untried = tuple(
        f"{one.kind.says} on port {port}: {one.says}" for port, one in each_one if one.taken is None
    )
    small = barred or any(SMALL_DH in weak(each) for _, each in made)
    recent, unseen = tuple[WeakLogin, ...](), ""
    if clauses:
        logged_by = facts.text(f.SENDMAIL_CF) or ""
        recent, unseen = recent_tls(host, logged_by, partial(_refuses, small_dh=small))
    if facts.euid != 0:
        unseen = "only root can see who logged in lately"
    return TlsTaken(known.listed, small, clauses, untried, recent, unseen)


def _m4_problem(host: Host, facts: Facts) -> tuple[str, ...]:
    """What m4 has against sendmail.mc though it makes a whole sendmail.cf of it, and what to do."""
    entry = facts.files.get(f.SENDMAIL_MC)
    made = expand_text(host, entry.content) if entry is not None else None
    if made is None or made.code == 0:
        return ()
    why = f"m4 ends with status {made.code} for {f.SENDMAIL_MC}: {made.messages.strip()[:200]}"
    return why, "correct it first: Debian's start of sendmail fails with that, too"


def _no_good_one(made: Iterable[tuple[int, tuple[Handshake, ...]]]) -> tuple[str, ...]:
    """Why a port cannot be judged, or is already without good TLS, and what to do."""
    for port, each in made:
        if late := next((one for one in each if not one.begun), None):
            return f"port {port} does not answer now: {late.says}", "try again in ten minutes"
        if not any(one.taken for one in each if not one.kind.weak):
            return (
                f"port {port} takes neither TLS 1.3 nor TLS 1.2 with forward secrecy",
                "msa-wizard troubleshoot",
            )
    return ()


def _tried(host: Host, facts: Facts, kinds: Iterable[Kind]) -> list[tuple[int, tuple[Handshake, ...]]]:
    """By port for mail clients, as sendmail runs now."""
    at = tls_rules.listeners(facts.text(f.SENDMAIL_CF) or "")
    name, wanted = facts.fqdn or facts.hostname, tuple(kinds)
    return [(port, handshakes(host, at[port], name, wanted)) for port in sorted(at)]


def _takes_small_dh(host: Host, facts: Facts) -> bool:
    """Of all that is weak only this can come back with our ruleset in force: the group is in a file of its own."""
    return any(SMALL_DH in weak(made) for _, made in _tried(host, facts, (SMALL_DH,)))


def _weak(port: int, made: Iterable[Handshake]) -> Iterator[str]:
    if found := weak(made):
        yield f"port {port} takes {', '.join(kind.says for kind in found)}"


def _refuses(version: str, cipher: str, *, small_dh: bool) -> bool:
    """Whether the policy leaves a client no such session; it may know another kind."""
    if version in _OLD:
        return True
    secret = ("ECDHE-",) if small_dh else ("ECDHE-", "DHE-")
    return version == "TLSv1.2" and not cipher.startswith(secret)


def _notes(seen: TlsTaken, block: str) -> Iterator[str]:
    yield "port 25, and mail that goes out, keep the TLS that they have: weak TLS is better there than none"
    if block:
        yield "what stands between the two lines of this step in sendmail.mc is written again: put a list of your own into confCIPHER_LIST"
    if seen.unseen:
        yield seen.unseen


def _ends(seen: TlsTaken) -> Iterator[Ending]:
    if seen.recent:
        says = (
            f"{count(len(seen.recent), 'login')} within {DAYS} days came with TLS that will be refused: a mail client that "
            "knows nothing better can no longer log in"
        )
        yield Ending(ENDS, says, tuple(map(_last, seen.recent)))


def _last(login: WeakLogin) -> str:
    when = time.strftime("%F %R", time.localtime(login.at)) if login.at else "not known when"
    return f"{login.user} from {login.address or '?'}, {login.version} {login.cipher}, last login: {when}"


def _checks(port: int, made: tuple[Handshake, ...]) -> Iterator[Check]:
    strong = [each.kind.says for each in made if each.taken and not each.kind.weak]
    late = next((each for each in made if not each.begun), None)
    if late is not None:
        says = f"port {port} did not answer each time: {late.says}"
        yield Check(f"answers-{port}", Sign.UNKNOWN, says, "in ten minutes: `msa-wizard troubleshoot`")
    if strong:
        yield Check(f"tls-{port}", Sign.OK, f"port {port} takes {' and '.join(strong)}")
    elif late is None:
        says = f"port {port} takes neither TLS 1.3 nor TLS 1.2 with forward secrecy any more"
        yield Check(f"tls-{port}", Sign.FAILED, says, "journalctl -t sm-mta -n 30")
    bad, untried = weak(made), [each for each in made if each.taken is None and each.begun]
    refused = [each.kind.says for each in made if each.kind.weak and each.taken is False]
    if bad:
        yield Check(f"weak-{port}", Sign.FAILED, next(_weak(port, made)), "msa-wizard troubleshoot")
    elif refused:
        yield Check(f"weak-{port}", Sign.OK, f"port {port} refuses {', '.join(refused)}")
    for each in untried:
        yield Check(f"untried-{port}", Sign.UNKNOWN, f"{each.kind.says} could not be tried: {each.says}")


def _ports(cf: str) -> str:
    """`port 587 takes`, `ports 465 and 587 take`."""
    ports = tls_rules.ports(cf)
    return f"{numbered(ports, 'port')} {'takes' if len(ports) == 1 else 'take'}"
