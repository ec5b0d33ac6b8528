"""certificate obtain on real machines: Debian's certbot, a real ACME authority, real firewalls; and each refusal of either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.killing.in_machine import kill_at, operations
from tests.system.acme import DOOR, LETS_ENCRYPT, NAME, SERVER, STAGING, WORDS, acme
from tests.system.conftest import BootMachine
from tests.system.firewalls import live, set_up
from tests.system.machine import Machine
from tests.system.msa import login, wizard
from tests.system.test_certificate import (
    HOOK,
    contents,
    first_of,
    key_lines,
    modes,
    no_key_anywhere,
    presented,
    show,
    verified_login,
)
from tests.system.test_troubleshoot import troubleshoot

QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
OBTAIN = ("certificate", "obtain", "--yes", *WORDS, SERVER)
LIVE = f"/etc/letsencrypt/live/{NAME}"
PORT_HOOK = "/etc/letsencrypt/msa-wizard-port-80"
RENEW = "certbot renew --force-renewal --no-random-sleep-on-renew"
CLOSED = """flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state established,related accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport { 22, 25, 587 } accept
	}
}
"""


def tree(debian: Machine) -> str:
    """All below /etc but what others make of authorities, and what certbot leaves elsewhere."""
    made = ("/etc/ssl/certs", "/etc/mail/aliases.db", "/etc/cron.d/sendmail")  # again and again, by starts
    found = f"find /etc {' '.join(f'-path {path} -prune -o' for path in made)} -printf '%p %M %u %g %l\\n'"
    return debian.run(f"{found} | sort; dpkg -l | grep -c '^ii'").stdout


def obtained(debian: Machine, *more: str) -> str:
    done = wizard(debian, *OBTAIN, *more)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout + done.stderr


def rolled_back(debian: Machine) -> str:
    back = wizard(debian, "rollback", "certificate-obtain", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    return back.stdout + back.stderr


@pytest.mark.on_both
def test_obtained_renewed_and_rolled_back(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("certbot")
    with acme(debian, tmp_path) as authority:
        before, dressed, found = contents(debian), modes(debian), tree(debian)
        trial = wizard(debian, *OBTAIN, "--dry-run")
        assert (trial.returncode, "certbot must be installed" in trial.stdout) == (0, True), trial.stdout
        debian.put("/usr/local/bin/certbot", "#!/bin/sh\nexit 1\n", 0o755)
        other = wizard(debian, *OBTAIN)
        assert (other.returncode, "is another certbot than Debian's" in " ".join(other.stderr.split())) == (
            3,
            True,
        )
        debian.run("rm /usr/local/bin/certbot")
        assert tree(debian) == found

        said = obtained(debian)
        assert "sendmail presents the new certificate" in said
        assert "certbot.timer runs certbot twice a day" in said
        assert (modes(debian), show(debian)["exit"]) == (dressed, 0)
        assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))
        assert verified_login(debian, tmp_path, authority.root) == "logged in"
        assert obtain_state(debian) == "applied"
        assert wizard(debian, "plan", "--exit-code").returncode == 0
        assert "already" in obtained(debian)
        trial = wizard(debian, *OBTAIN[:3], "--dry-run", *OBTAIN[3:])
        assert trial.returncode == 0, trial.stderr

        # The renewal is proved: certbot's own, through the hook.
        first = contents(debian)
        renewed = debian.run(RENEW, check=False)
        assert renewed.returncode == 0, renewed.stdout + renewed.stderr
        assert all(a != b for a, b in zip(contents(debian)[:2], first[:2], strict=True))
        assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))
        assert verified_login(debian, tmp_path, authority.root) == "logged in"
        assert wizard(debian, "plan", "--exit-code").returncode == 0

        # Should something keep the next one away, `troubleshoot` says so.
        assert renewal_faults(debian) == {}
        debian.run("systemctl stop certbot.timer")
        assert renewal_faults(debian) == {"renewal-idle": "warning"}
        debian.run("systemctl start certbot.timer")
        debian.run(["chmod", "0644", HOOK])
        debian.run(RENEW, check=False)
        assert renewal_faults(debian) == {"renewal-stuck": "warning"}
        debian.run(f"chmod 0755 {HOOK}; {HOOK}")
        assert renewal_faults(debian) == {}

        another_takes_its_place_and_stays(debian, tmp_path)

        keys = [key_lines(first[1]), key_lines(contents(debian)[1]), account_key(debian)]
        back = rolled_back(debian)
        assert (contents(debian), modes(debian)) == (before, dressed)
        assert first_of(presented(debian)) == first_of(before[0])
        assert tree(debian) == found, "packages, lineage and its renewal are gone"
        no_key_anywhere(debian, keys, said, back)


def another_takes_its_place_and_stays(debian: Machine, folder: Path) -> None:
    """One that the admin installs later; by the program, then by hand. In the end certbot's is there again."""
    (folder / "paid").mkdir()
    own = Authority(folder / "paid")
    leaf = own.leaf(NAME)
    debian.put("/root/paid.crt", leaf.certificate + own.between + own.root)
    debian.put("/root/paid.key", leaf.key, 0o600)
    former = contents(debian)
    paid = wizard(debian, "certificate", "install", "/root/paid.crt", "/root/paid.key", "--yes")
    assert paid.returncode == 0, paid.stdout + paid.stderr
    assert "which reaches sendmail no more" in " ".join(paid.stdout.split())
    now = contents(debian)
    debian.run(RENEW)
    assert (contents(debian), first_of(presented(debian))) == (now, first_of(leaf.certificate))
    assert (renewal_faults(debian), obtain_state(debian)) == ({}, "n/a")
    back = wizard(debian, "rollback", "certificate-install", "--yes")
    assert (back.returncode, contents(debian)) == (0, former), back.stdout + back.stderr
    assert renewal_faults(debian) == {"renewal-stuck": "warning"}
    debian.put("/etc/mail/tls/sendmail-server.crt", leaf.certificate)
    assert (renewal_faults(debian), obtain_state(debian)) == ({"renewal-overwrites": "warning"}, "n/a")
    debian.run(HOOK)
    assert (renewal_faults(debian), obtain_state(debian)) == ({}, "applied")


def obtain_state(debian: Machine) -> str:
    """What `status` calls the step."""
    rows = wizard(debian, "status").stdout.splitlines()
    return next(row for row in rows if "certificate-obtain" in row).split()[1]


def renewal_faults(debian: Machine) -> dict[str, str]:
    """What `troubleshoot` says of certbot's renewals: the signs by id."""
    seen = troubleshoot(debian, user="")["faults"]
    return {item["id"]: item["sign"] for item in seen if item["id"].startswith("renewal-")}


def account_key(debian: Machine) -> list[str]:
    """The secret part of the account's key, as diffs would show it."""
    text = debian.run("cat /etc/letsencrypt/accounts/*/*/*/private_key.json").stdout
    return [text.partition('"d": "')[2].partition('"')[0]]


OTHER = "smtp.example.test"


@pytest.mark.full
def test_names_that_clients_use_are_asked_about_and_can_all_be_had(
    machine: BootMachine, tmp_path: Path
) -> None:
    debian = machine("certbot")
    own = Authority(tmp_path)
    leaf = own.leaf(NAME, OTHER)
    debian.put("/root/leaf.crt", leaf.certificate + own.between + own.root)
    debian.put("/root/leaf.key", leaf.key, 0o600)
    install = wizard(debian, "certificate", "install", "/root/leaf.crt", "/root/leaf.key", "--yes")
    assert install.returncode == 0, install.stderr
    with acme(debian, tmp_path) as authority:
        found = tree(debian)
        asked = wizard(debian, *OBTAIN)
        assert asked.returncode == 4, asked.stderr
        assert "WOULD END [certificate-names]" in asked.stderr
        assert f"| {OTHER}\n" in asked.stderr
        assert "--accept certificate-names" in asked.stderr
        assert (tree(debian), first_of(presented(debian))) == (found, first_of(leaf.certificate))

        obtained(debian, NAME, OTHER)
        for name in (NAME, OTHER):
            assert verified_login(debian, tmp_path, authority.root, name) == "logged in"
        more = wizard(debian, *OBTAIN, NAME, OTHER, "mx.example.test")
        assert (more.returncode, "not for mx.example.test" in " ".join(more.stderr.split())) == (3, True)
        debian.run(RENEW)
        assert verified_login(debian, tmp_path, authority.root, OTHER) == "logged in"
        rolled_back(debian)
        assert first_of(presented(debian)) == first_of(leaf.certificate)

        # The name that clients know need not be the host's own: all goes by it then, though no setting has it. Its key goes with
        # the ciphers that are allowed, for clients without TLS 1.3.
        debian.run("echo O CipherList=ECDHE-RSA-AES256-GCM-SHA384 >>/etc/mail/sendmail.cf")
        obtained(debian, OTHER, "--accept", "certificate-names")
        ask = "openssl s_client -connect 127.0.0.1:587 -starttls smtp -tls1_2 </dev/null 2>/dev/null"
        assert "ECDHE-RSA-AES256-GCM-SHA384" in debian.run(f"timeout 30 {ask}", check=False).stdout
        assert "hostname" in verified_login(debian, tmp_path, authority.root).lower()
        assert verified_login(debian, tmp_path, authority.root, OTHER) == "logged in"
        settings = json.loads(wizard(debian, "client-settings", "--json").stdout)
        assert {server["host"] for server in settings["servers"]} == {OTHER}
        assert {show(debian)["signs"][each] for each in ("dates", "names", "trust")} == {"ok"}
        assert "certificate" not in {fault["layer"] for fault in troubleshoot(debian, user="")["faults"]}
        tested = login(debian)
        assert {each["state"] for each in tested["findings"] if each["id"] == "certificate"} == {"ok"}
        status = wizard(debian, "status").stdout
        assert ("is not for" in status, "not for mail.example.test" in status) == (False, False), status


def test_port_80_is_open_in_the_firewall_for_that_while_alone(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("certbot")
    debian.run("apt-get install --yes --quiet=2 nftables", env=QUIET)
    debian.put("/etc/nftables.conf", CLOSED)
    debian.run("systemctl enable --now nftables; nft -f /etc/nftables.conf")
    rules = debian.run("nft list ruleset").stdout
    with acme(debian, tmp_path) as authority:
        said = obtained(debian)
        assert "port 80 is open in the firewall meanwhile" in " ".join(said.split())
        assert debian.run("nft list ruleset").stdout == rules
        timers = "systemctl list-timers --all | grep -c msa-wizard"
        assert debian.run(timers, check=False).stdout.strip() == "0"
        debian.run(RENEW)
        assert debian.run("nft list ruleset").stdout == rules
        assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))

        # Should certbot be killed while it is open, the timer closes it.
        debian.run([PORT_HOOK, "open"])
        assert "dport 80 accept" in debian.run("nft list ruleset").stdout
        assert debian.run(timers, check=False).stdout.strip() == "1"
        debian.run("systemctl start --wait msa-wizard-port-80.service")
        assert debian.run("nft list ruleset").stdout == rules

        # What is refused closes it, too; also where the account is not known any more.
        rolled_back(debian)
        authority.says("set-default-ipv6", ip="2001:db8::77")
        authority.says("add-a", host=f"{NAME}.", addresses=["198.51.100.77"])
        assert "leads to 198.51.100.77" in wizard(debian, *OBTAIN).stderr
        assert debian.run("nft list ruleset").stdout == rules


@pytest.mark.full
def test_a_web_server_answers_where_it_holds_port_80(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("certbot")
    debian.run(
        "apt-get install --yes --quiet=2 --no-install-recommends nginx-light",
        env=QUIET,
    )
    with acme(debian, tmp_path):
        found = tree(debian)
        refused = wizard(debian, *OBTAIN)
        assert refused.returncode == 3
        assert "port 80 is held by nginx" in " ".join(refused.stderr.split())
        wrong = wizard(debian, *OBTAIN, "--challenge", "webroot", "--webroot", "/srv")
        assert wrong.returncode == 1
        assert "another web server, or another folder" in " ".join(wrong.stderr.split())
        assert tree(debian) == found
        obtained(debian, "--challenge", "webroot", "--webroot", "/var/www/html")
        debian.run(RENEW)
        assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))
        rolled_back(debian)
        assert tree(debian) == found


def refused(debian: Machine, found: str, code: int, says: str, server: str = SERVER) -> None:
    """It ends with this exit status and these words, and nothing has changed."""
    done = wizard(debian, *OBTAIN[:-1], server)
    assert (done.returncode, says in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert tree(debian) == found


@pytest.mark.default_on("bookworm")
def test_each_refusal_is_told_in_plain_words_and_changes_nothing(
    machine: BootMachine, tmp_path: Path
) -> None:
    """By the certbot whose words are the oddest; what each of them says is recorded in tests/unit/test_acme.py."""
    debian = machine("certbot")
    debian.run(
        "apt-get install --yes --quiet=2 --no-install-recommends certbot",
        env=QUIET,
    )
    with acme(debian, tmp_path) as authority:
        wizard(debian, "plan")  # compiled by now
        found = tree(debian)
        tried = json.loads(wizard(debian, *OBTAIN, "--dry-run", "--json").stdout)
        assert (tried["ok"], "no staging is known" in tried["says"], tree(debian)) == (True, True, found), (
            tried
        )
        # Seen before the authority is asked.
        for options, says in (
            (OBTAIN[:3], "no e-mail address"),
            (OBTAIN[:5], "agree to its terms of service"),
        ):
            done = wizard(debian, *options, "--server", SERVER)
            assert (done.returncode, says in " ".join(done.stderr.split())) == (3, True), done.stderr
        authority.says("add-caa", host=f"{NAME}.", policies=[{"tag": "issue", "value": ";"}])
        refused(debian, found, 3, "let no authority sign for it")
        authority.says("clear-caa", host=f"{NAME}.")
        authority.says("set-default-ipv4", ip="")
        authority.says("set-default-ipv6", ip="")
        refused(debian, found, 3, f"the DNS has no address for {NAME}")
        authority.says("set-default-ipv4", ip="198.51.100.1")
        authority.says("set-default-ipv6", ip="2001:db8::66")
        refused(debian, found, 3, f"{NAME} leads to 2001:db8::66, and this host has 2001:db8::1")
        authority.says("set-default-ipv6", ip="2001:db8::1")
        debian.run("systemd-run --quiet --unit=web python3 -m http.server 80; sleep 2")
        refused(debian, found, 3, "port 80 is held by python3")
        debian.run("systemctl stop web")
        authority.stop("pebble")
        refused(debian, found, 3, f"{SERVER} cannot be reached")
        # Said by the authority.
        authority.start(nonces=100)
        refused(debian, found, 1, "bad nonce")
        authority.start()
        authority.refuses(
            "rateLimited too many certificates already issued, retry after 2026-12-07 00:00:00 UTC"
        )
        refused(debian, found, 1, "its rate limit is reached", DOOR)
        authority.refuses("rejectedIdentifier the name is on a list")
        refused(debian, found, 1, "does not sign for such a name", DOOR)
        authority.refuses("caa CAA record for mail.example.test prevents issuance")
        refused(debian, found, 1, "a CAA record of the name forbids", DOOR)
        authority.refuses("")
        debian.run(
            "nft add table inet other 2>/dev/null || apt-get install --yes --quiet=2 nftables",
            env=QUIET,
        )
        found = tree(debian)
        debian.run(
            "nft add table inet other; nft 'add chain inet other input { type filter hook input priority 0 ; }'; "
            "nft add rule inet other input tcp dport 80 reject with tcp reset"
        )
        refused(debian, found, 1, "the authority does not get through to port 80 of the name")
        debian.run("nft delete table inet other")
        register = (
            f"certbot register --non-interactive --agree-tos --email admin@example.test --server {SERVER}"
        )
        debian.run(register)
        authority.start()  # and it has forgotten the account
        refused(debian, tree(debian), 1, "does not know certbot's account any more")
        debian.run("rm -r /etc/letsencrypt/accounts")
        obtained(debian)


@pytest.mark.full
def test_lets_encrypts_staging_is_asked_first(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("certbot")
    debian.run("apt-get install --yes --quiet=2 --no-install-recommends certbot", env=QUIET)
    words = OBTAIN[:3] + WORDS[:-1]
    with acme(debian, tmp_path) as authority:
        # That server is not asked, for its terms are not shown; nor is a web server, which is not the way that was chosen.
        own = (
            f"server = {SERVER}",
            "authenticator = webroot",
            "webroot-path = /srv",
            "preferred-challenges = dns",
        )
        debian.run("; ".join(f"echo '{line}' >>/etc/letsencrypt/cli.ini" for line in own))
        found = tree(debian)
        by_dns = {"tag": "issue", "value": "letsencrypt.org; validationmethods=dns-01"}
        authority.says("add-caa", host=f"{NAME}.", policies=[by_dns])
        done = wizard(debian, *words)
        said = " ".join(done.stderr.split())
        assert (done.returncode, "only where the name is proved by dns-01" in said) == (3, True), said
        authority.says("clear-caa", host=f"{NAME}.")
        trial = wizard(debian, *words, "--dry-run")
        assert (trial.returncode, "Let's Encrypt would sign" in trial.stdout) == (0, True), trial.stdout
        assert (authority.orders(), tree(debian)) == ([STAGING], found)
        done = wizard(debian, *words)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        assert authority.orders() == [STAGING, STAGING, LETS_ENCRYPT]
        assert "renews it by `server = " in " ".join(done.stdout.split()), done.stdout
        rolled_back(debian)
        assert tree(debian) == found
        debian.run("echo 'staging = true' >>/etc/letsencrypt/cli.ini")  # no command overrules it
        done = wizard(debian, *words)
        assert (done.returncode, "asked Let's Encrypt's staging" in " ".join(done.stderr.split())) == (
            1,
            True,
        ), done.stderr
        assert tree(debian) == found


def fake_lineage(debian: Machine, name: str) -> None:
    """What another certbot, of snap's say, has got; it has expired, so that Debian's would be purged with it."""
    top, files = "/etc/letsencrypt", ("cert", "chain", "fullchain", "privkey")
    debian.run(f"mkdir -p {top}/live/{name} {top}/archive/{name} {top}/renewal")
    for file in files:
        debian.put(f"{top}/archive/{name}/{file}1.pem", "expired\n")
        debian.run(f"ln -s ../../archive/{name}/{file}1.pem {top}/live/{name}/{file}.pem")
    lines = [f"{file} = {top}/live/{name}/{file}.pem" for file in files]
    debian.put(
        f"{top}/renewal/{name}.conf", "\n".join(["version = 2.1.0", *lines, "[renewalparams]", "account = 1"])
    )


def test_the_certificates_of_others_lose_nothing_by_a_rollback(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("certbot")
    other = f"certbot certonly --standalone -n --agree-tos -m a@example.test -d www.example.test --cert-name www --server {SERVER}"
    with acme(debian, tmp_path):
        fake_lineage(debian, "snaps")
        found = tree(debian)
        obtained(debian)
        rolled_back(debian)
        assert tree(debian) == found, "certbot has gone, what was there before has not"
        # Without certbot's packages: its account came with the step.
        debian.run("apt-get install --yes --quiet=2 --no-install-recommends certbot", env=QUIET)
        found = tree(debian)
        obtained(debian)
        debian.run(other)
        back = wizard(debian, "rollback", "certificate-obtain", "--yes")
        said = " ".join((back.stdout + back.stderr).split())
        assert (
            back.returncode != 0,
            "whose account came with the step, keeps certificates for www" in said,
        ) == (True, True), said
        debian.run("certbot delete -n --cert-name www")
        rolled_back(debian)
        assert tree(debian) == found
        # Parts of a lineage: nobody is asked, and what is said to do does it.
        debian.run(other.replace("www.example.test", NAME).replace("--cert-name www", f"--cert-name {NAME}"))
        debian.run(f"rm -r {LIVE}")
        done = wizard(debian, *OBTAIN)
        said = " ".join(done.stderr.split())
        assert (done.returncode, "parts alone are left" in said, "certbot delete" in said) == (
            3,
            True,
            True,
        ), said
        debian.run(f"certbot delete -n --cert-name {NAME}")
        obtained(debian)


@pytest.mark.parametrize("some", [True, pytest.param(False, marks=pytest.mark.full)], ids=["some", "others"])
def test_killed_at_any_stage_it_is_undone_and_port_80_closed(
    machine: BootMachine, tmp_path: Path, some: bool
) -> None:
    debian = machine("certbot")
    debian.run("apt-get install --yes --quiet=2 --no-install-recommends certbot nftables", env=QUIET)
    debian.put("/etc/nftables.conf", CLOSED)
    debian.run("systemctl enable --now nftables; nft -f /etc/nftables.conf")
    rules, before = debian.run("nft list ruleset").stdout, contents(debian)
    with acme(debian, tmp_path):
        wizard(debian, *OBTAIN, "--dry-run")
        found = tree(debian)
        names, done = operations(debian, *OBTAIN)
        assert done.returncode == 0, done.stdout + done.stderr
        after = contents(debian)
        rolled_back(debian)
        asks = next(at for at, name in enumerate(names, 1) if name.startswith("start /usr/bin/certbot"))
        writes = [at for at, name in enumerate(names, 1) if at > asks and "sendmail-common.key" in name]
        restarts = next(at for at, name in enumerate(names, 1) if at > asks and "restart sendmail" in name)
        points: list[tuple[int, float | None]]
        if some:
            points = [(asks, 0.8), (asks, 2.5), (writes[0], None), (restarts, None)]
        else:
            points = [(asks, None), (asks, 0.3), (asks, 1.5), (writes[-1] + 1, None)]
        for at, seconds in points:
            killed = kill_at(debian, at, *OBTAIN, after=seconds)
            assert killed, (at, seconds)
            assert wizard(debian, *OBTAIN).returncode == 6
            recovered = wizard(debian, "recover")
            assert recovered.returncode == 0, (killed, recovered.stdout + recovered.stderr)
            assert debian.run("nft list ruleset").stdout == rules, (killed, seconds)
            differs = set(tree(debian).splitlines()) ^ set(found.splitlines())
            assert (differs, contents(debian)) == (set(), before), (killed, seconds)
            assert first_of(presented(debian)) == first_of(before[0]), (killed, seconds)
        assert kill_at(debian, writes[0], *OBTAIN)
        finished = wizard(debian, "recover", "--finish")
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert contents(debian)[0] not in (before[0], after[0])
        assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))


CHOSEN = tuple(
    word
    for each in ("challenge=standalone", "email=admin@example.test", "agree_tos=true")
    for word in ("--set", f"certificate.{each}")
)


@pytest.mark.full
def test_a_rehearsal_leaves_it_out_and_says_so(machine: BootMachine) -> None:
    debian = machine("msa")
    done = wizard(debian, "rehearse", *CHOSEN)
    said = " ".join(done.stdout.split())
    assert (done.returncode, "certificate-obtain is not rehearsed" in said) == (0, True), (
        done.stdout + done.stderr
    )


ALLOWS = {"ufw": "ufw allow 80/tcp", "firewalld": "firewall-cmd --add-port=80/tcp"}
"""How an admin opens port 80 himself."""


@pytest.mark.full
@pytest.mark.parametrize("name", ["ufw", "firewalld", "iptables-persistent", "shorewall"])
def test_each_firewall_lets_the_authority_in_and_is_as_before(
    machine: BootMachine, tmp_path: Path, name: str
) -> None:
    debian = machine("certbot")
    debian.client()
    set_up(debian, name)
    with acme(debian, tmp_path):
        before = live(debian)
        said = obtained(debian)
        assert "port 80 is open in the firewall meanwhile" in " ".join(said.split())
        assert live(debian) == before
        renewed = debian.run(RENEW, check=False)
        assert (renewed.returncode, live(debian)) == (0, before), renewed.stdout + renewed.stderr
        if allows := ALLOWS.get(name):  # nothing tells his rule from ours
            debian.run(allows)
            before = live(debian)
            renewed = debian.run(RENEW, check=False)
            assert (renewed.returncode, live(debian)) == (0, before), renewed.stdout + renewed.stderr
        assert first_of(presented(debian)) == first_of(debian.read(f"{LIVE}/fullchain.pem"))
