"""A scripted SMTP server in a thread: real sockets, real TLS, any misbehaviour a test asks for."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from wizard.certificates import certificates

PASSWORD = "Sesame-OpenUp-77"
_SIXTY = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"


def queue_id() -> str:
    """One that sendmail would give today."""
    now = datetime.now(UTC)
    return "".join(_SIXTY[n] for n in ((now.year - 1900) % 60, now.month - 1, now.day)) + "GO6qV002799"


def print_of(certificate: Path) -> str:
    """The SHA-256 fingerprint of the certificate in a file."""
    return hashlib.sha256(certificates(certificate.read_bytes())[0]).hexdigest()


USER = "alice"
EHLO = "250-mx.test hello\r\n250-8BITMIME\r\n{auth}{starttls}250 HELP\r\n"


@dataclass
class Script:
    """What the server says. A reply may be text, octets, None (hang up), or a callable of the command."""

    certificate: Path | None = None
    implicit_tls: bool = False
    greeting: bytes | float | None = b"220 mx.test ESMTP ready\r\n"
    starttls: bytes | None = b"220 2.0.0 go\r\n"
    break_handshake: bool = False
    prepare: Callable[[ssl.SSLContext], None] = lambda _: None
    """What is done to the server's settings of TLS."""
    clear_auth: str = ""
    tls_auth: str = "LOGIN PLAIN"
    offers_starttls: bool = True
    mail_before_auth: bytes | None = b"530 5.7.0 Authentication required\r\n"
    replies: dict[str, bytes | Callable[[str], bytes] | None] = field(default_factory=dict)
    login: tuple[str, str] = (USER, PASSWORD)
    verdict: bytes | None = None
    """What a login gets, in place of 235 or 535."""
    after_user: bytes | None = b"334 UGFzc3dvcmQ6\r\n"
    """In AUTH LOGIN, once it has the user name."""
    after_password: bytes | None = b""
    """In AUTH, once it has the password; empty: the truth."""
    said: list[str] = field(default_factory=list)
    messages: list[list[str]] = field(default_factory=list)
    connections: int = 0


class _Hangup(Exception):
    pass


@contextmanager
def serving(
    script: Script, family: socket.AddressFamily = socket.AF_INET, at: tuple[str, int] | None = None
) -> Iterator[int]:
    """Runs the script on a free loopback port, or `at` an address and port, until the block ends."""
    loopback = ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0)
    listener = socket.create_server(at or loopback, family=family, backlog=5)
    listener.settimeout(0.02)
    done = threading.Event()

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script.connections += 1
            threading.Thread(target=_serve, args=(connection, script, done), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        thread.join()
        listener.close()


def _tls(connection: socket.socket, script: Script) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert script.certificate is not None
    context.load_cert_chain(script.certificate)
    script.prepare(context)
    return context.wrap_socket(connection, server_side=True)


def _serve(connection: socket.socket, script: Script, done: threading.Event) -> None:
    try:
        if script.implicit_tls:
            connection = _tls(connection, script)
        if isinstance(script.greeting, float):
            done.wait(script.greeting)
            return
        if script.greeting is None:
            return
        connection.sendall(script.greeting)
        _talk(connection, script)
    except (OSError, _Hangup):
        pass  # the client went away, or the script hangs up: both are what a test wants
    finally:
        connection.close()


def _talk(connection: socket.socket, script: Script) -> None:
    encrypted, authenticated = script.implicit_tls, False
    stream = connection.makefile("rb")

    def listen() -> str:
        line = stream.readline()
        if not line:
            raise _Hangup
        text = line.decode(errors="replace").rstrip("\r\n")
        script.said.append(text)
        return text

    while True:
        command = listen()
        verb = command.split(" ")[0].split(":")[0].upper()
        key = verb + ("+tls" if encrypted else "")
        if key in script.replies or verb in script.replies:
            reply = script.replies.get(key, script.replies.get(verb))
            if reply is None:
                raise _Hangup
            connection.sendall(reply(command) if callable(reply) else reply)
        elif verb == "EHLO":
            offered = script.tls_auth if encrypted else script.clear_auth
            connection.sendall(
                EHLO.format(
                    auth=f"250-AUTH {offered}\r\n" if offered else "",
                    starttls="250-STARTTLS\r\n" if script.offers_starttls and not encrypted else "",
                ).encode()
            )
        elif verb == "STARTTLS":
            if script.starttls is None:
                raise _Hangup
            connection.sendall(script.starttls)
            if script.starttls.startswith(b"220"):
                if script.break_handshake:
                    connection.sendall(b"this is no TLS at all, it is text\r\n" * 5)
                    raise _Hangup
                connection, encrypted = _tls(connection, script), True
                stream = connection.makefile("rb")
        elif verb == "AUTH":
            authenticated = _authenticate(connection, script, command, listen)
        elif verb == "MAIL" and not authenticated:
            if script.mail_before_auth is None:
                raise _Hangup
            connection.sendall(script.mail_before_auth)
        elif verb == "DATA":
            connection.sendall(b"354 go on\r\n")
            lines: list[str] = []
            while (line := listen()) != ".":
                lines.append(line)
            script.messages.append(lines)
            connection.sendall(
                script.replies.get(".", f"250 2.0.0 {queue_id()} Message accepted for delivery\r\n".encode())  # type: ignore[arg-type]
            )
        elif verb == "QUIT":
            connection.sendall(b"221 2.0.0 bye\r\n")
            raise _Hangup
        else:
            connection.sendall(b"250 2.0.0 ok\r\n")


def _answer(connection: socket.socket, reply: bytes | None) -> None:
    if reply is None:
        raise _Hangup
    connection.sendall(reply)


def _authenticate(connection: socket.socket, script: Script, command: str, listen: Callable[[], str]) -> bool:
    if command.upper() == "AUTH LOGIN":
        connection.sendall(b"334 VXNlcm5hbWU6\r\n")
        user = base64.b64decode(listen()).decode()
        _answer(connection, script.after_user)
        if script.after_user != Script.after_user:
            return False
        password = base64.b64decode(listen()).decode()
    else:
        token = command.partition("PLAIN")[2].strip()
        if not token:
            connection.sendall(b"334 \r\n")
            token = listen()
        user, password = base64.b64decode(token).decode().split("\0")[1:]
    good = (user, password) == script.login
    if script.after_password != b"":
        _answer(connection, script.after_password)
        return False
    said = b"235 2.0.0 OK Authenticated\r\n" if good else b"535 5.7.0 authentication failed\r\n"
    connection.sendall(script.verdict or said)
    return good
