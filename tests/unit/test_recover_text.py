"""What `recover --show` says of a killed run: all that `recover` would undo."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.test_commits_in_force import commit
from wizard.changes.lineage import DEADLINE
from wizard.cli.rollback import _killed_text
from wizard.engine.journal import Unfinished
from wizard.rollback.recovery import APT_PATIENCE, PATIENCE, patience

KILLED = Unfinished("apply", "run", "alice", 0.0, "0123456789abcdef", {}, step="restart")


def test_the_steps_that_the_run_had_applied_are_named() -> None:
    newest_first = [commit("drift"), commit("apply", "smtp-port"), commit("apply", "install")]
    text = _killed_text(KILLED, newest_first)
    assert "Applied before that: install, smtp-port." in text.splitlines()
    assert "`msa-wizard recover` undoes all of that; `recover --finish` finishes it." in text


def test_where_there_was_none_only_the_step_in_hand_is_named() -> None:
    text = _killed_text(replace(KILLED, step="install"), [])
    assert "Applied before" not in text
    assert "`msa-wizard recover` undoes it;" in text


def test_a_watch_in_hand_is_no_package() -> None:
    watch: dict[str, object] = {"touches": [], "expected": {"kind": "watch", "seconds": 60}}
    text = _killed_text(replace(KILLED, changes=[watch]), [])
    assert "a look at the listeners, which changes nothing" in text
    assert "packages" not in text


def test_certbot_is_waited_for_as_long_as_it_is_given() -> None:
    assert patience({"certbot", "sh"}) == DEADLINE
    assert patience({"apt-get", "certbot"}) == APT_PATIENCE
    assert patience({"sendmailconfig"}) == PATIENCE < DEADLINE
