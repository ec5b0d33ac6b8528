"""What is imported when: heavy libraries only where they are needed. Who may import whom is in pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

_TOP = Path(__file__).resolve().parents[2]
_HEAVY = {"textual", "rich", "git", "gitdb", "jinja2", "pexpect", "asn1crypto", "ssl", "screens", "snapshots"}


def test_version_imports_nothing_heavy() -> None:
    script = (
        "import sys; from wizard.cli.main import main; code = main(['--version']); print(code, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=_TOP, capture_output=True, text=True, check=True
    )
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert not _HEAVY & {module.split(".")[0] for module in modules}


def test_a_commit_imports_no_more_of_gitpython_than_runs_git(tmp_path: Path) -> None:
    """The rest takes longer to import than the commit takes, and so does what only another command needs."""
    script = """
import sys
from pathlib import Path
from snapshots.format.message import Author
from snapshots.store import Store
folder = Path(sys.argv[1])
(folder / "etc").mkdir()
(folder / "var").mkdir(mode=0o700)
alice = Author("Alice", "alice@mail.example.test")
Store.open(folder / "var/etc.git", root=folder).commit(operation="baseline", subject="x", run="1", author=alice)
(folder / "etc/new").touch()
store = Store.open(folder / "var/etc.git", root=folder)
print(store.head().operation, store.commit(operation="drift", subject="x", run="1", author=alice).subject, *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=_TOP, capture_output=True, text=True, check=True
    )
    operation, subject, *modules = done.stdout.split()
    assert (operation, subject) == ("baseline", "x")
    assert {name for name in modules if name.partition(".")[0] == "git"} == {
        *("git", "git.cmd", "git.compat", "git.exc", "git.types", "git.util"),
    }
    assert not {
        *("gitdb.db", "gitdb.base", "gitdb.pack", "tempfile", "configparser"),
        *("snapshots.merge.reversal", "snapshots.merge.three_way", "snapshots.format.secret_text", "wizard"),
        *(
            "asyncio",
            "ctypes",
            "difflib",
            "email",
            "hmac",
            "http",
            "json",
            "random",
            "secrets",
            "socket",
            "ssl",
        ),
    } & set(modules)


def test_a_look_imports_nothing_that_only_an_authority_or_fail2ban_needs() -> None:
    """The screens hold all that a look imports for as long as they are open."""
    script = "import sys, wizard.engine.overview; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=_TOP, capture_output=True, text=True, check=True
    )
    modules = done.stdout.split()
    assert "wizard.gather.acme" in modules
    assert not {"configparser", "http.client", "urllib.request"} & set(modules)
    assert not {
        f"wizard.engine.{name}"
        for name in ("engine", "journal", "provenance", "recorder", "run", "session", "undo")
    } & set(modules), "what changes the host is imported where it is changed"


def test_a_command_looks_for_garbage_seldom() -> None:
    script = "import gc, sys; from wizard.cli.main import main; main(['history', '--x']); print(gc.get_threshold()[0])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=_TOP, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == "20000"


def test_no_module_leans_on_another_having_been_imported_before() -> None:
    """The one that imports the most, and each room's first file, by themselves; circles are lint-imports' task."""
    names = [
        f"{path.parent.relative_to(_TOP)}/{path.stem}".replace("/", ".")
        for top in ("wizard", "snapshots", "screens")
        for path in sorted((_TOP / top).rglob("*.py"))
        if path.name != "__init__.py" and path == sorted(path.parent.glob("[a-z]*.py"))[0]
    ]
    assert len(names) > 20
    script = """
import importlib, os, sys
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        importlib.import_module(name)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} cannot be imported by itself")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=_TOP, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_room_imports_its_own_files_when_it_is_entered() -> None:
    """Two threads that enter such a room by two of its files wait for each other: Python breaks that up by an error,
    and the screens import in several threads."""
    for file in (
        each for top in ("wizard", "snapshots", "screens") for each in (_TOP / top).rglob("__init__.py")
    ):
        room = ".".join(file.parent.relative_to(_TOP).parts)
        for node in ast.parse(file.read_text()).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if f"{name}.".startswith(f"{room}.")], (
                f"{room} imports {names}"
            )
