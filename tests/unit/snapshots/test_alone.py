"""One module of a package whose first file imports all of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snapshots.git import alone

Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Writes the files of a package `manifold`, which stands for GitPython."""
    (tmp_path / "manifold").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(alone, "PACKAGES", ("manifold",))

    def write(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / "manifold" / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    yield write
    for name in [one for one in sys.modules if one.partition(".")[0] == "manifold"]:
        del sys.modules[name]


def test_the_rest_is_imported_when_it_is_asked_for(make: Make) -> None:
    make(
        __init__="from manifold.other import thing\nfrom manifold.one import deed",
        one="def deed(): pass",
        other="thing = 7",
    )
    one = alone.import_alone("manifold.one")
    assert "manifold.other" not in sys.modules
    package = importlib.import_module("manifold")
    assert package.one is one
    assert package.thing == 7
    assert package.deed is one.deed
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing
    assert alone.import_alone("manifold.other").thing == 7


def test_a_module_that_needs_the_package_finds_it(make: Make) -> None:
    make(__init__="number = 7", one="from manifold import number")
    assert alone.import_alone("manifold.one").number == 7


def test_a_module_that_cannot_be_imported_first_comes_with_the_package(make: Make) -> None:
    make(
        __init__="import manifold.other\nmanifold.other.fill()\nimport manifold.one",
        one="import sys\nfrom manifold.other import filled\nif not filled: raise ImportError('too early')",
        other="filled = []\ndef fill(): filled.append(7)",
    )
    assert alone.import_alone("manifold.one").filled == [7]


def test_a_package_that_is_not_there_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "PACKAGES", ("manifold",))
    with pytest.raises(ImportError, match="manifold"):
        alone.import_alone("manifold.one")
    assert "manifold" not in sys.modules
