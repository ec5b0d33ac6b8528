"""The numbers of the screens: the first frame and memory against a Textual program of one widget, and what a slow line
carries: bytes for each key and each step, at 9,600 bit/s with 200 ms to the machine and back."""

from __future__ import annotations

import os
import select
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests.system.images import with_whole_lists
from tests.system.machine import PROJECT, Machine
from tests.system.msa import WIZARD
from tests.system.terminal import Terminal

HERE = Path(__file__).parent
ROUNDS = 7
LOOK = 2.0
"""Seconds that the first look may take."""
BITS, LATENCY = 9600, 0.2
KEY = 0.1
"""Seconds that a key may take while apt is at work."""
MOST = 3500
"""Bytes of a step change."""
_BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("the first frame")
Bare(ansi_color=True).run()
"""
_WIZARD = "from wizard.cli.main import main; raise SystemExit(main())"


class SlowLine(Terminal):
    """A terminal at the end of such a line."""

    def press(self, *keys: str) -> None:
        """What is typed arrives later; what comes back does, too."""
        time.sleep(LATENCY)
        super().press(*keys)

    def take(self) -> bytes:
        """As many bytes as the line brings in a tenth of a second (ten bits each)."""
        time.sleep(0.1)
        return os.read(self.master, BITS // 100)


def measured() -> list[tuple[str, float, float, str]]:
    """Name, ratio or figure, the most it may be, and what was measured."""
    with Machine(with_whole_lists("bookworm", "ready")) as machine:
        for command in ("status", "history", "test"):  # the first start of a new checkout compiles it
            machine.run([WIZARD, command], check=False)
        python = machine.run("echo /var/lib/msa-wizard/venv-*/bin/python").stdout.strip()
        frames: dict[str, list[float]] = {"bare": [], "wizard": []}
        memory: dict[str, list[float]] = {"bare": [], "wizard": []}
        for turn in range(ROUNDS + 1):
            for name, code, words in (
                ("bare", _BARE, "the first frame"),
                ("wizard", _WIZARD, "msa-wizard"),
            ):
                seconds, kilobytes = _first_frame(machine, python, code, words)
                if turn:
                    frames[name].append(seconds)
                    memory[name].append(kilobytes)
        rows = [
            _ratio("first frame", frames, 1.5, "{:.2f} s, {:.2f} s by one widget"),
            _ratio("memory", memory, 1.6, "{:.0f} kB, {:.0f} kB with one widget"),
        ]
        rows.append(_first_look(machine))
        rows += _slow_line(machine)
    with Machine(with_whole_lists("bookworm", "ready")) as machine:
        machine.run([WIZARD, "status"])
        return [*rows, _key_beside_apt(machine)]


def _ratio(
    name: str, found: dict[str, list[float]], limit: float, words: str
) -> tuple[str, float, float, str]:
    ours, bare = (statistics.median(found[which]) for which in ("wizard", "bare"))
    return name, ours / bare, limit, words.format(ours, bare)


def _first_frame(machine: Machine, python: str, code: str, words: str) -> tuple[float, float]:
    env = {"TERM": "xterm-256color", "PYTHONPATH": PROJECT, "PYTHONPYCACHEPREFIX": "/root/pycache"}
    argv = machine.argv([python, "-c", code], env=env)
    began = time.perf_counter()
    with Terminal(argv) as terminal:
        terminal.until(words)
        seconds = time.perf_counter() - began
        end = time.monotonic() + 3  # what is imported behind the first frame is part of it
        while time.monotonic() < end:
            terminal.read()
        pid = machine.run(["pgrep", "-n", "-f", f"^{python} -c"]).stdout.strip()
        rss = machine.run(
            ["sed", "-n", "s/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p", f"/proc/{pid}/status"]
        ).stdout
    return seconds, float(rss)


def _first_look(machine: Machine) -> tuple[str, float, float, str]:
    took = [first_look(machine) for _ in range(ROUNDS)]
    return "first look", statistics.median(took), LOOK, f"s; the longest {max(took):.2f} s"


def first_look(machine: Machine) -> float:
    """Seconds from the first frame to the facts of a bare host; apt is asked beside it."""
    with Terminal(machine.argv([WIZARD], env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("Set up, step by step")
        began = time.perf_counter()
        terminal.until("steps have something to do")
        return time.perf_counter() - began


def _slow_line(machine: Machine) -> Iterator[tuple[str, float, float, str]]:
    with SlowLine(machine.argv([WIZARD], env={"TERM": "xterm-256color"})) as line:
        yield from drawn(line)


def drawn(line: Terminal) -> Iterator[tuple[str, float, float, str]]:
    """The bytes of a whole set-up on a bare host, from the first screen to the summary."""
    line.until("steps have something to do", 120)
    yield "first screen", line.received, 8000, "bytes until the host was looked at"
    yield "second screen", _bytes(line, "enter", "steps to do. y applies"), 8000, "bytes: all steps"
    yield "a key", _bytes(line, "down", "msa-wizard apply saslauthd-init"), MOST, "bytes: the next step"
    line.press("up")
    line.until("msa-wizard apply install")
    steps = {"install": _bytes(line, "y", "y applies saslauthd")}
    while "What mail clients need" not in line.text:
        name = line.text.partition("y applies ")[2].partition(",")[0]
        steps[name] = _bytes(line, "y", f"y applies {name},", gone=True)
    last = steps.pop(name)
    yield "summary", last, 8000, f"bytes: {name}, and then the summary"
    del steps["install"]  # apt's output goes by on it
    most = max(steps, key=steps.__getitem__)
    yield "a step", steps[most], MOST, f"bytes from its key to the next: {most}, the most of {steps}"


def _key_beside_apt(machine: Machine) -> tuple[str, float, float, str]:
    """Seconds from a key to what it changes on the screen, while apt installs the packages."""
    took: list[float] = []
    with Terminal(machine.argv([WIZARD], env={"TERM": "xterm-256color"})) as terminal:
        terminal.until("steps have something to do", 120)
        terminal.press("enter")
        terminal.until("to download,")  # before that, y is asked for once more
        terminal.press("y")
        terminal.until("install is at work, ")
        while "install is at work" in terminal.text and len(took) < 40:
            key, words = (("down", "apply saslauthd-init"), ("up", "apply install"))[len(took) % 2]
            began = time.perf_counter()
            terminal.press(key)
            terminal.until(words)
            took.append(time.perf_counter() - began)
            terminal.read(0.2)
        terminal.until("y applies saslauthd", 240)
    took.sort()
    nine = took[len(took) * 9 // 10]
    words = f"s for nine of ten of {len(took)} keys; median {statistics.median(took):.3f} s, worst {took[-1]:.3f} s"
    return "a key while apt runs", nine, KEY, words


def _bytes(line: Terminal, key: str, words: str, *, gone: bool = False) -> int:
    count = line.received
    line.press(key)
    line.until(lambda: (words in line.text) is not gone, 300)
    if gone:
        line.until(lambda: "s skips it" in line.text or "What mail clients need" in line.text, 300)
    while select.select([line.master], [], [], 0.5)[0]:
        line.read()
    return line.received - count
