"""A plan tried out right after planning: what `apply` would refuse is refused there, and what it would end is listed.

Planning is pure; this is its edge. The gate that each new sendmail.mc passes is the very one that `apply` asks."""

from __future__ import annotations

from dataclasses import replace

from snapshots.live.entry import Kind
from wizard.changes.command import CommandChange, DialogueChange
from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.console import count
from wizard.editors import EditError, sendmail_mc
from wizard.engine.rewritten import rewritten, rewritten_by_update_auth
from wizard.errors import GateError, HostError
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Ending, Outcome, Plan
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.local_mail import DESTINATION, destination, refused_by
from wizard.sendmail.m4 import expand_text
from wizard.sendmail.mc_gate import Gate, SubmitGate
from wizard.steps.protection import lost_protection
from wizard.steps.sendmail_auth import SendmailAuth
from wizard.steps.sendmailconfig import EDITS, Sendmailconfig
from wizard.system.host import Host
from wizard.system.links import WRITTEN, in_the_way, linked

EFFECTS = "mc-effects"
"""Lines of sendmail.cf that would change, though the step does not mean them."""
CF_LINES = "cf-lines"
"""Lines of sendmail.cf that no sendmail.mc gives, and that go when it is made again."""
SUBMIT_CF_LINES = "submit-cf-lines"
"""The same of submit.cf."""
LINKS = "links"
"""Symbolic links that regular files take the place of."""
_RENAMED = (f.SENDMAIL_CF, f.SUBMIT_MC, f.SUBMIT_CF, f.ACCESS)
_DEBIAN_SUBMIT_MC = "/usr/share/sendmail/cf/debian/submit.mc"


def tried(host: Host, facts: Facts, plan: Plan) -> Plan:
    """The plan with what its gates say of it; blocked where one of them refuses."""
    if plan.outcome is not Outcome.PENDING:
        return plan
    if obstacle := _behind_links(host, plan):
        return Plan.blocked(plan.step, *obstacle)
    edits = False
    for change in plan.changes:
        if isinstance(change, FileChange) and isinstance(change.gate, Gate):
            plan = _gated(host, facts, plan, change, change.gate)
            if not facts.planned & EDITS and plan.outcome is Outcome.PENDING:
                edits = True
                plan = replace(plan, ends=(*plan.ends, *lost(facts), *_links(facts)))
                plan = rewritten(host, facts, plan)
        elif isinstance(change, FileChange) and isinstance(change.gate, SubmitGate):
            plan = _submit_gated(host, facts, plan, change, change.gate)
        elif (
            isinstance(change, CommandChange) and plan.step == SendmailAuth.id
        ):  # a fix begins with a file that is damaged
            plan = rewritten_by_update_auth(host, facts, plan)
        elif isinstance(change, DialogueChange):
            submit = _lost_of_submit(facts, _submit_given(host, facts))
            ours, links = ((), ()) if edits else (lost(facts), _links(facts))
            plan = replace(plan, ends=(*plan.ends, *_protection(facts), *ours, *submit, *links))
            # Where an edit comes first, it has been said there.
            plan = plan if edits or facts.planned & EDITS else rewritten(host, facts, plan)
        elif isinstance(change, ServiceChange) and _makes_cf(facts, change):
            plan = replace(plan, ends=(*plan.ends, *_protection(facts)))
    return plan


def _behind_links(host: Host, plan: Plan) -> tuple[str, ...] | None:
    """Why it must not be carried out, and what to do, where what it writes, at once or after its commands, lies behind
    a symbolic link."""
    paths = [*(each.path for each in plan.changes if isinstance(each, FileChange)), *dict(plan.then)]
    folders = {path.rpartition("/")[0] for path in paths}
    if any(each.kind in ("command", "dialogue", "packages") for each in plan.changes):
        folders |= {*WRITTEN}
    etc = sorted(folder for folder in folders if f"{folder}/".startswith("/etc/"))
    return next(in_the_way(linked(host, etc)), None)


def _gated(host: Host, facts: Facts, plan: Plan, change: FileChange, gate: Gate) -> Plan:
    if change.after is None:
        return plan
    if why := _not_now(facts, change.after.content.decode("latin-1")):
        return replace(plan, notes=(*plan.notes, why))
    try:
        judged = gate.judge(host, change.after.content)
    except GateError as error:
        return Plan.blocked(plan.step, str(error))
    notes = (*plan.notes, *(note for note in judged.notes if note not in plan.notes))
    says = f"{count(len(judged.effects), 'line')} of sendmail.cf would change that {plan.step} does not plan to change"
    ends = (Ending(EFFECTS, says, judged.effects),) if judged.effects else ()
    return replace(_giving(plan, change, judged.cf), notes=notes, ends=(*plan.ends, *ends))


def _submit_gated(host: Host, facts: Facts, plan: Plan, change: FileChange, gate: SubmitGate) -> Plan:
    if change.after is None or facts.euid != 0:
        return plan
    try:
        submit_cf = gate.check(host, change.after.content, lambda _: None)
    except GateError as error:
        return Plan.blocked(plan.step, str(error))
    return _giving(plan, change, submit_cf)


def _giving(plan: Plan, change: FileChange, cf: str) -> Plan:
    """The plan, in which the change knows what its gate saw come out of it."""
    gives = replace(change, gives=cf)
    return replace(plan, changes=tuple(gives if each is change else each for each in plan.changes))


def _not_now(facts: Facts, mc: str) -> str:
    """Why the gate cannot be asked yet, empty when it can."""
    if facts.euid != 0:
        return "what this changes in sendmail.cf besides is looked at by root alone"
    if not {"m4", "sendmail"} <= facts.tools:
        return "what this changes in sendmail.cf is looked at once sendmail is installed"
    try:
        included = sendmail_mc.includes(mc)
    except EditError:
        return ""
    for path in (f.SASL_M4, f.STARTTLS_M4):
        if path in included and facts.files.get(path) is None:
            return f"what this changes in sendmail.cf is looked at once {path} is made"
    return ""


def lost(facts: Facts) -> tuple[Ending, ...]:
    """The lines of the live sendmail.cf that neither the sendmail.mc of now gives nor one that stood beside it: edited
    by hand, as Webmin does, or left over. And those which all of these give, and which were taken out of it by hand."""
    cf = facts.text(f.SENDMAIL_CF)
    if cf is None or facts.cf_from_mc is None:
        return ()
    only = sendmail_cf.only_in(cf, facts.cf_from_mc, *facts.cf_earlier)
    lines = tuple(line for line in only if not sendmail_cf.grown(line, facts.cf_from_mc))
    back = sendmail_cf.lacking(cf, facts.cf_from_mc, *facts.cf_earlier) if facts.cf_newest else ()
    if not (lines or back):
        return ()
    again = "sendmailconfig, or a start of sendmail, makes it again"
    goes = f"{count(len(lines), 'line')} of {f.SENDMAIL_CF} not made from sendmail.mc: lost when {again}. "
    comes = (
        f"{count(len(back), 'line')} that sendmail.mc gives and {f.SENDMAIL_CF} lacks: back when {again}. "
    )
    says = (goes if lines else "") + (comes if back else "")
    to_do = "To keep it as it is, put that into sendmail.mc"
    return (Ending(CF_LINES, says + to_do, (*lines, *(f"comes back: {line}" for line in back))),)


def _makes_cf(facts: Facts, change: ServiceChange) -> bool:
    """Whether it starts sendmail, which makes a sendmail.cf again that is older than sendmail.mc, and no step before it does."""
    starts = change.name == "sendmail" and change.verb == "restart"
    return starts and not facts.cf_newest and Sendmailconfig.id not in facts.planned


def _protection(facts: Facts) -> tuple[Ending, ...]:
    """What sendmail.cf refuses to clients, and the one that is made of sendmail.mc would not. Where the edits of it cannot be
    tried yet, what is made of it is not known."""
    if facts.cf_from_mc is None or (
        facts.planned & EDITS and _not_now(facts, facts.text(f.SENDMAIL_MC) or "")
    ):
        return ()
    return lost_protection(facts.text(f.SENDMAIL_CF) or "", facts.cf_from_mc)


def _links(facts: Facts) -> tuple[Ending, ...]:
    """Links of the admin's in the place of files that Debian's scripts write again and rename."""
    lines = tuple(
        f"{path} -> {entry.content.decode('utf-8', 'replace')}"
        for path in _RENAMED
        if (entry := facts.files.get(path)) is not None and entry.kind is Kind.SYMLINK
    )
    if not lines:
        return ()
    says = (
        "sendmailconfig puts regular files in the place of these symbolic links, and what they lead to is read no more "
        "(link the other way round: the file itself in /etc/mail)"
    )
    return (Ending(LINKS, says, lines),)


def _submit_given(host: Host, facts: Facts) -> str | None:
    """What submit.cf will be: where there is no submit.mc, Debian's scripts put theirs there first (update_mc)."""
    there = facts.files.get(f.SUBMIT_MC) is not None or f.SUBMIT_MC in facts.unreadable
    if there or facts.submit_from_mc is not None or "m4" not in facts.tools:
        return facts.submit_from_mc
    try:
        submit_cf = expand_text(host, host.path(_DEBIAN_SUBMIT_MC).read_bytes()).text
    except (OSError, HostError):
        return None
    return submit_cf if len(submit_cf) >= sendmail_cf.SMALLEST else None


def _lost_of_submit(facts: Facts, given: str | None) -> tuple[Ending, ...]:
    """The same of submit.cf, which sendmailconfig makes again too; where local mail would be refused, that is to go."""
    cf = facts.text(f.SUBMIT_CF)
    if cf is None or given is None:
        return ()
    lines = sendmail_cf.only_in(cf, given)
    if refused_by(facts, destination(cf), sendmail_cf.daemons(facts.cf_from_mc or "")) is not None:
        lines = tuple(line for line in lines if not line.startswith(DESTINATION))
    if not lines:
        return ()
    source = "submit.mc" if facts.files.get(f.SUBMIT_MC) else "Debian's submit.mc (there is none here)"
    says = (
        f"{count(len(lines), 'line')} of {f.SUBMIT_CF} not made from {source}: lost when it is rebuilt. To keep it as it is, put "
        "that into submit.mc"
    )
    return (Ending(SUBMIT_CF_LINES, says, lines),)
