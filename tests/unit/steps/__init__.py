"""Recorded real files of every release -> expected plans."""
