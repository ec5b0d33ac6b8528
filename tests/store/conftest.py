"""A fresh machine for each test of the snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.machine import Machine, make_machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A root with an /etc, and a place for its store."""
    return make_machine(tmp_path)
