"""What PAM's account phase says of users whose account is there (pam_acct_mgmt(3)): no password is needed, and none tried.

In a process of its own, for the modules of a host run inside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.errors import HostError
from wizard.system.host import Host

SUCCESS = 0
REFUSED = frozenset([3, 4, 6, 7, 28])
"""PAM_SERVICE_ERR, PAM_SYSTEM_ERR, PAM_PERM_DENIED, PAM_AUTH_ERR, PAM_MODULE_UNKNOWN: a rule, or a broken one, says no. The
rest are about the account itself: it has expired, say (_pam_types.h)."""
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
for user in sys.argv[2:]:
    handle = ctypes.c_void_p()
    code = pam.pam_start(sys.argv[1].encode(), user.encode(), ctypes.byref(conversation), ctypes.byref(handle))
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


def answers(host: Host, service: str, users: Sequence[str]) -> dict[str, Answer]:
    """By user what `service` says. Raises HostError where PAM cannot be asked."""
    result = host.run([sys.executable, "-I", "-S", "-B", "-c", _SCRIPT, service, *users], timeout=_PATIENCE)
    try:
        said = [Answer(int(code), str(says)) for code, says in json.loads(result.stdout)]
    except (ValueError, TypeError) as error:
        raise HostError(f"PAM could not be asked: {result.tail(1)}") from error
    return dict(zip(users, said, strict=True))
