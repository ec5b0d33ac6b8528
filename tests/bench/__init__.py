"""Benchmarks on real machines: `python -m tests.bench`."""
