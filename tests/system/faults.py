"""The faults that troubleshooting must name: how each is made on a machine that `apply` has set up, and what is awaited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.system.releases import RELEASES, Release

MC = "/etc/mail/sendmail.mc"
CF = "/etc/mail/sendmail.cf"
KEY = "/etc/mail/tls/sendmail-common.key"
CRT = "/etc/mail/tls/sendmail-server.crt"
DEFAULT = "/etc/default/saslauthd"
SENDMAIL = "systemctl restart sendmail"
RESTART = "systemctl restart saslauthd"
FORGET = "systemctl stop saslauthd; rm -f /run/saslauthd/cache.*; systemctl reset-failed saslauthd 2>/dev/null; systemctl start saslauthd"
"""saslauthd's cache of logins that it has accepted, which hides what has changed since."""
ANEW = f"yes '' | sendmailconfig --no-reload >/dev/null 2>&1; {SENDMAIL}"
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
    """Whether --fix repairs it; else a text must say what a person has to do."""
    back: Literal["again", "refused", "either", "no"] = "again"
    """What rolling the fix back does: the fault is there again; it is refused, for it would cost a listener; either of
    them; nothing that could be seen (a restart)."""
    accept: str = ""
    """What the fix would end: nothing is fixed until that is accepted."""
    user: bool = True
    """Whether alice's name and password are given."""
    who: str = ""
    """Another name."""
    password: str = ""
    """Another one."""
    name: str = ""
    """What to call it where one diagnosis has several faults."""
    releases: tuple[Release, ...] = ()
    """The only ones that have it, where not all do."""
    blamed: str = ""
    """The one that is blamed, where a layer further out shows it, too; else this one."""
    differs: bool = False
    """Whether the releases differ in it: it is made on each, where others take turns."""
    asked: str = ""
    """Where somebody asked about it in public."""
    full: bool = False
    """Whether it is made with --full only."""

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.id}{f' ({self.name})' if self.name else ''}"


def mc(edit: str) -> str:
    """An edit of sendmail.mc by sed, and all that follows."""
    return f"sed -i -e '{edit}' {MC} && {ANEW}"


def submission(modifiers: str) -> str:
    """Other modifiers for port 587."""
    return mc(f"s/\\(Port=submission.*\\)M=[A-Za-z]*/\\1M={modifiers}/")


CERTIFICATE = r"""
d=$(mktemp -d); cd $d; touch index; echo 01 > serial
printf '[ca]\ndefault_ca=x\n[x]\nnew_certs_dir=.\ndatabase=index\nserial=serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' > ca.cnf
openssl req -new -key /etc/mail/tls/sendmail-common.key -subj /CN=NAME -out r.csr 2>/dev/null
openssl ca -batch -config ca.cnf -selfsign -keyfile /etc/mail/tls/sendmail-common.key -in r.csr -startdate FROM -enddate TO -out c.pem -notext >/dev/null 2>&1
cat c.pem > /etc/mail/tls/sendmail-server.crt; systemctl restart sendmail
"""


def dated(begin: str, end: str, name: str = "mail.example.test") -> str:
    """A self-signed certificate of other dates, with the key that is there."""
    return CERTIFICATE.replace("NAME", name).replace("FROM", begin).replace("TO", end)


OWN = "/etc/own/live/mail"
_OWN_PAIR = f"""
mkdir -p {OWN} /etc/own/archive/mail && cd /etc/own/archive/mail || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -keyout key1.pem -out chain1.pem -days 80 -subj /CN=mail.example.test -addext subjectAltName=DNS:mail.example.test 2>/dev/null
chown root:mail key1.pem; chmod 640 key1.pem; ln -sf ../../archive/mail/key1.pem {OWN}/key.pem; ln -sf ../../archive/mail/chain1.pem {OWN}/chain.pem
SPOIL
sed -i "/^MAILER_DEFINITIONS/i define(\\`confSERVER_CERT', \\`{OWN}/chain.pem')dnl\\ndefine(\\`confSERVER_KEY', \\`{OWN}/key.pem')dnl\\nMORE" {MC}
cd /etc/mail && m4 sendmail.mc > sendmail.cf; {SENDMAIL}
"""
_GONE = "rm -rf /etc/own"


def own(spoil: str, more: str = "dnl") -> str:
    """A pair of the admin's own behind links, as certbot lays it out, and what is wrong with it; `more` is a line of
    sendmail.mc."""
    return _OWN_PAIR.replace("SPOIL", spoil).replace("MORE", more)


_ISSUED = """
cd /etc/own/archive/mail; openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/ca.key -out ca.pem -days 900 -subj "/CN=Test root" 2>/dev/null
openssl req -new -key key1.pem -subj /CN=mail.example.test -out /tmp/r.csr
printf 'subjectAltName=DNS:mail.example.test\nEXTENSION\n' > /tmp/x.cnf
openssl x509 -req -in /tmp/r.csr -CA ca.pem -CAkey /tmp/ca.key -set_serial 7 -days 80 -extfile /tmp/x.cnf -out chain1.pem 2>/dev/null
"""
_PUBLIC = _ISSUED.replace("EXTENSION", "1.3.6.1.4.1.11129.2.4.2=DER:04:02:05:00")
"""With the extension that authorities of the web add."""

LISTENER = (
    Fault(
        "hostname-unresolved",
        "name",
        "sed -i /127.0.1.1/d /etc/hosts",
        asked="https://github.com/hashbangcode/vlad/issues/298",
    ),
    Fault(
        "hostname-unqualified",
        "name",
        "sed -i 's/^127.0.0.1.*/127.0.0.1 localhost mail/' /etc/hosts",
        sign="warning",
        name="behind localhost",
        asked="https://selliott.org/node/40",
        full=True,
    ),
    Fault(
        "hostname-unqualified",
        "name",
        "sed -i 's/^127.0.1.1.*/127.0.1.1 mail mail.example.test/' /etc/hosts",
        sign="warning",
        name="the short name first",
        full=True,
        asked="https://github.com/davidalger/devenv/pull/57",
    ),
    Fault(
        "hostname-unqualified",
        "name",
        "sed -i 's/^127.0.1.1.*/127.0.1.1 mail.example.test. mail/' /etc/hosts",
        sign="warning",
        name="a dot at the end",
        full=True,
    ),
    Fault(
        "hostname-unqualified",
        "name",
        "sed -i -e 's/^::1.*/::1 localhost mail/' -e '/^127.0.1.1/d' /etc/hosts",
        sign="warning",
        name="behind localhost of IPv6",
        full=True,
    ),
    Fault(
        "hostname-elsewhere",
        "name",
        "sed -i 's/^127.0.1.1.*/192.0.2.99 mail.example.test mail/' /etc/hosts",
        sign="warning",
        fix=False,
        full=True,
    ),
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
    Fault(
        "sendmail-dead",
        "listener",
        "systemctl -q mask --now sendmail",
        undo="systemctl -q unmask sendmail",
        name="masked",
        full=True,
    ),
    Fault(
        "sendmail-overridden",
        "listener",
        "mkdir -p /etc/systemd/system/sendmail.service.d; printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/sendmial -bd\\n'"
        f" > /etc/systemd/system/sendmail.service.d/own.conf; systemctl daemon-reload; {SENDMAIL}; true",
        undo="systemctl revert sendmail",
        fix=False,
        full=True,
    ),
    Fault("cf-broken", "listener", f"echo 'Ojunk' > {CF}; {SENDMAIL}", back="no"),
    Fault(
        "cf-broken", "listener", f"rm {CF}; pkill -9 -x sendmail-mta", back="no", name="missing", full=True
    ),
    Fault(
        "cf-broken",
        "listener",
        f'sed -i "s/^dnl # Items controlled/define(\\`x\',/" {MC}; {ANEW}',
        blamed="mc-broken",
        back="refused",
        name="m4 takes it, sendmail does not",
    ),
    Fault(
        "mc-broken",
        "listener",
        f'printf "define(\\`confX\', \\`y)dnl\\n" >> {MC}; {ANEW}; true',
        back="refused",
    ),
    Fault(
        "mc-broken", "listener", mc("/Port=submission/s/.)dnl/dnl/"), back="refused", name="no end", full=True
    ),
    Fault("mc-missing", "listener", f"rm {MC}", fix=False, sign="warning"),
    Fault(
        "mc-typo",
        "listener",
        f'echo "DEAMON_OPTIONS(\\`Family=inet, Name=X, Port=2525\')dnl" >> {MC}',
        sign="warning",
        back="refused",
        full=True,
    ),
    Fault("mc-typo", "listener", mc("s/^DAEMON_OPTIONS/DAEMON_OPTION/"), back="refused", name="and in use"),
    Fault(
        "mc-typo",
        "listener",
        mc("s/no_default_msa/no_default_mas/"),
        back="refused",
        name="feature",
        full=True,
        asked="https://github.com/OpenIndiana/oi-userland/pull/4713",
    ),
    Fault(
        "hands-off",
        "listener",
        "sed -i 's/^HANDS_OFF=.*/HANDS_OFF=\"Yes\";/' /etc/mail/sendmail.conf",
        sign="warning",
    ),
    Fault(
        "daemon-mode",
        "listener",
        f"sed -i 's/^DAEMON_MODE=.*/DAEMON_MODE=\"None\";/' /etc/mail/sendmail.conf; {SENDMAIL}",
        back="refused",
        full=True,
    ),
    Fault(
        "cf-differs",
        "auth-offer",
        f"sed -i 's/^O AuthMechanisms=.*/O AuthMechanisms=EXTERNAL/' {CF}; {SENDMAIL}",
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
        asked="http://prefetch.net/blog/index.php/2017/08/30/how-i-saved-myself-3-months-of-frustration-by-finding-and-fixing-a-sendmail-bug-on-a-vendors-appliance/",
    ),
    Fault("loopback-only", "listener", mc("s/Port=submission/Port=submission, Addr=127.0.0.1/")),
    Fault(
        "submission-missing",
        "listener",
        mc("/Port=submission/d"),
        asked="https://wiki.fysik.dtu.dk/ITwiki/SMTP_AUTH_server/",
    ),
    Fault("submission-elsewhere", "listener", mc("s/Port=submission/Port=2587/"), full=True),
    Fault(
        "listener-missing",
        "listener",
        f"sed -i -e '/Port=submission/p' -e '/Port=submission/s/MSP-v4, Port=submission/MSP-X, Port=2525/' {MC}"
        " && yes '' | sendmailconfig --no-reload >/dev/null 2>&1",
        back="no",
        asked="http://domainhostseotool.com/how-to-set-up-sendmail-on-centos.html",
    ),
    Fault("sendmail-boot", "listener", "systemctl disable sendmail >/dev/null 2>&1", differs=True),
    Fault("default-msa", "listener", mc("/no_default_msa/d"), back="refused"),
    Fault(
        "listeners-collide",
        "listener",
        f"sed -i '/^O DaemonPortOptions.*submission/p' {CF}; {SENDMAIL}",
        back="refused",
    ),
    Fault(
        "listeners-collide",
        "listener",
        mc("/Name=MTA-v4/a DAEMON_OPTIONS(\\x60Port=587, Name=Own, M=E\\x27)dnl"),
        back="refused",
        name="in sendmail.mc",
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
        asked="https://nerdbynature.de/index-73.html",
    ),
    Fault(
        "access-refuses",
        "greeting",
        f"sed -i 's/^Connect:127.*RELAY/Connect:127\\tREJECT/' /etc/mail/access; make -C /etc/mail access.db >/dev/null; {SENDMAIL}",
    ),
    Fault("starttls-include", "starttls", mc("/starttls.m4/d")),
    Fault(
        "starttls-m4",
        "starttls",
        f": > /etc/mail/tls/starttls.m4; cd /etc/mail; m4 sendmail.mc > sendmail.cf; {SENDMAIL}",
        back="no",
    ),
    Fault("starttls-off", "starttls", submission("EaS"), full=True),
    Fault("certificate-missing", "starttls", f"rm {CRT}; {SENDMAIL}", name="certificate"),
    Fault("certificate-missing", "starttls", f"rm {KEY}; {SENDMAIL}", name="key", full=True),
    Fault("key-unsafe", "starttls", f"chmod 644 {KEY}; {SENDMAIL}"),
    Fault("key-unsafe", "starttls", own("chmod 660 key1.pem"), undo=_GONE, name="own, behind links"),
    Fault(
        "key-unsafe",
        "starttls",
        own("chmod 640 key1.pem", "define(`confDONT_BLAME_SENDMAIL', `safe')dnl".replace("`", "\\`")),
        undo=_GONE,
        name="own, readable for its group",
        full=True,
    ),
    Fault(
        "key-unsafe",
        "starttls",
        own("chown games key1.pem"),
        undo=_GONE,
        fix=False,
        name="own, of another user",
        full=True,
        asked="https://github.com/OpenSMTPD/OpenSMTPD/issues/478",
    ),
    Fault(
        "key-unsafe",
        "starttls",
        own("chmod 775 /etc/own/live"),
        undo=_GONE,
        fix=False,
        name="own, in an open folder",
        full=True,
    ),
    Fault("certificate-unsafe", "starttls", f"chmod 664 {CRT}; {SENDMAIL}", full=True),
    Fault(
        "certificate-missing",
        "starttls",
        own("rm chain1.pem"),
        undo=_GONE,
        fix=False,
        name="own, the link leads nowhere",
        full=True,
    ),
    Fault(
        "authorities-unusable",
        "starttls",
        own("true", "define(`confCACERT', `/etc/own/none.pem')dnl".replace("`", "\\`")),
        undo=_GONE,
        fix=False,
    ),
    Fault(
        "key-mismatch",
        "starttls",
        own("openssl pkey -in key1.pem -aes256 -passout pass:x -out k && cat k > key1.pem"),
        undo=_GONE,
        fix=False,
        name="own, with a pass phrase",
        full=True,
    ),
    Fault(
        "key-mismatch",
        "starttls",
        f"openssl genrsa -out {KEY} 2048 2>/dev/null; {SENDMAIL}",
        asked="https://github.com/sovereign/sovereign/issues/31",
    ),
    Fault("key-mismatch", "starttls", f"echo junk > {CRT}; {SENDMAIL}", name="spoilt certificate", full=True),
    Fault("tls-on-connect", "starttls", submission("Eas"), full=True),
    Fault(
        "certificate-expired",
        "certificate",
        dated("20200101000000Z", "20210101000000Z"),
        asked="https://newbetuts.com/667692-reason-403-470-tls-handshake-failed",
    ),
    Fault("certificate-not-yet-valid", "certificate", dated("20400101000000Z", "20410101000000Z"), full=True),
    Fault(
        "certificate-name",
        "certificate",
        dated("20200101000000Z", "20400101000000Z", "smtp.example.org"),
        sign="warning",
        fix=False,
    ),
    Fault(
        "certificate-chain",
        "certificate",
        own(_PUBLIC),
        undo=_GONE,
        fix=False,
        name="of a public authority",
        asked="https://github.com/dawidd6/action-send-mail/issues/20",
    ),
    Fault(
        "certificate-chain",
        "certificate",
        own(_ISSUED.replace("EXTENSION", "")),
        undo=_GONE,
        fix=False,
        sign="warning",
        name="of an authority of one's own",
        full=True,
    ),
    Fault(
        "certificate-authority",
        "certificate",
        own(
            _PUBLIC + "cat ca.pem >> chain1.pem",
            f"define(`confCACERT', `{OWN}/chain.pem')dnl".replace("`", "\\`"),
        ),
        undo=_GONE,
        fix=False,
        sign="warning",
        full=True,
        asked="https://github.com/nodemailer/nodemailer/issues/406",
    ),
    Fault(
        "certificate-not-own",
        "certificate",
        f"touch -r {CRT} /tmp/t; openssl req -x509 -new -key {KEY} -subj /CN=mail.example.test -days 99 "
        f"-out /tmp/c.pem && cat /tmp/c.pem > {CRT}; touch -r /tmp/t {CRT}",
        back="no",
        asked="https://github.com/YunoHost/issues/issues/2103",
    ),
    Fault("certificate-no-alternative-name", "certificate", "true", sign="warning", fix=False),
)
"""Greeting, STARTTLS, certificate."""


def of(release: Release, group: tuple[Fault, ...], *, every: bool) -> list[Fault]:
    """The faults of a group that are made on this release: all of them, or its turn's."""
    first = release == RELEASES[0]
    turns = [item for item in group if not item.differs and not item.releases and (every or not item.full)]
    mine = turns if every else turns[0 if first else 1 :: 2]
    chosen = [item for item in group if item in mine or item.differs or release in item.releases]
    return [item for item in chosen if every or not item.full]


REPAIR = """
systemctl reset-failed saslauthd sendmail 2>/dev/null
[ -z "{sendmail}" ] || {{ systemctl stop sendmail; pkill -9 -x sendmail-mta; }}
pkill -CONT -x sendmail-mta; pkill -CONT -x saslauthd; pkill -9 -x saslauthd
rm -rf /etc/mail /etc/pam.d; cp -a /root/good/mail /root/good/pam.d /etc/
for f in hosts hosts.allow hosts.deny passwd shadow group gshadow; do cat /root/good/$f > /etc/$f; done
cat /root/good/saslauthd > /etc/default/saslauthd; cp -a /root/good/Sendmail.conf /usr/lib/sasl2/
chown root:sasl /run/saslauthd; chmod 0710 /run/saslauthd
systemctl -q enable saslauthd sendmail 2>/dev/null
rm -f /run/saslauthd/cache.*; systemctl restart saslauthd {sendmail}
"""
"""By hand: everything as `apply` had left it, and no daemon left that still tries to open its listeners; sendmail need not be restarted where nothing that it reads was changed."""

KEEP = """
mkdir /root/good; cp -a /etc/mail /etc/pam.d /etc/hosts /etc/hosts.allow /etc/passwd /etc/shadow /etc/group /etc/gshadow /root/good/
cp -a /etc/default/saslauthd /usr/lib/sasl2/Sendmail.conf /root/good/; touch /etc/hosts.deny; cp -a /etc/hosts.deny /root/good/
"""
"""What REPAIR needs."""
