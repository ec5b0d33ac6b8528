"""The mail log: read, followed, put in order, explained."""
