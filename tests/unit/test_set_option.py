"""`--set`, and the settings of the host below it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.unit.steps.recorded import machine
from wizard.cli import options
from wizard.cli.parser import parser
from wizard.engine import state_dir
from wizard.errors import AnswersError, Locked, UsageError
from wizard.model.answers import (
    Answers,
    Auth,
    Certificate,
    Firewall,
    Guess,
    Install,
    Listen,
    Login,
    Test,
    Tls,
    answers_from,
)
from wizard.model.answers_file import load, parse, saved
from wizard.model.set_option import KEYS, as_options, with_set, with_those_that_go
from wizard.render.files import as_toml
from wizard.system.lock import held

OWN = Answers(
    Listen(("192.0.2.25", "2001:db8::25"), ("127.0.0.1", "192.0.2.25"), implicit_tls=True),
    Auth("shadow", ("PLAIN",)),
    Test("mail.example.test", "alice", "bob@example.test"),
    firewall=Firewall("ufw", "net"),
    install=Install(recommends=False),
    accept=("cf-lines", "logins"),
    login=Login("groups", ("mail", "staff")),
    tls=Tls("recommended"),
    certificate=Certificate(
        "dns-rfc2136",
        "mail.example.test",
        "a@example.test",
        True,
        "https://ca.example.test/dir",
        "",
        "/etc/x",
    ),
)


def test_every_setting_can_be_set() -> None:
    sections = {name: value for name, value in asdict(Answers()).items() if isinstance(value, dict)}
    names = (f"{section}.{name}" for section, values in sections.items() for name in values)
    assert {*KEYS} == {"accept", *names}


@pytest.mark.parametrize(("to", "of"), [(OWN, Answers()), (Answers(), OWN), (OWN, OWN)])
def test_options_lead_from_any_settings_to_any_others(to: Answers, of: Answers) -> None:
    given = as_options(to, of)
    assert with_set(of, given[1::2]) == to
    assert given[::2] == ["--set"] * (len(given) // 2)


def test_the_journal_gives_them_back() -> None:
    kept = json.loads(json.dumps(asdict(OWN)))
    assert answers_from(kept) == OWN
    del kept["login"], kept["tls"]
    assert answers_from(kept) == replace(OWN, login=Login(), tls=Tls()), "of a version that knew no policy"


def test_of_two_the_last_counts_and_nothing_is_the_default() -> None:
    assert with_set(Answers(), ["listen.ipv6=true", "listen.ipv6=false"]) == Answers()
    assert with_set(OWN, ["auth.mechanisms="]).auth.mechanisms == ()
    assert with_set(OWN, ["auth.mechanisms=", "auth.mechanisms = LOGIN"]).auth.mechanisms == ("LOGIN",)


def test_a_limit_on_guessing() -> None:
    options = [
        "guess.limit=true",
        "guess.attempts=3",
        "guess.ban=7d",
        "guess.never=192.0.2.0/24, 2001:db8::1",
    ]
    chosen = with_set(Answers(), options).guess
    assert chosen == Guess(True, 3, "10m", "7d", ("192.0.2.0/24", "2001:db8::1"))
    assert as_options(Answers(guess=chosen), Answers())[1::2] == [each.replace(", ", ",") for each in options]


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("listen.ipv6", "it takes KEY=VALUE, such as listen.ipv6=true"),
        ("listen.ipv=true", "unknown key; did you mean listen.ipv6?"),
        ("replace_mta=true", "replace_mta: unknown key. The keys: accept, listen.submission,"),
        ("listen.ipv6=yes", "must be true or false, not 'yes'"),
        ("listen.submission=mail", "'mail' is not an IP address"),
        ("auth.mechanisms=CRAM-MD5", "saslauthd cannot serve 'CRAM-MD5'"),
        ('test.user=x"\nhost = "y', "is not a login name"),
        ("listen.smtp=192.0.2.25", 'add "127.0.0.1"'),
        ("listen.submission=[]", "several values are separated by commas, and `listen.submission=` is none"),
        ('listen.submission=["192.0.2.1"]', "several values are separated by commas"),
        ("accept=logins,foo", "nothing that could end is called foo. The names: "),
        ("login.policy=groups", 'login.groups: policy = "groups" needs the names'),
        ("guess.limit=yes", "must be true or false, not 'yes'"),
        ("guess.attempts=many", "must be a whole number such as 5, not 'many'"),
        ("guess.attempts=-1", "must be a whole number such as 5, not '-1'"),
        ("guess.attempts=0", "0 is not from 1 to 100"),
        ("guess.attempts=101", "101 is not from 1 to 100"),
        ("guess.ban=10", "'10' is not a time such as 30s, 10m, 1h"),
        ("guess.ban=0s", "'0s' is not a time such as 30s"),
        ("guess.ban=60w", "'60w' is not a time such as 30s, 10m, 1h, 7d or 4w, of a year at most"),
        ("guess.window=10m\nbantime = -1", "is not a time such as"),
        ("guess.never=office", "'office' is not a network such as 192.0.2.0/24"),
        ("guess.never=192.0.2.9/24", "it begins at 192.0.2.0/24"),
        ("guess.never=0.0.0.0/0", "'0.0.0.0/0' would let everybody guess"),
        ("guess.never=::/0", "'::/0' would let everybody guess"),
        ("guess.never=fe80::1%eth0", "has a scope, which no ban looks at"),
        ("login.policy=nobody", "'nobody' is no policy; allowed: everybody, no-system-accounts, groups"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(option: str, says: str) -> None:
    with pytest.raises(AnswersError) as caught:
        with_set(Answers(), [option])
    said = str(caught.value)
    assert said.startswith("--set ")
    assert says in said
    assert said.isprintable()


def _given(monkeypatch: pytest.MonkeyPatch, host: Answers, *argv: str) -> Answers:
    monkeypatch.setattr(options, "saved", lambda: host)
    return options.answers_of(parser().parse_args(["plan", *argv]))


def test_the_host_then_the_file_then_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[listen]\nipv6 = true\n[test]\nuser = "bob"\n')
    host = replace(
        Answers(), listen=Listen(implicit_tls=True), test=Test(user="alice", host="mail.example.test")
    )
    assert _given(monkeypatch, host) == host
    over = _given(monkeypatch, host, "--answers", str(file))
    assert over.listen == Listen(ipv6=True, implicit_tls=True)
    assert over.test == Test(user="bob", host="mail.example.test")
    last = _given(monkeypatch, host, "--answers", str(file), "--set", "test.user=carol", "--accept", "logins")
    assert (last.test.user, last.accept) == ("carol", ("logins",))


@pytest.mark.parametrize(
    "command", ["plan", "apply", "rehearse", "status", "client-settings", "answers", "troubleshoot", "test"]
)
def test_every_command_that_plans_takes_them(command: str) -> None:
    given = parser().parse_args([command, "--answers", "x.toml", "--set", "listen.ipv6=true"])
    assert isinstance(given, argparse.Namespace)
    assert (given.answers, given.set) == ("x.toml", ["listen.ipv6=true"])


def test_settings_that_nobody_saved_are_the_howtos(tmp_path: Path) -> None:
    path = tmp_path / "msa-wizard/answers.toml"
    assert saved(path) == Answers()
    path.parent.mkdir()
    path.write_text(as_toml(OWN))
    assert saved(path) == OWN


def test_a_missing_file_is_made_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match=f"`msa-wizard answers --output {tmp_path}/x.toml` makes one"):
        load(tmp_path / "x.toml")
    with pytest.raises(AnswersError, match=f"The folder {tmp_path}/gone is not there either"):
        load(tmp_path / "gone/x.toml")


def _answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *argv: str) -> int:
    from wizard.cli import steps

    monkeypatch.setattr(steps, "look", lambda _: machine("13"))
    monkeypatch.setattr(state_dir, "must_be_root", lambda *_, **__: None)
    monkeypatch.setattr(state_dir, "HOME", tmp_path / "state")
    monkeypatch.setattr(state_dir, "LOCK", tmp_path / "state/lock")
    monkeypatch.setattr(state_dir, "STORE", tmp_path / "state/etc.git")
    monkeypatch.setattr(state_dir, "JOURNAL", tmp_path / "state/journal")
    monkeypatch.setattr(steps, "SAVED", str(tmp_path / "etc/answers.toml"))
    return steps.answers(parser().parse_args(["answers", *argv]))


def test_the_settings_are_printed_with_what_the_host_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _answers(monkeypatch, tmp_path, "--set", "listen.ipv6=true") == 0
    printed = parse(capsys.readouterr().out)
    assert (printed.listen.ipv6, printed.test.host) == (True, ""), "each host tests itself"


def test_they_are_not_saved_while_somebody_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "etc").mkdir()
    with held(tmp_path / "state/lock", "bob"), pytest.raises(Locked, match="bob has been running msa-wizard"):
        _answers(monkeypatch, tmp_path, "--set", "listen.ipv6=true", "--save")
    assert not list((tmp_path / "etc").iterdir())
    assert _answers(monkeypatch, tmp_path, "--set", "listen.ipv6=true", "--save") == 0
    assert load(tmp_path / "etc/answers.toml").listen.ipv6


def test_they_are_written_to_a_file_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.toml"
    assert _answers(monkeypatch, tmp_path, "--set", "listen.ipv6=true", "--output", str(path)) == 0
    assert load(path).listen.ipv6
    with pytest.raises(AnswersError, match="--force replaces it"):
        _answers(monkeypatch, tmp_path, "--output", str(path))
    assert _answers(monkeypatch, tmp_path, "--output", str(path), "--force") == 0
    assert not load(path).listen.ipv6


def test_saved_they_are_what_was_chosen_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _answers(monkeypatch, tmp_path, "--set", "listen.ipv6=true", "--save") == 0
    assert load(tmp_path / "etc/answers.toml") == Answers(Listen(ipv6=True))
    with pytest.raises(UsageError, match="give one of them"):
        _answers(monkeypatch, tmp_path, "--save", "--output", "x")


def test_what_has_no_effect_is_said_where_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _answers(monkeypatch, tmp_path, "--set", "login.groups=staff", "--save") == 0
    assert "note: The policy on logins is everybody: groups (staff) count" in capsys.readouterr().err


def test_of_options_that_do_not_all_go_those_that_do_are_set() -> None:
    local, user, policy, groups = (
        *("listen.local_submission=true", "test.user=alice"),
        *("login.policy=groups", "login.groups=staff"),
    )
    made = with_set(Answers(), [user, policy, groups])
    assert with_those_that_go(Answers(), [user, policy, groups]) == (made, [])
    assert with_those_that_go(Answers(), [local, policy, groups, user]) == (made, [local])
