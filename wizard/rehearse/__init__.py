"""The rehearsal: everything, for real, on a throwaway clone of this machine (DESIGN.md section 5, `rehearse`)."""
