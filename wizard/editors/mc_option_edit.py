"""Edits of one live DAEMON_OPTIONS in its place: its address, family, modifiers, or switching it off with dnl.

Each takes the text and the number of the listener (in the order of the file, from 0) and returns the new text. Keys,
their spelling, order and spacing stay. An argument that is put together by other macros is refused with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.editors.daemon_options import Pair, last, pairs, parse, plain_address, with_letters
from wizard.editors.edit_error import EditError
from wizard.editors.m4_text import SPACE
from wizard.editors.mc_document import Document, Listener, read
from wizard.editors.mc_placement import newline_of

_WORD_DNL = re.compile(r"(?<![A-Za-z0-9_])dnl(?![A-Za-z0-9_])")


def without_address(text: str, number: int) -> str:
    """Every Addr of it taken off."""
    while (pair := _last(text, number, "a")) is not None:
        text = _without(text, number, pair)
    return text


def with_address(text: str, number: int, address: str) -> str:
    """Its Addr set."""
    return _with(text, number, "a", f"Addr={address}", address)


def with_family(text: str, number: int, family: str) -> str:
    """Its Family set, and a Name that ends in Debian's -v4 or -v6 along with it."""
    text = _with(text, number, "f", f"Family={family}", family)
    name = _last(text, number, "n")
    if name is not None:
        argument = read(text).listeners[number].argument.chars
        ending = "-v6" if family == "inet6" else "-v4"
        renamed = re.sub(r"-v[46]\Z", ending, name.value(argument))
        text = _with(text, number, "n", f"Name={renamed}", renamed)
    return text


def with_modifiers(text: str, number: int, require: str, forbid: str) -> str:
    """Its modifiers with the required letters and without the forbidden ones. Of repeated M= the last is in force."""
    for _ in range(64):
        argument = read(text).listeners[number].argument.chars
        pair = last(argument, "m")
        now = pair.value(argument) if pair else ""
        wanted = with_letters(now, require, forbid)
        if wanted == now:
            return text
        text = (
            _with(text, number, "m", f"M={wanted}", wanted)
            if wanted.strip() or pair is None
            else _without(text, number, pair)
        )
    raise _fail(text, number, "this line has too many modifiers")


def switched_off(text: str, number: int) -> str:
    """The line commented out with a leading `dnl `. What else is on it stays live, on a line of its own."""
    call = read(text).listeners[number].call
    if call.start < 0:
        raise _fail(text, number, "this listener is put together by other macros")
    newline = newline_of(text)
    start = text.rfind("\n", 0, call.start) + 1
    stop = text.find("\n", call.end)
    rest = text[call.end : stop if stop >= 0 else len(text)]
    lead = "dnl " if not text[start : call.start].strip(SPACE) else f"{newline}dnl "
    tail = "" if not rest.strip(SPACE) or re.match(r"[ \t]*dnl(?![A-Za-z0-9_(])", rest) else newline
    body = text[call.start : call.end].replace("\n", "\ndnl ")
    new = text[: call.start] + lead + body + tail + text[call.end :]
    before = [listener.argument.chars for listener in read(text).listeners]
    if [listener.argument.chars for listener in read(new).listeners] != before[:number] + before[
        number + 1 :
    ]:
        raise _fail(text, number, "this line cannot be switched off alone")
    return new


def _last(text: str, number: int, letter: str) -> Pair | None:
    return last(read(text).listeners[number].argument.chars, letter)


def _fail(text: str, number: int, why: str) -> EditError:
    document = read(text)
    return document.fail(document.listeners[number].call, why,
                         "write it on one line as DAEMON_OPTIONS(`Port=..., Name=...')dnl, or switch it off with dnl")  # fmt: skip


def _with(text: str, number: int, letter: str, whole: str, value: str) -> str:
    """The last pair of that key given a new value, or `whole` added: a family in front, all else behind."""
    text = _quoted(text, number)
    listener = read(text).listeners[number]
    argument, offsets = listener.argument.chars, listener.argument.offsets
    pair = last(argument, letter)
    if pair is not None:
        if pair.value(argument) == value:
            return text
        return _spliced(text, number, range(pair.value_start, pair.end), value, at=pair.value_start)
    there = pairs(argument)
    separator = ", " if ", " in argument or "," not in argument else ","
    if not there:
        return _into_empty(text, number, whole)
    if letter == "f":
        at = offsets[there[0].start]
        return _inserted(text, number, at, whole + separator)
    return _inserted(text, number, offsets[there[-1].end - 1] + 1, separator + whole)


def _without(text: str, number: int, pair: Pair) -> str:
    """One pair taken out with one comma."""
    argument = read(text).listeners[number].argument.chars
    there = pairs(argument)
    at = there.index(pair)
    if at:
        start = argument.rfind(",", 0, pair.start)
        return _spliced(text, number, range(start, pair.end), "", at=start)
    end = there[1].start if len(there) > 1 else pair.end
    return _spliced(text, number, range(pair.start, end), "", at=pair.start)


def _spliced(text: str, number: int, indexes: Iterable[int], value: str, at: int) -> str:
    """The characters of the argument at `indexes` taken out of the file, and `value` put where the first one was."""
    listener = read(text).listeners[number]
    taken = [listener.argument.offsets[index] for index in indexes]
    if any(offset < 0 for offset in taken) or taken != sorted(taken):
        raise _fail(text, number, "these options are put together by other macros")
    if not taken:
        before = listener.argument.offsets[at - 1] if at else -1
        return _inserted(text, number, before + 1 if before >= 0 else -1, value)
    gone = set(taken)
    rest = "".join(
        char for offset, char in enumerate(text[taken[0] : taken[-1] + 1], taken[0]) if offset not in gone
    )
    return text[: taken[0]] + value + rest + text[taken[-1] + 1 :]


def _inserted(text: str, number: int, offset: int, value: str) -> str:
    if offset <= 0:
        raise _fail(text, number, "these options are put together by other macros")
    return text[:offset] + value + text[offset:]


def _into_empty(text: str, number: int, whole: str) -> str:
    call = read(text).listeners[number].call
    if call.start < 0 or not call.spans:
        raise _fail(text, number, "these options are put together by other macros")
    return f"{text[: call.spans[0][0]]}`{whole}'{text[call.spans[0][1] :]}"


def _quoted(text: str, number: int) -> str:
    """A bare argument put in quotes, so that commas in it reach sendmail.

    m4 cuts a bare `Port=587, Name=MSA` at the comma and drops the rest. The quotes bring the rest to life, which is
    refused where that would change the port, the family or the address that the line has now."""
    document = read(text)
    listener = document.listeners[number]
    call = listener.call
    if call.start < 0 or not call.spans:
        raise _fail(text, number, "this listener is put together by other macros")
    if not listener.argument.chars.strip(SPACE) or _inside_quotes(document, listener):
        return text
    start, end = call.spans[0][0], call.spans[-1][1]
    raw = text[start:end]
    if re.search(r"[`'\n()]", raw) or _WORD_DNL.search(raw):
        raise _fail(text, number, "these options are half in quotes and half out")
    bare = raw.strip(SPACE)
    now, then = parse(listener.argument.chars, 0), parse(bare, 0)
    same = (now.port_number, now.family) == (then.port_number, then.family)
    if not same or not (then.loopback or plain_address(then.address) == plain_address(now.address)):
        raise _fail(
            text, number, "without quotes m4 cuts these options at the first comma and drops the rest"
        )
    return f"{text[:start]}`{bare}'{text[end:]}"


def _inside_quotes(document: Document, listener: Listener) -> bool:
    offset = listener.argument.offsets[len(listener.argument.chars.rstrip(SPACE)) - 1]
    start = listener.call.spans[0][0]
    depth, at = 0, start
    while at < offset:
        char = document.text[at]
        depth += (char == "`") - (char == "'")
        if depth == 0 and _WORD_DNL.match(document.text, at):
            at = document.text.find("\n", at)
        at += 1
    return depth > 0
