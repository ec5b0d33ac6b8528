"""The steps of the howto, and those that a command of its own applies."""
