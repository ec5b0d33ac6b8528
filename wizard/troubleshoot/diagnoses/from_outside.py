"""What only clients from outside meet: rules of the access map, limits, and names that are not found before the greeting
(cf/README, section ANTI-SPAM CONFIGURATION CONTROL; op.me, section 5.1.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from wizard.console import count
from wizard.model.plan import Sign
from wizard.sendmail import access_map
from wizard.sendmail.access_map import FEW, Line
from wizard.sendmail.rulesets import LONG_PAUSE, Admission, delayed
from wizard.troubleshoot.diagnoses.logged_clients import logged_in
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_DEBIANS = frozenset({"169.254", "192.0.2", "224", "255", "reject@"})
"""What Debian's own access map refuses: nobody's addresses."""
_RULES = (
    ("rate limit", access_map.RATE),
    ("open connections", access_map.CONNECTIONS),
    ("pre-greeting", access_map.PAUSE),
    ("authenticat", access_map.TLS),
    ("", access_map.CONNECT),
)
"""Words of the reason in the log, and the tag of the lines that give it."""


def _lines(picture: Picture) -> tuple[Line, ...]:
    return access_map.lines(picture.texts.get(Text.ACCESS, ""))


def _shown(lines: Iterable[Line]) -> tuple[Evidence, ...]:
    return tuple(Evidence(line.text, f"{Text.ACCESS} line {line.number}") for line in lines)


_FROM = "see `msa-wizard troubleshoot --from {}`; where access.db is older than its text `make -C /etc/mail access.db`, else look for LOCAL_RULESETS in sendmail.mc"


def _names(picture: Picture) -> Finding | None:
    slow = picture.outside.nameless
    if len(slow) < len(access_map.STRANGERS):
        return None
    text = picture.texts.get(Text.RESOLV_CONF, "")
    servers = re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE)[:3]
    # resolv.conf(5): 5 s for each of 2 attempts; sendmail asks twice before it greets (tried on Debian 12).
    given = dict(re.findall(r"\b(timeout|attempts):(\d{1,2})\b", text))
    seconds = 2 * int(given.get("timeout", 5)) * int(given.get("attempts", 2)) * (len(servers) or 1)
    named = ", ".join(servers) or "those of nsswitch.conf"
    return Finding(
        f"the name servers ({named}) do not answer in time: clients wait up to {seconds} s for the greeting, and many give up",
        (
            *(Evidence(f"nameserver {server}", Text.RESOLV_CONF) for server in servers),
            *(Evidence(f"{address}: no answer in 2 s, twice", "getent hosts") for address in slow),
        ),
        Mend(
            text=f"put name servers that answer into {Text.RESOLV_CONF} in place of {named}; then `systemctl restart sendmail`, which has read the old ones"
        ),
    )


def _general(picture: Picture) -> list[Admission]:
    """This host's own addresses, and strangers where all of them fare alike."""
    seen = picture.outside
    alike = len({(met.refused, met.discarded, met.refused_tls) for met in seen.strangers}) == 1
    return [*seen.own, *(seen.strangers if alike else ())]


def _general_lines(picture: Picture) -> list[Line]:
    """Those that decide on whether this host's net, or everybody, may come."""
    lines, own = _lines(picture), picture.facts.addresses
    return [line for tag in access_map.REFUSING for line in access_map.general(lines, tag, own)]


def _refused(picture: Picture) -> Finding | None:
    met = [each for each in _general(picture) if each.refused or each.discarded or each.refused_tls]
    if not met:
        code = picture.outside.greeting[:3]
        if not code.startswith("5"):
            return None
        reply = Evidence(picture.outside.greeting, f"{picture.outside.greeted_at}, an address of this host")
        return Finding(
            "clients from this host's own address are refused",
            (reply,),
            Mend(text=_FROM.format(picture.outside.greeted_at)),
        )
    refusing = [line for line in _general_lines(picture) if line.refuses]
    who = "everywhere" if met[-1] in picture.outside.strangers else "this host's own net"
    if met[0] in picture.outside.strangers and picture.outside.own:
        who = "elsewhere than this host's own net"
    how = (
        "mail is accepted and thrown away"
        if met[0].discarded
        else f"each gets {met[0].refused or met[0].refused_tls}"
    )
    return Finding(
        f"sendmail refuses mail clients from {who}: {how}",
        (
            *_shown(refusing),
            Evidence(
                f"{met[0].address}: {met[0].refused or met[0].refused_tls or 'discard'}", "sendmail -bt"
            ),
        ),
        Mend(("mend-access",)) if refusing else Mend(text=_FROM.format(met[0].address.removeprefix("IPv6:"))),
    )


def _features(picture: Picture) -> Finding | None:
    lines = access_map.general(_lines(picture), access_map.FEATURES, picture.facts.addresses)
    hiding = [line for line in lines if line.hides]
    met = [
        each for each in (*picture.outside.own, *picture.outside.strangers) if {"A", "S"} & set(each.features)
    ]
    if not hiding or not met:
        return None
    word, layer = ("STARTTLS", Layer.STARTTLS) if "S" in met[0].features else ("AUTH", Layer.AUTH_OFFER)
    return Finding(
        f"a line of the access map hides {word} from mail clients",
        (*_shown(hiding), Evidence(f"{met[0].address}: {met[0].features}", "sendmail -bt, srv_features")),
        Mend(("mend-access-features",)),
        layer=layer,
    )


def _limited(picture: Picture) -> Finding | None:
    low = [line for line in _lines(picture) if line.low]
    if not low:
        return None
    return Finding(
        f"the access map allows some clients {FEW} connections or fewer, at once or within sendmail's window (Debian: ten minutes): an office behind one address soon gets 421",
        _shown(low[:4]),
        Mend(("mend-access-limits",)),
        Sign.WARNING,
    )


def _map_is(picture: Picture) -> Finding | None:
    state = picture.outside.map_is
    if not state:
        return None
    missing = state == "missing"
    follows = (
        "sendmail cannot tell any client what it may do"
        if missing
        else "what was edited since has no effect yet"
    )
    return Finding(
        f"access.db, which sendmail reads, is {state}{'' if missing else ' than its text'}: {follows}",
        (Evidence(state, f"{Text.ACCESS}.db"),),
        Mend(text="`make -C /etc/mail access.db`"),
        Sign.FAILED if missing else Sign.WARNING,
    )


def _pause(picture: Picture) -> Finding | None:
    met = [each for each in _general(picture) if each.pause >= LONG_PAUSE]
    if not met:
        return None
    lines = access_map.general(_lines(picture), access_map.PAUSE, picture.facts.addresses)
    return Finding(
        f"sendmail waits {met[0].pause:g} s before it greets mail clients, and some give up",
        (*_shown(lines), Evidence(f"{met[0].address}: {met[0].pause:g} s", "sendmail -bt, greet_pause")),
        Mend(
            text=f"lower GreetPause in {Text.ACCESS}, or FEATURE(`greet_pause') in sendmail.mc; 1 to 5 s is usual"
        ),
        Sign.WARNING,
    )


def _kept_out(picture: Picture) -> Finding | None:
    lines = _lines(picture)
    general = _general_lines(picture)
    refusing = [line for line in lines if line.refuses and line.key not in _DEBIANS and line not in general]
    if not refusing or delayed(picture.cf):
        return None
    return Finding(
        f"the access map refuses {count(len(refusing), 'address, net or domain', 'addresses, nets or domains')}, also to users who would log in",
        _shown(refusing[:4]),
        Mend(
            text=f"if users come from there: take the line out of {Text.ACCESS}, then `make -C /etc/mail access.db`"
        ),
        Sign.WARNING,
    )


_EVERYDAY = ("421 ", "due to pre-greeting", "possible SMTP attack")
"""What those who guess passwords earn all day: it counts where a client has logged in from there."""


def _turned_away(picture: Picture) -> Finding | None:
    if not picture.outside.turned_away:
        return None
    peers = [ip_address(peer) for peer in logged_in(picture)]
    known = {access_map.written(peer, compressed=short) for peer in peers for short in (True, False)}
    counts = {
        client: client.address in known or not client.why.startswith(_EVERYDAY)
        for client in picture.outside.turned_away
    }
    seen = sorted(counts, key=lambda client: not counts[client])
    lines = _lines(picture)
    rules = []
    for client in seen[:4]:
        tag = next(tag for words, tag in _RULES if words in client.why)
        rules.append(access_map.deciding(lines, tag, client.address))
    return Finding(
        f"{count(sum(client.times for client in seen), 'connection')} of {count(len({client.address for client in seen}), 'client')} turned away in the last day, or since the access map was made",
        (
            *(
                Evidence(f"{client.address}: {client.why} ({client.times}x)", client.line.source)
                for client in seen[:4]
            ),
            *_shown(dict.fromkeys(filter(None, rules))),
        ),
        Mend(
            text=f"if it is a user's: `msa-wizard troubleshoot --from {seen[0].address.removeprefix('IPv6:')}` names the rule"
        ),
        Sign.WARNING if any(counts.values()) else Sign.OK,
    )


_G, _MAP = Layer.GREETING, "the access map, asked by sendmail's own rulesets"
NAMES = (
    Diagnosis(
        "names-slow",
        Layer.NAME,
        "the server takes a minute to answer",
        "",
        "a timed look-up",
        _names,
        cause="the name servers do not answer in time, and sendmail asks them for each client before it greets",
        fix="put name servers that answer into /etc/resolv.conf, then `systemctl restart sendmail`",
    ),
)
DIAGNOSES = (
    Diagnosis(
        "access-not-made",
        _G,
        "they are still refused, though I have let them in",
        "",
        "dates of the map",
        _map_is,
        cause="access.db is older than /etc/mail/access, so the last edit has no effect yet",
        fix="rebuild it: `make -C /etc/mail access.db`",
    ),
    Diagnosis(
        "clients-refused",
        _G,
        "access denied, though it works on the server",
        "",
        _MAP,
        _refused,
        cause="a line of the access map, or a rule, refuses mail clients from the host's own net, or all",
        fix="take the line out of /etc/mail/access (--fix: mend-access)",
    ),
    Diagnosis(
        "clients-no-features",
        _G,
        "no login or no encryption offered, though it works on the server",
        "",
        _MAP,
        _features,
        cause="a Srv_Features line of the access map hides AUTH or STARTTLS from mail clients",
        fix="take it out of /etc/mail/access (--fix: mend-access-features)",
    ),
    Diagnosis(
        "clients-wait",
        _G,
        "the server takes long to answer",
        "",
        _MAP,
        _pause,
        cause="sendmail pauses long before it greets mail clients (greet_pause)",
        fix="lower GreetPause in /etc/mail/access, or FEATURE(`greet_pause') in sendmail.mc",
    ),
    Diagnosis(
        "clients-limited",
        _G,
        "421, when several of us send",
        "",
        Text.ACCESS,
        _limited,
        cause="ClientRate or ClientConn in the access map allows so few connections that an office behind one address gets 421",
        fix="raise it (--fix: mend-access-limits)",
    ),
    Diagnosis(
        "clients-kept-out",
        _G,
        "access denied for some",
        "",
        Text.ACCESS,
        _kept_out,
        cause="lines of the access map refuse addresses, nets or domains, also to users who would log in",
        fix="if users come from there, take the line out of /etc/mail/access, then `make -C /etc/mail access.db`",
    ),
    Diagnosis(
        "clients-turned-away",
        _G,
        "some users are refused, others are not",
        "",
        "the last day of the log",
        _turned_away,
        cause="sendmail turned clients away in the last day, as its log says",
        fix="ask for the rule: `msa-wizard troubleshoot --from ADDRESS`",
    ),
)
