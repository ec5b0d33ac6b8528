"""Howto 3.7: restart, then the greeting on each port, and a look into the log. And 5.2: the conversation with the new MSA,
as far as it goes without a password."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Literal

from wizard.changes.service import ServiceChange, WatchChange
from wizard.console import numbered
from wizard.editors.daemon_options import collisions
from wizard.errors import HostError
from wizard.maillog.read import LogLine, lines
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.client_name import client_name
from wizard.sendmail.daemon_mode import REMEDY, silent_mode, silent_sentence
from wizard.sendmail.own_address import elsewhere, remedy, why
from wizard.sendmail.password_source import mechanisms, served_besides, wanted
from wizard.sendmail.strays import stray_sentence
from wizard.smtp.session import greeting
from wizard.steps.listeners import SmtpPort
from wizard.steps.mc_edit import AuthOptions, McStep, unless_left_out
from wizard.steps.preflight import free_port
from wizard.steps.saslauthd import counted, enabled
from wizard.system.host import Host
from wizard.system.sockets import collide, listeners

BEFORE = frozenset({"install", "sendmail-auth", "sendmailconfig"})
PATIENCE = 90.0
"""Seconds until each port must greet: a name server that does not answer costs sendmail a minute."""
WEDGED = "problem creating SMTP socket"
"""The log line that comes at once when a listener cannot be opened; the MTA ends 45 s later (docs/debian.md trap 2)."""
RETRIES = 50.0
"""Seconds in which sendmail tries again to open a listener before it ends."""


class Restart(Step):
    """A restart, not a reload: SASL and TLS files are read at the start only."""

    id = "restart"
    howto = "3.7"
    title = "Restart Sendmail"
    why = "The running daemon knows only what it read when it started. On Debian 13 and newer it is not even enabled at boot."
    checked = (
        "whether each listener of sendmail.cf greets, whether the log tells of one that could not be opened, and "
        "whether sendmail is enabled at boot"
    )
    needs = ("sendmailconfig",)
    also_reverts = ("sendmailconfig",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending when the daemon is older than what it reads, misses a listener, is not enabled, or outside its unit."""
        service = facts.services["sendmail"]
        if not service.exists and "install" not in facts.planned:
            why = "there is no sendmail service on this host"
            return Plan.blocked(self.id, why, "msa-wizard apply install")
        if (mode := silent_mode(facts)) and "mend-daemon-mode" not in facts.planned:
            return Plan.blocked(self.id, silent_sentence(mode), REMEDY)
        if taken := _taken(facts):
            return Plan.blocked(self.id, *taken)
        if cannot := _cannot_open(facts):
            return Plan.blocked(self.id, *cannot)
        reasons = stale(facts)
        follows = bool(BEFORE & facts.planned) or _runs_old(facts)
        if outside := stray_sentence(facts, "sendmail"):
            reasons.append(outside)
        enable = not service.enabled
        if enable:
            reasons.append("sendmail is not enabled at boot")
        if not reasons and BEFORE & facts.unseen:
            return Plan.unseen(
                self.id, "only root can see whether sendmail's configuration has to change; run this as root"
            )
        if not reasons:
            why = "sendmail has run since its configuration was last changed, and listens on every port that sendmail.cf names"
            return Plan.done(self.id, why)
        running = facts.sendmail_runs or facts.starts_later
        verb: Literal["restart", ""] = "restart" if len(reasons) > enable else ""
        change = ServiceChange("sendmail", facts.init, enable=enable, was_running=running, verb=verb)
        watch = (WatchChange(answers.watch_restart),) if answers.watch_restart and verb else ()
        follows = follows and len(reasons) == 1
        return Plan.pending(self.id, "; ".join(reasons), change, *watch, follows=follows)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Every listener of sendmail.cf greets; the log has no word of a socket that could not be opened."""
        process = facts.process("sendmail-mta")
        cf = facts.text(f.SENDMAIL_CF) or ""
        log = _log(host, process.started if process else time.time() - 120, cf)
        end = time.monotonic() + (0.0 if log.sign is Sign.FAILED else PATIENCE)
        greetings = [_greets(daemon, end) for daemon in sendmail_cf.daemons(cf)]
        return [*_old(facts), *greetings, log, enabled("sendmail", facts), *counted("sendmail", facts)]


def _taken(facts: Facts) -> tuple[str, ...]:
    """What else holds a port of sendmail.cf, and what to do: a restart would end with no listener there."""
    daemons = sendmail_cf.daemons(facts.text(f.SENDMAIL_CF) or "")
    for listener in facts.listeners:
        of_another = listener.pid is not None and listener.process != "sendmail-mta"
        if of_another and any(
            daemon.port == listener.port and collide(daemon.place, listener.address) for daemon in daemons
        ):
            return (
                f"port {listener.port} on {listener.address} is held by {listener.process} (pid {listener.pid}): sendmail could not listen there",
                *free_port(facts, listener),
            )
    return ()


def _cannot_open(facts: Facts) -> tuple[str, ...]:
    """The first listener of sendmail.cf at an address that this host does not have, and what to do; nothing where
    sendmail.cf is going to be another one."""
    listeners = () if BEFORE & facts.planned else sendmail_cf.listeners(facts.text(f.SENDMAIL_CF) or "")
    for listener in elsewhere(facts, listeners):
        says = f"line {listener.line} of {f.SENDMAIL_CF} has `{listener.raw}`: {why(listener)}"
        return says, remedy(facts, f.SENDMAIL_MC), "then `msa-wizard apply sendmailconfig restart`"
    return ()


def stale(facts: Facts) -> list[str]:
    """Why the daemon must be restarted; empty when it has read all that is there and listens everywhere."""
    process = facts.process("sendmail-mta")
    if BEFORE & facts.planned:
        return ["sendmail's configuration will change"]
    if process is None:
        return [f"sendmail does not run (its status word is {facts.services['sendmail'].active})"]
    if _runs_old(facts):
        return ["it has not read what was changed since it started"]
    held = {each.port for each in facts.listeners if each.pid is None or each.process == "sendmail-mta"}
    cf = facts.text(f.SENDMAIL_CF) or ""
    missing = sorted({daemon.port for daemon in sendmail_cf.daemons(cf)} - held)
    return [f"it does not listen on {numbered(missing, 'port')}"] if missing else []


def _runs_old(facts: Facts) -> bool:
    """Whether the daemon was started before what it reads at its start was changed."""
    process = facts.process("sendmail-mta")
    return process is not None and process.started < facts.cf_changed


def started_with(facts: Facts) -> bool:
    """Whether the daemon that runs was started after its configuration was last changed: so it is known to start with it."""
    process = facts.process("sendmail-mta")
    return process is not None and process.started >= facts.mc_changed


def _old(facts: Facts) -> list[Check]:
    """A daemon that greets, and is that of before: nothing is said of a new one."""
    process = facts.process("sendmail-mta")
    if process is None or process.started >= facts.cf_changed:
        return []
    says = f"the sendmail that runs (pid {process.pid}) has not read what was changed since it started: it was not restarted"
    return [Check("daemon", Sign.FAILED, says, f"`kill {process.pid}`, then `systemctl restart sendmail`")]


def _greets(daemon: sendmail_cf.Daemon, end: float) -> Check:
    where = f"{daemon.reachable_at} port {daemon.port}"
    check_id = f"greeting-{daemon.port}"
    while True:
        reply = greeting(daemon.reachable_at, daemon.port, tls=daemon.tls_on_connect)
        if reply.startswith("220"):
            return Check(
                check_id, Sign.OK, f"{where}: {reply.partition(';')[0]}"
            )  # then date and the name of the client
        if time.monotonic() > end:
            says = f"{where} does not greet: {reply.removeprefix(f'{where}: ')[:200]}"
            return Check(check_id, Sign.FAILED, says, "journalctl -t sm-mta -n 30")
        time.sleep(0.2)


def _opened_later(host: Host, cf: str) -> bool:
    """Whether sendmail holds a socket for each line of sendmail.cf, or does before it gives up: a daemon of before that
    is slow to end keeps the port for a moment."""
    wanted = Counter(daemon.port for daemon in sendmail_cf.daemons(cf))
    end = time.monotonic() + (0.0 if collisions(sendmail_cf.listeners(cf)) else RETRIES)
    while True:
        held = Counter(listener.port for listener in listeners(host) if listener.process == "sendmail-mta")
        if wanted <= held or time.monotonic() > end:
            return wanted <= held
        time.sleep(0.5)


def since_start(logged: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
    """Of the lines of a file, whose dates have no year, those since the daemon's last start."""
    starts = [at for at, line in enumerate(logged) if line.file and "starting daemon" in line.text]
    return logged[starts[-1] :] if starts else logged


def _log(host: Host, since: float, cf: str) -> Check:
    """By the log, and where it has a bad word by the kernel's own list of sockets: a line of a file proves nothing."""
    try:
        logged, why = (
            lines(host, since, ("sm-mta",)),
            "there is no mail log on this host (no journal, no /var/log/mail.log)",
        )
    except HostError as error:
        logged, why = None, f"the mail log cannot be read ({error})"
    if logged is None:
        says = f"{why}: whether a listener was refused is not known"
        return Check("log", Sign.UNKNOWN, says, "watch it for a minute: `ss -ltn`")
    bad = [line.text for line in since_start(logged) if WEDGED in line.text]
    if not bad:
        return Check("log", Sign.OK, "by the log every listener could be opened")
    if _opened_later(host, cf):
        says = f"a listener could be opened at a second try only, and is open now: {bad[0][:160]}"
        return Check("log", Sign.OK, says)
    says = f"a listener could not be opened, and sendmail will end within a minute: {bad[0][:200]}"
    remedy = "another program holds the port, two DAEMON_OPTIONS lines want it, or one has an Addr that this host has not"
    return Check("log", Sign.FAILED, says, remedy)


_FOUND_WITHOUT: dict[str, McStep] = {"login-before-starttls": AuthOptions(), "smtp-auth": SmtpPort()}
"""The step without which a test finds this."""


def _judged(check: Check, facts: Facts, answers: Answers) -> Check:
    step = _FOUND_WITHOUT.get(check.id)
    if step is None:
        return check
    judged = unless_left_out(check, step, facts, answers)
    if judged is check:
        return check
    return replace(judged, says=f"{judged.says}; `msa-wizard test` fails for that")


_BEFORE_LOGIN = ("install", "saslauthd-start", "sendmailconfig", "restart")


class AuthTest(Step):
    """The login itself is `msa-wizard test --user NAME`: a password is never part of the answers."""

    id = "auth-test"
    howto = "5.2"
    title = "Test AUTH LOGIN"
    why = "The set-up works when a login is accepted with 235, and not before."
    checked = "STARTTLS, that LOGIN and PLAIN are offered only after it, that mail needs a login, and that port 25 offers none"
    needs = ("saslauthd-start", "restart")
    reports = True

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Done once a login was accepted, and nothing has changed since. Changes nothing itself."""
        how, login = "`msa-wizard test --user NAME` proves it", facts.login
        if facts.euid != 0:
            return Plan.unseen(self.id, f"only root can see whether a login was accepted; {how}")
        if ahead := [need for need in _BEFORE_LOGIN if need in facts.planned]:
            # Not these alone: what sendmail.mc lacks is no less needed.
            after = f"a login can be tested after {', '.join(ahead)}"
            return Plan.untested(self.id, after, "msa-wizard apply")
        if facts.process("sendmail-mta") is None:
            return Plan.untested(
                self.id, "no login can be accepted: sendmail does not run", "msa-wizard apply restart"
            )
        if wanted(facts, answers).saslauthd and facts.saslauthd_says is None:
            why = "no login can be accepted: saslauthd does not answer"
            return Plan.untested(self.id, why, "msa-wizard apply saslauthd-start")
        if facts.tls_refused:
            why = (
                f"no login can be accepted once sendmail starts again: it refuses {facts.tls_refused[0].path}"
            )
            return Plan.untested(self.id, f"{why}, and offers no STARTTLS", "msa-wizard troubleshoot")
        if login is None:
            return Plan.untested(self.id, f"no login was accepted yet; {how}")
        when = f"{login.user} logged in on {time.strftime('%F %R', time.localtime(login.at))}"
        if login.outdated:
            return Plan.untested(self.id, f"the set-up has changed since {when}; {how}")
        return Plan.done(self.id, f"a login was accepted: {when}")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """STARTTLS, LOGIN only after it, 530 before AUTH, no AUTH on port 25."""
        from wizard.smtp.login_test import Target, converse

        daemons = sendmail_cf.for_clients(facts.text(f.SENDMAIL_CF) or "", 587)
        if not daemons:
            says = "sendmail.cf has no listener on port 587"
            return [Check("listener", Sign.FAILED, says, "msa-wizard apply")]
        # Without LOGIN by an answer, or by the site's own list.
        mechanism = "LOGIN" if "LOGIN" in mechanisms(facts, answers) else "PLAIN"
        # The certificate is for it, not for the address.
        name = client_name(facts, answers.certificate, facts.fqdn if facts.fqdn_resolves else "") or None
        target = Target(
            daemons[0].reachable_at, server_name=name, mechanism=mechanism, served=served_besides(facts)
        )
        result = converse(target, None)
        checks = [
            _judged(Check(each.id, Sign(each.state), each.says), facts, answers) for each in result.findings
        ]
        if result.layer is not None:
            checks.append(Check(result.layer, Sign.FAILED, result.verdict))
        return checks
