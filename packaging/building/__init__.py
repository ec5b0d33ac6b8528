"""Makes what is released: `packaging/build` runs it, with `packaging` in PYTHONPATH."""
