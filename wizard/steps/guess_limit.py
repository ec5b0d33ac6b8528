"""Beyond the howto: who guesses passwords is banned for a while, by fail2ban. Only where the answers ask for it.

Debian's own jail and filter (`sendmail-auth`) do it, with a file of ours in jail.d. The bans are in a table of nft's own that
comes before every firewall: none of the firewall's files and rules is touched, and none has to be known."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from snapshots.live.entry import Entry, Kind
from templates import render
from wizard.changes.file import FileChange
from wizard.changes.install_packages import PackagesChange
from wizard.changes.service import ServiceChange
from wizard.console import count
from wizard.editors.fail2ban import LOOPBACK, NAME, NFT, Jail, Limit, connection
from wizard.errors import GateError, HostError
from wizard.gather import fail2ban
from wizard.gather.fail2ban import CLIENT, FOLDER, SERVICE
from wizard.gather.host import apt_simulation
from wizard.maillog.guessing import bans, recent
from wizard.maillog.read import UNPROVED, arrives, where
from wizard.maillog.recent import DAYS, unknown
from wizard.model import facts as f
from wizard.model.answer_checks import seconds
from wizard.model.answers import Answers, Guess
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Ending, Plan, Sign, Step
from wizard.model.step_facts import Fail2ban
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.strays import stray_sentence
from wizard.steps.listeners import login_at_25
from wizard.steps.login_policy import is_limited
from wizard.system.host import Host, Say

ENDS = "logins-banned"
"""Logins from addresses that would have been banned."""
RECIDIVE = "bans-counted"
"""Connections to all else of addresses that are banned several times."""
CHOOSE = "msa-wizard apply guess-limit --set guess.limit=true"
OPTIONAL = 'optional, and not asked for: nothing ends the guessing of passwords ("Ban password guessers" in the settings, guess.limit)'
_LOGS_FAILURES = 9
"""The LogLevel from which on sendmail logs a wrong password (tried on Debian 12, 13 and 14)."""
_SMTP, _SUBMISSION, _TLS = 25, 587, 465
_COMES_FIRST = "with fail2ban installed (`apt-get install fail2ban`) apply it again"
_EXAMPLE = "192.0.2.1"
"""An address of nobody (RFC 5737), banned for a moment to see that banning works."""
_STARTS_WITHIN = 15.0
_BANS_WITHIN = 10.0
_LOGS_WITHIN = 10.0
_SAMPLES = tuple(
    f"Nov 30 05:33:0{number} mail sm-mta[576]: 6AU5Ww6100057{number}: AUTH failure ({words}, user=alice, relay={relay}"
    for number, (words, relay) in enumerate(
        (
            (
                "LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed",
                f"[{_EXAMPLE}]",
            ),
            (
                "PLAIN): authentication failure (-13) SASL(-13): authentication failure: Password verification failed",
                "client.example [IPv6:2001:db8::1] (may be forged)",
            ),
        )
    )
)
"""What sendmail of Debian 12, 13 and 14 logs of a wrong password."""


@dataclass(frozen=True)
class JailGate:
    """A file of jail.d is written only once fail2ban has accepted a copy of its whole configuration with it, and where the rest
    of that says what the file was made with: fail2ban may have come since."""

    log: str | None = None
    ignored: tuple[str, ...] = ()
    nft: bool = True

    def check(self, host: Host, content: bytes, say: Say) -> object:
        """Raises GateError with what fail2ban says."""
        try:
            if differs := self._differs(fail2ban.configured(host, Fail2ban(self.log))):
                raise GateError(f"{differs}. Nothing was written; {_COMES_FIRST}")
            why, there = fail2ban.tried(host, content.decode("utf-8", "replace"))
        except HostError as error:
            raise GateError(str(error)) from error
        if why:
            raise GateError(f"fail2ban does not take {f.JAIL}: {why}. Nothing was written")
        if NAME not in there:
            raise GateError(f"{_disabled()}. Nothing was written")
        say("checked: fail2ban accepts it with the rest of its configuration")
        return there[NAME]

    def _differs(self, seen: Fail2ban) -> str:
        """What fail2ban's own configuration says that was not known."""
        if seen.broken:
            return seen.broken
        if seen.theirs:
            return f"your own configuration of fail2ban has a jail for this ({', '.join(seen.theirs)})"
        if seen.stock and seen.stock.ignored != self.ignored:
            return f"your own configuration of fail2ban never bans {' '.join(seen.stock.ignored) or 'nobody'}"
        if seen.by_nft != self.nft:
            return f"your own configuration of fail2ban bans by {seen.banaction or 'another action'}"
        return ""


class GuessLimit(Step):
    """Nothing unless it is chosen."""

    id = "guess-limit"
    title = "Ban password guessers"
    without = "nobody is banned for guessing passwords"
    why = (
        "Port 587 is open to the world, and sendmail lets everybody try passwords for ever, ten connections in ten minutes from an "
        "address as Debian sets it up. With this step fail2ban bans an address for a while once too many wrong ones came from "
        "there; everybody else goes on as before. It is chosen in the settings (guess.limit), and so is what is too many, and who "
        "is never banned."
    )
    checked = (
        "whether the jail is at work, reads where mail is logged and knows what sendmail logs, and whether a ban works, with an "
        "address of nobody"
    )
    afterwards = "whoever guesses passwords is no longer banned"
    needs = ("install",)

    def gathered(self, host: Host, facts: Facts, answers: Answers) -> Facts:
        """With what a limit that is chosen is judged by. Raises PermissionError."""
        if not answers.guess.limit or facts.fail2ban is not None:
            return facts
        seen = fail2ban.look(host, where(host))
        if seen.missing and not facts.asking_apt:
            recommends = answers.install.recommends
            seen = replace(seen, apt_plan=apt_simulation(host, recommends, seen.missing))
        if seen.missing == () and not (seen.broken or seen.theirs):
            text = jail_file(facts, seen, answers)
            try:
                refused, there = fail2ban.tried(host, text)
            except HostError as error:
                refused, there = str(error), {}
            seen = replace(seen, refused=refused, wanted=there.get(NAME))
        if facts.euid == 0 and not seen.theirs and facts.text(f.JAIL) != jail_file(facts, seen, answers):
            lost, unseen = _lost(host, facts, seen, answers)
            seen = replace(seen, lost=lost, unseen=unseen)
        return replace(facts, fail2ban=seen)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """What is missing of the packages, our file, and the daemon, where it is chosen."""
        entry, text = facts.files.get(f.JAIL), facts.text(f.JAIL)
        if not answers.guess.limit:
            return self._unasked(text)
        seen = facts.fail2ban or Fail2ban()
        if seen.theirs:
            return self._theirs(seen)
        if obstacle := _obstacle(facts, seen, entry):
            return Plan.blocked(self.id, *obstacle)
        new = jail_file(facts, seen, answers)
        changes = [*_changes(facts, seen, entry, new, self.title, answers)]
        says = _says(answers.guess)
        if not changes:
            notes = (*_overridden(seen, answers.guess), *(ending.says for ending in _recidive(seen)))
            return Plan.done(self.id, f"fail2ban bans {says}", notes=notes)
        reasons = ("the settings ask for a limit on guessing", _lacks(seen, text, new))
        notes = (*_notes(facts, seen, answers), *_overridden(seen, answers.guess))
        ends = (*_ends(seen), *(() if text else _recidive(seen)))
        return Plan.pending(self.id, f"{reasons[0]}, and {reasons[1]}", *changes, notes=notes, ends=ends)

    def _theirs(self, seen: Fail2ban) -> Plan:
        """Where the admin has seen to it."""
        named = f"by your own configuration (jail {', '.join(seen.theirs)})"
        if not seen.runs:
            why = f"fail2ban would ban those who guess passwords {named}, but it does not run"
            return Plan.blocked(
                self.id, why, "`systemctl enable --now fail2ban`; see why: `journalctl -u fail2ban`"
            )
        return Plan.done(self.id, f"fail2ban bans those who guess passwords {named}, which stays as it is")

    def _unasked(self, text: str | None) -> Plan:
        if text is None:
            return Plan.not_applicable(self.id, OPTIONAL)
        why = (
            f"{f.JAIL} still has addresses banned, as it was applied, though the settings ask for nothing (guess.limit); "
            f"`msa-wizard rollback {self.id}` rolls it back"
        )
        return Plan.done(self.id, why)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The jail at work, its filter on what sendmail logs, and a ban of an address of nobody."""
        if not answers.guess.limit:
            return []
        jail = _started(host)
        if jail.sign is Sign.FAILED:
            return [jail]
        return [jail, _log(host), _filter(host), _banning(host)]


def jail_file(facts: Facts, seen: Fail2ban, answers: Answers) -> str:
    """Our file in jail.d. The SSH connection that the present one names stays as long as nothing else changes."""
    text = facts.text(f.JAIL) or ""
    kept = connection(text)
    if text and text == _rendered(facts, seen, answers, kept):
        return text
    return _rendered(facts, seen, answers, seen.connection or kept)


def _rendered(facts: Facts, seen: Fail2ban, answers: Answers, peer: str) -> str:
    own = seen.stock.ignored if seen.stock else ()
    ignored = dict.fromkeys((*LOOPBACK, *own, *((peer,) if peer else ()), *answers.guess.never))
    cf = facts.text(f.SENDMAIL_CF) or ""
    return render(
        "fail2ban_jail.conf.j2",
        log=seen.log,
        root_only=sendmail_cf.option(cf, "RunAsUser") is None,
        ports=ports(facts, answers),
        guess=answers.guess,
        nft=seen.by_nft,
        connection=peer,
        ignored=list(ignored),
        sshd=_sshd(facts, seen),
    )


def ports(facts: Facts, answers: Answers) -> tuple[int, ...]:
    """Those at which a login is, or will be by the settings, but 25: of that other servers have need."""
    offering = sendmail_cf.offering(facts.text(f.SENDMAIL_CF) or "")
    there = {daemon.port for daemon in offering if daemon.port not in (0, _SMTP)}
    return tuple(sorted({_SUBMISSION} | there | ({_TLS} if answers.listen.implicit_tls else set())))


def _sshd(facts: Facts, seen: Fail2ban) -> bool:
    """Whether Debian's jail for sshd must be told where to read. Only the fail2ban of Debian 12 does not know."""
    return seen.sshd_unread and (SERVICE not in seen.missing or facts.release.version == "12")


def _obstacle(facts: Facts, seen: Fail2ban, entry: Entry | None) -> tuple[str, ...] | None:
    """Why it must not be done, and what to do."""
    if entry is not None and entry.kind is not Kind.FILE:
        return (
            f"{f.JAIL} is not a regular file but a {entry.kind.value}",
            f"move it away: `mv {f.JAIL} /root/`",
        )
    if seen.log is None:
        why = "this host keeps no log of mail that can be read, neither a journal nor /var/log/mail.log"
        return (
            why,
            "let it keep one: `apt-get install rsyslog`, or see Storage= and MaxLevelStore= in journald.conf",
        )
    if SERVICE in seen.missing and seen.own:
        why = (
            f"fail2ban is not installed, but will read {', '.join(seen.own)}: what that exempts, or bans already, cannot be seen "
            "before"
        )
        return why, _COMES_FIRST
    level = sendmail_cf.option(facts.text(f.SENDMAIL_CF) or "", "LogLevel")
    if level is not None and level.isdigit() and int(level) < _LOGS_FAILURES:
        why = f"sendmail logs no wrong password with LogLevel={level} (sendmail.cf): it takes {_LOGS_FAILURES}, Debian's own"
        return why, "take confLOG_LEVEL out of sendmail.mc, then `msa-wizard apply sendmailconfig restart`"
    if seen.log == "journal" and (stray := stray_sentence(facts, "sendmail")):
        return f"{stray}, so fail2ban would not see what it logs", "msa-wizard apply restart"
    if seen.without_nft:
        return f"nft does not work on this host: {seen.without_nft}", "see why: `nft list tables`"
    if seen.broken:
        return seen.broken, f"correct that: `{CLIENT} -t` says what is wrong in its configuration"
    if seen.refused:
        return f"fail2ban would not take {f.JAIL}: {seen.refused}", f"`{CLIENT} -t` says what is wrong"
    if not seen.missing and seen.wanted is None:
        return (
            _disabled(),
            f"take `enabled = false` of [{NAME}] out of it: `grep -rn -A9 '\\[{NAME}\\]' {FOLDER}`",
        )
    return None


def _disabled() -> str:
    return f"your own configuration of fail2ban disables the jail {NAME}, and counts more than {f.JAIL}"


def _changes(
    facts: Facts, seen: Fail2ban, entry: Entry | None, new: str, title: str, answers: Answers
) -> Iterator[Change]:
    if seen.missing:
        yield PackagesChange(seen.missing, seen.apt_plan, recommends=answers.install.recommends)
    content = new.encode()
    differs = entry is None or entry.content != content
    if differs:
        after = replace(entry, content=content) if entry else Entry(Kind.FILE, 0o644, 0, 0, content)
        gate = JailGate(seen.log, seen.stock.ignored if seen.stock else (), seen.by_nft)
        yield FileChange(f.JAIL, entry, after, title, gate=gate)
    if differs or not (seen.up and seen.enabled):
        # A package that is still to come enables it itself.
        enable = not seen.enabled and SERVICE not in seen.missing
        yield ServiceChange(SERVICE, facts.init, enable=enable, was_running=seen.runs)


def _lacks(seen: Fail2ban, text: str | None, new: str) -> str:
    """What is not as it is to be: a clause."""
    if SERVICE in seen.missing:
        return "fail2ban is not installed"
    if seen.missing:
        return f"{' and '.join(seen.missing)} is missing"
    if text != new:
        return f"{f.JAIL} {'is not there' if text is None else 'says something else'}"
    return f"the jail {NAME} is not at work" if not seen.up else "fail2ban is not enabled at boot"


def _says(guess: Guess) -> str:
    times = count(guess.attempts, "wrong password")
    return f"an address for {guess.ban} after {times} within {guess.window}"


def _notes(facts: Facts, seen: Fail2ban, answers: Answers) -> Iterator[str]:
    numbers = " and ".join(map(str, ports(facts, answers)))
    yield f"fail2ban bans {_says(answers.guess)}: no connection to port {numbers} from there; {_open(seen)}"
    if SERVICE in seen.missing:
        yield "fail2ban begins with Debian's own jail for sshd, too (5 wrong passwords in 10m: 10m); that is Debian's default, and stays"
    elif others := [name for name in seen.jails if name != NAME]:
        if seen.runs:
            yield f"the other jails of fail2ban stay as they are: {', '.join(others)}"
        else:
            sshd = " (sshd bans those who guess passwords of SSH)" if "sshd" in others else ""
            yield f"fail2ban does not run now; with it these jails begin as well: {', '.join(others)}{sshd}"
    if _sshd(facts, seen):
        yield "the jail for sshd is told to read the journal: the log file that it looks for is not there, and fail2ban would not start"
    yield from login_at_25(facts, "where a banned address can go on guessing")
    if is_limited(facts, answers):
        yield "a login that the policy refuses (login-policy) counts as a wrong password, whatever the password is"
    if sendmail_cf.option(facts.text(f.SENDMAIL_CF) or "", "Timeout.ident") not in ("0", "0s"):
        yield (
            "sendmail asks clients for a name (ident) and logs no more than 100 characters of what they are: whoever answers with "
            "a long one is not seen by fail2ban, unless sendmail.mc has define(`confTO_IDENT', `0')"
        )
    if seen.by_nft:
        yield "the bans are in a table of nft's own (inet f2b-table), before any firewall, whose rules and files stay as they are"
    elif seen.stock:
        yield f"it is banned by {', '.join(seen.stock.actions)}, as your own configuration of fail2ban has it for all jails"
    if seen.log != "journal":
        yield f"{seen.log} is read: {UNPROVED}, and so have an address banned"
    if facts.euid != 0:
        yield "only root can see who would have been banned lately"
    elif seen.unseen:
        yield seen.unseen


def _overridden(seen: Fail2ban, guess: Guess) -> Iterator[str]:
    """What the admin's own configuration sets otherwise for the jail."""
    if seen.wanted is None:
        return
    wanted: Mapping[str, tuple[str, str]] = {
        "maxretry": (seen.wanted.attempts, str(guess.attempts)),
        "findtime": (seen.wanted.window, guess.window),
        "bantime": (seen.wanted.ban, guess.ban),
    }
    for key, (there, asked) in wanted.items():
        if there and there != asked:
            yield f"{key} = {there} in your own configuration of fail2ban counts more than {asked} in the settings"


def _lost(host: Host, facts: Facts, seen: Fail2ban, answers: Answers) -> tuple[tuple[str, ...], str]:
    """Who would have been banned, is not by what is in force, and logged in lately, a line each; and what is not known."""
    logged = recent(host, facts.text(f.SENDMAIL_CF) or "")
    try:
        now = fail2ban.in_force(host) if seen.up else None
    except HostError:
        now = None
    lines = tuple(
        f"{ban.address}: banned {_clock(ban.begin)}, but {ban.user} logged in from there {_clock(ban.login)}"
        for ban in bans(logged.lines, _limit(seen, answers.guess), now)
    )
    return lines, unknown(logged)


def _limit(seen: Fail2ban, guess: Guess) -> Limit:
    """As fail2ban will have it; before it is installed, as the settings have it."""
    if seen.wanted is not None and seen.wanted.limit is not None:
        return seen.wanted.limit
    own = seen.stock.ignored if seen.stock else ()
    ignored = (*LOOPBACK, *own, seen.connection, *guess.never)
    return Limit(guess.attempts, seconds(guess.window), seconds(guess.ban), ignored)


def _clock(at: float) -> str:
    return time.strftime("%F %R", time.localtime(at))


def _ends(seen: Fail2ban) -> tuple[Ending, ...]:
    if not seen.lost:
        return ()
    says = (
        f"logins from {count(len(seen.lost), 'address', 'addresses')} would have been refused within {DAYS} days, since as many "
        "wrong passwords came from there (guess.never names networks that are not banned)"
    )
    return (Ending(ENDS, says, seen.lost),)


def _open(seen: Fail2ban) -> str:
    """What is still open to who is banned."""
    until = f" until it is banned by {' and '.join(seen.recidive)} as well" if seen.recidive else ""
    return f"port 25, SSH and all else stay open to it{until}"


def _recidive(seen: Fail2ban) -> Iterator[Ending]:
    """The jails that close everything to who was banned several times."""
    if seen.recidive:
        says = (
            "each ban is also counted by your own configuration of fail2ban, which after several closes more than the ports for "
            "mail clients, perhaps SSH, to all who share the address; to have none counted, put "
            rf"`ignoreregex = \[{NAME}\]` into that jail's section of {FOLDER}/jail.local, then `fail2ban-client reload`"
        )
        yield Ending(RECIDIVE, says, tuple(_counting(name, seen.jails[name]) for name in seen.recidive))


def _counting(name: str, jail: Jail) -> str:
    how = f", by {', '.join(jail.actions)}" if jail.actions else ""
    return f"{name}: bans for {jail.ban} after {jail.attempts} bans within {jail.window}{how}"


def _started(host: Host) -> Check:
    """Whether the jail is at work, once the daemon has come up."""
    end = time.monotonic() + _STARTS_WITHIN
    while True:
        said = fail2ban.client(host, "status", NAME)
        if said.code == 0:
            return Check("jail", Sign.OK, f"fail2ban's jail {NAME} is at work")
        if time.monotonic() > end:
            why = f"fail2ban's jail {NAME} is not at work: {said.tail(1)}"
            return Check("jail", Sign.FAILED, why, "journalctl -u fail2ban; tail /var/log/fail2ban.log")
        time.sleep(0.2)


def _log(host: Host) -> Check:
    """Whether the jail reads where sendmail logs: a setting of the log that is not in force yet looks like one that is.

    To a file a log daemon may let come what sendmail logs, by its name, and nothing of ours."""
    place = where(host)
    named = "the journal" if place == "journal" else str(place)
    if arrives(host, _LOGS_WITHIN):
        return Check("log", Sign.OK, f"mail is logged to {named}, which fail2ban reads")
    if place == "journal":
        why = "mail is not logged to the journal, which fail2ban reads"
        then = "`systemctl restart systemd-journald`, then `msa-wizard apply guess-limit` again"
        return Check("log", Sign.FAILED, why, then)
    why = f"a line of our own does not come to {named}, which fail2ban reads; sendmail's may, if the log daemon sorts by program"
    then = f"try a wrong password, then `tail {named}`: if sendmail's line is missing, `systemctl restart rsyslog`"
    return Check("log", Sign.WARNING, why, then)


def _filter(host: Host) -> Check:
    found = fail2ban.matched(host, _SAMPLES)
    if found == len(_SAMPLES):
        return Check(
            "filter",
            Sign.OK,
            f"its filter knows what sendmail logs of a wrong password ({CLIENT.replace('client', 'regex')})",
        )
    why = "its filter does not match what sendmail logs of a wrong password"
    return Check(
        "filter", Sign.FAILED, why, f"see {FOLDER}/filter.d/{NAME}.local, which may change Debian's filter"
    )


def _banning(host: Host) -> Check:
    """Ban an address of nobody, see it in nft, let it go again. What an action of the admin's own does besides, as sending
    mail, is not for a trial."""
    actions = fail2ban.client(host, "get", NAME, "actions").stdout.splitlines()[1:]
    names = [word.strip() for line in actions for word in line.split(",") if word.strip()]
    if not names or any(name not in NFT for name in names):
        says = f"bans go by {', '.join(names) or 'no action'}, as your own configuration of fail2ban says; that was not tried"
        return Check("ban", Sign.UNKNOWN if names else Sign.FAILED, says, "see banaction in /etc/fail2ban")
    fail2ban.client(host, "set", NAME, "banip", _EXAMPLE)
    try:
        banned = _until(host, there=True)
    finally:
        fail2ban.client(host, "set", NAME, "unbanip", _EXAMPLE)
    if not banned:
        why = "a ban does not reach the packet filter (nft)"
        return Check("ban", Sign.FAILED, why, "tail /var/log/fail2ban.log")
    if not _until(host, there=False):
        return Check(
            "ban",
            Sign.FAILED,
            "a ban that is lifted stays in the packet filter (nft)",
            "tail /var/log/fail2ban.log",
        )
    return Check(
        "ban", Sign.OK, f"banning works: nft had {_EXAMPLE}, an address of nobody, and let it go again"
    )


def _until(host: Host, *, there: bool) -> bool:
    end = time.monotonic() + _BANS_WITHIN
    argv = ["nft", "list", "set", "inet", "f2b-table", f"addr-set-{NAME}"]
    while (_EXAMPLE in host.run(argv, timeout=30).stdout) is not there:
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
