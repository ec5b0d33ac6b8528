"""One module of GitPython, without all that its package's own first file imports beside it."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

PACKAGES = ("git", "gitdb")
"""Their first files import every module of theirs, and the first one runs a git, which takes longer than a commit."""


def import_alone(name: str) -> ModuleType:
    """The module `name` of GitPython. The first file of its package runs when something is looked for in the package that
    is not there yet (PEP 562), so that a release in which the module needs more of it finds that, too; where that goes
    wrong, the package is imported as usual. Not for two threads at once. Raises ImportError."""
    before = [package for package in PACKAGES if package not in sys.modules]
    try:
        for package in before:
            _put(package)
        return importlib.import_module(name)
    except (ImportError, AttributeError):
        for module in [one for one in sys.modules if one.partition(".")[0] in before]:
            del sys.modules[module]
        importlib.import_module(name.partition(".")[0])
        return importlib.import_module(name)


def _put(package: str) -> None:
    spec = find_spec(package)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module, loader = module_from_spec(spec), spec.loader

    def whole(name: str) -> Any:
        # What the import system itself asks a package for is there, or is not.
        if name.startswith("__") or module.__dict__.pop("__getattr__", None) is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        loader.exec_module(module)
        return getattr(module, name)

    module.__dict__["__getattr__"] = whole
    sys.modules[package] = module
