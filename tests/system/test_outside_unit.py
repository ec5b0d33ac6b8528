"""A daemon that serves outside its systemd unit, on real machines: how it comes about, seen, and put right."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.system.machine import Machine
from tests.system.msa import apply, login, sendmail_pid, wizard
from tests.system.test_login_by_hand import (
    OURS,
    PLAINTEXT,
    asks,
    cf,
    encrypted_again,
    go_on,
    on_terminal,
    wait_for,
)

pytestmark = pytest.mark.default_on("forky")

COLLIDE = """
for late in 0 0.03 0.06 0.1 0.15 0.2 0.3; do
    systemctl reset-failed sendmail
    systemctl restart sendmail & until [ "$(systemctl show -P ActiveState sendmail)" = activating ]; do :; done
    sleep $late; systemctl restart sendmail; wait
    [ "$(systemctl show -P ActiveState sendmail)" = failed ] && exit 0
done
exit 1
"""
"""Two restarts that meet: the second ends the init script while the daemon of the first comes up."""
BY_HAND = [
    ("sendmail", "systemctl stop sendmail; SYSTEMCTL_SKIP_REDIRECT=1 setsid /etc/init.d/sendmail start"),
    ("sendmail", "systemctl stop sendmail; setsid /usr/sbin/sendmail -bd -q10m"),
    (
        "saslauthd",
        "systemctl stop saslauthd; setsid /usr/sbin/saslauthd -a pam -c -m /var/run/saslauthd -n 5;"
        "systemctl reset-failed; true",
    ),
]
STEP = {"sendmail": "restart", "saslauthd": "saslauthd-start"}


def pending(debian: Machine, step: str) -> bool:
    return wizard(debian, "plan", step, "--exit-code").returncode == 10


def noted(debian: Machine) -> list[str]:
    """The ids of what troubleshoot has to say."""
    faults = json.loads(wizard(debian, "troubleshoot", "--json").stdout)["faults"]
    return [item["id"] for item in faults if item["id"].endswith("-outside")]


def active(debian: Machine, name: str) -> str:
    return debian.run(["systemctl", "show", "-P", "ActiveState,SubState", name]).stdout.split()[0]


def assert_well(debian: Machine, name: str) -> None:
    assert (noted(debian), pending(debian, STEP[name]), active(debian, name)) == ([], False, "active")
    daemon = {"sendmail": "sendmail-mta"}.get(name, name)
    groups = debian.run(f"cat /proc/$(pgrep -o -x {daemon})/cgroup").stdout
    assert f"/{name}.service" in groups, groups
    assert login(debian)["exit"] == 0


def test_two_restarts_at_once_are_seen_and_fixed(debian: Machine) -> None:
    assert_well(debian, "sendmail")
    debian.run(COLLIDE, timeout=120)
    left = sendmail_pid(debian)
    assert debian.run("systemctl restart sendmail", check=False).returncode == 1, "for good"
    assert (sendmail_pid(debian), active(debian, "sendmail")) == (left, "failed")
    assert (noted(debian), pending(debian, "restart")) == (["sendmail-outside"], True)
    done = apply(debian, "restart")
    assert f"$ kill -TERM {left}" in done.stdout
    assert_well(debian, "sendmail")


@pytest.mark.parametrize(("name", "how"), BY_HAND, ids=["sendmail", "sendmail -bd", "saslauthd"])
def test_a_daemon_started_by_hand_is_seen_and_fixed(debian: Machine, name: str, how: str) -> None:
    debian.run(how)
    wait_for(lambda: login(debian)["exit"] == 0)
    assert (noted(debian), pending(debian, STEP[name])) == ([f"{name}-outside"], True)
    done = wizard(debian, "troubleshoot", "--fix", f"{name}-outside", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ kill -TERM" in done.stdout
    assert_well(debian, name)


@pytest.mark.parametrize("at", ["deactivating", pytest.param("activating", marks=pytest.mark.full)])
def test_killed_while_its_own_restart_is_on_the_way_back(debian: Machine, at: str) -> None:
    before = cf(debian)
    with on_terminal(debian, *PLAINTEXT) as terminal:
        go_on(terminal)
        terminal.until(partial(asks, terminal, "connect to"))
        terminal.press("q\r")
        debian.run(
            f'until [ "$(systemctl show -P ActiveState sendmail)" = {at} ]; do :; done; pkill -KILL -f "{OURS}"'
        )
    debian.run("while pgrep -f '/run/msa-wizard/[w]hile-' >/dev/null; do sleep 0.1; done", timeout=120)
    wait_for(lambda: encrypted_again(debian))
    assert (cf(debian), active(debian, "sendmail")) == (before, "active"), "the guard alone"
    done = wizard(debian, "recover")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to recover" in wizard(debian, "recover").stdout
    assert cf(debian) == before
    assert_well(debian, "sendmail")


def test_recover_ends_where_the_restarts_had_met(debian: Machine) -> None:
    """As it was left by a killed run whose restart a guard met: the unit failed, and its daemon at work."""
    before = cf(debian)
    with on_terminal(debian, *PLAINTEXT) as terminal:
        go_on(terminal)
        terminal.until(partial(asks, terminal, "connect to"))
        decided = "for script in /run/msa-wizard/while-*.sh; do echo >${script%.sh}.decision; done"
        debian.run(f"{decided}; pkill -KILL -f '{OURS}'")
    debian.run(COLLIDE, timeout=120)
    done = wizard(debian, "recover")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to recover" in wizard(debian, "recover").stdout
    assert cf(debian) == before
    assert_well(debian, "sendmail")
