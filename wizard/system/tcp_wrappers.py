"""What TCP wrappers say to a client of sendmail, which is linked with them on Debian (hosts_access(5), hosts_options(5)). Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterator


def refusal(allow: str, deny: str, address: str, name: str = "") -> str:
    """The rule by which /etc/hosts.allow or /etc/hosts.deny, of these texts, turn the client away; empty where they let
    it in. The first rule that matches decides, and hosts.allow is read first."""
    for rule, clients, admits in _rules(allow, deny):
        if _listed(clients, lambda word: _is(word, address, name)):
            return "" if admits else rule
    return ""


def refusing(allow: str, deny: str) -> tuple[str, ...]:
    """The rules by which some client or other is turned away."""
    rules = []
    for rule, clients, admits in _rules(allow, deny):
        if not admits:
            rules.append(rule)
        if clients.strip().upper() == "ALL":
            break  # it matches everybody: none behind it is asked
    return tuple(rules)


def names_sendmail(allow: str) -> bool:
    """Whether update_tcpd finds sendmail named in hosts.allow: else sendmailconfig puts a line on top of it that lets in all."""
    return re.search(r"^[^#:\n]*sendmail[^:\n]*:", allow, re.MULTILINE) is not None


def _rules(allow: str, deny: str) -> Iterator[tuple[str, str, bool]]:
    """The rules for sendmail in the order in which they are asked: itself, its clients, and whether it lets them in."""
    for text, admits in ((allow, True), (deny, False)):
        for rule in text.replace("\\\n", " ").splitlines():
            # A colon within brackets belongs to an IPv6 address.
            daemons, *rest = re.split(r"[ \t]*:[ \t]*(?![^\[]*\])", rule.partition("#")[0].strip())
            if rest and _listed(daemons, lambda word: word.lower() in ("all", "sendmail")):
                last = rest[-1].lower() if len(rest) > 1 else ""
                yield rule.strip(), rest[0], last == "allow" or (admits and last != "deny")


def _listed(words: str, holds: Callable[[str], bool]) -> bool:
    """Whether one of the words holds, and none behind EXCEPT."""
    first, _, besides = re.sub(r"[\s,]+", " ", words).partition(" EXCEPT ")
    return any(map(holds, first.split())) and not (besides and _listed(besides, holds))


def _is(word: str, address: str, name: str) -> bool:
    match word.upper():
        case "ALL":
            return True
        case "LOCAL":
            return bool(name) and "." not in name
        case "UNKNOWN":
            return not name
        case "KNOWN":
            return bool(name)
    if word.startswith("."):
        return name.lower().endswith(word.lower())
    if word.endswith("."):
        return address.startswith(word)
    if "*" in word or "?" in word:
        return fnmatch.fnmatch(address, word) or fnmatch.fnmatch(name.lower(), word.lower())
    try:
        net = ipaddress.ip_network(word.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return bool(name) and word.lower() == name.lower()
    return ipaddress.ip_address(address) in net
