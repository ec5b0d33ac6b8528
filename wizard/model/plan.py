"""The nouns everything else speaks in: Step, Plan, Change, Effect, Check (docs/architecture.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from wizard.model.answers import Answers
    from wizard.model.claim import Claim
    from wizard.model.facts import Facts
    from wizard.system.host import Host, Say


class Outcome(StrEnum):
    """What a plan amounts to."""

    PENDING = "pending"
    DONE = "done"
    NOT_APPLICABLE = "not-applicable"
    LATER = "later"
    BLOCKED = "blocked"


UNKNOWN, UNTESTED, ASKED_FOR, NOT_NOW = "unknown", "untested", "pending", "not-now"
"""States of a step beyond its outcome: only root can see it; nobody has tried it yet; it was applied, and the settings ask
for something else now; it needs a step that is left out."""


class Sign(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    PENDING = "pending"
    """Known: it is not there yet, or still to be done."""


def worst(signs: Iterable[Sign]) -> Sign:
    """The one that counts, ok where there is none."""
    rank = (Sign.OK, Sign.PENDING, Sign.UNKNOWN, Sign.WARNING, Sign.FAILED)
    return max(signs, key=rank.index, default=Sign.OK)


@dataclass(frozen=True)
class Check:
    """One look at reality: `says` is a sentence, `remedy` what the admin can do about it."""

    id: str
    sign: Sign
    says: str
    remedy: str = ""


@dataclass(frozen=True)
class Description:
    """What a change shows before it is made: a title, a unified diff, and the commands it runs."""

    title: str
    diff: str = ""
    commands: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    """What comes with it, a line each."""
    before: str = ""
    """The text of a file of which `diff` is, and `after`: passwords are masked. Both are empty where no text is shown."""
    after: str = ""


class Effect(Protocol):
    """What an applied change left behind that is not a file: it can be rolled back, and it can be recorded."""

    def undo(self, host: Host, say: Say) -> None:
        """Bring back the state recorded before the change. Raises ChangeError when it cannot."""

    def claim(self, host: Host) -> Claim:
        """What of the differences below /etc it may call its own. Raises HostError."""

    def record(self) -> dict[str, object]:
        """The state before and after, as JSON-ready values without secrets."""


class Change(Protocol):
    """One change to the machine. The closed set is in `wizard.changes`."""

    @property
    def kind(self) -> str:
        """`file`, `packages`, `service`, `command`, `dialogue`, `rules` or `watch`."""

    @property
    def touches(self) -> tuple[str, ...]:
        """The files and folders it may write, as absolute paths; undo restores them from the snapshot."""

    def describe(self) -> Description:
        """What will be shown, which is exactly what will be done."""

    def expect(self, host: Host) -> Effect:
        """What it will leave behind, as far as that is known before: enough to undo it, should nobody live to see its
        end. Raises HostError."""

    def apply(self, host: Host, say: Say) -> Effect:
        """Do it. Raises StaleError when the machine is no longer what `describe` showed, else ChangeError."""


@dataclass(frozen=True)
class Ending:
    """Something that works on this host, and would end with a plan: it is carried out only when `id` is accepted.

    `id` is one per kind of thing, a word of a-z, 0-9 and hyphens that an admin can type; `lines` are from outside."""

    id: str
    says: str
    """What ends, and for whom: a sentence without its full stop."""
    lines: tuple[str, ...] = ()
    """What exactly, a line each: all of them."""
    step: str = field(default="", compare=False)
    """The step that it comes with, where it is asked about at an earlier one."""

    @property
    def sentence(self) -> str:
        """What ends, and with which other step: without its full stop."""
        return f"by {self.step}: {self.says}" if self.step else self.says


def ids(ends: Iterable[Ending]) -> tuple[str, ...]:
    """The id of each kind of them, once."""
    return tuple(dict.fromkeys(ending.id for ending in ends))


ENDINGS = {
    "bans-counted": "connections to SSH and all else from addresses that are banned several times: a jail such as recidive counts these bans",
    "certificate-key": "TLS before 1.3 with mail clients: CipherList of sendmail.cf has ciphers for the certificate's key, none for the new one's",
    "certificate-names": "names of the server's certificate that mail clients may use, and that the new one is not for",
    "certificate-tlsa": "mail from servers that check TLSA records (DANE), which fit the server's certificate, and may not fit the new one",
    "cf-lines": "lines of sendmail.cf that sendmail.mc does not give: they go when sendmail.cf is rebuilt",
    "generated-edits": "what was changed by hand, or taken out, in sasl.m4, starttls.m4, Sendmail.conf or cron.d/sendmail, which sendmailconfig rewrites",
    "hosts-allow": "that rules of hosts.allow and hosts.deny keep clients from sendmail: sendmailconfig lets in all",
    "links": "symbolic links that are replaced with regular files",
    "login-limit": "the lines of /etc/pam.d/smtp that say who may log in, which hold only while PAM checks the passwords",
    "login-mechanisms": "mechanisms that clients can log in with now, and that would not be offered any more",
    "logins": "logins of users whose passwords come from another source than the new one",
    "logins-banned": "logins from addresses that also tried wrong passwords, and would be banned for a while",
    "logins-port-25": "logins of users who lately sent mail by port 25, where no login would be offered any more",
    "logins-refused": "logins of users who logged in lately, and whom the policy on logins would refuse",
    "logins-without-tls": "logins of users who lately sent mail after a login without TLS, which would be refused",
    "mail-rights": "rights on /etc/sasldb2 and what is below /etc/mail, of which Debian's scripts set owner and mode",
    "mail-without-login": "mail that lately came in without a login at a port for mail clients, and would be refused without one",
    "mc-effects": "lines of sendmail.cf that would change, though the step does not mean them",
    "mc-rewritten": "lines of sendmail.cf that would change because sendmailconfig itself edits sendmail.mc",
    "protection": "what sendmail.cf refuses, and would not once it is rebuilt from sendmail.mc: mail without a login, a password without TLS, relaying for anybody",
    "saslauthd-socket": "saslauthd's socket where another program may ask it, and sendmail does not: it moves to where sendmail asks",
    "submit-cf-lines": "lines of submit.cf that submit.mc does not give: they go when submit.cf is rebuilt",
    "tls-refused": "logins of users who came lately with TLS that the policy on TLS would refuse",
}
"""What may end by the id that `--accept` takes; a test compares the ids with those in the program."""


@dataclass(frozen=True)
class Plan:
    """What a step would do now. `reason` says why, also (and above all) when there is nothing to do."""

    step: str
    outcome: Outcome
    reason: str
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    ends: tuple[Ending, ...] = ()
    """What works now and would end with it; pending plans only."""
    word: str = ""
    """UNKNOWN, UNTESTED, ASKED_FOR or NOT_NOW: its state, where the outcome does not say it."""
    follows: bool = False
    """There is something to do only since what the step works from has changed, or will: it has not drifted itself."""
    begun: bool = False
    """Some of the step is done, and this is the rest of it: a no undoes all of it."""
    then: tuple[tuple[str, Entry | None], ...] = ()
    """The files that are written once its commands have run, and what they are now: it says so, and nobody is asked again."""

    @classmethod
    def pending(
        cls,
        step: str,
        reason: str,
        *changes: Change,
        notes: tuple[str, ...] = (),
        ends: tuple[Ending, ...] = (),
        follows: bool = False,
        then: tuple[tuple[str, Entry | None], ...] = (),
    ) -> Plan:
        """There is something to do."""
        return cls(step, Outcome.PENDING, reason, changes, notes, ends=ends, follows=follows, then=then)

    @classmethod
    def done(cls, step: str, reason: str, notes: tuple[str, ...] = ()) -> Plan:
        """Already done: `reason`."""
        return cls(step, Outcome.DONE, reason, notes=notes)

    @classmethod
    def not_applicable(cls, step: str, reason: str, notes: tuple[str, ...] = ()) -> Plan:
        """Does not apply: `reason`."""
        return cls(step, Outcome.NOT_APPLICABLE, reason, notes=notes)

    @classmethod
    def later(cls, step: str, reason: str, notes: tuple[str, ...] = ()) -> Plan:
        """Can only be decided once something named in `reason` has happened."""
        return cls(step, Outcome.LATER, reason, notes=notes)

    @classmethod
    def unseen(cls, step: str, reason: str, notes: tuple[str, ...] = ()) -> Plan:
        """Only root can see whether there is something to do."""
        return cls(step, Outcome.LATER, reason, notes=notes, word=UNKNOWN)

    @classmethod
    def untested(cls, step: str, reason: str, *remedy: str) -> Plan:
        """Nothing is to be changed, and whether it works nobody has tried yet; `remedy` is what has to come first."""
        return cls(step, Outcome.LATER, reason, remedy=remedy, word=UNTESTED)

    @classmethod
    def not_now(cls, step: str, need: str) -> Plan:
        """It needs a step that is left out."""
        return cls(step, Outcome.LATER, f"it needs {need}, which is left out", word=NOT_NOW)

    @classmethod
    def blocked(cls, step: str, reason: str, *remedy: str) -> Plan:
        """Must not be done on this host; `remedy` lists what the admin can do, a line each."""
        return cls(step, Outcome.BLOCKED, reason, remedy=remedy)

    def waits_for(self, accepted: Collection[str]) -> tuple[Ending, ...]:
        """The endings whose ids are not `accepted`: while there are any, it must not be carried out."""
        return tuple(ending for ending in self.ends if ending.id not in accepted)

    def announces(self, later: Plan) -> bool:
        """Whether it has said that all of the later plan follows, and those files are still what they were."""
        return bool(self.then) and all(
            each.kind == "service" or (each.kind == "file" and (each.path, each.before) in self.then)  # type: ignore[attr-defined]
            for each in later.changes
        )


class Step(ABC):
    """One step of the howto. Stateless: everything it knows comes in as facts and answers."""

    id: ClassVar[str]
    howto: ClassVar[str] = ""
    """The section of the howto, where it has one."""
    title: ClassVar[str]
    why: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    checked: ClassVar[str] = ""
    """What `verify` looks at, as a clause that follows a colon: said before the step is applied."""
    afterwards: ClassVar[str] = ""
    """What is so again once it is rolled back, as a clause, where its title does not tell."""
    without: ClassVar[str] = ""
    """What follows where it is left out, as a clause: no other step needs it."""
    reports: ClassVar[bool] = False
    """It never changes anything, and its checks are the result."""
    always_reports: ClassVar[bool] = False
    """Its checks are reported also when it has nothing to do."""
    also_reverts: ClassVar[tuple[str, ...]] = ()
    """Earlier steps of the same run that are reverted too when this one fails: the daemon must come up again."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths that its plan reads beyond those that are always gathered (`facts.READ`)."""
        return ()

    def request(self) -> dict[str, object]:
        """What `rebuild` needs, as JSON-ready values without secrets: the journal keeps it."""
        return {}

    def rebuild(self, host: Host, request: Mapping[str, object]) -> Step:
        """This step from its `request`, after a run was killed.

        Raises HostError when it cannot be rebuilt: then it can only be undone."""
        return self

    def gathered(self, host: Host, facts: Facts, answers: Answers) -> Facts:
        """The facts with what this step alone needs, and what takes its time. Raises HostError."""
        return facts

    @abstractmethod
    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Decide what is to be done. Pure: no I/O beyond the facts."""

    @abstractmethod
    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Look at reality after the step (facts are fresh). A check that FAILED undoes the step."""


def after(facts: Facts, plan: Plan) -> Facts:
    """The facts as they will be for the next step's plan, once `plan` has been carried out."""
    if plan.outcome not in (Outcome.PENDING, Outcome.LATER):
        return facts
    if plan.word:
        return replace(facts, unseen=facts.unseen | {plan.step}) if plan.word == UNKNOWN else facts
    from wizard.model.facts import SUBMIT_MC  # not for the first screen, which plans nothing

    files, assumed = dict(facts.files), set(facts.assumed)
    latest, earlier, submit = facts.cf_from_mc, facts.cf_earlier, facts.submit_from_mc
    for change in plan.changes:
        if change.kind == "file":
            files[change.path] = change.after  # type: ignore[attr-defined]
            if change.path == SUBMIT_MC:  # type: ignore[attr-defined]
                submit = change.gives or submit  # type: ignore[attr-defined]
            elif change.gives is not None:  # type: ignore[attr-defined]
                earlier = (latest, *earlier) if latest is not None else earlier
                latest = change.gives  # type: ignore[attr-defined]
        elif change.kind == "packages":
            for path, entry in facts.shipped.items():
                if files.get(path) is None:
                    files[path] = entry
                    assumed.add(path)
    return replace(
        facts,
        files=files,
        cf_from_mc=latest,
        cf_earlier=earlier,
        submit_from_mc=submit,
        planned=facts.planned | {plan.step},
        assumed=frozenset(assumed),
    )
