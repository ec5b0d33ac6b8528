"""How certbot is run, and what becomes of it: its lineage, and port 80 while it is at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.steps.recorded import machine
from tests.unit.steps.wanted_certificate import ASKED, FINE, NAME, host, plan
from wizard.certificates.acme import LETS_ENCRYPT, PROGRAM, STAGING
from wizard.changes.lineage import (
    LOG,
    LineageChange,
    LineageEffect,
    of_any_run,
    of_lineage,
    port_script,
    refused,
)
from wizard.changes.records import recall
from wizard.changes.rules import LiveRule
from wizard.errors import ChangeError, HostError, Overdue
from wizard.steps.certbot_command import obtaining
from wizard.steps.certificate_trial import trial
from wizard.system.host import Completed, Host

RULES = (
    LiveRule("nft", "inet filter input", 80, 4, at=7),
    LiveRule("ip6tables", "ufw6-user-input", 80, 6, marked=False),
    LiveRule("firewalld", "public", 80, 4),
)


def test_the_port_is_opened_before_all_other_rules_and_closed_again() -> None:
    script = port_script(RULES)
    opening, closing = script.partition("add() {")[2].partition("remove() {")[::2]
    assert 'nft insert rule inet filter input tcp dport 80 accept comment \\"msa-wizard\\"' in opening
    assert "ip6tables -w 10 -I ufw6-user-input 1 -p tcp -m tcp --dport 80 -j ACCEPT" in opening
    assert "firewall-cmd --zone=public --add-port=80/tcp" in opening
    assert "nft delete rule inet filter input handle" in closing
    assert "ip6tables -w 10 -D ufw6-user-input -p tcp" in closing
    assert "firewall-cmd --zone=public --remove-port=80/tcp" in closing
    assert script.index("systemd-run") < script.index('&& add "$rule"'), "the timer first"


class Certbot(Host):
    """A host whose certbot does what a test wants of it, and whose firewall closes port 80 if `closes`."""

    def __init__(
        self,
        root: Path,
        code: int = 0,
        *,
        keeps: bool = True,
        closes: bool = True,
        server: str = LETS_ENCRYPT,
    ) -> None:
        super().__init__(root)
        self.code, self.keeps, self.closes, self.server = code, keeps, closes, server
        self.asked: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        """What became of it."""
        if argv[0] != PROGRAM:
            assert argv[-1] == "close"
            return Completed(
                ("sh",), 0 if self.closes else 1, "", "" if self.closes else "rule 2 is stuck", 0.1
            )
        self.asked.append(tuple(argv))
        if self.keeps:
            for path in (f"live/{NAME}/fullchain.pem", f"renewal/{NAME}.conf"):
                file = self.path(f"/etc/letsencrypt/{path}")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"server = {self.server}\n")
        log = self.path(LOG)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as lines:
            lines.write("done\n")
        return Completed(("certbot",), self.code, "", "" if self.code == 0 else "it is refused", 0.1)


LINEAGE = LineageChange(NAME, (NAME,), "the authority", ((PROGRAM, "certonly"),), RULES)


def test_a_port_that_stays_open_is_told_beside_what_became_of_it(tmp_path: Path) -> None:
    with pytest.raises(ChangeError, match="rule 2 is stuck") as failed:
        LINEAGE.apply(Certbot(tmp_path, closes=False), print)
    assert failed.value.effect == LineageEffect(NAME, RULES), "the lineage is there, and goes"
    with pytest.raises(
        ChangeError, match=r"it is refused.* And port 80 could not be closed.*stuck"
    ) as failed:
        LINEAGE.apply(Certbot(tmp_path, 1, closes=False), print)
    assert failed.value.effect == LineageEffect(NAME, RULES)
    with pytest.raises(ChangeError, match="stuck"):
        LineageEffect(NAME, RULES).undo(Certbot(tmp_path, closes=False), print)
    assert LINEAGE.apply(Certbot(tmp_path), print) == LineageEffect(NAME, RULES)


def test_what_another_authority_signed_than_the_one_that_was_asked_is_not_kept(tmp_path: Path) -> None:
    """`staging = true` in cli.ini overrides --server."""
    asked = replace(LINEAGE, commands=((PROGRAM, "certonly", "--server", LETS_ENCRYPT),))
    assert asked.apply(Certbot(tmp_path), print) == LineageEffect(NAME, RULES)
    with pytest.raises(ChangeError, match=r"asked Let's Encrypt's staging.*`staging = true`"):
        asked.apply(Certbot(tmp_path, server=STAGING), print)


def test_the_authority_is_not_asked_once_more_for_what_certbot_kept_by_another_name(tmp_path: Path) -> None:
    with pytest.raises(ChangeError, match=f"keeps no certificate by the name {NAME}"):
        LINEAGE.apply(Certbot(tmp_path, keeps=False), print)


def test_a_problem_of_an_earlier_run_is_not_told_of_this_one(tmp_path: Path) -> None:
    """Debian's certbot appends to its log."""
    log = tmp_path / LOG.lstrip("/")
    log.parent.mkdir(parents=True)
    log.write_text("ő urn:ietf:params:acme:error:rateLimited :: too many\n")
    with pytest.raises(ChangeError, match="certbot says: it is refused"):
        LINEAGE.apply(Certbot(tmp_path, 1), print)
    host, done = Certbot(tmp_path), Completed(("certbot",), 1, "", "", 0.1)
    assert "rate limit" in refused(host, done, since=0)[0]
    assert "rate limit" in refused(host, done, since=10**6)[0], "it has been put away meanwhile"


def test_certbots_log_outlives_a_certbot_that_is_taken_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("wizard.changes.lineage.note", notes.append)
    with pytest.raises(ChangeError, match=r"see the end of /var/log/msa-wizard\.log"):
        LINEAGE.apply(Certbot(tmp_path, 1), print)
    assert notes == ["certbot's log:\ndone\n"]


def test_an_authority_without_staging_is_not_asked_for_a_trial(tmp_path: Path) -> None:
    """certbot asks it itself with --dry-run: it makes an account, and signs."""
    server = "https://ca.example.org/dir"
    asked = Certbot(tmp_path)
    says, good = trial(asked, plan(host(), server=server), replace(ASKED, server=server), print)
    assert (good, "no staging is known" in says, asked.asked) == (True, True, [])
    uninstalled = plan(host(replace(FINE, missing=("certbot",))))
    says, good = trial(asked, uninstalled, ASKED, print)
    assert (good, "`apt-get install --no-install-recommends certbot`, then" in says, asked.asked) == (
        True,
        True,
        [],
    )
    says, good = trial(asked, plan(host()), ASKED, print)
    assert (good, "would sign" in says) == (True, True)
    assert asked.asked[0][-7] == "--dry-run"


def test_debians_own_certbot_is_asked() -> None:
    """/usr/local/bin comes first in PATH."""
    assert obtaining(ASKED, NAME, "")[0] == "/usr/bin/certbot"


def test_a_trial_that_hangs_tells_of_a_port_that_stays_open(tmp_path: Path) -> None:
    class Hangs(Certbot):
        def run(self, argv: Sequence[str], **how: Any) -> Completed:
            if argv[0] == PROGRAM:
                raise HostError("certbot does not end")
            return super().run(argv, **how)

    step_plan = replace(plan(host()), changes=(LINEAGE,))
    with pytest.raises(HostError, match=r"does not end. And port 80 could not be closed.*stuck"):
        trial(Hangs(tmp_path, closes=False), step_plan, ASKED, print)


def test_certbot_may_wait_for_the_dns_name_by_name(tmp_path: Path) -> None:
    """A hook that waits two minutes, for several names; what never ends is told with a way out."""
    given = list[float]()

    class Waits(Certbot):
        def run(self, argv: Sequence[str], timeout: float = 60.0, **how: Any) -> Completed:
            if argv[0] == PROGRAM:
                given.append(timeout)
                raise Overdue(f"certbot did not end within {timeout:.0f} s and was stopped")
            return super().run(argv, **how)

    wanted = replace(ASKED, challenge="dns-rfc2136", credentials="/root/my dns.ini")
    by_hand = (
        f"`certbot certonly --cert-name {NAME} --domain {NAME} --authenticator dns-rfc2136 --preferred-challenges dns "
        f"--dns-rfc2136-credentials '/root/my dns.ini' --email admin@example.org --agree-tos --no-eff-email --server {LETS_ENCRYPT}`"
    )
    lineage = replace(LINEAGE, commands=(obtaining(wanted, (NAME,), "/x"),))
    step_plan = replace(plan(host()), changes=(lineage,))
    for run in (
        lambda: lineage.apply(Waits(tmp_path), print),
        lambda: trial(Waits(tmp_path), step_plan, wanted, print),
    ):
        with pytest.raises((ChangeError, HostError), match=r"within 1800 s.*_acme-challenge") as failed:
            run()
        assert by_hand in str(failed.value)
    assert min(given) >= 10 * 120


def test_an_authority_that_does_not_come_to_port_80_is_not_waited_for_as_long(tmp_path: Path) -> None:
    """There is no record in the DNS then, and nothing that would take longer by hand."""

    class Waits(Certbot):
        def run(self, argv: Sequence[str], timeout: float = 60.0, **how: Any) -> Completed:
            if argv[0] == PROGRAM:
                raise Overdue(f"certbot did not end within {timeout:.0f} s and was stopped")
            return super().run(argv, **how)

    lineage = replace(LINEAGE, commands=(obtaining(ASKED, (NAME,), "/x"),))
    with pytest.raises(ChangeError, match=f"within 300 s.*in {LOG}, what it waited for") as failed:
        lineage.apply(Waits(tmp_path), print)
    step_plan = replace(plan(host()), changes=(lineage,))
    with pytest.raises(HostError, match=r"within 300 s.*see above what it waited for") as tried_first:
        trial(Waits(tmp_path), step_plan, ASKED, print)
    for error in (failed, tried_first):
        assert "_acme-challenge" not in str(error.value)
        assert "certonly" not in str(error.value)


def test_the_authority_is_always_named() -> None:
    """cli.ini may name another, whose terms nobody has seen."""
    for server in ("", LETS_ENCRYPT, "https://ca.example.org/dir"):
        asked = obtaining(replace(ASKED, server=server), (NAME,), "")
        assert asked[asked.index("--server") + 1] == (server or LETS_ENCRYPT)


def test_what_certbot_makes_is_known_and_nothing_else() -> None:
    owns = LineageEffect(NAME).claim(Host()).owns
    entry = machine("13").files["/etc/mail/sendmail.mc"]
    for path in (f"live/{NAME}/cert.pem", f"archive/{NAME}/privkey2.pem", f"renewal/{NAME}.conf"):
        assert of_lineage(NAME, f"etc/letsencrypt/{path}")
        assert owns(f"etc/letsencrypt/{path}", entry, None)
    for path in (
        "",
        "/live",
        "/live/README",
        "/accounts/ca/directory/1/meta.json",
        "/keys/0000_key-certbot.pem",
    ):
        assert of_any_run(f"etc/letsencrypt{path}")
        assert owns(f"etc/letsencrypt{path}", None, entry)
        assert not owns(f"etc/letsencrypt{path}", entry, None), "it was there before"
    for path in (
        "live/other/cert.pem",
        "renewal/other.conf",
        "renewal-hooks/deploy/own",
        "cli.ini",
        f"live/{NAME}.org/x",
    ):
        assert not owns(f"etc/letsencrypt/{path}", None, entry)


def test_the_journal_gives_the_lineage_back() -> None:
    effect = LineageEffect(NAME, RULES)
    assert recall(effect.record()) == effect
