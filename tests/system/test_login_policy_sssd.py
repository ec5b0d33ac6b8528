"""Who may log in where accounts and groups come from an LDAP server, by SSSD for NSS and PAM.

Debian 14 has had no SSSD for a while."""

from __future__ import annotations

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, wizard
from tests.system.test_login_policy import MAY_END, MEMBERS, SECRETS, SMTP, USERS, applied, may
from tests.system.test_troubleshoot import short, troubleshoot

_ACCOUNT = """dn: uid={name},dc=example,dc=test
objectClass: account
objectClass: posixAccount
objectClass: shadowAccount
cn: {name}
uid: {name}
uidNumber: {number}
gidNumber: {group}
homeDirectory: /
loginShell: /bin/sh
userPassword: {password}

"""
_GROUP = """dn: cn={name},dc=example,dc=test
objectClass: posixGroup
cn: {name}
gidNumber: {number}
memberUid: {member}

"""
_SSSD = """[sssd]
services = nss, pam
domains = example.test

[domain/example.test]
id_provider = ldap
auth_provider = ldap
ldap_uri = ldap://127.0.0.1
ldap_search_base = dc=example,dc=test
ldap_id_use_start_tls = false
ldap_auth_disable_tls_never_use_in_production = true
min_id = 1
"""


def joined(machine: BootMachine) -> Machine:
    """An MSA whose users are alice, and of the directory: bob by his second group, carol, and daemond, a system account."""
    debian = machine("sssd")
    entries = [
        _ACCOUNT.format(name=name, number=number, group=20000, password=SECRETS.get(name, SECRETS["bob"]))
        for name, number in {"bob": 20001, "carol": 20002, "daemond": 650}.items()
    ]
    entries += [
        _GROUP.format(name=name, number=number, member="bob")
        for name, number in {"people": 20000, "domain users": 20010}.items()
    ]
    debian.run("systemctl stop slapd")
    debian.run("slapadd && chown -R openldap: /var/lib/ldap && systemctl start slapd", input="".join(entries))
    debian.put("/etc/sssd/sssd.conf", _SSSD, 0o600)
    debian.run("chown --reference=/etc/sssd /etc/sssd/sssd.conf; systemctl restart sssd; getent passwd bob")
    add_alice(debian)
    debian.run(["chpasswd"], input=f"alice:{SECRETS['alice']}\n")
    apply(debian)
    return debian


@pytest.mark.default_on("bookworm")
@pytest.mark.parametrize("release", ["bookworm", "trixie"], indirect=True)
def test_accounts_of_a_directory_count_by_their_own_uids_and_groups(machine: BootMachine) -> None:
    debian = joined(machine)
    before = debian.read(SMTP)
    everybody = ("alice", "bob", "carol", "daemond")
    assert may(debian, *everybody) == dict.fromkeys(everybody, True)

    refused = applied(debian, *USERS)
    assert refused.returncode == 4, refused.stdout + refused.stderr
    assert "daemond, last login" in refused.stderr
    assert "bob, last login" not in refused.stderr
    assert applied(debian, *USERS, *MAY_END).returncode == 0
    assert may(debian, *everybody) == dict.fromkeys(everybody, True) | {"daemond": False}

    done = applied(debian, *MEMBERS[:3], "login.groups=domain users", *MAY_END)
    assert done.returncode == 0, done.stdout + done.stderr
    assert may(debian, *everybody) == dict.fromkeys(everybody, False) | {"bob": True}
    found = troubleshoot(debian, user="carol", password=SECRETS["bob"])
    assert found["blamed"] == "policy-refuses", short(found)

    debian.run("systemctl stop slapd sssd; rm /var/lib/sss/db/* /var/lib/sss/mc/*; systemctl start sssd")
    away = applied(debian, *MEMBERS[:3], "login.groups=people", *MAY_END)
    assert away.returncode == 3, away.stdout + away.stderr
    assert "see that the directory answers" in " ".join((away.stdout + away.stderr).split())
    debian.run("systemctl start slapd; systemctl restart sssd")
    assert wizard(debian, "rollback", "login-policy", "--yes").returncode == 0
    assert debian.read(SMTP) == before
