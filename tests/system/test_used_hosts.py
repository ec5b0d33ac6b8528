"""Hosts in use, of many kinds: `apply` changes what it plans and nothing else, what worked works, `rollback --all` is exact."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, login, wizard
from tests.system.picture import differences, picture
from tests.system.releases import ENDS
from tests.system.test_hosts_in_use import (
    BY_SMART_HOST,
    MC,
    TLS,
    before_the_mailers,
    certificate,
    configured,
    mc_of,
    presented,
    smart_host,
    through_smart_host,
)
from tests.system.test_local_mail import HOSTS as SUBMIT_HOSTS
from tests.system.test_local_mail import arrives
from tests.system.test_password_sources import AGAIN, DEFAULT, SECRET, logged_in, served
from tests.system.test_troubleshoot import short, troubleshoot

PLANNED = re.compile(
    r"O (TrustedUser|DaemonPortOptions|AuthMechanisms|AuthOptions|AuthRealm|Timeout\.(auth|starttls)|DontBlameSendmail|TLSSrvOptions"
    r"|CACertPath|CACertFile|(Server|Client)(Cert|Key)File|DHParameters)\b"
    r'|C\{TrustAuthMech\}|R.*"550 Relaying denied'
)
"""What the steps say they set."""
GONE_OR_LESS = re.compile(
    r'-(?!O (DaemonPortOptions|DontBlameSendmail|AuthMechanisms)\b|R.*"550 Relaying denied)'
)
"""Of these only listeners, and lists that grow, may go: a setting that was there stays."""
SAY = """
import smtplib, sys
port, sender, receiver = sys.argv[1:]
server = smtplib.SMTP("127.0.0.1", int(port), timeout=60)
server.ehlo()
print(server.mail(sender)[0], server.rcpt(receiver)[0])
"""
MILTER = """
import os, socket, socketserver, struct
class Milter(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.read(4):
            packet = self.rfile.read(struct.unpack("!I", head)[0])
            kind = packet[:1]
            if kind == b"Q":
                return
            if kind in b"DA":
                continue
            answer = b"O" + struct.pack("!III", 2, 0, 0) if kind == b"O" else b"r" if b"refused" in packet else b"c"
            self.wfile.write(struct.pack("!I", len(answer)) + answer)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", 2600), Milter).serve_forever()
"""
"""Refuses every address with "refused" in it."""


@dataclass(frozen=True)
class Kind:
    """A kind of host: how it came to be, and whether it does its work."""

    make: Callable[[Machine], None]
    works: Callable[[Machine], bool]
    accepted: tuple[str, ...] = ()
    """The endings at which `apply` stops until they are accepted."""
    ends: Callable[[Machine], bool] | None = None
    """What no longer works once these are accepted; `works` is not asked then."""
    alice: bool = True
    """Whether a user with a password of the system can log in afterwards."""


def settled(lines: str) -> Callable[[Machine], None]:
    """A sendmail.mc with these lines before the mailers."""
    return lambda debian: configured(debian, before_the_mailers(debian, lines))


def answers(debian: Machine, sender: str, receiver: str, port: int = 25) -> str:
    """What a client on this host gets for MAIL and for RCPT."""
    debian.put("/root/say.py", SAY)
    return debian.run(["python3", "/root/say.py", str(port), sender, receiver]).stdout.strip()


def ldap(debian: Machine) -> None:
    own = "ldap_servers: ldap://127.0.0.1:3890/\nldap_search_base: dc=x\n"
    debian.put("/etc/saslauthd-own.conf", own, 0o600)
    served(
        debian,
        f'sed -i \'s/^MECHANISMS=.*/MECHANISMS="ldap"/; s,^OPTIONS=.*,OPTIONS="-c -O /etc/saslauthd-own.conf -m /var/run/saslauthd",\' {DEFAULT}\n'
        f"grep -q ^START= {DEFAULT} || echo START=yes >> {DEFAULT}; systemctl restart saslauthd\n",
    )


def asks_ldap(debian: Machine) -> bool:
    running = debian.run("cat /proc/$(pgrep -o -x saslauthd)/cmdline").stdout
    return "-a\0ldap" in running and "saslauthd-own.conf" in running


def sasldb(debian: Machine) -> None:
    served(
        debian,
        f"sed -i 's/^MECHANISMS=.*/MECHANISMS=\"sasldb\"/' {DEFAULT}; echo '{SECRET}' | saslpasswd2 -p -c -u mail bob\n",
    )
    debian.run(f"grep -q ^START= {DEFAULT} || echo START=yes >> {DEFAULT}; systemctl restart saslauthd")


def bob_logs_in(debian: Machine) -> bool:
    return any(logged_in(debian, "PLAIN", "bob", SECRET, how).startswith("235") for how in ("tls", "clear"))


def milter(debian: Machine) -> None:
    debian.put("/root/milter.py", MILTER)
    debian.run("systemd-run -q --unit=own-milter python3 /root/milter.py; sleep 1")
    settled("INPUT_MAIL_FILTER(`own', `S=inet:2600@127.0.0.1, F=T, T=S:9s;R:9s')dnl\n")(debian)


def milter_asked(debian: Machine) -> bool:
    return [answers(debian, "a@mail.example.test", to) for to in ("alice", "refused@mail.example.test")] == [
        "250 250",
        "250 550",
    ]


def masqueraded(debian: Machine) -> bool:
    tried = debian.run("printf '/tryflags HS\\n/try esmtp alice\\n' | /usr/sbin/sendmail -bt").stdout
    return "alice @ mine . test" in tried or "alice@mine.test" in tried


def virtual_users(debian: Machine) -> None:
    debian.put("/etc/mail/virtusertable", "info@virt.test\talice\n@virt.test\terror:nouser No such user\n")
    debian.run("makemap hash /etc/mail/virtusertable </etc/mail/virtusertable")
    settled(
        "FEATURE(`virtusertable', `hash -o /etc/mail/virtusertable')dnl\nVIRTUSER_DOMAIN(`virt.test')dnl\n"
    )(debian)


def virtual_users_known(debian: Machine) -> bool:
    verdicts = [
        debian.run(["/usr/sbin/sendmail", "-bv", f"{name}@virt.test"], check=False) for name in ("info", "x")
    ]
    return "mailer local, user alice" in verdicts[0].stdout and "mailer local" not in verdicts[1].stdout


def by_smart_host(debian: Machine) -> None:
    smart_host(debian)
    settled("define(`confAUTH_MECHANISMS', `CRAM-MD5 DIGEST-MD5')dnl\n" + BY_SMART_HOST)(debian)


def sent_by_smart_host(debian: Machine) -> bool:
    seen = through_smart_host(debian)
    return "LOGIN us True" in seen and "MESSAGE" in seen


def own_certificate(debian: Machine) -> None:
    certificate(debian)
    settled(TLS)(debian)


RULESETS = """LOCAL_RULESETS
SLocal_check_mail
R$* bad @ $*\t\t$#error $@ 5.7.1 $: "553 not from you"
"""


def own_rules(debian: Machine) -> None:
    configured(debian, mc_of(debian) + RULESETS)


def rules_hold(debian: Machine) -> bool:
    # FEATURE(`delay_checks') puts the verdict off until RCPT.
    verdicts = [answers(debian, f"{name}@mail.example.test", "alice") for name in ("bad", "good")]
    return verdicts == ["250 553", "250 250"]


def submits_on_587(debian: Machine) -> None:
    debian.run(SUBMIT_HOSTS["the MSA port of 127.0.0.1"] + AGAIN)


def webmin(debian: Machine) -> None:
    debian.run(
        "sed -i 's/^Cwlocalhost.*/&\\nCwswelljoe.test/' /etc/mail/sendmail.cf; systemctl restart sendmail"
    )


def takes_for_swelljoe(debian: Machine) -> bool:
    return (
        "mailer local, user alice"
        in debian.run(["/usr/sbin/sendmail", "-bv", "alice@swelljoe.test"], check=False).stdout
    )


def msa(debian: Machine) -> None:
    served(
        debian,
        f"sed -i '/Port=submission/s/, Addr=127.0.0.1//' {MC}; sendmailconfig </dev/null >/dev/null 2>&1\n"
        f"grep -q ^START= {DEFAULT} || echo START=yes >> {DEFAULT}; systemctl enable saslauthd; systemctl restart saslauthd\n",
    )


SENDS = """
import smtplib, ssl, sys
host, port, how, password = sys.argv[1], int(sys.argv[2]), sys.argv[3:], sys.stdin.readline().rstrip("\\n")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
server = smtplib.SMTP(host, port, timeout=60)
if "tls" in how:
    server.starttls(context=context)
server.ehlo()
try:
    if "login" in how:
        server.user, server.password = "alice", password.encode().decode("latin-1")
        if server.auth("LOGIN", server.auth_login)[0] != 235:
            sys.exit(print("no login here"))
    server.sendmail("alice@mail.example.test", ["alice@mail.example.test"], "Subject: x\\n\\nx\\n")
    print("sent")
except smtplib.SMTPException as error:
    print(type(error).__name__, error)
"""
CLIENT, SERVER, LOOP = "198.51.100.2", "198.51.100.1", "127.0.0.1"


def sends(debian: Machine, host: str, port: int, *how: str) -> bool:
    """Whether the server takes mail: of a client outside, or of a program of the host itself."""
    debian.put("/root/sends.py", SENDS)
    argv = ["python3", "-c", SENDS, host, str(port), *how]
    return (debian if host == LOOP else debian.client()).run(argv, input=f"{SECRET}\n").stdout == "sent\n"


def clients(debian: Machine) -> tuple[bool, ...]:
    """Of an MSA of the admin's: who logs in at port 25, who sends the password in clear, a program of the host, and who does
    as the howto has it."""
    return (
        sends(debian, SERVER, 25, "tls", "login"),
        sends(debian, SERVER, 587, "login"),
        sends(debian, LOOP, 587),
        sends(debian, SERVER, 587, "tls", "login"),
    )


def alice_logs_in(debian: Machine) -> bool:
    return bool(login(debian)["ok"])


FOREIGN = r"sed -i '/^DOMAIN/d; s/^OSTYPE.*/OSTYPE(`freebsd6\x27)dnl/' /etc/mail/sendmail.mc; m4 /etc/mail/sendmail.mc > /etc/mail/sendmail.cf"
"""Debian's DOMAIN names the owner of /etc/mail as the trusted user; without it sendmail can write neither maps nor its pid."""


def foreign(debian: Machine) -> None:
    """It starts, since no map is older than its source, and a restart does not end it: it has no pid file."""
    debian.run(f"{FOREIGN}; touch /etc/mail/*.db /etc/aliases.db; systemctl restart sendmail")


def runs_alone(debian: Machine) -> bool:
    return debian.run("sleep 1; pgrep -c -x sendmail-mta", check=False).stdout == "1\n"


KINDS = {
    "LDAP": Kind(ldap, asks_ldap, alice=False),
    "sasldb": Kind(sasldb, bob_logs_in, alice=False),
    "milters": Kind(milter, milter_asked),
    "masquerading": Kind(
        settled(
            "MASQUERADE_AS(`mine.test')dnl\nFEATURE(`allmasquerade')dnl\nFEATURE(`masquerade_envelope')dnl\n"
        ),
        masqueraded,
    ),
    "virtusertable": Kind(virtual_users, virtual_users_known),
    "smart host with AUTH": Kind(by_smart_host, sent_by_smart_host),
    "own certificate": Kind(own_certificate, lambda debian: "Mine" in presented(debian)),
    "own ports": Kind(
        settled("DAEMON_OPTIONS(`Family=inet, Name=Own, Port=2525, Addr=127.0.0.1')dnl\n"),
        lambda debian: answers(debian, "a@mail.example.test", "alice", 2525) == "250 250",
    ),
    "LOCAL_RULESETS": Kind(own_rules, rules_hold),
    "submits on 587": Kind(submits_on_587, lambda debian: arrives(debian, f"at {time.time()}")),
    "Webmin's lines": Kind(
        webmin, takes_for_swelljoe, ("cf-lines",), lambda debian: not takes_for_swelljoe(debian)
    ),
    "an MSA already": Kind(msa, alice_logs_in),
    "no DOMAIN of Debian's": Kind(foreign, runs_alone),
}


SIDE_BY_SIDE = "milters", "masquerading", "virtusertable", "own certificate", "own ports", "LOCAL_RULESETS"
"""What one host can well be all at once: lines that do not meet."""
OF_OTHER_FILES = ("LDAP", "sasldb", "submits on 587")
"""The tests of passwords' sources and of local mail have these by default, too."""


def all_at_once(debian: Machine) -> None:
    for name in SIDE_BY_SIDE:
        KINDS[name].make(debian)


def all_at_work(debian: Machine) -> bool:
    idle = [name for name in SIDE_BY_SIDE if not KINDS[name].works(debian)]
    print(f"do not do their work: {idle}")
    return not idle


KINDS["all side by side"] = Kind(all_at_once, all_at_work)


def made_by_m4(debian: Machine) -> str:
    return debian.run("cd /etc/mail && m4 sendmail.mc 2>/dev/null", check=False).stdout


def unplanned(old: str, new: str) -> list[str]:
    """The lines that differ and that no step sets, by counting lines: another way than the gate's."""
    before, after = (
        Counter(line for line in text.splitlines() if line and line[0] != "#") for text in (old, new)
    )
    lines = [f"-{line}" for line in (before - after).elements()] + [
        f"+{line}" for line in (after - before).elements()
    ]
    return [line for line in lines if not PLANNED.match(line[1:]) or GONE_OR_LESS.match(line)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.full
            if name in (*SIDE_BY_SIDE, *OF_OTHER_FILES)
            else pytest.mark.default_on(ENDS[number % 2]),
        )
        for number, name in enumerate(KINDS)
    ],
)
def test_a_host_in_use(machine: BootMachine, name: str) -> None:
    kind, debian = KINDS[name], machine("mail")
    add_alice(debian)
    debian.run("systemctl enable sendmail; systemctl restart sendmail")
    kind.make(debian)
    assert kind.works(debian), "before"
    before, old, mc = picture(debian, "/etc"), made_by_m4(debian), debian.read(MC)

    if kind.accepted:
        stopped = wizard(debian, "apply", "--yes")
        assert stopped.returncode == 4, stopped.stderr
        assert kind.works(debian), "after it stopped"
        assert debian.read(MC) == mc
    apply(debian, *(word for ending in kind.accepted for word in ("--accept", ending)))
    lines = unplanned(old, made_by_m4(debian))
    assert (kind.ends or kind.works)(debian), "after apply"
    if kind.alice:
        assert alice_logs_in(debian)
    looked = troubleshoot(debian, user="alice" if kind.alice else "")
    layers = {fault["layer"] for fault in looked["faults"] if fault["sign"] == "failed"}
    assert layers == ({"saslauthd"} if name == "LDAP" else set()), short(looked)  # that server is not there

    undone = wizard(debian, "rollback", "--all", "--yes")
    assert undone.returncode == 0, undone.stdout[-2000:] + undone.stderr
    after = picture(debian, "/etc")
    inexact = differences(before, {path: row for path, row in after.items() if path in before})
    print(f"{name}: unplanned lines {len(lines)}, inexact after rollback --all {len(inexact)}")
    assert (lines, inexact) == ([], [])
    assert kind.works(debian), "after rollback --all"


@pytest.mark.default_on("forky")
def test_a_certificate_that_is_not_there_stops_before_anything_changes(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run("systemctl enable sendmail; systemctl restart sendmail")
    settled(TLS)(debian)  # without the files that it names
    before = picture(debian, "/etc")
    for arguments in (["plan"], ["apply", "--yes"], ["plan", "mc-includes"], ["plan", "sendmailconfig"]):
        done = wizard(debian, *arguments)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 3, said
        assert "confSERVER_CERT is /etc/own/cert.pem (there is no such file)" in said
        assert "no STARTTLS" in said
    assert differences(before, picture(debian, "/etc")) == []
    certificate(debian)
    apply(debian)
    assert "Mine" in presented(debian)


@pytest.mark.default_on("bookworm")
def test_what_no_run_had_made_keeps_its_bytes(machine: BootMachine) -> None:
    """`apply` is stopped between the edits, then fails in sendmailconfig; the restart of each way back finds sendmail.cf newer
    than the sendmail.mc put back."""
    debian = machine("mail")
    add_alice(debian)
    debian.run("systemctl enable sendmail; systemctl restart sendmail")
    own_certificate(debian)
    before = picture(debian, "/etc")

    # What comes up between the edits leaves none of them: the next start of sendmail makes no sendmail.cf of these.
    debian.run(
        "cp -p /etc/mail/sendmail.cf /root/; nohup sh -c 'until grep -q ^include...etc.mail.sasl /etc/mail/sendmail.mc; "
        "do sleep 0.05; done; echo Cwlate.test >>/etc/mail/sendmail.cf' >/dev/null 2>&1 &"
    )
    stopped = wizard(debian, "apply", "--yes")
    said = " ".join(stopped.stderr.split())
    assert (stopped.returncode, "WOULD END [cf-lines]" in said) == (4, True), stopped.stdout[-2000:] + said
    assert "Rolled back, so that sendmail.mc is not left half edited: mc-includes" in said
    debian.run("systemctl restart sendmail; grep -x Cwlate.test /etc/mail/sendmail.cf")
    debian.run("cp -p /root/sendmail.cf /etc/mail/")

    debian.run("mv /usr/sbin/sendmailconfig /root/; cp /bin/false /usr/sbin/sendmailconfig")
    assert wizard(debian, "apply", "--yes").returncode == 1
    debian.run("mv /root/sendmailconfig /usr/sbin/")
    undone = wizard(debian, "rollback", "--all", "--yes")
    assert undone.returncode == 0, undone.stdout[-2000:] + undone.stderr
    after = picture(debian, "/etc")
    assert differences(before, {path: row for path, row in after.items() if path in before}) == []


@pytest.mark.default_on("bookworm")
def test_what_sendmailconfig_edits_by_itself_is_listed_and_asked_about(machine: BootMachine) -> None:
    """A sendmail.mc of another system, made into sendmail.cf by m4: Debian's update_mc turns it into Debian's own. And what
    the admin did beside it: other scripts of Debian's undo that."""
    debian = machine("mail")
    add_alice(debian)
    debian.run(
        r"sed -i 's/^MAILER_DEF/include(`\/etc\/mail\/tls\/starttls.m4\x27)dnl\n&/' /etc/mail/sendmail.mc;"
        r"echo 'define(`confCIPHER_LIST\x27, `HIGH\x27)dnl' | sed 's/.x27/\x27/g' >> /etc/mail/tls/starttls.m4;"
        "sed -i '/^define(.confCLIENT_CERT/d; s/-common.prm/-mine.prm/' /etc/mail/tls/starttls.m4;"
        "cp -p /etc/mail/tls/sendmail-common.prm /etc/mail/tls/sendmail-mine.prm;"
        "echo 'auto_transition: false' >> /etc/mail/sasl/Sendmail.conf.2; rm /etc/mail/smrsh/mail.local;"
        "groupadd lists; cd /etc/mail; touch virtusertable; chgrp lists virtusertable; chmod 664 virtusertable; chmod 644 access access.db;"
        "echo '7 * * * * root true' >> /etc/cron.d/sendmail; echo 'ALL: LOCAL' > /etc/hosts.allow; echo 'ALL: ALL' > /etc/hosts.deny"
    )
    debian.run(r"sed -i '/^DOMAIN/d; s/^OSTYPE.*/OSTYPE(`linux\x27)dnl/' /etc/mail/sendmail.mc")
    debian.run(
        r"sed -i 's/^MAILER_DEF/define(`ALIAS_FILE\x27, `\/etc\/aliases\x27)dnl\n&/' /etc/mail/sendmail.mc"
    )
    debian.run(
        "m4 /etc/mail/sendmail.mc > /etc/mail/sendmail.cf; sleep 1.1; cd /etc/mail; touch Makefile databases *.db"
    )
    debian.run("touch /etc/mail/sendmail.cf; systemctl enable sendmail; systemctl restart sendmail")
    before, mc = picture(debian, "/etc"), debian.read(MC)
    shown = wizard(debian, "plan", "mc-includes").stdout
    assert "WOULD END [mc-rewritten]" in shown
    assert "| sendmail.mc: -OSTYPE(`linux')dnl" in shown
    assert "| sendmail.cf: +O PidFile=" in shown
    for line in (
        "/etc/mail/tls/starttls.m4: -define(`confCIPHER_LIST', `HIGH')dnl",
        "sendmail.cf: -O CipherList=HIGH",
        "sendmail.cf: +O ClientCertFile=/etc/mail/tls/sendmail-client.crt",
        "sendmail.cf: -O DHParameters=/etc/mail/tls/sendmail-mine.prm",
        "/etc/mail/sasl/Sendmail.conf.2: -auto_transition: false",
        "/etc/cron.d/sendmail: -7 * * * * root true",
        "/etc/mail/virtusertable: 0664 root:lists -> 0644 root:lists",
        "/etc/mail/access: 0644 root:root -> 0600 root:root",
        "/etc/mail/access.db: 0644 smmta:smmsp -> 0640 smmta:smmsp",
        "ALL: ALL",
    ):
        assert f"| {line}\n" in shown
    assert "| /etc/mail/smrsh" not in shown, "nobody can see whether somebody took a link out"
    assert differences(before, picture(debian, "/etc")) == []
    stopped = wizard(debian, "apply", "--yes")
    assert (stopped.returncode, debian.read(MC)) == (4, mc), stopped.stderr
    ids = ("mc-rewritten", "generated-edits", "mail-rights", "hosts-allow")
    assert all(f"--accept {name}" in stopped.stderr for name in ids)
    apply(debian, *(word for name in ids for word in ("--accept", name)))
    assert b"DOMAIN(`debian-mta')" in debian.read(MC)
    assert alice_logs_in(debian)
    undone = wizard(debian, "rollback", "--all", "--yes")
    assert undone.returncode == 0, undone.stdout[-2000:] + undone.stderr
    after = picture(debian, "/etc")
    left = differences(before, {path: row for path, row in after.items() if path in before})
    assert left == ["/etc/sasldb2: content"], "with auto_transition alice's login has put her password there"
    assert runs_alone(debian)


def listening_for(debian: Machine, *lines: str) -> None:
    """With these in the place of Debian's listener on 587, and the one on 25 for all."""
    mc = re.sub(r"^(DAEMON_OPTIONS.*Port=smtp), Addr=127.0.0.1", r"\1", mc_of(debian), flags=re.MULTILINE)
    mine = "".join(f"DAEMON_OPTIONS(`Family=inet, Port=587, {line}')dnl\n" for line in lines)
    configured(
        debian, re.sub(r"(?:^DAEMON_OPTIONS.*Port=(?:submission|587).*\n)+", mine, mc, flags=re.MULTILINE)
    )


@pytest.mark.full
def test_who_sends_mail_as_the_howto_forbids_is_asked_about(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.client()
    add_alice(debian)
    debian.run(["chpasswd"], input=f"alice:{SECRET}\n")
    debian.run("systemctl enable sendmail; systemctl restart sendmail")
    msa(debian)
    listening_for(debian, f"Addr={SERVER}, M=Ea", f"Name=web, Addr={LOOP}, M=E")
    before = picture(debian, "/etc")
    assert "WOULD END" not in wizard(debian, "plan").stdout, "nobody has sent anything"
    assert clients(debian) == (True, True, True, True)
    debian.run("journalctl --sync")
    found = " ".join(wizard(debian, "status").stdout.split())
    assert found.count("WOULD END: logins-without-tls, logins-port-25") == 1, found
    planned = wizard(debian, "plan").stdout
    assert [planned.count(f"WOULD END [{name}]") for name in ("logins-without-tls", "logins-port-25")] == [
        1,
        1,
    ]

    mc = mc_of(debian)
    stopped = wizard(debian, "apply", "--yes")
    assert stopped.returncode == 4, stopped.stdout[-3000:]
    assert mc_of(debian) == mc, "no start of sendmail makes a sendmail.cf of half of the edits"
    accepted = ["--accept", "logins-without-tls", "--accept", "logins-port-25"]
    assert " ".join(accepted) in " ".join(stopped.stderr.replace("\\\n", " ").split())
    for line in (
        f"alice from {CLIENT}, port 587 (Daemon1) without TLS, last on 20",
        f"alice from {CLIENT}, port 25 (MTA-v4), last on 20",
    ):
        assert line in stopped.stderr
    debian.run("systemctl restart sendmail")
    assert clients(debian) == (True, True, True, True), "after it stopped, and a restart"
    apply(debian, *accepted)
    assert clients(debian) == (False, False, True, True)
    looked = troubleshoot(debian, user="alice", password=SECRET)
    assert [fault["id"] for fault in looked["faults"] if fault["sign"] == "failed"] == [], short(looked)
    undone = wizard(debian, "rollback", "--all", "--yes")
    assert undone.returncode == 0, undone.stdout[-2000:] + undone.stderr
    after = picture(debian, "/etc")
    assert differences(before, {path: row for path, row in after.items() if path in before}) == []
    assert clients(debian) == (True, True, True, True), "after rollback --all"

    # Where nothing else listens on 587, that has to take mail of other machines.
    listening_for(debian, f"Name=web, Addr={LOOP}, M=E")
    stopped = wizard(debian, "apply", "--yes", *accepted)
    assert stopped.returncode == 4, stopped.stdout[-3000:]
    assert "--accept mail-without-login" in stopped.stderr
    assert f"from {LOOP}, port 587 (web) without TLS, last on 20" in stopped.stderr
    assert sends(debian, LOOP, 587)
    apply(debian, *accepted, "--accept", "mail-without-login")
    assert not sends(debian, LOOP, 587)
    assert sends(debian, SERVER, 587, "tls", "login")
