"""The one file on machines that have Python and git, and nothing else of what the launcher needs: no venv, no pip, no network."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.one_file import of_the_working_tree
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, add_alice, sendmail_pid
from tests.system.releases import PYTHON_OF, Release
from tests.system.terminal import Terminal

_HOME = "/var/lib/msa-wizard"
_FILE = "/root/msa-wizard.pyz"
_COMMAND = f"{_HOME}/msa-wizard"
"""What runs the program where the file is gone."""
_SHEBANG = ["./msa-wizard.pyz"]
_NAMED = ["python3", "msa-wizard.pyz"]


def bare(machine: BootMachine, packages: str = "python3 git") -> Machine:
    """A machine with these packages, from apt's cache, and with the file."""
    debian = machine("minimal", project=False)
    debian.run(f"apt-get install --yes --quiet=2 --no-install-recommends {packages}", timeout=300)
    debian.run("! python3 -c 'import ensurepip' 2>/dev/null && ! python3 -c 'import pip' 2>/dev/null")
    debian.run("rm -rf /opt/wheelhouse")
    return with_file(debian)


def with_file(debian: Machine) -> Machine:
    """Copied as scp leaves it."""
    debian.put(_FILE, of_the_working_tree(), 0o755)
    return debian


def started(debian: Machine, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run it; its exit status is the caller's to look at."""
    return debian.run([*command], **({"check": False, "timeout": 600} | options))  # type: ignore[arg-type]


def logged_in(debian: Machine, *program: str) -> int:
    """The code of a login as alice."""
    arguments = ("test", "--user", "alice", "--password-stdin", "--json")
    done = started(debian, *program, *arguments, input=PASSWORD + "\n")
    code: int = json.loads(done.stdout)["code"]
    return code


def left_of_it(debian: Machine) -> list[str]:
    """Every path on the machine with our name in it."""
    return debian.run(
        "find / -xdev -iname '*msa-wizard*' ! -path '/proc/*' | sort; ls -d /run/msa-wizard*", check=False
    ).stdout.split()


@pytest.mark.on_both
def test_from_a_copied_file_to_235_and_back_to_nothing(machine: BootMachine, release: Release) -> None:
    debian = bare(machine)
    first = started(debian, *_NAMED, "status")
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith(f"msa-wizard: unpacking itself, this once, into {_HOME}/program-")
    assert debian.run(["stat", "-c", "%U %a", _HOME]).stdout == "root 700\n"
    assert started(debian, *_SHEBANG, "status").stderr == ""

    done = started(debian, *_SHEBANG, "apply", "--yes")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    add_alice(debian)
    assert logged_in(debian, *_SHEBANG) == 235
    (program,) = debian.run(f"ls -d {_HOME}/program-*").stdout.split()
    compiled = debian.run(f"find {program} -name '*.pyc'").stdout.split()
    version = PYTHON_OF[release].replace(".", "")
    assert compiled
    assert all(f".cpython-{version}." in name for name in compiled)

    back = started(debian, *_SHEBANG, "rollback", "--all", "--yes")
    assert back.returncode == 0, back.stdout[-3000:] + back.stderr
    assert sendmail_pid(debian) == 0
    gone = started(debian, *_SHEBANG, "remove", "--yes", "--forget-history")
    assert (gone.returncode, gone.stderr) == (0, "")
    assert f"   {_FILE}  (the program)\n" in gone.stdout
    assert f"   {program}  (the program, unpacked)\n" in gone.stdout
    assert left_of_it(debian) == []


@pytest.mark.default_on("forky")
def test_a_killed_run_is_recovered_where_the_file_is_gone(machine: BootMachine) -> None:
    debian = with_file(machine("mail", project=False))
    debian.run("systemctl start sendmail")
    before = debian.read("/etc/mail/sendmail.mc")
    debian.run(
        f"python3 {_FILE} apply --yes >/root/out 2>&1 & "
        "while ! grep -q 'submission-port done' /root/out; do sleep 0.05; done; kill -KILL $!; wait $!; true",
        timeout=300,
    )
    assert debian.read("/etc/mail/sendmail.mc") != before
    debian.run(["rm", _FILE])
    assert started(debian, _COMMAND, "apply", "--yes").returncode == 6
    done = started(debian, _COMMAND, "recover")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert debian.read("/etc/mail/sendmail.mc") == before

    done = started(debian, _COMMAND, "apply", "--yes")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    add_alice(debian)
    assert logged_in(debian, _COMMAND) == 235
    gone = started(debian, _COMMAND, "remove", "--yes", "--forget-history")
    assert gone.returncode == 0, gone.stderr
    assert "msa-wizard.pyz, if it is still there" in gone.stdout
    assert [path for path in left_of_it(debian) if not path.startswith("/var/lib/apt/")] == []
    assert sendmail_pid(debian)


def test_a_rehearsal_runs_from_the_file(machine: BootMachine) -> None:
    debian = bare(machine)
    done = started(debian, *_NAMED, "rehearse", "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = json.loads(done.stdout)
    assert (shown["ok"], shown["login"]["code"], shown["rollback"]["clean"]) == (True, 235, True), shown
    debian.run("! command -v sendmail")


def test_the_screens_run_from_the_file(machine: BootMachine) -> None:
    debian = bare(machine)
    with Terminal(debian.argv(_SHEBANG, env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("steps have something to do", 120)
        print(terminal.text)
        terminal.press("q")
        assert terminal.ended() == 0


def test_git_is_installed_where_it_is_missing_and_said_first(machine: BootMachine) -> None:
    debian = bare(machine, "python3")
    debian.run("useradd --create-home alice && cp msa-wizard.pyz /home/alice/")
    refused = debian.run(["python3", "msa-wizard.pyz", "status"], user="alice", check=False)
    assert refused.returncode == 3
    assert refused.stderr.endswith("sudo apt-get install --no-install-recommends git\n")
    assert started(debian, *_NAMED, "--version").returncode == 0
    first = started(debian, *_NAMED, "status")
    assert first.returncode == 0, first.stderr
    assert first.stderr.index("installing with apt-get") < first.stderr.index("Setting up git")
    assert "Setting up" not in first.stdout
    assert started(debian, *_NAMED, "status").stderr == ""


def test_a_folder_that_cannot_be_used(machine: BootMachine) -> None:
    """A hostile one is refused; where the disk is full it runs once and leaves nothing half made."""
    debian = bare(machine)
    debian.run(f"useradd --create-home alice && mkdir {_HOME} && chown alice {_HOME}")
    refused = started(debian, *_NAMED, "status")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert f"{_HOME} is refused: it belongs to user" in refused.stderr
    assert debian.run(["ls", "-A", _HOME]).stdout == ""
    debian.run(["rmdir", _HOME])

    debian.run(f"mkdir -m 700 {_HOME} && mount -t tmpfs -o size=3m,mode=700 tmpfs {_HOME}")
    first = started(debian, *_NAMED, "status")
    assert first.returncode == 0, first.stderr
    assert f"{_HOME} cannot be used (No space left on device); unpacking itself into /run/" in first.stderr
    assert debian.run(["ls", "-A", _HOME]).stdout == "launcher.lock\n"
    assert debian.run("ls -d /run/msa-wizard*", check=False).stdout == ""
    debian.run(f"mount -o remount,ro {_HOME}")
    second = started(debian, *_NAMED, "status")
    assert (second.returncode, "Read-only file system" in second.stderr) == (0, True)
