"""A certificate and its key, tried by OpenSSL in memory: what fits, and what a client thinks of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from snapshots.format.layout import Owners
from snapshots.live.entry import Entry, Kind
from snapshots.merge.path_merge import merge_path
from tests.authority import Authority
from tests.unit.steps.recorded import machine
from wizard.certificates import SOON, certificates, in_words, judge, parsed
from wizard.certificates.handshake import fits, judged
from wizard.certificates.self_signed import DAYS, link_name, new_key, self_signed
from wizard.changes.file import FileChange
from wizard.client_settings import not_ready
from wizard.engine.overview import found
from wizard.errors import HostError, PemError
from wizard.gather.certificates import Named, details, judgement
from wizard.gather.firewall import read_entries
from wizard.gather.host import look
from wizard.gather.pair_trial import pair_trial
from wizard.model.answers import Answers
from wizard.model.facts import COMMON_KEY, SERVER_CERT, TlsRefusal
from wizard.model.plan import Sign
from wizard.model.step_facts import PairTrial
from wizard.render.text import conflict_text
from wizard.sendmail.cf_needs import TlsFiles
from wizard.system.host import Host

HOST = Host()
NAME = "mail.example.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def signs(chain: str, key: str, name: str = NAME, root: str = "") -> dict[str, Sign]:
    seen = judged(chain.encode(), key.encode(), name, str, certificates(root.encode())[0] if root else None)
    return {check.id: check.sign for check in judgement(seen, name)}


def test_the_key_of_another_does_not_fit(authority: Authority) -> None:
    leaf, other, rsa = authority.leaf(), authority.leaf(), authority.leaf(rsa=True)
    assert fits(leaf.certificate.encode(), leaf.key.encode()) is None
    for key in (other.key, rsa.key):
        why = fits(leaf.certificate.encode(), key.encode())
        assert why == "the key is not the key of this certificate"
    locked = fits(leaf.certificate.encode(), authority.encrypted(leaf.key).encode())
    assert locked is not None
    assert "encrypted" in locked
    garbage = fits(
        leaf.certificate.encode(), b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    )
    assert garbage == "OpenSSL refuses this certificate and key"
    assert fits(b"nothing", leaf.key.encode()) is not None


def test_a_name_that_no_client_can_ask_for(authority: Authority) -> None:
    leaf = authority.leaf()
    chain = leaf.certificate + authority.between
    assert signs(chain, leaf.key, "mail..example.test", authority.root) == {
        "dates": Sign.OK,
        "names": Sign.WARNING,
        "trust": Sign.OK,
    }


def test_what_a_client_thinks(authority: Authority) -> None:
    leaf = authority.leaf()
    chain = leaf.certificate + authority.between
    ok, failed, warning = Sign.OK, Sign.FAILED, Sign.WARNING
    assert signs(chain, leaf.key) == {"dates": ok, "names": ok, "trust": warning}, "an authority of one's own"
    assert signs(chain + authority.root, leaf.key)["trust"] is warning
    assert signs(chain, leaf.key, root=authority.root)["trust"] is ok
    assert signs(leaf.certificate, leaf.key, root=authority.root)["trust"] is warning, (
        "one is missing in between"
    )
    assert signs(chain, leaf.key, "imap.example.test", authority.root)["names"] is warning
    soon, gone = authority.leaf(days=SOON - 1), authority.leaf(days=-1)
    assert signs(soon.certificate + authority.between, soon.key, root=authority.root)["dates"] is warning
    assert signs(gone.certificate + authority.between, gone.key, root=authority.root)["dates"] is failed


def test_no_client_knows_a_server_by_a_loopback_address(authority: Authority) -> None:
    leaf = authority.leaf()
    seen = judged(leaf.certificate.encode(), leaf.key.encode(), NAME, str)
    says = {each.kind: each.says for each in judge(seen, "127.0.0.1")}
    assert says["name"] == f"is for {NAME}: clients have to use that name"
    says = {each.kind: each.says for each in judge(seen, "192.0.2.1")}
    assert says["name"] == f"is for {NAME}, not for 192.0.2.1: clients that use this name ask the user"


def test_what_openssl_completes_the_chain_with_is_not_missing(authority: Authority) -> None:
    """sendmail's CACertFile: OpenSSL sends what it finds there along."""
    leaf, name = authority.leaf(), NAME
    root = certificates(authority.root.encode())[0]
    alone = judged(leaf.certificate.encode(), leaf.key.encode(), name, str, root)
    assert [each.kind for each in judge(alone, name)] == ["chain"]
    between = authority.between.encode()
    whole = judged(leaf.certificate.encode(), leaf.key.encode(), name, str, root, between)
    assert (whole.trusted, judge(whole, name)) == (True, ())


def test_what_sendmail_does_not_send_is_missing(authority: Authority) -> None:
    """It reads the first certificate of its file alone."""
    leaf, root = authority.leaf(), certificates(authority.root.encode())[0]
    chain, key = (leaf.certificate + authority.between).encode(), leaf.key.encode()
    alone = judged(chain, key, NAME, str, root, authorities=authority.root.encode())
    assert ([each.kind for each in judge(alone, NAME)], alone.chain) == (["chain"], ())
    assert judged(chain, key, NAME, str, root, authorities=chain).chain != ()
    whole = chain + authority.root.encode()
    for sent, kind in ((b"", "chain"), (authority.between.strip().encode(), "authority")):
        seen = judged(whole, key, NAME, str, authorities=sent)
        assert [each.kind for each in judge(seen, NAME)] == [kind], (
            "clients have to know the root, sent or not"
        )


def test_what_lies_at_cacertpath_is_sent_along(authority: Authority, tmp_path: Path) -> None:
    leaf, root = authority.leaf(), certificates(authority.root.encode())[0]
    (tmp_path / "between.pem").write_text(authority.between)
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    chain, key = leaf.certificate.encode(), leaf.key.encode()
    assert judged(chain, key, NAME, str, root, authorities=b"", folder=str(tmp_path)).trusted
    assert not judged(chain, key, NAME, str, root, authorities=b"").trusted


def test_only_an_authority_of_the_web_must_send_the_chain(authority: Authority) -> None:
    """Whoever has an authority of his own has given it to his clients."""
    leaf = authority.leaf()
    seen = judged(leaf.certificate.encode(), leaf.key.encode(), NAME, str)
    assert (seen.public, [each.sign for each in judge(seen, NAME)]) == (False, [Sign.WARNING])
    assert [each.sign for each in judge(replace(seen, public=True), NAME)] == [Sign.FAILED]


def test_a_chain_that_leads_nowhere_has_a_remedy(authority: Authority) -> None:
    """One of several intermediate certificates is missing, or it is of Let's Encrypt's staging: clients refuse both."""
    leaf = authority.leaf(logged=True)
    chain = leaf.certificate + authority.between
    seen = judged(chain.encode(), leaf.key.encode(), NAME, str)
    (said,) = judge(seen, NAME)
    assert (said.kind, said.sign) == ("chain", Sign.FAILED)
    assert ("staging" in said.says, "one is missing" in said.says) == (True, True)
    remedy = next(check.remedy for check in judgement(seen, NAME) if check.id == "trust")
    assert "--chain FILE" in remedy
    assert "staging" in remedy
    assert "`apt-get install ca-certificates`" in remedy, "or this host knows none"
    alone = judged(leaf.certificate.encode(), leaf.key.encode(), NAME, str)
    (said,) = judge(alone, NAME)
    assert (said.kind, said.sign) == ("chain", Sign.FAILED)
    remedy = next(check.remedy for check in judgement(alone, NAME) if check.id == "trust")
    assert ("--chain FILE" in remedy, "staging" in remedy) == (True, False)
    whole = judged((chain + authority.root).encode(), leaf.key.encode(), NAME, str)
    (said,) = judge(whole, NAME)
    assert (said.kind, said.sign) == ("authority", Sign.WARNING), "nothing is missing, but known here"
    own = authority.leaf()
    (said,) = judge(judged((own.certificate + authority.between).encode(), own.key.encode(), NAME, str), NAME)
    assert (said.kind, said.sign, "comes alone" in said.says) == ("chain", Sign.WARNING, False)


def test_a_self_signed_one_has_the_names_and_is_a_warning() -> None:
    key = new_key(HOST)
    long = "a" * 40 + ".b" * 40 + ".example.test"
    made = self_signed(HOST, key, [NAME, long], DAYS)
    seen = judged(made, key, NAME, str)
    assert seen.names == (NAME, long)
    assert seen.self_signed
    assert (seen.not_after - seen.not_before).days == DAYS
    assert {sign for name, sign in signs(made.decode(), key.decode()).items() if name != "trust"} == {Sign.OK}
    assert signs(made.decode(), key.decode())["trust"] is Sign.WARNING
    assert signs(made.decode(), key.decode(), root=made.decode())["names"] is Sign.OK
    assert f"CN={long}" not in str(seen.subject)
    assert self_signed(HOST, key, [long], 1)
    assert link_name(HOST, made).startswith("/etc/ssl/certs/")
    assert link_name(HOST, made) == link_name(HOST, self_signed(HOST, key, [NAME], 10))


def test_openssl_is_told_of_a_bad_key_in_words_without_it() -> None:
    with pytest.raises(HostError, match="openssl req failed") as caught:
        self_signed(HOST, b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", [NAME], 1)
    assert "c2VjcmV0" not in str(caught.value)


def test_a_short_key_is_said_to_be_short(authority: Authority) -> None:
    key = HOST.run(["openssl", "genrsa", "1024"]).stdout.encode()
    with pytest.raises(PemError, match=r"too short|refuses"):
        judged(self_signed(HOST, key, [NAME], 1), key, NAME, str)


def test_a_file_in_memory_is_gone_afterwards() -> None:
    with HOST.in_memory(b"secret") as path:
        assert Path(path).read_bytes() == b"secret"
        assert HOST.run(["cat", path]).stdout == "secret"
    assert not os.path.lexists(path)


def test_only_a_small_file_is_read(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "a").write_text("12345")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    assert host.small_file("/link", 5)[0] == b"12345"
    for path, why in (
        ("/a", "larger"),
        ("/pipe", "not a file"),
        ("/", "not a file"),
        ("/b", "cannot be read"),
    ):
        with pytest.raises(HostError, match=why):
            host.small_file(path, 4)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(HostError):
            host.small_file("/pipe", 4)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_the_diff_of_a_certificate_is_its_words(authority: Authority) -> None:
    old, new = authority.leaf("old.example.test"), authority.leaf("new.example.test", rsa=True)
    chain = f"{new.certificate}{authority.between}"
    before, after = (Entry(Kind.FILE, 0o644, 0, 0, each.encode()) for each in (old.certificate, chain))
    diff = FileChange("/etc/mail/tls/a.crt", before, after).describe().diff
    assert "-certificate for old.example.test" in diff
    assert "+certificate for new.example.test" in diff
    assert "+  key        RSA 2048" in diff
    assert "   issued by  Common Name: In Between" in diff
    assert "+  valid      20" in diff
    assert "BEGIN CERTIFICATE" not in diff
    assert len(diff.splitlines()) < 25
    broken = Entry(Kind.FILE, 0o644, 0, 0, b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    assert "+none" in FileChange("/etc/a.crt", None, broken).describe().diff


def test_how_long_a_certificate_is_valid_is_said_before_and_after_its_end(authority: Authority) -> None:
    leaf = parsed(authority.leaf().certificate.encode())
    assert leaf is not None
    now = datetime.now(UTC)
    for days, words in (
        (9.5, "9 days left"),
        (0.5, "0 days left"),
        (-0.5, "expired 1 day ago"),
        (-9.5, "ago"),
    ):
        ends = replace(leaf, not_after=now + timedelta(days=days))
        assert dict(details(Named("ServerCertFile", "/a", certificate=ends)))["valid"].endswith(words)


def test_the_first_look_judges_the_certificate_like_the_rest(authority: Authority) -> None:
    expired = Entry(Kind.FILE, 0o644, 0, 0, authority.leaf(days=-1).certificate.encode())
    facts = machine("12", files={SERVER_CERT: expired})
    check = next(each for each in found(facts, Answers()) if each.id == "certificate")
    assert check.sign is Sign.FAILED
    assert "expired on" in check.says
    assert "certificate install" in check.remedy
    right = Entry(Kind.FILE, 0o644, 0, 0, authority.leaf().certificate.encode())
    check = next(
        each
        for each in found(machine("12", files={SERVER_CERT: right}, tls_trial=PairTrial(True)), Answers())
        if each.id == "certificate"
    )
    assert check.sign is Sign.OK


@pytest.mark.parametrize("euid", [0, 1000])
def test_the_first_look_calls_no_certificate_right_that_was_not_verified(
    authority: Authority, euid: int
) -> None:
    entry = Entry(Kind.FILE, 0o644, 0, 0, authority.leaf().certificate.encode())
    facts = machine("12", euid=euid, files={SERVER_CERT: entry})
    check = next(each for each in found(facts, Answers()) if each.id == "certificate")
    assert check.sign is Sign.UNKNOWN
    assert ("only root can see whether clients trust it" if euid else "was not verified") in check.says


def test_the_first_look_says_what_show_says_of_a_chain_that_leads_nowhere(
    authority: Authority, tmp_path: Path
) -> None:
    cf = "O ServerCertFile=/etc/mail/a.crt\nO ServerKeyFile=/etc/mail/a.key\nO CACertFile=/etc/mail/a.crt\n"
    cf += "O DaemonPortOptions=Name=MSP, Port=submission, M=Ea\n"
    own, other = authority.leaf(logged=True), authority.leaf()
    for folder in ("etc/mail", "var"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/mail/sendmail.cf").write_text(cf)
    for chain, key, sign, says in (
        (own.certificate, own.key, Sign.FAILED, "without the intermediate certificates"),
        (own.certificate + authority.between, own.key, Sign.FAILED, "that lead to no authority known here"),
        (other.certificate + authority.between, other.key, Sign.WARNING, "cannot trace it to an authority"),
        (own.certificate, other.key, Sign.FAILED, "the key is not the key of this certificate"),
        (own.certificate, "", Sign.FAILED, "holds no private key"),
    ):
        for name, content in (("a.crt", chain), ("a.key", key)):
            (tmp_path / "etc/mail" / name).write_text(content)
            (tmp_path / "etc/mail" / name).chmod(0o600)
        host = Host(tmp_path)
        facts = replace(machine("12"), tls_trial=pair_trial(host, TlsFiles.of(cf)))
        files, _ = read_entries(host, ("/etc/mail/sendmail.cf", "/etc/mail/a.crt"))
        facts = replace(facts, files={**facts.files, **files})
        check = next(each for each in found(facts, Answers()) if each.id == "certificate")
        assert (check.sign, says in check.says) == (sign, True), check
        assert says in not_ready(facts, NAME)
    assert pair_trial(host, TlsFiles.of("")) is None
    (tmp_path / "etc/mail/a.key").unlink()
    gone = pair_trial(host, TlsFiles.of(cf))
    assert gone is not None
    assert "/etc/mail/a.key cannot be read" in gone.unfit


@pytest.mark.parametrize("odd", [".example.test", "*.example.test", "a..b", "x" * 64])
def test_a_pair_with_an_odd_name_is_tried_all_the_same(
    authority: Authority, tmp_path: Path, odd: str
) -> None:
    leaf = authority.leaf(odd)
    (tmp_path / "a.crt").write_text(leaf.certificate)
    (tmp_path / "a.key").write_text(leaf.key)
    named = TlsFiles("/a.crt", "/a.key", authorities="/a.crt")
    assert pair_trial(Host(tmp_path), named) == PairTrial(
        refusal=20, refusal_says="unable to get local issuer certificate"
    )


def test_the_first_look_knows_a_key_that_sendmail_refuses(authority: Authority) -> None:
    right = Entry(Kind.FILE, 0o644, 0, 0, authority.leaf().certificate.encode())
    refusal = TlsRefusal(
        COMMON_KEY, COMMON_KEY, "everybody may read it (mode 0644)", f"chmod 0640 {COMMON_KEY}"
    )
    facts = machine("12", files={SERVER_CERT: right}, tls_refused=(refusal,))
    check = next(each for each in found(facts, Answers()) if each.id == "certificate")
    assert check.sign is Sign.FAILED
    assert COMMON_KEY in check.says
    assert check.remedy == f"`chmod 0640 {COMMON_KEY}`, then `systemctl restart sendmail`"


def test_the_first_look_judges_an_own_certificate_where_sendmail_cf_names_it(
    authority: Authority, tmp_path: Path
) -> None:
    for folder in ("etc/mail", "etc/own", "var"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/mail/sendmail.cf").write_text("O ServerCertFile=/etc/own/mail.crt\n")
    (tmp_path / "etc/own/mail.crt").write_text(authority.leaf(days=-1).certificate)
    check = next(each for each in found(look(Host(tmp_path)), Answers()) if each.id == "certificate")
    assert check.sign is Sign.FAILED
    assert "expired on" in check.says


def test_a_conflict_of_certificates_is_told_in_words(authority: Authority) -> None:
    """Their lines say nothing, nor does their length: what is there now, and what was before."""
    base, ours, theirs = (
        Entry(Kind.FILE, 0o644, 0, 0, authority.leaf(name).certificate.encode())
        for name in ("a.test", "b.test", "c.test")
    )
    owners = Owners(Path("/nonexistent"))
    merge = merge_path("etc/mail/a.crt", base, ours, theirs, choice=None, owners=owners)
    text = conflict_text(merge.conflicts[0])
    assert ("-certificate for b.test" in text, "+certificate for c.test" in text) == (True, True), text
    assert "bytes" not in text
    keys = (replace(base, content=authority.leaf().key.encode()) for _ in range(3))
    merge = merge_path("etc/mail/a.key", *keys, choice=None, owners=owners)
    assert "PRIVATE" not in conflict_text(merge.conflicts[0])


def test_a_fingerprint_is_shown_as_mail_clients_show_it(authority: Authority) -> None:
    leaf = parsed(authority.leaf().certificate.encode())
    assert leaf is not None
    rows = details(Named("ServerCertFile", "/a", certificate=leaf))
    (at,) = (number for number, (word, _) in enumerate(rows) if word == "SHA-256")
    assert rows[at + 1][0] == ""
    assert (rows[at][1] + rows[at + 1][1]).replace(":", "").lower() == leaf.fingerprint_sha256


def test_an_authority_in_a_chain_is_no_certificate_without_a_name(authority: Authority) -> None:
    words = in_words((authority.leaf().certificate + authority.between).encode()).decode()
    assert [line for line in words.splitlines() if "certificate" in line] == [
        f"certificate for {NAME}",
        "an authority's certificate",
    ]
