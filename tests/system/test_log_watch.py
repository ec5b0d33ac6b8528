"""The mail log beside a test, a message followed to its end, and a client that comes in from outside."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.system.machine import Machine
from tests.system.msa import PASSWORD, WIZARD, login, wizard


@pytest.mark.on_both
def test_both_sides_in_the_order_of_time_and_the_message_to_its_mailbox(debian: Machine) -> None:
    made = login(debian, "--watch", "--send-to", "alice@mail.example.test")
    assert (made["exit"], made["delivery"]["state"]) == (0, "delivered"), made["delivery"]
    assert made["delivery"]["queue_id"] == made["queue_id"]
    seen = made["watched"]
    assert [item["time"] for item in seen] == sorted(item["time"] for item in seen)
    log = [item for item in seen if item["who"] == "log"]
    for words, explained in (
        ("AUTH=server", "the login is accepted"),
        ("from=<alice@", "the message is accepted"),
        ("stat=Sent", "delivered"),
    ):
        found = [item for item in log if words in item["text"]]
        assert [item["explanation"] for item in found] == [explained], (words, log)
    texts = [item["text"] for item in seen]
    at = next(number for number, text in enumerate(texts) if "AUTH=server" in text)
    assert "AUTH LOGIN" in texts[:at], "the log's line comes after what it answers"
    assert {item["id"]: item["state"] for item in made["findings"]}["delivery"] == "ok"
    assert PASSWORD not in json.dumps(made, ensure_ascii=False)
    debian.run("grep -q 'Test of the submission service' /var/mail/alice")


def test_a_refused_login_shows_what_saslauthd_and_pam_say(debian: Machine) -> None:
    done = wizard(debian, "test", "--user", "alice", "--password-stdin", "--watch", input="Wr0ng-one-55\n")
    assert done.returncode == 1
    assert "login refused: password, or account" in done.stdout
    assert "no, and the reason" in done.stdout
    assert "Wr0ng-one-55" not in done.stdout
    assert "| sm-mta[" in done.stdout
    assert not debian.run("pgrep -a journalctl", check=False).stdout, "nobody follows the log any more"


def test_other_connections_of_the_same_moment_are_not_shown(debian: Machine) -> None:
    debian.run("useradd --create-home bob; echo bob:bob | chpasswd")
    noise = "for n in 1 2 3 4 5 6 7 8; do (sleep 0.1; printf 'EHLO noise\\r\\nQUIT\\r\\n'; sleep 0.2) | nc -q1 127.0.0.1 587; done"
    argv = debian.argv(noise if debian.run("command -v nc", check=False).returncode == 0 else _BASH_NOISE)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        made = login(debian, "--watch")
        other.wait(60)
    log = [item["text"] for item in made["watched"] if item["who"] == "log" and "sm-mta" in item["text"]]
    assert len({text.split("]")[0] for text in log}) == 3, log


_BASH_NOISE = (
    "bash -c 'for n in 1 2 3 4 5 6 7 8; do exec 3<>/dev/tcp/127.0.0.1/587; "
    'read -r line <&3; printf "EHLO noise\\r\\nQUIT\\r\\n" >&3; cat <&3; exec 3>&-; done\''
)


def test_a_message_that_waits_says_why(debian: Machine) -> None:
    made = login(debian, "--send-to", "bob@nowhere.example.org", "--within", "20")
    assert (made["exit"], made["delivery"]["state"]) == (0, "deferred"), made["delivery"]
    assert made["watched"] is None
    done = wizard(debian, "test", "--user", "alice", "--within", "0")
    assert (done.returncode, "1 to 3600" in done.stderr) == (2, True)


_LOGIN = """
import smtplib, ssl, sys
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
with smtplib.SMTP("198.51.100.1", 587, timeout=30) as smtp:
    smtp.starttls(context=context)
    smtp.ehlo()
    user, password = sys.stdin.read().split("\\n")
    smtp.user, smtp.password = user, password
    print(smtp.docmd("AUTH", "LOGIN " + __import__("base64").b64encode(user.encode()).decode())[0])
    print(smtp.docmd(__import__("base64").b64encode(password.encode()).decode())[0])
"""


def test_a_client_from_outside_is_the_proof_and_loopback_is_none(debian: Machine) -> None:
    argv = debian.argv([WIZARD, "test", "--from-outside", "--within", "60"])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as waiting:
        assert waiting.stdout is not None
        head = ""
        while "Waiting for it, 60 s at most" not in head and (line := waiting.stdout.readline()):
            head += line
        assert "msa-wizard test --host mail.example.test --user NAME" in head
        own = debian.run("openssl x509 -noout -fingerprint -sha256 -in /etc/mail/tls/sendmail-server.crt")
        assert own.stdout.strip().partition("=")[2] in "".join(head.split()), "in two lines"
        assert "Waiting for it, 60 s at most" in head
        login(debian)
        done = debian.client().run([sys.executable, "-c", _LOGIN], input=f"alice\n{PASSWORD}")
        assert done.stdout.split() == ["334", "235"], done.stdout
        said = waiting.stdout.read()
        assert waiting.wait(30) == 0, said
    assert "alice logged in from 198.51.100.2" in said
    assert "127.0.0.1" not in said
    assert PASSWORD not in said


_FORGED = "AUTH=server, relay=evil.example [203.0.113.9], authid=alice, mech=LOGIN, bits=256"
_COMPLAINT = "SYSERR(root): cannot open the forged file"
_FORGER = """
import os, socket, subprocess, sys
def datagram(path, data):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.connect(path); to.send(data)
for text in sys.argv[1:]:
    subprocess.run(["logger", "-t", "sm-mta", "-p", "mail.info", text], check=True)
    subprocess.run(["logger", "-t", "sm-mta", "--id=1", "-p", "mail.info", text], check=True)
    subprocess.run(["systemd-cat", "-t", "sm-mta", "echo", text])
    datagram("/dev/log", f"<22>sm-mta[1]: {text}".encode())
    fields = f"MESSAGE={text}\\nSYSLOG_IDENTIFIER=sm-mta\\n_UID=0\\n_TRANSPORT=syslog\\n_EXE=/usr/libexec/sendmail/sendmail\\n"
    if os.path.exists("/run/systemd/journal/socket"):
        datagram("/run/systemd/journal/socket", fields.encode())
        subprocess.run(["logger", "--journald"], check=True, text=True, input=f"MESSAGE={text}\\nSYSLOG_IDENTIFIER=sm-mta\\n")
# A setuid program under the daemon's name, which logs something as well.
if not os.path.lexists("/home/bob/sm-mta"):
    os.symlink("/usr/bin/su", "/home/bob/sm-mta")
subprocess.run(["/home/bob/sm-mta", "-c", "true", "root"], input=b"wrong\\n", capture_output=True)
"""
"""Everything that a user of the host can do to have a line logged in the daemon's name."""


def forge(debian: Machine, *texts: str) -> None:
    """Have bob forge these lines; he is made where there is none."""
    debian.run("id bob >/dev/null 2>&1 || useradd --create-home bob")
    debian.put("/home/bob/forger.py", _FORGER, 0o755)
    debian.run(["python3", "/home/bob/forger.py", *texts], user="bob")
    # And in sendmail's own control group: a program that it runs for a user.
    program = f"#!/bin/sh\ncat >/dev/null\nlogger -t sm-mta -p mail.info '{texts[0]}'\n"
    debian.put("/home/bob/program", program, 0o755)
    debian.run("echo '|/home/bob/program' >~/.forward; chmod 644 ~/.forward; chmod 755 ~", user="bob")
    debian.run("echo hello | sendmail bob; sleep 3")


def test_forged_lines_are_no_login_from_outside_and_no_complaint(debian: Machine) -> None:
    argv = debian.argv([WIZARD, "test", "--from-outside", "--within", "60"])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as waiting:
        assert waiting.stdout is not None
        while "Waiting" not in waiting.stdout.readline():
            pass
        forge(debian, _FORGED, _COMPLAINT)
        logged = debian.run(["journalctl", "-q", "-o", "cat", "SYSLOG_IDENTIFIER=sm-mta"]).stdout
        assert logged.count(_FORGED) >= 6, "the forger forged nothing"
        assert waiting.poll() is None, waiting.stdout.read()
        debian.client().run([sys.executable, "-c", _LOGIN], input=f"alice\n{PASSWORD}")
        said = waiting.stdout.read()
        assert waiting.wait(30) == 0, said
    assert "alice logged in from 198.51.100.2" in said
    assert "203.0.113.9" not in said
    made = json.loads(wizard(debian, "troubleshoot", "--json").stdout)
    assert "forged" not in json.dumps(made)


@pytest.mark.full
def test_nobody_from_outside_is_a_failure_also_after_a_test_on_this_host(debian: Machine) -> None:
    argv = debian.argv([WIZARD, "test", "--from-outside", "--within", "15", "--json"])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as waiting:
        login(debian)
        assert waiting.stdout is not None
        made = json.loads(waiting.stdout.read())
        assert waiting.wait(30) == 1
    assert (made["ok"], made["addresses"], made["logged_in"]) == (False, [], None)
    assert "prove nothing" in made["verdict"]


_NO_JOURNAL = """
apt-get install --yes --quiet=2 rsyslog >/dev/null 2>&1
systemctl mask -q systemd-journald
systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald
rm -f /run/systemd/journal/socket
rm -f /run/systemd/journal/dev-log /dev/log
systemctl stop syslog.socket rsyslog
printf 'module(load="imuxsock" SysSock.Name="/dev/log" SysSock.UseSysSock="on")\nmail.* /var/log/mail.log\nauth,authpriv.* /var/log/auth.log\n' > /etc/rsyslog.conf
setsid rsyslogd -n >/dev/null 2>&1 &
sleep 2
systemctl restart sendmail saslauthd
"""


@pytest.mark.full
def test_where_there_is_no_journal_the_log_files_are_followed(debian: Machine) -> None:
    debian.run(_NO_JOURNAL, env={"DEBIAN_FRONTEND": "noninteractive"})
    made = login(debian, "--watch", "--send-to", "alice@mail.example.test")
    assert made["exit"] == 0
    assert made["delivery"]["state"] == "delivered", made["delivery"]
    words = {item["explanation"] for item in made["watched"] if item["who"] == "log"}
    assert {"the login is accepted", "the message is accepted", "delivered"} <= words
    assert "cannot be proved from a file" in made["delivery"]["says"]
    argv = debian.argv([WIZARD, "test", "--from-outside", "--within", "20"])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as waiting:
        assert waiting.stdout is not None
        while "Waiting" not in waiting.stdout.readline():
            pass
        forge(debian, _FORGED)
        said = waiting.stdout.read()
        assert waiting.wait(30) == 1, said
    assert "cannot be proved from a file" in said
    refused = login(debian, "--watch", password="Wr0ng-one-55")
    words = {item["explanation"] for item in refused["watched"] if item["who"] == "log"}
    assert {"no, and the reason", "login refused: password, or account"} <= words, words
