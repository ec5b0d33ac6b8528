"""Whatever a script does to files: captured and written, the folder is as if the script had run in it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snapshots.live.entry import Entry
from wizard.changes.capture import captured
from wizard.changes.file import FileChange
from wizard.system.host import Host
from wizard.system.private_view import ViewError

NAMES = (
    "mail/access",
    "mail/access.db",
    "mail/m4",
    "mail/m4/a",
    "old",
    "old/deep",
    "old/deep/file",
    "hosts",
    "new",
)

names = st.sampled_from(NAMES)
operations = st.one_of(
    st.builds("echo {} >>{}".format, st.integers(1, 9), names),
    st.builds("rm -rf {}".format, names),
    st.builds("mkdir -p {}".format, names),
    st.builds("mv -f {} {}".format, names, names),
    st.builds("cp -a {} {}".format, names, names),
    st.builds("ln -sfn {} {}".format, names, names),
    st.builds("ln -f {} {}".format, names, names),
    st.builds("chmod {} {}".format, st.sampled_from(("600", "755", "2750", "4711")), names),
    st.builds("chown {} {}".format, st.sampled_from(("0:0", "7:8")), names),
)


def made(folder: Path) -> Host:
    """A host in a folder."""
    for name, text in {
        "mail/access": "a\n",
        "mail/m4/a": "m4\n",
        "old/deep/file": "x\n",
        "hosts": "h\n",
    }.items():
        path = folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "etc/mail/access.db").symlink_to("access")
    return Host(folder)


def tree(host: Host) -> dict[str, Entry | None]:
    """All of it."""
    paths = [f"/{path.relative_to(host.root)}" for path in sorted(host.root.rglob("*"))]
    return {path: host.entry(path) for path in paths}


@pytest.fixture(scope="module", autouse=True)
def a_view(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only where this machine gives one."""
    try:
        with made(tmp_path_factory.mktemp("host")).private_view(("/etc",)):
            return
    except ViewError as error:
        pytest.skip(f"this machine gives no private view: {error}")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(["mv -f mail/access.db mail/m4", "mv -f mail/m4 mail/access.db"])
@given(st.lists(operations, min_size=1, max_size=8))
def test_a_captured_script_comes_to_the_same(script: list[str]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        host, other = made(folder / "host"), made(folder / "other")
        text = 'cd "$1/etc"; ' + "; ".join(f"{line} 2>/dev/null" for line in script) + "; :"
        subprocess.run(["sh", "-uc", text, "sh", str(other.root)], check=True)
        before = tree(host)
        capture = captured(
            host, lambda inside: inside.run(["sh", "-uc", text, "sh", str(host.root)]).stdout, lambda _: None
        )
        assert tree(host) == before
        assert all(old != new for old, new in capture.writes.values())
        for path, (old, new) in capture.writes.items():
            FileChange(path, old, new).apply(host, lambda _: None)
        assert tree(host) == tree(other)
    finally:
        shutil.rmtree(folder)
