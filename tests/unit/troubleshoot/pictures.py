"""Pictures of a sound machine, to be changed in one thing."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from tests.unit.steps.recorded import NOW, file, machine
from wizard.certificates import Certificate
from wizard.gather.certificates import CertificateFiles
from wizard.gather.pam import Pam, PamLine
from wizard.model import facts as f
from wizard.model.facts import Facts, Process, Service
from wizard.sendmail.cf import Daemon, daemons
from wizard.system.sockets import Listener
from wizard.troubleshoot.account import Account, Shadow
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.probe_smtp import Conversation
from wizard.troubleshoot.storage import CLIENT_QUEUE, FOLDERS, MTA_QUEUE, Folder, Queue, Storage

SUBMISSION = "O DaemonPortOptions=Family=inet,  Name=MSP-v4, Port=submission, M=Ea"
CF = (
    ("# " + "x" * 78 + "\n") * 300
    + f"""O AuthMechanisms=LOGIN PLAIN
O AuthOptions=p y
O ServerCertFile={f.SERVER_CERT}
O ServerKeyFile={f.COMMON_KEY}
C{{TrustAuthMech}} LOGIN PLAIN
O DaemonPortOptions=Family=inet,  Name=MTA-v4, Port=smtp, M=A
{SUBMISSION}
"""
)
"""What counts of a sendmail.cf."""
CERTIFICATE = Certificate(
    subject="Common Name: mail.example.test",
    issuer="Common Name: mail.example.test",
    names=("mail.example.test",),
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2036, 1, 1, tzinfo=UTC),
    self_signed=False,
    key="RSA 2048",
    fingerprint_sha256="0" * 64,
    trusted=False,
    problem=None,
)
SHADOW = Shadow(
    locked=False, empty=False, never=False, changed=20_000, most=99_999, inactive=None, expires=None
)
ALICE = Account("alice", "/bin/bash", SHADOW, right=True, today=20_700)
SENDMAIL = Process(1, "sendmail-mta", ("x",), NOW)
SASLAUTHD = ("/usr/sbin/saslauthd", "-a", "pam", "-c", "-m", "/var/run/saslauthd")
FOLDER = Folder("", there=True, mode=0o2750, free_kib=10**7, free_inodes=10**6)


def facts(**overrides: Any) -> Facts:
    """A Debian 12 with the howto done."""
    conf = file("pwcheck_method: saslauthd\nmech_list: LOGIN PLAIN\n")
    default = file('START=yes\nMECHANISMS="pam"\nOPTIONS="-c -m /var/run/saslauthd"\n')
    mc = "".join(f"include(`{path}')dnl\n" for path in (f.SASL_M4, f.STARTTLS_M4))
    files = {
        f.SENDMAIL_MC: file(mc),
        f.SENDMAIL_CF: file(CF),
        f.SASL_CONF: conf,
        f.SASLAUTHD_DEFAULT: default,
    }
    services = {name: Service(name, True, True, "active (running)") for name in ("sendmail", "saslauthd")}
    values: dict[str, Any] = {
        "packages": dict.fromkeys(("sendmail-bin", "sendmail-cf", "sasl2-bin", "libsasl2-modules"), "8"),
        "services": services,
        "processes": (SENDMAIL, Process(2, "saslauthd", SASLAUTHD, NOW)),
        "listeners": tuple(Listener("0.0.0.0", port, "sendmail-mta", 1) for port in (25, 587)),
        "saslauthd_says": "NO",
        "cf_from_mc": CF,
    }
    files |= overrides.pop("files", {})
    return machine("12", files=files, **(values | overrides))


def conversation(port: int, **overrides: Any) -> Conversation:
    """One that goes through."""
    found = [item for item in daemons(CF) if item.port == port]
    talk = Conversation(
        found[0] if found else Daemon("X", "inet", "", port, "a"),
        "127.0.0.1",
        greeting="220 mail.example.test ESMTP Sendmail 8.17.1.9",
        code=220,
        features=frozenset({"starttls"}),
        offered=() if port == 25 else ("LOGIN", "PLAIN"),
        tls="TLSv1.3",
        certificate=CERTIFICATE,
        mail_before_auth="" if port == 25 else "ok",
        transcript=("< 220 mail.example.test ESMTP Sendmail",),
    )
    return dataclasses.replace(talk, **overrides)


def picture(**overrides: Any) -> Picture:
    """A sound machine, changed in what is given; `talk` changes the conversation on 587."""
    talk = overrides.pop("talk", {})
    auth = PamLine(
        "/etc/pam.d/common-auth", 17, "auth required pam_unix.so", "auth", "required", "pam_unix.so"
    )
    values: dict[str, Any] = {
        "facts": facts(**overrides.pop("facts", {})),
        "now": datetime(2026, 11, 1, tzinfo=UTC).timestamp(),
        "name_addresses": ("127.0.1.1",),
        "conversations": (conversation(25), conversation(587, **talk)),
        "log": (),
        "texts": {Text.PID_FILE: "1\n/usr/sbin/sendmail-mta -Am -L sm-mta -bd -q10m\n"},
        "pam": Pam(f.PAM_SMTP, (auth,)),
        "storage": Storage(
            tuple(dataclasses.replace(FOLDER, path=path) for path in FOLDERS),
            (Queue(MTA_QUEUE), Queue(CLIENT_QUEUE)),
        ),
        "files": CertificateFiles(f.SERVER_CERT, f.COMMON_KEY, file("c"), file("k", 0o640), "", CERTIFICATE),
        "mux_mode": 0o710,
        "began": datetime(2026, 11, 1, tzinfo=UTC).timestamp(),
    }
    return Picture(**(values | overrides))
