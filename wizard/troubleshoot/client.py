"""`troubleshoot --from ADDRESS`: what a mail client with that address meets here, from the packet filter to AUTH, without a
connection. `test --from-outside` stays the proof."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from wizard.console import WIDTH, count
from wizard.editors.daemon_options import is_loopback
from wizard.errors import HostError
from wizard.gather.firewall import live_rules
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.packet_filter.iptables import filter_table
from wizard.packet_filter.nftables import Reach
from wizard.packet_filter.walk import Chain, Packet, Verdict, outcomes
from wizard.render.text import SIGNS
from wizard.sendmail import access_map, rulesets
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.access_map import Address
from wizard.sendmail.rulesets import Admission
from wizard.smtp.connection import Deadline, WireError, in_time, lookup, why
from wizard.system.host import Host
from wizard.system.sockets import Listener, listeners
from wizard.system.tcp_wrappers import refusal
from wizard.troubleshoot.host_state import Text
from wizard.troubleshoot.model import Evidence
from wizard.troubleshoot.probe_smtp import is_submission
from wizard.troubleshoot.report import wrap

LOOK_UP = 2.5
"""Seconds for one question to the DNS."""
_XTABLES = ("rule in ip filter", "rule in ip6 filter")
LOOKED_FROM = "this host itself, by its files, its packet filter and sendmail's own rulesets; nothing was sent to the client"


@dataclass(frozen=True)
class Stage:
    """One thing that the client meets, in the order in which it meets them."""

    id: str
    state: Sign
    says: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Visit:
    """All that a client with this address meets."""

    address: str
    name: str
    stages: tuple[Stage, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing turns it away."""
        return all(stage.state is not Sign.FAILED for stage in self.stages)


def visit(host: Host, address: Address) -> Visit:
    """Look it all up; names are asked for with a deadline."""
    cf, access = host.text(f.SENDMAIL_CF), host.text(Text.ACCESS)
    zones = rulesets.dns_lists(cf) if address.version == 4 else ()
    with ThreadPoolExecutor() as pool:
        filters = pool.submit(lambda: list(_firewall(host, address, _ports(cf))))
        delayed = rulesets.delayed(cf)
        listed = [pool.submit(_dns_list, str(address), zone, delayed) for zone in zones]
        name, looked = reverse_name(host, str(address))
        stages = [
            *filters.result(),
            _listener(address, cf, listeners(host)),
            _wrappers(host, address, name),
            looked,
            *_rulesets(host, cf, access, address, name),
            *(each.result() for each in listed),
        ]
    return Visit(str(address), name, tuple(stages))


def reverse_name(host: Host, address: str) -> tuple[str, Stage]:
    """The client's name ("" for none), looked up as sendmail does before it greets."""
    began = time.monotonic()
    try:
        name = _name(address)
        back = _addresses(name) if name else set[str]()
    except WireError as error:
        says = f"its name could not be looked up ({error}): the client waits for the greeting meanwhile, often a minute"
        return "", Stage("name", Sign.WARNING, says, _name_servers(host))
    except OSError as error:
        says = f"its name could not be looked up: {why(error).lower()} ({time.monotonic() - began:.1f} s)"
        return "", Stage("name", Sign.WARNING, says, _name_servers(host))
    says = f"its name is {name}" if name else "it has no name"
    if name and address not in back:
        # ${client_name} is the address in brackets then (op.me, section 5.2).
        says, name = (
            f"{says}, which does not have that address: sendmail takes it as nameless (may be forged)",
            "",
        )
    return name, Stage("name", Sign.OK, f"{says} ({time.monotonic() - began:.1f} s)")


_NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)


@contextmanager
def _none_is_an_answer() -> Iterator[None]:
    """Goes on behind it where the DNS knows no such name."""
    try:
        yield
    except UnicodeError:
        return
    except socket.gaierror as error:
        if error.errno not in _NO_SUCH_NAME:
            raise


def _name(address: str) -> str:
    """Its name, "" where the DNS knows none. Raises OSError and WireError where it did not say."""
    with _none_is_an_answer():
        name, _ = in_time(lambda: socket.getnameinfo((address, 0), socket.NI_NAMEREQD), Deadline(LOOK_UP))
        return name.lower().rstrip(".")
    return ""


def _addresses(name: str, family: int = 0) -> set[str]:
    """The addresses of the name, none where the DNS knows none. Raises OSError and WireError where it did not say."""
    with _none_is_an_answer():
        return {str(address[0]) for _, address in lookup(name, 0, family, Deadline(LOOK_UP))}
    return set()


def _name_servers(host: Host) -> tuple[Evidence, ...]:
    lines = [line.strip() for line in host.text("/etc/resolv.conf").splitlines()]
    return tuple(Evidence(line, "/etc/resolv.conf") for line in lines if line.startswith("nameserver"))[:3]


def _ports(cf: str) -> list[int]:
    return sorted({daemon.port for daemon in sendmail_cf.daemons(cf) if daemon.port} or {587})


def _firewall(host: Host, address: Address, ports: Sequence[int]) -> Iterator[Stage]:
    verdicts = list(_verdicts(host, address, ports))
    if not verdicts:
        yield Stage("firewall", Sign.UNKNOWN, "the packet filter could not be read (there is no nft)")
    words = {
        "open": "lets it in to",
        "closed": "blocks",
        "unknown": "may block, by rate or by what the rules cannot tell,",
    }
    signs = {"open": Sign.OK, "closed": Sign.FAILED, "unknown": Sign.WARNING}
    for port, reach, rule in verdicts:
        # A closed port 25 turns no mail client away.
        sign = Sign.WARNING if reach == "closed" and port == 25 else signs[reach]
        seen = () if reach == "open" else (Evidence(*rule),)
        yield Stage("firewall", sign, f"this host's packet filter {words[reach]} port {port}", seen)


def _verdicts(
    host: Host, address: Address, ports: Sequence[int]
) -> Iterator[tuple[int, Reach, tuple[str, str]]]:
    """What the rules do with the client at each port, and which one in whose list. nft cannot read all of iptables' own
    rules: where it stops at one, or is not there, they are asked for as iptables keeps them."""
    rules, chains = live_rules(host), dict[str, Chain]()
    program = "iptables-save" if address.version == 4 else "ip6tables-save"
    for port in ports:
        reach: Reach = "unknown"
        why, source = _XTABLES[0], "nft list ruleset"
        if rules is not None:
            reach, why = rules.verdict(port, address.version, str(address))
        if reach == "unknown" and why.startswith(_XTABLES):
            with suppress(HostError):
                chains = (
                    chains or filter_table(host.run([program, "-t", "filter"], timeout=10).stdout).chains()
                )
        if chains and reach == "unknown":
            fate = outcomes(chains, "INPUT", Packet(address.version, port, source=str(address)))
            reach = "closed" if fate.verdicts == {Verdict.DROP} else "unknown" if fate.refusals else "open"
            chain, place = fate.refusals[-1] if fate.refusals else ("", None)
            why, source = f"chain {chain}, {f'rule {place}' if place else 'its policy'}", program
        if rules is not None or chains:
            yield port, reach, (why, source)


def _listener(address: Address, cf: str, live: Sequence[Listener]) -> Stage:
    """Whether something listens for mail clients where this one can come, whoever holds the socket."""
    ports = {daemon.port for daemon in sendmail_cf.daemons(cf) if is_submission(daemon)} or {587, 465}
    there = [each for each in live if each.port in ports]
    for each in there:
        fits = (
            ":" in each.address if address.version == 6 else each.address == "::" or ":" not in each.address
        )
        if fits and (address.is_loopback or not is_loopback(each.address)):
            return Stage("listener", Sign.OK, f"it reaches port {each.port} at an address where it is open")
    says = (
        "no port for mail clients is open at an address that it can reach: `msa-wizard troubleshoot` says why"
    )
    none = f"nothing listens on {', '.join(map(str, sorted(ports)))}"
    shown = [f"{each.address} port {each.port}" for each in there] or [none]
    return Stage("listener", Sign.FAILED, says, tuple(Evidence(line, "/proc/net/tcp") for line in shown))


def _wrappers(host: Host, address: Address, name: str) -> Stage:
    rule = refusal(host.text(Text.HOSTS_ALLOW), host.text(Text.HOSTS_DENY), str(address), name)
    if not rule:
        return Stage("tcp-wrappers", Sign.OK, "hosts.allow and hosts.deny let it in")
    return Stage(
        "tcp-wrappers", Sign.FAILED, "TCP wrappers turn it away", (Evidence(rule, "hosts.allow, hosts.deny"),)
    )


def _rulesets(host: Host, cf: str, access: str, address: Address, name: str) -> Iterator[Stage]:
    try:
        (met,) = rulesets.admissions(host, cf, [(address, name)])
    except HostError as error:
        yield Stage("rulesets", Sign.UNKNOWN, f"sendmail's rulesets could not be asked: {error}")
        return
    yield from judged(met, access)


def judged(met: Admission, access: str) -> Iterator[Stage]:
    """What the rulesets decide, each with the line of the access map behind it."""

    lines = access_map.lines(access)

    def seen(tag: str) -> tuple[Evidence, ...]:
        line = access_map.deciding(lines, tag, met.address, met.name)
        if line is not None:
            return (Evidence(line.text, f"{Text.ACCESS} line {line.number}"),)
        none = f"no line of {Text.ACCESS} says so: access.db differs from it, or another rule"
        return (Evidence(none, "sendmail -bt"),)

    line = access_map.deciding(lines, access_map.CONNECT, met.address, met.name)
    if met.refused or met.discarded:
        says = (
            "sendmail accepts its mail and throws it away"
            if met.discarded
            else f"sendmail answers each command with {met.refused}"
        )
        yield Stage("connect", Sign.FAILED, says, seen(access_map.CONNECT))
    elif met.refused_late:
        says = f"a client that logs in passes (delay_checks); mail without a login gets {met.refused_late}"
        yield Stage("connect", Sign.WARNING, says, seen(access_map.CONNECT))
    elif line is not None and line.refuses:
        says = (
            "the access map refuses it, but access.db does not know that yet: `make -C /etc/mail access.db`"
        )
        yield Stage("connect", Sign.WARNING, says, seen(access_map.CONNECT))
    else:
        yield Stage("connect", Sign.OK, "sendmail lets it connect")
    for limit, tag, words in (
        (met.rate, access_map.RATE, "within sendmail's window (Debian: ten minutes)"),
        (met.connections, access_map.CONNECTIONS, "at once"),
    ):
        if limit:
            sign = Sign.WARNING if limit <= access_map.FEW else Sign.OK
            says = f"at most {count(limit, 'connection')} {words} from its address, also where many users share it; then 421"
            yield Stage("limit", sign, says, seen(tag))
    slow = met.pause >= rulesets.LONG_PAUSE
    says = f"sendmail waits {met.pause:g} s before it greets"
    yield Stage("greeting", Sign.WARNING if slow else Sign.OK, says, seen(access_map.PAUSE) if slow else ())
    for letter, what in (("S", "STARTTLS"), ("A", "AUTH")):
        if letter in met.features:
            yield Stage("features", Sign.FAILED, f"{what} is not offered to it", seen(access_map.FEATURES))
    if met.refused_tls:
        yield Stage(
            "tls",
            Sign.FAILED,
            f"without a certificate of its own it gets {met.refused_tls}",
            seen(access_map.TLS),
        )


def _dns_list(address: str, zone: str, delayed: bool) -> Stage:
    question = ".".join((*reversed(address.split(".")), zone))
    try:
        answer = _addresses(question, socket.AF_INET)
    except (OSError, WireError) as error:
        return Stage(
            "dns-list", Sign.UNKNOWN, f"whether it is on the list {zone} is not known: {why(error).lower()}"
        )
    if not answer:
        return Stage("dns-list", Sign.OK, f"it is not on the list {zone}")
    says = f"it is on the list {zone}: sendmail refuses it{', unless it logs in (delay_checks)' if delayed else ''}"
    sign = Sign.WARNING if delayed else Sign.FAILED
    return Stage("dns-list", sign, says, (Evidence(f"{question} is {min(answer)}", "DNS"),))


def text(visit: Visit, width: int = WIDTH) -> str:
    """For people; `width` in columns."""
    who = visit.address + (f" ({visit.name})" if visit.name else "")
    head = "is let in: nothing on this host turns it away" if visit.ok else "is turned away, or cannot log in"
    if visit.ok and any(stage.state is Sign.UNKNOWN for stage in visit.stages):
        head = "may be turned away: not everything could be looked at"
    lines = [*wrap(f"A mail client at {who} {head}.", "", "", width), ""]
    for stage in visit.stages:
        lines += wrap(f"{SIGNS[stage.state]} {stage.says}", "   ", "     ", width)
        for piece in stage.evidence:
            lines += wrap(f"| {piece.says}  ({piece.source})", " " * 11, " " * 11 + "|   ", width)
    words = f"Looked from {LOOKED_FROM}. The proof is `msa-wizard test --from-outside`."
    return "\n".join([*lines, "", *wrap(words, "", "", width)])


def to_json(visit: Visit) -> dict[str, object]:
    """Plain values for json.dumps, as of ClientVisit in wizard.model.documents."""
    return {"ok": visit.ok, "looked_from": LOOKED_FROM, **dataclasses.asdict(visit)}
