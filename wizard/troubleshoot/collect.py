"""Takes the picture: the probes in parallel, each with a deadline. Nothing is changed; one connection per port, and on one of
them the handshakes with TLS that is weak."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from wizard.editors import EditError, sasl_conf, sendmail_mc
from wizard.engine.state_dir import existing_store
from wizard.errors import HostError
from wizard.gather import fail2ban, pam
from wizard.gather.accounts import local_accounts
from wizard.gather.certificates import certificate_files
from wizard.gather.firewall import live_rules
from wizard.gather.host import look, running
from wizard.gather.pam import Pam
from wizard.gather.renewal import Renewal, look_at_renewal
from wizard.gather.tls import key_kinds
from wizard.maillog import read as mail_log
from wizard.maillog.read import LogLine
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts, Process
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail import mc_repair
from wizard.sendmail.asked_saslauthd import is_stopped
from wizard.sendmail.cf import Daemon
from wizard.sendmail.m4 import expand
from wizard.sendmail.password_source import served_besides
from wizard.sendmail.sasl_files import asked_places
from wizard.sendmail.strays import DAEMON_OF
from wizard.smtp.connection import Deadline, WireError, lookup
from wizard.smtp.handshakes import QUICK, Handshake, handshakes
from wizard.smtp.server_trust import Trust, trust_of
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host
from wizard.system.sockets import listeners
from wizard.troubleshoot import account as accounts
from wizard.troubleshoot import backend, confinement, milters, outside, root_login, storage
from wizard.troubleshoot.account import Account
from wizard.troubleshoot.host_state import DAEMON, Picture, Text, of_others
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.probe_smtp import TIMEOUT, Conversation, Tried, converse, is_submission

LOOKED_BACK = 3600.0
"""Seconds of the mail log that are read."""
DAY = 24 * 3600.0
DAY_WORDS = (
    r"^STARTTLS=\w+, error:|AUTH failure \(|^AUTH=server, relay=| did not issue MAIL|^\w+: to=.*, stat="
    r"|ruleset=(?:check_relay|tls_client), |rejecting commands from|possible SMTP attack"
)
"""Of the last day of it: what clients and deliveries met."""
DAY_TIMEOUT = 1.0
"""Seconds for that."""
MUX_TIMEOUT = 5.0
"""Seconds for saslauthd's answer to an empty login, which it gives at once."""
LOGIN_TIMEOUT = 30.0
"""Seconds for its answer to a real one: PAM waits some seconds after a wrong password."""
CHECK_TIMEOUT = 10.0
"""Seconds for sendmail's own check of its sendmail.cf."""
STOPPED = 2.0
"""Seconds given to a daemon that was stopped (SIGSTOP), which will say nothing, and to a program that is not sendmail."""
_LONGEST = 64 * 1024
_UNITS = ("/etc/systemd/system", "/run/systemd/system")
_COUNTERS = ("pam_faillock.so", "pam_tally2.so", "pam_tally.so")
"""Modules that lock an account after some failures."""
_REFUSED = re.compile(r"\[reason=([^]]*)\]$")
"""Why saslauthd said no, at the end of its line."""


def take(
    host: Host, answers: Answers, credentials: Credentials | None = None, tried: Tried | None = None
) -> Picture:
    """The picture of this host now; with credentials one login is tried, if it cannot lock the account, and was not
    `tried` already.

    Raises HostError where not even the facts can be read."""
    began, clock = time.time(), time.monotonic()
    threading.Thread(target=_warm, daemon=True).start()
    cf, node, stack = _text(host, f.SENDMAIL_CF), os.uname().nodename, pam.look(host)
    daemons = running(host)
    stopped = {process.name for process in daemons if process.state == "T"}
    socket, *linked = asked_places(host)
    mux = _mux_problem(host, socket, is_stopped(daemons, (socket, *linked)))
    with ThreadPoolExecutor(max_workers=16) as pool:
        rules = pool.submit(live_rules, host)
        room = pool.submit(storage.look, host)
        day = pool.submit(lambda: mail_log.matching(host, began - DAY, DAY_WORDS, DAY_TIMEOUT).lines)
        filters = [pool.submit(milters.look, host, cf, milter) for milter in milters.named(cf)]
        confined = pool.submit(confinement.look, host, daemons, began - LOOKED_BACK)
        asked_backend = pool.submit(backend.look, host, daemons)
        limited = pool.submit(fail2ban.bans, host)
        renewed = pool.submit(_renewal, host, cf)
        owner = _owner(host, credentials, daemons, stack)
        used = None if tried or hopeless(owner) or (mux and "saslauthd" in _method(host)) else credentials
        wanted = _each_port(sendmail_cf.daemons(cf))
        chosen = _for_login(wanted)
        others = of_others(listeners(host))
        before = wanted if used is None else [daemon for daemon in wanted if daemon is not chosen]

        def patience(daemon: Daemon) -> float:
            return STOPPED if DAEMON in stopped or daemon.port in others else TIMEOUT

        asked = [pool.submit(converse, daemon, node, None, patience(daemon)) for daemon in before]
        facts = look(host)
        asked += [
            pool.submit(converse, daemon, node, None, patience(daemon)) for daemon in _held(facts, wanted)
        ]
        if used is not None and chosen is not None:
            # The login comes last: a server that has had the password could say it on another connection.
            before_it = tuple(asked)
            asked.insert(
                wanted.index(chosen),
                pool.submit(lambda: _login(before_it, chosen, node, used, patience(chosen), trust_of(host))),
            )
        seen = pool.submit(outside.look, host, cf, wanted, facts.addresses)
        name = facts.fqdn or facts.hostname or "localhost"
        addresses = pool.submit(_addresses, name)
        refused = pool.submit(_cf_refused, host, cf, facts)
        said = pool.submit(_m4_said, host, facts)
        repair = pool.submit(mc_repair.fault, host, facts, existing_store)
        files = pool.submit(certificate_files, host, cf, name)
        served = _served(facts)
        talks = tuple(_with_own_offer(talk.result(), served) for talk in asked)
        weak_tls = pool.submit(_weak_tls, host, talks, node)
        if tried:
            began = tried.began
            explained = tried.refused and hopeless(owner)  # nothing else is to blame then
            talks = talks if explained else tuple(map(tried.onto, talks))
        log, log_problem = _log(host)
        # What was before the access map was last made is not its doing.
        since = host.mtime(f"{f.ACCESS}.db")
        turned_away = outside.turned_away(day.result(), facts.addresses, since)
        if tried:
            answer = _logged_answer(log or (), tried)
        else:
            answer = _socket_login(host, socket, credentials, owner, stack, talks)
        root_password = any(account.uid == 0 and account.password for account in local_accounts(host))
        return Picture(
            facts=dataclasses.replace(facts, mc_fault=repair.result()),
            answers=answers,
            now=time.time(),
            name_addresses=addresses.result(),
            conversations=talks,
            mux_problem=mux,
            account=owner,
            root_password=root_password,
            root_let_in=root_login.lets_in(host, stack) if root_password else True,
            socket_login=answer,
            log=log,
            log_problem=log_problem,
            day=day.result(),
            texts={path: text for path in Text if (text := _text(host, path, absent=None)) is not None},
            pam=stack,
            storage=room.result(),
            ruleset=rules.result(),
            files=files.result(),
            cf_refused=refused.result(),
            m4_said=said.result(),
            states={process.pid: process.state for process in facts.processes},
            sasldb=_sasldb(facts),
            aliases_db=_aliases_db(host, cf),
            outside=dataclasses.replace(seen.result(), turned_away=turned_away),
            mux_mode=_mode(host, socket.rpartition("/")[0]),
            milters=tuple(each.result() for each in filters),
            confined=confined.result(),
            weak_tls=weak_tls.result(),
            suites=key_kinds(cf),
            included=_included(host, facts),
            overrides=_overrides(host, facts),
            bans=limited.result(),
            renewal=renewed.result(),
            backend=asked_backend.result(),
            began=began,
            seconds=time.monotonic() - clock,
            waited=max((*(talk.seconds for talk in talks), seen.result().waited)),
        )


def _renewal(host: Host, cf: str) -> Renewal | None:
    """Nothing where systemd cannot be asked."""
    try:
        return look_at_renewal(host, cf)
    except HostError:
        return None


def _owner(
    host: Host, credentials: Credentials | None, daemons: Sequence[Process], stack: Pam
) -> Account | None:
    """The account, as far as this host's own files decide on it."""
    if credentials is None:
        return None
    method = _method(host)
    if "saslauthd" not in method:
        return accounts.look(host, credentials, joined=True, own=not method)
    mechanism, joined, _ = backend.asked(host, daemons)
    own = stack.asks_unix if mechanism == "pam" else mechanism in ("shadow", "getpwent")
    owner = accounts.look(host, credentials, joined, own)
    if mechanism != "pam":
        return owner
    return dataclasses.replace(owner, barred=accounts.barred(host, stack, owner, time.time()))


def _login(
    others: Sequence[Future[Conversation]],
    chosen: Daemon,
    node: str,
    credentials: Credentials,
    patience: float,
    trust: Trust,
) -> Conversation:
    wait(others)
    return converse(chosen, node, credentials, patience, trust)


def hopeless(owner: Account | None) -> bool:
    """Whether a login could only fail: then none is tried, as it costs time and may count against the account."""
    kept = owner.shadow if owner else None
    if owner is None or kept is None:
        return False
    return (
        bool(owner.barred)
        or kept.malformed
        or kept.locked
        or kept.never
        or kept.expired(owner.today)
        or owner.right is False
    )


def _warm() -> None:
    """Import what a conversation needs (30 ms) while others wait for commands."""
    import asn1crypto.x509  # type: ignore[import-untyped]  # noqa: F401


def _each_port(daemons: Iterable[Daemon]) -> list[Daemon]:
    """One daemon for each address and port: sendmail's rate limits count connections."""
    return list({(daemon.reachable_at, daemon.port): daemon for daemon in daemons if daemon.port}.values())


def _for_login(daemons: Sequence[Daemon]) -> Daemon | None:
    ports = sorted(
        (daemon for daemon in daemons if is_submission(daemon)),
        key=lambda daemon: (daemon.port != 587, "a" not in daemon.modifiers),
    )
    return ports[0] if ports else None


def _held(facts: Facts, known: Sequence[Daemon]) -> list[Daemon]:
    """What sendmail still listens on although its sendmail.cf no longer says so."""
    ports = {daemon.port for daemon in known}
    daemons = {}
    for listener in facts.listeners:
        if listener.process == DAEMON and listener.port not in ports:
            family = "inet6" if ":" in listener.address else "inet"
            daemons[listener.port] = Daemon(
                "?", family, listener.address, listener.port, "s" if listener.port == 465 else ""
            )
    return list(daemons.values())


def _text(host: Host, path: str, absent: str | None = "") -> str:
    try:
        with host.path(path).open("rb") as file:
            return file.read(8 * _LONGEST).decode("latin-1")
    except OSError:
        return absent  # type: ignore[return-value]


def _log(host: Host) -> tuple[tuple[LogLine, ...] | None, str]:
    """The last hour of the mail log, and why it cannot be read."""
    try:
        return mail_log.lines(host, time.time() - LOOKED_BACK), ""
    except HostError as error:
        return None, str(error)


def _cf_refused(host: Host, cf: str, facts: Facts) -> str:
    """What sendmail says about a sendmail.cf that it rejects (EX_CONFIG and others). A daemon that started with it
    has accepted it, and is not asked: without a qualified host name each start of sendmail waits a minute."""
    process = facts.process(DAEMON)
    if not cf or (process is not None and host.mtime(f.SENDMAIL_CF) < process.started):
        return ""
    try:
        result = host.run(["sendmail", "-C", f.SENDMAIL_CF, "-bC"], timeout=CHECK_TIMEOUT)
    except HostError:
        return ""
    return "" if result.code == 0 else (result.tail(2) or f"exit status {result.code}")


def _method(host: Host) -> str:
    """pwcheck_method, empty where libsasl2 finds none: of a file with a line that it does not understand it takes nothing."""
    try:
        return (sasl_conf.value(_text(host, f.SASL_CONF), "pwcheck_method") or "").lower()
    except EditError:
        return ""


def _mux_problem(host: Host, socket: str, stopped: bool) -> str:
    """Why the socket does not answer, empty where it does."""
    if stopped:
        return f"{socket} does not answer: saslauthd is stopped"
    try:
        host.ask_unix_socket(socket, (b"", b"", b"smtp", b""), timeout=MUX_TIMEOUT)
    except HostError as error:
        return str(error)
    return ""


def _socket_login(
    host: Host,
    socket: str,
    credentials: Credentials | None,
    owner: Account | None,
    stack: Pam,
    talks: Sequence[Conversation],
) -> str | None:
    """saslauthd's own answer where sendmail's was no, or was not asked because the password is wrong: a cached one may
    be accepted all the same. Never where failures are counted, as they may be by a server that saslauthd asks."""
    if credentials is None or owner is None or not owner.own or any(map(stack.has, _COUNTERS)):
        return None
    wrong = owner.right is False and owner.shadow is not None and not owner.shadow.locked
    if not wrong and False not in [talk.login for talk in talks]:
        return None
    user, _, realm = credentials.user.partition("@")
    words = (user.encode(), credentials.password.encode(), b"smtp", realm.encode())
    try:
        return host.ask_unix_socket(socket, words, timeout=LOGIN_TIMEOUT)
    except HostError as error:
        return str(error)


def _logged_answer(log: Iterable[LogLine], tried: Tried) -> str | None:
    """What saslauthd answered to the login that was tried, by its own words in the journal; None where it has none."""
    user = tried.credentials.user.partition("@")[0] if tried.credentials else ""
    reasons = [
        _REFUSED.search(line.text)
        for line in log
        if line.name == "saslauthd" and not line.file and line.time >= tried.began
        if f"auth failure: [user={user}]" in line.text
    ]
    return next((f"NO {reason[1]}" for reason in reversed(reasons) if reason), None)


def _addresses(name: str) -> tuple[str, ...] | None:
    try:
        addresses = lookup(name, 587, 0, Deadline(10.0))
    except (OSError, UnicodeError, WireError):
        return None
    return tuple(dict.fromkeys(str(address[0]) for _, address in addresses))


def _m4_said(host: Host, facts: Facts) -> str:
    """What m4 says where it produces no sendmail.cf."""
    entry = facts.files.get(f.SENDMAIL_MC)
    if entry is None or entry.kind != "file" or facts.cf_from_mc is not None:
        return ""
    try:
        result = expand(host, f.SENDMAIL_MC, entry.content)
    except HostError as error:
        return str(error)
    return result.messages.strip() or f"exit status {result.code}"


def _sasldb(facts: Facts) -> tuple[str, ...]:
    """The users of sasldb, with their realm and without."""
    return tuple(
        dict.fromkeys(name for account in facts.sasldb or () for name in (account, account.partition("@")[0]))
    )


def _served(facts: Facts) -> frozenset[str]:
    try:
        return served_besides(facts)
    except PermissionError:
        return frozenset()


def _with_own_offer(talk: Conversation, served: frozenset[str]) -> Conversation:
    """A site that offers neither LOGIN nor PLAIN but what it can serve is sound: only no login can be tried."""
    if talk.stopped is not Layer.AUTH_OFFER or not served & set(talk.offered):
        return talk
    return dataclasses.replace(talk, stopped=None, why="")


def _aliases_db(host: Host, cf: str) -> bool:
    named = (sendmail_cf.option(cf, "AliasFile") or "").split(",")[0].strip()
    path = named.rpartition(":")[2] if named.startswith(("hash:", "dbm:", "btree:", "cdb:")) else named
    return not path.startswith("/") or any(host.exists(f"{path}{end}") for end in (".db", ".cdb", ".pag"))


def _overrides(host: Host, facts: Facts) -> dict[str, str]:
    """Units and drop-ins of the admin's (systemd.unit(5)) for our daemons, where one does not run, or could not again."""
    services = facts.services
    names = [
        name
        for name, daemon in DAEMON_OF.items()
        if facts.process(daemon) is None or not services[name].exists
    ]
    paths = [
        path
        for unit in (f"{folder}/{name}.service" for folder in _UNITS for name in names)
        for path in (unit, *(f"{unit}.d/{each}" for each in host.names(f"{unit}.d")))
    ]
    return {path: text for path in paths if (text := _text(host, path))}


def _mode(host: Host, path: str) -> int | None:
    try:
        return stat.S_IMODE(host.path(path).stat().st_mode)
    except OSError:
        return None


def _weak_tls(host: Host, talks: Iterable[Conversation], node: str) -> tuple[Handshake, ...]:
    """Of one listener, which all others are like: at 127.0.0.1 alone, which sendmail's rate limits do not count."""
    for talk in talks:
        daemon = talk.daemon
        served = is_submission(daemon) and daemon.port != 25  # as tls-policy has it
        if talk.stopped is None and served and daemon.reachable_at == "127.0.0.1":
            return handshakes(host, daemon, node, QUICK)
    return ()


def _included(host: Host, facts: Facts) -> dict[str, str]:
    """The text of what sendmail.mc includes, at most eight files."""
    try:
        paths = sendmail_mc.includes(facts.text(f.SENDMAIL_MC) or "")
    except (EditError, PermissionError):
        return {}
    own = [path for path in paths if path.startswith("/") and not path.startswith("/usr/share/sendmail/")]
    return {path: _text(host, path) for path in own[:8]}
