"""Who wrote what while a command ran: dpkg's footprint and the witness, on machines where somebody else works too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind, read_entry
from snapshots.merge.accounts import database
from tests.system.conftest import BootMachine
from tests.system.machine import PROJECT, Machine
from tests.system.msa import WIZARD, history
from tests.system.room import why_no_machines
from wizard.packages.footprint import Footprint, footprint
from wizard.packages.witness import Evidence, evidence, owns
from wizard.system.host import Host

_PACKAGES = ("sendmail", "sasl2-bin", "libsasl2-modules")
_OUT = "/var/lib/witness"
_APT = "apt-get install -y -q -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=true"
_ENV = {"DEBIAN_FRONTEND": "noninteractive"}
_KEPT_UP = {"/etc/ld.so.cache"}
"""What ldconfig makes of all packages together, by its own trigger."""

_ADMIN = """
until [ -s {after} ]; do sleep 0.05; done
until useradd bob; do sleep 0.1; done
until groupadd -r devs; do sleep 0.1; done
echo 192.0.2.1 mine.example.test >>/etc/hosts
for path in sysctl.d/99-mine.conf default/mine cron.d/mine crontab ssl/certs/mine.pem profile.d/mine.sh \
    network/if-up.d/mine mail/my-notes mailname; do echo mine >/etc/$path; done
ln -s mine.pem /etc/ssl/certs/0123abcd.0
printf '#!/bin/sh\\n' >/etc/init.d/mine; chmod 755 /etc/init.d/mine; ln -s ../init.d/mine /etc/rc2.d/S01mine
printf '[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/my-own.service
systemctl enable --quiet my-own.service
: >/run/admin-is-done
"""
# A name that a script of sendmail's would write, too: only the witness knows that it was he.
_NAMED = "/etc/mailname"
_HIS = {
    *("/etc/hosts", "/etc/sysctl.d/99-mine.conf", "/etc/default/mine", "/etc/cron.d/mine", "/etc/crontab"),
    *("/etc/ssl/certs/mine.pem", "/etc/ssl/certs/0123abcd.0", "/etc/profile.d/mine.sh", "/etc/init.d/mine"),
    *("/etc/network/if-up.d/mine", "/etc/mail/my-notes", "/etc/rc2.d/S01mine"),
    "/etc/systemd/system/my-own.service",
    "/etc/systemd/system/multi-user.target.wants/my-own.service",
}

States = Mapping[str, Entry]


def _root(machine: Machine) -> Path:
    return Path(f"/proc/{machine.init_pid}/root")


def _etc(machine: Machine) -> States:
    """All that is below /etc."""
    root = _root(machine)
    states = {}
    for folder, folders, files in os.walk(root / "etc"):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if entry := read_entry(path):
                states[f"/{path.relative_to(root)}"] = entry
    return states


def _packages(machine: Machine) -> set[str]:
    return set(machine.run("dpkg-query -W -f '${binary:Package} ${db:Status-Status}\\n'").stdout.splitlines())


def _install(machine: Machine, packages: str, after: str) -> tuple[Footprint, Evidence, States, States]:
    """Install packages, watched, while an admin works, once the file `after` is there."""
    machine.run("mkdir -p /etc/sysctl.d /etc/cron.d /etc/network/if-up.d /etc/mail")
    before, then = _packages(machine), _etc(machine)
    admin = subprocess.Popen(machine.argv(_ADMIN.format(after=after), cwd="/"))
    witness = f"python3 -I -S -B {PROJECT}/wizard/packages/witness_process.py {_OUT} 0 /etc /usr/lib/sasl2 --"
    machine.run(f"{witness} {_APT} {packages}", env=_ENV, timeout=400)
    assert admin.wait(60) == 0
    came = {line.split()[0] for line in _packages(machine) - before if line.endswith(" installed")}
    root = _root(machine)
    return footprint(Host(root), came), evidence(root / _OUT[1:]), then, _etc(machine)


def _claimed(owner: Footprint, before: States, after: States) -> tuple[set[str], set[str]]:
    """Which paths that differ are claimed, and which are not, without account files, which go by record."""
    differ = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    differ = {path for path in differ if not database(path.lstrip("/")) and path != _NAMED}
    own = {path for path in differ if owner.owns(path.lstrip("/"), before.get(path), after.get(path))}
    return own, differ - own


@pytest.mark.default_on("forky")
def test_an_install_and_an_admin_at_work_are_told_apart(machine: BootMachine) -> None:
    booted = machine("ready")
    owner, read, before, after = _install(booted, " ".join(_PACKAGES), "/etc/mail/sendmail.cf")
    own, rest = _claimed(owner, before, after)
    print(
        f"{len(own)} paths of the packages; not theirs: {', '.join(sorted(rest))}; accounts {owner.accounts}"
    )
    assert rest - _KEPT_UP == _HIS
    assert {"smmta", "smmsp"} <= owner.accounts
    assert not owner.accounts & {"bob", "devs", "root", "sasl"}

    assert read.complete, read.why
    with_both = {
        path for path in (*own, *rest, _NAMED) if owns(owner, read, path, before.get(path), after.get(path))
    }
    assert _NAMED not in with_both
    assert with_both - _KEPT_UP == own
    files = {path for path in own if after[path].kind is Kind.FILE}
    assert not files - read.files.keys()
    assert not _HIS & read.files.keys()
    assert {path for path in files if read.files[path].content != after[path].content} == set()
    assert {"/etc/passwd", "/etc/group"} <= read.files.keys()
    assert "/etc/ssl/certs/mine.pem" not in read.files


@pytest.mark.default_on("bookworm")
def test_sasl_on_a_machine_with_sendmail(machine: BootMachine) -> None:
    booted = machine("ready")
    booted.run(f"{_APT} --no-install-recommends sendmail", env=_ENV, timeout=400)
    owner, read, before, after = _install(booted, "sasl2-bin libsasl2-modules", "/etc/default/saslauthd")
    own, rest = _claimed(owner, before, after)
    print(f"{sorted(own)}; not theirs: {sorted(rest)}; accounts {owner.accounts}; wrote {sorted(read.files)}")
    assert rest - _KEPT_UP == _HIS
    assert read.complete, read.why
    assert {path for path in own if after[path].kind is Kind.FILE} <= read.files.keys()
    assert not _HIS & read.files.keys()


def test_what_somebody_adds_to_a_file_that_apt_wrote_is_told_apart(machine: BootMachine) -> None:
    booted = machine("ready")
    script = (
        "apt-get install -y -q sasl2-bin; touch /run/installed; until [ -e /run/edited ]; do sleep 0.05; done"
    )
    witness = f"python3 -I -S -B {PROJECT}/wizard/packages/witness_process.py {_OUT} 0 /etc --"
    argv = booted.argv(["sh", "-c", f'{witness} sh -c "$1"', "sh", script], env=_ENV, cwd="/")
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        booted.run("until [ -e /run/installed ]; do sleep 0.05; done")
        shipped = booted.read("/etc/default/saslauthd")
        # In place, and the other with a new file in its place, as editors do.
        booted.run(
            "echo '# mine' >>/etc/default/saslauthd; sed -i '$a # mine' /etc/init.d/saslauthd; touch /run/edited"
        )
        assert command.wait(60) == 0
    read = evidence(_root(booted) / _OUT[1:])
    assert read.complete, read.why
    assert read.files["/etc/default/saslauthd"].content == shipped
    assert booted.read("/etc/default/saslauthd") == shipped + b"# mine\n"
    written = read.files["/etc/init.d/saslauthd"].content
    assert booted.read("/etc/init.d/saslauthd") == written + b"# mine\n"


@pytest.mark.default_on("forky")
def test_what_others_changed_before_the_command_began(machine: BootMachine) -> None:
    booted = machine("ready")
    booted.run("mkdir /etc/mail; echo old >/etc/mail/old; echo moved >/root/moved; sleep 0.1")
    since = booted.run("date +%s.%N").stdout.strip()
    booted.run("echo new >/etc/mail/new; mv /root/moved /etc/mail/moved; ln -s old /etc/mail/link")
    witness = f"python3 -I -S -B {PROJECT}/wizard/packages/witness_process.py {_OUT} {since} /etc --"
    booted.run(f"{witness} rm -r /etc/mail")
    others = evidence(_root(booted) / _OUT[1:]).others
    assert {path: entry.content for path, (entry,) in others.items()} == {
        "/etc/mail/new": b"new\n",
        "/etc/mail/moved": b"moved\n",
    }


_EXT4 = """
cd "$1"
echo one >a; echo two >>a
t=$(mktemp /var/tmp/x.XXXXXX); echo moved >"$t"; mv "$t" b
printf x >c.new; mv c.new c
echo old >d; echo new >d.tmp; mv d.tmp d
echo gone >e; rm e
ln -s a link; mkdir folder; mv kept renamed
(sleep 0.2; exec 9>f; echo late >&9; sleep 0.2; echo later >&9) & wait
"""


_FORBIDDEN = (
    "systemd-run --quiet --wait --pipe -p SystemCallFilter=~fanotify_init -p SystemCallErrorNumber=EPERM"
)


def test_where_nobody_may_watch_a_set_up_is_the_steps_and_goes_whole(machine: BootMachine) -> None:
    """As in containers of many hosters."""
    booted = machine("ready")
    booted.put("/etc/hosts.allow", "ALL: LOCAL\n")
    before = _etc(booted)
    booted.run(f"{_FORBIDDEN} {WIZARD} apply --yes --set install.recommends=true", timeout=600)
    assert {commit["operation"] for commit in history(booted)} == {"baseline", "apply"}
    booted.run(f"{_FORBIDDEN} {WIZARD} rollback --all --yes", timeout=600)
    after = _etc(booted)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()


def _on_this_host(tmp_path: Path, command: str, before: str = "") -> tuple[Evidence, Path]:
    """The witness outside any machine, on this host's own filesystem; a /run of its own says that systemd runs."""
    watched, out = tmp_path / "etc", tmp_path / "out"
    watched.mkdir(exist_ok=True)
    out.mkdir(mode=0o700, exist_ok=True)
    script = Path(__file__).resolve().parents[2] / "wizard/packages/witness_process.py"
    inside = f'mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system; {before}\nexec "$@"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", inside, "sh"]
    argv += ["python3", "-I", "-S", "-B", str(script), str(out), "0", str(watched), "--"]
    argv += ["sh", "-euc", f"{command}\ncp {out}/witness {tmp_path}/copy", "sh", str(watched)]
    assert subprocess.run(argv, check=False, timeout=60).returncode == 0
    return evidence(out), watched


@pytest.mark.skipif(bool(why_no_machines()), reason="needs root, as machines do")
def test_files_that_were_renamed_are_known_by_their_last_name(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/kept").write_text("from before\n")
    read, watched = _on_this_host(tmp_path, _EXT4)
    assert read.complete, read.why
    found = {Path(path).name: entry.content for path, entry in read.files.items()}
    there = {path.name: path.read_bytes() for path in watched.iterdir() if path.is_file()}
    assert found.pop("e", b"gone\n") == b"gone\n"
    # A link and what was only renamed have no bytes that were written.
    assert found == {name: text for name, text in there.items() if name not in ("link", "renamed")}
    assert found["f"] == b"late\nlater\n"


@pytest.mark.skipif(bool(why_no_machines()), reason="needs root, as machines do")
def test_a_process_that_is_not_the_commands_child_is_not_seen(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    beside = (
        f'cd "{folder}" && until [ -s ours ]; do sleep 0.02; done; sleep 1; echo his >his; echo his >>ours'
    )
    folder.mkdir()
    with subprocess.Popen(["sh", "-euc", beside]) as other:
        try:
            read, _ = _on_this_host(
                tmp_path, 'cd "$1"; echo ours >ours; until [ -s his ]; do sleep 0.02; done; sleep 1'
            )
            assert other.wait(30) == 0
        finally:
            other.kill()
    assert read.complete, read.why
    assert {Path(path).name: entry.content for path, entry in read.files.items()} == {"ours": b"ours\n"}
    assert (folder / "ours").read_text() == "ours\nhis\n"


@pytest.mark.skipif(bool(why_no_machines()), reason="needs root, as machines do")
def test_a_full_disk_stops_the_record_and_not_the_command(tmp_path: Path) -> None:
    full = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}/out"
    write = 'for n in 1 2 3 4 5 6; do head -c 20000 /dev/zero >"$1/$n"; done; sleep 1'
    read, watched = _on_this_host(tmp_path, write, full)
    assert len(list(watched.iterdir())) == 6
    (tmp_path / "copied").mkdir()
    (tmp_path / "copy").rename(tmp_path / "copied/witness")  # the tmpfs is gone with its mounts
    read = evidence(tmp_path / "copied")
    assert 0 < len(read.files) < 6
    assert (read.complete, read.why) == (False, "the record has no end")


@pytest.mark.skipif(bool(why_no_machines()), reason="needs root, as machines do")
def test_more_files_than_may_be_open_are_all_seen(tmp_path: Path) -> None:
    write = 'n=0; while [ $n -lt 300 ]; do echo $n >"$1/$n"; n=$((n+1)); done'
    read, watched = _on_this_host(tmp_path, write, "ulimit -n 64")
    assert {Path(path).name: entry.content for path, entry in read.files.items()} == {
        path.name: path.read_bytes() for path in watched.iterdir()
    }
    assert read.complete, read.why


@pytest.mark.skipif(bool(why_no_machines()), reason="needs root, as machines do")
def test_without_the_right_to_watch_the_command_runs_and_the_record_says_why(tmp_path: Path) -> None:
    drop = 'set -- setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"'
    read, watched = _on_this_host(tmp_path, 'echo hello >"$1/a"', drop)
    assert (watched / "a").read_text() == "hello\n"
    assert (dict(read.files), read.complete, read.why) == ({}, False, "Operation not permitted")
