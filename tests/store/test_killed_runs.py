"""A run that was killed is finished as it was decided: what was declined stays left out, and what it had not come to is asked about."""

from __future__ import annotations

import json
import signal

import pytest

from tests.store.place import NAMES, Answer, Ends, Killed, Place, broken_off, die
from wizard.changes.file import FileEffect
from wizard.cli import options
from wizard.engine.journal import Journal, unfinished
from wizard.engine.run import Resume
from wizard.model.plan import Plan, Step


def killed_in(place: Place, at: str, *arguments: str, needs: tuple[str, ...] = ()) -> None:
    """An `apply` is killed in this step; the last one has `needs`."""
    steps = [Ends(place.host, name, die=name == at) for name in NAMES]
    steps[-1].needs = needs  # type: ignore[misc]
    place.engine(*steps)
    with pytest.raises(Killed):
        place.main("apply", *arguments)
    for step in steps:
        step.die = False


def forget_keys(place: Place, *keys: str) -> None:
    """The journal as an earlier version wrote it."""
    lines = [json.loads(line) for line in place.at.read_text().splitlines()]
    for key in keys:
        lines[0]["request"].pop(key, None)
        for line in lines:
            line.pop(key, None)
    place.at.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(
    ("reply", "applied", "says"),
    [
        ("y", ["three", "two"], "Finished."),
        ("n", ["two"], "Finished."),
        ("q", ["two"], "Ended before three. 1 step applied (two)."),
    ],
)
def test_what_was_declined_stays_left_out_of_a_killed_run_and_the_rest_is_asked_about(
    place: Place,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    reply: str,
    applied: list[str],
    says: str,
    earlier: bool,
) -> None:
    answer("n", "y")
    killed_in(place, "two")
    if earlier:
        forget_keys(place, "declined", "unattended")
    asked = answer(reply)
    assert place.main("recover", "--finish") == 0
    assert asked == ["   apply three? [y]es, [n]o (the default), [a]ll, [q]uit, ?: "]
    assert place.commits() == applied
    text = capsys.readouterr().out
    assert says in text
    skipped = "Done         two\nSkipped      one: no other step needs it\n             three: no other step needs it\n"
    assert (skipped in text) is (reply == "n")
    assert unfinished(place.at) is None


@pytest.mark.parametrize("asked_by", ["n", "y", "--yes", "nobody"])
def test_recover_shows_what_it_undoes_and_asks_where_somebody_can_be_asked(
    place: Place,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked_by: str,
) -> None:
    killed_in(place, "two", "--yes")
    capsys.readouterr()
    asked = answer(asked_by)
    monkeypatch.setattr("wizard.cli.rollback.asks", lambda _: asked_by != "nobody")
    assert place.main("recover", *(["--yes"] if asked_by == "--yes" else [])) == 0
    text = capsys.readouterr().out
    assert text.index("In hand: two, with these changes begun:") < text.index(
        "undone: " if asked_by != "n" else "Nothing was"
    )
    assert asked == (["undo this run? [y]es, [n]o (the default): "] if asked_by in ("n", "y") else [])
    assert (unfinished(place.at) is None) is (asked_by != "n")
    assert place.there("one") is (asked_by == "n")


def test_where_nobody_can_be_asked_a_killed_run_ends_before_what_nobody_was_asked_about(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer("n", "y")
    killed_in(place, "two")
    monkeypatch.setattr("wizard.cli.options.asks", lambda _: False)
    assert place.main("recover", "--show") == 0
    assert "Left out: one." in capsys.readouterr().out
    assert place.main("recover", "--finish") == 4
    text = " ".join(capsys.readouterr().err.split())
    assert "Stopped before three: the interrupted run had not come to it." in text
    assert "1 step applied (two). To go on: msa-wizard apply" in text
    assert place.commits() == ["two"]
    assert unfinished(place.at) is None


def test_a_killed_run_that_was_not_to_ask_is_finished_whole(place: Place) -> None:
    killed_in(place, "two", "--yes")
    assert place.main("recover", "--finish") == 0
    assert place.commits() == ["three", "two", "one"]


@pytest.mark.parametrize("at", ["one", "two"])
def test_what_needs_a_declined_step_is_left_out_of_a_killed_run_too(
    place: Place, answer: Answer, at: str
) -> None:
    """Also where it was declined after the last step that began."""
    replies = {"one": ("y",), "two": ("n", "y")}[at]
    answer(*replies)
    killed_in(place, at, needs=({"one": "two", "two": "one"}[at],))
    asked = answer("n")
    assert place.main("recover", "--finish") == 0
    assert len(asked) == (1 if at == "one" else 0)
    assert place.commits() == [at]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_step_that_was_declined_between_two_others_stays_left_out(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """The run is killed where it asks about the next one."""
    asked: list[str] = []

    def ask(words: str, _interrupt: object = None, at_end: str = "no") -> str:
        asked.append(words)
        if len(asked) == len(NAMES):
            raise Killed
        return "n" if len(asked) == 2 else "y"

    answer()
    monkeypatch.setattr("wizard.cli.options.ask", ask)
    monkeypatch.setattr(Journal, "finish", lambda _: None)  # SIGKILL closes nothing
    with pytest.raises(Killed):
        place.main("apply")
    monkeypatch.undo()
    killed = place.killed_run()
    assert (killed.step, killed.begun, killed.declined) == (None, ["one"], ["two"])
    place.engine(*(Ends(place.host, name) for name in NAMES))
    if terminal:
        answer("y")
    assert place.main("recover", "--finish") == (0 if terminal else 4)
    assert place.commits() == (["three", "one"] if terminal else ["one"])


def test_a_signal_at_a_question_of_finish_says_what_becomes_of_what_was_begun(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    question = options.ask
    answer("n", "y")
    killed_in(place, "two")
    monkeypatch.setattr(options, "ask", question)
    broken_off(monkeypatch)
    assert place.main("recover", "--finish") == 128 + signal.SIGINT
    assert place.commits() == ["two"]
    says = "msa-wizard: interrupted by SIGINT. What was begun is undone, unless it says NOT undone above\n"
    assert capsys.readouterr().err.endswith(says)


@pytest.mark.parametrize("reply", ["n", "q"])
def test_a_step_that_was_declined_half_way_is_undone_where_its_way_back_was_killed(
    place: Place, answer: Answer, monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    place.engine(Ends(place.host, "one", late=True), Ends(place.host, "two"))
    answer("y", reply)
    with monkeypatch.context() as patch:
        patch.setattr("wizard.engine.session.undo_effects", die)
        with pytest.raises(Killed):
            place.main("apply")
    killed = place.killed_run()
    assert (killed.step, killed.declined, bool(killed.changes)) == ("one", ["one"], True)
    answer("y")
    assert place.main("recover", "--finish") == 0
    assert place.commits() == ["two"]
    assert not place.there("hosts.allow")


def test_what_is_declined_before_a_step_that_is_taken_up_again_does_not_hide_that_it_is_in_hand(
    place: Place,
) -> None:
    place.apply(Ends(place.host, "zero"))
    head, kept = str(place.store.head()), FileEffect("/etc/hosts.allow", None, None)
    begun, journal = Journal(place.at), Journal(place.at)
    begun.begin("apply", "r1", "Alice", head, {"wanted": [], "answers": {}})
    begun.step("two", head)
    journal.begin("recover", "r1", "Alice", head, {})
    in_hand: list[str | None] = []

    def decide(step: Step, _plan: Plan) -> bool:
        in_hand.append(place.killed_run().step)
        return step.id != "one"

    engine = place.engine(Ends(place.host, "one"), Ends(place.host, "two"))
    engine.apply(place.store, journal, (), decide, lambda: None, Resume("r1", "two", (kept,)))
    assert in_hand == ["two", "two"]


@pytest.mark.parametrize("operation", ["apply", "rollback"])
def test_the_history_names_the_run_that_was_undone(place: Place, operation: str) -> None:
    """Of a recovery it had the words of `rollback --all`."""
    assert place.main("apply", "one", "--yes") == 0
    if operation == "apply":
        killed_in(place, "three", "two", "three", "--yes")
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Journal, "settled", die)
            patch.setattr(Journal, "finish", lambda _: None)  # SIGKILL closes nothing
            with pytest.raises(Killed):
                place.main("rollback", "one", "--yes")
    assert place.main("recover") == 0
    assert (place.there("one"), place.there("two"), place.there("three")) == (True, False, False)
    words = {"apply": "the interrupted apply (two)", "rollback": "the interrupted rollback (one)"}
    assert next(iter(place.store.history())).subject == f"Undone: {words[operation]}"
