"""The git-versioned /etc: capture, commit, history, diff, the way back. Knows nothing of mail.

- `snapshots.live.entry`: what one path is on disk; reads and writes live paths, needs no git.
- `snapshots.store`: the history of /etc and of the declared paths outside it.
- `snapshots.merge.reversal`: what rolling commits back comes to, later work kept; used through the store.
- `snapshots.repair`: a damaged store is put together again when it is opened for writing.
"""
