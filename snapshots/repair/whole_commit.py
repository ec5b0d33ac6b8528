"""Which commit of a repository that lost objects is the newest that can be read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from snapshots.difference.tree import FOLDER, Link, parse_tree, read_link
from snapshots.git.processes import ObjectReader
from snapshots.git.repository import GitRepository

SCRATCH = "The files as they were when the store was mended"
"""The subject of a commit that belongs to no history: it was made for the objects that it brought."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A commit of which everything can be read."""

    id: str
    subject: str
    lost: tuple[str, ...]
    """The commits that were newer, each as its short id and its subject in brackets."""
    lacking: tuple[str, ...]
    """Older commits of which something cannot be read."""
    cut: tuple[str, ...]
    """The id of the commit at which the history begins, where what was before it cannot be read."""


def newest_whole(repository: GitRepository, wanted: str | None) -> Whole | None:
    """The newest whole commit, `wanted` or one before it if there is one; else any, by the times.

    A commit whose history is there up to the first one goes before one whose history is cut. None where no
    commit is whole. Raises StoreError.
    """
    listed = repository.run("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)")
    kinds = dict(line.split(" ") for line in listed.decode().splitlines())
    with ObjectReader(repository) as reader:
        links = {one: read_link(reader, one) for one, kind in kinds.items() if kind == "commit"}
        history = {one: link for one, link in links.items() if link.commit.subject != SCRATCH}
        return _Search(reader, kinds, history).newest(wanted)


@dataclass(slots=True)
class _Search:
    _reader: ObjectReader
    _kinds: dict[str, str]
    _commits: dict[str, Link]
    _whole_trees: set[bytes] = field(default_factory=set)

    def newest(self, wanted: str | None) -> Whole | None:
        parents = {one.parent for one in self._commits.values()}
        tips = sorted(
            self._commits.keys() - parents, key=lambda one: self._commits[one].commit.time, reverse=True
        )
        if wanted in self._commits:
            tips.insert(0, wanted)
        for whole_history in (True, False):
            for tip in tips:
                chain = list(self._chain(tip))
                if whole_history and self._commits[chain[-1]].parent is not None:
                    continue
                for identity in chain:
                    if self._is_whole(identity):
                        return self._described(identity, wanted, tips[0])
        return None

    def _described(self, identity: str, wanted: str | None, tip: str) -> Whole:
        history = list(self._chain(identity))
        lost = [one for one in self._chain(tip) if one not in history]
        first = self._commits[history[-1]]
        gap = self._commits[lost[-1]].parent if lost else None
        unreadable = dict.fromkeys(one for one in (wanted, gap) if one and one not in self._commits)
        return Whole(
            identity,
            self._commits[identity].commit.subject,
            (*map(self._named, lost), *(f"{one[:10]} (its subject, too)" for one in unreadable)),
            tuple(self._named(one) for one in history if not self._is_whole(one)),
            (history[-1],) if first.parent else (),
        )

    def _chain(self, tip: str) -> Iterator[str]:
        """A commit and those before it, as far as they are there."""
        identity: str | None = tip
        while identity in self._commits:
            yield identity
            identity = self._commits[identity].parent

    def _is_whole(self, identity: str) -> bool:
        trees = {self._commits[identity].tree}
        pending = trees - self._whole_trees
        while pending:
            if any(self._kinds.get(tree.decode()) != "tree" for tree in pending):
                return False
            below = set()
            for text in self._reader.read(sorted(pending)):
                for mode, child in parse_tree(text).values():
                    if mode == FOLDER:
                        below.add(child)
                    elif child.decode() not in self._kinds:
                        return False
            pending = below - trees - self._whole_trees
            trees |= below
        self._whole_trees |= trees
        return True

    def _named(self, identity: str) -> str:
        return f"{identity[:10]} ({self._commits[identity].commit.subject})"
