"""Howto 3.8 on real machines: each firewall with SSH open and all else dropped, and a mail client outside it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.system.client import Client
from tests.system.firewalls import (
    QUIET,
    SET_UPS,
    Line,
    SetUp,
    connects,
    kept,
    live,
    login_outside,
    set_up,
    take_down,
)
from tests.system.images import layers
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, history, wizard
from tests.system.releases import RELEASES, Release
from tests.system.room import why_no_machines

CHOSEN = "/root/answers.toml"


@pytest.fixture(scope="module", params=RELEASES)
def msa(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine with all of the howto done but the firewall, since there is none; its tests leave none behind."""
    if why := why_no_machines():
        pytest.skip(why)
    release: Release = request.param
    with Machine(layers(release, "mail")) as debian:
        debian.client()
        add_alice(debian)
        debian.put(CHOSEN, "[listen]\nipv6 = true\n")
        done = apply(debian, "--answers", CHOSEN)
        assert "no firewall program was found on this host" in " ".join(done.stdout.split())
        assert "provider's firewall may still block" in done.stdout
        yield debian


@pytest.fixture
def firewall(msa: Machine, request: pytest.FixtureRequest) -> Iterator[SetUp]:
    """The one that the test names, set up; purged afterwards."""
    made = set_up(msa, request.param)
    try:
        yield made
    finally:
        wizard(msa, "rollback", "firewall", "--yes", "--on-conflict", "restore")
        take_down(msa, made)


def step(debian: Machine, *arguments: str) -> dict[str, Any]:
    """`apply --json --yes firewall`, its document with the exit status as `exit`."""
    done = wizard(debian, "apply", "--json", "--yes", *arguments, "firewall")
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made | {"exit": done.returncode, "text": done.stdout}


def rollback(debian: Machine) -> None:
    """`rollback firewall`, which must succeed."""
    done = wizard(debian, "rollback", "firewall", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def is_open(client: Client) -> list[bool]:
    """587 over IPv4 and IPv6."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda family: connects(client, 587, family), (4, 6)))


def boot(debian: Machine) -> None:
    """A reboot, and sendmail listens."""
    debian.reboot()
    debian.run("for i in $(seq 100); do ss -ltn | grep -q ':587 ' && exit 0; sleep 0.1; done; exit 1")


def unlike(now: str, then: str) -> list[str]:
    """The lines that came or went."""
    here, there = Counter(now.splitlines()), Counter(then.splitlines())
    return [*(here - there).elements(), *(there - here).elements()]


def of_the_admin(lines: list[str]) -> bool:
    """Whether all of them are the rules that the admin adds in these tests."""
    return all("8587" in line or "8025" in line for line in lines if line)


@pytest.mark.parametrize(
    "firewall",
    [pytest.param(name, marks=() if name == "nftables" else pytest.mark.full) for name in SET_UPS],
    indirect=True,
)
def test_opened_and_rolled_back(msa: Machine, firewall: SetUp) -> None:
    client = msa.client()
    msa.run(f"set -e; {firewall.foreign}")
    before, files = live(msa), kept(msa, firewall)
    assert is_open(client) == [False, False]
    with Line(msa, client) as line:
        _opened(msa, before)
        # Taken back from among rules that the admin has put around ours since.
        msa.run(firewall.admins)
        rollback(msa)
        assert line.held()
    admins = unlike(live(msa), before)
    assert admins, "the admin's own are gone"
    assert of_the_admin(admins), admins
    now = kept(msa, firewall)
    for path, text in files.items():
        assert of_the_admin(unlike(now[path].decode("latin-1"), text.decode("latin-1"))), path
    assert is_open(client) == [False, False]

    # For good: what a boot makes of the files; and rolled back after it.
    assert step(msa)["exit"] == 0
    boot(msa)
    assert is_open(client) == [True, True]
    booted = live(msa)
    rollback(msa)
    assert is_open(client) == [False, False]
    assert kept(msa, firewall) == now
    gone = unlike(live(msa), booted)
    assert all(re.search(r"\b(25|587)\b", line) for line in gone if line), gone
    assert not re.search(r"\b587\b", live(msa))


def _opened(msa: Machine, before: str) -> None:
    """The step opens it to logins from outside, and leaves the rules of others."""
    client = msa.client()
    made = step(msa)
    assert made["exit"] == 0, made["text"]
    assert "a test on this machine does not pass the firewall" in made["text"]
    for family in (4, 6):
        login = login_outside(msa, family)
        assert any(item["text"].startswith("235 ") for item in login["lines"]), login["verdict"]
    assert connects(client, 25)
    for mine in ("f2b", "203.0.113.9", "DOCKER"):
        assert live(msa).count(mine) == before.count(mine)
    assert "already done:" in wizard(msa, "plan", "firewall").stdout


@pytest.mark.full
@pytest.mark.parametrize("firewall", ["nftables"], indirect=True)
def test_what_must_not_be_done_is_not_done(msa: Machine, firewall: SetUp) -> None:
    """One machine for all of them: each leaves it as it was."""
    client = msa.client()

    def refused(*words: str, code: int = 3, answers: str = "") -> None:
        msa.put(CHOSEN, "[listen]\nipv6 = true\n" + answers)
        before, files, commits = live(msa), kept(msa, firewall), len(history(msa))
        done = wizard(msa, "apply", "--yes", "--answers", CHOSEN, "firewall")
        assert done.returncode == code, done.stdout + done.stderr
        for word in words:
            assert word in " ".join((done.stdout + done.stderr).split()), done.stdout + done.stderr
        assert (live(msa), kept(msa, firewall)) == (before, files)
        assert not connects(client, 587)
        assert [
            item for item in history(msa)[: len(history(msa)) - commits] if item["operation"] == "apply"
        ] == []

    refused("ufw is chosen in your settings but is not active", answers='[firewall]\nuse = "ufw"\n')
    refused('[firewall] use = "none"', code=0, answers='[firewall]\nuse = "none"\n')
    wrong = wizard(msa, "plan", "--answers", "/dev/stdin", "firewall", input='[firewall]\nuse = "pf"\n')
    assert wrong.returncode == 2

    # nft does not take the file, in a place that has nothing to do with ours.
    conf = msa.read("/etc/nftables.conf")
    msa.put(
        "/etc/nftables.conf",
        conf + b"table inet other {\n\tchain x {\n\t\ttcp dprt 1 accept\n\t}\n}\n",
        0o755,
    )
    refused("nft -c -f", "refuses it", "/etc/nftables.conf", code=1)
    msa.put("/etc/nftables.conf", conf.replace(b"chain input {", b"chain input {{", 1), 0o755)
    refused("/etc/nftables.conf is not edited")
    msa.put("/etc/nftables.conf", conf, 0o755)

    # /etc cannot be written.
    msa.run("mount --bind /etc /etc && mount -o remount,bind,ro /etc")
    before, files = live(msa), kept(msa, firewall)
    done = wizard(msa, "apply", "--yes", "firewall")
    msa.run("umount /etc")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Read-only file system" in done.stderr
    assert (live(msa), kept(msa, firewall)) == (before, files)

    # The tool is not there.
    msa.run("mv /usr/sbin/nft /usr/sbin/nft.away")
    done = wizard(msa, "apply", "--yes", "firewall")
    msa.run("mv /usr/sbin/nft.away /usr/sbin/nft")
    assert (done.returncode, "nft could not be started" in done.stderr) == (3, True), (
        done.stdout + done.stderr
    )

    # The tool hangs.
    msa.run(
        "mv /usr/sbin/nft /usr/sbin/nft.away; printf '#!/bin/sh\\nexec sleep 600\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft"
    )
    began = time.monotonic()
    done = wizard(msa, "apply", "--yes", "firewall")
    msa.run("mv /usr/sbin/nft.away /usr/sbin/nft")
    assert time.monotonic() - began < 120
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nft" in done.stderr, done.stderr
    assert "did not end within" in done.stdout + done.stderr, done.stdout + done.stderr
    assert (live(msa), kept(msa, firewall)) == (before, files)
    assert "sleep" not in msa.run("ps -eo comm").stdout

    # An inactive firewall is not enabled; two active ones must be chosen from.
    msa.run("apt-get install --yes --quiet=2 ufw", env=QUIET)
    plan = wizard(msa, "plan", "firewall").stdout
    assert "/etc/nftables.conf" in plan
    assert "ENABLED=no" in msa.read("/etc/ufw/ufw.conf").decode()
    msa.run("ufw allow 22/tcp; ufw --force enable")
    refused("more than one firewall is active", "firewall.use=ufw", "firewall.use=nftables")
    msa.run("ufw --force disable; apt-get purge --yes --quiet=2 ufw; rm -rf /etc/ufw", env=QUIET)


@pytest.mark.full
@pytest.mark.parametrize("firewall", ["shorewall"], indirect=True)
def test_zones_of_other_names(msa: Machine, firewall: SetUp) -> None:
    for folder in ("shorewall", "shorewall6"):
        msa.run(
            f"sed -i 's/\\bnet\\b/world/' /etc/{folder}/zones /etc/{folder}/interfaces /etc/{folder}/policy /etc/{folder}/rules"
        )
    msa.run("systemctl restart shorewall shorewall6")
    files = kept(msa, firewall)
    msa.put(CHOSEN, '[listen]\nipv6 = true\n[firewall]\nzone = "net"\n')
    refused = wizard(msa, "apply", "--yes", "--answers", CHOSEN, "firewall")
    assert (refused.returncode, kept(msa, firewall)) == (3, files)
    assert "/etc/shorewall/zones has no zone net" in " ".join(refused.stderr.split())
    msa.run("sed -i 's/to-client/eth7/' /etc/shorewall/interfaces; echo 'lan ipv4' >>/etc/shorewall/zones")
    asked = wizard(msa, "apply", "--yes", "firewall")
    assert (asked.returncode, kept(msa, firewall)) == (3, files)
    assert "is the outside world: world, lan" in " ".join(asked.stderr.split())
    msa.run("sed -i 's/eth7/to-client/' /etc/shorewall/interfaces; sed -i /lan/d /etc/shorewall/zones")
    # shorewall itself refuses the file, though not because of ours.
    msa.run("echo 'ACCEPT nowhere $FW tcp 99' >>/etc/shorewall/rules")
    broken = kept(msa, firewall)
    refused = wizard(msa, "apply", "--yes", "firewall")
    assert (refused.returncode, kept(msa, firewall)) == (1, broken), refused.stdout
    assert "Unknown source zone (nowhere)" in refused.stderr
    msa.run("sed -i '$d' /etc/shorewall/rules")
    assert step(msa)["exit"] == 0
    assert is_open(msa.client()) == [True, True]
