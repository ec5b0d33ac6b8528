"""Another admin who comes at an operation in the middle of a run: a process of his own, that heeds the system's locks."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.killing.counter import Counter
from tests.survival.admin import Edit
from tests.survival.fake_dpkg import LOCK, locked
from tests.survival.machine import Machine

DIARY = "diary"
"""Beside the root: what he did on this machine, an edit a line."""
SINCE_LOOK = 60
"""Operations from the last look at what others did to the start of apt, at most: that look is recorded meanwhile."""
_WAITS = 75

Act = Callable[[Path], Sequence[Edit]]
"""Does something below a root, and says what is so now; nothing where it cannot be done.

Raises BlockingIOError while somebody else keeps a lock that he needs."""


@dataclass
class Visit:
    """What he does: he looks at operation `number`, and does what follows from that so many operations later."""

    number: int
    later: int
    look: Callable[[Path], Act]
    act: Act | None = None

    def come(self, machine: Machine, number: int) -> bool:
        """Whether he has done it by this operation; he looks, or does it, when he is due."""
        if self.act is None and number >= self.number:
            self.act = self.look(machine.root)
        return (
            self.act is not None and number >= self.number + self.later and _done(machine, self.act, number)
        )


@dataclass(frozen=True)
class Ended:
    """How a run ended, None where it was killed; what it said; and how much he did during it."""

    code: int | None
    said: str
    moments: int


class _Visited(Counter):
    """Counts as Counter does, and lets him in before each operation."""

    def __init__(self, kill: int | None, machine: Machine, visits: Sequence[Visit]) -> None:
        super().__init__(os.memfd_create("operations"), kill)
        self._machine, self.visits = machine, list(visits)

    def come(self, number: int) -> None:
        """Whoever is due at this operation."""
        self.visits = [visit for visit in self.visits if not visit.come(self._machine, number)]

    @contextlib.contextmanager
    def operation(self, words: str) -> Iterator[None]:
        self._local.inside = True  # what he does is no operation of the run
        try:
            self.come(self._count + 1)
            if words.endswith(LOCK):
                with (self._machine.folder / DIARY).open("a") as file:
                    file.write(f"{json.dumps({'began': self._count + 1})}\n")
        finally:
            self._local.inside = False
        with super().operation(words):
            yield


def visited(
    machine: Machine, run: Callable[[], int], visits: Sequence[Visit], kill: int | None = None
) -> Ended:
    """The run in a child, visited, and killed just before operation `kill`; what he has not done by its end he does then."""
    sys.stdout.flush()
    sys.stderr.flush()
    before, said = len(diary(machine)), os.memfd_create("said")
    try:
        child = os.fork()
        if child == 0:
            _run(run, _Visited(kill, machine, visits), said)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        words = os.pread(said, 1 << 22, 0).decode()
    finally:
        os.close(said)
    assert code == -signal.SIGKILL or 0 <= code < _CRASHED, words
    during = len(diary(machine))
    for visit in visits:
        if code == -signal.SIGKILL and visit.number + visit.later > (kill or 0):
            visit.come(machine, _END)
    return Ended(None if code < 0 else code, words, during - before)


_END = 1 << 30
"""More operations than there are."""
_CRASHED = 99


def _run(run: Callable[[], int], counter: _Visited, said: int) -> NoReturn:
    code, write, text = _CRASHED, os.pwrite, io.StringIO()
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            counter.install()
            code = run()
        counter.come(_END)
    except BaseException:
        text.write(traceback.format_exc())
    finally:
        write(said, text.getvalue().encode(), 0)
        os._exit(code)


def diary(machine: Machine) -> list[Edit]:
    """All that he did, in order."""
    return [_edit(page) for page in _pages(machine) if "edit" in page]


def beside_apt(machine: Machine) -> list[Edit]:
    """What he did while apt was running, or after the last look before it."""
    pages, found = _pages(machine), []
    for at, page in enumerate(pages):
        begun = next((each["began"] for each in pages[at + 1 :] if "began" in each), -1)
        if "edit" in page and (page["apt"] or 0 <= begun - page["number"] <= SINCE_LOOK):
            found.append(_edit(page))
    return found


def _pages(machine: Machine) -> list[dict[str, Any]]:
    place = machine.folder / DIARY
    return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


def _edit(page: dict[str, Any]) -> Edit:
    value = page["edit"]["value"]
    return Edit(
        page["edit"]["path"], page["edit"]["what"], tuple(value) if isinstance(value, list) else value
    )


def _apt_runs(root: Path) -> bool:
    try:
        with locked(root / LOCK):
            return False
    except BlockingIOError:
        return True


def _done(machine: Machine, act: Act, number: int) -> bool:
    """Do it in a process of its own, for locks are a process's; False while a lock is kept."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            apt = _apt_runs(machine.root)
            edits = act(machine.root)
            with (machine.folder / DIARY).open("a") as file:
                pages = ({"edit": asdict(edit), "apt": apt, "number": number} for edit in edits)
                file.writelines(f"{json.dumps(page)}\n" for page in pages)
            code = 0
        except BlockingIOError:
            code = _WAITS
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _WAITS), "the admin's work failed"
    return code == 0
