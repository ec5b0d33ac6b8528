"""The editor of a zone file of firewalld: /etc/firewalld/zones/*.xml (firewalld.zone(5))."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wizard.editors import EditError, newline_of

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_RULE = re.compile(r"<rule\b.*?</rule\s*>", re.DOTALL)
_PORT = re.compile(r"<port\b[^>]*/>")
_END = re.compile(r"[ \t]*</zone\s*>")


def ports(text: str) -> tuple[tuple[int, int], ...]:
    """The TCP ports that the zone opens by number, as ranges."""
    ranges = []
    for tag in _PORT.findall(_of_the_zone(text)):
        kept = dict(re.findall(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']", tag))
        low, _, high = kept.get("port", "").partition("-")
        if kept.get("protocol") == "tcp" and low.isdigit() and (high or low).isdigit():
            ranges.append((int(low), int(high or low)))
    return tuple(ranges)


def services(text: str) -> frozenset[str]:
    """The services that the zone opens."""
    return frozenset(re.findall(r"<service\b[^>]*\bname=[\"']([^\"']+)[\"']", _of_the_zone(text)))


def add(text: str, elements: Sequence[str]) -> str:
    """The elements after the last port of the zone itself, else before its end. Raises EditError for a text with not
    just one end of a zone."""
    shown = _outside_comments(text)
    ends = list(_END.finditer(shown))
    if len(ends) != 1:
        remedy = "`firewall-cmd --check-config` says what is wrong with the file"
        raise EditError(None, "", "there is not one </zone> in it", remedy)
    newline, at = newline_of(text), ends[0].start()
    last = [match for match in _PORT.finditer(_of_the_zone(text)) if match.end() <= at]
    if last:
        at = last[-1].end()
        return text[:at] + "".join(f"{newline}  {element}" for element in elements) + text[at:]
    lead = "" if at == 0 or text[at - 1] == "\n" else newline
    return text[:at] + lead + "".join(f"  {element}{newline}" for element in elements) + text[at:]


def _of_the_zone(text: str) -> str:
    """The same length; comments, and what belongs to a <rule> and not to all of the zone, blanked."""
    return _blanked(_RULE, _outside_comments(text))


def _outside_comments(text: str) -> str:
    """The same length, comments blanked."""
    return _blanked(_COMMENT, text)


def _blanked(what: re.Pattern[str], text: str) -> str:
    return what.sub(lambda match: " " * len(match.group()), text)
