"""A host that does something already: it goes on doing that, or `apply` stops and says what would end."""

from __future__ import annotations

import re
import time

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, login, wizard

CF, MC = "/etc/mail/sendmail.cf", "/etc/mail/sendmail.mc"
OWN = "/etc/own"
BEHIND = """
dnl # Masquerading options
FEATURE(`always_add_domain')dnl
MASQUERADE_AS(`debian.debian')dnl
FEATURE(`allmasquerade')dnl
FEATURE(`masquerade_envelope')dnl
"""


def in_use(machine: BootMachine) -> Machine:
    """Sendmail as apt leaves it, at work."""
    debian = machine("mail")
    add_alice(debian)
    debian.run("systemctl enable sendmail; systemctl restart sendmail")
    return debian


def configured(debian: Machine, mc: str) -> None:
    """The admin's sendmail.mc, brought to work in the ordinary way."""
    debian.put(MC, mc)
    debian.run("sendmailconfig </dev/null >/dev/null 2>&1; systemctl restart sendmail")
    _greets(debian)


def _greets(debian: Machine) -> None:
    for _ in range(100):
        if "25" in debian.run("ss -ltnH 'sport = :25'").stdout:
            return
        time.sleep(0.1)
    raise AssertionError("sendmail does not listen")


def mc_of(debian: Machine) -> str:
    return debian.read(MC).decode("latin-1")


def cf_of(debian: Machine) -> list[str]:
    return debian.read(CF).decode("latin-1").splitlines()


def option(debian: Machine, name: str) -> str:
    found = [line.partition("=")[2] for line in cf_of(debian) if re.match(rf"O {re.escape(name)}\b", line)]
    assert len(found) == 1, found
    return found[0]


def certificate(debian: Machine) -> None:
    """A certificate of the admin's own, as an authority's client leaves it, with a list of revoked ones."""
    debian.run(
        f"mkdir -p {OWN} && cd {OWN} && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 80 "
        "-subj /CN=mail.example.test/O=Mine -addext subjectAltName=DNS:mail.example.test 2>/dev/null && chmod 600 key.pem "
        "&& printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\ndefault_md=sha256\\ndefault_crl_days=30\\n' > ca.cnf "
        "&& touch index && openssl ca -gencrl -config ca.cnf -keyfile key.pem -cert cert.pem -out crl.pem 2>/dev/null"
    )


def defines(**values: str) -> str:
    return "".join(f"define(`conf{name}', `{value}')dnl\n" for name, value in values.items())


def before_the_mailers(debian: Machine, lines: str) -> str:
    return mc_of(debian).replace("MAILER_DEFINITIONS\n", f"{lines}MAILER_DEFINITIONS\n")


def presented(debian: Machine) -> str:
    """The subject of the certificate on port 587."""
    said = debian.run(
        "echo QUIT | timeout 20 openssl s_client -starttls smtp -connect 127.0.0.1:587 2>/dev/null | grep ^subject"
    )
    return said.stdout


TLS = defines(
    CACERT_PATH="/etc/ssl/certs",
    CACERT=f"{OWN}/cert.pem",
    SERVER_CERT=f"{OWN}/cert.pem",
    SERVER_KEY=f"{OWN}/key.pem",
)


@pytest.mark.default_on("bookworm")
def test_features_behind_the_mailers_stay(machine: BootMachine) -> None:
    """m4 complains of them, and they work: so they do afterwards, and `plan` had said what `apply` does."""
    debian = in_use(machine)
    configured(debian, mc_of(debian) + BEHIND)
    assert "DMdebian.debian" in cf_of(debian)
    plan = wizard(debian, "plan")
    assert plan.returncode == 0, plan.stderr
    assert "as it did before: *** ERROR: FEATURE() should" in plan.stdout
    assert "WOULD END" not in plan.stdout
    apply(debian)
    assert "DMdebian.debian" in cf_of(debian)
    assert login(debian)["exit"] == 0
    wizard(debian, "rollback", "--all", "--yes", check=True)
    assert mc_of(debian).endswith(BEHIND)
    # A fault that is new is not let by.
    debian.put(MC, mc_of(debian).replace("FEATURE(`use_cw_file')", "FEATURE(`use_cw_file)"))
    assert wizard(debian, "apply", "--yes").returncode == 3


@pytest.mark.default_on("forky")
def test_lines_written_into_sendmail_cf_are_listed_and_asked_about(machine: BootMachine) -> None:
    """As Webmin writes them. The list is the same before and after our own edits of sendmail.mc, and in a second run."""
    debian = in_use(machine)
    lines = ["Cwswelljoe.test", "DSsmtp.isp.example"]
    debian.run(f"cd /etc/mail; sed -i 's/^Cwlocalhost.*/&\\n{lines[0]}/; s/^DS$/{lines[1]}/' sendmail.cf")
    debian.run("sed -i 's/^O PrivacyOptions/#&/' /etc/mail/sendmail.cf")
    debian.run(
        "sed -i 's/^D{MTAHost}.*/D{MTAHost}[192.0.2.9]/' /etc/mail/submit.cf; systemctl restart sendmail"
    )
    before = debian.read(CF)
    said = []
    mc = debian.read(MC)
    commands: list[list[str]] = [["plan", "mc-includes"], ["apply", "--yes"], ["apply", "--yes"]]
    for command in commands:
        done = wizard(debian, *command)
        assert done.returncode == (4 if command[0] == "apply" else 0), done.stderr
        said.append(re.findall(r"^ +\| (?!\$)([CDO].*)$", done.stderr or done.stdout, re.MULTILINE))
    of_submit = "D{MTAHost}[192.0.2.9]"
    assert said == [lines, [*lines, of_submit], [*lines, of_submit]]
    assert "| comes back: O PrivacyOptions=" in done.stderr
    planned = wizard(debian, "plan", "sendmailconfig").stdout
    assert re.findall(r"^ +\| ([CDO].*)$", planned, re.MULTILINE) == [*lines, of_submit]
    assert "WOULD END: cf-lines, submit-cf-lines" in wizard(debian, "status").stdout
    # A start of sendmail makes sendmail.cf again once sendmail.mc is newer: so that was not touched either.
    assert debian.read(MC) == mc
    debian.run("systemctl restart sendmail")
    assert debian.read(CF) == before
    wizard(debian, "rollback", "--all", "--yes", check=True)
    assert debian.read(CF) == before
    # Taken back before sendmail.cf was made again, sendmail.mc is as old as it was, and no start makes it.
    apply(debian, "sendmail-auth", "mc-includes", "--accept", "cf-lines")
    wizard(debian, "rollback", "--all", "--yes", check=True)
    debian.run("systemctl restart sendmail")
    assert debian.read(CF) == before
    stopped = wizard(debian, "apply", "--yes", "--accept", "cf-lines")
    assert stopped.returncode == 4
    assert "--accept cf-lines --accept submit-cf-lines" in stopped.stderr
    assert debian.read(MC) == mc
    apply(debian, "--accept", "cf-lines", "--accept", "submit-cf-lines")
    assert not set(lines) & set(cf_of(debian))
    assert login(debian)["exit"] == 0
    wizard(debian, "rollback", "--all", "--yes", check=True)
    assert set(lines) < set(cf_of(debian))


@pytest.mark.default_on("forky")
@pytest.mark.parametrize("place", ["above the mailers", pytest.param("behind them", marks=pytest.mark.full)])
def test_ones_own_certificate_is_served(machine: BootMachine, place: str) -> None:
    debian = in_use(machine)
    certificate(debian)
    configured(
        debian, before_the_mailers(debian, TLS) if place == "above the mailers" else mc_of(debian) + TLS
    )
    plan = wizard(debian, "plan", "mc-includes")
    assert "starttls.m4 is left out" in " ".join(plan.stdout.split())
    apply(debian)
    assert option(debian, "ServerCertFile") == f"{OWN}/cert.pem"
    assert "O = Mine" in presented(debian).replace("O=Mine", "O = Mine")
    assert login(debian)["exit"] == 0
    assert wizard(debian, "plan", "--exit-code").returncode == 0
    # Debian's own need not be there; the one that is named must.
    debian.run("rm /etc/mail/tls/sendmail-server.crt")
    assert wizard(debian, "plan", "--exit-code").returncode == 0
    shown = wizard(debian, "certificate", "show").stdout
    assert f"ServerCertFile: {OWN}/cert.pem" in shown
    assert "the running sendmail presents it" in shown


SMART_HOST = """
import base64, hashlib, hmac, socketserver
class Hub(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda words: self.wfile.write(words.encode() + b"\\r\\n")
        say("220 hub.test ESMTP")
        known = False
        while line := self.rfile.readline().decode("latin-1").strip():
            verb = line.upper()
            print(line, flush=True)
            if verb.startswith("EHLO"):
                say("250-hub.test"); say("250 AUTH CRAM-MD5")
            elif verb.startswith("AUTH CRAM-MD5"):
                say("334 " + base64.b64encode(b"<1@hub.test>").decode())
                user, digest = base64.b64decode(self.rfile.readline()).decode().split()
                known = digest == hmac.new(b"hub-secret", b"<1@hub.test>", hashlib.md5).hexdigest()
                print("LOGIN", user, known, flush=True)
                say("235 ok" if known else "535 no")
            elif verb.startswith("MAIL") and not known:
                say("530 log in first")
            elif verb == "DATA":
                say("354 go")
                while self.rfile.readline().strip() != b".":
                    pass
                print("MESSAGE", flush=True)
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye"); return
            else:
                say("250 ok")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 2526), Hub).serve_forever()
"""
"""A smart host that takes mail from one user only, and knows no other mechanism than CRAM-MD5."""
BY_SMART_HOST = (
    "MASQUERADE_AS(`mine.test')dnl\ndefine(`SMART_HOST', `relay:[127.0.0.1]')dnl\n"
    "define(`RELAY_MAILER_ARGS', `TCP $h 2526')dnl\nFEATURE(`authinfo', `hash -o /etc/mail/authinfo')dnl\n"
)


def smart_host(debian: Machine) -> None:
    """Begin it, and tell sendmail the password."""
    debian.run("echo 127.0.0.9 mine.test far.test >>/etc/hosts")  # there is no DNS here
    debian.put("/root/hub.py", SMART_HOST)
    debian.put(
        "/etc/mail/authinfo", 'AuthInfo:[127.0.0.1] "U:us" "I:us" "P:hub-secret" "M:CRAM-MD5"\n', mode=0o600
    )
    debian.run("makemap hash /etc/mail/authinfo </etc/mail/authinfo; chown smmta:smmsp /etc/mail/authinfo*")
    debian.run("setsid python3 /root/hub.py >/root/hub.log 2>&1 & sleep 1")


def through_smart_host(debian: Machine) -> str:
    """Send a message to somebody far away; what the smart host saw of it."""
    debian.run(": >/root/hub.log; echo hello | /usr/sbin/sendmail -f alice@mine.test bob@far.test")
    for _ in range(150):
        seen = debian.read("/root/hub.log").decode()
        if "MESSAGE" in seen or "LOGIN us False" in seen:
            return seen
        time.sleep(0.2)
    return seen


@pytest.mark.default_on("bookworm")
@pytest.mark.parametrize("half", [False, pytest.param(True, marks=pytest.mark.full)], ids=["whole", "half"])
def test_settings_of_ones_own_win(machine: BootMachine, half: bool) -> None:
    """Mechanisms of a smart host, realm, revocation list, a certificate or half of one, and 465 that was open."""
    debian = in_use(machine)
    certificate(debian)
    smart_host(debian)
    own = defines(AUTH_MECHANISMS="CRAM-MD5 DIGEST-MD5", AUTH_REALM="mine.test", CRL=f"{OWN}/crl.pem")
    own += defines(SERVER_CERT=f"{OWN}/cert.pem", SERVER_KEY=f"{OWN}/key.pem") if half else TLS
    own += defines(MAX_MESSAGE_SIZE="5000000") + BY_SMART_HOST
    if not half:  # without an authority's file there is no TLS, and 465 would not greet before
        own += "DAEMON_OPTIONS(`Family=inet, Name=TLS, Port=465, M=s')dnl\n"
    configured(debian, before_the_mailers(debian, own))
    seen = through_smart_host(debian)
    assert "LOGIN us True" in seen, seen
    before = {line for line in cf_of(debian) if line[:1] not in "#" and not line.startswith("O Daemon")}
    plan = wizard(debian, "plan")
    assert "WOULD END" not in plan.stdout, plan.stdout
    assert ("take mail without a login, also" in " ".join(plan.stdout.split())) == (not half)
    apply(debian)
    grown = re.compile(r"O (DontBlameSendmail|AuthMechanisms)=")
    lost = {line for line in before - set(cf_of(debian)) if not grown.match(line)}
    assert lost == {'R$*\t\t\t$#error $@ 5.7.1 $: "550 Relaying denied"'}
    assert option(debian, "AuthMechanisms").split() == ["CRAM-MD5", "DIGEST-MD5", "LOGIN", "PLAIN"]
    assert (option(debian, "AuthRealm"), option(debian, "CRLFile")) == ("mine.test", f"{OWN}/crl.pem")
    assert "Mine" in presented(debian)
    result = login(debian)
    assert result["exit"] == 0, result
    seen = through_smart_host(debian)
    assert "LOGIN us True" in seen, seen
    assert "MESSAGE" in seen
    offered, refused = submitting(debian, "-starttls smtp -connect 127.0.0.1:587")
    assert (offered, refused) == (["LOGIN PLAIN"], True), (
        "what is for the smart host is not offered to clients"
    )
    if not half:
        assert submitting(debian, "-connect 127.0.0.1:465") == (["LOGIN PLAIN"], True)
    wizard(debian, "rollback", "--all", "--yes", check=True)
    assert before <= set(cf_of(debian))
    assert "LOGIN us True" in through_smart_host(debian)


def submitting(debian: Machine, how: str) -> tuple[list[str], bool]:
    """What a client is offered, and whether it must log in before MAIL."""
    said = debian.run(
        "(sleep 2; printf 'EHLO a.test\\r\\n'; sleep 1; printf 'MAIL FROM:<a@mine.test>\\r\\n'; sleep 1; "
        f"printf 'QUIT\\r\\n'; sleep 1) | timeout 20 openssl s_client -quiet {how} 2>/dev/null",
        check=False,
    ).stdout
    offered = re.findall(r"250[- ]AUTH (.*)", said.replace("\r", ""))
    return offered, "530 5.7.0 Authentication required" in said
