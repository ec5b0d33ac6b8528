"""The door to the machine: commands, files, sockets, signals, locks."""
