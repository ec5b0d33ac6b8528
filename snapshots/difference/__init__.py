"""What differs between the machine and a commit, or two commits."""
