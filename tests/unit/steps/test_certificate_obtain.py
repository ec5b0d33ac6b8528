"""A certificate from an authority: what the step plans, and what it refuses to ask an authority for."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from tests.authority import Authority
from tests.unit.steps.recorded import file
from tests.unit.steps.wanted_certificate import ASKED, CF, FINE, HERE, NAME, host, plan
from wizard.certificates.acme import HOOK, LETS_ENCRYPT, STAGING
from wizard.engine.trial import tried
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.plan import Outcome, Plan
from wizard.model.step_facts import Acme, KeptPair, NameInDns, Tlsa
from wizard.steps import certificate_obtain
from wizard.steps.certbot_command import obtaining
from wizard.steps.certificate_install import HOOKS
from wizard.steps.certificate_obtain import OPTIONAL, CertificateObtain
from wizard.system.host import Host
from wizard.system.sockets import Listener

LINK = Entry(Kind.SYMLINK, 0o777, 0, 0, b"/srv/letsencrypt")
FOLDER = Entry(Kind.DIRECTORY, 0o755, 0, 0)


def in_dns(**says: Any) -> Acme:
    """Where the DNS says this of the name."""
    return replace(FINE, names=(NameInDns(NAME, **({"addresses": HERE} | says)),))


def test_nothing_is_planned_unasked() -> None:
    made = CertificateObtain().plan(host(), Answers())
    assert (made.outcome, made.reason) == (Outcome.NOT_APPLICABLE, OPTIONAL)


def test_beside_another_certificate_no_authority_is_asked() -> None:
    cf = CF.replace(f"{f.SERVER_CERT}\n", f"{f.SERVER_CERT}, /etc/mail/tls/ec.pem\n")
    made = plan(host(files={f.SENDMAIL_CF: file(cf)}))
    assert (made.outcome, made.changes) == (Outcome.BLOCKED, ())
    assert "more than one server certificate" in made.reason


def test_no_authority_is_asked_where_its_intermediate_certificates_would_not_be_sent() -> None:
    made = plan(host(files={f.SENDMAIL_CF: file(f"{CF}O CACertFile=/etc/ssl/certs/ca-certificates.crt\n")}))
    assert (made.outcome, made.changes) == (Outcome.BLOCKED, ())
    assert f"name {f.SERVER_CERT}, too" in " ".join(made.remedy)
    beside = host(files={f.SENDMAIL_CF: file(f"{CF}O CACertFile={f.SERVER_CERT}\n")})
    assert plan(beside).outcome is Outcome.PENDING


@pytest.mark.parametrize("linked", ["own", "trusted"])
def test_no_authority_is_asked_for_what_no_snapshot_would_hold(tmp_path: Path, linked: str) -> None:
    """What is read alone, such as the DH parameters, may lie there."""
    cf = "O ServerCertFile=/etc/own/mail.pem\nO ServerKeyFile=/etc/own/mail.key\nO DHParameters=/etc/trusted/dh.pem\n"
    for folder in ("etc/own", "etc/trusted", "srv/own", "srv/trusted"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc" / linked).rmdir()
    (tmp_path / "etc" / linked).symlink_to(f"../srv/{linked}")
    facts = host(files={f.SENDMAIL_CF: file(cf)})
    made = tried(Host(tmp_path), facts, plan(facts))
    blocked = linked == "own"
    assert (made.outcome is Outcome.BLOCKED, "/etc/own is a symbolic link" in made.reason) == (
        blocked,
        blocked,
    )
    assert made.outcome is Outcome.PENDING or blocked


def test_a_hook_alone_is_no_certificate_of_certbots(tmp_path: Path) -> None:
    there, authority = Host(tmp_path / "root"), Authority(tmp_path)
    first, second, own = (authority.leaf().certificate for _ in range(3))
    archive = f"/etc/letsencrypt/archive/{NAME}"
    hook = f"#!/bin/sh\nlineage=/etc/letsencrypt/live/{NAME}\n"

    def state(certificate: str) -> Plan:
        named = (HOOK, hook), (f"{archive}/fullchain1.pem", first), (f"{archive}/fullchain2.pem", second)
        for path, text in (*named, (f.SERVER_CERT, certificate)):
            there.path(path).parent.mkdir(parents=True, exist_ok=True)
            there.path(path).write_text(text)
        seen = CertificateObtain().gathered(there, host(Acme()), Answers())
        return CertificateObtain().plan(seen, Answers())

    assert [state(each).outcome for each in (first, second)] == [Outcome.DONE, Outcome.DONE]
    other = state(own)
    assert (other.outcome, "is not of certbot's" in other.reason) == (Outcome.NOT_APPLICABLE, True)
    with pytest.raises(PermissionError):
        CertificateObtain().plan(host(euid=1000, files={HOOK: file(hook)}), Answers())


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


UNREACHABLE = replace(FINE, unreachable="https://x cannot be reached")
WEB = Listener("0.0.0.0", 80, "nginx", 7)


@pytest.mark.parametrize(
    ("acme", "wanted", "more", "why"),
    [
        (FINE, {"email": ""}, {}, "no e-mail address"),
        (FINE, {"agree_tos": False}, {}, "https://example.org/terms"),
        (UNREACHABLE, {}, {}, "cannot be reached"),
        (in_dns(forbidden="the CAA records of example.org"), {}, {}, "CAA records"),
        (
            in_dns(addresses=(), unresolved="the DNS does not know it"),
            {},
            {},
            "the DNS does not know it",
        ),
        (in_dns(addresses=("192.0.2.7",)), {}, {}, "leads to 192.0.2.7, and this host has 192.0.2.1"),
        (in_dns(addresses=("192.0.2.1", "2001:db8::7")), {}, {}, "this host has 2001:db8::25"),
        (
            in_dns(addresses=HERE),
            {},
            {"addresses": HERE[:1]},
            "no IPv6 address that is reached from outside",
        ),
        (FINE, {}, {"listeners": (WEB,)}, "port 80 is held by nginx (pid 7)"),
        (FINE, {"challenge": "webroot", "webroot": "/srv"}, {}, "no web server listens on port 80"),
        (
            UNREACHABLE,
            {"challenge": "webroot"},
            {"listeners": (WEB,)},
            "no folder of the web server is chosen",
        ),
        (FINE, {"challenge": "webroot", "webroot": "/srv"}, {"listeners": (WEB,)}, "/srv is not there"),
        (FINE, {"challenge": "dns-rfc2136", "credentials": "/etc/x"}, {}, "/etc/x is not there"),
        (UNREACHABLE, {"challenge": "dns-rfc2136"}, {}, "plug-in dns-rfc2136 is chosen"),
        (UNREACHABLE, {"challenge": "manual"}, {}, "and none is chosen"),
        (
            replace(FINE, unfit_hook="/root/hook is not there"),
            {"challenge": "manual", "auth_hook": "/root/hook"},
            {},
            "/root/hook is not there",
        ),
        (Acme(NAME, kept=True, unfit="it has expired"), {}, {}, "not fit for sendmail: it has expired"),
        (
            replace(FINE, beside="/snap/bin/certbot"),
            {},
            {},
            "/snap/bin/certbot is another certbot than Debian's",
        ),
    ],
)
def test_the_authority_is_not_asked_in_vain(
    acme: Acme, wanted: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    made = plan(host(acme, **more), **wanted)
    assert (made.outcome, why in made.reason) == (Outcome.BLOCKED, True), made.reason
    assert made.remedy


def test_all_that_is_to_be_chosen_is_said_at_once() -> None:
    made = plan(host(UNREACHABLE), email="", agree_tos=False, challenge="webroot")
    assert all(why in made.reason for why in ("no e-mail address", "terms of service", "no folder")), (
        made.reason
    )
    ways = zip(("--email ADDRESS", "--agree-tos", "--webroot DIR"), made.remedy, strict=True)
    assert all(option in way for option, way in ways)


def test_behind_a_proxy_certbot_can_get_it_itself() -> None:
    made = plan(host(replace(FINE, unreachable="https://x cannot be reached", proxied=True)))
    assert (made.outcome, "https_proxy" in made.reason) == (Outcome.BLOCKED, True)
    remedy = " ".join(made.remedy)
    assert ("certbot.service" in remedy, "apt-get" in remedy) == (True, False)
    own = (
        f"`certbot certonly --cert-name {NAME} --domain {NAME} --authenticator standalone --preferred-challenges http --email "
        f"admin@example.org --agree-tos --no-eff-email --server {LETS_ENCRYPT}`"
    )
    assert own in remedy


def test_what_is_got_by_hand_is_what_was_chosen() -> None:
    """Of the authority that was chosen, on a host that has no certbot yet, or another than Debian's."""
    server, packages = "https://ca.example.org/acme", ("certbot", "python3-certbot-dns-rfc2136")
    behind = replace(FINE, missing=packages, unreachable="https://x cannot be reached", proxied=True)
    rsa = {f.SENDMAIL_CF: file(f"{CF}O CipherList=kRSA+AESGCM\n")}
    chosen = {"server": server, "challenge": "dns-rfc2136", "credentials": "/root/my dns.ini"}
    steps = plan(host(behind, files=rsa), **chosen).remedy
    installs, edits, gets, _ = steps
    assert "`apt-get install certbot python3-certbot-dns-rfc2136`" in installs
    assert "systemctl edit certbot.service" in edits
    words = "--authenticator dns-rfc2136 --preferred-challenges dns --dns-rfc2136-credentials '/root/my dns.ini' --email"
    for remedy in (gets, " ".join(plan(host(replace(FINE, beside="/snap/bin/certbot")), **chosen).remedy)):
        assert f"certbot certonly --cert-name {NAME} --domain {NAME} {words}" in remedy
        assert f" --server {server}" in remedy
        assert "--non-interactive" not in remedy
    assert "--key-type rsa" in gets
    unasked = plan(host(replace(FINE, beside="/snap/bin/certbot")), email="", agree_tos=False).remedy[0]
    assert ("--email" in unasked, "--agree-tos" in unasked) == (False, False), "certbot asks"
    unfit = Acme(NAME, kept=True, unfit="it has expired", kept_from=server, users=("/etc/nginx/nginx.conf",))
    assert f"certonly --cert-name {NAME} --server {server}`" in plan(host(unfit), server=server).remedy[0]


def test_certbot_extends_what_it_keeps_as_it_was_chosen(tmp_path: Path) -> None:
    """With the authority and the challenge: else it asks for these."""
    leaf = Authority(tmp_path).leaf(NAME)
    kept = Acme(NAME, kept=True, pair=KeptPair(leaf.certificate.encode(), leaf.key.encode(), 0, (), ()))
    server = "https://ca.example.org/acme"
    chosen: dict[str, Any] = {"name": f"{NAME},smtp.example.org", "challenge": "webroot", "webroot": "/srv"}
    for more in ({}, {"server": server}):
        extends, else_ = plan(host(kept), **more, **chosen).remedy
        words = f"`certbot certonly --cert-name {NAME} --domain {NAME} --domain smtp.example.org --authenticator webroot"
        assert words in extends
        assert "--webroot-path /srv --email" in extends
        assert f" --server {more.get('server', LETS_ENCRYPT)}`" in extends
        assert "`msa-wizard rollback certificate-obtain`" in else_


def test_a_web_folder_that_is_not_used_is_named() -> None:
    notes = [
        any("/srv is not used" in note for note in plan(host(), webroot=each).notes) for each in ("/srv", "")
    ]
    assert notes == [True, False]


def test_of_staging_it_is_told_that_no_client_trusts_it() -> None:
    made = plan(host(), server=STAGING)
    assert made.reason == f"Let's Encrypt's staging is to sign a certificate for {NAME}"
    assert any("mail clients refuse what staging signs" in note for note in made.notes)
    assert not any("staging" in note for note in plan(host()).notes)


def test_a_proxy_that_sudo_does_not_take_along_is_thought_of() -> None:
    remedy = " ".join(plan(host(replace(FINE, unreachable="https://x cannot be reached"))).remedy)
    assert "--preserve-env=https_proxy" in remedy


def test_a_certificate_that_others_use_is_not_to_be_deleted() -> None:
    unfit = Acme(NAME, kept=True, unfit="it is for www.example.org")
    assert "certbot delete" in plan(host(unfit)).remedy[0]
    (remedy,) = plan(host(replace(unfit, users=("/etc/nginx/sites-enabled/www",)))).remedy
    assert ("certbot delete" in remedy, "/etc/nginx/sites-enabled/www uses it" in remedy) == (False, True)


LETSENCRYPT = "/etc/letsencrypt"


def test_what_a_staging_signed_before_is_called_that(tmp_path: Path) -> None:
    there, authority = Host(tmp_path / "root"), Authority(tmp_path)
    leaf = authority.leaf(NAME, logged=True)
    for path, text in {
        f.SENDMAIL_CF: CF,
        f"{LETSENCRYPT}/live/{NAME}/fullchain.pem": leaf.certificate + authority.between,
        f"{LETSENCRYPT}/live/{NAME}/privkey.pem": leaf.key,
        f"{LETSENCRYPT}/renewal/{NAME}.conf": f"[renewalparams]\naccount = 1\nserver = {STAGING}\n",
    }.items():
        there.path(path).parent.mkdir(parents=True, exist_ok=True)
        there.path(path).write_text(text)

    def said() -> tuple[str, str]:
        made = plan(CertificateObtain().gathered(there, host(Acme()), Answers(certificate=ASKED)))
        assert made.outcome is Outcome.BLOCKED
        return made.reason, " ".join(made.remedy)

    reason, remedy = said()
    assert "It is from Let's Encrypt's staging, which no client trusts" in reason
    assert ("without" in reason, "What to do" in reason, "renew" in remedy) == (False, False, False)
    assert f"certbot delete --cert-name {NAME}`" in remedy
    there.path("/etc/dovecot").mkdir()
    there.path("/etc/dovecot/own.conf").write_text(f"ssl_cert = <{LETSENCRYPT}/live/{NAME}/fullchain.pem\n")
    _, remedy = said()
    assert f"`certbot certonly --cert-name {NAME} --server {LETS_ENCRYPT} --force-renewal`" in remedy


@pytest.mark.parametrize(
    ("files", "why", "remedy"),
    [
        ({f"renewal/{NAME}.conf": file("x")}, f"renewal/{NAME}.conf", f"certbot delete --cert-name {NAME}"),
        ({f"live/{NAME}": FOLDER}, f"{LETSENCRYPT}/live/{NAME}", f"mv {LETSENCRYPT}/live/{NAME} /root/"),
        (
            {f"archive/{NAME}": FOLDER},
            f"{LETSENCRYPT}/archive/{NAME}",
            f"mv {LETSENCRYPT}/archive/{NAME} /root/",
        ),
        ({"live": LINK}, f"{LETSENCRYPT}/live is not a folder but a symlink", "put a folder in its place"),
        (
            {"renewal-hooks": LINK},
            f"{LETSENCRYPT}/renewal-hooks is not a folder",
            "put a folder in its place",
        ),
        ({"": LINK}, f"{LETSENCRYPT} is not a folder", "put a folder in its place"),
    ],
)
def test_certbot_must_be_able_to_keep_it(files: dict[str, Entry], why: str, remedy: str) -> None:
    """Else the authority signs, and certbot keeps it by another name, elsewhere, or not at all."""
    made = plan(host(files={f"{LETSENCRYPT}/{path}".rstrip("/"): entry for path, entry in files.items()}))
    assert (made.outcome, why in made.reason) == (Outcome.BLOCKED, True), made.reason
    assert remedy in " ".join(made.remedy)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({f.SENDMAIL_CF: file("O LogLevel=9\n")}, "names no server certificate"),
        ({f.SENDMAIL_CF: file(CF.replace("/etc/mail", "/srv"))}, "which is not below /etc"),
        ({f.SERVER_CERT: LINK}, "is not a regular file"),
    ],
)
def test_sendmail_must_be_able_to_take_it(files: dict[str, Entry], why: str) -> None:
    """Else it would be got in vain."""
    made = plan(host(files=files))
    assert (made.outcome, why in made.reason, bool(made.remedy)) == (Outcome.BLOCKED, True, True), made.reason
    later = plan(host(files=files, planned=frozenset({"mc-includes", "sendmailconfig"})))
    assert later.outcome is Outcome.LATER


def test_all_of_that_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_obtain, "look_at_acme", lambda *_: FINE)
    real = Host(tmp_path)
    for path in (f"archive/{NAME}", "accounts", "renewal"):
        real.path(f"{LETSENCRYPT}/{path}").mkdir(parents=True)
    real.path(f"{LETSENCRYPT}/live").symlink_to("elsewhere")
    seen = CertificateObtain().gathered(real, replace(host(), acme=None), Answers(certificate=ASKED))
    there = {
        path.removeprefix("/etc/"): entry.kind
        for path, entry in seen.files.items()
        if entry and LETSENCRYPT in path
    }
    folders = ("", "/accounts", "/renewal", "/archive", f"/archive/{NAME}")
    assert there == {
        **{f"letsencrypt{path}": Kind.DIRECTORY for path in folders},
        "letsencrypt/live": Kind.SYMLINK,
    }
    assert HOOKS in seen.files


def test_behind_a_router_the_addresses_prove_nothing() -> None:
    made = plan(host(in_dns(addresses=("198.51.100.1",)), addresses=("192.168.1.5",)))
    assert made.outcome is Outcome.PENDING
    assert any("none of these is an address of this host" in note for note in made.notes)


@pytest.mark.parametrize("addresses", [("127.0.1.1",), ("10.1.2.3", "fd00::1"), ("192.0.2.7",)])
def test_what_the_authority_does_not_see_is_no_reason_not_to_ask_it(addresses: tuple[str, ...]) -> None:
    """An answer of /etc/hosts, or one that the DNS gives to its own network alone."""
    made = plan(host(in_dns(addresses=addresses, hearsay="192.0.2.7" in addresses)))
    assert made.outcome is Outcome.PENDING, made.reason
    assert any("what the DNS says to the authority cannot be seen from here" in note for note in made.notes)
    assert plan(host(in_dns(addresses=("192.0.2.7", *addresses)))).outcome is Outcome.BLOCKED


def test_another_way_needs_no_port() -> None:
    made = plan(host(in_dns(addresses=()), listeners=(WEB,)), challenge="dns-route53")
    assert made.outcome is Outcome.PENDING
    by_cli_ini = replace(in_dns(addresses=()), credentials=True)
    assert plan(host(by_cli_ini), challenge="dns-rfc2136").outcome is Outcome.PENDING
    made = plan(host(in_dns(addresses=()), listeners=(WEB,)), challenge="manual", auth_hook="/root/hook")
    assert made.outcome is Outcome.PENDING
    assert (
        "certbot proves the name by the DNS, with your hook /root/hook: port 80 is not needed" in made.notes
    )
    web = host(replace(in_dns(addresses=("198.51.100.1",)), webroot=True), listeners=(WEB,))
    assert plan(web, challenge="webroot", webroot="/srv").outcome is Outcome.PENDING, "a proxy may lead here"


def test_the_account_that_alone_may_ask_is_told_before() -> None:
    made = plan(host(in_dns(accounts=("https://x/acct/1",))))
    assert made.outcome is Outcome.PENDING
    assert any("only https://x/acct/1 may ask" in note and "show_account" in note for note in made.notes)


def test_a_renewal_by_another_way_is_told_before() -> None:
    line = "`authenticator = webroot` in /etc/letsencrypt/cli.ini"
    said = [
        any("renews it by" in note for note in plan(host(acme)).notes)
        for acme in (FINE, replace(FINE, renews_by=(line,)))
    ]
    assert said == [False, True]


def test_certbot_is_told_how() -> None:
    def told(challenge: str, **more: Any) -> str:
        return " ".join(obtaining(replace(ASKED, challenge=challenge, **more), (NAME,), ""))

    by_dns = "--preferred-challenges dns"
    assert "--authenticator standalone --preferred-challenges http --email" in told("standalone")
    assert "--authenticator webroot --preferred-challenges http --webroot-path /srv/www" in told(
        "webroot", webroot="/srv/www"
    )
    assert f"--authenticator dns-rfc2136 {by_dns} --dns-rfc2136-credentials /etc/x" in told(
        "dns-rfc2136", credentials="/etc/x"
    )
    by_hook = f"--authenticator manual {by_dns} --manual-auth-hook /etc/add"
    assert f"{by_hook} --email" in told("manual", auth_hook="/etc/add")
    assert f"{by_hook} --manual-cleanup-hook /etc/remove --email" in told(
        "manual", auth_hook="/etc/add", cleanup_hook="/etc/remove"
    )
    assert f"--authenticator dns-rfc2136 {by_dns} --email" in told("dns-rfc2136")
    assert "--pre-hook /x open --post-hook /x close" in " ".join(obtaining(ASKED, (NAME,), "/x"))


OTHER = "smtp.example.org"
BOTH = f"{NAME},{OTHER}"


def test_one_certificate_can_be_for_several_names() -> None:
    both = replace(FINE, names=(*FINE.names, NameInDns(OTHER, HERE)))
    made = plan(host(both), name=BOTH)
    (lineage,) = (change.describe() for change in made.changes)
    assert lineage.title.endswith(f"for {NAME}, {OTHER}")
    told = f"--cert-name {NAME} --domain {NAME} --domain {OTHER} --authenticator standalone"
    assert [told in command for command in lineage.commands] == [True, True]
    assert sum("leads to" in note for note in made.notes) == 2


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (NameInDns(OTHER, ("192.0.2.7",)), f"{OTHER} leads to 192.0.2.7"),
        (NameInDns(OTHER, (), "the DNS does not know smtp"), "the DNS does not know smtp"),
        (NameInDns(OTHER, HERE, forbidden="the CAA records of smtp"), "the CAA records of smtp"),
    ],
)
def test_each_of_the_names_must_lead_here(other: NameInDns, why: str) -> None:
    made = plan(host(replace(FINE, names=(*FINE.names, other))), name=BOTH)
    assert (made.outcome, why in made.reason) == (Outcome.BLOCKED, True), made.reason


def kept(tmp_path: Path, *names: str) -> Acme:
    """What certbot keeps."""
    leaf = Authority(tmp_path).leaf(*names)
    return Acme(NAME, kept=True, pair=KeptPair(leaf.certificate.encode(), leaf.key.encode(), 0, (), ()))


def public_key(pem: str) -> bytes:
    """As a TLSA record has it (DER)."""
    key = subprocess.run(
        ["openssl", "x509", "-noout", "-pubkey"], input=pem.encode(), capture_output=True, check=True
    )
    return ssl.PEM_cert_to_DER_cert(key.stdout.decode().replace("PUBLIC KEY", "CERTIFICATE"))


def test_what_certbot_keeps_must_be_for_all_of_them(tmp_path: Path) -> None:
    made = plan(host(kept(tmp_path, NAME)), name=BOTH)
    assert (made.outcome, made.reason.endswith(f"not for {OTHER}")) == (Outcome.BLOCKED, True)
    assert (
        f"`certbot certonly --cert-name {NAME} --domain {NAME} --domain {OTHER} --authenticator "
        in made.remedy[0]
    )
    assert plan(host(kept(tmp_path, NAME, OTHER)), name=BOTH).outcome is Outcome.PENDING


def test_names_that_a_good_certificate_has_are_asked_about(tmp_path: Path) -> None:
    """An authority's that is there is not replaced by one with fewer names unasked, before and after it is got."""
    there = {f.SERVER_CERT: file(Authority(tmp_path).leaf(NAME, OTHER).certificate)}
    made = plan(host(files=there))
    (ending,) = made.ends
    assert (ending.id, ending.lines) == ("certificate-names", (OTHER,))
    assert any("takes the place of one from In Between until" in note for note in made.notes)
    assert plan(host(replace(FINE, names=(*FINE.names, NameInDns(OTHER, HERE))), there), name=BOTH).ends == ()
    assert plan(host(kept(tmp_path, NAME), there)).ends == (ending,), "it is not asked about twice"
    own = {f.SERVER_CERT: file(Authority(tmp_path).root)}
    expired = {f.SERVER_CERT: file(Authority(tmp_path).leaf(OTHER, days=-1).certificate)}
    assert plan(host(files=own)).ends == plan(host(files=expired)).ends == ()


def test_the_certificate_that_the_dns_promises_is_asked_about(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    now = authority.leaf(NAME).certificate
    digest = hashlib.sha256(public_key(now)).digest()
    fit, other = Tlsa("mx.example.org", 3, 1, 1, digest), Tlsa("mx.example.org", 3, 1, 1, bytes(32))

    def ends(*records: Tlsa, acme: Acme = FINE) -> list[str]:
        made = plan(host(acme, {f.SERVER_CERT: file(now)}, tlsa=records))
        return [line for ending in made.ends if ending.id == "certificate-tlsa" for line in ending.lines]

    assert ends(fit, other) == [f"_25._tcp.mx.example.org. TLSA 3 1 1 {digest.hex()}"]
    assert ends(other) == [], "no server takes that one now"
    second = replace(fit, name="smtp.example.org")
    assert ends(fit, second) == ends(second, fit), "in whatever order the DNS says it"
    next_one = kept(tmp_path, NAME)
    assert next_one.pair is not None
    promised = Tlsa(
        "mx.example.org", 3, 1, 1, hashlib.sha256(public_key(next_one.pair.certificate.decode())).digest()
    )
    assert ends(fit, acme=next_one) != []
    assert ends(fit, promised, acme=next_one) == [], "the next key is there already"


def test_an_authority_that_the_dns_names_may_sign_the_new_one_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    now, new = (
        file(each.certificate + authority.between) for each in (authority.leaf(NAME), authority.leaf(NAME))
    )
    usage_2, usage_3 = (
        Tlsa(NAME, usage, 1, 1, hashlib.sha256(public_key(pem)).digest())
        for usage, pem in ((2, authority.between), (3, now.content.decode()))
    )

    def says(*records: Tlsa) -> list[str]:
        return [
            each.says.partition("DANE) ")[2]
            for each in plan(host(files={f.SERVER_CERT: now}, tlsa=records)).ends
        ]

    back = "hold mail for this host back, and return it after some days: these records fit the certificate of now, and "
    assert says(usage_3) == [back + "none fits the new one"]
    can = "of them only those of usage 2 can fit the new one, where the key that they name signs it"
    assert says(usage_2) == says(usage_2, usage_3) == [f"may {back}{can}"]
    signed = Acme(NAME, kept=True, pair=KeptPair(new.content, b"", 0, (), ()))
    assert plan(host(signed, {f.SERVER_CERT: now}, tlsa=(usage_2, usage_3))).ends == ()


@pytest.mark.parametrize(
    ("ciphers", "rsa"),
    [
        ("ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384", True),
        ("HIGH:!aNULL", False),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", False),
        ("no such cipher", False),
        ("", False),
    ],
)
def test_the_key_goes_with_the_ciphers(ciphers: str, rsa: bool) -> None:
    """certbot's own is ECDSA, with which clients of TLS 1.2 would be left without a cipher."""
    made = plan(host(files={f.SENDMAIL_CF: file(f"{CF}O CipherList={ciphers}\n" if ciphers else CF)}))
    (lineage,) = (change.describe() for change in made.changes)
    assert ["--key-type rsa" in command for command in lineage.commands] == [rsa, rsa]
    assert any("type RSA" in detail for detail in lineage.details) is rsa
