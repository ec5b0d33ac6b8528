"""The faults that troubleshooting must name: how each is made on a machine that `apply` has set up, and what is awaited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MC = "/etc/mail/sendmail.mc"
CF = "/etc/mail/sendmail.cf"
KEY = "/etc/mail/tls/sendmail-common.key"
CRT = "/etc/mail/tls/sendmail-server.crt"
DEFAULT = "/etc/default/saslauthd"
_SENDMAIL = "systemctl restart sendmail"
_SASLAUTHD = "systemctl restart saslauthd"
_FORGET = "systemctl stop saslauthd; rm -f /run/saslauthd/cache.*; systemctl start saslauthd"
"""saslauthd's cache of logins that it has accepted, which hides what has changed since."""
_ANEW = f"yes '' | sendmailconfig --no-reload >/dev/null 2>&1; {_SENDMAIL}"
"""What an admin does after an edit of sendmail.mc."""


@dataclass(frozen=True)
class Fault:
    """One fault. `make` is run by sh; `undo` besides what is put back after every fault (see `REPAIR`)."""

    id: str
    """The diagnosis that must name it."""
    layer: str
    make: str
    undo: str = ""
    sign: str = "failed"
    """`failed` ones must be the one that is blamed."""
    fix: bool = True
    """Whether --fix mends it; else a text must say what a person has to do."""
    back: Literal["again", "refused", "either", "no"] = "again"
    """What taking the mend back does: the fault is there again; it is refused, for it would cost a listener; either of
    them; nothing that could be seen (a restart)."""
    user: bool = True
    """Whether alice's name and password are given."""
    password: str = ""
    """Another one."""
    name: str = ""
    """What to call it where one diagnosis has several faults."""
    release: str = ""
    """The only release that has it."""
    differs: bool = False
    """Whether the releases differ in it: it is made on both, where others take turns."""

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.id}{f' ({self.name})' if self.name else ''}"


def _mc(edit: str) -> str:
    """An edit of sendmail.mc by sed, and all that follows."""
    return f"sed -i -e '{edit}' {MC} && {_ANEW}"


def _submission(modifiers: str) -> str:
    """Other modifiers for port 587."""
    return _mc(f"s/\\(Port=submission.*\\)M=[A-Za-z]*/\\1M={modifiers}/")


_CA = r"""
d=$(mktemp -d); cd $d; touch index; echo 01 > serial
printf '[ca]\ndefault_ca=x\n[x]\nnew_certs_dir=.\ndatabase=index\nserial=serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' > ca.cnf
openssl req -new -key /etc/mail/tls/sendmail-common.key -subj /CN=NAME -out r.csr 2>/dev/null
openssl ca -batch -config ca.cnf -selfsign -keyfile /etc/mail/tls/sendmail-common.key -in r.csr -startdate FROM -enddate TO -out c.pem -notext >/dev/null 2>&1
cat c.pem > /etc/mail/tls/sendmail-server.crt; systemctl restart sendmail
"""


def _dated(begin: str, end: str, name: str = "mail.example.test") -> str:
    """A self-signed certificate of other dates, with the key that is there."""
    return _CA.replace("NAME", name).replace("FROM", begin).replace("TO", end)


_TMPFS = "systemctl stop sendmail; mount -t tmpfs -o {options},mode=2750 tmpfs /var/spool/mqueue; chown smmta:smmsp /var/spool/mqueue; {then}; systemctl start sendmail"
_UNMOUNT = "systemctl stop sendmail; umount /var/spool/mqueue; systemctl start sendmail"

LISTENER = (
    Fault("hostname-unresolved", "name", "sed -i /127.0.1.1/d /etc/hosts"),
    Fault(
        "hostname-unqualified",
        "name",
        "sed -i 's/^127.0.1.1.*/127.0.1.1 mail/' /etc/hosts",
        sign="warning",
    ),
    Fault(
        "sendmail-dead", "listener", "pkill -9 -x sendmail-mta", name="killed, and yet active", differs=True
    ),
    Fault("sendmail-dead", "listener", "systemctl stop sendmail", name="stopped"),
    Fault("cf-broken", "listener", f"echo 'Ojunk' > {CF}; {_SENDMAIL}", back="no"),
    Fault("cf-broken", "listener", f"rm {CF}; pkill -9 -x sendmail-mta", back="no", name="missing"),
    Fault(
        "cf-broken",
        "listener",
        f'sed -i "s/^dnl # Items controlled/define(\\`x\',/" {MC}; {_ANEW}',
        fix=False,
        name="m4 takes it, sendmail does not",
    ),
    Fault(
        "mc-broken",
        "listener",
        f'printf "define(\\`confX\', \\`y)dnl\\n" >> {MC}; {_ANEW}; true',
        fix=False,
    ),
    Fault("mc-missing", "listener", f"rm {MC}", fix=False, sign="warning"),
    Fault(
        "mc-typo",
        "listener",
        f'echo "DEAMON_OPTIONS(\\`Family=inet, Name=X, Port=2525\')dnl" >> {MC}',
        fix=False,
        sign="warning",
    ),
    Fault(
        "hands-off",
        "listener",
        "sed -i 's/^HANDS_OFF=.*/HANDS_OFF=\"Yes\";/' /etc/mail/sendmail.conf",
        sign="warning",
    ),
    Fault(
        "cf-differs",
        "auth-offer",
        f"sed -i 's/^O AuthMechanisms=.*/O AuthMechanisms=EXTERNAL/' {CF}; {_SENDMAIL}",
        name="edited by hand",
    ),
    Fault(
        "cf-differs",
        "listener",
        f"echo \"define(\\`confMAX_MESSAGE_SIZE', \\`9000000')dnl\" >> {MC}",
        sign="warning",
        back="again",
        name="sendmailconfig has not run",
    ),
    Fault(
        "port-taken",
        "listener",
        "systemctl stop sendmail; setsid python3 -m http.server 587 >/dev/null 2>&1 & echo $! > /root/pid; sleep 1; systemctl start sendmail",
        undo="kill $(cat /root/pid)",
        fix=False,
    ),
    Fault("loopback-only", "listener", _mc("s/Port=submission/Port=submission, Addr=127.0.0.1/")),
    Fault("submission-missing", "listener", _mc("/Port=submission/d")),
    Fault("submission-elsewhere", "listener", _mc("s/Port=submission/Port=2587/")),
    Fault(
        "listener-missing",
        "listener",
        f"sed -i -e '/Port=submission/p' -e '/Port=submission/s/MSP-v4, Port=submission/MSP-X, Port=2525/' {MC}"
        " && yes '' | sendmailconfig --no-reload >/dev/null 2>&1",
        back="no",
    ),
    Fault("sendmail-boot", "listener", "systemctl disable sendmail >/dev/null 2>&1", differs=True),
    Fault("default-msa", "listener", _mc("/no_default_msa/d"), back="refused"),
    Fault(
        "listeners-collide",
        "listener",
        f"sed -i '/^O DaemonPortOptions.*submission/p' {CF}; {_SENDMAIL}",
        back="refused",
    ),
)
"""Name, listener, configuration."""

TLS = (
    Fault("sendmail-hung", "greeting", "pkill -STOP -x sendmail-mta", back="no"),
    Fault(
        "hosts-access",
        "greeting",
        "echo 'sendmail: ALL' > /etc/hosts.deny; : > /etc/hosts.allow",
        undo=": > /etc/hosts.deny",
    ),
    Fault(
        "access-refuses",
        "greeting",
        f"sed -i 's/^Connect:127.*RELAY/Connect:127\\tREJECT/' /etc/mail/access; make -C /etc/mail access.db >/dev/null; {_SENDMAIL}",
    ),
    Fault("starttls-include", "starttls", _mc("/starttls.m4/d")),
    Fault(
        "starttls-m4",
        "starttls",
        f": > /etc/mail/tls/starttls.m4; cd /etc/mail; m4 sendmail.mc > sendmail.cf; {_SENDMAIL}",
        back="no",
    ),
    Fault("starttls-off", "starttls", _submission("EaS")),
    Fault("certificate-missing", "starttls", f"rm {CRT}; {_SENDMAIL}", name="certificate"),
    Fault("certificate-missing", "starttls", f"rm {KEY}; {_SENDMAIL}", name="key"),
    Fault("key-unsafe", "starttls", f"chmod 644 {KEY}; {_SENDMAIL}"),
    Fault("key-mismatch", "starttls", f"openssl genrsa -out {KEY} 2048 2>/dev/null; {_SENDMAIL}"),
    Fault("key-mismatch", "starttls", f"echo junk > {CRT}; {_SENDMAIL}", name="spoilt certificate"),
    Fault("tls-on-connect", "starttls", _submission("Eas")),
    Fault("certificate-expired", "certificate", _dated("20200101000000Z", "20210101000000Z")),
    Fault("certificate-not-yet-valid", "certificate", _dated("20400101000000Z", "20410101000000Z")),
    Fault(
        "certificate-name",
        "certificate",
        _dated("20200101000000Z", "20400101000000Z", "smtp.example.org"),
        sign="warning",
        fix=False,
    ),
    Fault("certificate-no-alternative-name", "certificate", "true", sign="warning", fix=False),
)
"""Greeting, STARTTLS, certificate."""

AUTH = (
    Fault(
        "modules-missing",
        "auth-offer",
        f"apt-get remove -y -q libsasl2-modules >/dev/null 2>&1; {_SENDMAIL}",
        undo="apt-get install -y -q libsasl2-modules >/dev/null 2>&1",
    ),
    Fault("sasl-include", "auth-offer", _mc("/sasl.m4/d")),
    Fault(
        "sasl-m4",
        "auth-offer",
        f": > /etc/mail/sasl/sasl.m4; cd /etc/mail; m4 sendmail.mc > sendmail.cf; {_SENDMAIL}",
        back="no",
    ),
    Fault("auth-switched-off", "auth-offer", _submission("EA")),
    Fault(
        "mechanisms",
        "auth-offer",
        f"sed -i 's/^mech_list:.*/mech_list: DIGEST-MD5 CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2; {_SENDMAIL}",
        name="neither LOGIN nor PLAIN",
    ),
    Fault(
        "mechanisms",
        "auth-offer",
        f"sed -i 's/^mech_list:.*/mech_list: LOGIN PLAIN CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2; {_SENDMAIL}",
        name="more than saslauthd can serve",
    ),
    Fault("auth-not-required", "auth-offer", _submission("E")),
    Fault("auth-in-clear", "auth-offer", _mc("/confAUTH_OPTIONS/d")),
    Fault("auth-on-smtp", "auth-offer", _mc("s/\\(Port=smtp.*\\), M=A/\\1/"), sign="warning"),
    Fault(
        "sendmail-stale",
        "auth-offer",
        "cp -p /etc/mail/sasl/Sendmail.conf.2 /root/keep; sed -i 's/^mech_list:.*/mech_list: CRAM-MD5/' /etc/mail/sasl/Sendmail.conf.2;"
        f" {_SENDMAIL}; cat /root/keep > /etc/mail/sasl/Sendmail.conf.2",
        back="no",
    ),
    Fault(
        "mechanisms-not-trusted",
        "relay",
        f"sed -i '/^C{{TrustAuthMech}}/d' {CF}; {_SENDMAIL}",
    ),
    Fault("aliases-missing", "relay", "rm /etc/mail/aliases.db", user=False),
    Fault("local-mail", "relay", _mc("/Port=smtp/d"), sign="warning", user=False),
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
        _TMPFS.format(
            options="size=1M", then="(cat /dev/zero > /var/spool/mqueue/ballast; true) 2>/dev/null"
        ),
        undo=_UNMOUNT,
        fix=False,
    ),
    Fault(
        "inodes-out",
        "queue",
        _TMPFS.format(options="size=64M,nr_inodes=20", then="true"),
        undo=_UNMOUNT,
        fix=False,
    ),
    Fault("read-only", "queue", _TMPFS.format(options="size=64M,ro", then="true"), undo=_UNMOUNT, fix=False),
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
        f"sed -i 's/^QUEUE_INTERVAL=.*/QUEUE_INTERVAL=\"\";/' /etc/mail/sendmail.conf; {_SENDMAIL}",
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
        f"sed -i 's/^MECHANISMS=.*/MECHANISMS=\"sasldb\"/' {DEFAULT}; {_SASLAUTHD}",
    ),
    Fault(
        "saslauthd-mechanism",
        "saslauthd",
        f"cp -p {DEFAULT} /root/keep; sed -i 's/^MECHANISMS=.*/MECHANISMS=\"kerberos5\"/' {DEFAULT}; {_SASLAUTHD}; cat /root/keep > {DEFAULT}",
        back="no",
        name="not restarted since it was mended",
    ),
    Fault(
        "saslauthd-elsewhere",
        "saslauthd",
        f"mkdir -p /run/elsewhere; systemctl stop saslauthd; sed -i 's,^OPTIONS=.*,OPTIONS=\"-c -m /run/elsewhere\",' {DEFAULT}; {_SASLAUTHD}",
        back="either",
        release="bookworm",
    ),
    Fault(
        "saslauthd-elsewhere",
        "saslauthd",
        f"systemctl stop saslauthd; sed -i 's,^OPTIONS=.*,OPTIONS=\"-c -m /run/elsewhere\",' {DEFAULT}",
        back="no",
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
    Fault("sasl-conf", "saslauthd", f"rm /etc/mail/sasl/Sendmail.conf.2; {_SENDMAIL}", name="missing"),
    Fault("sasl-conf", "saslauthd", f"rm /usr/lib/sasl2/Sendmail.conf; {_SENDMAIL}", name="link missing"),
    Fault(
        "sasl-conf",
        "saslauthd",
        f"sed -i 's/^pwcheck_method:.*/pwcheck_method: auxprop/' /etc/mail/sasl/Sendmail.conf.2; {_SENDMAIL}",
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
        "sed -i '1i auth requisite pam_succeed_if.so quiet uid > 99999' /etc/pam.d/smtp; " + _FORGET,
        fix=False,
    ),
    Fault("account-locked", "account", "passwd -q -l alice", undo="passwd -q -u alice", fix=False),
    Fault("account-expired", "account", "chage -E 2020-01-01 alice", undo="chage -E -1 alice", fix=False),
    Fault("password-expired", "account", f"chage -d 0 alice; {_FORGET}", fix=False),
    Fault("password-missing", "account", "usermod -p '*' alice", fix=False),
    Fault("password-wrong", "account", "true", password="certainly-not-this", fix=False),
    Fault(
        "account-unknown",
        "account",
        f"usermod -l alicia alice; {_FORGET}",
        undo="usermod -l alice alicia",
        fix=False,
    ),
    Fault(
        "logins-closed",
        "account",
        "sed -i '1i auth requisite pam_nologin.so' /etc/pam.d/smtp; echo 'back at noon' > /etc/nologin; "
        + _FORGET,
        undo="rm -f /etc/nologin",
        fix=False,
    ),
    Fault(
        "shell-refused",
        "account",
        "sed -i '1i auth requisite pam_shells.so' /etc/pam.d/smtp; usermod -s /usr/sbin/nologin alice; "
        + _FORGET,
        fix=False,
    ),
)
"""PAM, account."""


def of(release: str, group: tuple[Fault, ...], *, every: bool) -> list[Fault]:
    """The faults of a group that are made on this release: all of them, or its turn's."""
    first = release == "bookworm"
    turns = [item for item in group if not item.differs and not item.release]
    mine = turns if every else turns[0 if first else 1 :: 2]
    return [item for item in group if item in mine or item.differs or item.release == release]


REPAIR = """
pkill -CONT -x sendmail-mta; pkill -CONT -x saslauthd; pkill -9 -x saslauthd
rm -rf /etc/mail /etc/pam.d; cp -a /root/good/mail /root/good/pam.d /etc/
for f in hosts hosts.allow hosts.deny passwd shadow group gshadow; do cat /root/good/$f > /etc/$f; done
cat /root/good/saslauthd > /etc/default/saslauthd; cp -a /root/good/Sendmail.conf /usr/lib/sasl2/
chown root:sasl /run/saslauthd; chmod 0710 /run/saslauthd
systemctl -q enable saslauthd sendmail 2>/dev/null
rm -f /run/saslauthd/cache.*; systemctl restart saslauthd {sendmail}
"""
"""By hand: everything as `apply` had left it; sendmail need not be restarted where nothing that it reads was changed."""

KEEP = """
mkdir /root/good; cp -a /etc/mail /etc/pam.d /etc/hosts /etc/hosts.allow /etc/passwd /etc/shadow /etc/group /etc/gshadow /root/good/
cp -a /etc/default/saslauthd /usr/lib/sasl2/Sendmail.conf /root/good/; touch /etc/hosts.deny; cp -a /etc/hosts.deny /root/good/
"""
"""What REPAIR needs."""
