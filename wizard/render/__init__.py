"""Plans, runs and reports as text, JSON and TOML."""
