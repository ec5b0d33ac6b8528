"""Which commits stand after any taking back, and which steps go together. Pure: the commits are made up."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.store import Author, Commit
from wizard.cli import clients
from wizard.engine.in_force import commits_in_force
from wizard.engine.run import Run
from wizard.errors import NothingToRollBack
from wizard.mends.order import extra
from wizard.rollback.plan import REGENERATING_STEPS
from wizard.rollback.rollback import everything, needing, of_commit, of_step
from wizard.steps.order import STEPS

_NUMBERS = itertools.count(1)
ALL = [step.id for step in (*STEPS, *extra())]


def commit(operation: str, step: str | None = None, reverts: Sequence[Commit] = ()) -> Commit:
    return Commit(
        id=f"{next(_NUMBERS):040x}",
        time=datetime.datetime.now(datetime.UTC),
        author=Author("alice", "alice@mail.example.test"),
        operation=operation,
        step=step,
        howto=None,
        run="r",
        subject=f"{operation} {step}",
        body="",
        reverts=tuple(each.id for each in reverts),
    )


class History:
    """Commits, newest first."""

    def __init__(self) -> None:
        self.commits = [commit("baseline")]

    def add(self, operation: str, step: str | None = None, *reverts: Commit) -> Commit:
        self.commits.insert(0, commit(operation, step, reverts))
        return self.commits[0]

    def applied(self, *steps: str) -> list[Commit]:
        return [self.add("apply", step) for step in steps]

    def stands(self) -> list[str | None]:
        return [each.step for each in commits_in_force(self.commits) if each.operation == "apply"]


@pytest.fixture
def history() -> History:
    return History()


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5, 6, 300])
def test_a_rollback_of_a_rollback_of_a_rollback(history: History, times: int) -> None:
    """What was applied is in force again after every second."""
    last = history.applied("install")[0]
    for _ in range(times):
        last = history.add("rollback", None, last)
    assert history.stands() == ([] if times % 2 else ["install"])
    assert last in commits_in_force(history.commits)


def test_a_step_applied_again_is_in_force_again_and_goes_with_all_its_commits(history: History) -> None:
    first, other, second = history.applied("saslauthd-config", "firewall", "saslauthd-config")
    target = of_step(history.commits, "saslauthd-config")
    assert target.commits == (second, first)
    assert target.steps == ("saslauthd-config",)
    assert target.dependents == ()
    history.add("rollback", "saslauthd-config", second, first)
    assert history.stands() == ["firewall"]
    third = history.applied("saslauthd-config")[0]
    assert of_step(history.commits, "saslauthd-config").commits == (third,)
    assert everything(history.commits).commits == (third, other)


def test_what_was_applied_once_more_stays_when_the_rollback_before_it_is_rolled_back(
    history: History,
) -> None:
    first = history.applied("firewall")[0]
    gone = history.add("rollback", "firewall", first)
    second = history.applied("firewall")[0]
    history.add("rollback", None, gone)
    assert [each for each in commits_in_force(history.commits) if each.operation == "apply"] == [
        second,
        first,
    ]


def test_install_takes_every_step_with_it(history: History) -> None:
    history.applied(*ALL[1:])
    target = of_step(history.commits, "install")
    with_it = {"install", *needing(["install"])}
    without = {"preflight", "firewall", "mend-host-name", "mend-hosts-access", "mend-pam-service"}
    assert set(ALL) - with_it == without, "these need no package"
    assert [each.step for each in target.commits] == [name for name in reversed(ALL) if name in with_it]
    assert set(target.dependents) == (with_it - {"install"}) & set(ALL)
    assert {"sendmailconfig", "restart", "mc-includes", "saslauthd-start", "sendmail-auth"} <= set(
        target.dependents
    )


def test_mc_includes_takes_what_needs_it_and_not_what_is_generated_again(history: History) -> None:
    history.applied(*ALL[1:])
    target = of_step(history.commits, "mc-includes")
    assert target.steps == ("mc-includes",)
    assert set(target.dependents) >= {"submission-port", "auth-options", "smtp-port"}
    assert not REGENERATING_STEPS & set(target.dependents)
    assert "saslauthd-config" not in target.words


def test_only_what_was_applied_later_depends_on_it(history: History) -> None:
    """An older commit of a step that needs it was made without it, and is in force without it."""
    older = history.applied("submission-port")[0]
    includes, newer = history.applied("mc-includes", "submission-port")
    target = of_step(history.commits, "mc-includes")
    assert target.commits == (newer, includes)
    assert older not in target.commits


def test_a_step_says_what_took_it_back(history: History) -> None:
    with pytest.raises(NothingToRollBack, match="firewall was never applied here"):
        of_step(history.commits, "firewall")
    applied = history.applied("firewall")[0]
    gone = history.add("rollback", "firewall", applied)
    with pytest.raises(NothingToRollBack, match=f"firewall was already rolled back, by {gone.short}"):
        of_step(history.commits, "firewall")
    with pytest.raises(NothingToRollBack, match=f"{applied.short} was already rolled back, by {gone.short}"):
        of_commit(history.commits, applied)
    with pytest.raises(NothingToRollBack, match="nothing that msa-wizard applied is in force"):
        everything(history.commits)


def test_a_commit_goes_alone_or_with_what_needs_its_step(history: History) -> None:
    includes, _, port = history.applied("mc-includes", "firewall", "submission-port")
    drift = history.add("drift")
    assert of_commit(history.commits, drift).commits == (drift,)
    assert of_commit(history.commits, drift).words == f"{drift.short} ({drift.subject})"
    assert of_commit(history.commits, port).commits == (port,)
    assert of_commit(history.commits, includes).commits == (port, includes)
    gone = history.add("rollback", "mc-includes", port, includes)
    assert of_commit(history.commits, gone).commits == (gone,)
    with pytest.raises(
        NothingToRollBack, match="`msa-wizard rollback --all` goes back to it, or g in the history"
    ):
        of_commit(history.commits, history.commits[-1])


def test_everything_is_newest_first_and_without_drift(history: History) -> None:
    one = history.applied("install")[0]
    history.add("drift")
    two = history.applied("firewall")[0]
    target = everything(history.commits)
    assert (target.commits, target.steps, target.everything) == ((two, one), ("install", "firewall"), True)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=25))
def test_what_is_in_force_is_what_a_count_says(moves: list[tuple[bool, int]]) -> None:
    """A commit is in force unless one that rolls it back is in force itself."""
    history = History()
    for back, number in moves:
        force = [each for each in commits_in_force(history.commits) if each.operation != "baseline"]
        if back and force:
            history.add("rollback", None, force[number % len(force)])
        else:
            history.applied(ALL[number % len(ALL)])
    ids = {each.id for each in commits_in_force(history.commits)}
    for each in history.commits:
        against = [other for other in history.commits if each.id in other.reverts and other.id in ids]
        assert (each.id in ids) == (not against)


def test_a_step_that_is_in_force_twice_is_rolled_back_by_its_commit(
    history: History, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clients, "existing_store", lambda: SimpleNamespace(history=lambda: history.commits))
    for way in ("certificate-install", None):
        (last,) = history.applied("certificate-install")
        clients.say_how_back(Run(applied={"certificate-install": last.id}))
        assert capsys.readouterr().out.split()[-1] == (way or last.short)
