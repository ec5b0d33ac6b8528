"""What the ports for mail clients take of TLS that RFC 8996 and RFC 9325 advise against (the step tls-policy)."""

from __future__ import annotations

from wizard.model.plan import Sign
from wizard.smtp.handshakes import weak
from wizard.steps.tls_policy import CHOOSE
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend


def _weak(picture: Picture) -> Finding | None:
    kinds = weak(picture.weak_tls)
    if not kinds:
        return None
    words = ", ".join(kind.says for kind in kinds)
    return Finding(
        f"mail clients may log in with TLS that is advised against today: {words}",
        tuple(Evidence(f"{kind.says}: taken", "a handshake with this host") for kind in kinds),
        Mend(
            text=f"`{CHOOSE}` refuses it on the ports for mail clients; who came with it lately is named first"
        ),
        Sign.WARNING,
    )


DIAGNOSES = (
    Diagnosis(
        "weak-tls",
        Layer.STARTTLS,
        "a security scanner complains of TLS on port 587 or 465",
        "",
        "handshakes of each kind",
        _weak,
        cause="the ports for mail clients take TLS 1.0 or 1.1, or ciphers without forward secrecy (RFC 8996, RFC 9325)",
        fix=f"`{CHOOSE}`",
    ),
)
