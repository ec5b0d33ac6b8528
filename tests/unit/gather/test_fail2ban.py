"""fail2ban as a host has it: what is looked at where it is broken, not Debian's, or not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wizard.editors.fail2ban import Limit
from wizard.gather import fail2ban
from wizard.model.facts import JAIL
from wizard.system.host import Completed, Host

NO_LOG = "2026-11-30 05:35:42,050 fail2ban [280]: ERROR   Failed during configuration: Have not found any log file for sshd jail\n"
DUMP = "['add', 'sendmail-auth', 'systemd']\n['set', 'sendmail-auth', 'addaction', 'iptables-multiport']\n['start', 'sendmail-auth']\n"


class Daemon(Host):
    """A host on which fail2ban's tools say what is given: by the text of our file in the copy that they read."""

    asked: list[list[str]]
    texts: dict[str, tuple[int, str, str]]

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        """What the tool says."""
        self.asked.append(list(argv))
        if "-c" not in argv:
            return Completed(tuple(argv), 255 if argv[0] == fail2ban.CLIENT else 0, "", "", 0.0)
        folder = Path(argv[list(argv).index("-c") + 1])
        own = folder / "jail.d/msa-wizard.conf"
        assert (folder / "jail.conf").read_text() == "[DEFAULT]\n"
        text = own.read_text() if own.exists() else ""
        code, out, err = next(said for part, said in self.texts.items() if part in text)
        return Completed(tuple(argv), code, out, err, 0.0)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """With fail2ban installed, and a file of ours in place."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        fail2ban, "installed", lambda _: dict.fromkeys(("fail2ban", "python3-systemd", "nftables"), "1")
    )
    monkeypatch.setattr(fail2ban, "ssh_client", lambda _: "198.51.100.7")
    for path, text in ((fail2ban.CLIENT, ""), ("/etc/fail2ban/jail.conf", "[DEFAULT]\n"), (JAIL, "[old]\n")):
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    made = Daemon(tmp_path)
    object.__setattr__(made, "asked", [])
    object.__setattr__(made, "texts", {"": (0, DUMP, "")})
    return made


def test_its_configuration_is_looked_at_without_our_file(host: Daemon) -> None:
    object.__setattr__(
        host, "texts", {"[sendmail-auth]": (0, DUMP, ""), "[old]": (9, "", ""), "": (0, "", "")}
    )
    seen = fail2ban.look(host, "journal")
    assert (seen.theirs, seen.broken, seen.missing, seen.runs) == ((), "", (), False)
    assert seen.stock is not None
    assert seen.by_nft
    assert seen.connection == "198.51.100.7"


def test_a_jail_that_is_on_without_our_file_is_the_admins(host: Daemon) -> None:
    assert fail2ban.look(host, "journal").theirs == ("sendmail-auth",)


def test_sshd_without_a_log_keeps_it_from_starting(host: Daemon) -> None:
    object.__setattr__(host, "texts", {"[sshd]": (0, "", ""), "": (255, "", NO_LOG)})
    seen = fail2ban.look(host, "journal")
    assert (seen.sshd_unread, seen.broken) == (True, "")
    by_file = fail2ban.look(host, "/var/log/mail.log")
    assert by_file.sshd_unread is False
    assert by_file.broken.endswith("Have not found any log file for sshd jail")


def test_one_that_is_not_debians_is_left_alone(host: Daemon) -> None:
    beside = host.path("/usr/local/bin/fail2ban-client")
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert "/usr/local/bin/fail2ban-client is not Debian's" in fail2ban.look(host, "journal").broken
    assert host.asked == []


def test_a_configuration_that_cannot_be_copied_is_said(host: Daemon) -> None:
    os.mkfifo(host.path("/etc/fail2ban/pipe"))
    assert "cannot be copied to try it out" in fail2ban.look(host, "journal").broken


def test_the_admins_own_files_are_found_also_where_fail2ban_is_still_to_come(host: Daemon) -> None:
    folder = host.path("/etc/fail2ban")
    for name in ("jail.d/defaults-debian.conf", "jail.d/office.conf", "jail.d/a.local", "jail.local"):
        (folder / name).write_text("[DEFAULT]\nbanaction = ufw\n")
    named = tuple(f"/etc/fail2ban/{name}" for name in ("jail.d/office.conf", "jail.local", "jail.d/a.local"))
    seen = fail2ban.look(host, "journal")
    assert (seen.own, seen.banaction, seen.by_nft) == (named, "ufw", False)
    host.path(fail2ban.CLIENT).unlink()
    assert fail2ban.look(host, "journal").own == named


def test_iptables_counts_only_where_it_is_there(host: Daemon) -> None:
    host.path("/etc/fail2ban/jail.local").write_text("[DEFAULT]\nbanaction = iptables-multiport\n")
    assert fail2ban.look(host, "journal").by_nft
    program = host.path("/usr/sbin/iptables")
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch()
    seen = fail2ban.look(host, "journal")
    assert (seen.by_nft, seen.needs_nft) == (False, False)


def test_the_admins_own_jail_counts_as_one_that_bans(host: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = DUMP.replace("sendmail-auth", "mail") + "['set', 'mail', 'addfailregex', '^AUTH failure']\n"
    dump += "['set', 'mail', 'maxretry', 5]\n['set', 'mail', 'findtime', '10m']\n['set', 'mail', 'bantime', '1h']\n"
    times = "192.0.2.1 \t2026-11-30 05:33:01 + 60 = 2026-11-30 05:34:01\n"
    said = {"ping": "pong", "-d": dump, "status mail": "", "get mail banip --with-time": times}

    def client(_: Host, *words: str) -> Completed:
        code = 0 if " ".join(words) in said else 255
        return Completed(words, code, said.get(" ".join(words), ""), "", 0.0)

    monkeypatch.setattr(fail2ban, "client", client)
    bans = fail2ban.bans(host)
    assert bans is not None
    assert ([*bans.since], bans.limits) == (["192.0.2.1"], (Limit(5, 600, 3600),))
    del said["status mail"]
    assert fail2ban.bans(host) is None


RECIDIVE = (
    "['add', 'recidive', 'auto']\n"
    "['set', 'recidive', 'addfailregex', '^NOTICE\\\\s+\\\\[(?!recidive\\\\])(?:.*)\\\\]\\\\s+Ban\\\\s+<HOST> 5%']\n"
    "['set', 'recidive', 'addignoreregex', '\\\\[sendmail-auth\\\\]']\n"
)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ("Lines: 1 lines, 0 ignored, 1 matched, 0 missed", ("recidive",)),
        ("Lines: 1 lines, 1 ignored, 0 matched, 0 missed", ()),
        ("what is that", ("recidive",)),
    ],
)
def test_a_jail_that_counts_our_bans_is_found_by_fail2bans_own_tool(
    host: Daemon, monkeypatch: pytest.MonkeyPatch, said: str, counts: tuple[str, ...]
) -> None:
    tried = list[tuple[str, str]]()

    def tool(_: Host, log: str, name: str) -> Completed:
        tried.append((log, Path(name).read_text()))
        return Completed((), 0, said, "", 0.0)

    monkeypatch.setattr(fail2ban, "_tried_filter", tool)
    dump = "['add', 'sshd', 'auto']\n['set', 'sshd', 'addfailregex', '^Failed <HOST>']\n" + RECIDIVE
    object.__setattr__(host, "texts", {"": (0, dump, "")})
    assert fail2ban.look(host, "journal").recidive == counts
    ((log, text),) = tried
    assert log.endswith("fail2ban.actions        [576]: NOTICE  [sendmail-auth] Ban 192.0.2.1")
    assert text.splitlines() == [
        "[Definition]",
        r"failregex = ^NOTICE\s+\[(?!recidive\])(?:.*)\]\s+Ban\s+<HOST> 5%%",
        r"ignoreregex = \[sendmail-auth\]",
    ]


def test_only_root_can_ask_it(host: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PermissionError, match="only be asked by root"):
        fail2ban.look(host, "journal")


def test_where_it_is_not_installed_apt_is_to_bring_it(host: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    host.path(fail2ban.CLIENT).unlink()
    monkeypatch.setattr(fail2ban, "installed", lambda _: {"nftables": "1"})
    seen = fail2ban.look(host, "journal")
    assert (seen.missing, seen.sshd_unread) == (("fail2ban", "python3-systemd"), True)
    assert fail2ban.look(host, "/var/log/mail.log").missing == ("fail2ban",)
