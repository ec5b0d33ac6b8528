"""Whether PAM lets root in, of modules that are there to refuse some users: asked without a password, line by line.

Nothing else in the stack is asked, for it could take note of it (pam_faillock)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wizard.errors import HostError
from wizard.gather.pam import Pam, PamLine
from wizard.system.host import Host
from wizard.system.pam_account import SUCCESS, answers_of

_MAY_REFUSE = frozenset(
    f"pam_{name}.so" for name in ("succeed_if", "listfile", "access", "securetty", "usertype")
)
_JUMP = re.compile(r"=(\d+)\b")
_ENDS = re.compile(r"sufficient$|\[.*\bsuccess=done\b")
"""A control with which the lines below may not count (pam.conf(5))."""
_ROOT = "root"


def doubtful(stack: Pam) -> tuple[PamLine, ...]:
    """The lines that may refuse root."""
    return tuple(line for line in stack.lines if line.module.rpartition("/")[2] in _MAY_REFUSE)


def lets_in(host: Host, stack: Pam) -> bool | None:
    """Whether these lines let root in; None where that cannot be told."""
    answers = [_lets_in(host, stack.of(line.kind), line) for line in doubtful(stack)]
    return False if False in answers else None if None in answers else True


def _lets_in(host: Host, lines: Sequence[PamLine], line: PamLine) -> bool | None:
    if _JUMP.search(line.control):
        return None
    alone = f"account {line.control} {line.module}{line.text.partition(line.module)[2]}"
    try:  # these modules judge alike in both phases
        entered = answers_of(host, alone, [_ROOT])[_ROOT].code == SUCCESS
    except HostError:
        return None
    return True if entered else False if counts(lines, line) else None


def counts(lines: Sequence[PamLine], line: PamLine) -> bool:
    """Whether it is asked whatever the lines above it say."""
    place = lines.index(line)
    for number, above in enumerate(lines[:place]):
        jumps = [int(each) for each in _JUMP.findall(above.control)]
        if _ENDS.match(above.control) or number + max(jumps, default=0) >= place:
            return False
    return True
