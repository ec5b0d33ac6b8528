"""A damaged store: found, and healed."""
