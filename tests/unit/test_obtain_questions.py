"""What `certificate obtain` asks on the terminal: nothing that was given, and it assumes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from screens.certificate_obtain import FIELDS, words_of
from wizard.cli import clients, options
from wizard.cli import main as cli
from wizard.cli.parser import parser
from wizard.errors import USAGE, NeededError
from wizard.model.answers import Answers, Certificate, Tls
from wizard.model.set_option import with_set
from wizard.model.step_facts import Acme

TERMS = "https://ca.example.org/terms"


@dataclass
class Admin:
    """Somebody at the terminal, what he replies, and what he was asked."""

    replies: Iterator[str]
    asked: list[str]
    got: list[Answers]


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    one = Admin(iter(()), [], [])

    def ask(words: str, *_: object) -> str:
        one.asked.append(words)
        return next(one.replies)

    def tried(_host: object, _arguments: argparse.Namespace, answers: Answers) -> int:
        one.got.append(answers)
        return 0

    monkeypatch.setattr(clients, "must_be_root", lambda: None)
    monkeypatch.setattr(clients, "asks", lambda _: True)
    monkeypatch.setattr(clients, "answers_of", lambda _: Answers())
    monkeypatch.setattr(clients, "directory", lambda _: Acme(terms=TERMS))
    monkeypatch.setattr(options, "ask", ask)
    monkeypatch.setattr(clients, "entered", ask)
    monkeypatch.setattr(clients, "_tried", tried)
    return one


def test_address_and_consent_are_asked_for_where_they_are_not_given(
    admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.replies = iter(["admin@example.org", "y"])
    assert cli.main(["certificate", "obtain", "--dry-run"]) == 0
    assert admin.got[0].certificate == Certificate("standalone", email="admin@example.org", agree_tos=True)
    assert TERMS in capsys.readouterr().out
    assert cli.main(["certificate", "obtain", "--email", "a@b.org", "--agree-tos", "--dry-run"]) == 0
    assert len(admin.asked) == 2, "nothing that was given"


@pytest.mark.parametrize("replies", [[""], ["no"], ["n"], ["what?", ""]])
def test_whoever_does_not_agree_has_not_agreed(
    admin: Admin, capsys: pytest.CaptureFixture[str], replies: list[str]
) -> None:
    admin.replies = iter(["", *replies])
    assert cli.main(["certificate", "obtain", "--dry-run"]) == 0
    assert admin.got[0].certificate == Certificate("standalone")
    explained = "   y  agree to them\n   n  get no certificate; Enter does the same\n"
    assert (explained in capsys.readouterr().out) is (len(replies) > 1)


FORM = dict.fromkeys((field.id for field in FIELDS), "") | {"email": "a@b.org", "challenge": "standalone"}
BY_DNS = Certificate("dns-rfc2136", credentials="/root/x.ini", server="https://acme.corp/directory")


@pytest.mark.parametrize(
    ("saved", "entered", "command"),
    [
        (Certificate(), {}, "--email a@b.org"),
        (Certificate("standalone"), {"agree_tos": "true"}, "--email a@b.org --agree-tos"),
        (Certificate(), {"name": "a.org, b.org", "challenge": "webroot", "webroot": "/srv"}, "a.org b.org --email a@b.org --challenge webroot --webroot /srv"),
        (BY_DNS, {}, "--email a@b.org --challenge standalone --set certificate.credentials= --set certificate.server="),
        (BY_DNS, {"challenge": "dns-rfc2136", "credentials": "/root/y.ini"}, "--email a@b.org --challenge dns-rfc2136 --credentials /root/y.ini --set certificate.server="),
        (Certificate(name="a.org", agree_tos=True), {}, "--email a@b.org --set certificate.name= --set certificate.agree_tos=false"),
    ],
)  # fmt: skip
def test_the_command_below_the_form_asks_for_what_the_form_asks_for(
    monkeypatch: pytest.MonkeyPatch, saved: Certificate, entered: dict[str, str], command: str
) -> None:
    """Also where the settings fill in what was emptied, or are not saved yet."""
    form = {**FORM, "agree_tos": "false", **entered}
    here, ours = Answers(certificate=saved), Answers(certificate=saved, tls=Tls("recommended"))
    assert words_of(form, here, here) == command.split()
    monkeypatch.setattr(options, "saved", lambda: here)
    words = words_of(form, ours, here)
    arguments = parser().parse_args(["certificate", "obtain", *words])
    chosen = clients._chosen(arguments)
    asked = replace(chosen, certificate=chosen.certificate.by_hand)
    assert asked == with_set(ours, [f"certificate.{key}={form[key]}" for key in form])


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ([], ""),
        (["--email", "a@b.org"], ""),
        (["mx.example.org", "--challenge", "standalone"], "certificate.challenge=standalone --set certificate.name=mx.example.org"),
    ],
)  # fmt: skip
def test_it_says_how_what_was_typed_is_kept_and_not_what_nobody_chose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: list[str], kept: str
) -> None:
    asked: list[Answers] = []

    def applied(
        _host: object, _arguments: object, _steps: object, answers: Answers, _wanted: object
    ) -> object:
        asked.append(answers)
        return SimpleNamespace(undecided=None, applied={"certificate-obtain": "abc"}), []

    settings = Answers(certificate=Certificate(email="a@b.org", agree_tos=True))
    for module in (clients, options):
        monkeypatch.setattr(module, "saved", lambda: settings)
    monkeypatch.setattr(clients, "must_be_root", lambda: None)
    monkeypatch.setattr(clients, "applied", applied)
    monkeypatch.setattr(clients, "exit_code", lambda _: 0)
    assert cli.main(["certificate", "obtain", *typed, "--yes"]) == 0
    assert asked[0].certificate.challenge == "standalone"
    words = " ".join(capsys.readouterr().out.replace("\\\n", " ").split())
    assert words.endswith(
        f"msa-wizard answers --save --set {kept}" if kept else "rollback certificate-obtain"
    )


@pytest.mark.parametrize("typed", [[], ["--name", "mx.example.org"]])
def test_the_names_of_the_settings_count_where_none_is_typed(
    monkeypatch: pytest.MonkeyPatch, typed: list[str]
) -> None:
    given: list[tuple[Any, ...]] = []

    def apply(_host: object, _arguments: object, _command: str, step: partial[object]) -> int:
        given.append(step.args)
        return 0

    names = ["smtp.example.org", "imap.example.org"]
    settings = Answers(certificate=Certificate(name=",".join(names)))
    monkeypatch.setattr(clients, "must_be_root", lambda: None)
    monkeypatch.setattr(clients, "saved", lambda: settings)
    monkeypatch.setattr(clients, "_apply", apply)
    assert cli.main(["certificate", "renew", "--yes", *typed]) == 0
    assert cli.main(["certificate", "install", "/a.crt", "/a.key", "--yes", *typed]) == 0
    wanted = typed[1:] or names
    assert (given[0][1], given[1][-1]) == (wanted, wanted[0])


def test_what_is_no_address_ends_it(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.replies = iter(["somebody", "y"])
    assert cli.main(["certificate", "obtain", "--dry-run"]) == USAGE
    assert "'somebody' is not a mail address" in capsys.readouterr().err
    assert admin.got == []


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--email", "x"], "msa-wizard: --email: 'x' is not a mail address"),
        (["--challenge", "foo"], "msa-wizard: --challenge: "),
        (["mail"], "msa-wizard: NAME: 'mail' is not a qualified host name"),
    ],
)
def test_what_is_wrong_is_named_as_it_was_typed(
    admin: Admin, capsys: pytest.CaptureFixture[str], typed: list[str], says: str
) -> None:
    assert cli.main(["certificate", "obtain", *typed, "--dry-run"]) == USAGE
    assert capsys.readouterr().err.startswith(says)
    assert admin.got == []


def test_what_comes_first_is_named_as_a_command_that_there_is(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def applied(*_: object) -> None:
        steps = ("preflight", "install", "certificate-obtain")
        raise NeededError("step certificate-obtain needs install, which is not done", steps, steps[:2])

    monkeypatch.setattr(clients, "applied", applied)
    typed = ["certificate", "obtain", "mx.example.org", "--email", "a@b.org", "--agree-tos", "--yes"]
    assert cli.main(typed) == USAGE
    assert "Run `msa-wizard apply preflight install` first, then" in " ".join(capsys.readouterr().err.split())
