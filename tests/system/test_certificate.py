"""certificate show, renew and install on real machines: a client that verifies logs in, and the old one comes back."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.authority import Authority, Signed
from tests.killing.in_machine import kill_at, operations
from tests.system.conftest import BootMachine
from tests.system.faults import dated
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, STORE, history, login, wizard
from tests.system.test_troubleshoot import troubleshoot

TLS = "/etc/mail/tls"
CERT, KEY, CLIENT = f"{TLS}/sendmail-server.crt", f"{TLS}/sendmail-common.key", f"{TLS}/sendmail-client.crt"
FILES = (CERT, KEY, CLIENT)
LIVE = "/etc/letsencrypt/live/mail.example.test"
HOOK = "/etc/letsencrypt/renewal-hooks/deploy/msa-wizard-sendmail"
ACL = "system.posix_acl_access"
_ALL = 0xFFFFFFFF
FOR_GAMES = struct.pack(
    "<I" + "HHI" * 5, 2, *(1, 6, _ALL), *(4, 4, _ALL), *(8, 4, 60), *(16, 4, _ALL), *(32, 0, _ALL)
)
"""As `setfacl -m g:games:r` leaves it on a file of mode 0640 (acl(5))."""

_CLIENT = """
import base64, smtplib, ssl, sys
name, authority, user = sys.argv[1:]
context = ssl.create_default_context(cadata=open(authority).read())
context.hostname_checks_common_name = False
server = smtplib.SMTP(timeout=30)
server._host = name
server.connect("198.51.100.1", 587)
server.starttls(context=context)
server.ehlo()
password = sys.stdin.buffer.readline().rstrip(b"\\n")
token = base64.b64encode(b"\\0".join([b"", user.encode(), password])).decode()
code, said = server.docmd("AUTH", "PLAIN " + token)
server.quit()
print("logged in" if code == 235 else said)
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def show(debian: Machine) -> dict[str, Any]:
    done = wizard(debian, "certificate", "show", "--json")
    made: dict[str, Any] = json.loads(done.stdout)
    return made | {"exit": done.returncode, "signs": {item["id"]: item["sign"] for item in made["checks"]}}


def one_word(debian: Machine) -> str:
    """The sign that `certificate show`, `test` and `troubleshoot` all give to the certificate."""
    shown = {item["sign"] for item in show(debian)["checks"] if item["id"] in ("dates", "names", "trust")}
    seen = troubleshoot(debian, user="")["faults"]
    judged = {item["sign"] for item in seen if item["layer"] == "certificate"}
    tested = {item["state"] for item in login(debian)["findings"] if item["id"] == "certificate"}
    worst = [max(signs, key=["ok", "warning", "failed"].index) for signs in (shown, judged, tested)]
    assert len(set(worst)) == 1, worst
    return str(worst[0])


def contents(debian: Machine) -> list[bytes]:
    return [debian.read(path) for path in FILES]


def modes(debian: Machine) -> list[str]:
    return debian.run(["stat", "-c", "%a %U:%G", *FILES]).stdout.splitlines()


def presented(debian: Machine) -> str:
    """All that the daemon sends, as the host's openssl prints it."""
    ask = "openssl s_client -connect 127.0.0.1:587 -starttls smtp -showcerts </dev/null 2>/dev/null"
    return debian.run(f"timeout 30 {ask}", check=False).stdout


def first_of(pem: str | bytes) -> str:
    """The first certificate in a text."""
    text = pem if isinstance(pem, str) else pem.decode()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return text[text.index(begin) : text.index(end) + len(end)]


def verified_login(debian: Machine, folder: Path, authority: str, name: str = "mail.example.test") -> str:
    """A client outside that trusts nothing but `authority` (PEM), and believes the name only."""
    (folder / "trusted.pem").write_text(authority)
    (folder / "client.py").write_text(_CLIENT)
    argv = [sys.executable, str(folder / "client.py"), name, str(folder / "trusted.pem"), "alice"]
    done = debian.client().run(argv, input=PASSWORD.encode() + b"\n", check=False)
    return done.stdout.strip() or done.stderr


def no_key_anywhere(debian: Machine, keys: Sequence[Sequence[str]], *said: str) -> None:
    """No line of the keys in what was said, logged, recorded or journaled; nor in any diff."""
    ours = [item for item in history(debian) if item["operation"] != "apply" or "certificate" in item["step"]]
    commits = [item["commit"] for item in ours if item["operation"] != "baseline"]
    diffs = [wizard(debian, "diff", commit).stdout for commit in commits]
    logged = debian.run(["journalctl", "--no-pager", "-q", "-o", "cat"]).stdout
    recorded = debian.run(
        f"git --git-dir {STORE} log --format=%B; cat /var/lib/msa-wizard/journal 2>/dev/null; "
        f"for c in {' '.join(commits)}; do git --git-dir {STORE} show $c:.record.json 2>/dev/null; done",
        check=False,
    ).stdout
    for place in (*said, *diffs, logged, recorded):
        assert not any(line in place for lines in keys for line in lines)
    assert any("its text is not shown" in diff for diff in diffs)


def key_lines(key: bytes) -> list[str]:
    return key.decode().strip().splitlines()[1:-1]


def test_renewed_with_its_name_and_back(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("msa")
    before, dressed = contents(debian), modes(debian)
    seen = show(debian)
    assert (seen["exit"], seen["signs"]["names"], seen["dh"]) == (0, "warning", "2048 bits")
    assert {seen["signs"][name] for name in ("safe", "key", "dates", "dh", "presented")} == {"ok"}
    server = seen["certificates"][0]
    assert (server["key"], server["key_mode"]) == ("RSA 2048", "0640 root:smmsp")
    assert "certificate verify failed" in verified_login(debian, tmp_path, before[0].decode())
    assert one_word(debian) == "warning"
    debian.run(dated("20200101000000Z", "20210101000000Z"))
    assert one_word(debian) == "failed"
    debian.put(CERT, before[0].decode())
    debian.run("systemctl restart sendmail")

    done = wizard(
        debian, "certificate", "renew", "--yes", "--name", "mail.example.test", "--name", "smtp.example.test"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    now = contents(debian)
    assert (now[0] != before[0], now[1:], modes(debian)) == (True, before[1:], dressed)
    seen = show(debian)
    assert seen["exit"] == 0, seen["checks"]
    assert seen["signs"] | {"trust": "warning", "presented": "ok"} == seen["signs"]
    certificate = seen["certificates"][0]["certificate"]
    assert certificate["names"] == ["mail.example.test", "smtp.example.test"]
    assert seen["certificates"][0]["days_left"] == 824
    for name in ("mail.example.test", "smtp.example.test"):
        assert verified_login(debian, tmp_path, now[0].decode(), name) == "logged in"
    assert "verify failed" in verified_login(debian, tmp_path, now[0].decode(), "imap.example.test")
    assert "certificate-renew" not in wizard(debian, "status").stdout
    assert wizard(debian, "plan", "--exit-code").returncode == 0

    back = wizard(debian, "rollback", "certificate-renew", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert (contents(debian), modes(debian)) == (before, dressed)
    assert first_of(presented(debian)) == first_of(before[0])

    # A key that is gone is made again, and the client's certificate with it.
    debian.run(["rm", KEY])
    assert show(debian)["signs"]["key"] == "failed"
    again = wizard(debian, "certificate", "renew", "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    fresh = contents(debian)
    assert all(a != b for a, b in zip(fresh, before, strict=True))
    assert modes(debian) == dressed
    assert (show(debian)["exit"], show(debian)["signs"].get("client")) == (0, None)
    assert verified_login(debian, tmp_path, fresh[0].decode()) == "logged in"
    no_key_anywhere(
        debian,
        [key_lines(before[1]), key_lines(fresh[1])],
        *(text for each in (done, again, back) for text in (each.stdout, each.stderr)),
    )


def test_one_of_an_authority_is_installed_and_rolled_back(
    machine: BootMachine, authority: Authority, tmp_path: Path
) -> None:
    debian = machine("msa")
    before, dressed = contents(debian), modes(debian)
    leaf = authority.leaf()
    debian.put("/root/leaf.crt", leaf.certificate)
    debian.put("/root/leaf.key", leaf.key)
    debian.put("/root/chain.crt", authority.between + authority.root)
    install = (
        "certificate",
        "install",
        "/root/leaf.crt",
        "/root/leaf.key",
        "--chain",
        "/root/chain.crt",
        "--yes",
    )
    names, done = operations(debian, *install)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everybody on this host can read /root/leaf.key" in " ".join(done.stdout.split())
    assert modes(debian) == dressed
    assert contents(debian)[1].decode() == leaf.key
    assert verified_login(debian, tmp_path, authority.root) == "logged in"
    seen = show(debian)
    assert (seen["exit"], seen["signs"]["trust"], seen["signs"]["presented"]) == (0, "warning", "ok")
    assert len(seen["certificates"][0]["certificate"]["names"]) == 1
    assert "already" in wizard(debian, *install).stdout
    assert "is from an authority" in wizard(debian, "certificate", "renew", "--yes").stderr

    # Debian's own scripts leave it there.
    now = contents(debian)
    debian.run("yes '' | sendmailconfig && /usr/share/sendmail/update_tls && systemctl restart sendmail")
    assert contents(debian) == now
    assert show(debian)["signs"]["presented"] == "ok"

    back = wizard(debian, "rollback", "certificate-install", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert (contents(debian), modes(debian)) == (before, dressed)
    assert first_of(presented(debian)) == first_of(before[0])

    # A power cut between the certificate and its key: undone, or finished.
    at = next(number for number, words in enumerate(names, 1) if "sendmail-common.key" in words)
    for choice, wanted in (("--undo", before), ("--finish", now)):
        assert kill_at(debian, at, *install)
        assert wizard(debian, "certificate", "renew", "--yes").returncode == 6
        recovered = wizard(debian, "recover", choice)
        assert recovered.returncode == 0, recovered.stdout + recovered.stderr
        assert contents(debian) == wanted
    assert first_of(presented(debian)) == first_of(leaf.certificate)
    no_key_anywhere(
        debian,
        [leaf.key_lines, key_lines(before[1])],
        *(text for each in (done, back, recovered) for text in (each.stdout, each.stderr)),
    )


@pytest.mark.default_on("bookworm")
def test_intermediate_certificates_reach_clients_or_nothing_is_put(
    machine: BootMachine, authority: Authority, tmp_path: Path
) -> None:
    """sendmail.mc names files of the admin's own, and CACertFile is still Debian's."""
    debian = machine("msa")
    leaf = authority.leaf()
    debian.put("/root/chain.crt", leaf.certificate + authority.between + authority.root)
    debian.put("/root/leaf.key", leaf.key, 0o600)
    debian.run(f"mkdir /etc/own; cp {CERT} /etc/own/mail.crt; install -m 0600 {KEY} /etc/own/mail.key")

    def define(*pairs: str) -> None:
        lines = "\\n".join(f"define(`{pair.replace(' ', chr(39) + ', `')}')dnl" for pair in pairs)
        debian.run(["sed", "-i", f"/^MAILER_DEFINITIONS/i {lines}", "/etc/mail/sendmail.mc"])
        done = wizard(debian, "apply", "sendmailconfig", "restart", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr

    define("confSERVER_CERT /etc/own/mail.crt", "confSERVER_KEY /etc/own/mail.key")
    install = ("certificate", "install", "/root/chain.crt", "/root/leaf.key", "--yes")
    mark = debian.mark()
    refused = wizard(debian, *install)
    words = " ".join(refused.stderr.split())
    assert (refused.returncode, f"have to be in {CERT} (CACertFile)" in words) == (3, True), words
    assert not {path for path in debian.written(mark) if path.startswith("/etc")}

    # What somebody puts there himself is not called good: clients refuse it.
    debian.run("cp /root/chain.crt /etc/own/mail.crt; cat /root/leaf.key >/etc/own/mail.key")
    debian.run(["systemctl", "restart", "sendmail"])
    assert "CERTIFICATE_VERIFY_FAILED" in verified_login(debian, tmp_path, authority.root)
    assert (show(debian)["exit"], show(debian)["signs"]["intermediates"]) == (1, "failed")
    (fault,) = (each for each in troubleshoot(debian)["faults"] if each["id"] == "certificate-chain")
    assert "confCACERT" in str(fault)
    assert wizard(debian, *install).returncode == 3, "nothing is left to write, but it does not reach clients"

    define("confCACERT /etc/own/mail.crt")
    assert "already" in wizard(debian, *install).stdout
    assert verified_login(debian, tmp_path, authority.root) == "logged in"
    assert "intermediates" not in show(debian)["signs"]


def test_what_is_wrong_is_refused_and_changes_nothing(machine: BootMachine, authority: Authority) -> None:
    debian = machine("msa")
    leaf, other = authority.leaf(), authority.leaf("imap.example.test")
    chain, chained = authority.between + authority.root, leaf.certificate + authority.between + authority.root
    put = {
        "good.crt": chained,
        "alone.crt": leaf.certificate,
        "mixed.crt": leaf.certificate + authority.root + authority.between,
        "other.crt": other.certificate + chain,
        "other.key": other.key,
        "good.key": leaf.key,
        "two.key": leaf.key + other.key,
        "locked.key": authority.encrypted(leaf.key),
        "garbage": "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n",
        "garbage.key": "-----BEGIN PRIVATE KEY-----\nbm90aGluZw==\n-----END PRIVATE KEY-----\n",
        "huge": "x" * 200_000,
    }
    old = authority.leaf(days=-1)
    put |= {"old.crt": old.certificate + chain, "old.key": old.key}
    for name, text in put.items():
        debian.put(f"/root/{name}", text, 0o600)
    debian.run("cd /root; ln -s nowhere link; mkfifo pipe; mkdir -p folder")
    wizard(debian, "certificate", "install", "/root/good.crt", "/root/nothing", "--yes")  # compiled by now
    mark, before = debian.mark(), history(debian)
    cases = [
        ("good.crt", "other.key", "not the key of this certificate"),
        ("old.crt", "old.key", "expired"),
        ("good.crt", "locked.key", "encrypted"),
        ("other.crt", "other.key", "not for mail.example.test"),
        ("garbage", "good.key", "cannot be read"),
        ("good.crt", "garbage.key", "refuses this certificate and key"),
        ("good.crt", "two.key", "2 private keys"),
        ("good.key", "good.key", "no certificate"),
        ("good.crt", "good.crt", "no private key"),
        ("huge", "good.key", "larger than 128 KiB"),
        ("good.crt", "link", "cannot be read"),
        ("pipe", "good.key", "not a file"),
        ("folder", "good.key", "not a file"),
        ("alone.crt", "good.key", "cannot trace it"),
        ("mixed.crt", "good.key", "not in order"),
    ]
    for certificate, key, why in cases:
        done = wizard(debian, "certificate", "install", f"/root/{certificate}", f"/root/{key}", "--yes")
        assert (done.returncode, why in done.stderr) == (1, True), (certificate, key, done.stderr)
        assert done.stderr.count("\n") < 4
        assert not any(
            line in done.stdout + done.stderr for pair in (leaf, other, old) for line in pair.key_lines
        )
    for wrong in (
        ("--days", "0"),
        ("--days", "4000"),
        ("--name", "a b"),
        ("--name", "mail"),
        ("--name", "192.0.2.1"),
    ):
        assert wizard(debian, "certificate", "renew", "--yes", *wrong).returncode == 2
    assert wizard(debian, "certificate", "renew").returncode == 2, "nobody can be asked"
    assert not {path for path in debian.written(mark) if path.startswith("/etc")}
    assert history(debian) == before

    # Another name is right where clients know the host by it.
    good = contents(debian)
    named = ("--name", "imap.example.test")
    asked = wizard(debian, "certificate", "install", "/root/other.crt", "/root/other.key", *named, "--yes")
    assert asked.returncode == 0, asked.stderr
    assert wizard(debian, "rollback", "certificate-install", "--yes").returncode == 0
    assert contents(debian) == good

    # What sendmail does not take is undone.
    debian.run(["chmod", "0775", TLS])
    done = wizard(debian, "certificate", "renew", "--yes")
    assert done.returncode == 1, done.stdout
    assert "does not present the new certificate" in done.stderr
    assert contents(debian) == good
    assert show(debian)["signs"]["safe"] == "failed"
    debian.run(["chmod", "0755", TLS])

    # Nothing is written through a link.
    debian.run(f"mv {KEY} /etc/mail/real.key; ln -s /etc/mail/real.key {KEY}")
    done = wizard(debian, "certificate", "install", "/root/good.crt", "/root/good.key", "--yes")
    assert (done.returncode, "symlink" in done.stderr) == (3, True), done.stderr
    assert contents(debian) == good


def test_certbots_renewals_reach_sendmail(machine: BootMachine, authority: Authority) -> None:
    debian = machine("msa")
    # Another service reads the key, too: by its group, and by an ACL. And it is TrustedUser's.
    debian.run(f"chown smmta:staff {KEY}; systemctl restart sendmail")
    assert "BEGIN CERTIFICATE" in first_of(presented(debian))
    debian.run(["python3", "-c", f"import os; os.setxattr('{KEY}', '{ACL}', {FOR_GAMES!r})"])
    before = contents(debian)
    first, second = authority.leaf(), authority.leaf(rsa=True)
    kept(debian, authority, first, 1)
    live = (f"{LIVE}/fullchain.pem", f"{LIVE}/privkey.pem")
    done = wizard(debian, "certificate", "install", *live, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert debian.run(["stat", "-c", "%a %U:%G", HOOK]).stdout.strip() == "755 root:root"
    assert first_of(presented(debian)) == first_of(first.certificate)
    assert "its group staff: other services that use it get the new pair" in " ".join(done.stdout.split())
    read_acl = ["python3", "-c", f"import os; print(os.getxattr('{KEY}', '{ACL}'))"]
    dressed, acl = modes(debian), debian.run(read_acl).stdout
    assert (dressed[1], acl) == ("640 smmta:staff", f"{FOR_GAMES!r}\n")

    def renewed(lineage: str = LIVE) -> str:
        ran = debian.run(
            ["env", "-i", f"RENEWED_LINEAGE={lineage}", "PATH=/usr/bin:/bin:/usr/sbin", HOOK], check=False
        )
        return f"{ran.returncode} {ran.stdout}{ran.stderr}"

    now = contents(debian)
    assert renewed() == "0 ", "nothing new: no restart"
    kept(debian, authority, second, 2)
    assert renewed("/etc/letsencrypt/live/other.example.test") == "0 "
    assert contents(debian) == now
    assert "has its new certificate" in renewed()
    assert first_of(presented(debian)) == first_of(second.certificate)
    assert (contents(debian)[1].decode(), modes(debian)) == (second.key, dressed)
    assert debian.run(read_acl).stdout == acl
    assert show(debian)["exit"] == 0

    now = contents(debian)
    debian.run(f"ln -sf ../../archive/mail.example.test/privkey1.pem {LIVE}/privkey.pem")
    assert renewed().startswith("1 ")
    assert "privkey.pem is not the key of fullchain.pem" in renewed()
    assert contents(debian) == now
    assert not debian.run(f"ls -A {TLS} | grep msa-wizard", check=False).stdout

    # Whoever has stopped it wants it so.
    debian.run("systemctl stop sendmail")
    third = authority.leaf()
    kept(debian, authority, third, 3)
    assert "Sendmail does not run" in renewed()
    assert debian.run("systemctl is-active sendmail", check=False).stdout == "inactive\n"
    assert contents(debian)[1].decode() == third.key
    debian.run("systemctl start sendmail")
    assert first_of(presented(debian)) == first_of(third.certificate)

    # It was renewed since: whose certificate it shall be is the admin's to say.
    assert wizard(debian, "rollback", "certificate-install", "--yes").returncode == 4
    back = wizard(debian, "rollback", "certificate-install", "--yes", "--on-conflict=restore")
    assert back.returncode == 0, back.stdout + back.stderr
    assert contents(debian) == before
    assert debian.run(["ls", HOOK], check=False).returncode != 0
    keys = [first.key_lines, second.key_lines, third.key_lines, key_lines(before[1])]
    no_key_anywhere(debian, keys, done.stdout, done.stderr, back.stdout, back.stderr)


def kept(debian: Machine, authority: Authority, pair: Signed, number: int) -> None:
    """A pair where certbot keeps it: links to numbered files in the archive, the folders closed."""
    archive = "/etc/letsencrypt/archive/mail.example.test"
    debian.run(f"mkdir -p {archive} {LIVE}; chmod 0700 /etc/letsencrypt/live /etc/letsencrypt/archive")
    chain = pair.certificate + authority.between + authority.root
    for name, text, mode in (("fullchain", chain, 0o644), ("privkey", pair.key, 0o600)):
        debian.put(f"{archive}/{name}{number}.pem", text, mode)
        debian.run(f"ln -sf ../../archive/mail.example.test/{name}{number}.pem {LIVE}/{name}.pem")
