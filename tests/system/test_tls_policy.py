"""Which TLS mail clients may speak, with the real sendmail and OpenSSL, and a client on another machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.killing.in_machine import kill_at, operations
from tests.killing.operations import spread
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import wizard
from tests.system.picture import differences, picture
from tests.system.rehearsing import rehearsed, shortly
from tests.system.test_troubleshoot import short, troubleshoot

MC, CF, CNF = "/etc/mail/sendmail.mc", "/etc/mail/sendmail.cf", "/etc/ssl/openssl.cnf"
SECRET = "Alice-s-66"
CHOSEN = ("--set", "tls.policy=recommended")
MAY_END = ("--accept", "tls-refused")
UNLIMITED = (
    "printf 'GreetPause:198.51.100.2 0\\nClientRate:198.51.100.2 0\\nClientConn:198.51.100.2 0\\n' >>/etc/mail/access\n"
    "make -C /etc/mail -s >/dev/null 2>&1; systemctl restart sendmail\n"
)
"""Debian's own limit is ten connections in ten minutes."""
OLD = f"""
sed -i 's/^\\[ *openssl_init *\\]/[openssl_init]\\nssl_conf = of_old/' {CNF}
printf '[of_old]\\nsystem_default = as_then\\n[as_then]\\n' >>{CNF}
printf 'MinProtocol = TLSv1\\nCipherString = ALL:@SECLEVEL=0\\nOptions = ClientRenegotiation\\n' >>{CNF}
openssl dhparam -dsaparam -out /etc/mail/tls/small.prm 1024 2>/dev/null
sed -i "/^MAILER_DEFINITIONS/i define(\\`confDH_PARAMETERS', \\`/etc/mail/tls/small.prm')dnl" {MC}
sendmailconfig --no-reload </dev/null >/dev/null 2>&1; systemctl restart sendmail
"""
"""A host whose admin lets in what is old."""
OUTSIDE = """
import smtplib, socket, ssl, subprocess, sys
V = ssl.TLSVersion
ALL = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
KINDS = {
    "1.3": (V.TLSv1_3, ""),
    "ecdhe": (V.TLSv1_2, "kECDHE:!aNULL"),
    "dhe": (V.TLSv1_2, "kDHE:!aNULL:@SECLEVEL=0"),
    "1.0": (V.TLSv1, ALL),
    "1.1": (V.TLSv1_1, ALL),
    "rsa": (V.TLSv1_2, "kRSA:@SECLEVEL=0"),
    "anonymous": (V.TLSv1_2, "aNULL:@SECLEVEL=0"),
    "null": (V.TLSv1_2, "eNULL:@SECLEVEL=0"),
}
port, kinds, password = int(sys.argv[1]), sys.argv[2:], sys.stdin.readline().rstrip("\\n")
taken = []
for kind in kinds:
    if kind == "renegotiation":
        starttls = [] if port == 465 else ["-starttls", "smtp"]
        asking = ["sh", "-c", '{ sleep 2; echo R; sleep 2; } | openssl s_client "$@" 2>&1', "sh"]
        there = ["-connect", f"198.51.100.1:{port}", "-tls1_2", *starttls]
        said = subprocess.run([*asking, *there], capture_output=True, text=True).stdout
        assert "RENEGOTIATING" in said, said
        again = said.partition("RENEGOTIATING")[2]
        assert ("verify return" in again) != ("no renegotiation" in again), said
        taken += [kind] if "verify return" in again else []
        continue
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    version, ciphers = KINDS[kind]
    if ciphers:
        context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    try:
        if port == 465:
            server = smtplib.SMTP_SSL("198.51.100.1", port, timeout=60, context=context)
        else:
            server = smtplib.SMTP("198.51.100.1", port, timeout=60)
            server.starttls(context=context)
    except (ssl.SSLError, ConnectionResetError):
        continue
    taken.append(kind)
    if password:
        server.ehlo()
        server.user, server.password = "alice", password
        assert server.auth("LOGIN", server.auth_login)[0] == 235
    server.quit()
print(*taken)
"""


def taken(debian: Machine, port: int, *kinds: str, password: str = "") -> set[str]:
    """The kinds of TLS that the machine takes from a client outside, which logs in with each where it has a password."""
    done = debian.client().run(["python3", "-c", OUTSIDE, str(port), *kinds], input=password + "\n")
    return set(done.stdout.split())


def applied(debian: Machine, *arguments: str) -> Any:
    return wizard(debian, "apply", "tls-policy", "--yes", *arguments)


def state(debian: Machine, *arguments: str) -> dict[str, Any]:
    rows = json.loads(wizard(debian, "status", "--json", *arguments).stdout)["steps"]
    row: dict[str, Any] = next(row for row in rows if row["step"] == "tls-policy")
    return row


def unlimited(machine: BootMachine) -> Machine:
    """A machine with an MSA that does not count the client's connections."""
    debian = machine("msa")
    debian.client()
    debian.run(UNLIMITED)
    debian.run(["chpasswd"], input=f"alice:{SECRET}\n")
    return debian


GOOD = {"1.3", "ecdhe", "dhe"}
OF_OLD = {"1.0", "1.1", "rsa", "anonymous", "renegotiation"}


@pytest.mark.default_on("forky")
def test_what_debian_itself_takes_is_narrowed_for_clients_alone_and_taken_back(machine: BootMachine) -> None:
    debian = unlimited(machine)
    before = debian.read(MC)
    assert state(debian)["state"] == "not-applicable"
    kinds = (*GOOD, *OF_OLD)
    assert taken(debian, 587, *kinds) == taken(debian, 25, *kinds) == {*GOOD, "rsa"}
    made = troubleshoot(debian, password=SECRET)
    found = {item["id"]: item for item in made["faults"]}
    assert "TLS 1.2 without forward secrecy" in found["weak-tls"]["cause"], short(made)
    assert (found["weak-tls"]["sign"], made["exit"]) == ("warning", 0)

    done = applied(debian, *CHOSEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "port 587 refuses TLS 1.0, TLS 1.1, TLS 1.2 without forward secrecy" in done.stdout
    assert taken(debian, 587, *kinds) == GOOD
    assert taken(debian, 587, *GOOD, password=SECRET) == GOOD
    assert taken(debian, 25, *kinds) == {*GOOD, "rsa"}, "port 25 is not concerned"
    made = troubleshoot(debian, password=SECRET)
    assert "weak-tls" not in {item["id"] for item in made["faults"]}, short(made)
    assert state(debian, *CHOSEN)["state"] == "applied"
    assert "Nothing to do" in applied(debian, *CHOSEN).stdout
    assert state(debian)["state"] == "applied", "what is not asked for any more is not taken back unasked"

    # Another port, and another list of ciphers, are taken over when it is applied again.
    more = ("--set", "listen.implicit_tls=true")
    done = wizard(debian, "apply", "--yes", *CHOSEN, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert taken(debian, 465, *kinds) == taken(debian, 587, *kinds) == GOOD
    debian.run(with_line("define(`confCIPHER_LIST', `ECDHE+AESGCM')dnl"))
    assert state(debian, *CHOSEN, *more)["state"] == "drifted"
    assert applied(debian, *CHOSEN, *more).returncode == 0
    assert "CipherList=ECDHE+AESGCM:!kRSA" in debian.read(MC).decode()
    assert taken(debian, 587, *GOOD) == {"1.3", "ecdhe"}, "the admin's own list, which is stricter"

    back = wizard(debian, "rollback", "--all", "--yes")
    assert back.returncode == 0, back.stderr
    assert b"tls_srv_features" not in debian.read(MC) + before


@pytest.mark.default_on("bookworm")
def test_a_host_that_lets_in_what_is_old_is_closed_and_its_clients_are_named_first(
    machine: BootMachine,
) -> None:
    debian = unlimited(machine)
    debian.run(OLD)
    kinds = (*GOOD, *OF_OLD)
    assert taken(debian, 587, *kinds) == {*GOOD, *OF_OLD}
    assert taken(debian, 587, "1.1", "rsa", "1.3", password=SECRET) == {"1.1", "rsa", "1.3"}
    look = f"stat -c '%a %U %G' {MC} {CF}; cat {MC}; grep -v '^#' {CF}"
    before, files = debian.read(MC), debian.run(look).stdout
    refused = applied(debian, *CHOSEN)
    assert refused.returncode == 4, refused.stdout + refused.stderr
    said = " ".join(refused.stderr.split())
    assert "alice from 198.51.100.2, TLSv1.1" in said
    assert "alice from 198.51.100.2, TLSv1.2 AES256" in said
    assert "TLSv1.3" not in said
    assert debian.read(MC) == before

    done = applied(debian, *CHOSEN, *MAY_END)
    assert done.returncode == 0, done.stdout + done.stderr
    assert taken(debian, 587, *kinds) == {"1.3", "ecdhe"}, "the DH file of 1024 bits goes unused"
    assert taken(debian, 587, "1.3", "ecdhe", password=SECRET) == {"1.3", "ecdhe"}
    assert taken(debian, 25, *kinds) == {*GOOD, *OF_OLD}
    assert state(debian, *CHOSEN)["state"] == "applied"
    assert SECRET not in done.stdout + done.stderr
    # A rollback brings back the very files, and what the admin has written since stays.
    debian.put(MC, debian.read(MC).replace(b"divert(0)dnl\n", b"divert(0)dnl\ndnl # mine\n", 1))
    back = wizard(debian, "rollback", "tls-policy", "--yes")
    assert back.returncode == 0, back.stderr
    assert debian.read(MC) == before.replace(b"divert(0)dnl\n", b"divert(0)dnl\ndnl # mine\n", 1)
    assert taken(debian, 587, *kinds) == {*GOOD, *OF_OLD}
    debian.put(MC, before)
    debian.run("sendmailconfig --no-reload </dev/null >/dev/null 2>&1")
    assert debian.run(look).stdout == files

    # A group that becomes small with the policy in force is barred as well.
    remade = (
        "openssl dhparam -dsaparam -out /etc/mail/tls/small.prm {} 2>/dev/null; systemctl restart sendmail"
    )
    debian.run(remade.format(2048), timeout=200)
    assert applied(debian, *CHOSEN, *MAY_END).returncode == 0
    assert taken(debian, 587, *GOOD) == GOOD
    debian.run(remade.format(1024))
    assert state(debian, *CHOSEN)["state"] == "drifted"
    again = applied(debian, *CHOSEN, *MAY_END)
    assert again.returncode == 0, again.stdout + again.stderr
    assert taken(debian, 587, *kinds) == {"1.3", "ecdhe"}
    assert state(debian, *CHOSEN)["state"] == "applied"


MAKE = "sendmailconfig --no-reload </dev/null >/dev/null 2>&1; systemctl restart sendmail"


def with_line(line: str) -> str:
    """The line above the mailers of sendmail.mc, in force."""
    quoted = line.replace("`", "\\`")
    return f'sed -i "/^MAILER_DEFINITIONS/i {quoted}" {MC}; {MAKE}'


NEEDS = "step tls-policy needs sendmailconfig, which is not done: "
FAULTS: dict[str, tuple[str, int, str]] = {
    "no such policy": ("true", 2, "no policy; allowed: unchanged, recommended"),
    "sendmail.cf edited by hand": (
        f"sed -i 's/^O MaxMessageSize.*//; s/^O LogLevel=.*/O LogLevel=11/' {CF}; systemctl restart sendmail",
        2,
        f"{NEEDS}sendmail.cf is not what sendmail.mc gives",
    ),
    "unknown ciphers": (
        with_line("define(`confCIPHER_LIST', `NONSENSE')dnl"),
        3,
        "finds no cipher in CipherList",
    ),
    "no forward secrecy": (
        with_line("define(`confCIPHER_LIST', `kRSA')dnl"),
        3,
        "none has forward secrecy",
    ),
    "a ruleset of the admin's": (
        with_line("FEATURE(`tls_session_features')dnl"),
        3,
        "a ruleset tls_srv_features of its own",
    ),
    "a mark taken out": (
        f"printf 'dnl # msa-wizard (tls-policy): the end\\n' >>{MC}; {MAKE}",
        3,
        "no longer one of two lines",
    ),
    "a mount that nobody may write to": (
        f"mount --bind {MC} {MC}; mount -o remount,ro,bind {MC}",
        1,
        "could not be written",
    ),
}
"""What makes it, the exit code, what is said."""
GATE: dict[str, tuple[str, int, str]] = {
    "syntax error": (f"echo \"define(\\`confX', \\`y'\" >>{MC}", 2, f"{NEEDS}m4 does not accept"),
    "m4 refuses it": (f'echo "include(\\`/etc/mail/none.m4\')dnl" >>{MC}', 3, "m4"),
    "no sendmail.mc": (f"rm {MC}", 2, f"{NEEDS}{MC} is missing"),
    "symbolic link": (f"mv {MC} /etc/mail/own.mc; ln -s own.mc {MC}", 2, f"{NEEDS}{MC} is a symbolic link"),
    "sendmail does not run": ("systemctl stop sendmail", 2, "restart"),
    "no TLS at all": (
        f"sed -i 's!^O ServerCertFile=.*!O ServerCertFile=/none!' {CF}; systemctl restart sendmail",
        2,
        f"{NEEDS}sendmail.cf is not what sendmail.mc gives",
    ),
}
"""The same; no step passes this gate, and tests/system/test_refusals.py shows it by default."""


@pytest.mark.default_on("forky")
@pytest.mark.parametrize(
    "faults", [FAULTS, pytest.param(GATE, marks=pytest.mark.full)], ids=["its own", "of the gate"]
)
def test_faults_end_in_a_clear_error_with_nothing_changed(
    machine: BootMachine, faults: dict[str, tuple[str, int, str]]
) -> None:
    debian = unlimited(machine)
    debian.run("cp -a /etc/mail /root/mail")
    look = f"stat -c '%F %a %U %G' {MC} {CF}; readlink {MC}; cat {MC} {CF}"
    wrong = []
    for name, (make, code, words) in faults.items():
        debian.run(make, check=False)
        before = debian.run(look, check=False).stdout
        choice = ("--set", "tls.policy=best") if name == "no such policy" else CHOSEN
        done = applied(debian, *choice)
        said = " ".join((done.stdout + done.stderr).split())
        if done.returncode != code or words not in said:
            wrong.append(f"{name}: exit {done.returncode}: {said[-700:]}")
        if debian.run(look, check=False).stdout != before:
            wrong.append(f"{name}: sendmail.mc or sendmail.cf is another one")
        debian.run(
            f"umount {MC} 2>/dev/null; rm -f {MC} /etc/mail/own.mc; cp -a /root/mail/. /etc/mail/; systemctl restart sendmail"
        )
    assert wrong == [], "\n".join(wrong)
    assert "tls-policy" not in wizard(debian, "history").stdout
    assert taken(debian, 587, "ecdhe", "rsa", password=SECRET) == {"ecdhe", "rsa"}


@pytest.mark.full
def test_listeners_at_chosen_addresses_are_tried_past_the_rate_limits(machine: BootMachine) -> None:
    """Ten connections a minute from each address, in Debian; a listener that wants TLS and no login is left alone."""
    debian = machine("mail")
    debian.client()
    where = ("--set", "listen.submission=198.51.100.1", "--set", "listen.smtp=127.0.0.1,198.51.100.1")
    more = ("--set", "listen.implicit_tls=true")
    done = wizard(debian, "apply", "--yes", *where, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    done = applied(debian, *CHOSEN, *where, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "port 465 refuses TLS 1.0" in done.stdout
    assert "[?]" not in done.stdout, "nothing that could not be tried"
    assert taken(debian, 587, "1.3", "ecdhe", "rsa") == {"1.3", "ecdhe"}
    assert taken(debian, 465, "1.3", "rsa") == {"1.3"}


def test_a_policy_that_does_not_hold_is_undone(machine: BootMachine) -> None:
    """Whatever the reason: here another sendmail.cf is what the daemon reads."""
    debian = unlimited(machine)
    before = debian.read(MC)
    debian.run(
        "printf '#!/bin/sh\\nsed -i s/^R587/R588/ /etc/mail/sendmail.cf\\n' >/usr/local/sbin/other && chmod 755 /usr/local/sbin/other\n"
        "mkdir -p /etc/systemd/system/sendmail.service.d\n"
        "printf '[Service]\\nExecStartPre=/usr/local/sbin/other\\n' >/etc/systemd/system/sendmail.service.d/x.conf\n"
        "systemctl daemon-reload"
    )
    done = applied(debian, *CHOSEN)
    assert done.returncode == 1, done.stdout
    assert "port 587 takes TLS 1.2 without forward secrecy" in done.stderr + done.stdout
    assert debian.read(MC) == before
    assert taken(debian, 587, "ecdhe", "rsa", password=SECRET) == {"ecdhe", "rsa"}


@pytest.mark.full
def test_killed_at_any_moment_it_is_all_or_nothing(machine: BootMachine) -> None:
    debian = unlimited(machine)
    before = debian.read(MC)
    run = ("apply", "tls-policy", "--yes", *CHOSEN)
    names, done = operations(debian, *run)
    assert done.returncode == 0, done.stderr
    assert wizard(debian, "rollback", "tls-policy", "--yes").returncode == 0
    first = next(at for at, name in enumerate(names, start=1) if MC in name)
    for number in [first - 2, *(first + at for at in spread(len(names) - first, 8))]:
        kill_at(debian, number, *run)
        back = wizard(debian, "recover")
        assert back.returncode == 0, back.stderr
        if debian.read(MC) != before:  # killed behind its commit
            assert wizard(debian, "rollback", "tls-policy", "--yes").returncode == 0
        assert debian.read(MC) == before, names[number - 1]
        assert taken(debian, 587, "rsa", "ecdhe", password=SECRET) == {"rsa", "ecdhe"}, names[number - 1]


@pytest.mark.full
def test_the_rehearsal_does_it_for_real_and_the_host_stays_as_it_is(machine: BootMachine) -> None:
    debian = unlimited(machine)
    before = debian.read(MC)
    made = rehearsed(debian, "tls-policy", *CHOSEN)
    assert made["exit"] == 0, shortly(made)
    assert made["login"]["code"] == 235
    assert debian.read(MC) == before
    assert taken(debian, 587, "rsa") == {"rsa"}


@pytest.mark.full
def test_from_a_bare_machine_it_is_one_of_the_steps_and_all_comes_back(machine: BootMachine) -> None:
    """/etc byte for byte, also after the next start of sendmail."""
    debian = machine("mail")
    debian.run(["systemctl", "restart", "sendmail"])
    before = picture(debian, "/etc")
    debian.client()
    done = wizard(debian, "apply", "--yes", *CHOSEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert taken(debian, 587, "1.3", "ecdhe", "rsa") == {"1.3", "ecdhe"}
    back = wizard(debian, "rollback", "--all", "--yes")
    assert back.returncode == 0, back.stderr
    assert differences(before, picture(debian, "/etc")) == []
    debian.run(["systemctl", "restart", "sendmail"])
    assert differences(before, picture(debian, "/etc")) == []
