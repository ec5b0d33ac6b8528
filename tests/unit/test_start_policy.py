"""The policy that keeps packages from starting daemons: the script itself is run, as invoke-rc.d runs it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from wizard.packages.start_policy import POLICY, not_started, remove_left_over
from wizard.system.host import Host


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / POLICY.lstrip("/")
    path.parent.mkdir(parents=True)
    return path


def answer(policy: Path, service: str) -> int:
    return subprocess.run(["/bin/sh", str(policy), service, "start"], check=False).returncode


def test_the_named_services_alone_are_not_started(policy: Path, tmp_path: Path) -> None:
    with not_started(Host(tmp_path), ["sendmail"]):
        assert policy.stat().st_mode & 0o777 == 0o755
        said = {name: answer(policy, name) for name in ("sendmail", "sendmail.service", "saslauthd", "cron")}
        assert said == {"sendmail": 101, "sendmail.service": 101, "saslauthd": 0, "cron": 0}
    assert not policy.exists()


def test_it_goes_whatever_happens(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), not_started(Host(tmp_path), ["sendmail"]):
        raise KeyboardInterrupt
    assert not policy.exists()


@pytest.mark.parametrize("what", ["another process of that number", "no process of that number"])
def test_without_the_program_it_answers_as_if_it_were_not_there(
    what: str, policy: Path, tmp_path: Path
) -> None:
    with not_started(Host(tmp_path), ["sendmail"]):
        left = policy.read_text()
    ended = subprocess.Popen(["true"])
    ended.wait()
    number = os.getppid() if what.startswith("another") else ended.pid
    policy.write_text(re.sub(r"/proc/\d+/stat", f"/proc/{number}/stat", left))
    assert answer(policy, "sendmail") == 0
    remove_left_over(Host(tmp_path))
    assert not policy.exists()


@pytest.mark.parametrize("whose", ["a file", "a link that leads nowhere"])
def test_a_policy_of_the_host_decides_and_stays(whose: str, policy: Path, tmp_path: Path) -> None:
    if whose == "a file":
        policy.write_text("#!/bin/sh\nexit 101\n")
    else:
        policy.symlink_to("/opt/nowhere")
    with not_started(Host(tmp_path), ["sendmail"]):
        pass
    assert policy.is_symlink() or policy.read_text() == "#!/bin/sh\nexit 101\n"


def test_a_host_that_cannot_take_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "usr").write_text("no folder\n")
    with not_started(Host(tmp_path), ["sendmail"]):
        pass
    assert (tmp_path / "usr").read_text() == "no folder\n"
