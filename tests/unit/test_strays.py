"""Which daemons systemd does not count to their service, and what a restart does with them."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.steps.planned import plan
from tests.unit.steps.recorded import NOW
from tests.unit.troubleshoot.pictures import SASLAUTHD, facts
from wizard.changes.service import ServiceChange, ServiceEffect
from wizard.errors import ChangeError
from wizard.gather.host import running
from wizard.model.facts import Facts, Process, Service
from wizard.model.plan import Outcome
from wizard.rollback import plan as rollback_plan
from wizard.sendmail.strays import members, outside, stray_sentence, strays, unit_of
from wizard.system.host import Completed, Host
from wizard.system.services import LOCK, service_lock
from wizard.system.sockets import listeners

SYSTEMD = "0::/init.scope\n"
OWN = "/system.slice/sendmail.service"
ROOT = "Uid:\t0\t0\t0\t0\nNSpid:\t7\n"


def process(root: Path, pid: int, cgroup: str, status: str = ROOT, flags: int = 0x400100) -> Path:
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(cgroup)
    (folder / "status").write_text(status)
    (folder / "stat").write_text(f"{pid} (a (b) S 1 {pid} {pid} 0 -1 {flags} 0 0\n")
    return folder


@pytest.mark.parametrize(
    ("first", "cgroup", "status", "unit"),
    [
        (SYSTEMD, f"0::{OWN}\n", ROOT, "sendmail.service"),
        (SYSTEMD, "0::/user.slice/user-0.slice/session-3.scope\n", ROOT, "session-3.scope"),
        (SYSTEMD, "0::/../..\n", ROOT, ""),
        (SYSTEMD, "0::/system.slice/cron.service\n", ROOT, "cron.service"),
        ("0::/x/y/init.scope\n", f"0::/x/y{OWN}\n", ROOT, "sendmail.service"),
        ("4:pids:/\n1:name=systemd:/init.scope\n", f"4:pids:/\n1:name=systemd:{OWN}\n", ROOT, "sendmail.service"),
        # the kernel of a container's host has the older one, too, and the container's systemd does not use it
        (f"1:name=systemd:/\n{SYSTEMD}", f"1:name=systemd:/\n0::{OWN}\n", ROOT, "sendmail.service"),
        (f"1:name=systemd:/\n{SYSTEMD}", "1:name=systemd:/\n0::/../..\n", ROOT, ""),
        ("0::/\n", "0::/\n", ROOT, None),  # PID 1 is not systemd, or nobody's groups can be seen
        ("4:pids:/\n", "4:pids:/\n", ROOT, None),
        (SYSTEMD, "0::/system.slice/docker-7f.scope\n", ROOT, None),
        (SYSTEMD, "0::/machine.slice/machine-m.scope/payload/system.slice/sendmail.service\n", "Uid:\t0\t0\nNSpid:\t9\t7\n", None),
        (SYSTEMD, "0::/../..\n", "Uid:\t1000\t1000\t1000\t1000\nNSpid:\t7\n", None),
        (SYSTEMD, "", "", None),
    ],
)  # fmt: skip
def test_the_unit_of_a_process(
    tmp_path: Path, first: str, cgroup: str, status: str, unit: str | None
) -> None:
    process(tmp_path, 1, first)
    assert unit_of(Host(tmp_path), process(tmp_path, 7, cgroup, status)) == unit


def test_a_process_that_ends_meanwhile_has_no_unit(tmp_path: Path) -> None:
    process(tmp_path, 1, SYSTEMD)
    assert unit_of(Host(tmp_path), tmp_path / "proc/7") is None


def test_one_that_is_about_to_end_is_in_no_unit_by_the_older_control_groups_and_that_says_nothing(
    tmp_path: Path,
) -> None:
    process(tmp_path, 1, "1:name=systemd:/init.scope\n")
    assert unit_of(Host(tmp_path), process(tmp_path, 7, "1:name=systemd:/\n")) == ""
    assert unit_of(Host(tmp_path), process(tmp_path, 8, "1:name=systemd:/\n", flags=0x40010C)) is None


def with_sendmail(unit: str | None, active: str = "active (running)", **more: Any) -> Facts:
    daemon = Process(1, "sendmail-mta", ("x",), NOW, unit=unit)
    queue = Process(5, "sendmail-mta", ("x",), NOW, unit="")  # a queue runner: it does not listen
    made = facts(processes=(daemon, queue), **more)
    services = {**made.services, "sendmail": Service("sendmail", True, True, active)}
    return dataclasses.replace(made, services=services)


@pytest.mark.parametrize(
    ("unit", "active", "stray"),
    [
        ("sendmail.service", "active (running)", False),
        ("sendmail.service", "active (exited)", False),
        ("sendmail.service", "deactivating (stop)", False),
        ("sendmail.service", "failed (failed)", True),
        ("sendmail.service", "inactive (dead)", True),
        ("", "active (running)", True),
        ("session-3.scope", "inactive (dead)", True),
        ("own-mta.service", "inactive (dead)", False),  # somebody's own unit watches it
        (None, "failed (failed)", False),
    ],
)
def test_a_daemon_outside_its_unit(unit: str | None, active: str, stray: bool) -> None:
    made = with_sendmail(unit, active)
    assert [item.pid for item in strays(made, "sendmail")] == ([1] if stray else [])
    assert plan("restart", made).outcome is (Outcome.PENDING if stray else Outcome.DONE)
    assert ("outside its unit (pid 1)" in plan("restart", made).reason) is stray


def test_without_a_unit_nothing_is_outside() -> None:
    made = with_sendmail("")
    assert strays(dataclasses.replace(made, services={"sendmail": Service("sendmail")}), "sendmail") == ()


@pytest.mark.parametrize(
    ("argv", "stray"),
    [
        (SASLAUTHD, True),
        ((*SASLAUTHD, "-d"), False),  # somebody watches it
        (("/usr/sbin/saslauthd", "-a", "pam", "-m", "/var/spool/postfix/var/run/saslauthd"), False),
    ],
)
def test_a_saslauthd_outside_its_unit(argv: tuple[str, ...], stray: bool) -> None:
    made = facts(processes=(Process(2, "saslauthd", argv, NOW, unit=""),))
    assert bool(stray_sentence(made, "saslauthd")) is stray
    assert ("outside its unit" in plan("saslauthd-start", made).reason) is stray


@dataclass(frozen=True)
class Machine(Host):
    """A machine with one sendmail; systemd refuses to restart it while a daemon is at work that it does not know."""

    said: list[str] = field(default_factory=list)
    stubborn: bool = False
    broken: bool = False
    states: list[str] = field(default_factory=list)
    """What the service is, one answer after the other; then active."""

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        if argv[1] == "is-active":
            return Completed(tuple(argv), 0, self.states.pop(0) if self.states else "active\n", "", 0.0)
        self.said.append(" ".join(argv) if not self.states else f"{argv} too early")
        if argv[0] == "kill" and (argv[1] == "-KILL" or not self.stubborn):
            subprocess.run(["rm", "-r", self.path(f"/proc/{argv[2]}")], check=True)
        refused = argv[:2] == ["systemctl", "restart"] and (self.broken or self.exists("/proc/7"))
        return Completed(tuple(argv), int(refused), "", "refused" if refused else "", 0.0)


def made(root: Path, cgroup: str, *, stubborn: bool = False, broken: bool = False) -> Machine:
    """With a sendmail of pid 7 that listens on port 25, unless `cgroup` is empty."""
    (root / "run/systemd/system").mkdir(parents=True)
    process(root, 1, SYSTEMD)
    if cgroup:
        folder = process(root, 7, cgroup)
        (folder / "stat").write_text(f"7 (sendmail-mta) S {' '.join(['0'] * 18)} 5 0\n")
        (folder / "cmdline").write_text("sendmail: MTA: accepting connections")
        (folder / "comm").write_text("sendmail-mta\n")
        (folder / "fd").mkdir()
        (folder / "fd/4").symlink_to("socket:[99]")
    (root / "proc/net").mkdir()
    row = "   0: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0 100 0 0 10 0"
    (root / "proc/net/tcp").write_text(f"head\n{row}\n" if cgroup else "head\n")
    (root / "proc/uptime").write_text("100.0 1.0\n")
    return Machine(root, stubborn=stubborn, broken=broken)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that does not end is not waited for."""
    monkeypatch.setattr("wizard.changes.service._ENDS_WITHIN", 0.1)


RESTART, RESET = "systemctl restart sendmail", "systemctl reset-failed sendmail"


@pytest.mark.parametrize(
    ("cgroup", "commands"),
    [
        ("", [RESTART]),
        ("0::/../..\n", ["kill -TERM 7", RESTART]),
        (f"0::{OWN}\n", [RESTART, "kill -TERM 7", RESET, RESTART]),
    ],
)
def test_a_restart_ends_what_would_be_in_its_way(tmp_path: Path, cgroup: str, commands: list[str]) -> None:
    host = made(tmp_path, cgroup)
    ServiceChange("sendmail", "systemd", enable=False, was_running=True).apply(host, lambda _: None)
    assert [line for line in host.said if "is-enabled" not in line] == commands


def test_a_start_of_somebody_else_comes_to_its_end_first(tmp_path: Path) -> None:
    host = made(tmp_path, "")
    host.states.extend(["activating\n", "deactivating\n"])
    ServiceEffect("sendmail", "systemd", True, True, False, True).undo(host, lambda _: None)
    assert host.said == [RESTART]


def test_one_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.changes.service._BUSY_FOR", 0.2)
    host = made(tmp_path, "")
    host.states.extend(["activating\n"] * 100)
    ServiceEffect("sendmail", "systemd", True, True, False, True).undo(host, lambda _: None)
    assert len(host.said) == 1


@pytest.mark.parametrize(
    ("title", "ours"),
    [
        ("sendmail: MTA: accepting connections ", True),
        ("/usr/sbin/sendmail\0-bd\0-q10m", True),  # it has not named itself yet
        ("sendmail: running queue: /var/spool/mqueue", False),
        ("/usr/sbin/sendmail\0-t", False),
    ],
)
def test_a_daemon_started_by_its_other_name_counts(tmp_path: Path, title: str, ours: bool) -> None:
    """`sendmail -bd` by hand: the kernel calls the process by the name of the link."""
    host = made(tmp_path, "0::/../..\n")
    folder = tmp_path / "proc/7"
    (folder / "stat").write_text(f"7 (sendmail) S {' '.join(['0'] * 18)} 5 0\n")
    (folder / "comm").write_text("sendmail\n")
    (folder / "cmdline").write_text(title)
    assert [item.name for item in running(host)] == ["sendmail-mta"] * ours
    assert [item.process for item in listeners(host)] == ["sendmail-mta"]
    assert [item.pid for item in outside("sendmail", running(host), listeners(host))] == [7] * ours


@pytest.mark.parametrize(("numbers", "ours"), [("7", True), ("7\t1", False)])
def test_a_daemon_of_a_container_is_none_of_this_hosts(tmp_path: Path, numbers: str, ours: bool) -> None:
    """It has its files, and its socket, elsewhere: whoever asks what runs here asks not for it."""
    host = made(tmp_path, "0::/system.slice/docker-7f.scope\n")
    folder = tmp_path / "proc/7"
    (folder / "status").write_text(f"Uid:\t0\t0\t0\t0\nNSpid:\t{numbers}\n")
    (folder / "stat").write_text(f"7 (saslauthd) S {' '.join(['0'] * 18)} 5 0\n")
    (folder / "cmdline").write_text("/usr/sbin/saslauthd\0-a\0pam\0-m\0/var/spool/postfix/saslauthd\0")
    assert [item.pid for item in running(host)] == [7] * ours


@dataclass(frozen=True)
class Unmoved(Machine):
    """The init script does not find the daemon that runs, for it could write no pid file, and says that all is well."""

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        if argv[1] != "is-active":
            self.said.append(" ".join(argv))
        if argv[0] == "kill":
            subprocess.run(["rm", "-r", self.path(f"/proc/{argv[2]}")], check=True)
        return Completed(tuple(argv), 0, "", "", 0.0)


def test_a_daemon_that_a_restart_leaves_at_work_is_ended(tmp_path: Path) -> None:
    seen = made(tmp_path, f"0::{OWN}\n")
    host = Unmoved(seen.root)
    ServiceChange("sendmail", "systemd", enable=False, was_running=True).apply(host, lambda _: None)
    assert [line for line in host.said if "is-enabled" not in line] == [
        RESTART,
        "kill -TERM 7",
        RESET,
        RESTART,
    ]


def test_one_that_takes_no_term_is_killed(tmp_path: Path) -> None:
    host = made(tmp_path, "0::/../..\n", stubborn=True)
    ServiceEffect("sendmail", "systemd", True, True, False, True).undo(host, lambda _: None)
    assert host.said == ["kill -TERM 7", "kill -KILL 7", RESTART]


def test_a_stop_leaves_none_in_the_unit_and_takes_no_other(tmp_path: Path) -> None:
    host = made(tmp_path, f"0::{OWN}\n")
    ServiceEffect("sendmail", "systemd", True, False, False, True).undo(host, lambda _: None)
    assert host.said == ["systemctl stop sendmail", "kill -TERM 7"]
    other = made(tmp_path / "other", "0::/../..\n")
    ServiceEffect("sendmail", "systemd", True, False, False, True).undo(other, lambda _: None)
    assert other.said == ["systemctl stop sendmail"]


def test_a_restart_that_fails_for_another_reason_names_the_command(tmp_path: Path) -> None:
    host = made(tmp_path, "", broken=True)
    with pytest.raises(
        ChangeError, match=r"refused\nby hand, once its cause is fixed: systemctl restart sendmail"
    ):
        ServiceEffect("sendmail", "systemd", True, True, False, True).undo(host, lambda _: None)
    assert host.said == [RESTART]


def test_a_command_at_work_keeps_the_lock_after_our_death(tmp_path: Path) -> None:
    """A guard's script waits for it: flock(1) on the same file."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    host, lock = Host(tmp_path), tmp_path / str(LOCK).lstrip("/")
    with service_lock(host) as inherited:
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=inherited)
    try:
        assert subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 1
    finally:
        orphan.kill()
        orphan.wait()
    assert subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0
    assert lock.stat().st_mode & 0o777 == 0o600
    assert lock.parent.stat().st_mode & 0o777 == 0o700


def test_the_lock_is_waited_for_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.system.services._PATIENCE", 0.1)
    with (
        service_lock(Host(tmp_path)),
        pytest.raises(ChangeError, match="list-jobs"),
        service_lock(Host(tmp_path)),
    ):
        raise AssertionError("not reached")


@dataclass(frozen=True)
class Refusing(Machine):
    """A container: systemd may send no signal there, and says so."""

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        if argv[1] != "kill":
            return super().run(argv, **more)
        return Completed(tuple(argv), 1, "", "Failed to kill unit sendmail.service: Input/output error", 0.0)


def test_a_signal_that_cannot_be_sent_leaves_it_to_the_restart(tmp_path: Path) -> None:
    host, said = Refusing(made(tmp_path, "").root), list[str]()
    change = ServiceChange("sendmail", "systemd", enable=False, was_running=True, signal="CONT")
    change.apply(host, said.append)
    assert host.said[-1] == RESTART
    assert any("Input/output error" in line and "restart that follows decides" in line for line in said)


@pytest.mark.parametrize(
    ("default", "file", "ended"),
    [
        ('OPTIONS="-c -m /var/run/saslauthd"', "saslauthd", True),
        ('OPTIONS="-c -m /var/spool/postfix/saslauthd/"', "saslauthd-postfix", False),
    ],
)
def test_a_saslauthd_whose_folder_nobody_names_any_more_goes_with_a_restart(
    tmp_path: Path, default: str, file: str, ended: bool
) -> None:
    """The init script looks for the old one where the OPTIONS of now say, and leaves it behind."""
    host = made(tmp_path, "0::/system.slice/saslauthd.service\n")
    folder = tmp_path / "proc/7"
    (folder / "stat").write_text(f"7 (saslauthd) S {' '.join(['0'] * 18)} 5 0\n")
    (folder / "cmdline").write_text("/usr/sbin/saslauthd\0-a\0pam\0-m\0/var/spool/postfix/saslauthd\0")
    (tmp_path / "etc/default").mkdir(parents=True)
    (tmp_path / "etc/default" / file).write_text(f"# -m /var/spool/postfix/saslauthd\n{default}\n")
    assert [each.pid for each in members("saslauthd", running(host))] == [7]
    ServiceChange("saslauthd", "systemd", enable=False, was_running=True).apply(
        Restarts(tmp_path), lambda _: None
    )
    assert folder.exists() is not ended


@dataclass(frozen=True)
class Restarts(Machine):
    """A restart of it always works."""

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        done = super().run(argv, **more)
        return Completed(done.argv, 0, done.stdout, "", 0.0)


def test_what_a_fix_has_started_is_stopped_again_though_it_began_with_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A saslauthd that could not start with what comes back would go on with the options of the fix."""
    stop = ServiceEffect("saslauthd", "systemd", True, False, False, False)
    start = ServiceEffect("saslauthd", "systemd", True, False, False, True)
    (tmp_path / "etc/init.d").mkdir(parents=True)
    (tmp_path / "etc/init.d/saslauthd").touch()
    monkeypatch.setattr(rollback_plan, "effects_of", lambda _, effects: effects)
    wanted = rollback_plan._wanted([(stop, start)], None, (), ())  # type: ignore[list-item,arg-type]
    assert wanted.running("saslauthd") is False
    stops = list(rollback_plan._stops(Host(tmp_path), wanted, facts()))
    assert [(each.name, each.verb) for each in stops] == [("saslauthd", "stop")]
