"""What PAM's account phase says of users whose account is there (pam_acct_mgmt(3)): no password is needed, and none tried.

In a process of its own, for the modules of a host run inside it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wizard.errors import HostError
from wizard.system.host import Host

SUCCESS = 0
_SERVICE = "smtp"
_PATIENCE = 60.0
_SCRIPT = """
import ctypes, json, sys
pam = ctypes.CDLL("libpam.so.0")
pam.pam_strerror.restype = ctypes.c_char_p
pam.pam_strerror.argtypes = (ctypes.c_void_p, ctypes.c_int)
converse = ctypes.CFUNCTYPE(ctypes.c_int, *(4 * [ctypes.c_void_p]))(lambda *_: 19)
class Conversation(ctypes.Structure):
    _fields_ = [("converse", type(converse)), ("data", ctypes.c_void_p)]
conversation, said = Conversation(converse, None), []
service, folder = (word.encode() for word in sys.argv[1:3])
for user in sys.argv[3:]:
    handle = ctypes.c_void_p()
    begin = service, user.encode(), ctypes.byref(conversation)
    if folder:
        code = pam.pam_start_confdir(*begin, folder, ctypes.byref(handle))
    else:
        code = pam.pam_start(*begin, ctypes.byref(handle))
    if code == 0:
        code = pam.pam_acct_mgmt(handle, 0x8000)
    said.append([code, pam.pam_strerror(handle, code).decode("utf-8", "replace")])
    if handle:
        pam.pam_end(handle, code)
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Answer:
    """PAM's code for a user, and its words for it."""

    code: int
    says: str


def answers(host: Host, service: str, users: Sequence[str], folder: str = "") -> dict[str, Answer]:
    """By user what `service` says, of /etc/pam.d or of another `folder`. Raises HostError where PAM cannot be asked."""
    argv = [sys.executable, "-I", "-S", "-B", "-c", _SCRIPT, service, folder, *users]
    result = host.run(argv, timeout=_PATIENCE)
    try:
        said = [Answer(int(code), str(says)) for code, says in json.loads(result.stdout)]
    except (ValueError, TypeError) as error:
        raise HostError(f"PAM could not be asked: {result.tail(1)}") from error
    return dict(zip(users, said, strict=True))


def answers_of(host: Host, line: str, users: Sequence[str]) -> dict[str, Answer]:
    """What one line of the account phase of the service smtp says by itself: modules may judge by that name. Raises HostError."""
    try:
        with tempfile.TemporaryDirectory(prefix="msa-wizard-") as folder:
            Path(folder, _SERVICE).write_text(f"{line}\naccount required pam_permit.so\n")
            return answers(host, _SERVICE, users, folder)
    except OSError as error:
        raise HostError(f"PAM could not be asked: {error}") from error
