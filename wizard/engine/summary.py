"""How a set-up ends: what was done, what was left out and what follows from that; then what real mail clients still need.
Pure."""

from __future__ import annotations

import ipaddress
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.engine.overview import REMAINING, found
from wizard.engine.state_dir import WAYS
from wizard.model.plan import NOT_NOW, Check, Outcome, Plan, Sign
from wizard.steps import guess_limit, login_policy, tls_policy
from wizard.steps.firewall import OpenFirewall
from wizard.steps.guess_limit import GuessLimit
from wizard.steps.install import Install
from wizard.steps.login_policy import LoginPolicy
from wizard.steps.order import STEPS
from wizard.steps.restart import AuthTest
from wizard.steps.tls_policy import TlsPolicy

if TYPE_CHECKING:
    from wizard.engine.journal import Unfinished
    from wizard.engine.overview import Overview
    from wizard.model.session import Session

Needing = Callable[[Iterable[str]], set[str]]
"""The steps that need one of these."""

INTERRUPTED = "interrupted"
"""The word of the row on a killed run that waits."""


@dataclass(frozen=True)
class Summary:
    """`done` are rows of a word and a sentence; `missing` is what clients need, what to do about each as its remedy."""

    done: tuple[tuple[str, str], ...]
    missing: tuple[Check, ...] = ()
    """Empty as long as the set-up itself is not done."""


def summary(
    seen: Overview | None, session: Session, needing: Needing, waits: Unfinished | None = None
) -> Summary:
    """Of what was done in `session`, on the host as it was `seen` afterwards; None where nobody has looked since. Where a killed
    run waits, nothing else can be done."""
    states = seen.states if seen is not None else dict.fromkeys(sorted(session.skipped), "skipped")
    to_do = [name for name, word in states.items() if word in (*REMAINING, "skipped", "blocked")]
    skipped = [name for name in to_do if name in session.skipped]
    left = [name for name in to_do if name not in skipped and states[name] != "blocked"]
    # What is to do again was undone since, or something else has made it so.
    done = [name for name in session.applied if name not in left]
    failed = [name for name in session.failed if not _done_since(name, session, seen)]
    rows = [
        *_rows(INTERRUPTED, [f"{waits.words()}. {WAYS}"] if waits else []),
        *_rows("done", [", ".join(done)] if done else []),
        *_rows("skipped", (f"{name}: {follows(name, needing)}" for name in skipped)),
        *_rows("failed", (line for name in failed for line in _failure(name, session))),
        *_rows("failed" if not failed else "", dict.fromkeys(session.half_way)),
        *_rows("rolled back", [*session.rolled_back, *_lost(session, left)]),
        *_rows("recovered", session.recovered),
        *_rows("blocked", _blocked(seen.plans.values(), skipped) if seen and not waits else ()),
        *_rows("saved", dict.fromkeys(session.saved)),
        *_rows("debugged", (f"{what}: changed for that while" for what in dict.fromkeys(session.debugged))),
    ]
    if waits:
        return Summary(tuple(rows))
    rows += [
        *_rows("to do", [", ".join(name for name in left if name not in session.applied)]),
        *_rows("to do again", [", ".join(name for name in left if name in session.applied)]),
        *_rows("to do", ["`msa-wizard status` says whether anything is left"] if seen is None else []),
    ]
    return Summary(
        tuple(rows) or (("done", "nothing was changed"),),
        _missing(seen, session) if seen and not left and NOT_NOW not in seen.states.values() else (),
    )


def _rows(word: str, sentences: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The word stands before the first of them alone."""
    for number, sentence in enumerate(filter(None, sentences)):
        yield "" if number else word, sentence


def follows(name: str, needing: Needing) -> str:
    """What it means that a step is left out: a clause."""
    if without := next((step.without for step in STEPS if step.id == name), ""):
        return f"without it {without}"
    later = needing([name])
    if AuthTest.id in later:
        return "without it the login test fails"
    return f"without it these do not work: {', '.join(sorted(later))}" if later else "no other step needs it"


def _lost(session: Session, left: Collection[str]) -> Iterator[str]:
    """What it means that a step was rolled back which a login can do without; nothing where what it needs is gone, too."""
    for step in STEPS:
        gone = {*step.needs, Install.id} & {*left}
        if step.without and step.id in session.out_of_force and step.id in left and not gone:
            yield f"without {step.id} {step.without}"


def _blocked(plans: Iterable[Plan], skipped: Collection[str]) -> Iterator[str]:
    for plan in plans:
        if plan.outcome is Outcome.BLOCKED and plan.step not in skipped:
            yield f"{plan.step}: {plan.reason}"


def _done_since(name: str, session: Session, seen: Overview | None) -> bool:
    """Whether the step that failed, and left nothing, is done now: in a shell, by another admin. What only tests says so itself."""
    failed, plan = session.failed[name], seen.plans.get(name) if seen is not None else None
    done = plan is not None and plan.outcome is Outcome.DONE
    return done and not failed.reported and not failed.not_undone


def _failure(name: str, session: Session) -> Iterator[str]:
    failed = session.failed[name]
    yield f"{name}: {failed.why}"
    if failed.reported:
        return
    yield f"undone: {', '.join(failed.undone) or 'there was nothing to undo'}"
    yield from (f"NOT undone: {line}" for line in failed.not_undone)


def _missing(overview: Overview, session: Session) -> tuple[Check, ...]:
    facts = overview.facts
    name = overview.client_name
    return (
        _login(overview),
        *(each for each in found(facts, overview.answers) if each.id == "certificate"),
        _outside(overview),
        Check(
            "dns",
            Sign.PENDING if facts.fqdn or overview.answers.certificate.names else Sign.FAILED,
            f"DNS: mail clients must be able to look up {name}",
            "msa-wizard client-settings --check-dns",
        ),
        Check(
            "clients",
            Sign.PENDING,
            f"mail clients: {name}, port 587, STARTTLS, normal password",
            "msa-wizard client-settings",
        ),
        *_advised(overview, session),
    )


def _advised(overview: Overview, session: Session) -> Iterator[Check]:
    """What is advised beyond the howto, where nobody has chosen yet."""
    plan = overview.plans.get(LoginPolicy.id)
    if plan is not None and plan.reason == login_policy.OPTIONAL:
        says = "advised: let neither root nor system accounts log in, whose passwords the whole world can try to guess"
        yield Check("policy", Sign.PENDING, says, login_policy.CHOOSE)
    elif plan is not None and plan.outcome is Outcome.NOT_APPLICABLE:
        yield Check("policy", Sign.WARNING, f"login.policy of your settings has no effect: {plan.reason}")
    plan = overview.plans.get(GuessLimit.id)
    if plan is not None and plan.reason == guess_limit.OPTIONAL:
        says = "advised: ban those who guess passwords, for a while; nothing ends it now"
        yield Check("guess", Sign.PENDING, says, guess_limit.CHOOSE)
    plan, weak = overview.plans.get(TlsPolicy.id), session.warnings.get(TlsPolicy.id)
    if plan is None or plan.reason != tls_policy.OPTIONAL:
        return
    if weak:
        clauses = "; ".join(dict.fromkeys(check.says for check in weak))
        says = f"advised: only TLS that is recommended today; {clauses}"
        yield Check("tls", Sign.PENDING, says, tls_policy.CHOOSE)
    elif TlsPolicy.id not in session.looked_at:
        says = "advised: look whether port 587 takes only TLS that is recommended today"
        yield Check("tls", Sign.PENDING, says, "msa-wizard troubleshoot")


def _outside(overview: Overview) -> Check:
    """What a login from another machine has proved, until the firewall's rules are changed by its step."""
    proof = overview.facts.login.outside if overview.facts.login else None
    opened = (commit.time.timestamp() for commit in overview.commits if commit.step == OpenFirewall.id)
    if proof is None or proof.at < max(opened, default=0.0):
        says = "firewall: only a login from elsewhere proves that it lets clients in"
        return Check("outside", Sign.PENDING, says, "msa-wizard test --from-outside")
    when = time.strftime("%F %R", time.localtime(proof.at))
    says = f"firewall: {proof.user} logged in from {proof.address} on {when}"
    if ipaddress.ip_address(proof.address).is_private:
        says += ", a private address: whether clients on the Internet get through is not proven"
    return Check("outside", Sign.OK, says)


def _login(overview: Overview) -> Check:
    plan = overview.plans.get(AuthTest.id)
    if plan is not None and plan.outcome is Outcome.DONE:
        return Check("login", Sign.OK, f"login: {plan.reason}")
    says = plan.reason.split("; `")[0] if plan is not None else "no login was accepted yet"
    user = shlex.quote(overview.facts.login.user) if overview.facts.login else "NAME"
    remedy = plan.remedy[0] if plan is not None and plan.remedy else f"msa-wizard test --user {user}"
    return Check("login", Sign.WARNING, f"login: {says}", remedy)
