"""The command line: its parser, what commands share (options), and a file for each group of commands."""
