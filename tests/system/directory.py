"""A host whose mail users are in an LDAP server, as its admin has set it up: an image of layer `directory`."""

from __future__ import annotations

from tests.system.machine import Machine
from tests.system.test_password_sources import DEFAULT, served

USER, PASSWORD = "lena", "Lena-Secret-9"
"""She is in the directory, and no user of the host."""
_ENTRY = f"""dn: uid={USER},dc=example,dc=test
objectClass: account
objectClass: simpleSecurityObject
uid: {USER}
userPassword: {PASSWORD}
"""
_CONF = "ldap_servers: ldap://127.0.0.1/\nldap_search_base: dc=example,dc=test\nldap_filter: uid=%u\n"
_SASLAUTHD = f"""
sed -i 's/^MECHANISMS=.*/MECHANISMS="ldap"/' {DEFAULT}
grep -q ^START= {DEFAULT} || echo START=yes >>{DEFAULT}
systemctl enable --quiet saslauthd; systemctl restart saslauthd
"""


def serve_users_of_ldap(machine: Machine) -> None:
    """An LDAP server on the host, which saslauthd asks, and Sendmail with Debian's own listeners and AUTH."""
    machine.run("systemctl stop slapd")
    machine.run("slapadd && chown -R openldap: /var/lib/ldap && systemctl start slapd", input=_ENTRY)
    machine.put("/etc/saslauthd.conf", _CONF, 0o600)
    served(machine, _SASLAUTHD)
