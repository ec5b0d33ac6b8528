"""`remove`: what goes, what stays, and the history only where that was said twice."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import wizard
from building.archive import zipped
from tests import stand_ins
from tests.json_documents import document
from wizard.certificates.acme import HOOK, PORT_HOOK
from wizard.cli import main as cli
from wizard.cli import options
from wizard.cli import remove as command
from wizard.engine import state_dir
from wizard.engine.removal import CHECKOUT, take_away, what_is_there, why_it_stays
from wizard.system.host import Host

TOP = Path(__file__).resolve().parents[2]


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    root = tmp_path / "root"
    for name in ("etc.git/HEAD", "etc.git-history", "venv-1/bin/python", "launcher.lock", "lock"):
        put(root / "var/lib/msa-wizard" / name)
    put(root / "var/log/msa-wizard.log")
    put(root / "etc/msa-wizard/answers.toml")
    put(root / "etc/logrotate.d/msa-wizard", "/var/log/msa-wizard.log {\n}\n")
    put(root / "etc/mail/sendmail.mc")
    for name in ("msa-wizard", "requirements.txt", "wizard/__init__.py", "README.md"):
        put(root / "opt/msa-wizard" / name)
    return Host(root)


@pytest.fixture
def program(host: Host) -> Path:
    return host.path("/opt/msa-wizard")


@pytest.fixture
def here(host: Host, program: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The command line removes from that host."""
    stand_ins.anybody(monkeypatch)
    monkeypatch.setattr(command, "Host", lambda: host)
    monkeypatch.setattr(command, "keepers", lambda: iter(()))
    monkeypatch.setattr(wizard, "__file__", str(program / "wizard/__init__.py"))
    monkeypatch.setattr(state_dir, "LOCK", host.path("/var/lib/msa-wizard/lock"))
    monkeypatch.setattr("wizard.cli.remove._in_force", lambda: True)
    monkeypatch.setattr(state_dir, "JOURNAL", host.path("/var/lib/msa-wizard/journal"))
    return host


def left(host: Host) -> list[str]:
    return sorted(str(path.relative_to(host.root)) for path in host.root.rglob("*") if path.is_file())


STAY = ["etc/mail/sendmail.mc"]
HISTORY = ["var/lib/msa-wizard/etc.git-history", "var/lib/msa-wizard/etc.git/HEAD", "var/log/msa-wizard.log"]


def test_the_program_goes_and_the_history_stays(here: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["remove", "--yes"]) == 0
    assert left(here) == STAY + HISTORY
    shown = capsys.readouterr().out
    assert "The history and the log stay. To remove them, too:\n  rm -r /" in shown
    assert "rollback --all" in shown
    assert not here.path("/opt/msa-wizard").exists()


def test_the_history_goes_by_its_own_option(here: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["remove", "--yes", "--forget-history", "--json"]) == 0
    assert left(here) == STAY
    assert not here.path("/var/lib/msa-wizard").exists()
    shown = document("remove", capsys.readouterr().out)
    assert (shown["outcome"], shown["history_removed"], shown["left"]) == ("done", True, [])


def test_without_a_terminal_it_needs_yes(here: Host, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(here)
    assert cli.main(["remove", "--forget-history"]) == 2
    assert "needs --yes" in capsys.readouterr().err
    assert left(here) == before


@pytest.mark.parametrize(
    ("replies", "stays"),
    [
        (["n"], None),
        ([""], None),
        (["y", ""], HISTORY),
        (["y", "y", ""], HISTORY),
        (["y", "y", "y"], HISTORY),
        (["y", "y", "forget"], []),
        (["?", "y", "what", "n"], HISTORY),
    ],
)
def test_the_history_goes_only_when_it_was_said_twice(
    here: Host, monkeypatch: pytest.MonkeyPatch, replies: list[str], stays: list[str] | None
) -> None:
    before, waiting = left(here), iter(replies)
    monkeypatch.setattr(command, "asks", lambda _: True)
    monkeypatch.setattr("wizard.cli.options.asks", lambda _: True)
    for module in (command, options):
        monkeypatch.setattr(module, "ask", lambda *_: next(waiting))
    assert cli.main(["remove"]) == 0
    assert left(here) == (before if stays is None else STAY + stays)
    assert list(waiting) == []


@contextmanager
def opened(marker: Path) -> Iterator[None]:
    """Somebody else runs us from the folder of this mark."""
    waits = ["flock", "--shared", "--nonblock", str(marker), "sh", "-c", "echo open; read wait"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        try:
            yield
        finally:
            other.communicate(b"\n")


@pytest.mark.parametrize("linked", ["", "var", "var/lib"])
@pytest.mark.parametrize("ours", [True, False])
def test_nothing_is_removed_and_nobody_asked_while_another_one_is_open(
    here: Host,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    linked: str,
    *,
    ours: bool,
) -> None:
    if linked:  # to another file system, say
        (here.root / linked).rename(here.root / "elsewhere")
        (here.root / linked).symlink_to(here.root / "elsewhere")
    marker = here.path(f"/var/lib/msa-wizard/{'venv' if ours else 'program'}-1/.complete")
    put(marker)
    before = left(here)
    monkeypatch.setattr("wizard.cli.options.asks", lambda _: True)
    for module in (command, options):
        monkeypatch.setattr(module, "ask", lambda words, *_: pytest.fail(words))
    with marker.open() as own:
        if ours:
            fcntl.flock(own, fcntl.LOCK_SH)
        with opened(marker):
            assert cli.main(["remove"]) == 5
        assert "another msa-wizard is open" in capsys.readouterr().err
        assert left(here) == before
        assert cli.main(["remove", "--yes"]) == 0


def test_who_opens_one_while_somebody_is_asked_is_not_kept_out(
    here: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = here.path("/var/lib/msa-wizard/venv-1/.complete")
    put(marker)
    before = left(here)
    with ExitStack() as meanwhile:

        def answer(*_: object) -> str:
            meanwhile.enter_context(opened(marker))
            return "y"

        monkeypatch.setattr("wizard.cli.options.asks", lambda _: True)
        monkeypatch.setattr(options, "ask", answer)
        assert cli.main(["remove"]) == 5
    assert "another msa-wizard is open" in capsys.readouterr().err
    assert left(here) == before


def test_what_the_admin_put_beside_the_program_stays(host: Host, program: Path) -> None:
    put(program / "answers.toml")
    found = what_is_there(host, program)
    take_away(path for path, _ in found.goes)
    assert [path.name for path in program.iterdir()] == ["answers.toml"]
    assert any("answers.toml" in line for line in found.stays)


def test_what_the_admin_put_beside_the_settings_stays_and_is_named(
    here: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """certbot reads it at each renewal, long after we are gone."""
    put(here.path("/etc/msa-wizard/rfc2136.ini"), "dns_rfc2136_secret = x\n")
    assert cli.main(["remove", "--yes"]) == 0
    assert left(here) == [*STAY, "etc/msa-wizard/rfc2136.ini", *HISTORY]
    goes, stays = capsys.readouterr().out.split("These stay:")
    assert "/etc/msa-wizard/answers.toml  (your settings)" in goes
    assert "/etc/msa-wizard: rfc2136.ini, which msa-wizard did not bring" in stays


def test_a_file_of_logrotate_that_is_not_ours_stays(host: Host, program: Path) -> None:
    put(host.path("/etc/logrotate.d/msa-wizard"), "/var/log/other.log {\n}\n")
    assert host.path("/etc/logrotate.d/msa-wizard") not in [
        path for path, _ in what_is_there(host, program).goes
    ]


def test_a_link_to_the_program_goes_with_it(host: Host, program: Path) -> None:
    link = host.path("/usr/local/bin/msa-wizard")
    link.parent.mkdir(parents=True)
    link.symlink_to(program / "msa-wizard")
    take_away(path for path, _ in what_is_there(host, program).goes)
    assert not os.path.lexists(link)


def test_certbots_hook_stays_and_is_named(host: Host, program: Path) -> None:
    put(host.path(HOOK))
    put(host.path(PORT_HOOK))
    found = what_is_there(host, program)
    assert any(HOOK in line for line in found.stays)
    assert any(PORT_HOOK in line for line in found.stays)
    assert host.path(HOOK) not in [path for path, _ in found.goes]


def _git(program: Path, *arguments: str) -> None:
    author = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
    subprocess.run(["git", *author, "-C", str(program), *arguments], check=True, capture_output=True)


def test_a_clone_with_work_that_is_nowhere_else_stays(program: Path) -> None:
    real = Host()
    assert why_it_stays(real, program) == ""
    _git(program, "init", "-q")
    assert "nowhere else" in why_it_stays(real, program)
    _git(program, "add", "-A")
    _git(program, "commit", "-qm", "one")
    assert "nowhere else" in why_it_stays(real, program), "no remote has the commit"
    _git(program, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert why_it_stays(real, program) == ""
    put(program / "wizard/mine.py")
    assert "nowhere else" in why_it_stays(real, program)


@pytest.mark.parametrize(
    "work",
    [
        ["git checkout -q --detach", "echo mine >README.md", "git commit -qam mine"],
        ["echo mine >README.md", "git stash -q"],
        ["echo mine >README.md", "git commit -qam mine", "git tag mine", "git reset -q --hard origin/main"],
        ["git worktree add -q ../elsewhere"],
    ],
    ids=["detached", "stash", "tag", "worktree"],
)
def test_work_that_no_branch_has_keeps_a_clone(program: Path, work: list[str]) -> None:
    _git(program, "init", "-q")
    for name, value in (("user.name", "t"), ("user.email", "t@example.test")):
        _git(program, "config", name, value)
    _git(program, "add", "-A")
    _git(program, "commit", "-qm", "one")
    _git(program, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert why_it_stays(Host(), program) == ""
    subprocess.run(["sh", "-ec", "; ".join(work)], cwd=program, check=True)
    assert why_it_stays(Host(), program) != ""


@pytest.mark.parametrize("how", ["--depth=1", "--single-branch"])
def test_a_clone_of_one_release_goes_unless_there_is_work_in_it(
    program: Path, tmp_path: Path, how: str
) -> None:
    _git(program, "init", "-q")
    _git(program, "add", "-A")
    _git(program, "commit", "-qm", "one")
    _git(program, "tag", "v1.0.0")
    _git(program, "commit", "-q", "--allow-empty", "-m", "two")
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", how, "--branch", "v1.0.0", f"file://{program}", str(clone))
    assert why_it_stays(Host(), clone) == ""
    _git(clone, "commit", "-q", "--allow-empty", "-m", "mine")
    assert "nowhere else" in why_it_stays(Host(), clone)
    _git(clone, "tag", "-d", "v1.0.0")
    assert "nowhere else" in why_it_stays(Host(), clone)


def test_work_on_a_branch_that_a_remote_is_fetched_into_keeps_a_clone(program: Path) -> None:
    _git(program, "init", "-q", "-b", "main")
    _git(program, "add", "-A")
    _git(program, "commit", "-qm", "mine")
    _git(program, "config", "remote.origin.fetch", "+refs/heads/main:refs/heads/main")
    assert "nowhere else" in why_it_stays(Host(), program)


def test_what_pip_installed_is_for_pip_to_remove(host: Host, tmp_path: Path) -> None:
    put(tmp_path / "site-packages/wizard/__init__.py")
    assert "pipx uninstall" in why_it_stays(host, tmp_path / "site-packages")


@pytest.mark.parametrize("named", ["msa-wizard.pyz", "a name of the admin's own"])
def test_the_one_file_goes_with_what_it_has_unpacked(
    here: Host, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    program = here.path("/var/lib/msa-wizard/program-1")
    put(program / "wizard/BUILD", "pyz")
    file = here.path(f"/root/{named}")
    file.parent.mkdir()
    file.write_bytes(
        b"#!/bin/sh\n"
        + zipped([(name, b"", 0o644) for name in ("__main__.py", "first_start.py", "program.zip")], 0)
    )
    here.path("/var/lib/msa-wizard/msa-wizard").symlink_to("program-1/msa-wizard")
    links = [here.path(f"/usr/local/{name}/msa-wizard") for name in ("bin", "sbin")]
    for link, to in zip(links, (file, program / "msa-wizard"), strict=True):
        link.parent.mkdir(parents=True)
        link.symlink_to(to)
    monkeypatch.setattr(wizard, "__file__", str(program / "wizard/__init__.py"))
    monkeypatch.setattr(sys, "argv", [str(file)])
    assert cli.main(["remove", "--yes"]) == 0
    assert [name for name in left(here) if not name.startswith("opt/")] == STAY + HISTORY
    assert not any(os.path.lexists(link) for link in links)


def test_a_file_that_is_not_the_one_file_stays(here: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    program = here.path("/var/lib/msa-wizard/program-1")
    put(program / "wizard/BUILD", "pyz")
    for content in (b"", zipped([("x", b"", 0o644)], 0)):
        file = here.path("/root/msa-wizard.pyz")
        put(file)
        file.write_bytes(content)
        monkeypatch.setattr(sys, "argv", [str(file)])
        found = what_is_there(here, program)
        assert file not in [path for path, _ in found.goes]
        assert any("msa-wizard.pyz, if it is still there" in line for line in found.stays)


def test_what_apt_installed_is_for_apt_to_remove(
    here: Host, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(program / "wizard/BUILD", "deb")
    before = left(here)
    assert cli.main(["remove", "--yes", "--forget-history"]) == 3
    assert "`apt-get remove msa-wizard` removes it" in capsys.readouterr().err
    assert left(here) == before


def test_what_the_package_uses_too_stays_when_a_checkout_goes(here: Host) -> None:
    put(here.path("/usr/lib/msa-wizard/wizard/BUILD"), "deb")
    before = left(here)
    assert cli.main(["remove", "--yes", "--forget-history"]) == 0
    goes = ("opt/msa-wizard/", "var/lib/msa-wizard/venv-1/")
    assert left(here) == [path for path in before if not path.startswith(goes)]


def test_every_name_at_the_top_is_known_as_ours() -> None:
    files = subprocess.run(["git", "-C", str(TOP), "ls-files"], capture_output=True, text=True, check=False)
    assert {line.split("/")[0] for line in files.stdout.splitlines()} <= CHECKOUT
