"""Passwords and their hashes are in the store and come back; no diff and no conflict shows one."""

from __future__ import annotations

import pytest

from snapshots.format.secret_text import HIDDEN_PASSWORDS, PasswordMask, hidden
from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from tests.store.machine import Machine, commit
from wizard.changes.file import FileChange, file_diff
from wizard.engine.local_edits import met

YESCRYPT = "$y$j9T$2OQ3qvYjP0Jc8gq0EYo5d0$Uwq0nH1vXK1S3mXyq5d5f7aUu1m7lH2xg1Yk0GqZ8W2"
SHA512 = "$6$rounds=656000$abcdefgh$" + "Zz9/" * 21 + "ab"
HASHES = [
    *(YESCRYPT, SHA512, "$6$saltsalt$" + "x" * 86, "$5$saltsalt$" + "y" * 43, "$1$salt$" + "z" * 22),
    *("$2b$12$" + "u" * 53, "$2y$05$" + "v" * 53, "$apr1$abcdefgh$" + "w" * 22, "$gy$j9T$salt$" + "t" * 43),
    *("$7$CU..../....salt$" + "s" * 43, "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHQ$" + "r" * 43),
    *(
        "$sha1$40000$jtNX3nZ2$" + "q" * 28,
        "$md5,rounds=904$saltsalt$$" + "p" * 22,
        "$scrypt$ln=16,r=8,p=1$aM15$" + "o" * 43,
    ),
    *("$pbkdf2-sha512$25000$LyWE$" + "n" * 86,),
]
SCHEMES = [
    "{SSHA}",
    "{SHA}",
    "{MD5}",
    "{CRYPT}",
    "{SHA512-CRYPT}",
    "{BLF-CRYPT}",
    "{SSHA512.b64}",
    "{PLAIN}",
    "{crypt}",
]
DES = "abJnggxhB/yWI"
ANY = "/etc/dovecot/users"


def masked(path: str, *lines: str) -> str:
    return PasswordMask(path).text("\n".join(lines).encode()).decode()


@pytest.mark.parametrize("hashed", HASHES)
@pytest.mark.parametrize(
    "form", ["{}", "alice:{}:19000:0", "user=alice pw='{}' x", "-alice:{}", "\t{}", '"{}"']
)
def test_a_hash_is_shown_nowhere_in_any_file(hashed: str, form: str) -> None:
    for path in (ANY, "/etc/shadow", "etc/x.conf"):
        shown = masked(path, form.format(hashed))
        assert "[password 1]" in shown
        assert hashed[-20:] not in shown
        assert hashed[len(hashed) // 2 :] not in shown


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_follows_a_scheme_is_not_shown(scheme: str) -> None:
    assert masked(ANY, f"alice:{scheme}c2VjcmV0:1000") == f"alice:{scheme}[password 1]:1000"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "etc/shadow",
            "/etc/shadow",
            "etc/shadow-",
            "etc/gshadow",
            "etc/gshadow-",
            "etc/passwd",
            "etc/passwd-",
            "etc/group",
        ),
        *(
            "etc/group-",
            "etc/shadow.edit",
            "etc/.shadow.swp",
            "etc/nshadow",
            "etc/shadow.dpkg-old",
            "etc/shadow~",
            "etc/shadow+",
        ),
        *("etc/nginx/.htpasswd", "etc/apache2/htpasswd.users", "srv/chroot/etc/passwd"),
    ],
)
def test_the_second_field_of_a_record_is_not_shown(path: str) -> None:
    assert masked(path, f"alice:{DES}:19000:0") == "alice:[password 1]:19000:0"
    assert masked(path, f"+alice:!{DES}:1") == "+alice:![password 1]:1"
    assert masked(path, "a:hunter22") == "a:[password 1]"


@pytest.mark.parametrize("field", ["x", "*", "!", "!!", "!*", "", "*LK*", "NP"])
def test_what_is_no_hash_is_shown(field: str) -> None:
    assert masked("etc/shadow", f"alice:{field}:19000:0") == f"alice:{field}:19000:0"


@pytest.mark.parametrize(
    "line",
    [
        *(
            "passwd:         files systemd",
            "password\trequisite\tpam_pwquality.so retry=3",
            "echo $1$2 $base$name.suffix",
        ),
        *(
            "FEATURE(`authinfo',`hash -o /etc/mail/authinfo.db')dnl",
            "uid:1000:/home/alice:/bin/sh",
            "{Server}Port=25",
        ),
        *("Cyrus:{SSL}on", "R$* $| $*\t$: $1$2", "AUTH LOGIN PLAIN", "O AuthOptions=A p y"),
    ],
)
def test_other_lines_are_as_they_are(line: str) -> None:
    assert masked("etc/other.conf", line) == line


def test_passwords_for_other_servers_are_not_shown() -> None:
    assert masked("etc/mail/access", 'AuthInfo:relay.example "U:me" "P:s3cret pw" "M:PLAIN"') == (
        'AuthInfo:relay.example "U:me" "P:[password 1]" "M:PLAIN"'
    )
    for name in (
        *("dns_rfc2136_secret", "dns_cloudflare_api_token", "dns_ovh_application_secret", "dns_linode_key"),
        *("certbot_plugin_gandi:dns_api_key", "dns_inwx_password", "aws_secret_access_key", "eab-hmac-key"),
    ):
        for lead in ("", "+", "-", " "):
            assert (
                masked("etc/letsencrypt/dns.ini", f"{lead}{name} = s3cret") == f"{lead}{name} = [password 1]"
            )
    shown = (
        "dns_rfc2136_name = mail.",
        "dns_rfc2136_algorithm = HMAC-SHA512",
        "dns_cloudflare_email = a@b.org",
    )
    assert masked("etc/letsencrypt/dns.ini", *shown) == "\n".join(shown)
    assert masked("etc/saslauthd.conf", "ldap_password: s3cret") == "ldap_password: [password 1]"
    line = "+auth required /lib/security/pam_mysql.so user=mail passwd=s3cret host=db crypt=1"
    assert masked("etc/pam.d/smtp", line) == line.replace("s3cret", "[password 1]")
    assert masked("etc/pam.d/smtp", "password required pam_unix.so") == "password required pam_unix.so"
    assert masked("usr/lib/sasl2/Sendmail.conf", "+sql_passwd: s3cret") == "+sql_passwd: [password 1]"


def test_two_passwords_are_told_apart_and_one_is_recognised() -> None:
    assert masked("etc/shadow", f"-a:{SHA512}:1", f"+a:{YESCRYPT}:1", f" b:{SHA512}:2") == (
        "-a:[password 1]:1\n+a:[password 2]:1\n b:[password 1]:2"
    )


def test_the_head_of_a_hunk_repeats_no_line() -> None:
    assert masked("etc/shadow", f"@@ -20,3 +20,4 @@ root:{YESCRYPT[:30]}") == "@@ -20,3 +20,4 @@"


@pytest.mark.parametrize(
    "path", ["etc/sasldb2", "/etc/sasldb", "etc/sasldb2-", "var/spool/postfix/etc/sasldb2", "etc/sasldb2.bak"]
)
def test_a_database_of_passwords_is_not_shown_at_all(path: str) -> None:
    assert hidden(path, b"alice\0host\0userPassword") == HIDDEN_PASSWORDS
    before, after = (Entry(Kind.FILE, 0o640, 0, 0, b"key " + word) for word in (b"s3cret", b"0ther"))
    for pair in ((None, after), (before, None), (before, after)):
        shown = file_diff(path, *pair)
        assert HIDDEN_PASSWORDS in shown
        assert "s3cret" not in shown
        assert "0ther" not in shown


def shown(store: Store) -> str:
    made = commit(store)
    assert made is not None
    return store.diff(made)


def test_what_a_commit_changed_in_shadow(machine: Machine) -> None:
    path = machine.etc / "shadow"
    fill = [f"user{number}:*:19000:0:99999:7:::" for number in range(30)]
    path.write_text("\n".join([f"root:{SHA512}:1::::::", *fill, f"alice:{SHA512}:1::::::", ""]))
    path.with_name("shadow-").write_text(path.read_text())
    path.with_name("sasldb2").write_bytes(b"alice\0host\0userPassword s3cret")
    store = machine.open()
    assert "s3cret" not in shown_baseline(store)
    path.write_text(
        "\n".join([f"root:{SHA512}:1::::::", *fill, f"alice:{YESCRYPT}:2::::::", f"bob:{DES}:2::::::", ""])
    )
    path.with_name("shadow-").write_text(f"alice:{YESCRYPT}:2::::::\n")
    path.with_name("sasldb2").write_bytes(b"alice\0host\0userPassword 0ther")
    text = shown(store)
    assert "-alice:[password 1]:1::::::\n+alice:[password 2]:2::::::\n+bob:[password 3]:2::::::" in text
    for secret in (SHA512, YESCRYPT, DES, "Zz9/Zz9/", "$6$", "$y$", "s3cret", "0ther"):
        assert secret not in text
    entry = store.entry("HEAD", "etc/shadow")
    assert entry is not None
    assert YESCRYPT.encode() in entry.content


def shown_baseline(store: Store) -> str:
    made = commit(store, "baseline")
    assert made is not None
    return store.diff(made)


@pytest.mark.parametrize("name", ["shadow", "gshadow", ".htpasswd", "dovecot.users"])
def test_a_conflict_shows_none(machine: Machine, name: str) -> None:
    path = machine.etc / name
    old, new, mine = SHA512, YESCRYPT, "$6$saltsalt$" + "x" * 86
    path.write_text(f"alice:{old}:1\n")
    store = machine.store()
    path.write_text(f"alice:{new}:1\n")
    step = commit(store, "apply", step="install")
    path.write_text(f"alice:{mine}:1\n")
    commit(store)
    assert step is not None
    (conflict,) = store.reverse([step]).conflicts
    assert "alice:[password 1]:1" in conflict.text
    assert "alice:[password 3]:1" in conflict.text
    assert not any(secret in conflict.text for secret in (old, new, mine, "$"))


def file(text: str) -> Entry:
    return Entry(Kind.FILE, 0o640, 0, 42, text.encode())


def test_a_plan_shows_none() -> None:
    diff = FileChange("/etc/shadow", file(f"a:{DES}:1\n"), file(f"a:{SHA512}:1\n")).describe().diff
    assert "-a:[password 1]:1\n+a:[password 2]:1" in diff
    assert "$6$" not in diff


def test_a_binary_file_is_not_shown_as_text() -> None:
    before, after = (
        Entry(Kind.FILE, 0o640, 0, 0, b'relay\0"P:' + word + b'"\0') for word in (b"s3cret", b"other")
    )
    shown = file_diff("/etc/mail/authinfo.db", before, after)
    assert "(binary, 17 bytes -> 16 bytes)" in shown
    assert "s3cret" not in shown
    assert "other" not in shown


def test_own_edits_show_none() -> None:
    change = FileChange("/etc/mail/access", file('A "P:mine"\n'), file('A "P:planned"\n'))
    text = met(file('A "P:left"\n'), change)
    assert '"P:[password 1]"' in text
    assert not any(word in text for word in ("P:mine", "P:planned", "P:left"))
    key = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
    change = FileChange("/etc/mail/tls/a.key", file(key.format("MIImine")), file(key.format("MIInew")))
    text = met(file(key.format("MIIleft")), change)
    assert text
    assert "MII" not in text
