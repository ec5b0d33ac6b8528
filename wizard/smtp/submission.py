"""What a submission port is asked: checks before a login, the login, a message (howto 5.2.2 and 5.2.4)."""

from __future__ import annotations

from email.utils import formatdate, make_msgid

from templates import render
from wizard.smtp.connection import Wire, WireError
from wizard.smtp.transcript import MASK, Credentials, Finding, Layer, Transcript, encode, failure

_NOT_OFFERED = (500, 502, 503, 504, 534)  # RFC 4954 section 6; sendmail says 504 and 503
_WANTS_TLS = (530, 538)
_BEFORE = "before it had the password"
_AFTER = "and did not judge the password"
_COMMAND_CHARACTERS = 500  # RFC 4954 section 4: a longer initial response must wait for the 334


def login_before_starttls(clear: list[str]) -> Finding:
    """LOGIN and PLAIN must not be offered in clear (howto 3.4); `clear` is what the first EHLO offered."""
    if offered := " ".join(m for m in ("LOGIN", "PLAIN") if m in clear):
        return Finding(
            "login-before-starttls",
            "failed",
            f"Offered before STARTTLS: {offered}. Passwords can travel "
            "in clear. Add `p` to confAUTH_OPTIONS (howto 3.4).",
        )
    return Finding("login-before-starttls", "ok", "Neither LOGIN nor PLAIN is offered before STARTTLS.")


def md5_mechanisms(offered: list[str], served: frozenset[str]) -> Finding | None:
    """A warning where mechanisms are offered that need the clear password, which saslauthd has not, and which are not
    known to be `served` here (by sasldb, say)."""
    if md5 := " ".join(m for m in ("DIGEST-MD5", "CRAM-MD5") if m in offered and m not in served):
        return Finding(
            "md5-mechanisms",
            "warning",
            f"Offered: {md5}, which saslauthd cannot serve. Where passwords come from it, clients that "
            "prefer it get 535 first: offer LOGIN and PLAIN only.",
        )
    return None


def smtp_auth(port: int, offered: str) -> Finding:
    """The port for mail from other servers must offer no AUTH (howto 3.5)."""
    if offered:
        return Finding(
            "smtp-auth",
            "failed",
            f"Port {port} offers AUTH ({offered}). Add M=A to its DAEMON_OPTIONS (howto 3.5).",
        )
    return Finding("smtp-auth", "ok", f"Port {port} offers no AUTH.")


def mail_before_auth(wire: Wire, *, encrypted: bool = False) -> Finding | None:
    """MAIL before AUTH must get 530 (howto 3.3). None: a 530 that asks for STARTTLS first proves nothing."""
    try:
        reply = wire.ask("MAIL FROM:<>", explanation="must be refused before a login")
        if 200 <= reply.code < 300:
            wire.ask("RSET", explanation="takes it back")
    except WireError as error:
        return Finding("mail-before-auth", "unknown", f"MAIL before a login: {error}.")
    if reply.code == 530 and "STARTTLS" in reply.text.upper() and not encrypted:
        return None
    if reply.code == 530:
        return Finding("mail-before-auth", "ok", "MAIL before a login is refused (530).")
    if reply.code < 300:
        return Finding(
            "mail-before-auth",
            "failed",
            f"MAIL is taken before a login ({reply.code}). Add M=a to the "
            "DAEMON_OPTIONS of this port (howto 3.3).",
        )
    return Finding("mail-before-auth", "unknown", f"MAIL before a login got {reply}, not 530.")


def authenticate(wire: Wire, credentials: Credentials, mechanism: str, user_shown: str) -> None:
    """AUTH LOGIN or AUTH PLAIN, nothing else is tried. Raises Failure unless it ends in 235; WireError."""
    user, password = encode(credentials.user), encode(credentials.password)
    token = encode(f"\0{credentials.user}\0{credentials.password}")
    exchange: list[tuple[str, str | None, str]] = [
        ("AUTH LOGIN", None, "log in, name and password asked for one by one"),
        (user, None, f"base64 of the user name {user_shown}"),
        (password, MASK, "base64 of the password, masked"),
    ]
    if mechanism == "PLAIN":
        said = "base64 of NUL, user name, NUL, password; masked"
        exchange = [("AUTH PLAIN", None, "log in"), (token, MASK, said)]
        if len(token) <= _COMMAND_CHARACTERS:
            exchange = [(f"AUTH PLAIN {token}", f"AUTH PLAIN {MASK}", said)]
    sent = False
    reply = None
    for line in exchange:
        if reply is not None and reply.code != 334:
            break
        sent = sent or line[1] is not None
        try:
            reply = wire.ask(*line)
        except WireError as error:
            raise failure(Layer.LOGIN, f"{error}, {_BEFORE if not sent else _AFTER}") from None
    assert reply is not None, "there is a first line"
    if reply.code == 235 and sent:
        return
    layer, when = Layer.CREDENTIALS, ""
    if reply.code in _NOT_OFFERED:
        layer = Layer.AUTH_OFFER
    elif reply.code in _WANTS_TLS:
        layer = Layer.STARTTLS
    elif not sent or 400 <= reply.code < 500:
        layer, when = Layer.LOGIN, f", {_BEFORE if not sent else _AFTER}"
    raise failure(layer, f"AUTH {mechanism} got {reply}{when}", reply.code)


def deliver(wire: Wire, transcript: Transcript, sender: str, recipient: str) -> str | None:
    """Submits a test message; sendmail's queue id, None where the server tells none. Raises Failure, WireError."""
    for command, wanted in (
        (f"MAIL FROM:<{sender}>", (250,)),
        (f"RCPT TO:<{recipient}>", (250, 251)),
        ("DATA", (354,)),
    ):
        reply = wire.ask(command)
        if reply.code not in wanted:
            raise failure(Layer.RELAY, f"{command.split(':')[0]} got {reply}", reply.code)
    lines = message(sender, recipient)
    for line in lines:
        transcript.add("client", transcript.shown(line))
    transcript.add("client", ".", "the end of the message")
    stuffed = [f".{line}" if line.startswith(".") else line for line in lines]  # RFC 5321 section 4.5.2
    wire.send("\r\n".join([*stuffed, ".", ""]))
    code, said = wire.getreply()
    if code != 250:
        raise failure(Layer.RELAY, f"the message got {wire.reply}", code)
    return transcript.queue_id(said)


def message(sender: str, recipient: str) -> list[str]:
    """The lines of a minimal message (RFC 5322); both addresses must be valid mailboxes."""
    text = render(
        "test_message.txt.j2",
        date=formatdate(localtime=True),
        message_id=make_msgid(domain=sender.rpartition("@")[2]),
        sender=sender,
        recipient=recipient,
    )
    return text.splitlines()
