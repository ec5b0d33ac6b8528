"""A certificate from an authority: what the step plans, and what it refuses to ask an authority for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.steps.recorded import machine
from wizard.changes.lineage import LineageEffect, of_any_run, of_lineage
from wizard.changes.records import recall
from wizard.changes.rules import LiveRule
from wizard.model.answers import Answers, Certificate
from wizard.model.facts import Acme, Facts
from wizard.model.plan import Outcome, Plan
from wizard.steps.certificate_obtain import OPTIONAL, CertificateObtain, obtaining, port_script
from wizard.system.host import Host
from wizard.system.sockets import Listener

NAME = "mail.example.org"
ASKED = Certificate("standalone", NAME, "admin@example.org", True)
HERE = ("192.0.2.1", "2001:db8::25")
FINE = Acme(NAME, addresses=HERE, terms="https://example.org/terms")


def host(acme: Acme = FINE, **changes: Any) -> Facts:
    return machine("13", **({"acme": acme, "addresses": HERE, "euid": 0} | changes))


def plan(facts: Facts, **wanted: Any) -> Plan:
    return CertificateObtain().plan(facts, Answers(certificate=replace(ASKED, **wanted)))


def test_nothing_is_planned_unasked() -> None:
    made = CertificateObtain().plan(host(), Answers())
    assert (made.outcome, made.reason) == (Outcome.NOT_APPLICABLE, OPTIONAL)


def test_what_will_be_done_is_shown_first() -> None:
    made = plan(host(replace(FINE, missing=("certbot",))))
    assert made.outcome is Outcome.PENDING
    packages, lineage = (change.describe() for change in made.changes)
    assert packages.title == "install certbot"
    assert [command.endswith("--dry-run") for command in lineage.commands] == [True, False], (
        "the trial comes first"
    )
    assert "staging is asked first" in lineage.details[0]
    assert "https://example.org/terms" in lineage.details[1]
    (only,) = (change.describe() for change in plan(host(), server="https://ca.example.org/dir").changes)
    assert [word in only.commands[0] for word in ("--server https://ca.example.org/dir", "--agree-tos")] == [
        True,
        True,
    ]
    assert len(only.commands) == 1, "of another authority no staging is known"


WEB = Listener("0.0.0.0", 80, "nginx", 7)


@pytest.mark.parametrize(
    ("acme", "wanted", "more", "why"),
    [
        (FINE, {"email": ""}, {}, "no e-mail address"),
        (FINE, {"agree_tos": False}, {}, "https://example.org/terms"),
        (replace(FINE, unreachable="https://x cannot be reached"), {}, {}, "cannot be reached"),
        (replace(FINE, forbidden="the CAA records of example.org"), {}, {}, "CAA records"),
        (
            replace(FINE, addresses=(), unresolved="the DNS does not know it"),
            {},
            {},
            "the DNS does not know it",
        ),
        (replace(FINE, addresses=("192.0.2.7",)), {}, {}, "leads to 192.0.2.7, and this host has 192.0.2.1"),
        (replace(FINE, addresses=("192.0.2.1", "2001:db8::7")), {}, {}, "this host has 2001:db8::25"),
        (
            replace(FINE, addresses=HERE),
            {},
            {"addresses": HERE[:1]},
            "no IPv6 address that is reached from outside",
        ),
        (FINE, {}, {"listeners": (WEB,)}, "port 80 is held by nginx (pid 7)"),
        (FINE, {"challenge": "webroot"}, {}, "no web server listens on port 80"),
        (FINE, {"challenge": "webroot"}, {"listeners": (WEB,)}, "no folder of the web server is chosen"),
        (FINE, {"challenge": "webroot", "webroot": "/srv"}, {"listeners": (WEB,)}, "/srv is not there"),
        (FINE, {"challenge": "dns-rfc2136", "credentials": "/etc/x"}, {}, "/etc/x is not there"),
        (Acme(NAME, kept=True, unfit="it has expired"), {}, {}, "not fit for sendmail: it has expired"),
    ],
)
def test_the_authority_is_not_asked_in_vain(
    acme: Acme, wanted: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    made = plan(host(acme, **more), **wanted)
    assert (made.outcome, why in made.reason) == (Outcome.BLOCKED, True), made.reason
    assert made.remedy


def test_behind_a_router_the_addresses_prove_nothing() -> None:
    made = plan(host(replace(FINE, addresses=("198.51.100.1",)), addresses=("192.168.1.5",)))
    assert made.outcome is Outcome.PENDING
    assert any("none of these is an address of this host" in note for note in made.notes)


def test_another_way_needs_no_port() -> None:
    made = plan(host(replace(FINE, addresses=()), listeners=(WEB,)), challenge="dns-rfc2136")
    assert made.outcome is Outcome.PENDING
    web = host(replace(FINE, addresses=("198.51.100.1",), webroot=True), listeners=(WEB,))
    assert plan(web, challenge="webroot", webroot="/srv").outcome is Outcome.PENDING, "a proxy may lead here"


def test_certbot_is_told_how() -> None:
    def told(challenge: str, **more: Any) -> str:
        return " ".join(obtaining(replace(ASKED, challenge=challenge, **more), NAME, ""))

    assert "--standalone" in told("standalone")
    assert "--webroot --webroot-path /srv/www" in told("webroot", webroot="/srv/www")
    assert "--authenticator dns-rfc2136 --dns-rfc2136-credentials /etc/x" in told(
        "dns-rfc2136", credentials="/etc/x"
    )
    assert "--pre-hook /x open --post-hook /x close" in " ".join(obtaining(ASKED, NAME, "/x"))


RULES = (
    LiveRule("nft", "inet filter input", 80, 4, at=7),
    LiveRule("ip6tables", "ufw6-user-input", 80, 6, marked=False),
    LiveRule("firewalld", "public", 80, 4),
)


def test_the_port_is_opened_before_all_other_rules_and_closed_again() -> None:
    script = port_script(RULES)
    opening, closing = script.partition("case ")[2], script.partition("case ")[0]
    assert (
        'nft insert rule inet filter input tcp dport 80 accept comment \\"msa-wizard\\" || exit 1' in opening
    )
    assert "ip6tables -w 10 -I ufw6-user-input 1 -p tcp -m tcp --dport 80 -j ACCEPT || exit 1" in opening
    assert "firewall-cmd --zone=public --add-port=80/tcp || exit 1" in opening
    assert "nft delete rule inet filter input handle" in closing
    assert "ip6tables -w 10 -D ufw6-user-input -p tcp" in closing
    assert "firewall-cmd --zone=public --remove-port=80/tcp" in closing
    assert opening.index("systemd-run") < opening.index("nft insert"), "the timer first"


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
