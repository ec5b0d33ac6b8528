"""The closed set of changes: file, packages, service, command, dialogue. Each: describe, expect, apply, undo."""

from wizard.changes.command import CommandChange, DialogueChange
from wizard.changes.file import FileChange
from wizard.changes.packages import PackagesChange, PackagesReversal
from wizard.changes.service import ServiceChange

__all__ = [
    "CommandChange",
    "DialogueChange",
    "FileChange",
    "PackagesChange",
    "PackagesReversal",
    "ServiceChange",
]
