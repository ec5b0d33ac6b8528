"""Values that keep clients out: ciphers, versions of TLS, trust, connections at once, modifiers of 465; and their fixes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import CERTIFICATE, CF, conversation, picture
from wizard.gather.tls import key_kinds
from wizard.maillog.read import LOG, LogLine
from wizard.mends.mc_values import (
    SUITES,
    MendChildren,
    MendCipherList,
    MendMechanisms,
    MendTlsVersions,
    MendTrust,
    listing,
)
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.plan import Sign
from wizard.sendmail.cf import Daemon
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.verdict import judge

_BROKEN = {"stopped": Layer.STARTTLS, "why": "the TLS handshake failed", "offered": ()}


def _with(lines: str, mc: str = "", **changes: Any) -> Picture:
    includes = "".join(f"include(`{path}')dnl\n" for path in (f.SASL_M4, f.STARTTLS_M4))
    cf = CF + lines
    files = {f.SENDMAIL_CF: file(cf), f.SENDMAIL_MC: file(includes + mc)}
    suites = key_kinds(lines)
    return picture(facts={"files": files, "cf_from_mc": cf}, suites=suites, **changes)


def _tls(lines: str, *, key: str = "RSA 2048", **changes: Any) -> Fault | None:
    seen = _with(lines, **changes)
    parsed = dataclasses.replace(CERTIFICATE, key=key)
    return judge(dataclasses.replace(seen, files=dataclasses.replace(seen.files, parsed=parsed))).fault(
        "tls-settings"
    )


@pytest.mark.parametrize(
    ("options", "key", "sign", "step"),
    [
        ("O CipherList=ECDHE-ECDSA-AES128-GCM-SHA256\nO ServerSSLOptions=+SSL_OP_NO_TLSv1_3\n", "RSA 2048", "failed", "mend-cipher-list"),
        ("O CipherList=ECDHE-ECDSA-AES128-GCM-SHA256\n", "RSA 2048", "warning", "mend-cipher-list"),
        ("O CipherList=ECDHE-ECDSA-AES128-GCM-SHA256\n", "EC secp256r1", "", ""),
        ("O CipherList=AES128-SHA\nO ServerSSLOptions=SSL_OP_NO_TLSv1_3\n", "EC secp256r1", "failed", "mend-cipher-list"),
        ("O CipherList=RUBBISH\n", "RSA 2048", "warning", "mend-cipher-list"),
        ("O CipherList=HIGH:@SECLEVEL=3\n", "RSA 2048", "failed", "mend-cipher-list"),
        ("O CipherList=HIGH:@SECLEVEL=3\n", "RSA 4096", "", ""),
        ("O CipherList=HIGH:@SECLEVEL=3\n", "EC secp256r1", "", ""),
        ("O CipherList=HIGH:@SECLEVEL=4\n", "EC secp384r1", "", ""),
        ("O CipherList=HIGH\n", "Ed25519", "", ""),
        ("O ServerSSLOptions=+SSL_OP_NO_TLSv1_2 +SSL_OP_NO_TLSv1_3\n", "RSA 2048", "failed", "mend-tls-versions"),
        ("O ServerSSLOptions=-SSL_OP_NO_TLSv1_2 +SSL_OP_NO_TLSv1_3\n", "RSA 2048", "", ""),
    ],
)  # fmt: skip
def test_ciphers_and_versions_are_held_against_the_key(options: str, key: str, sign: str, step: str) -> None:
    fault = _tls(options, key=key, **({"talk": _BROKEN} if sign == "failed" else {}))
    assert (fault.sign if fault else "") == sign
    if fault is not None:
        assert fault.finding.mend.steps[0] == step
        assert key in fault.finding.cause or step == "mend-tls-versions"


def test_a_list_in_a_file_of_the_admins_own_is_a_persons() -> None:
    own = {"/etc/mail/own.m4": "define(`confCIPHER_LIST', `aECDSA')dnl\n"}
    fault = _tls("O CipherList=aECDSA\n", mc="include(`/etc/mail/own.m4')dnl\n", included=own)
    assert fault is not None
    assert fault.finding.mend.steps == ()
    assert "/etc/mail/own.m4 line 1" in fault.finding.mend.text


def test_what_the_daemon_has_not_read_yet_is_a_warning() -> None:
    fault = _tls("O CipherList=aECDSA\nO ServerSSLOptions=+SSL_OP_NO_TLSv1_3\n")
    assert fault is not None
    assert (fault.sign, "after the next restart" in fault.finding.cause) == ("warning", True)


def test_a_handshake_that_failed_is_blamed_on_them() -> None:
    blamed = judge(_with("O CipherList=aECDSA\n", talk=_BROKEN)).blamed
    assert blamed is not None
    assert blamed.id == "tls-settings"


def test_a_key_that_is_too_short_is_no_mismatch() -> None:
    seen = picture()
    files = dataclasses.replace(seen.files, pair="its key is too short for today's OpenSSL")
    found = judge(dataclasses.replace(seen, files=files)).fault("key-mismatch")
    assert found is not None
    assert "too short" in found.finding.cause


def test_the_fixes_keep_what_is_good_of_a_value() -> None:
    better = MendCipherList().better
    assert better("ECDHE-ECDSA-AES128-GCM-SHA256").startswith("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-")
    assert better("ALL:!aRSA:!MD5@SECLEVEL=3") == f"ALL:!MD5:{SUITES}"
    assert better("") == ""
    versions = MendTlsVersions().better
    assert versions("+SSL_OP_NO_TLSv1_2 -SSL_OP_NO_TLSv1_3 SSL_OP_ALL") == "-SSL_OP_NO_TLSv1_3 SSL_OP_ALL"
    assert versions("+SSL_OP_NO_TLSv1_2")
    assert versions("") == ""
    assert [MendChildren().better(now) for now in ("2", "30", "40", "0", "", "x")] == [
        "40",
        "60",
        "40",
        "0",
        "",
        "x",
    ]


def test_a_define_is_changed_in_its_line() -> None:
    seen = _with("O MaxDaemonChildren=3\n", "define(`confMAX_DAEMON_CHILDREN', `3')dnl\n")
    plan = MendChildren().plan(seen.facts, Answers())
    assert plan.outcome == "pending"
    [change] = plan.changes
    assert b"define(`confMAX_DAEMON_CHILDREN', `40')dnl\n" in change.after.content  # type: ignore[attr-defined]
    assert MendChildren().plan(picture().facts, Answers()).outcome == "done"


def test_too_many_processes_are_not_called_load() -> None:
    said = LogLine(2e9, "sm-mta", 1, "rejecting connections on daemon MSP-v4: 3 children, max 3")
    seen = _with("O MaxDaemonChildren=3\n", log=(said,))
    shut = dataclasses.replace(seen.facts, listeners=())
    verdict = judge(dataclasses.replace(seen, facts=shut))
    assert verdict.blamed is not None
    assert (verdict.blamed.id, verdict.blamed.layer) == ("connections-full", Layer.LISTENER)
    assert verdict.fault("listener-missing") is None
    forged = dataclasses.replace(seen, facts=shut, log=(dataclasses.replace(said, file=LOG),))
    assert judge(forged).fault("connections-full") is None
    large = dataclasses.replace(_with("O MaxDaemonChildren=200\n", log=(said,)).facts, listeners=())
    found = judge(dataclasses.replace(_with("O MaxDaemonChildren=200\n", log=(said,)), facts=large)).fault(
        "connections-full"
    )
    assert found is not None
    assert not found.finding.mend.steps


_LACKS = "TRUST_AUTH_MECH(`DIGEST-MD5')dnl   # <= EDIT\nTRUST_AUTH_MECH(`EXTERNAL')\n"


def _untrusted(**files: str) -> Picture:
    cf = CF.replace("C{TrustAuthMech} LOGIN PLAIN", "C{TrustAuthMech}DIGEST-MD5")
    includes = "".join(f"include(`{path}')dnl\n" for path in files if path != f.SENDMAIL_MC)
    texts = {f.SENDMAIL_MC: includes, **files}
    entries = {f.SENDMAIL_CF: file(cf), **{path: file(text) for path, text in texts.items()}}
    return picture(
        facts={"files": entries, "cf_from_mc": cf},
        included={path: text for path, text in files.items() if path != f.SENDMAIL_MC},
    )


def test_what_is_not_trusted_is_put_into_the_line_that_lacks_it() -> None:
    assert (
        listing(
            "dnl TRUST_AUTH_MECH(`X')\nTRUST_AUTH_MECH(`EXTERNAL')\n", MendTrust.line, frozenset({"LOGIN"})
        )
        is None
    )
    seen = _untrusted(**{f.SASL_M4: _LACKS})
    fault = judge(seen).blamed
    assert fault is not None
    assert (fault.id, fault.finding.mend.steps[0]) == ("mechanisms-not-trusted", "mend-trust")
    assert fault.finding.evidence[-1].source == f"{f.SASL_M4} line 1"
    [change] = MendTrust().plan(seen.facts, Answers()).changes
    assert change.after.content.decode() == _LACKS.replace("DIGEST-MD5", "DIGEST-MD5 LOGIN PLAIN")  # type: ignore[attr-defined]
    own = "TRUST_AUTH_MECH(`LOGIN')dnl\n"
    seen = _untrusted(**{f.SENDMAIL_MC: own})
    [change] = MendTrust().plan(seen.facts, Answers()).changes
    assert b"TRUST_AUTH_MECH(`LOGIN PLAIN')dnl" in change.after.content  # type: ignore[attr-defined]


def test_in_a_file_of_the_admins_own_a_person_acts() -> None:
    fault = judge(_untrusted(**{"/etc/mail/own.m4": "TRUST_AUTH_MECH(`GSSAPI')dnl\n"})).blamed
    assert fault is not None
    assert "/etc/mail/own.m4 line 1" in fault.finding.mend.text


def test_a_listener_for_programs_of_the_host_is_no_fault_beside_another() -> None:
    web = Daemon("web", "inet", "127.0.0.1", 587, "E")
    talks = (conversation(587), conversation(587, daemon=web, mail_before_auth="failed"))
    option = "O DaemonPortOptions=Name=web, Port=587, Addr=127.0.0.1, M=E\n"
    beside = {f.SENDMAIL_CF: file(CF + option)}
    assert judge(picture(facts={"files": beside}, conversations=talks)).fault("auth-not-required") is None
    alone = {
        f.SENDMAIL_CF: file(
            "".join(line for line in CF.splitlines(True) if "submission" not in line) + option
        )
    }
    assert judge(picture(facts={"files": alone}, conversations=talks)).fault("auth-not-required") is not None


def test_port_465_is_named_and_its_line_fixed() -> None:
    open_one = conversation(465, daemon=Daemon("TLSMTA", "inet", "", 465, "s"), mail_before_auth="failed")
    found = judge(picture(conversations=(conversation(587), open_one))).fault("auth-not-required")
    assert found is not None
    assert "port 465 (Name=TLSMTA)" in found.finding.cause
    assert "587" not in found.finding.cause
    assert found.finding.mend.steps
    local = dataclasses.replace(open_one, daemon=dataclasses.replace(open_one.daemon, address="127.0.0.1"))
    found = judge(picture(conversations=(conversation(587), local))).fault("auth-not-required")
    assert found is not None
    assert "M=sa" in found.finding.mend.text


def test_lines_count_in_the_order_in_which_m4_reads_them() -> None:
    mc = "define(`confX', `1')\ninclude(`/etc/mail/x.m4')dnl\ndnl define(`confX', `3')\n"
    seen = picture(
        facts={"files": {f.SENDMAIL_MC: file(mc)}}, included={"/etc/mail/x.m4": "\ndefine(`confX', `2')\n"}
    )
    assert [item.source for item in seen.written("confX")] == ["/etc/mail/x.m4 line 2"]
    assert seen.written("confY") == ()


_M4 = "define(`confAUTH_MECHANISMS',dnl\n`CRAM-MD5')dnl   # <= EDIT\n"


def _no_mechanism(**files: str) -> Picture:
    cf = CF.replace("AuthMechanisms=LOGIN PLAIN", "AuthMechanisms=CRAM-MD5")
    seen = _untrusted(**files)
    held = {**seen.facts.files, f.SENDMAIL_CF: file(cf)}
    facts = dataclasses.replace(seen.facts, files=held, cf_from_mc=cf)
    talk = conversation(587, stopped=Layer.AUTH_OFFER, why="it offers no LOGIN", offered=("CRAM-MD5",))
    return dataclasses.replace(seen, facts=facts, conversations=(talk,))


def test_mechanisms_come_into_the_line_that_lacks_them() -> None:
    seen = _no_mechanism(**{f.SASL_M4: _M4})
    blamed = judge(seen).blamed
    assert blamed is not None
    assert (blamed.id, blamed.finding.mend.steps[0]) == ("mechanisms", "mend-mechanisms")
    [change] = MendMechanisms().plan(seen.facts, Answers()).changes
    assert b"`CRAM-MD5 LOGIN PLAIN')dnl   # <= EDIT" in change.after.content  # type: ignore[attr-defined]
    line = "define(`confAUTH_MECHANISMS', `GSSAPI')dnl\n"
    blamed = judge(_no_mechanism(**{f.SENDMAIL_MC: line})).blamed
    assert blamed is not None
    assert blamed.finding.mend.steps[0] == "mc-includes"
    blamed = judge(_no_mechanism(**{f.SASL_M4: _M4, "/etc/mail/own.m4": line})).blamed
    assert blamed is not None
    assert "/etc/mail/own.m4 line 1" in blamed.finding.mend.text


def test_clear_text_allowed_in_a_file_of_the_admins_own_is_a_persons() -> None:
    mc = "define(`confAUTH_OPTIONS', `p')dnl\ninclude(`/etc/mail/own.m4')dnl\n"
    cf = CF.replace("AuthOptions=p y", "AuthOptions=A")
    files = {f.SENDMAIL_MC: file(mc), f.SENDMAIL_CF: file(cf)}
    found = judge(
        picture(
            facts={"files": files, "cf_from_mc": cf},
            included={"/etc/mail/own.m4": "define(`confAUTH_OPTIONS', `A')dnl\n"},
        )
    ).fault("auth-in-clear")
    assert found is not None
    assert "/etc/mail/own.m4 line 1" in found.finding.mend.text


@pytest.mark.parametrize(
    ("talk", "offers"),
    [
        ({"offered": ()}, "no login"),
        (
            {"clear": ("DIGEST-MD5", "CRAM-MD5"), "offered": ()},
            "DIGEST-MD5 CRAM-MD5, and neither LOGIN nor PLAIN",
        ),
        ({"offered": ("CRAM-MD5",)}, "CRAM-MD5, and neither LOGIN nor PLAIN"),
    ],
)
def test_without_sasl_m4_it_names_what_sendmail_offers(talk: dict[str, Any], offers: str) -> None:
    cf = CF.replace("O AuthMechanisms", "#O AuthMechanisms")
    files = {f.SENDMAIL_MC: file(f"include(`{f.STARTTLS_M4}')dnl\n"), f.SENDMAIL_CF: file(cf)}
    fault = judge(picture(facts={"files": files, "cf_from_mc": cf}, talk=talk)).fault("sasl-include")
    assert fault is not None
    assert fault.finding.cause == f"sendmail.mc does not include sasl.m4: sendmail offers {offers}"


@pytest.mark.parametrize(
    ("talk", "sign", "cause"),
    [
        ({"clear": ("LOGIN",)}, Sign.FAILED, "LOGIN and PLAIN are accepted before STARTTLS"),
        ({}, Sign.FAILED, "LOGIN and PLAIN are accepted before STARTTLS"),
        (
            {"offered": (), "stopped": Layer.STARTTLS},
            Sign.WARNING,
            "LOGIN and PLAIN would be accepted before STARTTLS as soon as sendmail offers them",
        ),
        (
            {"clear": ("DIGEST-MD5", "CRAM-MD5"), "offered": (), "stopped": Layer.STARTTLS},
            Sign.WARNING,
            "LOGIN and PLAIN would be accepted before STARTTLS as soon as sendmail offers them",
        ),
    ],
)
def test_no_password_crosses_in_clear_where_neither_login_nor_plain_is_offered(
    talk: dict[str, Any], sign: Sign, cause: str
) -> None:
    cf = CF.replace("AuthOptions=p y", "AuthOptions=A")
    fault = judge(picture(facts={"files": {f.SENDMAIL_CF: file(cf)}, "cf_from_mc": cf}, talk=talk)).fault(
        "auth-in-clear"
    )
    assert fault is not None
    assert fault.sign is sign
    assert fault.finding.cause.startswith(cause)


@pytest.mark.parametrize(
    "changes",
    [
        {"conversations": (conversation(25, clear=("LOGIN",)), conversation(587, **_BROKEN))},
        {"talk": _BROKEN, "texts": {Text.ACCESS: "Srv_Features:127\tA\n"}},
    ],
)
def test_a_login_that_is_offered_elsewhere_in_clear_is_no_warning(changes: dict[str, Any]) -> None:
    cf = CF.replace("AuthOptions=p y", "AuthOptions=A")
    fault = judge(picture(facts={"files": {f.SENDMAIL_CF: file(cf)}, "cf_from_mc": cf}, **changes)).fault(
        "auth-in-clear"
    )
    assert fault is not None
    assert fault.sign is Sign.FAILED
    assert fault.finding.cause.startswith("LOGIN and PLAIN are accepted before STARTTLS")


@pytest.mark.parametrize(
    "changes",
    [
        {"facts": {"files": {f.SASLAUTHD_DEFAULT: file('MECHANISMS=" "\n')}}},
        {"facts": {"files": {f.SENDMAIL_CF: file(f"{CF}O MinFreeBlocks=\xb2\n")}}},
        {"texts": {Text.ACCESS: "ClientRate:192.0.2\t\xb2\n"}},
    ],
)
def test_an_odd_value_is_no_traceback(changes: dict[str, Any]) -> None:
    """A raised two in Latin-1 is a digit for Python, and no number."""
    assert judge(picture(**changes)).summary


def test_a_line_of_the_access_map_that_hides_auth_from_loopback_is_named() -> None:
    texts = {Text.ACCESS: "# x\nSrv_Features:127\tb A\n"}
    hidden = {"stopped": Layer.AUTH_OFFER, "why": "it offers no AUTH", "offered": ()}
    blamed = judge(picture(texts=texts, talk=hidden)).blamed
    assert blamed is not None
    assert (blamed.id, blamed.layer) == ("features-hidden-here", Layer.AUTH_OFFER)
    assert blamed.finding.mend.steps == ("mend-access-features",)
    assert "line 2" in blamed.finding.evidence[0].source
    assert judge(picture(texts=texts)).fault("features-hidden-here") is None
    other = {Text.ACCESS: "Srv_Features:127.5\tA\nSrv_Features:127\ta\n"}
    assert judge(picture(texts=other, talk=hidden)).fault("features-hidden-here") is None
