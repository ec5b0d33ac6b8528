"""The engine: looks, plans, does, checks. Knows nothing of Textual, nor of git."""

__version__ = "1.0.0"
