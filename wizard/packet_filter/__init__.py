"""The kernel's packet filter: its rules, and what becomes of a packet."""
