"""What a person wants to see first: the host in a few sentences, each step's plan and state, what was done before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wizard.certificates import judge_file
from wizard.certificates.acme import HOOK, lineage_behind
from wizard.console import count, numbered
from wizard.engine.asked_for import asked_for
from wizard.engine.in_force import applied
from wizard.engine.planner import Planner
from wizard.gather.certificates import another, ways_out
from wizard.gather.host import apt_simulation, look, packages_missing
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Outcome, Plan, Sign, worst
from wizard.model.step_facts import AptPlan
from wizard.sendmail.cf_needs import certificate, certificate_is_there
from wizard.sendmail.client_name import client_name
from wizard.steps.certificate import brings
from wizard.steps.install import missing_words
from wizard.steps.preflight import checks, ports
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Commit, Store
    from wizard.engine.journal import Unfinished

REMAINING = ("pending", "drifted", "later")
"""The states of steps that have something left to do."""


@dataclass(frozen=True)
class Overview:
    """A picture of host, plans and history at one moment."""

    facts: Facts
    checks: tuple[Check, ...]
    plans: Mapping[str, Plan]
    """By step, each as if those before it were done."""
    commits: tuple[Commit, ...] = ()
    """Newest first."""
    killed: Unfinished | None = None
    answers: Answers = field(default_factory=Answers)
    skipped: frozenset[str] = frozenset()
    """The steps that are left out."""
    others: str = ""
    """A sentence where another session was at work on the host."""

    @property
    def client_name(self) -> str:
        """What mail clients know this host as."""
        own = self.facts.fqdn or self.facts.hostname
        return client_name(self.facts, self.answers.certificate, own)

    @property
    def states(self) -> dict[str, str]:
        """By step: `applied`, `drifted`, `unknown`, `untested`, or the plan's outcome; `skipped` where it would have one."""
        steps = {commit.step for commit in applied(self.commits)}
        states = {name: state(plan, name in steps) for name, plan in self.plans.items()}
        left_out = {name for name in self.skipped if states.get(name) in (*REMAINING, "blocked")}
        return states | dict.fromkeys(left_out, "skipped")

    @property
    def remaining(self) -> tuple[str, ...]:
        """The steps that have something left to do, in the howto's order."""
        return tuple(name for name, word in self.states.items() if word in REMAINING)


def state(plan: Plan, in_force: bool) -> str:
    """A step's state in one word, given whether a commit in force says that it was applied."""
    if in_force and plan.outcome is Outcome.DONE:
        return "applied"
    if in_force and plan.outcome is Outcome.PENDING and not plan.word and not plan.follows:
        return "drifted"
    return plan.word or str(plan.outcome)


def overview(
    host: Host,
    answers: Answers,
    commits: Iterable[Commit] = (),
    killed: Unfinished | None = None,
    store: Store | None = None,
    skipped: frozenset[str] = frozenset(),
    others: str = "",
) -> Overview:
    """Look at the host and plan every step; nothing is changed. What follows from a `skipped` step is not planned. Apt,
    which takes its time, is not asked: where packages are missing `with_apt` puts in what it says."""
    facts, known = look(host, shipped=True), tuple(commits)
    facts = replace(facts, asking_apt=packages_missing(facts.packages))
    planned = plans(host, answers, facts, store, skipped)
    there = [_opened(each, planned) for each in found(facts, answers)]
    all_checks = (*checks(facts, answers), *there, _history(known))
    return Overview(facts, all_checks, planned, known, killed, answers, skipped, others)


def asked_apt(host: Host, answers: Answers) -> AptPlan | None:
    """What apt would do for the packages that are missing; None where it cannot say. Takes seconds."""
    return apt_simulation(host, answers.install.recommends)


def with_apt(
    seen: Overview,
    apt: AptPlan | None,
    host: Host,
    answers: Answers,
    store: Store | None = None,
    skipped: frozenset[str] = frozenset(),
) -> Overview:
    """The same picture, with apt's answer in it."""
    facts = replace(seen.facts, apt_plan=apt, asking_apt=False)
    return replace(seen, facts=facts, plans=plans(host, answers, facts, store, skipped))


def plans(
    host: Host,
    answers: Answers,
    facts: Facts,
    store: Store | None = None,
    skipped: frozenset[str] = frozenset(),
) -> dict[str, Plan]:
    """Each step's plan, as if those before it were done, but for the skipped ones. Raises HostError, StoreError."""
    planner = Planner(host, answers, lambda _: None, store=store, skipped=skipped)
    all_plans = planner.plan(facts=facts)
    return asked_for(planner, facts, all_plans, store) if store is not None else all_plans


def found(facts: Facts, answers: Answers) -> tuple[Check, ...]:
    """What is there of an MSA: packages, daemons, certificate, firewall."""
    certificate = _certificate(facts, answers)
    return (
        _packages(facts),
        *_sendmail(facts, answers),
        _saslauthd(facts),
        certificate,
        _firewall(facts),
    )


def _packages(facts: Facts) -> Check:
    wanted = ("sendmail-bin", "sasl2-bin")
    named = [f"{name} {facts.packages[name]}" for name in wanted if name in facts.packages]
    if len(named) == len(wanted):
        return Check("packages", Sign.OK, f"{' and '.join(named)} are installed")
    if facts.half_way:
        return Check("packages", Sign.PENDING, missing_words(facts, tuple(facts.half_way)))
    missing = next(name for name in wanted if name not in facts.packages)
    says = f"{missing} is not installed yet, {named[0]} is" if named else "sendmail is not installed yet"
    return Check("packages", Sign.PENDING, says)


def _sendmail(facts: Facts, answers: Answers) -> tuple[Check, ...]:
    """What the checks of the ports do not say of it."""
    own = {listener.port for listener in facts.listeners if listener.process == "sendmail-mta"}
    if own:
        more = sorted(own - set(ports(answers)))
        return (
            (Check("sendmail", Sign.OK, f"sendmail listens on {numbered(more, 'port')}, too"),)
            if more
            else ()
        )
    if facts.process("sendmail-mta") is not None:
        unseen = Check("sendmail", Sign.UNKNOWN, "sendmail runs; only root can see on which ports")
        remedy = "`msa-wizard troubleshoot` says why"
        silent = Check("sendmail", Sign.WARNING, "sendmail runs, but listens on no port", remedy)
        return (silent if facts.euid == 0 else unseen,)
    return (Check("sendmail", Sign.PENDING, "sendmail is not running"),)


def _saslauthd(facts: Facts) -> Check:
    if facts.saslauthd_says is not None:
        return Check("saslauthd", Sign.OK, "saslauthd answers on its socket")
    if facts.process("saslauthd") is None:
        return Check("saslauthd", Sign.PENDING, "saslauthd is not running")
    if facts.euid != 0:
        return Check("saslauthd", Sign.UNKNOWN, "saslauthd runs; only root can see whether it answers")
    return Check("saslauthd", Sign.UNKNOWN, "saslauthd does not answer")


def _certificate(facts: Facts, answers: Answers) -> Check:
    path = certificate(facts)
    if facts.tls_refused:
        refusal = facts.tls_refused[0]
        says = f"sendmail refuses {refusal.path} and offers no STARTTLS once it starts again: {refusal.why}"
        return Check(
            "certificate", Sign.FAILED, says, f"`{refusal.command}`, then `systemctl restart sendmail`"
        )
    if certificate_is_there(facts):
        return _judged(facts, answers, path)
    if path != f.SERVER_CERT:
        says = f"{path}, which sendmail.cf names, is not there: no STARTTLS"
        return Check("certificate", Sign.UNKNOWN, says)
    return Check("certificate", Sign.PENDING, "no certificate yet; sendmail's packages make one")


def _judged(facts: Facts, answers: Answers, path: str) -> Check:
    """The one judgement of the certificate."""
    entry = facts.files.get(path)
    name = client_name(facts, answers.certificate, facts.fqdn if facts.fqdn_resolves else "")
    trial = facts.tls_trial
    seen, objections = judge_file(entry.content if entry is not None else b"", name, trial)
    if trial is not None and trial.unfit:
        return Check("certificate", Sign.FAILED, f"{path}: {trial.unfit}", another(seen, ("key",)))
    wrong = [each for each in objections if each.kind != "untried"]
    if seen is None or not wrong:
        says = (
            f"the certificate is for {name}, until {seen.not_after:%F}"
            if seen and name
            else f"{path} is there"
        )
        if objections:
            unseen = (
                "it was not verified" if facts.euid == 0 else "only root can see whether clients trust it"
            )
            return Check("certificate", Sign.UNKNOWN, f"{says}; {unseen}")
        return Check("certificate", Sign.OK, says)
    says = f"the certificate {'; it '.join(each.says for each in wrong)}"
    lineage = lineage_behind(path, brings(facts.files.get(HOOK)))
    kept = "" if seen.self_signed else lineage
    remedy = (trial.unsent if trial else "") or ways_out(seen, [each.kind for each in wrong], kept)
    return Check("certificate", worst(each.sign for each in wrong), says, remedy)


def _firewall(facts: Facts) -> Check:
    active = [firewall.name for firewall in facts.firewalls if firewall.active]
    if active:
        are = "are" if len(active) > 1 else "is"
        says = f"{' and '.join(active)} {are} active: ports 25 and 587 must be open"
        return Check("firewall", Sign.WARNING, says)
    if facts.rules is None and facts.firewalls:
        names = " and ".join(firewall.name for firewall in facts.firewalls)
        return Check("firewall", Sign.UNKNOWN, f"only root can see whether {names} is active")
    return Check("firewall", Sign.OK, "no firewall that is known here is active")


def _opened(check: Check, plans: Mapping[str, Plan]) -> Check:
    """What is said of an active firewall once its step has nothing left to do."""
    plan = plans.get("firewall")
    if check.id == "firewall" and check.sign is Sign.WARNING and plan and plan.outcome is Outcome.DONE:
        return Check("firewall", Sign.OK, plan.reason)
    return check


def _history(commits: Sequence[Commit]) -> Check:
    force = applied(commits)
    if not force:
        ever = any(commit.operation == "apply" for commit in commits)
        none = "nothing that msa-wizard applied is in force: all of it was rolled back"
        return Check("history", Sign.OK, none if ever else "nothing was applied by msa-wizard so far")
    last = next(commit for commit in commits if commit.operation in ("apply", "rollback"))
    last_words = f"{last.subject} ({last.author.name}, {last.time.astimezone():%F %R})"
    return Check("history", Sign.OK, f"{count(len(force), 'change')} in force; the last entry: {last_words}")
