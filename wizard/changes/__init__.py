"""The closed set of changes: file, packages, service, command, dialogue, rules, watch. Each: describe, expect, apply, undo."""
