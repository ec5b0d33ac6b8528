"""The listeners of a sendmail.mc: reading them, and making those of one service what is wanted (howto 3.3, 3.5).

Which of the admin's stay, change or go, and which are missing, is decided on what was read (`_keeping`, `_exactly`). Then
each is edited in its place by its number in the file, from 0: keys, their spelling, order and spacing stay. An argument
that is put together by other macros is refused with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from wizard.editors import EditError, line_number, line_start, newline_of
from wizard.editors.daemon_options import (
    DaemonOption,
    Pair,
    collide,
    collisions,
    is_wildcard,
    last,
    pairs,
    parse,
    plain_address,
    unknown_pair,
    with_letters,
)
from wizard.editors.m4_text import SPACE
from wizard.editors.mc_document import Document, Listener, after_call, insert, macro_part_end, read

_TCP = ("inet", "inet6")
_WORD_DNL = re.compile(r"(?<![A-Za-z0-9_])dnl(?![A-Za-z0-9_])")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A listener that is asked for. `service` is smtp, submission or submissions; `name` is used only where the line
    is newly written; `address` None is every address; `require` and `forbid` are modifier letters."""

    service: str
    family: str
    name: str
    address: str | None
    require: str
    forbid: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one live line: off, or with this family and address (None: without Addr)."""

    family: str
    address: str | None
    off: bool = False


def daemon_options(text: str) -> tuple[DaemonOption, ...]:
    """The live DAEMON_OPTIONS of the file itself, in its order. Those of included files are not among them, nor the
    built-in ones that sendmail has where there is none (25, and 587 unless FEATURE(`no_default_msa'))."""
    document = read(text)
    options = []
    for listener in document.listeners:
        argument = listener.argument.chars
        bad = unknown_pair(argument)
        if bad is not None:
            why = f"sendmail does not know the option {bad!r} and would not start"
            raise document.fail(listener.call, why, "correct it, or switch the line off with dnl")
        options.append(parse(argument, line_number(text, listener.call.offset)))
    return tuple(options)


def raw_listeners(text: str) -> tuple[DaemonOption, ...]:
    """Those that the file itself has as raw lines of sendmail.cf."""
    document = read(text)
    return tuple(parse(value, line_number(text, offset)) for offset, value in document.raw_daemons())


def set_listeners(
    text: str, service: str, wanted: Sequence[Wanted], render: Callable[[Wanted], str], keep_addresses: bool
) -> str:
    """The listeners of `service` made as wanted; `render` writes the line for one that is missing.

    With `keep_addresses` the admin's own addresses stay and only loopback ones go, as Debian ships them; without, just
    the wanted families and addresses remain. Surviving lines keep all that is not asked for; where a login is, one on
    loopback beside another that serves other machines stays as it is. Lines too many are switched off with dnl. Raises
    EditError where two listeners would take the port from each other."""
    if keep_addresses and not wanted:
        return text
    document = read(text)
    _refuse_raw(document, service)
    options = daemon_options(text)
    numbers = [at for at, each in enumerate(options) if each.service == service and each.family in _TCP]
    lines = [options[at] for at in numbers]
    fates, missing = (_keeping if keep_addresses else _exactly)(lines, wanted)
    for number, line, fate in zip(numbers, lines, fates, strict=True):
        stays = fate == Fate(line.family, line.address) and _for_this_host(line, lines, wanted)
        if not (fate.off or stays):
            text = _edited(text, number, line, fate, _rule(wanted, fate.family, fate.address))
    added = "".join(_ended(render(listener)) for listener in missing)
    anchor = numbers[-1] if numbers else len(options) - 1
    if added:
        document = read(text)
        place = after_call(document, document.listeners[anchor].call) if options else macro_part_end(document)
        text = insert(text, place, added)
    for number, fate in sorted(zip(numbers, fates, strict=True), key=lambda pair: -pair[0]):
        if fate.off:
            text = _switched_off(text, number)
    _verify(text, service, wanted, missing)
    return text


def add_listener(text: str, listener: Wanted, render: Callable[[Wanted], str]) -> str:
    """One more listener, behind the last one that is there. Raises EditError where its port is taken by then."""
    document = read(text)
    at = after_call(document, document.listeners[-1].call) if document.listeners else macro_part_end(document)
    new = insert(text, at, _ended(render(listener)))
    _verify(new, listener.service, (), (listener,))
    return new


def require_login(text: str, service: str) -> str:
    """The listeners of `service` that other machines reach, with modifier a; those on loopback alone stay as they are."""
    for number, listener in enumerate(daemon_options(text)):
        if listener.service == service and listener.family in _TCP and not listener.loopback:
            text = _with_modifiers(text, number, "a", "A")
    return text


def _for_this_host(line: DaemonOption, lines: Sequence[DaemonOption], wanted: Sequence[Wanted]) -> bool:
    """Whether it is there for programs of this host alone, where a login is asked: one of the admin's on loopback, beside
    another that serves other machines, and not asked for by its address."""
    asked_for = any(plain_address(each.address) == plain_address(line.address) for each in wanted)
    login = any("a" in each.require for each in wanted)
    return login and line.loopback and not asked_for and not all(each.loopback for each in lines)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else line + "\n"


def _rule(wanted: Sequence[Wanted], family: str, address: str | None) -> Wanted:
    """What is wanted of a listener: of its own address, else of its family, else of any."""
    kin = [listener for listener in wanted if listener.family == family]
    own = (listener for listener in kin if plain_address(listener.address) == plain_address(address))
    return next(own, (kin or wanted)[0])


def _edited(text: str, number: int, line: DaemonOption, fate: Fate, rule: Wanted) -> str:
    # The family first: a bare argument is put in quotes while its address is still the admin's.
    if fate.family != line.family:
        text = _with_family(text, number, fate.family)
    text = _with_modifiers(text, number, rule.require, rule.forbid)
    now = daemon_options(text)[number].address
    if fate.address is None or (plain_address(fate.address) is None and fate.family != line.family):
        while now is not None and (pair := last(read(text).listeners[number].argument.chars, "a")):
            text = _without(text, number, pair)
    elif plain_address(now) != plain_address(fate.address):
        text = _with(text, number, "a", f"Addr={fate.address}", fate.address)
    return text


def _refuse_raw(document: Document, service: str) -> None:
    """A listener written as raw .cf text is none of ours to edit, and would take the port."""
    for offset, value in document.raw_daemons():
        if parse(value, 0).service == service:
            raise EditError.at(document.text, offset, f"this raw line of sendmail.cf listens on the port of {service} too",
                               "write it as DAEMON_OPTIONS(`...')dnl above the MAILER lines, or take it out")  # fmt: skip
    for setting in document.settings:
        if setting.name == "confDAEMON_OPTIONS" and setting.value is not None:
            why = "confDAEMON_OPTIONS is no longer valid in sendmail"
            raise document.fail(setting.call, why, "write its value as DAEMON_OPTIONS(`...')dnl")


def _verify(text: str, service: str, wanted: Sequence[Wanted], missing: Sequence[Wanted]) -> None:
    """The result read again: everything asked for is there, and nothing collides."""
    mine = [each for each in daemon_options(text) if each.service == service and each.family in _TCP]
    for listener in mine:
        rule = _rule(wanted, listener.family, listener.address) if wanted else None
        if _for_this_host(listener, mine, wanted):
            continue
        if rule and with_letters(listener.modifiers, rule.require, rule.forbid) != listener.modifiers:
            why = f"this line does not come out with the modifiers {rule.require}"
            raise EditError(listener.line, listener.raw, why, "write its M= by hand")
    for want in missing:
        place = (want.family, plain_address(want.address))
        if place not in [(listener.family, plain_address(listener.address)) for listener in mine]:
            raise EditError(None, "", f"the new line for {service} on {want.family} is not read as a live listener",
                            "fix the template, or what is around the other DAEMON_OPTIONS")  # fmt: skip
    for sentence in collisions(mine):
        raise EditError(mine[0].line, mine[0].raw, sentence, "switch one of the lines off with dnl")


def _keeping(lines: Sequence[DaemonOption], wanted: Sequence[Wanted]) -> tuple[list[Fate], list[Wanted]]:
    """The admin's own addresses stay; Debian's loopback ones go, on the families that are wanted.

    Raises EditError where an address of the admin's and a wildcard would take the port from each other."""
    fates = [Fate(line.family, line.address) for line in lines]
    families = {listener.family for listener in wanted}
    for family in families:
        mine = [at for at, line in enumerate(lines) if line.family == family]
        if any(not lines[at].wildcard and not lines[at].loopback for at in mine):
            continue
        taken = any(lines[at].wildcard for at in mine)
        for at in mine:
            if lines[at].loopback:
                fates[at] = replace(fates[at], off=True) if taken else Fate(family, None)
                taken = True
    six_fixed = any(line.family == "inet6" and not line.wildcard and not line.loopback for line in lines)
    six = any(fate.family == "inet6" and is_wildcard(fate.address) and not fate.off for fate in fates)
    if six or ("inet6" in families and not six_fixed):
        six = _serve_both(lines, fates, six) or six
    _drop_twins(lines, fates)
    missing: list[Wanted] = []
    for listener in sorted(wanted, key=lambda listener: listener.family != "inet6"):
        alive = {fate.family for fate in fates if not fate.off} | {other.family for other in missing}
        six = six or any(other.family == "inet6" and is_wildcard(other.address) for other in missing)
        if listener.family not in alive and not (listener.family == "inet" and six):
            missing.append(listener)
    return fates, missing


def _serve_both(lines: Sequence[DaemonOption], fates: list[Fate], six: bool) -> bool:
    """A wildcard of inet6 serves IPv4 too: an inet line becomes it, or goes. True where one was converted."""
    converted = False
    for at, line in enumerate(lines):
        if line.family != "inet" or fates[at].off:
            continue
        if six or converted:
            if _holds(lines, fates, at):
                continue
            if not line.wildcard and not line.loopback:
                raise _clash(line)
            fates[at] = replace(fates[at], off=True)
        elif line.wildcard or line.loopback:
            fates[at] = Fate("inet6", None)
            converted = True
        else:
            raise _clash(line)
    return converted


def _clash(line: DaemonOption) -> EditError:
    why = (
        f"this line listens on {line.address}, and a listener of inet6 on every address would take IPv4 as well: "
        "sendmail cannot open both"
    )
    remedy = "choose the addresses for this port in your settings, or switch one of the lines off with dnl"
    return EditError(line.line, line.raw, why, remedy)


def _holds(lines: Sequence[DaemonOption], fates: Sequence[Fate], at: int) -> bool:
    """Whether line `at` gets along with every wildcard of inet6, by modifier O on the later of the two."""
    mine = replace(lines[at], address=fates[at].address)
    for other, fate in enumerate(fates):
        if other == at or fate.off or fate.family != "inet6" or not is_wildcard(fate.address):
            continue
        theirs = replace(lines[other], family="inet6", address=None)
        if collide(mine, theirs) if at < other else collide(theirs, mine):
            return False
    return True


def _drop_twins(lines: Sequence[DaemonOption], fates: list[Fate]) -> None:
    """Of two lines for the same family and address the later one goes, unless it is optional."""
    places: set[tuple[str, str | None]] = set()
    for at, fate in enumerate(fates):
        place = (fate.family, plain_address(fate.address))
        if fate.off:
            continue
        if place in places and not lines[at].optional:
            fates[at] = replace(fate, off=True)
        places.add(place)


def _exactly(lines: Sequence[DaemonOption], wanted: Sequence[Wanted]) -> tuple[list[Fate], list[Wanted]]:
    """Just the wanted families and addresses: lines are matched, re-addressed, or switched off."""
    left = _without_doubles(wanted)
    fates: list[Fate | None] = [None] * len(lines)
    for same_address, same_family in ((True, True), (False, True), (False, False)):
        for at, line in enumerate(lines):
            if fates[at] is not None:
                continue
            for listener in left:
                if same_family and line.family != listener.family:
                    continue
                if same_address and plain_address(line.address) != plain_address(listener.address):
                    continue
                if not same_family and not (
                    is_wildcard(listener.address) and (line.wildcard or line.loopback)
                ):
                    continue
                fates[at] = Fate(listener.family, line.address if same_address else listener.address)
                left.remove(listener)
                break
    decided = zip(fates, lines, strict=True)
    return [fate or Fate(line.family, line.address, off=True) for fate, line in decided], left


def _without_doubles(wanted: Sequence[Wanted]) -> list[Wanted]:
    first: dict[tuple[str, str | None], Wanted] = {}
    for listener in wanted:
        first.setdefault((listener.family, plain_address(listener.address)), listener)
    kept = list(first.values())
    six = any(listener.family == "inet6" and is_wildcard(listener.address) for listener in kept)
    if six:
        kept = [
            listener for listener in kept if listener.family != "inet" or not is_wildcard(listener.address)
        ]
    for listener, other in permutations(kept, 2):
        apart = not six and listener.family != other.family
        if is_wildcard(listener.address) and not is_wildcard(other.address) and not apart:
            why = f"{other.address} cannot be chosen for port {listener.service} beside every address: sendmail cannot open both"
            raise EditError(None, "", why, "choose either every address or single ones")
    return kept


def _with_family(text: str, number: int, family: str) -> str:
    """Its Family set, and a Name that ends in Debian's -v4 or -v6 along with it."""
    text = _with(text, number, "f", f"Family={family}", family)
    argument = read(text).listeners[number].argument.chars
    if (name := last(argument, "n")) is None:
        return text
    renamed = re.sub(r"-v[46]\Z", "-v6" if family == "inet6" else "-v4", name.value(argument))
    return _with(text, number, "n", f"Name={renamed}", renamed)


def _with_modifiers(text: str, number: int, require: str, forbid: str) -> str:
    """Its modifiers with the required letters and without the forbidden ones. Of repeated M= the last is in force."""
    for _ in range(64):
        argument = read(text).listeners[number].argument.chars
        pair = last(argument, "m")
        now = pair.value(argument) if pair else ""
        wanted = with_letters(now, require, forbid)
        if wanted == now:
            return text
        if wanted.strip() or pair is None:
            text = _with(text, number, "m", f"M={wanted}", wanted)
        else:
            text = _without(text, number, pair)
    raise _fail(text, number, "this line has too many modifiers")


def _switched_off(text: str, number: int) -> str:
    """The line commented out with a leading `dnl `. What else is on it stays live, on a line of its own."""
    call = read(text).listeners[number].call
    if call.start < 0:
        raise _fail(text, number, "this listener is put together by other macros")
    newline = newline_of(text)
    rest = text[call.end :].partition("\n")[0]
    lead = "dnl " if not text[line_start(text, call.start) : call.start].strip(SPACE) else f"{newline}dnl "
    tail = "" if not rest.strip(SPACE) or re.match(r"[ \t]*dnl(?![A-Za-z0-9_(])", rest) else newline
    body = text[call.start : call.end].replace("\n", "\ndnl ")
    new = text[: call.start] + lead + body + tail + text[call.end :]
    now, then = ([listener.argument.chars for listener in read(each).listeners] for each in (text, new))
    if then != now[:number] + now[number + 1 :]:
        raise _fail(text, number, "this line cannot be switched off alone")
    return new


def _fail(text: str, number: int, why: str) -> EditError:
    remedy = "write it on one line as DAEMON_OPTIONS(`Port=..., Name=...')dnl, or switch it off with dnl"
    return EditError.at(text, read(text).listeners[number].call.offset, why, remedy)


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
        start, end = listener.call.spans[0]
        return f"{text[:start]}`{whole}'{text[end:]}"
    if letter == "f":
        at = offsets[there[0].start]
        return _inserted(text, number, at, whole + separator)
    return _inserted(text, number, offsets[there[-1].end - 1] + 1, separator + whole)


def _without(text: str, number: int, pair: Pair) -> str:
    """One pair taken out with one comma."""
    argument = read(text).listeners[number].argument.chars
    there = pairs(argument)
    if there.index(pair):
        start, end = argument.rfind(",", 0, pair.start), pair.end
    else:
        start, end = pair.start, there[1].start if len(there) > 1 else pair.end
    return _spliced(text, number, range(start, end), "", at=start)


def _spliced(text: str, number: int, indexes: Iterable[int], value: str, at: int) -> str:
    """The characters of the argument at `indexes` taken out of the file, and `value` put where the first one was."""
    listener = read(text).listeners[number]
    taken = [listener.argument.offsets[index] for index in indexes]
    if any(offset < 0 for offset in taken) or taken != sorted(taken):
        raise _fail(text, number, "these options are put together by other macros")
    if not taken:
        before = listener.argument.offsets[at - 1] if at else -1
        return _inserted(text, number, before + 1 if before >= 0 else -1, value)
    gone, end = set(taken), taken[-1] + 1
    rest = "".join(text[offset] for offset in range(taken[0], end) if offset not in gone)
    return text[: taken[0]] + value + rest + text[end:]


def _inserted(text: str, number: int, offset: int, value: str) -> str:
    if offset <= 0:
        raise _fail(text, number, "these options are put together by other macros")
    return text[:offset] + value + text[offset:]


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
        why = "without quotes m4 cuts these options at the first comma and drops the rest"
        raise _fail(text, number, why)
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
