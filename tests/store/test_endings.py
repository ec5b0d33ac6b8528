"""Something that works would end: no step that ends it is carried out until that is accepted by name."""

from __future__ import annotations

import json
import os
import select
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.place import LOGINS, MAIL, Ends, Killed, Place
from wizard.changes.file import FileEffect
from wizard.engine.journal import Journal, unfinished
from wizard.engine.run import Resume, Run
from wizard.errors import HostError
from wizard.model.answers import Answers, Listen, answers_from
from wizard.model.facts import Facts
from wizard.model.plan import Ending, Plan, Step
from wizard.render import as_json
from wizard.system.host import Host


class Announces(Ends):
    """Its command ends LOGINS; its plan says that the file follows."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        made = super().plan(facts, answers)
        if not any(change.kind == "command" for change in made.changes):
            return made
        return replace(made, ends=(LOGINS,), then=((f"/etc/{self.id}", None),))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_it_is_not_carried_out_and_the_run_stops_before_it(place: Place) -> None:
    steps = Ends(place.host, "one"), Ends(place.host, "two", MAIL, LOGINS), Ends(place.host, "three")
    run = place.apply(*steps)
    assert (run.undecided, run.stopped, run.ends) == ("two", "two", (MAIL, LOGINS))
    assert (run.failed, run.blocked) == (None, None)
    assert (place.there("one"), place.there("two"), place.there("three")) == (True, False, False)
    assert place.commits() == ["one"]
    assert unfinished(place.at) is None, "nothing waits for recovery"
    assert not place.store.pending()


def test_what_is_accepted_by_name_is_done(place: Place) -> None:
    steps = Ends(place.host, "one", MAIL), Ends(place.host, "two", LOGINS)
    run = place.apply(*steps, accept=("local-mail", "no-such-thing"))
    assert (list(run.applied), run.undecided, run.ends) == (["one"], "two", (LOGINS,))
    run = place.apply(*steps, accept=("logins",))
    assert list(run.applied) == ["two"]


@pytest.mark.parametrize(
    ("late", "asked"),
    [(LOGINS, 1), (replace(LOGINS, lines=("one more",)), 1), (MAIL, 2)],
)
def test_an_ending_that_was_accepted_is_not_asked_about_again_where_the_rest_is_announced(
    place: Place, late: Ending, asked: int
) -> None:
    """What has been done by then is lost with a no."""
    questions: list[tuple[Ending, ...]] = []

    def consent(_step: Step, _plan: Plan, waits: tuple[Ending, ...]) -> bool:
        questions.append(waits)
        return waits == (LOGINS,)

    run = place.apply(Announces(place.host, "one", late, late=True), consent=consent)
    assert (len(questions), run.undecided) == (asked, "one" if asked == 2 else None)
    assert place.there("one") is (asked == 1)


def test_one_of_two_is_not_enough(place: Place) -> None:
    run = place.apply(Ends(place.host, "one", MAIL, LOGINS), accept=("logins",))
    assert (run.undecided, run.ends) == ("one", (MAIL,))
    assert not place.there("one")


def test_somebody_may_be_asked(place: Place) -> None:
    asked: list[tuple[str, tuple[Ending, ...]]] = []

    def consent(step: Step, _plan: Plan, ends: tuple[Ending, ...]) -> bool:
        asked.append((step.id, ends))
        return ends != (LOGINS,)

    one, two = Ends(place.host, "one", MAIL), Ends(place.host, "two", MAIL, LOGINS)
    run = place.apply(one, two, consent=consent)
    assert asked == [("one", (MAIL,)), ("two", (LOGINS,))], "what was accepted is not asked about again"
    assert (list(run.applied), run.undecided) == (["one"], "two")


def test_a_step_left_out_is_no_question(place: Place) -> None:
    engine = place.engine(Ends(place.host, "one", MAIL))
    run = engine.apply(place.store, Journal(place.at), (), lambda _s, _p: False, lambda: None)
    assert (run.skipped, run.undecided) == (["one"], None)


def test_what_comes_to_light_half_way_undoes_the_step(place: Place) -> None:
    run = place.apply(Ends(place.host, "one", MAIL, late=True), Ends(place.host, "two"))
    assert (run.undecided, run.ends) == ("one", (MAIL,))
    assert not place.there("hosts.allow")
    assert not place.there("two")
    assert unfinished(place.at) is None
    assert place.apply(Ends(place.host, "one", MAIL, late=True), accept=("local-mail",)).applied


def test_what_comes_to_light_half_way_and_cannot_be_undone_is_a_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(*_args: object, **_more: object) -> None:
        raise HostError("/etc/hosts.allow could not be removed: Read-only file system")

    monkeypatch.setattr(Host, "remove", read_only)
    place.engine(Ends(place.host, "one", MAIL, late=True), Ends(place.host, "two"))
    assert place.main("apply", "--yes") == 1
    text = " ".join(capsys.readouterr().err.split())
    assert "/etc/hosts.allow could not be removed" in text
    assert "Step one failed." in text
    assert ("Nothing of one was changed" in text, "--accept" in text) == (False, False), text
    assert (place.there("hosts.allow"), place.there("two")) == (True, False)
    assert unfinished(place.at) is not None, "it waits for recovery"


@pytest.mark.parametrize("by_name", [True, False])
def test_a_killed_run_is_finished_with_what_was_accepted(place: Place, by_name: bool) -> None:
    """In the answers, or by whoever was asked, who is not asked again."""
    one, two = Ends(place.host, "one", MAIL, die=True), Ends(place.host, "two", LOGINS)
    accept = ("local-mail",) if by_name else ()
    with pytest.raises(Killed):
        place.apply(one, two, accept=accept, consent=lambda _s, _p, _e: not by_name)
    one.die = False
    run = place.recovery(one, two).finish()
    assert isinstance(run, Run)
    assert (list(run.applied), run.undecided, run.ends) == (["one"], "two", (LOGINS,))
    assert unfinished(place.at) is None


def killed_in_one(place: Place, *steps: Ends, answers: Answers) -> None:
    steps[0].die = True
    engine = replace(place.engine(*steps), answers=answers, unattended=True)
    with pytest.raises(Killed):
        engine.apply(place.store, Journal(place.at), ("one", "two"), lambda *_: True, lambda: None)
    steps[0].die = False


@pytest.mark.parametrize("ends", [False, True])
def test_a_finish_that_stops_names_a_command_that_goes_on(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """By the settings of the run, which are not the saved ones; `recover` has nothing to do any more."""
    monkeypatch.setattr("wizard.cli.rollback.saved", lambda: Answers(accept=("logins",)))
    answers = replace(Answers(accept=("logins", "cf-lines"), watch_restart=60), listen=Listen(ipv6=True))
    two = Ends(place.host, "two", *([MAIL] if ends else []))
    two.good = ends
    killed_in_one(place, Ends(place.host, "one"), two, answers=answers)
    assert place.main("recover", "--finish") == (4 if ends else 1)
    assert unfinished(place.at) is None
    text = capsys.readouterr().err
    again = " ".join(text.rpartition("If that may end:" if ends else "Fix the cause, then:")[2].split())
    by = "--set listen.ipv6=true --watch-restart 60 --accept cf-lines"
    assert again == f"msa-wizard apply one two {by}{' --accept local-mail' * ends}"
    assert "same command again" not in text
    two.good = True
    assert place.main(*again.split()[1:], "--yes") == 0
    assert place.there("two")


def test_a_finish_of_a_step_beyond_the_howto_that_stops_names_the_interrupted_command(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = Ends(place.host, "one"), Ends(place.host, "two", MAIL)
    killed_in_one(place, one, two, answers=Answers())
    lines = place.at.read_text().splitlines()
    first = json.loads(lines[0])
    first["request"]["extra"] = [["one", {}], ["two", {}]]
    place.at.write_text("\n".join([json.dumps(first), *lines[1:], ""]))
    place.patch.setattr("wizard.rollback.recovery.find", {"one": one, "two": two}.__getitem__)
    assert place.main("recover", "--finish") == 4
    text = " ".join(capsys.readouterr().err.split())
    assert "run the command that was interrupted again, with --accept local-mail" in text
    assert "msa-wizard apply" not in text


def test_what_a_recovery_has_kept_is_undone_where_the_rest_may_not_end_what_works(place: Place) -> None:
    made = place.root / "etc/hosts.allow"
    step, journal = Ends(place.host, "one", MAIL), Journal(place.at)
    place.apply(Ends(place.host, "zero"))
    made.write_text("begun\n")
    kept = FileEffect("/etc/hosts.allow", None, place.host.entry("/etc/hosts.allow"))
    journal.begin("recover", "r1", "Alice", "", {})
    engine, resume = place.engine(step), Resume("r1", "one", (kept,))
    run = engine.apply(place.store, journal, (), lambda _s, _p: True, lambda: None, resume)
    assert (run.undecided, run.failed, made.exists()) == ("one", None, False)
    assert unfinished(place.at) is None


def test_the_journal_of_before_knew_of_none() -> None:
    kept = as_request(Answers(accept=("cf-lines",)))
    assert answers_from(kept).accept == ("cf-lines",)
    del kept["accept"]
    assert answers_from(kept).accept == ()


def as_request(answers: Answers) -> dict[str, object]:
    from dataclasses import asdict

    made: dict[str, object] = json.loads(json.dumps(asdict(answers)))
    return made


def test_apply_stops_with_4_and_says_how_to_go_on(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.engine(Ends(place.host, "one"), Ends(place.host, "two", MAIL, LOGINS))
    assert place.main("apply", "--yes", "two", "one", "--accept", "logins") == 4
    text = capsys.readouterr().err
    assert "Stopped before two: something that works on this host would end with it." in text
    assert "WOULD END [local-mail]: mail of local programs" in text
    assert r"| a line\x1b[2J of it" in text, "the terminal is not cleared by it"
    assert "\x1b" not in text
    assert "Nothing of two was changed. 1 step applied (one)." in text
    assert "msa-wizard apply --yes two one --accept logins --accept local-mail" in text
    assert (place.there("one"), place.there("two")) == (True, False)
    again = text.partition("may end:")[2].split()
    assert place.main(*again[1:]) == 0
    assert place.there("two")


def test_apply_asks_on_a_terminal_and_no_is_the_default(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, terminal = os.openpty()
    os.write(keys, b"y\n\ny\ny\nn\ny\ny\nyes\n")
    stdin = os.fdopen(terminal)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    place.engine(Ends(place.host, "one", MAIL, LOGINS))
    assert place.main("apply") == 4, "Enter is a no"
    assert "may this end (local-mail)?" in capsys.readouterr().out
    assert place.main("apply") == 4, "one no is enough"
    assert not place.there("one")
    assert "msa-wizard apply --accept local-mail --accept logins" in capsys.readouterr().err
    assert place.main("apply", "--yes") == 4, "--yes accepts nothing, and asks nothing"
    assert place.main("apply") == 0
    assert place.there("one")
    assert not select.select([terminal], [], [], 0)[0], "every answer was asked for"
    stdin.close()
    os.close(keys)


def test_json_holds_them(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.engine(Ends(place.host, "one", MAIL))
    assert place.main("plan", "--json") == 0
    planned = json.loads(capsys.readouterr().out)["steps"][0]["ends"]
    assert planned == [{"id": "local-mail", "says": MAIL.says, "lines": list(MAIL.lines)}]
    assert place.main("apply", "--yes", "--json") == 4
    made = json.loads(capsys.readouterr().out)
    assert (made["undecided"], made["ends"]) == ("one", planned)


def test_plan_and_status_name_them(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.engine(Ends(place.host, "one", MAIL))
    assert place.main("plan", "--exit-code") == 10
    text = capsys.readouterr().out
    assert "WOULD END [local-mail]: mail of local programs" in text
    assert "| another" in text
    assert "`apply` stops before one" in text
    assert "--accept local-mail" in text
    assert place.main("plan", "--accept", "local-mail", "--accept", "links") == 0
    text = capsys.readouterr().out
    assert "stops before" not in text
    assert "links is accepted, but nothing of that name would end" in text
    place.patch.setattr("wizard.cli.options.saved", lambda: Answers(accept=("links",)))
    assert place.main("plan") == 0
    assert "is accepted, but" not in capsys.readouterr().out, "in the settings it waits for its day"
    assert place.main("status") == 0
    assert "differs (WOULD END: local-mail)" in capsys.readouterr().out


def test_a_name_that_nothing_has_is_wrong_usage(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.engine(Ends(place.host, "one", MAIL))
    assert place.main("apply", "--yes", "--accept", "cf-line") == 2
    assert "there is no --accept 'cf-line'; did you mean cf-lines?" in capsys.readouterr().err
    assert not place.there("one")


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a--b", "a\n", "x" * 65, "ä"])
def test_an_id_is_a_word(place: Place, capsys: pytest.CaptureFixture[str], name: str) -> None:
    place.engine(Ends(place.host, "one", MAIL))
    assert place.main("apply", "--yes", f"--accept={name}") == 2
    assert "is not the id of something that would end" in capsys.readouterr().err
    assert not place.there("one")


def test_only_what_waits_is_named() -> None:
    plan = Plan.pending("one", "differs", ends=(MAIL, LOGINS))
    assert plan.waits_for(()) == (MAIL, LOGINS)
    assert plan.waits_for({"logins"}) == (MAIL,)
    assert replace(plan, ends=()).waits_for(()) == ()
    assert as_json.endings(plan.waits_for({"local-mail"})) == [
        {"id": "logins", "says": LOGINS.says, "lines": []}
    ]
