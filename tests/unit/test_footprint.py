"""What packages own below /etc, by dpkg's own files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from wizard.model.claim import by_links, links_of_service
from wizard.packages.footprint import (
    Footprint,
    conffile_sums,
    created,
    expanded,
    footprint,
    sysusers,
    written_paths,
)
from wizard.system.host import Host

_DPKG = "var/lib/dpkg"


def _file(content: bytes = b"some\n") -> Entry:
    return Entry(Kind.FILE, 0o644, 0, 0, content)


def _link(target: str) -> Entry:
    return Entry(Kind.SYMLINK, 0o777, 0, 0, target.encode())


_FOLDER = Entry(Kind.DIRECTORY, 0o755, 0, 0)


def _host(root: Path, files: dict[str, str]) -> Host:
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Host(root)


_SCRIPT = """#!/bin/sh
# /etc/commented is only talked about
. /usr/share/debconf/confmodule
CONF=/etc/ours/made.conf
if [ -f /etc/looked-at ]; then cat /etc/looked-at; fi
if [ ! -e /etc/hosts ]; then cat >/etc/hosts; fi
cp -p /usr/share/ours/example $CONF
/usr/share/ours/update
ours-tool
adduser --quiet --system --home /var/lib/ours \\
    --group "$WHO" || true
"""
_FILES = {
    f"{_DPKG}/info/ours.list": (
        "/.\n/etc\n/etc/cron.d\n/etc/cron.d/ours\n/etc/ours\n/etc/init.d/ours\n/lib/systemd/system/ours.service\n"
        "/usr/share/ours/update\n/usr/share/ours/again\n/usr/bin/ours-tool\n/usr/lib/sysusers.d/ours.conf\n"
        "/usr/lib/tmpfiles.d/ours.conf\n/usr/share/man/man1/mailq.ours.1.gz\n/usr/share/ca/one.crt\n/etc/diverted\n"
    ),
    f"{_DPKG}/info/ours.conffiles": "/etc/default/ours\n/etc/cron.d/ours\nremove-on-upgrade /etc/ours/old\n",
    f"{_DPKG}/info/ours.postinst": _SCRIPT.replace("CONF=", "WHO=_ours\nCONF="),
    f"{_DPKG}/info/ours.md5sums": f"{hashlib.md5(b'example').hexdigest()}  usr/share/ours/example\n",
    f"{_DPKG}/info/theirs.list": "/.\n/etc\n/etc/cron.d\n/etc/theirs\n",
    f"{_DPKG}/info/theirs.postinst": "#!/bin/sh\nadduser --system theirs\n>/etc/by-theirs\n",
    f"{_DPKG}/status": (
        "Package: ours\nStatus: install ok installed\nArchitecture: all\nConffiles:\n"
        f" /etc/default/ours {hashlib.md5(b'as shipped').hexdigest()}\n /etc/cron.d/ours newconffile\nDescription: x\n\n"
        "Package: theirs\nStatus: install ok installed\nConffiles:\n /etc/theirs 0123\n"
    ),
    f"{_DPKG}/diversions": "/etc/diverted\n/etc/diverted.distrib\nlocal\n",
    f"{_DPKG}/alternatives/mailq": (
        "auto\n/usr/bin/mailq\nmailq.1.gz\n/usr/share/man/man1/mailq.1.gz\n\n"
        "/usr/share/ours/again\n25\n/usr/share/man/man1/mailq.ours.1.gz\n\n"
    ),
    f"{_DPKG}/alternatives/editor": "auto\n/usr/bin/editor\n\n/usr/bin/vi\n10\n\n",
    "/var/lib/systemd/deb-systemd-helper-enabled/ours.service.dsh-also": "/etc/systemd/system/alias.service\n",
    "/var/lib/systemd/deb-systemd-helper-masked/ours.service": "",
    "/usr/share/ours/update": "#!/bin/sh\n$here/again\nmkdir /etc/ours/keys\n: >/etc/ours/keys/own.key\n",
    "/usr/share/ours/again": "#!/bin/sh\ntouch /etc/from-again\n",
    "/usr/bin/ours-tool": "#!/bin/sh\necho >/etc/from-tool\n",
    "/usr/lib/sysusers.d/ours.conf": 'u _sys - "x"\ng grp -\n#u no -\nm _sys grp\nr - 5-9\nu %b -\n',
    "/usr/lib/tmpfiles.d/ours.conf": "d /etc/by-tmpfiles 0755\nr! /etc/removed-by-tmpfiles\nd /run/x\n",
}


@pytest.fixture
def ours(tmp_path: Path) -> Footprint:
    """Of the package `ours`, beside which there is `theirs`."""
    host = _host(tmp_path, _FILES)
    certificates = tmp_path / "etc/ssl/certs"
    certificates.mkdir(parents=True)
    (certificates / "one.pem").symlink_to("/usr/share/ca/one.crt")
    (certificates / "mine.pem").symlink_to("/root/mine.crt")
    (certificates / "round.pem").symlink_to("round.pem")
    return footprint(host, ["ours"])


def test_a_new_conffile_is_theirs_as_it_was_shipped_and_not_once_it_was_edited(ours: Footprint) -> None:
    assert ours.owns("etc/default/ours", None, _file(b"as shipped"))
    assert not ours.owns("etc/default/ours", None, _file(b"as shipped, and a line of mine"))
    assert ours.owns("etc/default/ours", _file(b"as shipped, and a line of mine"), None)


@pytest.mark.parametrize(
    "path",
    [
        "etc/cron.d/ours",
        "etc/default/ours.dpkg-new",
        "etc/init.d/ours",
        "etc/ours",
        "etc/ours/made.conf",  # named with a variable in between
        "etc/ours/keys",
        "etc/ours/keys/own.key",  # named by a script that the postinst calls
        "etc/from-again",  # and by one which that calls, from beside itself
        "etc/from-tool",  # and by one that is called by its bare name
        "etc/by-tmpfiles",
        "etc/ours/made.conf.db",
        "etc/diverted.distrib",
    ],
)
def test_a_new_path_that_the_packages_ship_or_name_is_theirs(ours: Footprint, path: str) -> None:
    assert ours.owns(path, None, _file())
    assert ours.owns(f"/{path}", _file(), None)


@pytest.mark.parametrize(
    "path",
    [
        "etc/commented",
        "etc/looked-at",
        "etc/by-theirs",
        "etc/theirs",
        "etc/cron.d/mine",
        "etc/cron.daily/mine",
        "etc/ours/mine",
        "etc/ours/keys/mine.key",
        "etc/default/mine",
        "etc/diverted",
        "etc/removed-by-tmpfiles",
        "etc/ssl/certs/mine.pem",
        "etc/made.conf",
    ],
)
def test_a_new_path_of_anybody_else_is_not_theirs(ours: Footprint, path: str) -> None:
    assert not ours.owns(path, None, _file())
    assert not ours.owns(path, _file(), None)


def test_a_file_that_stays_is_theirs_with_the_bytes_they_ship_alone(ours: Footprint) -> None:
    assert ours.owns("etc/default/ours", _file(b"older"), _file(b"as shipped"))
    assert not ours.owns("etc/default/ours", _file(b"as shipped"), _file(b"edited"))
    assert not ours.owns(
        "etc/hosts", _file(b"a\n"), _file(b"a\nb\n")
    )  # named, to be made where it is missing
    assert ours.owns("etc/hosts", None, _file())


def test_a_line_that_their_script_puts_before_a_file_is_theirs_alone() -> None:
    """Where the kernel lets nobody watch, as in many containers."""
    packages = Footprint(named=frozenset({"/etc/hosts.allow"}))
    before = _file(b"ALL: LOCAL\n")
    assert packages.owns("etc/hosts.allow", before, _file(b"sendmail: all\nALL: LOCAL\n"))
    assert not packages.owns("etc/hosts.allow", before, _file(b"sendmail: all\nALL: ALL\n"))
    assert not packages.owns("etc/hosts.allow", before, _file(b"ALL: LOCAL\nsendmail: all\n"))
    assert not Footprint().owns("etc/hosts.allow", before, _file(b"sendmail: all\nALL: LOCAL\n"))


def test_another_owner_or_mode_is_theirs_where_a_script_names_the_path(ours: Footprint) -> None:
    closed = Entry(Kind.FILE, 0o600, 0, 0, b"as shipped")
    assert ours.owns("etc/ours/made.conf", _file(b"as shipped"), closed)
    assert not ours.owns("etc/default/ours", _file(b"as shipped"), closed)
    assert not ours.owns("etc/other", _file(b"as shipped"), closed)


def test_a_folder_that_others_ship_too_is_theirs_only_when_it_is_new(ours: Footprint) -> None:
    closed = Entry(Kind.DIRECTORY, 0o700, 0, 0)
    assert ours.owns("etc/cron.d", None, _FOLDER)
    assert not ours.owns("etc/cron.d", _FOLDER, closed)
    assert ours.owns("etc/ours", _FOLDER, closed)


def test_what_lies_behind_a_link_is_theirs_by_the_name_that_they_ship(tmp_path: Path) -> None:
    host = _host(
        tmp_path,
        {
            f"{_DPKG}/info/sasl2-bin.list": "/etc/default/saslauthd\n/etc/logcheck/x\n",
            "/etc/default.real/saslauthd": "",
            "/srv/logcheck/x": "",
        },
    )
    for name, target in {"default": "default.real", "logcheck": "../srv/logcheck"}.items():
        (tmp_path / "etc" / name).symlink_to(target)
    owner = footprint(host, ["sasl2-bin"])
    assert owner.owns("etc/default.real/saslauthd", None, _file())
    assert owner.owns("etc/default/saslauthd", None, _file())
    assert not owner.owns("etc/default.real/other", None, _file())
    claim = by_links(links_of_service("saslauthd"), {"/etc/systemd/system": "/etc/units", "/etc/rc2.d": ""})
    assert claim("etc/units/multi-user.target.wants/saslauthd.service", None, _link("x"))
    assert claim("etc/rc2.d/S01saslauthd", None, _link("x"))
    assert not claim("etc/units/other.service", None, _link("x"))


def test_a_copy_of_what_they_ship_is_theirs_in_their_folder_alone(ours: Footprint) -> None:
    assert ours.owns("etc/ours/any.name", None, _file(b"example"))
    assert not ours.owns("etc/other/any.name", None, _file(b"example"))
    assert not ours.owns("etc/ours/any.name", None, _file(b""))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("etc/rc2.d/S01ours", "../init.d/ours"),
        ("etc/systemd/system/multi-user.target.wants/ours.service", "/usr/lib/systemd/system/ours.service"),
        ("etc/systemd/system/multi-user.target.wants/ours.service", "/lib/systemd/system/ours.service"),
        ("etc/systemd/system/alias.service", "anything"),
        ("etc/systemd/system/ours.service", "/dev/null"),
        ("etc/alternatives/mailq", "/usr/share/ours/again"),
        ("etc/ssl/certs/0123abcd.0", "one.pem"),
        ("etc/ssl/certs/0123abcd.1", "/etc/ours/keys/own.key"),
    ],
)
def test_a_link_to_what_is_theirs_is_theirs(ours: Footprint, path: str, target: str) -> None:
    assert ours.owns(path, None, _link(target))
    assert ours.owns(path, _link(target), None)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("etc/rc2.d/S01mine", "../init.d/mine"),
        ("etc/systemd/system/multi-user.target.wants/mine.service", "/etc/systemd/system/mine.service"),
        ("etc/systemd/system/mine.service", "/dev/null"),
        ("etc/alternatives/mailq", "/usr/bin/other"),
        ("etc/ssl/certs/0123abcd.2", "mine.pem"),
        ("etc/ssl/certs/0123abcd.3", "round.pem"),
    ],
)
def test_a_link_to_anything_else_is_not_theirs(ours: Footprint, path: str, target: str) -> None:
    assert not ours.owns(path, None, _link(target))


def test_a_link_of_theirs_that_somebody_turned_to_his_own_is_not_theirs(ours: Footprint) -> None:
    assert not ours.owns("etc/rc2.d/S01x", _link("../init.d/ours"), _link("../init.d/mine"))


def test_a_slave_of_their_alternative_goes_with_it(ours: Footprint) -> None:
    assert ours.owns("etc/alternatives/mailq.1.gz", _link("/usr/share/man/man1/other.gz"), None)
    assert not ours.owns("etc/alternatives/editor", _link("/usr/bin/vi"), None)


def test_accounts_are_those_that_they_create(ours: Footprint) -> None:
    assert ours.accounts == {"_ours", "_sys", "grp"}


def test_a_package_that_dpkg_does_not_know_owns_nothing(tmp_path: Path) -> None:
    assert footprint(_host(tmp_path, _FILES), ["our", "nothing:amd64"]) == footprint(Host(tmp_path), [])


def test_the_architecture_is_in_the_name_or_not(tmp_path: Path) -> None:
    files = {
        f"{_DPKG}/info/lib:amd64.list": "/etc/lib.conf\n",
        f"{_DPKG}/info/lib:i386.list": "/etc/lib32.conf\n",
    }
    host = _host(tmp_path, files)
    assert footprint(host, ["lib:amd64"]).listed == {"/etc/lib.conf"}
    assert footprint(host, ["lib"]).listed == {"/etc/lib.conf", "/etc/lib32.conf"}


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (
            "adduser --system --ingroup smmta --home /var/lib/sendmail --gecos 'A B' --shell /bin/false smmta",
            ["smmta"],
        ),
        ("if ! x; then addgroup --system --quiet smmsp; fi", ["smmsp"]),
        ("getent passwd x || useradd -r -d /x -s /usr/sbin/nologin -c 'The x' x >/dev/null 2>&1", ["x"]),
        ("groupadd --gid 99 --system grp", ["grp"]),
        ("/usr/sbin/useradd --home-dir=/x -U y # useradd z", ["y"]),
        ("( groupadd a; ); useradd b && groupadd c", ["a", "b", "c"]),
        ("adduser smmta sasl", []),  # a membership
        ("adduser bob", ["bob"]),
        ('adduser --system "$UNKNOWN"', []),
        ("# adduser bob", []),
        ('echo "run adduser bob"', []),
        ("printf 'adduser bob'", []),
        ("xadduser bob", []),
        ("deluser bob", []),
        ("adduser --system \\\n  --group \\\n  long", ["long"]),
        ("useradd 'open", []),
    ],
)
def test_what_a_script_creates(call: str, names: list[str]) -> None:
    assert list(created(call)) == names


def test_variables_are_looked_up_where_they_have_one_plain_value() -> None:
    script = 'A=x\nB="/etc/$A"\nC=`who`\nD=1\nD=2\nE=$(who)\necho $B ${A} $C $D $E\n'
    assert expanded(script).splitlines()[-1] == "echo /etc/x x $C $D $E"


def test_paths_that_are_looked_at_are_not_written() -> None:
    script = "cat /etc/a >/etc/b\n[ ! -s '/etc/c' ] && . /etc/d\ngrep -q x /etc/e\nrm -f /etc/f\nx </etc/g\nls /xetc/h ~/etc/i\n"
    assert list(written_paths(script)) == ["/etc/b", "/etc/f"]


def test_sysusers_and_conffiles_of_odd_lines() -> None:
    assert list(sysusers("u\nu! locked -\n\nx y z\ng %v -\n")) == ["locked"]
    assert conffile_sums("", ["a"]) == {}
    sums = "12" * 16
    block = f"Package: a\nArchitecture: amd64\nConffiles:\n /etc/x {sums} obsolete\n /etc/y newconffile\n /etc/odd\nMulti-Arch: same\n"
    assert conffile_sums(block, ["a:amd64"]) == {"/etc/x": sums}
    assert conffile_sums(block, ["a:i386"]) == {}


def test_a_path_behind_dpkgs_root_is_named() -> None:
    """As libwrap0 of Debian 14 has it."""
    script = (
        'if [ ! -e "$DPKG_ROOT/etc/hosts.deny" ]; then\n    cat > "$DPKG_ROOT/etc/hosts.deny" <<EOF\nfi\n'
    )
    assert set(written_paths(expanded(script))) == {"/etc/hosts.deny"}
