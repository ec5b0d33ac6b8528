"""Howto 3.7 on real machines: a port that is free a moment late, and a listener that goes while the restart is watched."""

from __future__ import annotations

import pytest

from tests.system.conftest import BootMachine
from tests.system.msa import WIZARD, apply, wizard

LISTENERS = "ss -Hltn | awk '{print $4}'"


@pytest.mark.full
def test_a_listener_that_goes_takes_the_restart_back(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run("systemctl start sendmail")
    before = sorted(debian.run(LISTENERS).stdout.split())
    assert "127.0.0.1:587" in before
    cf = debian.read("/etc/mail/sendmail.cf")
    debian.run(
        f"({WIZARD} apply --yes --watch-restart 60 >/root/said 2>&1; echo $? >/root/code) >/dev/null 2>&1 &"
    )
    debian.run("until grep -q 'watching port 25, 587 for 60 s' /root/said; do sleep 0.1; done", timeout=120)
    debian.run(["pkill", "-KILL", "sendmail-mta"])
    debian.run("until test -s /root/code; do sleep 0.2; done", timeout=120)
    said = debian.read("/root/said").decode()
    assert debian.read("/root/code") == b"1\n", said
    assert "does not greet any more" in said
    assert debian.read("/etc/mail/sendmail.cf") == cf, "sendmailconfig goes with it"
    assert sorted(debian.run(LISTENERS).stdout.split()) == before, "the daemon of before is up again"
    assert "greeted for 6 s" in apply(debian, "--watch-restart", "6").stdout
    wrong = wizard(debian, "apply", "--yes", "--watch-restart", "2")
    assert (wrong.returncode, "it takes 5 to 3600 seconds" in wrong.stderr) == (2, True), wrong.stderr


HOLDS = """[Service]
ExecStartPre=/bin/systemd-run --quiet --collect --unit=holder /usr/bin/python3 /root/hold.py
ExecStartPre=/bin/sleep 1
"""
HOLD = """
import socket, time
with socket.socket() as held:
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("0.0.0.0", 587))
    held.listen()
    time.sleep(8)
"""


@pytest.mark.default_on("forky")
def test_a_port_that_is_free_a_moment_late_is_no_failure(machine: BootMachine) -> None:
    """A daemon of before that is slow to end holds it; sendmail says so in its log, tries again, and listens."""
    debian = machine("msa")
    debian.put("/root/hold.py", HOLD)
    debian.put("/run/systemd/system/sendmail.service.d/hold.conf", HOLDS)
    debian.run("systemctl daemon-reload; touch /etc/mail/sendmail.cf")
    said = apply(debian, "restart").stdout
    assert "a listener could be opened at a second try only" in " ".join(said.split()), said
    assert "0.0.0.0:587" in debian.run(LISTENERS).stdout


@pytest.mark.default_on("forky")
def test_many_starts_in_a_row_are_no_failure(machine: BootMachine) -> None:
    """systemd refuses the sixth within ten seconds, and each rollback is one; here the third in ten minutes."""
    debian = machine("mail")
    limit = "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=2\n"
    debian.put("/run/systemd/system/saslauthd.service.d/limit.conf", limit)
    debian.run("systemctl daemon-reload; systemctl restart saslauthd; systemctl restart saslauthd")
    assert debian.run("systemctl restart saslauthd", check=False).returncode != 0
    apply(debian, "saslauthd-config", "saslauthd-start")
    assert "saslauthd" in debian.run("pgrep -l -x saslauthd").stdout
