"""Faults of the greeting: too many connections, a pause before it, too much load, another server."""

from __future__ import annotations

from tests.system.faults import CRT, KEY, SENDMAIL, Fault, mc

_ACCESS = "/etc/mail/access"
_MADE = f"make -C /etc/mail access.db >/dev/null; {SENDMAIL}; sleep 1"
_CONNECT = "python3 -c 'import smtplib; smtplib.SMTP(\"127.0.0.1\", 587, timeout=30)'"

_OTHER = r"""
import socket
with socket.create_server(("0.0.0.0", 587)) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"220 mail.example.test ESMTP Postfix\r\n")
            for line in connection.makefile("rb"):
                verb = line.strip().upper()[:4]
                if verb == b"QUIT":
                    break
                connection.sendall(b"250 mail.example.test\r\n" if verb == b"EHLO" else b"502 no\r\n")
"""

_MILTER_DIR = "/run/opendkim"
_SERVER = (
    f"mkdir -p {_MILTER_DIR}; setsid python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); "
    f's.bind("{_MILTER_DIR}/opendkim.sock"); s.listen(); time.sleep(600)\' >/dev/null 2>&1 & echo $! > /root/pid'
)
"""Something that takes connections, and says nothing."""
_NO_SERVER = f"kill $(cat /root/pid); rm -rf {_MILTER_DIR}"


def _filter(flag: str) -> str:
    """A mail filter for all listeners, with this F=."""
    line = (
        f"INPUT_MAIL_FILTER(`opendkim'\\'', `S=local:{_MILTER_DIR}/opendkim.sock{flag}, T=S:2s;R:2s'\\'')dnl"
    )
    return mc(f"/^MAILER_DEFINITIONS/i {line}")


MILTERS = (
    Fault(
        "milter-dead",
        "starttls",
        _filter(", F=T"),
        fix=False,
        name="F=T",
        asked="https://github.com/Mailu/Mailu/issues/2057",
    ),
    Fault("milter-dead", "greeting", _filter(", F=R"), fix=False, name="F=R", full=True),
    Fault(
        "milter-dead",
        "greeting",
        _filter(", F=4"),
        fix=False,
        name="F=4",
        full=True,
        asked="https://github.com/virtualmin/virtualmin-gpl/issues/87",
    ),
    Fault("milter-unfiltered", "relay", _filter(""), fix=False, sign="warning", full=True),
    Fault(
        "milter-dead",
        "starttls",
        f"{_SERVER}; {_filter(', F=T')}",
        undo=_NO_SERVER,
        fix=False,
        name="it hangs",
        full=True,
        asked="https://github.com/vstakhov/rmilter/issues/160",
    ),
    Fault(
        "milter-dead",
        "starttls",
        f"{_SERVER}; {_filter(', F=T')}; sleep 1; chmod 0775 {_MILTER_DIR}",
        undo=_NO_SERVER,
        fix=False,
        name="unsafe",
        full=True,
        asked="https://github.com/milter-manager/milter-manager/issues/205",
    ),
    Fault(
        "milter-unsafe",
        "listener",
        f"{_SERVER}; chmod 0775 {_MILTER_DIR}; {_filter(', F=T')}",
        undo=_NO_SERVER,
        fix=False,
        full=True,
    ),
)
"""Mail filters that do not answer, as where both sides name another socket: https://github.com/virtualmin/virtualmin-gpl/issues/87"""


def _defined(**values: str) -> str:
    """Defines in sendmail.mc."""
    lines = "\\n".join(f"define(`conf{name}'\\'', `{value}'\\'')dnl" for name, value in values.items())
    return mc(f"/^MAILER_DEFINITIONS/i {lines}")


_NO_13 = "+SSL_OP_NO_TLSv1_3"
SETTINGS = (
    Fault(
        "tls-settings",
        "starttls",
        _defined(CIPHER_LIST="ECDHE-ECDSA-AES128-GCM-SHA256", SERVER_SSL_OPTIONS=_NO_13),
        name="ciphers for ECDSA",
        asked="https://github.com/docker-mailserver/docker-mailserver/issues/1031",
    ),
    Fault(
        "tls-settings",
        "starttls",
        _defined(CIPHER_LIST="ALL:!aRSA"),
        sign="warning",
        name="for clients without TLS 1.3",
        full=True,
    ),
    Fault(
        "tls-settings",
        "starttls",
        _defined(SERVER_SSL_OPTIONS=f"+SSL_OP_NO_TLSv1_2 {_NO_13}"),
        name="no version of TLS",
        full=True,
    ),
    Fault("tls-settings", "starttls", _defined(CIPHER_LIST="HIGH:@SECLEVEL=3"), name="@SECLEVEL", full=True),
    Fault(
        "key-mismatch",
        "starttls",
        f"openssl req -x509 -newkey rsa:1024 -nodes -keyout /root/k -out /root/c -subj /CN=mail.example.test 2>/dev/null;"
        f" cat /root/k > {KEY}; cat /root/c > {CRT}; {SENDMAIL}",
        name="RSA 1024",
        full=True,
        asked="https://serverdevworker.com/15230b8130",
    ),
    Fault(
        "connections-full",
        "listener",
        _defined(MAX_DAEMON_CHILDREN="2")
        + '; setsid python3 -c \'import smtplib, time; s = [smtplib.SMTP("127.0.0.1", 587) for _ in range(2)]; '
        "time.sleep(600)' >/dev/null 2>&1 & echo $! > /root/pid; sleep 12",
        undo="kill $(cat /root/pid)",
        back="no",
        full=True,
    ),
)
"""Values of sendmail.mc."""

LIMITS = (
    *MILTERS,
    *SETTINGS,
    Fault(
        "connections-limited",
        "greeting",
        f"sed -i 's/^ClientRate:127.*/ClientRate:127\\t1/' {_ACCESS}; {_MADE}; {_CONNECT}; {_CONNECT}; true",
        fix=False,
        name="within the window",
        asked="https://experts123.com/q/what-does-the-error-421-4.3.2-connection-rate-limit-exceeded-mean.html",
    ),
    Fault(
        "connections-limited",
        "greeting",
        f"sed -i 's/^ClientConn:127.*/ClientConn:127\\t1/' {_ACCESS}; {_MADE}; "
        "setsid python3 -c 'import smtplib, time; s = smtplib.SMTP(\"127.0.0.1\", 587); time.sleep(600)' "
        ">/dev/null 2>&1 & echo $! > /root/pid; sleep 8",
        undo="kill $(cat /root/pid)",
        fix=False,
        name="at once",
        asked="https://github.com/mailcow/mailcow-dockerized/issues/6911",
    ),
    Fault(
        "greeting-slow",
        "greeting",
        f"sed -i 's/^GreetPause:127.*/GreetPause:127\\t9000/' {_ACCESS}; {_MADE}",
        sign="warning",
        fix=False,
        asked="http://lists.mailscanner.info/pipermail/mailscanner/2006-February/057667.html",
    ),
    Fault(
        "other-server",
        "greeting",
        f"cat > /root/other.py <<'END'\n{_OTHER}END\n"
        "systemctl stop sendmail; setsid python3 /root/other.py >/dev/null 2>&1 & echo $! > /root/pid; "
        "sleep 1; systemctl start sendmail",
        # A sendmail that waits for its port has no pid file, and outlives the stop of its service.
        undo="kill $(cat /root/pid); systemctl stop sendmail; pkill -9 -x sendmail-mta",
        blamed="port-taken",
        fix=False,
    ),
    Fault(
        "listener-missing",
        "listener",
        # What the kernel says of the load is put over its file: no test should wait for a minute of real load.
        "echo '9.00 9.00 9.00 1/100 1' > /root/load; mount --bind /root/load /proc/loadavg; "
        + mc("/^MAILER_DEFINITIONS/i define(`confREFUSE_LA'\\'', `3'\\'')dnl")
        + "; sleep 22",
        undo="umount /proc/loadavg",
        fix=False,
        name="too much load",
        asked="http://rackerhacker.com/2008/01/16/sendmail-rejecting-connections-on-daemon-mta-load-average-70/",
    ),
)
"""What Debian's access map and sendmail.mc may limit."""
