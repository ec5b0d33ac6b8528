"""Who may import whom: screens -> wizard -> snapshots, and heavy libraries only when they are needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

_TOP = Path(__file__).resolve().parents[2]
_PACKAGES = [name for name in ("screens", "snapshots", "templates", "wizard") if (_TOP / name).is_dir()]
_SOURCES = sorted(path for name in _PACKAGES for path in (_TOP / name).rglob("*.py"))
_MAY_NOT_IMPORT = {
    "screens": {"tests", "git", "gitdb", "pexpect", "jinja2"},
    "snapshots": {"wizard", "screens", "templates", "tests", "textual", "jinja2", "pexpect"},
    "templates": {"wizard", "screens", "snapshots", "tests", "textual"},
    "wizard": {"tests", "textual", "git", "gitdb"},
}
_HEAVY = {"textual", "rich", "git", "gitdb", "jinja2", "pexpect", "asn1crypto", "ssl", "screens", "snapshots"}


def _imported(source: str) -> list[tuple[int, str, bool]]:
    """Line, module and whether it is imported at the top level, of each import."""
    tree = ast.parse(source)
    lazy = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, node not in lazy) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports here are absolute"
            found.append((node.lineno, str(node.module), node not in lazy))
    return found


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: str(path.relative_to(_TOP)))
def test_imports_go_one_way(path: Path) -> None:
    inside = path.relative_to(_TOP)
    for line, module, at_top in _imported(path.read_text()):
        package = module.split(".")[0]
        assert package not in _MAY_NOT_IMPORT[inside.parts[0]], f"{inside}:{line} imports {module}"
        if package == "screens" and inside.parts[0] != "screens":
            assert inside == Path("wizard/cli/main.py"), f"{inside}:{line} imports {module}"
            assert not at_top, f"{inside}:{line} must import {module} only when the screens are wanted"


def test_the_rule_sees_every_kind_of_import() -> None:
    source = "import a.b, c\nfrom d.e import f\ndef g():\n    import h\nif True:\n    from i import j\n"
    assert _imported(source) == [
        *((1, "a.b", True), (1, "c", True), (2, "d.e", True), (4, "h", False), (6, "i", True))
    ]


def test_every_module_can_be_imported_first() -> None:
    """No module leans on another having been imported before it: a cycle would show here."""
    names = [".".join(path.relative_to(_TOP).with_suffix("").parts) for path in _SOURCES]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
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


@pytest.mark.skipif(not (_TOP / "wizard/cli/main.py").exists(), reason="there is no command line")
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
