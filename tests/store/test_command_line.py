"""The command line with a history behind it: what it asks before each step, what it shows of the history, and in which
order it finds faults."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
from argparse import Namespace
from dataclasses import replace

import pytest

from snapshots.errors import StoreError
from snapshots.store import Store
from tests.json_documents import document
from tests.store.machine import as_root
from tests.store.place import LOGINS, NAMES, Answer, Ends, Place, broken_off
from tests.unit.steps.recorded import machine
from wizard.changes.command import CommandChange
from wizard.cli import completion, remove
from wizard.engine.journal import unfinished
from wizard.engine.recorder import Recorder
from wizard.engine.removal import Removal
from wizard.engine.run import AGAIN, BY_HAND
from wizard.engine.settings import save_settings
from wizard.engine.undo import undo_effects
from wizard.errors import AnswersError, ChangeError, Interrupted
from wizard.model.answers import Answers, Listen
from wizard.model.answers_file import SAVED, load
from wizard.model.facts import Facts
from wizard.model.plan import Plan
from wizard.rollback.apply import RollbackSession

IPV6 = Answers(Listen(ipv6=True))


@pytest.mark.parametrize(
    ("replies", "applied"),
    [
        (("", "n", "y"), ["three"]),
        (("y", "a"), ["three", "two", "one"]),
        (("y", "q"), ["one"]),
        (("q",), []),
        (("?", "what", "yes", "", "no"), ["one"]),
    ],
)
def test_each_step_is_asked_for_and_no_is_the_default(
    replies: tuple[str, ...], applied: list[str], place: Place, answer: Answer
) -> None:
    asked = answer(*replies)
    assert place.main("apply") == 0
    assert place.commits() == applied
    assert len(asked) == len(replies), "nobody is asked again after all, or quit"
    assert asked[0] == "   apply one? [y]es, [n]o (the default), [a]ll, [q]uit, ?: "


def test_a_question_mark_tells_what_each_letter_does(
    place: Place, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer("?", "q")
    place.main("apply")
    text = capsys.readouterr().out
    assert "   q  end here: what was applied stays; Ctrl-D does the same" in text
    assert "Ended before one. No step was applied.\nTo go on:  msa-wizard apply\n" in text


def test_who_quits_is_told_the_command_that_goes_on_with_the_same(
    place: Place, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ("apply", "two", "three", "--set", "login.policy=no-system-accounts")
    answer("y", "q")
    assert place.main(*typed) == 0
    goes_on = f"To go on:  msa-wizard {' '.join(typed)}\n"
    shown = capsys.readouterr().out
    assert f"Ended before three. 1 step applied (two).\n{goes_on}" in shown.replace(" \\\n ", "")


def test_a_signal_at_a_question_says_that_nothing_was_changed(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    says = "msa-wizard: interrupted by SIGINT. Nothing was changed\n"
    with monkeypatch.context() as patch:
        broken_off(patch)
        assert place.main("apply") == 128 + signal.SIGINT
    text = capsys.readouterr()
    assert (text.out.endswith("?: \n"), text.err) == (True, says)
    assert place.main("apply", "--yes") == 0
    capsys.readouterr()
    broken_off(monkeypatch)
    assert place.main("rollback", "--all") == 128 + signal.SIGINT
    assert capsys.readouterr().err == says


def test_a_signal_between_two_steps_says_what_stays(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def ask(words: str, _interrupt: object = None, at_end: str = "no") -> str:
        asked.append(words)
        if len(asked) > 1:
            raise Interrupted(signal.SIGINT)
        return "y"

    answer()
    monkeypatch.setattr("wizard.cli.options.ask", ask)
    assert place.main("apply") == 128 + signal.SIGINT
    shown = capsys.readouterr().err
    assert "1 step applied (one). That stays.\nTo go on:  msa-wizard apply\n" in shown
    assert shown.endswith("msa-wizard: interrupted by SIGINT\n"), "nothing else was begun"
    assert place.commits() == ["one"]


def commits(place: Place, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str | None]:
    capsys.readouterr()
    assert place.main("history", *arguments, "--json") == 0
    return [commit["step"] for commit in json.loads(capsys.readouterr().out)["commits"]]


def test_a_part_of_the_history(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.main("apply", "--yes") == 0
    assert commits(place, capsys, "-n", "2") == ["three", "two"]
    assert commits(place, capsys, "two") == ["two"]
    assert commits(place, capsys) == ["three", "two", "one", None]
    assert place.main("history", "-n", "0") == 2
    assert place.main("history", "twoo") == 2
    assert (
        "there is no step 'twoo'; did you mean two? The history has one, three, two"
        in capsys.readouterr().err
    )


def test_a_step_that_was_never_applied_has_no_history(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.main("apply", "one", "--yes") == 0
    assert commits(place, capsys, "two") == []
    assert place.main("history", "two") == 0
    assert capsys.readouterr().out == "two was never applied on this host.\n"
    assert place.main("history", "mend-certificate") == 0
    assert capsys.readouterr().out == "mend-certificate was never applied on this host.\n"


def test_what_does_not_exist_is_said_before_how_to_agree(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.main("apply", "--yes") == 0
    assert place.main("rollback", "deadbeef") == 2
    assert "there is no commit or applied step 'deadbeef'" in capsys.readouterr().err
    assert place.main("rollback", "two") == 2
    assert "rollback needs --yes" in capsys.readouterr().err
    assert place.main("rollback", "two", "--all") == 2
    assert "--all rolls back everything, two included: name one of them alone" in capsys.readouterr().err


def test_all_that_came_after_a_commit_is_rolled_back(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.main("apply", "--yes") == 0
    capsys.readouterr()
    assert place.main("history", "--json") == 0
    first = next(
        each["commit"] for each in json.loads(capsys.readouterr().out)["commits"] if each["step"] == "one"
    )
    assert place.main("rollback", "--to", first[:10], "two") == 2
    assert "name nothing besides" in capsys.readouterr().err
    assert place.main("rollback", "--to", "deadbeef") == 2
    assert "there is no commit or applied step 'deadbeef'" in capsys.readouterr().err
    assert place.main("rollback", "--to", "deadbeef", "--yes") == 2
    assert place.main("rollback", "--to", first[:10], "--yes") == 0
    assert "two" in capsys.readouterr().out
    assert place.main("status", "--json") == 0
    states = {row["step"]: row["state"] for row in json.loads(capsys.readouterr().out)["steps"]}
    assert (states["one"], states["two"], states["three"]) == ("applied", "pending", "pending")


def test_it_says_what_it_is_at_and_remove_what_could_come_first(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at, nothing = list[str](), Removal((), (), ())
    monkeypatch.setattr("wizard.cli.rollback.waits_for", at.append)
    monkeypatch.setattr("wizard.engine.state_dir.existing_store", lambda: place.store)
    assert place.main("apply", "--yes") == 0
    first = "For the host as it was found, run `msa-wizard rollback --all` first."
    assert first in remove._shown(nothing, remove._in_force())
    assert place.main("rollback", "--all", "--yes") == 0
    assert at == ["rolling back"]
    assert first not in remove._shown(nothing, remove._in_force())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for it")
def test_a_certificate_that_is_not_there_is_said_before_how_to_agree(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from wizard.cli import main as cli

    assert cli.main(["certificate", "install", "/nonexist", "/nonexist", "--name", "a.example.test"]) == 1
    assert "/nonexist" in capsys.readouterr().err


@as_root
def test_the_commits_of_the_history_are_completed(place: Place) -> None:
    assert place.main("apply", "--yes") == 0
    offered = completion._steps_and_commits(Namespace())
    newest = next(iter(place.store.history()))
    assert list(offered)[:4] == ["one", "two", "three", newest.short]
    assert offered[newest.short].endswith(f" apply {newest.subject}")
    assert len(offered) == 3 + 4
    assert list(completion._commits()) == list(offered)[3:], "--to takes no step"
    assert list(completion._steps_in_history(Namespace())) == ["one", "two", "three"]


def history_text(place: Place, capsys: pytest.CaptureFixture[str], *command: str) -> str:
    capsys.readouterr()
    assert place.main(*command) == 0
    return capsys.readouterr().out


def newest(place: Place) -> str:
    return next(place.store.history()).short


def test_the_history_has_the_words_of_the_screens_and_a_row_for_each_commit_that_is_named(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.main("apply", "--yes")
    (place.host.root / "etc/mine").write_text("mine\n")
    place.main("rollback", "two", "--yes")
    first = newest(place)
    place.main("rollback", first, "--yes")
    second = newest(place)
    place.main("rollback", second, "--yes")

    rows = [re.split(" {2,}", line) for line in history_text(place, capsys, "history").splitlines()]
    assert [row[2] for row in rows] == [
        "rolled back",
        "(rolled back)",
        "rolled back",
        "by others",
        "applied",
        "(applied)",
        "applied",
        "as found",
    ]
    subject = f"Rolled back: the rollback of the rollback of two ({second})"
    assert rows[0][3] == subject, "what it names is the id of a row"
    assert rows[1][:1] == [second]
    text = history_text(place, capsys, "diff", newest(place))
    assert "it rolled back:\n  " + second in text
    assert f"rolled back by:\n  {newest(place)}" in history_text(place, capsys, "diff", second)


@pytest.mark.parametrize("left", [(), ("service sendmail: it is masked",)])
def test_a_rollback_that_fails_names_what_helps(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], left: tuple[str, ...]
) -> None:
    """The same command again is refused where something could not be undone: that run waits for recovery."""
    place.main("apply", "--yes")

    def silent(*_: object) -> None:
        raise ChangeError("port 587 does not answer")

    undo = undo_effects
    monkeypatch.setattr(RollbackSession, "_listens", silent)
    monkeypatch.setattr("wizard.rollback.apply.restart_stale", lambda *_: None)
    monkeypatch.setattr("wizard.rollback.apply.undo_effects", lambda *what: (undo(*what)[0], left))
    assert place.main("rollback", "two", "--yes") == 1
    text = " ".join(capsys.readouterr().err.split())
    assert ("was undone in part: port 587" in text, "was undone: port 587" in text) == (bool(left), not left)
    assert text.endswith(f"next: {BY_HAND if left else AGAIN}")
    assert (unfinished(place.at) is None) is not bool(left)


def test_debugging_is_no_rollback(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.main("apply", "--yes")
    recorder = Recorder(place.host, place.store, "run", lambda _: None)
    noted = recorder.note("debug-plain-login: for 17 s, then undone", None)
    assert f"{noted}  " in (text := history_text(place, capsys, "history", "-n", "1"))
    assert "  debugging  debug-plain-login: for 17 s, then undone  " in text
    assert place.main("rollback", noted, "--yes") == 0
    assert f"Nothing to roll back: {noted} only tells of what was undone at once" in capsys.readouterr().out
    assert newest(place) == noted


class Noted(Ends):
    """A step with a note that others have, too."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        return replace(super().plan(facts, answers), notes=("it is so for several",))


def test_what_is_noted_of_several_steps_is_planned_once_and_whole_in_json(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.engine(*(Noted(place.host, name) for name in NAMES))
    place.main("plan")
    assert capsys.readouterr().out.count("note: it is so for several") == 1
    place.main("plan", "--json")
    assert capsys.readouterr().out.count('"it is so for several"') == len(NAMES)


class Unseen(Ends):
    """A step of which only root sees whether it has something to do."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        return Plan.unseen(self.id, "only root can read it")


def test_what_only_root_can_see_is_not_said_to_be_to_do(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user who watches the host had an alarm for ever."""
    first, *others = NAMES
    place.engine(Unseen(place.host, first), *(Ends(place.host, name) for name in others))
    assert place.main("plan", "--exit-code") == 10
    assert place.main("apply", "--yes", *others) == 0
    assert place.main("plan") == 0
    capsys.readouterr()
    assert place.main("plan", "--exit-code") == 3
    shown = capsys.readouterr()
    assert "unknown: only root can read it" in shown.out
    assert (
        "only root can see whether anything is left to do. Run: `sudo msa-wizard plan --exit-code`"
        in shown.err
    )
    assert place.main("plan", "--exit-code", "--json") == 3
    shown = json.loads(capsys.readouterr().out)
    assert [step["step"] for step in shown["steps"]] == list(NAMES), "the plan is there all the same"
    assert shown["steps"][0]["reason"] == "only root can read it"


class Talks(Ends):
    """A step whose command says a lot."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        plan = super().plan(facts, answers)
        says = CommandChange(("seq", "90"), "says a lot", footprint=())
        return replace(plan, changes=(says, *plan.changes)) if plan.changes else plan


def test_what_sendmailconfig_says_is_told_in_short_or_whole(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wizard.render.progress._BEGINS", "$ seq 90")
    place.engine(*(Talks(place.host, name) for name in NAMES))
    place.main("apply", "one", "--yes")
    assert "   | $ seq 90\n   | ... 90 more lines of its output: `-v` shows them" in capsys.readouterr().out
    place.main("apply", "two", "--yes", "-v")
    assert "   | 89\n   | 90\n" in capsys.readouterr().out


@pytest.mark.parametrize("reply", ["q", "n", ""])
def test_who_wants_no_new_certificate_is_told_that_nothing_was_changed(
    place: Place,
    answer: Answer,
    reply: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = answer(reply)
    monkeypatch.setattr("wizard.cli.clients.asks", lambda _: True)
    monkeypatch.setattr("wizard.cli.clients.renewed", lambda *_, **__: Ends(place.host, "certificate"))
    assert place.main("certificate", "renew", "--name", "mail.example.test") == 0
    assert len(asked) == 1
    assert capsys.readouterr().out.endswith("\nNothing was changed.\n")
    assert place.commits() == []


def test_what_the_settings_accept_a_new_certificate_may_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "wizard.cli.clients.renewed", lambda *_, **__: Ends(place.host, "certificate", LOGINS)
    )
    new = ("certificate", "renew", "--name", "mail.example.test", "--yes")
    assert (place.main(*new), place.commits()) == (4, [])
    monkeypatch.setattr("wizard.cli.clients.saved", lambda: Answers(accept=(LOGINS.id,)))
    assert (place.main(*new), place.commits()) == (0, ["certificate"])


def test_settings_that_the_program_has_saved_are_not_by_others(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = place.host.root / "etc/msa-wizard/answers.toml"
    place.main("apply", "one", "--yes")
    save_settings(place.host, SAVED, Answers(), "# first\n", lambda: place.store)
    saved.write_text("# by hand\n")
    save_settings(place.host, SAVED, IPV6, "# second\n", lambda: place.store)
    place.main("apply", "two", "--yes")
    rows = [re.split(" {2,}", line) for line in history_text(place, capsys, "history").splitlines()]
    assert [row[2] for row in rows] == ["applied", "saved", "by others", "saved", "applied", "as found"]
    assert rows[1][3] == "The settings of msa-wizard"
    assert " # by hand\n+\n+[listen]\n+ipv6 = true\n" in history_text(place, capsys, "diff", rows[1][0])
    place.main("rollback", "--all", "--yes")
    assert saved.read_text() == "# by hand\n\n[listen]\nipv6 = true\n", "they are the admin's, and no step's"


def test_settings_are_saved_where_there_is_no_history_or_none_can_be_read(place: Place) -> None:
    def damaged() -> Store:
        raise StoreError("It is damaged.")

    assert save_settings(place.host, SAVED, Answers(), "# new\n", lambda: None) == (
        f"The settings are saved in {place.host.path(SAVED)}."
    )
    text = save_settings(place.host, SAVED, IPV6, "", damaged)
    assert text.endswith("The history does not say who did it: It is damaged.")
    assert load(place.host.path(SAVED)) == IPV6


@as_root
def test_a_file_of_settings_keeps_its_comments_its_owner_and_its_mode(place: Place) -> None:
    file = place.host.path(SAVED)
    file.parent.mkdir(parents=True)
    file.write_text("# OUR TICKET 4711\n[listen]\nipv6 = false # not before the move\n")
    file.chmod(0o640)
    os.chown(file, 0, 4)
    save_settings(place.host, SAVED, IPV6, "# another file\n", lambda: None)
    assert file.read_text() == "# OUR TICKET 4711\n[listen]\nipv6 = true # not before the move\n"
    status = file.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 0, 4)


def test_a_file_of_settings_that_cannot_be_read_is_not_written_over(place: Place) -> None:
    file = place.host.path(SAVED)
    file.parent.mkdir(parents=True)
    file.write_text("listen 1 # ours\n")
    with pytest.raises(AnswersError, match="not valid TOML"):
        save_settings(place.host, SAVED, IPV6, "# another file\n", lambda: None)
    assert file.read_text() == "listen 1 # ours\n"


def test_the_diff_of_a_commit_is_whole_in_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.main("apply", "--yes")
    lines = [f"line {number} {'x' * 300}" for number in range(3000)]
    (place.host.root / "etc/two").write_text("".join(f"{line}\n" for line in [*lines, "y" * 10_000]))
    place.main("rollback", "two", "--yes", "--on-conflict", "restore")
    drift = next(commit for commit in place.store.history() if commit.operation == "drift")
    shown = document("diff", history_text(place, capsys, "diff", drift.short, "--json"))
    assert shown["commit"]["commit"] == drift.id
    assert [line[1:] for line in shown["diff"].splitlines() if line.startswith("+")][1:] == [
        *lines,
        "y" * 10_000,
    ]


def test_what_a_rollback_does_is_said_in_short_right_above_the_question(
    place: Place, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    place.main("apply", "--yes")
    capsys.readouterr()
    asked = answer("n")
    assert place.main("rollback", "--all") == 0
    assert asked == ["roll this back? [y]es, [n]o (the default): "]
    *_, short, nothing = capsys.readouterr().out.splitlines()
    assert short == "In short: roll back everything: 3 paths removed."
    assert nothing == "Nothing was changed."


class Ships(Ends):
    """Has something to do once it is known what a package ships."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        return super().plan(facts, answers) if facts.shipped else Plan.later(self.id, "once it is there")


def test_status_knows_what_plan_and_the_screens_know(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the packages that are missing ship."""
    monkeypatch.setattr("wizard.gather.host.shipped_files", lambda _: {"/etc/made-up": None})
    place.engine(Ships(place.host, "one"))
    place.main("plan", "--json")
    planned = json.loads(capsys.readouterr().out)["steps"][0]["outcome"]
    place.main("status", "--json")
    assert json.loads(capsys.readouterr().out)["steps"][0]["outcome"] == planned == "pending"


def test_settings_for_clients_say_that_the_host_does_not_take_their_mail_yet(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wizard.cli.clients.look", lambda _: machine("13"))
    assert place.main("client-settings") == 0
    output = capsys.readouterr()
    assert "mail.example.test" in output.out
    assert "note: Mail clients cannot use this yet: sendmail.cf has no port 587 for them." in output.err
