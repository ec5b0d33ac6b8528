"""The wizard on a terminal: screens that render the engine's plans, events and results, and change nothing themselves."""

SMALLEST = (80, 22)
"""Columns and lines that every screen needs."""
