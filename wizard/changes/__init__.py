"""The closed set of changes: file, packages, service, command, dialogue, rules, watch. Each: describe, expect, apply, undo."""

from wizard.changes.command import CommandChange, DialogueChange
from wizard.changes.file import FileChange
from wizard.changes.packages import PackagesChange, PackagesReversal
from wizard.changes.rules import RulesChange
from wizard.changes.service import ServiceChange, WatchChange

__all__ = [
    "CommandChange",
    "DialogueChange",
    "FileChange",
    "PackagesChange",
    "PackagesReversal",
    "RulesChange",
    "ServiceChange",
    "WatchChange",
]
