"""What `apt purge` leaves and says where another copy may be on the host: the package's own script, with the folders that it looks
into in place of the host's."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "packaging/deb/debian/msa-wizard.postrm"
HOME = "/var/lib/msa-wizard"
FOLDERS = ("/etc", "/var/lib", "/var/log", "/usr/local", "/root", "/run")
INSIDE = """
for folder in "$@"; do mount -t tmpfs tmpfs "$folder"; done
for path in $THERE; do mkdir -p "${path%/*}"; echo of-the-host >"$path"; done
cd /
echo "$SCRIPT" >/run/postrm
sh /run/postrm purge
[ -z "$NEXT" ] || sh -ec "$NEXT"
echo LEFT:
find "$@" -type f -not -path /run/postrm
"""
SHARED = ("/etc/msa-wizard/answers.toml", "/var/log/msa-wizard.log", f"{HOME}/etc.git/HEAD")
FOLDERS_COPY = (f"{HOME}/venv-1/bin/python", f"{HOME}/launcher.lock")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True, check=False
    ).returncode
    != 0,
    reason="only root has a mount namespace of its own here",
)


def purged(*there: str, then: str = "") -> tuple[str, set[str]]:
    """What purge says, and what is left of these files; `then` is run by a shell after it."""
    variables = {"THERE": " ".join(there), "SCRIPT": SCRIPT.read_text(), "NEXT": then, "LC_ALL": "C"}
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", INSIDE, "sh", *FOLDERS],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables},
    )
    assert (done.returncode, done.stderr) == (0, "")
    text, _, left = done.stdout.partition("LEFT:\n")
    return text, set(left.split())


def test_without_another_copy_only_the_history_stays() -> None:
    logs = [f"/var/log/msa-wizard.log{end}" for end in (".1", ".2.gz", "-20261101", "-20261001.gz")]
    text, left = purged(*SHARED, f"{HOME}/lock", *logs, "/var/log/msa-wizard.logbook")
    assert left == {f"{HOME}/etc.git/HEAD", "/var/log/msa-wizard.logbook"}
    assert "another msa-wizard" not in text


@pytest.mark.parametrize("copy", [(), FOLDERS_COPY])
def test_what_the_admin_put_beside_the_settings_stays_and_is_named(copy: tuple[str, ...]) -> None:
    mine = "/etc/msa-wizard/rfc2136.ini"
    text, left = purged(*SHARED[:2], mine, *copy)
    assert "this stays in /etc/msa-wizard, which msa-wizard did not bring: rfc2136.ini\n" in text
    assert left == {mine, *(SHARED[:2] if copy else ()), *copy}
    for command in re.findall(r"any more: (rm .+)", text):
        assert mine in purged(*SHARED[:2], mine, *copy, then=command)[1]


@pytest.mark.parametrize(
    "copy",
    [
        f"{HOME}/program-1",
        "/usr/local/bin/msa-wizard",
        "/usr/local/sbin/msa-wizard",
        "/root/.local/bin/msa-wizard",
    ],
)
def test_what_another_copy_uses_stays(copy: str) -> None:
    text, left = purged(*SHARED, copy)
    assert left == {*SHARED, copy}
    assert f"another msa-wizard is on this host ({copy})" in text


def test_an_environment_may_be_all_that_is_left_of_a_folder_and_how_the_rest_goes_is_named() -> None:
    text, left = purged(*SHARED, *FOLDERS_COPY)
    assert left == {*SHARED, *FOLDERS_COPY}
    assert f"another msa-wizard may be on this host, in a folder ({HOME}/venv-1 is its environment)" in text
    first, second = re.findall(r"any more: (rm .+)", text)
    _, left = purged(*SHARED, *FOLDERS_COPY, f"{HOME}/journal", then=first)
    assert left == {f"{HOME}/etc.git/HEAD", f"{HOME}/launcher.lock", f"{HOME}/journal"}
    _, left = purged(*SHARED, *FOLDERS_COPY, then=f"{first}; {second}")
    assert left == set()
    text, _ = purged(*SHARED[:2], *FOLDERS_COPY)
    assert len(re.findall(r"any more: (rm .+)", text)) == 1, "there is no history"
