"""The wizard on a terminal: screens that render the engine's plans, events and results, and change nothing themselves."""
