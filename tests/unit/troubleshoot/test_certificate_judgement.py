"""One certificate, one word: what `certificate show`, `test` and `troubleshoot` say of it is the same."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.steps.recorded import file as entry
from tests.unit.troubleshoot.pictures import CERTIFICATE, picture
from wizard.certificates import Certificate, judge, verdict
from wizard.gather.certificates import CertificateFiles, judgement
from wizard.gather.renewal import Renewal
from wizard.model import facts as f
from wizard.model.plan import Sign, worst
from wizard.troubleshoot import verdict as troubleshooting
from wizard.troubleshoot.model import Layer

NAME = "mail.example.test"
ENTRY = entry("x")
NOW = datetime.now(UTC)
FAILED, WARNING = Sign.FAILED, Sign.WARNING
KINDS: list[tuple[str, Sign, dict[str, Any]]] = [
    ("expired", FAILED, {"not_after": NOW - timedelta(days=1)}),
    ("not-yet-valid", FAILED, {"not_before": NOW + timedelta(days=1)}),
    ("key-small", FAILED, {"key": "RSA 1024"}),
    ("chain", FAILED, {"trusted": False, "refusal": 20, "public": True}),
    ("chain", FAILED, {"trusted": False, "refusal": 20, "public": True, "chain": ("a", "b")}),
    ("authority", WARNING, {"trusted": False, "refusal": 19, "public": True, "chain": ("a", "b", "c")}),
    ("refused", FAILED, {"trusted": False, "refusal": 26, "refusal_says": "unsuitable certificate purpose"}),
    ("expires-soon", WARNING, {"not_after": NOW + timedelta(days=13, hours=1)}),
    ("name", WARNING, {"names": ("x.test",)}),
    ("no-alternative-name", WARNING, {"names": ()}),
    ("self-signed", WARNING, {"self_signed": True}),
    ("authority", WARNING, {"trusted": False, "refusal": 19}),
    ("chain", WARNING, {"trusted": False, "refusal": 20}),
]


def _sound(**changes: Any) -> Certificate:
    return dataclasses.replace(CERTIFICATE, **{"trusted": True, **changes})


def test_a_sound_one_is_sound_to_all() -> None:
    seen = _sound()
    assert judge(seen, NAME) == ()
    assert verdict(seen, NAME, required=True)[0] is Sign.OK
    assert {check.sign for check in judgement(seen, NAME)} == {Sign.OK}


@pytest.mark.parametrize(("kind", "sign", "changes"), KINDS, ids=[f"{case[0]}-{case[1]}" for case in KINDS])
def test_each_thing_has_one_sign_and_one_word(kind: str, sign: Sign, changes: dict[str, Any]) -> None:
    seen = _sound(**changes)
    (said,) = judge(seen, NAME)
    assert (said.kind, said.sign) == (kind, sign)
    assert verdict(seen, NAME, required=False) == (sign, f"The certificate {said.says}.")
    checks = judgement(seen, NAME)
    assert worst(check.sign for check in checks) is sign
    assert f"it {said.says}" in [check.says for check in checks]
    files = CertificateFiles(f.SERVER_CERT, f.COMMON_KEY, parsed=seen)
    found = troubleshooting.judge(
        picture(now=NOW.timestamp(), talk={"certificate": seen}, files=files)
    ).faults
    mine = [fault for fault in found if fault.layer is Layer.CERTIFICATE]
    assert [(fault.id, fault.sign) for fault in mine] == [(f"certificate-{kind}", sign)]
    assert mine[0].finding.cause == f"the certificate {said.says}"
    assert mine[0].finding.evidence
    assert mine[0].finding.mend.steps or mine[0].finding.mend.text


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        ("fullchain.pem", {"not_after": NOW - timedelta(days=1)}, "certbot renew"),
        ("cert.pem", {"trusted": False, "refusal": 20, "public": True}, "live/mail/fullchain.pem"),
        (
            "cert.pem",
            {"trusted": False, "refusal": 20, "public": True, "chain": ("a", "b")},
            "live/mail/fullchain.pem",
        ),
        ("fullchain.pem", {"trusted": False, "refusal": 20, "public": True}, "--chain FILE"),
        (
            "fullchain.pem",
            {"trusted": False, "refusal": 20, "public": True, "chain": ("a", "b")},
            "--chain FILE",
        ),
    ],
)
def test_what_certbot_keeps_is_put_right_there(file: str, changes: dict[str, Any], words: str) -> None:
    seen, path = _sound(**changes), f"/etc/letsencrypt/live/mail/{file}"
    files = CertificateFiles(path, "/k", ENTRY, ENTRY, parsed=seen)
    blamed = troubleshooting.judge(
        picture(now=NOW.timestamp(), talk={"certificate": seen}, files=files)
    ).blamed
    assert blamed is not None
    assert words in blamed.finding.mend.text
    assert path in blamed.finding.evidence[0].source


def test_what_sendmail_does_not_send_along_is_not_installed_once_more() -> None:
    seen = _sound(trusted=False, refusal=20, public=True)
    ways = "let confCACERT in sendmail.mc name /etc/own/mail.pem, too"
    files = CertificateFiles("/etc/own/mail.pem", "/k", ENTRY, ENTRY, parsed=seen, unsent=ways)
    host = picture(now=NOW.timestamp(), talk={"certificate": seen}, files=files)
    blamed = troubleshooting.judge(host).blamed
    assert blamed is not None
    assert (blamed.id, blamed.finding.mend.text) == ("certificate-chain", ways)


@pytest.mark.parametrize("days", [-1, 5])
def test_what_a_hook_brings_is_renewed_by_certbot(days: int) -> None:
    seen = _sound(not_after=NOW + timedelta(days=days, hours=1))
    files = CertificateFiles(f.SERVER_CERT, f.COMMON_KEY, ENTRY, ENTRY, parsed=seen)
    host = picture(now=NOW.timestamp(), talk={"certificate": seen}, files=files)
    newer = dataclasses.replace(seen, fingerprint_sha256="ab" * 32)
    for kept, words in ((seen, "`certbot renew --cert-name mail`"), (newer, "certificate install")):
        renewal = Renewal("/etc/letsencrypt/live/mail", kept, arrived=kept is seen)
        faults = troubleshooting.judge(dataclasses.replace(host, renewal=renewal)).faults
        mine = next(each for each in faults if each.id.startswith("certificate-ex"))
        assert words in mine.finding.mend.text


@pytest.mark.parametrize(
    ("names", "steps", "text"),
    [
        ((), ("mend-certificate",), ""),
        (
            ("mail.example.test", "*.test", "192.0.2.1", "smtp.example.test", "mail"),
            (),
            "`msa-wizard certificate renew --name mail.example.test --name smtp.example.test` "
            "(without *.test, 192.0.2.1, mail: it takes qualified host names alone)",
        ),
        (
            ("localhost", "2001:db8::1"),
            (),
            "`msa-wizard certificate renew` (without localhost, 2001:db8::1: it takes qualified host names alone)",
        ),
        (("mail.example.test",), (), "`msa-wizard certificate renew --name mail.example.test`"),
    ],
)
def test_a_self_signed_one_is_made_again_with_those_of_its_names_that_the_command_takes(
    names: tuple[str, ...], steps: tuple[str, ...], text: str
) -> None:
    """Debian's script names none: clients would find no name in the new one."""
    seen = _sound(self_signed=True, names=names, not_after=NOW - timedelta(days=1))
    files = CertificateFiles(f.SERVER_CERT, f.COMMON_KEY, ENTRY, ENTRY, parsed=seen)
    gone = dataclasses.replace(files, key_entry=None)
    unfit = dataclasses.replace(files, pair="they do not belong together")
    for changed, fault in (
        (files, "certificate-expired"),
        (gone, "certificate-missing"),
        (unfit, "key-mismatch"),
    ):
        host = picture(now=NOW.timestamp(), talk={"certificate": seen}, files=changed)
        judged = troubleshooting.judge(host).fault(fault)
        assert judged is not None
        assert (judged.finding.mend.steps, judged.finding.mend.text) == (steps, text)


def test_a_host_without_a_name_has_no_wrong_name_in_its_certificate() -> None:
    nameless = {"fqdn": "localhost", "fqdn_resolves": False}
    assert troubleshooting.judge(picture(facts=nameless)).fault("certificate-name") is None


def test_who_asks_for_trust_gets_a_failure() -> None:
    assert verdict(_sound(self_signed=True, trusted=False, refusal=18), NAME, required=True)[0] is FAILED


def test_a_self_signed_one_has_no_authority_to_renew_it_with() -> None:
    seen = _sound(self_signed=True)
    fault = troubleshooting.judge(picture(now=NOW.timestamp(), talk={"certificate": seen})).fault(
        "certificate-self-signed"
    )
    assert fault is not None
    found = fault.finding
    assert "from an authority" in found.mend.text
    assert "renew" not in found.mend.text
    assert [piece.says for piece in found.evidence] == [f"{seen.subject}: issued by itself"], "its names once"


OBTAIN, INSTALL = (
    "`msa-wizard certificate obtain` gets one",
    "`msa-wizard certificate install CERT KEY` installs",
)
RENEW = "`msa-wizard certificate renew` makes a new self-signed one"


def test_an_expired_one_of_an_authority_is_replaced_in_the_ways_that_show_names() -> None:
    seen = _sound(not_after=NOW - timedelta(days=1))
    files = CertificateFiles(f.SERVER_CERT, f.COMMON_KEY, parsed=seen)
    host = picture(now=NOW.timestamp(), talk={"certificate": seen}, files=files)
    fault = troubleshooting.judge(host).fault("certificate-expired")
    assert fault is not None
    assert (OBTAIN in fault.finding.mend.text, INSTALL in fault.finding.mend.text) == (True, True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"self_signed": True}, {"trust": [OBTAIN, INSTALL]}),
        (
            {"self_signed": True, "names": ()},
            {"names": [OBTAIN, INSTALL, RENEW]},  # not below the trust once more
        ),
        ({"names": ("x.test",)}, {"names": [OBTAIN, INSTALL]}),  # an authority's, which renew leaves alone
        ({"not_after": NOW - timedelta(days=1)}, {"dates": [OBTAIN, INSTALL]}),
        ({"trusted": False, "refusal": 20, "public": True}, {"trust": ["install it with the intermediate"]}),
    ],
)
def test_another_certificate_comes_by_the_same_ways_everywhere(
    changes: dict[str, Any], named: dict[str, list[str]]
) -> None:
    remedies = {check.id: check.remedy.splitlines() for check in judgement(_sound(**changes), NAME)}
    assert {name: len(lines) for name, lines in remedies.items() if lines} == {
        name: len(lines) for name, lines in named.items()
    }
    for name, lines in named.items():
        assert all(line.startswith(words) for line, words in zip(remedies[name], lines, strict=True))


@pytest.mark.parametrize("kind", ["self-signed", "name", "no-alternative-name"])
def test_troubleshooting_names_the_way_to_an_authority(kind: str) -> None:
    changes = next(changes for name, _, changes in KINDS if name == kind)
    files = CertificateFiles(
        f.SERVER_CERT, f.COMMON_KEY, parsed=(seen := _sound(**{"self_signed": True, **changes}))
    )
    found = troubleshooting.judge(picture(now=NOW.timestamp(), talk={"certificate": seen}, files=files))
    fault = found.fault(f"certificate-{kind}")
    assert fault is not None
    assert "`msa-wizard certificate obtain` gets one from an authority" in fault.finding.mend.text
