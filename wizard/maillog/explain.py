"""What the mail log says: a line of sendmail's, saslauthd's (also in debug mode) or PAM's in a word, and what became of a
submitted message (howto 5.2.4). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wizard.maillog.read import QUEUE_ID, UNPROVED, LogLine

_SENDMAIL = (
    (
        r"STARTTLS=server, error:.*(bad certificate|unknown ca|certificate unknown)",
        "the client refuses the certificate",
    ),
    (r"STARTTLS=server, error:", "no encryption came about"),
    (r"STARTTLS=server, relay=", "the connection is encrypted"),
    (r"STARTTLS=client, relay=", "encrypted on to the next server"),
    (r"STARTTLS=client, error:", "no encryption to the next server"),
    (r"STARTTLS", "about encryption"),
    (r"AUTH=server, relay=", "the login is accepted"),
    (r"AUTH=client", "we log in to the next server"),
    (r"AUTH failure .*\(-13\)", "login refused: password, or account"),
    (r"AUTH failure .*\(-20\)", "login refused: sasldb was asked, not saslauthd"),
    (r"AUTH failure .*\(-1\)", "login refused: saslauthd does not answer"),
    (r"AUTH failure", "login refused"),
    (r".*possible SMTP attack", "too many commands of one kind"),
    (r".*did not issue MAIL/EXPN/VRFY/ETRN", "it ended without a message"),
    (r"ruleset=check_\w+, .*reject=", "a rule refuses it"),
    (r".*rejecting commands from .* pre-greeting", "the client spoke before the greeting"),
    (r".*\.\.\. User unknown", "there is no such user"),
    (r"from=.*nrcpts=0", "no recipient was taken: there is no message"),
    (r"from=", "the message is accepted"),
    (r"to=.*stat=Sent", "delivered"),
    (r"to=.*stat=(Deferred|queued)", "it waits in the queue"),
    (r"to=.*stat=(expanded|aliased)", "an alias: it goes on to others"),
    (r"to=.*dsn=5\.", "it cannot be delivered"),
    (r"to=.*dsn=4\.", "it waits in the queue"),
    (r"[^ :]+: (DSN|return to sender|postmaster notify|sender notify)", "a bounce goes to the sender"),
    (r"clone", "it is split into two"),
    (r"done; ", "finished: removed from the queue"),
    (r".*lost input channel|.*timeout waiting for input", "the client went away"),
    (r".*SYSERR", "sendmail itself has a problem"),
    (r"Milter", "a mail filter"),
    (r".*rejecting connections", "too much load: no connections are taken"),
    (r"starting daemon", "sendmail starts"),
    (r"stopping daemon", "sendmail stops"),
)
_SASLAUTHD = (
    (r"auth success \(cached\)", "yes, from its cache: PAM was not asked"),
    (r"auth success", "yes: user and password are right"),
    (r"auth failure", "no, and the reason"),
    (r"NULL (login|password) received", "asked without a name or password"),
    (r"pam_unix\(.*authentication failure", "PAM: the password is wrong, or there is no such user"),
    (r"pam_unix\(.*check pass; user unknown", "PAM: there is no such user"),
    (r"pam_unix\(.*expired", "PAM: the account has expired"),
    (r"pam_\w+\(", "PAM says"),
    (r"DEBUG: auth_pam: pam_authenticate failed", "PAM refuses the password"),
    (r"DEBUG: auth_pam: pam_acct_mgmt failed", "PAM refuses the account"),
    (r"PAM unable to dlopen|PAM adding faulty module", "a PAM module is missing"),
    (r"response: OK", "sendmail gets the answer yes"),
    (r"response: NO", "sendmail gets the answer no"),
    (r"acquired accept lock", "this process takes the next request"),
    (r"released accept lock", "it is handling a request"),
    (r"found with valid passwd", "the cache knows this user and password"),
    (r"found with invalid passwd", "the cache knows another password: it asks again"),
    (r"not found, update pending", "not in the cache: asks"),
    (r"lookup committed", "the answer goes into the cache"),
    (r"attempting (a|to)", "a lock of the cache"),
    (r"listening on socket", "ready: sendmail asks it here"),
    (r"forked child", "one process more"),
    (r"child exited", "one process less"),
    (r"master pid is", "it runs in the foreground"),
    (r"num_procs", "how many processes (-n)"),
    (r"mech_option", "the mechanism's own option (-O)"),
    (r"run_path", "the folder of its socket (-m)"),
    (r"auth_mech", "the mechanism that is asked (-a)"),
    (r"using accept lock file", "who takes the next request"),
    (r"using process model", "processes, not threads"),
    (r"mmaped|bucket|stats size|timeout|cache table|flock file opened", "its cache of logins (-c)"),
    (r"(socket|file|lock) removed|file lock removed", "it cleans up"),
    (r"master exited", "it has ended"),
    (r"[Cc]ould not|failed|[Uu]nable|error", "an error"),
)
_TABLES = {
    "sendmail": [(re.compile(pattern).match, words) for pattern, words in _SENDMAIL],
    "saslauthd": [(re.compile(pattern).search, words) for pattern, words in _SASLAUTHD],
}


def word(name: str, text: str) -> str:
    """What the line `text` of the program `name` means, "" where nobody knows."""
    family = "saslauthd" if name.startswith("saslauthd") else "sendmail"
    message = QUEUE_ID.sub("", text) if family == "sendmail" else text
    return next((words for matches, words in _TABLES[family] if matches(message)), "")


State = Literal["delivered", "deferred", "failed", "unknown"]
_FIELD = re.compile(r"(?:^|[ ,])(to|relay|mailer|dsn)=([^,]*)")
_STAT = re.compile(r"(?:^|[ ,])stat=(.*)$")
_ON_THE_WAY = re.compile(r"expanded|aliased|forwarded|included", re.IGNORECASE)
_SENTENCES: dict[State, str] = {
    "delivered": "Delivered to ",
    "unknown": "",
    "deferred": "It waits in the queue and will be tried again: ",
    "failed": "It cannot be delivered, and is returned to its sender: ",
}
"""How a sentence on an attempt begins, from the best state to the worst."""


@dataclass(frozen=True)
class Attempt:
    """One delivery attempt: the recipient, the state, sendmail's own words, and the relay."""

    to: str
    state: State
    says: str
    relay: str


@dataclass(frozen=True)
class Delivery:
    """What has become of the message so far; `state` is the worst of its recipients'. `says` is a sentence."""

    queue_id: str
    state: State
    says: str
    attempts: tuple[Attempt, ...] = ()
    accepted: bool = False
    """Whether sendmail's log also says that it accepted the message."""
    file: str = ""
    """The log file that says so, which proves nothing; "" where sendmail itself wrote it into the journal."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for json.dumps."""
        return {**vars(self), "attempts": [vars(item) for item in self.attempts]}


def delivery(queue_id: str, lines: Sequence[LogLine]) -> Delivery:
    """What the lines of this message, oldest first, say."""
    about = [line for line in lines if line.queue_id == queue_id]
    own, file = [line.text.partition(": ")[2] for line in about], about[0].file if about else ""
    accepted = any(text.startswith("from=") for text in own)
    attempts = tuple({latest.to: latest for text in own if (latest := attempt(text))}.values())
    if attempts:
        worst = max(attempts, key=lambda item: list(_SENTENCES).index(item.state))
        via = f" by way of {worst.relay}" if worst.relay else ""
        state, says = worst.state, f"{_SENTENCES[worst.state]}{worst.to}{via}: {worst.says}."
    else:
        state, says = "unknown", "nothing is logged about it."
        if accepted:
            says = "sendmail has accepted it, but not tried to deliver it yet."
    doubt = f" So says {file}; {UNPROVED}." if file else ""
    return Delivery(queue_id, state, says + doubt, attempts, accepted, file)


def attempt(text: str) -> Attempt | None:
    """What a line, after its queue id, says about a delivery; None for other lines and for aliases."""
    stat = _STAT.search(text)
    if not text.startswith("to=") or stat is None or _ON_THE_WAY.match(stat[1]):
        return None
    fields = dict(_FIELD.findall(text[: stat.start()]))
    dsn = fields.get("dsn", "")
    state: State = "unknown"
    if stat[1].startswith("Sent") or dsn.startswith("2"):
        state = "delivered"
    elif stat[1].startswith(("Deferred", "queued")) or dsn.startswith("4"):
        state = "deferred"
    elif dsn.startswith("5"):
        state = "failed"
    return Attempt(fields["to"], state, stat[1], fields.get("relay", "") or fields.get("mailer", ""))
