"""What `--json` prints: the one source of its types, and of wizard/render/schema.json (docs/schema.py).

`outcome` is what a plan or a command came to, `state` how something is. Keys are added, never renamed."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

State = Literal["ok", "warning", "failed", "unknown", "pending"]
"""Of a check, a finding, a fault, a layer."""
StepState = Literal[
    "applied", "drifted", "pending", "done", "not-applicable", "later", "blocked", "unknown", "untested"
]
RunStepState = Literal[
    "applied",
    "skipped",
    "failed",
    "blocked",
    "undecided",
    "pending",
    "done",
    "not-applicable",
    "later",
    "not-now",
    "unknown",
    "untested",
]
"""`not-now`: it needs a step that the run has left out."""
PlanOutcome = Literal["pending", "done", "not-applicable", "later", "blocked"]
RunOutcome = Literal["done", "nothing", "failed", "blocked", "undecided"]
"""`nothing`: there was nothing to do, or nobody wanted it; `undecided`: something that works would end, or a killed run is finished, and nobody
can be asked about what follows."""

UndoOutcome = Literal["done", "incomplete", "failed"]
"""`incomplete`: done, but something had to stay, or could not be undone."""


class Error(TypedDict):
    """Why a command ended, with its exit code."""

    message: str
    exit_code: int


class ErrorDocument(TypedDict):
    """What any command can print instead."""

    error: Error


class Check(TypedDict):
    """One look at reality. `sign` is the older word for `state`."""

    id: str
    state: State
    sign: State
    says: str
    remedy: str


class Finding(TypedDict):
    """What a conversation showed."""

    id: str
    state: State
    says: str


class Ending(TypedDict):
    """Something that works now and would end; `id` is what --accept takes."""

    id: str
    says: str
    lines: list[str]


class Change(TypedDict):
    """One thing that is done to the host: a title, a unified diff, the commands; what comes with it, a line each; and the whole
    texts that the diff is of, with passwords masked, empty where it is not a file, or its text is not shown."""

    kind: Literal["file", "command", "dialogue", "service", "packages", "rules"]
    title: str
    diff: str
    commands: list[str]
    details: list[str]
    before: str
    after: str


class Plan(TypedDict):
    """What a step would do now."""

    step: str
    howto: str
    title: str
    why: str
    outcome: PlanOutcome
    reason: str
    changes: list[Change]
    notes: list[str]
    remedy: list[str]
    ends: list[Ending]


class AppliedPlan(Plan):
    """What a step would do, or did: `state` says what became of it, `commit` is there when it was recorded, `skipped` when
    somebody said no; `outcome` is its plan's, before it was done."""

    state: RunStepState
    commit: str | None
    skipped: bool
    checks: list[Check]


class Failure(TypedDict):
    """A step that failed, and what was undone of it."""

    step: str
    why: str
    undone: list[str]
    not_undone: list[str]


class Run(TypedDict):
    """What a run of steps came to. `failed`, `blocked` and `undecided` name the step that ended it, `rolled_back` the edits of
    sendmail.mc before it, which do not stay where no sendmail.cf was made of them."""

    outcome: RunOutcome
    run: str
    steps: list[AppliedPlan]
    failed: str | None
    blocked: str | None
    undecided: str | None
    ends: list[Ending]
    rolled_back: list[str]
    failures: list[Failure]


class Plans(TypedDict):
    """`plan`; `interrupted` says what a killed run waits for: what that run has begun looks like done here; `ends` is what would
    end and is not accepted yet, at which `apply` stops."""

    steps: list[Plan]
    interrupted: NotRequired[str | None]
    ends: list[Ending]


class StatusRow(TypedDict):
    """A step, how it is, and what its plan comes to."""

    step: str
    state: StepState
    outcome: PlanOutcome
    reason: str


class Status(TypedDict):
    """`status`; `interrupted` says what a killed run waits for, `confirmation` how many seconds are left in which new firewall
    rules can be confirmed."""

    steps: list[StatusRow]
    interrupted: str | None
    confirmation: float | None


class Author(TypedDict):
    """Who did it."""

    name: str
    email: str


class Commit(TypedDict):
    """A commit of the snapshot store."""

    commit: str
    time: str
    operation: str
    step: str | None
    howto: str | None
    run: str | None
    subject: str
    author: Author
    reverts: list[str]


class History(TypedDict):
    """`history`, newest first."""

    commits: list[Commit]


class Diff(TypedDict):
    """`diff`: what is not in a file (packages, services, commands) in `effects`, the files in `diff`."""

    commit: Commit
    effects: list[str]
    diff: str


class Conflict(TypedDict):
    """Where somebody and a step changed the same."""

    path: str
    what: str
    text: str


class Nothing(TypedDict):
    """There was nothing to roll back, or to recover: why."""

    outcome: Literal["nothing"]
    done: Literal[False]
    nothing: str


class RollbackResult(TypedDict):
    """What a rollback came to."""

    done: bool
    commit: str | None
    checks: list[Check]
    left: list[str]
    failed: str | None
    undone: list[str]
    not_undone: list[str]


class Rollback(RollbackResult):
    """`rollback`. `planned`: nothing was changed, for --dry-run or because somebody said no; `conflict`: nothing was
    changed, and a decision is needed."""

    outcome: Literal["planned", "conflict"] | UndoOutcome
    steps: list[str]
    dependents: list[str]
    everything: bool
    commits: list[str]
    changes: list[Change]
    conflicts: list[Conflict]
    notes: list[str]


class Interrupted(TypedDict):
    """A run that was killed, and what it had begun."""

    operation: str
    run: str
    who: str
    since: float
    commit: str
    step: str | None
    changes: list[str]
    says: str


class Recovery(TypedDict):
    """`recover`. `shown`: nothing was changed; `accepted`: the host stays as it is, recorded as `commit`."""

    outcome: Literal["shown", "accepted"] | UndoOutcome | RunOutcome
    interrupted: Interrupted
    commit: str | None
    finished: Run | None
    undone: RollbackResult | None


class Confirmation(TypedDict):
    """`confirm`. `nothing`: no change of the firewall waits; `late`: it was reverted before."""

    outcome: Literal["confirmed", "nothing", "late"]


class Removed(TypedDict):
    """`remove`. `left`: what could not be removed, and why; `stays`: what was not to be."""

    outcome: Literal["done", "incomplete"]
    removed: list[str]
    history_removed: bool
    left: list[str]
    stays: list[str]


class Exported(TypedDict):
    """`export ansible`. `written`, `kept` (they were there already; of an inventory its folder) and `unknown` (files of the
    collection that this version does not have) are paths in the folder."""

    folder: str
    written: list[str]
    kept: list[str]
    unknown: list[str]


class Server(TypedDict):
    """Where a client submits mail."""

    host: str
    port: int
    security: Literal["STARTTLS", "SSL/TLS"]


class Record(TypedDict):
    """A DNS SRV record of RFC 6186 and RFC 8314."""

    name: str
    port: int
    target: str


class ClientSettings(TypedDict):
    """`client-settings`; `checks` is null unless --check-dns was given."""

    domain: str
    servers: list[Server]
    authentication: Literal["password"]
    imap: str | None
    records: list[Record]
    checks: list[Check] | None


class Certificate(TypedDict):
    """A certificate; dates in ISO 8601."""

    subject: str
    issuer: str
    names: list[str]
    not_before: str
    not_after: str
    self_signed: bool
    key: str
    fingerprint_sha256: str
    trusted: bool
    problem: str | None
    chain: list[str]
    refusal: int | None
    refusal_says: str
    public: bool


class NamedCertificate(TypedDict):
    """A certificate file that sendmail.cf names by `option`, and its key."""

    option: str
    path: str
    key_path: str
    certificate: Certificate | None
    key: str
    key_mode: str
    problem: str
    days_left: int | None


class ObtainTrial(TypedDict):
    """`certificate obtain --dry-run`: the plan, what the authority said to a trial, and whether it would sign."""

    plan: Plan
    says: str
    ok: bool


class Certificates(TypedDict):
    """`certificate show`"""

    name: str
    certificates: list[NamedCertificate]
    dh: str
    checks: list[Check]
    ok: bool


class Line(TypedDict):
    """A line of a conversation."""

    who: Literal["server", "client", "note"]
    text: str
    explanation: str


class TimedLine(TypedDict):
    """A line of a conversation or of the mail log; `time` in seconds since the epoch."""

    time: float
    who: Literal["server", "client", "note", "log"]
    text: str
    explanation: str


class Attempt(TypedDict):
    """A delivery to one recipient."""

    to: str
    state: Literal["delivered", "deferred", "failed", "unknown"]
    says: str
    relay: str


class Delivery(TypedDict):
    """What became of a message; `state` is the worst of its recipients'."""

    queue_id: str
    state: Literal["delivered", "deferred", "failed", "unknown"]
    says: str
    attempts: list[Attempt]
    accepted: bool
    file: str


class Login(TypedDict):
    """A conversation with a submission server."""

    ok: bool
    layer: str | None
    verdict: str
    code: int | None
    lines: list[Line]
    findings: list[Finding]
    certificate: Certificate | None
    tls: str | None
    queue_id: str | None


class Test(Login):
    """`test`; `cause` is the fault of this host that made it fail, and its fix, where root asks on the server itself."""

    watched: list[TimedLine] | None
    delivery: Delivery | None
    cause: NotRequired[Check | None]


class LoggedIn(TypedDict):
    """A client from outside."""

    address: str
    user: str


class OutsideTest(TypedDict):
    """`test --from-outside`"""

    ok: bool
    verdict: str
    logged_in: LoggedIn | None
    addresses: list[str]


class DebugLogin(TypedDict):
    """`debug login`"""

    ok: bool
    accepted: bool
    problem: str
    lines: list[TimedLine]
    delivery: Delivery | None


class DebugLine(TypedDict):
    """A line of saslauthd."""

    pid: int
    text: str
    explanation: str


class DebugSaslauthd(TypedDict):
    """`debug saslauthd`; `logged_in` is null where nobody was to log in."""

    ok: bool
    lines: list[DebugLine]
    ended_by_itself: bool
    code: int
    check: Check | None
    logged_in: bool | None


class Evidence(TypedDict):
    """What was seen, and where."""

    says: str
    source: str


class Mend(TypedDict):
    """A fix: steps that --fix applies, or what a person must do."""

    steps: list[str]
    text: str


class Fix(Mend):
    """A fix, and whether --fix can apply it now, else why not, and whether it would fail over it, since it is `blocked`; `ends` is
    what --accept would have to take."""

    can_be_applied: bool
    why_not: str
    blocked: bool
    ends: list[str]


class Fault(TypedDict):
    """A diagnosis that holds. `sign` is the older word for `state`, `mend` for `fix`."""

    id: str
    layer: str
    state: State
    sign: State
    symptom: str
    howto: str
    probe: str
    cause: str
    evidence: list[Evidence]
    mend: Mend
    fix: Fix


class Seconds(TypedDict):
    """How long it took, and how much of that was waiting for the ports."""

    all: float
    waited: float


class Verdict(TypedDict):
    """What troubleshooting found."""

    ok: bool
    summary: str
    blamed: str | None
    layer: str | None
    layers: dict[str, State]
    faults: list[Fault]
    untested: list[str]
    seconds: Seconds


class Troubleshoot(Verdict):
    """`troubleshoot`; after --fix with what was found `before`, and the `run` that fixed it."""

    interrupted: NotRequired[str | None]
    before: NotRequired[Verdict]
    run: NotRequired[Run | None]


class Diagnosis(TypedDict):
    """What troubleshooting looks for: what users say, the cause, the fix, on any host."""

    id: str
    layer: str
    symptom: str
    cause: str
    fix: str
    howto: str
    probe: str


class Catalogue(TypedDict):
    """`troubleshoot --list`"""

    diagnoses: list[Diagnosis]


class Stage(TypedDict):
    """One thing that a client meets."""

    id: str
    state: State
    says: str
    evidence: list[Evidence]


class ClientVisit(TypedDict):
    """`troubleshoot --from`: what a client with that address meets."""

    ok: bool
    address: str
    name: str
    looked_from: str
    stages: list[Stage]


class Clone(TypedDict):
    """The clone of a rehearsal; memory in bytes."""

    systemd: bool
    memory: int
    memory_limit: int
    seconds: float


class WrittenPath(TypedDict):
    """A path that is not as it was."""

    path: str
    how: Literal["new", "changed", "removed"]


class ExplainedPath(WrittenPath):
    """A path that was written, and by whom; `by` is empty where no plan knew of it."""

    by: str


class Took(TypedDict):
    """How long the steps of a rehearsal took; nothing else where it broke off before they ended."""

    seconds: float
    step_seconds: dict[str, float]


class RehearsedRun(Run, Took):
    """What a rehearsal applied."""


class Empty(TypedDict):
    """The rehearsal did not come that far."""


class NoLogin(TypedDict):
    """Why the made-up user did not log in; `remaining`: because not all steps were done."""

    tried: Literal[False]
    why: str
    remaining: bool


class Stranger(TypedDict):
    """The login of a made-up account that the policy on logins refuses."""

    user: str
    code: int | None
    refused: bool


class RehearsedLogin(Login):
    """The login of the made-up user; `stranger` is None where every account may log in."""

    tried: Literal[True]
    user: str
    stranger: NotRequired[Stranger | None]


class WayBack(TypedDict):
    """What was left after the rollback; `clean` when the clone was as before. Nothing else where it was not reached."""

    clean: bool
    left_paths: list[WrittenPath]
    different: list[str]
    nothing: NotRequired[bool]
    took: NotRequired[float]


class RehearsedRollback(Rollback, WayBack):
    """The rollback of a rehearsal."""


class Rehearsal(TypedDict):
    """`rehearse`"""

    ok: bool
    verdict: str
    host: str
    release: str
    clone: Clone
    notes: list[str]
    stopped_at: str | None
    why: str | None
    ends: list[Ending]
    apply: RehearsedRun | Took
    paths: list[ExplainedPath]
    unknown_paths: list[str]
    login: RehearsedLogin | NoLogin | Empty
    rollback: RehearsedRollback | WayBack
    log: list[str]
    errors: list[str]


DOCUMENTS: dict[str, tuple[type, ...]] = {
    "plan": (Plans,),
    "apply": (Run,),
    "certificate-renew": (Run,),
    "certificate-install": (Run,),
    "certificate-obtain": (Run, ObtainTrial),
    "certificate-show": (Certificates,),
    "status": (Status,),
    "history": (History,),
    "diff": (Diff,),
    "rollback": (Rollback, Nothing),
    "recover": (Recovery, Nothing),
    "confirm": (Confirmation,),
    "remove": (Removed,),
    "export-ansible": (Exported,),
    "client-settings": (ClientSettings,),
    "troubleshoot": (Troubleshoot, Catalogue, ClientVisit),
    "test": (Test, OutsideTest),
    "debug-login": (DebugLogin,),
    "debug-saslauthd": (DebugSaslauthd,),
    "rehearse": (Rehearsal,),
}
"""By command: what its document can be."""
