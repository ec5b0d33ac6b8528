"""Mail of the programs on this host: it arrives before `apply`, and after it, whatever submit.cf says."""

from __future__ import annotations

import time

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, login, wizard
from tests.system.releases import Release
from tests.system.test_troubleshoot import short, troubleshoot

MC = "/etc/mail/sendmail.mc"
SUBMIT_MC = "/etc/mail/submit.mc"
SUBMIT_CF = "/etc/mail/submit.cf"
DEAD = "/root/dead.letter /home/alice/dead.letter /var/lib/sendmail/dead.letter"
OPEN_587 = f"sed -i 's/Name=MSP-v4, Port=submission, M=Ea/Name=MSP-v4, Port=submission, M=E/' {MC}\n"
"""587 on loopback takes mail without a login."""
MADE = f"cd /etc/mail; m4 {SUBMIT_MC} > {SUBMIT_CF}; m4 {MC} > sendmail.cf\n"
AGAIN = """
systemctl stop sendmail; pkill -x sendmail-mta; systemctl reset-failed sendmail 2>/dev/null; systemctl start sendmail
for i in $(seq 60); do ss -ltn | grep -q :587 && exit 0; sleep 0.25; done; exit 1
"""


def msp(*arguments: str) -> str:
    """The msp line of submit.mc in other words."""
    quoted = ", ".join(f"\\`{item}'" for item in ("msp", *arguments))
    return f'sed -i "s/^FEATURE(.msp.*/FEATURE({quoted})dnl/" {SUBMIT_MC}\n'


HOSTS = {
    "the MSA port of 127.0.0.1": OPEN_587 + msp("[127.0.0.1]", "MSA") + MADE,
    "its own name": (
        OPEN_587 + f"sed -i '/Port=submission/s/, Addr=127.0.0.1//' {MC}\n" + msp("mail.example.test", "MSA") + MADE
    ),
    "a port in RELAY_MAILER_ARGS": (
        OPEN_587 + f"sed -i \"/^FEATURE(.msp/i define(\\`RELAY_MAILER_ARGS', \\`TCP \\$h submission')dnl\" {SUBMIT_MC}\n" + MADE
    ),
    "the MSA port of ::1": (
        f"sed -i \"s/^DAEMON_OPTIONS(.Family=inet,  Name=MSP-v4.*/DAEMON_OPTIONS(\\`Family=inet6, Name=MSP-v6, Port=submission, "
        f"M=E, Addr=::1')dnl/\" {MC}\n" + msp("[IPv6:::1]", "MSA") + MADE
    ),
    "587 by hand in submit.cf alone": OPEN_587 + MADE + f"sed -i '/^Mrelay/,/A=TCP/s/A=TCP $h$/A=TCP $h 587/' {SUBMIT_CF}\n",
    "the MSA port, and 25 not on loopback": (
        OPEN_587
        + f"sed -i '/Port=smtp/s/Addr=127.0.0.1/Addr=198.51.100.1/' {MC}\n"
        + msp("[127.0.0.1]", "MSA")
        + MADE
    ),
    "the MSA port of ::1 alone": (
        f"sed -i 's/^DAEMON_OPTIONS(/dnl &/; /^MAILER_DEFINITIONS/i DAEMON_OPTIONS(`Family=inet6, Name=MTA-6, Port=smtp, Addr=::1'\"'\"')dnl\\nDAEMON_OPTIONS(`Family=inet6, Name=MSP-6, Port=submission, M=E, Addr=::1'\"'\"')dnl' {MC}\n"
        + msp("[IPv6:0:0:0:0:0:0:0:1]", "MSA")
        + MADE
    ),
}  # fmt: skip


def arrives(machine: Machine, words: str) -> bool:
    """Whether a message of a program gets into alice's mailbox, and nothing is left in a dead.letter."""
    machine.run(
        f"printf 'Subject: {words}\\n\\n{words}\\n' | /usr/sbin/sendmail alice", check=False, user="alice"
    )
    machine.run(
        f"printf 'To: alice\\nSubject: {words} of cron\\n\\n-\\n' | /usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t",
        check=False,
    )
    for _ in range(200):
        found = machine.run("cat /var/mail/alice", check=False).stdout
        if f"Subject: {words}\n" in found and f"Subject: {words} of cron\n" in found:
            return machine.run(f"cat {DEAD}", check=False).stdout == ""
        time.sleep(0.2)  # two at a time wait for the mailbox, some eight seconds
    return False


def port(machine: Machine) -> str:
    """What submit.cf's mailer has behind the host."""
    return machine.run(f"sed -n '/^Mrelay/,/A=TCP/s/.*A=TCP $h *//p' {SUBMIT_CF}").stdout.strip()


DEFAULT_ON: dict[str, Release] = {
    "the MSA port of 127.0.0.1": "forky",
    "587 by hand in submit.cf alone": "bookworm",
}
"""The cases of the default run, which are not alike, and the release that each is tried on there."""


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            name,
            marks=pytest.mark.default_on(DEFAULT_ON[name]) if name in DEFAULT_ON else pytest.mark.full,
        )
        for name in HOSTS
    ],
)
def test_local_mail_arrives_after_apply_as_before(machine: BootMachine, case: str) -> None:
    debian = machine("mail")
    debian.client()  # brings 198.51.100.1
    add_alice(debian)
    debian.run(HOSTS[case] + AGAIN)
    assert port(debian) in ("587", "submission")
    assert arrives(debian, "before")
    before = debian.read(SUBMIT_MC), debian.read(SUBMIT_CF)
    plan = wizard(debian, "plan").stdout
    assert ("Hand local mail to [127.0.0.1] port 25" in plan) is ("by hand" not in case)
    apply(debian)
    assert port(debian) == ""
    assert arrives(debian, "after")
    assert "Nothing to do" in apply(debian).stdout
    assert wizard(debian, "rollback", "--all", "--yes").returncode == 0
    assert (debian.read(SUBMIT_MC), debian.read(SUBMIT_CF)) == before
    assert arrives(debian, "rolled-back")


@pytest.mark.default_on("bookworm")
def test_lines_of_submit_cf_alone_are_named_before_they_go(machine: BootMachine) -> None:
    """Local mail that is sent to another machine is none of ours to bring home."""
    debian = machine("mail")
    debian.run(f"sed -i 's/^D{{MTAHost}}.*/D{{MTAHost}}[192.0.2.9]/' {SUBMIT_CF}")
    refused = wizard(debian, "apply", "--yes")
    assert refused.returncode == 4, refused.stdout[-2000:]
    assert "D{MTAHost}[192.0.2.9]" in refused.stderr
    assert b"D{MTAHost}[192.0.2.9]" in debian.read(SUBMIT_CF)


@pytest.mark.full
def test_troubleshoot_tells_that_local_mail_is_refused(machine: BootMachine) -> None:
    debian = machine("msa")
    assert "local-submission" not in short(troubleshoot(debian))
    debian.run(msp("[127.0.0.1]", "MSA") + MADE)
    assert not arrives(debian, "lost")
    debian.run(f"rm -f {DEAD}")
    made = troubleshoot(debian)
    assert made["exit"] == 1
    assert [item["id"] for item in made["faults"] if item["sign"] == "failed"] == ["local-submission"]
    fixed = wizard(debian, "troubleshoot", "--fix", "local-submission", "--yes")
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert arrives(debian, "mended")


@pytest.mark.default_on("forky")
def test_by_an_answer_local_mail_stays_on_587(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.client()
    add_alice(debian)
    debian.run(HOSTS["the MSA port of 127.0.0.1"] + AGAIN)
    debian.put("/root/answers.toml", '[listen]\nsubmission = ["198.51.100.1"]\nlocal_submission = true\n')
    done = apply(debian, "--answers", "/root/answers.toml")
    assert "530" in done.stdout  # what the listener for clients answers before a login
    assert port(debian) == "587"
    assert arrives(debian, "after")
    assert login(debian)["ok"]
    assert [item["id"] for item in troubleshoot(debian)["faults"] if item["sign"] == "failed"] == []
    assert "Nothing to do" in apply(debian, "--answers", "/root/answers.toml").stdout
