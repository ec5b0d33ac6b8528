"""Plan, apply, record, undo: the run of steps, its journal, and whose a difference is."""
