"""Hosts whose passwords are not PAM's: who logged in before `apply` logs in after it."""

from __future__ import annotations

import json

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, login, wizard

SASL_CONF = "/etc/mail/sasl/Sendmail.conf.2"
DEFAULT = "/etc/default/saslauthd"
MC = "/etc/mail/sendmail.mc"
SECRET = "Bob-Secret-9"

SERVED = f"""
/usr/share/sendmail/update_auth >/dev/null 2>&1; /usr/share/sendmail/update_tls >/dev/null 2>&1
sed -i "/^MAILER_DEFINITIONS/i include(\\`/etc/mail/sasl/sasl.m4')dnl\\ninclude(\\`/etc/mail/tls/starttls.m4')dnl" {MC}
sendmailconfig </dev/null >/dev/null 2>&1
"""
"""Debian's own listeners, with AUTH, as somebody had set them up by hand."""
AGAIN = """
systemctl stop sendmail; pkill -x sendmail-mta; systemctl reset-failed sendmail 2>/dev/null; systemctl start sendmail
for i in $(seq 60); do ss -ltn | grep -q :587 && exit 0; sleep 0.25; done; exit 1
"""
SASLDB = f"""
echo '{SECRET}' | saslpasswd2 -p -c -u mail.example.test bob; chown root:sasl /etc/sasldb2; chmod 640 /etc/sasldb2
sed -i 's/^pwcheck_method.*/pwcheck_method: auxprop/; s/^mech_list.*/mech_list: CRAM-MD5 DIGEST-MD5 LOGIN PLAIN/' {SASL_CONF}
echo 'auxprop_plugin: sasldb' >> {SASL_CONF}
"""
MOVED = f"""
if [ ! -e /usr/lib/systemd/system/saslauthd.service ]; then
sed -i 's,^OPTIONS=.*,OPTIONS="-c -m /var/spool/postfix/var/run/saslauthd",' {DEFAULT}
mkdir -p /var/spool/postfix; echo 'saslauthd_path: /var/spool/postfix/var/run/saslauthd/mux' >>{SASL_CONF}; fi
"""
"""Where Debian's unit does not wait for a pid file elsewhere."""
ANOTHER = f"""
sed "s,^OPTIONS=.*,OPTIONS='-c -m /run/saslauthd-two',; s/^NAME=.*/NAME=two/" {DEFAULT} >{DEFAULT}-two
echo START=yes >>{DEFAULT}-two; sed -i 's/^MECHANISMS=.*/MECHANISMS="pam"/' {DEFAULT}
echo 'saslauthd_path: /run/saslauthd-two/mux' >>{SASL_CONF}
[ ! -e /usr/lib/systemd/system/saslauthd.service ] || {{ install -d -g sasl -m 0710 /run/saslauthd-two
systemd-run -q --unit=two -p Type=forking saslauthd -a sasldb -m /run/saslauthd-two; }}
"""
"""The one that sendmail asks is none that /etc/default/saslauthd describes; Debian's unit starts no other."""
LOGIN = """
import smtplib, ssl, sys
mechanism, user, tls = sys.argv[1:4]
server = smtplib.SMTP("127.0.0.1", 587, timeout=60)
server.ehlo()
if tls == "tls":
    server.starttls(context=ssl._create_unverified_context())
    server.ehlo()
server.user, server.password = user, sys.stdin.readline().rstrip("\\n")
try:
    print(*server.auth(mechanism, getattr(server, "auth_" + mechanism.lower().replace("-", "_"))))
except smtplib.SMTPException as problem:
    print(problem)
"""
IMAP = """
import socketserver
class Imap(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"* OK ready\\r\\n")
        for line in self.rfile:
            tag, _, rest = line.decode().strip().partition(" ")
            if rest.startswith("LOGIN"):
                good = "carol" in rest and "Carol-Secret-9" in rest
                self.wfile.write(f"{tag} {'OK in' if good else 'NO out'}\\r\\n".encode())
            else:
                self.wfile.write(f"{tag} OK bye\\r\\n".encode())
                return
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", 143), Imap).serve_forever()
"""


def logged_in(machine: Machine, mechanism: str, user: str, password: str, tls: str = "tls") -> str:
    """What sendmail answers to a login by Python's own client, another one than ours."""
    machine.put("/root/login.py", LOGIN)
    return machine.run(["python3", "/root/login.py", mechanism, user, tls], input=password + "\n").stdout


def served(machine: Machine, script: str) -> None:
    machine.run(SERVED + script + AGAIN)


def states(machine: Machine) -> dict[str, dict[str, str]]:
    shown = json.loads(wizard(machine, "status", "--json").stdout)["steps"]
    return {item["step"]: item for item in shown}


def test_users_of_sasldb_log_in_as_before(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    served(debian, SASLDB)
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET, "clear").startswith("235")
    before = debian.read(SASL_CONF)
    answers = wizard(debian, "answers").stdout
    assert '\n# saslauthd_mechanism = "pam"' in answers
    assert "sasldb, without saslauthd" in answers

    done = apply(debian)
    assert debian.read(SASL_CONF) == before
    for mechanism in ("CRAM-MD5", "LOGIN", "PLAIN"):
        assert logged_in(debian, mechanism, "bob", SECRET).startswith("235"), mechanism
    assert logged_in(debian, "CRAM-MD5", "bob", "not his").startswith("(535")
    assert "md5-mechanisms" not in done.stdout
    steps = states(debian)
    for name in ("saslauthd-init", "saslauthd-config", "saslauthd-start"):
        assert steps[name]["state"] == "not-applicable"
        assert "logins come from sasldb" in steps[name]["reason"]
    assert steps.pop("auth-test")["state"] == "untested"
    assert {item["state"] for item in steps.values()} <= {"applied", "done", "not-applicable"}
    shown = json.loads(wizard(debian, "troubleshoot", "--json").stdout)
    assert [item for item in shown["faults"] if item["sign"] == "failed"] == []
    assert "Nothing to do" in apply(debian).stdout

    # Another source is an explicit answer, and then the plan says who is locked out, and stops.
    debian.put("/root/pam.toml", '[auth]\nsaslauthd_mechanism = "pam"\n')
    refused = wizard(debian, "apply", "--yes", "--answers", "/root/pam.toml")
    assert refused.returncode == 4, refused.stderr
    assert "users of /etc/sasldb2 will no longer be able to log in" in " ".join(refused.stderr.split())
    assert "bob@mail.example.test" in refused.stderr
    assert SECRET not in refused.stdout + refused.stderr
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET).startswith("235")
    apply(debian, "--answers", "/root/pam.toml", "--accept", "logins")
    made = login(debian)
    assert made["ok"], made["verdict"]
    assert not logged_in(debian, "PLAIN", "bob", SECRET).startswith("235")

    done = wizard(debian, "rollback", "--all", "--yes")
    assert done.returncode == 0, done.stderr
    assert debian.read(SASL_CONF) == before
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET, "clear").startswith("235")


@pytest.mark.default_on("bookworm")
@pytest.mark.parametrize(
    ("mechanism", "script", "user", "password"),
    [
        pytest.param(
            *("sasldb", f"echo '{SECRET}' | saslpasswd2 -p -c -u mail bob", "bob", SECRET),
            marks=pytest.mark.full,
        ),
        (
            "rimap",
            # The init script of 12 puts the -O in front by itself.
            "[ -e /usr/lib/systemd/system/saslauthd.service ] && O='-O ' || O=; sed -i \"s/^MECH_OPTIONS=.*/MECH_OPTIONS='${O}127.0.0.1'/\" /etc/default/saslauthd;"
            f"{MOVED}systemd-run -q --unit=imap python3 /root/imap.py; sleep 1",
            "carol",
            "Carol-Secret-9",
        ),
        pytest.param(
            *("sasldb", f"echo '{SECRET}' | saslpasswd2 -p -c -u mail bob; {ANOTHER}", "bob", SECRET),
            marks=pytest.mark.full,
        ),
    ],
    ids=["sasldb", "rimap", "another"],
)
def test_what_saslauthd_asks_stays(
    machine: BootMachine, mechanism: str, script: str, user: str, password: str
) -> None:
    debian = machine("mail")
    debian.put("/root/imap.py", IMAP)
    served(debian, f"sed -i 's/^MECHANISMS=.*/MECHANISMS=\"{mechanism}\"/' {DEFAULT}; {script}\n")
    debian.run(f"grep -q ^START= {DEFAULT} || echo START=yes >> {DEFAULT}; systemctl restart saslauthd")
    assert logged_in(debian, "PLAIN", user, password, "clear").startswith("235")
    before = debian.read(DEFAULT)
    assert f'\nsaslauthd_mechanism = "{mechanism}"' in wizard(debian, "answers").stdout
    apply(debian)
    assert debian.read(DEFAULT) == before
    assert logged_in(debian, "LOGIN", user, password).startswith("235")
    assert not logged_in(debian, "LOGIN", user, "wrong").startswith("235")
    assert "Nothing to do" in apply(debian).stdout
    assert failing(debian) == []
    if script.endswith(ANOTHER):
        only_the_one_that_is_asked_is_blamed(debian)


def failing(machine: Machine, *options: str) -> list[str]:
    """What troubleshoot blames."""
    shown = json.loads(wizard(machine, "troubleshoot", "--json", *options).stdout)
    return [item["id"] for item in shown["faults"] if item["sign"] == "failed"]


def only_the_one_that_is_asked_is_blamed(machine: Machine) -> None:
    """Not Debian's own, which runs beside it for other programs, nor where that one is stopped."""
    machine.run("pkill -STOP -f '[s]aslauthd.* -m /var/run/saslauthd'")
    assert failing(machine) == []
    machine.run("pkill -CONT -f '[s]aslauthd.* -m /var/run/saslauthd'")
    machine.run("pkill -KILL -f '[s]aslauthd.* -m /run/saslauthd-two'; sleep 0.5")
    assert failing(machine) == ["saslauthd-dead"]
    if not machine.run("test -e /usr/lib/systemd/system/saslauthd.service", check=False).returncode:
        return  # its own service starts it
    assert failing(machine, "--fix", "saslauthd-dead", "--yes") == []
    assert logged_in(machine, "LOGIN", "bob", SECRET).startswith("235")


@pytest.mark.default_on("forky")
def test_ldap_stays_ldap_though_its_server_does_not_answer(machine: BootMachine) -> None:
    """And so do its options, its file, and a mechanism that the admin had added."""
    debian = machine("mail")
    add_alice(debian)
    debian.put(
        "/etc/saslauthd-own.conf", "ldap_servers: ldap://127.0.0.1:3890/\nldap_search_base: dc=x\n", 0o600
    )
    served(
        debian,
        f'sed -i \'s/^MECHANISMS=.*/MECHANISMS="ldap"/; s,^OPTIONS=.*,OPTIONS="-c -O /etc/saslauthd-own.conf -m /var/run/saslauthd",\' {DEFAULT}\n'
        f"sed -i 's/^mech_list.*/mech_list: GSSAPI DIGEST-MD5 LOGIN PLAIN/' {SASL_CONF}\n"
        f"grep -q ^START= {DEFAULT} || echo START=yes >> {DEFAULT}; systemctl restart saslauthd\n",
    )
    before = debian.read(DEFAULT)
    assert '\nsaslauthd_mechanism = "ldap"' in wizard(debian, "answers").stdout
    apply(debian)
    assert debian.read(DEFAULT) == before
    assert "-a\0ldap" in debian.run("cat /proc/$(pgrep -o -x saslauthd)/cmdline").stdout
    assert b"\nmech_list: LOGIN PLAIN\n" in debian.read(
        SASL_CONF
    )  # no GSSAPI here, and no password for the other
    debian.put("/root/pam.toml", '[auth]\nsaslauthd_mechanism = "pam"\n')
    refused = wizard(debian, "apply", "--yes", "--answers", "/root/pam.toml")
    assert refused.returncode == 4
    assert "every user of LDAP will no longer be able to log in" in " ".join(refused.stderr.split())
    assert debian.read(DEFAULT) == before
    apply(debian, "--answers", "/root/pam.toml", "--accept", "logins")
    made = login(debian)
    assert made["ok"], made["verdict"]


@pytest.mark.full
def test_the_sendmail_conf_that_is_really_read_counts(machine: BootMachine) -> None:
    """Debian's link can be led elsewhere, and libsasl2 looks into /etc/sasl2 first."""
    debian = machine("mail")
    served(debian, SASLDB)
    debian.run(f"cp {SASL_CONF} /etc/mail/own.conf; ln -sf /etc/mail/own.conf /usr/lib/sasl2/Sendmail.conf")
    debian.run(f"printf 'pwcheck_method: saslauthd\\nmech_list: LOGIN PLAIN\\n' > {SASL_CONF}")
    debian.run(AGAIN)
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET, "clear").startswith("235")
    apply(debian)
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET).startswith("235")
    done = wizard(debian, "rollback", "--all", "--yes")
    assert done.returncode == 0, done.stderr
    assert debian.run(["readlink", "/usr/lib/sasl2/Sendmail.conf"]).stdout.strip() == "/etc/mail/own.conf"

    debian.run(
        f"mkdir /etc/sasl2; mv /etc/mail/own.conf /etc/sasl2/Sendmail.conf; rm /usr/lib/sasl2/Sendmail.conf; {AGAIN}"
    )
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET, "clear").startswith("235")
    apply(debian)
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET).startswith("235")


@pytest.mark.default_on("bookworm")
def test_without_a_sendmail_conf_sasldb_was_asked(machine: BootMachine) -> None:
    """update_auth makes one that asks saslauthd."""
    debian = machine("mail")
    served(debian, SASLDB)
    debian.run(f"rm {SASL_CONF} /usr/lib/sasl2/Sendmail.conf; {AGAIN}")
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET, "clear").startswith("235")
    apply(debian)
    assert logged_in(debian, "CRAM-MD5", "bob", SECRET).startswith("235")
