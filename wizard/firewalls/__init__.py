"""The firewalls of howto 3.8: one short file each, from facts to changes, without I/O."""
