"""All steps that are done only where they are chosen, together on one machine: they stand beside one another, and all goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.acme import SERVER, acme
from tests.system.images import layers
from tests.system.machine import Machine
from tests.system.msa import wizard
from tests.system.picture import Row, differences, picture
from tests.system.test_certificate import HOOK, first_of, presented, verified_login
from tests.system.test_certificate_obtain import LIVE, RENEW
from tests.system.test_rollback import MAY_DIFFER

STEPS = ("certificate-obtain", "login-policy", "guess-limit", "tls-policy")
SETTINGS = (
    *(
        "certificate.challenge=standalone",
        "certificate.email=admin@example.test",
        "certificate.agree_tos=true",
    ),
    *(
        f"certificate.server={SERVER}",
        "login.policy=no-system-accounts",
        "guess.limit=true",
        "tls.policy=recommended",
    ),
)
CHOSEN = tuple(word for each in SETTINGS for word in ("--set", each))
SELECTIONS = "dpkg --get-selections; dpkg-statoverride --list; apt-mark showauto | sort; systemctl list-unit-files --no-legend --plain"


CERTBOTS = (
    "/etc/letsencrypt",
    "/etc/cron.d",
    "/etc/logrotate.d/certbot",
    "/etc/systemd/system/timers.target.wants",
)
"""Where there is /etc/cron.d, each start of sendmail writes its own file there."""
LEFT = (*MAY_DIFFER, "/var/lib/letsencrypt")
"""certbot's own folder stays when it is purged."""


def chosen(debian: Machine) -> None:
    """All steps, and those that are optional."""
    done = wizard(debian, "apply", "--yes", *CHOSEN)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    rows = [row.split() for row in wizard(debian, "status", *CHOSEN).stdout.splitlines()]
    states = {row[0]: row[1] for row in rows if len(row) > 1}
    assert {step: states.get(step) for step in STEPS} == dict.fromkeys(STEPS, "applied")


@pytest.mark.full
def test_all_of_them_are_rolled_back_after_a_renewal(tmp_path: Path) -> None:
    with Machine(layers("trixie", "certbot")) as debian, acme(debian, tmp_path) as authority:
        back = wizard(debian, "rollback", "--all", "--yes")
        assert back.returncode == 0, back.stdout + back.stderr
        packages, before = debian.run(SELECTIONS).stdout, picture(debian)

        chosen(debian)
        assert wizard(debian, "plan", "--exit-code", *CHOSEN).returncode == 0
        assert verified_login(debian, tmp_path, authority.root) == "logged in"
        debian.run(RENEW)
        assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))
        assert verified_login(debian, tmp_path, authority.root) == "logged in"

        back = wizard(debian, "rollback", "--all", "--yes")
        assert back.returncode == 0, back.stdout + back.stderr
        all_as_before(debian, before, packages)


def all_as_before(debian: Machine, before: dict[str, Row], packages: str) -> None:
    """But for what LEFT names; of /etc all."""
    differs = differences(before, picture(debian))
    assert [line for line in differs if line.startswith("/etc/") and ".pwd.lock" not in line] == []
    assert [line for line in differs if not line.startswith(LEFT)] == []
    assert debian.run(SELECTIONS).stdout == packages


@pytest.mark.full
def test_of_all_of_them_a_certificate_stays_that_another_service_uses_by_now(tmp_path: Path) -> None:
    with Machine(layers("trixie", "certbot")) as debian, acme(debian, tmp_path):
        back = wizard(debian, "rollback", "--all", "--yes")
        assert back.returncode == 0, back.stdout + back.stderr
        packages, before = debian.run(SELECTIONS).stdout, picture(debian)
        chosen(debian)
        debian.put("/etc/dovecot/conf.d/10-ssl.conf", f"ssl_cert = <{LIVE}/fullchain.pem\n")
        refused = wizard(debian, "rollback", "certificate-obtain", "--yes")
        says = "/etc/dovecot/conf.d/10-ssl.conf uses certbot's certificate mail.example.test"
        assert (refused.returncode, says in " ".join(refused.stderr.split())) == (1, True), refused.stderr
        back = wizard(debian, "rollback", "--all", "--yes")
        assert (back.returncode, "certbot and what it keeps stay" in " ".join(back.stderr.split())) == (
            1,
            True,
        ), back
        stays = [*LEFT, *CERTBOTS, "/etc/dovecot", "/usr/", "/lib/"]
        assert [
            line for line in differences(before, picture(debian)) if not line.startswith(tuple(stays))
        ] == []
        came = set(debian.run("dpkg --get-selections").stdout.split()) - set(packages.split())
        assert ("certbot" in came, "fail2ban" in came) == (True, False), came
        assert debian.run(f"{RENEW}; test ! -e {HOOK}").returncode == 0
        refused = wizard(debian, "rollback", "--all", "--yes")
        assert (refused.returncode, says in " ".join(refused.stderr.split())) == (1, True), refused.stderr
        debian.run("rm -r /etc/dovecot")
        back = wizard(debian, "rollback", "--all", "--yes")
        assert back.returncode == 0, back.stdout + back.stderr
        all_as_before(debian, before, packages)
