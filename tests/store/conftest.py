"""A fresh machine for each test of the snapshots, a place for each of the engine, and somebody at its terminal."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.store.bench import Bench
from tests.store.machine import Machine, make_machine
from tests.store.place import NAMES, Answer, Ends, Place


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A root with an /etc, and a place for its store."""
    return make_machine(tmp_path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place where three steps are to do."""
    empty = Place(tmp_path, monkeypatch)
    empty.engine(*(Ends(empty.host, name) for name in NAMES))
    return empty


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Somebody at the terminal answers with these words; gives the questions."""

    def answers(*replies: str) -> list[str]:
        asked: list[str] = []
        left = iter(replies)

        def ask(words: str, _interrupt: object = None, at_end: str = "no") -> str:
            asked.append(words)
            return next(left)

        for name in ("steps", "rollback"):  # not while what they import is replaced
            import_module(f"wizard.cli.{name}")
        monkeypatch.setattr("wizard.cli.options.ask", ask)
        monkeypatch.setattr("wizard.cli.options.asks", lambda _: True)
        return asked

    return answers


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)
