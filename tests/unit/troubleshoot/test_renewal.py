"""What is said of certbot's renewals: that they come, in time, and get to sendmail."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.authority import Authority
from tests.unit.troubleshoot.pictures import picture
from wizard.certificates import Certificate, parsed
from wizard.certificates.acme import HOOK
from wizard.errors import HostError
from wizard.gather import renewal as gathered
from wizard.gather.renewal import Renewal, idle, look_at_renewal, runner
from wizard.model.plan import Sign
from wizard.system.host import Completed, Host
from wizard.troubleshoot.verdict import judge

NOW = 2e9
LIVE = "/etc/letsencrypt/live/mail.example.test"


def kept(folder: Path, days: float) -> Certificate:
    """One of 90 days, of which so many are left."""
    seen = parsed(Authority(folder).leaf().certificate.encode())
    assert seen is not None
    end = datetime.fromtimestamp(NOW, UTC) + timedelta(days=days)
    return dataclasses.replace(seen, not_after=end, not_before=end - timedelta(days=90))


def test_what_is_wrong_with_renewals_is_a_warning(tmp_path: Path) -> None:
    fresh = kept(tmp_path, 60)
    cases = {
        "": Renewal(LIVE, fresh),
        "renewal-idle": Renewal(LIVE, kept(tmp_path, 10), idle="certbot.timer is not active"),
        "renewal-late": Renewal(LIVE, kept(tmp_path, 20)),
        "renewal-stuck": Renewal(LIVE, fresh, arrived=False),
        "renewal-overwrites": Renewal(LIVE, fresh, arrived=False, foreign=True),
        "renewal-gone": Renewal(LIVE),
    }
    for name, seen in cases.items():
        faults = [
            each
            for each in judge(dataclasses.replace(picture(), renewal=seen, now=NOW)).faults
            if each.id[:8] == "renewal-"
        ]
        assert [each.id for each in faults] == [name] * bool(name)
        assert all(each.sign is Sign.WARNING for each in faults)
    assert not [each for each in judge(picture()).faults if each.id[:8] == "renewal-"]


def test_what_the_hook_waits_for_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "idle", lambda _: "")
    host, authority = Host(tmp_path / "root"), Authority(tmp_path)
    pair, other = authority.leaf(), authority.leaf()
    cf = "O ServerCertFile=/etc/mail/tls/own.crt\nO ServerKeyFile=/etc/mail/tls/own.key\n"

    def put(path: str, text: str) -> None:
        host.path(path).parent.mkdir(parents=True, exist_ok=True)
        host.path(path).write_text(text)

    assert look_at_renewal(host, cf) is None
    put(HOOK, f"#!/bin/sh\nlineage={LIVE}\n")
    gone = look_at_renewal(host, cf)
    assert gone is not None
    assert (gone.kept, gone.arrived) == (None, True)
    put(f"{LIVE}/fullchain.pem", pair.certificate)
    put("/etc/mail/tls/own.crt", pair.certificate)
    same = look_at_renewal(host, cf)
    assert same is not None
    assert (same.kept is not None, same.arrived, same.foreign) == (True, True, False)
    put("/etc/mail/tls/own.crt", other.certificate)
    another = look_at_renewal(host, cf)
    assert another is not None
    assert (another.arrived, another.foreign) == (False, True)
    put(f"{LIVE.replace('live', 'archive')}/fullchain1.pem", other.certificate)
    stuck = look_at_renewal(host, cf)
    assert stuck is not None
    assert (stuck.arrived, stuck.foreign) == (False, False)


def test_a_hook_that_somebody_has_broken_is_said_to_be_so(tmp_path: Path) -> None:
    hook = tmp_path / HOOK.lstrip("/")
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\nlineage='/etc/letsencrypt/live/mail\n")
    with pytest.raises(HostError, match="not as it was written"):
        look_at_renewal(Host(tmp_path), "")


@dataclass(frozen=True)
class Timers(Host):
    """systemd's timers, as `systemctl show` tells of them."""

    states: tuple[str, ...] = ()

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        return Completed(
            tuple(argv), 0, "\n\n".join(f"ActiveState={state}" for state in self.states), "", 0.1
        )


@pytest.mark.parametrize(
    ("states", "crontab", "what"),
    [
        (("active", "inactive"), "", "certbot.timer"),
        (("inactive", "active"), "", "snap.certbot.renew.timer"),
        (
            ("inactive", "inactive"),
            "0 0,12 * * * root /opt/certbot/bin/python -c 'sleep' && sudo certbot renew -q",
            "cron",
        ),
        (("inactive", "inactive"), "# 0 0 * * * root certbot renew", ""),
        (("inactive", "inactive"), "", ""),
    ],
)
def test_another_certbot_renews_as_well(
    tmp_path: Path, states: tuple[str, ...], crontab: str, what: str
) -> None:
    host = Timers(tmp_path, states=states)
    for path in ("/run/systemd/system/x", "/usr/sbin/cron", "/etc/cron.d/certbot"):
        host.path(path).parent.mkdir(parents=True, exist_ok=True)
        host.path(path).touch()
    host.path("/etc/crontab").write_text(f"{crontab}\n")
    assert (runner(host), bool(idle(host))) == (what, not what)
