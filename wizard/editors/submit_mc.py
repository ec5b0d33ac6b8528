"""The editor of submit.mc's one line that counts: FEATURE(`msp', `HOST', `PORT') (cf/feature/msp.m4)."""

from __future__ import annotations

import re

from wizard.editors.edit_error import EditError
from wizard.editors.m4_text import SPACE, Call
from wizard.editors.mc_document import Document, read
from wizard.editors.sendmail_mc import define_value, set_define

RELAY_ARGS = "RELAY_MAILER_ARGS"
_SKIP = re.compile(r"[ \t\r\n\f\v]*")


def on_loopback(text: str) -> str:
    """Local mail handed to port 25 of 127.0.0.1, whatever the msp line and RELAY_MAILER_ARGS said.

    Raises EditError where there is no live msp line, or it is put together by other macros."""
    call = _msp(read(text))
    new = text
    if _argument(call, 3).upper() == "MSA":
        new = _with_argument(new, 3, "25")
    if _argument(call, 2) != "[127.0.0.1]":
        new = _with_argument(new, 2, "[127.0.0.1]")
    if define_value(new, RELAY_ARGS) not in (None, "TCP $h"):
        new = set_define(new, RELAY_ARGS, "TCP $h", "")
    again = _msp(read(new))
    if _argument(again, 2) != "[127.0.0.1]" or _argument(again, 3).upper() == "MSA":
        raise EditError.at(new, again.offset, "the line does not come out as planned", _BY_HAND)
    return new


_BY_HAND = "write it by hand: FEATURE(`msp', `[127.0.0.1]', `25')dnl"


def _msp(document: Document) -> Call:
    calls = [
        call
        for call in document.named("FEATURE")
        if document.expanded(call.arg(1)).strip(SPACE).removesuffix(".m4") == "msp"
    ]
    if not calls:
        raise EditError(None, "", "it has no live FEATURE(`msp')", _BY_HAND)
    return calls[-1]


def _argument(call: Call, number: int) -> str:
    return call.arg(number).chars.strip(SPACE).strip("`'")


def _with_argument(text: str, number: int, value: str) -> str:
    """Argument `number` of the msp line in new words; the rest of the line stays."""
    call = _msp(read(text))
    if call.start < 0:
        raise EditError.at(text, call.offset, "this line is put together by other macros", _BY_HAND)
    if len(call.spans) < number:
        missing = "".join(
            f", `{value if at == number else ''}'" for at in range(len(call.spans) + 1, number + 1)
        )
        return f"{text[: call.end - 1]}{missing}{text[call.end - 1 :]}"
    start, end = call.spans[number - 1]
    blank = _SKIP.match(text, start, end)
    first = blank.end() if blank else start
    last = end - (len(text[first:end]) - len(text[first:end].rstrip(SPACE)))
    return f"{text[:first]}`{value}'{text[last:]}"
