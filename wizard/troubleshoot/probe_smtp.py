"""One SMTP connection to one listener, as far as it goes, and what was learnt on the way. Loopback is not counted by
sendmail's rate limits (docs/debian.md section sendmail)."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, replace

from wizard.certificates.peer_certificate import Certificate, client_context, read, sent_chain
from wizard.sendmail.cf import Daemon
from wizard.smtp import submission
from wizard.smtp.connection import Deadline, Wire, WireError, why
from wizard.smtp.server_trust import Trust
from wizard.smtp.transcript import Credentials, Failure, Transcript
from wizard.smtp.transcript import Layer as SmtpLayer
from wizard.troubleshoot.model import Layer

TIMEOUT = 30.0
"""Seconds for one answer: greet_pause and name look-ups make a healthy server slow."""
DEADLINE = 60.0
"""Seconds for the whole conversation."""


@dataclass(frozen=True)
class Conversation:
    """What one listener said. `stopped` is the layer at which it ended early, `why` the clause; None where it went
    through to the end."""

    daemon: Daemon
    address: str
    stopped: Layer | None = None
    why: str = ""
    greeting: str = ""
    code: int = 0
    """Of the greeting; 0 where there was none."""
    features: frozenset[str] = frozenset()
    """EHLO's words before TLS, lower case."""
    clear: tuple[str, ...] = ()
    """Mechanisms offered before TLS."""
    offered: tuple[str, ...] = ()
    """Mechanisms offered at the end, under TLS."""
    tls: str = ""
    certificate: Certificate | None = None
    unreadable: str = ""
    """Why the certificate could not be read."""
    mail_before_auth: str = ""
    """`ok`, `failed` or `unknown`; empty where it was not asked."""
    login: bool | None = None
    """Whether the login got 235; None where none was tried."""
    judged: bool = True
    """False where the login was broken off, and the server said nothing of the password."""
    transcript: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def source(self) -> str:
        """For evidence: whom we spoke to."""
        return f"{self.address} port {self.daemon.port}"

    @property
    def last(self) -> str:
        """The last line that the server said."""
        return next((line[2:] for line in reversed(self.transcript) if line.startswith("< ")), "")


def converse(
    daemon: Daemon,
    name: str,
    credentials: Credentials | None,
    timeout: float = TIMEOUT,
    trust: Trust | None = None,
) -> Conversation:
    """Speak with a listener; whatever happens ends in a Conversation. With credentials one login is tried, where `trust`
    lets the password go."""
    began = time.monotonic()
    transcript = Transcript(credentials, None)
    talk = _Talk(daemon, name, credentials, transcript, timeout)
    talk.trust = trust or Trust()
    try:
        talk.hold()
    except (OSError, ValueError, WireError) as error:
        talk.so_far = replace(talk.so_far, stopped=talk.layer, why=why(error))
    except Failure as stop:
        judged = stop.layer is not SmtpLayer.LOGIN
        talk.so_far = replace(talk.so_far, stopped=talk.layer, why=str(stop), judged=judged)
    finally:
        talk.wire.finish()
    signs = {"server": "<", "client": ">"}
    lines = tuple(f"{signs.get(line.who, '#')} {line.text}" for line in transcript.lines)
    return replace(talk.so_far, transcript=lines, seconds=time.monotonic() - began)


class _Talk:
    def __init__(
        self,
        daemon: Daemon,
        name: str,
        credentials: Credentials | None,
        transcript: Transcript,
        timeout: float,
    ) -> None:
        self.daemon, self.name, self.credentials = daemon, name, credentials
        self.transcript = transcript
        self.wire = Wire(transcript, Deadline(DEADLINE), timeout)
        self.layer = Layer.LISTENER
        self.trust = Trust()
        self.so_far = Conversation(daemon, daemon.reachable_at)

    def hold(self) -> None:
        """All of it, in order. Raises OSError, ValueError, WireError, Failure."""
        self._dial()
        if self.daemon.tls_on_connect:
            self.layer = Layer.STARTTLS
            self._encrypt()
            self._greeted()
        else:
            self._greeted()
            self._clear()
            self.layer = Layer.STARTTLS
            if "starttls" not in self.so_far.features:
                raise WireError("STARTTLS is not offered")
            if self.wire.ask("STARTTLS").code != 220:
                raise WireError(f"STARTTLS got {self.wire.reply}")
            self._encrypt()
            if self.wire.hello().code != 250:
                raise WireError(f"EHLO under TLS got {self.wire.reply}")
        self.so_far = replace(self.so_far, offered=tuple(self.wire.mechanisms()))
        self._submission()

    def _dial(self) -> None:
        family = socket.AF_INET6 if ":" in self.daemon.reachable_at else socket.AF_INET
        try:
            self.wire.dial(family, (self.daemon.reachable_at, self.daemon.port))
        except OSError:
            # `inet6` alone serves IPv4 as well, unless net.ipv6.bindv6only says otherwise.
            if self.daemon.family != "inet6" or self.daemon.reachable_at != "127.0.0.1":
                raise
            self.wire.dial(socket.AF_INET6, ("::1", self.daemon.port))
            self.so_far = replace(self.so_far, address="::1")

    def _greeted(self) -> None:
        self.layer = Layer.GREETING
        code, _ = self.wire.getreply()
        self.so_far = replace(self.so_far, code=code, greeting=str(self.wire.reply))
        if code != 220:
            raise WireError(f"it greets with {self.wire.reply}")
        if self.wire.hello().code != 250:
            raise WireError(f"EHLO got {self.wire.reply}")
        self.so_far = replace(self.so_far, features=frozenset(self.wire.esmtp_features))

    def _clear(self) -> None:
        self.so_far = replace(self.so_far, clear=tuple(self.wire.mechanisms()))

    def _encrypt(self) -> None:
        tls = self.wire.encrypt(client_context(verify=False), self.name)
        cipher, _, bits = tls.cipher() or ("?", "", 0)
        self.so_far = replace(self.so_far, tls=f"{tls.version()} {cipher} {bits} bits")
        try:
            seen = read(sent_chain(tls), self.name, None, False, self.transcript.shown)
            self.so_far = replace(self.so_far, certificate=seen)
        except ValueError as error:
            self.so_far = replace(self.so_far, unreadable=str(error))

    def _submission(self) -> None:
        if not is_submission(self.daemon):
            return
        self.layer = Layer.AUTH_OFFER
        finding = submission.mail_before_auth(self.wire, encrypted=True)
        self.so_far = replace(self.so_far, mail_before_auth=finding.state if finding else "")
        mechanism = next((name for name in ("LOGIN", "PLAIN") if name in self.so_far.offered), None)
        if mechanism is None:
            raise WireError(f"under TLS it offers {' '.join(self.so_far.offered) or 'no AUTH at all'}")
        if self.credentials is None:
            return
        self.layer = Layer.CERTIFICATE
        self.wire.admit(self.trust, "it is not this host's own, as far as can be told", None)
        self.layer = Layer.ACCOUNT
        self.so_far = replace(self.so_far, login=False)
        shown = self.transcript.shown(self.credentials.user)
        submission.authenticate(self.wire, self.credentials, mechanism, shown)
        self.so_far = replace(self.so_far, login=True)


def is_submission(daemon: Daemon) -> bool:
    """Whether mail clients are meant to come here: 587, 465, or a port that requires AUTH."""
    return daemon.port in (587, 465) or "a" in daemon.modifiers
