"""The faults behind the encryption: AUTH, saslauthd, PAM, account, delivery, queue."""

from __future__ import annotations

from tests.system.faults import ANEW, CF, DEFAULT, FORGET, RESTART, SENDMAIL, Fault, mc, submission
from tests.system.releases import INIT_SCRIPTS, NATIVE_UNITS

TMPFS = "systemctl stop sendmail; mount -t tmpfs -o {options},mode=2750 tmpfs /var/spool/mqueue; chown smmta:smmsp /var/spool/mqueue; {then}; systemctl start sendmail"
UNMOUNT = "systemctl stop sendmail; umount /var/spool/mqueue; systemctl start sendmail"

OUTSIDE = (
    "ip netns add cl; ip link add v0 type veth peer name v1 netns cl; ip addr add 198.51.100.1/24 dev v0; ip link set v0 up; "
    "ip -n cl addr add 198.51.100.2/24 dev v1; ip -n cl link set v1 up; "
)
"""A client on another machine."""
NO_OUTSIDE = "ip netns del cl; ip link del v0 2>/dev/null; rm -f /var/spool/mqueue/?f*"
LDAP = (
    "printf 'ldap_servers: {url}\\nldap_search_base: dc=corp,dc=example\\nldap_bind_dn: cn=svc,dc=corp,dc=example\\nldap_password: x\\n'"
    " > /etc/saslauthd.conf; chmod 600 /etc/saslauthd.conf; "
)
NO_CONF = "rm -f /etc/saslauthd.conf"
IMAP = """cat > /root/imap.py <<'END'
import contextlib, socket
door = socket.create_server(("127.0.0.1", 1143))
while True:
    talk = door.accept()[0]
    with talk, contextlib.suppress(OSError):
        talk.sendall(b"* OK ready\\r\\n")
        if said := talk.recv(999):
            talk.sendall(said.split()[0] + b" OK in\\r\\n")
END
systemd-run -q --unit imap-1143 python3 /root/imap.py; sleep 1
"""
"""An IMAP server that knows everybody."""


def asks(mechanism: str, option: str = "") -> str:
    """saslauthd asks that, with MECH_OPTIONS."""
    edit = f's,^MECHANISMS=.*,MECHANISMS="{mechanism}",; s,^MECH_OPTIONS=.*,MECH_OPTIONS="{option}",'
    return f"sed -i '{edit}' {DEFAULT}; systemctl reset-failed saslauthd 2>/dev/null; {RESTART} || true"


AUTH = (
    Fault(
        "modules-missing",
        "auth-offer",
        f"apt-get remove -y -q libsasl2-modules >/dev/null 2>&1; {SENDMAIL}",
        undo="apt-get install -y -q libsasl2-modules >/dev/null 2>&1",
        asked="https://github.com/ServerContainers/mail-gateway/issues/5",
    ),
    Fault("sasl-include", "auth-offer", mc("/sasl.m4/d")),
    Fault(
        "sasl-m4",
        "auth-offer",
        f": > /etc/mail/sasl/sasl.m4; cd /etc/mail; m4 sendmail.mc > sendmail.cf; {SENDMAIL}",
        back="no",
        full=True,
    ),
    Fault("auth-switched-off", "auth-offer", submission("EA")),
    Fault(
        "mechanisms",
        "auth-offer",
        f"sed -i 's/^mech_list:.*/mech_list: DIGEST-MD5 CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}",
        name="neither LOGIN nor PLAIN",
        asked="https://crc.id.au/page/46",
    ),
    Fault(
        "mechanisms",
        "auth-offer",
        f"sed -i 's/^mech_list:.*/mech_list: LOGIN PLAIN CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}",
        name="more than saslauthd can serve",
        asked="https://github.com/wader/postfix-relay/pull/220",
        full=True,
    ),
    Fault("auth-not-required", "auth-offer", submission("E")),
    Fault(
        "auth-not-required",
        "auth-offer",
        mc("/^DAEMON_OPTIONS.*Port=submission/a DAEMON_OPTIONS(`Port=smtps, Name=TLSMTA, M=s'\\'')dnl"),
        name="port 465",
        full=True,
    ),
    Fault(
        "auth-not-required",
        "auth-offer",
        mc(
            "/^DAEMON_OPTIONS.*Port=submission/a DAEMON_OPTIONS(`Port=smtps, Name=TLSMTA, M=s, Addr=127.0.0.1'\\'')dnl"
        ),
        name="port 465 on loopback",
        fix=False,
        full=True,
    ),
    Fault(
        "mechanisms",
        "auth-offer",
        "sed -i \"s/^.DIGEST-MD5 CRAM-MD5 NTLM LOGIN PLAIN')dnl.*/\\`CRAM-MD5')dnl   # <= EDIT/\" /etc/mail/sasl/sasl.m4; "
        + ANEW,
        name="confAUTH_MECHANISMS in sasl.m4",
        full=True,
    ),
    Fault(
        "mechanisms",
        "auth-offer",
        mc("/^MAILER_DEFINITIONS/i define(`confAUTH_MECHANISMS'\\'', `GSSAPI'\\'')dnl"),
        name="confAUTH_MECHANISMS in sendmail.mc",
        full=True,
    ),
    Fault(
        "auth-in-clear",
        "auth-offer",
        "echo \"define(\\`confAUTH_OPTIONS', \\`A')dnl\" > /etc/mail/own.m4; "
        + mc("/^MAILER_DEFINITIONS/i include(`/etc/mail/own.m4'\\'')dnl"),
        name="in a file of the admin's own",
        fix=False,
        full=True,
    ),
    Fault(
        "features-hidden-here",
        "auth-offer",
        f"echo 'Srv_Features:127 A' >> /etc/mail/access; make -C /etc/mail access.db >/dev/null; {SENDMAIL}",
        full=True,
    ),
    Fault("auth-in-clear", "auth-offer", mc("/confAUTH_OPTIONS/d")),
    Fault("auth-on-smtp", "auth-offer", mc("s/\\(Port=smtp.*\\), M=A/\\1/"), sign="warning"),
    Fault(
        "sendmail-stale",
        "auth-offer",
        "cp -p /etc/mail/sasl/Sendmail.conf.2 /root/keep; sed -i 's/^mech_list:.*/mech_list: CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2;"
        f" {SENDMAIL}; cat /root/keep > /etc/mail/sasl/Sendmail.conf.2",
        back="no",
    ),
    Fault(
        "mechanisms-not-trusted",
        "relay",
        f"sed -i '/^C{{TrustAuthMech}}/d' {CF}; {SENDMAIL}",
    ),
    Fault(
        "mechanisms-not-trusted",
        "relay",
        f'sed -i "s/^TRUST_AUTH_MECH(.DIG.*/TRUST_AUTH_MECH(\\`DIGEST-MD5 CRAM-MD5\')dnl/" /etc/mail/sasl/sasl.m4; {ANEW}',
        name="sasl.m4",
    ),
    Fault(
        "mechanisms-not-trusted",
        "relay",
        mc(
            "s|^include(`/etc/mail/sasl/sasl.m4.*|define(`confAUTH_MECHANISMS'\\'', `LOGIN PLAIN'\\'')dnl\\n"
            "TRUST_AUTH_MECH(`LOGIN'\\'')dnl|"
        ),
        name="sendmail.mc",
        full=True,
    ),
    Fault("aliases-missing", "relay", "rm /etc/mail/aliases.db", user=False),
    Fault("local-mail", "relay", mc("/Port=smtp/d"), sign="warning", user=False),
    Fault(
        "messages-wait",
        "relay",
        "printf 'V8\\nT1700000000\\nK0\\nN3\\nP30\\nMDeferred: Name server: example.org.: host name lookup failure\\nRPFD:<bob@example.org>\\n.\\n'"
        " > /var/spool/mqueue/qf6AN0000000001; : > /var/spool/mqueue/df6AN0000000001; chown smmta:smmsp /var/spool/mqueue/*",
        undo="rm -f /var/spool/mqueue/?f*",
        sign="warning",
        fix=False,
        asked="http://www.jp.freebsd.org/QandA/HTML/1129.html",
    ),
    Fault(
        "clients-old-tls",
        "starttls",
        OUTSIDE
        + "for i in 1 2 3; do echo | timeout 20 ip netns exec cl openssl s_client -connect 198.51.100.1:587 -starttls smtp "
        "-tls1 -cipher DEFAULT@SECLEVEL=0 >/dev/null 2>&1; done; sleep 1",
        undo=NO_OUTSIDE,
        sign="warning",
        fix=False,
        user=False,
        asked="https://github.com/mailcow/mailcow-dockerized/issues/2398",
    ),
    Fault(
        "delivery-port-25",
        "relay",
        OUTSIDE + "for i in 3 4 5; do ip -n cl addr add 198.51.100.$i/24 dev v1; done; "
        "for i in 3 4 5; do echo x | sendmail -Am -f alice@mail.example.test bob@[198.51.100.$i]; done; sleep 2",
        undo=NO_OUTSIDE,
        fix=False,
        user=False,
        asked="https://github.com/docker-mailserver/docker-mailserver/issues/1668",
    ),
    Fault(
        "messages-held",
        "queue",
        "echo x | sendmail -Am -odq -f alice alice; cd /var/spool/mqueue; "
        "for name in qf*; do mv $name h${name#q}; done",
        undo="rm -f /var/spool/mqueue/?f*",
        sign="warning",
        fix=False,
        user=False,
        full=True,
    ),
    Fault(
        "msp-queue-not-run",
        "queue",
        "pkill -x cron; rm -f /run/crond.pid; printf 'V8\\nT1700000000\\nK0\\nN3\\nP30\\nRPFD:<bob@example.org>\\n.\\n'"
        " > /var/spool/mqueue-client/qf6AN0000000002; : > /var/spool/mqueue-client/df6AN0000000002; "
        "chown smmsp:smmsp /var/spool/mqueue-client/*",
        undo="rm -f /var/spool/mqueue-client/?f*",
        sign="warning",
        fix=False,
        user=False,
        full=True,
    ),
    Fault(
        "disk-full",
        "queue",
        TMPFS.format(options="size=1M", then="(cat /dev/zero > /var/spool/mqueue/ballast; true) 2>/dev/null"),
        undo=UNMOUNT,
        fix=False,
        asked="https://support.moonpoint.com/blog//blosxom/2006/01/31",
    ),
    Fault(
        "inodes-out",
        "queue",
        TMPFS.format(options="size=64M,nr_inodes=20", then="true"),
        undo=UNMOUNT,
        fix=False,
        full=True,
    ),
    Fault("read-only", "queue", TMPFS.format(options="size=64M,ro", then="true"), undo=UNMOUNT, fix=False),
    Fault(
        "queue-folder",
        "queue",
        "chmod 2777 /var/spool/mqueue",
        undo="chmod 2750 /var/spool/mqueue",
        back="no",
    ),
    Fault(
        "queue-not-run",
        "queue",
        f"sed -i 's/^QUEUE_INTERVAL=.*/QUEUE_INTERVAL=\"\";/' /etc/mail/sendmail.conf; {SENDMAIL}",
    ),
)
"""AUTH, delivery, queue."""

SASLAUTHD = (
    Fault("saslauthd-dead", "saslauthd", "pkill -9 -x saslauthd; sleep 0.3", name="killed", differs=True),
    Fault("saslauthd-dead", "saslauthd", "systemctl stop saslauthd", name="stopped"),
    Fault(
        "saslauthd-start-no",
        "saslauthd",
        f"systemctl stop saslauthd; sed -i 's/^START=.*/START=no/' {DEFAULT}; systemctl start saslauthd",
        name="and so active (exited)",
        releases=INIT_SCRIPTS,
        asked="https://github.com/docker-mailserver/docker-mailserver/issues/1049",
    ),
    Fault(
        "saslauthd-boot", "saslauthd", "systemctl disable saslauthd >/dev/null 2>&1", differs=True, full=True
    ),
    Fault(
        "saslauthd-mechanism",
        "saslauthd",
        f"sed -i 's/^MECHANISMS=.*/MECHANISMS=\"sasldb\"/' {DEFAULT}; {RESTART}",
    ),
    Fault(
        "saslauthd-mechanism",
        "saslauthd",
        f"cp -p {DEFAULT} /root/keep; sed -i 's/^MECHANISMS=.*/MECHANISMS=\"kerberos5\"/' {DEFAULT}; {RESTART}; cat /root/keep > {DEFAULT}",
        back="no",
        name="not restarted since it was mended",
    ),
    Fault(
        "saslauthd-elsewhere",
        "saslauthd",
        f"mkdir -p /run/elsewhere; systemctl stop saslauthd; sed -i 's,^OPTIONS=.*,OPTIONS=\"-c -m /run/elsewhere\",' {DEFAULT}; {RESTART}",
        back="again",
        accept="saslauthd-socket",
        releases=INIT_SCRIPTS,
    ),
    Fault(
        "saslauthd-elsewhere",
        "saslauthd",
        f"systemctl stop saslauthd; sed -i 's,^OPTIONS=.*,OPTIONS=\"-c -m /run/elsewhere\",' {DEFAULT}",
        back="again",
        name="and so its unit cannot start it",
        releases=NATIVE_UNITS,
    ),
    Fault("saslauthd-hung", "saslauthd", "pkill -STOP -x saslauthd", back="no", differs=True),
    Fault("saslauthd-socket-gone", "saslauthd", "rm /run/saslauthd/mux", back="no"),
    Fault(
        "saslauthd-socket-closed",
        "saslauthd",
        "chmod 0700 /run/saslauthd",
        sign="warning",
        back="no",
        asked="https://github.com/cyrusimap/cyrus-imapd/pull/2572",
    ),
    Fault(
        "saslauthd-socket-closed",
        "saslauthd",
        "gpasswd -d smmta sasl >/dev/null",
        sign="warning",
        name="group",
        releases=INIT_SCRIPTS,
    ),
    Fault("sasl-conf", "saslauthd", f"rm /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}", name="missing"),
    Fault("sasl-conf", "saslauthd", f"rm /usr/lib/sasl2/Sendmail.conf; {SENDMAIL}", name="link missing"),
    Fault(
        "sasl-conf",
        "saslauthd",
        f"sed -i 's/^pwcheck_method:.*/pwcheck_method: auxprop/' /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}",
        name="pwcheck_method",
        full=True,
    ),
    Fault("saslauthd-cache", "saslauthd", "printf 'alice:changed-since-77' | chpasswd", back="no", name="-c"),
    Fault(
        "password-server-down",
        "saslauthd",
        LDAP.format(url="ldap://dc1.corp.example") + asks("ldap"),
        undo=NO_CONF,
        fix=False,
        name="LDAP",
        differs=True,
    ),
    Fault(
        "password-server-down",
        "saslauthd",
        LDAP.format(url="ldaps://127.0.0.1:3636 ldapi://%%2Frun%%2Fslapd%%2Fldapi") + asks("ldap"),
        undo=NO_CONF,
        fix=False,
        name="both of two LDAP servers",
        full=True,
    ),
    Fault(
        "password-server-down",
        "saslauthd",
        asks("rimap", "127.0.0.1/1143"),
        fix=False,
        name="IMAP",
        releases=INIT_SCRIPTS,
        full=True,
        asked="https://github.com/cyrusimap/cyrus-sasl/issues/493",
    ),
    Fault("password-server-file", "saslauthd", asks("ldap"), fix=False, full=True),
    Fault(
        "password-server-refuses",
        "saslauthd",
        "printf '[libdefaults]\\ndefault_realm = X.TEST\\ndns_lookup_kdc = false\\n[realms]\\nX.TEST = {\\nkdc = 127.0.0.1\\n}\\n' > /etc/krb5.conf; "
        + asks("kerberos5"),
        undo="rm -f /etc/krb5.conf",
        fix=False,
        name="no KDC answers",
        full=True,
    ),
    Fault("saslauthd-getpwent", "saslauthd", asks("getpwent"), fix=False, full=True),
    Fault("saslauthd-ends", "saslauthd", asks("httpform"), fix=False, name="httpform", full=True),
    Fault("saslauthd-ends", "saslauthd", asks("rimap"), fix=False, name="rimap without a server", full=True),
    Fault(
        "saslauthd-option",
        "saslauthd",
        IMAP + asks("rimap", "127.0.0.1/1143"),
        undo="systemctl stop imap-1143",
        back="no",
        releases=NATIVE_UNITS,
        full=True,
    ),
    Fault(
        "saslauthd-option",
        "saslauthd",
        IMAP + asks("rimap", "-O 127.0.0.1/1143"),
        undo="systemctl stop imap-1143",
        back="no",
        releases=INIT_SCRIPTS,
        full=True,
    ),
    Fault(
        "saslauthd-realm",
        "saslauthd",
        f"sed -i 's,^OPTIONS=.*,OPTIONS=\"-r -m /var/run/saslauthd\",' {DEFAULT}; {RESTART}",
        who="alice@mail.example.test",
        differs=True,
        asked="https://github.com/grommunio/gromox-container/issues/21",
    ),
)
"""saslauthd."""

ACCOUNT = (
    Fault(
        "pam-missing",
        "pam",
        "rm /etc/pam.d/smtp; printf 'auth required pam_deny.so\\naccount required pam_deny.so\\n' > /etc/pam.d/other",
        name="and other denies",
    ),
    Fault("pam-missing", "pam", "rm /etc/pam.d/smtp", sign="warning"),
    Fault("pam-broken", "pam", "echo 'auth required pam_ldapp.so' > /etc/pam.d/smtp", name="no such module"),
    Fault(
        "pam-broken", "pam", "echo '@include comon-auth' > /etc/pam.d/smtp", name="no such file", full=True
    ),
    Fault("pam-refuses", "pam", "sed -i '1i auth requisite pam_deny.so' /etc/pam.d/smtp"),
    Fault(
        "pam-unknown",
        "pam",
        "sed -i '1i auth requisite pam_succeed_if.so quiet uid > 99999' /etc/pam.d/smtp; " + FORGET,
        fix=False,
    ),
    Fault(
        "user-only-in-sasldb",
        "account",
        "echo Bob-Secret-9 | saslpasswd2 -p -c -u mail.example.test bob",
        undo="rm -f /etc/sasldb2",
        who="bob",
        password="Bob-Secret-9",
        fix=False,
        full=True,
        asked="https://github.com/cyrusimap/cyrus-sasl/issues/553",
    ),
    Fault(
        "user-not-in-sasldb",
        "account",
        "echo Bob-Secret-9 | saslpasswd2 -p -c -u mail.example.test bob; " + asks("sasldb"),
        undo="rm -f /etc/sasldb2",
        who="bob",
        password="Bob-Secret-9",
        fix=False,
        name="another realm",
        full=True,
        asked="https://github.com/docker-mailserver/docker-mailserver/issues/44",
    ),
    Fault("password-malformed", "account", "usermod -p 0penPass1 alice", fix=False, differs=True),
    Fault(
        "account-barred",
        "account",
        "sed -i '1i auth required pam_faillock.so preauth\\nauth [success=1 default=ignore] pam_unix.so\\nauth [default=die] pam_faillock.so authfail\\n"
        "auth sufficient pam_faillock.so authsucc' /etc/pam.d/smtp; for n in 1 2 3; do testsaslauthd -u alice -p wrong -s smtp; done >/dev/null; true",
        undo="faillock --user alice --reset",
        fix=False,
        full=True,
        asked="https://github.com/cyrusimap/cyrus-sasl/issues/768",
    ),
    Fault(
        "pam-module-refuses",
        "pam",
        "sed -i '1i account required pam_access.so accessfile=/root/access' /etc/pam.d/smtp; echo '-:alice:ALL' > /root/access; "
        + FORGET,
        fix=False,
        full=True,
    ),
    Fault("account-locked", "account", "passwd -q -l alice", undo="passwd -q -u alice", fix=False),
    Fault(
        "account-expired",
        "account",
        "chage -E 2020-01-01 alice",
        undo="chage -E -1 alice",
        fix=False,
        asked="https://github.com/cyrusimap/cyrus-sasl/issues/254",
        full=True,
    ),
    Fault("password-expired", "account", f"chage -d 0 alice; {FORGET}", fix=False),
    Fault("password-missing", "account", "usermod -p '*' alice", fix=False, full=True),
    Fault("password-wrong", "account", "true", password="certainly-not-this", fix=False),
    Fault(
        "account-unknown",
        "account",
        f"usermod -l alicia alice; {FORGET}",
        undo="usermod -l alice alicia",
        fix=False,
    ),
    Fault(
        "logins-closed",
        "account",
        "sed -i '1i auth requisite pam_nologin.so' /etc/pam.d/smtp; echo 'back at noon' > /etc/nologin; "
        + FORGET,
        undo="rm -f /etc/nologin",
        fix=False,
    ),
    Fault(
        "shell-refused",
        "account",
        "sed -i '1i auth requisite pam_shells.so' /etc/pam.d/smtp; usermod -s /usr/sbin/nologin alice; "
        + FORGET,
        fix=False,
    ),
    Fault(
        "log-unreadable",
        "logs",
        "chmod a-x /usr/bin/journalctl",
        undo="chmod a+x /usr/bin/journalctl",
        sign="warning",
        fix=False,
        full=True,
    ),
)
"""PAM, account, logs."""
