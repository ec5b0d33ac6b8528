"""The launcher on machines where nothing is prepared, as a newcomer meets it."""

from __future__ import annotations

import re
import time

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import PROJECT, Machine

_VERSION = re.compile(r"msa-wizard \d+\.\d+\.\d+ \(checkout\)\n")
_BASE = "/var/lib/msa-wizard"


def _seconds(machine: Machine, user: str = "root", cwd: str = PROJECT) -> float:
    """The best of some runs of --version, less what a command in the machine costs by itself."""

    def best(command: str) -> float:
        times = []
        for _ in range(5):
            began = time.monotonic()
            machine.run(command, user=user, cwd=cwd)
            times.append(time.monotonic() - began)
        return min(times)

    return best("./msa-wizard --version") - best("true")


@pytest.mark.on_both
def test_first_run_installs_what_is_missing_and_says_so_first(machine: BootMachine) -> None:
    booted = machine("minimal")
    began = time.monotonic()
    first = booted.run(["./msa-wizard", "--version"], cwd=PROJECT, timeout=300)
    print(f"first run {time.monotonic() - began:.1f} s", end=", ")
    assert _VERSION.fullmatch(first.stdout), "apt's and pip's words belong on stderr"
    assert "missing here" in first.stderr.splitlines()[0]
    assert first.stderr.splitlines()[0].endswith(": python3 python3-venv git")
    assert first.stderr.index("missing here") < first.stderr.index("Setting up")
    assert booted.run(["stat", "-c", "%U %a", _BASE]).stdout == "root 700\n"

    mark = booted.mark()
    second = booted.run(["./msa-wizard", "--version"], cwd=PROJECT)
    assert _VERSION.fullmatch(second.stdout)
    assert second.stderr == ""
    assert booted.written(mark) == set(), "a second run makes nothing"
    print(f"later runs {_seconds(booted):.3f} s")

    booted.run(["./msa-wizard", "--help"], cwd=PROJECT)
    assert booted.run(["find", PROJECT, "-name", "__pycache__"]).stdout == ""
    assert booted.run(["find", "/root", "-newer", "/etc/hosts", "-path", "*/.cache*"]).stdout == ""


def test_without_root_the_missing_packages_are_named(machine: BootMachine) -> None:
    booted = machine("minimal")
    booted.run("useradd --create-home alice && cp -r /root/msa-wizard '/srv/the checkout'")
    mark = booted.mark()
    refused = booted.run(["/srv/the checkout/msa-wizard", "--help"], user="alice", check=False)
    assert refused.returncode == 3
    assert "apt-get install --no-install-recommends python3 python3-venv git\n" in refused.stderr
    assert refused.stdout == ""
    cache = "/home/alice/.cache"
    assert booted.written(mark) <= {cache, f"{cache}/msa-wizard", f"{cache}/msa-wizard/launcher.lock"}


def test_without_root_what_only_root_can_do_is_refused_before_anything_is_made(machine: BootMachine) -> None:
    booted = machine("minimal")
    booted.run("useradd --create-home alice && cp -r /root/msa-wizard /srv/checkout")
    mark = booted.mark()
    refused = booted.run(["./msa-wizard", "apply", "--yes"], user="alice", cwd="/srv/checkout", check=False)
    assert refused.returncode == 3
    said = "msa-wizard: only root can do that; nothing was changed. Run: sudo ./msa-wizard apply --yes\n"
    assert (refused.stdout, refused.stderr) == ("", said)
    assert booted.written(mark) == set()


def test_as_another_user_with_spaces_in_the_path_and_through_a_link(machine: BootMachine) -> None:
    booted = machine("ready")
    booted.run("useradd --create-home alice && cp -r /root/msa-wizard '/srv/the checkout'")
    booted.run("ln -s '/srv/the checkout/msa-wizard' /usr/local/bin/msa-wizard")
    shown = booted.run("umask 000; msa-wizard --help", user="alice", cwd="/")
    assert "plan" in shown.stdout
    again = booted.run("msa-wizard --help", user="alice")
    assert (again.stdout, again.stderr) == (shown.stdout, "")
    cache = "/home/alice/.cache/msa-wizard"
    assert booted.run(["stat", "-c", "%U %a", "/home/alice/.cache", cache]).stdout == "alice 700\n" * 2
    open_to_others = f"find {cache} -perm /022 -not -type l"
    assert booted.run(open_to_others).stdout == ""


@pytest.mark.full
def test_half_made_environment_is_made_again(machine: BootMachine) -> None:
    booted = machine("ready")
    booted.run(f"cd {_BASE}/venv-* && rm -r .complete lib/python3*/site-packages/jinja2")
    healed = booted.run(["./msa-wizard", "--version"], cwd=PROJECT)
    assert _VERSION.fullmatch(healed.stdout)
    booted.run(f"{_BASE}/venv-*/bin/python -c 'import git, jinja2, pexpect, asn1crypto'")


def test_after_an_upgrade_of_python_the_environment_is_made_again(machine: BootMachine) -> None:
    """One of another Python; one whose interpreter has gone."""
    booted = machine("ready")
    booted.run(f"cd {_BASE} && mv venv-*-* kept && mv kept $(cd kept; echo venv-0123456789abcdef-3.8)")
    assert _VERSION.fullmatch(booted.run(["./msa-wizard", "--version"], cwd=PROJECT).stdout)
    left = booted.run(f"ls {_BASE}").stdout
    assert "3.8" not in left
    assert left.count("venv-") == 1

    booted.run(
        f"cd {_BASE}/venv-*/bin && ln -sf /usr/bin/python3.0 $(readlink -f /usr/bin/python3 | sed 's,.*/,,')"
    )
    booted.run(f"test ! -e {_BASE}/venv-*/bin/python")
    assert _VERSION.fullmatch(booted.run(["./msa-wizard", "--version"], cwd=PROJECT).stdout)


@pytest.mark.full
def test_two_first_runs_at_once(machine: BootMachine) -> None:
    booted = machine("minimal")
    both = "./msa-wizard --version >/tmp/one 2>/tmp/err1 & ./msa-wizard --version 2>/tmp/err2; wait $!"
    second = booted.run(both, cwd=PROJECT, timeout=300)
    assert _VERSION.fullmatch(second.stdout)
    assert _VERSION.fullmatch(booted.read("/tmp/one").decode())
    said = booted.read("/tmp/err1") + booted.read("/tmp/err2")
    assert said.count(b"installing with apt-get") == 1
    assert said.count(b"making its Python environment") == 1
    assert b"waiting for it" in said


@pytest.mark.full
def test_without_packages_to_be_had_nothing_is_left(machine: BootMachine) -> None:
    booted = machine("ready")
    booted.run(f"rm -r /opt/wheelhouse {_BASE}")
    failed = booted.run(["./msa-wizard", "--version"], cwd=PROJECT, check=False)
    assert failed.returncode == 1
    assert "package index" in failed.stderr.splitlines()[-1]
    assert booted.run(f"ls {_BASE}").stdout == "launcher.lock\n"


def test_apt_that_fails_says_what_to_do(machine: BootMachine) -> None:
    booted = machine("minimal")
    booted.run("rm -r /var/cache/apt/archives")
    failed = booted.run(["./msa-wizard", "--version"], cwd=PROJECT, check=False)
    assert failed.returncode == 1
    assert "could not install python3 python3-venv git" in failed.stderr.splitlines()[-1]
