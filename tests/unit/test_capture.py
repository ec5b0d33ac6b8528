"""A command's writes, told from everybody else's: on a folder in the place of the host, with real overlays."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from wizard.changes import capture
from wizard.changes.capture import Capture, captured
from wizard.changes.command import CommandChange, CommandEffect, DialogueChange
from wizard.changes.file import FileEffect
from wizard.engine.journal import Journal, unfinished
from wizard.engine.undo import carry_out
from wizard.errors import ChangeError, StaleError
from wizard.model.plan import Effect
from wizard.system.host import Host, View
from wizard.system.private_view import PrivateView, ViewError


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host of a few files, in a folder."""
    root = tmp_path / "root"
    for folder in ("etc/mail/sasl", "etc/old/deep", "usr/lib/sasl2"):
        (root / folder).mkdir(parents=True)
    for name, text in {
        "etc/mail/access": "a\n",
        "etc/mail/access.db": "made of a\n",
        "etc/mail/sendmail.mc": "mc\n",
        "etc/mail/sendmail.cf": "cf\n",
        "etc/hosts": "127.0.0.1 localhost\n",
        "etc/old/deep/file": "x\n",
        "etc/group": "root:x:0:\nsasl:x:45:\n",
        "etc/group-": "root:x:0:\n",
        "usr/lib/sasl2/a.conf": "a\n",
    }.items():
        (root / name).write_text(text)
    made = Host(root)
    try:
        with made.private_view(("/etc",)):
            pass
    except ViewError as error:
        pytest.skip(f"this machine gives no private view: {error}")
    return made


def run(
    host: Host, script: str, meanwhile: Callable[[], object] = lambda: None, *, sealed: bool = False
) -> Capture:
    """Capture a shell script that works on the folder; `meanwhile` is done on the host before it ends."""

    def act(inside: Host) -> str:
        done = inside.run(["sh", "-euc", script, "sh", str(host.root)])
        assert done.code == 0, done.stderr
        meanwhile()
        return done.stdout

    return captured(host, act, lambda _: None, sealed=sealed)


def tree(host: Host) -> dict[str, Entry | None]:
    """All of the host."""
    paths = [f"/{path.relative_to(host.root)}" for path in sorted(host.root.rglob("*"))]
    return {path: host.entry(path) for path in paths}


EVERYTHING = """
cd "$1/etc"
echo b >mail/access; chmod 600 mail/access
mv mail/sendmail.cf mail/sendmail.cf.old; echo new >mail/sendmail.cf
ln -s ../access mail/sasl/link
rm -r old; mkdir old; echo y >old/other
mkdir -m 2750 new; mkfifo new/pipe; rm new/pipe
touch hosts
cat mail/sendmail.mc >copy; ln copy copy2; cat copy >mail/sendmail.mc
rm ../usr/lib/sasl2/a.conf; echo said
"""


def test_everything_that_a_command_does_is_in_its_writes_and_nothing_is_done(host: Host) -> None:
    before = tree(host)
    made = run(host, EVERYTHING)
    assert tree(host) == before
    assert made.output == "said\n"
    assert {path: (old is not None, new is not None) for path, (old, new) in made.writes.items()} == {
        "/etc/old/deep": (True, False),
        "/etc/old/deep/file": (True, False),
        "/usr/lib/sasl2/a.conf": (True, False),
        "/etc/copy": (False, True),
        "/etc/copy2": (False, True),
        "/etc/mail/access": (True, True),
        "/etc/mail/sasl/link": (False, True),
        "/etc/new": (False, True),
        "/etc/old/other": (False, True),
        "/etc/mail/sendmail.cf": (True, True),
        "/etc/mail/sendmail.cf.old": (False, True),
    }


def test_once_written_the_host_is_as_if_the_command_had_run_on_it(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other"
    os.system(f"cp -a {host.root} {other}")
    Host().run(["sh", "-euc", EVERYTHING, "sh", str(other)])
    effects = carried_out(host, EVERYTHING, tmp_path)
    assert tree(host) == tree(Host(other))
    assert [type(effect) for effect in effects] == [CommandEffect, *[FileEffect] * 11]


def carried_out(host: Host, script: str, tmp_path: Path) -> list[object]:
    """The effects of a command that a step runs."""
    effects: list[Effect] = []
    journal = Journal(tmp_path / "journal")
    journal.begin("apply", "run", "somebody", "", {"wanted": [], "answers": {}})
    journal.step("a step", "")
    change = CommandChange(("sh", "-euc", script, "sh", str(host.root)), "a test")
    carry_out([change], effects, host, journal, lambda _: None, lambda: None)
    told = unfinished(journal.path)
    assert told is not None
    touched = [path for each in told.changes for path in each["touches"]]  # type: ignore[attr-defined]
    assert touched == [effect.path for effect in effects if isinstance(effect, FileEffect)]
    return list[object](effects)


def test_modes_owners_and_attributes_are_those_that_the_command_gave(host: Host) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.setxattr(host.path("/etc/hosts"), "user.note", b"mine")
    made = run(host, 'cd "$1/etc"; echo more >>hosts; chown 7:8 hosts; chmod 4711 mail/access; chgrp 9 mail')
    old, new = made.writes["/etc/hosts"]
    assert old is not None
    assert new is not None
    assert (new.uid, new.gid, new.xattrs) == (7, 8, (("user.note", b"mine"),))
    assert {path: new and (new.mode, new.gid) for path, (_, new) in made.writes.items()} == {
        "/etc/hosts": (new.mode, 8),
        "/etc/mail": (0o755, 9),
        "/etc/mail/access": (0o4711, 0),
    }


def test_a_script_that_renames_takes_no_attributes_away(host: Host, tmp_path: Path) -> None:
    """As sendmailconfig does with sendmail.mc, the same or not: an access list of the admin's is his."""
    for name in ("access", "sendmail.mc"):
        os.setxattr(host.path(f"/etc/mail/{name}"), "user.note", b"mine")
    before = host.entry("/etc/mail/sendmail.mc")
    script = 'cd "$1/etc/mail"; cat sendmail.mc >new; mv new sendmail.mc; echo more >new; mv new access'
    carried_out(host, script, tmp_path)
    assert host.entry("/etc/mail/sendmail.mc") == before
    access = host.entry("/etc/mail/access")
    assert access is not None
    assert (access.content, access.xattrs) == (b"more\n", (("user.note", b"mine"),))


def test_somebody_elses_files_are_not_the_commands(host: Host) -> None:
    def meanwhile() -> None:
        with host.path("/etc/hosts").open("a") as file:
            file.write("somebody\n")
        host.path("/etc/theirs").write_text("somebody\n")

    made = run(host, 'echo x >"$1/etc/mail/made"', meanwhile)
    assert list(made.writes) == ["/etc/mail/made"]
    assert host.path("/etc/hosts").read_text().endswith("somebody\n")


def test_a_command_runs_again_when_what_it_read_has_changed(host: Host) -> None:
    left = [1]

    def meanwhile() -> None:
        if left:
            left.pop()
            host.path("/etc/mail/access").write_text("a\nsomebody\n")

    made = run(
        host, 'cd "$1/etc/mail"; cat access >access.db; cp access access.new; mv access.new access', meanwhile
    )
    new = made.writes["/etc/mail/access.db"][1]
    assert new is not None
    assert new.content == b"a\nsomebody\n"
    assert list(made.writes) == ["/etc/mail/access.db"]


def test_only_the_map_is_left_out_where_its_source_never_rests(host: Host) -> None:
    def meanwhile() -> None:
        with host.path("/etc/mail/access").open("a") as file:
            file.write("somebody\n")

    script = 'cd "$1/etc/mail"; cat access >access.db; cat sendmail.mc >sendmail.cf; cp access n; mv n access'
    made = run(host, script, meanwhile)
    assert list(made.writes) == ["/etc/mail/sendmail.cf"]
    assert host.path("/etc/mail/access").read_text() == "a\n" + "somebody\n" * capture.ROUNDS


def test_a_sendmail_mc_that_never_rests_is_told_of(host: Host) -> None:
    def meanwhile() -> None:
        with host.path("/etc/mail/sendmail.mc").open("a") as file:
            file.write("somebody\n")

    with pytest.raises(StaleError, match=r"/etc/mail/sendmail\.mc kept changing .*nothing was written"):
        run(host, 'cd "$1/etc/mail"; cat sendmail.mc >sendmail.cf', meanwhile)
    assert host.path("/etc/mail/sendmail.cf").read_text() == "cf\n"


@dataclass(frozen=True)
class Busy(Host):
    """A host where a file comes each time just before what is read is copied."""

    @contextlib.contextmanager
    def private_view(
        self,
        folders: Sequence[str],
        *,
        copied: Sequence[str] = (),
        hidden: Sequence[str] = (),
        sealed: bool = False,
    ) -> Iterator[View]:
        """The same, a moment later."""
        self.path(f"/etc/mail/somebody-{len(self.names('/etc/mail'))}").write_text("theirs\n")
        with super().private_view(folders, copied=copied, hidden=hidden, sealed=sealed) as view:
            yield view


def test_what_comes_while_the_view_is_made_is_not_the_commands(host: Host) -> None:
    made = run(Busy(host.root), 'cd "$1/etc/mail"; touch *; echo new >sendmail.cf')
    assert list(made.writes) == ["/etc/mail/sendmail.cf"]
    assert len([name for name in host.names("/etc/mail") if name.startswith("somebody")]) == capture.ROUNDS


def test_members_are_added_beside_those_that_somebody_adds(host: Host) -> None:
    def meanwhile() -> None:
        host.path("/etc/group").write_text("root:x:0:\nsasl:x:45:bob\ndevs:x:1001:bob\n")
        host.path("/etc/group-").write_text("root:x:0:\nsasl:x:45:\n")

    made = run(
        host,
        'cd "$1/etc"; cp group group-; sed s/sasl:x:45:/\\&smmta/ group >group+; mv group+ group',
        meanwhile,
    )
    assert list(made.writes) == ["/etc/group"]
    new = made.writes["/etc/group"][1]
    assert new is not None
    assert new.content == b"root:x:0:\nsasl:x:45:bob,smmta\ndevs:x:1001:bob\n"


def test_somebodys_lock_holds_no_command_up(host: Host) -> None:
    host.path("/etc/group.lock").write_text("4711")
    made = run(host, 'cd "$1/etc"; echo 1 >g; ln g group.lock; rm g group.lock; echo done')
    assert (made.output, dict(made.writes)) == ("done\n", {})
    assert host.path("/etc/group.lock").read_text() == "4711"


def test_a_change_between_capture_and_write_runs_the_command_again(host: Host, tmp_path: Path) -> None:
    """Seen when the file is about to be written, and after a map was made of what is there no more."""
    effects: list[Effect] = []
    journal, asked = Journal(tmp_path / "journal"), []

    def interrupt() -> None:
        asked.append(1)
        if len(asked) == 2:  # before the first file is written
            host.path("/etc/mail/access").write_text("somebody\n")

    journal.begin("apply", "run", "somebody", "", {"wanted": [], "answers": {}})
    change = CommandChange(
        ("sh", "-euc", 'cd "$1/etc/mail"; cat access >access.db', "sh", str(host.root)), "a test"
    )
    carry_out([change], effects, host, journal, lambda _: None, interrupt)
    assert host.path("/etc/mail/access.db").read_text() == "somebody\n"
    assert [effect.record()["kind"] for effect in effects] == ["command", "file", "command", "file"]


def test_a_command_that_fails_has_changed_nothing(host: Host, tmp_path: Path) -> None:
    before = tree(host)
    with pytest.raises(ChangeError, match=r"failed with status 3:\nno"):
        carried_out(host, 'echo x >"$1/etc/mail/made"; echo no; exit 3', tmp_path)
    assert tree(host) == before


def test_a_device_is_not_written_to_a_host(host: Host) -> None:
    with pytest.raises(ChangeError, match="/etc/pipe, a fifo"):
        run(host, 'mkfifo "$1/etc/pipe"')


@pytest.mark.parametrize(
    ("change", "package"),
    [
        (CommandChange(("/nowhere/update_auth",), "a test"), "sendmail-base"),
        (CommandChange(("/nowhere/newaliases",), "a test"), "sendmail-bin"),
        (DialogueChange(), "sendmail-base"),
    ],
)
def test_a_program_that_is_missing_is_named_with_what_brings_it(
    host: Host, change: CommandChange | DialogueChange, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("wizard.changes.command", "wizard.sendmail.sendmailconfig"):
        monkeypatch.setattr(f"{module}.ARGV", ("/nowhere/sendmailconfig",))
    (host.root / "etc/mail/sendmail.mc").write_text("dnl\n")

    def said() -> str:
        with pytest.raises(ChangeError) as caught:
            change.apply(host, lambda _: None)
        return re.sub(r"\A/nowhere/\w+", "NAME", str(caught.value))

    why = "NAME could not be started: No such file or directory."
    assert said() == f"{why} `msa-wizard apply install` brings it"
    (host.root / "var/lib/dpkg/info").mkdir(parents=True)
    (host.root / f"var/lib/dpkg/info/{package}.list").touch()
    assert said() == f"{why} `apt-get install --reinstall {package}` brings it"


def test_nothing_is_left_of_a_view(host: Host) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    with host.private_view(("/etc", "/nowhere")) as view:
        view.host.run(["touch", str(host.path("/etc/made"))])
        assert list(view.written()) == ["/etc/made"]
        holder = view.host.root.parts[2]
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not Path("/proc", holder).exists()


def test_a_folder_that_no_mount_option_can_name_gives_no_view(tmp_path: Path) -> None:
    odd = tmp_path / "a,b"
    odd.mkdir()
    with pytest.raises(ViewError, match="mount option"), PrivateView([str(odd)], {}):
        pass


def test_a_kernel_that_refuses_says_why(host: Host, tmp_path: Path) -> None:
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho unshare failed: Operation not permitted\nexit 1\n")
    fake.chmod(0o755)
    view = PrivateView([str(host.path("/etc"))], {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    with pytest.raises(ViewError, match="Operation not permitted"), view:
        pass


def test_without_a_view_the_command_runs_on_the_host(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writes are what such a script makes, and nothing else of what changed meanwhile."""

    def refuse(*_: object, **__: object) -> None:
        raise ViewError("not permitted")

    monkeypatch.setattr(PrivateView, "__enter__", refuse)
    said: list[str] = []
    script = (
        'cd "$1/etc"; echo new >mail/sendmail.cf; echo theirs >>mail/access; echo theirs >mail/note;'
        "sed 's/sasl:x:45:/&smmta/; $a theirs:x:9:' group >group+; mv group+ group"
    )
    effects: list[Effect] = []
    journal = Journal(tmp_path / "journal")
    journal.begin("apply", "run", "somebody", "", {"wanted": [], "answers": {}})
    change = CommandChange(("sh", "-euc", script, "sh", str(host.root)), "a test")
    carry_out([change], effects, host, journal, said.append, lambda: None)
    effect = effects[-1]
    assert isinstance(effect, CommandEffect)
    assert {file.path: file.after and file.after.content for file in effect.writes} == {
        "/etc/mail/sendmail.cf": b"new\n",
        "/etc/group": b"root:x:0:\nsasl:x:45:smmta\n",
    }
    assert "not permitted" in said[0]
    assert Kind.FILE is effect.writes[0].after.kind  # type: ignore[union-attr]


def test_killed_while_a_command_is_at_work_nothing_has_changed(host: Host, tmp_path: Path) -> None:
    before, flag = tree(host), tmp_path / "pid"
    child = os.fork()
    if child == 0:
        try:
            run(
                host,
                f'echo x >"$1/etc/mail/access"; rm "$1/etc/hosts"; echo $$ >{flag}.new; mv {flag}.new {flag}; sleep 60',
            )
        finally:
            os._exit(1)
    end = time.monotonic() + 30
    while not flag.exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.killpg(int(flag.read_text()), signal.SIGKILL)  # the command itself goes on, where nobody sees it
    assert tree(host) == before
    assert str(host.root) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("target", ["/srv/mail", "mail.real", "gone"])
def test_nothing_is_run_where_a_folder_of_it_is_a_link(tmp_path: Path, target: str) -> None:
    """A view of /etc is none of what lies elsewhere: the scripts would write to the host itself."""
    for folder in ("etc/mail.real", "srv/mail"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/mail").symlink_to(target)
    with pytest.raises(ChangeError, match=r"^/etc/mail is a symbolic link.*; nothing was run$"):
        captured(Host(tmp_path), lambda _: pytest.fail("it ran"), lambda _: None)


def test_a_copied_link_leaves_the_folder_that_it_leads_to_alone(host: Host, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (host.root / "etc/mail").rename(host.root / "etc/mail.old")
    (host.root / "etc/mail").symlink_to(tmp_path / "elsewhere")
    with host.private_view(("/etc",), copied=["/etc/mail"]) as view:
        assert view.entry("/etc/mail") is not None
    assert [name for name in os.listxattr(tmp_path / "elsewhere") if "overlay" in name] == []


def test_a_sealed_view_writes_nowhere_else_not_by_a_link_either(host: Host) -> None:
    (host.root / "srv").mkdir()
    (host.root / "srv/access").write_text("theirs\n")
    (host.root / "etc/mail/virtusertable").symlink_to("../../srv/access")
    script = "echo in > $1/etc/mail/new; for f in $1/etc/mail/virtusertable $1/out /run/out; do (echo x > $f) || :; done"
    made = run(host, f"{script}; chmod 600 $1/etc/mail/virtusertable || :", sealed=True)
    assert [*made.writes] == ["/etc/mail/new"]
    assert (host.root / "srv/access").read_text() == "theirs\n"
    assert (host.root / "srv/access").stat().st_mode & 0o777 == 0o644
    assert not (host.root / "out").exists()
    assert not Path("/run/out").exists()
    (host.root / "srv/access").write_text("the host itself is as before\n")
