"""What certificate renew and install plan, and what a killed one can be made again from."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from snapshots.live.entry import Entry, Kind
from tests.authority import Authority
from tests.unit.steps.recorded import file, machine
from wizard.certificates import private_key
from wizard.certificates.acme import HOOK
from wizard.certificates.handshake import fits
from wizard.certificates.self_signed import DAYS, new_key, self_signed
from wizard.changes.file import FileChange
from wizard.engine.overview import found
from wizard.errors import HostError
from wizard.gather.certificates import CertificateReport, _client, _server, report
from wizard.mends.certificate import MendCertificate
from wizard.mends.order import extra
from wizard.model import facts as f
from wizard.model.answers import Answers, Certificate
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan
from wizard.model.step_facts import Tlsa
from wizard.render import as_json
from wizard.sendmail.cf_needs import TlsFiles, unsafe
from wizard.sendmail.client_name import client_name
from wizard.steps import certificate_endings
from wizard.steps.certificate import CertificateRenew, CertificateStep, renewed
from wizard.steps.certificate_install import CertificateInstall, Source, chosen, installation
from wizard.steps.order import STEPS
from wizard.system.host import Host

CF = """\
O CACertFile=/etc/mail/tls/sendmail-server.crt
O ServerCertFile=/etc/mail/tls/sendmail-server.crt
O ServerKeyFile=/etc/mail/tls/sendmail-common.key
O ClientCertFile=/etc/mail/tls/sendmail-client.crt
O ClientKeyFile=/etc/mail/tls/sendmail-common.key
O DHParameters=/etc/mail/tls/sendmail-common.prm
O DontBlameSendmail=,GroupReadableKeyFile
"""
CLIENT = "/etc/mail/tls/sendmail-client.crt"
NAME = "mail.example.test"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Debian's layout below a root, with a certificate as Debian makes it."""
    made = Host(tmp_path / "root")
    (made.root / "etc/mail/tls").mkdir(parents=True)
    made.path(f.SENDMAIL_CF).write_text(CF)
    key = new_key(made)
    for path, content, mode in (
        (f.COMMON_KEY, key, 0o640),
        (f.SERVER_CERT, self_signed(made, key, ["old.example.test"], 9), 0o644),
        (CLIENT, self_signed(made, key, ["old.example.test"], 9, client=True), 0o644),
    ):
        made.path(path).write_bytes(content)
        made.path(path).chmod(mode)
    return made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "authority").mkdir()
    return Authority(tmp_path / "authority")


def facts(host: Host, step: CertificateStep) -> Facts:
    known = machine("13")
    files = dict(known.files) | {path: host.entry(path) for path in (f.SENDMAIL_CF, *step.reads)}
    return replace(known, files=files)


def plan(host: Host, step: CertificateStep) -> Plan:
    return step.plan(facts(host, step), Answers())


def written(made: Plan) -> list[str]:
    return [change.touches[0] for change in made.changes if change.kind == "file"]


def install(
    host: Host,
    authority: Authority,
    folder: str = "/root",
    *,
    logged: bool = False,
    days: int = 30,
    **more: str,
) -> CertificateInstall:
    leaf = authority.leaf(logged=logged, days=days)
    host.path(folder).mkdir(parents=True, exist_ok=True)
    host.path(f"{folder}/fullchain.pem").write_text(leaf.certificate + authority.between + authority.root)
    host.path(f"{folder}/privkey.pem").write_text(leaf.key)
    host.path(f"{folder}/privkey.pem").chmod(0o600)
    return chosen(host, Source(f"{folder}/fullchain.pem", f"{folder}/privkey.pem", name=NAME, **more))


def test_a_chain_with_a_root_that_this_host_does_not_know_is_installed(
    host: Host, authority: Authority
) -> None:
    """Of a public authority as well: ca-certificates is not installed everywhere, and not always new."""
    for logged in (False, True):
        notes = install(host, authority, logged=logged).notes
        assert "an authority that this host does not know" in " ".join(notes)
    host.path("/root/fullchain.pem").write_text(
        "".join(host.text("/root/fullchain.pem").partition(authority.root)[:1])
    )
    with pytest.raises(HostError, match=r"--chain FILE.*staging.*`apt-get install ca-certificates`"):
        chosen(host, Source("/root/fullchain.pem", "/root/privkey.pem", name=NAME))


def test_they_are_not_in_the_order_and_have_json() -> None:
    assert {step.id for step in extra()} >= {"certificate-renew", "certificate-install"}
    assert not {step.id for step in extra()} & {step.id for step in STEPS}
    assert as_json.plan(Plan.done("certificate-install", "is so"))["howto"] == "5.3"


def test_all_files_that_cannot_be_read_are_named_at_once(host: Host) -> None:
    with pytest.raises(HostError) as refused:
        chosen(host, Source("/root/cert.pem", "/root/key.pem", "/root/chain.pem", NAME))
    assert all(f"/root/{name}.pem cannot be read" in str(refused.value) for name in ("cert", "key", "chain"))


def test_what_was_named_in_place_of_certificate_and_key_is_told(host: Host, authority: Authority) -> None:
    install(host, authority)
    cert, key, locked = "/root/fullchain.pem", "/root/privkey.pem", "/root/locked.pem"
    host.path(locked).write_text(authority.encrypted(host.text(key)))
    with pytest.raises(HostError, match="the certificate first, then its key") as refused:
        chosen(host, Source(key, cert, name=NAME))
    assert "inform der" not in str(refused.value)
    with pytest.raises(HostError, match=rf"openssl pkey -in {locked} -out {locked}.open\)`"):
        chosen(host, Source(cert, locked, name=NAME))


def test_the_clients_certificate_goes_in_with_an_authoritys(host: Host, authority: Authority) -> None:
    """Where another program puts the server's there: no self-signed one is to take its place."""
    install(host, authority)
    for source, path in (("fullchain", f.SERVER_CERT), ("privkey", f.COMMON_KEY)):
        host.path(path).write_text(host.text(f"/root/{source}.pem"))
    seen, files = CertificateReport(NAME), TlsFiles.of(CF)
    _server(host, files, seen)
    _client(host, files, seen)
    remedy = next(check.remedy for check in seen.checks if check.id == "client")
    assert f"`msa-wizard certificate install {f.SERVER_CERT} {f.COMMON_KEY}`" in remedy
    assert written(plan(host, chosen(host, Source(f.SERVER_CERT, f.COMMON_KEY, name=NAME)))) == [CLIENT]


def test_beside_another_certificate_nothing_is_put(host: Host, authority: Authority) -> None:
    """Clients would go on getting that one, and the check that the new one is presented would fail."""
    second = CF.replace("server.crt\nO ServerKey", "server.crt, /etc/mail/tls/ec.pem\nO ServerKey")
    host.path(f.SENDMAIL_CF).write_text(
        second.replace("common.key\nO Client", "common.key,/etc/mail/tls/ec.key\nO Client")
    )
    for step in (renewed(host, [NAME], DAYS, replace_authority=False), install(host, authority)):
        made = plan(host, step)
        assert made.outcome is Outcome.BLOCKED
        assert (
            f"more than one server certificate or key ({f.SERVER_CERT} and /etc/mail/tls/ec.pem)"
            in made.reason
        )
        there = replace(
            step,
            pair=replace(
                step.pair, certificate=host.small_file(f.SERVER_CERT, 9999)[0], key=None, client=None
            ),
        )
        known = replace(there, key_before=host.small_file(f.COMMON_KEY, 9999)[0], beside=())
        assert plan(host, known).outcome is Outcome.DONE, "as long as there is nothing to put"


def test_what_sendmail_would_not_send_along_is_not_put(host: Host, authority: Authority) -> None:
    """It reads the first certificate of its file alone; OpenSSL adds the intermediate ones from CACertFile."""
    elsewhere = "/etc/own/authorities.pem"
    host.path(f.SENDMAIL_CF).write_text(CF.replace(f"CACertFile={f.SERVER_CERT}", f"CACertFile={elsewhere}"))
    host.path(elsewhere).parent.mkdir(parents=True)
    host.path(elsewhere).write_text(authority.root)
    step = install(host, authority)
    made = plan(host, step)
    assert (made.outcome, f"have to be in {elsewhere}" in made.reason) == (Outcome.BLOCKED, True)
    assert f"confCACERT in sendmail.mc name {f.SERVER_CERT}, too" in " ".join(made.remedy)
    assert plan(host, renewed(host, [NAME], DAYS, replace_authority=False)).outcome is Outcome.PENDING

    # There already, as somebody else has put it: nobody is told that clients take it.
    for path, entry in step._targets(facts(host, step)).items():
        host.path(path).write_bytes(entry.content)
    for held, failed in ((authority.root, ["intermediates"]), (authority.between, [])):
        host.path(elsewhere).write_text(held)
        seen = CertificateReport(NAME)
        _server(host, step.files, seen)
        assert [check.id for check in seen.checks if check.id == "intermediates"] == failed
    assert plan(host, install(host, authority)).outcome is Outcome.PENDING


def test_renew_keeps_a_good_key(host: Host) -> None:
    step = renewed(host, [NAME], DAYS, replace_authority=False)
    made = plan(host, step)
    assert made.outcome is Outcome.PENDING
    assert [path for path in written(made) if path.startswith("/etc/mail")] == [f.SERVER_CERT]
    assert any(path.startswith("/etc/ssl/certs/") for path in written(made))
    assert "key stays" in " ".join(made.notes)


@pytest.mark.parametrize("spoilt", [False, True])
def test_renew_mends_a_client_certificate_of_another_key(host: Host, spoilt: bool) -> None:
    """Somebody has put another pair there, and left the certificate with which sendmail sends mail on."""
    other = self_signed(host, new_key(host), ["old.example.test"], 9, client=True)
    host.path(CLIENT).write_bytes(b"spoilt\n" if spoilt else other)
    step = renewed(host, [NAME], DAYS, replace_authority=False)
    assert written(plan(host, step))[:2] == [f.SERVER_CERT, CLIENT]
    assert step.pair.client is not None
    assert not fits(step.pair.client, private_key(host.path(f.COMMON_KEY).read_bytes()))
    rebuilt = step.rebuild(host, json.loads(json.dumps(step.request())))
    assert isinstance(rebuilt, CertificateRenew)
    assert rebuilt.pair == step.pair


def test_renew_replaces_a_key_that_cannot_serve(host: Host) -> None:
    host.path(f.COMMON_KEY).write_text("spoilt\n")
    made = plan(host, step := renewed(host, [NAME], DAYS, replace_authority=False))
    assert written(made)[:3] == [f.SERVER_CERT, f.COMMON_KEY, CLIENT]
    assert step.pair.key is not None
    key_lines = step.pair.key.decode().splitlines()[1:-1]
    shown = json.dumps(as_json.plan(made)) + repr(step) + json.dumps(step.request())
    assert not any(line in shown for line in key_lines)
    with pytest.raises(HostError, match="in memory only"):
        step.rebuild(host, json.loads(json.dumps(step.request())))


def test_renew_puts_the_mode_of_a_key_right(host: Host) -> None:
    host.path(f.COMMON_KEY).chmod(0o644)
    before = host.path(f.COMMON_KEY).read_bytes()
    made = plan(host, step := renewed(host, [NAME], DAYS, replace_authority=False))
    assert f.COMMON_KEY in written(made)
    assert CLIENT not in written(made)
    assert step.pair.key == before
    rebuilt = step.rebuild(host, json.loads(json.dumps(step.request())))
    assert isinstance(rebuilt, CertificateRenew)
    assert rebuilt.pair == step.pair


def test_a_killed_renewal_is_the_same_one_again(host: Host) -> None:
    step = renewed(host, [NAME, "smtp.example.test"], 7, replace_authority=False)
    rebuilt = step.rebuild(host, json.loads(json.dumps(step.request())))
    assert isinstance(rebuilt, CertificateRenew)
    assert replace(rebuilt, notes=step.notes) == step
    host.path(f.COMMON_KEY).write_bytes(new_key(host))
    with pytest.raises(HostError, match="not the key"):
        step.rebuild(host, step.request())


def test_a_key_that_changed_meanwhile_blocks(host: Host) -> None:
    step = renewed(host, [NAME], DAYS, replace_authority=False)
    host.path(f.COMMON_KEY).write_bytes(new_key(host))
    assert plan(host, step).outcome is Outcome.BLOCKED
    host.path(f.SENDMAIL_CF).write_text(CF.replace("server.crt", "other.crt"))
    assert "changed since" in plan(host, step).reason


def test_an_authoritys_is_not_replaced_unasked(host: Host, authority: Authority) -> None:
    host.path(f.SERVER_CERT).write_text(authority.leaf().certificate)
    with pytest.raises(HostError, match="from an authority"):
        renewed(host, [NAME], DAYS, replace_authority=False)
    assert plan(host, renewed(host, [NAME], DAYS, replace_authority=True)).outcome is Outcome.PENDING


@pytest.mark.parametrize(
    ("cf", "why"),
    [
        ("", "names no server certificate"),
        ("O ServerCertFile=/srv/a.crt\nO ServerKeyFile=/etc/a.key\n", "not below /etc"),
        ("O ServerCertFile=/etc/../srv/a.crt\nO ServerKeyFile=/etc/a.key\n", "not below /etc"),
        ("O ServerCertFile=/etc/a\nO ServerKeyFile=/etc/a\n", "one file"),
        ("O ServerCertFile=/etc/letsencrypt/live/a/b\nO ServerKeyFile=/etc/a.key\n", "certbot keeps"),
    ],
)
def test_where_it_cannot_be_put_it_is_blocked(host: Host, authority: Authority, cf: str, why: str) -> None:
    host.path(f.SENDMAIL_CF).write_text(cf)
    made = plan(host, install(host, authority))
    assert made.outcome is Outcome.BLOCKED
    assert why in made.reason
    assert made.remedy
    if not cf:
        assert plan(host, renewed(host, [NAME], DAYS, replace_authority=False)).reason == made.reason


def test_nothing_is_written_through_a_link(host: Host, authority: Authority) -> None:
    step = install(host, authority)
    for path in (f.COMMON_KEY, CLIENT):
        kept = host.path(path).read_bytes()
        host.path(path).unlink()
        host.path(path).symlink_to("elsewhere")
        assert "symlink" in plan(host, step).reason
        host.path(path).unlink()
        host.path(path).write_bytes(kept)


def test_install_writes_three_files_and_then_has_nothing_to_do(host: Host, authority: Authority) -> None:
    step = install(host, authority)
    made = plan(host, step)
    assert written(made) == [f.SERVER_CERT, f.COMMON_KEY, CLIENT]
    modes = {change.path: change.after.mode for change in made.changes if change.kind == "file"}  # type: ignore[attr-defined]
    assert modes == {f.SERVER_CERT: 0o644, f.COMMON_KEY: 0o640, CLIENT: 0o644}
    known = facts(host, step)
    there = {change.path: change.after for change in made.changes if change.kind == "file"}  # type: ignore[attr-defined]
    assert step.plan(replace(known, files={**known.files, **there}), Answers()).outcome is Outcome.DONE
    assert step.rebuild(host, json.loads(json.dumps(step.request()))) == step
    host.path("/root/privkey.pem").unlink()
    with pytest.raises(HostError, match=r"privkey\.pem"):
        step.rebuild(host, step.request())


def test_whoever_gives_another_key_is_told_how_the_right_one_is_found(
    host: Host, authority: Authority
) -> None:
    install(host, authority)
    host.path("/root/privkey.pem").write_text(authority.leaf().key)
    with pytest.raises(
        HostError, match=r"the key is not the key of this certificate\. What to do: give the key"
    ):
        chosen(host, Source("/root/fullchain.pem", "/root/privkey.pem", name=NAME))


def test_names_that_the_certificate_has_now_are_asked_about(host: Host, authority: Authority) -> None:
    """Also where a self-signed one takes the place of an authority's."""
    host.path(f.SERVER_CERT).write_text(authority.leaf(NAME, "smtp.example.test").certificate)
    for step in (
        install(host, authority),
        renewed(host, [NAME, "mx.example.test"], DAYS, replace_authority=True),
    ):
        (ending,) = plan(host, step).ends
        assert (ending.id, ending.lines) == ("certificate-names", ("smtp.example.test",))
    both = renewed(host, [NAME, "smtp.example.test"], DAYS, replace_authority=True)
    assert plan(host, both).ends == ()


@pytest.mark.parametrize(
    ("ciphers", "ends"),
    [
        ("ECDHE-RSA-AES256-GCM-SHA384", ["certificate-key"]),
        ("HIGH", []),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", []),
        ("", []),
    ],
)
def test_a_key_that_no_cipher_goes_with_is_asked_about(
    host: Host, authority: Authority, ciphers: str, ends: list[str]
) -> None:
    host.path(f.SERVER_CERT).write_text(authority.leaf(rsa=True).certificate)
    host.path(f.SENDMAIL_CF).write_text(f"{CF}O CipherList={ciphers}\n" if ciphers else CF)
    assert [ending.id for ending in plan(host, install(host, authority)).ends] == ends


def test_the_dns_is_asked_where_the_certificate_changes(
    host: Host, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def records(names: Sequence[str]) -> tuple[Tlsa, ...]:
        asked.extend(names)
        return ()

    monkeypatch.setattr(certificate_endings, "tlsa_records", records)
    step = install(host, authority)
    seen = replace(facts(host, step), fqdn="host1.example.test")
    step.gathered(host, seen, Answers())
    names = ["host1.example.test", NAME, "old.example.test"]
    assert asked == names, "that of the host, of the new one, and of the one that is there"
    host.path(f.SERVER_CERT).write_bytes(step.pair.certificate)
    step.gathered(host, facts(host, step), Answers())
    assert asked == names


def test_other_files_behind_the_names_are_not_taken_for_the_same(host: Host, authority: Authority) -> None:
    step = install(host, authority)
    install(host, authority)
    with pytest.raises(HostError, match="something else by now"):
        step.rebuild(host, step.request())


def test_certbots_gets_a_hook_that_a_shell_takes(host: Host, authority: Authority) -> None:
    made = plan(host, install(host, authority, f"/etc/letsencrypt/live/{NAME}"))
    assert written(made)[-1] == HOOK
    assert f"certbot runs {HOOK}" in " ".join(made.notes)
    hook = next(change.after for change in made.changes if change.touches[0] == HOOK)  # type: ignore[attr-defined]
    assert hook.mode == 0o755
    checked = subprocess.run(["sh", "-n"], input=hook.content, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")
    assert f"lineage=/etc/letsencrypt/live/{NAME}\n".encode() in hook.content


def test_clients_keep_the_name_that_was_given(host: Host, authority: Authority) -> None:
    """certbot calls a certificate by its first name, which may lead to another host."""
    leaf, live = authority.leaf("example.test", NAME), "/etc/letsencrypt/live/example.test"
    host.path(live).mkdir(parents=True)
    host.path(f"{live}/fullchain.pem").write_text(leaf.certificate + authority.between + authority.root)
    host.path(f"{live}/privkey.pem").write_text(leaf.key)
    step = chosen(host, Source(f"{live}/fullchain.pem", f"{live}/privkey.pem", name=NAME))
    files = {f.SERVER_CERT: file(leaf.certificate), HOOK: dict(step.beside)[HOOK]}
    seen = machine("13", files={f.SENDMAIL_CF: file(CF), **files})
    assert client_name(seen, Certificate(), "host1.example.test") == NAME


def with_hook(host: Host, authority: Authority, days: int = 30) -> Entry:
    """certbot's certificate is in sendmail, and the hook brings its renewals."""
    step = install(host, authority, f"/etc/letsencrypt/live/{NAME}", days=days)
    host.path(HOOK).parent.mkdir(parents=True)
    host.path(HOOK).write_bytes(dict(step.beside)[HOOK].content)
    host.path(HOOK).chmod(0o755)
    host.path(f.SERVER_CERT).write_bytes(step.pair.certificate)
    host.path(f.COMMON_KEY).write_bytes(step.pair.key or b"")
    hook = host.entry(HOOK)
    assert hook is not None
    return hook


def test_show_says_that_certbot_renews_it(
    host: Host, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = SimpleNamespace(fingerprint=None, where="port 25", says="")
    monkeypatch.setattr("wizard.gather.certificates.presented", lambda _: nobody)

    def says() -> list[str]:
        return [check.says for check in report(host, CF, NAME).checks if check.id == "renews"]

    before = says()
    with_hook(host, authority)
    (after,) = says()
    assert (before, HOOK in after) == ([], True)


def test_a_home_folder_is_known_where_no_shell_was(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    with pytest.raises(HostError, match=r"/home/alice/x\.pem cannot be read.*; /~y cannot be read"):
        installation(host, "~/x.pem", "/~y", name=NAME)


def dates_remedy(host: Host) -> str:
    seen = CertificateReport(NAME)
    _server(host, TlsFiles.of(host.text(f.SENDMAIL_CF)), seen)
    return next(check.remedy for check in seen.checks if check.id == "dates")


def test_what_certbot_keeps_and_did_not_renew_is_not_to_be_got_again(
    host: Host, authority: Authority
) -> None:
    """`certificate obtain` would find what is kept, and get no other."""
    renews, obtains = f"`certbot renew --cert-name {NAME}`", "certificate obtain"
    hook = with_hook(host, authority, days=5)
    seen = machine(
        "13", files={f.SENDMAIL_CF: file(CF), f.SERVER_CERT: host.entry(f.SERVER_CERT), HOOK: hook}
    )
    overview = next(check.remedy for check in found(seen, Answers()) if check.id == "certificate")
    for remedy in (dates_remedy(host), overview):
        assert (renews in remedy, obtains in remedy) == (True, False)
    live, cf = f"/etc/letsencrypt/live/{NAME}", host.text(f.SENDMAIL_CF)
    named = cf.replace(
        "ServerCertFile=/etc/mail/tls/sendmail-server.crt", f"ServerCertFile={live}/fullchain.pem"
    )
    host.path(f.SENDMAIL_CF).write_text(named)
    host.path(HOOK).unlink()
    assert renews in dates_remedy(host), "named where certbot keeps it"
    host.path(f.SENDMAIL_CF).write_text(cf)
    assert obtains in dates_remedy(host), "nothing brings certbot's here"
    host.path(HOOK).write_bytes(hook.content)
    install(host, authority, live)
    assert obtains in dates_remedy(host), "certbot has a new one, which has not come here"


@pytest.mark.parametrize("own", [False, True], ids=["an authority's", "self-signed"])
def test_certbot_does_not_overwrite_what_was_installed_after_its_own(
    host: Host, authority: Authority, own: bool
) -> None:
    hook = with_hook(host, authority)
    step: CertificateStep = install(host, authority)
    if own:
        step = renewed(host, [NAME], DAYS, replace_authority=True)
    made = plan(host, step)
    assert [change for change in made.changes if change.touches == (HOOK,)] == [
        FileChange(HOOK, hook, None, f"remove {HOOK}")
    ]
    (note,) = (note for note in made.notes if "certbot" in note)
    assert note.startswith(f"certbot goes on renewing its certificate {NAME}, which reaches sendmail no more")
    wanted = Answers(certificate=Certificate("standalone"))
    assert "certificate.challenge" in step.plan(facts(host, step), wanted).notes[-1]


def test_certbots_own_keeps_its_hook_and_another_of_its_gets_another(
    host: Host, authority: Authority
) -> None:
    with_hook(host, authority)
    again = plan(host, install(host, authority, f"/etc/letsencrypt/live/{NAME}"))
    assert HOOK not in written(again)
    other = plan(host, install(host, authority, "/etc/letsencrypt/live/other"))
    assert written(other)[-1] == HOOK
    assert f"its certificate {NAME}, which reaches sendmail no more" in " ".join(other.notes)
    host.path(HOOK).write_text("#!/bin/sh\nlineage='/etc/letsencrypt/live/mail\n")
    assert HOOK not in written(plan(host, install(host, authority))), "it brings nothing any more"


@pytest.mark.parametrize(
    ("before", "stays"),
    [
        (Entry(Kind.FILE, 0o640, 0, 4711, b"old\n"), True),
        (Entry(Kind.FILE, 0o440, 0, 0, b"old\n", (("system.posix_acl_access", b"x"),)), True),
        (Entry(Kind.FILE, 0o600, 0, 0, b"old\n"), True),
        (Entry(Kind.FILE, 0o644, 0, 4711, b"old\n"), False),
        (Entry(Kind.FILE, 0o660, 0, 4711, b"old\n"), False),
        (Entry(Kind.FILE, 0o640, 4711, 4711, b"old\n"), False),
        (Entry(Kind.FILE, 0o640, 110, 4711, b"old\n"), True),
        (Entry(Kind.FILE, 0o400, 110, 0, b"old\n"), True),
        (Entry(Kind.FILE, 0o644, 110, 4711, b"old\n"), False),
    ],
)
def test_a_key_that_others_read_stays_theirs_too(
    host: Host, authority: Authority, before: Entry, stays: bool
) -> None:
    step = replace(install(host, authority), group=118, trusted=110)
    seen = facts(host, step)
    seen = replace(seen, files={**seen.files, f.COMMON_KEY: before})
    made = step.plan(seen, Answers())
    after = next(change.after for change in made.changes if change.touches == (f.COMMON_KEY,))  # type: ignore[attr-defined]
    assert replace(after, content=b"old\n") == (
        before if stays else Entry(Kind.FILE, 0o640, 0, 118, b"old\n")
    )
    shared = before.gid == 4711 or bool(before.xattrs)
    assert ("other services that use it get the new pair" in " ".join(made.notes)) == (stays and shared)


def test_others_may_use_a_pair_that_is_no_mail_servers(host: Host, authority: Authority) -> None:
    own = "/etc/ssl/mine"
    host.path(own).mkdir(parents=True)
    for name, path in (("mail.crt", f.SERVER_CERT), ("mail.key", f.COMMON_KEY)):
        host.path(f"{own}/{name}").write_bytes(host.small_file(path, 9999)[0])
    cf = CF.replace(f.SERVER_CERT, f"{own}/mail.crt").replace(
        f"ServerKeyFile={f.COMMON_KEY}", f"ServerKeyFile={own}/mail.key"
    )
    host.path(f.SENDMAIL_CF).write_text(cf)
    notes = " ".join(plan(host, install(host, authority)).notes)
    assert f"{own}/mail.key is outside /etc/mail: other services that use it get the new pair" in notes


@pytest.mark.parametrize("path", ["renewal-hooks", "renewal-hooks/deploy"])
def test_a_link_is_not_replaced_by_a_folder(host: Host, authority: Authority, path: str) -> None:
    """What it leads to would be out of reach for certbot."""
    step = install(host, authority, f"/etc/letsencrypt/live/{NAME}")
    host.path(f"/etc/letsencrypt/{path}").parent.mkdir(parents=True, exist_ok=True)
    host.path(f"/etc/letsencrypt/{path}").symlink_to("/srv/hooks")
    made = plan(host, step)
    says = f"/etc/letsencrypt/{path} is not a folder but a symlink"
    assert (made.outcome, says in made.reason, made.changes) == (Outcome.BLOCKED, True, ())


@pytest.mark.parametrize(
    ("mode", "folder", "key", "why"),
    [
        (0o640, 0o755, True, None),
        (0o600, 0o755, True, None),
        (0o400, 0o700, True, None),
        (0o644, 0o755, True, "everybody may read"),
        (0o660, 0o755, True, "may write"),
        (0o640, 0o775, True, "its folder"),
        (0o644, 0o755, False, None),
        (0o664, 0o755, False, "may write"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="who owns the files decides")
def test_what_sendmail_calls_unsafe(host: Host, mode: int, folder: int, key: bool, why: str | None) -> None:
    host.path(f.COMMON_KEY).chmod(mode)
    host.path("/etc/mail/tls").chmod(folder)
    found = unsafe(host, f.COMMON_KEY, TlsFiles.of(CF), key=key)
    assert (found is None) if why is None else (found is not None and why in found)
    if (mode, folder, key) == (0o640, 0o755, True):
        assert "GroupReadable" in str(unsafe(host, f.COMMON_KEY, TlsFiles(), key=True))
        os.chown(host.path(f.COMMON_KEY), 4711, 0)
        assert "4711" in str(unsafe(host, f.COMMON_KEY, TlsFiles(), key=True))


def test_a_link_of_debians_is_made_once(host: Host) -> None:
    step = renewed(host, [NAME], DAYS, replace_authority=False)
    ((path, entry),) = step.beside
    assert entry == Entry(Kind.SYMLINK, 0o777, 0, 0, f.SERVER_CERT.encode())
    host.path(path).parent.mkdir(parents=True)
    host.path(path).symlink_to("anything")
    assert renewed(host, [NAME], DAYS, replace_authority=False).beside == ()


@pytest.mark.parametrize(
    "kind",
    [
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1",
        "ecparam -genkey -noout -name prime256v1",
    ],
)
def test_the_fix_of_a_pair_knows_whose_an_ec_key_is(host: Host, kind: str) -> None:
    key, other = (host.run(["openssl", *kind.split()]).stdout.encode() for _ in range(2))
    host.path(f.SERVER_CERT).write_bytes(self_signed(host, key, [NAME], 9))

    def plan(key: bytes) -> Plan:
        host.path(f.COMMON_KEY).write_bytes(key)
        files = {path: host.entry(path) for path in (f.SERVER_CERT, f.COMMON_KEY, CLIENT)}
        return MendCertificate().plan(replace(machine("13"), files=files), Answers())

    assert plan(key).outcome is Outcome.DONE
    misfit = plan(other)
    assert misfit.reason == "the key is not the key of this certificate"
    removed = [
        change.path for change in misfit.changes if isinstance(change, FileChange) and not change.after
    ]
    assert removed == [f.SERVER_CERT, f.COMMON_KEY, CLIENT]
