"""`apply --watch-restart` on a real machine: a listener that goes within the time takes the restart back."""

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
