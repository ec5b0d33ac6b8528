"""The editor of sendmail.mc, for howto 3.2 to 3.5, and of submit.mc: what a file says, and the edits.

Everything takes and returns text decoded as latin-1. Every function raises EditError, with the line, for a file that
m4 could not read or whose meaning cannot be known. What an edit would not achieve it refuses: the result is read again.
"""

from __future__ import annotations

import difflib
import posixpath
import re

from wizard.editors import EditError, cf_macros, line_number, line_start
from wizard.editors.daemon_options import DaemonOption, collisions
from wizard.editors.m4_builtins import Setting
from wizard.editors.m4_text import SPACE, Call
from wizard.editors.mc_document import Document, after_call, insert, macro_part_end, place_before, read
from wizard.editors.mc_listeners import (
    Wanted,
    add_listener,
    daemon_options,
    raw_listeners,
    require_login,
    set_listeners,
)

__all__ = [
    "DaemonOption", "EditError", "Wanted", "add_feature", "add_include", "add_listener", "check", "collisions", "daemon_options",
    "define_value", "features", "includes", "on_loopback", "raw_listeners", "require_login", "set_define", "set_listeners", "starts_over", "trusted_mechanisms", "unknown_macros",
]  # fmt: skip

_BARE_VALUE = re.compile(r"[A-Za-z0-9_.+/:-]+(?: [A-Za-z0-9_.+/:-]+)*\Z")
_SKIP = re.compile(r"(?:[ \t\r\n\f\v]+|dnl(?![A-Za-z0-9_(])[^\n]*(?:\n|\Z))*")

_UPPER = re.compile(r"[A-Z][A-Z0-9_]{3,}\Z")
_LOWER = re.compile(r"[a-z_]{4,20}\Z")
_BUILTINS = ("define", "undefine", "include", "sinclude", "divert", "ifdef", "ifelse")
_BY_HAND = "write it by hand: FEATURE(`msp', `[127.0.0.1]', `25')dnl"
_ALONE = (*cf_macros.SECTIONS, "MAILER_DEFINITIONS")
_MACRO_PART = (0, cf_macros.MAILER_DEFINITIONS)


def check(text: str) -> None:
    """Raises EditError where the file cannot be understood: a quote or parenthesis never closed, changequote, a cf
    macro written without its parenthesis, an apostrophe where a backquote belongs, a condition nobody can decide."""
    document = read(text)
    daemon_options(text)
    macro_part_end(document)


def includes(text: str) -> tuple[str, ...]:
    """The paths of the live include() and sinclude() calls, in order, cf.m4's own among them."""
    return tuple(path for path, _ in read(text).included)


def features(text: str) -> tuple[str, ...]:
    """The names of the live FEATUREs, in order."""
    return tuple(name for name, _ in _features(read(text)))


def trusted_mechanisms(text: str) -> tuple[str, ...]:
    """The mechanisms of all live TRUST_AUTH_MECH, each once."""
    document = read(text)
    values = (document.expanded(call.arg(1)) for call in document.named("TRUST_AUTH_MECH"))
    return tuple(dict.fromkeys(word for value in values for word in value.split()))


def define_value(text: str, name: str) -> str | None:
    """What the file's own defines make of `name` in the end, quotes taken off.

    None where it has no live define, where an undefine comes last, and where the last one is above the include of
    Debian's sasl.m4 or starttls.m4 that sets the same name again (docs/debian.md trap 10)."""
    document = read(text)
    setting = _in_force(document, name)
    return document.expanded(setting.value) if setting is not None and setting.value is not None else None


def add_include(text: str, path: str, block: str) -> str:
    """`block`, which includes `path`, put in before the MAILER lines, unless a live include of it is anywhere.

    What Debian's files set overrides what is above their include: so they go above the first line by which the file
    sets the same name itself (docs/debian.md trap 14)."""
    wanted = posixpath.normpath(path)
    if wanted in map(posixpath.normpath, includes(text)):
        return text
    document = read(text)
    own = [setting.call for setting in document.settings if setting.name in _set_by(wanted)]
    new = insert(text, _above_own(document, own, macro_part_end(document)), block)
    if wanted not in map(posixpath.normpath, includes(new)):
        raise EditError(None, block, f"these lines do not include {path}", "fix the template")
    return new


def add_feature(text: str, name: str, block: str) -> str:
    """`block`, which holds FEATURE(`name'), put in before the first live DAEMON_OPTIONS and in any case before the
    MAILER lines (m4 complains of a FEATURE behind them), unless the feature is live already."""
    if name in features(text):
        return text
    document = read(text)
    place = macro_part_end(document)
    clients = [call for feature, call in _features(document) if feature == "nullclient"]
    for calls in (document.named("DAEMON_OPTIONS"), clients):
        if calls:
            place = min(place, place_before(document, calls))
    new = insert(text, place, block)
    if name not in features(new):
        raise EditError(None, block, f"these lines do not turn on the feature {name}", "fix the template")
    return new


def set_define(text: str, name: str, value: str, block: str) -> str:
    """The define of `name` made to be `value`: the live one that is in force is changed in place, its value alone;
    where there is none `block` goes to where includes go, after those of sasl.m4 and starttls.m4."""
    if re.search(r"[`'\x00-\x1f]", value):
        why = f"this cannot be a value of {name} in m4"
        raise EditError(None, value, why, "use no quotes and no line breaks")
    if define_value(text, name) == value:
        return text
    document = read(text)
    setting = _in_force(document, name)
    if setting is None or setting.value is None:
        settings = (after_call(document, call) for path, call in document.included if _set_by(path))
        new = insert(text, max([macro_part_end(document), *settings]), block)
    else:
        new = _with_value(document, setting, value)
    if define_value(new, name) != value:
        why = f"with this line {name} does not become `{value}'"
        remedy = f"take the line out with dnl, or set {name} by hand below it"
        offsets = [setting.call.offset for setting in document.settings if setting.name == name]
        raise EditError.at(text, offsets[-1], why, remedy) if offsets else EditError(None, name, why, remedy)
    return new


def starts_over(text: str, name: str, path: str) -> bool:
    """Whether the file sets `name` behind the include of `path`, and takes nothing over of what that set (by defn)."""
    document, wanted = read(text), posixpath.normpath(path)
    setting = _in_force(document, name)
    behind = [call.offset for included, call in document.included if posixpath.normpath(included) == wanted]
    if setting is None or setting.value is None or not behind or setting.call.start < 0:
        return False
    written = text[setting.call.start : setting.call.end]
    return setting.call.offset > behind[0] and "defn" not in written


def unknown_macros(text: str) -> tuple[tuple[int, str, str], ...]:
    """Misspelt macro names, which m4 copies into sendmail.cf unchanged and `sendmail -bC` does not mind (docs/debian.md
    trap 1): calls at line starts that no macro answers, as line, word, and the nearest known name (empty if none is near).

    An upper-case word without a near name is only reported where no other file could have defined it."""
    document = read(text)
    defined = {setting.name for setting in document.settings}
    foreign = {path.rpartition("/")[2] for path, _ in document.included} - cf_macros.DEBIAN_INCLUDES
    unknown = []
    for word in document.words:
        if word.offset < 0 or word.diversion < 0 or word.name in defined:
            continue
        if text[line_start(text, word.offset) : word.offset].strip(" \t"):
            continue
        near, rest = "", text[word.offset + len(word.name) :].partition("\n")[0]
        if word.called and _UPPER.match(word.name):
            lower = word.name.lower()  # m4 tells cases apart
            near = lower if lower in _BUILTINS else _near(word.name, (*cf_macros.KNOWN, *defined), 0.75)
            if not near and (foreign or word.diversion not in _MACRO_PART):
                continue
        elif word.called and _LOWER.match(word.name):
            upper = word.name.upper()
            near = upper if upper in cf_macros.KNOWN else _near(word.name, _BUILTINS, 0.75)
        elif _UPPER.match(word.name) and re.match(r"[ \t\r]*(dnl\b.*)?$", rest):
            near = _near(word.name, _ALONE, 0.8)
        if near or (word.called and _UPPER.match(word.name)):
            unknown.append((line_number(text, word.offset), word.name, near))
    return tuple(unknown)


def _features(document: Document) -> list[tuple[str, Call]]:
    return [(document.expanded(call.arg(1)).strip(SPACE), call) for call in document.named("FEATURE")]


def _near(name: str, known: tuple[str, ...], cutoff: float) -> str:
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, cutoff)), "")


def _in_force(document: Document, name: str) -> Setting | None:
    last = next((setting for setting in reversed(document.settings) if setting.name == name), None)
    overriding = [call for path, call in document.included if name in _set_by(path)]
    return None if last and any(call.offset > last.call.offset for call in overriding) else last


def _set_by(path: str) -> frozenset[str]:
    """What an include of `path` sets, where it is one of Debian's."""
    return cf_macros.SET_BY_INCLUDE.get(path.rpartition("/")[2], frozenset())


def _above_own(document: Document, own: list[Call], place: int) -> int:
    """The last place above all of these calls, `place` at most. Raises EditError where none can be an include's."""
    above = min([place, *(line_start(document.text, call.outer) for call in own)])
    usable = document.live_starts(above)
    if not usable:
        why = (
            "Debian's file of settings would have to be above this line, which it would override, but cannot be: cf.m4 is included "
            "below it, or a divert(-1) is above it"
        )
        raise document.fail(own[0], why, "move the line below OSTYPE")
    return place if above == place else usable[-1]


def _with_value(document: Document, setting: Setting, value: str) -> str:
    text, call = document.text, setting.call
    if call.name not in ("define", "pushdef") or call.start < 0:
        why = f"the define of {setting.name} is put together by other macros here"
        raise document.fail(call, why, "write it as a plain define")
    if len(call.spans) < 2:
        return f"{text[: call.end - 1]}, `{value}'{text[call.end - 1 :]}"
    start, end = call.spans[1][0], call.spans[-1][1]
    skipped = _SKIP.match(text, start, end)
    first = skipped.end() if skipped else start
    quoted = False
    while text[first:end].startswith("`"):
        close = _closing(text, first, end)
        rest = _SKIP.match(text, close + 1, end)
        if rest is None or rest.end() != end:
            break
        first, end, quoted = first + 1, close, True
    if quoted and not text[first:end].startswith("`"):
        return text[:first] + value + text[end:]
    bare = _BARE_VALUE.match(text[first:end].rstrip()) and _BARE_VALUE.match(value)
    if quoted or bare:
        return text[:first] + value + text[first:end][len(text[first:end].rstrip()) :] + text[end:]
    return f"{text[:first]}`{value}'{text[end:]}"


def _closing(text: str, start: int, end: int) -> int:
    depth = 0
    for at in range(start, end):
        depth += (text[at] == "`") - (text[at] == "'")
        if depth == 0:
            return at
    return end


def on_loopback(text: str) -> str:
    """A submit.mc (FEATURE(`msp', `HOST', `PORT'), cf/feature/msp.m4) that hands local mail to port 25 of 127.0.0.1,
    whatever the msp line and RELAY_MAILER_ARGS said.

    Raises EditError where there is no live msp line, or it is put together by other macros."""
    call = _msp(text)
    new = text
    if _argument(call, 3).upper() == "MSA":
        new = _with_argument(new, 3, "25")
    if _argument(call, 2) != "[127.0.0.1]":
        new = _with_argument(new, 2, "[127.0.0.1]")
    if define_value(new, "RELAY_MAILER_ARGS") not in (None, "TCP $h"):
        new = set_define(new, "RELAY_MAILER_ARGS", "TCP $h", "")
    again = _msp(new)
    if _argument(again, 2) != "[127.0.0.1]" or _argument(again, 3).upper() == "MSA":
        raise EditError.at(new, again.offset, "the line does not come out as planned", _BY_HAND)
    return new


def _msp(text: str) -> Call:
    calls = [call for name, call in _features(read(text)) if name.removesuffix(".m4") == "msp"]
    if not calls:
        raise EditError(None, "", "it has no live FEATURE(`msp')", _BY_HAND)
    return calls[-1]


def _argument(call: Call, number: int) -> str:
    return call.arg(number).chars.strip(SPACE).strip("`'")


def _with_argument(text: str, number: int, value: str) -> str:
    """Argument `number` of the msp line in new words; the rest of the line stays."""
    call = _msp(text)
    if call.start < 0:
        raise EditError.at(text, call.offset, "this line is put together by other macros", _BY_HAND)
    if len(call.spans) < number:
        missing = ", `'" * (number - len(call.spans) - 1) + f", `{value}'"
        return f"{text[: call.end - 1]}{missing}{text[call.end - 1 :]}"
    start, end = call.spans[number - 1]
    raw = text[start:end]
    first, last = end - len(raw.lstrip(SPACE)), start + len(raw.rstrip(SPACE))
    return f"{text[:first]}`{value}'{text[max(first, last) :]}"
