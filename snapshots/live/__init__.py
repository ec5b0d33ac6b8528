"""What is at a path of the machine: content, mode, owner, attributes; read and written."""
