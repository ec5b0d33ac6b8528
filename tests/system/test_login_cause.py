"""A login test that fails on the server itself: the cause by the host's own eyes, and the password tried once."""

from __future__ import annotations

import json

import pytest

from tests.system.machine import Machine
from tests.system.msa import PASSWORD, login

pytestmark = [pytest.mark.full, pytest.mark.default_on("bookworm")]

COUNTED = r"""
sed -i -e 's/^auth.*pam_unix.so.*/auth [success=2 default=ignore] pam_unix.so/' \
    -e '/pam_unix.so/a auth [default=die] pam_faillock.so authfail deny=3' /etc/pam.d/common-auth
systemctl restart saslauthd
"""
"""PAM counts the failures of each user."""
CAUSES = [
    ("passwd -l alice", "passwd -u alice", "account-locked", "passwd -u alice"),
    ("systemctl stop saslauthd", "systemctl start saslauthd", "saslauthd-dead", "--fix saslauthd-dead"),
    (
        "echo '-:ALL:ALL' > /root/none;"
        "sed -i '1i auth required pam_access.so accessfile=/root/none' /etc/pam.d/smtp",
        "sed -i 1d /etc/pam.d/smtp",
        "pam-module-refuses",
        "pam_access(8)",
    ),
    ("pkill -STOP -x sendmail-mta", "pkill -CONT -x sendmail-mta", "sendmail-hung", "--fix sendmail-hung"),
]
"""What makes it, what ends it, and what is said."""


def test_a_wrong_password_is_tried_once(debian: Machine) -> None:
    debian.run(f"cp -a /etc/pam.d/common-auth /root; {COUNTED}")
    made = login(debian, password="not-the-one-7")
    counted = debian.run("faillock --user alice").stdout
    debian.run(
        "cp -a /root/common-auth /etc/pam.d/; faillock --user alice --reset; systemctl restart saslauthd"
    )
    assert made["cause"]["id"] == "password-wrong"
    assert "All else that was looked at works" in made["cause"]["says"]
    assert counted.count(" SVC ") == 1, counted


@pytest.mark.parametrize(("fault", "repair", "cause", "fix"), CAUSES, ids=[each[2] for each in CAUSES])
def test_the_cause_is_that_of_troubleshoot(
    debian: Machine, fault: str, repair: str, cause: str, fix: str
) -> None:
    debian.run("systemctl restart saslauthd")  # which forgets the logins that it has accepted
    debian.run(fault)
    made = login(debian)
    debian.run(repair)
    assert (made["ok"], made["cause"]["id"]) == (False, cause)
    assert fix in made["cause"]["remedy"]
    assert PASSWORD not in json.dumps(made)


def test_what_works_needs_no_cause_and_another_machine_tells_none(debian: Machine) -> None:
    assert login(debian)["cause"] is None
    assert login(debian, "--host", "192.0.2.250")["cause"] is None
