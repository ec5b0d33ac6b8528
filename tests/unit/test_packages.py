"""What a run of apt came to, and what undo may touch of it. apt itself runs in the system tests."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from tests.survival.fake_dpkg import OVERRIDES
from tests.survival.fake_files import put, text
from tests.survival.fake_host import FakeHost
from tests.survival.fake_packages import CATALOGUE, Package
from tests.survival.machine import make_machine
from wizard.changes.install_packages import PackagesChange
from wizard.changes.packages import (
    PackagesBefore,
    PackagesEffect,
    PackagesReversal,
    as_one,
)
from wizard.errors import ChangeError, HostError
from wizard.packages.apt import apt_get, progress_of
from wizard.packages.apt_history import OWN_LOG, History
from wizard.system.host import Completed, Host

LOG = "var/log/apt/history.log"


@dataclass(frozen=True)
class Dpkg(Host):
    """A host whose apt changes `state` from before to after; an upgrade on the way cannot be had offline."""

    after: dict[str, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    code: int = 0
    hangs: bool = False
    ran: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, argv, **options):  # type: ignore[no-untyped-def]
        self.ran.append(tuple(argv))
        out = ""
        if argv[0] == "dpkg-query":
            out = "".join(f"{name} {version} installed\n" for name, version in self.state.items())
        elif argv[0] == "apt-config":
            out = f"History='/{LOG}'\nTerminal='/{LOG}'\n"
        elif argv[0] == "apt-get" and "-s" in argv:
            pass
        elif argv[0] == "apt-get" and "purge" in argv:
            for name in argv[argv.index("-q") + 1 :]:
                del self.state[name]
        elif argv[0] == "apt-get" and "install" in argv:
            new = [f"{name}:amd64 (2)" for name in self.after if name not in self.state]
            log = f"Start-Date: now\nCommandline: {' '.join(argv)}\nInstall: {', '.join(new)}\n"
            put(self.root / LOG, f"{log}Upgrade: libsasl2-2:amd64 (1, 2)\n")
            self.state.clear()
            self.state.update(self.after)
            if self.hangs:
                raise HostError("apt-get did not end within 1800 s and was stopped")
        return Completed(tuple(argv), self.code if argv[0] == "apt-get" else 0, out, "", 0.1)


def host(root: Path, **options: object) -> Dpkg:
    (root / LOG).parent.mkdir(parents=True)
    before = {"libsasl2-2": "1", "perl": "5"}
    after = {"libsasl2-2": "2", "perl": "5", "sasl2-bin": "2"}
    return Dpkg(root, after=after, state=before, **options)  # type: ignore[arg-type]


def purged(machine: Dpkg) -> list[str]:
    return [
        name
        for argv in machine.ran
        if "purge" in argv and "-s" not in argv
        for name in argv[argv.index("-q") + 1 :]
    ]


def test_undo_never_removes_what_was_only_upgraded(tmp_path: Path) -> None:
    machine = host(tmp_path)
    effect = PackagesChange(("sasl2-bin",)).apply(machine, lambda _: None)
    assert effect.record()["installed"] == {"sasl2-bin": "2"}
    assert effect.record()["upgraded"] == ["libsasl2-2"]
    effect.undo(machine, lambda _: None)
    assert purged(machine) == ["sasl2-bin"]


def test_how_many_files_dpkg_knows_is_no_news() -> None:
    said: list[str] = []

    class Talks(Host):
        def run(self, argv, **options):  # type: ignore[no-untyped-def]
            for line in (
                "(Reading database ... 12229 files and directories currently installed.)",
                "Removing m4 ...",
            ):
                options["say"](line)
            return Completed(tuple(argv), 0, "", "", 0.1)

    apt_get(Talks(), ["purge", "m4"], said.append)
    assert said == ["Removing m4 ..."]


@pytest.mark.parametrize("options", [{"code": 100}, {"hangs": True}])
def test_a_failed_apt_leaves_its_effect_to_undo(options: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ChangeError) as caught:
        PackagesChange(("sasl2-bin",)).apply(host(tmp_path, **options), lambda _: None)
    assert caught.value.effect is not None
    assert caught.value.effect.record()["installed"] == {"sasl2-bin": "2"}


def test_what_apt_says_of_its_progress() -> None:
    assert progress_of("dlstatus:1:20.1556:Retrieving file 3 of 40 (2s remaining)") == (
        20.1556,
        "Retrieving file 3 of 40 (2s remaining)",
    )
    assert progress_of("pmstatus:libc6:amd64:41.5:Unpacking libc6:amd64") == (41.5, "Unpacking libc6:amd64")
    assert progress_of("pmstatus:dpkg-exec:100:Running dpkg") == (100.0, "Running dpkg")
    for line in ("Unpacking sendmail-bin (8.17) ...", "pmstatus:x:nan:y", "pmerror:/var/x.deb:12.5:no space"):
        assert progress_of(line) is None


# --- somebody else's apt at the same time, on the fake machine: nullmailer goes, sendmail-bin and sasl2-bin come --------

OURS = PackagesChange(("sendmail-bin", "libsasl2-modules"), may_remove=("nullmailer",))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setitem(
        CATALOGUE, "postfix", Package("postfix", "3", conflicts=("sendmail-bin", "nullmailer"))
    )
    nullmailer = CATALOGUE["nullmailer"]
    both = Package(**{**vars(nullmailer), "conflicts": ("sendmail-bin", "postfix")})
    monkeypatch.setitem(CATALOGUE, "nullmailer", both)
    return make_machine(tmp_path).host


def here(machine: FakeHost) -> set[str]:
    return {name for name, known in machine.apt.dpkg.known().items() if known.here}


def others(machine: FakeHost, *arguments: str) -> None:
    """Somebody else's apt-get."""
    code, said = machine.apt.get(*arguments)
    assert code == 0, said


def undone(machine: FakeHost, effect: PackagesEffect | PackagesBefore) -> list[str]:
    said: list[str] = []
    effect.undo(machine, said.append)
    return said


BEFORE = {"adduser", "nullmailer"}


@pytest.mark.parametrize("killed", [False, True])
def test_what_others_install_meanwhile_is_not_ours(machine: FakeHost, killed: bool) -> None:
    before = OURS.expect(machine)
    others(machine, "install", "-y", "swaks")
    effect = OURS.apply(machine, lambda _: None)
    assert dict(effect.installed).keys() == {"sendmail-bin", "sasl2-bin", "libsasl2-modules:amd64"}
    assert effect.automatic == ("sasl2-bin",)
    assert undone(machine, before if killed else effect)
    assert here(machine) == {*BEFORE, "swaks"}
    assert "nullmailer" in machine.apt.auto()


def test_what_goes_with_another_mail_server_is_ours_to_bring_back(machine: FakeHost) -> None:
    """dpkg removes its empty folders with it, and sendmail's scripts move the aliases' map away: nobody else did that."""
    folder, listed = machine.root / "etc/nullmailer/own.d", machine.root / "var/lib/dpkg/info/nullmailer.list"
    folder.mkdir()
    put(listed, f"{text(listed)}/etc/nullmailer/own.d\n")
    effect = OURS.apply(machine, lambda _: None)
    put(listed, "/etc/nullmailer\n")  # what dpkg has on record of a package that was removed
    owns = effect.claim(machine).owns
    directory, database = Entry(Kind.DIRECTORY, 0o755, 0, 0), Entry(Kind.FILE, 0o644, 0, 0, b"x")
    assert owns("etc/nullmailer/own.d", directory, None)
    assert owns("etc/aliases.db", database, None)
    assert not owns("etc/aliases.db", database, Entry(Kind.FILE, 0o644, 0, 0, b"y"))
    assert not owns("etc/nullmailer/other.d", directory, None)
    assert not owns("etc/other.db", database, None)


def test_where_our_apt_never_got_to_dpkg_nothing_is_ours(machine: FakeHost) -> None:
    before = OURS.expect(machine)
    others(machine, "install", "-y", "sendmail-bin")
    put(machine.root / OVERRIDES, f"{text(machine.root / OVERRIDES)}root root 700 /usr/bin/m4\n")
    (machine.root / "var/mail").chmod(0o2770)
    machine.apt.mark("manual", "sasl2-bin")
    effect = before.since(machine)
    assert effect == PackagesEffect((), (), transactions=before.transactions)
    assert effect.reversal(machine) is None
    undone(machine, before)
    assert here(machine) == {"adduser", "sendmail-bin", "sasl2-bin"}
    assert (machine.root / "var/mail").stat().st_mode & 0o7777 == 0o2770
    assert "/usr/bin/m4" in text(machine.root / OVERRIDES)


def test_modes_and_overrides_of_our_packages_alone_go_back(machine: FakeHost) -> None:
    before, overrides = OURS.expect(machine), text(machine.root / OVERRIDES)
    OURS.apply(machine, lambda _: None)
    assert "saslauthd" in text(machine.root / OVERRIDES)
    put(machine.root / OVERRIDES, f"{text(machine.root / OVERRIDES)}root root 700 /usr/bin/m4\n")
    undone(machine, before)
    assert text(machine.root / OVERRIDES) == f"{overrides}root root 700 /usr/bin/m4\n"
    assert (machine.root / "var/mail").stat().st_mode & 0o7777 == 0o2775


def test_what_others_need_by_now_stays_and_the_rest_goes(machine: FakeHost) -> None:
    effect = OURS.apply(machine, lambda _: None)
    others(machine, "install", "-y", "logins")
    reversal = effect.reversal(machine)
    assert reversal is not None
    assert reversal.left == ("sasl2-bin stays, since logins needs it",)
    assert "sasl2-bin stays, since logins needs it" in reversal.describe().title
    kept = reversal.kept(machine)
    assert kept.owns("etc/default/saslauthd", Entry(Kind.FILE, 0o644, 0, 0, b"x"), None)
    assert "sasl" in kept.accounts
    undone(machine, effect)
    assert here(machine) == {*BEFORE, "logins", "sasl2-bin"}
    assert "saslauthd" in text(machine.root / OVERRIDES)


def test_what_is_marked_manual_since_stays(machine: FakeHost) -> None:
    effect = OURS.apply(machine, lambda _: None)
    machine.apt.mark("manual", "sasl2-bin")
    assert "sasl2-bin stays, since it was marked manual" in undone(machine, effect)
    assert here(machine) == {*BEFORE, "sasl2-bin"}


def test_what_somebody_asked_for_himself_stays(machine: FakeHost) -> None:
    effect = OURS.apply(machine, lambda _: None)
    others(machine, "install", "libsasl2-modules", "swaks")
    said = undone(machine, effect)
    assert "libsasl2-modules:amd64 stays, since `apt-get install libsasl2-modules swaks` asked for it" in said
    assert here(machine) == {*BEFORE, "swaks", "libsasl2-modules"}


@pytest.mark.parametrize("killed", [False, True])
def test_what_somebody_removed_and_installed_again_is_his(machine: FakeHost, killed: bool) -> None:
    before = OURS.expect(machine)
    effect = OURS.apply(machine, lambda _: None)
    others(machine, "purge", "libsasl2-modules")
    others(machine, "install", "libsasl2-modules:amd64")
    undone(machine, before if killed else effect)
    assert here(machine) == {*BEFORE, "libsasl2-modules"}


def test_a_mail_server_does_not_come_back_beside_another_one(machine: FakeHost) -> None:
    effect = OURS.apply(machine, lambda _: None)
    others(machine, "install", "postfix")
    assert "nullmailer does not come back, since postfix would have to go" in undone(machine, effect)
    assert here(machine) == {"adduser", "postfix"}


def test_what_somebody_has_brought_back_himself_stays_as_he_has_it(machine: FakeHost) -> None:
    effect = OURS.apply(machine, lambda _: None)
    others(machine, "install", "nullmailer")
    undone(machine, effect)
    assert here(machine) == BEFORE
    assert "nullmailer" not in machine.apt.auto()


def test_what_somebody_has_brought_back_and_removed_again_does_not_come_back(machine: FakeHost) -> None:
    effect = OURS.apply(machine, lambda _: None)
    others(machine, "install", "nullmailer")
    others(machine, "purge", "nullmailer")
    undone(machine, effect)
    assert here(machine) == {"adduser"}


def test_a_change_that_was_taken_up_again_is_undone_as_one(machine: FakeHost) -> None:
    """The first run was cut off before sendmail-bin, which the second one brought."""
    first = PackagesChange(("libsasl2-modules", "sasl2-bin"))
    before = first.expect(machine)
    first.apply(machine, lambda _: None)
    later = OURS.expect(machine)
    OURS.apply(machine, lambda _: None)
    undone(machine, as_one([before, later]))
    assert here(machine) == BEFORE


def test_a_record_of_an_older_version_still_works_by_difference(machine: FakeHost) -> None:
    before = PackagesBefore(**{**vars(OURS.expect(machine)), "transactions": ()})
    OURS.apply(machine, lambda _: None)
    effect = before.since(machine)
    assert effect.transactions == ()
    machine.apt.mark("manual", "sasl2-bin")
    undone(machine, before)
    assert here(machine) == BEFORE
    assert "nullmailer" in machine.apt.auto()


def test_where_apt_keeps_no_history_we_do(machine: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is a link to nothing, and where there is no room."""
    log = machine.root / LOG
    log.symlink_to("/dev/null")
    change, ran = PackagesChange(("swaks",)), list[tuple[str, ...]]()
    played = FakeHost._played

    def seen(self: FakeHost, *argv: str) -> tuple[int, str]:
        ran.append(argv)
        return played(self, *argv)

    monkeypatch.setattr(FakeHost, "_played", seen)
    log.with_suffix(".log.dpkg-new").mkdir()  # the fake's apt cannot write its log
    with pytest.raises(ChangeError):
        change.apply(machine, lambda _: None)
    [argv] = [argv for argv in ran if argv[0] == "apt-get"]
    assert f"Dir::Log::History={OWN_LOG}" in argv
    assert "Dir::Log::Terminal=/dev/null" not in argv
    log.unlink()
    room = os.statvfs(machine.root)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*room[:4], 0, *room[5:])))
    with pytest.raises(ChangeError):
        PackagesChange(("swaks",)).apply(machine, lambda _: None)
    last = [argv for argv in ran if argv[0] == "apt-get"][-1]
    assert f"Dir::Log::History={OWN_LOG}" in last
    assert "Dir::Log::Terminal=/dev/null" in last


def test_a_run_that_apt_does_not_put_on_record_fails_and_touches_nothing(
    machine: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = FakeHost._played

    def unrecorded(self: FakeHost, *argv: str) -> tuple[int, str]:
        code, said = played(self, *argv)
        (self.root / LOG).unlink(missing_ok=True)
        return code, f"{said}Setting up swaks (1) ...\n" if argv[0] == "apt-get" else said

    monkeypatch.setattr(FakeHost, "_played", unrecorded)
    with pytest.raises(ChangeError, match="not put that on record in") as caught:
        PackagesChange(("swaks",)).apply(machine, lambda _: None)
    assert isinstance(caught.value.effect, PackagesEffect)
    undone(machine, caught.value.effect)
    assert here(machine) == {*BEFORE, "swaks"}


def test_our_own_history_is_read_too(machine: FakeHost) -> None:
    place = machine.path(OWN_LOG)
    place.parent.mkdir(parents=True)
    place.write_text(
        "Start-Date: x\nCommandline: apt-get -o MSA-Wizard::Transaction=abc\nInstall: a:amd64 (1)\n"
    )
    assert "a" in History.of(machine).ours(["abc"]).installed


def test_nothing_but_what_is_named_comes_back() -> None:
    """What is only recommended was perhaps never there; what apt brings besides has it refused."""
    (command,) = PackagesReversal(("exim4",), (("sendmail", "8.18"),)).describe().commands
    assert command.startswith("apt-get install --purge --no-install-recommends ")
    assert command.endswith(" sendmail=8.18 exim4-")
