"""Debian bug #791814 in /etc/init.d/saslauthd: `find /etc/default -regex ...` finds nothing where /etc/default is a
symbolic link, because the slash is missing at its end (howto 2.2)."""

from __future__ import annotations

import re

from wizard.editors import EditError

_FIND = re.compile(
    r"""^(?P<head>[ \t]*[^#\n]*\bfind[ \t]+(?P<quote>["']?)/etc/default)(?P=quote)(?=[ \t]+-regex\b)""", re.M
)
_VARS = re.compile(r"^[ \t]*\.[ \t]+/lib/init/vars\.sh\b[^\n]*(?:\n|\Z)(?:[ \t]*\n)?", re.M)
_HOOK = re.compile(r"^[ \t]*\.[ \t]+/lib/lsb/init-functions\b", re.M)
_COMMENTS_ABOVE = re.compile(r"(?:^[ \t]*#[^\n]*\n)+\Z", re.M)


def has_defect(text: str) -> bool:
    """Whether the script looks for its instances in /etc/default without the slash."""
    return _FIND.search(text) is not None


def add_slash(text: str) -> str:
    """The find itself fixed; a script without the defect comes back as it is."""
    while _FIND.search(text):  # one of each line a round: the pattern begins at the line
        text = _FIND.sub(lambda match: f"{match['head']}/{match['quote']}", text)
    return text


def skip_redirect(text: str, variable: str, block: str) -> str:
    """`block`, which sets `variable`, put below the line that reads /lib/init/vars.sh (and the blank line there), so
    that it is above the line that reads init-functions. A script that sets it there already comes back as it is.

    Raises EditError for a script that never reads init-functions: the variable would have no effect."""
    hook = _HOOK.search(text)
    if hook is None:
        why = "the script does not read /lib/lsb/init-functions, so nothing would heed the variable"
        raise EditError(None, "", why, "bring the script of the package back")
    setting = rf"^[ \t]*(?:export[ \t]+)?{re.escape(variable)}=(?!\s|\"\"|'')"
    if re.search(setting, text[: hook.start()], re.M):
        return text
    vars_line = _VARS.search(text, 0, hook.start())
    if vars_line is not None:
        at = vars_line.end()
    else:
        above = _COMMENTS_ABOVE.search(text, 0, hook.start())
        at = above.start() if above else hook.start()
    return text[:at] + (block if block.endswith("\n") or not block else block + "\n") + text[at:]
