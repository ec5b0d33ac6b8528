"""The faults behind the encryption: AUTH, saslauthd, PAM, account, delivery, queue."""

from __future__ import annotations

from tests.system.faults import CF, DEFAULT, FORGET, RESTART, SENDMAIL, Fault, mc, submission

TMPFS = "systemctl stop sendmail; mount -t tmpfs -o {options},mode=2750 tmpfs /var/spool/mqueue; chown smmta:smmsp /var/spool/mqueue; {then}; systemctl start sendmail"
UNMOUNT = "systemctl stop sendmail; umount /var/spool/mqueue; systemctl start sendmail"

AUTH = (
    Fault(
        "modules-missing",
        "auth-offer",
        f"apt-get remove -y -q libsasl2-modules >/dev/null 2>&1; {SENDMAIL}",
        undo="apt-get install -y -q libsasl2-modules >/dev/null 2>&1",
    ),
    Fault("sasl-include", "auth-offer", mc("/sasl.m4/d")),
    Fault(
        "sasl-m4",
        "auth-offer",
        f": > /etc/mail/sasl/sasl.m4; cd /etc/mail; m4 sendmail.mc > sendmail.cf; {SENDMAIL}",
        back="no",
    ),
    Fault("auth-switched-off", "auth-offer", submission("EA")),
    Fault(
        "mechanisms",
        "auth-offer",
        f"sed -i 's/^mech_list:.*/mech_list: DIGEST-MD5 CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}",
        name="neither LOGIN nor PLAIN",
    ),
    Fault(
        "mechanisms",
        "auth-offer",
        f"sed -i 's/^mech_list:.*/mech_list: LOGIN PLAIN CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}",
        name="more than saslauthd can serve",
    ),
    Fault("auth-not-required", "auth-offer", submission("E")),
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
    ),
    Fault(
        "disk-full",
        "queue",
        TMPFS.format(options="size=1M", then="(cat /dev/zero > /var/spool/mqueue/ballast; true) 2>/dev/null"),
        undo=UNMOUNT,
        fix=False,
    ),
    Fault(
        "inodes-out",
        "queue",
        TMPFS.format(options="size=64M,nr_inodes=20", then="true"),
        undo=UNMOUNT,
        fix=False,
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
        release="bookworm",
    ),
    Fault("saslauthd-boot", "saslauthd", "systemctl disable saslauthd >/dev/null 2>&1", differs=True),
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
        release="bookworm",
    ),
    Fault(
        "saslauthd-elsewhere",
        "saslauthd",
        f"systemctl stop saslauthd; sed -i 's,^OPTIONS=.*,OPTIONS=\"-c -m /run/elsewhere\",' {DEFAULT}",
        back="again",
        name="and so its unit cannot start it",
        release="trixie",
    ),
    Fault("saslauthd-hung", "saslauthd", "pkill -STOP -x saslauthd", back="no", differs=True),
    Fault("saslauthd-socket-gone", "saslauthd", "rm /run/saslauthd/mux", back="no"),
    Fault("saslauthd-socket-closed", "saslauthd", "chmod 0700 /run/saslauthd", sign="warning", back="no"),
    Fault(
        "saslauthd-socket-closed",
        "saslauthd",
        "gpasswd -d smmta sasl >/dev/null",
        sign="warning",
        name="group",
        release="bookworm",
    ),
    Fault("sasl-conf", "saslauthd", f"rm /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}", name="missing"),
    Fault("sasl-conf", "saslauthd", f"rm /usr/lib/sasl2/Sendmail.conf; {SENDMAIL}", name="link missing"),
    Fault(
        "sasl-conf",
        "saslauthd",
        f"sed -i 's/^pwcheck_method:.*/pwcheck_method: auxprop/' /etc/mail/sasl/Sendmail.conf.2; {SENDMAIL}",
        name="pwcheck_method",
    ),
    Fault("saslauthd-cache", "saslauthd", "printf 'alice:changed-since-77' | chpasswd", back="no", name="-c"),
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
    Fault("pam-broken", "pam", "echo '@include comon-auth' > /etc/pam.d/smtp", name="no such file"),
    Fault("pam-refuses", "pam", "sed -i '1i auth requisite pam_deny.so' /etc/pam.d/smtp"),
    Fault(
        "pam-unknown",
        "pam",
        "sed -i '1i auth requisite pam_succeed_if.so quiet uid > 99999' /etc/pam.d/smtp; " + FORGET,
        fix=False,
    ),
    Fault("account-locked", "account", "passwd -q -l alice", undo="passwd -q -u alice", fix=False),
    Fault("account-expired", "account", "chage -E 2020-01-01 alice", undo="chage -E -1 alice", fix=False),
    Fault("password-expired", "account", f"chage -d 0 alice; {FORGET}", fix=False),
    Fault("password-missing", "account", "usermod -p '*' alice", fix=False),
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
)
"""PAM, account."""
