"""The listeners of a sendmail.mc: reading them, and making those of one service what is wanted (howto 3.3, 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wizard.editors import listener_plan, mc_option_edit
from wizard.editors.daemon_options import (
    DaemonOption,
    collisions,
    parse,
    plain_address,
    unknown_pair,
    with_letters,
)
from wizard.editors.edit_error import EditError, line_number
from wizard.editors.listener_plan import Fate, Wanted
from wizard.editors.mc_document import Document, read
from wizard.editors.mc_placement import after_call, insert, macro_part_end

_TCP = ("inet", "inet6")


def daemon_options(text: str) -> tuple[DaemonOption, ...]:
    """The live DAEMON_OPTIONS of the file itself, in its order. Those of included files are not among them, nor the
    built-in ones that sendmail has where there is none (25, and 587 unless FEATURE(`no_default_msa'))."""
    document = read(text)
    options = []
    for listener in document.listeners:
        argument = listener.argument.chars
        bad = unknown_pair(argument)
        if bad is not None:
            raise document.fail(listener.call, f"sendmail does not know the option {bad!r} and would not start",
                                "correct it, or switch the line off with dnl")  # fmt: skip
        options.append(parse(argument, line_number(text, listener.call.offset)))
    return tuple(options)


def set_listeners(
    text: str, service: str, wanted: Sequence[Wanted], render: Callable[[Wanted], str], keep_addresses: bool
) -> str:
    """The listeners of `service` made as wanted; `render` writes the line for one that is missing.

    With `keep_addresses` the admin's own addresses stay and only loopback ones go, as Debian ships them; without, just
    the wanted families and addresses remain. Surviving lines keep all that is not asked for. Lines too many are
    switched off with dnl. Raises EditError where two listeners would take the port from each other."""
    if keep_addresses and not wanted:
        return text
    document = read(text)
    _refuse_raw(document, service)
    options = daemon_options(text)
    numbers = [
        at for at, listener in enumerate(options) if listener.service == service and listener.family in _TCP
    ]
    lines = [options[at] for at in numbers]
    plan = listener_plan.keeping if keep_addresses else listener_plan.exactly
    fates, missing = plan(lines, wanted)
    for number, line, fate in zip(numbers, lines, fates, strict=True):
        if not fate.off:
            text = _edited(text, number, line, fate, _rule(wanted, fate.family, fate.address))
    added = "".join(_ended(render(listener)) for listener in missing)
    anchor = numbers[-1] if numbers else len(options) - 1
    if added:
        document = read(text)
        place = after_call(document, document.listeners[anchor].call) if options else macro_part_end(document)
        text = insert(text, place, added)
    for number, fate in sorted(zip(numbers, fates, strict=True), key=lambda pair: -pair[0]):
        if fate.off:
            text = mc_option_edit.switched_off(text, number)
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
            text = mc_option_edit.with_modifiers(text, number, "a", "A")
    return text


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
        text = mc_option_edit.with_family(text, number, fate.family)
    text = mc_option_edit.with_modifiers(text, number, rule.require, rule.forbid)
    now = daemon_options(text)[number].address
    if fate.address is None or (plain_address(fate.address) is None and fate.family != line.family):
        return mc_option_edit.without_address(text, number) if now is not None else text
    if plain_address(now) != plain_address(fate.address):
        return mc_option_edit.with_address(text, number, fate.address)
    return text


def _refuse_raw(document: Document, service: str) -> None:
    """A listener written as raw .cf text is none of ours to edit, and would take the port."""
    for offset, value in document.raw_daemons():
        if parse(value, 0).service == service:
            raise EditError.at(document.text, offset, f"this raw line of sendmail.cf listens on the port of {service} too",
                               "write it as DAEMON_OPTIONS(`...')dnl above the MAILER lines, or take it out")  # fmt: skip
    for setting in document.settings:
        if setting.name == "confDAEMON_OPTIONS" and setting.value is not None:
            raise document.fail(setting.call, "confDAEMON_OPTIONS is no longer valid in sendmail",
                                "write its value as DAEMON_OPTIONS(`...')dnl")  # fmt: skip


def _verify(text: str, service: str, wanted: Sequence[Wanted], missing: Sequence[Wanted]) -> None:
    """The result read again: everything asked for is there, and nothing collides."""
    mine = [
        listener
        for listener in daemon_options(text)
        if listener.service == service and listener.family in _TCP
    ]
    for listener in mine:
        rule = _rule(wanted, listener.family, listener.address) if wanted else None
        if rule and with_letters(listener.modifiers, rule.require, rule.forbid) != listener.modifiers:
            raise EditError(listener.line, listener.raw, f"this line does not come out with the modifiers {rule.require}",
                            "write its M= by hand")  # fmt: skip
    for want in missing:
        place = (want.family, plain_address(want.address))
        if place not in [(listener.family, plain_address(listener.address)) for listener in mine]:
            raise EditError(None, "", f"the new line for {service} on {want.family} is not read as a live listener",
                            "fix the template, or what is around the other DAEMON_OPTIONS")  # fmt: skip
    for sentence in collisions(mine):
        raise EditError(mine[0].line, mine[0].raw, sentence, "switch one of the lines off with dnl")
