"""The Debian package on real machines that reach nothing but Debian's archive: from its installation to its purge."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.one_file import of_the_working_tree
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import PASSWORD, STORE, add_alice
from tests.system.package import COMMIT, OLDER, package
from tests.system.terminal import Terminal
from wizard import __version__
from wizard.certificates.acme import HOOK, PORT_HOOK

_HOME = "/var/lib/msa-wizard"
_APT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def install(machine: Machine, version: str = __version__) -> str:
    """`apt-get install` the package; what it printed."""
    built = package(version)
    machine.put(f"/tmp/{built.name}", built.read_bytes())
    command = ["apt-get", "install", "--yes", "--no-install-recommends", f"/tmp/{built.name}"]
    said = machine.run(command, env=_APT, timeout=300)
    machine.run(["rm", f"/tmp/{built.name}"])
    return said.stdout + said.stderr


def take_out(machine: Machine, how: str) -> str:
    """`apt-get remove` or `purge`; what it printed."""
    done = machine.run(["apt-get", how, "--yes", "msa-wizard"], env=_APT, timeout=300)
    assert "dpkg: warning" not in done.stderr
    return done.stdout + done.stderr


def wizard(machine: Machine, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The installed program; it must end with 0 unless `check` says otherwise."""
    return machine.run(["msa-wizard", *arguments], **({"timeout": 600} | options))


def login(machine: Machine) -> int:
    """The code of alice's login."""
    options = ("--user", "alice", "--password-stdin", "--json")
    done = wizard(machine, "test", *options, input=f"{PASSWORD}\n", check=False)
    return int(json.loads(done.stdout)["code"])


def own(machine: Machine, paths: set[str]) -> set[str]:
    """Those of these paths that are there, less what dpkg and apt write of every package."""
    there = {path for path in paths if machine.run(["test", "-e", path], check=False).returncode == 0}
    kept = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log/apt", "/var/log/dpkg.log")
    return {path for path in there if not path.startswith(kept)}


@pytest.mark.on_both
def test_from_a_bare_debian_to_a_login_and_back(machine: BootMachine) -> None:
    debian = machine("minimal", project=False)
    said = install(debian)
    assert (
        wizard(debian, "--version").stdout
        == f"msa-wizard {__version__} (Debian package, commit {COMMIT[:12]})\n"
    )
    assert "msa-wizard" in said
    installed = debian.run(
        "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' python3-textual sendmail", check=False
    )
    assert "ii" not in installed.stdout
    add_alice(debian)
    mark = debian.mark()
    assert wizard(debian, "apply", "--yes").returncode == 0
    assert login(debian) == 235
    assert debian.run("find /usr/lib/msa-wizard -newer /var/log/msa-wizard.log").stdout == ""
    wizard(debian, "answers", "--save", "--set", "listen.ipv6=true")

    refused = wizard(debian, "remove", "--yes", check=False)
    assert refused.returncode != 0
    assert "apt" in refused.stderr
    pid = debian.run(["pgrep", "-o", "-x", "sendmail-mta"]).stdout
    assert "what it has set up stays as it is, and so does the history" in take_out(debian, "remove")
    assert debian.run(["pgrep", "-o", "-x", "sendmail-mta"]).stdout == pid, "the mail server stays"
    debian.run(
        f"test -d {STORE} -a -f /etc/msa-wizard/answers.toml -a ! -e /usr/lib/msa-wizard -a ! -e /usr/bin/msa-wizard"
    )

    install(debian)
    assert "ipv6 = true" in wizard(debian, "answers").stdout
    assert wizard(debian, "rollback", "--all", "--yes").returncode == 0
    debian.run("! pgrep -x sendmail-mta")
    said = take_out(debian, "purge")
    assert f"If it is not needed any more: rm -r {_HOME}" in said
    left = own(debian, debian.written(mark))
    assert {path for path in left if "msa-wizard" in path and not path.startswith(_HOME)} == set()
    names = debian.run(["ls", "-A", _HOME]).stdout.split()
    assert set(names) <= {"etc.git", "etc.git-history", "apt-history.log"}
    assert "etc.git" in names
    debian.run(["rm", "-r", _HOME])
    debian.run("test ! -e /run/msa-wizard")
    found = debian.run(
        "find / -xdev -name '*msa-wizard*' -not -path '/var/cache/apt/*' -not -path '/proc/*'"
    ).stdout
    assert found == ""


def test_an_older_package_is_upgraded_with_its_history_and_its_settings(machine: BootMachine) -> None:
    debian = machine("mail", project=False)
    install(debian, OLDER)
    assert OLDER in wizard(debian, "--version").stdout
    wizard(debian, "answers", "--save", "--set", "listen.ipv6=true")
    wizard(debian, "apply", "--yes", "saslauthd-config", "saslauthd-start", "sendmail-auth", "mc-includes")
    before = wizard(debian, "history", "--json").stdout
    install(debian)
    assert __version__ in wizard(debian, "--version").stdout
    assert json.loads(wizard(debian, "history", "--json").stdout)["commits"] == json.loads(before)["commits"]
    assert "ipv6 = true" in wizard(debian, "answers").stdout
    wizard(debian, "rollback", "--yes", "mc-includes")
    wizard(debian, "apply", "--yes")


def test_what_a_checkout_has_done_is_taken_over(machine: BootMachine) -> None:
    debian = machine("msa")
    debian.run(["./msa-wizard", "answers", "--save", "--set", "listen.ipv6=true"], cwd="/root/msa-wizard")
    debian.run("ln -s /root/msa-wizard/msa-wizard /usr/local/bin/msa-wizard")
    said = install(debian)
    assert "/usr/local/bin/msa-wizard is found before this package's /usr/bin/msa-wizard" in said
    debian.run(["./msa-wizard", "remove", "--yes"], cwd="/root/msa-wizard")
    assert "Debian package" in wizard(debian, "--version").stdout
    steps = [each["step"] for each in json.loads(wizard(debian, "history", "--json").stdout)["commits"]]
    assert "smtp-port" in steps
    assert login(debian) == 235
    wizard(debian, "rollback", "--yes", "smtp-port")


@pytest.mark.full
def test_what_is_in_usr_local_is_not_imported(machine: BootMachine) -> None:
    debian = machine("mail", project=False)
    install(debian)
    put = "d=$(python3 -c 'import site; print(site.getsitepackages()[0])'); mkdir -p $d; echo $d"
    place = debian.run(put).stdout.strip()
    assert place.startswith("/usr/local/")
    for name in ("jinja2", "git", "pexpect", "rich", "sitecustomize"):
        debian.put(f"{place}/{name}.py", "raise SystemExit('from /usr/local')\n")
    assert "from /usr/local" in debian.run(["python3", "-c", "import jinja2"], check=False).stderr
    wizard(debian, "plan")
    rehearsed = wizard(debian, "rehearse", check=False)
    assert "from /usr/local" not in rehearsed.stdout + rehearsed.stderr
    assert rehearsed.returncode == 0, rehearsed.stdout[-3000:] + rehearsed.stderr[-3000:]
    wizard(debian, "apply", "--yes")
    wizard(debian, "rollback", "--all", "--yes")


@pytest.mark.full
def test_it_starts_no_slower_than_a_checkout(machine: BootMachine) -> None:
    """In seconds of the processor, which a busy host does not stretch."""
    debian = machine("ready")
    install(debian)

    def seconds(command: str) -> float:
        timed = f"TIMEFORMAT='%U %S'; time {command} >/dev/null 2>&1"
        used = debian.run(["bash", "-c", timed], cwd="/root/msa-wizard", check=False).stderr.split()
        return sum(map(float, used))

    for arguments in ("--version", "status", "history"):
        both = (f"msa-wizard {arguments}", f"./msa-wizard {arguments}")
        rounds = [[seconds(command) for command in both] for _ in range(7)]
        packaged, checkout = (min(some) for some in zip(*rounds, strict=True))
        print(f"{arguments}: {packaged:.3f} s packaged, {checkout:.3f} s from a checkout")
        assert packaged <= checkout * 1.1 + 0.02


def test_while_it_is_open_it_is_neither_removed_nor_upgraded(machine: BootMachine) -> None:
    debian = machine("ready", project=False)
    install(debian, OLDER)
    newer = package()
    debian.put(f"/tmp/{newer.name}", newer.read_bytes())
    with Terminal(debian.argv(["msa-wizard"], env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("steps have something to do", 120)
        pid = debian.run(["pgrep", "-f", "/usr/bin/msa-wizard"]).stdout.split()[0]
        for command in (["remove", "msa-wizard"], ["install", f"/tmp/{newer.name}"]):
            refused = debian.run(["apt-get", "--yes", *command], env=_APT, check=False, timeout=300)
            assert refused.returncode != 0
            said = f"msa-wizard is open, perhaps its screens (process {pid}): end it first."
            assert said in refused.stdout + refused.stderr
        assert OLDER in wizard(debian, "--version").stdout
        terminal.press("q")
        assert terminal.ended() == 0
    assert "Setting up msa-wizard" in install(debian)
    take_out(debian, "remove")


HOLD = """
import fcntl, os, resource, signal
resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
held = []
for folder, _, names in os.walk("/usr/lib/msa-wizard"):
    for name in names:
        if os.access(f"{folder}/{name}", os.R_OK):
            held.append(open(f"{folder}/{name}"))
            fcntl.flock(held[-1], fcntl.LOCK_EX)
print(len(held), flush=True)
signal.pause()
"""
"""Locks every file of the package that whoever runs it can open."""


def test_an_interrupted_run_is_kept_over_an_upgrade_and_a_purge(machine: BootMachine) -> None:
    """And what others wrote while packages went: only the record of that run has it."""
    debian = machine("ready", project=False)
    debian.run(["rm", "-r", _HOME])  # of a checkout, which would be another copy
    install(debian, OLDER)
    wizard(debian, "apply", "--yes", "install")
    debian.run(
        "msa-wizard rollback --all --yes >/root/out 2>&1 & "
        "until grep -q ' remove sendmail-base' /var/log/dpkg.log; do sleep 0.05; done; "
        "echo '# mine' >>/etc/mail/access; sleep 0.5; kill -9 $!; "
        "while pgrep -x apt-get; do sleep 0.2; done; cat /root/out",
        check=False,
        timeout=300,
    )
    debian.run(f"test -e {_HOME}/journal -a ! -e /etc/mail/access")
    install(debian)
    assert wizard(debian, "apply", "--yes", check=False).returncode == 6
    policy = "#!/bin/sh\n# By msa-wizard, while it installs packages; it may be removed.\n"
    debian.put("/usr/sbin/policy-rc.d", policy, 0o755)
    assert "an interrupted run waits" in take_out(debian, "purge")
    debian.run(f"test -e {_HOME}/journal -a -d {STORE} -a ! -e /usr/sbin/policy-rc.d")
    install(debian)
    done = wizard(debian, "recover")
    assert debian.read("/etc/mail/access").decode().endswith("# mine\n"), done.stdout + done.stderr


def test_a_user_cannot_keep_the_package_and_a_purge_leaves_what_another_copy_uses(
    machine: BootMachine,
) -> None:
    debian = machine("mail", project=False)
    install(debian)
    debian.put("/root/msa-wizard.pyz", of_the_working_tree(), 0o755)
    debian.run(["./msa-wizard.pyz", "answers", "--save", "--set", "listen.ipv6=true"])
    log = debian.read("/var/log/msa-wizard.log")
    add_alice(debian)
    debian.put("/home/alice/hold.py", HOLD)
    debian.run(
        "runuser -u alice python3 /home/alice/hold.py >/tmp/held & until [ -s /tmp/held ]; do sleep 0.1; done"
    )
    assert int(debian.read("/tmp/held")) > 100
    for user in ("root", "alice"):
        assert (
            debian.run(["timeout", "20", "msa-wizard", "--version"], user=user, check=False).returncode == 0
        )

    said = take_out(debian, "purge")
    assert f"Its settings, log and history stay: /etc/msa-wizard, /var/log/msa-wizard.log, {_HOME}." in said
    assert debian.read("/var/log/msa-wizard.log") == log
    done = debian.run(["./msa-wizard.pyz", "answers"])
    assert "ipv6 = true" in done.stdout
    assert done.stderr == "", "it did not have to be unpacked again"


@pytest.mark.default_on("forky")
def test_a_new_python_of_debian_finds_it_compiled_and_without_a_history_nothing_stays(
    machine: BootMachine,
) -> None:
    debian = machine("minimal", project=False)
    install(debian)
    compiled = debian.run("find /usr/lib/msa-wizard -name '*.pyc' | wc -l").stdout
    sources = debian.run("find /usr/lib/msa-wizard -name '*.py' -not -path '*/pygments/*' | wc -l").stdout
    assert int(compiled) >= int(sources)
    assert (
        debian.run("cat /usr/share/python3/runtime.d/msa-wizard.rtupdate").stdout.count("/usr/lib/msa-wizard")
        > 0
    )
    debian.run("test -r /usr/share/man/man8/msa-wizard.8.gz")
    places = ("bash-completion/completions/msa-wizard", "zsh/vendor-completions/_msa-wizard")
    for path in (*places, "fish/vendor_completions.d/msa-wizard.fish"):
        assert debian.run(["cat", f"/usr/share/{path}"]).stdout.count("_ARGCOMPLETE") > 0
    completing = '_ARGCOMPLETE=1 COMP_LINE="msa-wizard rehea" COMP_POINT=16 msa-wizard 8>&1 >/dev/null 2>&1'
    assert debian.run(completing).stdout.strip() == "rehearse"

    wizard(debian, "plan")
    hooks = (HOOK, PORT_HOOK)
    debian.run(["mkdir", "-p", *(hook.rpartition("/")[0] for hook in hooks)])
    debian.run(["touch", *hooks])
    said = take_out(debian, "purge")
    assert "the settings (/etc/msa-wizard) and the log (/var/log/msa-wizard.log) are removed" in said
    for hook in hooks:
        assert f"{hook} stays: " in said
        debian.run(["rm", hook])
    found = debian.run(
        "find / -xdev -name '*msa-wizard*' -not -path '/var/cache/apt/*' -not -path '/proc/*'"
    ).stdout
    assert found == ""
