"""The collection for Ansible as Ansible's own tools judge it, in an environment of their own, from the package index, as the
tests' environment is made. All of it long."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.one_file import of_the_working_tree
from tests.unit.test_fleet import FACTS
from wizard.fleet import COLLECTION, GALAXY, collection, export
from wizard.model.answers import Answers

pytestmark = pytest.mark.full
_LINT = "supported_ansible_also: ['2.14']  # Debian 12's\nskip_list: ['galaxy[no-repository]']  # it is not published there\n"
_NAME = f"{GALAXY['namespace']}.{GALAXY['name']}"


@dataclass(frozen=True)
class Tools:
    """Ansible's tools, and a folder that was exported for them."""

    programs: Path
    folder: Path

    def run(self, name: str, *arguments: str, below: str = "") -> subprocess.CompletedProcess[str]:
        """One of them, in the folder."""
        return subprocess.run(
            [str(self.programs / name), *arguments],
            cwd=self.folder / below,
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}",
                "HOME": str(self.folder.parent),
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    place = tmp_path_factory.mktemp("ansible")
    export(place / "fleet", Answers(), FACTS, of_the_working_tree())
    subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
    found = Tools(place / "venv/bin", place / "fleet")
    subprocess.run(
        [str(found.programs / "pip"), "install", "--quiet", "ansible-core", "ansible-lint"], check=True
    )
    return found


def test_ansible_lint_has_nothing_to_say(tools: Tools) -> None:
    config = tools.folder.parent / "lint.yml"
    config.write_text(_LINT)
    books = sorted(path.name for path in tools.folder.glob("*.yml"))
    done = tools.run(
        "ansible-lint", "--offline", "--profile", "production", "-c", str(config), *books, COLLECTION
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ansible_test_has_nothing_to_say(tools: Tools) -> None:
    """`sanity`, with all that it can run beside no container; the licence is this project's own."""
    version = tools.run("ansible", "--version").stdout.partition("[core ")[2].partition("]")[0]
    plugins = sorted(
        name for name in collection() if name.startswith(("plugins/modules/", "plugins/callback/"))
    )
    ignored = "".join(f"{name} validate-modules:missing-gplv3-license\n" for name in plugins)
    ignore = f"{COLLECTION}/tests/sanity/ignore-{'.'.join(version.split('.')[:2])}.txt"
    (tools.folder / ignore).parent.mkdir(parents=True)
    (tools.folder / ignore).write_text(ignored)
    python = ".".join(map(str, sys.version_info[:2]))
    _have_pip(tools)
    done = tools.run("ansible-test", "sanity", "--requirements", "--python", python, below=COLLECTION)
    assert done.returncode == 0, done.stdout + done.stderr


def _have_pip(tools: Tools) -> None:
    """Where it would be fetched from a place of Ansible's own: Python's."""
    (internal,) = tools.programs.parent.glob(
        "lib/*/site-packages/ansible_test/_internal/python_requirements.py"
    )
    wanted = re.search(r"pip='([0-9.]+)'", internal.read_text())
    assert wanted
    place = tools.folder.parent / f".ansible/test/cache/get_pip_{wanted[1].replace('.', '_')}.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("import ensurepip\nensurepip.bootstrap()\n")


def test_ansible_doc_shows_each_module_and_the_role(tools: Tools) -> None:
    names = [Path(name).stem for name in collection() if name.startswith("plugins/modules/")]
    shown = tools.run("ansible-doc", *(f"{_NAME}.{name}" for name in names))
    assert shown.returncode == 0, shown.stderr
    assert "WARNING" not in shown.stderr
    assert shown.stdout.count("RETURN VALUES:") == len(names)
    role = tools.run("ansible-doc", "--type", "role", f"{_NAME}.msa")
    assert "msa_interrupted" in role.stdout, role.stderr
