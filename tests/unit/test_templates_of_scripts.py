"""Scripts that are written to a server, filled in with what shells find hard, and read by shellcheck."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from templates import render
from wizard.changes.lineage import port_script
from wizard.changes.rules import LiveRule


@pytest.mark.parametrize("path", ["/etc/mail/tls/a.crt", "/etc/it's here/$(a) b"])
def test_the_hook_for_certbot(path: str) -> None:
    values = dict.fromkeys(("name", "lineage", "certificate", "key", "client"), shlex.quote(path))
    script = render(
        "certbot_hook.sh.j2", **values, group=118, trusted=110, key_mode="0640", key_unsafe="0027"
    )
    done = subprocess.run(
        ["shellcheck", "--severity=warning", "-"], input=script, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_certbot_hears_of_an_error_only_where_there_is_one() -> None:
    """What its hooks write to standard error it calls that."""
    values = dict.fromkeys(("name", "lineage", "certificate", "key", "client"), "x")
    script = render(
        "certbot_hook.sh.j2", **values, group=118, trusted=110, key_mode="0640", key_unsafe="0027"
    )
    says = script[script.index("say() {") : script.index("# Whoever has stopped it")]
    for word, streams in (
        ("say", ("msa-wizard: x\n", "")),
        ("fail", ("", "msa-wizard: Sendmail keeps its old certificate: x\n")),
    ):
        done = subprocess.run(
            ["sh", "-c", f"PATH=\n{says}\n{word} x"], capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.stderr) == streams


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize(
    ("mode", "owner", "group", "then"),
    [
        (0o640, 0, 117, (0o640, 0, 117)),
        (0o600, 0, 0, (0o600, 0, 0)),
        (0o644, 0, 117, (0o640, 0, 118)),
        (0o660, 0, 117, (0o640, 0, 118)),
        (0o640, 1000, 117, (0o640, 0, 118)),
        (0o640, 110, 117, (0o640, 110, 117)),
        (None, 0, 0, (0o640, 0, 118)),
    ],
)
def test_a_renewed_key_is_dressed_as_the_old_one_where_sendmail_takes_it_so(
    tmp_path: Path, mode: int | None, owner: int, group: int, then: tuple[int, int, int]
) -> None:
    values = dict.fromkeys(("name", "lineage", "certificate", "key", "client"), "x")
    script = render(
        "certbot_hook.sh.j2", **values, group=118, trusted=110, key_mode="0640", key_unsafe="0027"
    )
    old, new = tmp_path / "old", tmp_path / "new"
    new.touch(0o600)
    if mode is not None:
        old.touch()
        os.chown(old, owner, group)
        old.chmod(mode)
    dress = script[script.index("dress() {") : script.index("\nfolder=")].replace("root:$group", "root:118")
    assert "\ntrusted=110\n" in script
    subprocess.run(
        ["sh", "-euc", f'trusted=110\n{dress}\ndress "$1" "$2" 0640 0027', "sh", new, old], check=True
    )
    status = new.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == then


def test_the_hook_that_opens_port_80() -> None:
    rules = (
        LiveRule("nft", "inet filter input", 80, 4, at=7),
        LiveRule("ip6tables", "ufw6-user-input", 80, 6, marked=False),
        LiveRule("firewalld", "public", 80, 4, marked=False),
    )
    done = subprocess.run(
        ["shellcheck", "--severity=warning", "-"],
        input=port_script(rules),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_short_sleep_of_a_clone() -> None:
    script = render("short_sleep.sh.j2", sleep="/run/msa-wizard/sleep")
    done = subprocess.run(
        ["shellcheck", "--severity=warning", "-"], input=script, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["guard.sh.j2", "certbot_hook.sh.j2", "certbot_port.sh.j2"])
def test_what_outlives_the_program_needs_nothing_of_it(name: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "templates" / name).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in lines if "python" in line or "/var/lib/msa-wizard" in line or ".pyz" in line]
