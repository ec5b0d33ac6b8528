"""The whole conversation against a scripted server: every layer, every check, every misbehaviour."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.json_documents import document
from tests.unit.smtp.server import PASSWORD, USER, Script, print_of, queue_id, serving
from wizard.render import as_json
from wizard.smtp.login_test import Credentials, Finding, Layer, Line, Result, Target, converse
from wizard.smtp.server_trust import Trust

FORMS = (
    PASSWORD,
    base64.b64encode(PASSWORD.encode()).decode(),
    base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode(),
    base64.b64encode(PASSWORD.encode()).decode().rstrip("="),
)
Try = Callable[..., Result]
SAME = 65535
"""In place of the port that is tested: as for `--port 25`."""


@pytest.fixture
def attempt(
    bare_certificate: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Try:
    """Runs a script, and greps every output of every run for the password."""

    def run(
        script: Script,
        *,
        login: Credentials | None = None,
        anonymous: bool = False,
        trust: Trust | None = None,
        **target: Any,
    ) -> Result:
        script.certificate = script.certificate or bare_certificate
        target["trust"] = trust or Trust(accepted=print_of(script.certificate))
        family = socket.AF_INET6 if target.get("host") == "::1" else socket.AF_INET
        live: list[Line] = []
        with caplog.at_level(logging.DEBUG), serving(script, family) as port:
            settings = {"host": "127.0.0.1", "timeout": 5.0, "smtp_port": None, **target}
            credentials = None if anonymous else login or Credentials(USER, PASSWORD)
            if settings["smtp_port"] == SAME:
                settings["smtp_port"] = port
            result = converse(Target(port=port, **settings), credentials, live.append)
        assert tuple(live) == result.lines
        assert script.connections <= 3
        output = capfd.readouterr()
        shown = as_json.dumps(**result.to_json(), watched=None, delivery=None)
        document("test", shown)
        everything = "\n".join([repr(result), str(result), shown, repr(live), caplog.text, *output])
        for form in FORMS:
            assert form not in everything
        assert all(c.isprintable() or c == "\n" for c in everything)
        assert all(len(line.text) < 600 for line in result.lines)
        return result

    return run


def finding(result: Result, check: str) -> Finding:
    return next(f for f in result.findings if f.id == check)


def texts(result: Result, who: str) -> list[str]:
    return [line.text for line in result.lines if line.who == who]


def test_login_and_message(attempt: Try) -> None:
    script = Script()
    result = attempt(script, send_to="bob@mx.test", sender="alice@mx.test")
    assert (result.ok, result.layer, result.code, result.queue_id) == (True, None, 250, queue_id())
    assert result.tls is not None
    assert result.tls.startswith("TLSv1.")
    assert script.connections == 2
    assert script.said.count("AUTH LOGIN") == 1
    assert base64.b64encode(PASSWORD.encode()).decode() in script.said  # it really went over the wire
    [message] = script.messages
    headers = dict(line.split(": ", 1) for line in message[: message.index("")])
    assert set(headers) == {"Date", "Message-ID", "From", "To", "Subject"}
    assert headers["From"] == "<alice@mx.test>"
    assert headers["Message-ID"].endswith("@mx.test>")
    dotted = [line for line in message if line.startswith(".")]
    assert len(dotted) == 1
    assert dotted[0].startswith("..This")  # stuffed on the wire, one dot after the server takes it away
    assert finding(result, "mail-before-auth").state == "ok"
    assert finding(result, "login-before-starttls").state == "ok"
    assert ("client", "********", "base64 of the password, masked") in [
        (x.who, x.text, x.explanation) for x in result.lines
    ]
    assert Line("server", "334 VXNlcm5hbWU6", "base64 of: Username:") in result.lines
    assert texts(result, "client")[-1] == "QUIT"


def test_the_login_alone_takes_one_connection(attempt: Try) -> None:
    """Debian's sendmail takes ten in ten minutes from one address."""
    script = Script()
    result = attempt(script, smtp_port=25, login_only=True)
    assert (result.ok, result.code, script.connections) == (True, 235, 1)
    assert finding(result, "mail-before-auth").state == "ok"
    anonymous = Script()
    assert attempt(anonymous, anonymous=True, login_only=True).code == 250
    assert anonymous.connections == 1


@pytest.mark.parametrize("password", [PASSWORD, "x" * 900])
def test_plain(attempt: Try, password: str) -> None:
    script = Script(login=(USER, password))
    result = attempt(script, mechanism="plain", login=Credentials(USER, password))
    assert result.code == 235
    assert ("AUTH PLAIN" in script.said) is (len(password) == 900)  # too long for one line
    assert password not in json.dumps(result.to_json())


def test_non_ascii_login_is_utf8(attempt: Try) -> None:
    script = Script(login=("jörg", "pässwört-€"))
    result = attempt(script, login=Credentials("jörg", "pässwört-€"))
    assert result.ok
    assert "pässwört" not in json.dumps(result.to_json(), ensure_ascii=False)


def test_without_credentials_stops_at_the_offer(attempt: Try) -> None:
    script = Script()
    result = attempt(script, anonymous=True)
    assert result.ok
    assert not any(said.startswith("AUTH") for said in script.said)
    assert "LOGIN PLAIN" in result.verdict


def test_ipv6(attempt: Try) -> None:
    assert attempt(Script(), host="::1").ok


def test_tls_on_connect(attempt: Try, issued_certificate: tuple[Path, Path]) -> None:
    script = Script(implicit_tls=True)
    result = attempt(script, implicit_tls=True)
    assert result.ok
    assert "STARTTLS" not in script.said
    assert finding(result, "mail-before-auth").state == "ok"
    assert Target("mx.test", 465).tls_on_connect
    assert not Target("mx.test").tls_on_connect


def test_plain_smtp_where_tls_is_expected(attempt: Try) -> None:
    result = attempt(Script(), implicit_tls=True)
    assert result.layer is Layer.STARTTLS
    assert "plain SMTP" in result.verdict
    assert "lacks M=s" in result.verdict
    assert "starttls" not in result.verdict.lower()


# -- where it fails ----------------------------------------


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = converse(Target("127.0.0.1", port), Credentials(USER, PASSWORD))
    assert result.layer is Layer.TCP
    assert "refused" in result.verdict
    assert "Sendmail is not installed or not running" in result.verdict
    assert "Addr=127.0.0.1" not in result.verdict
    assert "firewall" not in result.verdict


def test_unknown_name() -> None:
    result = converse(Target("no-such-host.invalid", timeout=10), None)
    assert result.layer is Layer.NAME


@pytest.mark.parametrize("greeting", [5.0, b"220-half a gree"], ids=["silent", "half a line"])
def test_silence_meets_the_timeout(attempt: Try, greeting: Any) -> None:
    start = time.monotonic()
    result = attempt(Script(greeting=greeting), timeout=0.4)
    assert result.layer is Layer.GREETING
    assert "silent" in result.verdict
    assert time.monotonic() - start < 3


def test_a_trickle_meets_the_timeout(bare_certificate: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    for _ in range(100):
                        connection.sendall(b"2")
                        time.sleep(0.1)
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        start = time.monotonic()
        result = converse(Target("127.0.0.1", listener.getsockname()[1], timeout=0.5, smtp_port=None), None)
        assert result.layer is Layer.GREETING
        assert time.monotonic() - start < 3


def test_the_deadline_bounds_everything(attempt: Try) -> None:
    def slow(_: str) -> bytes:
        time.sleep(0.6)
        return b"530 5.7.0 no\r\n"

    start = time.monotonic()
    result = attempt(Script(replies={"MAIL": slow, "EHLO+tls": slow}), timeout=5, deadline=0.3)
    assert not result.ok
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("greeting", "says"),
    [
        (b"421 4.3.2 Connection rate limit exceeded.\r\n", "takes 10 in ten minutes"),
        (b"554 5.7.1 No service for you\r\n", "554 5.7.1 No service"),
        (b"\x1b[2J\x1b]0;owned\x07\xff\xfe\xe2\x80\xaeHTTP/1.1 400 Bad\r\n", "not SMTP"),
        (b"220 " + b"A" * 1_000_000 + b"\r\n", "8192 octets"),
        (b"220-spam\r\n" * 5000, "more than 100 lines"),
        (b"220-one\r\n554 two\r\n", "changed the code"),
        (b"\r\n", "not SMTP"),
        (None, "closed|broke"),
    ],
)
def test_bad_greetings(attempt: Try, greeting: bytes | None, says: str) -> None:
    result = attempt(Script(greeting=greeting))
    assert result.layer is Layer.GREETING
    assert re.search(says, result.verdict)
    assert ".. " not in result.verdict
    assert len(result.lines) < 150


def test_long_line_is_cut_but_understood(attempt: Try) -> None:
    result = attempt(Script(greeting=b"220 " + b"B" * 5000 + b"\r\n"))
    assert result.ok
    assert "cut, 4492 characters more" in texts(result, "server")[0]


def test_escape_sequences_become_visible(attempt: Try) -> None:
    result = attempt(Script(greeting=b"220 \x1b[31mred\x07 \xc2\x9b\xff\r\n"))
    assert texts(result, "server")[0] == r"220 \x1b[31mred\x07 \x9b\xff"


@pytest.mark.parametrize(
    ("script", "layer", "code", "says"),
    [
        (Script(offers_starttls=False), Layer.STARTTLS, None, "not offered"),
        (Script(starttls=b"454 4.3.3 TLS not available after start\r\n"), Layer.STARTTLS, 454, "key unsafe"),
        (Script(starttls=None), Layer.STARTTLS, None, "closed"),
        (Script(break_handshake=True), Layer.STARTTLS, None, "handshake"),
        (Script(replies={"EHLO+tls": b"502 no\r\n"}), Layer.STARTTLS, 502, "EHLO under TLS"),
        (Script(tls_auth=""), Layer.AUTH_OFFER, None, "libsasl2-modules"),
        (Script(tls_auth="CRAM-MD5"), Layer.AUTH_OFFER, None, "CRAM-MD5"),
        (Script(replies={"AUTH": b"504 5.3.3 LOGIN not available\r\n"}), Layer.AUTH_OFFER, 504, "504"),
        (Script(replies={"AUTH": b"530 5.7.0 Must issue STARTTLS\r\n"}), Layer.STARTTLS, 530, "530"),
        (
            Script(replies={"AUTH": b"454 4.7.0 temporary\r\n"}),
            Layer.LOGIN,
            454,
            "before it had the password.*nothing about",
        ),
        (Script(replies={"AUTH": b"235 2.0.0 anyone\r\n"}), Layer.LOGIN, 235, "before it had"),
        (
            Script(replies={"AUTH": b"421 4.7.0 too many\r\n"}),
            Layer.LOGIN,
            421,
            "before it had the.*takes 10 in ten minutes",
        ),
        (
            Script(replies={"AUTH": b"535 5.7.0 not you\r\n"}),
            Layer.LOGIN,
            535,
            "before it had the.*nothing about the user",
        ),
        (
            Script(replies={"AUTH": None}),
            Layer.LOGIN,
            None,
            "closed the connection, before it had the password",
        ),
        (Script(login=("alice", "another")), Layer.CREDENTIALS, 535, "checkpass|Sendmail.conf"),
        (Script(replies={"RCPT": b"550 5.7.1 Relaying denied\r\n"}), Layer.RELAY, 550, "RCPT TO got 550"),
        (Script(replies={"DATA": b"451 4.3.0 milter\r\n"}), Layer.RELAY, 451, "DATA got 451"),
        (Script(replies={".": b"552 5.2.2 full\r\n"}), Layer.RELAY, 552, "552"),
        (Script(replies={"RCPT": None}), Layer.RELAY, None, "closed"),
    ],
)
def test_failures_name_their_layer(
    attempt: Try, script: Script, layer: Layer, code: int | None, says: str
) -> None:
    result = attempt(script, send_to="bob@mx.test", sender="alice@mx.test")
    assert (result.ok, result.layer, result.code) == (False, layer, code)
    assert re.search(says, result.verdict)
    assert (layer is Layer.CREDENTIALS) == ("password is wrong" in result.verdict)
    if layer in (Layer.STARTTLS, Layer.AUTH_OFFER, Layer.LOGIN):
        assert not any(form in said for form in FORMS for said in script.said)  # the password never left


@pytest.mark.parametrize(
    "reply", [None, b"421 4.3.2 shutting down\r\n", b"454 4.3.0 later\r\n", b"535 no\r\n", b"what?\r\n"]
)
def test_what_ends_after_the_user_name_is_not_blamed_on_the_password(
    attempt: Try, reply: bytes | None
) -> None:
    script = Script(after_user=reply)
    result = attempt(script)
    assert result.layer is Layer.LOGIN
    assert "before it had the password" in result.verdict
    assert "password is wrong" not in result.verdict
    assert not any(form in said for form in FORMS for said in script.said)


@pytest.mark.parametrize(("octets", "at_once"), [(365, True), (366, False)])
def test_no_command_of_auth_plain_is_longer_than_512_octets(attempt: Try, octets: int, at_once: bool) -> None:
    password = "x7Qk-" * 73 + "y" * (octets - 365)
    script = Script(login=(USER, password))
    assert attempt(script, login=Credentials(USER, password), mechanism="PLAIN").ok
    assert ("AUTH PLAIN" not in script.said) is at_once
    assert all(len(f"{said}\r\n") <= 512 for said in script.said if said.startswith("AUTH"))


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN"])
@pytest.mark.parametrize("reply", [None, b"421 4.3.2 shutting down\r\n", b"454 4.3.0 later\r\n"])
def test_a_server_that_gives_no_verdict_is_no_wrong_password(
    attempt: Try, reply: bytes | None, mechanism: str
) -> None:
    result = attempt(Script(after_password=reply), mechanism=mechanism)
    assert result.layer is Layer.LOGIN
    assert "did not judge the password" in result.verdict
    assert "password is wrong" not in result.verdict


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN"])
def test_a_server_that_asks_for_more_than_the_mechanism_has_refuses_no_login(
    attempt: Try, mechanism: str
) -> None:
    result = attempt(Script(after_password=b"334 Q29kZTo=\r\n"), mechanism=mechanism)
    assert (result.layer, result.code) == (Layer.LOGIN, 334)
    assert f"asks for more than {mechanism} has, and did not judge the password" in result.verdict
    assert "password is wrong" not in result.verdict


# -- what the checks find ----------------------------------------


def test_login_offered_in_clear(attempt: Try) -> None:
    result = attempt(Script(clear_auth="LOGIN PLAIN DIGEST-MD5"))
    assert result.ok
    assert finding(result, "login-before-starttls").state == "failed"
    assert finding(result, "md5-mechanisms").state == "warning"
    assert result.verdict.endswith(" Not as it should be: passwords can travel in clear.")


def test_a_connection_dropped_at_rset_does_not_hide_that_mail_was_taken(attempt: Try) -> None:
    result = attempt(Script(mail_before_auth=b"250 2.1.0 ok\r\n", replies={"RSET": None}), anonymous=True)
    assert finding(result, "mail-before-auth").state == "failed"


def test_mail_taken_before_login(attempt: Try) -> None:
    script = Script(mail_before_auth=b"250 2.1.0 ok\r\n")
    result = attempt(script)
    assert finding(result, "mail-before-auth").state == "failed"
    assert of_mail(result) == ["must be refused before a login"]
    assert script.said[script.said.index("MAIL FROM:<>") + 1] == "RSET"


def test_a_530_that_asks_for_starttls_proves_nothing(attempt: Try) -> None:
    script = Script(
        replies={"MAIL": b"530 5.7.0 Must issue a STARTTLS command first\r\n", "MAIL+tls": b"250 ok\r\n"}
    )
    assert finding(attempt(script), "mail-before-auth").state == "failed"


def test_hanging_up_on_mail_is_unknown_not_fatal(attempt: Try) -> None:
    result = attempt(Script(mail_before_auth=None))
    assert result.ok
    assert finding(result, "mail-before-auth").state == "unknown"
    assert finding(result, "certificate").state == "warning", "it is self-signed, whoever verifies it"


@pytest.mark.parametrize(
    ("clear", "tls", "state"), [("", "", "ok"), ("", "LOGIN", "failed"), ("CRAM-MD5", "", "failed")]
)
def test_auth_on_the_smtp_port(
    attempt: Try, bare_certificate: Path, clear: str, tls: str, state: str
) -> None:
    other = Script(certificate=bare_certificate, clear_auth=clear, tls_auth=tls)
    with serving(other) as port:
        result = attempt(Script(), smtp_port=port)
    assert result.ok
    assert finding(result, "smtp-auth").state == state
    assert other.said[-1] == "QUIT"


def at_25(mail: bytes = b"250 2.1.0 Sender ok\r\n", offers: str = "") -> Script:
    return Script(
        tls_auth=offers, mail_before_auth=mail, replies={"AUTH": b"503 5.3.3 AUTH not available\r\n"}
    )


def test_what_ehlo_offers_is_explained(attempt: Try) -> None:
    """HELP is an offer like the others, and not the end of the list, which the blank after its 250 is."""
    explanations = {line.text: line.explanation for line in attempt(Script()).lines}
    assert explanations["250 HELP"] == "help on commands can be asked for"


def of_mail(result: Result) -> list[str]:
    """What is said of the MAIL that is tried before a login."""
    return [line.explanation for line in result.lines if line.text == "MAIL FROM:<>"]


def test_where_other_servers_deliver_no_login_is_right_and_mail_without_one(attempt: Try) -> None:
    """M=a there would shut out the mail of the world."""
    result = attempt(at_25(), smtp_port=SAME, anonymous=True)
    assert result.ok
    assert "mail clients log in at port 587" in result.verdict
    assert of_mail(result) == ["must be taken: other mail servers do not log in"]
    assert [finding(result, name).state for name in ("mail-before-auth", "smtp-auth")] == ["ok", "ok"]
    result = attempt(at_25(), smtp_port=SAME)
    assert (result.ok, result.layer) == (False, "auth-offer")
    assert "mail clients log in at port 587" in result.verdict
    assert "M=" not in " ".join([result.verdict, *(each.says for each in result.findings)])


def test_what_is_wrong_where_other_servers_deliver_is_said(attempt: Try) -> None:
    result = attempt(
        at_25(b"530 5.7.0 Authentication required\r\n", "LOGIN PLAIN"), smtp_port=SAME, anonymous=True
    )
    assert "no other mail server can deliver" in finding(result, "mail-before-auth").says
    assert finding(result, "smtp-auth").state == "failed"


@pytest.mark.parametrize(("clear", "state"), [("LOGIN", "failed"), ("", "ok")])
def test_a_broken_starttls_on_the_smtp_port_hides_no_auth(attempt: Try, clear: str, state: str) -> None:
    with serving(Script(clear_auth=clear, starttls=b"454 4.3.3 TLS not available\r\n")) as port:
        result = attempt(Script(), smtp_port=port)
    assert finding(result, "smtp-auth").state == state


@pytest.mark.parametrize("greeting", [b"421 4.3.2 slow down\r\n", b"\x1b junk\r\n", None])
def test_smtp_port_that_cannot_be_looked_at_is_unknown(attempt: Try, greeting: bytes | None) -> None:
    with serving(Script(greeting=greeting)) as port:
        result = attempt(Script(), smtp_port=port)
    assert result.ok
    assert finding(result, "smtp-auth").state == "unknown"
    assert ("rate limit" in finding(result, "smtp-auth").says) is (
        greeting is not None and b"421" in greeting
    )


def test_closed_smtp_port_is_unknown(attempt: Try) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert finding(attempt(Script(), smtp_port=port), "smtp-auth").state == "unknown"


# -- the certificate ----------------------------------------


def test_bare_certificate_is_a_warning(attempt: Try) -> None:
    seen = attempt(Script())
    assert finding(seen, "certificate").state == "warning"
    assert seen.certificate is not None
    assert seen.certificate.key == "RSA 2048"
    assert seen.certificate.self_signed
    assert not seen.certificate.trusted
    assert seen.certificate.names == ()
    assert "self-signed" in str(seen.certificate.problem)
    assert "subjectAltName" in str(seen.certificate.problem)


@pytest.mark.parametrize("password", ["test", "x", "mx.test"])
@pytest.mark.parametrize("named", [True, False], ids=["subjectAltName", "common name"])
def test_a_password_that_is_part_of_the_name_does_not_change_the_name(
    attempt: Try, named_certificate: Path, bare_certificate: Path, named: bool, password: str
) -> None:
    """What is shown of the names is masked; what is said of them is not told by that."""
    script = Script(named_certificate if named else bare_certificate)
    seen = attempt(script, login=Credentials(USER, password), server_name="mx.test")
    assert "not for" not in finding(seen, "certificate").says
    assert seen.certificate is not None
    assert "not for" not in str(seen.certificate.problem)
    assert "mx.test" not in (*seen.certificate.names, seen.certificate.subject), (
        "they are masked all the same"
    )


@pytest.mark.parametrize("implicit", [True, False])
def test_an_untrusted_server_gets_no_password(attempt: Try, implicit: bool, bare_certificate: Path) -> None:
    script = Script(implicit_tls=implicit)
    result = attempt(script, trust=Trust(), implicit_tls=implicit)
    assert result.layer is Layer.CERTIFICATE
    assert "no password was sent" in result.verdict
    assert print_of(bare_certificate) in result.verdict
    assert result.certificate is not None
    assert not any(said.startswith("AUTH") for said in script.said)


def test_trusted_certificate(
    attempt: Try, issued_certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issued_certificate[1]))
    result = attempt(Script(certificate=issued_certificate[0]), trust=Trust())
    assert result.ok
    assert result.certificate is not None
    assert result.certificate.trusted
    assert result.certificate.problem is None
    assert result.certificate.names == ("127.0.0.1", "*.issued.test")
    assert result.certificate.key == "EC secp256r1"
    assert finding(result, "certificate").state == "ok"


def test_wrong_name(
    attempt: Try, issued_certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issued_certificate[1]))
    result = attempt(Script(certificate=issued_certificate[0]), host="localhost", family="ipv4")
    assert result.ok
    assert result.certificate is not None
    assert not result.certificate.trusted
    assert "not for localhost" in str(result.certificate.problem)


def test_a_common_name_alone_is_not_trusted(
    attempt: Try, nameless_certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would still take the common name; mail clients do not."""
    monkeypatch.setenv("SSL_CERT_FILE", str(nameless_certificate[1]))
    result = attempt(Script(certificate=nameless_certificate[0]), host="localhost", family="ipv4")
    assert result.certificate is not None
    assert not result.certificate.trusted
    assert "subjectAltName" in str(result.certificate.problem)


def test_self_signed_in_the_own_store_is_still_named(
    attempt: Try, named_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """update_tls links the server's certificate into /etc/ssl/certs: on the server alone it verifies."""
    monkeypatch.setenv("SSL_CERT_FILE", str(named_certificate))
    result = attempt(Script(certificate=named_certificate))
    assert result.certificate is not None
    assert result.certificate.trusted
    assert finding(result, "certificate").state == "warning"


# -- a server that echoes the password ----------------------------------------


@pytest.mark.parametrize(
    "echo",
    [
        PASSWORD,
        PASSWORD.upper(),
        *FORMS[1:],
        base64.b64encode(f"x{PASSWORD}".encode()).decode(),
        base64.b64encode(f"xy{PASSWORD}z".encode()).decode(),
        "Z" + base64.b64encode(f"xy{PASSWORD}z".encode()).decode(),
        "A" * 500 + PASSWORD,
        PASSWORD * 400,
    ],
)
@pytest.mark.parametrize("verb", ["EHLO+tls", "AUTH", "MAIL"])
def test_echoed_password_is_masked(attempt: Try, echo: str, verb: str) -> None:
    script = Script(replies={verb: f"550-{echo}\r\n550 {echo} no\r\n".encode()})
    result = attempt(script, send_to="b@mx.test", sender="a@mx.test")
    assert "********" in json.dumps(result.to_json())
    assert PASSWORD.lower() not in json.dumps(result.to_json()).lower()


def test_password_broken_off_at_the_line_limit(attempt: Try) -> None:
    line = b"220 " + PASSWORD.encode() * 3000
    shown = json.dumps(attempt(Script(greeting=line)).to_json())
    assert PASSWORD[:9] not in shown


def test_challenge_that_holds_the_password(attempt: Try) -> None:
    token = base64.b64encode(f"{PASSWORD}?".encode())
    result = attempt(Script(replies={"AUTH": b"334 " + token + b"\r\n"}))
    assert result.layer is Layer.LOGIN


def test_user_equal_to_the_password(attempt: Try) -> None:
    login = Credentials(PASSWORD, PASSWORD)
    script = Script(login=(PASSWORD, PASSWORD))
    assert attempt(script, login=login, send_to="b@mx.test").ok
    assert any(said == f"MAIL FROM:<{PASSWORD}@[127.0.0.1]>" for said in script.said)


def test_injected_text_before_tls_is_thrown_away(attempt: Try) -> None:
    script = Script(starttls=b"220 go\r\n250-injected\r\n250 AUTH EVIL\r\n")
    result = attempt(script)
    assert not any("EVIL" in text for text in texts(result, "server"))
    assert any("discarded" in text for text in texts(result, "note"))
