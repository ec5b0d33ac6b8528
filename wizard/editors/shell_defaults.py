"""The editor of /etc/default/* and of other files that shell scripts source, such as /etc/mail/sendmail.conf."""

from __future__ import annotations

import re

from wizard.editors.edit_error import EditError
from wizard.editors.shell_text import Comment, Event, Script

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,-]+\Z")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def value(text: str, key: str) -> str | None:
    """What `key` is after sh has sourced the file; None where the file does not set it, or unsets it last.

    As sh sees it: in a line that ends with CR LF the CR belongs to the value. Raises EditError where the last word on
    `key` is conditional, an expansion or a continued line, or where the file is no shell text."""
    event = _last(Script(text), text, key)
    return None if event is None else event.value


def set_value(text: str, key: str, value: str) -> str:
    """`key` set to `value`. The last assignment in force is changed in place, in its own quotes, comment and all;
    without one a line is added: below a commented-out assignment of `key`, else at the end. Raises EditError like
    `value`, and for a value of more than one line."""
    if not _KEY.match(key) or re.search(r"[\x00\r\n]", value):
        raise EditError(None, f"{key}={value}", "this is no assignment that fits on one line of shell text",
                        "use a plain name, and a value without line breaks")  # fmt: skip
    script = Script(text)
    event = _last(script, text, key)
    if event is not None and event.value == value:
        return text
    if event is not None and event.value is not None:
        written = _quoted(value, text[event.value_start : event.end])
        new = text[: event.value_start] + written + text[event.end :]
    else:
        comment = None if event is not None else _comment(script, key)
        at = len(text) if comment is None else min(comment.end + 1, len(text))
        # LF even in a file of CR LF lines: sh would take the CR for a part of the value.
        before = "\n" if at == len(text) and text and not text.endswith("\n") else ""
        new = f"{text[:at]}{before}{key}={_quoted(value, '')}\n{text[at:]}"
    again = _last(Script(new), new, key)
    if again is None or again.value != value:
        raise EditError(
            None, f"{key}={value}", f"the file does not come out with this value of {key}", "set it by hand"
        )
    return new


def _last(script: Script, text: str, key: str) -> Event | None:
    events = list(script.of(key))
    if not events:
        return None
    event = events[-1]
    if not event.certain:
        raise EditError.at(text, event.start, f"whether {key} is set here depends on what happens when the file is read",
                           f"write a plain {key}=... line of its own below it")  # fmt: skip
    if not event.readable:
        raise EditError.at(text, event.start, f"the value of {key} is made by an expansion, or goes over a continued line",
                           f"write a plain {key}=\"...\" on one line")  # fmt: skip
    return event


def _comment(script: Script, key: str) -> Comment | None:
    """The last comment that is an assignment of `key`, switched off."""
    pattern = re.compile(rf"#[#\s]*(?:export\s+)?{re.escape(key)}=")
    return next((comment for comment in reversed(script.comments) if pattern.match(comment.text)), None)


def _quoted(value: str, old: str) -> str:
    """The value in the quotes that the old one had; bare where it was bare, or new, and needs none."""
    if old.startswith("'") and "'" not in value:
        return f"'{value}'"
    if not old.startswith(("'", '"')) and _BARE.match(value):
        return value
    escaped = re.sub(r'([\\"$`])', r"\\\1", value)
    return f'"{escaped}"'
