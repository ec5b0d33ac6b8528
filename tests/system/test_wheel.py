"""The wheel in an environment of pip's, where pip gets its dependencies from a folder: no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.conftest import BootMachine
from tests.system.msa import add_alice, sendmail_pid
from tests.system.test_one_file import left_of_it, logged_in, started
from tests.wheel import of_the_working_tree

_VENV = "/opt/mail"
_PROGRAM = f"{_VENV}/bin/msa-wizard"


@pytest.mark.full
def test_from_pip_to_235_and_back_to_nothing(machine: BootMachine, tmp_path: Path) -> None:
    debian = machine("ready", project=False)
    debian.run("rm -r /var/lib/msa-wizard")  # the launcher's environment, which is in this image
    wheel = of_the_working_tree(tmp_path)
    debian.put(f"/root/{wheel.name}", wheel.read_bytes())
    debian.run(["python3", "-m", "venv", _VENV])
    debian.run([f"{_VENV}/bin/pip", "install", "--quiet", f"/root/{wheel.name}"], timeout=120)
    debian.run(["rm", f"/root/{wheel.name}"])

    done = started(debian, _PROGRAM, "apply", "--yes")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    add_alice(debian)
    assert logged_in(debian, _PROGRAM) == 235
    tried = started(debian, _PROGRAM, "rehearse", "--json")
    assert tried.returncode == 0, tried.stdout[-3000:] + tried.stderr[-3000:]

    back = started(debian, _PROGRAM, "rollback", "--all", "--yes")
    assert back.returncode == 0, back.stdout[-3000:] + back.stderr
    assert sendmail_pid(debian) == 0
    gone = started(debian, _PROGRAM, "remove", "--yes", "--forget-history")
    assert (gone.returncode, gone.stderr) == (0, ""), gone.stdout
    debian.run([f"{_VENV}/bin/pip", "uninstall", "--yes", "--quiet", "msa-wizard"])
    assert left_of_it(debian) == []
