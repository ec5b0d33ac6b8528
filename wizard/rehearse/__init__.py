"""The rehearsal: everything, for real, on a throwaway clone of this machine (docs/manual.md)."""
