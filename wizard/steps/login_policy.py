"""Beyond the howto: who may log in, of those whose password is right. Only where the answers ask for it.

Two lines of pam_succeed_if(8) in /etc/pam.d/smtp (`wizard.editors.pam_service` says why two). It asks NSS, so accounts of
LDAP, SSSD and Kerberos count by their own uids and groups."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.console import count
from wizard.editors import EditError
from wizard.editors.pam_service import (
    NOBODY,
    REMEDY,
    Policy,
    in_force,
    is_ours,
    others,
    own,
    present,
    set_policy,
)
from wizard.errors import HostError
from wizard.gather import fail2ban, pam
from wizard.gather.accounts import LocalAccount, group_id, local_accounts, uid_min, user_ids, users_ids
from wizard.maillog.recent import DAYS, recent_logins
from wizard.model import facts as f
from wizard.model.answers import EVERYBODY, GROUPS, Answers, Login
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Ending, Plan, Sign, Step
from wizard.model.step_facts import Logins, RecentLogin
from wizard.sendmail.asked_saslauthd import asked_saslauthd, of_another_service, socket_of
from wizard.sendmail.password_source import past_pam, wanted
from wizard.steps.saslauthd import answers_on_socket
from wizard.system import pam_account
from wizard.system.host import Host
from wizard.system.pam_account import SUCCESS, Answer

ENDS = "logins-refused"
"""Logins of users whom the policy refuses, and who logged in lately."""
CHOOSE = "msa-wizard apply login-policy --set login.policy=no-system-accounts"
OPTIONAL = 'optional, and not asked for: every account may log in, root too ("Who may log in" in the settings, login.policy)'
_AT_ONCE = 50
"""Users whose accounts are looked up with one command."""
_PATIENCE = 60.0
"""Seconds for all of them: a directory may be slow."""
_ASKED = 10
"""Accounts of a kind of which PAM is asked."""
_HARMLESS = frozenset(
    f"pam_{name}.so"
    for name in [
        "unix",
        "permit",
        "deny",
        "succeed_if",
        "access",
        "listfile",
        "nologin",
        "time",
        "shells",
        "localuser",
        "sss",
        "ldap",
        "krb5",
        "winbind",
        "usertype",
        "wheel",
        "debug",
        "warn",
    ]
)
"""Modules that note nothing when their account phase is asked; pam_faillock(8), say, forgets its failures."""


def policy_of(login: Login, uid_min: int) -> Policy | None:
    """What the answers ask for; None for everybody."""
    if login.policy == EVERYBODY:
        return None
    return Policy(groups=login.groups) if login.policy == GROUPS else Policy(uid_min)


def is_limited(facts: Facts, answers: Answers) -> bool:
    """Whether a policy is chosen, or in force. Raises PermissionError."""
    try:
        return answers.login.policy != EVERYBODY or present(facts.text(f.PAM_SMTP) or "") is not None
    except EditError:
        return False


class LoginPolicy(Step):
    """Nothing unless it is chosen."""

    id = "login-policy"
    title = "Limit who may log in"
    without = "users whom your settings refuse may log in"
    why = (
        "As in the howto, every account of this host may log in, and port 587 is open to the world: whoever guesses the "
        "password of root, or of an account that a package made, can send mail, and knows the password. Recommended is "
        "no-system-accounts: all but root and system accounts may log in. With groups only their members may. It is "
        "chosen in the settings (login.policy); other services, such as SSH, are not concerned."
    )
    checked = "whom PAM lets in and whom it refuses, asked without a password"
    afterwards = "whoever could log in before login-policy can again"
    needs = ("install",)

    def gathered(self, host: Host, facts: Facts, answers: Answers) -> Facts:
        """With what a policy that is chosen is judged by. Raises HostError."""
        policy = policy_of(answers.login, uid_min(host))
        if policy is None or facts.logins is not None:
            return facts
        try:
            there = in_force(facts.text(f.PAM_SMTP) or "", policy)
        except (EditError, PermissionError):
            there = True  # there will be no plan that ends anything
        try:
            logins = _look(host, facts, answers.login, lately=not there)
        except HostError as error:
            logins = Logins(broken=f"groups and users cannot be looked up: {error}")
        bans = bool(logins.recent or logins.unjudged) and (
            answers.guess.limit or fail2ban.bans(host) is not None
        )
        return replace(facts, logins=replace(logins, bans=bans))

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The two lines, where they are chosen and are not there."""
        logins = facts.logins or Logins()
        policy = policy_of(answers.login, logins.uid_min)
        entry, text = facts.files.get(f.PAM_SMTP), facts.text(f.PAM_SMTP)
        if policy is None:
            return self._unasked(text or "")
        source = wanted(facts, answers)
        if source.name != "pam":
            why = f"PAM is not asked on this host: passwords come from {source.name}, so every user that it knows may log in"
            return Plan.not_applicable(self.id, why)
        if entry is None and "install" in facts.planned:
            return Plan.later(self.id, f"{f.PAM_SMTP} comes with the packages")
        if entry is None or text is None:
            what = "is missing" if entry is None else f"is not a regular file but a {entry.kind.value}"
            return Plan.blocked(self.id, f"{f.PAM_SMTP} {what}", REMEDY)
        try:
            new, further, now = set_policy(text, policy), others(text), present(text)
        except EditError as error:
            return Plan.blocked(self.id, f"{f.PAM_SMTP}: {error}", error.remedy)
        if obstacle := _obstacle(logins, policy):
            return Plan.blocked(self.id, *obstacle)
        notes = tuple(
            f"line {rule.line.number} of {f.PAM_SMTP} stays, and counts as well: {rule.line.text}"
            for rule in further
        )
        if new == text:
            says = f"{policy.says} may log in, by {f.PAM_SMTP}"
            return Plan.done(self.id, "; but ".join((says, *past_pam(facts, answers))))
        after = replace(entry, content=new.encode("latin-1"))
        changes: list[Change] = [FileChange(f.PAM_SMTP, entry, after, self.title)]
        changes += _forgetting(facts)
        reason = f"the settings say that {policy.says} may log in, and {f.PAM_SMTP} does not"
        notes = (*notes, *past_pam(facts, answers), *_notes(facts, logins))
        return Plan.pending(self.id, reason, *changes, notes=notes, ends=(*_ends(logins, policy, now),))

    def _unasked(self, text: str) -> Plan:
        """What there is to say where nothing is asked for."""
        try:
            there = own(text)
        except EditError:
            there = []
        if there:
            why = (
                f"{f.PAM_SMTP} still limits who may log in, as it was applied, though the settings ask for nothing (login.policy); "
                f"`msa-wizard rollback {self.id}` lets everybody in again"
            )
            return Plan.done(self.id, why)
        return Plan.not_applicable(self.id, OPTIONAL)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """PAM's own word on accounts that are there, who must and who must not get in."""
        policy = policy_of(answers.login, uid_min(host))
        if policy is None:
            return []
        logins = _look(host, facts, answers.login, lately=True)
        text = facts.text(f.PAM_SMTP) or ""
        try:
            fine = in_force(text, policy)
        except EditError as error:
            return [Check("policy", Sign.FAILED, f"{f.PAM_SMTP}: {error}", error.remedy)]
        says = f"{f.PAM_SMTP} {'says' if fine else 'does not say'} that {policy.says} may log in"
        checks = [Check("policy", Sign.OK if fine else Sign.FAILED, says)]
        checks += [Check("past-pam", Sign.WARNING, says) for says in past_pam(facts, answers)]
        checks += _asked(host, policy, logins)
        return [*checks, answers_on_socket(host, socket_of(facts))] if asked_saslauthd(facts) else checks


def _look(host: Host, facts: Facts, login: Login, *, lately: bool) -> Logins:
    """`lately`: also who logged in lately, for which the log is read."""
    names = {*(login.groups if login.policy == GROUPS else ()), *_groups_now(facts)}
    numbers = {name: number for name in names if (number := group_id(host, name)) is not None}
    found, unseen = recent_logins(host, facts.text(f.SENDMAIL_CF) or "") if lately else ({}, "")
    if facts.euid != 0:
        unseen = "only root can see who logged in lately"
    recent, unjudged, why = _looked_up(host, found)
    unseen = "; ".join(filter(None, (unseen, why)))
    stack = pam.look(host)
    theirs = frozenset(
        line.kind for line in stack.lines if stack.path == f.PAM_SMTP and not is_ours(line.text)
    )
    broken = ""
    if stack.wrong:
        what, line, where = stack.wrong[0]
        broken = f"the PAM service smtp is broken: {what} ({where}: {line})"
    return Logins(uid_min(host), numbers, recent, unjudged, unseen, theirs, broken)


def _looked_up(
    host: Host, found: Mapping[str, float]
) -> tuple[tuple[RecentLogin, ...], tuple[RecentLogin, ...], str]:
    """Who logged in, by name when, with uid and groups; of whom these could not be looked up, the last login first; and why
    not, a clause."""
    left = sorted(found.items(), key=lambda item: -item[1])
    known, unjudged = list[RecentLogin](), list[RecentLogin]()
    end, why, size = (
        time.monotonic() + _PATIENCE,
        f"{_PATIENCE:.0f} seconds were not enough for all of them",
        _AT_ONCE,
    )
    while left and time.monotonic() < end:
        some = left[:size]
        try:
            ids = users_ids(host, [name for name, _ in some])
        except HostError as error:
            why = str(error)
            if size > 1:  # one of them may be slow, or all of them together
                size = 1
                continue
            unjudged += (RecentLogin(name, at, None) for name, at in some)
        else:
            known += (RecentLogin(name, at, *ids[name]) for name, at in some)
        left = left[size:]
    unjudged += (RecentLogin(name, at, None) for name, at in left)
    lacks = f"not all who logged in lately could be looked up: {why}" if unjudged else ""
    return tuple(known), tuple(unjudged), lacks


def _groups_now(facts: Facts) -> tuple[str, ...]:
    try:
        now = present(facts.text(f.PAM_SMTP) or "")
    except (EditError, PermissionError):
        return ()
    return now.groups if now else ()


def _obstacle(logins: Logins, policy: Policy) -> tuple[str, str] | None:
    """Why it must not be done, and what to do."""
    if logins.broken:
        return logins.broken, REMEDY
    if missing := [name for name in policy.groups if name not in logins.groups]:
        why = f"there is no group {', '.join(missing)} on this host (getent group)"
        return (
            why,
            "correct login.groups in the settings. A group of a directory must be found by `getent group NAME`, so see "
            "that the directory answers; one of this host is made by `addgroup NAME`, then `adduser USER NAME`",
        )
    if policy.uid_min is not None and not 0 < policy.uid_min <= NOBODY:
        why = f"UID_MIN in /etc/login.defs is {policy.uid_min}, which tells no user from root"
        return why, "correct it: 1000 in Debian"
    if lacks := {"auth", "account"} - logins.phases:
        why = f"{f.PAM_SMTP} has no line for {' and '.join(sorted(lacks))}, so PAM asks its service `other` instead"
        return why, REMEDY
    return None


def _forgetting(facts: Facts) -> Iterator[ServiceChange]:
    """A restart of a saslauthd that remembers logins (-c): it would let in whom it knows, without PAM."""
    if _remembers(facts) and not of_another_service(facts):
        yield ServiceChange("saslauthd", facts.init, enable=False, was_running=True)


def _remembers(facts: Facts) -> bool:
    process = asked_saslauthd(facts)
    return process is not None and "-c" in process.argv


def _notes(facts: Facts, logins: Logins) -> Iterator[str]:
    if any(_forgetting(facts)):
        yield (
            "saslauthd remembers logins for 8 hours (-c), so it is restarted; whoever leaves a group later stays in for that "
            "time, unless `systemctl restart saslauthd` ends it"
        )
    elif _remembers(facts):
        yield (
            "saslauthd remembers logins for 8 hours (-c), and a service of your own starts it: restart that one, else whoever is "
            "refused gets in for that time"
        )
    if logins.unseen:
        yield logins.unseen


def _refuses(policy: Policy, uid: int | None, groups: frozenset[int], numbers: Mapping[str, int]) -> bool:
    """Whether the policy's lines refuse an account; `numbers` are those of the groups."""
    if policy.groups:
        return not groups & {numbers.get(name, -1) for name in policy.groups}
    return uid is not None and (uid < (policy.uid_min or 0) or uid == NOBODY)


def _ends(logins: Logins, policy: Policy, now: Policy | None) -> Iterator[Ending]:
    """Who got in lately, is not refused `now`, and would be."""
    refused = [
        {each for each in logins.recent if rule and _refuses(rule, each.uid, each.groups, logins.groups)}
        for rule in (policy, now)
    ]
    lost = [each for each in logins.recent if each in refused[0] - refused[1]]
    clauses = []
    if lost:
        clauses.append(
            f"{count(len(lost), 'user')} who logged in within {DAYS} days will no longer be able to: {policy.says} may log in"
        )
    if logins.unjudged:
        who = count(len(logins.unjudged), "user")
        clauses.append(
            f"of {who} who logged in within {DAYS} days it is not known whether they still may: they could not be looked up"
        )
    if clauses:
        says = "; ".join(clauses)
        if logins.bans:
            says += (
                "; a program of theirs that goes on trying has its address banned by fail2ban, and all who share it "
                "(guess.never names networks that are not banned)"
            )
        yield Ending(ENDS, says, tuple(map(_last, (*lost, *logins.unjudged))))


def _last(login: RecentLogin) -> str:
    when = time.strftime("%F %R", time.localtime(login.at)) if login.at else "not known when"
    return f"{login.user}, last login: {when}"


def _asked(host: Host, policy: Policy, logins: Logins) -> Iterator[Check]:
    """What PAM says of accounts that are there, without a password: by the policy's line alone, then by the whole service."""
    stack = pam.look(host)
    noting = [line for line in stack.of("account") if line.module.rpartition("/")[2] not in _HARMLESS]
    inside, outside = _samples(host, policy, logins)
    try:
        alone = pam_account.answers_of(host, policy.lines[1], [*inside, *outside])
        whole = alone if noting else pam_account.answers(host, "smtp", [*inside, *outside])
    except HostError as error:
        yield Check("accounts", Sign.UNKNOWN, str(error), "msa-wizard rehearse")
        return
    yield _refused(outside, alone, whole)
    yield _let_in(inside, alone, whole)
    if noting:
        says = f"PAM was asked by that line alone, for {noting[0].module} could take note of it ({noting[0].source})"
        yield Check("accounts", Sign.UNKNOWN, says, "msa-wizard rehearse")


def _refused(outside: list[str], *said: dict[str, Answer]) -> Check:
    entered = [name for name in outside if any(each[name].code == SUCCESS for each in said)]
    if entered:
        return Check("refused", Sign.FAILED, f"PAM lets in {_named(entered)}, against the policy")
    return Check("refused", Sign.OK, f"PAM refuses {_named(outside)} (asked without a password)")


def _let_in(inside: list[str], alone: dict[str, Answer], whole: dict[str, Answer]) -> Check:
    if not inside:
        says = "there is no account here yet that the policy lets in"
        return Check("let-in", Sign.UNKNOWN, says, "adduser NAME")
    if wrong := [name for name in inside if alone[name].code != SUCCESS]:
        says = f"PAM refuses {_named(wrong)}, whom the policy lets in: {alone[wrong[0]].says}"
        return Check("let-in", Sign.FAILED, says, "msa-wizard troubleshoot")
    if others_refuse := [name for name in inside if whole[name].code != SUCCESS]:
        says = f"the policy lets {_named(others_refuse)} in, but PAM refuses for another reason: an account that has expired, say"
        return Check(
            "let-in", Sign.WARNING, says, f"msa-wizard troubleshoot --user {shlex.quote(others_refuse[0])}"
        )
    return Check("let-in", Sign.OK, f"PAM lets {_named(inside)} in (asked without a password)")


def _named(names: list[str]) -> str:
    return (
        f"{', '.join(names[:4])} and {count(len(names) - 4, 'more account')}"
        if len(names) > 4
        else ", ".join(names)
    )


def _samples(host: Host, policy: Policy, logins: Logins) -> tuple[list[str], list[str]]:
    """Accounts that the policy lets in, and such that it refuses: root, who has a password, who logged in lately."""
    lately = [(each.user, each.uid, each.groups) for each in logins.recent if each.uid is not None]
    local = sorted(local_accounts(host), key=_interest)
    inside, outside = list[str](), list[str]()
    for name, uid, groups in (*lately, *((each.name, each.uid, None) for each in local)):
        known = user_ids(host, name)[1] if groups is None and policy.groups else groups or frozenset()
        side = outside if _refuses(policy, uid, known, logins.groups) else inside
        if name not in side and len(side) < _ASKED:
            side.append(name)
        if len(inside) == len(outside) == _ASKED:
            break
    return inside, outside


def _interest(account: LocalAccount) -> tuple[bool, bool, int]:
    return account.uid != 0, not account.password, account.uid
