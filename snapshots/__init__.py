"""The git-versioned /etc: capture, commit, history, diff. Knows nothing of mail.

- `snapshots.entry`: what one path is on disk; reads and writes live paths, needs no git.
- `snapshots.store`: the history of /etc and of the declared paths outside it.
"""
