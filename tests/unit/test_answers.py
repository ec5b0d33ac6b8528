"""Answers: every wrong value is named with file, line and key, and nothing else happens."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.steps.recorded import machine
from wizard.errors import AnswersError
from wizard.model.answer_checks import unknown_groups, unused_groups
from wizard.model.answers import Answers, Listen, Login
from wizard.model.answers_file import load, parse, saved
from wizard.render.files import as_toml
from wizard.sendmail.own_address import not_here


def test_what_is_left_out_is_the_howtos_own_set_up() -> None:
    assert parse("") == Answers()


def test_what_may_end_is_named_once() -> None:
    assert parse('accept = ["cf-lines", "mc-effects", "cf-lines"]').accept == ("cf-lines", "mc-effects")


def test_all_of_it() -> None:
    text = """
[listen]
submission = ["192.0.2.25", "2001:DB8::25"]
smtp = ["127.0.0.1"]
implicit_tls = true
[auth]
saslauthd_mechanism = "shadow"
mechanisms = ["PLAIN"]
[test]
host = "mail.example.org"
user = "alice"
send_to = "bob@example.org"
"""
    made = parse(text)
    assert made.listen == Listen(("192.0.2.25", "2001:db8::25"), ("127.0.0.1",), False, True)
    assert made.auth.mechanisms == ("PLAIN",)
    assert made.test.user == "alice"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[listen]\n\nipv6 = 1\n", 3, "listen.ipv6: must be true or false, not 1"),
        ("[listen]\nipv4 = true\n", 2, "did you mean ipv6"),
        ("[listne]\nipv6 = true\n", 1, "did you mean listen"),
        ("listen = 3\n", 1, "must be a section"),
        ("\naccept = 'cf-lines'\n", 2, "accept: must be a list of strings"),
        ("\naccept = ['cf-lines', 3]\n", 2, "list of strings"),
        ("accept = ['--yes']\n", 1, "not the id of something that would end"),
        ("[accept]\nx = 1\n", 1, "list of strings"),
        ("[listen]\nsubmission = '192.0.2.1'\n", 2, "list of strings"),
        ("[listen]\nsubmission = ['192.0.2.300']\n", 2, "not an IP address"),
        ("[listen]\nsubmission = ['192.0.2.1', '192.0.2.1']\n", 2, "duplicate address"),
        ("[listen]\nsubmission = ['0.0.0.0', '192.0.2.1']\n", 2, "no other"),
        ("[listen]\nsubmission = ['::', '192.0.2.1']\n", 2, "serves IPv4 as well"),
        ("[listen]\nsubmission = ['fe80::1%eth0']\n", 2, "scope"),
        ("[listen]\nsmtp = ['192.0.2.1']\n", 2, "127.0.0.1"),
        ("[listen]\nipv6 = true\nsubmission = ['192.0.2.1']\n", 3, "no IPv6 address"),
        ("[auth]\nmechanisms = ['LOGIN', 'CRAM-MD5']\n", 2, "cannot serve 'CRAM-MD5'"),
        ("[auth]\nmechanisms = []\n", 2, "at least one"),
        (
            "[certificate]\nchallenge = 'http-01'\n",
            2,
            "no challenge; allowed: standalone, webroot, manual, or a plug-in",
        ),
        ("[certificate]\nchallenge = 'dns-x --help'\n", 2, "no challenge"),
        ("[certificate]\nname = 'mail'\n", 2, "not a qualified host name"),
        ("[certificate]\nname = '192.0.2.1'\n", 2, "not a qualified host name"),
        ("[certificate]\nname = 'a.example.org, mail'\n", 2, "'mail' is not a qualified host name"),
        (f"[certificate]\nname = '{' '.join(f'a{n}.org' for n in range(101))}'\n", 2, "more than 100 names"),
        ("[certificate]\nemail = 'root'\n", 2, "not a mail address with a domain"),
        ("[certificate]\nemail = '--help@example.org x'\n", 2, "not a mail address with a domain"),
        ("[certificate]\nagree_tos = 'yes'\n", 2, "must be true or false"),
        ("[certificate]\nserver = 'http://ca.example.org/dir'\n", 2, "https:// address"),
        ("[certificate]\nwebroot = 'var/www'\n", 2, "not an absolute path"),
        ("[certificate]\nwebroot = '/var/www/../x'\n", 2, "must not hold .."),
        ("[certificate]\ncredentials = '/a b'\n", 2, "not an absolute path"),
        ("[certificate]\nauth_hook = '/root/hook; reboot'\n", 2, "not an absolute path"),
        ("[login]\npolicy = 'some'\n", 2, "allowed: everybody, no-system-accounts, groups"),
        ("[tls]\npolicy = 'best'\n", 2, "allowed: unchanged, recommended"),
        ("[tls]\npolicy = true\n", 2, "must be a string"),
        ("[login]\npolicy = 'groups'\n", 1, "needs the names of one or more groups"),
        ("[login]\npolicy = 'groups'\ngroups = []\n", 3, "needs the names of one or more groups"),
        ("[login]\ngroups = ['a:b']\n", 2, "not the name of a group"),
        ("[login]\ngroups = ['a  b']\n", 2, "not the name of a group"),
        ("[login]\ngroups = ['a ']\n", 2, "not the name of a group"),
        ("[login]\ngroups = ['a b]']\n", 2, "not the name of a group"),
        (f"[login]\ngroups = ['{'a b' * 22}']\n", 2, "not the name of a group"),
        ('[login]\ngroups = ["a\\nauth sufficient pam_permit.so"]\n', 2, "not the name of a group"),
        ("[login]\ngroups = ['a#']\n", 2, "not the name of a group"),
        ("[login]\ngroups = ['[a']\n", 2, "not the name of a group"),
        ("[login]\ngroups = ['-a']\n", 2, "not the name of a group"),
        ("[login]\ngroups = ['27']\n", 2, "not digits alone"),
        ("[login]\ngroups = ['']\n", 2, "not the name of a group"),
        (f"[login]\ngroups = {[f'group-number-{n}' for n in range(60)]}\n", 2, "too many groups"),
        ("[auth]\nsaslauthd_mechanism = ''\n", 2, "as this host has it"),
        ("[auth]\nsaslauthd_mechanism = 'pam; rm -rf /'\n", 2, "allowed: pam"),
        ('[test]\nhost = "mail`id`"\n', 2, "not a host name"),
        ('[test]\nhost = "mail\'quote"\n', 2, "not a host name"),
        ('[test]\nhost = "a\\nb"\n', 2, "not a host name"),
        ('[test]\nuser = "al\\u001b[31mice"\n', 2, "not a login name"),
        ('[test]\nuser = "-oProxy"\n', 2, "not a login name"),
        ('[test]\nsend_to = "a@b\\r\\nRCPT TO:<c@d>"\n', 2, "not a mail address"),
        ('[test]\nsend_to = "alice"\n', 2, "not a mail address: write user@domain"),
    ],
)
def test_a_wrong_value_is_named(text: str, line: int, words: str) -> None:
    with pytest.raises(AnswersError) as caught:
        parse(text, "answers.toml")
    said = str(caught.value)
    assert said.startswith(f"answers.toml, line {line}: ")
    assert words in said
    assert said.isprintable()


def test_what_is_not_toml_says_where() -> None:
    with pytest.raises(AnswersError, match="line 2"):
        parse("[listen]\nipv6 = yes\n")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x = 1\n" * 20_000])
def test_what_is_no_answers_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(content)
    with pytest.raises(AnswersError, match=r"answers\.toml"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="no such file"):
        load(tmp_path / "none.toml")


def test_saved_settings_that_cannot_be_read_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.toml"
    assert saved(path) == Answers()
    way = (
        f" Put that right, or move it away: `mv {path} {path}.old`. Without it the howto's own set-up counts."
    )
    path.symlink_to("gone.toml")
    with pytest.raises(AnswersError) as caught:
        saved(path)
    assert str(caught.value) == (f"{path}: it is a symbolic link to gone.toml, which is not there.{way}")
    path.unlink()
    path.write_text("listen 1\n")
    with pytest.raises(AnswersError, match=r"not valid TOML: .*line 1") as caught:
        saved(path)
    assert str(caught.value).endswith(way)

    def closed(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("wizard.model.answers_file.os.open", closed)
    with pytest.raises(AnswersError, match=r"cannot be read: Permission denied\. Run it with sudo, or "):
        saved(path)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    said = ""
    try:
        parse(text)
    except AnswersError as error:
        said = str(error)
    assert all(ch.isprintable() for ch in said)


@pytest.mark.parametrize(
    "typed", ["B.example.org.", "b.example.org, a.example.org", " b.example.org  a.example.org,"]
)
def test_names_of_a_certificate_are_separated_by_blanks_or_commas(typed: str) -> None:
    names = parse(f"[certificate]\nname = '{typed}'\n").certificate.names
    assert names == ("b.example.org", "a.example.org")[: len(names)], "clients are told the first"
    assert Answers().certificate.names == ()


def test_the_commented_answers_are_the_defaults() -> None:
    assert parse(as_toml(Answers())) == Answers()


def test_the_shell_sees_no_value_of_ours() -> None:
    """A value that passes cannot end an m4 string: no quote of m4 or sh is in any allowed pattern."""
    for hostile in ("`", "'", '"', "$", "\\", "\n", ";", "(", ","):
        with pytest.raises(AnswersError):
            parse(f"[test]\nuser = {subprocess.list2cmdline(['a'])!r}\nhost = '''a{hostile}b'''\n")


def test_groups_that_no_policy_asks_for_are_named() -> None:
    assert unused_groups(Login("groups", ("staff",))) == unused_groups(Login()) == ""
    assert unused_groups(Login(groups=("staff", "mail"))) == (
        "The policy on logins is everybody: groups (staff, mail) count only where it is groups."
    )


def test_groups_that_this_host_does_not_have_are_named() -> None:
    local = {"staff", "mail"}
    assert (
        unknown_groups(Login("groups", ("staff",)), local)
        == unknown_groups(Login("groups", ("x",)), ())
        == ""
    )
    assert unknown_groups(Login(groups=("msa-users",)), local) == "", "no policy asks for it"
    says = unknown_groups(Login("groups", ("staff", "msa-users")), local)
    assert says.startswith("msa-users is no group of this host's /etc/group: unless it is in a directory")
    says = unknown_groups(Login("groups", ("one", "two")), local)
    assert says.startswith("one, two are no groups of this host's /etc/group: unless they are in a directory")


def test_addresses_that_this_host_does_not_have_are_named() -> None:
    facts = replace(machine("13"), addresses=("192.0.2.1",), any_address=frozenset())
    assert not_here(facts, Listen(("192.0.2.1",))) == ""
    assert not_here(facts, Listen(("192.0.2.1", "192.0.2.2"))).startswith(
        "192.0.2.2 is no address of this host"
    )
    assert not_here(facts, Listen(("192.0.2.2",), ("192.0.2.3",))).startswith("192.0.2.2, 192.0.2.3 are no")
