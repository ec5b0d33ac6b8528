"""What only clients from outside meet, made on a machine with an address of its own beside loopback.

What people asked about in public is the like of this: 550 at every command from one net, 421 for an office behind NAT, a
minute until the greeting. The words are sendmail's own.
"""

from __future__ import annotations

from tests.system.faults import SENDMAIL, Fault, mc

_NET = "ip link add d0 type veth peer name d1; ip addr add 198.51.100.1/24 dev d0; ip link set d0 up; ip link set d1 up; "
_NO_NET = "ip link del d0"
_DELAY = mc("s/^FEATURE(.delay_checks.*/dnl &/")


def _map(key: str, value: str) -> str:
    return f"printf '{key}\\t{value}\\n' >> /etc/mail/access; make -C /etc/mail access.db >/dev/null; {SENDMAIL}; sleep 1"


CLIENTS = (
    Fault(
        "clients-refused",
        "greeting",
        f"{_NET}{_DELAY}; {_map('Connect:198.51.100', 'REJECT')}",
        undo=_NO_NET,
        name="Connect: of the own net",
    ),
    Fault(
        "clients-refused",
        "greeting",
        f"{_NET}{_DELAY}; {_map('198.51', 'DISCARD')}",
        undo=_NO_NET,
        name="a bare key discards",
        full=True,
    ),
    Fault(
        "clients-refused",
        "greeting",
        f"{_NET}{_map('TLS_Clt:198.51.100', 'VERIFY')}",
        undo=_NO_NET,
        name="a certificate is asked of each client",
        full=True,
    ),
    Fault(
        "clients-no-features",
        "auth-offer",
        f"{_NET}{_map('Srv_Features:198.51.100', 'A')}",
        undo=_NO_NET,
        name="AUTH",
    ),
    Fault(
        "clients-no-features",
        "starttls",
        f"{_NET}{_map('Srv_Features:198.51', 'S')}",
        undo=_NO_NET,
        name="STARTTLS",
        full=True,
    ),
    Fault(
        "clients-limited",
        "greeting",
        _map("ClientRate:198.51.100.2", "3"),
        sign="warning",
        full=True,
        asked="http://www.book4u.org.ua/book/90363/sendmail--4th-Edition/",
    ),
    Fault(
        "access-not-made",
        "greeting",
        "echo 'Connect:203.0.113.7 OK' >> /etc/mail/access",
        sign="warning",
        fix=False,
        full=True,
        name="older",
    ),
    Fault("access-not-made", "greeting", "rm /etc/mail/access.db", fix=False, name="missing"),
    Fault(
        "clients-wait",
        "greeting",
        f"{_NET}{_map('GreetPause:198.51', '30000')}",
        undo=_NO_NET,
        sign="warning",
        fix=False,
        full=True,
    ),
    Fault(
        "clients-kept-out",
        "greeting",
        f"{_DELAY}; {_map('Connect:203.0.113.7', 'ERROR:5.7.1:550 go away')}",
        sign="warning",
        fix=False,
        full=True,
    ),
    Fault(
        "names-slow",
        "name",
        f"{_NET}ip route add default via 198.51.100.9; ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:01 dev d0; printf 'nameserver 203.0.113.53\\nnameserver 203.0.113.54\\n' > /etc/resolv.conf",
        undo=f"rm /etc/resolv.conf; {_NO_NET}",
        fix=False,
        asked="https://github.com/mailcow/mailcow-dockerized/issues/940",
    ),
)
"""The access map, and dead name servers."""
