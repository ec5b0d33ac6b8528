"""What went with its package cannot be started, though its init script stays."""

from __future__ import annotations

from pathlib import Path

from wizard.changes.service import is_there
from wizard.system.host import Host


def test_an_init_script_counts_where_it_can_be_executed(tmp_path: Path) -> None:
    script = tmp_path / "etc/init.d/exim4"
    script.parent.mkdir(parents=True)
    assert not is_there(Host(tmp_path), "exim4")
    script.write_text("#!/bin/sh\n")
    script.chmod(0o644)
    assert not is_there(Host(tmp_path), "exim4")
    script.chmod(0o755)
    assert is_there(Host(tmp_path), "exim4")
